"""The search for prices that no lab wants to change, for the price term `bill`.

Twin: `stages/equilibrium.py: _solve_from`, where the rules of a step are explained; to the bit.
"""

from __future__ import annotations

import math

import numpy as np

from sim.market.kernels.compiled import inlined, kernel
from sim.market.kernels.fold import copy
from sim.market.kernels.prices import derivatives, evaluate
from sim.market.kernels.sums import solve


@inlined
def _distance(folded, layout, lam, work, cost, adoption, free, price, margin, found, move, wanted):
    """Write the way to the prices that the conditions ask for, and these; return the largest relative distance."""
    for j in range(len(price)):
        margin[j] = price[j] - cost[j]
    evaluate(folded, layout, lam, price, margin, adoption, work, found)
    size = 0.0
    for i in range(len(free)):
        j = free[i]
        own, slope = price[j], found[1, j]
        asked = math.nan  # where nobody can choose the offer any price will do
        if slope > 0.0:
            asked = cost[j] + (found[0, j] - adoption[j] * found[2, j] + found[3, j]) / slope
        wanted[i] = own if math.isnan(asked) else max(0.0, asked)
        move[i] = wanted[i] - own
        share = abs(move[i]) / max(max(own, wanted[i]), abs(cost[j])) if move[i] != 0.0 else 0.0
        if not (share <= size or math.isnan(size)):
            size = share
    return size


@inlined
def _newton_step(layout, free, price, found, matrix, move, wanted, stretch, way, system, step):
    """Write the step of every free price; `stretch` doubles where profit is convex in it."""
    size = len(free)
    for i in range(size):
        j = free[i]
        slope = found[1, j]
        held = wanted[i] == 0.0 or slope == 0.0
        over = 1.0 if held else slope
        convex = not held and -matrix[j, j] / over <= 0.0
        way[i] = stretch[i] * move[i] if convex else move[i]
        stretch[i] = 2.0 * stretch[i] if convex else 1.0
        given = held or convex or price[j] == 0.0  # a price leaves zero the way it is asked to
        for m in range(size):
            system[i, m] = 0.0 if given else -matrix[j, free[m]] / over
        if given:
            system[i, i] = 1.0
        system[i, size] = way[i]
    if not solve(system, step):
        copy(way, step)
    for i in range(size):
        step[i] = step[i] if math.isfinite(step[i]) else way[i]


@kernel
def search(folded, layout, lam, work, cost, adoption, free, tolerance, most_iterations, price, seen, found):
    """Move `price`, shape (priced,), to the fixed point that Newton steps lead to, or as near as they came.

    `free` are the prices that may change, in the order of the system; `seen` becomes the prices evaluated last, and
    `found` their sums. Returns the largest relative distance from the prices asked for, and the steps taken.
    """
    priced, number = len(price), len(free)
    margin, matrix = np.empty(priced), np.empty((priced, priced))
    move, wanted, before, all_move = np.empty(number), np.empty(number), np.empty(number), np.zeros(priced)
    way, step, system = np.empty(number), np.empty(number), np.empty((number, number + 1))
    stretch, reach = np.ones(number), np.ones(number)
    copy(price, seen)
    size = _distance(folded, layout, lam, work, cost, adoption, free, seen, margin, found, move, wanted)
    least, iterations = size, 0
    while least > tolerance and iterations < most_iterations:
        iterations += 1
        for i in range(number):
            all_move[free[i]] = move[i]
        derivatives(folded, layout, lam, margin, adoption, all_move, work, matrix)
        _newton_step(layout, free, seen, found, matrix, move, wanted, stretch, way, system, step)
        for i in range(number):
            own, largest = seen[free[i]], math.inf
            if wanted[i] != 0.0:
                largest = reach[i] * max(own, abs(cost[free[i]]))
            seen[free[i]] = max(0.0, own + min(max(step[i], -0.5 * largest), largest))
        copy(move, before)
        size = _distance(folded, layout, lam, work, cost, adoption, free, seen, margin, found, move, wanted)
        for i in range(number):
            reach[i] = 0.5 * reach[i] if before[i] * move[i] < 0.0 else min(1.0, 2.0 * reach[i])
        if size < least:
            least = size
            copy(seen, price)
    return least, iterations
