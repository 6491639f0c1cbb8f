"""Developers and Enterprises: the adopter groups, Mesa agents that own rows of the workload table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mesa
import numpy as np
from numpy.typing import NDArray

from sim import rng
from sim.market.stages import choice
from sim.market.stages.accounts import totals
from sim.market.stages.hosting import own_price
from sim.market.tables import (
    LAB_API,
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

CN = BLOCS.index("CN")
PANEL_ROWS = 600  # workloads, present or to come, that stand for all when prices are set
FAMILIES = ("developer", "enterprise")


@dataclass(frozen=True)
class MonthView:
    """What adopters see when they choose; all of it is last month's state or this month's earlier stages."""

    month: int
    seed: int  # of the population
    offers: OfferTable
    rules: tuple[choice.ChoiceRules, ...]  # (families,)
    releases: ReleaseTable
    lines: LineTable
    offered: Bools  # (releases, channels)
    capability: Floats  # (releases,) as perceived now, ECI points
    runs: Bools  # (releases, channels) can still be used by who uses it
    price: Floats  # (channels, classes, releases) USD/Mtok; own machines at their highest utilisation
    cluster: Floats  # (channels, releases) a workload's part of the smallest own cluster, USD/month
    channel_control: Floats  # (channels,) part of the control value kept
    channel_exposure: Floats  # (channels,) part of the distrust raised
    lab_bloc: Ints  # (labs,)
    appeal: Floats  # (families, releases, channels) utils: liking, ecosystem, less latency and lost trust
    strength: Floats  # (labs, classes)
    home_fit: Floats  # (blocs, labs)
    consideration: Floats  # (segments, labs)
    used: Bools  # (organisations, labs)
    need: Floats  # (workloads,) Mtok/month
    pain: Floats  # (workloads,) USD/month
    difficulty: Floats  # (workloads,) ECI points
    distrust: Floats  # (workloads,) utils
    barred: NDArray[np.int8]  # (workloads, blocs) how far a ban on models of the bloc reaches
    leap: float  # size of the month's largest leap, 0..1


@dataclass(frozen=True)
class Choices:
    """What a group of workloads chose; shapes (rows,)."""

    rows: Ints
    release: Ints
    channel: Ints
    surplus: Floats  # USD/month
    evaluations: Floats  # (lines,) workloads in the world that looked at each line's open weights


class Adopters(mesa.Agent):
    """A family of organisations with one rule and different tastes.

    Parameters
    ----------
    model : Market
        The market.
    rows : slice
        Rows of the workload table that belong to the family.
    parameters : mapping
        Drawn parameters of the scenario.
    """

    family: str

    def __init__(self, model: mesa.Model, rows: slice, parameters: Mapping[str, Any]):
        super().__init__(model)
        self.rows = rows
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

    def panel_rows(self, table: WorkloadTable, month: int) -> Ints:
        """Return the rows that stand for the family when prices are set (eq. 63): every n-th one in the market."""
        rows = np.arange(self.rows.start, self.rows.stop, max(1, len(table) // PANEL_ROWS))
        return rows[table.arrival[rows] <= month]

    def choose(self, table: WorkloadTable, usage: UsageTable, view: MonthView) -> Choices:
        """Return what the family's workloads choose this month (eq. 62); who does not look again keeps what it uses."""
        rows, at_home = self._who_looks(table, usage, view)
        release = np.empty(len(rows), np.int64)
        channel = np.empty(len(rows), np.int64)
        surplus = np.empty(len(rows))
        knows = np.empty((len(rows), len(view.lab_bloc)), bool)
        u = rng.uniform(rng.stream_key(view.seed, "choice", view.month), rows)
        for first in range(0, len(rows), choice.BLOCK):
            part = slice(first, first + choice.BLOCK)
            who = self.choosers(rows[part], at_home[part], table, usage, view)
            release[part], channel[part], surplus[part] = _decide(who, u[part], view, view.rules[self.number])
            knows[part] = who.knows
        return Choices(rows, release, channel, surplus, _open_evaluations(knows, table.weight[rows], view))

    def _who_looks(self, table: WorkloadTable, usage: UsageTable, view: MonthView) -> tuple[Ints, Bools]:
        """Return the rows that look again and which of them look only at their own vendor's offers (eq. 48).

        Clocks run per organisation: all its workloads review in the same month. A workload that has just arrived,
        whose release has been switched off or who may no longer use it, looks again in any case.
        """
        rows = np.arange(self.rows.start, self.rows.stop)
        rows = rows[usage.present[rows]]
        house = table.organisation[rows]
        release = usage.release[rows]
        uses = release != NONE
        new = ~uses & (table.arrival[rows] == view.month)
        switched_off = uses & ~view.runs[release, usage.channel[rows]]
        outdated = uses & ~view.offered[release, usage.channel[rows]]
        reviews = choice.looks_again(
            rng.uniform(rng.stream_key(view.seed, "review", view.month), house),
            hazard=np.full(len(rows), self.review_hazard),
            leap=view.leap,
            bump=self.review_bump,
        )
        upgrades = outdated & (
            rng.uniform(rng.stream_key(view.seed, "upgrade", view.month), house) < self._upgrade_hazard(release, view)
        )
        vendor = view.releases.lab[release]
        barred = uses & (view.barred[rows, view.lab_bloc[vendor]] >= choice.BAN_LEVEL[usage.channel[rows]])
        looks = new | reviews | upgrades | switched_off | barred
        has_offers = np.isin(vendor, view.offers.lab)
        at_home = (upgrades | switched_off) & ~reviews & ~barred & has_offers
        return rows[looks], at_home[looks]

    def _upgrade_hazard(self, release: Ints, view: MonthView) -> Floats:
        """Return each row's hazard of looking at its vendor's newer release this month (eq. 49), shape (rows,)."""
        newest = view.lines.current[view.releases.line[release]]
        fresh = (newest != NONE) & (view.releases.month[newest] == view.month)
        step = np.where(fresh, view.releases.capability[newest] - view.releases.capability[release], 0.0)
        return choice.upgrade_hazard(
            step, usual=self.upgrade_hazard, leap=self.upgrade_hazard_leap, leap_points=self.leap_points
        )

    def choosers(
        self, rows: Ints, at_home: Bools, table: WorkloadTable, usage: UsageTable, view: MonthView
    ) -> choice.Choosers:
        """Return what a choice needs to know of some rows; `at_home` rows look at their own vendor's offers alone."""
        release, channel = usage.release[rows], usage.channel[rows]
        uses = release != NONE
        lab = np.where(uses, view.releases.lab[release], NONE)
        segment = table.group[rows] * len(BLOCS) + table.bloc[rows]
        keep_price, keep_capability, keep_fixed = self._keep(rows, uses, table, usage, view)
        return choice.Choosers(
            kind=table.kind[rows],
            bloc=table.bloc[rows],
            need=view.need[rows],
            pain=view.pain[rows],
            price_sensitivity=table.price_sensitivity[rows],
            value=table.value[rows],
            difficulty=view.difficulty[rows],
            control_value=table.control_value[rows],
            distrust=view.distrust[rows],
            barred=view.barred[rows],
            staff_cost=np.full(len(rows), self.staff_cost),
            taste_line=table.taste_line[rows],
            taste_open=table.taste_open[rows],
            taste_origin=table.taste_origin[rows],
            knows=table.attention[rows] < view.consideration[segment],
            used_here=view.used[table.organisation[rows]],
            release=release,
            channel=channel,
            lab=lab,
            at_home=at_home,
            switching_cost=np.full(len(rows), self.switching_cost),
            upgrade_cost=np.full(len(rows), self.upgrade_cost),
            adoption_cost=np.full(len(rows), self.adoption_cost),
            without_ai_cost=np.full(len(rows), self.without_ai_cost),
            keep_price=keep_price,
            keep_capability=keep_capability,
            keep_fixed=keep_fixed,
        )

    def _keep(
        self, rows: Ints, uses: Bools, table: WorkloadTable, usage: UsageTable, view: MonthView
    ) -> tuple[Floats, Floats, Floats]:
        """Return price, NaN where there is nothing to keep, capability and fixed utility of what is in use (eq. 57)."""
        release, channel = usage.release[rows], usage.channel[rows]
        kind, bloc = table.kind[rows], table.bloc[rows]
        keeps = uses & ~view.offered[release, channel] & view.runs[release, channel]
        lab, line = view.releases.lab[release], view.releases.line[release]
        price = paid_price(view.price, view.cluster, channel, kind, release, view.need[rows])
        chinese = view.lab_bloc[lab] == CN
        fixed = table.control_value[rows] * view.releases.degree[release] * view.channel_control[channel]
        fixed -= view.distrust[rows] * view.channel_exposure[channel] * chinese
        fixed += view.home_fit[bloc, lab] + view.appeal[self.number, release, channel]
        fixed += table.taste_line[rows, line] + table.taste_origin[rows, view.lab_bloc[lab]]
        fixed += table.taste_open[rows] * view.releases.is_open[release]
        staff = table.price_sensitivity[rows] * np.log1p(self.staff_cost / view.pain[rows])
        fixed -= staff * (channel == SELF_HOST)
        barred = view.barred[rows, view.lab_bloc[lab]] >= choice.BAN_LEVEL[channel]
        capability = view.capability[release] + view.strength[lab, kind]
        return np.where(keeps & ~barred, price, np.nan), capability, fixed


class Developers(Adopters):
    """Independent developers and startups: they look around often and feel the bill early."""

    family = "developer"


class Enterprises(Adopters):
    """Ordinary, regulated and public organisations: slow, sticky, wary of Chinese models."""

    family = "enterprise"


def paid_price(price: Floats, cluster: Floats, channel: Ints, kind: Ints, release: Ints, need: Floats) -> Floats:
    """Return what each row pays for a release on a channel [USD/Mtok], shape (rows,)."""
    listed = price[channel, kind, release]
    return np.where(channel == SELF_HOST, own_price(listed, cluster[channel, release], need), listed)


def _decide(who: choice.Choosers, u: Floats, view: MonthView, rules: choice.ChoiceRules) -> tuple[Ints, Ints, Floats]:
    """Return chosen release, channel and surplus over doing without [USD/month] (eq. 62)."""
    offers = view.offers
    utility = choice.offer_utilities(who, offers, rules)
    keep = choice.keep_utilities(who, rules)
    without_model = choice.outside_utilities(who)
    # An upgrade looks at the vendor's offers alone; where none is left to choose, doing without is.
    stuck = np.maximum(utility.max(axis=1), keep) == -np.inf
    outside = np.where(who.at_home & ~stuck, -np.inf, without_model)
    probability, logsum = choice.choice_probabilities(
        utility,
        keep,
        outside,
        first_of_line=offers.first_of_line,
        dissimilarity=rules.dissimilarity,
    )
    option = choice.draw_option(probability, u)
    stays, without = option == len(offers), option == len(offers) + 1
    inside = np.minimum(option, len(offers) - 1)
    release = np.where(stays, who.release, np.where(without, NONE, offers.release[inside]))
    channel = np.where(stays, who.channel, np.where(without, LAB_API, offers.channel[inside]))
    return release, channel, who.pain / who.price_sensitivity * (logsum - without_model)


def _open_evaluations(knows: Bools, weight: Floats, view: MonthView) -> Floats:
    """Return the workloads that looked at each line's open weights, (lines,), added in the order of rows (eq. 77)."""
    row, lab = np.nonzero(knows)
    by_lab = totals(lab, weight[row], knows.shape[1])
    return np.where(view.lines.current_open != NONE, by_lab[view.lines.lab], 0.0)
