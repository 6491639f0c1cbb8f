"""How the demand for every product answers every list price, in one month of one run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.errors import UsageError
from sim.market import offering, price_setting
from sim.market.market import Market
from sim.market.stages.demand_panel import demand, price_derivatives
from sim.market.tables import Floats
from sim.months import format_month, parse_month
from sim.scenario.load import load_scenario
from sim.scenario.scenario import Scenario


@dataclass(frozen=True)
class CrossElasticities:
    """Elasticities of expected tokens with respect to list prices, between all products that have a list price.

    A product is the newest release of a line on its lab's own API. Demand is that which labs face when they set prices
    (docs/model.md, eq. 63): every taste node aware of an offer looks again once, at last month's awareness.

    Attributes
    ----------
    month : str
        The month, ``YYYY-MM``.
    lab, line, release : tuple of str, length (products,)
        What the products are called.
    prices : array, shape (products,)
        List prices posted in the month [USD/Mtok].
    tokens : array, shape (products,)
        Expected tokens at these prices [Mtok/month].
    matrix : array, shape (products, products)
        Element (j, k) is d ln tokens_j / d ln price_k, without unit; NaN where tokens_j is zero.
    """

    month: str
    lab: tuple[str, ...]
    line: tuple[str, ...]
    release: tuple[str, ...]
    prices: Floats
    tokens: Floats
    matrix: Floats


def cross_elasticities(
    scenario: Scenario | str | os.PathLike[str], month: str, replicate: int = 0
) -> CrossElasticities:
    """Simulate a run up to a month and return all elasticities of demand with respect to list prices (eq. 65).

    Parameters
    ----------
    scenario : Scenario or path or str
        A loaded scenario, a file, or the name of a packaged one.
    month : str
        A month after the replayed history, ``YYYY-MM``.
    replicate : int
        Which replicate to draw.

    Returns
    -------
    CrossElasticities
        Own elasticities on the diagonal. Rows do not add up to zero: users also do without or take open weights.

    Raises
    ------
    UsageError
        If the month is none, lies outside the horizon, or in the history, whose prices no lab sets; or if the
        replicate is negative.
    ScenarioError
        If the scenario is not allowed.

    References
    ----------
    Berry, S., Levinsohn, J. and Pakes, A. 1995. Automobile prices in market equilibrium. Econometrica 63.

    Examples
    --------
    >>> found = sim.cross_elasticities("baseline", "2026-06")
    >>> found.release[0], found.matrix[0, 0]
    """
    loaded = load_scenario(scenario) if isinstance(scenario, (str, os.PathLike)) else scenario
    if replicate < 0:
        raise UsageError(f"replicate must be 0 or more, not {replicate}")
    market = _Watched(loaded.draw(replicate), _allowed(month, loaded))
    try:
        while market.month <= market.asked:
            market.step()
    finally:
        market.close()
    return _elasticities(market, market.problem)


def _allowed(month: str, scenario: Scenario) -> int:
    """Return the number of a month in which labs set prices."""
    try:
        number = parse_month(month)
    except (TypeError, ValueError):
        raise UsageError(f"{month!r} is not a month; write YYYY-MM, for example 2026-06") from None
    first, last = scenario.history_until + 1, scenario.end
    if not first <= number <= last:
        why = "prices are replayed up to the end of the history" if number < first else "the horizon ends before"
        some = f"; ask for {format_month(first)} to {format_month(last)}" if first <= last else ""
        raise UsageError(f"no lab sets prices in {month}: {why}{some}")
    return number


class _Watched(Market):
    """A market that remembers what labs knew when they set the prices of one month."""

    problem: price_setting.PriceProblem

    def __init__(self, settings: Any, asked: int):
        super().__init__(settings)
        self.asked = asked

    def keep_on_sale(self, costs: offering.Costs) -> None:
        """Do as every market does, last before prices are set, and look."""
        super().keep_on_sale(costs)
        if self.month == self.asked:
            self.problem = price_setting.price_problem(self, costs)


def _elasticities(market: Market, problem: price_setting.PriceProblem) -> CrossElasticities:
    """Return the elasticities at the prices posted in the last month simulated."""
    offers, panel = problem.offers, problem.panel
    prices = np.where(panel.priced, market.releases.posted[offers.release], 0.0)
    at = np.flatnonzero(panel.priced)
    tokens = demand(panel, prices).tokens[at]
    slopes = price_derivatives(panel, prices)[np.ix_(at, at)]
    sold = np.where(tokens > 0.0, tokens, np.nan)
    return CrossElasticities(
        month=format_month(market.month - 1),
        lab=tuple(market.labs.names[row] for row in offers.lab[at]),
        line=tuple(market.lines.names[row] for row in offers.line[at]),
        release=tuple(market.releases.names[row] for row in offers.release[at]),
        prices=prices[at],
        tokens=tokens,
        matrix=slopes * prices[at] / sold[:, None],
    )
