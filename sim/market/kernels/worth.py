"""What every row of a panel thinks of every offer, prices aside, to the bit of `sim.market.stages.choice: offer_worth`.

Some dozens of rows of one class at a time, side by side: each loop goes along them.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from sim.market.kernels import arithmetic
from sim.market.kernels.compiled import inlined, kernel
from sim.market.kernels.fold import copy, fill
from sim.market.kernels.panel_rows import (
    BLOC,
    CONTROL,
    DIFFICULTY,
    DISTRUST,
    IN_USE,
    LANES,
    NEED,
    OPEN,
    PAIN,
    SENSITIVITY,
    STAFF,
    STEP,
    VALUE,
    VALUES,
    lay_out,
    own_price,
    stay,
    write_rows,
)
from sim.market.stages.choice import ChoiceRules
from sim.market.tables import ON_DEVICE, SELF_HOST, Floats, OfferTable
from sim.scenario.schema import CHANNELS


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
        sold_in=rules.sold_in,
        is_open=offers.is_open,
        appeal=np.ascontiguousarray(rules.appeal),
        control=rules.control,
        exposure=rules.exposure,
        ban_level=rules.ban_level,
        price=offers.price,
        cluster=offers.cluster,
        loading=loading,
    )


@inlined
def _shared(offers, kind, column, width, along, values, taste, origin, fit, shared):
    """Write what all channels of a release have in common; `column` is the first of them."""
    capability, is_open = offers.capability[kind, column], offers.is_open[column]
    line, lab_bloc = offers.line[column], offers.lab_bloc[column]
    for r in range(along):
        shared[r] = (values[DIFFICULTY, r] - capability) / width
    for r in range(along):
        shared[r] = values[VALUE, r] * (1.0 / (arithmetic.exp(shared[r]) + 1.0))
    for r in range(along):
        shared[r] += fit[lab_bloc, r]
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
            price[j, r] = own_price(listed, cluster, values[NEED, r])
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
def write_panel(nodes, seen, rows, offers, start, panel):
    """Write the panel's rows for some nodes of a family, the first of them row `start`.

    `panel.worth` (eq. 53) and `panel.paid`, the loading of each row, are those of the version of an option that suits a
    row best (eq. 97): where there are several no list price is to be set. `panel.base` is what rows pay for an option
    without a list price [USD/Mtok], 0 for the others.
    """
    labs, lines, blocs = nodes.attention.shape[1], nodes.taste_line.shape[1], nodes.taste_origin.shape[1]
    count, options, lines_sold = len(offers.release), offers.loading.shape[1], len(offers.first_of_line)
    values, places, usable = np.ones((VALUES, LANES)), np.zeros((2, LANES), np.int64), np.empty(LANES, np.int64)
    taste, move, reach = np.zeros((lines, LANES)), np.zeros((labs, LANES)), np.zeros((blocs, LANES))
    origin, fit, shared = np.zeros((blocs, LANES)), np.zeros((blocs, LANES)), np.empty(LANES)
    term = np.empty((lines_sold, LANES))
    one, price, utility = np.empty((count, LANES)), np.empty((count, LANES)), np.empty((count, LANES))
    known, nest, first = np.empty(options, np.bool_), np.zeros(options, np.int64), 0
    for n in range(1, lines_sold):
        nest[offers.first_of_line[n] :] = n
    while first < len(rows):
        kind, last = nodes.kind[rows[first]], first + 1
        while last < len(rows) and last < first + LANES and nodes.kind[rows[last]] == kind:
            last += 1
        of, at = rows[first:last], start + first
        along = (len(of) + STEP - 1) // STEP * STEP
        lay_out(nodes, seen, of, values, places, taste, origin, fit, move, reach)
        j = 0
        while j < count:
            column = j
            _shared(offers, kind, column, seen.width, along, values, taste, origin, fit, shared)
            while j < count and offers.release[j] == offers.release[column]:
                _offer(offers, j, seen.device_limit, along, values, places, shared, move, reach, one)
                _price(offers, kind, j, along, values, price)
                j += 1
        _bonus(offers, seen.bonus, along, nest, usable, one, term)
        _best(offers, along, values, one, price, utility, known)
        for j in range(options):
            loading, until = offers.loading[kind, j], at + len(of)
            fill(panel.paid[j, at:until], loading)
            copy(one[j, : len(of)], panel.worth[j, at:until])
            if loading > 0.0:
                fill(panel.base[j, at:until], 0.0)
            else:
                copy(price[j, : len(of)], panel.base[j, at:until])
        write_rows(nodes, of, at, values, panel)
        stay(nodes, seen, of, at, nest, values, panel)
        first = last
