"""What every row of a panel thinks of every offer, prices aside, to the bit of `sim.market.stages.choice: offer_worth`.

Some dozens of rows of one class at a time, side by side: each loop goes along them.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from sim.market.kernels import arithmetic
from sim.market.kernels.compiled import apart, kernel, piece
from sim.market.kernels.fold import copy, fill
from sim.market.kernels.panel_rows import (
    CONTROL,
    DIFFICULTY,
    DISTRUST,
    HOME,
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
from sim.market.tables import ON_DEVICE, SELF_HOST, Floats, Ints, OfferTable
from sim.scenario.schema import CHANNELS

WORTH, PAID, UTILITY = range(3)  # of a version


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


class Room(NamedTuple):
    """Room to work in: what loops along rows read, and what becomes of one option after the other."""

    values: Floats  # (VALUES, LANES)
    places: Ints  # (2, LANES)
    taste: Floats  # (lines, LANES)
    move: Floats  # (labs, LANES)
    reach: Floats  # (blocs, LANES)
    origin: Floats  # (blocs, LANES)
    fit: Floats  # (blocs, LANES)
    shared: Floats  # (LANES,)
    one: Floats  # (offers, LANES) worth but for the term of the line
    usable: Floats  # (LANES,) channels of a line
    term: Floats  # (LANES,) of a line
    best: Floats  # (3, LANES) version
    other: Floats  # (3, LANES) version
    found: Floats  # (3, LANES) version


@apart
def _shared(offers, kind, column, width, along, values, taste, origin, fit, shared):
    """Write what all channels of a release have in common; `column` is the first of them."""
    capability, is_open = offers.capability[kind, column], offers.is_open[column]
    line, lab_bloc = offers.line[column], offers.lab_bloc[column]
    for r in range(along):
        shared[r] = arithmetic.exp((values[DIFFICULTY, r] - capability) / width)
    for r in range(along):
        worth = values[VALUE, r] * (1.0 / (shared[r] + 1.0)) + fit[lab_bloc, r]
        shared[r] = worth + taste[line, r] + origin[lab_bloc, r] + values[OPEN, r] * is_open


@apart
def _offer(offers, j, device_limit, along, values, places, shared, move, reach, one):
    """Write the worth of an offer but for the term of its line, -inf where it cannot be chosen."""
    appeal, control, exposure, lab = offers.appeal[j], offers.control[j], offers.exposure[j], offers.lab[j]
    channel, level, bloc = offers.channel[j], offers.ban_level[j], offers.lab_bloc[j]
    staffed, limit = 1.0 if channel == SELF_HOST else 0.0, device_limit if channel == ON_DEVICE else math.inf
    code, sold = offers.release[j] * len(CHANNELS) + channel, 0
    for home in range(len(offers.sold_in)):
        sold |= offers.sold_in[home, j] << home
    for r in range(along):
        worth = shared[r] + appeal + values[CONTROL, r] * control
        worth = worth - values[DISTRUST, r] * exposure - values[STAFF, r] * staffed
        worth -= 0.0 if places[IN_USE, r] == code else move[lab, r]
        may = (reach[bloc, r] < level) & (values[NEED, r] <= limit) & ((sold & places[HOME, r]) != 0)
        one[j, r] = worth if may else -math.inf


@apart
def _bonus(bonus, first, last, along, one, usable, term):
    """Write the term of a line, options `first` to `last`, which goes by how many channels a row may use."""
    fill(usable, 0.0)
    for j in range(first, last):
        for r in range(along):
            usable[r] += 1.0 if one[j, r] > -math.inf else 0.0
    for r in range(along):
        found = bonus[0]
        for number in range(1, len(CHANNELS) + 1):
            of_number = bonus[number]
            found = of_number if usable[r] == number else found
        term[r] = found


@apart
def _version(offers, kind, j, along, values, one, term, version):
    """Write the worth of an offer and what rows pay for it [USD/Mtok]."""
    listed, cluster = offers.price[kind, j], offers.cluster[j]
    for r in range(along):
        version[WORTH, r] = one[j, r] - term[r]
    if offers.channel[j] == SELF_HOST:
        for r in range(along):
            version[PAID, r] = own_price(listed, cluster, values[NEED, r])
    else:
        fill(version[PAID], listed)


@apart
def _utility(along, values, version):
    """Write the utility of an offer at its price."""
    for r in range(along):
        bill = arithmetic.log1p(version[PAID, r] * values[NEED, r] / values[PAIN, r])
        version[UTILITY, r] = version[WORTH, r] - bill * values[SENSITIVITY, r]


@apart
def _better(along, one, other, found):
    """Write the version that suits a row better, the first if neither does."""
    for entry in range(3):
        for r in range(along):
            new, old = other[entry, r], one[entry, r]
            found[entry, r] = new if other[UTILITY, r] > one[UTILITY, r] else old


@piece
def _write_option(offers, kind, q, following, of, at, along, values, one, room, panel):
    """Write an option's columns: of the version that suits a row best, versions after the first being `following`."""
    best, other, found, term, until = room.best, room.other, room.found, room.term, at + of
    _version(offers, kind, q, along, values, one, term, best)
    j = following[q]
    if j > 0:
        _utility(along, values, best)
    while j > 0:
        _version(offers, kind, j, along, values, one, term, other)
        _utility(along, values, other)
        _better(along, best, other, found)
        best, found = found, best
        j = following[j]
    loading = offers.loading[kind, q]
    fill(panel.paid[q, at:until], loading)
    copy(best[WORTH, :of], panel.worth[q, at:until])
    if loading > 0.0:
        fill(panel.base[q, at:until], 0.0)
    else:
        copy(best[PAID, :of], panel.base[q, at:until])


@piece
def _write_block(nodes, seen, of, offers, following, nest, at, room, panel):
    """Write the panel's rows for some nodes of a class, the first of them row `at`."""
    kind, count, along = nodes.kind[of[0]], len(offers.release), (len(of) + STEP - 1) // STEP * STEP
    values, one = room.values, room.one
    lay_out(nodes, seen, of, values, room.places, room.taste, room.origin, room.fit, room.move, room.reach)
    j = 0
    while j < count:
        column = j
        _shared(offers, kind, column, seen.width, along, values, room.taste, room.origin, room.fit, room.shared)
        while j < count and offers.release[j] == offers.release[column]:
            _offer(offers, j, seen.device_limit, along, values, room.places, room.shared, room.move, room.reach, one)
            j += 1
    q = 0
    while q < len(nest):
        first, last = q, q + 1
        while last < len(nest) and nest[last] == nest[first]:
            last += 1
        _bonus(seen.bonus, first, last, along, one, room.usable, room.term)
        while q < last:
            _write_option(offers, kind, q, following, len(of), at, along, values, one, room, panel)
            q += 1
    write_rows(nodes, of, at, values, panel)
    stay(nodes, seen, of, at, nest, values, panel)


@kernel
def write_panel(nodes, seen, rows, offers, start, panel):
    """Write the panel's rows for some nodes of a family, the first of them row `start`.

    `panel.worth` (eq. 53) and `panel.paid`, the loading of each row, are those of the version of an option that suits a
    row best (eq. 97): where there are several no list price is to be set. `panel.base` is what rows pay for an option
    without a list price [USD/Mtok], 0 for the others.
    """
    labs, lines, blocs = nodes.attention.shape[1], nodes.taste_line.shape[1], nodes.taste_origin.shape[1]
    count, options = len(offers.release), offers.loading.shape[1]
    room = Room(
        values=np.ones((VALUES, LANES)),
        places=np.zeros((2, LANES), np.int64),
        taste=np.zeros((lines, LANES)),
        move=np.zeros((labs, LANES)),
        reach=np.zeros((blocs, LANES)),
        origin=np.zeros((blocs, LANES)),
        fit=np.zeros((blocs, LANES)),
        shared=np.empty(LANES),
        one=np.empty((count, LANES)),
        usable=np.empty(LANES),
        term=np.empty(LANES),
        best=np.empty((3, LANES)),
        other=np.empty((3, LANES)),
        found=np.empty((3, LANES)),
    )
    nest, following, first = np.zeros(options, np.int64), np.zeros(count, np.int64), 0
    for n in range(1, len(offers.first_of_line)):
        nest[offers.first_of_line[n] :] = n
    for j in range(count - 1, options - 1, -1):
        following[j], following[offers.option[j]] = following[offers.option[j]], j
    while first < len(rows):
        kind, last = nodes.kind[rows[first]], first + 1
        while last < len(rows) and last < first + LANES and nodes.kind[rows[last]] == kind:
            last += 1
        _write_block(nodes, seen, rows[first:last], offers, following, nest, start + first, room, panel)
        first = last
