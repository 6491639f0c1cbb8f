"""Nothing jumps where the rules take over from the history."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim.market import supply
from sim.market.market import Market
from sim.market.stages import capability
from sim.scenario.schema import BLOCS

from .worlds import NO_FEEDBACK, between, changed, simulated


@pytest.mark.parametrize("replicate", range(3))
def test_nothing_jumps_at_the_hand_over(small_scenario, replicate):
    """In the first month of the rules nothing moves more than in the roughest of the other months."""
    settings = between(small_scenario.draw(replicate), "2024-01", "2027-12", workloads=2500)
    market = simulated(settings)
    settled = 6
    at = settings.history_until - settings.start - settled
    relative = (
        *("open_token_share", "open_workload_share", "open_spend_share", "closed_price", "open_price", "hhi_tokens"),
        *("compute_cn", "compute_us", "total_tokens", "total_spend"),
    )
    for name in (*relative, "gap_points", "closed_margin"):
        values = market.record.market[name]
        moves = np.abs(np.diff(np.log(values) if name in relative else values))[settled:]
        assert moves[at] <= np.delete(moves, at).max(), name


def test_at_the_hand_over_every_labs_potential_is_its_best_release(small_settings):
    market = Market(between(small_settings, "2025-10", "2026-03"))
    for _ in range(3):
        market.step()
    best = supply.best_of_labs(market)
    assert market.month == small_settings.history_until + 1
    assert np.array_equal(market.attached.level, best, equal_nan=True)
    market.step()
    known = ~np.isnan(best)
    moved = market.labs.potential[known] - best[known]
    assert np.abs(moved).max() < 3.0  # a month on trend is about 1.3 points
    front = int(np.nanargmax(best))
    slope = small_settings.parameters["capability.frontier_slope"] / 12
    assert market.labs.potential[front] - best[front] == pytest.approx(slope, abs=0.35)
    market.close()


def test_list_prices_of_running_releases_do_not_move_at_the_hand_over(small_settings):
    market = Market(between(small_settings, "2025-10", "2026-03"))
    for _ in range(3):
        market.step()
    before = market.releases.list_price.copy()
    market.step()
    assert np.array_equal(market.releases.list_price[: len(before)], before)
    market.close()


def at_the_hand_over(settings):
    """Return a market whose last month of history has just passed."""
    market = Market(settings)
    while market.replaying:
        market.step()
    return market


EXOGENOUS = {
    "capability.novelty_effect": 0.0,  # a single month's novelty is not the usual one
    "capability.smoothing_months": 1.0,
    "compute.revenue_elasticity": 0.0,
    "compute.world.growth_fade": 0.0,
    "capability.regime_hazard": 0.0,
}


@pytest.mark.parametrize("replicate", range(4))
def test_no_gap_drifts_at_the_hand_over_while_compute_keeps_its_trend(small_scenario, replicate):
    """Next month's points are the same for all; the compute term moves by its trend, put in by hand."""
    settings = changed(between(small_scenario.draw(replicate), "2025-10", "2026-03", workloads=250), EXOGENOUS)
    market = at_the_hand_over(settings)
    start, p = market.attached, market.parameters
    trends = capability.trend(np.array(market.compute_log), int(p["capability.trend_months"]))
    market.month = settings.history_until + 1
    market.labs.data = supply.data_month(market, market.month)
    known, potential = supply.capability_month(market)
    moved = potential + p["capability.compute_effect"] * trends - start.level
    rated = ~np.isnan(start.level)
    assert moved[start.front] == pytest.approx(p["capability.frontier_slope"] / 12.0)
    behind = rated & (start.knowledge < 0.0)
    assert behind.sum() >= 10
    assert moved[behind] == pytest.approx(p["capability.frontier_slope"] / 12.0)
    assert (moved[rated] >= moved[start.front] - 1e-9).all()  # a faster lab gains; none falls behind
    assert known.max() - known.min() < 60.0
    market.close()


def test_without_what_open_releases_teach_every_follower_knows_less_and_none_more(small_settings):
    """The counterfactual starts from the same hand-over and drops what open weights give."""
    settings = changed(between(small_settings, "2025-10", "2026-12", workloads=250), {"capability.regime_hazard": 0.0})
    factual, without = at_the_hand_over(settings), at_the_hand_over(settings)
    without.open_spillover = False
    for market in (factual, without):
        while market.month <= settings.end:
            market.step()
        market.close()
    assert (without.labs.knowledge <= factual.labs.knowledge).all()
    china = factual.labs.bloc == BLOCS.index("CN")
    assert (without.labs.knowledge[china] < factual.labs.knowledge[china]).all()
    assert without.attached.received == factual.attached.received
    assert np.array_equal(without.attached.knowledge, factual.attached.knowledge)


def after_a_year(settings, **policy):
    """Return potential of each lab after a year under a policy changed at the hand-over."""
    market = at_the_hand_over(settings)
    market.policy = replace(market.policy, **policy)
    while market.month <= settings.end:
        market.step()
    market.close()
    return market.labs


def test_levers_on_the_frontier_and_on_closed_knowledge_push_as_they_say(small_settings):
    quiet = NO_FEEDBACK | {"capability.regime_hazard": 0.0, "capability.novelty_effect": 0.0}
    settings = changed(between(small_settings, "2025-10", "2026-12", workloads=250), quiet)
    plain = after_a_year(settings)
    for slope in (0.5, 1.5):
        moved = (after_a_year(settings, frontier=slope).knowledge - plain.knowledge) * (slope - 1.0)
        assert (moved > 0.0).all()
    tight = after_a_year(settings, closed_leak=0.0).knowledge
    assert (tight <= plain.knowledge).all()
    assert (tight < plain.knowledge).any()


def test_outside_developers_lift_the_labs_whose_lines_are_open(small_settings):
    market = at_the_hand_over(between(small_settings, "2025-10", "2026-03", workloads=250))
    market.month = market.settings.history_until + 1
    before, _ = supply.capability_month(market)
    market.ecosystem = np.full(len(market.lines.lab), 50.0)
    after, _ = supply.capability_month(market)
    names = market.labs.names
    effect = market.parameters["capability.outside_effect"]
    assert effect > 0.0
    assert after[names.index("Anthropic")] == before[names.index("Anthropic")]
    gained = after[names.index("DeepSeek")] - before[names.index("DeepSeek")]
    assert effect * np.log1p(50.0) <= gained <= effect * np.log1p(50.0 * 6)
    market.close()


def test_regimes_are_shared_by_scenarios_of_one_seed(small_settings):
    often = changed(between(small_settings, "2025-10", "2027-12", workloads=200), {"capability.regime_hazard": 0.2})
    slopes = []
    for settings in (often, changed(often, {"compute.cn.leakage": 0.0})):
        market, seen = at_the_hand_over(settings), []
        while market.month <= settings.end:
            market.step()
            seen.append(market.slope)
        market.close()
        slopes.append(seen)
    assert slopes[0] == slopes[1]
    assert len(set(slopes[0])) > 2


@pytest.mark.parametrize("replicate", range(4))
def test_no_gap_explodes_to_2030(small_scenario, replicate):
    market = simulated(between(small_scenario.draw(replicate), "2025-10", "2030-12", workloads=200))
    start = market.attached
    active = market.labs.active & ~np.isnan(start.level)
    widened = (market.labs.potential.max(where=active, initial=-np.inf) - market.labs.potential) - (
        start.level[start.front] - start.level
    )
    assert widened[active].max() < 15.0
    assert np.isfinite(market.labs.potential[active]).all()
