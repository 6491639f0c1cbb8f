"""Designs fill their space as their theory says, and a factor's numbers are its own."""

from __future__ import annotations

import numpy as np
import pytest

from sim.experiment.sampling import latin_hypercube, morris, sobol

PATHS = ["a", "b", "c", "d"]


@pytest.mark.parametrize("samples", [1, 2, 7, 64])
def test_latin_hypercube_has_one_point_in_each_stratum_of_each_factor(samples):
    points = latin_hypercube(PATHS, samples, 3)
    strata = np.sort(np.floor(points * samples), axis=0)
    assert (strata == np.arange(samples)[:, None]).all()
    assert ((points > 0) & (points < 1)).all()


@pytest.mark.parametrize("design", [latin_hypercube, morris])
def test_a_factor_keeps_its_coordinates_when_others_come_and_go(design):
    both, alone = design(["a", "b"], 16, 5), design(["b"], 16, 5)
    if design is latin_hypercube:
        np.testing.assert_array_equal(both[:, 1], alone[:, 0])
    else:  # starts and directions are its own; only the turn depends on the others
        np.testing.assert_array_equal(both[::3, 1], alone[::2, 0])
        np.testing.assert_array_equal(both[2::3, 1], alone[1::2, 0])


@pytest.mark.parametrize("design", [latin_hypercube, sobol, morris])
def test_the_seed_decides_the_design(design):
    np.testing.assert_array_equal(design(PATHS, 8, 1), design(PATHS, 8, 1))
    assert not np.array_equal(design(PATHS, 8, 1), design(PATHS, 8, 2))


def test_sobol_rows_come_as_saltelli_orders_them():
    n, d = 16, len(PATHS)
    rows = sobol(PATHS, n, 1).reshape(n, d + 2, d)
    a, b = rows[:, 0], rows[:, d + 1]
    for j in range(d):
        expected = a.copy()
        expected[:, j] = b[:, j]
        np.testing.assert_array_equal(rows[:, 1 + j], expected)
    for matrix in (a, b):
        assert (np.sort(np.floor(matrix * n), axis=0) == np.arange(n)[:, None]).all()


def test_sobol_design_recovers_known_variance_shares():
    """The function 4 x1 + 2 x2 + x3 x4 of uniforms has first-order shares that follow by hand."""
    n, d = 2048, 4
    rows = sobol(PATHS, n, 7)
    values = (4 * rows[:, 0] + 2 * rows[:, 1] + rows[:, 2] * rows[:, 3]).reshape(n, d + 2)
    a, b = values[:, 0], values[:, d + 1]
    variance = np.concatenate([a, b]).var()
    found = [(b * (values[:, 1 + j] - a)).mean() / variance for j in range(d)]
    total = [((a - values[:, 1 + j]) ** 2).mean() / (2 * variance) for j in range(d)]
    exact = np.array([16 / 12, 4 / 12, 1 / 48, 1 / 48])
    whole = 16 / 12 + 4 / 12 + 7 / 144
    np.testing.assert_allclose(found, exact / whole, atol=0.02)
    np.testing.assert_allclose(total, np.array([16 / 12, 4 / 12, 1 / 36, 1 / 36]) / whole, atol=0.02)


def test_each_step_of_a_morris_trajectory_moves_one_factor_by_half_and_each_once():
    samples, d = 20, len(PATHS)
    steps = np.diff(morris(PATHS, samples, 1).reshape(samples, d + 1, d), axis=1)
    moved = steps != 0
    assert (moved.sum(axis=2) == 1).all()
    assert (moved.sum(axis=1) == 1).all()
    np.testing.assert_allclose(np.abs(steps[moved]), 0.5)
    assert len({tuple(each) for each in np.argmax(moved, axis=2).tolist()}) > 5


def test_elementary_effects_of_a_straight_line_are_its_slopes():
    rows = morris(PATHS, 8, 2).reshape(8, 5, 4)
    values = rows @ np.array([3.0, -1.0, 0.0, 2.0])
    steps = np.diff(rows, axis=1)
    effects = np.diff(values, axis=1) / steps.sum(axis=2)
    for j, slope in enumerate((3.0, -1.0, 0.0, 2.0)):
        np.testing.assert_allclose(effects[steps[:, :, j] != 0], slope, atol=1e-12)
