"""List prices of a month: the demand that labs face, the prices that no lab wants to change, what is posted.

Each function reads the market and returns what changes; `market.py` alone assigns it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sim.market import demand, governments, offering, supply
from sim.market.adopters import CN, Adopters, MonthView
from sim.market.kernels import panel_rows
from sim.market.kernels import worth as kernels
from sim.market.kernels.elementary import exp, log
from sim.market.parts import at_once
from sim.market.stages import choice, pricing
from sim.market.stages.demand_panel import DemandPanel
from sim.market.stages.deviations import DeviationCheck
from sim.market.stages.equilibrium import GAIN, LOCAL_ONLY, NASH, NOT_CONVERGED, Solver, solve_prices
from sim.market.tables import HOST, LAB_API, Floats, Ints, OfferTable
from sim.scenario.schema import BLOCS

if TYPE_CHECKING:
    from sim.market.market import Market

SEARCH_MONTHS = 6  # months between searches for profitable deviations of all labs
SUSPECT = 1e-6  # a larger gain from repricing what is new is no matter of tolerance: the month searches in full
ROUGH = Solver(tolerance=3e-4, most_iterations=25, check=None)  # a thousandth of what a list price moves in a year
EXACT = Solver(tolerance=1e-5, most_iterations=60, check=None)  # so near, a lab could gain about 1e-10 of its profit
ELSEWHERE = replace(EXACT, other_starts=8)  # where list prices of the history lead to no solution
SEARCH = DeviationCheck(margins=8, joint_moves=2)
DEAREST = 1e6  # USD/Mtok: a lab that would rather have users on weights that others serve wants no price at all
EXPOSED = np.arange(len(BLOCS)) == CN  # by bloc, of whose labs some users are wary
NOT_CHECKED = "not_checked"  # the conditions hold; large moves were not searched this month


@dataclass(frozen=True)
class PriceMonth:
    """List prices posted on labs' APIs [USD/Mtok], (releases,), those wanted, and how far the latter can be trusted.

    `status` is empty while prices are replayed or no lab solves. The gains are the largest of one lab from leaving the
    prices wanted and the prices posted, relative to its profit; NaN where none was searched.
    """

    posted: Floats
    wanted: Floats
    status: str = ""
    deviation_gain: float = float("nan")
    posted_gain: float = float("nan")


@dataclass(frozen=True)
class HandOverPrices:
    """What price rules attach to at the end of the history; shapes (releases,).

    `wanted` are list prices that no lab would want to change at serving costs [USD/Mtok], `wedge` the log of list
    prices over them, `price_over_cost` what the rule `cost_plus` keeps. `status` is `not_converged` where no start
    led to such prices, else empty.
    """

    wanted: Floats
    wedge: Floats
    price_over_cost: Floats
    status: str


@dataclass(frozen=True)
class PriceProblem:
    """What labs know when they set prices: what is on offer, the panel of demand, list prices now [USD/Mtok].

    `offers` has the newest version of every option, `listed` its list price, shape (options,); `host_list` are hosts'
    prices of all releases, (releases,), and `hosted` those that hosts sell.
    """

    offers: OfferTable
    panel: DemandPanel
    listed: Floats
    host_list: Floats
    hosted: Ints


def price_problem(market: Market, costs: offering.Costs) -> PriceProblem:
    """Return the demand that labs face at this month's offers and last month's awareness (eq. 63)."""
    priced = offering.prices(market, costs)
    offers = offering.offers(market, priced)
    view = demand.month_view(market, offers, priced, np.zeros(len(market.labs.names)))
    newest = offers.newest
    api = newest.channel == LAB_API
    charged = 1.0 - governments.discounts(market.policy, market.month, market.labs)[newest.lab]
    loading = np.where(api, priced.mix[:, newest.release] * charged, 0.0)
    listed = np.where(api, market.releases.posted[newest.release], 0.0)
    panel = demand_panel(market, offers, view, loading)
    hosted = offers.release[(offers.channel == HOST) & offers.is_open]
    return PriceProblem(newest, panel, listed, priced.host_list, hosted)


def demand_panel(market: Market, offers: OfferTable, view: MonthView, loading: Floats) -> DemandPanel:
    """Return every aware workload of the panel as if it looked again once, switching cost included (eq. 63).

    Offers are the options, lines on channels, each with the version that suits the workload best (eq. 97). `loading` is
    what a class pays over the list price, shape (classes, options), zero for those without one.
    """
    present = [(group, group.nodes_present(market.nodes)) for group in market.adopters]
    nodes, ends = nodes_of(market, view), np.cumsum([len(rows) for _, rows in present])
    options = loading.shape[1]
    found = panel_rows.empty(int(ends[-1]), options)
    written = []
    for (group, rows), end in zip(present, ends, strict=True):
        columns = kernels.columns(offers, view.rules[group.number], loading)
        seen = seen_by(view, group)
        written.append(partial(kernels.write_panel, nodes, seen, rows, columns, end - len(rows), found))
    at_once(written, market.threads)
    return DemandPanel(
        weight=found.weight,
        fixed=found.worth.T,
        keep=found.keep,
        outside=found.outside,
        price_sensitivity=found.price_sensitivity,
        need=found.need,
        pain=found.pain,
        loading=found.paid.T,
        base_price=found.base.T,
        nest=offers.line[:options],
        dissimilarity=view.rules[0].dissimilarity,
    )


def nodes_of(market: Market, view: MonthView) -> panel_rows.Nodes:
    """Return the taste nodes as the kernels read them, each at one state in use."""
    nodes = market.nodes
    release, channel = nodes.stands
    return panel_rows.Nodes(
        **{name: getattr(nodes.table, name) for name in panel_rows.OF_TABLE},
        segment=nodes.people.segment,
        present=nodes.present,
        release=release,
        channel=channel,
        reach=view.node_reach,
    )


def seen_by(view: MonthView, group: Adopters) -> panel_rows.Seen:
    """Return the month as a family sees it."""
    releases, rules = view.releases, view.rules[group.number]
    return panel_rows.Seen(
        **{name: getattr(view, name) for name in panel_rows.OF_VIEW},
        lab=releases.lab,
        line=releases.line,
        is_open=releases.is_open,
        degree=releases.degree,
        appeal=view.appeal[group.number],
        exposed=EXPOSED,
        ban_level=choice.BAN_LEVEL,
        bonus=rules.dissimilarity * choice.LOG_CHANNELS,
        relief=float(view.relief),
        staff_cost=float(group.staff_cost),
        without_ai_cost=float(group.without_ai_cost),
        switching_cost=float(group.switching_cost),
        upgrade_cost=float(group.upgrade_cost),
        adoption_cost=float(group.adoption_cost),
        discount=float(rules.multi_home_discount),
        width=float(rules.success_width),
        device_limit=float(rules.device_limit),
    )


def prices_month(market: Market, costs: offering.Costs) -> PriceMonth:
    """Return this month's list prices, replayed ones or those of each lab's rule, with their standing (eq. 68)."""
    posted = market.releases.posted
    if market.replaying:
        return PriceMonth(posted, posted)
    problem = price_problem(market, costs)
    return _posted(market, costs, problem, _by_rule(market, costs, problem))


def _by_rule(market: Market, costs: offering.Costs, problem: PriceProblem) -> Floats:
    """Return the target of every release under its lab's rule; under `bertrand` and `hold` the price it has."""
    table, labs, offers = market.releases, market.labs, problem.offers
    value = labs.adoption_value[table.lab]

    def matching() -> Floats:
        capability = np.full(len(table.names), np.inf)
        listed = offers.channel == LAB_API
        capability[offers.release[listed]] = offers.capability[listed]
        return pricing.matching_price(
            table.posted,
            costs.marginal,
            capability,
            problem.host_list[problem.hosted],
            offering.perceived(market)[problem.hosted],
            slack=market.parameters["pricing.match_points"],
        )

    targets = {
        "cost_plus": lambda: pricing.cost_plus_price(costs.marginal, table.price_over_cost, value),
        "penetration": lambda: pricing.penetration_price(costs.marginal, value),
        "match_open": matching,
    }
    target = table.posted.copy()
    for name, prices in targets.items():
        follows = np.array([rule == name for rule in labs.price_rule])[table.lab]
        if follows.any():
            target[follows] = prices()[follows]
    return target


def _posted(market: Market, costs: offering.Costs, problem: PriceProblem, target: Floats) -> PriceMonth:
    table, offers, labs = market.releases, problem.offers, market.labs
    fresh = table.month == market.month
    adjustment = market.parameters["pricing.adjustment"]
    full_price = governments.discounts(market.policy, market.month, labs) == 0.0  # a list price stays meanwhile
    solves = np.array([rule == "bertrand" for rule in labs.price_rule]) & full_price
    free = solves[offers.lab] & problem.panel.priced
    if not free.any():
        return PriceMonth(pricing.next_posted(table.posted, target, fresh, adjustment), table.wanted)
    cost, value = costs.marginal[offers.release], labs.adoption_value[offers.lab]
    by_rule = pricing.next_posted(table.posted, target, fresh, adjustment)
    cheaper = supply.cost_index(market, market.month) / supply.cost_index(market, market.month - 1)
    start = np.where(free, cheaper * table.wanted[offers.release], by_rule[offers.release])
    start = np.where(problem.panel.priced, start, 0.0)
    searches = (market.month - market.settings.history_until) % SEARCH_MONTHS == 1
    find = partial(solve_prices, problem.panel, offers.lab, cost, value, free=free)
    found = find(start, solver=EXACT if searches else ROUGH)
    newest = free & fresh[offers.release]
    if not searches and newest.any() and found.conditions.gains(found.prices, newest, SEARCH).max() > SUSPECT:
        searches, found = True, find(found.prices, solver=EXACT)
    solved = offers.release[free]
    wanted = table.wanted.copy()
    wanted[solved] = np.minimum(found.prices[free], DEAREST)
    target = target.copy()
    target[solved] = wanted[solved] * exp(wedge_left(market) * table.wedge[solved])
    posted = pricing.next_posted(table.posted, target, fresh, adjustment)
    status = NOT_CHECKED if found.status == LOCAL_ONLY else found.status
    if not searches:
        return PriceMonth(posted, wanted, status)
    now = np.where(problem.panel.priced, posted[offers.release], 0.0)
    gain, at_posted = (float(found.conditions.gains(at, free, SEARCH).max()) for at in (found.prices, now))
    if status == NOT_CHECKED:
        status = LOCAL_ONLY if gain > GAIN else NASH
    return PriceMonth(posted, wanted, status, gain, at_posted)


def wedge_left(market: Market) -> float:
    """Return the part of the hand-over's wedge that is left this month (eq. 69)."""
    months = market.month - market.settings.history_until
    return 0.5 ** (months / market.parameters["pricing.wedge_half_life"])


def hand_over_prices(market: Market, costs: offering.Costs) -> HandOverPrices:
    """Return what the price rules attach to, so that no price jumps (eq. 69).

    A release that nobody can buy at the hand-over has no wedge.
    """
    problem = price_problem(market, costs)
    offers, table = problem.offers, market.releases
    free = problem.panel.priced
    value = np.zeros(len(offers))
    find = partial(solve_prices, problem.panel, offers.lab, costs.marginal[offers.release], value, problem.listed)
    found = find(solver=EXACT)
    if found.status == NOT_CONVERGED:
        found = find(solver=ELSEWHERE)
    wanted, wedge = table.posted.copy(), np.zeros(len(table.names))
    positive = free & (found.prices > 0.0)
    wanted[offers.release[free]] = found.prices[free]
    wedge[offers.release[positive]] = log(problem.listed[positive] / found.prices[positive])
    status = found.status if found.status == NOT_CONVERGED else ""
    return HandOverPrices(wanted, wedge, table.posted / costs.marginal, status)
