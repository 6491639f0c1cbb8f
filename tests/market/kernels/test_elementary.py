"""Exponentials, logarithms, powers and normal quantiles of arrays against NumPy and SciPy, and where ranges end."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from sim.market.kernels import elementary
from tests.market.guards import binds

SIGNED = np.concatenate([np.linspace(-700.0, 700.0, 2001), np.linspace(-1e-9, 1e-9, 101), [-1.0, 0.0, 1.0]])
POSITIVE = np.exp(np.linspace(-600.0, 600.0, 2001))
TAILS = 10.0 ** -np.linspace(0.31, 300.0, 2001)
INSIDE = np.concatenate([np.linspace(0.001, 0.999, 2001), TAILS, 1.0 - 10.0 ** -np.linspace(0.31, 15.0, 201)])
CASES = {
    "exp": (elementary.exp, np.exp, SIGNED),
    "expm1": (elementary.expm1, np.expm1, SIGNED),
    "log": (elementary.log, np.log, POSITIVE),
    "log10": (elementary.log10, np.log10, POSITIVE),
    "log1p": (elementary.log1p, np.log1p, np.append(POSITIVE, 0.0)),
    "ndtri": (elementary.ndtri, ndtri, INSIDE),
}


@binds("kernels/arithmetic.py", "ndtri_far", "u if u < 0.5 else 1.0 - u")
@binds("kernels/arithmetic.py", "ndtri_near", "min(u, 1.0 - u)")
@pytest.mark.parametrize("name", CASES)
def test_they_are_within_a_few_units_of_the_last_place_of_numpys(name):
    found, right, at = CASES[name]
    assert found(at) == pytest.approx(right(at), rel=2e-15, abs=0.0)
    assert found(at[:12].reshape(3, 4)) == pytest.approx(right(at[:12].reshape(3, 4)), rel=2e-15, abs=0.0)
    assert np.ndim(found(at[0])) == 0


@binds("kernels/elementary.py", "_expm1", "(u - 1.0) / arithmetic.log(u) * x if u < np.inf else u")
@binds("kernels/elementary.py", "_log", "arithmetic.log(x) if x < np.inf else x")
@binds("kernels/elementary.py", "_log1p", "arithmetic.log1p(x) if x < np.inf else x")
@pytest.mark.parametrize(
    ("name", "at", "right"),
    [
        ("exp", [-np.inf, -1e9, 1e9, np.inf, np.nan], [0.0, 0.0, np.inf, np.inf, np.nan]),
        ("expm1", [-np.inf, -1e9, 0.0, 1e9, np.inf, np.nan], [-1.0, -1.0, 0.0, np.inf, np.inf, np.nan]),
        ("log", [-1.0, 0.0, 1.0, np.inf, np.nan], [np.nan, -np.inf, 0.0, np.inf, np.nan]),
        ("log10", [-1.0, 0.0, 1.0, np.inf], [np.nan, -np.inf, 0.0, np.inf]),
        ("ndtri", [-0.1, 0.0, 0.5, 1.0, 1.1, np.nan], [np.nan, -np.inf, 0.0, np.inf, np.nan, np.nan]),
        ("log1p", [-0.1, 0.0, np.inf, np.nan], [np.nan, 0.0, np.inf, np.nan]),
    ],
)
def test_what_is_infinite_or_missing_stays_so(name, at, right):
    assert np.array_equal(CASES[name][0](np.array(at)), np.array(right), equal_nan=True)


def test_powers_are_numpys_for_bases_of_zero_and_more():
    x, y = POSITIVE[::40][:, None], np.linspace(-0.9, 0.9, 7)
    assert elementary.power(x, y) == pytest.approx(x**y, rel=3e-13)
    assert elementary.power([0.0, 0.0, 5.0, -1.0], [0.0, 2.0, 0.0, 0.0]).tolist() == [1.0, 0.0, 1.0, 1.0]
    assert np.isnan(elementary.power(-1.0, 2.0))


def test_views_of_any_order_keep_their_shape():
    x = np.arange(1.0, 25.0).reshape(2, 3, 4)
    view = x.transpose(2, 0, 1)[:, :, ::2]
    assert np.array_equal(elementary.log(view), elementary.log(x).transpose(2, 0, 1)[:, :, ::2])
    assert elementary.power(view, np.array([[2.0], [0.5]])).shape == view.shape
    assert elementary.exp(np.empty((0, 3))).shape == (0, 3)
