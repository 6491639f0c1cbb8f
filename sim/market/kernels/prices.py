"""Demand at list prices, its first-order conditions and their derivatives, for the price term `bill`.

The readable twins are `stages/demand_panel.py: evaluate` (eq. 64), `stages/markups.py: conditions` (eq. 67) and
`stages/newton.py: gradient_derivatives`. Inner loops run along the rows of a block; they are short and read few arrays,
or they would not become vector code. Sums over rows have one order (`sums.dot`), blocks are added in turn.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim.market.kernels.arithmetic import exp, log
from sim.market.kernels.compiled import fma, kernel, part
from sim.market.kernels.fold import ROWS, TINY, Layout, power
from sim.market.kernels.sums import dot
from sim.market.tables import Floats


class Work(NamedTuple):
    """Room for one block of rows; (priced, ROWS) where nothing else is said."""

    member: Floats  # exponentials
    slope: Floats  # D'
    chance: Floats  # probability
    within: Floats  # probability given the nest
    tokens: Floats  # Mtok/month
    response: Floats  # fall of utility by the list price per unit of alpha
    recaptured: Floats  # P E_lab + (1/lambda - 1) P_nest E_nest
    joining: Floats  # the last six are what joins two offers in the derivatives
    by_chance: Floats
    lost: Floats
    near: Floats
    inside: Floats
    own: Floats
    total: Floats  # (nests, ROWS) sum of exponentials
    scale: Floats  # (nests, ROWS) probability over exponential
    every: Floats  # (ROWS,) one over the sum of all weights
    cell: Floats  # (cells, ROWS) earned [USD/month]
    lab: Floats  # (labs, ROWS) earned [USD/month]


def room(layout: Layout, labs: int) -> Work:
    """Return empty room for a block."""
    nests = len(layout.first) - 1
    sizes = [len(layout.priced)] * 13 + [nests, nests, 0, len(layout.cell_nest), labs]
    return Work(*(np.empty((size, ROWS) if size else ROWS) for size in sizes))


@part
def exponentials(folded, block, j, steep, price, member, slope):
    """Write the exponentials of an offer at a list price, and D' of its burden."""
    utility, loading = folded.utility[block, j], folded.loading[block, j]
    per_money, sensitivity = folded.per_money[block], folded.sensitivity[block]
    for r in range(ROWS):
        member[r] = loading[r] * per_money[r] * price
    for r in range(ROWS):
        slope[r] = 1.0 / (1.0 + member[r])
    for r in range(ROWS):
        u = 1.0 + member[r]
        bill = log(u) + (member[r] - (u - 1.0)) * slope[r]
        member[r] = exp(utility[r] - bill * (sensitivity[r] * steep))


@part
def evaluate(folded, block, layout, lam, price, margin, adoption, work):
    """Write the demand of a block and what it earns (eq. 64, 66); `price`, `margin`, `adoption` by priced offer."""
    amount, per_money, every, extra = folded.amount[block], folded.per_money[block], work.every, 1.0 / lam - 1.0
    every[:] = folded.rest[block]
    for n in range(len(layout.first) - 1):
        total, scale = work.total[n], work.scale[n]
        total[:] = folded.held[block, n]
        steep = layout.steep[n]
        for j in range(layout.first[n], layout.first[n + 1]):
            member = work.member[j]
            exponentials(folded, block, j, steep, price[j], member, work.slope[j])
            for r in range(ROWS):
                total[r] += member[r]
        if steep == 1.0:
            scale[:] = 1.0
        else:
            for r in range(ROWS):
                scale[r] = power(total[r], lam - 1.0)
        for r in range(ROWS):
            every[r] += total[r] * scale[r]
    for r in range(ROWS):
        every[r] = 1.0 / every[r]
    for n in range(len(layout.first) - 1):
        scale = work.scale[n]
        for r in range(ROWS):
            scale[r] *= every[r]
    for c in range(len(layout.cell_nest)):
        cell, held, scale = work.cell[c], folded.held_earned[block, c], work.scale[layout.cell_nest[c]]
        for r in range(ROWS):
            cell[r] = held[r] * scale[r]
    for j in range(len(layout.priced)):
        n = layout.nest[j]
        member, slope, total, scale = work.member[j], work.slope[j], work.total[n], work.scale[n]
        chance, within, tokens, response = work.chance[j], work.within[j], work.tokens[j], work.response[j]
        cell, loading = work.cell[layout.cell[j]], folded.loading[block, j]
        for r in range(ROWS):
            chance[r] = member[r] * scale[r]
        for r in range(ROWS):
            within[r] = member[r] / (total[r] if total[r] > TINY else TINY)
        for r in range(ROWS):
            tokens[r] = chance[r] * slope[r] * amount[r]
        for r in range(ROWS):
            response[r] = loading[r] * per_money[r] * slope[r]
        kept, worth = margin[j], adoption[j]
        for r in range(ROWS):
            cell[r] += tokens[r] * fma(loading[r], kept, worth)
    for number in range(len(work.lab)):
        lab, rest = work.lab[number], folded.rest_earned[block, number]
        for r in range(ROWS):
            lab[r] = rest[r] * every[r]
    for c in range(len(layout.cell_nest)):
        lab, cell = work.lab[layout.cell_lab[c]], work.cell[c]
        for r in range(ROWS):
            lab[r] += cell[r]
    for j in range(len(layout.priced)):
        recaptured, chance, within = work.recaptured[j], work.chance[j], work.within[j]
        lab, cell = work.lab[layout.lab[j]], work.cell[layout.cell[j]]
        for r in range(ROWS):
            recaptured[r] = fma(chance[r], lab[r], extra * within[r] * cell[r])


@kernel
def conditions(folded, layout, lam, price, margin, adoption, work, found):
    """Write Q, Lambda, L and the customers recaptured of each priced offer into `found`, shape (4, priced) (eq. 67)."""
    found[:] = 0.0
    loaded, steep = work.own[0], work.near[0]
    for block in range(len(folded.rest)):
        evaluate(folded, block, layout, lam, price, margin, adoption, work)
        sensitivity = folded.sensitivity[block]
        for j in range(len(layout.priced)):
            tokens, response, loading = work.tokens[j], work.response[j], folded.loading[block, j]
            for r in range(ROWS):
                steep[r] = response[r] * (sensitivity[r] / lam + 1.0)
            for r in range(ROWS):
                loaded[r] = tokens[r] * loading[r]
            found[0, j] += dot(tokens, loading)
            found[1, j] += dot(loaded, steep)
            found[2, j] += dot(tokens, steep)
            for r in range(ROWS):
                loaded[r] = response[r] * sensitivity[r]
            found[3, j] += dot(loaded, work.recaptured[j])


@part
def _joining_terms(folded, block, layout, lam, margin, adoption, move, j, work):
    """Write what joins offer j to others for a block; return what its own derivative has beyond that."""
    sensitivity, loading = folded.sensitivity[block], folded.loading[block, j]
    tokens, response, recaptured = work.tokens[j], work.response[j], work.recaptured[j]
    own, by_chance, inside = work.own[j], work.by_chance[j], work.inside[j]
    chance, within, lost, near, joining = work.chance[j], work.within[j], work.lost[j], work.near[j], work.joining[j]
    lab, cell = work.lab[layout.lab[j]], work.cell[layout.cell[j]]
    bend, choice = work.slope[j], work.member[j]  # their first contents have been used
    extra = 1.0 / lam - 1.0
    for r in range(ROWS):
        choice[r] = response[r] * sensitivity[r]
    for r in range(ROWS):
        earned = fma(loading[r], margin, adoption) * (choice[r] / lam + response[r])
        own[r] = tokens[r] * (loading[r] - earned)
        bend[r] = 2.0 * earned - loading[r]
    for r in range(ROWS):
        bend[r] = response[r] * bend[r] - loading[r] * (choice[r] / lam + response[r])
    for r in range(ROWS):
        by_chance[r] = choice[r] * chance[r]
        inside[r] = choice[r] * within[r]
    for r in range(ROWS):
        recaptured[r] *= choice[r]
    for r in range(ROWS):
        lost[r] = fma(extra * inside[r], cell[r], own[r])
    for r in range(ROWS):
        near[r] = fma((1.0 / lam) * inside[r], cell[r], lost[r])
    for r in range(ROWS):
        near[r] += by_chance[r] * lab[r]
    for r in range(ROWS):
        joining[r] = own[r] + recaptured[r]
    diagonal = dot(tokens, bend) - dot(response, recaptured) - dot(joining, choice) / lam
    for r in range(ROWS):
        joining[r] += by_chance[r] * lab[r]
    slack = bend
    for r in range(ROWS):
        slack[r] = move * tokens[r] * loading[r] * (choice[r] / lam + response[r])
    for r in range(ROWS):
        joining[r] -= slack[r]
    for r in range(ROWS):
        near[r] -= slack[r]
    return diagonal + dot(slack, choice) / lam + 2.0 * dot(slack, response)


@kernel
def derivatives(folded, layout, lam, price, margin, adoption, move, work, matrix):
    """Write the derivatives of every lab's profit gradient by all list prices, shape (priced, priced)."""
    matrix[:] = 0.0
    priced = range(len(layout.priced))
    extra = 1.0 / lam - 1.0
    for block in range(len(folded.rest)):
        evaluate(folded, block, layout, lam, price, margin, adoption, work)
        for j in priced:
            matrix[j, j] += _joining_terms(folded, block, layout, lam, margin[j], adoption[j], move[j], j, work)
        for j in priced:
            for m in priced:
                matrix[j, m] += dot(work.joining[j], work.by_chance[m])
                if layout.lab[j] == layout.lab[m]:
                    matrix[j, m] += dot(work.by_chance[j], work.lost[m])
                    if layout.cell[j] == layout.cell[m] and extra > 0.0:
                        joined = dot(work.near[j], work.inside[m]) + dot(work.inside[j], work.own[m])
                        matrix[j, m] += extra * joined
