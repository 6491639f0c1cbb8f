"""Stage 6: what labs earn, and their first-order conditions in markups (docs/model.md, section 4.6).

A lab earns k (p - c) + adoption value for a token on an offer with a list price, and the adoption value alone where
others serve its weights or adopters run them. The conditions are written in zeta form (Morrow and Skerlos 2011), which
stays well scaled where demand is thin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.market.stages.demand_panel import (
    Block,
    DemandPanel,
    Prepared,
    demand,
    evaluate,
    prepare,
    price_derivatives,
)
from sim.market.tables import Bools, Floats, Ints


@dataclass(frozen=True)
class MarkupConditions:
    """The first-order conditions at given prices; shapes (offers,), zero for offers without a list price."""

    markup: Floats  # USD/Mtok over cost that the condition asks for; NaN where nobody can choose the offer
    loaded_tokens: Floats  # Mtok/month times loading, Q
    own_slope: Floats  # Mtok^2/(month USD), Lambda
    gradient: Floats  # Mtok/month, derivative of the lab's profit by the list price
    largest_capture: float  # largest probability that one workload chooses one lab


def margins(panel: DemandPanel, prices: Floats, cost: Floats, adoption_value: Floats) -> Floats:
    """Return what a token earns the lab whose weights it runs on [USD/Mtok], shape (rows, offers)."""
    return panel.loading * np.where(panel.priced, prices - cost, 0.0) + adoption_value


def profits(panel: DemandPanel, owner: Ints, prices: Floats, cost: Floats, adoption_value: Floats) -> Floats:
    """Return each lab's profit, adoption value included [USD/month], shape (labs,).

    Parameters
    ----------
    owner : array, shape (offers,)
        Lab whose weights an offer runs on, 0 or more.
    prices, cost, adoption_value : array, shape (offers,)
        List price, marginal cost at loading one, and value of a token beyond its price [USD/Mtok].
    """
    now = demand(panel, prices)
    tokens = panel.weight[:, None] * now.quantity * now.probability
    by_offer = (tokens * margins(panel, prices, cost, adoption_value)).sum(axis=0)
    return np.bincount(owner, by_offer)


def markups(panel: DemandPanel, owner: Ints, prices: Floats, cost: Floats, adoption_value: Floats) -> MarkupConditions:
    """Return the markups that the labs' first-order conditions ask for at given prices.

    With e_il what a token of offer l earns from row i, s_ij = alpha_i k_ij (v_i / pain_i) D' and weights left out,

        zeta_j = [Q_j - a_j L_j + sum_i s_ij (P_ij E_i,lab + (1/lambda - 1) P_j|nest E_i,lab in nest)] / Lambda_j
        Q_j = sum_i k_ij x_ij P_ij,      E_i = sum over own offers l of e_il x_il P_il
        Lambda_j = sum_i k_ij x_ij P_ij s_ij / lambda - k_ij^2 x'_ij P_ij,      L_j the same with one k_ij less

    Parameters
    ----------
    owner : array, shape (offers,)
        Lab whose weights an offer runs on, 0 or more.
    prices, cost, adoption_value : array, shape (offers,)
        List price, marginal cost at loading one, and value of a token beyond its price [USD/Mtok].
    """
    return conditions(prepare(panel, owner), prices, cost, adoption_value)


def conditions(ready: Prepared, prices: Floats, cost: Floats, adoption_value: Floats) -> MarkupConditions:
    """Return `markups` of a panel that is prepared already; arrays as there."""
    priced = ready.order[ready.priced]
    listed, margin, value = prices[priced], prices[priced] - cost[priced], adoption_value[ready.order]
    cells = [np.flatnonzero(ready.cell_owner == lab) for lab in np.unique(ready.cell_owner)]
    sums, largest = np.zeros((4, len(priced))), 0.0
    for block in ready.blocks:
        part, capture = _block_sums(ready, block, listed, margin, value, cells)
        sums += part
        largest = max(largest, capture)
    loaded, own, own_unloaded, recaptured = sums
    numerator = loaded - value[ready.priced] * own_unloaded + recaptured
    markup = np.divide(numerator, own, out=np.full(len(priced), np.nan), where=own > 0.0)
    full = np.zeros((4, len(prices)))
    full[:, priced] = markup, loaded, own, numerator - margin * own
    return MarkupConditions(*full, largest_capture=largest)


def _block_sums(
    ready: Prepared, block: Block, listed: Floats, margin: Floats, value: Floats, cells: list[Ints]
) -> tuple[Floats, float]:
    """Return Q, Lambda, L and the recaptured earnings of a block, (4, priced offers), and its largest capture."""
    panel, lam, priced = ready.panel, ready.panel.dissimilarity, ready.priced
    now = evaluate(ready, block, listed)
    tokens = now.probability * now.slope
    tokens *= block.weight * block.need
    own_tokens = tokens[priced]
    earned = tokens * value[:, None]
    loaded = own_tokens * block.loading
    earned[priced] += loaded * margin[:, None]
    in_cell = np.add.reduceat(earned, ready.cell_start, axis=0)
    chosen = np.add.reduceat(now.probability, ready.cell_start, axis=0)
    of_lab, capture = np.empty_like(in_cell), 0.0
    for mine in cells:
        of_lab[mine] = in_cell[mine].sum(axis=0)
        capture = max(capture, float(chosen[mine].sum(axis=0).max()))
    response = block.rate * now.slope[priced]
    cell = ready.cell_of[priced]
    recaptured = now.probability[priced] * of_lab[cell]
    if lam < 1.0:
        recaptured += (1.0 / lam - 1.0) * now.within[priced] * in_cell[cell]
    recaptured *= response * block.sensitivity
    response *= block.sensitivity / lam + panel.term.concavity
    sums = (loaded, loaded * response, own_tokens * response, recaptured)
    return np.stack([each.sum(axis=1) for each in sums]), capture


def implied_costs(
    panel: DemandPanel,
    owner: Ints,
    prices: Floats,
    adoption_value: Floats,
    *,
    cost: Floats | None = None,
    free: Bools | None = None,
) -> Floats:
    """Return the costs at which given prices solve every lab's first-order conditions.

    The difference from technical cost is the wedge that keeps prices from jumping at the hand-over. At a price of
    zero the condition is an inequality, and the cost returned is the lowest that satisfies it with equality.

    Parameters
    ----------
    owner : array, shape (offers,)
        Lab whose weights an offer runs on.
    prices, adoption_value : array, shape (offers,)
        Observed list prices and value of a token beyond its price [USD/Mtok].
    cost : array, shape (offers,), optional
        Costs of offers that are not free; needed if such an offer has a list price.
    free : array of bool, shape (offers,), optional
        Offers whose cost is wanted; by default all that have a list price.

    Returns
    -------
    array, shape (offers,)
        Costs [USD/Mtok]; NaN for free offers that nobody can choose, those of `cost` (or 0) for the rest.

    Raises
    ------
    ValueError
        If the cost of an offer with a list price is neither wanted nor given.
    """
    free = panel.priced if free is None else free
    if cost is None and (panel.priced & ~free).any():
        raise ValueError("the costs of offers with a list price that is not free must be given")
    known = np.zeros(len(prices)) if cost is None else cost.astype(np.float64)
    loaded = price_derivatives(panel, prices, loaded=True)
    plain = price_derivatives(panel, prices)
    now = demand(panel, prices)
    quantity = (panel.weight[:, None] * panel.loading * now.quantity * now.probability).sum(axis=0)
    answer = known.copy()
    answer[free] = np.nan
    for lab in np.unique(owner[free]):
        mine = owner == lab
        unknown = np.flatnonzero(free & mine & (quantity > 0.0))
        given = np.flatnonzero(mine & ~free)
        side = -quantity[unknown]
        side -= (adoption_value[mine, None] * plain[np.ix_(mine, unknown)]).sum(axis=0)
        side -= ((prices[given] - known[given])[:, None] * loaded[np.ix_(given, unknown)]).sum(axis=0)
        answer[unknown] = prices[unknown] - _solve_linear(loaded[np.ix_(unknown, unknown)].T, side)
    return answer


def _solve_linear(matrix: Floats, side: Floats) -> Floats:
    """Return the solution of a small system by elimination with row pivots, in an order that no library changes."""
    system = np.column_stack([matrix, side])
    size = len(side)
    for column in range(size):
        pivot = column + int(np.argmax(np.abs(system[column:, column])))
        system[[column, pivot]] = system[[pivot, column]]
        system[column] /= system[column, column]
        others = np.arange(size) != column
        system[others] -= system[others, column, None] * system[column]
    return system[:, -1]
