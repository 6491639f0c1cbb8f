"""Developers and Enterprises: the adopter groups, Mesa agents that own rows of the workload table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mesa
import numpy as np
from numpy.typing import NDArray

from sim.market import choosing
from sim.market.kernels.choice import choose
from sim.market.kernels.elementary import log1p
from sim.market.kernels.month import People
from sim.market.kernels.room import scratch
from sim.market.kernels.uses import uses
from sim.market.parts import at_once, pieces
from sim.market.stages import choice
from sim.market.stages.hosting import own_price
from sim.market.tables import (
    NONE,
    SELF_HOST,
    Bools,
    Floats,
    Ints,
    LineTable,
    OfferTable,
    ReleaseTable,
    UsageTable,
    WorkloadTable,
)
from sim.scenario.schema import BLOCS

if TYPE_CHECKING:
    from sim.market.mean_field import MeanField

CN = BLOCS.index("CN")
FAMILIES = ("developer", "enterprise")


@dataclass(frozen=True)
class MonthView:
    """What adopters see when they choose; all of it is last month's state or this month's earlier stages."""

    month: int
    seed: int  # of the population
    option_noise: bool  # every option has noise of its own; else a row draws one number
    offers: OfferTable
    rules: tuple[choice.ChoiceRules, ...]  # (families,)
    releases: ReleaseTable
    lines: LineTable
    offered: Bools  # (releases, channels)
    newest: Bools  # (releases, channels) on offer as the line's newest
    place: Ints  # (releases, channels) option of which it is a version to who uses it, NONE if of none
    capability: Floats  # (releases,) as perceived now, ECI points
    runs: Bools  # (releases, channels) can still be used by who uses it
    price: Floats  # (channels, classes, releases) USD/Mtok; own machines at their highest utilisation
    cluster: Floats  # (channels, releases) a workload's part of the smallest own cluster, USD/month
    channel_control: Floats  # (channels,) part of the control value kept
    channel_exposure: Floats  # (channels,) part of the distrust raised
    lab_bloc: Ints  # (labs,)
    appeal: Floats  # (families, releases, channels) utils: liking, ecosystem, less latency and lost trust
    strength: Floats  # (labs, classes)
    home_fit: Floats  # (blocs, blocs) utils, by the user's and the lab's bloc
    sold: Bools  # (blocs, blocs, channels) by the user's and the lab's bloc
    consideration: Floats  # (segments, labs)
    used: NDArray[np.uint8]  # (organisations, labs and more, to a multiple of eight), none under mean-field
    used_elsewhere: Floats  # (segments, labs) chance that a workload's organisation uses the lab for another one
    need: Floats  # (classes,) this month's need over that of the table
    pain: Floats  # (classes,) this month's pain over that of the table
    rise: Floats  # (classes,) of the difficulty, ECI points
    relief: float  # part of the distrust that is left
    reach: NDArray[np.int8]  # (workloads, blocs) how far a ban on models of the bloc reaches
    node_reach: NDArray[np.int8]  # (nodes, blocs)
    node_present: Floats  # (nodes,) part of the node that is in the market
    leap: float  # size of the month's largest leap, 0..1


@dataclass(frozen=True)
class Stand:
    """Where some workloads stand before they look again; shapes (rows,) unless said."""

    release: Ints  # NONE: does without
    channel: Ints
    used_here: Floats  # (rows, labs) chance that the organisation uses the lab for another workload
    reach: NDArray[np.int8]  # (rows, blocs) how far a ban on models of the bloc reaches


class Adopters(mesa.Agent):
    """A family of organisations with one rule and different tastes.

    Parameters
    ----------
    model : Market
        The market.
    rows, nodes : slice
        Rows of the table of workloads and of that of taste nodes that belong to the family.
    parameters : mapping
        Drawn parameters of the scenario.
    """

    family: str

    def __init__(self, model: mesa.Model, rows: slice, nodes: slice, parameters: Mapping[str, Any]):
        super().__init__(model)
        self.rows, self.nodes = rows, nodes
        own = f"demand.{self.family}."
        self.number = FAMILIES.index(self.family)
        self.switching_cost: float = parameters[own + "switching_cost"]
        self.upgrade_cost: float = parameters[own + "upgrade_cost"]
        self.adoption_cost: float = parameters[own + "adoption_cost"]
        self.review_hazard: float = parameters[own + "review_hazard"]
        self.staff_cost: float = parameters[own + "staff_cost"]
        self.without_ai_cost: float = parameters[own + "without_ai_cost"]
        self.upgrade_hazard: float = parameters["demand.upgrade_hazard"]
        self.upgrade_hazard_leap: float = parameters["demand.upgrade_hazard_leap"]
        self.leap_points: float = parameters["demand.leap_points"]
        self.review_bump: float = parameters["demand.review_bump"]

    def nodes_present(self, nodes: MeanField) -> Ints:
        """Return the family's taste nodes in the market, which stand for all when prices are set (eq. 63)."""
        return self.nodes.start + np.flatnonzero(nodes.present[self.nodes] > 0.0)

    def choose(
        self,
        people: People,
        usage: UsageTable,
        view: MonthView,
        seen: choosing.Seen | None = None,
        threads: int = 1,
    ) -> Floats:
        """Let the family's workloads choose (eq. 62); write what all of them use, and what they have of it this month.

        Returns
        -------
        array, shape (lines,)
            Workloads in the world that looked at each line's open weights (eq. 77).
        """
        work = self.choices(people, usage, view, choosing.seen(view, [self])[0] if seen is None else seen)
        return looked_at(at_once(work, threads), view)

    def choices(
        self, people: People, usage: UsageTable, view: MonthView, seen: choosing.Seen, counts: bool = True
    ) -> list[Callable[[], Floats]]:
        """Return the work of `choose` in parts, each of which returns the workloads that looked at each lab.

        Parameters
        ----------
        counts : bool
            Whether they are counted: shape (labs,), else (0,).
        """
        offered, standing, rules = seen
        labs = len(view.lab_bloc)

        def look(rows: slice) -> Floats:
            looked = np.zeros(labs if counts else 0)
            choose(
                rows.start,
                rows.stop,
                people,
                usage.release,
                usage.channel,
                usage.held,
                usage.surplus,
                view.used,
                view.reach,
                offered,
                standing,
                rules,
                uses(standing),
                scratch(people.traits.shape[1], labs, len(offered.line), len(offered.nest), len(offered.release)),
                looked,
            )
            return looked

        return pieces(look, self.rows)

    def upgrade_hazards(self, release: Ints, view: MonthView) -> Floats:
        """Return the hazard of looking at a vendor's newer release this month (eq. 49), shape of `release`."""
        newest = view.lines.current[view.releases.line[release]]
        fresh = (newest != NONE) & (view.releases.month[newest] == view.month)
        step = np.where(fresh, view.releases.capability[newest] - view.releases.capability[release], 0.0)
        return choice.upgrade_hazard(
            step, usual=self.upgrade_hazard, leap=self.upgrade_hazard_leap, leap_points=self.leap_points
        )

    def choosers(
        self, rows: Ints, at_home: Bools, table: WorkloadTable, stand: Stand, view: MonthView
    ) -> choice.Choosers:
        """Return what a choice needs to know of some rows; `at_home` rows look at their own vendor's offers alone."""
        uses = stand.release != NONE
        lab = np.where(uses, view.releases.lab[stand.release], NONE)
        segment = table.group[rows] * len(BLOCS) + table.bloc[rows]
        price, keep_capability, keep_fixed = self.in_use(rows, table, stand, view)
        return choice.Choosers(
            kind=table.kind[rows],
            bloc=table.bloc[rows],
            need=table.need[rows] * view.need[table.kind[rows]],
            pain=table.pain[rows] * view.pain[table.kind[rows]],
            price_sensitivity=table.price_sensitivity[rows],
            value=table.value[rows],
            difficulty=table.difficulty[rows] + view.rise[table.kind[rows]],
            control_value=table.control_value[rows],
            distrust=table.distrust[rows] * view.relief,
            barred=stand.reach,
            staff_cost=np.full(len(rows), self.staff_cost),
            taste_line=table.taste_line[rows],
            taste_open=table.taste_open[rows],
            taste_origin=table.taste_origin[rows],
            knows=table.attention[rows] < view.consideration[segment],
            used_here=stand.used_here,
            release=stand.release,
            channel=stand.channel,
            lab=lab,
            at_home=at_home,
            switching_cost=np.full(len(rows), self.switching_cost),
            upgrade_cost=np.full(len(rows), self.upgrade_cost),
            adoption_cost=np.full(len(rows), self.adoption_cost),
            without_ai_cost=np.full(len(rows), self.without_ai_cost),
            keep_option=np.where(uses, view.place[stand.release, stand.channel], NONE),
            keep_price=np.where(self._keeps(stand, view), price, np.nan),
            keep_capability=keep_capability,
            keep_fixed=keep_fixed,
        )

    def in_use(self, rows: Ints, table: WorkloadTable, stand: Stand, view: MonthView) -> tuple[Floats, Floats, Floats]:
        """Return price, capability and fixed utility of what is in use, on offer or not, shapes (rows,) (eq. 57)."""
        release, channel = stand.release, stand.channel
        kind, bloc = table.kind[rows], table.bloc[rows]
        lab, line = view.releases.lab[release], view.releases.line[release]
        need, pain = table.need[rows] * view.need[kind], table.pain[rows] * view.pain[kind]
        price = paid_price(view.price, view.cluster, channel, kind, release, need)
        chinese = view.lab_bloc[lab] == CN
        fixed = table.control_value[rows] * view.releases.degree[release] * view.channel_control[channel]
        fixed -= table.distrust[rows] * view.relief * view.channel_exposure[channel] * chinese
        fixed += view.home_fit[bloc, view.lab_bloc[lab]] + view.appeal[self.number, release, channel]
        fixed += table.taste_line[rows, line] + table.taste_origin[rows, view.lab_bloc[lab]]
        fixed += table.taste_open[rows] * view.releases.is_open[release]
        staff = table.price_sensitivity[rows] * log1p(self.staff_cost / pain)
        fixed -= staff * (channel == SELF_HOST)
        return price, view.capability[release] + view.strength[lab, kind], fixed

    @staticmethod
    def _keeps(stand: Stand, view: MonthView) -> Bools:
        """Return who may stay with what is on offer no more, shape (rows,)."""
        release, channel = stand.release, stand.channel
        barred = stand.reach[np.arange(len(release)), view.lab_bloc[view.releases.lab[release]]]
        stale = ~view.offered[release, channel] & view.runs[release, channel]
        return (release != NONE) & stale & (barred < choice.BAN_LEVEL[channel])


class Developers(Adopters):
    """Independent developers and startups: they look around often and feel the bill early."""

    family = "developer"


class Enterprises(Adopters):
    """Ordinary, regulated and public organisations: slow, sticky, wary of Chinese models."""

    family = "enterprise"


def looked_at(looked: list[Floats], view: MonthView) -> Floats:
    """Return the workloads that looked at each line's open weights, (lines,), of parts by lab, (labs,)."""
    return np.where(view.lines.current_open != NONE, np.sum(looked, axis=0)[view.lines.lab], 0.0)


def paid_price(price: Floats, cluster: Floats, channel: Ints, kind: Ints, release: Ints, need: Floats) -> Floats:
    """Return what each row pays for a release on a channel [USD/Mtok], shape (rows,)."""
    listed = price[channel, kind, release]
    return np.where(channel == SELF_HOST, own_price(listed, cluster[channel, release], need), listed)
