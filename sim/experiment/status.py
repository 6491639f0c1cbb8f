"""How far a sweep, or a result of `sim run`, is: what is planned, done and failed."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from sim import storage
from sim.experiment.folder import is_sweep
from sim.experiment.shards import RUNS
from sim.experiment.sweep_results import SweepResults
from sim.result_folder import read_manifest


def status(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Return cells planned, done and failed, the same for runs, and what failed; nothing is written.

    A cell is done when all its runs are, and failed when one of them failed for good. With a stop rule more runs than
    planned may follow.

    Raises
    ------
    ResultError
        If the folder is neither a sweep nor a result, or is damaged.
    """
    place = storage.real(folder)
    if not is_sweep(place):
        facts = read_manifest(place)
        runs = facts["runs"]
        counts = {"planned": runs, "done": runs, "failed": 0}
        return {"folder": str(folder), "kind": "result", "name": facts["scenario"]["name"], **counts, "runs": counts,
                "finished": True, "failures": []}  # fmt: skip
    results = SweepResults(place)
    plan, failures = results.plan, results.failed()
    listed = results.columns(RUNS, ("cell", "run", "seconds", "code"))
    ended = np.bincount(listed["cell"], minlength=plan.cells)
    broken = np.zeros(plan.cells, dtype=bool)
    broken[[entry["cell"] for entry in failures]] = True
    totals = results.totals
    done = len(listed["run"])
    planned = totals["runs"] if totals else max(plan.cells * plan.runs, done + len(failures))
    return {
        "folder": str(folder),
        "kind": "sweep",
        "name": plan.name,
        "planned": plan.cells,
        "done": int(((ended >= plan.runs) & ~broken).sum()),
        "failed": int(broken.sum()),
        "runs": {"planned": planned, "done": done, "failed": len(failures)},
        "finished": totals is not None,
        "running": storage.is_held(place),
        "mixed": len(dict.fromkeys(listed["code"].tolist())) > 1,
        "stop": plan.facts["stop"],
        "content_hash": totals["content_hash"] if totals else None,
        "seconds_a_run": float(listed["seconds"].mean()) if done else None,
        "failures": failures,
    }
