"""Two scenarios or two results side by side: inputs that differ by path, then outcomes at four dates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.columns import HEADLINES, TABLES
from sim.months import format_month, parse_month
from sim.results import Results
from sim.scenario.distributions import KINDS

_REMARKS = ("source", "note", "assumption", "story")  # texts that change no result
_IN_KEY = ("ensemble", "population")  # entries of a scenario that the key of a run repeats
_MACHINE = ("python", "system", "processor", "numpy_dispatch", "blas", "libraries")


def flattened(tree: Any, path: str = "") -> dict[str, Any]:
    """Return the leaves of nested maps by dotted path; lists of maps with an `id` count as maps, others as leaves."""
    if isinstance(tree, list) and tree and all(isinstance(item, Mapping) and "id" in item for item in tree):
        tree = {str(item["id"]): {name: each for name, each in item.items() if name != "id"} for item in tree}
    if not isinstance(tree, Mapping) or (not tree and path):
        return {path: tree}
    if any(kind in tree for kind in KINDS):
        return {path: {name: each for name, each in tree.items() if name not in _REMARKS}}
    leaves: dict[str, Any] = {}
    for name, branch in tree.items():
        if name in _REMARKS:
            continue
        below = path if name == "value" and path else f"{path}.{name}" if path else str(name)
        leaves.update(flattened(branch, below))
    return leaves


def differing_leaves(a: Any, b: Any) -> list[tuple[str, Any, Any]]:
    """Return (path, value in a, value in b) of every leaf that differs, in the order of a, then b; None if absent."""
    left, right = flattened(a), flattened(b)
    paths = dict.fromkeys([*left, *right])
    return [
        (path, left.get(path), right.get(path))
        for path in paths
        if (path in left) != (path in right) or left.get(path) != right.get(path)
    ]


def headline_months(history_until: int, first: int, last: int) -> list[int]:
    """Return up to four months to report: the end of history, two on the way, the last.

    The two on the way are the Decembers nearest to two and four fifths of the projection, the dates of the table that
    `sim run` prints.

    Parameters
    ----------
    history_until, first, last : int
        Month numbers.
    """
    start = min(max(history_until, first), last)
    start = first if start == last else start
    found = [start, last]
    for part in (0.4, 0.8):
        target = start + part * (last - start)
        decembers = [month for month in range(start + 1, last) if month % 12 == 11 and abs(month - target) <= 6]
        found.append(min(decembers, key=lambda month: abs(month - target)) if decembers else round(target))
    return sorted(dict.fromkeys(found))


def compare_results(a: Results, b: Results) -> dict[str, Any]:
    """Return what differs between two results.

    Returns
    -------
    dict
        ``equal`` (content), ``tables`` (name -> equal), ``inputs`` and ``machine`` (path, a, b), and ``outcomes``:
        for each headline and date the medians and ``pairs``, the number of runs that share their random numbers.
        Where there are any, the medians are theirs, and the difference, b less a, is the median of the pairs' with
        its 5 and 95 % points; else it is that of the medians. None where a value is missing.
    """
    hashes = [each.manifest["tables"] for each in (a, b)]
    tables = {name: hashes[0][name]["sha256"] == hashes[1][name]["sha256"] for name in TABLES}
    inputs = differing_leaves(_run_inputs(a), _run_inputs(b))
    machines = [{name: each.manifest["machine"].get(name) for name in _MACHINE} for each in (a, b)]
    return {
        "equal": all(tables.values()),
        "tables": tables,
        "inputs": inputs,
        "machine": differing_leaves(*machines),
        "outcomes": _outcomes(a, b),
    }


def _run_inputs(results: Results) -> dict[str, Any]:
    """Return what was run: the entries of the key, then those of the scenario that the key does not repeat."""
    key = results.manifest["key"]
    chosen = {name: key[name] for name in ("seed", "runs", "workloads", "options", "model_version", "code_hash")}
    scenario = {name: branch for name, branch in results.scenario.items() if name not in _IN_KEY}
    return {**chosen, **_by_set_paths(scenario)}


def _by_set_paths(scenario: Mapping[str, Any]) -> dict[str, Any]:
    """Return a resolved scenario with its parameters at the top, so that their paths are those of ``--set``."""
    rest = {name: branch for name, branch in scenario.items() if name != "parameters"}
    return {**rest, **scenario.get("parameters", {})}


def compare_scenarios(a: Any, b: Any) -> dict[str, Any]:
    """Return ``equal`` (the same results follow) and ``inputs`` (path, a, b) of two loaded scenarios."""
    return {
        "equal": a.content_hash() == b.content_hash(),
        "inputs": differing_leaves(_by_set_paths(a.resolved()), _by_set_paths(b.resolved())),
    }


def _outcomes(a: Results, b: Results) -> list[dict[str, Any]]:
    """Return one entry for each headline and date both results have."""
    months = np.intersect1d(a.tables["market"]["month"], b.tables["market"]["month"])
    if not len(months):
        return []
    history = a.scenario.get("horizon", {}).get("history_until", "")
    start = parse_month(str(history)) if history else int(months[0])
    units = {column.name: column.unit for column in TABLES["market"].values}
    entries = []
    for column in HEADLINES:
        for month in headline_months(start, int(months[0]), int(months[-1])):
            left, right, gains = _values(a, b, column, month)
            low, change, high = _points(gains)
            if change is None and len(left) and len(right):
                change = float(np.median(right) - np.median(left))  # no runs to pair
            entries.append(
                {
                    "column": column,
                    "unit": units[column],
                    "month": format_month(month),
                    "a": float(np.median(left)) if len(left) else None,
                    "b": float(np.median(right)) if len(right) else None,
                    "pairs": len(gains),
                    "difference": change,
                    "difference_q05": low,
                    "difference_q95": high,
                }
            )
    return entries


def _values(a: Results, b: Results, column: str, month: int) -> tuple[NDArray[np.float64], ...]:
    """Return the finite values of two results and the differences of pairs, b less a.

    Runs with the same random numbers are pairs, and then the values are theirs alone; without pairs all count.
    """
    found = []
    for results in (a, b):
        market = results.tables["market"]
        at = (market["month"] == month) & np.isfinite(market[column])
        found.append(dict(zip(market["run"][at].tolist(), market[column][at].tolist(), strict=True)))
    both = sorted(found[0].keys() & found[1].keys()) if a.manifest["seed"] == b.manifest["seed"] else []
    if len(both) < 2:
        return np.array([*found[0].values()]), np.array([*found[1].values()]), np.empty(0)
    left, right = (np.array([one[run] for run in both]) for one in found)
    return left, right, right - left


def _points(gains: NDArray[np.float64]) -> tuple[float | None, ...]:
    """Return the 5, 50 and 95 % points, None where there are none."""
    if not len(gains):
        return None, None, None
    return tuple(float(point) for point in np.quantile(gains, (0.05, 0.5, 0.95)))
