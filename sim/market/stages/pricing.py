"""Stage 6: list prices by rule, and what a class pays (docs/model.md, section 4.6). USD per million tokens."""

from __future__ import annotations

import numpy as np

from sim.market.tables import Bools, Floats


def cost_plus_price(cost: Floats, price_over_cost: Floats, adoption_value: Floats) -> Floats:
    """Return cost times the ratio of the hand-over, less the adoption value, never below zero (eq. 70).

    All arrays have shape (releases,), costs and values in USD/Mtok.
    """
    return np.maximum(0.0, cost * price_over_cost - adoption_value)


def penetration_price(cost: Floats, adoption_value: Floats) -> Floats:
    """Return cost less what a token is worth beyond its price, never below zero, shape of `cost` (eq. 70)."""
    return np.maximum(0.0, cost - adoption_value)


def matching_price(
    posted: Floats, cost: Floats, capability: Floats, open_price: Floats, open_capability: Floats, *, slack: float
) -> Floats:
    """Return the price of the cheapest open model that is nearly as good, shape of `posted` (eq. 70).

    Parameters
    ----------
    posted, cost, capability : array, shape (releases,)
        List price now, marginal cost [USD/Mtok] and capability [ECI points].
    open_price, open_capability : array, shape (open offers,)
        What hosts of open weights ask, and how good those are.
    slack : float
        Points by which an open model may be behind and still counts.

    Returns
    -------
    array
        Never above the price now and never below cost, but where the price now is below cost already.
    """
    good_enough = open_capability[None, :] >= capability[:, None] - slack
    cheapest = np.where(good_enough, open_price[None, :], np.inf).min(axis=1, initial=np.inf)
    return np.minimum(posted, np.maximum(cost, cheapest))


def next_posted(posted: Floats, target: Floats, fresh: Bools, adjustment: float) -> Floats:
    """Return the prices posted this month (eq. 71): a part of the way to the target, all of it at a release.

    Parameters
    ----------
    posted, target : array, shape (releases,)
        Last month's list prices and those the rules ask for.
    fresh : array of bool, shape (releases,)
        Releases that came out this month.
    adjustment : float
        Part of the way that a price between releases goes in a month.
    """
    return np.where(fresh, target, posted + adjustment * (target - posted))


def class_price(input_price: Floats, output_price: Floats, input_share: Floats, price_factor: Floats) -> Floats:
    """Return what each class of workload pays for each offer, shape (classes, offers) (eq. 72).

    The class's own input and output mix at list price, times its cache and discount factor.
    """
    blend = input_share[:, None] * input_price[None, :] + (1.0 - input_share)[:, None] * output_price[None, :]
    return price_factor[:, None] * blend
