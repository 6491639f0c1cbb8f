"""Conditions that guard against nothing sold, nothing known or nobody there."""

from __future__ import annotations

import numpy as np
import pytest

from sim.market import demand, observe, offering
from sim.market.tables import NONE
from sim.scenario.schema import BLOCS, CLASSES

from .worlds import between, changed, for_all_labs, simulated


@pytest.fixture
def world(small_settings):
    return between(small_settings, "2025-10", "2026-02", workloads=200)


def test_a_free_list_price_costs_its_lab_the_marginal_cost(world):
    """Cost follows price paid over list price, and what is given away costs what a class's mix costs."""
    market = simulated(changed(world, labs=for_all_labs(world, adoption_value=100.0)))
    costs = offering.serving_costs(market)
    priced = offering.prices(market, costs)
    unit = demand._unit_cost(market, costs, priced)
    free = (market.usage.release != NONE) & (market.usage.channel == 0)
    assert free.any()
    release, kind = market.usage.release[free], market.workloads.kind[free]
    assert unit[free] == pytest.approx(costs.marginal[release] * priced.mix[kind, release])
    assert (unit[free] > 0.0).all()


def test_a_line_without_input_price_keeps_the_list_blend(world):
    market = simulated(world, 1)
    market.releases.input_price[0], market.releases.output_price[0] = 0.0, 4.0
    market.releases.posted[0] = market.releases.list_price[0]
    found = offering.prices(market, offering.serving_costs(market))
    assert np.isfinite(found.mix).all()
    assert found.api_list[0] == 1.0
    p, chat = market.parameters, CLASSES.index("chat")
    assert p["demand.input_share.chat"] == 0.75  # the mix of the list blend
    assert found.mix[chat, 0] == pytest.approx(p["demand.price_factor.chat"])


def test_a_line_without_open_weights_has_no_downloads(small_market):
    without = small_market.lines.current_open == NONE
    assert without.any()
    assert (small_market.downloads[without] == 0.0).all()
    assert (small_market.downloads[~without] > 0.0).all()


def test_weights_of_unknown_size_count_as_of_the_reference_size_for_nothing(world):
    market = simulated(world, 1)
    line = int(np.flatnonzero(market.lines.current_open != NONE)[0])
    market.releases.total_params[market.lines.current_open[line]] = np.nan
    before = market.downloads.copy()
    assert demand.downloads_month(market)[line] == before[line]


def test_the_router_weighs_a_bloc_without_users_with_nothing(world):
    market = simulated(world, 2)
    tokens = market.usage.tokens * market.workloads.weight
    routed = (market.usage.release != NONE) & (market.workloads.bloc == BLOCS.index("US"))
    factor = observe._billing(market, routed, tokens)
    p = market.parameters
    bills = np.array([p[f"observation.router.{b}"] for b in BLOCS])
    assert factor[routed] == pytest.approx(bills[0] / bills.sum())
    assert (factor[market.workloads.bloc != BLOCS.index("US")] == 0.0).all()


def test_the_router_sees_each_bloc_with_its_billing_weight(small_market):
    tokens = small_market.usage.tokens * small_market.workloads.weight
    routed = (small_market.usage.release != NONE) & (small_market.workloads.group < 2)
    seen = tokens * observe._billing(small_market, routed, tokens)
    total = seen[routed].sum()
    p = small_market.parameters
    bills = np.array([p[f"observation.router.{b}"] for b in BLOCS])
    for number in range(len(BLOCS)):
        part = seen[routed & (small_market.workloads.bloc == number)].sum() / total
        assert part == pytest.approx(bills[number] / bills.sum())
    assert total == pytest.approx(tokens[routed].sum())
