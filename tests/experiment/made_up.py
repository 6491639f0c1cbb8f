"""Runs that cost next to nothing, and some that go wrong, for tests of everything around the model."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet  # noqa: F401  here and not in the first run, whose limit of time it could take on a busy machine

from sim import rng
from sim.columns import TABLES
from sim.content import canonical, content_hash, table_hashes
from sim.experiment.cells import Outcome, Task, Work, compute
from sim.experiment.plan import Plan, make_plan
from sim.experiment.shards import pack
from sim.experiment.sweep_file import load_sweep_file
from sim.months import parse_month

START = parse_month("2024-01")
KILLS, HANGS, RAISES, EATS = 7, 17, 23, 31


def sweep_text(name: str = "small", *, cells: int = 4, runs: int = 1, extra: str = "") -> str:
    """Return a sweep file with a grid of that many levels of distrust."""
    levels = ", ".join(str(round(0.1 + 0.1 * k, 3)) for k in range(cells))
    return (
        f"name: {name}\nscenario: baseline\ndesign: {{kind: grid}}\nfactors:\n"
        f"  demand.enterprise.distrust: [{levels}]\nruns: {runs}\nworkloads: 200\nuntil: 2023-12\n{extra}"
    )


def plan_of(folder: Path, text: str, **options) -> Plan:
    """Return the plan of a sweep file with this text."""
    path = folder / "sweep.yaml"
    path.write_text(text)
    return make_plan(load_sweep_file(path, **options))


def market(cell: int, run: int, months: int = 3) -> dict[str, np.ndarray]:
    """Return a made-up market table of one run."""
    columns: dict[str, np.ndarray] = {
        "run": np.full(months, run, dtype=np.int32),
        "month": np.arange(START, START + months, dtype=np.int32),
    }
    for column in TABLES["market"].values:
        if column.kind == "text":
            columns[column.name] = np.full(months, "nash", dtype=object)
        else:
            key = rng.stream_key(run + 1, f"made up:{column.name}", cell + 1)
            columns[column.name] = rng.uniform(key, np.arange(months))
    return canonical({"market": columns})["market"]


def quick_one(work: Work, task: Task) -> Outcome:
    """Return a made-up outcome of a run, the same whenever and wherever it is asked for."""
    tables = {"market": market(task.cell, task.run)}
    measure = float(tables["market"][work.metric[0]][0]) if work.metric else float("nan")
    content = content_hash(table_hashes(tables))
    return Outcome(task.cell, task.run, pack(tables), f"{task.cell}-{task.run}", content, 1e-3, measure)


def quick(work: Work, tasks: Sequence[Task]) -> list[Outcome]:
    """Compute made-up runs."""
    return compute(work, tasks, quick_one)


def slow_one(work: Work, task: Task) -> Outcome:
    """Return the same a little later."""
    time.sleep(0.05)
    return replace(quick_one(work, task), seconds=0.05)


def slow(work: Work, tasks: Sequence[Task]) -> list[Outcome]:
    """Compute made-up runs that take 50 ms."""
    return compute(work, tasks, slow_one)


def bad_one(work: Work, task: Task) -> Outcome:
    """Return a made-up outcome, but for four cells that go wrong in four ways."""
    if task.cell == KILLS:
        os.kill(os.getpid(), signal.SIGKILL)
    if task.cell == HANGS:
        time.sleep(1e6)
    if task.cell == RAISES:
        raise ValueError("no market clears\nat this point")
    if task.cell == EATS:
        # Asked for and never touched, which the limit counts all the same: it is met in a moment, before that of time.
        return Outcome(0, 0, payload=bytes(len([np.empty(1 << 28, np.uint8) for _ in range(400)])))
    return quick_one(work, task)


def bad(work: Work, tasks: Sequence[Task]) -> list[Outcome]:
    """Compute made-up runs, four of them bad."""
    return compute(work, tasks, bad_one)


def raising(work: Work, tasks: Sequence[Task]) -> list[Outcome]:
    """Fail whatever is asked."""

    def one(_work: Work, _task: Task) -> Outcome:
        raise RuntimeError("nothing works")

    return compute(work, tasks, one)
