"""Random numbers of rows, and what they pick (docs/model.md, eq. 62)."""

from __future__ import annotations

import numpy as np

from sim.market.kernels.compiled import kernel, lean, piece
from sim.market.kernels.month import LANES, LOG_2, NONE, ONE, ZERO
from sim.market.kernels.single import exp2, log2

M1, M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
GOLDEN, U1 = np.uint64(0x9E3779B97F4A7C15), np.uint64(1)
U12, U27, U30, U31, U41 = np.uint64(12), np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(41)
HALF, PER_23 = np.float32(0.5), np.float32(2.0**-23)  # 23 bits and a half fit into single precision

STAY, WITHOUT = -2, -1  # what is picked beside an offer


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


@kernel
def uniforms(key, first, found):
    """Write `sim.rng.uniform` of rows in their order, from row `first` on."""
    for k in range(len(found)):
        found[k] = uniform(key, first + k)


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
