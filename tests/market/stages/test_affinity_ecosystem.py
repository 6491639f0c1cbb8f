"""Liking that drifts around zero, and the ecosystem of open lines: closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from sim import rng
from sim.market.stages import affinity, ecosystem

FAMILIES, LABS = 2, 6
EQUAL = np.ones((FAMILIES, LABS))


def drifted(months, *, half_life=9.0, sd=0.4, share=EQUAL, seed=1, start=None):
    """Return affinities of successive months, (months, families, labs)."""
    now, found = start, []
    for month in range(months):
        cells = np.arange(FAMILIES * LABS).reshape(FAMILIES, LABS)
        z = rng.normal(rng.stream_key(seed, "drift", month), cells)
        first = now is None
        before = np.zeros((FAMILIES, LABS)) if first else now
        now = affinity.next_affinity(before, z, share, half_life=half_life, sd=sd, first=first)
        found.append(now)
    return np.array(found)


@pytest.mark.parametrize("seed", range(3))
def test_the_mean_over_what_is_used_is_zero_in_every_family_and_month(seed):
    share = rng.uniform(rng.stream_key(seed, "share"), np.arange(FAMILIES * LABS)).reshape(FAMILIES, LABS) ** 3
    found = drifted(60, share=share, seed=seed)
    mean = (found * share).sum(axis=2) / share.sum(axis=1)
    assert np.abs(mean).max() <= 1e-15
    assert np.abs(found).max() > 0.3


@pytest.mark.parametrize("half_life", [0.5, 6.0, 18.0])
def test_without_news_half_of_a_difference_is_left_after_the_half_life(half_life):
    start = np.array([[1.0, -1.0, 0.0, 0.0, 0.0, 0.0], [0.5, 0.5, -0.5, -0.5, 0.0, 0.0]])
    now = start
    months = max(1, round(half_life))
    for _ in range(months):
        now = affinity.next_affinity(now, np.zeros_like(start), EQUAL, half_life=half_life, sd=0.4)
    assert now == pytest.approx(start * 0.5 ** (months / half_life))


def test_what_one_lab_is_liked_over_another_does_not_depend_on_who_is_used():
    """The mean that is taken off is the same for all labs."""
    skewed = EQUAL * np.array([1e6, 1.0, 1.0, 1.0, 1.0, 1.0])
    plain, other = drifted(30), drifted(30, share=skewed)
    assert np.diff(plain, axis=2) == pytest.approx(np.diff(other, axis=2), abs=1e-12)
    assert np.abs(other[:, :, 0]).max() < 1e-5  # the one lab that everybody uses defines the mean


def test_the_long_run_spread_is_the_stated_one_from_the_first_month_on():
    """Equal shares take one part in `LABS` off the variance; first month, later months and autocorrelation."""
    runs = np.array([drifted(13, half_life=6.0, sd=0.4, seed=seed) for seed in range(400)])
    wanted = 0.4**2 * (1.0 - 1.0 / LABS)
    cells = 400 * FAMILIES * (LABS - 1)
    for month in (0, 6, 12):
        assert runs[:, month].var() == pytest.approx(wanted, rel=5 * np.sqrt(2 / cells))
    for gap, kept in ((6, 0.5), (12, 0.25)):
        seen = (runs[:, 0] * runs[:, gap]).mean() / wanted
        assert seen == pytest.approx(kept, abs=5 / np.sqrt(cells))


def test_without_spread_there_is_no_affinity():
    assert (drifted(10, sd=0.0) == 0.0).all()


def test_an_ecosystem_grows_towards_use_over_decay_and_decays_by_its_rate():
    share, stock = np.array([10.0, 0.0]), np.array([0.0, 40.0])
    for month in range(1, 200):
        stock = ecosystem.next_ecosystem(stock, share, decay=0.06)
        assert stock[0] == pytest.approx(10.0 / 0.06 * (1.0 - 0.94**month))
        assert stock[1] == pytest.approx(40.0 * 0.94**month)
    assert stock[0] == pytest.approx(10.0 / 0.06, rel=1e-5)


@pytest.mark.parametrize(("decay", "kept"), [(0.0, [7.0, 5.0]), (1.0, [2.0, 0.0])])
def test_an_ecosystem_that_never_decays_only_grows_and_one_that_decays_at_once_is_last_months_use(decay, kept):
    found = ecosystem.next_ecosystem(np.array([5.0, 5.0]), np.array([2.0, 0.0]), decay=decay)
    assert found.tolist() == kept
