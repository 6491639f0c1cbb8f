"""What every row of a panel thinks of every offer, prices aside, to the bit of `sim.market.stages.choice: offer_worth`.

Some dozens of rows of one class at a time, side by side: each loop goes along them.
"""

from __future__ import annotations

import math
from collections import namedtuple
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np

from sim.market.kernels import arithmetic
from sim.market.kernels.compiled import inlined, kernel
from sim.market.kernels.fold import copy, fill
from sim.market.stages.choice import LOG_CHANNELS, ChoiceRules, Choosers
from sim.market.tables import NONE, ON_DEVICE, SELF_HOST, Floats, OfferTable
from sim.scenario.schema import CHANNELS

LANES, STEP = 128, 32  # most rows at a time, and of how many their number is a multiple in loops
VALUE, DIFFICULTY, OPEN, CONTROL, DISTRUST, NEED, PAIN, SENSITIVITY, STAFF, VALUES = range(10)
BLOC, IN_USE = range(2)
Rows: Any = namedtuple("Rows", [field.name for field in fields(Choosers)])


class Columns(NamedTuple):
    """Offers as the rules of a family have them; shapes (offers,) unless said. The options come first."""

    option: Any  # of which it is a version
    lab: Any
    release: Any
    channel: Any
    line: Any  # column in the tastes of rows
    lab_bloc: Any
    first_of_line: Any  # (lines,) options
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
    return Columns(
        option=offers.option,
        lab=offers.lab,
        release=offers.release,
        channel=offers.channel,
        line=offers.line,
        lab_bloc=rules.lab_bloc,
        first_of_line=offers.first_of_line,
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
    who: Choosers,
    offers: OfferTable,
    rules: ChoiceRules,
    loading: Floats,
    worth: Floats,
    paid: Floats,
    base: Floats,
    start: int = 0,
) -> None:
    """Write what rows that look at all vendors think of the options, shapes (options, rows), from a column on.

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
    start : int
        Column of the first row.
    """
    rows = Rows(*vars(who).values())
    bonus = rules.dissimilarity * LOG_CHANNELS
    common = (rules.success_width, rules.multi_home_discount, rules.device_limit, bonus)
    write_worth(rows, columns(offers, rules, loading), *common, start, worth, paid, base)


@inlined
def _lay_out(who, first, rows, discount, values, places, taste, origin, move, reach):
    """Write what loops along rows read, side by side; `move` is infinite for labs that a row does not look at."""
    for r in range(rows):
        row = first + r
        values[VALUE, r], values[DIFFICULTY, r] = who.value[row], who.difficulty[row]
        values[OPEN, r], values[CONTROL, r] = who.taste_open[row], who.control_value[row]
        values[DISTRUST, r], values[NEED, r] = who.distrust[row], who.need[row]
        values[PAIN, r], values[SENSITIVITY, r] = who.pain[row], who.price_sensitivity[row]
        values[STAFF, r] = who.staff_cost[row]
        places[BLOC, r], places[IN_USE, r] = who.bloc[row], who.release[row] * len(CHANNELS) + who.channel[row]
        for line in range(len(taste)):
            taste[line, r] = who.taste_line[row, line]
        for bloc in range(len(origin)):
            origin[bloc, r], reach[bloc, r] = who.taste_origin[row, bloc], who.barred[row, bloc]
        newcomer, switching = who.lab[row] == NONE, who.switching_cost[row]
        for lab in range(len(move)):
            cost = who.adoption_cost[row] if newcomer else switching * (1.0 - discount * who.used_here[row, lab])
            move[lab, r] = cost if who.knows[row, lab] else math.inf
        if not newcomer:
            move[who.lab[row], r] = who.upgrade_cost[row]
    for r in range(rows):
        values[STAFF, r] = values[SENSITIVITY, r] * arithmetic.log1p(values[STAFF, r] / values[PAIN, r])


@inlined
def _shared(offers, kind, column, width, along, values, places, taste, origin, shared, fit):
    """Write what all channels of a release have in common; `column` is the first of them."""
    capability, is_open = offers.capability[kind, column], offers.is_open[column]
    line, lab_bloc = offers.line[column], offers.lab_bloc[column]
    for r in range(along):
        shared[r] = (values[DIFFICULTY, r] - capability) / width
    for r in range(along):
        shared[r] = values[VALUE, r] * (1.0 / (arithmetic.exp(shared[r]) + 1.0))
    for r in range(along):
        fit[r] = 0.0
    for home in range(len(offers.home_fit)):
        of_home = offers.home_fit[home, column]
        for r in range(along):
            other = fit[r]
            fit[r] = of_home if places[BLOC, r] == home else other
    for r in range(along):
        shared[r] += fit[r]
    for r in range(along):
        shared[r] = shared[r] + taste[line, r] + origin[lab_bloc, r]
    for r in range(along):
        shared[r] += values[OPEN, r] * is_open


@inlined
def _offer(offers, j, device_limit, along, values, places, shared, move, reach, one):
    """Write the worth of an offer but for the term of its line, -inf where it cannot be chosen."""
    appeal, control, exposure, lab = offers.appeal[j], offers.control[j], offers.exposure[j], offers.lab[j]
    channel, level, bloc = offers.channel[j], offers.ban_level[j], offers.lab_bloc[j]
    staffed, limit = 1.0 if channel == SELF_HOST else 0.0, device_limit if channel == ON_DEVICE else math.inf
    code, sold = offers.release[j] * len(CHANNELS) + channel, 0
    for home in range(len(offers.sold_in)):
        sold |= offers.sold_in[home, j] << home
    for r in range(along):
        one[j, r] = shared[r] + appeal + values[CONTROL, r] * control
    for r in range(along):
        one[j, r] = one[j, r] - values[DISTRUST, r] * exposure - values[STAFF, r] * staffed
    for r in range(along):
        one[j, r] -= 0.0 if places[IN_USE, r] == code else move[lab, r]
    for r in range(along):
        one[j, r] = one[j, r] if (reach[bloc, r] < level) & (values[NEED, r] <= limit) else -math.inf
    for r in range(along):
        one[j, r] = one[j, r] if (sold >> places[BLOC, r]) & 1 else -math.inf


@inlined
def _price(offers, kind, j, along, values, price):
    """Write what rows pay for an offer [USD/Mtok]."""
    listed, cluster = offers.price[kind, j], offers.cluster[j]
    if offers.channel[j] == SELF_HOST:
        for r in range(along):
            price[j, r] = max(listed, cluster / values[NEED, r])
    else:
        for r in range(along):
            price[j, r] = listed


@inlined
def _bonus(offers, bonus, along, nest, usable, one, term):
    """Take off every offer the term of its line, which goes by how many channels a row may use."""
    for n in range(len(term)):
        for r in range(along):
            usable[r] = 0
        j = offers.first_of_line[n]
        while j < len(nest) and nest[j] == n:
            for r in range(along):
                usable[r] += one[j, r] > -math.inf
            j += 1
        for number in range(len(bonus)):
            of_number = bonus[number]
            for r in range(along):
                other = term[n, r]
                term[n, r] = of_number if usable[r] == number else other
    for j in range(len(offers.option)):
        n = nest[offers.option[j]]
        for r in range(along):
            one[j, r] -= term[n, r]


@inlined
def _utility(along, values, j, one, price, utility):
    """Write the utility of an offer at its price."""
    for r in range(along):
        bill = arithmetic.log1p(price[j, r] * values[NEED, r] / values[PAIN, r])
        utility[j, r] = one[j, r] - bill * values[SENSITIVITY, r]


@inlined
def _best(offers, along, values, one, price, utility, known):
    """Give every option the version that suits a row best."""
    known[:] = False
    for j in range(len(known), len(offers.option)):
        q = offers.option[j]
        if not known[q]:
            _utility(along, values, q, one, price, utility)
            known[q] = True
        _utility(along, values, j, one, price, utility)
        for r in range(along):
            new, old, suits = one[q, r], one[j, r], utility[j, r] > utility[q, r]
            one[q, r] = old if suits else new
        for r in range(along):
            new, old, suits = price[q, r], price[j, r], utility[j, r] > utility[q, r]
            price[q, r] = old if suits else new
        for r in range(along):
            new, old, suits = utility[q, r], utility[j, r], utility[j, r] > utility[q, r]
            utility[q, r] = old if suits else new


@kernel
def write_worth(who, offers, width, discount, device_limit, bonus, start, worth, paid, base):
    """Write worth (eq. 53), loading and base price."""
    labs, lines, blocs = who.used_here.shape[1], who.taste_line.shape[1], who.taste_origin.shape[1]
    count, options, lines_sold = len(offers.release), offers.loading.shape[1], len(offers.first_of_line)
    values, places, usable = np.ones((VALUES, LANES)), np.zeros((2, LANES), np.int64), np.empty(LANES, np.int64)
    taste, origin, reach = np.zeros((lines, LANES)), np.zeros((blocs, LANES)), np.zeros((blocs, LANES))
    move, shared, fit, term = np.zeros((labs, LANES)), np.empty(LANES), np.empty(LANES), np.empty((lines_sold, LANES))
    one, price, utility = np.empty((count, LANES)), np.empty((count, LANES)), np.empty((count, LANES))
    known, nest, first = np.empty(options, np.bool_), np.zeros(options, np.int64), 0
    for n in range(1, lines_sold):
        nest[offers.first_of_line[n] :] = n
    while first < len(who.kind):
        kind, rows = who.kind[first], 1
        while rows < LANES and first + rows < len(who.kind) and who.kind[first + rows] == kind:
            rows += 1
        along = (rows + STEP - 1) // STEP * STEP
        _lay_out(who, first, rows, discount, values, places, taste, origin, move, reach)
        j = 0
        while j < count:
            column = j
            _shared(offers, kind, column, width, along, values, places, taste, origin, shared, fit)
            while j < count and offers.release[j] == offers.release[column]:
                _offer(offers, j, device_limit, along, values, places, shared, move, reach, one)
                _price(offers, kind, j, along, values, price)
                j += 1
        _bonus(offers, bonus, along, nest, usable, one, term)
        _best(offers, along, values, one, price, utility, known)
        for j in range(options):
            loading, at = offers.loading[kind, j], start + first
            fill(paid[j, at : at + rows], loading)
            copy(one[j, :rows], worth[j, at : at + rows])
            if loading > 0.0:
                fill(base[j, at : at + rows], 0.0)
            else:
                copy(price[j, :rows], base[j, at : at + rows])
        first += rows
