"""The limit of many workloads: luck of the population cancels as the root of its size, means stay where they are.

Releases, intervals and the parameters are those of one run; populations of several sizes and seeds meet them.
Organisations hold 1 to 12 workloads and weights are heavy-tailed, which raises the level of the noise and not its
slope; fixed traits follow a quasi-random sequence, which may steepen it a little. Numbers as in the list of invariants.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from sim import rng

from .worlds import changed, differing, outcomes, simulated

OUTCOMES = (
    "open_workload_share",
    "open_token_share",
    "open_spend_share",
    "chinese_open_workload_share",
    "chinese_open_token_share",
    "self_host_token_share",
    "closed_price",
    "closed_margin",
    "total_tokens",
    "total_spend",
    "consumer_surplus",
    "hhi_spend",
)
MONTHS = 18  # the last ones; noise of neighbouring months is related, so they steady a slope and prove no more
SIZES = (500, 1000, 2000, 4000, 8000)
SEEDS = 32


@pytest.fixture(scope="module")
def settings():
    from sim.scenario.load import load_scenario

    return load_scenario("baseline", until="2026-06", nodes=128).draw(0)


def sampled(settings, workloads: int, seeds: int) -> np.ndarray:
    """Return outcomes of populations of one size, shape (seeds, outcomes, months)."""
    found = []
    for seed in range(seeds):
        table = outcomes(replace(settings, workloads=workloads, population_seed=1000 * workloads + seed))["market"]
        found.append([table[name][-MONTHS:] for name in OUTCOMES])
    return np.array(found)


def slopes(sizes: tuple[int, ...], samples: list[np.ndarray]) -> np.ndarray:
    """Return the slope of the log standard deviation on the log of the size, mean over months, shape (outcomes,)."""
    log_sd = [0.5 * np.log(values.var(axis=0, ddof=1)).mean(axis=1) for values in samples]
    return np.polyfit(np.log(sizes), log_sd, 1)[0]


def distances(few: np.ndarray, many: np.ndarray) -> np.ndarray:
    """Return how many standard errors apart the means of the last month are, shape (outcomes,)."""
    errors = [values[:, :, -1].var(axis=0, ddof=1) / len(values) for values in (few, many)]
    return np.abs(few[:, :, -1].mean(axis=0) - many[:, :, -1].mean(axis=0)) / np.sqrt(np.add(*errors))


def test_where_use_builds_and_teaches_nothing_another_population_meets_the_same_releases(settings):
    without = ("compute.revenue_elasticity", "capability.data_effect", "capability.outside_effect")
    settings = changed(settings, dict.fromkeys(without, 0.0))
    one, other = (simulated(replace(settings, workloads=300, population_seed=seed)) for seed in (1, 2))
    for name in ("month", "lab", "capability", "is_open", "degree"):
        assert np.array_equal(getattr(one.releases, name), getattr(other.releases, name)), name
    assert not np.array_equal(one.workloads.need, other.workloads.need)
    assert (
        one.record.tables()["market"]["open_token_share"][-1] != other.record.tables()["market"]["open_token_share"][-1]
    )


def test_the_seed_of_the_run_is_the_seed_of_its_population_unless_it_has_its_own(settings):
    small = replace(settings, workloads=200)
    assert differing(outcomes(small), outcomes(replace(small, population_seed=small.seed))) == []


def test_people_and_their_luck_are_keyed_by_the_population_and_the_rest_by_the_run(settings, monkeypatch):
    plain, names = rng.stream_key, {}

    def noting(seed, name, month=0):
        names.setdefault(seed, set()).add(name)
        return plain(seed, name, month)

    monkeypatch.setattr(rng, "stream_key", noting)
    simulated(replace(settings, workloads=100, seed=11, population_seed=12))
    people = {"choice", "review", "upgrade", "value", "taste open", "weyl:rows", "organisation size:developer"}
    assert people <= names[12]
    assert names[11]
    assert not names[11] & names[12]


def test_eightfold_workloads_leave_about_a_third_of_the_luck_and_the_same_means(settings):
    """[47, 50] A quick look: 16 populations of two sizes."""
    few, many = (sampled(settings, size, 16) for size in (500, 4000))
    assert abs(slopes((500, 4000), [few, many]).mean() + 0.5) <= 0.12
    assert distances(few, many).max() < 4.5


@pytest.fixture(scope="module")
def samples(settings):
    return [sampled(settings, size, SEEDS) for size in SIZES]


@pytest.mark.long
def test_luck_cancels_as_the_root_of_the_number_of_workloads(samples):
    """[47] Averaged over outcomes; a single one's slope has an error of 0.06."""
    found = slopes(SIZES, samples)
    assert abs(found.mean() + 0.5) <= 0.05
    assert np.abs(found + 0.5).max() <= 0.2


@pytest.mark.long
@pytest.mark.parametrize("few", [0, 1, 2])
def test_fourfold_workloads_quarter_the_variance(samples, few):
    """[47] Inside the band of an F-test at one in ten thousand, outcome by outcome in the last month.

    The margin too: list prices are set on taste nodes, which no population moves.
    """
    ratio = np.divide(*(values[:, :, -1].var(axis=0, ddof=1) for values in (samples[few], samples[few + 2])))
    low, high = stats.f.ppf([5e-5, 1.0 - 5e-5], SEEDS - 1, SEEDS - 1)
    assert ((ratio / 4.0 > low) & (ratio / 4.0 < high)).all()


@pytest.mark.long
def test_means_do_not_depend_on_the_number_of_workloads(samples):
    """[50] Rows are weighted: few heavy ones stand for many light ones."""
    for values in samples[:-1]:
        assert distances(values, samples[-1]).max() < 4.5
