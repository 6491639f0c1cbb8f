"""Capability, data and lags: known answers."""

from __future__ import annotations

import numpy as np
import pytest

from sim.market.stages import capability

from ..guards import binds


def test_compute_cut_by_half_costs_a_known_number_of_points():
    found = capability.potential(np.array([140.0]), 7.0, np.array([0.5]), np.zeros(1), np.zeros(1))
    assert found[0] == pytest.approx(140.0 - 7.0 * np.log10(2))


def test_the_trend_is_the_mean_growth_over_the_window():
    history = 10.0 ** np.column_stack(
        [0.02 * np.arange(40), np.where(np.arange(40) < 20, 0.0, 0.05 * (np.arange(40) - 20))]
    )
    assert capability.trend(history, 10) == pytest.approx([0.02, 0.05])
    assert capability.trend(history, 24) == pytest.approx([0.02, 0.05 * 19 / 24])


@binds("stages/capability.py", "trend", "max(1, len(window) - 1)")
def test_a_window_longer_than_the_history_uses_all_of_it_and_one_month_has_no_trend():
    history = 10.0 ** (0.02 * np.arange(6))[:, None]
    assert capability.trend(history, 60) == pytest.approx([0.02])
    assert capability.trend(history[:1], 60) == pytest.approx([0.0])


def test_smoothing_over_one_month_is_the_present():
    assert capability.smoothed(np.array([3.0]), np.array([5.0]), 1.0)[0] == 5.0


def test_smoothing_closes_a_twelfth_of_the_distance_a_month():
    value = np.array([0.0])
    for _ in range(12):
        value = capability.smoothed(value, np.array([1.0]), 12.0)
    assert value[0] == pytest.approx(1 - (11 / 12) ** 12)


def test_research_compute_is_share_of_stock_less_serving():
    found = capability.research_compute(np.array([0.2, 0.0]), np.array([1000.0, 500.0]), 0.6)
    assert found.tolist() == pytest.approx([120.0, 0.0])


def test_difficulty_rises_with_the_frontier_by_the_ambition_of_the_class():
    found = capability.difficulty_rise(np.array([0.0, 0.7]), frontier=150.0, reference=140.0)
    assert found.tolist() == pytest.approx([0.0, 7.0])
    assert capability.difficulty_rise(np.array([0.7]), 130.0, 140.0)[0] == pytest.approx(-7.0)


MONTHS, LEVELS = np.array([100, 104, 110, 115]), np.array([120.0, 126.0, 131.0, 129.0])


@pytest.mark.parametrize(
    ("level", "lag"), [(119.0, 20), (120.0, 20), (120.1, 16), (129.0, 10), (131.0, 10), (131.1, 0), (200.0, 0)]
)
def test_months_behind_counts_from_the_first_leader_at_that_level(level, lag):
    assert capability.months_behind(MONTHS, LEVELS, level, now=120) == lag


def test_months_behind_does_not_depend_on_the_order_of_releases():
    order = [2, 0, 3, 1]
    assert capability.months_behind(MONTHS[order], LEVELS[order], 125.0, now=120) == 16


def test_a_follower_without_a_model_has_no_lag():
    assert np.isnan(capability.months_behind(MONTHS, LEVELS, np.nan, now=120))


def test_data_is_kept_for_the_memory_and_use_adds_to_it():
    data = np.array([0.0, 50.0])
    for _ in range(400):
        data = capability.next_data(data, np.array([3.0, 3.0]), decay=0.1)
    assert data == pytest.approx(30.0)  # use over decay


def test_ten_times_the_data_gain_the_effect_and_the_reference_nothing():
    floor = 1e3
    assert capability.data_gain(np.array([9e9, 9e9]), np.array([9e8, 9e9]), effect=1.5, floor=floor) == pytest.approx(
        [1.5, 0.0], abs=1e-5
    )


def test_data_have_diminishing_returns_and_count_for_nothing_far_below_the_floor():
    stocks = np.linspace(0.0, 1e8, 50)
    gains = capability.data_gain(stocks, np.zeros(50), effect=1.0, floor=1e7)
    assert (np.diff(gains) > 0).all()
    assert (np.diff(gains, 2) < 0).all()
    assert capability.data_gain(np.array([1e3]), np.zeros(1), effect=1.0, floor=1e7)[0] < 1e-4
