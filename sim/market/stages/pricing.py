"""Stage 6: list prices after the hand-over, and what a class pays (docs/model.md, section 4.6). USD per million tokens.

This version has two rules and no equilibrium: `hold` keeps the list price from release to release (the saving goes
into larger models), `cost_plus` keeps the margin of the hand-over over a falling cost.
"""

from __future__ import annotations

import numpy as np

from sim.market.tables import Floats


def next_list_price(rule: str, previous: float, cost_ratio: float) -> float:
    """Return the list price of a line's next release (eq. 39).

    Parameters
    ----------
    rule : {'hold', 'cost_plus'}
        The lab's price rule.
    previous : float
        List price of the release before.
    cost_ratio : float
        Serving cost now over that of the release before.
    """
    return previous if rule == "hold" else previous * cost_ratio


def posted_price(list_price: Floats, adoption_value: Floats) -> Floats:
    """Return the posted price on a lab's own API (eq. 40): list price less the adoption value, never below zero."""
    return np.maximum(0.0, list_price - adoption_value)


def class_price(input_price: Floats, output_price: Floats, input_share: Floats, price_factor: Floats) -> Floats:
    """Return what each class of workload pays for each offer, shape (classes, offers) (eq. 41).

    The class's own input and output mix at list price, times its cache and discount factor.
    """
    blend = input_share[:, None] * input_price[None, :] + (1.0 - input_share)[:, None] * output_price[None, :]
    return price_factor[:, None] * blend
