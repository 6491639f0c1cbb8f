"""Stage 6: how the first-order conditions move with prices, for Newton steps (docs/model.md, section 4.6).

All sums and eliminations run in an order of their own: no linear algebra library decides the last bits of a price.
"""

from __future__ import annotations

import numpy as np

from sim.market.stages.demand_panel import Block, Prepared
from sim.market.stages.markups import RowTerms, row_terms
from sim.market.tables import Bools, Floats, Ints


def gradient_derivatives(
    ready: Prepared, prices: Floats, cost: Floats, adoption_value: Floats, move: Floats | None = None
) -> Floats:
    """Return the derivatives of every lab's profit gradient with respect to all list prices.

    With `move`, the way to the prices that the conditions ask for, those of Lambda times it are taken off: what is left
    is Lambda times the derivatives of the move, since the gradient is Lambda times the move.

    Exact where every nest belongs to one lab, as lines do; a nest shared by labs leaves out terms of the other
    labs in it, which is enough for a search direction.

    Parameters
    ----------
    prices, cost, adoption_value : array, shape (offers,)
        As for `markups` [USD/Mtok].
    move : array, shape (offers,), optional
        Cost and markup asked for, less the price [USD/Mtok]; by default zero.

    Returns
    -------
    array, shape (priced offers, priced offers)
        Element (j, m) is the derivative by price m of the gradient of offer j, in the order of `ready.priced`
        [Mtok^2/(month USD)].
    """
    way = np.zeros(len(ready.priced)) if move is None else move[ready.order[ready.priced]]
    cell = ready.cell_of[ready.priced]
    owner = ready.lab_of[cell]
    own = [np.flatnonzero(owner == lab) for lab in np.unique(owner)]
    # Offers of each lab, short lists filled up with the first offer and masked after the sums.
    mine = np.array([np.append(one, np.full(max(map(len, own)) - len(one), one[0])) for one in own])
    real = np.arange(mine.shape[1]) < np.array([len(one) for one in own])[:, None]
    pairs = real[:, :, None] & real[:, None, :]
    same_nest = pairs & (cell[mine][:, :, None] == cell[mine][:, None, :])
    matrix = np.zeros((len(cell), len(cell)))
    inside = np.zeros(pairs.shape)
    for block in ready.blocks:
        row = row_terms(ready, block, prices, cost, adoption_value)
        inside += _add_block(matrix, ready, block, row, way, mine, pairs, same_nest)
    lab, first, second = np.nonzero(pairs)
    matrix[mine[lab, first], mine[lab, second]] += inside[lab, first, second]
    return matrix


def _add_block(
    matrix: Floats,
    ready: Prepared,
    block: Block,
    row: RowTerms,
    way: Floats,
    mine: Ints,
    pairs: Bools,
    same_nest: Bools,
) -> Floats:
    """Add the terms that join all offers, return those that join a lab's own, shape of `pairs`.

    `own_part` is what a row adds to the gradient through the tokens of the offer itself, `slack` what it adds to Lambda
    times the move.
    """
    lam, bend = ready.panel.dissimilarity, ready.panel.term.concavity
    extra = 1.0 / lam - 1.0
    steep = block.sensitivity / lam + bend
    per_token = block.loading - row.margin * row.response * steep
    own_part = row.tokens * per_token
    gradient = own_part + row.recaptured
    by_chance = row.choice * row.probability
    earning = by_chance * row.lab_earnings
    slack = way[:, None] * row.tokens * block.loading * row.response * steep
    matrix += np.einsum("jb,mb->jm", gradient + earning - slack, by_chance)
    direct = -block.loading * row.response * steep - bend * row.response * per_token
    direct += bend * row.margin * steep * row.response**2
    direct *= row.tokens
    direct -= bend * row.response * row.recaptured + gradient * row.choice / lam
    direct += slack * (row.choice / lam + 2.0 * bend * row.response)
    matrix[np.diag_indices(len(matrix))] += direct.sum(axis=1)
    in_nest = row.choice * row.within
    nest_earning = in_nest * row.nest_earnings
    lost = own_part + extra * nest_earning
    inside = np.where(pairs, np.einsum("fjb,fmb->fjm", by_chance[mine], lost[mine]), 0.0)
    if extra > 0.0:
        near = own_part + earning + (1.0 / lam + extra) * nest_earning - slack
        joined = np.einsum("fjb,fmb->fjm", near[mine], in_nest[mine])
        joined += np.einsum("fjb,fmb->fjm", in_nest[mine], own_part[mine])
        inside += extra * np.where(same_nest, joined, 0.0)
    return inside


def solve_linear(matrix: Floats, side: Floats) -> Floats:
    """Return the solution of a small system by elimination with row pivots.

    Parameters
    ----------
    matrix : array, shape (unknowns, unknowns)
    side : array, shape (unknowns,) or (unknowns, sides)

    Raises
    ------
    ZeroDivisionError
        If the matrix is singular.
    """
    size = len(matrix)
    system = np.column_stack([matrix, side])
    for column in range(size):
        pivot = column + int(np.argmax(np.abs(system[column:, column])))
        if system[pivot, column] == 0.0:
            raise ZeroDivisionError("the matrix is singular")
        system[[column, pivot]] = system[[pivot, column]]
        system[column] /= system[column, column]
        factor = system[:, column].copy()
        factor[column] = 0.0
        system -= factor[:, None] * system[column]
    return system[:, size:].reshape(side.shape)
