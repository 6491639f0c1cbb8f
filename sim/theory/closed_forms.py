"""Prices that textbooks give in closed form, and prices of another program."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from importlib.resources import files

import numpy as np

from sim.market.stages.demand_panel import demand
from sim.market.stages.equilibrium import Equilibrium, Solver, solve_prices
from sim.market.stages.price_terms import LOG
from sim.market.tables import Floats
from sim.theory.benchmarks import Benchmark
from sim.theory.panels import Case, joint_ownership, logit_case, one_type, several_types

EXACT = Solver(tolerance=2e-15, most_iterations=60, check=None)
# alpha times the markup of n equal firms at quality 1, alpha 1.3, cost 1, with half a unit of its last digit.
SYMMETRIC = {1: (1.219, 5e-4), 2: (1.185, 5e-4), 5: (1.123, 5e-4), 20: (1.044, 5e-4), 100: (1.0097, 5e-5)}
SYMMETRIC[1000] = (1.0010, 5e-5)


def solve(case: Case, solver: Solver = EXACT) -> Equilibrium:
    """Return the equilibrium of a case, by default to the last bits and without the search for deviations."""
    return solve_prices(case.panel, case.owner, case.cost, case.adoption_value, case.start, solver=solver)


def pyblp_cases() -> dict[str, Case]:
    """Return the markets whose prices PyBLP solved too: unit demand, plain logit, one market each."""
    return {
        "single-product firms, one type": several_types(101, 6, 1),
        "single-product firms, 40 types": several_types(102, 8, 40),
        "multi-product firms, 40 types": several_types(103, 9, 40, np.arange(9) // 3),
        "multi-product firms, 200 types": several_types(104, 12, 200, np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4])),
    }


def stored_pyblp_prices() -> dict[str, list[float]]:
    """Return the prices that PyBLP found for `pyblp_cases`, with its version under "pyblp"."""
    return json.loads(files("sim.theory").joinpath("pyblp_prices.json").read_text("utf-8"))


def symmetric_case(firms: int) -> Case:
    """Return equal firms with quality 1, price sensitivity 1.3 and cost 1."""
    return logit_case(np.ones((1, firms)), np.array([1.3]), np.ones(1), np.ones(firms))


def _relative(found: Floats, right: Floats) -> float:
    return float((np.abs(found - right) / np.abs(right)).max())


def rows() -> Iterable[Benchmark]:
    """Yield the benchmarks of prices in closed form."""
    case = one_type(11, 8)
    found = solve(case)
    share = demand(case.panel, found.prices).probability[0]
    yield Benchmark(
        "logit markup 1 / (alpha (1 - s))",
        "Anderson, de Palma and Thisse 1992",
        _relative(found.prices - case.cost, 1.0 / (1.3 * (1.0 - share))),
        1e-10,
    )
    case = one_type(12, 9, owner=np.array([0, 0, 0, 1, 1, 2, 2, 2, 2]))
    found = solve(case)
    shares = np.bincount(case.owner, demand(case.panel, found.prices).probability[0]).astype(np.float64)
    yield Benchmark(
        "equal markup 1 / (alpha (1 - S)) on all offers of a firm",
        "Anderson, de Palma and Thisse 1992",
        _relative(found.prices - case.cost, 1.0 / (1.3 * (1.0 - shares[case.owner]))),
        1e-10,
    )
    yield Benchmark("monopoly markup by Lambert's W", "Corless and others 1996", _monopoly_residual(), 1e-12)
    case = one_type(14, 7, term=LOG)
    found = solve(case)
    share = demand(case.panel, found.prices).probability[0]
    yield Benchmark(
        "price c (1 + 1 / (alpha (1 - s))) where the price enters as a logarithm",
        "Anderson, de Palma and Thisse 1992",
        _relative(found.prices, case.cost * (1.0 + 1.0 / (1.3 * (1.0 - share)))),
        1e-10,
    )
    yield from _symmetric_rows()
    yield Benchmark(
        "price equals cost as tastes vanish", "Bertrand 1883; Anderson and others 1992", _competitive_residual(), 1e-8
    )
    yield Benchmark("a copy in the nest moves no price", "McFadden 1978", _copy_residual(), 1e-10)
    stored = stored_pyblp_prices()
    worst = max(_relative(solve(case).prices, np.array(stored[name])) for name, case in pyblp_cases().items())
    yield Benchmark("prices of another program, stored", "PyBLP, Conlon and Gortmaker 2020", worst, 1e-10)


def _monopoly_residual() -> float:
    from scipy.special import lambertw

    case = joint_ownership(one_type(13, 6))
    strength = np.exp(case.panel.fixed[0] - 1.3 * case.cost - 1.0).sum()
    markup = (1.0 + float(np.real(lambertw(strength)))) / 1.3
    return _relative(solve(case).prices - case.cost, np.full(6, markup))


def _copy_residual() -> float:
    """Return how far a copy of an offer in its nest, the bonus for variety taken off, moves prices."""
    case = one_type(15, 3)
    nested = replace(case, panel=replace(case.panel, dissimilarity=0.6))
    columns = np.array([0, 0, 1, 2])
    quality = case.panel.fixed[:, columns] - 0.6 * np.log(2.0) * (columns == 0)
    copied = logit_case(quality, np.array([1.3]), np.ones(1), case.cost[columns], owner=columns)
    copied = replace(copied, panel=replace(copied.panel, nest=columns, dissimilarity=0.6))
    return _relative(solve(copied).prices, solve(nested).prices[columns])


def _symmetric_rows() -> Iterable[Benchmark]:
    worst, spread = 0.0, 0.0
    for firms, (right, half_unit) in SYMMETRIC.items():
        prices = solve(symmetric_case(firms)).prices
        worst = max(worst, abs(1.3 * float(prices[0] - 1.0) - right) / half_unit)
        spread = max(spread, float(np.ptp(prices) / prices[0]))
    source = "Anderson, de Palma and Thisse 1992"
    yield Benchmark("markups of 1 to 1000 equal firms, in units of the last digit of the table", source, worst, 1.01)
    yield Benchmark("equal firms have equal prices", source, spread, 1e-13)


def _competitive_residual() -> float:
    noise = 1e-9
    case = logit_case(np.full((1, 3), 5.0 / noise), np.array([1.0 / noise]), np.ones(1), np.ones(3))
    return _relative(solve(case).prices, case.cost)
