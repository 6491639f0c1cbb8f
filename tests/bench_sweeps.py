"""What a sweep costs beside its runs: measured with made-up runs of a known length, and for `make bench`.

Everything runs in a process of its own, started by `tests.bench.python`.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from sim.experiment.cells import Outcome, Task, Work, compute
from sim.experiment.engines import Engine, Inline, Local
from sim.experiment.plan import Plan
from sim.experiment.sweep import run_sweep
from sim.experiment.sweep_results import SweepResults

from .experiment.made_up import plan_of, quick_one, sweep_text

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
    """Return wall and coordinator CPU seconds for so many cells, the first `warm` of them and the start not counted."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        marks: list[tuple[float, float]] = []

        def progress(ended: int, planned: int, failed: int) -> None:
            if not marks and ended >= warm:
                marks.append((time.perf_counter(), time.process_time()))

        run_sweep(grid(place, cells + warm), place / "o", engine, task=task, progress=progress)
        wall, used = time.perf_counter(), time.process_time()
    return wall - marks[0][0], used - marks[0][1]


def overhead() -> None:
    """Print the overhead of a cell of a second on two processes, as a share."""
    cells = 20
    wall, used = timed(cells, lambda: Local(2), a_second, 4)
    print(wall * 2 / cells - 1.0, used / cells)


def speed_up() -> None:
    """Print how much faster two processes are than one, on runs of the model."""
    found = []
    for workers in (1, 2, 1, 2):
        with tempfile.TemporaryDirectory() as name:
            place, marks = Path(name), []
            text = sweep_text(cells=24).replace("until: 2023-12", "until: 2025-06").replace("[0.1,", "[0.05,")
            start = lambda ended, *_: marks.append(time.perf_counter())  # noqa: E731, B023
            run_sweep(plan_of(place, text), place / "o", lambda n=workers: Local(n), progress=start)
            found.append((marks[-1] - marks[3]) / (len(marks) - 4))
    print(min(found[0::2]) / min(found[1::2]))


def memory(cells: int) -> None:
    """Print the largest memory of a coordinator of so many cells [MB] and its CPU time a cell [s]."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        plan = grid(place, cells)
        used = time.process_time()
        run_sweep(plan, place / "o", Inline, task=at_once)
        used = time.process_time() - used
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, used / cells)


def reading(runs: int) -> None:
    """Print seconds to read one metric of so many runs of 90 months."""
    from .experiment.made_up import market

    tables = {"market": market(0, 0, months=90)}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        from sim.experiment.shards import pack

        _SAMPLE.append(Outcome(0, 0, pack(tables), "key", "content", 1.0))
        run_sweep(grid(place, runs), place / "o", Inline, task=at_once)
        size = sum(path.stat().st_size for path in (place / "o").rglob("market.parquet"))
        began = time.perf_counter()
        found = SweepResults(place / "o").column("open_token_share")
        print(time.perf_counter() - began, len(found), size / runs)


def rate(cells: int) -> None:
    """Print runs of a millisecond a second on Dask with two workers, and on two local processes."""
    from sim.experiment.dask_engine import Dask

    for engine in (lambda: Dask(2), lambda: Local(2)):
        wall, _ = timed(cells, engine, a_millisecond, 400)
        print(cells / wall, end=" ")
    print()


if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)  # workers import this file
    globals()[name](*map(int, arguments))
