"""Small markets for the tests of prices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sim.market.stages.deviations import DeviationCheck
from sim.market.stages.equilibrium import Equilibrium, Solver, solve_prices
from sim.theory.panels import Case, logit_case, normals, uniforms

FINE = Solver(tolerance=1e-12, check=DeviationCheck(margins=400, joint_moves=20))
QUICK = Solver(tolerance=1e-13, check=None)


def solve(case: Case, solver: Solver = QUICK, **options) -> Equilibrium:
    return solve_prices(case.panel, case.owner, case.cost, case.adoption_value, case.start, solver=solver, **options)


def wild_case(seed: int) -> Case:
    """Few types with very different tastes and price sensitivities, single-product firms."""
    offers, types = 2 + seed % 4, 2 + seed % 5
    quality = 3.0 * normals(seed, "wq", types, offers)
    alpha = np.exp(1.5 * normals(seed, "wa", types))
    return logit_case(quality, alpha, uniforms(seed, "ww", types), uniforms(seed, "wc", offers))


def with_panel(case: Case, **changes) -> Case:
    return replace(case, panel=replace(case.panel, **changes))


def permuted(case: Case, rows: np.ndarray, offers: np.ndarray) -> Case:
    """Return the case with rows and offers in another order."""
    panel = case.panel
    by_row = {name: getattr(panel, name)[rows] for name in ("weight", "keep", "outside", "need", "pain")}
    by_row["price_sensitivity"] = panel.price_sensitivity[rows]
    both = {name: getattr(panel, name)[np.ix_(rows, offers)] for name in ("fixed", "loading", "base_price")}
    return Case(
        replace(panel, nest=panel.nest[offers], **by_row, **both),
        case.owner[offers],
        case.cost[offers],
        case.adoption_value[offers],
        case.start[offers],
    )
