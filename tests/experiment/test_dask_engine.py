"""Sweeps on Dask: real scheduler and worker processes on the loopback, deaths and late comers included."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import sim
from sim.errors import UsageError
from sim.experiment.cells import Task, Work
from sim.experiment.check import verify_sweep
from sim.experiment.engines import Inline, Local
from sim.experiment.status import status
from sim.experiment.sweep import run_sweep
from sim.experiment.sweep_results import SweepResults

from .made_up import EATS, HANGS, KILLS, RAISES, bad, plan_of, quick, slow, sweep_text

if os.environ.get("CI") != "true":  # on the build server these tests may not skip
    pytest.importorskip("distributed")

from sim.experiment.dask_engine import Dask

# Workers import these tests, and the very package under test.
SEARCH = os.pathsep.join([str(Path(__file__).resolve().parent.parent.parent), str(Path(sim.__file__).parent.parent)])
pytestmark = pytest.mark.filterwarnings("ignore")  # the library warns about itself


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """Let worker processes import the tests."""
    monkeypatch.setenv("PYTHONPATH", SEARCH)


def listening(pid: int) -> list[str]:
    """Return the addresses on which a process and its children listen."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    found = []
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            found += [c.laddr.ip for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    return found


def test_a_local_cluster_gives_the_same_content_and_listens_to_this_machine_only(tmp_path, pristine_sweep):
    folder, plan = pristine_sweep
    heard = []

    def listen(ended, planned, failed):
        heard.extend(listening(os.getpid()) if not heard else [])

    report = run_sweep(plan, tmp_path / "o", lambda: Dask(2), task=quick, progress=listen)
    assert report.totals["content_hash"] == SweepResults(folder).totals["content_hash"]
    assert heard
    assert set(heard) <= {"127.0.0.1", "::1"}
    assert listening(os.getpid()) == []


def sleeping(work, tasks):
    """Be at a run that no one asks for any more."""
    time.sleep(60)
    return quick(work, tasks)


def test_leaving_the_cluster_waits_for_no_run(pristine_sweep):
    _, plan = pristine_sweep
    work, task = Work.of(plan), Task(0, 0, plan.scenario_of(0), plan.values(0))
    with Dask(2) as engine:
        futures = [engine.submit(sleeping, work, [task]) for _ in range(2)]
        time.sleep(1.0)
        workers = [nanny.pid for nanny in engine._client.cluster.workers.values()]
        assert all(map(psutil.pid_exists, workers))
        assert not any(future.done() for future in futures)
        leaving = time.monotonic()
    assert time.monotonic() - leaving < 20.0  # a run would take a minute
    assert not any(map(psutil.pid_exists, workers))


def test_four_bad_cells_are_recorded_on_dask_too(tmp_path):
    plan = plan_of(tmp_path, sweep_text(cells=40))
    report = run_sweep(plan, tmp_path / "o", lambda: Dask(2), seconds=5, memory=2.5e9, task=bad)
    assert (report.totals["done"], report.totals["failed"]) == (36, 4)
    reasons = {entry["cell"]: entry["reason"] for entry in SweepResults(tmp_path / "o").failed()}
    assert reasons == {
        KILLS: "its Dask worker died (killed, or out of memory)",
        HANGS: "time limit: longer than 5 s",
        RAISES: "ValueError: no market clears",
        EATS: "out of memory: it needs more than 2.5 GB",
    }
    assert verify_sweep(str(tmp_path / "o")).damage == ()
    assert status(tmp_path / "o")["done"] == 36


def test_the_engine_may_change_in_the_middle(tmp_path, pristine_sweep, small_shards):
    folder, plan = pristine_sweep

    def stop_after(count):
        begun = []

        def progress(ended, planned, failed):
            begun.append(ended)
            if ended >= begun[0] + count:  # what is under way may end with them: up to two batches a worker
                raise KeyboardInterrupt

        return progress

    for engine, count in ((lambda: Local(1), 8), (lambda: Dask(2), 4), (Inline, 4)):
        with pytest.raises(KeyboardInterrupt):
            run_sweep(plan, tmp_path / "o", engine, resume=True, task=slow, progress=stop_after(count))
    report = run_sweep(plan, tmp_path / "o", lambda: Local(4), resume=True, task=slow)
    assert report.totals["content_hash"] == SweepResults(folder).totals["content_hash"]
    assert report.totals["sessions"] == 4


@contextlib.contextmanager
def scheduler(workers: int, **environment: str):
    """Give the address of a scheduler of its own with so many workers, each a process, and a way to start more."""
    log = subprocess.DEVNULL
    options = {"stdout": log, "stderr": log, "env": {**os.environ, "PYTHONPATH": SEARCH, **environment}, "cwd": "/"}
    file = f"/tmp/sim-scheduler-{os.getpid()}-{time.monotonic_ns()}.json"  # noqa: S108
    base = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    started = [subprocess.Popen([*base, "--no-dashboard", "--scheduler-file", file], **options)]
    end = time.monotonic() + 30
    while not os.path.exists(file) and time.monotonic() < end:
        time.sleep(0.1)

    def add():
        command = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", file, "--nthreads", "1"]
        started.append(subprocess.Popen([*command, "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"], **options))
        return started[-1]

    try:
        for _ in range(workers):
            add()
        yield json.loads(Path(file).read_text())["address"], started, add
    finally:
        for process in started:
            process.kill()
            process.wait()
        Path(file).unlink(missing_ok=True)


def test_an_existing_scheduler_is_used_and_survives_a_dead_and_a_late_worker(tmp_path, pristine_sweep):
    folder, plan = pristine_sweep
    with scheduler(2) as (address, started, add):
        events = []

        def disturb(ended, planned, failed):
            if not events:
                events.append(add())
                os.kill(started[1].pid, signal.SIGKILL)

        report = run_sweep(plan, tmp_path / "o", lambda: Dask(1, address), task=slow, progress=disturb)
    assert events
    assert report.totals["failed_runs"] == 0
    assert report.totals["content_hash"] == SweepResults(folder).totals["content_hash"]


def test_a_worker_with_another_program_is_refused_before_the_first_run(tmp_path, pristine_sweep):
    _, plan = pristine_sweep
    other = tmp_path / "other"
    shutil.copytree(Path(sim.__file__).parent, other / "sim")
    (other / "pyproject.toml").write_text('version = "0.0.9"\n')
    (other / "sim/months.py").write_text((other / "sim/months.py").read_text() + "\n# another version\n")
    refusal = pytest.raises(UsageError, match=r"another program or library \(.*code_hash: .*pip install sim==")
    with scheduler(1, PYTHONPATH=str(other)) as (address, _, _add), refusal:
        run_sweep(plan, tmp_path / "o", lambda: Dask(1, address), task=quick)
    assert SweepResults(tmp_path / "o").runs.empty


def test_no_scheduler_is_told_in_a_line(tmp_path, pristine_sweep):
    _, plan = pristine_sweep
    with pytest.raises(UsageError, match="no Dask scheduler answers"):
        run_sweep(plan, tmp_path / "o", lambda: Dask(1, "tcp://127.0.0.1:9"), task=quick)
