"""Choices of a population carried by taste nodes: shares of each that use each release (docs/model.md, section 4.10).

The limit of many workloads with the tastes of a node. Looks, choices and what is kept follow the same utilities as
`sim.market.kernels.choice`; shares of states take the place of drawn options. What depends on the state alone, the cost
of moving and the release kept, enters as factors of weights that the node's states share.

The NumPy twin is `sim.market.stages.choice` on one row of `Choosers` for each node and state.
"""

from __future__ import annotations

import numpy as np

from sim.market.kernels.choice import fold, gather, utilities, weigh
from sim.market.kernels.compiled import apart, lean, piece, turn
from sim.market.kernels.mass_flows import begin, carry, flow, settle
from sim.market.kernels.month import BLOCS, CHANNELS, LANES, LEAST, LOG2_E, ONE, ZERO
from sim.market.kernels.single import exp2, log2


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
        gather(
            room.rows,
            kind,
            people,
            reach,
            rules,
            room.segment,
            room.block,
            room.limit,
            lane,
            known,
            room.may,
            room.usable,
        )
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
            room.usable,
            room.free,
            room.live,
            room.utility,
            room.plain,
            room.highest,
            room.common,
        )
        without(lane, np.float32(rules.without_ai_cost), room.alone, room.highest, room.outside)
        fold(offered, room.utility, room.version)
        weigh(offered, rules, room.usable, room.weight, room.highest, room.live, room.nest, room.chance)
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
    """Write utility and weight of doing without, and the highest utility of all.

    The highest may be that of a lab that the node does not know. Where all that it knows is 80 utils worse, and would
    weigh nothing, it does without.
    """
    for k in range(LANES):
        alone[k] = -lane[0, k] * log2(ONE + cost * lane[1, k])
        highest[k] = max(highest[k], alone[k])
        outside[k] = max(exp2(alone[k] - highest[k]), LEAST)


@apart
def permit(reach, rules, room):
    """Write what no ban keeps from each node, by bloc of labs and channel."""
    level, unbarred = room.level, room.unbarred
    for bloc in range(BLOCS):
        for k in range(LANES):
            level[bloc, k] = reach[room.rows[k], bloc]
        for channel in range(CHANNELS):
            bit, barring = bloc * CHANNELS + channel, np.int32(rules.ban_level[channel])
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
