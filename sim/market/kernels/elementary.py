"""Exponentials, logarithms, powers and normal quantiles of arrays, with the same bits on every machine.

NumPy has one form of each for processors with AVX-512 and another for those without; they differ in the last place.
Every stage that needs one takes it from here. Twins are NumPy's own functions and SciPy's, to a few last places.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sim.market.kernels import arithmetic
from sim.market.kernels.compiled import kernel, part

LOG_10 = 2.302585092994046


@part
def _exp(x):
    return x if x != x else arithmetic.exp(x)


@part
def _log(x):
    if x < 0.0:
        return np.nan
    return arithmetic.log(x) if x < np.inf else x


@part
def _log1p(x):
    if x < 0.0:
        return np.nan
    return arithmetic.log1p(x) if x < np.inf else x


@part
def _expm1(x):
    u = _exp(x)
    if u == 1.0:
        return x  # what rounding took from u - 1 is the rest of x
    if u == 0.0:
        return -1.0
    return (u - 1.0) / arithmetic.log(u) * x if u < np.inf else u


@part
def _power(x, y):
    return 1.0 if y == 0.0 else _exp(y * _log(x))


@kernel
def each_exp(x, found):
    """Write e^x."""
    for i in range(len(x)):
        found[i] = _exp(x[i])


@kernel
def each_log(x, found):
    """Write the natural logarithm."""
    for i in range(len(x)):
        found[i] = _log(x[i])


@kernel
def each_log1p(x, found):
    """Write log(1 + x)."""
    for i in range(len(x)):
        found[i] = _log1p(x[i])


@kernel
def each_expm1(x, found):
    """Write e^x - 1."""
    for i in range(len(x)):
        found[i] = _expm1(x[i])


@kernel
def each_ndtri(x, found):
    """Write the standard normal quantile; short loops are vector code."""
    for i in range(len(x)):
        found[i] = arithmetic.ndtri_near(x[i])
    for i in range(len(x)):
        middle, outside = arithmetic.ndtri_middle(x[i]), found[i] if x[i] > 0.5 else -found[i]
        found[i] = middle if abs(x[i] - 0.5) <= arithmetic.MIDDLE else outside
    for i in range(len(x)):
        if not arithmetic.FARTHEST <= x[i] <= 1.0 - arithmetic.FARTHEST:
            found[i] = arithmetic.ndtri_far(x[i])


@kernel
def each_power(x, y, found):
    """Write x to the power of y."""
    for i in range(len(x)):
        found[i] = _power(x[i], y[i])


def exp(x: ArrayLike) -> Any:
    """Return e^x, shape of `x`; 0 below -708, infinite above 709.7."""
    return _each(each_exp, x)


def log(x: ArrayLike) -> Any:
    """Return the natural logarithm, shape of `x`; -inf below 2^-1022, NaN below 0."""
    return _each(each_log, x)


def log10(x: ArrayLike) -> Any:
    """Return the logarithm to base ten, shape of `x`; as `log` at the ends of the range."""
    return log(x) / LOG_10


def log1p(x: ArrayLike) -> Any:
    """Return log(1 + x), shape of `x`; NaN below 0."""
    return _each(each_log1p, x)


def expm1(x: ArrayLike) -> Any:
    """Return e^x - 1, shape of `x`, as exact for small numbers as for large ones."""
    return _each(each_expm1, x)


def ndtri(x: ArrayLike) -> Any:
    """Return the standard normal quantile, shape of `x`; infinite at 0 and 1, NaN outside."""
    return _each(each_ndtri, x)


def power(x: ArrayLike, y: ArrayLike) -> Any:
    """Return x to the power of y, shape broadcast; NaN below 0, 1 where y is 0."""
    base, exponent = np.asarray(x, np.float64), np.asarray(y, np.float64)
    shape = np.broadcast(base, exponent).shape
    one, other, found = np.empty(shape), np.empty(shape), np.empty(shape)
    one[...], other[...] = base, exponent
    each_power(one.ravel(), other.ravel(), found.ravel())
    return found[()]


def _each(function: Any, x: ArrayLike) -> Any:
    """Return what a kernel makes of an array; a number for a number."""
    whole = np.asarray(x, np.float64)
    found = np.empty(whole.shape)
    function(whole.ravel(), found.ravel())
    return found[()]
