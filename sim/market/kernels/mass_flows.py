"""How shares of taste nodes flow between states: pieces of `sim.market.kernels.mass: choose` (docs/model.md, 4.10)."""

from __future__ import annotations

import numpy as np

from sim.market.kernels.choice import anybody
from sim.market.kernels.compiled import apart, piece
from sim.market.kernels.month import CHANNELS, CN, LANES, LEAST, LOG2_E, LOG_2, NONE, ONE, SELF_HOST, ZERO
from sim.market.kernels.single import HIGHEST, exp2, log2

WIDTH = 16  # the states of a block go by so many nodes at a time
FEWEST = 1e-300  # nobody looks: nothing to divide by
NO_BAN = 127  # beyond the reach of any


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
        common[k] = lane[3, k] / (ONE + exp2(min(width * (able - lane[4, k]), HIGHEST)))
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
        room.kept[k] = may[k] * exp2(min((stays[k] - room.highest[k]) * steep, HIGHEST))
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
    """Let users of a state look at all vendors, whatever single precision leaves of a sum that is next to nothing."""
    full, seen, gain, none = room.full, room.seen, room.gain, room.none
    for k in range(lanes):
        total = max(room.every[k] - aware[k] + room.here[k], room.outside[k])
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
