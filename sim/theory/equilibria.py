"""What an equilibrium in prices must satisfy, whatever its numbers are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from sim.market.stages.demand_panel import demand, price_derivatives
from sim.market.stages.deviations import DeviationCheck
from sim.market.stages.equilibrium import NASH, Equilibrium, Solver
from sim.market.stages.implied_costs import implied_costs
from sim.market.stages.markups import markups, profits
from sim.market.tables import Floats
from sim.theory.benchmarks import Benchmark
from sim.theory.closed_forms import solve
from sim.theory.panels import Case, full_case, joint_ownership, several_types

THOROUGH = Solver(tolerance=1e-13, other_starts=19, check=DeviationCheck(margins=400, joint_moves=200))
PLAIN = Solver(tolerance=1e-13, check=None)


def profit_slopes(case: Case, prices: Floats) -> Floats:
    """Return the derivative of each lab's profit by its list prices from the full matrix of derivatives, (offers,).

    Another way to the conditions than `markups`: nothing is summed by lab or nest.
    """
    panel = case.panel
    now = demand(panel, prices)
    loaded = (panel.weight[:, None] * panel.loading * now.quantity * now.probability).sum(axis=0)
    own = case.owner[:, None] == case.owner
    margin = np.where(panel.priced, prices - case.cost, 0.0)
    gain = margin[:, None] * price_derivatives(panel, prices, loaded=True)
    gain += case.adoption_value[:, None] * price_derivatives(panel, prices)
    return loaded + np.where(own, gain, 0.0).sum(axis=0)


def rows() -> Iterable[Benchmark]:
    """Yield the benchmarks of equilibria."""
    case = full_case(31)
    found = solve(case, THOROUGH)
    offers = np.flatnonzero(case.panel.priced)
    sold = markups(case.panel, case.owner, found.prices, case.cost, case.adoption_value).loaded_tokens
    slope = profit_slopes(case, found.prices)[offers] / sold[offers]
    source = "Morrow and Skerlos 2011"
    yield Benchmark("first-order conditions, relative to tokens", source, float(np.abs(slope).max()), 1e-10)
    yield Benchmark("two algorithms: zeta and Newton, Powell's hybrid", source, _second_solver(case, found), 1e-10)
    yield Benchmark("20 starting points lead to the same prices", source, _spread(case, found.prices), 1e-8)
    gain = found.deviation_gain if found.status == NASH else np.inf
    yield Benchmark("no profitable deviation of one lab", "Nash 1951", gain, 1e-9)
    costs = implied_costs(case.panel, case.owner, found.prices, case.adoption_value)
    yield Benchmark(
        "costs recovered from prices",
        "Rosse 1970; Berry, Levinsohn and Pakes 1995",
        float(np.abs(costs / case.cost - 1.0)[offers].max()),
        1e-10,
    )
    yield Benchmark("prices scale with the unit of money", "homogeneity", _money_residual(found), 1e-9)
    yield Benchmark("a price of zero is left only if that pays", "complementarity", _zero_residual(), 1e-12)
    yield from _joint_rows()


def _second_solver(case: Case, found: Equilibrium) -> float:
    from scipy.optimize import root

    offers = np.flatnonzero(case.panel.priced)

    def conditions(log_price: Floats) -> Floats:
        prices = case.start.copy()
        prices[offers] = np.exp(log_price)
        scale = markups(case.panel, case.owner, prices, case.cost, case.adoption_value).loaded_tokens[offers]
        return profit_slopes(case, prices)[offers] / scale

    other = root(conditions, np.log(case.start[offers]), tol=1e-14)
    return float(np.abs(np.exp(other.x) / found.prices[offers] - 1.0).max())


def _spread(case: Case, prices: Floats) -> float:
    """Return how far the prices from 19 keyed starts are from those given, each solved alone."""
    from sim.theory.panels import normals

    worst = 0.0
    for number in range(19):
        start = case.cost * np.exp(1.5 * normals(number, "start", len(case.cost)))
        worst = max(
            worst,
            float(np.abs(solve(replace(case, start=start), PLAIN).prices / prices - 1.0)[case.panel.priced].max()),
        )
    return worst


def _money_residual(found: Equilibrium) -> float:
    other = full_case(31, money=3.7)
    again = solve(other, PLAIN)
    offers = other.panel.priced
    shares = demand(full_case(31).panel, found.prices).probability - demand(other.panel, again.prices).probability
    return float(max(np.abs(again.prices / (3.7 * found.prices) - 1.0)[offers].max(), np.abs(shares).max()))


def _zero_residual() -> float:
    """Return by how much the conditions fail where high adoption values press prices to zero."""
    case = full_case(32)
    case = replace(case, adoption_value=np.where(case.owner == 0, 20.0, case.adoption_value))
    found = solve(case, PLAIN)
    if not found.at_zero.any():
        return np.inf
    now = markups(case.panel, case.owner, found.prices, case.cost, case.adoption_value)
    pull = now.gradient / np.where(now.own_slope > 0.0, now.own_slope, 1.0) / case.cost
    free = case.panel.priced & ~found.at_zero
    return float(max(pull[found.at_zero].max(), np.abs(pull[free]).max(), 0.0))


def _joint_rows() -> Iterable[Benchmark]:
    case = several_types(33, 6, 50)
    joint = joint_ownership(case)
    apart, together = solve(case, PLAIN), solve(joint, PLAIN)
    earned = profits(case.panel, case.owner, apart.prices, case.cost, case.adoption_value).sum()
    jointly = profits(joint.panel, joint.owner, together.prices, case.cost, case.adoption_value).sum()
    source = "Deneckere and Davidson 1985"
    short = float(np.maximum(0.0, apart.prices - together.prices).max())
    yield Benchmark("joint prices are not below those of rivals", source, short, 0.0)
    yield Benchmark("joint profit is not below that of rivals", source, float(max(0.0, earned / jointly - 1.0)), 0.0)
