"""Run a sample of a result again and compare what comes out, to the bit."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sim import environment, rng, storage
from sim.content import content_hash, table_hashes
from sim.experiment.cells import Outcome, Task, Work
from sim.experiment.dispatch import Dispatcher
from sim.experiment.engines import Local
from sim.experiment.executors import usable_cores
from sim.experiment.folder import is_sweep
from sim.experiment.plan import program_changes
from sim.experiment.run import twin_world
from sim.experiment.shards import RUNS
from sim.experiment.sweep_results import SweepResults
from sim.results import load_results


@dataclass
class _Again:
    """The runs to repeat, with the hash each should have, and those that came out differently."""

    tasks: list[Task]
    expected: dict[tuple[int, int], str]
    differing: list[str] = field(default_factory=list)

    def take(self, count: int) -> list[Task]:
        """Return up to `count` tasks that were not given out yet."""
        taken, self.tasks = self.tasks[:count], self.tasks[count:]
        return taken

    def keep(self, outcomes: Sequence[Outcome]) -> None:
        """Compare outcomes."""
        for outcome in outcomes:
            stored = self.expected[outcome.cell, outcome.run]
            which = f"cell {outcome.cell}, run {outcome.run}"
            if outcome.reason:
                self.differing.append(f"{which}: failed: {outcome.reason}")
            elif outcome.content != stored:
                self.differing.append(f"{which}: its content {outcome.content[:12]} is not the stored {stored[:12]}")


def reproduce(
    folder: str | os.PathLike[str], part: float = 0.05, count: int | None = None, jobs: int | None = None
) -> dict[str, Any]:
    """Return ``runs``, ``sample``, ``equal``, ``differing`` (a line each) and ``notes``.

    Parameters
    ----------
    folder : path
        A sweep, finished or not, or a result of `sim run`.
    part : float
        Part of the runs to repeat, at least one.
    count : int, optional
        How many instead.
    jobs : int, optional
        Processes; as many as there are cores if left out.

    Raises
    ------
    ResultError
        If it is neither, or damaged.
    """
    place = storage.real(folder)
    work, places, expected, identity = _of_sweep(place) if is_sweep(place) else _of_result(place)
    keys = chosen(list(expected), math.ceil(part * len(expected)) if count is None else count)
    tasks = [Task(cell, run, *places(cell)) for cell, run in keys]
    again = _Again(tasks, expected)
    with Local(jobs or usable_cores()) as engine:
        Dispatcher(engine, again, work, lambda: False).run()
    notes = [
        f"the program or a library is another than then: {line}"
        for line in program_changes(
            identity, {name: now for name, now in environment.identity().items() if name in identity}
        )
    ]
    return {
        "folder": str(folder),
        "runs": len(expected),
        "sample": len(keys),
        "equal": len(keys) - len(again.differing),
        "differing": sorted(again.differing),
        "notes": notes,
    }  # fmt: skip


def chosen(places: Sequence[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    """Return a sample of (cell, run), at least one if there is any and the same each time."""
    order = np.argsort(rng.uniform(rng.stream_key(len(places), "reproduce"), np.arange(len(places))), kind="stable")
    return [places[place] for place in sorted(order[: max(1, count)].tolist())]


_Source = tuple[Work, Callable[[int], tuple[int, Mapping[str, Any]]], dict[tuple[int, int], str], Mapping[str, str]]


def _of_sweep(place: Path) -> _Source:
    results = SweepResults(place)
    listed = results.columns(RUNS, ("cell", "run", "content"))
    keys = zip(listed["cell"].tolist(), listed["run"].tolist(), strict=True)
    expected = dict(zip(keys, listed["content"].tolist(), strict=True))
    plan = results.plan
    return Work.of(plan), lambda cell: (plan.scenario_of(cell), plan.values(cell)), expected, plan.facts["identity"]


def _of_result(place: Path) -> _Source:
    results = load_results(place)
    twin = results.manifest["options"].get("twin", "none")
    work = Work.of_text(results.scenario_text, twin_world(twin))
    expected = {(0, run): _hash_of_run(results.tables, run) for run in range(results.manifest["runs"])}
    key = results.manifest["key"]
    return work, lambda _: (0, {}), expected, {name: key[name] for name in environment.identity() if name in key}


def _hash_of_run(tables: Any, run: int) -> str:
    own = {name: {column: values[columns["run"] == run] for column, values in columns.items()} for name, columns in
           tables.items()}  # fmt: skip
    return content_hash(table_hashes(own))
