"""Designs of experiments as points of the unit cube, one row a point: every number keyed by seed, factor and row.

A factor turns its coordinate into a value (`sim.experiment.factors.Factor.value`): a distribution through its inverse
CDF, a list of levels by equal parts. So a design never depends on the other factors' distributions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim import rng

MORRIS_LEVELS = 4  # middles of as many strata of equal probability; a step goes half of them on
_SOBOL_BITS = 30


def latin_hypercube(paths: Sequence[str], samples: int, seed: int) -> NDArray[np.float64]:
    """Return a Latin hypercube: each factor has one point in each of `samples` strata of equal probability.

    Parameters
    ----------
    paths : sequence of str
        Names of the factors; the strata of each are shuffled by numbers keyed by its name.
    samples : int
        Number of points.
    seed : int
        Seed of the design.

    Returns
    -------
    ndarray of shape (samples, factors)
        Coordinates in (0, 1).
    """
    rows = np.arange(samples)
    columns = []
    for path in paths:
        order = np.argsort(rng.uniform(rng.stream_key(seed, f"design:order:{path}"), rows), kind="stable")
        inside = rng.uniform(rng.stream_key(seed, f"design:inside:{path}"), rows)
        columns.append((order + inside) / samples)
    return np.stack(columns, axis=1)


def sobol(paths: Sequence[str], samples: int, seed: int) -> NDArray[np.float64]:
    """Return the design of Saltelli et al. (2010) for first-order and total Sobol indices.

    A Sobol sequence in 2 d dimensions, with digits flipped by a random mask for each dimension, gives two matrices A
    and B of `samples` points. The rows come in the order of SALib without second order: for each base point i the row
    A[i], then A[i] with coordinate j taken from B[i] for each factor j, then B[i].

    Parameters
    ----------
    paths : sequence of str
        Names of the d factors.
    samples : int
        Number of base points, a power of two.
    seed : int
        Seed of the masks.

    Returns
    -------
    ndarray of shape (samples * (d + 2), d)
        Coordinates in (0, 1).
    """
    from scipy.stats import qmc

    d = len(paths)
    points = qmc.Sobol(2 * d, scramble=False, bits=_SOBOL_BITS).random(samples)
    digits = np.round(points * 2.0**_SOBOL_BITS).astype(np.uint64)
    names = [*(f"a:{path}" for path in paths), *(f"b:{path}" for path in paths)]
    masks = np.array([rng.bits(rng.stream_key(seed, f"design:mask:{name}"), 0) for name in names], dtype=np.uint64)
    digits ^= masks >> np.uint64(64 - _SOBOL_BITS)
    shifted = (digits.astype(np.float64) + 0.5) * 2.0**-_SOBOL_BITS
    a, b = shifted[:, :d], shifted[:, d:]
    blocks = np.repeat(a[:, None, :], d + 2, axis=1)
    for j in range(d):
        blocks[:, 1 + j, j] = b[:, j]
    blocks[:, d + 1] = b
    return blocks.reshape(-1, d)


def morris(paths: Sequence[str], samples: int, seed: int) -> NDArray[np.float64]:
    """Return trajectories for elementary effects (Morris 1991): each moves one factor at a time, all once.

    Coordinates are the middles of four strata of equal probability, so that no tail of a distribution is touched; a
    step is half the range. Row k (d + 1) + s is step s of trajectory k, and step s moves one factor against step s - 1.

    Parameters
    ----------
    paths : sequence of str
        Names of the d factors.
    samples : int
        Number of trajectories.
    seed : int
        Seed of starts, directions and orders.

    Returns
    -------
    ndarray of shape (samples * (d + 1), d)
        Coordinates in (0, 1).
    """
    d, rows = len(paths), np.arange(samples)
    half = MORRIS_LEVELS // 2
    draws = np.stack([rng.uniform(rng.stream_key(seed, f"design:morris:{path}"), rows) for path in paths], axis=1)
    ranks = np.stack([rng.uniform(rng.stream_key(seed, f"design:turn:{path}"), rows) for path in paths], axis=1)
    turn = np.argsort(np.argsort(ranks, axis=1, kind="stable"), axis=1, kind="stable")  # when each factor moves
    first = np.floor(draws * MORRIS_LEVELS).astype(np.int64)
    last = (first + half) % MORRIS_LEVELS  # up from the lower half, down from the upper
    moved = np.arange(d + 1)[None, :, None] > turn[:, None, :]
    levels = np.where(moved, last[:, None, :], first[:, None, :])
    return ((levels + 0.5) / MORRIS_LEVELS).reshape(-1, d)
