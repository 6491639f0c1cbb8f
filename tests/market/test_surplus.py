"""Surplus follows the month: what a change of prices or offers does to users counts at once, looked at or not."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest

from sim.market import choosing, demand, offering
from sim.market.market import Market
from sim.market.nodes import arrived
from sim.market.tables import NONE
from sim.months import parse_month
from sim.scenario.load import load_scenario
from sim.scenario.schema import BLOCS

from .kernels import numpy_choice, numpy_mass
from .kernels.test_choice_kernel import at_choice
from .rows import Watched
from .worlds import between, event, simulated

CARRIERS = ("agents", "mean-field")


@pytest.fixture(scope="module", params=CARRIERS)
def settings(request, small_scenario):
    """A world of either kind of population, into its first months after the history."""
    drawn = small_scenario.draw(5)
    return between(drawn, "2025-06", "2026-04", workloads=2000, nodes=256, population=request.param)


@pytest.fixture(scope="module")
def moment(settings):
    """The market at its choices of a month after the history."""
    market = Watched(settings)
    while market.month < settings.end:
        market.step()
    return at_choice(market)


def looking(market, hazard):
    """Return a copy of a market in which so many review this month, and nobody looks for another reason."""
    market = copy.deepcopy(market)
    for group in market.adopters:
        group.review_hazard, group.upgrade_hazard, group.upgrade_hazard_leap = hazard, 0.0, 0.0
    return market


def chosen(market, view, hazard):
    """Return surplus by row in USD a month over the world, and the market after its choices."""
    market = looking(market, hazard)
    type(market)._choose(market, view)
    held = market.usage if market.draws else market.nodes
    return market.workloads.weight * held.surplus, market


def dearer(view, factor):
    """Return what people see where everything that has a price costs so many times as much."""
    offers = replace(view.offers, price=factor * view.offers.price, cluster=factor * view.offers.cluster)
    return replace(view, price=factor * view.price, cluster=factor * view.cluster, offers=offers)


def present(market, view):
    """Return which rows of people are there and are not new this month; nodes all are."""
    return market.workloads.arrival < view.month if market.draws else np.ones(len(market.workloads), bool)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_prices_count_at_once_for_who_does_not_look(moment, factor):
    market, view = moment
    here = present(market, view)
    plain, after = chosen(market, view, 0.0)
    moved, _ = chosen(market, dearer(view, factor), 0.0)
    assert np.sign(moved.sum() - plain.sum()) == np.sign(1.0 - factor)
    assert ((moved - plain)[here] * (1.0 - factor) >= 0.0).all()
    if market.draws:
        idle = here & (after.usage.release == NONE)
        assert (moved[idle] == plain[idle]).all()


def test_surplus_of_who_does_not_look_falls_by_the_tokens_bought_at_a_higher_price(moment):
    """Roy's identity on the world: what one per cent more of every price takes is one per cent of what is spent."""
    market, view = moment
    step = 0.01
    here = present(market, view)
    up, down = (chosen(market, dearer(view, 1.0 + move), 0.0)[0][here].sum() for move in (step, -step))
    _, after = chosen(market, view, 0.0)
    prices = offering.Prices(view.price, view.price[0], view.cluster, view.price[0], view.price[0])
    if market.draws:
        after.usage.release[~here] = NONE
    assert (up - down) / (2 * step) == pytest.approx(-demand.tally(after, view, prices).spend.sum(), rel=1e-4)


def test_where_everybody_looks_surplus_is_what_the_offers_are_worth_over_doing_without(moment):
    """The logsum over the utility of doing without, in money: no premium of the past is left."""
    market, view = moment
    found, _ = chosen(market, view, 1.0)
    market = looking(market, 1.0)
    if market.draws:
        worth = np.zeros(len(market.workloads))
        for group in market.adopters:
            rows, at_home = numpy_choice.who_looks(market, group, view)
            who = group.choosers(rows, at_home, market.workloads, numpy_choice.stand(market, rows, view), view)
            _, _, logsum, alone = numpy_choice.options(group, who, view)
            worth[rows] = who.pain / who.price_sensitivity * (logsum - alone)
        assert (worth > 0.0).sum() > 1000
    else:
        nodes = copy.deepcopy(market.nodes)
        _, _, worth, _ = numpy_mass.choose(market, nodes, come(nodes, view), view)
    worth = worth * market.workloads.weight
    assert found.sum() == pytest.approx(worth.sum(), rel=1e-6)
    assert np.abs(found - worth).max() <= 1e-5 * worth.max()


def come(nodes, view):
    """Bring nodes to the states of the month; return who has come, (nodes,)."""
    nodes._states(view)
    fresh = arrived(nodes.table, view.month, nodes.parameters) - nodes.present
    nodes.mass[0, : len(fresh)] += fresh
    nodes.present = nodes.present + fresh
    return fresh


def test_what_nodes_hold_does_not_drift(small_scenario):
    """The same month twelve times over: shares and what they hold are those of the readable twin to the end."""
    settings = between(small_scenario.draw(5), "2025-06", "2026-02", nodes=64, population="mean-field")
    market = Market(settings)
    while market.month < settings.end:
        market.step()
    market, view = at_choice(market)
    market = looking(market, 0.3)
    plain, count = copy.deepcopy(market.nodes), len(market.nodes.table)
    families = choosing.seen(view, market.adopters)
    for _ in range(12):
        market.nodes.choose(view, families)
        share, premium, _, surplus = numpy_mass.choose(market, plain, come(plain, view), view)
        plain.mass[:, :count], plain.premium[:, :count] = share, premium
    scale = market.nodes.table.pain * view.pain[market.nodes.table.kind] / market.nodes.table.price_sensitivity
    assert np.abs((market.nodes.surplus - surplus) / scale).max() <= 3e-5
    assert np.abs(market.nodes.premium[:, :count] - plain.premium[:, :count]).max() <= 3e-5


def test_a_sudden_end_of_most_offers_lowers_surplus_in_that_very_month(settings):
    bans = [
        event("2026-02", "model_ban", origin=bloc, adopters="all", group="all", scope="weights", share=1.0)
        for bloc in BLOCS
    ]
    last, banned = parse_month("2026-02"), replace(settings, events=tuple(bans))
    plain, without = (simulated(replace(one, end=last)).record.market["consumer_surplus"] for one in (settings, banned))
    assert without[-2] == plain[-2]
    assert without[-1] < 0.9 * plain[-1]


@pytest.mark.parametrize("population", CARRIERS)
def test_surplus_is_less_in_the_first_month_without_open_weights(small_scenario, population):
    """On average over runs: who has to look again may find what it would not have looked for."""
    lost = []
    for replicate in range(4):
        settings = small_scenario.draw(replicate)
        settings = between(settings, "2025-01", "2026-01", workloads=4000, nodes=512, population=population)
        market = Market(settings, twin="weights_withheld")
        market.run()
        market.close()
        here, there = (market.record.market[name][-1] for name in ("consumer_surplus", "twin_consumer_surplus"))
        lost.append(there / here - 1.0)
    assert np.mean(lost) < -0.003


def test_a_leap_of_the_frontier_costs_surplus_through_rising_ambition():
    """Users want harder work as soon as it is possible, on the models that they have (51)."""
    still = tuple(f"demand.ambition.{kind}=0" for kind in ("coding", "agentic", "embodied"))
    worst = []
    for fields in ((), still):
        base, leap = (
            simulated(
                load_scenario(name, overrides=fields, population="mean-field", nodes=256, runs=1, until="2027-01").draw(
                    1
                )
            ).record.market["consumer_surplus"]
            for name in ("baseline", "frontier-leap")
        )
        worst.append((leap / base - 1.0)[-5:].min())  # from the month of the leap on
    assert worst[0] < -0.03
    assert abs(worst[1]) < 0.01
