"""A run that goes wrong takes no other with it, whatever it does and wherever it runs."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from sim.experiment.cells import Outcome, Task, Work, compute
from sim.experiment.check import verify_sweep
from sim.experiment.dispatch import NothingWorks, Pace
from sim.experiment.engines import Given, Inline, Local
from sim.experiment.executors import local_pool
from sim.experiment.status import status
from sim.experiment.sweep import run_sweep
from sim.experiment.sweep_results import SweepResults

from .made_up import EATS, HANGS, KILLS, RAISES, bad, plan_of, quick, quick_one, raising, slow, sweep_text

MEMORY = 2.5e9
REASONS = {
    KILLS: "its worker was killed by signal 9; the usual cause is a lack of memory",
    HANGS: "time limit: longer than 4 s",
    RAISES: "ValueError: no market clears",
    EATS: "out of memory: it needs more than 2.5 GB",
}


def check_36_good_and_4_bad(folder, plan, report, reasons):
    assert (report.totals["done"], report.totals["failed"]) == (36, 4)
    results = SweepResults(folder)
    assert {entry["cell"]: entry["reason"] for entry in results.failed()} == reasons
    assert {run.cell for run in results} == set(range(40)) - set(reasons)
    assert verify_sweep(str(folder)).damage == ()
    found = status(folder)
    assert (found["planned"], found["done"], found["failed"], found["finished"]) == (40, 36, 4, True)


def test_four_bad_cells_among_forty_are_recorded_with_their_reasons_and_the_others_are_good(tmp_path):
    plan = plan_of(tmp_path, sweep_text(cells=40))
    report = run_sweep(plan, tmp_path / "o", lambda: Local(2), seconds=4, memory=MEMORY, task=bad)
    check_36_good_and_4_bad(tmp_path / "o", plan, report, REASONS)
    attempts = {entry["cell"]: entry["attempts"] for entry in SweepResults(tmp_path / "o").failed()}
    assert attempts[KILLS] == 3
    assert all(1 <= count <= 2 for cell, count in attempts.items() if cell != KILLS)
    again = run_sweep(plan, tmp_path / "o", lambda: Local(2), resume=True, task=quick)
    assert again.computed == 0  # failures stay until asked for
    mended = run_sweep(plan, tmp_path / "o", lambda: Local(2), retry_failed=True, task=quick)
    assert (mended.computed, mended.totals["failed"], mended.totals["done"]) == (4, 0, 40)
    assert SweepResults(tmp_path / "o").failed() == []


def test_a_failure_is_retried_alone_three_times_unless_the_same_comes_back(tmp_path):
    plan, tries, stubborn, unlucky, moody = plan_of(tmp_path, sweep_text(cells=8)), Counter(), 2, 4, 6

    def one(work, task):
        tries[task.cell] += 1
        if task.cell == stubborn:
            raise ValueError("no market clears")
        if task.cell == moody or (task.cell == unlucky and tries[unlucky] < 3):
            raise OSError(f"no luck at try {tries[task.cell]}")
        return quick_one(work, task)

    report = run_sweep(plan, tmp_path / "o", Inline, task=lambda work, tasks: compute(work, tasks, one))
    found = [(entry["cell"], entry["attempts"], entry["reason"]) for entry in report.totals["failures"]]
    assert found == [(stubborn, 2, "ValueError: no market clears"), (moody, 4, "OSError: no luck at try 4")]
    assert {cell: tries[cell] for cell in (stubborn, unlucky, moody)} == {stubborn: 2, unlucky: 3, moody: 4}
    runs = SweepResults(tmp_path / "o").runs
    assert runs["attempts"].tolist() == [1, 1, 1, 3, 1, 1]


def test_what_finished_is_kept_before_what_failed_is_tried_again(tmp_path):
    kept, kept_before = [0], []

    class Watched(Inline):
        def alone(self, *arguments):
            kept_before.append(kept[-1])
            return super().alone(*arguments)

    def one(work, task):
        if task.cell == 0:
            raise ValueError("no market clears")
        return quick_one(work, task)

    def task(work, tasks):
        return compute(work, tasks, one)

    plan = plan_of(tmp_path, sweep_text(cells=4))
    run_sweep(plan, tmp_path / "o", Watched, task=task, progress=lambda ended, *_: kept.append(ended))
    assert kept_before == [1]  # the other run in the window, and the same error again ends it


def test_a_sweep_in_which_nothing_works_gives_up(tmp_path):
    plan = plan_of(tmp_path, sweep_text(cells=60))
    with pytest.raises(NothingWorks, match="the first 20 runs all failed, the latest: RuntimeError: nothing works"):
        run_sweep(plan, tmp_path / "o", Inline, task=raising)


@pytest.mark.parametrize("engine", ["inline", "one", "two", "four", "threads"])
def test_the_content_does_not_depend_on_where_it_was_computed(tmp_path, pristine_sweep, engine):
    folder, plan = pristine_sweep
    with ThreadPoolExecutor(2) as threads:
        made = {"inline": Inline, "threads": lambda: Given(threads, 2)}
        made |= {name: lambda n=n: Local(n) for name, n in (("one", 1), ("two", 2), ("four", 4))}
        report = run_sweep(plan, tmp_path / "o", made[engine], task=quick)
    assert report.totals["content_hash"] == SweepResults(folder).totals["content_hash"]


def children():
    return [child for child in psutil.Process().children(recursive=True) if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.long)])
def test_a_worker_that_is_killed_or_stopped_from_outside_costs_nothing(tmp_path, pristine_sweep, how):
    folder, plan = pristine_sweep
    hit = []

    def strike(ended, planned, failed):
        if ended >= 4 and not hit:
            hit.append(children()[0].pid)
            os.kill(hit[0], how)

    # A stopped worker is noticed when nothing came back for 1.5 times the limit of a run and half a minute. A run takes
    # 50 ms; its limit is far off, so that only a machine that stands still could meet it.
    report = run_sweep(plan, tmp_path / "o", lambda: Local(2), seconds=15, task=slow, progress=strike)
    assert hit
    assert report.totals["failed_runs"] == 0
    assert report.totals["content_hash"] == SweepResults(folder).totals["content_hash"]
    assert not psutil.pid_exists(hit[0]) or psutil.Process(hit[0]).status() == psutil.STATUS_ZOMBIE


def test_a_worker_that_dies_with_nothing_to_do_costs_nothing(tmp_path):
    plan = plan_of(tmp_path, sweep_text(cells=4))
    work, tasks = Work.of(plan), [Task(cell, 0, plan.scenario_of(cell), plan.values(cell)) for cell in range(4)]
    with Local(1) as engine:
        for task in tasks:
            assert engine.alone(quick, work, task, lambda: False).reason == ""
            pool = engine._pools["one"][0]
            (process,) = pool._processes.values()
            process.kill()
            deadline = time.monotonic() + 30
            while not pool._broken and time.monotonic() < deadline:
                time.sleep(0.01)
            assert pool._broken


def test_a_pool_that_is_left_in_haste_leaves_no_process_and_no_thread():
    """The thread would else meet the end of Python, where both close the same pipe."""
    left = []

    def leave():
        with local_pool(2) as pool:
            for _ in range(4):
                pool.submit(time.sleep, 30)
            left.extend([pool._executor_manager_thread, *pool._processes.values()])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        leave()
    assert len(left) == 3
    assert not any(each.is_alive() for each in left)


def test_a_worker_has_one_thread_of_the_numerical_libraries(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    with local_pool(1) as pool:
        found = [pool.submit(os.getenv, f"{name}_NUM_THREADS").result() for name in ("OMP", "OPENBLAS", "MKL")]
    assert found == ["1", "1", "1"]
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_batches_are_at_least_a_fifth_of_a_second():
    pace = Pace(0.2)
    assert pace.batch() == 1
    pace.note([Outcome(0, 0, seconds=0.01)])
    assert pace.batch() == 20
    pace.note([Outcome(0, 0, seconds=1e-9)] * 100)
    assert pace.batch() == 500
    pace.note([Outcome(0, 0, seconds=5.0)] * 100)
    assert pace.batch() == 1
    assert Pace(0.0).batch() == 1
