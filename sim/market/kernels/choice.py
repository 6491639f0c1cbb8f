"""Choices of a month, compiled (docs/model.md, section 4.5); the NumPy twin is `sim.market.stages.choice`.

Work goes on in blocks of `LANES` rows of one class: a number of each row stands in a lane, and every loop over lanes is
vector code. Utilities are single precision, in units of log2: exponentials are powers of two.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.market.kernels.compiled import apart, lean, piece, prefetch, turn
from sim.market.kernels.single import exp2, log2
from sim.scenario.schema import BLOCS as names

Singles = NDArray[np.float32]
LANES = 64
CHUNK = 32768  # rows looked through before the blocks of their classes are filled
WORD = 32  # bits that say which labs a row knows
LOG2_E = np.float32(1.4426950408889634)
LOG_2 = np.float32(0.6931471805599453)
IMPOSSIBLE = np.float32(-1e30)
LEAST = np.float32(1e-35)  # exponentials below it count as nothing
ZERO, ONE = np.float32(0.0), np.float32(1.0)
NONE, SELF_HOST = -1, 2
KINDS, BLOCS, CHANNELS = 5, 4, 4
STAY, WITHOUT = -2, -1  # what is picked beside an offer
CN = names.index("CN")

M1, M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
GOLDEN, U1 = np.uint64(0x9E3779B97F4A7C15), np.uint64(1)
U12, U27, U30, U31, U41 = np.uint64(12), np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(41)
HALF, PER_23 = np.float32(0.5), np.float32(2.0**-23)  # 23 bits and a half fit into single precision


@piece
def bits(key, row):
    """Return `sim.rng.bits` of one row."""
    z = np.uint64(key) + (np.uint64(row) + U1) * GOLDEN
    z = (z ^ (z >> U30)) * M1
    z = (z ^ (z >> U27)) * M2
    return z ^ (z >> U31)


@piece
def uniform(key, row):
    """Return `sim.rng.uniform` of one row, to the bit."""
    return (np.float64(bits(key, row) >> U12) + 0.5) * 2.0**-52


class People(NamedTuple):
    """Rows of the population; shapes (rows,) unless said, units as in `WorkloadTable`.

    What a choice reads of a row lies together in `traits`, so that a row costs a few lines of the cache and not twenty.
    """

    kind: Any
    segment: Any
    organisation: Any
    arrival: Any
    weight: Any
    need: Any
    pain: Any
    core: Any  # (rows, TRAITS) of single precision, which everybody is asked for every month
    traits: Any  # (rows, a multiple of 16) of single precision: `TRAITS`, tastes for blocs, then lines; attention last


TRAITS = ("need", "inverse_pain", "price_sensitivity", "value", "difficulty", "control_value", "distrust", "taste_open")
NEED, INVERSE_PAIN, ALPHA, VALUE, DIFFICULTY, CONTROL, DISTRUST, OPEN = range(len(TRAITS))
ORIGIN = len(TRAITS)  # tastes for the blocs of labs
FIXED = ORIGIN + BLOCS


class Offered(NamedTuple):
    """Offers of a month, versions of lines on channels; shapes (offers,) unless said. The options come first."""

    first: Any  # (lines + 1,) option at which each line starts
    older: Any  # (lines + 1,) offer at which the older versions of each line start
    line: Any  # (lines,) number of the line
    lab: Any  # (lines,)
    lab_bloc: Any  # (lines,)
    nest: Any  # (options,) which of the lines it belongs to
    option: Any  # of which it is a version
    release: Any
    channel: Any
    capability: Any  # (classes, offers) with the lab's strength
    price: Any  # (classes, offers)
    cluster: Any
    appeal: Any
    control: Any
    exposure: Any
    is_open: Any  # 1.0 or 0.0
    column: Any  # (releases, channels) where each is offered, NONE where it is not
    place: Any  # (releases, channels) option of which it is a version to who uses it, NONE if of none
    line_key: Any  # (lines,) of the noise of options
    key: Any  # (options,)


class Standing(NamedTuple):
    """Releases that may be in use; shapes (releases,) unless said."""

    newest: Any  # (releases, channels) on offer as the line's newest
    lab: Any
    line: Any
    is_open: Any
    degree: Any
    capability: Any  # as perceived
    upgrade: Any  # hazard of looking at the newer release
    runs: Any  # (releases, channels)
    price: Any  # (channels, classes, releases)
    cluster: Any  # (channels, releases)
    appeal: Any  # (releases, channels) of the family


class Rules(NamedTuple):
    """What holds for all rows of a family this month."""

    month: Any
    review_key: Any
    upgrade_key: Any
    choice_key: Any
    option_noise: Any  # whether every option has noise of its own, not every row one number
    stay_key: Any
    without_key: Any
    review: Any  # hazard, with the bump of the month's leap
    lab_bloc: Any  # (labs,)
    sells: Any  # (labs,) has an offer
    strength: Any  # (labs, classes)
    home_fit: Any  # (blocs, blocs) by user's and lab's
    consideration: Any  # (segments, labs and more, to a multiple of eight)
    channel_control: Any  # (channels,)
    channel_exposure: Any  # (channels,)
    ban_level: Any  # (channels,)
    sold: Any  # (blocs,) by the user's: a bit for each bloc of labs and channel, see `flags`
    allowed: Any  # (blocs, reach of a ban on the bloc's models) such bits
    off_device: Any  # such bits
    need: Any  # (classes,) this month's need over that of the table
    pain: Any  # (classes,)
    rise: Any  # (classes,) of the difficulty
    relief: Any  # factor on distrust
    switching_cost: Any
    upgrade_cost: Any
    adoption_cost: Any
    staff_cost: Any
    without_ai_cost: Any
    success_width: Any
    dissimilarity: Any
    multi_home_discount: Any
    device_limit: Any


def flags(may: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return a bit for each bloc of labs and channel, (...,), of an array of shape (..., blocs, channels)."""
    places = np.arange(BLOCS * CHANNELS).reshape(BLOCS, CHANNELS)
    return (may.astype(np.int32) << places).sum(axis=(-2, -1)).astype(np.int32)


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


@piece
def who_looks(first, last, people, now_release, now_channel, reach, uses, rules, review, upgrade, looks):
    """Write 0, 1 (looks at all vendors) or 2 (at its own vendor's offers alone) for each row (eqs. 48, 49).

    `review` and `upgrade` are room for the draws of `LANES` rows.
    """
    none = len(uses.lab) - 1
    for begin in range(first, last, LANES):
        count = min(LANES, last - begin)
        house, arrival = people.organisation[begin : begin + count], people.arrival[begin : begin + count]
        release, channel = now_release[begin : begin + count], now_channel[begin : begin + count]
        reached, look = reach[begin : begin + count], looks[begin - first : begin - first + count]
        for k in range(count):
            review[k] = uniform(rules.review_key, house[k])
        for k in range(count):
            upgrade[k] = uniform(rules.upgrade_key, house[k])
        for k in range(count):
            s = np.uint32(release[k] * CHANNELS + channel[k] if release[k] != NONE else none)
            barred = reached[k, uses.bloc[s]] >= uses.ban_level[s]
            comes = (s == none) & (arrival[k] == rules.month)
            own = uses.vendor[s] if upgrade[k] < uses.hazard[s] else 0
            every = (review[k] < rules.review) | barred | comes
            look[k] = (1 if every else own) if arrival[k] <= rules.month else 0


@piece
def gather(rows, kind, people, reach, rules, segment, block, limit, lane, known, may):
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
    state, own, home, known, cost = scratch.state, scratch.own, scratch.home, scratch.known, scratch.cost
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
        home[k] = scratch.looks[i - start] == 2
        house[k] = organisation[i]
    for k in range(0, LANES, 8):
        for column in range(0, mine.shape[0], 8):
            turn(used, house, k, column, mine)
    for lab in range(labs):
        for k in range(LANES):
            elsewhere = another if mine[lab, k] else other
            cost[lab, k] = adopt if own[k] == NONE else upgrade if own[k] == lab else elsewhere
        for k in range(LANES):
            known[lab, k] = 1 if own[k] == lab else 0 if home[k] else known[lab, k]


@apart
def utilities(kind, offered, rules, lane, taste, origin, known, may, cost, utility, plain, highest, share):
    """Write the utilities of the offers in units of log2, `IMPOSSIBLE` where barred, and the highest (eq. 53).

    `plain` is of the same shape and gets them wherever barred too, or has no rows and gets nothing.
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
        before, options = NONE, offered.first[n + 1] - offered.first[n]
        for place in range(options + offered.older[n + 1] - offered.older[n]):
            j = offered.first[n] + place if place < options else offered.older[n] + place - options
            if offered.release[j] != before:
                before = offered.release[j]
                capability, is_open = offered.capability[kind, j], offered.is_open[j]
                for k in range(LANES):
                    share[k] = value[k] / (ONE + exp2(width * (capability - difficulty[k])))
                for k in range(LANES):
                    share[k] += own_taste[k] + here[k] + is_open * liking[k]
            row = utility[j]
            price, cluster, appeal = offered.price[kind, j], offered.cluster[j], offered.appeal[j]
            kept, raised = offered.control[j], offered.exposure[j]
            bit = np.int32(bloc * CHANNELS + offered.channel[j])
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
                row[k] = row[k] if (knows[k] & (may[k] >> bit)) & 1 else IMPOSSIBLE
            for k in range(LANES):
                highest[k] = max(highest[k], row[k])


@apart
def fold(offered, utility, best, version):
    """Write the utility of each option, that of the version that suits each lane best, and which it is (eq. 97)."""
    for j in range(len(offered.nest)):
        row, top, which = utility[j], best[j], version[j]
        for k in range(LANES):
            top[k], which[k] = row[k], np.int32(j)
    for j in range(len(offered.nest), len(offered.release)):
        row, top, which = utility[j], best[offered.option[j]], version[offered.option[j]]
        for k in range(LANES):
            which[k] = np.int32(j) if row[k] > top[k] else which[k]
            top[k] = max(top[k], row[k])


@apart
def weigh(offered, rules, may, utility, highest, nest, chance):
    """Turn utilities into weights inside their line, and write each line's weight against the others (eq. 59)."""
    lam = np.float32(rules.dissimilarity)
    inverse = ONE / lam
    for n in range(len(offered.line)):
        total, chances = nest[n], chance[n]
        shift = CHANNELS * offered.lab_bloc[n]
        for k in range(LANES):
            total[k] = chances[k] = ZERO
        for j in range(offered.first[n], offered.first[n + 1]):
            row = utility[j]
            bit = np.int32(shift + offered.channel[j])
            for k in range(LANES):
                row[k] = exp2((row[k] - highest[k]) * inverse)
            for k in range(LANES):
                total[k] += row[k]
                chances[k] += ONE if (may[k] >> bit) & 1 else ZERO
        for k in range(LANES):
            mean = total[k] / max(chances[k], ONE)
            chances[k] = exp2(lam * log2(max(mean, LEAST))) if mean > LEAST else ZERO


@piece
def note(start, count, scratch):
    """Write which labs the rows of a block know, for the rows from `start` on."""
    known, sees, bits = scratch.known, scratch.sees, scratch.bits
    bits[:] = 0
    for lab in range(known.shape[0]):
        for k in range(LANES):
            bits[lab // WORD, k] |= known[lab, k] << (lab % WORD)
    for word in range(sees.shape[1]):
        for k in range(count):
            sees[scratch.seats[k] - start, word] = bits[word, k]


@piece
def count_looks(start, weights, scratch):
    """Add the workloads that look at each lab, in the order of the rows."""
    counts = scratch.counts
    for place in range(scratch.first[KINDS]):
        i = scratch.lookers[place]
        weight = weights[i]
        for word in range(scratch.sees.shape[1]):
            bits = scratch.sees[i - start, word]
            for lab in range(counts.shape[1]):
                counts[word, lab] += weight if (bits >> lab) & 1 else 0.0


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
    for lab in range(len(evaluations)):
        scratch.counts[lab // WORD, lab % WORD] = evaluations[lab]
    for start in range(first, last, CHUNK):
        stop = min(last, start + CHUNK)
        who_looks(
            start, stop, people, now_release, now_channel, reach, uses, rules, scratch.draw, scratch.more, scratch.looks
        )
        by_class(start, stop, people.kind, scratch)
        for kind in range(KINDS):
            for begin in range(scratch.first[kind], scratch.first[kind + 1], LANES):
                count = min(LANES, scratch.first[kind + 1] - begin)
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
                    scratch.may,
                    scratch.cost,
                    scratch.utility,
                    scratch.plain,
                    scratch.highest,
                    scratch.whole,
                )
                stay(kind, uses, rules, scratch, reach)
                fold(offered, scratch.utility, scratch.best, scratch.version)
                compete(uses, scratch)
                weigh(offered, rules, scratch.may, scratch.best, scratch.highest, scratch.nest, scratch.chance)
                add_up(offered, rules, scratch)
                settle(count, offered, rules, scratch, now_release, now_channel, surplus)
        if len(evaluations):
            count_looks(start, people.weight, scratch)
        follow(start, stop, people, now_release, now_channel, uses, rules, scratch, held, surplus)
    for lab in range(len(evaluations)):
        evaluations[lab] = scratch.counts[lab // WORD, lab % WORD]


@piece
def by_class(start, stop, kinds, scratch):
    """Write the rows that look, in their order, and by class."""
    looks, lookers, first, looking = scratch.looks, scratch.lookers, scratch.first, 0
    for i in range(start, stop):
        lookers[looking] = i
        looking += 1 if looks[i - start] else 0
    for kind in range(KINDS + 2):
        first[kind] = 0
    for place in range(looking):
        first[kinds[lookers[place]] + 2] += 1
    for kind in range(KINDS):
        first[kind + 2] += first[kind + 1]
    for place in range(looking):
        i = lookers[place]
        kind = kinds[i] + 1
        scratch.rows[first[kind]] = i
        first[kind] += 1


@piece
def seat(begin, count, traits, scratch):
    """Write the rows of a block, the first one on seats that are left, and ask for those of the next block."""
    last = scratch.first[KINDS]
    for k in range(LANES):
        scratch.seats[k] = scratch.rows[begin + k if k < count else begin]
        if begin + LANES + k < last:
            prefetch(traits, scratch.rows[begin + LANES + k])


@piece
def add_up(offered, rules, scratch):
    """Write running sums of weights over the lines, and how many of them lie below a point drawn for each row."""
    highest, keep, outside, whole, target, place = (
        scratch.highest,
        scratch.keep,
        scratch.outside,
        scratch.whole,
        scratch.target,
        scratch.place,
    )
    lane, chance = scratch.lane, scratch.chance
    for k in range(LANES):
        keep[k] = exp2(keep[k] - highest[k])
        outside[k] = exp2(outside[k] - highest[k])
    if rules.option_noise:
        for k in range(LANES):
            scratch.won[k] = race(scratch.seats[k], k, offered, rules, scratch.best, chance, keep[k], outside[k])
    for k in range(LANES):
        whole[k] = ZERO
    for n in range(len(offered.line)):
        for k in range(LANES):
            whole[k] += chance[n, k]
            chance[n, k] = whole[k]
    for k in range(LANES):
        whole[k] += keep[k] + outside[k]
    for k in range(LANES):
        scratch.draw[k] = uniform(rules.choice_key, scratch.seats[k])
    for k in range(LANES):
        target[k] = np.float32(scratch.draw[k]) * whole[k]
        place[k] = 0
    for n in range(len(offered.line)):
        for k in range(LANES):
            place[k] += chance[n, k] < target[k]
    for k in range(LANES):
        without = log2(ONE + np.float32(rules.without_ai_cost) * lane[1, k])
        whole[k] = LOG_2 * (highest[k] + log2(whole[k]) + lane[0, k] * without)
    for k in range(LANES):
        scratch.more[k] = np.float64(whole[k]) / (np.float64(lane[0, k]) * np.float64(lane[2, k]))


@piece
def settle(count, offered, rules, scratch, now_release, now_channel, surplus):
    """Write what the rows of a block choose, and their surplus."""
    best, nest, chance, version = scratch.best, scratch.nest, scratch.chance, scratch.version
    for k in range(count):
        i = scratch.seats[k]
        surplus[i] = scratch.more[k]
        if rules.option_noise:
            j = scratch.won[k]
        else:
            j = pick(scratch.place[k], scratch.target[k], k, offered, best, nest, chance, scratch.keep[k])
        if j == WITHOUT:
            now_release[i], now_channel[i] = NONE, 0
        elif j >= 0 and version[j, k] != STAY:
            now_release[i], now_channel[i] = offered.release[version[j, k]], offered.channel[j]


def to_eight(count: int) -> int:
    """Return the next multiple of eight, the squares in which matrices are transposed."""
    return -(-count // 8) * 8


class Scratch(NamedTuple):
    """Room for a block; lanes last."""

    looks: Any  # (CHUNK,)
    lookers: Any  # (CHUNK,)
    rows: Any  # (CHUNK,) those that look, by class
    first: Any  # (classes + 2,) where each class begins in them, and the end
    lane: Any  # (9, LANES)
    seats: Any  # (LANES,) rows
    segment: Any  # (LANES,)
    block: Any  # (traits, LANES)
    taste: Any  # (all lines and more, LANES) of that
    origin: Any  # (blocs, LANES) of that
    limit: Any  # (labs and more, LANES)
    own: Any  # (LANES,) lab in use
    home: Any  # (LANES,) looks at that lab's offers alone
    house: Any  # (LANES,) organisation
    mine: Any  # (labs and more, LANES) the organisation uses it
    counts: Any  # (labs over 32, 32) workloads that look at each
    bits: Any  # (labs over 32, LANES) a bit for each lab that a row knows of itself
    sees: Any  # (CHUNK, labs over 32) the same by row
    known: Any  # (labs, LANES)
    may: Any  # (LANES,)
    cost: Any  # (labs, LANES)
    utility: Any  # (offers, LANES)
    best: Any  # (options, LANES)
    version: Any  # (options, LANES)
    plain: Any  # (0, LANES)
    nest: Any  # (lines, LANES)
    chance: Any  # (lines, LANES)
    highest: Any  # (LANES,) as all that follow
    keep: Any
    outside: Any
    whole: Any
    target: Any
    place: Any
    won: Any
    kind: Any
    state: Any
    draw: Any  # double precision
    more: Any  # the same
    core: Any  # (traits LANES,) `block`, row after row
    at: Any  # (LANES,) rows of tables
    narrow: Any  # (15 LANES,)
    narrow_rows: Any  # the same, (15, LANES)
    wide: Any  # (8 LANES,)
    wide_rows: Any  # the same, (8, LANES)


def scratch(traits: int, labs: int, lines: int, options: int, offers: int) -> Scratch:
    """Return room for blocks of a month with so many traits, labs and, on offer, lines, options and offers."""
    f, i, u = (
        np.float32,
        np.int32,
        np.uint32,
    )  # the last for numbers of rows: a kernel asks of others whether they are negative
    words = -(-labs // WORD)
    block, narrow, wide = np.empty((traits, LANES), f), np.empty((15, LANES), f), np.empty((8, LANES))
    return Scratch(
        looks=np.empty(CHUNK, np.uint8),
        lookers=np.empty(CHUNK, u),
        rows=np.empty(CHUNK, u),
        first=np.empty(KINDS + 2, np.int64),
        lane=np.empty((9, LANES), f),
        seats=np.empty(LANES, u),
        segment=np.empty(LANES, u),
        block=block,
        taste=block[FIXED:],
        origin=block[ORIGIN:FIXED],
        limit=np.empty((to_eight(labs), LANES), f),
        own=np.empty(LANES, i),
        home=np.empty(LANES, np.bool_),
        house=np.empty(LANES, u),
        mine=np.empty((to_eight(labs), LANES), np.uint8),
        bits=np.empty((words, LANES), i),
        sees=np.empty((CHUNK, words), i),
        counts=np.empty((words, WORD)),
        known=np.empty((labs, LANES), i),
        may=np.empty(LANES, i),
        cost=np.empty((labs, LANES), f),
        utility=np.empty((offers, LANES), f),
        best=np.empty((options, LANES), f),
        version=np.empty((options, LANES), i),
        plain=np.empty((0, LANES), f),
        nest=np.empty((lines, LANES), f),
        chance=np.empty((lines, LANES), f),
        **{name: np.empty(LANES, f) for name in ("highest", "keep", "outside", "whole", "target")},
        place=np.empty(LANES, i),
        won=np.empty(LANES, i),
        kind=np.empty(LANES, u),
        state=np.empty(LANES, u),
        draw=np.empty(LANES),
        more=np.empty(LANES),
        core=block.reshape(-1),
        at=np.empty(LANES, u),
        narrow=narrow.reshape(-1),
        narrow_rows=narrow,
        wide=wide.reshape(-1),
        wide_rows=wide,
    )


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
    state, own, may, lane, narrow = scratch.state, scratch.own, scratch.may, scratch.lane, scratch.narrow
    highest, keep, outside = scratch.highest, scratch.keep, scratch.outside
    for k in range(LANES):
        scratch.kind[k] = kind
        narrow[TASTE + k] = scratch.taste[uses.line[state[k]], k] + scratch.origin[uses.bloc[state[k]], k]
    in_use(scratch.core, uses, rules, scratch)
    width = np.float32(-LOG2_E / np.float32(rules.success_width))
    for k in range(LANES):
        gain = lane[3, k] / (ONE + exp2(width * narrow[AHEAD_OF + k]))
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
            if (may[k] >> uses.bit[s]) & 1 if uses.place[s] != NONE else not bound:
                keep[k] = narrow[OVER + k]
    for k in range(LANES):
        if scratch.home[k] and max(highest[k], keep[k]) > IMPOSSIBLE:
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
def follow(first, last, people, now_release, now_channel, uses, rules, scratch, held, surplus):
    """Write what stays of who has chosen, whose surplus stands there, and this month's surplus of all others (eq. 62).

    `scratch.looks` says who has chosen, from row `first` on.
    """
    kind, state, rows, core = scratch.kind, scratch.state, scratch.seats, scratch.core
    narrow, wide = scratch.narrow, scratch.wide
    none = len(uses.lab) - 1
    width = np.float32(-LOG2_E / np.float32(rules.success_width))
    for begin in range(first, last, LANES):
        count = min(LANES, last - begin)
        for k in range(LANES):
            i = begin + k if k < count else begin
            rows[k], kind[k] = i, people.kind[i]
            state[k] = now_release[i] * CHANNELS + now_channel[i] if now_release[i] != NONE else none
        for k in range(0, LANES, 8):
            turn(people.core, rows, k, 0, scratch.block)
        in_use(core, uses, rules, scratch)
        for k in range(LANES):
            gain = core[VALUE * LANES + k] / (ONE + exp2(width * narrow[AHEAD_OF + k]))
            bill = narrow[BILL + k] / (ONE + np.float32(rules.without_ai_cost) * narrow[RATE + k])
            over = gain + narrow[REST + k] - LOG_2 * core[ALPHA * LANES + k] * log2(bill)
            narrow[OVER + k] = ZERO if narrow[STAFFED + k] == -ONE else over
        for k in range(LANES):
            wide[ABLE + k] = np.float64(core[ALPHA * LANES + k]) * np.float64(narrow[INVERSE + k])
        stays, money = held[begin : begin + count], surplus[begin : begin + count]
        look = scratch.looks[begin - first : begin - first + count]
        for k in range(count):
            stays[k] = np.float32(money[k] * wide[ABLE + k] - narrow[OVER + k]) if look[k] else stays[k]
        for k in range(count):
            money[k] = money[k] if look[k] else (np.float64(narrow[OVER + k]) + stays[k]) / wide[ABLE + k]


@piece
def pick(place, target, k, offered, utility, nest, reached, stays):
    """Return the column that a point in the running sum of weights falls on, `STAY` or `WITHOUT` (eq. 62).

    `reached` are running sums over the lines, `place` how many of them lie below the point.
    """
    lines = len(offered.line)
    while place < lines and nest[place, k] == ZERO:  # a point on the edge of a line that nobody here can choose
        place += 1
    if place == lines:
        before = reached[lines - 1, k]
        return STAY if stays > ZERO and target <= before + stays else WITHOUT
    before = reached[place - 1, k] if place > 0 else ZERO
    inside = (target - before) / (reached[place, k] - before) * nest[place, k]
    total, last = ZERO, WITHOUT
    for j in range(offered.first[place], offered.first[place + 1]):
        if utility[j, k] > ZERO:
            total += utility[j, k]
            last = j
            if inside <= total:
                break
    return last


@piece
def waiting(key, row, weight):
    """Return the time until an option's clock strikes, exponential with its weight as the rate."""
    u = (np.float32(bits(key, row) >> U41) + HALF) * PER_23
    return -log2(u) / weight


@lean
def race(i, k, offered, rules, utility, chance, stays, without):
    """Return the option whose clock strikes first: a choice with noise of its own for each option (eq. 62).

    First among lines, staying and doing without, then inside the line. Gumbel noise is minus the logarithm of such a
    clock; an option that gets better keeps its noise, so that worlds differ only where it tips the balance.
    """
    best, line = np.float32(np.inf), -1
    for n in range(len(offered.line)):
        if chance[n, k] > ZERO:
            time = waiting(offered.line_key[n], i, chance[n, k])
            if time < best:
                best, line = time, n
    option = WITHOUT
    if stays > ZERO:
        time = waiting(rules.stay_key, i, stays)
        if time < best:
            best, line, option = time, -1, STAY
    if without > ZERO and waiting(rules.without_key, i, without) < best:
        return WITHOUT
    if line >= 0:
        best = np.float32(np.inf)
        for j in range(offered.first[line], offered.first[line + 1]):
            if utility[j, k] > ZERO:
                time = waiting(offered.key[j], i, utility[j, k])
                if time < best:
                    best, option = time, j
    return option
