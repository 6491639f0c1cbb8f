"""What is in use, and what it is worth to who keeps it (docs/model.md, eq. 57)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sim.market.kernels.compiled import piece, turn
from sim.market.kernels.draws import STAY
from sim.market.kernels.month import (
    ALPHA,
    CHANNELS,
    CN,
    CONTROL,
    DIFFICULTY,
    DISTRUST,
    IMPOSSIBLE,
    INVERSE_PAIN,
    KINDS,
    LANES,
    LOG2_E,
    LOG_2,
    NEED,
    NONE,
    ONE,
    OPEN,
    SELF_HOST,
    VALUE,
    ZERO,
    Standing,
)
from sim.market.kernels.single import HIGHEST, exp2, log2


class Uses(NamedTuple):
    """What may be in use: release r on channel c is state CHANNELS r + c, none is the last; shapes (states,)."""

    lab: Any
    bloc: Any
    line: Any
    column: Any  # of the offer, NONE where it is not on offer
    place: Any  # option of which it is a version to who uses it, NONE if of none
    bit: Any  # see `flags`
    runs: Any
    ban_level: Any  # reach of a ban that bars it
    hazard: Any  # of looking at the vendor's newer release; 2 where everybody has to, -1 where nobody does
    vendor: Any  # what such a look is: 2 where the vendor has offers, else 1
    single: Any  # (classes times states, 8) of each class by state: columns as in `in_use`, single precision
    double: Any  # the same, double precision


def uses(standing: Standing) -> Uses:
    """Return room for what may be in use."""
    releases, channels = standing.newest.shape
    states = releases * channels + 1
    i = np.int32
    return Uses(
        lab=np.empty(states, i),
        bloc=np.empty(states, np.uint8),
        line=np.empty(states, np.uint32),
        column=np.empty(states, i),
        place=np.empty(states, i),
        bit=np.empty(states, i),
        runs=np.empty(states, np.bool_),
        ban_level=np.empty(states, np.int8),
        hazard=np.empty(states),
        vendor=np.empty(states, np.uint8),
        single=np.empty((KINDS * states, 8), np.float32),
        double=np.empty((KINDS * states, 8)),
    )


@piece
def tabulate(offered, standing, rules, uses):
    """Write what each state in use comes to this month."""
    none = len(uses.lab) - 1
    for s in range(len(uses.lab)):
        r, c = (s // CHANNELS, s % CHANNELS) if s < none else (0, 0)
        lab = standing.lab[r]
        bloc = rules.lab_bloc[lab]
        uses.lab[s], uses.bloc[s], uses.line[s] = lab, bloc, standing.line[r]
        uses.column[s], uses.place[s], uses.bit[s] = offered.column[r, c], offered.place[r, c], bloc * CHANNELS + c
        uses.runs[s], uses.ban_level[s] = standing.runs[r, c], rules.ban_level[c]
        uses.hazard[s] = -1.0 if standing.newest[r, c] else standing.upgrade[r]
        if not standing.runs[r, c]:
            uses.hazard[s] = 2.0
        uses.vendor[s] = 2 if rules.sells[lab] else 1
        if uses.runs[s]:  # what is no more may not be kept, and nobody pays for it
            for kind in range(KINDS):
                single, double = uses.single[kind * (none + 1) + s], uses.double[kind * (none + 1) + s]
                single[0], single[1] = standing.price[c, kind, r], standing.cluster[c, r]
                single[2], single[3] = standing.is_open[r], c == SELF_HOST
                single[4], single[5] = rules.need[kind], rules.pain[kind]
                double[0] = standing.capability[r] + rules.strength[lab, kind]
                double[1], double[2], double[3] = rules.rise[kind], standing.appeal[r, c], standing.degree[r]
                double[4] = rules.channel_control[c]
                double[5] = rules.channel_exposure[c] if bloc == CN else 0.0
    uses.lab[none] = uses.column[none] = uses.place[none] = NONE
    uses.runs[none], uses.hazard[none], uses.ban_level[none] = False, -1.0, 127
    for kind in range(KINDS):  # who uses nothing has nothing of it
        single = uses.single[kind * (none + 1) + none]
        single[:] = ZERO
        uses.double[kind * (none + 1) + none, :] = 0.0
        single[3], single[4], single[5] = -ONE, rules.need[kind], rules.pain[kind]


# Rows of `narrow`, single precision, and of `wide` in which `in_use` works: at known distances, so that loops need not
# ask whether they overlap. The first eight of each are columns of the tables of `Uses`.
PRICE, CLUSTER, IS_OPEN, STAFFED, NEEDS, PAINS = range(0, 6 * LANES, LANES)
AHEAD_OF, REST, BILL, INVERSE, RATE, TASTE, OVER = range(8 * LANES, 15 * LANES, LANES)
ABLE, RISE, APPEAL, DEGREE, KEEPS, RAISES = range(0, 6 * LANES, LANES)


@piece
def in_use(core, uses, rules, scratch):
    """Write what the utility of what is in use is made of (eq. 57).

    How far it is ahead of the work [points], the utility that neither success nor money nor tastes for its line and
    bloc give it, and one plus the bill over pain, own staff in it, whose logarithm is the disutility of the bill.
    """
    narrow, wide, seats = scratch.narrow, scratch.wide, scratch.at
    for k in range(LANES):
        seats[k] = scratch.kind[k] * np.uint32(len(uses.lab)) + scratch.state[k]
    for k in range(0, LANES, 8):
        turn(uses.single, seats, k, 0, scratch.narrow_rows)
        turn(uses.double, seats, k, 0, scratch.wide_rows)
    relief, staff = rules.relief, np.float32(rules.staff_cost)
    for k in range(LANES):
        inverse = core[INVERSE_PAIN * LANES + k] / narrow[PAINS + k]
        narrow[INVERSE + k] = inverse
        narrow[RATE + k] = core[NEED * LANES + k] * narrow[NEEDS + k] * inverse
    for k in range(LANES):
        narrow[AHEAD_OF + k] = wide[ABLE + k] - core[DIFFICULTY * LANES + k] - wide[RISE + k]
    for k in range(LANES):
        rest = wide[APPEAL + k] + core[OPEN * LANES + k] * narrow[IS_OPEN + k]
        rest += core[CONTROL * LANES + k] * wide[DEGREE + k] * wide[KEEPS + k]
        narrow[REST + k] = rest - core[DISTRUST * LANES + k] * relief * wide[RAISES + k]
    for k in range(LANES):
        burden, inverse = narrow[PRICE + k] * narrow[RATE + k], narrow[INVERSE + k]
        owned = (ONE + max(burden, narrow[CLUSTER + k] * inverse)) * (ONE + staff * inverse)
        narrow[BILL + k] = owned if narrow[STAFFED + k] > ZERO else ONE + burden


@piece
def stay(kind, uses, rules, scratch, reach):
    """Let who uses a model stay with it: on offer it costs no moving, superseded it may be kept (eq. 57).

    Writes what is kept, what doing without is worth, and the highest utility of all.
    """
    state, own, usable, lane, narrow = scratch.state, scratch.own, scratch.usable, scratch.lane, scratch.narrow
    highest, keep, outside = scratch.highest, scratch.keep, scratch.outside
    for k in range(LANES):
        scratch.kind[k] = kind
        narrow[TASTE + k] = scratch.taste[uses.line[state[k]], k] + scratch.origin[uses.bloc[state[k]], k]
    in_use(scratch.core, uses, rules, scratch)
    width = np.float32(-LOG2_E / np.float32(rules.success_width))
    for k in range(LANES):
        gain = lane[3, k] / (ONE + exp2(min(width * narrow[AHEAD_OF + k], HIGHEST)))
        narrow[OVER + k] = LOG2_E * (gain + (narrow[REST + k] + narrow[TASTE + k])) - lane[0, k] * log2(
            narrow[BILL + k]
        )
    for k in range(LANES):
        outside[k] = -lane[0, k] * log2(ONE + np.float32(rules.without_ai_cost) * lane[1, k])
    for k in range(LANES):
        s = state[k]
        j = uses.column[s]
        keep[k] = IMPOSSIBLE
        if j != NONE:
            if scratch.utility[j, k] > IMPOSSIBLE:
                scratch.utility[j, k] += scratch.cost[own[k], k]
                highest[k] = max(highest[k], scratch.utility[j, k])
        elif uses.runs[s]:
            # a ban bars it, or what bars the option of which it is a version
            bound = reach[scratch.seats[k], uses.bloc[s]] >= uses.ban_level[s]
            if usable[uses.bit[s], k] > ZERO if uses.place[s] != NONE else not bound:
                keep[k] = narrow[OVER + k]
    for k in range(LANES):
        if not scratch.away[k] and max(highest[k], keep[k]) > IMPOSSIBLE:
            outside[k] = IMPOSSIBLE
        highest[k] = max(highest[k], max(keep[k], outside[k]))


@piece
def compete(uses, scratch):
    """Let a superseded release that is kept compete as a version of its line."""
    for k in range(LANES):
        q = uses.place[scratch.state[k]]
        if q != NONE and uses.column[scratch.state[k]] == NONE:
            if scratch.keep[k] > scratch.best[q, k]:
                scratch.best[q, k], scratch.version[q, k] = scratch.keep[k], STAY
            scratch.keep[k] = IMPOSSIBLE


@piece
def over_without(core, uses, rules, scratch):
    """Write by how much what is in use beats doing without, tastes for its line and bloc left out, and alpha over pain.

    They stand in the rows `OVER` [utils] and `ABLE` [utils/USD].
    """
    narrow, wide = scratch.narrow, scratch.wide
    width = np.float32(-LOG2_E / np.float32(rules.success_width))
    in_use(core, uses, rules, scratch)
    for k in range(LANES):
        gain = core[VALUE * LANES + k] / (ONE + exp2(min(width * narrow[AHEAD_OF + k], HIGHEST)))
        bill = narrow[BILL + k] / (ONE + np.float32(rules.without_ai_cost) * narrow[RATE + k])
        over = gain + narrow[REST + k] - LOG_2 * core[ALPHA * LANES + k] * log2(bill)
        narrow[OVER + k] = ZERO if narrow[STAFFED + k] == -ONE else over
    for k in range(LANES):
        wide[ABLE + k] = np.float64(core[ALPHA * LANES + k]) * np.float64(narrow[INVERSE + k])


@piece
def hold(count, now_release, now_channel, uses, rules, scratch, held, surplus):
    """Write what stays of the choices of a block until the next ones, whose surplus stands there (eq. 62)."""
    none, state = len(uses.lab) - 1, scratch.state
    for k in range(LANES):
        i = scratch.seats[k]
        state[k] = now_release[i] * CHANNELS + now_channel[i] if now_release[i] != NONE else none
    over_without(scratch.core, uses, rules, scratch)
    for k in range(count):
        i = scratch.seats[k]
        held[i] = np.float32(surplus[i] * scratch.wide[ABLE + k] - scratch.narrow[OVER + k])


@piece
def follow(first, last, people, now_release, now_channel, uses, rules, scratch, held, surplus):
    """Write this month's surplus of who has come and does not look (eq. 62); who is yet to come has nothing.

    `scratch.looks` says who looks, from row `first` on.
    """
    kind, state, seats, rows = scratch.kind, scratch.state, scratch.seats, scratch.rows
    narrow, wide = scratch.narrow, scratch.wide
    none, staying = len(uses.lab) - 1, 0
    for i in range(first, last):
        rows[staying] = i
        staying += (people.arrival[i] <= rules.month) & (scratch.looks[i - first] == 0)
    for begin in range(0, staying, LANES):
        count = min(LANES, staying - begin)
        for k in range(LANES):
            i = rows[begin + k if k < count else begin]
            seats[k], kind[k] = i, people.kind[i]
            state[k] = now_release[i] * CHANNELS + now_channel[i] if now_release[i] != NONE else none
        for k in range(0, LANES, 8):
            turn(people.core, seats, k, 0, scratch.block)
        over_without(scratch.core, uses, rules, scratch)
        for k in range(LANES):
            wide[RISE + k] = (np.float64(narrow[OVER + k]) + held[seats[k]]) / wide[ABLE + k]
        for k in range(count):
            surplus[seats[k]] = wide[RISE + k]
