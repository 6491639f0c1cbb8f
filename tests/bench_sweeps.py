"""What a sweep costs beside its runs: measured with made-up runs of a known length, and for `make bench`.

Everything runs in a process of its own, started by `tests.bench.python`.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from sim.experiment.cells import Outcome, Task, Work, compute
from sim.experiment.engines import Engine, Inline, Local
from sim.experiment.plan import Plan
from sim.experiment.shards import pack
from sim.experiment.sweep import run_sweep
from sim.experiment.sweep_results import SweepResults

from .experiment.made_up import market, plan_of, quick_one, sweep_text

_SAMPLE: list[Outcome] = []


def _made_up(work: Work, task: Task) -> Outcome:
    """Return one made-up outcome under any name: what a run stores, without the time it takes to make it."""
    if not _SAMPLE:
        _SAMPLE.append(quick_one(work, task))
    return replace(_SAMPLE[0], cell=task.cell, run=task.run)


def _spinning(seconds: float) -> Callable[[Work, Task], Outcome]:
    def one(work: Work, task: Task) -> Outcome:
        end = time.perf_counter() + seconds
        outcome = _made_up(work, task)
        while time.perf_counter() < end:
            pass
        return replace(outcome, seconds=seconds)

    return one


class Batched(Inline):
    """Computes here, in batches like those of worker processes."""

    batch_seconds = Local.batch_seconds


def at_once(work: Work, tasks: Sequence[Task]) -> list[Outcome]:
    """Return outcomes in no time."""
    return compute(work, tasks, _made_up)


def a_millisecond(work: Work, tasks: Sequence[Task]) -> list[Outcome]:
    """Compute for a millisecond a run."""
    return compute(work, tasks, _spinning(1e-3))


def a_second(work: Work, tasks: Sequence[Task]) -> list[Outcome]:
    """Compute for a second a run."""
    return compute(work, tasks, _spinning(1.0))


def grid(place: Path, cells: int, runs: int = 1) -> Plan:
    """Return a plan of so many cells, in a summary store."""
    text = sweep_text(cells=2, runs=runs).replace("{kind: grid}", f"{{kind: lhs, samples: {cells}}}")
    return plan_of(place, text.replace("[0.1, 0.2]", "{uniform: [0, 5]}") + "store: summary\n")


def timed(cells: int, engine: Callable[[], Engine], task: Callable, warm: int) -> tuple[float, float]:
    """Return wall and coordinator CPU seconds a cell, start and end of the engine and the first `warm` cells apart."""
    marks: list[tuple[int, float, float]] = []

    def progress(ended: int, planned: int, failed: int) -> None:
        if ended >= warm:
            marks.append((ended, time.perf_counter(), time.process_time()))

    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        run_sweep(grid(place, cells + warm), place / "o", engine, task=task, progress=progress)
    spent = [last - first for first, last in zip(marks[0], marks[-1], strict=True)]
    return spent[1] / spent[0], spent[2] / spent[0]


def overhead() -> None:
    """Print the overhead of a cell of a second on two processes, as a share."""
    wall, used = timed(30, lambda: Local(2), a_second, 4)
    print(wall * 2 - 1.0, used)


def speed_up() -> None:
    """Print how much faster two processes are than one on runs of the model, in a sweep and side by side without one.

    The second is what the machine allows: two cores may share a clock, a cache or a neighbour.
    """
    swept: dict[int, list[float]] = {1: [], 2: []}
    bare: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(3):
        for workers in (1, 2):
            swept[workers].append(_swept(workers))
            bare[workers].append(_side_by_side(workers))
    print(min(swept[1]) / min(swept[2]), min(bare[1]) / min(bare[2]))


def _model(place: Path) -> Plan:
    text = sweep_text(cells=40).replace("until: 2023-12", "until: 2025-06").replace("[0.1,", "[0.05,")
    return plan_of(place, text)


def _swept(workers: int) -> float:
    """Return seconds a run in the middle of a sweep, where every worker is busy."""
    marks: list[tuple[int, float]] = []
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        note = lambda ended, *_: marks.append((ended, time.perf_counter()))  # noqa: E731
        run_sweep(_model(place), place / "o", lambda: Local(workers), progress=note)
    first, last = (next(mark for mark in marks if mark[0] >= ended) for ended in (8, 32))
    return (last[1] - first[1]) / (last[0] - first[0])


def _side_by_side(processes: int) -> float:
    """Return seconds a run, divided by the processes that each compute such runs and know nothing of each other."""
    command = [sys.executable, "-m", "tests.bench_sweeps", "by_itself"]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    return max(float(each.communicate()[0]) for each in started) / processes


def by_itself() -> None:
    """Print seconds a run of the model in this process alone."""
    with tempfile.TemporaryDirectory() as name:
        plan = _model(Path(name))
    tasks = [Task(cell, 0, 0, plan.values(cell)) for cell in range(plan.cells)]
    work = Work.of(plan)
    compute(work, tasks[:4])
    began = time.perf_counter()
    compute(work, tasks[4:28])
    print((time.perf_counter() - began) / 24)


def memory(cells: int) -> None:
    """Print the largest memory of a coordinator of so many cells [MB] and its CPU time a cell [s]."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        plan = grid(place, cells)
        used = time.process_time()
        run_sweep(plan, place / "o", Batched, task=at_once)
        used = time.process_time() - used
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, used / cells)


def _headline(work: Work, task: Task) -> Outcome:
    tables = {"market": market(task.cell, task.run, months=90)}
    return Outcome(task.cell, task.run, pack(tables), f"{task.cell}", "content", 1e-3)


def of_full_length(work: Work, tasks: Sequence[Task]) -> list[Outcome]:
    """Return outcomes of 90 months, no two alike."""
    return compute(work, tasks, _headline)


def reading(runs: int) -> None:
    """Print seconds to read one metric of so many runs of 90 months, and bytes of a run on disk."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        run_sweep(grid(place, runs), place / "o", Batched, task=of_full_length)
        size = sum(path.stat().st_size for path in (place / "o").rglob("*.parquet"))
        began = time.perf_counter()
        found = SweepResults(place / "o").column("open_token_share")
        spent = time.perf_counter() - began
    assert len(found) == 90 * runs
    print(spent, size / runs)


def rate(engine: str, cells: int) -> None:
    """Print runs of a millisecond a second on two workers, and CPU seconds of the coordinator a run."""
    from sim.experiment.dask_engine import Dask

    made = {"dask": lambda: Dask(2), "local": lambda: Local(2)}[engine]
    wall, used = timed(cells, made, a_millisecond, 2_000)
    print(1.0 / wall, used)


if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)  # workers import this file
    globals()[name](*(int(word) if word.isdigit() else word for word in arguments))
