"""Hosts: entry by what is hosted, prices that do not jump, licences, the elasticity between them."""

from __future__ import annotations

import numpy as np
import pytest

from sim import evidence
from sim.market import offering, supply
from sim.market.market import Market
from sim.market.stages import host_entry
from sim.market.tables import HOST, NONE

from .worlds import between, changed, for_all_labs, simulated


@pytest.fixture(scope="module")
def world(small_settings):
    return between(small_settings, "2025-07", "2026-12", workloads=250)


def costs_of_last_month(market):
    """Return the costs of the month that has just been simulated."""
    market.month -= 1
    costs = offering.serving_costs(market)
    market.month += 1
    return costs


def test_two_hosts_are_the_least_and_entry_comes_in_whole_steps():
    tokens = np.array([0.0, 1.0, 4.0, 8.999, 9.0, 15.99, 16.0])
    found = host_entry.free_entry(np.full(7, 2.0), 50.0 * tokens, 100.0)  # sqrt(tokens)
    assert found.tolist() == [2, 2, 2, 2, 3, 3, 4]


def test_lines_without_open_weights_stay_at_two_hosts(world):
    market = simulated(world, 1)
    closed = market.lines.current_open == NONE
    assert closed.any()
    assert (market.lines.hosts[closed] == 2).all()


def test_hosts_enter_on_what_was_hosted_in_the_month_before(world):
    market = Market(world)
    for _ in range(8):
        market.step()
        costs, table, p = costs_of_last_month(market), market.releases, market.parameters
        years = (market.month - 1 - (2025 - 1970) * 12 - 1) / 12
        fixed = p["serving.host.fixed_cost"] * p["serving.host.fixed_cost_growth"] ** years
        for line, weights in enumerate(market.lines.current_open):
            if weights == NONE:
                continue
            cost = np.nansum((market.accounts.tokens[:, HOST] * costs.marginal)[table.line == line])
            assert market.lines.hosts[line] == max(2, int(np.sqrt(p["serving.host.transport"] * cost / fixed)))
    assert market.lines.hosts.max() > 4
    market.close()


def test_the_last_host_earns_its_fixed_cost_and_one_more_would_not(world):
    market = simulated(world, 6)
    costs, table, p = costs_of_last_month(market), market.releases, market.parameters
    years = (market.month - 1 - (2025 - 1970) * 12 - 1) / 12
    fixed = p["serving.host.fixed_cost"] * p["serving.host.fixed_cost_growth"] ** years
    for line in np.flatnonzero(market.lines.hosts > 2):
        cost = (market.accounts.tokens[:, HOST] * costs.marginal)[table.line == line].sum()
        whole, n = p["serving.host.transport"] * cost, market.lines.hosts[line]
        assert whole / n / n >= fixed * (1 - 1e-9)
        assert whole / (n + 1) / (n + 1) < fixed


def test_a_higher_fixed_cost_means_fewer_hosts_and_dearer_weights(world):
    low, high = (simulated(changed(world, {"serving.host.fixed_cost": cost}), 10) for cost in (1e4, 1e6))
    assert low.lines.hosts.sum() > high.lines.hosts.sum()
    over_cost = []
    for market in (low, high):
        books, rows = market.accounts, market.releases.is_open
        over_cost.append(books.spend[rows, HOST].sum() / books.cost[rows, HOST].sum())
    assert over_cost[0] < over_cost[1] <= 1 + low.parameters["serving.host.transport"] / 2 + 1e-9


def test_the_host_price_is_the_list_price_in_the_month_of_an_observed_release(small_settings):
    settings = between(small_settings, "2024-07", "2025-12", workloads=250)
    listed = {r.model: (3 * r.input_price + r.output_price) / 4 for r in evidence.releases() if r.open}
    market, checked = Market(settings), 0
    while market.month <= settings.end:
        of_line = market.lines.hosts.copy()
        known = len(market.releases.names)
        market.step()
        new = [r for r in range(known, len(market.releases.names)) if market.releases.is_open[r]]
        entered, market.lines.hosts = market.lines.hosts, of_line
        market.month -= 1
        found = offering.prices(market, offering.serving_costs(market)).host_list
        market.month += 1
        market.lines.hosts = entered
        for row in new:
            assert found[row] == pytest.approx(market.releases.list_price[row])
            name = market.releases.names[row]
            if not np.isnan(listed[name]):
                assert found[row] == pytest.approx(listed[name])
                checked += of_line[market.releases.line[row]] > 2
    market.close()
    assert checked > 3  # also where more than two hosts serve the line


def test_host_prices_do_not_jump_at_the_hand_over(world):
    """They move by the cost index and by whole hosts, the same before and after."""
    market = Market(world)
    tau = market.parameters["serving.host.transport"]
    while market.month < world.history_until:
        market.step()
    for _ in range(3):
        prices, markups, index = [], [], []
        for _ in range(2):
            costs = offering.serving_costs(market)
            prices.append(offering.prices(market, costs).host_list)
            markups.append(1 + tau / market.lines.hosts[market.releases.line])
            index.append(supply.cost_index(market, market.month))
            if len(prices) == 1:
                market.step()
        rows = np.flatnonzero(np.isfinite(prices[0]))
        moved = prices[1][rows] / prices[0][rows]
        assert moved == pytest.approx((markups[1][rows] / markups[0][rows]) * index[1] / index[0])
    market.close()


def test_hosts_of_restricted_weights_pay_the_licence_out_of_the_price(world):
    fields = for_all_labs(world, openness="open", degree="restricted_weights", cadence_months=2.0)
    market = simulated(changed(world, {"serving.host.licence": 0.3}, fields))
    costs = offering.serving_costs(market)
    found = offering.prices(market, costs).host_list
    rows = np.flatnonzero((market.releases.month > world.history_until) & market.releases.is_open)
    assert len(rows) > 10
    markup = market.parameters["serving.host.transport"] / market.lines.hosts[market.releases.line[rows]]
    assert 0.7 * found[rows] == pytest.approx(costs.marginal[rows] * (1 + markup))


def test_the_elasticity_between_hosts_is_that_of_the_circle(small_market, small_tables):
    market, panels = small_market, small_tables["panels"]
    seen = panels["value"][(panels["panel"] == "demand") & (panels["month"] == market.month - 1)]
    tau = market.parameters["serving.host.transport"]
    assert len(seen) == 1
    assert -(1 + market.lines.hosts.max() / tau) - 1 < seen[0] <= -(1 + 2 / tau) + 1e-9
