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
from sim.market.kernels.compiled import apart, kernel, lean, piece, turn
from sim.market.kernels.month import (
    BLOCS,
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
WIDTH = 16  # the states of a block go by so many nodes at a time
HIGHEST_POWER = np.float32(126.0)
FEWEST = 1e-300  # nobody looks: nothing to divide by
NO_BAN = 127  # beyond the reach of any


class States(NamedTuple):
    """Releases on channels that nodes may use after this month; shapes (states,), the first stands for none."""

    release: Any
    channel: Any
    column: Any  # of the offer, NONE where it is not on offer
    place: Any  # option of which it is a version to who uses it, NONE if of none


class Room(NamedTuple):
    """Room for a block of nodes; lanes last. Utilities are in units of log2."""

    rows: Any  # (LANES,)
    segment: Any  # (LANES,)
    block: Any  # (traits, LANES)
    taste: Any  # (all lines and more, LANES) of `block`
    origin: Any  # (blocs, LANES) of `block`
    limit: Any  # (labs and more, LANES)
    lane: Any  # (9, LANES)
    known: Any  # (labs, LANES)
    everybody: Any  # (labs, LANES) ones
    free: Any  # (labs, LANES) zeros
    may: Any  # (LANES,)
    live: Any  # (lines,) whether any node knows it: all
    usable: Any  # (blocs times channels, LANES) 1 where a node may choose such an option, else 0
    level: Any  # (blocs, LANES) reach of bans
    unbarred: Any  # (blocs times channels, LANES) 1 where no ban reaches such a state, else 0
    utility: Any  # (offers, LANES)
    plain: Any  # (offers, LANES) utilities, of barred offers too
    version: Any  # (options, LANES) offer that suits best
    weight: Any  # (options, LANES) inside the line
    nest: Any  # (lines, LANES) their sum
    part: Any  # (lines, LANES) one over the channels of a line that a node may use
    chance: Any  # (lines, LANES) weight against the other lines
    factor: Any  # (segments, labs and more) of moving to a lab
    switch: Any  # (labs and more, LANES) the same
    aware: Any  # (labs, LANES) weight of a lab's lines to those who move to it
    own: Any  # (labs, LANES) the same to its users
    highest: Any  # (LANES,) utility
    alone: Any  # (LANES,) utility of doing without
    outside: Any  # (LANES,) its weight
    every: Any  # (LANES,) weight of all that others may move to and of doing without
    common: Any  # (LANES,) utility of a superseded release that its channels share [utils]
    stays: Any  # (LANES,) utility of what is in use, if superseded
    full: Any  # (LANES,) looks of a state's users at all vendors
    only: Any  # (LANES,) at their own vendor alone
    kept: Any  # (LANES,) weight of what is in use inside its line
    line: Any  # (LANES,) of its line
    value: Any  # (LANES,) of its line against the other lines
    here: Any  # (LANES,) of its lab's lines
    taken: Any  # (LANES,) looks over the weights that they see
    active: Any  # (states,) those that the block uses or may move to
    bloc: Any  # (states,)
    barring: Any  # (states,) reach of a ban that bars it
    leaves: Any  # (states,) part of its users that looks where no ban does, double precision
    came: Any  # (states, LANES) what comes to a state or is back with it
    worth: Any  # (states, LANES) utility over doing without, 0 where it is switched off
    left: Any  # (LANES,) looks of all, double precision
    gain: Any  # (LANES,) what they are worth
    seen: Any  # (LANES,) looks of users at all vendors, each over the sum of the weights that the user sees
    newcomers: Any  # (LANES,) the same of who uses none
    none: Any  # (LANES,) those who do without
    looks: Any  # (labs, LANES) as `seen`, of its users
    home: Any  # (labs, LANES) the same of its users at its own offers
    less: Any  # (lines, LANES) the same of users whose line counts for more
    more: Any  # (lines, LANES) over the weights in a line
    replaced: Any  # (options, LANES) of users to whom the version that they have counts for more
    moved: Any  # (options, LANES)
    mean: Any  # (LANES,) worth of a look over doing without [utils]
    scale: Any  # (LANES,) double precision
    total: Any  # (LANES,) double precision


def room(traits: int, labs: int, lines: int, options: int, offers: int, states: int, segments: int) -> Room:
    """Return room for blocks of a month with so many traits, labs, states and, on offer, lines, options and offers."""

    def rows(*shape: int, kind: Any = np.float32) -> Any:
        return np.empty((*shape, LANES), kind)

    def each(names: str, *shape: int, kind: Any = np.float32) -> dict[str, Any]:
        return {name: rows(*shape, kind=kind) for name in names.split()}

    block = rows(traits)
    return Room(
        block=block,
        taste=block[FIXED:],
        origin=block[ORIGIN:FIXED],
        limit=rows(to_eight(labs)),
        lane=rows(9),
        everybody=np.ones((labs, LANES), np.int32),
        free=np.zeros((labs, LANES), np.float32),
        factor=np.empty((segments, to_eight(labs)), np.float32),
        switch=rows(to_eight(labs)),
        active=np.empty(states, np.int64),
        bloc=np.empty(states, np.int64),
        barring=np.empty(states, np.int32),
        leaves=np.empty(states),
        known=rows(labs, kind=np.int32),
        live=np.empty(lines, np.bool_),
        level=rows(BLOCS, kind=np.int32),
        version=rows(options, kind=np.int32),
        may=rows(kind=np.int32),
        **each("rows segment", kind=np.uint32),
        **each("usable unbarred", BLOCS * CHANNELS),
        **each("aware own looks home", labs),
        **each("nest part chance less more", lines),
        **each("weight replaced moved", options),
        **each("utility plain", offers),
        **each("came worth", states),
        **each("highest alone outside every common stays full only kept line value here taken"),
        **each("gain seen newcomers none mean"),
        **each("left scale total", kind=np.float64),
    )


@lean
def choose(
    blocks,
    people,
    states,
    mass,
    bits,
    premium,
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
    mass : array, shape (states, nodes and more)
        Shares of each node, which sum to the part of it in the market: last month's, and this month's after it.
    bits : array, shape (states, nodes and more)
        The same memory as whole numbers, 0 where nobody is: an `or` of them is vector code.
    premium : array, shape (states, nodes and more)
        What the users of each state, all of them together, held beyond its utility when they chose it [utils].
    fresh : array, shape (nodes and more,)
        What of each node has come this month: it uses none, and looks.
    surplus : array, shape (nodes,)
        Surplus of who is in the market [USD/month]; written.
    used : array, shape (segments, labs)
        Chance that the organisation uses the lab for another workload.
    evaluations : array, shape (labs,) or (0,)
        Workloads in the world that look at each lab are added; of no length, not counted.
    """
    lane, known = room.lane, room.known
    factors(used, rules, room.factor)
    for number in range(len(blocks)):
        first, count, kind = blocks[number, 0], blocks[number, 1], blocks[number, 2]
        for k in range(LANES):
            room.rows[k] = first + k if k < count else first
        gather(room.rows, kind, people, reach, rules, room.segment, room.block, room.limit, lane, known, room.may)
        for k in range(0, LANES, 8):
            for lab in range(0, room.switch.shape[0], 8):
                turn(room.factor, room.segment, k, lab, room.switch)
        utilities(
            kind,
            offered,
            rules,
            lane,
            room.taste,
            room.origin,
            room.everybody,
            room.may,
            room.free,
            room.live,
            room.utility,
            room.plain,
            room.highest,
            room.common,
        )
        without(lane, np.float32(rules.without_ai_cost), room.alone, room.highest, room.outside)
        fold(offered, room.utility, room.weight, room.version)
        weigh(offered, rules, room.may, room.weight, room.highest, room.live, room.nest, room.chance)
        permit(reach, rules, room)
        weigh_labs(offered, rules, room)
        begin(mass[0, first : first + LANES], fresh[first : first + LANES], rules, room)
        active = flow(first, count, kind, states, mass, bits, offered, standing, rules, room)
        settle(states, offered, rules, room)
        carry(first, count, active, mass, premium, room)
        for k in range(count):
            surplus[first + k] = room.total[k] / (np.float64(lane[0, k]) * np.float64(lane[2, k]))
            for lab in range(len(evaluations)):
                evaluations[lab] += people.weight[first + k] * room.left[k] * known[lab, k]


@piece
def factors(used, rules, factor):
    """Write the factor that the cost of moving to each lab is of its weight, (segments, labs)."""
    cost, discount = LOG2_E * np.float32(rules.switching_cost), np.float32(rules.multi_home_discount)
    for segment in range(used.shape[0]):
        for lab in range(used.shape[1]):
            factor[segment, lab] = exp2(-cost * (ONE - discount * np.float32(used[segment, lab])))


@apart
def without(lane, cost, alone, highest, outside):
    """Write utility and weight of doing without, and the highest utility of all."""
    for k in range(LANES):
        alone[k] = -lane[0, k] * log2(ONE + cost * lane[1, k])
        highest[k] = max(highest[k], alone[k])
        outside[k] = exp2(alone[k] - highest[k])


@apart
def permit(reach, rules, room):
    """Write what each node may choose and what no ban keeps from it, by bloc of labs and channel."""
    level, may, usable, unbarred = room.level, room.may, room.usable, room.unbarred
    for bloc in range(BLOCS):
        for k in range(LANES):
            level[bloc, k] = reach[room.rows[k], bloc]
        for channel in range(CHANNELS):
            bit, barring = bloc * CHANNELS + channel, np.int32(rules.ban_level[channel])
            flag = np.int32(1 << bit)
            for k in range(LANES):
                usable[bit, k] = ONE if may[k] & flag else ZERO
            for k in range(LANES):
                unbarred[bit, k] = ONE if level[bloc, k] < barring else ZERO


@apart
def weigh_labs(offered, rules, room):
    """Write the weight of each lab's lines to its users and to who moves to it; clear what is added up."""
    aware, own, every, newcomers, part = room.aware, room.own, room.every, room.newcomers, room.part
    upgrade = exp2(-LOG2_E * np.float32(rules.upgrade_cost))
    own[:], room.looks[:], room.home[:], room.less[:], room.more[:] = ZERO, ZERO, ZERO, ZERO, ZERO
    room.replaced[:], room.part[:], newcomers[:], room.seen[:] = ZERO, ZERO, ZERO, ZERO
    for n in range(len(offered.line)):
        for j in range(offered.first[n], offered.first[n + 1]):
            bit = CHANNELS * offered.lab_bloc[n] + offered.channel[j]
            for k in range(LANES):
                part[n, k] += room.usable[bit, k]
        for k in range(LANES):
            own[offered.lab[n], k] += room.chance[n, k]
            part[n, k] = ONE / max(part[n, k], ONE)
    for k in range(LANES):
        every[k] = room.outside[k]
    for lab in range(own.shape[0]):
        for k in range(LANES):
            knows = own[lab, k] * np.float32(room.known[lab, k])
            newcomers[k] += knows
            aware[lab, k] = knows * room.switch[lab, k]
            every[k] += knows * room.switch[lab, k]
            own[lab, k] *= upgrade


@apart
def begin(users, fresh, rules, room):
    """Let who uses no model look: those who review, and newcomers."""
    review, adoption = rules.review, exp2(-LOG2_E * np.float32(rules.adoption_cost))
    room.active[0], room.bloc[0], room.barring[0], room.leaves[0] = 0, 0, NO_BAN, review
    left, gain, newcomers, none, came, worth = (
        room.left,
        room.gain,
        room.newcomers,
        room.none,
        room.came[0],
        room.worth[0],
    )
    for k in range(LANES):
        left[k] = users[k] * review + fresh[k]
    for k in range(LANES):
        looks, total = np.float32(left[k]), newcomers[k] * adoption + room.outside[k]
        gain[k] = looks * log2(total)
        newcomers[k] = looks / total * adoption
        none[k] = looks / total * room.outside[k]
        came[k] = worth[k] = ZERO


@piece
def flow(first, count, kind, states, mass, bits, offered, standing, rules, room):
    """Let the users of all states look; return how many states the block uses or may move to."""
    lanes, active, before = (count + WIDTH - 1) // WIDTH * WIDTH, 1, NONE
    lam, review = np.float32(rules.dissimilarity), np.float32(rules.review)
    upgrade = exp2(-LOG2_E * np.float32(rules.upgrade_cost))
    inside = exp2(-LOG2_E / lam * np.float32(rules.upgrade_cost))
    for s in range(1, len(states.release)):
        r, c, j, q = states.release[s], states.channel[s], states.column[s], states.place[s]
        room.active[active] = s
        if not anybody(bits[s, first : first + count]):
            if j != NONE:
                room.bloc[s], room.barring[s], room.leaves[s] = 0, NO_BAN, 0.0
                enter(room.plain[j], room.alone, room.came[s], room.worth[s])
                active += 1
            continue
        active += 1
        lab = standing.lab[r]
        bloc = rules.lab_bloc[lab]
        stays, may = room.stays, room.unbarred[bloc * CHANNELS + c]
        if not standing.runs[r, c]:  # worth nothing and never kept
            stays, may = room.alone, room.free[lab]
        elif j != NONE:
            stays = room.plain[j]
        else:
            if r != before:
                able = np.float32(standing.capability[r] + rules.strength[lab, kind])
                taste, origin = room.taste[standing.line[r]], room.origin[bloc]
                succeed(room.lane, taste, origin, able, np.float32(standing.is_open[r]), rules, room.common)
                before = r
            stay(r, c, kind, bloc == CN, room.lane, room.common, standing, rules, stays)
        hazard = ZERO if standing.newest[r, c] else np.float32(standing.upgrade[r])
        hazard = hazard if standing.runs[r, c] else ONE
        every_vendor, own_vendor = review, (ONE - review) * hazard
        if not rules.sells[lab]:
            every_vendor, own_vendor = review + own_vendor, ZERO
        room.bloc[s], room.barring[s] = bloc, rules.ban_level[c]
        room.leaves[s] = np.float64(every_vendor) + np.float64(own_vendor) if standing.runs[r, c] else 1.0
        n = offered.nest[q] if q != NONE else NONE
        users, level = mass[s, first : first + LANES], room.level[bloc]
        look(lanes, users, level, room.barring[s], room.leaves[s], every_vendor, own_vendor, room)
        if q == NONE:
            keep(lanes, stays, may, ONE, room.worth[s], room)
            keep_alone(lanes, room.own[lab], room)
        else:
            if standing.runs[r, c]:
                may = room.usable[bloc * CHANNELS + c]
            keep(lanes, stays, may, ONE / lam, room.worth[s], room)
            keep_in_line(lanes, room.weight[q], n, room.own[lab], upgrade, inside, lam, room)
        look_at_all(lanes, room.aware[lab], room.looks[lab], room)
        if own_vendor > ZERO:
            look_at_home(lanes, room.home[lab], room)
        if q == NONE:
            back_alone(lanes, room.came[s], room)
        else:
            back_in_line(
                lanes, room.weight[q], inside, room.less[n], room.more[n], room.replaced[q], room.came[s], room
            )
    return active


@piece
def anybody(bits):
    """Return whether anybody uses a state."""
    found = 0
    for k in range(len(bits)):
        found |= bits[k]
    return found != 0


@apart
def enter(plain, alone, came, worth):
    """Write what a state that nobody uses, on offer, is worth over doing without."""
    for k in range(LANES):
        came[k], worth[k] = ZERO, plain[k] - alone[k]


@apart
def succeed(lane, taste, origin, able, is_open, rules, common):
    """Write what the utility of a superseded release is made of on every channel [utils]."""
    width = np.float32(-LOG2_E / np.float32(rules.success_width))
    for k in range(LANES):
        common[k] = lane[3, k] / (ONE + exp2(width * (able - lane[4, k])))
    for k in range(LANES):
        common[k] += taste[k] + origin[k] + is_open * lane[7, k]


@apart
def stay(r, c, kind, is_chinese, lane, common, standing, rules, stays):
    """Write the utility of staying with a superseded release (eq. 57)."""
    price, own = np.float32(standing.price[c, kind, r]), ONE if c == SELF_HOST else ZERO
    cluster = np.float32(standing.cluster[c, r]) if c == SELF_HOST else ZERO
    kept, appeal = np.float32(standing.degree[r] * rules.channel_control[c]), np.float32(standing.appeal[r, c])
    raised = np.float32(rules.channel_exposure[c]) if is_chinese else ZERO
    for k in range(LANES):
        stays[k] = lane[0, k] * log2(ONE + max(price * lane[1, k], cluster * lane[2, k])) + own * lane[8, k]
    for k in range(LANES):
        stays[k] = LOG2_E * (common[k] + appeal + kept * lane[5, k] - raised * lane[6, k]) - stays[k]


@apart
def look(lanes, users, level, barring, leaves, every_vendor, own_vendor, room):
    """Write the users of a state that look at all vendors and at their own alone, and add them up."""
    full, only, left = room.full, room.only, room.left
    for k in range(lanes):
        full[k] = np.float32(users[k])
        left[k] += users[k] * (1.0 if level[k] >= barring else leaves)
    for k in range(lanes):
        only[k] = ZERO if level[k] >= barring else full[k] * own_vendor
        full[k] *= ONE if level[k] >= barring else every_vendor


@apart
def keep(lanes, stays, may, steep, worth, room):
    """Write the weight of what is in use, and its utility over doing without."""
    for k in range(lanes):
        room.kept[k] = may[k] * exp2(min((stays[k] - room.highest[k]) * steep, HIGHEST_POWER))
        worth[k] = stays[k] - room.alone[k]


@apart
def keep_alone(lanes, own, room):
    """Write the weight of a lab to its users who may keep what is in no line."""
    for k in range(lanes):
        room.here[k] = own[k] + room.kept[k]


@apart
def keep_in_line(lanes, weight, n, own, upgrade, inside, lam, room):
    """Write the weight of a line to users of a version of it, who need not upgrade to that, and of its lab."""
    line, value, nest, part, chance = room.line, room.value, room.nest[n], room.part[n], room.chance[n]
    for k in range(lanes):
        line[k] = (nest[k] - weight[k]) * inside + max(weight[k] * inside, room.kept[k])
    for k in range(lanes):
        value[k] = lam * log2(max(line[k] * part[k], LEAST))
    for k in range(lanes):
        value[k] = exp2(value[k]) if line[k] * part[k] > LEAST else ZERO
        room.here[k] = own[k] - upgrade * chance[k] + value[k]


@apart
def look_at_all(lanes, aware, looks, room):
    """Let users of a state look at all vendors."""
    full, seen, gain, none = room.full, room.seen, room.gain, room.none
    for k in range(lanes):
        total = room.every[k] - aware[k] + room.here[k]
        gain[k] += full[k] * log2(total)
        per = full[k] / total
        seen[k] += per
        looks[k] += per
        none[k] += per * room.outside[k]
        room.taken[k] = per


@apart
def look_at_home(lanes, home, room):
    """Let users of a state look at their own vendor's offers; where there are none they do without."""
    only, here, gain, none, taken = room.only, room.here, room.gain, room.none, room.taken
    for k in range(lanes):
        lost, total = only[k] if here[k] <= LEAST else ZERO, max(here[k], LEAST)
        gain[k] += (only[k] - lost) * log2(total) + lost * (room.alone[k] - room.highest[k])
        per = (only[k] - lost) / total
        none[k] += lost
        home[k] += per
        taken[k] += per


@apart
def back_alone(lanes, came, room):
    """Write who keeps what is in no line."""
    for k in range(lanes):
        came[k] = room.taken[k] * room.kept[k]


@apart
def back_in_line(lanes, weight, inside, less, more, replaced, came, room):
    """Write who keeps a version of a line, and add up who goes to others of it."""
    for k in range(lanes):
        less[k] += room.taken[k]
        per = room.taken[k] * room.value[k] / max(room.line[k], LEAST)
        wins = room.kept[k] >= weight[k] * inside
        more[k] += per * inside
        replaced[k] += per * inside if wins else ZERO
        came[k] = per * room.kept[k] if wins else ZERO


@apart
def settle(states, offered, rules, room):
    """Add to the flows what goes to the offers and to doing without."""
    known, looks, home, less, more, nest = room.known, room.looks, room.home, room.less, room.more, room.nest
    upgrade = exp2(-LOG2_E * np.float32(rules.upgrade_cost))
    for n in range(len(offered.line)):
        lab = offered.lab[n]
        for k in range(LANES):
            moves = max(room.seen[k] - looks[lab, k], ZERO) * room.switch[lab, k] + room.newcomers[k]
            inner = np.float32(known[lab, k]) * moves + upgrade * (looks[lab, k] + home[lab, k] - less[n, k])
            more[n, k] += inner * (room.chance[n, k] / max(nest[n, k], LEAST))
    for q in range(len(offered.nest)):
        for k in range(LANES):
            room.moved[q, k] = room.weight[q, k] * (more[offered.nest[q], k] - room.replaced[q, k])
    for s in range(1, len(states.release)):
        if states.column[s] != NONE:
            j = np.int32(states.column[s])
            q = offered.option[j]
            for k in range(LANES):
                room.came[s, k] += room.moved[q, k] if room.version[q, k] == j else ZERO
    for k in range(LANES):
        room.came[0, k] += room.none[k]


@piece
def carry(first, count, active, mass, premium, room):
    """Let shares of a block flow, and move its premium with them (eq. 94); total the surplus.

    Who looks leaves that of the state behind; who comes to a state brings what a look was worth to the node's lookers
    on average, less the utility of the state. As many come as look.
    """
    scale, total, left = room.scale, room.total, room.left
    total[:] = FEWEST
    for place in range(active):
        arrive(room.came[room.active[place]], total)
    for k in range(LANES):
        scale[k] = left[k] / total[k]
        each = np.float64(room.gain[k]) / (left[k] + FEWEST) + np.float64(room.highest[k] - room.alone[k])
        room.mean[k] = LOG_2 * np.float32(each)
    total[:] = 0.0
    for place in range(active):
        s = room.active[place]
        share, beyond, level = (
            mass[s, first : first + LANES],
            premium[s, first : first + LANES],
            room.level[room.bloc[s]],
        )
        shift(count, share, beyond, level, room.barring[s], 1.0 - room.leaves[s], room.came[s], room.worth[s], room)


@apart
def arrive(came, total):
    """Add up who comes to a state."""
    for k in range(LANES):
        total[k] += np.float64(came[k])


@apart
def shift(count, share, beyond, level, barring, rest, came, worth, room):
    """Write the shares that use a state and what they hold beyond its utility, and add up what it is worth to them."""
    scale, mean, total, remains = room.scale, room.mean, room.total, np.float32(rest)
    for k in range(count):
        share[k] = share[k] * (0.0 if level[k] >= barring else rest) + np.float64(came[k]) * scale[k]
    for k in range(count):
        over = LOG_2 * worth[k]
        beyond[k] = beyond[k] * (ZERO if level[k] >= barring else remains) + came[k] * (mean[k] - over)
        total[k] += np.float64(over * np.float32(share[k]) + beyond[k])


@lean
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
    single, shares = np.zeros((2, states), np.float32), np.empty((LINE, states))
    listed, least = single[0], single[1]
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
        out[0, cell, 0] += weight * present[i]
        out[1, cell, 0] += weight * surplus[i]
        buy(weight, need, pain, shares[i % LINE], listed, least, out[0, cell], out[1, cell], out[2, cell])


@apart
def buy(weight, need, pain, share, listed, least, used, tokens, spend):
    """Add what the users of one node's states buy."""
    amount, per, burden = np.float32(need), np.float32(1.0 / need), np.float32(need / pain)
    for s in range(1, len(share)):
        paid = least[s] * per if least[s] > listed[s] * amount else listed[s]
        users = weight * share[s]
        wanted = users * need * np.float64(ONE / (ONE + paid * burden))
        used[s] += users
        tokens[s] += wanted if share[s] > 0.0 else 0.0  # who uses it pays; others may find no price
        spend[s] += wanted * np.float64(paid) if share[s] > 0.0 else 0.0


@lean
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
