"""Choices of a month, compiled (docs/model.md, section 4.5); the NumPy twin is `sim.market.stages.choice`.

Work goes on in blocks of `LANES` rows of one class: a number of each row stands in a lane, and every loop over lanes is
vector code. Utilities are single precision, in units of log2: exponentials are powers of two.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.market.kernels.compiled import kernel, prefetch, turn
from sim.market.kernels.single import exp2, log2
from sim.scenario.schema import BLOCS as names

Singles = NDArray[np.float32]
LANES = 64
CHUNK = 32768  # rows looked through before the blocks of their classes are filled
AHEAD = 8  # rows that are asked for before they are read
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


@kernel
def bits(key, row):
    """Return `sim.rng.bits` of one row."""
    z = np.uint64(key) + (np.uint64(row) + U1) * GOLDEN
    z = (z ^ (z >> U30)) * M1
    z = (z ^ (z >> U27)) * M2
    return z ^ (z >> U31)


@kernel
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


@kernel
def who_looks(first, last, people, now_release, now_channel, reach, offered, standing, rules, looks):
    """Write 0, 1 (looks at all vendors) or 2 (at its own vendor's offers alone) for each row (eqs. 48, 49)."""
    for i in range(first, last):
        place = i - first
        looks[place] = 0
        if people.arrival[i] > rules.month:
            continue
        house = people.organisation[i]
        review = uniform(rules.review_key, house) < rules.review
        r = now_release[i]
        if r == NONE:
            if review or people.arrival[i] == rules.month:
                looks[place] = 1
            continue
        c = now_channel[i]
        off = not standing.runs[r, c]
        upgrade = False
        if not standing.newest[r, c]:
            upgrade = uniform(rules.upgrade_key, house) < standing.upgrade[r]
        barred = reach[i, rules.lab_bloc[standing.lab[r]]] >= rules.ban_level[c]
        if review or barred:
            looks[place] = 1
        elif upgrade or off:
            looks[place] = 2 if rules.sells[standing.lab[r]] else 1


@kernel
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


@kernel
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


@kernel
def moving(rows, start, now_release, organisation, used, lab_of, rules, looks, own, home, known, cost):
    """Write what moving to each lab costs in units of log2; who uses a model knows its lab.

    `looks` are those of the rows from `start` on; who looks at its own vendor's offers alone knows no other.
    """
    half = np.float32(ONE - rules.multi_home_discount)
    switch, upgrade, adopt = (
        np.float32(rules.switching_cost),
        np.float32(rules.upgrade_cost) * LOG2_E,
        np.float32(rules.adoption_cost) * LOG2_E,
    )
    labs, other, another = cost.shape[0], switch * LOG2_E, switch * half * LOG2_E
    for k in range(LANES):
        i = rows[k]
        own[k] = lab_of[now_release[i]] if now_release[i] != NONE else NONE
        home[k] = looks[i - start] == 2
        house = organisation[i]
        for lab in range(labs):
            cost[lab, k] = another if used[house, lab] else other
    for lab in range(labs):
        for k in range(LANES):
            stays = own[k] == lab
            cost[lab, k] = adopt if own[k] == NONE else upgrade if stays else cost[lab, k]
        for k in range(LANES):
            stays = own[k] == lab
            known[lab, k] = 1 if stays else 0 if home[k] else known[lab, k]


@kernel
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


@kernel
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


@kernel
def weigh(offered, rules, may, utility, highest, nest, chance):
    """Turn utilities into weights inside their line, and write each line's weight against the others (eq. 59)."""
    lam = np.float32(rules.dissimilarity)
    inverse = ONE / lam
    for n in range(len(offered.line)):
        total, chances = nest[n], chance[n]
        shift = CHANNELS * offered.lab_bloc[n]
        for k in range(LANES):
            total[k] = ZERO
        for j in range(offered.first[n], offered.first[n + 1]):
            row = utility[j]
            for k in range(LANES):
                row[k] = exp2((row[k] - highest[k]) * inverse)
            for k in range(LANES):
                total[k] += row[k]
        for k in range(LANES):
            chances[k] = ZERO
        for j in range(offered.first[n], offered.first[n + 1]):
            bit = np.int32(shift + offered.channel[j])
            for k in range(LANES):
                chances[k] += ONE if (may[k] >> bit) & 1 else ZERO
        for k in range(LANES):
            mean = total[k] / max(chances[k], ONE)
            chances[k] = exp2(lam * log2(max(mean, LEAST))) if mean > LEAST else ZERO


@kernel
def count_looks(lookers, looking, people, attention, consideration, evaluations):
    """Add the workloads that look at each lab, in the order of the rows: attention stands last in their traits."""
    for place in range(looking):
        if place + AHEAD < looking:
            prefetch(people.traits, lookers[place + AHEAD])
        i = lookers[place]
        segment, weight = people.segment[i], people.weight[i]
        for lab in range(len(evaluations)):
            evaluations[lab] += weight if people.traits[i, attention + lab] < consideration[segment, lab] else 0.0


@kernel
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
    used : array, shape (organisations, labs)
        1 where the organisation uses the lab.
    reach : array, shape (rows, blocs)
        How far bans on models of each bloc reach.
    scratch : Scratch
        Room to work in.
    evaluations : array, shape (labs,) or (0,)
        Workloads in the world that look at each lab are added, in the order of the rows; of no length, not counted.
    """
    labs = len(rules.lab_bloc)
    attention = people.traits.shape[1] - labs
    for start in range(first, last, CHUNK):
        stop = min(last, start + CHUNK)
        who_looks(start, stop, people, now_release, now_channel, reach, offered, standing, rules, scratch.looks)
        for kind in range(KINDS):
            scratch.filled[kind] = 0
        lookers, looking = scratch.lookers, 0
        for i in range(start, stop):
            lookers[looking] = i
            looking += 1 if scratch.looks[i - start] else 0
        for place in range(looking):
            i = lookers[place]
            kind = people.kind[i]
            scratch.rows[kind, scratch.filled[kind]] = i
            scratch.filled[kind] += 1
        if len(evaluations):
            count_looks(lookers, looking, people, attention, rules.consideration, evaluations)
        for kind in range(KINDS):
            for begin in range(0, scratch.filled[kind], LANES):
                count = min(LANES, scratch.filled[kind] - begin)
                for place in range(begin + LANES, min(begin + 2 * LANES, scratch.filled[kind])):
                    prefetch(people.traits, scratch.rows[kind, place])
                rows = scratch.seats
                for k in range(LANES):
                    rows[k] = scratch.rows[kind, begin + k if k < count else begin]
                lane, known, may, cost, utility = (
                    scratch.lane,
                    scratch.known,
                    scratch.may,
                    scratch.cost,
                    scratch.utility,
                )
                highest, keep, outside = scratch.four[0], scratch.four[1], scratch.four[2]
                nest, chance = scratch.nest, scratch.chance
                gather(
                    rows, kind, people, reach, rules, scratch.segment, scratch.block, scratch.limit, lane, known, may
                )
                moving(
                    rows,
                    start,
                    now_release,
                    people.organisation,
                    used,
                    standing.lab,
                    rules,
                    scratch.looks,
                    scratch.own,
                    scratch.home,
                    known,
                    cost,
                )
                utilities(
                    kind,
                    offered,
                    rules,
                    lane,
                    scratch.taste,
                    scratch.origin,
                    known,
                    may,
                    cost,
                    utility,
                    scratch.plain,
                    highest,
                    scratch.four[3],
                )
                for k in range(LANES):
                    outside[k] = -lane[0, k] * log2(ONE + np.float32(rules.without_ai_cost) * lane[1, k])
                for k in range(count):
                    i = rows[k]
                    r, c = now_release[i], now_channel[i]
                    keep[k] = IMPOSSIBLE
                    if r != NONE:
                        j = offered.column[r, c]
                        if j != NONE:
                            if utility[j, k] > IMPOSSIBLE:
                                utility[j, k] += cost[standing.lab[r], k]
                                highest[k] = max(highest[k], utility[j, k])
                        elif standing.runs[r, c] and can_stay(i, k, r, c, offered, standing, rules, reach, may):
                            keep[k] = kept(i, k, kind, r, c, people, standing, rules, lane, scratch.origin)
                    if r != NONE and scratch.looks[i - start] == 2 and max(highest[k], keep[k]) > IMPOSSIBLE:
                        outside[k] = IMPOSSIBLE
                    highest[k] = max(highest[k], max(keep[k], outside[k]))
                best, version = scratch.best, scratch.version
                fold(offered, utility, best, version)
                for k in range(count):
                    r, c = now_release[rows[k]], now_channel[rows[k]]
                    q = offered.place[r, c] if r != NONE else NONE
                    if q != NONE and offered.column[r, c] == NONE:
                        if keep[k] > best[q, k]:
                            best[q, k], version[q, k] = keep[k], STAY
                        keep[k] = IMPOSSIBLE
                weigh(offered, rules, may, best, highest, nest, chance)
                for k in range(LANES):
                    keep[k], outside[k] = exp2(keep[k] - highest[k]), exp2(outside[k] - highest[k])
                whole, target, place = scratch.four[3], scratch.four[4], scratch.place
                if rules.option_noise:
                    for k in range(count):
                        scratch.won[k] = race(rows[k], k, offered, rules, best, chance, keep[k], outside[k])
                for k in range(LANES):
                    whole[k] = ZERO
                for n in range(len(offered.line)):
                    row = chance[n]
                    for k in range(LANES):
                        whole[k] += row[k]
                        row[k] = whole[k]
                for k in range(LANES):
                    whole[k] += keep[k] + outside[k]
                for k in range(LANES):
                    target[k] = np.float32(uniform(rules.choice_key, rows[k])) * whole[k]
                    place[k] = 0
                for n in range(len(offered.line)):
                    row = chance[n]
                    for k in range(LANES):
                        place[k] += row[k] < target[k]
                for k in range(LANES):
                    whole[k] = (
                        highest[k]
                        + log2(whole[k])
                        + lane[0, k] * log2(ONE + np.float32(rules.without_ai_cost) * lane[1, k])
                    )
                for k in range(count):
                    i = rows[k]
                    surplus[i] = np.float64(LOG_2 * whole[k]) / (np.float64(lane[0, k]) * np.float64(lane[2, k]))
                    if rules.option_noise:
                        j = scratch.won[k]
                    else:
                        j = pick(place[k], target[k], k, offered, best, nest, chance, keep[k])
                    if j == WITHOUT:
                        now_release[i], now_channel[i] = NONE, 0
                    elif j >= 0 and version[j, k] != STAY:
                        now_release[i], now_channel[i] = offered.release[version[j, k]], offered.channel[j]
        follow(start, stop, people, now_release, now_channel, standing, rules, scratch, held, surplus)


def to_eight(count: int) -> int:
    """Return the next multiple of eight, the squares in which matrices are transposed."""
    return -(-count // 8) * 8


class Scratch(NamedTuple):
    """Room for a block; lanes last."""

    looks: Any  # (CHUNK,)
    lookers: Any  # (CHUNK,)
    rows: Any  # (classes, CHUNK)
    filled: Any  # (classes,)
    lane: Any  # (9, LANES)
    seats: Any  # (LANES,) rows
    segment: Any  # (LANES,)
    block: Any  # (traits, LANES)
    taste: Any  # (all lines and more, LANES) of that
    origin: Any  # (blocs, LANES) of that
    limit: Any  # (labs and more, LANES)
    own: Any  # (LANES,) lab in use
    home: Any  # (LANES,) looks at that lab's offers alone
    known: Any  # (labs, LANES)
    may: Any  # (LANES,)
    cost: Any  # (labs, LANES)
    utility: Any  # (offers, LANES)
    best: Any  # (options, LANES)
    version: Any  # (options, LANES)
    plain: Any  # (0, LANES)
    nest: Any  # (lines, LANES)
    chance: Any  # (lines, LANES)
    four: Any  # (5, LANES)
    place: Any  # (LANES,)
    won: Any  # (LANES,)


def scratch(traits: int, labs: int, lines: int, options: int, offers: int) -> Scratch:
    """Return room for blocks of a month with so many traits, labs and, on offer, lines, options and offers."""
    f, i = np.float32, np.int32
    block = np.empty((traits, LANES), f)
    return Scratch(
        looks=np.empty(CHUNK, np.uint8),
        lookers=np.empty(CHUNK, np.int64),
        rows=np.empty((KINDS, CHUNK), np.int64),
        filled=np.empty(KINDS, np.int64),
        lane=np.empty((9, LANES), f),
        seats=np.empty(LANES, np.int64),
        segment=np.empty(LANES, np.int64),
        block=block,
        taste=block[FIXED:],
        origin=block[ORIGIN:FIXED],
        limit=np.empty((to_eight(labs), LANES), f),
        own=np.empty(LANES, i),
        home=np.empty(LANES, np.bool_),
        known=np.empty((labs, LANES), i),
        may=np.empty(LANES, i),
        cost=np.empty((labs, LANES), f),
        utility=np.empty((offers, LANES), f),
        best=np.empty((options, LANES), f),
        version=np.empty((options, LANES), i),
        plain=np.empty((0, LANES), f),
        nest=np.empty((lines, LANES), f),
        chance=np.empty((lines, LANES), f),
        four=np.empty((5, LANES), f),
        place=np.empty(LANES, i),
        won=np.empty(LANES, i),
    )


@kernel
def can_stay(i, k, r, c, offered, standing, rules, reach, may):
    """Return whether nothing forbids what a row uses: a ban, or what bars the option of which it is a version."""
    bloc = rules.lab_bloc[standing.lab[r]]
    if offered.place[r, c] != NONE:
        return (may[k] >> (bloc * CHANNELS + c)) & 1 == 1
    return reach[i, bloc] < rules.ban_level[c]


@kernel
def in_use(i, kind, r, c, people, standing, rules):
    """Return what the utility of a release in use is made of (eq. 57).

    How far it is ahead of the work [points], the utility that neither success nor money nor tastes for its line and
    bloc give it, and one plus the bill over pain, own staff in it, whose logarithm is the disutility of the bill.
    """
    who, lab = people.core, standing.lab[r]
    inverse = who[i, INVERSE_PAIN] / np.float32(rules.pain[kind])
    burden = np.float32(standing.price[c, kind, r]) * (who[i, NEED] * np.float32(rules.need[kind]) * inverse)
    bill = ONE + burden
    if c == SELF_HOST:
        bill = ONE + max(burden, np.float32(standing.cluster[c, r]) * inverse)
        bill *= ONE + np.float32(rules.staff_cost) * inverse
    ahead = standing.capability[r] + rules.strength[lab, kind] - who[i, DIFFICULTY] - rules.rise[kind]
    fixed = standing.appeal[r, c] + who[i, OPEN] * standing.is_open[r]
    fixed += who[i, CONTROL] * standing.degree[r] * rules.channel_control[c]
    fixed -= who[i, DISTRUST] * rules.relief * rules.channel_exposure[c] * (rules.lab_bloc[lab] == CN)
    return np.float32(ahead), np.float32(fixed), bill


@kernel
def kept(i, k, kind, r, c, people, standing, rules, lane, origin):
    """Return the utility of staying with a superseded release in units of log2 (eq. 57)."""
    ahead, fixed, bill = in_use(i, kind, r, c, people, standing, rules)
    fixed += people.traits[i, FIXED + standing.line[r]] + origin[rules.lab_bloc[standing.lab[r]], k]
    gain = lane[3, k] / (ONE + exp2(np.float32(-LOG2_E / np.float32(rules.success_width)) * ahead))
    return LOG2_E * (gain + fixed) - lane[0, k] * log2(bill)


@kernel
def follow(first, last, people, release, channel, standing, rules, scratch, held, surplus):
    """Write what stays of who has chosen, whose surplus stands there, and this month's surplus of all others (eq. 62).

    `scratch.looks` says who has chosen, from row `first` on.
    """
    alpha, inverse, value, ahead, fixed, bill, over = (
        scratch.lane[0],
        scratch.lane[1],
        scratch.lane[2],
        scratch.lane[3],
        scratch.lane[4],
        scratch.lane[5],
        scratch.lane[6],
    )
    width, who = np.float32(-LOG2_E / np.float32(rules.success_width)), people.core
    for begin in range(first, last, LANES):
        count = min(LANES, last - begin)
        for k in range(count):
            i = begin + k
            kind, r = people.kind[i], release[i]
            alpha[k] = who[i, ALPHA]
            inverse[k] = who[i, INVERSE_PAIN] / np.float32(rules.pain[kind])
            value[k], ahead[k], fixed[k], bill[k] = ZERO, ZERO, ZERO, ONE
            if r != NONE:
                value[k] = who[i, VALUE]
                ahead[k], fixed[k], bill[k] = in_use(i, kind, r, channel[i], people, standing, rules)
                rate = who[i, NEED] * np.float32(rules.need[kind]) * inverse[k]
                bill[k] /= ONE + np.float32(rules.without_ai_cost) * rate
        for k in range(LANES):
            over[k] = value[k] / (ONE + exp2(width * ahead[k])) + fixed[k] - LOG_2 * alpha[k] * log2(bill[k])
        for k in range(count):
            i = begin + k
            scale = np.float64(alpha[k]) * np.float64(inverse[k])
            if scratch.looks[i - first]:
                held[i] = np.float32(surplus[i] * scale - over[k])
            else:
                surplus[i] = (np.float64(over[k]) + held[i]) / scale


@kernel
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


@kernel
def waiting(key, row, weight):
    """Return the time until an option's clock strikes, exponential with its weight as the rate."""
    u = (np.float32(bits(key, row) >> U41) + HALF) * PER_23
    return -log2(u) / weight


@kernel
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
