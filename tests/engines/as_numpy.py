"""Choices in NumPy: as a textbook has them, and as fast as we could make them without compiling."""

from __future__ import annotations

from typing import Any

import numpy as np

from sim import rng
from sim.market.choosing import Seen
from sim.market.kernels.month import (
    ALPHA,
    BLOCS,
    CHANNELS,
    CN,
    CONTROL,
    DIFFICULTY,
    DISTRUST,
    FIXED,
    INVERSE_PAIN,
    KINDS,
    NEED,
    OPEN,
    ORIGIN,
    VALUE,
)  # fmt: skip
from sim.market.stages import choice
from sim.market.tables import LAB_API, NONE, SELF_HOST, Bools, Floats, Ints, UsageTable
from tests.market.kernels import numpy_choice

from .moment import Moment, Outcome

CHUNKS = (128, 256, 512, 1024, 2048, 4096)
SINGLE = np.float32


def by_the_book(now: Moment, usage: UsageTable) -> Outcome:
    """Let everybody choose in whole matrices of all workloads by all offers, double precision, by inverse CDF."""
    market, view = now.market, now.view
    looked = np.zeros(len(view.lab_bloc))
    for group in market.adopters:
        looks, home = numpy_choice.who_looks(market, group, view)
        rows = np.arange(group.rows.start, group.rows.stop)
        at_home, found = np.zeros(len(rows), bool), np.zeros(len(rows), bool)
        found[looks - group.rows.start], at_home[looks - group.rows.start] = True, home
        who = group.choosers(rows, at_home, market.workloads, numpy_choice.stand(market, rows, view), view)
        probability, version, logsum, alone = numpy_choice.options(group, who, view)
        option = choice.draw_option(probability, rng.uniform(rng.stream_key(view.seed, "choice", view.month), rows))
        offers = view.offers
        count = version.shape[1]
        inside = version[np.arange(len(option)), np.minimum(option, count - 1)]
        stays, without = (option == count) | ((option < count) & (inside == NONE)), option == count + 1
        release = np.where(stays, who.release, np.where(without, NONE, offers.release[inside]))
        channel = np.where(stays, who.channel, np.where(without, LAB_API, offers.channel[inside]))
        surplus = who.pain / who.price_sensitivity * (logsum - alone)
        usage.release[rows[found]], usage.channel[rows[found]] = release[found], channel[found]
        usage.surplus[rows[found]] = surplus[found]
        looked += (who.knows[found] * market.workloads.weight[rows[found], None]).sum(axis=0)
    return Outcome(usage, _of_lines(now, looked))


def in_chunks(now: Moment, usage: UsageTable, chunk: int) -> Outcome:
    """Let those who look again choose, some of one class at a time, single precision, by inverse CDF."""
    looked = np.zeros(len(now.view.lab_bloc))
    for group, seen in now.families:
        looks, home = numpy_choice.who_looks(now.market, group, now.view)
        kind = now.market.people.kind[looks]
        u = rng.uniform(rng.stream_key(now.view.seed, "choice", now.view.month), looks).astype(SINGLE)
        for number in range(KINDS):
            of_class = np.flatnonzero(kind == number)
            for first in range(0, len(of_class), chunk):
                some = of_class[first : first + chunk]
                looked += _choose(now, seen, number, looks[some], home[some], u[some], usage)
    return Outcome(usage, _of_lines(now, looked))


def _of_lines(now: Moment, looked: Floats) -> Floats:
    lines = now.view.lines
    return np.where(lines.current_open != NONE, looked[lines.lab], 0.0)


def _choose(now: Moment, seen: Seen, kind: int, rows: Ints, at_home: Bools, u: Any, usage: UsageTable) -> Floats:
    """Write what rows of one class use after their choices; return the workloads that look at each lab."""
    people, (offered, standing, rules), used = now.market.people, seen, now.view.used[:, : len(now.view.lab_bloc)]
    every = np.arange(len(rows))
    traits = np.ascontiguousarray(people.traits[rows].T)
    segment, release, channel = people.segment[rows], usage.release[rows], usage.channel[rows]
    bloc, uses = segment % BLOCS, np.flatnonzero(release != NONE)
    lab = standing.lab[release]
    labs = len(rules.lab_bloc)

    # who they are this month
    alpha, value = traits[ALPHA], traits[VALUE]
    need, inverse = traits[NEED] * SINGLE(rules.need[kind]), traits[INVERSE_PAIN] / SINGLE(rules.pain[kind])
    rate, difficulty = need * inverse, traits[DIFFICULTY] + SINGLE(rules.rise[kind])
    distrust = traits[DISTRUST] * SINGLE(rules.relief)
    origin = traits[ORIGIN:FIXED] + rules.home_fit.T[:, bloc].astype(SINGLE)
    taste = traits[FIXED : len(traits) - labs]
    staff = alpha * np.log1p(SINGLE(rules.staff_cost) * inverse)
    outside = -alpha * np.log1p(SINGLE(rules.without_ai_cost) * rate)
    alone = outside.copy()

    # what they may and do look at, and what moving costs
    known = traits[len(traits) - labs :] < rules.consideration.T[:labs, segment]
    looked = known @ people.weight[rows]
    known[lab[uses], uses] = True
    home = np.flatnonzero(at_home)
    known[:, home] = False
    known[lab[home], home] = True
    mask = rules.sold[bloc].copy()
    for origin_bloc in range(BLOCS):
        mask &= rules.allowed[origin_bloc, now.view.reach[rows, origin_bloc]]
    mask[need > SINGLE(rules.device_limit)] &= rules.off_device
    may = (mask >> np.arange(BLOCS * CHANNELS)[:, None]) & 1 > 0
    moving = np.full((labs, len(rows)), SINGLE(rules.switching_cost))
    moving -= SINGLE(rules.switching_cost * rules.multi_home_discount) * used[people.organisation[rows]].T
    moving[:, release == NONE] = rules.adoption_cost
    moving[lab[uses], uses] = rules.upgrade_cost

    # utilities of the offers; what the channels of a release share is computed once
    starts = np.diff(offered.release, prepend=NONE) != 0
    first, line = np.flatnonzero(starts), offered.nest[offered.option]
    of_release, own = np.cumsum(starts) - 1, np.flatnonzero(offered.channel == SELF_HOST)
    shared = np.subtract(difficulty, offered.capability[kind, first, None])
    shared *= SINGLE(1.0 / rules.success_width)
    np.exp(shared, out=shared)
    shared += 1.0
    np.divide(value, shared, out=shared)
    shared += taste[offered.line[line[first]]]
    shared += origin[offered.lab_bloc[line[first]]]
    opened = np.flatnonzero(offered.is_open[first])
    shared[opened] += traits[OPEN]
    utility = shared[of_release]
    utility += offered.appeal[:, None]
    for factor, trait in ((offered.control, traits[CONTROL]), (offered.exposure, -distrust)):
        some = np.flatnonzero(factor)
        utility[some] += factor[some, None] * trait
    bill = np.multiply.outer(offered.price[kind], rate)
    bill[own] = np.maximum(bill[own], np.multiply.outer(offered.cluster[own], inverse))
    np.log1p(bill, out=bill)
    bill *= alpha
    bill[own] += staff
    utility -= bill
    utility -= moving[offered.lab[line]]
    column = np.where(release == NONE, NONE, offered.column[release, channel])
    here = np.flatnonzero(column != NONE)
    utility[column[here], here] += moving[lab[here], here]
    can = may[offered.lab_bloc[line] * CHANNELS + offered.channel]
    options = len(offered.nest)
    channels = np.add.reduceat(can[:options], offered.first[:-1], axis=0, dtype=SINGLE)
    can &= known[offered.lab[line]]
    np.putmask(utility, ~can, -np.inf)

    # of each option the version that suits best
    older, utility = utility[options:], utility[:options]
    version = np.repeat(np.arange(options)[:, None], len(rows), axis=1)
    for j, own_utility in enumerate(older, options):
        at = offered.option[j]
        version[at] = np.where(own_utility > utility[at], j, version[at])
        np.maximum(utility[at], own_utility, out=utility[at])

    # what is kept, and doing without
    keep = np.full(len(rows), -np.inf, SINGLE)
    stale = uses[(column[uses] == NONE) & standing.runs[release[uses], channel[uses]]]
    stale = stale[now.view.reach[rows[stale], rules.lab_bloc[lab[stale]]] < rules.ban_level[channel[stale]]]
    if len(stale):
        keep[stale] = _kept(seen, kind, stale, release[stale], channel[stale], traits, origin, rate, inverse, staff)
        place = offered.place[release[stale], channel[stale]]
        own, place = stale[place != NONE], place[place != NONE]
        better = (utility[place, own] > -np.inf) & (keep[own] > utility[place, own])
        utility[place[better], own[better]] = keep[own[better]]
        version[place[better], own[better]] = NONE
        keep[own] = -np.inf
    highest = np.maximum(utility.max(axis=0), keep)
    outside[at_home & (highest > -np.inf)] = -np.inf
    np.maximum(highest, outside, out=highest)

    # weights, their running sum over the lines, and where a point falls
    utility -= highest
    utility *= SINGLE(1.0 / rules.dissimilarity)
    np.exp(utility, out=utility)
    nest = np.add.reduceat(utility, offered.first[:-1], axis=0)
    weight = (nest / np.maximum(channels, 1.0)) ** SINGLE(rules.dissimilarity)
    reached = np.cumsum(weight, axis=0)
    keep, outside = np.exp(keep - highest), np.exp(outside - highest)
    whole = reached[-1] + keep + outside
    target = u * whole
    place = (reached < target).sum(axis=0)
    lines = len(offered.line)
    option = np.where((keep > 0.0) & (target <= reached[-1] + keep), NONE - 1, NONE)
    chosen = np.flatnonzero(place < lines)
    at = place[chosen]
    inside = (target[chosen] - (reached[at, chosen] - weight[at, chosen])) / weight[at, chosen] * nest[at, chosen]
    offer, total = offered.first[at], np.zeros(len(chosen), SINGLE)
    pick = offer.copy()
    left = np.ones(len(chosen), bool)
    for step in range(int(np.diff(offered.first).max())):
        j = np.minimum(offer + step, offered.first[at + 1] - 1)
        positive = left & (offer + step < offered.first[at + 1]) & (utility[j, chosen] > 0.0)
        pick[positive] = j[positive]
        total += np.where(positive, utility[j, chosen], 0.0)
        left &= ~(positive & (inside <= total))
    option[chosen] = pick
    moved = every[(option >= 0) & (version[option, every] != NONE)]
    usage.release[rows[moved]], usage.channel[rows[moved]] = (
        offered.release[version[option[moved], moved]],
        offered.channel[option[moved]],
    )
    leaves = rows[option == NONE]
    usage.release[leaves], usage.channel[leaves] = NONE, LAB_API
    usage.surplus[rows] = (highest + np.log(whole) - alone) / (alpha * inverse)
    return looked


def _kept(
    seen: Seen, kind: int, who: Ints, release: Ints, channel: Ints,
    traits: Any, origin: Any, rate: Any, inverse: Any, staff: Any,
) -> Floats:  # fmt: skip
    """Return the utility of staying with superseded releases (eq. 57)."""
    _, standing, rules = seen
    lab = standing.lab[release]
    bloc = rules.lab_bloc[lab]
    own = channel == SELF_HOST
    burden = standing.price[channel, kind, release] * rate[who]
    burden = np.where(own, np.maximum(burden, standing.cluster[channel, release] * inverse[who]), burden)
    ahead = standing.capability[release] + rules.strength[lab, kind] - (traits[DIFFICULTY, who] + rules.rise[kind])
    fixed = traits[VALUE, who] / (1.0 + np.exp(-ahead / rules.success_width))
    fixed += traits[CONTROL, who] * standing.degree[release] * rules.channel_control[channel]
    fixed -= traits[DISTRUST, who] * rules.relief * rules.channel_exposure[channel] * (bloc == CN)
    fixed += standing.appeal[release, channel] + traits[FIXED + standing.line[release], who] + origin[bloc, who]
    fixed += traits[OPEN, who] * standing.is_open[release]
    return fixed - traits[ALPHA, who] * np.log1p(burden) - staff[who] * own
