"""A panel of demand, folded: what no list price moves is added up once, so that kernels visit list prices alone.

Rows go in blocks of `ROWS`, offers first, so that inner loops run along rows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim.market.kernels.arithmetic import exp, log, log1p
from sim.market.kernels.compiled import kernel, part
from sim.market.tables import Bools, Floats, Ints

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
    sells: Bools  # (nests, labs) a lab has a list price in a nest
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
