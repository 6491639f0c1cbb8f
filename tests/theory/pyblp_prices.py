"""Prices of the benchmark markets by PyBLP; run as a module to write the stored ones anew."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np

from sim.theory.closed_forms import pyblp_cases
from sim.theory.panels import Case

STORED = Path(__file__).parents[2] / "sim" / "theory" / "pyblp_prices.json"


def pyblp_prices(case: Case) -> np.ndarray:
    """Return PyBLP's equilibrium prices, shape (offers,).

    Types enter as agents: utility of offer j is a constant times its indicator for each type, and every type has its
    own price coefficient.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pyblp

        pyblp.options.verbose = False
        types, offers = case.panel.fixed.shape
        products = {
            "market_ids": np.zeros(offers, int),
            "firm_ids": case.owner,
            "prices": case.start,
            **{f"is_{j}": (np.arange(offers) == j).astype(float) for j in range(offers)},
        }
        agents = {
            "market_ids": np.zeros(types, int),
            "weights": case.panel.weight,
            "nodes": np.zeros((types, offers + 1)),
            "alpha": case.panel.price_sensitivity,
            **{f"value_{j}": case.panel.fixed[:, j] for j in range(offers)},
        }
        indicators = " + ".join(f"is_{j}" for j in range(offers))
        simulation = pyblp.Simulation(
            product_formulations=(pyblp.Formulation("0 + is_0"), pyblp.Formulation(f"0 + prices + {indicators}")),
            agent_formulation=pyblp.Formulation("0 + alpha + " + " + ".join(f"value_{j}" for j in range(offers))),
            product_data=products,
            agent_data=agents,
            beta=[0.0],
            sigma=np.zeros((offers + 1, offers + 1)),
            pi=np.diag([-1.0, *np.ones(offers)]),
            xi=np.zeros(offers),
        )
        results = simulation.replace_endogenous(
            costs=case.cost[:, None],
            prices=case.start[:, None],
            iteration=pyblp.Iteration("simple", {"atol": 1e-14, "rtol": 1e-14, "max_evaluations": 5000}),
        )
    return np.asarray(results.product_data.prices).ravel()


def main() -> None:
    import pyblp

    found = {name: pyblp_prices(case).tolist() for name, case in pyblp_cases().items()}
    STORED.write_text(json.dumps({"pyblp": pyblp.__version__, **found}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
