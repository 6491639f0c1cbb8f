"""Choices of a population carried by taste nodes: shares of each that use each release (docs/model.md, section 4.10).

The limit of many workloads with the tastes of a node. Looks, choices and what is kept follow the same utilities as
`sim.market.kernels.choice`; shares of states take the place of drawn options. What depends on the state alone, the cost
of moving and the release kept, enters as factors of weights that the node's states share.

The NumPy twin is `sim.market.stages.choice` on one row of `Choosers` for each node and state.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sim.market.kernels.choice import (
    CHANNELS,
    CN,
    LANES,
    LEAST,
    LOG2_E,
    LOG_2,
    NONE,
    ONE,
    SELF_HOST,
    ZERO,
    gather,
    utilities,
    weigh,
)
from sim.market.kernels.compiled import kernel
from sim.market.kernels.single import exp2, log2

HIGHEST_POWER = np.float32(126.0)


class States(NamedTuple):
    """Releases on channels that nodes may use after this month; shapes (states,), the first stands for none."""

    release: Any
    channel: Any
    column: Any  # of the offer, NONE where it is not on offer


class Room(NamedTuple):
    """Room for a block of nodes; lanes last."""

    lane: Any  # (9, LANES)
    taste: Any  # (all lines, LANES)
    origin: Any  # (blocs, LANES)
    known: Any  # (labs, LANES)
    everybody: Any  # (labs, LANES) ones
    free: Any  # (labs, LANES) zeros
    may: Any  # (LANES,)
    weight: Any  # (offers, LANES) inside the line
    nest: Any  # (lines, LANES)
    chance: Any  # (lines, LANES)
    switch: Any  # (labs, LANES) factor of moving to a lab
    aware: Any  # (labs, LANES) weight of a lab's lines to those who move to it
    own: Any  # (labs, LANES) the same to its users
    looks: Any  # (labs, LANES) of its users at all vendors
    home: Any  # (labs, LANES) of its users at its own offers
    less: Any  # (lines, LANES) looks of users whose line counts for more
    more: Any  # (lines, LANES)
    flow: Any  # (states, LANES)
    level: Any  # (blocs, LANES) reach of bans
    sums: Any  # (14, LANES)
    rows: Any  # (LANES,)
    totals: Any  # (LANES,)


def room(labs: int, all_lines: int, lines: int, offers: int, states: int) -> Room:
    """Return room for blocks of a month with so many labs, lines and states and, on offer, lines and offers."""
    f, i = np.float32, np.int32
    return Room(
        lane=np.empty((9, LANES), f),
        taste=np.empty((all_lines, LANES), f),
        origin=np.empty((4, LANES), f),
        known=np.empty((labs, LANES), i),
        everybody=np.ones((labs, LANES), i),
        free=np.zeros((labs, LANES), f),
        may=np.empty(LANES, i),
        weight=np.empty((offers, LANES), f),
        nest=np.empty((lines, LANES), f),
        chance=np.empty((lines, LANES), f),
        switch=np.empty((labs, LANES), f),
        aware=np.empty((labs, LANES), f),
        own=np.empty((labs, LANES), f),
        looks=np.empty((labs, LANES), f),
        home=np.empty((labs, LANES), f),
        less=np.empty((lines, LANES), f),
        more=np.empty((lines, LANES), f),
        flow=np.empty((states, LANES), f),
        level=np.empty((4, LANES), i),
        sums=np.empty((14, LANES), f),
        rows=np.empty(LANES, np.int64),
        totals=np.empty(LANES),
    )


@kernel
def choose(
    blocks, people, states, mass, present, fresh, surplus, used, reach, offered, standing, rules, room, evaluations
):
    """Let the nodes of one family look again and choose; change the shares that use each state (eq. 94).

    Parameters
    ----------
    blocks : array, shape (blocks, 3)
        First node, number of nodes and class of each block.
    mass : array, shape (states, nodes)
        Shares of each node, which sum to the part of it that is in the market.
    present, fresh : array, shape (nodes,)
        That part, and what of it has come this month.
    surplus : array, shape (nodes,)
        Surplus of the last choices of who is in the market [USD/month]; who looks again takes the node's mean along.
    used : array, shape (segments, labs)
        Chance that the organisation uses the lab for another workload.
    evaluations : array, shape (labs,) or (0,)
        Workloads in the world that look at each lab are added; of no length, not counted.
    """
    for number in range(len(blocks)):
        first, count, kind = blocks[number, 0], blocks[number, 1], blocks[number, 2]
        lane, origin, weight, nest, chance, sums = (
            room.lane,
            room.origin,
            room.weight,
            room.nest,
            room.chance,
            room.sums,
        )
        flow, home, looks, less, more = room.flow, room.home, room.looks, room.less, room.more
        rows = room.rows
        for k in range(count):
            rows[k] = first + k
        labs, lines = len(rules.lab_bloc), len(offered.line)
        gather(rows, count, kind, people, reach, rules, lane, room.taste, origin, room.known, room.may)
        highest, outside, share, every, none, looked, stays = (
            sums[0],
            sums[1],
            sums[2],
            sums[3],
            sums[4],
            sums[5],
            sums[6],
        )
        gain, newcomers, full, at_home, below, part, alone = (
            sums[7],
            sums[8],
            sums[9],
            sums[10],
            sums[11],
            sums[12],
            sums[13],
        )
        utilities(
            kind, offered, rules, lane, room.taste, origin, room.everybody, room.may, room.free, weight, highest, share
        )
        for k in range(LANES):
            alone[k] = -lane[0, k] * log2(ONE + np.float32(rules.without_ai_cost) * lane[1, k])
            highest[k] = max(highest[k], alone[k])
            outside[k] = exp2(alone[k] - highest[k])
        weigh(offered, rules, room.may, weight, highest, nest, chance)
        for b in range(room.level.shape[0]):
            for k in range(LANES):
                room.level[b, k] = reach[rows[k] if k < count else first, b]
        lam = np.float32(rules.dissimilarity)
        upgrade = exp2(-LOG2_E * np.float32(rules.upgrade_cost))
        inside = exp2(-LOG2_E / lam * np.float32(rules.upgrade_cost))
        adoption = exp2(-LOG2_E * np.float32(rules.adoption_cost))
        cost, discount = np.float32(rules.switching_cost), np.float32(rules.multi_home_discount)
        for lab in range(labs):
            for k in range(LANES):
                row = people.segment[first + k] if k < count else people.segment[first]
                room.switch[lab, k] = exp2(-LOG2_E * cost * (ONE - discount * np.float32(used[row, lab])))
            for k in range(LANES):
                room.own[lab, k] = looks[lab, k] = home[lab, k] = ZERO
        for n in range(lines):
            lab = offered.lab[n]
            for k in range(LANES):
                room.own[lab, k] += chance[n, k]
            for k in range(LANES):
                less[n, k] = more[n, k] = ZERO
        for k in range(LANES):
            every[k] = none[k] = looked[k] = stays[k] = gain[k] = newcomers[k] = ZERO
        for lab in range(labs):
            for k in range(LANES):
                room.aware[lab, k] = room.own[lab, k] * np.float32(room.known[lab, k])
            for k in range(LANES):
                newcomers[k] += room.aware[lab, k] * adoption
            for k in range(LANES):
                room.aware[lab, k] *= room.switch[lab, k]
            for k in range(LANES):
                room.own[lab, k] *= upgrade
            for k in range(LANES):
                every[k] += room.aware[lab, k]
        review = np.float32(rules.review)
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
            every[k] += outside[k]
            part[k] = ZERO
        # `part` sums the looks of users at all vendors, each over the sum of the weights that the user sees
        for s in range(1, len(states.release)):
            r, c, j = states.release[s], states.channel[s], states.column[s]
            lab = standing.lab[r]
            bloc = rules.lab_bloc[lab]
            off = not standing.runs[r, c]
            hazard = ZERO
            if off:
                hazard = ONE
            elif j == NONE:
                hazard = np.float32(standing.upgrade[r])
            sells = rules.sells[lab]
            row, level, barring = mass[s], room.level[bloc], np.int32(rules.ban_level[c])
            every_vendor = review if sells else review + (ONE - review) * hazard
            own_vendor = (ONE - review) * hazard if sells else ZERO
            whole = 0.0
            for k in range(LANES):
                whole = max(whole, row[first + k])
            if whole == 0.0:
                for k in range(LANES):
                    flow[s, k] = ZERO
                continue
            for k in range(LANES):
                full[k] = np.float32(row[first + k])
            for k in range(LANES):
                at_home[k] = ZERO if level[k] >= barring else full[k] * own_vendor
                full[k] *= ONE if level[k] >= barring else every_vendor
            own, aware = room.own[lab], room.aware[lab]
            if j == NONE:
                if off:
                    for k in range(LANES):
                        stays[k] = ZERO
                else:
                    stay(s, r, c, kind, standing, rules, room, share, stays)
                    for k in range(LANES):
                        stays[k] = exp2(min(stays[k] - highest[k], HIGHEST_POWER))
                    for k in range(LANES):
                        stays[k] = ZERO if level[k] >= barring else stays[k]
                for k in range(LANES):
                    below[k] = every[k] - aware[k] + own[k] + stays[k]
                for k in range(LANES):
                    looked[k] += full[k] + at_home[k]
                    gain[k] += full[k] * log2(below[k])
                for k in range(LANES):
                    share[k] = full[k] / below[k]
                for k in range(LANES):
                    part[k] += share[k]
                    looks[lab, k] += share[k]
                for k in range(LANES):
                    none[k] += share[k] * outside[k]
                    flow[s, k] = share[k] * stays[k] - full[k] - at_home[k]
                if hazard > ZERO:
                    for k in range(LANES):
                        below[k] = own[k] + stays[k]
                        stuck = below[k] <= LEAST
                        below[k] = max(below[k], LEAST)
                        if stuck:
                            none[k] += at_home[k]
                            gain[k] += at_home[k] * (alone[k] - highest[k])
                            at_home[k] = ZERO
                    for k in range(LANES):
                        gain[k] += at_home[k] * log2(below[k])
                        share[k] = at_home[k] / below[k]
                    for k in range(LANES):
                        home[lab, k] += share[k]
                        flow[s, k] += share[k] * stays[k]
            else:
                n = offered.nest[j]
                bit = CHANNELS * offered.lab_bloc[n]
                for k in range(LANES):
                    usable = ZERO
                    for i in range(offered.first[n], offered.first[n + 1]):
                        usable += ONE if (room.may[k] >> np.int32(bit + offered.channel[i])) & 1 else ZERO
                    stays[k] = max(usable, ONE)
                for k in range(LANES):
                    # its line with the offer in use free of the upgrade cost: `at_home` is the sum, `stays` the weight
                    at_home[k] = (nest[n, k] - weight[j, k]) * inside + weight[j, k]
                    mean = at_home[k] / stays[k]
                    stays[k] = exp2(lam * log2(max(mean, LEAST))) if mean > LEAST else ZERO
                for k in range(LANES):
                    below[k] = every[k] - aware[k] + own[k] - upgrade * chance[n, k] + stays[k]
                for k in range(LANES):
                    looked[k] += full[k]
                    gain[k] += full[k] * log2(below[k])
                for k in range(LANES):
                    share[k] = full[k] / below[k]
                for k in range(LANES):
                    part[k] += share[k]
                    looks[lab, k] += share[k]
                for k in range(LANES):
                    none[k] += share[k] * outside[k]
                for k in range(LANES):
                    less[n, k] += share[k]
                    stays[k] = share[k] * stays[k] / max(at_home[k], LEAST)
                for k in range(LANES):
                    more[n, k] += stays[k] * inside
                    flow[s, k] = stays[k] * weight[j, k] * (ONE - inside) - full[k]
        settle(first, count, states, offered, rules, room, part, newcomers, none, upgrade)
        totals = room.totals
        for k in range(LANES):
            totals[k] = 0.0
        for s in range(len(states.release)):
            row = mass[s]
            for k in range(count):
                row[first + k] = max(0.0, row[first + k] + np.float64(flow[s, k]))
            for k in range(count):
                totals[k] += row[first + k]
        for k in range(count):
            totals[k] = present[first + k] / totals[k] if totals[k] > 0.0 else 0.0
        for s in range(len(states.release)):
            row = mass[s]
            for k in range(count):
                row[first + k] *= totals[k]
        for k in range(count):
            seen = np.float64(looked[k])
            value = np.float64(gain[k]) + seen * np.float64(highest[k] - alone[k])
            scale = np.float64(lane[0, k]) * np.float64(lane[2, k])
            before = present[first + k] - fresh[first + k]
            lost = (seen - fresh[first + k]) / before if before > 0.0 else 0.0
            surplus[first + k] += value * np.float64(LOG_2) / scale - lost * surplus[first + k]
            for lab in range(len(evaluations)):
                evaluations[lab] += people.weight[first + k] * seen * room.known[lab, k]


@kernel
def stay(s, r, c, kind, standing, rules, room, succeeds, utility):
    """Write the utility of staying with a superseded release in units of log2 (eq. 57)."""
    lab = standing.lab[r]
    bloc = rules.lab_bloc[lab]
    lane, origin, taste = room.lane, room.origin[bloc], room.taste[standing.line[r]]
    alpha, rate, inverse, value, difficulty, control, distrust, liking, staff = (
        lane[0],
        lane[1],
        lane[2],
        lane[3],
        lane[4],
        lane[5],
        lane[6],
        lane[7],
        lane[8],
    )
    width = np.float32(-LOG2_E / np.float32(rules.success_width))
    able = np.float32(standing.capability[r] + rules.strength[lab, kind])
    kept = np.float32(standing.degree[r] * rules.channel_control[c])
    raised = np.float32(rules.channel_exposure[c]) if bloc == CN else ZERO
    appeal, is_open = np.float32(standing.appeal[r, c]), np.float32(standing.is_open[r])
    price, cluster = np.float32(standing.price[c, kind, r]), ZERO
    if c == SELF_HOST:
        cluster = np.float32(standing.cluster[c, r])
    for k in range(LANES):
        utility[k] = alpha[k] * log2(ONE + max(price * rate[k], cluster * inverse[k]))
    if c == SELF_HOST:
        for k in range(LANES):
            utility[k] += staff[k]
    for k in range(LANES):
        succeeds[k] = value[k] / (ONE + exp2(width * (able - difficulty[k])))
    for k in range(LANES):
        succeeds[k] += taste[k] + origin[k] + is_open * liking[k]
    for k in range(LANES):
        utility[k] = LOG2_E * (succeeds[k] + appeal + kept * control[k] - raised * distrust[k]) - utility[k]


@kernel
def settle(first, count, states, offered, rules, room, part, newcomers, none, upgrade):
    """Add to the flows what goes to the offers and to doing without."""
    for s in range(1, len(states.release)):
        j = states.column[s]
        if j == NONE:
            continue
        n = offered.nest[j]
        lab = offered.lab[n]
        aware, looks, home = room.known[lab], room.looks[lab], room.home[lab]
        switch, row = room.switch[lab], room.flow[s]
        for k in range(LANES):
            moves = max(part[k] - looks[k], ZERO) * switch[k] + newcomers[k]
            inner = np.float32(aware[k]) * moves + upgrade * (looks[k] + home[k] - room.less[n, k])
            inner *= room.chance[n, k] / max(room.nest[n, k], LEAST)
            row[k] += room.weight[j, k] * (inner + room.more[n, k])
    for k in range(LANES):
        room.flow[0, k] += none[k]


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
    for i in range(len(people.arrival)):
        kind, weight = people.kind[i], people.weight[i]
        cell = people.segment[i] * 5 + kind
        out[0, cell, 0] += weight * present[i]
        out[1, cell, 0] += weight * surplus[i]
        need, pain = people.need[i] * need_growth[kind], people.pain[i] * pain_growth[kind]
        for s in range(1, len(release)):
            share = mass[s, i]
            if share == 0.0:
                continue
            r, c = release[s], channel[s]
            paid = price[c, kind, r]
            if c == SELF_HOST and cluster[c, r] > paid * need:
                paid = cluster[c, r] / need
            tokens = weight * share * need / (1.0 + paid * need / pain)
            out[0, cell, s] += weight * share
            out[1, cell, s] += tokens
            out[2, cell, s] += tokens * paid


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
