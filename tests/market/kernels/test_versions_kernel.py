"""The compiled choice of the older weights on sale against the stage."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from sim import rng
from sim.market.kernels import versions as compiled
from sim.market.stages import versions
from sim.market.tables import NONE
from tests.market.guards import binds

BUYERS, VERSIONS, CLASSES = 60, 37, 5
FIRST = np.array([0, 1, 3, 11, 12, 37])  # of each line: two lines have one version


def uniform(name: str, *shape: int):
    """Return uniforms of a shape."""
    return rng.uniform(rng.stream_key(7, f"versions kernel:{name}"), np.arange(np.prod(shape))).reshape(shape)


@pytest.fixture(scope="module")
def wanted():
    """What buyers make of versions by the stage, and by the kernel."""
    asked = compiled.Asked(
        kind=(CLASSES * uniform("kind", BUYERS)).astype(int),
        need=1000.0 * uniform("need", BUYERS),
        pain=500.0 * uniform("pain", BUYERS),
        price_sensitivity=uniform("alpha", BUYERS),
        value=10.0 * uniform("value", BUYERS),
        difficulty=100.0 + 40.0 * uniform("difficulty", BUYERS),
    )
    of_versions = 100.0 + 40.0 * uniform("capability", CLASSES, VERSIONS), 5.0 * uniform("price", CLASSES, VERSIONS)
    found = np.empty((BUYERS, VERSIONS))
    compiled.write_wanted(asked, *of_versions, 6.0, found)
    return versions.wanted(asked, *of_versions, 6.0), found


def test_what_buyers_make_of_versions_is_what_the_stage_says(wanted):
    by_stage, found = wanted
    assert np.array_equal(found, by_stage)
    assert found.std() > 1.0


@binds("kernels/versions.py", "missed_most", "more if more > 0.0 else 0.0")
@binds("kernels/versions.py", "missed_most", "if utility[r, most] > best[r]:\n    best[r] = utility[r, most]")
def test_nobody_loses_by_a_version_and_its_buyers_need_none_like_it():
    """The first is worth most beside the newest; the second of those like it adds nothing, another a little."""
    utility, found = np.array([[5.0, 4.9, -9.0, 0.0], [-9.0, -9.0, 2.0, 0.0]]), np.empty((1, 3), np.int64)
    compiled.missed_most(utility, np.ones(2), np.array([0, 4]), found)
    assert found.tolist() == [[NONE, 0, 2]]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_versions_missed_most_are_those_of_the_stage(wanted, count):
    utility, worth = wanted[1], uniform("worth", BUYERS)
    found = np.empty((len(FIRST) - 1, count), np.int64)
    compiled.missed_most(utility, worth, FIRST, found)
    assert found.tolist() == [versions.missed_most(utility[:, a:b], worth, count).tolist() for a, b in pairwise(FIRST)]
    assert (found[[0, 3]] == NONE).all()
    assert (found[[2, 4]] != NONE).any(axis=1).all()
