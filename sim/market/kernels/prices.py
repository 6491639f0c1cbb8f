"""Demand at list prices, its first-order conditions and their derivatives, for the price term `bill`.

The readable twins are `stages/demand_panel.py: evaluate` (eq. 64), `stages/markups.py: conditions` (eq. 67) and
`stages/newton.py: gradient_derivatives`. A kernel visits the offers that have a list price alone: what no list price
moves is added up once, by `fold`. Rows go in blocks of `ROWS`, offers first, so that inner loops run along rows; sums over
rows have one order (`sums.dot`), blocks are added in turn.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim.market.kernels.arithmetic import exp, log, log1p
from sim.market.kernels.compiled import fma, kernel, part
from sim.market.kernels.sums import dot
from sim.market.tables import Floats, Ints

ROWS = 128
TINY = 1e-300  # a nest with a smaller sum of exponentials cannot be chosen


class Layout(NamedTuple):
    """How the offers with a list price lie: sorted by nest, in a nest by lab; a cell is a lab's part of a nest."""

    priced: Ints  # (priced,) column of each in the panel
    nest: Ints  # (priced,)
    cell: Ints  # (priced,)
    lab: Ints  # (priced,)
    cell_nest: Ints  # (cells,)
    cell_lab: Ints  # (cells,)
    first: Ints  # (nests + 1,) first priced offer of each nest
    steep: Floats  # (nests,) 1 / lambda; 1 where one offer is the whole nest, since its weight is exp(V) then
    held: Ints  # (others,) columns of offers without a list price, sorted by nest
    held_nest: Ints  # (others,) nest, counted on from those with priced offers for the others
    held_cell: Ints  # (others,) cell, -1 in a nest without priced offers
    held_lab: Ints  # (others,)


class Folded(NamedTuple):
    """A panel in blocks of rows, what no list price moves added up; utilities are less the best of that."""

    utility: Floats  # (blocks, priced, ROWS) times `Layout.steep`, at a list price of zero
    loading: Floats  # (blocks, priced, ROWS)
    sensitivity: Floats  # (blocks, ROWS) alpha
    amount: Floats  # (blocks, ROWS) weighted need [Mtok/month]
    per_money: Floats  # (blocks, ROWS) need over pain [Mtok/USD]
    held: Floats  # (blocks, nests, ROWS) sum of exponentials of the offers without a list price
    rest: Floats  # (blocks, ROWS) weight of nests without list prices, of keeping and of doing without
    held_earned: Floats  # (blocks, cells, ROWS) USD/month of the held offers of a cell, were their weight a probability
    rest_earned: Floats  # (blocks, labs, ROWS) the same of nests without list prices


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
    priced, nests, cells = len(layout.priced), len(layout.first) - 1, len(layout.cell_nest)
    sizes = [priced] * 13 + [nests, nests]
    return Work(
        *(np.empty((size, ROWS)) for size in sizes), np.empty(ROWS), np.empty((cells, ROWS)), np.empty((labs, ROWS))
    )


@part
def power(x, exponent):
    """Return x^exponent for x of 0 or more; of `TINY` where x is smaller."""
    return exp(exponent * log(x if x > TINY else TINY))


@part
def _rows(folded, block, first, rows, weight, alpha, need, pain):
    """Write what belongs to rows; those that fill up the last block weigh nothing."""
    folded.sensitivity[block] = 1.0
    folded.amount[block] = 0.0
    folded.per_money[block] = 0.0
    for r in range(rows):
        folded.sensitivity[block, r] = alpha[first + r]
        folded.amount[block, r] = weight[first + r] * need[first + r]
        folded.per_money[block, r] = need[first + r] / pain[first + r]


@part
def _held_values(folded, block, first, rows, held, fixed, base, lam, value):
    """Write the utilities over lambda of offers without a list price."""
    per_money, sensitivity = folded.per_money[block], folded.sensitivity[block]
    for j in range(len(held)):
        column, one = held[j], value[j]
        for r in range(rows):
            one[r] = base[first + r, column] * per_money[r]
        for r in range(rows):
            one[r] = sensitivity[r] * log1p(one[r])
        for r in range(rows):
            one[r] = (fixed[first + r, column] - one[r]) * (1.0 / lam)


@part
def _priced_values(folded, block, first, rows, layout, fixed, loading, lam, best):
    """Write what list prices work on; return the highest utility over the best of the others."""
    highest = -np.inf
    folded.utility[block] = -np.inf
    folded.loading[block] = 0.0
    for j in range(len(layout.priced)):
        column, steep = layout.priced[j], layout.steep[layout.nest[j]]
        utility, load = folded.utility[block, j], folded.loading[block, j]
        for r in range(rows):
            utility[r] = steep * (fixed[first + r, column] - lam * best[r])
            load[r] = loading[first + r, column]
        for r in range(rows):
            highest = max(highest, utility[r])
    return highest


@kernel
def fold(weight, fixed, keep, outside, alpha, need, pain, loading, base, adoption, layout, lam, folded):
    """Write a panel into `folded`; return the highest utility of an offer with a list price over the best other."""
    nests, groups, others = folded.held.shape[1], folded.held.shape[1] + 1, len(layout.held)
    for n in layout.held_nest:
        groups = max(groups, n + 1)
    value, total, best = np.zeros((others, ROWS)), np.zeros((groups, ROWS)), np.zeros(ROWS)
    highest = -np.inf
    for block in range(len(folded.rest)):
        first = block * ROWS
        rows = min(ROWS, len(weight) - first)
        _rows(folded, block, first, rows, weight, alpha, need, pain)
        _held_values(folded, block, first, rows, layout.held, fixed, base, lam, value)
        for r in range(rows):
            best[r] = max(keep[first + r], outside[first + r]) * (1.0 / lam)
        for j in range(others):
            for r in range(rows):
                best[r] = max(best[r], value[j, r])
        total[:] = 0.0
        for j in range(others):
            for r in range(rows):
                value[j, r] = exp(value[j, r] - best[r])
            for r in range(rows):
                total[layout.held_nest[j], r] += value[j, r]
        folded.held[block] = total[:nests]
        rest = folded.rest[block]
        rest[:] = 1.0
        for r in range(rows):
            rest[r] = exp(keep[first + r] - lam * best[r]) + exp(outside[first + r] - lam * best[r])
        for group in range(nests, groups):
            for r in range(rows):
                scale = power(total[group, r], lam - 1.0)
                rest[r] += total[group, r] * scale
                total[group, r] = scale
        folded.held_earned[block] = 0.0
        folded.rest_earned[block] = 0.0
        for j in range(others):
            column = layout.held[j]
            if adoption[column] != 0.0:
                inside = layout.held_nest[j] < nests
                earned = folded.held_earned[block, layout.held_cell[j]]
                if not inside:
                    earned = folded.rest_earned[block, layout.held_lab[j]]
                for r in range(rows):
                    tokens = folded.amount[block, r] / (1.0 + base[first + r, column] * folded.per_money[block, r])
                    scale = 1.0 if inside else total[layout.held_nest[j], r]
                    earned[r] += value[j, r] * scale * tokens * adoption[column]
        highest = max(highest, _priced_values(folded, block, first, rows, layout, fixed, loading, lam, best))
    return highest


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
    sensitivity, amount, every = folded.sensitivity[block], folded.amount[block], work.every
    extra, per_money = 1.0 / lam - 1.0, folded.per_money[block]
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
