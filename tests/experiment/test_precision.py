"""Means with their error: right on average, and replication stops when it should."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sim import rng
from sim.experiment.overview import worded
from sim.precision import Mean, mean, paired_difference, replicates_needed


def test_a_mean_has_the_interval_of_student():
    found = mean([1.0, 2.0, 3.0, 4.0])
    assert found.value == 2.5
    assert found.error == pytest.approx(math.sqrt(5 / 3) / 2)
    assert found.half_width == pytest.approx(3.182446 * found.error, rel=1e-6)  # t of 3 degrees of freedom


def test_what_is_missing_does_not_count():
    assert mean([1.0, math.nan, 3.0]) == mean([1.0, 3.0])
    assert mean([]).runs == 0
    assert math.isnan(mean([]).value)
    assert (mean([5.0]).value, mean([5.0]).runs) == (5.0, 1)
    assert math.isnan(mean([5.0]).half_width)


def test_pairs_know_a_difference_that_the_two_means_do_not():
    noise = rng.normal(rng.stream_key(1, "noise"), np.arange(50)) * 10
    a, b = noise, noise + 0.5 + 0.01 * rng.normal(rng.stream_key(2, "noise"), np.arange(50))
    assert mean(a).half_width > 1
    found = paired_difference(a, b)
    assert isinstance(found, Mean)
    assert found.half_width < 0.005
    assert abs(found.value - 0.5) < 2 * found.half_width


@pytest.mark.parametrize(
    ("value", "error", "half", "shown"),
    [
        (41.8372, 3.2, 9.96, "42 ± 10"),
        (41.8372, 0.32, 0.96, "41.8 ± 1.0"),
        (1234567.0, 4321.0, 9999.0, "1,235,000 ± 10,000"),
        (-0.0002, 0.004, 0.009, "0.000 ± 0.009"),
        (6.0, 0.0, 0.0, "6 ± 0"),
        (0.123456, math.nan, math.nan, "0.123"),
        (math.nan, math.nan, math.nan, "-"),
    ],
)
def test_numbers_on_the_screen_end_at_the_leading_digit_of_their_error(value, error, half, shown):
    assert worded(Mean(value, error, half, 4)) == shown


def test_enough_replicates_are_enough():
    assert replicates_needed([1.0, 1.0, 1.0], 3, 0.01, 100) == 3
    assert replicates_needed([math.nan] * 4, 4, 0.01, 100) == 4  # none has a value: more would not either
    assert replicates_needed([1.0, 2.0], 2, 1e-9, 2) == 2


@pytest.mark.parametrize("planned", [2, 5, 8, 40])
def test_replicates_grow_by_a_quarter_to_twofold(planned):
    values = rng.normal(rng.stream_key(planned, "x"), np.arange(planned))
    for width in (1e-6, 0.05, 0.1, 0.2):
        wanted = replicates_needed(values, planned, width, 10**6)
        if mean(values).half_width > width:
            assert planned < wanted
            assert math.ceil(1.25 * planned) <= max(wanted, planned + 1) <= 2 * planned + 1


def stopped(seed: int, half_width: float) -> Mean:
    """Return the mean of a normal sample that was grown until its interval was narrow enough."""
    planned = 8
    while True:
        values = rng.normal(rng.stream_key(seed, "sample"), np.arange(planned))
        wanted = replicates_needed(values, planned, half_width, 10_000)
        if wanted == planned:
            return mean(values)
        planned = wanted


def test_a_cell_that_stops_itself_still_covers_the_truth():
    found = [stopped(seed, 0.25) for seed in range(2000)]
    assert all(each.half_width <= 0.25 for each in found)
    covered = sum(abs(each.value) <= each.half_width for each in found) / len(found)
    assert 0.93 <= covered <= 0.97
