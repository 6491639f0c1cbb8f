"""Choices of a month, compiled (docs/model.md, section 4.5); the NumPy twin is `sim.market.stages.choice`.

Work goes on in blocks of `LANES` rows of one class: a number of each row stands in a lane, and every loop over lanes is
vector code. Utilities are single precision, in units of log2: exponentials are powers of two.
"""

from __future__ import annotations

import numpy as np

from sim.market.kernels.compiled import apart, lean, piece, turn
from sim.market.kernels.draws import add_up, settle
from sim.market.kernels.looks import by_class, count_looks, note, seat, who_looks
from sim.market.kernels.month import (
    ALPHA,
    BLOCS,
    CHANNELS,
    CONTROL,
    DIFFICULTY,
    DISTRUST,
    IMPOSSIBLE,
    INVERSE_PAIN,
    KINDS,
    LANES,
    LEAST,
    LOG2_E,
    NEED,
    NONE,
    ONE,
    OPEN,
    ORIGIN,
    SELF_HOST,
    VALUE,
    ZERO,
)
from sim.market.kernels.room import CHUNK, WORD
from sim.market.kernels.single import HIGHEST, NOTHING, exp2, larger, log2
from sim.market.kernels.uses import compete, follow, hold, stay, tabulate


@piece
def gather(rows, kind, people, reach, rules, segment, block, limit, lane, known, may, usable):
    """Fill the lanes of a block with the traits of some rows of one class.

    Into `block` goes all that lies in their traits, with what a bloc's users like about each bloc added; the columns of
    matrices whose rows were asked for, transposed in squares of eight.
    """
    for k in range(LANES):
        segment[k] = people.segment[rows[k]]
    for k in range(0, LANES, 8):
        for column in range(0, block.shape[0], 8):
            turn(people.traits, rows, k, column, block)
        for column in range(0, limit.shape[0], 8):
            turn(rules.consideration, segment, k, column, limit)
    derive(kind, rules, block, lane)
    attention = block.shape[0] - known.shape[0]
    for lab in range(known.shape[0]):
        for k in range(LANES):
            known[lab, k] = 1 if block[attention + lab, k] < limit[lab, k] else 0
    device = np.float32(rules.device_limit)
    for k in range(LANES):
        home = segment[k] % BLOCS
        for b in range(BLOCS):
            block[ORIGIN + b, k] += rules.home_fit[home, b]
        mask = rules.sold[home]
        for b in range(BLOCS):
            mask &= rules.allowed[b, reach[rows[k], b]]
        may[k] = mask & rules.off_device if block[NEED, k] * np.float32(rules.need[kind]) > device else mask
    unfold(may, usable)


@apart
def unfold(may, usable):
    """Write 1 where a lane may choose an offer of a bloc on a channel, else 0."""
    for bit in range(BLOCS * CHANNELS):
        flag = np.int32(1 << bit)
        for k in range(LANES):
            usable[bit, k] = ONE if may[k] & flag else ZERO


@piece
def anybody(marks):
    """Return whether any of some whole numbers is not 0."""
    found = 0
    for k in range(len(marks)):
        found |= marks[k]
    return found != 0


@apart
def derive(kind, rules, block, lane):
    """Write this month's traits of a block."""
    need, pain = np.float32(rules.need[kind]), np.float32(rules.pain[kind])
    rise, relief, staff = np.float32(rules.rise[kind]), np.float32(rules.relief), np.float32(rules.staff_cost)
    for k in range(LANES):
        inverse = block[INVERSE_PAIN, k] / pain
        lane[1, k] = block[NEED, k] * need * inverse
        lane[2, k] = inverse
        lane[8, k] = staff * inverse
    for k in range(LANES):
        lane[0, k] = block[ALPHA, k]
        lane[3, k] = block[VALUE, k]
        lane[4, k] = block[DIFFICULTY, k] + rise
        lane[5, k] = block[CONTROL, k]
        lane[6, k] = block[DISTRUST, k] * relief
        lane[7, k] = block[OPEN, k]


@piece
def moving(start, now_release, now_channel, organisation, used, uses, rules, scratch):
    """Write what the rows of a block use, and what moving to each lab costs in units of log2.

    Who uses a model knows its lab; who looks at its own vendor's offers alone knows no other. Looks are those of the
    rows from `start` on.
    """
    state, own, away, known, cost = scratch.state, scratch.own, scratch.away, scratch.known, scratch.cost
    house, mine = scratch.house, scratch.mine
    half = np.float32(ONE - rules.multi_home_discount)
    switch, upgrade, adopt = (
        np.float32(rules.switching_cost),
        np.float32(rules.upgrade_cost) * LOG2_E,
        np.float32(rules.adoption_cost) * LOG2_E,
    )
    none, labs, other, another = len(uses.lab) - 1, cost.shape[0], switch * LOG2_E, switch * half * LOG2_E
    for k in range(LANES):
        i = scratch.seats[k]
        state[k] = now_release[i] * CHANNELS + now_channel[i] if now_release[i] != NONE else none
        own[k] = uses.lab[state[k]]
        away[k] = scratch.looks[i - start] != 2
        house[k] = organisation[i]
    for k in range(0, LANES, 8):
        for column in range(0, mine.shape[0], 8):
            turn(used, house, k, column, mine)
    for lab in range(labs):
        here = np.int32(lab)
        for k in range(LANES):
            elsewhere = another if mine[lab, k] else other
            cost[lab, k] = adopt if own[k] == NONE else upgrade if own[k] == here else elsewhere
        for k in range(LANES):
            known[lab, k] = (known[lab, k] & away[k]) | (own[k] == here)


@apart
def utilities(kind, offered, rules, lane, taste, origin, known, usable, cost, live, utility, plain, highest, share):
    """Write the utilities of the offers in units of log2, `IMPOSSIBLE` where barred, and the highest (eq. 53).

    Lines of labs that nobody in the block knows are passed over; `live` says which are not. `plain` is of the same
    shape and gets them wherever barred too, or has no rows and gets nothing.
    """
    width = np.float32(-LOG2_E / np.float32(rules.success_width))
    alpha, rate, inverse_pain, value, difficulty, control, distrust, liking, staff = (
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
    for k in range(LANES):
        highest[k] = IMPOSSIBLE
        staff[k] = alpha[k] * log2(ONE + staff[k])
    for n in range(len(offered.line)):
        here, bloc = origin[offered.lab_bloc[n]], offered.lab_bloc[n]
        own_taste, moving, knows = taste[offered.line[n]], cost[offered.lab[n]], known[offered.lab[n]]
        live[n] = anybody(knows)
        if not live[n]:
            continue
        before, options = NONE, offered.first[n + 1] - offered.first[n]
        for place in range(options + offered.older[n + 1] - offered.older[n]):
            j = offered.first[n] + place if place < options else offered.older[n] + place - options
            if offered.release[j] != before:
                before = offered.release[j]
                capability, is_open = offered.capability[kind, j], offered.is_open[j]
                for k in range(LANES):
                    share[k] = value[k] / (ONE + exp2(min(width * (capability - difficulty[k]), HIGHEST)))
                for k in range(LANES):
                    share[k] += own_taste[k] + here[k] + is_open * liking[k]
            row = utility[j]
            price, cluster, appeal = offered.price[kind, j], offered.cluster[j], offered.appeal[j]
            kept, raised = offered.control[j], offered.exposure[j]
            may = usable[bloc * CHANNELS + offered.channel[j]]
            for k in range(LANES):
                burden = max(price * rate[k], cluster * inverse_pain[k])
                row[k] = alpha[k] * log2(ONE + burden)
            if offered.channel[j] == SELF_HOST:
                for k in range(LANES):
                    row[k] += staff[k]
            for k in range(LANES):
                worth = share[k] + appeal + kept * control[k] - raised * distrust[k]
                row[k] = LOG2_E * worth - row[k] - moving[k]
            if len(plain):
                for k in range(LANES):
                    plain[j, k] = row[k]
            for k in range(LANES):
                row[k] = row[k] if (knows[k] != 0) & (may[k] > ZERO) else IMPOSSIBLE
                highest[k] = larger(highest[k], row[k])


@apart
def fold(offered, utility, version):
    """Make the utility of each option that of the version that suits each lane best, and write which it is (eq. 97)."""
    for j in range(len(offered.nest)):
        which = version[j]
        for k in range(len(which)):
            which[k] = np.int32(j)
    for j in range(len(offered.nest), len(offered.release)):
        row, top, which = utility[j], utility[offered.option[j]], version[offered.option[j]]
        for k in range(LANES):  # versions come in ascending order
            which[k] = max(which[k], np.int32(j) if row[k] > top[k] else np.int32(0))
            top[k] = larger(top[k], row[k])


@apart
def weigh(offered, rules, usable, utility, highest, live, nest, chance):
    """Turn utilities into weights inside their line, and write each line's weight against the others (eq. 59).

    Lines that are not `live` weigh nothing.
    """
    lam = np.float32(rules.dissimilarity)
    inverse = ONE / lam
    for n in range(len(offered.line)):
        total, chances = nest[n], chance[n]
        for k in range(LANES):
            total[k] = chances[k] = ZERO
        if not live[n]:
            continue
        for j in range(offered.first[n], offered.first[n + 1]):
            row, may = utility[j], usable[CHANNELS * offered.lab_bloc[n] + offered.channel[j]]
            for k in range(LANES):
                row[k] = exp2((row[k] - highest[k]) * inverse)
            for k in range(LANES):
                total[k] += row[k]
                chances[k] += may[k]
        for k in range(LANES):
            mean = total[k] / max(chances[k], ONE)
            chances[k] = lam * log2(max(mean, LEAST)) if mean > LEAST else NOTHING
        for k in range(LANES):
            chances[k] = exp2(chances[k])


@lean
def choose(
    first,
    last,
    people,
    now_release,
    now_channel,
    held,
    surplus,
    used,
    reach,
    offered,
    standing,
    rules,
    uses,
    scratch,
    evaluations,
):
    """Let the rows of one family look again and choose; write what they use and what all have of it (eq. 62).

    Parameters
    ----------
    first, last : int
        Rows of the family, or some of them: no row's choice depends on the others.
    held, surplus : array, shape (rows,)
        What stays until the next choice [utils], and surplus this month [USD/month].
    used : array, shape (organisations, labs and more, to a multiple of eight)
        1 where the organisation uses the lab.
    reach : array, shape (rows, blocs)
        How far bans on models of each bloc reach.
    uses, scratch
        Room to work in.
    evaluations : array, shape (labs,) or (0,)
        Workloads in the world that look at each lab are added, in the order of the rows; of no length, not counted.
    """
    tabulate(offered, standing, rules, uses)
    ways = len(rules.lab_bloc) + 1
    for lab in range(len(evaluations)):
        scratch.counts[lab // WORD, lab % WORD] = evaluations[lab]
    for start in range(first, last, CHUNK):
        stop = min(last, start + CHUNK)
        who_looks(
            start, stop, people, now_release, now_channel, reach, uses, rules, scratch.draw, scratch.more, scratch.looks
        )
        by_class(start, stop, people.kind, now_release, standing.lab, scratch)
        for kind in range(KINDS):
            end = scratch.first[(kind + 1) * ways]
            for begin in range(scratch.first[kind * ways], end, LANES):
                count = min(LANES, end - begin)
                seat(begin, count, people.traits, scratch)
                gather(
                    scratch.seats,
                    kind,
                    people,
                    reach,
                    rules,
                    scratch.segment,
                    scratch.block,
                    scratch.limit,
                    scratch.lane,
                    scratch.known,
                    scratch.may,
                    scratch.usable,
                )
                if len(evaluations):
                    note(start, count, scratch)
                moving(start, now_release, now_channel, people.organisation, used, uses, rules, scratch)
                utilities(
                    kind,
                    offered,
                    rules,
                    scratch.lane,
                    scratch.taste,
                    scratch.origin,
                    scratch.known,
                    scratch.usable,
                    scratch.cost,
                    scratch.live,
                    scratch.utility,
                    scratch.plain,
                    scratch.highest,
                    scratch.whole,
                )
                stay(kind, uses, rules, scratch, reach)
                fold(offered, scratch.utility, scratch.version)
                compete(uses, scratch)
                weigh(
                    offered,
                    rules,
                    scratch.usable,
                    scratch.best,
                    scratch.highest,
                    scratch.live,
                    scratch.nest,
                    scratch.chance,
                )
                add_up(offered, rules, scratch)
                settle(count, offered, rules, scratch, now_release, now_channel, surplus)
                hold(count, now_release, now_channel, uses, rules, scratch, held, surplus)
        if len(evaluations):
            count_looks(start, people.weight, scratch)
        follow(start, stop, people, now_release, now_channel, uses, rules, scratch, held, surplus)
    for lab in range(len(evaluations)):
        evaluations[lab] = scratch.counts[lab // WORD, lab % WORD]
