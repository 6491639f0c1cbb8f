"""Print what a small run of both engines gives, and for which processor: `python -m tests.market.kernels.small_run 1`.

The argument is the number of worker processes. See `test_same_bits.py`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

HORIZON = ("horizon.start=2025-03", "horizon.end=2026-04")
AGENTS = {"population": "agents", "workloads": 3000, "nodes": 128}
SIZES: dict[str, dict[str, Any]] = {
    "agents": AGENTS,
    "agents, noise of options": AGENTS | {"noise": "options"},
    "mean-field": {"population": "mean-field", "nodes": 128},
}


def numpy_levels() -> list[str]:
    """Return the sets of instructions for which NumPy has forms of its own, as far as they are in use here."""
    from numpy._core import _multiarray_umath as umath

    return [name for name in umath.__cpu_dispatch__ if umath.__cpu_features__[name]]


def main(jobs: int) -> None:
    """Run both engines and print hashes of their tables."""
    from numba.core.registry import cpu_target

    from sim.content import table_hashes
    from sim.experiment.run import run
    from sim.scenario.load import load_scenario

    found: dict[str, Any] = {}
    for name, sizes in SIZES.items():
        scenario = load_scenario("baseline", overrides=HORIZON, runs=2, **sizes)
        found[name] = table_hashes(run(scenario, twin=False, jobs=jobs).tables)
    target = cpu_target.target_context.codegen().magic_tuple()
    print(json.dumps({"found": found, "target": target[1:], "numpy": numpy_levels()}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
