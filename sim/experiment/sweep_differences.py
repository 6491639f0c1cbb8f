"""Two sweeps side by side: inputs that differ, then outcomes as paired differences with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.columns import HEADLINES, TABLES
from sim.experiment.plan import changes, program_changes
from sim.experiment.shards import RUNS
from sim.experiment.sweep_results import SweepResults
from sim.months import format_month
from sim.precision import mean


def compare_sweeps(a: SweepResults, b: SweepResults) -> dict[str, Any]:
    """Return what differs between two sweeps.

    Returns
    -------
    dict
        ``equal`` (the same runs with the same content), ``inputs`` (a line each), ``program`` (a line each), ``runs``
        (how many both have, and how many of these have the same content) and ``outcomes``: for each headline, at the
        last month that both stored, the mean over cells in a and b, and their difference with half of its 95 % interval
        over the replicates that both have. Outcomes need the same cells and are empty otherwise.
    """
    listed = [each.columns(RUNS, ("cell", "run", "content")) for each in (a, b)]
    contents = [dict(zip(zip(each["cell"].tolist(), each["run"].tolist(), strict=True), each["content"].tolist(),
                         strict=True)) for each in listed]  # fmt: skip
    both = contents[0].keys() & contents[1].keys()
    designs = [each.plan.facts["design"]["sha256"] for each in (a, b)]
    same_cells = designs[0] == designs[1] and len(a.plan.scenarios) == len(b.plan.scenarios)
    return {
        "equal": same_cells and contents[0] == contents[1],
        "inputs": changes(a.plan, b.plan),
        "program": program_changes(a.plan.facts["identity"], b.plan.facts["identity"]),
        "runs": {
            "a": len(contents[0]),
            "b": len(contents[1]),
            "both": len(both),
            "same": len([place for place in both if contents[0][place] == contents[1][place]]),
        },
        "outcomes": _outcomes(a, b) if same_cells and both else [],
    }


def _outcomes(a: SweepResults, b: SweepResults) -> list[dict[str, Any]]:
    found = [each.columns("market", HEADLINES) for each in (a, b)]
    months = np.intersect1d(found[0]["month"], found[1]["month"])
    if not len(months):
        return []
    month = int(months.max())
    tables = [{name: values[each["month"] == month] for name, values in each.items()} for each in found]
    places = [each["cell"].astype(np.int64) << 32 | each["run"] for each in tables]
    _, left, right = np.intersect1d(places[0], places[1], return_indices=True)
    units = {column.name: column.unit for column in TABLES["market"].values}
    entries = []
    for name in HEADLINES:
        x, y = tables[0][name][left], tables[1][name][right]
        known = np.isfinite(x) & np.isfinite(y)
        if not known.any():
            continue
        _, replicates = np.unique(tables[0]["run"][left][known], return_inverse=True)
        gaps = np.bincount(replicates, (y - x)[known]) / np.bincount(replicates)
        gap = mean(gaps)
        entries.append(
            {
                "column": name,
                "unit": units[name],
                "month": format_month(month),
                "a": float(x[known].mean()),
                "b": float(y[known].mean()),
                "difference": gap.value,
                "error": gap.error if np.isfinite(gap.error) else None,
                "half_width": gap.half_width if np.isfinite(gap.half_width) else None,
                "replicates": gap.runs,
            }
        )
    return entries
