"""Exponentials and logarithms of kernels: accuracy, ends of the range, the same bits as exact arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from sim import rng
from sim.market.kernels import arithmetic
from sim.market.kernels.compiled import fma, kernel

from . import exact


@kernel
def each_exp(x, found):
    for i in range(len(x)):
        found[i] = arithmetic.exp(x[i])


@kernel
def each_log(x, found):
    for i in range(len(x)):
        found[i] = arithmetic.log(x[i])


@kernel
def each_log1p(x, found):
    for i in range(len(x)):
        found[i] = arithmetic.log1p(x[i])


@kernel
def row_of_exp(x, found):
    arithmetic.exps(x, np.empty((2, len(x))), found)


@kernel
def row_of_log(x, found):
    arithmetic.logs(x, np.empty((2, len(x))), found)


@kernel
def each_fma(x, y, z, found):
    for i in range(len(x)):
        found[i] = fma(x[i], y[i], z[i])


def each(function, x):
    found = np.empty_like(x)
    function(x, found)
    return found


def spread(low, high, number=20_000):
    """Return numbers evenly spread and keyed ones in a range."""
    keyed = rng.uniform(rng.stream_key(1, f"arithmetic {low} {high}"), np.arange(number))
    return np.concatenate([np.linspace(low, high, number), low + (high - low) * keyed])


CASES = {
    "exp": (each_exp, exact.exp, np.exp, [spread(-708.0, 709.7), spread(-1.0, 1.0), spread(-1e-9, 1e-9)]),
    "log": (each_log, exact.log, np.log, [np.exp(spread(-708.0, 709.0)), spread(0.5, 2.0), 1.0 + spread(-1e-9, 1e-9)]),
    "log1p": (each_log1p, exact.log1p, np.log1p, [np.exp(spread(-700.0, 700.0)), spread(0.0, 2.0), spread(0.0, 1e-9)]),
}
CASES["exps"] = (row_of_exp, *CASES["exp"][1:])
CASES["logs"] = (row_of_log, *CASES["log"][1:])
CASES_BY_RANGE = [(name, number) for name, case in CASES.items() for number in range(len(case[3]))]


@pytest.mark.parametrize(("name", "number"), CASES_BY_RANGE)
def test_results_are_right_and_have_the_bits_of_exact_arithmetic(name, number):
    compiled, twin, right, ranges = CASES[name]
    x = ranges[number]
    found = each(compiled, x)
    assert np.array_equal(found, twin(x))
    finer = right(x.astype(np.longdouble))
    known = finer != 0.0
    assert np.abs(found[known] / finer[known] - 1.0).max() <= 4.5e-16
    assert (found[~known] == 0.0).all()


@pytest.mark.parametrize(
    ("name", "at", "right"),
    [
        ("exp", [-np.inf, -1e300, -708.0001, 0.0, 709.8, np.inf], [0.0, 0.0, 0.0, 1.0, np.inf, np.inf]),
        ("log", [0.0, 1e-310, 1.0], [-np.inf, -np.inf, 0.0]),
        ("log1p", [0.0, 5e-324, 1e-200], [0.0, 5e-324, 1e-200]),
    ],
)
def test_ends_of_the_range_are_exact(name, at, right):
    x = np.array(at)
    for compiled, twin, _, _ in (case for other, case in CASES.items() if other.removesuffix("s") == name):
        assert np.array_equal(each(compiled, x), np.array(right))
        assert np.array_equal(twin(x), np.array(right))


def test_fused_products_are_rounded_once():
    """Against fractions; the twin against both. A product rounded first would differ in a quarter of the cases."""
    x, y, z = rng.normal(rng.stream_key(2, "fused"), np.arange(3 * 2000).reshape(3, 2000))
    z[1000:] = -(x * y)[1000:]  # all that is left is what rounding took
    z[1500:] *= 1.0 + np.finfo(float).eps
    found = np.empty_like(x)
    each_fma(x, y, z, found)
    assert np.array_equal(found, exact.fma(x, y, z))
    right = [Fraction(a) * Fraction(b) + Fraction(c) for a, b, c in np.stack([x, y, z], axis=1).tolist()]
    assert found.tolist() == [float(value) for value in right]
    assert (found != x * y + z).mean() > 0.25
