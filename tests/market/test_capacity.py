"""Serving capacity in the market: what is served, what goes to hosts, what nobody serves, and the books of it."""

from __future__ import annotations

import numpy as np
import pytest

from sim.content import combine
from sim.identities import broken_identities
from sim.market import demand, offering, resources
from sim.market.market import Market
from sim.market.stages.accounts import totals
from sim.market.tables import HOST, LAB_API
from sim.scenario.schema import CLASSES

from .rows import Watched, bought, summed
from .worlds import between, changed, differing, for_all_labs, outcomes, simulated


@pytest.fixture(scope="module")
def world(small_settings):
    return between(small_settings, "2025-07", "2026-06", workloads=400)


def at_hand_over(settings):
    """Return the market at the start of its first month of rules."""
    market = Watched(settings)
    while market.month <= settings.history_until:
        market.step()
    return market


def month_with(market, share):
    """Return the use of a month in which every API gets a part of the compute it got before, with costs and prices."""
    market.labs.api_share = market.labs.api_share * share
    costs = offering.serving_costs(market)
    priced = offering.prices(market, costs)
    view = demand.month_view(market, offering.offers(market, priced), priced, np.zeros(len(market.labs.names)))
    return demand.usage_month(market, view, costs, priced), costs, priced


def need_by_lab(market, costs, priced, ledger, tokens):
    """Return the accelerators that tokens on labs' APIs take, (labs,); `tokens` have the shape of the ledger's."""
    api = np.flatnonzero(ledger.channel == LAB_API)
    by_class = tokens[:, api].reshape(-1, len(CLASSES), len(api)).sum(axis=0)
    release = ledger.release[api]
    hours = (by_class * priced.mix[:, release]).sum(axis=0) * costs.hours[release]
    return totals(market.releases.lab[release], hours, len(market.labs.names)) / 730.0


@pytest.mark.parametrize("share", [1.0, 0.5, 0.1, 1e-6])
def test_no_lab_serves_more_than_is_wanted_or_than_it_can(world, share):
    market = at_hand_over(world)
    used, costs, priced = month_with(market, share)
    capacity = market.labs.api_share * resources.serving_compute(market)
    ledger = used.ledger
    served = need_by_lab(market, costs, priced, ledger, ledger.tokens - ledger.spilled)
    assert np.all(served <= np.minimum(used.needed, capacity) * (1 + 1e-9) + 1e-9)
    assert np.all(served >= np.minimum(used.needed, capacity) * (1 - 1e-9) - 1e-9)
    assert used.unmet >= 0.0
    assert np.all(ledger.tokens >= 0.0)
    assert np.all(ledger.spilled >= 0.0)
    market.close()


def test_tokens_of_open_weights_go_to_hosts_and_those_of_closed_ones_to_nobody(world):
    market = at_hand_over(world)
    full, _, priced = month_with(market, 1e9)
    used, _, _ = month_with(market, 1e-14)
    full, short = full.ledger, used.ledger
    api = short.channel == LAB_API
    is_open = api & market.releases.is_open[short.release]
    less = short.tokens - short.spilled < full.tokens * (1 - 1e-9)
    assert less[:, is_open].any()
    assert less[:, api & ~is_open].any()
    assert not less[:, ~api].any()
    assert short.tokens[:, is_open] == pytest.approx(full.tokens[:, is_open])
    assert (short.spilled[:, is_open][less[:, is_open]] > 0.0).all()
    assert (short.spilled[:, ~is_open] == 0.0).all()
    assert (full.spilled == 0.0).all()
    hosted = np.tile(priced.by_class[HOST][:, short.release], (len(full.tokens) // len(CLASSES), 1))
    kept = short.tokens - short.spilled
    extra = short.spend - full.spend * np.divide(kept, full.tokens, out=np.ones_like(kept), where=full.tokens > 0.0)
    assert extra[:, is_open] == pytest.approx((short.spilled * hosted)[:, is_open])
    lost = (full.tokens - short.tokens).sum()
    assert used.unmet == pytest.approx(lost)
    assert lost > 0.0
    assert np.array_equal(short.tokens[:, ~api], full.tokens[:, ~api])
    market.close()


def test_rationing_is_in_proportion_within_a_lab(world):
    market = at_hand_over(world)
    full, short = month_with(market, 1e9)[0].ledger, month_with(market, 1e-11)[0].ledger
    api = full.channel == LAB_API
    lab = market.releases.lab[full.release[api]]
    wanted, served = full.tokens[:, api], (short.tokens - short.spilled)[:, api]
    parts = []
    for number in np.unique(lab):
        bought_here = wanted[:, lab == number] > 0.0
        part = served[:, lab == number][bought_here] / wanted[:, lab == number][bought_here]
        assert part == pytest.approx(part[0])
        parts.append(part[0])
    assert min(parts) < 1.0
    market.close()


def short_of_chips(settings):
    """Return the world in which every lab has lost nearly all of its accelerators after the history."""
    market = at_hand_over(settings)
    market.labs.api_share = market.labs.api_share * 0.2
    return market


def test_the_books_balance_while_capacity_binds(world):
    market = short_of_chips(changed(world, labs=for_all_labs(world, openness="open", cadence_months=2.0)))
    spilled = 0.0
    while market.month <= world.end:
        market.step()
        now, books, ledger = bought(market, market.view, market.prices), market.accounts, market.ledger
        spilled += now.spilled.sum()
        for name in ("tokens", "spend", "spilled"):
            assert getattr(ledger, name) == pytest.approx(summed(market, ledger, getattr(now, name))), name
        assert books.spend.sum() == pytest.approx((now.spend * market.workloads.weight).sum())
        assert books.tokens.sum() == pytest.approx((now.tokens * market.workloads.weight).sum())
    market.close()
    assert spilled > 0.0
    assert market.violations == []
    assert broken_identities(combine([market.record.tables()])) == []
    assert market.record.market["unmet_tokens"].max() > 0.0


def test_apis_with_hardly_any_compute_earn_hardly_anything_and_their_open_tokens_are_the_hosts(world):
    market = at_hand_over(world)
    earned, hosted = market.accounts.spend_labs, market.accounts.spend_hosts
    market.labs.api_share = np.full(len(market.labs.names), 1e-9)
    market.step()
    assert market.accounts.spend_labs < 1e-6 * earned
    assert market.accounts.spend_hosts > hosted
    assert market.labs.load.max() > 1e6
    assert market.violations == []
    market.close()


def test_capacity_never_binds_in_the_history_and_loads_stay_below_one(small_settings):
    settings = changed(between(small_settings, "2024-01", "2025-12", workloads=400), {"serving.api_share": 0.01})
    market = Market(settings)
    while market.month <= settings.end:
        market.step()
        assert market.unmet_tokens == 0.0
        assert market.labs.load.max() <= 1.0
        assert (market.ledger.spilled == 0.0).all()
    assert market.labs.load.max() > 0.9
    assert market.labs.serving_load.max() > 1000.0
    market.close()


def test_nothing_is_unmet_in_the_month_after_the_history_if_nothing_grows(world):
    market = at_hand_over(world)
    used, _, _ = month_with(market, 1.0)
    wanted = used.ledger.tokens.sum() + used.unmet
    assert used.unmet < 0.1 * wanted
    market.close()


def test_the_load_moves_with_its_memory_and_the_parameter_of_the_api(world):
    loads = [
        simulated(changed(world, parameters), 8).labs.load
        for parameters in ({}, {"serving.load_months": 12.0}, {"serving.api_share": 0.9})
    ]
    assert not np.array_equal(loads[0], loads[1])
    assert loads[2].max() <= loads[0].max()
    assert (loads[2] < loads[0]).any()


def test_latency_is_what_the_load_costs(small_market):
    cost = small_market.parameters["demand.latency_cost"]
    found = offering.latency(small_market)
    assert found == pytest.approx(cost * small_market.labs.load**4)
    assert found.max() > 0.0


def test_with_compute_without_end_capacity_changes_no_bit(world):
    unfelt = {"serving.api_share": 1.0, "demand.latency_cost": 0.0}  # a load of a millionth still costs its latency
    plenty, more = (outcomes(changed(world, unfelt, for_all_labs(world, compute_share=share))) for share in (0.5, 1.0))
    assert (plenty["market"]["unmet_tokens"] == 0.0).all()
    moved = {name.split(".")[1] for name in differing(plenty, more, before=world.history_until + 1)}
    assert moved <= {"research_compute"}  # before potentials react, more chips serve nobody better


def test_the_serving_load_in_the_record_is_the_cost_of_the_api_in_accelerators(world):
    """For closed models all cost is accelerators: cost over the rent of an hour, over the hours of a month."""
    market = simulated(world, 5)
    market.month -= 1
    hour = offering.supply.gpu_hour(market, market.month)
    labs = len(market.labs.names)
    closed = np.array([not market.releases.is_open[market.releases.lab == row].any() for row in range(labs)])
    cost = totals(market.releases.lab, market.accounts.cost[:, LAB_API], labs)
    assert market.labs.serving_load[closed] == pytest.approx(cost[closed] / hour / 730)
    recorded = market.record.tables()["labs"]
    last = recorded["month"] == market.month
    assert recorded["serving_load"][last].tolist() == market.labs.serving_load.tolist()
