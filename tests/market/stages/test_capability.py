"""Knowledge, capability and lags: gaps that stand still, followers that catch up, known answers."""

from __future__ import annotations

import numpy as np
import pytest

from sim.market.stages import capability

EFFECT, CATCH_UP, SLOPE = 7.0, 0.06, 15.0


def gap_paths(months=120):
    """Return potential of four labs month by month while compute keeps its trends, and the trends."""
    monthly = np.array([0.030, 0.030, 0.012, 0.001])  # log10 growth of research compute a month
    level = np.array([150.0, 146.0, 141.0, 139.0])
    start = capability.stationary_knowledge(EFFECT, CATCH_UP, monthly, front=0)
    knowledge, found = start, [level]
    for month in range(1, months + 1):
        knowledge = capability.next_knowledge(knowledge, growth=SLOPE / 12.0 - EFFECT * monthly[0], catch_up=CATCH_UP)
        found.append(capability.potential(level, EFFECT, 10 ** (monthly * month), knowledge - start))
    return np.array(found), monthly


def test_on_trend_the_frontier_keeps_its_slope():
    found, _ = gap_paths()
    assert np.diff(found[:, 0]) == pytest.approx(SLOPE / 12.0)


def test_at_the_hand_over_every_distance_to_the_frontier_stands_still():
    """The knowledge gap is the one at which compute lost and knowledge caught up cancel."""
    found, _ = gap_paths()
    assert np.diff(found[:2], axis=0)[0] == pytest.approx(SLOPE / 12.0)


def test_later_a_slower_lab_falls_behind_by_the_compute_it_lacks_less_the_knowledge_it_caught_up():
    """Knowledge can be caught up once: n months on, kappa (trend_front - trend) (n - (1 - (1 - phi)^n) / phi)."""
    found, monthly = gap_paths()
    n = np.arange(len(found))[:, None]
    lost = EFFECT * (monthly[0] - monthly) * (n - (1 - (1 - CATCH_UP) ** n) / CATCH_UP)
    assert found[:, :1] - found == pytest.approx(found[0, 0] - found[0] + lost, abs=1e-9)


def test_the_frontier_and_faster_labs_start_without_a_knowledge_gap():
    start = capability.stationary_knowledge(EFFECT, CATCH_UP, np.array([0.02, 0.03, 0.01]), front=0)
    assert start[:2].tolist() == [0.0, 0.0]
    assert start[2] == pytest.approx(-EFFECT * 0.01 / CATCH_UP)


def test_knowledge_gaps_close_by_the_stated_share():
    knowledge = capability.next_knowledge(np.array([0.0, -10.0, -1.0]), growth=0.5, catch_up=0.2)
    assert knowledge.tolist() == pytest.approx([0.5, -7.5, -0.3])


def test_compute_cut_by_half_costs_a_known_number_of_points():
    found = capability.potential(np.array([140.0]), 7.0, np.array([0.5]), np.array([0.0]))
    assert found[0] == pytest.approx(140.0 - 7.0 * np.log10(2))


def test_the_trend_is_the_mean_growth_over_the_window():
    history = 10.0 ** np.column_stack(
        [0.02 * np.arange(40), np.where(np.arange(40) < 20, 0.0, 0.05 * (np.arange(40) - 20))]
    )
    assert capability.trend(history, 10) == pytest.approx([0.02, 0.05])
    assert capability.trend(history, 24) == pytest.approx([0.02, 0.05 * 19 / 24])


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
