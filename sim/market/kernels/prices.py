"""Demand at list prices, its first-order conditions and their derivatives, for the price term `bill`.

The readable twins are `stages/demand_panel.py: evaluate`, `stages/markups.py: conditions` and
`stages/newton.py: gradient_derivatives`. Inner loops run along the rows of a block; they are short and read few arrays,
or they would not become vector code. Sums over rows have one order (`sums.dot`), blocks are added in turn.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim.market.kernels.arithmetic import exps, logs
from sim.market.kernels.compiled import apart, fma, kernel
from sim.market.kernels.fold import ROWS, TINY, Layout, copy, fill, powers
from sim.market.kernels.sums import dot
from sim.market.tables import Floats


class Work(NamedTuple):
    """What list prices lead to, and room to work in."""

    chance: Floats  # (blocks, priced, ROWS) probability
    within: Floats  # (blocks, priced, ROWS) probability given the nest
    tokens: Floats  # (blocks, priced, ROWS) Mtok/month
    response: Floats  # (blocks, priced, ROWS) fall of utility by the list price per unit of alpha
    recaptured: Floats  # (blocks, priced, ROWS) P E_lab + (1/lambda - 1) P_nest E_nest
    total: Floats  # (blocks, nests, ROWS) sum of exponentials
    scale: Floats  # (blocks, nests, ROWS) probability over exponential
    every: Floats  # (blocks, ROWS) one over the sum of all weights
    cell: Floats  # (blocks, cells, ROWS) earned [USD/month]
    lab: Floats  # (blocks, labs, ROWS) earned [USD/month]
    one: Floats  # (priced, ROWS) from here on for one block, without a meaning between kernels
    other: Floats  # (priced, ROWS)
    joining: Floats  # (priced, ROWS) the next six are what joins two offers in the derivatives
    by_chance: Floats  # (priced, ROWS)
    lost: Floats  # (priced, ROWS)
    near: Floats  # (priced, ROWS)
    inside: Floats  # (priced, ROWS)
    own: Floats  # (priced, ROWS)
    steps: Floats  # (5, ROWS) of sums over rows and of exponentials


def room(blocks: int, layout: Layout, labs: int) -> Work:
    """Return empty room for a panel of some blocks."""
    priced, nests = len(layout.priced), len(layout.first) - 1
    for_all = [priced] * 5 + [nests, nests, 0, len(layout.cell_nest), labs]
    kept = [np.empty((blocks, size, ROWS) if size else (blocks, ROWS)) for size in for_all]
    of_block = [np.empty((priced, ROWS)) for _ in range(8)]
    return Work(*kept, *of_block, steps=np.empty((5, ROWS)))


@apart
def exponentials(folded, block, j, steep, price, room, member, slope):
    """Write the exponentials of an offer at a list price, and D' of its burden; `room` has five rows."""
    utility, loading = folded.utility[block, j], folded.loading[block, j]
    per_money, sensitivity = folded.per_money[block], folded.sensitivity[block]
    burden, whole, bill, room = room[0], room[1], room[2], room[3:]
    for r in range(ROWS):
        part = loading[r] * per_money[r] * price
        burden[r], whole[r], slope[r] = part, 1.0 + part, 1.0 / (1.0 + part)
    logs(whole, room, bill)
    for r in range(ROWS):
        value = bill[r] + (burden[r] - (whole[r] - 1.0)) * slope[r]
        bill[r] = utility[r] - value * (sensitivity[r] * steep)
    exps(bill, room, member)


@apart
def _choices(folded, block, layout, lam, price, work):
    """Write what rows choose and buy, given list prices."""
    amount, per_money, every = folded.amount[block], folded.per_money[block], work.every[block]
    copy(folded.rest[block], every)
    for n in range(len(layout.first) - 1):
        total, scale, steep = work.total[block, n], work.scale[block, n], layout.steep[n]
        copy(folded.held[block, n], total)
        for j in range(layout.first[n], layout.first[n + 1]):
            member = work.one[j]
            exponentials(folded, block, j, steep, price[j], work.steps, member, work.other[j])
            for r in range(ROWS):
                total[r] += member[r]
        fill(scale, 1.0)
        if steep != 1.0:
            powers(total, lam - 1.0, work.steps, scale)
        for r in range(ROWS):
            every[r] += total[r] * scale[r]
    for r in range(ROWS):
        every[r] = 1.0 / every[r]
    for n in range(len(layout.first) - 1):
        scale = work.scale[block, n]
        for r in range(ROWS):
            scale[r] *= every[r]
    for j in range(len(layout.priced)):
        total, scale = work.total[block, layout.nest[j]], work.scale[block, layout.nest[j]]
        member, slope, loading = work.one[j], work.other[j], folded.loading[block, j]
        chance, within, tokens = work.chance[block, j], work.within[block, j], work.tokens[block, j]
        response = work.response[block, j]
        for r in range(ROWS):
            chosen = member[r] * scale[r]
            chance[r] = chosen
            within[r] = member[r] / (total[r] if total[r] > TINY else TINY)
            tokens[r] = chosen * slope[r] * amount[r]
            response[r] = loading[r] * per_money[r] * slope[r]


@apart
def _earned(folded, block, layout, margin, adoption, work):
    """Write what the choices of rows earn each lab, in all and in a nest."""
    every = work.every[block]
    for number in range(work.lab.shape[1]):
        lab, rest = work.lab[block, number], folded.rest_earned[block, number]
        for r in range(ROWS):
            lab[r] = rest[r] * every[r]
    for c in range(len(layout.cell_nest)):
        cell, held, scale = work.cell[block, c], folded.held_earned[block, c], work.scale[block, layout.cell_nest[c]]
        for r in range(ROWS):
            cell[r] = held[r] * scale[r]
    for j in range(len(layout.priced)):
        cell, tokens, loading = work.cell[block, layout.cell[j]], work.tokens[block, j], folded.loading[block, j]
        kept, worth = margin[j], adoption[j]
        for r in range(ROWS):
            cell[r] += tokens[r] * fma(loading[r], kept, worth)
    for c in range(len(layout.cell_nest)):
        lab, cell = work.lab[block, layout.cell_lab[c]], work.cell[block, c]
        for r in range(ROWS):
            lab[r] += cell[r]


@apart
def _sums(folded, block, layout, lam, work, found):
    """Write what of it comes back to the lab of each offer, and add up what the conditions are made of."""
    steep, loaded, choice, sensitivity = work.steps[0], work.steps[1], work.steps[2], folded.sensitivity[block]
    extra = 1.0 / lam - 1.0
    for j in range(found.shape[1]):
        tokens, response, loading = work.tokens[block, j], work.response[block, j], folded.loading[block, j]
        recaptured, chance, within = work.recaptured[block, j], work.chance[block, j], work.within[block, j]
        lab, cell = work.lab[block, layout.lab[j]], work.cell[block, layout.cell[j]]
        for r in range(ROWS):
            recaptured[r] = fma(chance[r], lab[r], extra * within[r] * cell[r])
            steep[r] = response[r] * (sensitivity[r] / lam + 1.0)
            loaded[r] = tokens[r] * loading[r]
            choice[r] = response[r] * sensitivity[r]
        found[0, j] += dot(tokens, loading)
        found[1, j] += dot(loaded, steep)
        found[2, j] += dot(tokens, steep)
        found[3, j] += dot(choice, recaptured)


@kernel
def evaluate(folded, layout, lam, price, margin, adoption, work, found):
    """Write what list prices lead to; `price`, `margin` at loading one and `adoption` have shape (priced,).

    `found`, shape (4, priced), gets Q, Lambda, L and the customers recaptured of each priced offer.
    """
    for entry in range(4):
        fill(found[entry], 0.0)
    for block in range(len(folded.rest)):
        _choices(folded, block, layout, lam, price, work)
        _earned(folded, block, layout, margin, adoption, work)
        _sums(folded, block, layout, lam, work, found)


@kernel
def earnings(folded, layout, margin, adoption, work, earned):
    """Write what each lab earns [USD/month], shape (labs,), by the choices evaluated last at other margins and values.

    `work` has then what those earn, by lab and by cell.
    """
    fill(earned, 0.0)
    ones = work.one[0]
    fill(ones, 1.0)
    for block in range(len(folded.rest)):
        _earned(folded, block, layout, margin, adoption, work)
        for lab in range(len(earned)):
            earned[lab] += dot(work.lab[block, lab], ones)


@apart
def _joining_terms(folded, block, layout, lam, margin, adoption, move, j, work):
    """Write what joins offer j to others for a block; return what its own derivative has beyond that."""
    sensitivity, loading = folded.sensitivity[block], folded.loading[block, j]
    tokens, response, recaptured = work.tokens[block, j], work.response[block, j], work.recaptured[block, j]
    chance, within = work.chance[block, j], work.within[block, j]
    lab, cell = work.lab[block, layout.lab[j]], work.cell[block, layout.cell[j]]
    own, by_chance, inside = work.own[j], work.by_chance[j], work.inside[j]
    lost, near, joining = work.lost[j], work.near[j], work.joining[j]
    bend, choice, slack, back, twice = work.steps[0], work.steps[1], work.steps[2], work.steps[3], work.steps[4]
    extra = 1.0 / lam - 1.0
    for r in range(ROWS):
        chosen = response[r] * sensitivity[r]
        steep = chosen / lam + response[r]
        earned = fma(loading[r], margin, adoption) * steep
        of_own = tokens[r] * (loading[r] - earned)
        choice[r], own[r] = chosen, of_own
        bend[r] = response[r] * (2.0 * earned - loading[r]) - loading[r] * steep
        twice[r] = response[r] * chosen
        slack[r] = move * tokens[r] * loading[r] * steep
        back[r] = fma(chosen, recaptured[r], of_own)
    for r in range(ROWS):
        by_lab = choice[r] * chance[r]
        of_nest = choice[r] * within[r]
        lose = fma(extra * of_nest, cell[r], own[r])
        by_chance[r], inside[r], lost[r] = by_lab, of_nest, lose
        near[r] = fma((1.0 / lam) * of_nest, cell[r], lose) + by_lab * lab[r] - slack[r]
        joining[r] = back[r] + by_lab * lab[r] - slack[r]
    diagonal = dot(tokens, bend) - dot(back, choice) / lam - dot(twice, recaptured)
    return diagonal + dot(slack, choice) / lam + 2.0 * dot(slack, response)


@kernel
def derivatives(folded, layout, lam, margin, adoption, move, work, matrix):
    """Write the derivatives of every lab's profit gradient by all list prices, shape (priced, priced).

    Those of Lambda times `move`, shape (priced,), are taken off.
    """
    for j in range(len(matrix)):
        fill(matrix[j], 0.0)
    priced = range(len(layout.priced))
    extra = 1.0 / lam - 1.0
    for block in range(len(folded.rest)):
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
