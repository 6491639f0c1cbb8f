"""A market that stands at the choices of a month, and what its compiled choices make of it."""

from __future__ import annotations

import copy
from dataclasses import dataclass

from sim.market import choosing
from sim.market.adopters import MonthView, looked_at
from sim.market.market import Market
from sim.market.parts import at_once
from sim.market.tables import Floats, UsageTable
from sim.months import parse_month
from sim.scenario.load import load_scenario

MONTH = "2026-06"  # half a year after the history


class _Standing(Exception):
    """The market stands where it should."""


@dataclass(frozen=True)
class Moment:
    """A market at its choices.

    `start` is the market at the start of the month. `usage` of `market` is what was used last month, and what choices
    start from.
    """

    start: Market
    market: Market
    view: MonthView

    @property
    def families(self):
        """Each family of adopters with the month as it sees it."""
        groups = self.market.adopters
        return list(zip(groups, choosing.seen(self.view, groups), strict=True))

    @property
    def options(self) -> int:
        """Options of a workload: the offers, each a version, staying, and doing without."""
        return len(self.view.offers) + 2


@dataclass(frozen=True)
class Outcome:
    """What choices came to: shapes (workloads,) of what is used, (labs or lines,) of who looked."""

    usage: UsageTable
    looked: Floats


def twin_of(market: Market) -> Market:
    """Return a copy that goes its own way; who people are is shared."""
    shared = (market.workloads, market.people, market.settings, *market.nodes.fixed)
    return copy.deepcopy(market, {id(one): one for one in shared})


def at_choice(market: Market) -> Moment:
    """Return a market that has come as far as its choices, beside the market at the start of the month."""
    seen = []

    def stop(view: MonthView) -> None:
        seen.append(view)
        raise _Standing

    standing = twin_of(market)
    standing._choose = stop
    try:
        standing.step()
    except _Standing:
        del standing._choose
    return Moment(market, standing, seen[0])


def moment(workloads: int, month: str = MONTH, **settings: int) -> Moment:
    """Return the baseline at the choices of a month."""
    market = Market(load_scenario("baseline", workloads=workloads, runs=1, **settings))
    while market.month < parse_month(month):
        market.step()
    return at_choice(market)


def before(now: Moment) -> UsageTable:
    """Return a copy of what is used before the choices."""
    return copy.deepcopy(now.market.usage)


def choose(now: Moment, usage: UsageTable, threads: int = 1) -> Outcome:
    """Let everybody choose with the compiled stage; the tables of the month are made on the way, as in a run."""
    people, view = now.market.people, now.view
    parts = [part for group, seen in now.families for part in group.choices(people, usage, view, seen)]
    return Outcome(usage, looked_at(at_once(parts, threads), view))
