"""A sweep on one screen: where each headline is lowest and highest over the cells, with its Monte-Carlo error."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sim.columns import HEADLINES, TABLES
from sim.experiment.sweep_results import SweepResults
from sim.months import format_month
from sim.precision import Mean, mean, paired_difference

_SHARE = "share"


def overview(folder: str | os.PathLike[str]) -> list[str]:
    """Return the lines of a table over the cells at the last stored month; none if nothing is done.

    For each headline: the mean over all runs, the cells with the lowest and the highest mean, and the difference of
    the two over replicates that share their random numbers. Every number is rounded to its error.
    """
    results = SweepResults(folder)
    found = results.columns("market", HEADLINES)
    if not len(found["month"]):
        return []
    month = int(found["month"].max())
    at = found["month"] == month
    found = {name: values[at] for name, values in found.items()}
    title = f"Means over replicates in {format_month(month)} ± half of the 95 % interval"
    lines = [title, f"{'':32}{'all cells':>12}  {'lowest cell':>24}  {'highest cell':>24}  {'highest - lowest':>18}"]
    units = {column.name: column.unit for column in TABLES["market"].values}
    for name in HEADLINES:
        line = _line(name, units[name], found["cell"], found["run"], found[name])
        lines += [line] if line else []
    return lines


def _line(name: str, unit: str, cells: np.ndarray, runs: np.ndarray, values: np.ndarray) -> str:
    known = np.isfinite(values)
    if not known.any():
        return ""
    scale, shown = (100.0, "%") if unit == _SHARE else (1.0, unit)
    cells, runs, values = cells[known], runs[known], values[known] * scale
    names, places = np.unique(cells, return_inverse=True)
    averages = np.bincount(places, values) / np.bincount(places)
    lowest, highest = int(names[np.argmin(averages)]), int(names[np.argmax(averages)])
    ends = [dict(zip(runs[cells == cell].tolist(), values[cells == cell].tolist(), strict=True)) for cell in
            (lowest, highest)]  # fmt: skip
    both = sorted(ends[0].keys() & ends[1].keys())
    gap = paired_difference([ends[0][run] for run in both], [ends[1][run] for run in both])
    everywhere = mean(_by_replicate(runs, values))
    low, high = (f"{worded(mean(list(end.values())))} (cell {cell})" for end, cell in zip(ends, (lowest, highest),
                 strict=True))  # fmt: skip
    label = f"{name} {'' if shown == '1' else shown}"
    return f"{label:32}{worded(everywhere):>12}  {low:>24}  {high:>24}  {worded(gap):>18}"


def _by_replicate(runs: np.ndarray, values: np.ndarray) -> Sequence[float]:
    """Return the mean over cells of each replicate: cells share its random numbers, so replicates are the sample."""
    _, places = np.unique(runs, return_inverse=True)
    return (np.bincount(places, values) / np.bincount(places)).tolist()


def worded(found: Mean) -> str:
    """Return a mean with half of its interval, both to the leading digit of its Monte-Carlo error."""
    if not math.isfinite(found.value):
        return "-"
    if not math.isfinite(found.error):
        return f"{found.value:.3g}"
    return _rounded(found.value, found.half_width, found.error)


def worded_difference(row: Mapping[str, Any]) -> str:
    """Return an outcome of `sim.experiment.sweep_differences.compare_sweeps` as a line."""
    scale, unit = (100.0, "%, points") if row["unit"] == _SHARE else (1.0, row["unit"])
    gap, error = row["difference"] * scale, row["error"]
    shown = f"{gap:.3g}" if error is None else _rounded(gap, row["half_width"] * scale, error * scale)
    a, b = (f"{row[side] * scale:.3g}" for side in ("a", "b"))
    return f"{row['column']:28} {row['month']}  {a:>9} {b:>9}  {shown:>18}  {unit}"


def _rounded(value: float, half: float, error: float) -> str:
    """Return a number and half of its interval, both to the leading digit of the Monte-Carlo error."""
    if error == 0.0:
        return f"{value:.3g} ± 0"
    place = math.floor(math.log10(error))
    digits = max(0, -place)
    return f"{round(value, -place) + 0.0:,.{digits}f} ± {round(half, -place):,.{digits}f}"
