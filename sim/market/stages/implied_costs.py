"""Stage 6: the costs that observed prices imply, for a hand-over without a jump (docs/model.md, section 4.6)."""

from __future__ import annotations

import numpy as np

from sim.market.stages.demand_panel import DemandPanel, demand, price_derivatives
from sim.market.stages.newton import solve_linear
from sim.market.tables import Bools, Floats, Ints


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
    zero the condition is an inequality: the cost returned is the highest at which zero is right.

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
        answer[unknown] = prices[unknown] - solve_linear(loaded[np.ix_(unknown, unknown)].T, side)
    return answer
