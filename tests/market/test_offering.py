"""What is on offer, at which price and cost."""

from __future__ import annotations

import numpy as np
import pytest

from sim import evidence
from sim.market import offering, supply
from sim.market.tables import HOST, LAB_API, NONE, ON_DEVICE, SELF_HOST
from sim.scenario.schema import CLASSES


def test_open_weights_are_on_hosts_and_own_machines_and_small_ones_on_devices(small_market):
    on, table, lines = offering.offered(small_market), small_market.releases, small_market.lines
    for row in range(len(table.names)):
        is_weights = row in lines.current_open.tolist() or row in lines.older[lines.older != NONE].tolist()
        assert on[row, HOST] == on[row, SELF_HOST] == is_weights
        fits = [r for r in range(len(table.names)) if table.is_open[r] and table.on_device[r]]
        assert on[row, ON_DEVICE] == (
            row in fits and not any(table.line[r] == table.line[row] for r in fits if r > row)
        )
        sells = table.has_api[row] and small_market.labs.active[table.lab[row]]
        assert on[row, LAB_API] == (row in lines.current.tolist() and sells)
        assert table.is_open[row] or not on[row, [HOST, SELF_HOST, ON_DEVICE]].any()


def test_offers_are_sorted_so_that_a_line_is_a_run_of_columns(small_market):
    costs = offering.serving_costs(small_market)
    table = offering.offers(small_market, offering.prices(small_market, costs))
    assert np.all(np.diff(table.newest.line) >= 0)
    assert table.line[table.first_of_line].tolist() == sorted(set(table.line.tolist()))
    assert len(set(zip(table.newest.line.tolist(), table.newest.channel.tolist(), strict=True))) == len(table.newest)
    assert table.price.shape == (len(CLASSES), len(table))
    assert np.isfinite(table.price).all()
    assert (table.price[:, table.channel == ON_DEVICE] == 0.0).all()


def test_older_versions_follow_the_newest_of_their_line_and_channel(small_market):
    costs = offering.serving_costs(small_market)
    table = offering.offers(small_market, offering.prices(small_market, costs))
    newest, older = table.newest, slice(len(table.newest), None)
    at = table.option[older]
    assert len(at) > 10
    assert table.option[: len(newest)].tolist() == list(range(len(newest)))
    assert np.array_equal(newest.line[at], table.line[older])
    assert np.array_equal(newest.channel[at], table.channel[older])
    assert (newest.release[at] > table.release[older]).all()
    assert table.is_open[older].all()
    assert (newest.channel[at] != LAB_API).all()  # list prices alone move an option
    assert np.all(np.diff(table.line[older]) >= 0)


def test_hosts_sell_at_cost_plus_the_markup_of_their_number(small_market):
    costs = offering.serving_costs(small_market)
    found = offering.prices(small_market, costs)
    table, p = small_market.releases, small_market.parameters
    assert np.isnan(found.host_list[~table.is_open]).all()
    for row in np.flatnonzero(table.is_open):
        markup = p["serving.host.transport"] / small_market.lines.hosts[table.line[row]]
        kept = 1 - p["serving.host.licence"] * (table.degree[row] == 0.5)
        assert found.host_list[row] == pytest.approx(costs.marginal[row] * (1 + markup) / kept)


def test_costs_follow_the_cost_index_since_the_release(small_market):
    costs = offering.serving_costs(small_market)
    table, now = small_market.releases, small_market.month
    for row in (0, 40, len(table.names) - 1):
        ratio = supply.cost_index(small_market, now) / supply.cost_index(small_market, int(table.month[row]))
        assert costs.marginal[row] == pytest.approx(table.cost_at_release[row] * ratio)


def test_closed_labs_spend_a_margin_less_than_their_list_price_also_after_a_price_cut(small_market):
    table, p = small_market.releases, small_market.parameters
    seen = table.month <= small_market.settings.history_until
    cut = {c.model for c in evidence.price_changes(until=small_market.settings.history_until)}
    assert cut & set(table.names)
    rows = seen & ~table.is_open
    margin = 1 - table.cost_at_release[rows] / table.list_price[rows]
    assert margin == pytest.approx(p["serving.closed_margin"])


def test_own_machines_pay_what_the_size_costs_but_no_less_than_hosts_and_closed_weights_run_on_none(small_market):
    table, p = small_market.releases, small_market.parameters
    costs = offering.serving_costs(small_market)
    for row in np.flatnonzero(table.is_open):
        wanted = supply.technical_cost(small_market, float(table.active_params[row]), int(table.month[row]))
        assert table.full_load_cost[row] == pytest.approx(wanted)
    moved = costs.marginal / table.cost_at_release
    own = table.full_load_cost * moved / p["serving.self_host.utilisation"]
    weights = table.is_open
    assert costs.own[weights] == pytest.approx(np.maximum(own, costs.marginal)[weights])
    assert 0 < (costs.own > own)[weights].sum() < weights.sum()
    assert np.isnan(costs.own[~table.is_open]).all()


def test_accelerator_hours_are_what_the_cost_of_serving_buys(small_market):
    costs, hour = offering.serving_costs(small_market), supply.gpu_hour(small_market, small_market.month)
    assert small_market.releases.is_open.any()
    assert costs.hours * hour == pytest.approx(costs.marginal)
