"""The rows of a panel of prices: taste nodes, what they bring to a choice and what they may stay with.

To the bit of `sim.market.adopters: choosers` and the equations of `sim.market.stages.choice` that are named below.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from sim.market.kernels import arithmetic
from sim.market.kernels.compiled import part, piece
from sim.market.tables import NONE, SELF_HOST, Bools, Floats, Ints
from sim.scenario.schema import CHANNELS

LANES, STEP = 128, 32  # most rows at a time, and of how many their number is a multiple in loops
VALUE, DIFFICULTY, OPEN, CONTROL, DISTRUST, NEED, PAIN, SENSITIVITY, STAFF, WITHOUT, VALUES = range(11)
HOME, IN_USE = range(2)  # home is one bit


class Nodes(NamedTuple):
    """Taste nodes and where each stands; shapes (nodes,) unless said."""

    kind: Ints
    bloc: Ints
    weight: Floats  # workloads in the world
    need: Floats
    pain: Floats
    price_sensitivity: Floats
    value: Floats
    difficulty: Floats
    control_value: Floats
    distrust: Floats
    taste_line: Any  # (nodes, lines)
    taste_open: Floats
    taste_origin: Floats  # (nodes, blocs)
    attention: Any  # (nodes, labs)
    segment: Any  # from here on not of the table
    present: Floats  # part of the node that is in the market
    release: Ints
    channel: Ints
    reach: Any  # (nodes, blocs) of a ban


class Seen(NamedTuple):
    """A month as a family sees it; arrays as in `sim.market.adopters: MonthView`, then numbers of the family."""

    need: Floats
    pain: Floats
    rise: Floats
    consideration: Floats
    used_elsewhere: Floats
    capability: Floats
    strength: Floats
    lab_bloc: Ints
    channel_control: Floats
    channel_exposure: Floats
    home_fit: Floats
    price: Floats
    cluster: Floats
    place: Ints
    offered: Bools
    runs: Bools
    lab: Ints  # (releases,) from here on not of the view
    line: Ints  # (releases,)
    is_open: Bools  # (releases,)
    degree: Floats  # (releases,)
    appeal: Floats  # (releases, channels)
    exposed: Bools  # (blocs,) of whose labs some are wary
    ban_level: Any  # (channels,)
    bonus: Floats  # (channels + 1,) utils, by how many channels of a line a row may use
    relief: float
    staff_cost: float
    without_ai_cost: float
    switching_cost: float
    upgrade_cost: float
    adoption_cost: float
    discount: float  # of the switching cost, for a vendor that the organisation uses elsewhere
    width: float  # of success
    device_limit: float


OF_TABLE, OF_VIEW = Nodes._fields[:14], Seen._fields[:16]  # columns of the table of nodes, and of the view


class Panel(NamedTuple):
    """What is written: `DemandPanel`, shapes (rows,), but for the last three, (options, rows)."""

    weight: Floats
    keep: Floats
    outside: Floats
    price_sensitivity: Floats
    need: Floats
    pain: Floats
    worth: Floats
    paid: Floats
    base: Floats


def empty(rows: int, options: int) -> Panel:
    """Return a panel to be written."""
    return Panel(*np.empty((6, rows)), *np.empty((3, options, rows)))


@part
def own_price(listed, cluster, need):
    """Return what a row pays on own machines [USD/Mtok] (eq. 42)."""
    return max(listed, cluster / need)


@piece
def lay_out(nodes, seen, of, values, places, taste, origin, fit, move, reach):
    """Write what loops along rows read, side by side; `move` is infinite for labs that a row does not look at."""
    for r in range(len(of)):
        row = of[r]
        kind, segment, release = nodes.kind[row], nodes.segment[row], nodes.release[row]
        values[VALUE, r], values[DIFFICULTY, r] = nodes.value[row], nodes.difficulty[row] + seen.rise[kind]
        values[OPEN, r], values[CONTROL, r] = nodes.taste_open[row], nodes.control_value[row]
        values[DISTRUST, r], values[NEED, r] = nodes.distrust[row] * seen.relief, nodes.need[row] * seen.need[kind]
        values[PAIN, r], values[SENSITIVITY, r] = nodes.pain[row] * seen.pain[kind], nodes.price_sensitivity[row]
        places[HOME, r], places[IN_USE, r] = 1 << nodes.bloc[row], release * len(CHANNELS) + nodes.channel[row]
        for line in range(len(taste)):
            taste[line, r] = nodes.taste_line[row, line]
        for bloc in range(len(origin)):
            origin[bloc, r], reach[bloc, r] = nodes.taste_origin[row, bloc], nodes.reach[row, bloc]
            fit[bloc, r] = seen.home_fit[nodes.bloc[row], bloc]
        for lab in range(len(move)):
            cost = seen.switching_cost * (1.0 - seen.discount * seen.used_elsewhere[segment, lab])
            cost = seen.adoption_cost if release == NONE else cost
            move[lab, r] = cost if nodes.attention[row, lab] < seen.consideration[segment, lab] else math.inf
        if release != NONE:
            move[seen.lab[release], r] = seen.upgrade_cost
    for r in range(len(of)):
        values[STAFF, r] = values[SENSITIVITY, r] * arithmetic.log1p(seen.staff_cost / values[PAIN, r])
    for r in range(len(of)):
        bill = arithmetic.log1p(seen.without_ai_cost * values[NEED, r] / values[PAIN, r])
        values[WITHOUT, r] = -values[SENSITIVITY, r] * bill


@piece
def write_rows(nodes, of, at, values, panel):
    """Write what belongs to rows, doing without too (eq. 58); the first is row `at` of the panel."""
    for r in range(len(of)):
        panel.weight[at + r] = nodes.weight[of[r]] * nodes.present[of[r]]
        panel.outside[at + r], panel.price_sensitivity[at + r] = values[WITHOUT, r], values[SENSITIVITY, r]
        panel.need[at + r], panel.pain[at + r] = values[NEED, r], values[PAIN, r]


@piece
def _bill(price, values, r):
    return values[SENSITIVITY, r] * arithmetic.log1p(price * values[NEED, r] / values[PAIN, r])


@piece
def _worth_in_use(nodes, seen, row, r, values):
    """Return the worth of what a row uses, before its bill."""
    release, channel, kind = nodes.release[row], nodes.channel[row], nodes.kind[row]
    lab = seen.lab[release]
    home = seen.lab_bloc[lab]
    fixed = values[CONTROL, r] * seen.degree[release] * seen.channel_control[channel]
    fixed -= values[DISTRUST, r] * seen.channel_exposure[channel] * seen.exposed[home]
    fixed += seen.home_fit[nodes.bloc[row], home] + seen.appeal[release, channel]
    fixed += nodes.taste_line[row, seen.line[release]] + nodes.taste_origin[row, home]
    fixed += values[OPEN, r] * seen.is_open[release]
    if channel == SELF_HOST:
        fixed -= values[STAFF, r]
    capability = seen.capability[release] + seen.strength[lab, kind]
    odds = arithmetic.exp((values[DIFFICULTY, r] - capability) / seen.width) + 1.0
    return values[VALUE, r] * (1.0 / odds) + fixed


@piece
def stay(nodes, seen, of, at, nest, values, panel):
    """Write the utility of staying with what is on offer no more, -inf where impossible (eq. 57).

    Weights in use that are no longer on sale count in the options of which they are versions instead (eq. 97).
    """
    for r in range(len(of)):
        row = of[r]
        release, channel = nodes.release[row], nodes.channel[row]
        panel.keep[at + r] = -math.inf
        stale = release != NONE and not seen.offered[release, channel] and seen.runs[release, channel]
        if stale and nodes.reach[row, seen.lab_bloc[seen.lab[release]]] < seen.ban_level[channel]:
            price, option = seen.price[channel, nodes.kind[row], release], seen.place[release, channel]
            if channel == SELF_HOST:
                price = own_price(price, seen.cluster[channel, release], values[NEED, r])
            worth = _worth_in_use(nodes, seen, row, r, values)
            utility = worth - _bill(price, values, r)
            if option == NONE:
                panel.keep[at + r] = utility
            elif panel.worth[option, at + r] > -math.inf:
                usable = 0
                for j in range(len(nest)):
                    usable += nest[j] == nest[option] and panel.worth[j, at + r] > -math.inf
                bonus = seen.bonus[usable]
                on_sale = panel.worth[option, at + r] - _bill(panel.base[option, at + r], values, r)
                if utility - bonus > on_sale:
                    panel.worth[option, at + r], panel.base[option, at + r] = worth - bonus, price
