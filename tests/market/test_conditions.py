"""Conditions that guard against nothing sold, nothing known or nobody there."""

from __future__ import annotations

import numpy as np
import pytest

from sim.market import demand, observe, offering
from sim.market.tables import HOST, LAB_API, NONE
from sim.scenario.schema import BLOCS, CLASSES, DEVELOPER_GROUPS

from .worlds import between, changed, for_all_labs, simulated


@pytest.fixture
def world(small_settings):
    return between(small_settings, "2025-10", "2026-02", workloads=200)


def test_a_free_list_price_costs_its_lab_the_marginal_cost(world):
    """Cost follows price paid over list price, and what is given away costs what a class's mix costs."""
    market = simulated(changed(world, labs=for_all_labs(world, adoption_value=100.0)))
    costs = offering.serving_costs(market)
    priced = offering.prices(market, costs)
    unit, ledger = demand._unit_cost(market.ledger, costs, priced), market.ledger
    cells, free = np.nonzero((ledger.tokens > 0.0) & (ledger.spend == 0.0) & (ledger.channel == LAB_API))
    assert len(cells) > 10
    release, kind = ledger.release[free], cells % len(CLASSES)
    assert unit[kind, free] == pytest.approx(costs.marginal[release] * priced.mix[kind, release])
    assert (unit[kind, free] > 0.0).all()


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


def routed_tokens(market):
    """Return the tokens of developers on APIs and at hosts, (groups, blocs, classes, states)."""
    ledger = market.ledger
    return ledger.shaped("tokens")[: len(DEVELOPER_GROUPS)][..., ledger.channel <= HOST]


def test_the_router_weighs_a_bloc_without_users_with_nothing(world):
    market = simulated(world, 2)
    tokens = routed_tokens(market).copy()
    tokens[:, np.arange(len(BLOCS)) != BLOCS.index("US")] = 0.0
    factor = observe._billing(market, tokens)
    p = market.parameters
    bills = np.array([p[f"observation.router.{b}"] for b in BLOCS])
    assert factor == pytest.approx([bills[0] / bills.sum(), 0.0, 0.0, 0.0])


def test_the_router_sees_each_bloc_with_its_billing_weight(small_market):
    tokens = routed_tokens(small_market).sum(axis=(0, 2, 3))
    seen = tokens * observe._billing(small_market, routed_tokens(small_market))
    p = small_market.parameters
    bills = np.array([p[f"observation.router.{b}"] for b in BLOCS])
    assert seen / seen.sum() == pytest.approx(bills / bills.sum())
    assert seen.sum() == pytest.approx(tokens.sum())
