"""A panel of demand, folded: what no list price moves is added up once, so that kernels visit list prices alone.

Rows go in blocks of `ROWS`, offers first, so that inner loops run along rows. Of the panel they take slices: with sums
as indices they would not become vector code.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim.market.kernels.arithmetic import exp, exps, logs
from sim.market.kernels.compiled import inlined, kernel
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
    cell_of: Ints  # (nests, labs) -1 where a lab has no part of a nest
    steep: Floats  # (nests,) 1 / lambda; 1 where one offer is the whole nest, since its weight is exp(V) then
    held: Ints  # (others,) columns of offers without a list price, sorted by nest
    held_nest: Ints  # (others,) nest, counted on from those with priced offers for the others
    held_cell: Ints  # (others,) cell, -1 in a nest without priced offers
    held_lab: Ints  # (others,)
    nests: int  # those without list prices counted too


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


def empty(rows: int, layout: Layout, labs: int) -> Folded:
    """Return a panel to be folded into; rows that fill up the last block choose nothing and weigh nothing."""
    blocks, priced, nests = -(-rows // ROWS), len(layout.priced), len(layout.first) - 1
    return Folded(
        utility=np.full((blocks, priced, ROWS), -np.inf),
        loading=np.zeros((blocks, priced, ROWS)),
        sensitivity=np.ones((blocks, ROWS)),
        amount=np.zeros((blocks, ROWS)),
        per_money=np.zeros((blocks, ROWS)),
        held=np.zeros((blocks, nests, ROWS)),
        rest=np.ones((blocks, ROWS)),
        held_earned=np.zeros((blocks, len(layout.cell_nest), ROWS)),
        rest_earned=np.zeros((blocks, labs, ROWS)),
    )


@inlined
def fill(row, value):
    """Set every entry."""
    for r in range(len(row)):
        row[r] = value


@inlined
def copy(row, other):
    """Write a row into another."""
    for r in range(len(row)):
        other[r] = row[r]


@inlined
def powers(x, exponent, room, found):
    """Write x^exponent of a row of 0 or more, of `TINY` where x is smaller; `room` has three rows."""
    base, room = room[0], room[1:]
    for r in range(len(x)):
        base[r] = x[r] if x[r] > TINY else TINY
    logs(base, room, found)
    for r in range(len(x)):
        base[r] = exponent * found[r]
    exps(base, room, found)


@inlined
def _rows(folded, block, first, rows, weight, alpha, need, pain):
    """Write what belongs to rows."""
    sensitivity, amount, per_money = folded.sensitivity[block], folded.amount[block], folded.per_money[block]
    here = slice(first, first + rows)
    alpha, weight, need, pain = alpha[here], weight[here], need[here], pain[here]
    for r in range(rows):
        sensitivity[r] = alpha[r]
        amount[r] = weight[r] * need[r]
    for r in range(rows):
        per_money[r] = need[r] / pain[r]


@inlined
def _held_values(folded, block, first, rows, held, fixed, base, lam, steps, value, best):
    """Write the utilities over lambda of offers without a list price; `best` becomes the highest of all."""
    per_money, sensitivity, burden = folded.per_money[block], folded.sensitivity[block], steps[0, :rows]
    for j in range(len(held)):
        one, price, utility = value[j], base[held[j], first : first + rows], fixed[held[j], first : first + rows]
        for r in range(rows):
            burden[r] = 1.0 + price[r] * per_money[r]
        logs(burden, steps[1:], one)
        for r in range(rows):
            one[r] = (utility[r] - sensitivity[r] * one[r]) * (1.0 / lam)
        for r in range(rows):
            best[r] = max(best[r], one[r])


@inlined
def _held_weights(folded, block, rows, layout, lam, steps, value, best, total):
    """Turn those utilities into weights inside their nest and add these up."""
    held, rest, nests = folded.held[block], folded.rest[block], folded.held.shape[1]
    for group in range(len(total)):
        fill(total[group], 0.0)
    for j in range(len(layout.held)):
        one, nest = value[j], total[layout.held_nest[j]]
        for r in range(rows):
            steps[0, r] = one[r] - best[r]
        exps(steps[0], steps[1:], one)
        for r in range(rows):
            nest[r] += one[r]
    for group in range(nests):
        copy(total[group], held[group])
    for group in range(nests, len(total)):
        nest, scale = total[group], steps[0]
        powers(nest, lam - 1.0, steps[1:], scale)
        for r in range(rows):
            rest[r] += nest[r] * scale[r]
        copy(scale, nest)


@inlined
def _held_earnings(folded, block, first, rows, layout, base, adoption, value, total):
    """Add up what held offers earn, were their weight a probability."""
    amount, per_money, nests = folded.amount[block], folded.per_money[block], folded.held.shape[1]
    for j in range(len(layout.held)):
        worth, one, group = adoption[layout.held[j]], value[j], layout.held_nest[j]
        price = base[layout.held[j], first : first + rows]
        if worth != 0.0:
            for r in range(rows):
                one[r] *= amount[r] * worth / (1.0 + price[r] * per_money[r])
            if group < nests:
                earned = folded.held_earned[block, layout.held_cell[j]]
            else:
                earned, scale = folded.rest_earned[block, layout.held_lab[j]], total[group]
                for r in range(rows):
                    one[r] *= scale[r]
            for r in range(rows):
                earned[r] += one[r]


@inlined
def _priced_values(folded, block, first, rows, layout, fixed, loading, lam, best):
    """Write what list prices work on; return the highest utility over the best of the others."""
    highest = -np.inf
    for j in range(len(layout.priced)):
        column, steep = layout.priced[j], layout.steep[layout.nest[j]]
        utility, at_zero = folded.utility[block, j], fixed[column, first : first + rows]
        copy(loading[column, first : first + rows], folded.loading[block, j])
        for r in range(rows):
            utility[r] = steep * (at_zero[r] - lam * best[r])
        for r in range(rows):
            highest = max(highest, utility[r])
    return highest


@kernel
def fold(weight, keep, outside, alpha, need, pain, fixed, loading, base, adoption, layout, lam, folded):
    """Write a panel into `folded`; return the highest utility of an offer with a list price over the best other.

    `fixed`, `loading` and `base` have shape (offers, rows).
    """
    value, total, best = np.empty((len(layout.held), ROWS)), np.empty((layout.nests, ROWS)), np.empty(ROWS)
    steps, highest = np.empty((4, ROWS)), -np.inf
    for block in range(len(folded.rest)):
        first = block * ROWS
        rows, rest = min(ROWS, len(weight) - first), folded.rest[block]
        _rows(folded, block, first, rows, weight, alpha, need, pain)
        for r in range(rows):
            best[r] = max(keep[first + r], outside[first + r]) * (1.0 / lam)
        _held_values(folded, block, first, rows, layout.held, fixed, base, lam, steps, value, best)
        for r in range(rows):
            rest[r] = exp(keep[first + r] - lam * best[r]) + exp(outside[first + r] - lam * best[r])
        _held_weights(folded, block, rows, layout, lam, steps, value, best, total)
        _held_earnings(folded, block, first, rows, layout, base, adoption, value, total)
        highest = max(highest, _priced_values(folded, block, first, rows, layout, fixed, loading, lam, best))
    return highest
