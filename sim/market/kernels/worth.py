"""What every row of a panel thinks of every offer, prices aside, to the bit of `sim.market.stages.choice: offer_worth`.

One row at a time, offers side by side: each loop goes along the offers, or along the releases whose channels they are.
"""

from __future__ import annotations

import math
from collections import namedtuple
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np

from sim.market.kernels import arithmetic
from sim.market.kernels.compiled import kernel
from sim.market.stages.choice import LOG_CHANNELS, ChoiceRules, Choosers
from sim.market.tables import NONE, ON_DEVICE, SELF_HOST, Floats, OfferTable

Rows: Any = namedtuple("Rows", [field.name for field in fields(Choosers)])


class Columns(NamedTuple):
    """Offers as the rules of a family have them; shapes (offers,) unless said. The options come first."""

    option: Any  # of which it is a version
    nest: Any  # (options,) which of the lines on offer it belongs to
    lab: Any
    release: Any
    channel: Any
    line: Any  # column in the tastes of rows
    lab_bloc: Any
    of_release: Any  # which of the releases it belongs to
    first_of_release: Any  # (releases,) first column of each
    first_of_line: Any  # (lines + 1,) options
    capability: Any  # (classes, offers) with the lab's strength
    home_fit: Any  # (blocs, offers)
    sold_in: Any  # (blocs, offers)
    is_open: Any
    appeal: Any
    control: Any
    exposure: Any
    ban_level: Any
    price: Any  # (classes, offers)
    cluster: Any
    loading: Any  # (classes, options) price paid per unit of list price


def columns(offers: OfferTable, rules: ChoiceRules, loading: Floats) -> Columns:
    """Return offers as a family sees them; `loading` has shape (classes, options)."""
    starts = np.diff(offers.release, prepend=NONE) != 0
    first = np.append(offers.first_of_line, len(offers.newest))
    return Columns(
        option=offers.option,
        nest=np.repeat(np.arange(len(first) - 1), np.diff(first)),
        lab=offers.lab,
        release=offers.release,
        channel=offers.channel,
        line=offers.line,
        lab_bloc=rules.lab_bloc,
        of_release=np.cumsum(starts) - 1,
        first_of_release=np.flatnonzero(starts),
        first_of_line=first,
        capability=offers.capability + rules.strength,
        home_fit=rules.home_fit,
        sold_in=rules.sold_in,
        is_open=offers.is_open,
        appeal=rules.appeal,
        control=rules.control,
        exposure=rules.exposure,
        ban_level=rules.ban_level,
        price=offers.price,
        cluster=offers.cluster,
        loading=loading,
    )


def write(
    who: Choosers, offers: OfferTable, rules: ChoiceRules, loading: Floats, worth: Floats, paid: Floats, base: Floats
) -> None:
    """Write what rows that look at all vendors think of the options, shapes (rows, options).

    An option has the version that suits a row best (eq. 97): where there are several no list price is to be set.

    Parameters
    ----------
    loading : array, shape (classes, options)
        What a class pays over the list price, 0 for options without one.
    worth : array
        As `offer_worth` has it.
    paid : array
        The loading of each row.
    base : array
        What each row pays for an option without a list price [USD/Mtok], 0 for the others.
    """
    rows = Rows(*vars(who).values())
    bonus = rules.dissimilarity * LOG_CHANNELS
    common = (rules.success_width, rules.multi_home_discount, rules.device_limit, bonus)
    write_worth(rows, columns(offers, rules, loading), *common, worth, paid, base)


@kernel
def write_worth(who, offers, width, discount, device_limit, bonus, worth, paid, base):
    """Write worth (eq. 53), loading and base price; `bonus` of a line goes by how many channels a row may use."""
    releases, labs, count = len(offers.first_of_release), who.used_here.shape[1], len(offers.release)
    options = len(offers.nest)
    shared, move, knows = np.empty(releases), np.empty(labs), np.empty(labs, np.bool_)
    one, moving, can = np.empty(count), np.empty(count), np.empty(count, np.bool_)
    price, line_bonus = np.empty(count), np.empty(len(offers.first_of_line) - 1)
    for r in range(len(who.kind)):
        kind, bloc = who.kind[r], who.bloc[r]
        difficulty, value, liking = who.difficulty[r], who.value[r], who.taste_open[r]
        for m in range(releases):
            shared[m] = (difficulty - offers.capability[kind, offers.first_of_release[m]]) / width
        for m in range(releases):
            shared[m] = value * (1.0 / (arithmetic.exp(shared[m]) + 1.0))
        for m in range(releases):
            shared[m] += offers.home_fit[bloc, offers.first_of_release[m]]
        for m in range(releases):
            shared[m] += who.taste_line[r, offers.line[offers.first_of_release[m]]]
        for m in range(releases):
            shared[m] += who.taste_origin[r, offers.lab_bloc[offers.first_of_release[m]]]
        for m in range(releases):
            shared[m] += liking * offers.is_open[offers.first_of_release[m]]
        for j in range(count):
            one[j] = shared[offers.of_release[j]]
        for j in range(count):
            one[j] += offers.appeal[j]
        control, distrust, need = who.control_value[r], who.distrust[r], who.need[r]
        for j in range(count):
            one[j] += control * offers.control[j]
        for j in range(count):
            one[j] -= distrust * offers.exposure[j]
        staff = who.price_sensitivity[r] * arithmetic.log1p(who.staff_cost[r] / who.pain[r])
        for j in range(count):
            one[j] -= staff if offers.channel[j] == SELF_HOST else 0.0
        own, release, channel = who.lab[r], who.release[r], who.channel[r]
        for lab in range(labs):
            move[lab] = who.switching_cost[r] * (1.0 - discount * who.used_here[r, lab])
        for lab in range(labs):
            knows[lab] = who.knows[r, lab]
        if own == NONE:
            for lab in range(labs):
                move[lab] = who.adoption_cost[r]
        else:
            move[own], knows[own] = who.upgrade_cost[r], True
        for j in range(count):
            moving[j] = move[offers.lab[j]]
        for j in range(count):
            moving[j] = 0.0 if (offers.release[j] == release) & (offers.channel[j] == channel) else moving[j]
        for j in range(count):
            one[j] -= moving[j]
        for j in range(count):
            can[j] = knows[offers.lab[j]] & offers.sold_in[bloc, j]
        for j in range(count):
            can[j] &= who.barred[r, offers.lab_bloc[j]] < offers.ban_level[j]
        for j in range(count):
            can[j] &= (offers.channel[j] != ON_DEVICE) | (need <= device_limit)
        for n in range(len(offers.first_of_line) - 1):
            usable = 0
            for j in range(offers.first_of_line[n], offers.first_of_line[n + 1]):
                usable += can[j]
            line_bonus[n] = bonus[usable]
        for j in range(count):
            moving[j] = line_bonus[offers.nest[offers.option[j]]]
        for j in range(count):
            one[j] = one[j] - moving[j] if can[j] else -math.inf
        for j in range(count):
            listed = offers.price[kind, j]
            cluster = offers.cluster[j] / need if offers.channel[j] == SELF_HOST else listed
            price[j] = max(listed, cluster)
        for j in range(options):
            worth[r, j] = one[j]
        for j in range(options):
            base[r, j] = price[j]
        pain, sensitivity = who.pain[r], who.price_sensitivity[r]
        for j in range(count):
            moving[j] = one[j] - arithmetic.log1p(price[j] * need / pain) * sensitivity
        for j in range(options, count):
            q = offers.option[j]
            if moving[j] > moving[q]:
                moving[q], worth[r, q], base[r, q] = moving[j], one[j], price[j]
        for j in range(options):
            paid[r, j] = offers.loading[kind, j]
        for j in range(options):
            base[r, j] = 0.0 if paid[r, j] > 0.0 else base[r, j]
