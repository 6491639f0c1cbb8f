"""Floors, caps and clips of the demand side bind here, and not just beside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim import rng
from sim.market import bans, demand, governments, observe, offering, population
from sim.scenario.schema import BLOCS, GROUPS

from .guards import binds
from .worlds import between, changed, for_all_labs, outcomes, simulated

CN = BLOCS.index("CN")


@pytest.fixture(scope="module")
def world(small_settings):
    return between(small_settings, "2025-10", "2026-02", workloads=200)


def seen(market, leap=0.0):
    """Return what adopters see in a month of some leap."""
    priced = offering.prices(market, offering.serving_costs(market))
    table = offering.offers(market, priced)
    return demand.month_view(market, table, priced, np.full(len(market.labs.names), leap))


# Population ----------------------------------------------------------------------------------------------------------


@binds("market.py", "Market._draw_workloads", "np.maximum(self.workloads.arrival, self.settings.start)")
def test_who_came_before_the_start_is_there_at_the_start(world):
    early = simulated(world, 0).workloads.arrival
    assert early.min() == world.start
    assert (early == world.start).sum() > 60
    assert (early > world.start).sum() > 10


@binds("population.py", "pick.place", "np.searchsorted(edges, u[rows], side='right').clip(max=len(parts) - 1)")
def test_a_uniform_beyond_the_last_edge_is_of_the_last_category():
    assert population.pick(np.array([0.35, 0.95, 1.0]), np.array([0.1] * 10)).tolist() == [3, 9, 9]


@binds("population.py", "weyl", "np.maximum(points, 2.0 ** (-53))")
def test_a_point_of_the_sequence_that_falls_on_zero_is_moved_off_it(monkeypatch):
    monkeypatch.setattr(rng, "uniform", lambda key, rows: np.array([1.0 - population._PHI**-1]))
    points = population.weyl(1, "any", 0, 3)
    assert points[0] == 2.0**-53
    assert points[1:] == pytest.approx([population._PHI**-1, 2.0 * population._PHI**-1 - 1.0])


@binds(
    "population.py",
    "_own",
    "np.maximum(0.0, p['demand.value'] + p['demand.value_sd'] * ndtri(uniform('value')))",
)
def test_no_workload_values_a_success_at_less_than_nothing(world):
    value = simulated(changed(world, {"demand.value": 1.0, "demand.value_sd": 5.0}), 0).workloads.value
    assert value.min() == 0.0
    assert 0.3 < (value == 0.0).mean() < 0.55
    assert len(np.unique(value)) > 80


# What adopters see ---------------------------------------------------------------------------------------------------


@binds("demand.py", "pain_growth", "max(market.month, until)")
def test_in_the_history_the_bill_that_hurts_is_that_of_the_workload_and_after_it_grows_with_need(world):
    market = simulated(changed(world, {"demand.pain_growth": 1.0}), 0)
    assert (demand.pain_growth(market) == 1.0).all()
    assert (demand.need_growth(market) > 1.0).all()
    market.month = world.history_until + 12
    assert (demand.pain_growth(market) > 1.0).all()


@binds("demand.py", "awareness_month", "np.maximum(market.awareness, market.labs.initial_awareness)")
def test_a_lab_with_a_release_is_known_to_its_first_share_or_to_more(world):
    market = simulated(changed(world, {"awareness.innovation": 0.0, "awareness.imitation": 0.0}), 1)
    appeared = np.isin(np.arange(len(market.labs.names)), market.releases.lab)
    assert (market.awareness[:, appeared] == market.labs.initial_awareness[appeared]).all()
    assert (market.awareness[:, ~appeared] == 0.0).all()
    market.awareness[:, appeared] = 0.999
    known, _ = demand.awareness_month(market, np.zeros(len(market.labs.names)))
    assert (known[:, appeared] == np.maximum(0.999, market.labs.initial_awareness[appeared])).all()


@binds("demand.py", "vendor_shares", "np.maximum(accounts.in_order(count), 1e-300)")
def test_shares_of_a_segment_without_users_are_zero_and_of_others_add_up(world):
    assert (demand.vendor_shares(simulated(world, 0)) == 0.0).all()
    shares = demand.vendor_shares(simulated(world, 1)).sum(axis=1)
    assert ((shares == 0.0) | (np.abs(shares - 1.0) < 1e-12)).all()
    assert (shares > 0.0).any()


@binds("demand.py", "month_view", "max(float(leaps.max()) / p['demand.leap_points'], 0.0)")
@binds("demand.py", "month_view", "min(max(float(leaps.max()) / p['demand.leap_points'], 0.0), 1.0)")
def test_a_leap_counts_from_nothing_to_a_full_one(world):
    market = simulated(world, 2)
    full = market.parameters["demand.leap_points"]
    found = [seen(market, leap).leap for leap in (-5.0, 0.0, 0.25 * full, 0.99 * full, full, 100.0)]
    assert found == pytest.approx([0.0, 0.0, 0.25, 0.99, 1.0, 1.0])


@binds("bans.py", "_barred", "np.maximum(barred[:, CN], table.banned)")
def test_of_a_ban_in_the_scenario_and_one_of_the_history_the_further_reach_counts(world):
    usual = {"demand.ban.public": 1.0, "demand.ban.regulated": 1.0, "demand.ban.start": 2020.0}
    market = simulated(changed(world, usual), 1)
    strict = (market.workloads.group >= GROUPS.index("regulated")) & (market.workloads.bloc != CN)
    assert strict.any()
    assert (bans._barred(market, market.workloads, market.seed)[strict, CN] == 1).all()
    everybody = governments.Ban("CN", "all", "all", "weights", 1.0)
    market.policy = replace(market.policy, bans=(everybody,))
    reach = bans._barred(market, market.workloads, market.seed)
    assert (reach[market.workloads.bloc != CN, CN] == 3).all()


@binds("governments.py", "barred", "np.maximum(reach[bound, origin], 1 + BAN_SCOPES.index(ban.scope))")
@pytest.mark.parametrize("order", [1, -1])
def test_of_two_bans_the_one_of_smaller_reach_leaves_the_further_one(world, order):
    market = simulated(world, 0)
    two = [
        governments.Ban("CN", "all", group, scope, 1.0) for group, scope in (("all", "weights"), ("regulated", "api"))
    ]
    reach = governments.barred(replace(market.policy, bans=tuple(two[::order])), market.workloads, market.seed)
    assert (reach[market.workloads.bloc != CN, CN] == 3).all()


# Choice and usage ----------------------------------------------------------------------------------------------------


@binds("demand.py", "usage_month", "np.maximum(resources.serving_compute(market), LEAST_COMPUTE)")
def test_an_api_without_compute_has_a_load_and_one_with_compute_gives_a_part_of_it(world):
    shares = for_all_labs(world, compute_share=0.0) | {"OpenAI": {"compute_share": 0.5}}
    market = simulated(changed(between(world, "2025-10", "2026-09"), labs=shares))
    assert np.isfinite(market.labs.load).all()
    assert (market.labs.load > 1.0).any()
    assert market.unmet_tokens > 0.0
    assert market.violations == []
    assert (market.labs.api_share > 1e3).any()
    assert market.labs.api_share[market.labs.names.index("OpenAI")] <= 1.0


# Observation ---------------------------------------------------------------------------------------------------------


@binds("observe.py", "_offer_rows", "max(books.all_workloads, 1e-300)")
@binds("observe.py", "_offer_rows", "max(books.all_tokens, 1e-300)")
@pytest.mark.parametrize("column", ["workload_share", "token_share"])
def test_shares_of_offers_are_zero_where_nobody_buys_and_add_up_elsewhere(world, column):
    families = ("developer", "enterprise")
    nothing = {"demand.value": 0.0, "demand.value_sd": 0.0}
    nothing |= {f"demand.{f}.adoption_cost": 30.0 for f in families}
    nothing |= {f"demand.{f}.without_ai_cost": 0.0 for f in families}
    assert (outcomes(changed(world, nothing))["offers"][column] == 0.0).all()
    offers = outcomes(world)["offers"]
    for month in np.unique(offers["month"]):
        assert offers[column][offers["month"] == month].sum() == pytest.approx(1.0)


@binds("observe.py", "_segment_rows", "np.maximum(0.0, 1.0 - used / books.segment_present)")
def test_where_all_use_a_model_the_share_without_is_zero_and_not_what_rounding_leaves(world):
    market = simulated(world, 2)
    books = market.accounts
    here = books.segment_present > 0.0
    more = np.nextafter(books.segment_present, np.inf)
    market.accounts = replace(books, segment_workloads=np.where(here, more, 0.0))
    found = observe._segment_rows(market)["outside_share"].reshape(here.shape)
    assert (found[here] == 0.0).all()
    market.accounts = books
    found = observe._segment_rows(market)["outside_share"].reshape(here.shape)
    assert (found[here] > 0.0).any()
