"""What a sweep needs before it starts: memory, disk and hours."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sim.errors import UsageError
from sim.experiment.plan import count_cells, stored_dates
from sim.experiment.run import available_memory, bytes_a_process, estimated_hours
from sim.experiment.sweep_file import SweepFile
from sim.scenario.points import at_point
from sim.scenario.scenario import Scenario

# Measured (docs/scale.md): bytes of a run on disk, for each month stored and for the run itself.
BYTES_A_MONTH = {"full": 6500.0, "headline": 430.0, "summary": 430.0}
BYTES_A_RUN = 400.0
BYTES_JOURNAL = 200 * 1.3  # runs that stand in the journal and the shard at once, and its looser packing
COORDINATOR = 400e6
BYTES_A_CELL = 300.0  # of the design and the tally in memory
SLOWEST = 50.0  # times the estimate of a run that its limit of time allows, and at least:
LEAST_LIMIT = 300.0


@dataclass(frozen=True)
class Needs:
    """What a sweep needs: cells, runs, disk and memory [bytes], time [hours], and one run [s]."""

    cells: int
    runs: int
    disk: float
    memory: float
    hours: float
    run_seconds: float


def needs(sweep: SweepFile, workers: int) -> Needs:
    """Return the estimate for a sweep on so many processes; with a stop rule, for its first replicates.

    Parameters
    ----------
    sweep : SweepFile
        What is to run.
    workers : int
        Processes that compute.

    Raises
    ------
    ScenarioError
        If it has more cells than the limit.
    """
    cells = count_cells(sweep)
    runs = cells * sweep.runs
    largest = [_at_largest(scenario, sweep) for scenario in sweep.scenarios]
    hours = [estimated_hours(each, 1, sweep.twin) for each in largest]
    months = max(each.end - each.start + 1 for each in largest)
    kept = len(stored_dates(sweep)) if sweep.store == "summary" else months
    each_run = BYTES_A_RUN + BYTES_A_MONTH[sweep.store] * kept
    memory = COORDINATOR + BYTES_A_CELL * cells + workers * max(map(bytes_a_process, largest))
    mean = float(np.mean(hours))
    disk = (runs + min(runs, BYTES_JOURNAL)) * each_run
    return Needs(cells, runs, disk, memory, runs * mean / workers, mean * 3600.0)


def _at_largest(scenario: Scenario, sweep: SweepFile) -> Scenario:
    """Return the scenario at the settings of the design that cost most; other paths hardly change what a run costs."""
    paths = [factor.path for factor in sweep.factors]
    for path in ("population", "ensemble.noise", "ensemble.nodes", "ensemble.workloads"):  # what draws comes first
        if path in paths:
            place = paths.index(path)
            factor = sweep.factors[place]
            values = factor.levels or [row[place] for row in sweep.rows] or [factor.value(1.0)]
            words = dict.fromkeys(value for value in values if isinstance(value, str))
            scenario = max((at_point(scenario, {path: value}) for value in words or [max(values)]), key=_hours)
    return scenario


def _hours(scenario: Scenario) -> float:
    return estimated_hours(scenario, 1, None)


def check_fits(needed: Needs, folder: Path) -> None:
    """Refuse a sweep that cannot fit on the disk or in memory.

    Raises
    ------
    UsageError
        With the estimate and what to change.
    """
    parent = next(each for each in (folder, *folder.parents) if each.exists())
    there = sum(path.stat().st_size for path in folder.rglob("*.parquet")) if folder.is_dir() else 0
    free = shutil.disk_usage(parent).free
    if needed.disk - there > free:
        raise UsageError(
            f"{folder}: {needed.runs:,} runs need about {size(needed.disk)} of disk, {size(free)} are free; use store: "
            "headline or summary, fewer runs, or --force to try"
        )
    available = available_memory()
    if needed.memory > available:
        raise UsageError(
            f"the sweep needs about {size(needed.memory)} of memory, {size(available)} are free; use fewer workloads "
            "or --jobs, or --force to try"
        )


def size(count: float) -> str:
    """Return a number of bytes in words."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count / 1e3:.3g} kB"


def time_limit(needed: Needs) -> float:
    """Return the limit of time of a run if the user gives none [s]."""
    return max(LEAST_LIMIT, SLOWEST * needed.run_seconds)
