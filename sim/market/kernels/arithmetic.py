"""Exponential and logarithm in double precision that become vector code, with the same bits everywhere.

Range reduction by bit patterns, then a polynomial whose coefficients make the largest relative error smallest (Remez;
computed with 60 digits for this program). Every rounding is written down: no libm, no fastmath. Results are within two
units of the last place; `tests/market/kernels/exact.py` has the twins.
"""

from __future__ import annotations

import numpy as np

from sim.market.kernels.bits import exponent, mantissa, scaled
from sim.market.kernels.compiled import apart, fma, part

# Adding it rounds to a whole number, which is then found in the low bits of the sum.
MAGIC = 1.5 * 2.0**52
LOWEST, HIGHEST = -708.0, 709.7  # below, exp is 0; above, infinite
SMALLEST = 2.0**-1022  # below, the logarithm is -inf

PER_LN2 = 1.4426950408889634
LN2, LN2_REST = 0.6931471805599453, 2.3190468138462996e-17  # in two parts, for a fused product with the first
LN2_HIGH, LN2_LOW = 0.6931471805598903, 5.497923018708371e-14  # in two parts, the first exact times an exponent

# (exp(r) - 1 - r) / r^2 for |r| up to half of log 2, relative error 4e-18 in exp
E0, E1, E2, E3, E4 = (
    0.5000000000000011,
    0.16666666666666413,
    0.041666666666530155,
    0.008333333333494461,
    0.0013888888943630134,
)
E5, E6, E7, E8, E9 = (
    0.00019841269506578723,
    2.480149309888739e-05,
    2.755758637378518e-06,
    2.763024838532302e-07,
    2.500006162553128e-08,
)
# (log((1 + s) / (1 - s)) / s - 2) / s^2 as a function of s^2, s up to tan of half of log sqrt 2, relative error 1e-18
L0, L1, L2, L3 = 0.6666666666666734, 0.39999999999414315, 0.28571428742475385, 0.22222198563448992
L4, L5, L6 = 0.18183564867968555, 0.15314035814005186, 0.14796105558888126


@part
def _reduced(x):
    """Return x over log 2 as it was rounded to a whole number, in the low bits, and what of x is beyond that."""
    t = fma(x, PER_LN2, MAGIC)
    k = t - MAGIC
    return t, fma(-k, LN2_REST, fma(-k, LN2, x))


@part
def _end_of_exp(r):
    q = fma(E9, r, E8)
    q = fma(q, r, E7)
    q = fma(q, r, E6)
    return fma(q, r, E5)


@part
def _exp(x, t, r, q):
    q = fma(q, r, E4)
    q = fma(q, r, E3)
    q = fma(q, r, E2)
    q = fma(q, r, E1)
    q = fma(q, r, E0)
    result = scaled(fma(r * r, q, r) + 1.0, t)
    result = result if x >= LOWEST else 0.0
    return result if x <= HIGHEST else np.inf


@part
def exp(x):
    """Return e^x; 0 below -708 and at -inf, infinite above 709.7."""
    t, r = _reduced(x)
    return _exp(x, t, r, _end_of_exp(r))


@part
def _end_of_log(z):
    q = fma(L6, z, L5)
    q = fma(q, z, L4)
    q = fma(q, z, L3)
    q = fma(q, z, L2)
    q = fma(q, z, L1)
    return fma(q, z, L0)


@part
def _log(x, f, s, q):
    k = exponent(x)
    half = 0.5 * f * f
    small = fma(s, fma(q, s * s, half), k * LN2_LOW)
    result = fma(k, LN2_HIGH, f - (half - small))
    return result if x >= SMALLEST else -np.inf


@part
def log(x):
    """Return the natural logarithm of a finite number of 0 or more; -inf below 2^-1022."""
    f = mantissa(x) - 1.0
    s = f / (2.0 + f)
    return _log(x, f, s, _end_of_log(s * s))


@part
def log1p(x):
    """Return log(1 + x) for finite numbers of 0 or more."""
    u = 1.0 + x
    return log(u) + (x - (u - 1.0)) / u


# Rational functions of algorithm AS 241, PPND16 (Wichura 1988, Applied Statistics 37, 477-484), highest power first: of
# 0.425^2 - (u - 1/2)^2 in the middle, of sqrt(-log of the smaller tail) less 1.6 outside it and less 5 far outside.
MIDDLE, NEAR, FAR = 0.425, 1.6, 5.0
FARTHEST = 1.3887943864964021e-11  # exp(-25): the tail at which the square root is 5
MIDDLE_OVER = (
    2509.0809287301226727,
    33430.575583588128105,
    67265.770927008700853,
    45921.953931549871457,
    13731.693765509461125,
    1971.5909503065514427,
    133.14166789178437745,
    3.387132872796366608,
)
MIDDLE_UNDER = (
    5226.495278852854561,
    28729.085735721942674,
    39307.89580009271061,
    21213.794301586595867,
    5394.1960214247511077,
    687.1870074920579083,
    42.313330701600911252,
    1.0,
)
NEAR_OVER = (
    7.7454501427834140764e-4,
    0.0227238449892691845833,
    0.24178072517745061177,
    1.27045825245236838258,
    3.64784832476320460504,
    5.7694972214606914055,
    4.6303378461565452959,
    1.42343711074968357734,
)
NEAR_UNDER = (
    1.05075007164441684324e-9,
    5.475938084995344946e-4,
    0.0151986665636164571966,
    0.14810397642748007459,
    0.68976733498510000455,
    1.6763848301838038494,
    2.05319162663775882187,
    1.0,
)
FAR_OVER = (
    2.01033439929228813265e-7,
    2.71155556874348757815e-5,
    0.0012426609473880784386,
    0.026532189526576123093,
    0.29656057182850489123,
    1.7848265399172913358,
    5.4637849111641143699,
    6.6579046435011037772,
)
FAR_UNDER = (
    2.04426310338993978564e-15,
    1.4215117583164458887e-7,
    1.8463183175100546818e-5,
    7.868691311456132591e-4,
    0.0148753612908506148525,
    0.13692988092273580531,
    0.59983220655588793769,
    1.0,
)


@part
def _polynomial(c, x):
    return fma(fma(fma(fma(fma(fma(fma(c[0], x, c[1]), x, c[2]), x, c[3]), x, c[4]), x, c[5]), x, c[6]), x, c[7])


@part
def ndtri_middle(u):
    """Return the standard normal quantile of a number within `MIDDLE` of 1/2."""
    q = u - 0.5
    r = MIDDLE * MIDDLE - q * q
    return q * _polynomial(MIDDLE_OVER, r) / _polynomial(MIDDLE_UNDER, r)


@part
def ndtri_near(u):
    """Return the size of the standard normal quantile of a number farther out, with a tail of at least `FARTHEST`."""
    r = np.sqrt(-log(min(u, 1.0 - u))) - NEAR
    return _polynomial(NEAR_OVER, r) / _polynomial(NEAR_UNDER, r)


@part
def ndtri_far(u):
    """Return the standard normal quantile of a number with a smaller tail; NaN below 0 and above 1."""
    tail = u if u < 0.5 else 1.0 - u
    if tail > 0.0:
        r = np.sqrt(-log(tail)) - FAR
        size = _polynomial(FAR_OVER, r) / _polynomial(FAR_UNDER, r)
    else:
        size = np.inf if tail == 0.0 else np.nan
    return -size if u < 0.5 else size


# Rows of numbers go from step to step together: a processor looks ahead not far enough to have several whole chains
# of steps, each waiting for the one before, under way at once.


@apart
def exps(x, room, found):
    """Write e^x of a row into another; `room` has two rows."""
    whole, rest = room[0], room[1]
    for r in range(len(x)):
        whole[r], rest[r] = _reduced(x[r])
    for r in range(len(x)):
        found[r] = _end_of_exp(rest[r])
    for r in range(len(x)):
        found[r] = _exp(x[r], whole[r], rest[r], found[r])


@apart
def logs(x, room, found):
    """Write the natural logarithms of a row into another; `room` has two rows."""
    over, part = room[0], room[1]
    for r in range(len(x)):
        f = mantissa(x[r]) - 1.0
        over[r], part[r] = f, f / (2.0 + f)
    for r in range(len(x)):
        found[r] = _end_of_log(part[r] * part[r])
    for r in range(len(x)):
        found[r] = _log(x[r], over[r], part[r], found[r])
