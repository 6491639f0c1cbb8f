"""Choices of a population carried by taste nodes: shares of each that use each release (docs/model.md, section 4.10).

The limit of many workloads with the tastes of a node. Looks, choices and what is kept follow the same utilities as
`sim.market.kernels.choice`; shares of states take the place of drawn options. What depends on the state alone, the cost
of moving and the release kept, enters as factors of weights that the node's states share.

The NumPy twin is `sim.market.stages.choice` on one row of `Choosers` for each node and state.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sim.market.kernels.choice import fold, gather, utilities, weigh
from sim.market.kernels.compiled import kernel
from sim.market.kernels.month import (
    CHANNELS,
    CN,
    FIXED,
    KINDS,
    LANES,
    LEAST,
    LOG2_E,
    LOG_2,
    NONE,
    ONE,
    ORIGIN,
    SELF_HOST,
    ZERO,
    to_eight,
)
from sim.market.kernels.single import exp2, log2

LINE = 8  # numbers in a line of the cache
# Rows of a block that every state reads and adds to, side by side in `Room.at`: whoever knows how far apart they are
# need not ask whether they overlap.
ALPHA, RATE, INVERSE, VALUE, DIFFICULTY, CONTROL, DISTRUST, LIKING, STAFF = range(0, 9 * LANES, LANES)
HIGHEST, OUTSIDE, SHARE, EVERY, NOBODY, LOOKED, STAYS = range(9 * LANES, 16 * LANES, LANES)
GAIN, NEWCOMERS, FULL, HOME, BELOW, PART, ALONE, OWN, REST = range(16 * LANES, 25 * LANES, LANES)
HIGHEST_POWER = np.float32(126.0)
FEWEST = 1e-300  # nobody looks: nothing to divide by


class States(NamedTuple):
    """Releases on channels that nodes may use after this month; shapes (states,), the first stands for none."""

    release: Any
    channel: Any
    column: Any  # of the offer, NONE where it is not on offer
    place: Any  # option of which it is a version to who uses it, NONE if of none


class Room(NamedTuple):
    """Room for a block of nodes; lanes last."""

    lane: Any  # (9, LANES)
    taste: Any  # (all lines and more, LANES) of `block`
    origin: Any  # (blocs, LANES) of `block`
    known: Any  # (labs, LANES)
    everybody: Any  # (labs, LANES) ones
    free: Any  # (labs, LANES) zeros
    may: Any  # (LANES,)
    live: Any  # (lines,) all
    weight: Any  # (options, LANES) inside the line
    utility: Any  # (offers, LANES)
    version: Any  # (options, LANES) offer that suits best
    replaced: Any  # (options, LANES) looks of users to whom the version that they have counts for more
    plain: Any  # (offers, LANES) utilities, of barred offers too
    nest: Any  # (lines, LANES)
    chance: Any  # (lines, LANES)
    switch: Any  # (labs, LANES) factor of moving to a lab
    aware: Any  # (labs, LANES) weight of a lab's lines to those who move to it
    own: Any  # (labs, LANES) the same to its users
    looks: Any  # (labs, LANES) of its users at all vendors
    home: Any  # (labs, LANES) of its users at its own offers
    less: Any  # (lines, LANES) looks of users whose line counts for more
    more: Any  # (lines, LANES)
    usable: Any  # (lines, LANES) channels of a line that a node may use, 1 if none
    active: Any  # (states,) those that the block uses or may move to
    uses: Any  # (states,) which of these it uses
    flow: Any  # (states, LANES)
    gone: Any  # (states, LANES) part of a share that looks
    worth: Any  # (states, LANES) utility over doing without in units of log2, 0 where it is switched off
    level: Any  # (blocs, LANES) reach of bans
    sums: Any  # (16, LANES)
    at: Any  # (25 LANES,) `lane` and `sums` one after the other
    rows: Any  # (LANES,)
    segment: Any  # (LANES,)
    block: Any  # (traits, LANES)
    limit: Any  # (labs and more, LANES)
    totals: Any  # (LANES,)
    each: Any  # (LANES,)


def room(traits: int, labs: int, lines: int, options: int, offers: int, states: int) -> Room:
    """Return room for blocks of a month with so many traits, labs, states and, on offer, lines, options and offers."""
    f, i = np.float32, np.int32
    at, block = np.empty(25 * LANES, f), np.empty((traits, LANES), f)
    lane, sums = at[: 9 * LANES].reshape(9, LANES), at[9 * LANES :].reshape(16, LANES)
    return Room(
        lane=lane,
        taste=block[FIXED:],
        origin=block[ORIGIN:FIXED],
        known=np.empty((labs, LANES), i),
        everybody=np.ones((labs, LANES), i),
        free=np.zeros((labs, LANES), f),
        may=np.empty(LANES, i),
        live=np.empty(lines, np.bool_),
        weight=np.empty((options, LANES), f),
        utility=np.empty((offers, LANES), f),
        version=np.empty((options, LANES), i),
        replaced=np.empty((options, LANES), f),
        plain=np.empty((offers, LANES), f),
        nest=np.empty((lines, LANES), f),
        chance=np.empty((lines, LANES), f),
        switch=np.empty((labs, LANES), f),
        aware=np.empty((labs, LANES), f),
        own=np.empty((labs, LANES), f),
        looks=np.empty((labs, LANES), f),
        home=np.empty((labs, LANES), f),
        less=np.empty((lines, LANES), f),
        more=np.empty((lines, LANES), f),
        usable=np.empty((lines, LANES), f),
        active=np.empty(states, np.int64),
        uses=np.empty(states, bool),
        flow=np.empty((states, LANES), f),
        gone=np.empty((states, LANES), f),
        worth=np.empty((states, LANES), f),
        level=np.empty((4, LANES), i),
        sums=sums,
        at=at,
        rows=np.empty(LANES, np.uint32),
        segment=np.empty(LANES, np.uint32),
        block=block,
        limit=np.empty((to_eight(labs), LANES), f),
        totals=np.empty(LANES),
        each=np.empty(LANES),
    )


@kernel
def choose(
    blocks,
    people,
    states,
    mass,
    bits,
    premium,
    present,
    fresh,
    surplus,
    used,
    reach,
    offered,
    standing,
    rules,
    room,
    evaluations,
):
    """Let the nodes of one family look again and choose; change the shares that use each state (eq. 94).

    Parameters
    ----------
    blocks : array, shape (blocks, 3)
        First node, number of nodes and class of each block.
    mass : array, shape (states, nodes)
        Shares of each node, which sum to the part of it that is in the market.
    bits : array, shape (states, nodes)
        The same memory as whole numbers, 0 where nobody is: an `or` of them is vector code.
    premium : array, shape (states, nodes)
        What the users of each state, all of them together, held beyond its utility when they chose it [utils].
    present, fresh : array, shape (nodes,)
        That part, and what of it has come this month.
    surplus : array, shape (nodes,)
        Surplus of who is in the market [USD/month]; written.
    used : array, shape (segments, labs)
        Chance that the organisation uses the lab for another workload.
    evaluations : array, shape (labs,) or (0,)
        Workloads in the world that look at each lab are added; of no length, not counted.
    """
    labs, lines = len(rules.lab_bloc), len(offered.line)
    # Rows of what is read for each state are not taken apart: a view costs as much as the sums of a few lanes.
    lane, taste, origin, known, weight, nest, chance = (
        room.lane,
        room.taste,
        room.origin,
        room.known,
        room.weight,
        room.nest,
        room.chance,
    )
    flow, gone, worth, aware, own, looks, home, less, more, level, usable = (
        room.flow,
        room.gone,
        room.worth,
        room.aware,
        room.own,
        room.looks,
        room.home,
        room.less,
        room.more,
        room.level,
        room.usable,
    )
    at, utility, replaced = room.at, room.utility, room.replaced
    highest, outside, share, every, none, looked, stays = (
        room.sums[0],
        room.sums[1],
        room.sums[2],
        room.sums[3],
        room.sums[4],
        room.sums[5],
        room.sums[6],
    )
    gain, newcomers, full, below, part, alone = (
        room.sums[7],
        room.sums[8],
        room.sums[9],
        room.sums[11],
        room.sums[12],
        room.sums[13],
    )
    release, channel, column, rows = states.release, states.channel, states.column, room.rows
    for number in range(len(blocks)):
        first, count, kind = blocks[number, 0], blocks[number, 1], blocks[number, 2]
        for k in range(LANES):
            rows[k] = first + k if k < count else first
        gather(rows, kind, people, reach, rules, room.segment, room.block, room.limit, lane, known, room.may)
        utilities(
            kind,
            offered,
            rules,
            lane,
            taste,
            origin,
            room.everybody,
            room.may,
            room.free,
            room.live,
            utility,
            room.plain,
            highest,
            share,
        )
        for k in range(LANES):
            alone[k] = -lane[0, k] * log2(ONE + np.float32(rules.without_ai_cost) * lane[1, k])
            highest[k] = max(highest[k], alone[k])
            outside[k] = exp2(alone[k] - highest[k])
        fold(offered, utility, weight, room.version)
        weigh(offered, rules, room.may, weight, highest, room.live, nest, chance)
        for b in range(level.shape[0]):
            for k in range(LANES):
                level[b, k] = reach[rows[k] if k < count else first, b]
        lam = np.float32(rules.dissimilarity)
        upgrade = exp2(-LOG2_E * np.float32(rules.upgrade_cost))
        inverse = ONE / lam
        inside = exp2(-LOG2_E / lam * np.float32(rules.upgrade_cost))
        adoption = exp2(-LOG2_E * np.float32(rules.adoption_cost))
        cost, discount = np.float32(rules.switching_cost), np.float32(rules.multi_home_discount)
        for lab in range(labs):
            for k in range(LANES):
                row = people.segment[first + k] if k < count else people.segment[first]
                room.switch[lab, k] = exp2(-LOG2_E * cost * (ONE - discount * np.float32(used[row, lab])))
            for k in range(LANES):
                own[lab, k] = looks[lab, k] = home[lab, k] = ZERO
        for n in range(lines):
            lab = offered.lab[n]
            for k in range(LANES):
                own[lab, k] += chance[n, k]
            for k in range(LANES):
                less[n, k] = more[n, k] = ZERO
            count_usable(n, offered, room.may, usable)
        for q in range(len(replaced)):
            for k in range(LANES):
                replaced[q, k] = ZERO
        for k in range(LANES):
            every[k] = none[k] = looked[k] = stays[k] = gain[k] = newcomers[k] = ZERO
        for lab in range(labs):
            for k in range(LANES):
                aware[lab, k] = own[lab, k] * np.float32(known[lab, k])
            for k in range(LANES):
                newcomers[k] += aware[lab, k] * adoption
            for k in range(LANES):
                aware[lab, k] *= room.switch[lab, k]
            for k in range(LANES):
                own[lab, k] *= upgrade
            for k in range(LANES):
                every[k] += aware[lab, k]
        review, width = np.float32(rules.review), np.float32(-LOG2_E / np.float32(rules.success_width))
        active = enter(first, count, states, bits, room)
        # who uses no model
        for k in range(LANES):
            comes = np.float32(fresh[first + k]) if k < count else ZERO
            full[k] = np.float32(mass[0, first + k]) * review + comes * (ONE - review)
        for k in range(LANES):
            below[k] = newcomers[k] + outside[k]
            looked[k] += full[k]
            gain[k] += full[k] * log2(below[k])
            part[k] = full[k] / below[k]
        for k in range(LANES):
            newcomers[k] = part[k] * adoption
            none[k] += part[k] * outside[k]
            flow[0, k] = -full[k]
            gone[0, k], worth[0, k] = review, ZERO
            every[k] += outside[k]
            part[k] = ZERO
        # `part` sums the looks of users at all vendors, each over the sum of the weights that the user sees
        for place in range(1, active):
            s = room.active[place]
            r, c, j, q = release[s], channel[s], column[s], states.place[s]
            n = offered.nest[q]
            lab = standing.lab[r]
            bloc = rules.lab_bloc[lab]
            off = not standing.runs[r, c]
            hazard = ZERO
            if off:
                hazard = ONE
            elif not standing.newest[r, c]:
                hazard = np.float32(standing.upgrade[r])
            sells = rules.sells[lab]
            barring = np.int32(rules.ban_level[c])
            every_vendor = review if sells else review + (ONE - review) * hazard
            own_vendor = (ONE - review) * hazard if sells else ZERO
            if not room.uses[place]:
                for k in range(LANES):
                    flow[s, k] = gone[s, k] = ZERO
                    worth[s, k] = room.plain[j, k] - alone[k]
                continue
            for k in range(LANES):
                gone[s, k] = ONE if level[bloc, k] >= barring else every_vendor + own_vendor
                barred, users = level[bloc, k] >= barring, np.float32(mass[s, first + k])
                at[FULL + k] = users * (ONE if barred else every_vendor)
                at[HOME + k] = ZERO if barred else users * own_vendor
            if j == NONE:
                stay(
                    at,
                    taste,
                    origin,
                    standing.line[r],
                    bloc,
                    width,
                    np.float32(standing.capability[r] + rules.strength[lab, kind]),
                    np.float32(standing.degree[r] * rules.channel_control[c]),
                    np.float32(rules.channel_exposure[c]) if bloc == CN else ZERO,
                    np.float32(standing.appeal[r, c]),
                    np.float32(standing.is_open[r]),
                    np.float32(standing.price[c, kind, r]),
                    np.float32(standing.cluster[c, r]) if c == SELF_HOST else ZERO,
                    ONE if c == SELF_HOST else ZERO,
                )
                steep = ONE if q == NONE else inverse
                bit = np.int32(bloc * CHANNELS + c)
                for k in range(LANES):
                    worth[s, k] = ZERO if off else at[STAYS + k] - at[ALONE + k]
                for k in range(LANES):
                    kept = exp2(min((at[STAYS + k] - at[HIGHEST + k]) * steep, HIGHEST_POWER))
                    may = level[bloc, k] < barring if q == NONE else (room.may[k] >> bit) & 1 == 1
                    at[STAYS + k] = at[OWN + k] = kept if may and not off else ZERO
            else:
                for k in range(LANES):
                    worth[s, k] = room.plain[j, k] - at[ALONE + k]
                if offered.older[n] < offered.older[n + 1]:
                    for k in range(LANES):
                        at[OWN + k] = exp2((utility[j, k] - at[HIGHEST + k]) * inverse)
                else:
                    for k in range(LANES):
                        at[OWN + k] = weight[q, k]
            if q == NONE:
                for k in range(LANES):
                    at[REST + k] = own[lab, k]
            else:
                # its line with the version in use free of the upgrade cost: `BELOW` is the sum, `STAYS` the weight
                for k in range(LANES):
                    line = (nest[n, k] - weight[q, k]) * inside + max(weight[q, k] * inside, at[OWN + k])
                    mean = line / usable[n, k]
                    at[BELOW + k] = line
                    at[STAYS + k] = exp2(lam * log2(max(mean, LEAST))) if mean > LEAST else ZERO
                for k in range(LANES):
                    at[REST + k] = own[lab, k] - upgrade * chance[n, k]
            for k in range(LANES):
                total = at[EVERY + k] - aware[lab, k] + at[REST + k] + at[STAYS + k]
                at[LOOKED + k] += at[FULL + k] + at[HOME + k]
                at[GAIN + k] += at[FULL + k] * log2(total)
                per = at[FULL + k] / total
                at[SHARE + k] = per
                at[PART + k] += per
                at[NOBODY + k] += per * at[OUTSIDE + k]
            for k in range(LANES):
                looks[lab, k] += at[SHARE + k]
            for k in range(LANES):
                flow[s, k] = -at[FULL + k] - at[HOME + k]
            if own_vendor > ZERO:
                for k in range(LANES):
                    total = at[REST + k] + at[STAYS + k]
                    lost = at[HOME + k] if total <= LEAST else ZERO  # nothing to look at there
                    looking = at[HOME + k] - lost
                    total = max(total, LEAST)
                    at[NOBODY + k] += lost
                    at[GAIN + k] += lost * (at[ALONE + k] - at[HIGHEST + k])
                    at[GAIN + k] += looking * log2(total)
                    at[HOME + k] = looking / total
                for k in range(LANES):
                    home[lab, k] += at[HOME + k]
                for k in range(LANES):
                    at[SHARE + k] += at[HOME + k]
            if q == NONE:
                for k in range(LANES):
                    flow[s, k] += at[SHARE + k] * at[STAYS + k]
            else:
                for k in range(LANES):
                    less[n, k] += at[SHARE + k]
                for k in range(LANES):
                    per = at[SHARE + k] * at[STAYS + k] / max(at[BELOW + k], LEAST)
                    wins = at[OWN + k] >= weight[q, k] * inside
                    more[n, k] += per * inside
                    replaced[q, k] += per * inside if wins else ZERO
                    flow[s, k] += per * at[OWN + k] if wins else ZERO
        settle(first, count, states, offered, rules, room, part, newcomers, none, upgrade)
        carry(first, count, active, fresh, mass, premium, room)
        leave(first, count, active, mass, premium, present, room)
        total = room.totals
        for k in range(count):
            surplus[first + k] = total[k] / (np.float64(lane[0, k]) * np.float64(lane[2, k]))
            seen = np.float64(looked[k])
            for lab in range(len(evaluations)):
                evaluations[lab] += people.weight[first + k] * seen * known[lab, k]


@kernel
def count_usable(n, offered, may, usable):
    """Write how many channels of a line each node may use, 1 if none."""
    for k in range(LANES):
        usable[n, k] = ZERO
    for j in range(offered.first[n], offered.first[n + 1]):
        bit = np.int32(CHANNELS * offered.lab_bloc[n] + offered.channel[j])
        for k in range(LANES):
            usable[n, k] += ONE if (may[k] >> bit) & 1 else ZERO
    for k in range(LANES):
        usable[n, k] = max(usable[n, k], ONE)


@kernel
def enter(first, count, states, bits, room):
    """Find the states that a block uses or may move to; return how many there are."""
    active = 0
    for s in range(len(states.release)):
        used = 0
        for k in range(first, first + count):
            used |= bits[s, k]
        if s == 0 or used != 0 or states.column[s] != NONE:
            room.active[active] = s
            room.uses[active] = used != 0
            active += 1
    return active


@kernel
def carry(first, count, active, fresh, mass, premium, room):
    """Let shares of a block flow, and move its premium with them (eq. 94).

    Who looks leaves that of the state behind; who comes to a state brings what a look was worth to the node's lookers
    on average, less the utility of the state.
    """
    looked, gain, highest, alone = room.sums[5], room.sums[7], room.sums[0], room.sums[13]
    each, reached, flow, gone, worth = room.each, room.totals, room.flow, room.gone, room.worth
    for k in range(LANES):
        each[k] = np.float64(gain[k]) / (np.float64(looked[k]) + FEWEST) + np.float64(highest[k] - alone[k])
        reached[k] = 0.0
    for place in range(active):
        s = room.active[place]
        share, beyond = mass[s, first : first + LANES], premium[s, first : first + LANES]
        for k in range(count):
            part, moved = np.float64(gone[s, k]), np.float64(flow[s, k])
            brought = (each[k] - np.float64(worth[s, k])) * np.float64(LOG_2)
            beyond[k] = beyond[k] * (1.0 - part) + (share[k] * part + moved) * brought
            share[k] = max(0.0, share[k] + moved)
            reached[k] += share[k]
    for k in range(count):  # newcomers look whether they review or not
        came = fresh[first + k] * (1.0 - np.float64(gone[0, k]))
        premium[0, first + k] += came * each[k] * np.float64(LOG_2)


@kernel
def leave(first, count, active, mass, premium, present, room):
    """Write the shares of a block, which sum to the part of each node that is in the market; total the surplus."""
    totals, scale, worth = room.totals, room.each, room.worth
    for k in range(count):
        scale[k] = present[first + k] / totals[k] if totals[k] > 0.0 else 0.0
    for k in range(LANES):
        totals[k] = 0.0
    for place in range(active):
        s = room.active[place]
        share, beyond = mass[s, first : first + LANES], premium[s, first : first + LANES]
        for k in range(count):
            share[k] *= scale[k]
            totals[k] += np.float64(LOG_2 * worth[s, k]) * share[k] + beyond[k]


@kernel
def stay(at, taste, origin, line, bloc, width, able, kept, raised, appeal, is_open, price, cluster, staffed):
    """Write the utility of staying with a superseded release in units of log2 (eq. 57)."""
    for k in range(LANES):
        bill = at[ALPHA + k] * log2(ONE + max(price * at[RATE + k], cluster * at[INVERSE + k]))
        bill += staffed * at[STAFF + k]
        worth = at[VALUE + k] / (ONE + exp2(width * (able - at[DIFFICULTY + k])))
        worth += taste[line, k] + origin[bloc, k] + is_open * at[LIKING + k]
        worth += appeal
        at[STAYS + k] = LOG2_E * (worth + kept * at[CONTROL + k] - raised * at[DISTRUST + k]) - bill


@kernel
def settle(first, count, states, offered, rules, room, part, newcomers, none, upgrade):
    """Add to the flows what goes to the offers and to doing without."""
    inner = room.sums[2]
    for n in range(len(offered.line)):
        lab = offered.lab[n]
        aware, looks, home, switch = room.known[lab], room.looks[lab], room.home[lab], room.switch[lab]
        less, more, chance, nest = room.less[n], room.more[n], room.chance[n], room.nest[n]
        for k in range(LANES):
            moves = max(part[k] - looks[k], ZERO) * switch[k] + newcomers[k]
            inner[k] = np.float32(aware[k]) * moves
        for k in range(LANES):
            inner[k] += upgrade * (looks[k] + home[k] - less[k])
        for k in range(LANES):
            inner[k] *= chance[k] / max(nest[k], LEAST)
        for k in range(LANES):
            more[k] += inner[k]
    for q in range(len(offered.nest)):
        weight, more, replaced = room.weight[q], room.more[offered.nest[q]], room.replaced[q]
        for k in range(LANES):
            weight[k] *= more[k] - replaced[k]
    for s in range(1, len(states.release)):
        j = states.column[s]
        if j != NONE:
            row, comes, version = room.flow[s], room.weight[offered.option[j]], room.version[offered.option[j]]
            for k in range(LANES):
                row[k] += comes[k] if version[k] == j else ZERO
    for k in range(LANES):
        room.flow[0, k] += none[k]


@kernel
def move(mass, kept, first, seats):
    """Write the shares of the states kept, from place `first` on, into `seats`, which may be where they lie."""
    for place in range(first, len(kept)):
        for i in range(mass.shape[1]):
            seats[place, i] = mass[kept[place], i]


@kernel
def tally(people, release, channel, mass, present, surplus, need_growth, pain_growth, price, cluster, out):
    """Add the nodes' use to `out`, shape (3, cells, states): workloads, tokens wanted, spend (eq. 61).

    The first state of the first two holds, by cell, all workloads in the market and their surplus.

    Parameters
    ----------
    price : array, shape (channels, classes, releases)
        [USD/Mtok]; own machines at their highest utilisation.
    cluster : array, shape (channels, releases)
        A workload's part of the smallest own cluster [USD/month].
    """
    nodes, states = len(people.arrival), len(release)
    listed, least, shares = np.zeros(states), np.zeros(states), np.empty((LINE, states))
    before = NONE
    for i in range(nodes):
        if i % LINE == 0:  # nodes that lie in one line of the cache
            for s in range(states):
                for k in range(min(LINE, nodes - i)):
                    shares[k, s] = mass[s, i + k]
        kind, weight = people.kind[i], people.weight[i]
        if kind != before:
            before = kind
            for s in range(1, states):
                listed[s] = price[channel[s], kind, release[s]]
                least[s] = cluster[channel[s], release[s]] if channel[s] == SELF_HOST else 0.0
        cell = people.segment[i] * KINDS + kind
        need, pain = people.need[i] * need_growth[kind], people.pain[i] * pain_growth[kind]
        share, used, tokens, spend = shares[i % LINE], out[0, cell], out[1, cell], out[2, cell]
        used[0] += weight * present[i]
        tokens[0] += weight * surplus[i]
        for s in range(1, states):
            paid = least[s] / need if least[s] > listed[s] * need else listed[s]
            wanted = weight * share[s] * need / (1.0 + paid * need / pain)
            used[s] += weight * share[s]
            tokens[s] += wanted if share[s] > 0.0 else 0.0  # who uses it pays; others may find no price
            spend[s] += wanted * paid if share[s] > 0.0 else 0.0


@kernel
def drawn(mass, point, reached, state):
    """Write the state of each node at a point of its shares; `reached` is room of shape (nodes,)."""
    nodes, states = len(point), mass.shape[0]
    for i in range(nodes):
        reached[i] = 0.0
        state[i] = 0
    for s in range(states - 1):
        row = mass[s]
        for i in range(nodes):
            reached[i] += row[i]
        for i in range(nodes):
            state[i] += 1 if reached[i] < point[i] else 0
