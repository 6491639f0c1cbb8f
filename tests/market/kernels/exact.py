"""Fused multiply-add in NumPy, rounded once, and the arithmetic of kernels written with it."""

from __future__ import annotations

import numpy as np

from sim.market.kernels import arithmetic as a

ROOT_HALF = 0x3FE6A09E667F3BCD  # bits of sqrt(1/2)


def _two_sum(one, other):
    total = one + other
    back = total - one
    return total, (one - (total - back)) + (other - back)


def _two_product(one, other):
    def halves(value):
        high = value * 134217729.0
        high = high - (high - value)
        return high, value - high

    product, (left, left_low), (right, right_low) = one * other, halves(one), halves(other)
    return product, left_low * right_low - (((product - left * right) - left_low * right) - left * right_low)


def _to_odd(total, rest):
    """Return a sum rounded to odd unless it is exact; a second rounding then does no harm."""
    even = (total.view(np.int64) & 1) == 0
    towards = np.nextafter(total, np.where(rest > 0.0, np.inf, -np.inf))
    return np.where(even & (rest != 0.0), towards, total)


def fma(x, y, z):
    """Return x y + z rounded once, away from the ends of the range."""
    high, low = _two_product(x, y)
    total, rest = _two_sum(z, low)
    total, middle = _two_sum(high, total)
    return total + _to_odd(*_two_sum(rest, middle))


def polynomial(x, *coefficients):
    """Return a polynomial by Horner's rule with fused steps, the highest coefficient first."""
    value = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value = fma(value, x, coefficient)
    return value


def scaled(value, power):
    """Return value times 2 to the whole number in the low bits of `power`."""
    return (value.view(np.int64) + (power.view(np.int64) << 52)).view(np.float64)


def split(x):
    """Return mantissas from sqrt(1/2) to sqrt(2) and exponents, both as floats."""
    bits = x.view(np.int64)
    power = (bits - ROOT_HALF) >> 52
    return (bits - (power << 52)).view(np.float64), power.astype(np.float64)


def exp(x):
    """Return e^x."""
    y = np.clip(x, a.LOWEST, a.HIGHEST)
    t = fma(y, a.PER_LN2, a.MAGIC)
    k = t - a.MAGIC
    r = fma(-k, a.LN2_REST, fma(-k, a.LN2, y))
    q = polynomial(r, a.E9, a.E8, a.E7, a.E6, a.E5, a.E4, a.E3, a.E2, a.E1, a.E0)
    result = scaled(fma(r * r, q, r) + 1.0, t)
    return np.where(x < a.LOWEST, 0.0, np.where(x > a.HIGHEST, np.inf, result))


def log(x):
    """Return the natural logarithm."""
    m, k = split(x)
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    q = polynomial(z, a.L6, a.L5, a.L4, a.L3, a.L2, a.L1, a.L0)
    half = 0.5 * f * f
    small = fma(s, fma(q, z, half), k * a.LN2_LOW)
    return np.where(x < a.SMALLEST, -np.inf, fma(k, a.LN2_HIGH, f - (half - small)))


def log1p(x):
    """Return log(1 + x)."""
    u = 1.0 + x
    return log(u) + (x - (u - 1.0)) / u
