"""What a sweep costs beside its runs: measured with made-up runs of a known length, and for `make bench`.

Everything runs in a process of its own, started by `tests.bench.python`.
"""

from __future__ import annotations

import functools
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from dataclasses import replace
from pathlib import Path

from sim.experiment.cells import Outcome, Task, Work, compute
from sim.experiment.engines import Engine, Inline, Local
from sim.experiment.executors import local_pool
from sim.experiment.plan import Plan
from sim.experiment.run import simulate
from sim.experiment.shards import pack
from sim.experiment.sweep import run_sweep
from sim.experiment.sweep_results import SweepResults
from sim.scenario.load import load_scenario

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


ROUNDS, RUNS, BARE = 5, 24, 12  # of the comparison of two processes with one; runs of a sweep, of a plain process


def speed_up() -> None:
    """Print how much faster two processes are than one on runs of the model of a second, in a sweep and as plain ones.

    The second is what the machine allows: two cores may share a clock, a cache or a neighbour. All four are measured in
    each round, every other one backwards, and ratios are taken within a round, so that a drift of the machine meets all
    alike. Prints median, least and most of the ratio in a sweep, of that of plain processes, and of the first over the
    second; then the median seconds until the first result of a sweep of one worker and of two.
    """
    kinds = [(_swept, 1), (_plain, 1), (_swept, 2), (_plain, 2)]
    rounds, starts = [], {1: [], 2: []}
    for number in range(ROUNDS):
        found = {}
        for measure, workers in kinds if number % 2 == 0 else kinds[::-1]:
            found[measure, workers], start = measure(workers)
            if measure is _swept:
                starts[workers].append(start)
        swept, plain = (found[measure, 1] / found[measure, 2] for measure in (_swept, _plain))
        rounds.append((swept, plain, swept / plain))
    for values in zip(*rounds, strict=True):
        print(statistics.median(values), min(values), max(values))
    print(*(statistics.median(starts[workers]) for workers in (1, 2)))


def _model(place: Path) -> Plan:
    text = (
        sweep_text(cells=RUNS).replace("until: 2023-12", "until: 2029-12").replace("workloads: 200", "workloads: 2000")
    )
    return plan_of(place, text.replace("[0.1,", "[0.05,"))


def _swept(workers: int) -> tuple[float, float]:
    """Return seconds a run while every worker is busy, and seconds until the first result."""
    marks: list[tuple[int, float]] = []
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        plan = _model(place)
        note = lambda ended, *_: marks.append((ended, time.perf_counter()))  # noqa: E731
        begun = time.perf_counter()
        run_sweep(plan, place / "o", lambda: Local(workers), progress=note)
    start = next(at for ended, at in marks if ended) - begun
    # The slope through all results of the middle: its ends do not depend on which run ended just before them.
    busy = [mark for mark in marks if RUNS // 6 <= mark[0] <= RUNS - RUNS // 12]
    return statistics.linear_regression(*zip(*busy, strict=True)).slope, start


def _plain(processes: int) -> tuple[float, float]:
    """Return seconds a run of so many processes that compute such runs and know nothing of each other or of a sweep."""
    command = [sys.executable, "-m", "tests.bench_sweeps", "by_itself"]
    pipe = subprocess.PIPE
    started = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(processes)]
    for each in started:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in started:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    return 1.0 / sum(BARE / float(each.communicate()[0]) for each in started), 0.0


def by_itself() -> None:
    """Print the seconds that runs of the model take in this process alone, once it has been told to begin."""
    with tempfile.TemporaryDirectory() as name:
        plan = _model(Path(name))
    tasks = [Task(cell, 0, 0, plan.values(cell)) for cell in range(plan.cells)]
    work = Work.of(plan)
    compute(work, tasks[:2])
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.perf_counter()
    compute(work, tasks[8 : 8 + BARE])
    print(time.perf_counter() - began, flush=True)


def threads(workloads: int, until: str) -> None:
    """Print seconds a run of two workers with a thread each, and of one worker with two threads, medians of rounds."""
    run = functools.partial(_seconds, workloads, until)
    spent: dict[int, list[float]] = {1: [], 2: []}
    with local_pool(2) as pool:
        for number in range(5):  # the first one compiles and loads
            for each in (1, 2) if number % 2 else (2, 1):
                began = time.perf_counter()
                if each == 1:
                    wait([pool.submit(run, 1) for _ in range(2)])
                else:
                    for _ in range(2):
                        pool.submit(run, 2).result()
                spent[each].append((time.perf_counter() - began) / 2)
    print(*(statistics.median(spent[each][1:]) for each in (1, 2)))


def _seconds(workloads: int, until: str, threads: int) -> None:
    simulate(load_scenario("baseline", until=until).replace(workloads=workloads, runs=1), None, 0, threads)


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
