"""Readable twins of the compiled choices: the stages in NumPy on one row of `Choosers` each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from sim import rng
from sim.market.adopters import Adopters, MonthView, Stand
from sim.market.market import Market
from sim.market.stages import choice
from sim.market.tables import LAB_API, NONE, Bools, Floats, Ints, OfferTable, WorkloadTable


def who_looks(market: Market, group: Adopters, view: MonthView) -> tuple[Ints, Bools]:
    """Return the rows of a family that look again, and which look only at their own vendor's offers (eq. 48, 49)."""
    table, usage = market.workloads, market.usage
    rows = np.arange(group.rows.start, group.rows.stop)
    rows = rows[table.arrival[rows] <= view.month]
    house, release, channel = table.organisation[rows], usage.release[rows], usage.channel[rows]
    uses = release != NONE
    hazard = choice.review_hazard(group.review_hazard, leap=view.leap, bump=group.review_bump)
    reviews = rng.uniform(rng.stream_key(view.seed, "review", view.month), house) < hazard
    outdated = uses & ~view.newest[release, channel]
    u = rng.uniform(rng.stream_key(view.seed, "upgrade", view.month), house)
    upgrades = outdated & (u < group.upgrade_hazards(release, view))
    off = uses & ~view.runs[release, channel]
    vendor = view.releases.lab[release]
    barred = uses & (view.reach[rows, view.lab_bloc[vendor]] >= choice.BAN_LEVEL[channel])
    new = ~uses & (table.arrival[rows] == view.month)
    at_home = (upgrades | off) & ~reviews & ~barred & np.isin(vendor, view.offers.lab)
    looks = new | reviews | upgrades | off | barred
    return rows[looks], at_home[looks]


def in_organisation(view: MonthView, table: WorkloadTable, rows: Ints) -> Floats:
    """Return 1 where the organisation of a row uses a lab, shape (rows, labs)."""
    return view.used[table.organisation[rows], : len(view.lab_bloc)].astype(float)


def stand(market: Market, rows: Ints, view: MonthView) -> Stand:
    """Return where some workloads stand."""
    usage = market.usage
    used = in_organisation(view, market.workloads, rows)
    return Stand(usage.release[rows].astype(np.int64), usage.channel[rows].astype(np.int64), used, view.reach[rows])


def newest_alone(view: MonthView) -> MonthView:
    """Return a month in which no older open weights are on sale beside the newest."""
    offers, offered = view.offers.newest, np.zeros_like(view.offered)
    offered[offers.release, offers.channel] = True
    rules = tuple(of_newest(one, view.offers) for one in view.rules)
    return replace(view, offers=offers, offered=offered, rules=rules)


def of_newest(rules: choice.ChoiceRules, offers: OfferTable) -> choice.ChoiceRules:
    """Return the rules of the newest version of every option."""
    by_offer = {name: array for name, array in vars(rules).items() if isinstance(array, np.ndarray)}
    return replace(rules, **{name: array[..., : len(offers.newest)] for name, array in by_offer.items()})


def options(group: Adopters, who: choice.Choosers, view: MonthView) -> tuple[Floats, Ints, Floats, Floats]:
    """Return the probabilities of options, keep and outside, each option's best version, the logsum, and the utility of
    doing without (eqs. 59, 97)."""
    rules = view.rules[group.number]
    utility, version = choice.best_versions(choice.offer_utilities(who, view.offers, rules), view.offers.option)
    keep = choice.kept_in_line(who, view.offers, rules, utility, version, choice.keep_utilities(who, rules))
    alone = choice.outside_utilities(who)
    stuck = np.maximum(utility.max(axis=1), keep) == -np.inf
    probability, logsum = choice.choice_probabilities(
        utility,
        keep,
        np.where(who.at_home & ~stuck, -np.inf, alone),
        first_of_line=view.offers.first_of_line,
        dissimilarity=rules.dissimilarity,
    )
    return probability, version, logsum, alone


def choose(market: Market, group: Adopters, view: MonthView) -> dict[str, Any]:
    """Return what a family uses after its choices (eq. 62), and the workloads that look at each lab."""
    rows, at_home = who_looks(market, group, view)
    who = group.choosers(rows, at_home, market.workloads, stand(market, rows, view), view)
    probability, version, logsum, alone = options(group, who, view)
    u = rng.uniform(rng.stream_key(view.seed, "choice", view.month), rows)
    option, offers = choice.draw_option(probability, u), view.offers
    count = version.shape[1]
    inside = version[np.arange(len(rows)), np.minimum(option, count - 1)]
    stays, without = (option == count) | ((option < count) & (inside == NONE)), option == count + 1
    release, channel = market.usage.release.astype(np.int64), market.usage.channel.astype(np.int64)
    release[rows] = np.where(stays, who.release, np.where(without, NONE, offers.release[inside]))
    channel[rows] = np.where(stays, who.channel, np.where(without, LAB_API, offers.channel[inside]))
    everybody = np.arange(group.rows.start, group.rows.stop)
    gain, tastes, pain = over_none(market, group, everybody, release[everybody], channel[everybody], view)
    held, surplus = market.usage.held.astype(float), market.usage.surplus.copy()
    held[rows] = logsum - alone - (gain - tastes)[rows - group.rows.start]
    alpha = market.workloads.price_sensitivity[everybody]
    surplus[everybody] = choice.surplus(gain, held[everybody] - tastes, price_sensitivity=alpha, pain=pain)
    looked = (who.knows * market.workloads.weight[rows, None]).sum(axis=0)
    found = {"release": release, "channel": channel, "held": held, "surplus": surplus}
    return found | {"looked": looked, "rows": rows, "who": who, "everybody": everybody, "scale": pain / alpha}


def over_none(
    market: Market, group: Adopters, rows: Ints, release: Ints, channel: Ints, view: MonthView
) -> tuple[Floats, Floats, Floats]:
    """Return the utility of what is used over doing without, the tastes in it that stay, and pain, shapes (rows,)."""
    table, usage = market.workloads, release != NONE
    stand_ = Stand(release, channel, in_organisation(view, table, rows), view.reach[rows])
    who = group.choosers(rows, np.zeros(len(rows), bool), table, stand_, view)
    price, _, _ = group.in_use(rows, table, stand_, view)
    utility = choice.keep_utilities(replace(who, keep_price=price), view.rules[group.number])
    bloc = view.lab_bloc[who.lab]
    tastes = table.taste_line[rows, view.releases.line[release]] + table.taste_origin[rows, bloc]
    tastes += view.home_fit[who.bloc, bloc]
    return np.where(usage, utility - choice.outside_utilities(who), 0.0), np.where(usage, tastes, 0.0), who.pain
