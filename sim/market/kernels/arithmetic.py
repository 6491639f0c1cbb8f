"""Exponentials and logarithms that a compiler can turn into vector instructions, with the same bits everywhere.

Range reduction by bit patterns, then a polynomial whose coefficients make the largest relative error smallest (Remez;
computed with 60 digits for this program). Every rounding is written down: no libm, no fastmath. In double precision the
results are within two units of the last place, in single precision within 2e-7; `tests/market/kernels/` has the twins.
"""

from __future__ import annotations

import numpy as np

from sim.market.kernels.compiled import exponent, fma, mantissa, part, scaled

# Adding it rounds to a whole number, which is then found in the low bits of the sum.
MAGIC, MAGIC_F = 1.5 * 2.0**52, np.float32(1.5 * 2.0**23)
LOWEST, HIGHEST = -708.0, 709.7  # below, exp is 0; above, infinite
LOWEST_F = np.float32(-126.0)  # below, exp2f is 0
SMALLEST, SMALLEST_F = 2.0**-1022, np.float32(2.0**-126)  # below, logarithms are -inf

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
# (2^r - 1) / r for |r| up to a half, relative error 9e-8 in 2^r
P0, P1, P2 = np.float32(0.6931469773597824), np.float32(0.2402224176095036), np.float32(0.05550733994536671)
P3, P4 = np.float32(0.009671533902592051), np.float32(0.0013264701839429075)
# log2(1 + f) / f between sqrt(1/2) and sqrt(2), relative error 6e-9
Q0, Q1, Q2 = np.float32(1.4426950418507984), np.float32(-0.7213473519563603), np.float32(0.4808979004050918)
Q3, Q4, Q5 = np.float32(-0.36069642878438224), np.float32(0.2885852870706676), np.float32(-0.23963647933700832)
Q6, Q7, Q8 = np.float32(0.20429564500453842), np.float32(-0.1906132167025824), np.float32(0.1878293696286999)
Q9 = np.float32(-0.11297664988634651)
ZERO_F, ONE_F, INFINITE_F = np.float32(0.0), np.float32(1.0), np.float32(np.inf)


@part
def exp(x):
    """Return e^x in double precision; 0 below -708 and at -inf, infinite above 709.7."""
    y = x if x > LOWEST else LOWEST
    y = y if y < HIGHEST else HIGHEST
    t = fma(y, PER_LN2, MAGIC)
    k = t - MAGIC
    r = fma(-k, LN2_REST, fma(-k, LN2, y))
    q = fma(E9, r, E8)
    q = fma(q, r, E7)
    q = fma(q, r, E6)
    q = fma(q, r, E5)
    q = fma(q, r, E4)
    q = fma(q, r, E3)
    q = fma(q, r, E2)
    q = fma(q, r, E1)
    q = fma(q, r, E0)
    result = scaled(fma(r * r, q, r) + 1.0, t)
    result = result if x >= LOWEST else 0.0
    return result if x <= HIGHEST else np.inf


@part
def log(x):
    """Return the natural logarithm of a finite number of 0 or more in double precision; -inf below 2^-1022."""
    k = exponent(x)
    f = mantissa(x) - 1.0
    s = f / (2.0 + f)
    z = s * s
    q = fma(L6, z, L5)
    q = fma(q, z, L4)
    q = fma(q, z, L3)
    q = fma(q, z, L2)
    q = fma(q, z, L1)
    q = fma(q, z, L0)
    half = 0.5 * f * f
    small = fma(s, fma(q, z, half), k * LN2_LOW)
    result = fma(k, LN2_HIGH, f - (half - small))
    return result if x >= SMALLEST else -np.inf


@part
def log1p(x):
    """Return log(1 + x) for finite numbers of 0 or more in double precision."""
    u = 1.0 + x
    return log(u) + (x - (u - 1.0)) / u


@part
def exp2f(x):
    """Return 2^x in single precision for x up to 127; 0 below -126 and at -inf."""
    y = x if x > LOWEST_F else LOWEST_F
    t = y + MAGIC_F
    r = y - (t - MAGIC_F)
    q = fma(P4, r, P3)
    q = fma(q, r, P2)
    q = fma(q, r, P1)
    q = fma(q, r, P0)
    result = scaled(fma(q, r, ONE_F), t)
    return result if x >= LOWEST_F else ZERO_F


@part
def log2f(x):
    """Return the logarithm to base 2 of a finite number of 0 or more in single precision; -inf below 2^-126."""
    f = mantissa(x) - ONE_F
    q = fma(Q9, f, Q8)
    q = fma(q, f, Q7)
    q = fma(q, f, Q6)
    q = fma(q, f, Q5)
    q = fma(q, f, Q4)
    q = fma(q, f, Q3)
    q = fma(q, f, Q2)
    q = fma(q, f, Q1)
    q = fma(q, f, Q0)
    result = fma(q, f, exponent(x))
    return result if x >= SMALLEST_F else -INFINITE_F
