"""Derivatives of the full model (bills, nests, hosts, own machines) against differences, and Roy's identity."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from sim.market.kernels.price_panel import CompiledConditions
from sim.market.stages.choice import choice_probabilities
from sim.market.stages.demand_panel import consumer_surplus, demand, prepare, price_derivatives
from sim.market.stages.markups import markups, profits
from sim.market.stages.newton import gradient_derivatives
from sim.market.stages.price_conditions import PlainConditions
from sim.market.stages.price_terms import LINEAR
from sim.market.tables import Floats
from sim.theory.benchmarks import Benchmark
from sim.theory.panels import Case, full_case

STEP = 1e-3  # relative; the error of the extrapolated difference is of its fourth power


def differences(function: Callable[[Floats], Floats], prices: Floats, offer: int) -> Floats:
    """Return the derivative by one price from central differences at two steps, extrapolated (Richardson 1911)."""

    def central(step: float) -> Floats:
        up, down = prices.copy(), prices.copy()
        up[offer] += step
        down[offer] -= step
        return (function(up) - function(down)) / (up[offer] - down[offer])

    step = STEP * prices[offer]
    return (4.0 * central(step / 2.0) - central(step)) / 3.0


def rows() -> Iterable[Benchmark]:
    """Yield the benchmarks of derivatives."""
    case = full_case(21)
    panel, prices = case.panel, 1.7 * case.cost
    offers = np.flatnonzero(panel.priced).tolist()
    yield Benchmark("probabilities equal those of the choice stage", "McFadden 1978", _choice_residual(case), 1e-12)
    right = np.stack([differences(lambda p: demand(panel, p).tokens, prices, j) for j in offers], axis=1)
    found = price_derivatives(panel, prices)[:, offers]
    source = "calculus; central differences"
    yield Benchmark("derivatives of tokens by prices", source, _scaled(found, right), 1e-8)
    conditions = markups(panel, case.owner, prices, case.cost, case.adoption_value)
    earned = [
        differences(lambda p: profits(panel, case.owner, p, case.cost, case.adoption_value), prices, j)[case.owner[j]]
        for j in offers
    ]
    yield Benchmark(
        "derivatives of profits by own prices", source, _scaled(conditions.gradient[offers], np.array(earned)), 1e-8
    )
    ready = prepare(panel, case.owner)
    columns = ready.order[ready.priced]
    second = [
        differences(
            lambda p: markups(panel, case.owner, p, case.cost, case.adoption_value).gradient[columns], prices, j
        )
        for j in columns.tolist()
    ]
    found = gradient_derivatives(ready, prices, case.cost, case.adoption_value)
    yield Benchmark("derivatives of the conditions", source, _scaled(found, np.stack(second, axis=1)), 1e-8)
    yield Benchmark("compiled conditions and derivatives", "their plain twin", _kernel_residual(case, prices), 1e-12)
    now = demand(panel, prices)
    paid = (panel.weight[:, None] * panel.loading * now.quantity * now.probability).sum(axis=0)[offers]
    worth = np.array([differences(lambda p: np.array(consumer_surplus(panel, p)), prices, j) for j in offers])
    yield Benchmark(
        "Roy's identity: surplus falls by the tokens bought",
        "Roy 1947; Small and Rosen 1981",
        _scaled(-worth, paid),
        1e-7,
    )
    yield Benchmark("customers lost to a price go somewhere", "adding-up", _diversion_residual(case), 1e-12)


def _kernel_residual(case: Case, prices: Floats) -> float:
    """Return how far what kernels find is from what NumPy finds, relative to the largest entry."""
    parts = (case.panel, case.owner, case.cost, case.adoption_value)
    compiled, plain = CompiledConditions.of(*parts), PlainConditions.of(*parts)
    if compiled is None:
        return np.inf
    found, right = compiled.at(prices), plain.at(prices)
    return max(
        _scaled(found.gradient, right.gradient),
        _scaled(found.own_slope, right.own_slope),
        _scaled(compiled.derivatives(prices), plain.derivatives(prices)),
    )


def _diversion_residual(case: Case) -> float:
    """Return how far the diversion ratios of an offer, outside options included, are from one in sum.

    With a linear price and one token a workload, tokens count customers.
    """
    ones = np.ones(len(case.panel.weight))
    panel = replace(case.panel, term=LINEAR, need=ones, pain=ones)
    offers, prices = np.flatnonzero(panel.priced), 1.7 * case.cost
    now, matrix = demand(panel, prices), price_derivatives(panel, prices)
    response = (panel.weight * panel.price_sensitivity * (now.outside + now.keep))[:, None] * panel.loading
    gained = matrix.sum(axis=0) + (response * now.probability).sum(axis=0)
    return float(np.abs(gained[offers] / np.diag(matrix)[offers]).max())


def _scaled(found: Floats, right: Floats) -> float:
    return float(np.abs(found - right).max() / np.abs(right).max())


def _choice_residual(case: Case) -> float:
    panel, prices = case.panel, 1.7 * case.cost
    paid = panel.loading * prices + panel.base_price
    burden = paid * (panel.need / panel.pain)[:, None]
    first = np.unique(panel.nest, return_index=True)[1]
    utility = panel.fixed - panel.price_sensitivity[:, None] * np.log1p(burden)
    right, logsum = choice_probabilities(
        utility,
        panel.keep,
        panel.outside,
        first_of_line=first,
        dissimilarity=panel.dissimilarity,
    )
    now = demand(panel, prices)
    found = np.column_stack([now.probability, now.keep, now.outside])
    return float(max(np.abs(found - right).max(), np.abs(now.logsum - logsum).max()))
