"""Exponentials, logarithms and powers of the stages: near NumPy's, whole at the ends, of any shape."""

from __future__ import annotations

import numpy as np
import pytest

from sim import rng
from sim.market.kernels import elementary

EPS = np.finfo(float).eps
SMALL = np.concatenate([np.linspace(-1.0, 1.0, 4001), 10.0 ** np.linspace(-300, -1, 300)])
WIDE = rng.normal(rng.stream_key(3, "elementary"), np.arange(20_000)) * 100.0
CASES = {
    "exp": [SMALL, WIDE],
    "expm1": [SMALL, WIDE, -(10.0 ** np.linspace(-300, -1, 300))],
    "log": [np.exp(WIDE), 1.0 + SMALL[SMALL > -0.9]],
    "log10": [np.exp(WIDE), 1.0 + SMALL[SMALL > -0.9]],
    "log1p": [np.abs(SMALL), np.exp(WIDE)],
}


@pytest.mark.parametrize(("name", "x"), [(name, x) for name, ranges in CASES.items() for x in ranges])
def test_values_are_those_of_numpy_to_the_last_places(name, x):
    found, right = getattr(elementary, name)(x), getattr(np, name)(x)
    assert (np.abs(found - right) <= 4.0 * EPS * np.abs(right)).all()


def test_powers_are_those_of_numpy():
    """A rounding of the logarithm counts as often as it is taken."""
    x = np.exp(rng.normal(rng.stream_key(4, "base"), np.arange(5000)) * 3.0)
    y = rng.normal(rng.stream_key(4, "exponent"), np.arange(5000)) * 2.0
    right = x**y
    bound = EPS * (3.0 + 1.5 * np.abs(y * np.log(x)))
    assert (np.abs(elementary.power(x, y) - right) <= bound * right).all()
    assert elementary.power([0.0, 0.0, 5.0, 1.0], [2.0, 0.0, 0.0, -7.0]).tolist() == [0.0, 1.0, 1.0, 1.0]
    assert np.isnan(elementary.power(-2.0, 2.0))


@pytest.mark.parametrize(
    ("name", "at", "right"),
    [
        ("exp", [-np.inf, -800.0, 0.0, 800.0, np.inf, np.nan], [0.0, 0.0, 1.0, np.inf, np.inf, np.nan]),
        ("expm1", [-np.inf, -800.0, 0.0, 800.0, np.inf, np.nan], [-1.0, -1.0, 0.0, np.inf, np.inf, np.nan]),
        ("log", [-1.0, 0.0, 1.0, np.inf, np.nan], [np.nan, -np.inf, 0.0, np.inf, np.nan]),
        ("log10", [-1.0, 0.0, 1.0, np.inf, np.nan], [np.nan, -np.inf, 0.0, np.inf, np.nan]),
        ("log1p", [-0.5, 0.0, 1e-300, np.inf, np.nan], [np.nan, 0.0, 1e-300, np.inf, np.nan]),
    ],
)
def test_the_ends_of_the_range_are_whole(name, at, right):
    assert np.array_equal(getattr(elementary, name)(np.array(at)), right, equal_nan=True)


def test_shapes_are_kept_and_numbers_stay_numbers():
    x = np.arange(1.0, 25.0).reshape(2, 3, 4)
    view = x.transpose(2, 0, 1)[:, :, ::2]
    assert elementary.exp(view).shape == view.shape
    assert np.array_equal(elementary.log(view), elementary.log(x).transpose(2, 0, 1)[:, :, ::2])
    assert elementary.power(x, np.array([[2.0], [3.0], [0.5]])).shape == x.shape
    assert elementary.exp(np.arange(3)).dtype == np.float64
    for number in (elementary.exp(1.0), elementary.log10(100), elementary.power(2, 3.0)):
        assert isinstance(number, float)
    assert elementary.exp(np.empty((0, 3))).shape == (0, 3)
