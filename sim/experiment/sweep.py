"""Run a sweep: from its plan to a folder of results, over as many sessions as it takes."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sim import environment, manifest, storage
from sim.errors import Interrupted
from sim.experiment.cells import Outcome, Task, Work, compute
from sim.experiment.dispatch import Dispatcher
from sim.experiment.engines import Compute, Engine
from sim.experiment.folder import FINISHED, NEW, look, read_totals, session, write_plan
from sim.experiment.ledger import content_hash, run_hashes
from sim.experiment.plan import Plan
from sim.experiment.store import Store
from sim.interrupts import REQUESTS, Request
from sim.precision import replicates_needed

TOTALS_FORMAT = "sim-sweep-totals"
_LISTED = 1000  # failures in the manifest; the log has all


@dataclass(frozen=True)
class Report:
    """What a session left behind.

    Parameters
    ----------
    folder : Path
        Where.
    totals : dict
        The content of ``manifest.json``.
    computed : int
        Runs of this session.
    repairs : tuple of str
        What was found damaged and computed again.
    """

    folder: Path
    totals: Mapping[str, Any]
    computed: int
    repairs: tuple[str, ...] = ()


class SweepQueue:
    """The runs of a plan that are still to do, replicate by replicate over all cells, and the stop rule.

    Parameters
    ----------
    plan : Plan
        The plan.
    store : Store
        Where outcomes go.
    retry_failed : bool
        Whether runs that failed before are tried again.
    progress : callable, optional
        Called with the runs that ended so far, those planned and those failed.
    """

    def __init__(
        self, plan: Plan, store: Store, *, retry_failed: bool, progress: Callable[[int, int, int], Any] | None = None
    ):
        self.plan, self.store, self.progress = plan, store, progress
        self.failed = {} if retry_failed else dict(store.failed)
        self.planned = np.full(plan.cells, plan.runs)
        self.ended = np.zeros(plan.cells, dtype=np.int64)
        self.ended_now = 0
        for cell, run in self.failed:
            if run < plan.runs:
                self.ended[cell] += 1
        self.ended += store.tally.done[:, : plan.runs].sum(axis=1)
        self._extra: deque[tuple[int, int]] = deque()
        self._first = self._unfinished()
        if plan.stop is not None:
            for cell in np.flatnonzero(self.ended == self.planned).tolist():
                self._extend(cell)

    def _unfinished(self) -> Iterator[tuple[int, int]]:
        """Yield (cell, run) of the replicates that every cell has."""
        for run in range(self.plan.runs):
            for cell in np.flatnonzero(~self.store.tally.done[:, run]).tolist():
                if (cell, run) not in self.failed:
                    yield cell, run

    def left(self) -> bool:
        """Return whether anything is to do."""
        return bool((self.ended < self.planned).any())

    def take(self, count: int) -> list[Task]:
        """Return up to `count` tasks that were not given out yet."""
        found = []
        while len(found) < count:
            place = self._extra.popleft() if self._extra else next(self._first, None)
            if place is None:
                break
            cell, run = place
            found.append(Task(cell, run, self.plan.scenario_of(cell), self.plan.values(cell)))
        return found

    def keep(self, outcomes: Sequence[Outcome]) -> None:
        """Store outcomes, failures among them, and plan more replicates where the stop rule asks for them."""
        self.store.add([outcome for outcome in outcomes if not outcome.reason])
        for outcome in outcomes:
            if outcome.reason:
                self.store.fail(outcome)
                self.failed[outcome.cell, outcome.run] = {"reason": outcome.reason}
            self.ended[outcome.cell] += 1
        self.ended_now += len(outcomes)
        if self.plan.stop is not None:
            for cell in dict.fromkeys(outcome.cell for outcome in outcomes):
                if self.ended[cell] == self.planned[cell]:
                    self._extend(cell)
        self.report()

    def report(self) -> None:
        """Tell how far the sweep is."""
        if self.progress:
            self.progress(int(self.ended.sum()), int(self.planned.sum()), len(self.failed))

    def _extend(self, cell: int) -> None:
        """Plan more replicates of a cell whose replicates all ended, until its interval is narrow enough."""
        stop, tally = self.plan.stop, self.store.tally
        if stop is None or tally.measures is None:
            return
        while self.ended[cell] == self.planned[cell]:
            planned = int(self.planned[cell])
            wanted = replicates_needed(tally.measures[cell, :planned], planned, stop.half_width, stop.max_runs)
            if wanted == planned:
                return
            tally.widen(wanted)
            self.planned[cell] = wanted
            for run in range(planned, wanted):
                if tally.done[cell, run] or (cell, run) in self.failed:
                    self.ended[cell] += 1
                else:
                    self._extra.append((cell, run))


def run_sweep(
    plan: Plan,
    folder: str | os.PathLike[str],
    engine: Callable[[], Engine],
    *,
    resume: bool = False,
    retry_failed: bool = False,
    allow_mixed: bool = False,
    force: bool = False,
    seconds: float | None = None,
    memory: float | None = None,
    command: Sequence[str] = (),
    resume_command: str = "",
    progress: Callable[[int, int, int], Any] | None = None,
    say: Callable[[str], Any] | None = None,
    task: Compute = compute,
) -> Report:
    """Run what is left of a sweep; finished runs are kept whatever happens.

    Parameters
    ----------
    plan : Plan
        What is to run.
    folder : path
        Where the results are, or will be.
    engine : callable
        Makes the engine, once there is something to run.
    resume, retry_failed, allow_mixed, force : bool
        Go on with a begun sweep; also with what failed; also with another program; start over.
    seconds, memory : float, optional
        Limits of one run [s], [bytes].
    command : sequence of str
        Noted in the log.
    resume_command : str
        What to tell a user who stops it.
    progress : callable, optional
        Called with the runs that ended so far, those planned and those failed; first before anything runs.
    say : callable, optional
        Takes a line about what is going to happen.
    task : callable
        What computes a batch; `sim.experiment.cells.compute`.

    Raises
    ------
    UsageError
        If what is there may not be touched or goes with another plan or program.
    Interrupted
        If the user stopped it.
    WriteError
        If the disk refuses.
    FolderHeld
        If another process works on the folder.
    NothingWorks
        If the first runs all fail.
    """
    place = storage.real(folder)
    with storage.hold(place), storage.refusals(place):
        with _signals() as stop:
            found = look(place, plan, force=force, resume=resume or retry_failed, allow_mixed=allow_mixed)
        if stop.number:
            signal.raise_signal(stop.number)  # nothing has been done: not ours to answer
        if found == FINISHED:
            totals = read_totals(place)
            if totals and not (retry_failed and totals["failed_runs"]):
                return Report(place, totals, 0)
        if say and found == NEW and (resume or retry_failed) and not force:
            say(f"nothing to resume in {place}; starting")
        with _signals() as stop, _planned_store(place, plan, found) as store:
            queue = SweepQueue(plan, store, retry_failed=retry_failed, progress=progress)
            work = Work.of(plan, seconds=seconds, memory=memory)
            try:
                if _compute(queue, work, engine, task, stop, list(command)):
                    return _finished(place, store, queue, command)
            except KeyboardInterrupt:
                if not stop.number:  # not from `_signals`: not ours to answer
                    raise
            done, planned = int(queue.ended.sum()), int(queue.planned.sum())
            raise _interrupted(stop.number, done, planned, place, resume_command)


@contextmanager
def _planned_store(place: Path, plan: Plan, found: str) -> Iterator[Store]:
    write_plan(place, plan, found)
    store = Store(place, plan, environment.code_hash())
    try:
        yield store
    finally:
        store.close()


def _compute(
    queue: SweepQueue, work: Work, engine: Callable[[], Engine], task: Compute, stop: Request, command: list[str]
) -> bool:
    """Compute what is left; return whether all of it was."""
    if not queue.left():
        return True
    if stop.number:
        return False
    queue.report()
    with engine() as running:
        facts = session(
            queue.plan, engine=running.name, workers=running.workers, command=command, repairs=queue.store.repairs
        )
        queue.store.note("session", **facts)
        return Dispatcher(running, queue, work, lambda: bool(stop.number), task).run()


def _finished(place: Path, store: Store, queue: SweepQueue, command: Sequence[str]) -> Report:
    """Write what a finished sweep has beside its runs."""
    store.compact()
    totals = _totals(store, queue, command)
    store.finish(manifest.to_json(totals))
    return Report(place, totals, queue.ended_now, tuple(store.repairs))


def _interrupted(number: int, done: int, planned: int, place: Path, command: str) -> Interrupted:
    how = f"; go on with: {command}" if command else ""
    return Interrupted(f"stopped: {done:,} of {planned:,} runs are kept in {place}{how}", 128 + number)


def _totals(store: Store, queue: SweepQueue, command: Sequence[str]) -> dict[str, Any]:
    """Return the manifest of a finished sweep."""
    cells, runs, contents = run_hashes(store.folder, store.ledger)
    failed = store.failed
    broken = dict.fromkeys(cell for cell, _ in failed)
    whole = content_hash(cells, runs, contents)
    codes = list(dict.fromkeys(each["identity"]["code_hash"] for each in store.ledger.sessions))
    return {
        "format": TOTALS_FORMAT,
        "format_version": 1,
        "result_id": whole[:12],
        "content_hash": whole,
        "name": store.plan.name,
        "plan": store.plan.content_hash(),
        "cells": store.plan.cells,
        "done": store.plan.cells - len(broken),
        "failed": len(broken),
        "runs": int(queue.planned.sum()),
        "done_runs": len(contents),
        "failed_runs": len(failed),
        "failures": [
            {"cell": cell, "run": run, "attempts": entry["attempts"], "reason": entry["reason"]}
            for (cell, run), entry in sorted(failed.items())[:_LISTED]
        ],
        "mixed": len(codes) > 1,
        "programs": codes,
        "sessions": len(store.ledger.sessions),
        "shards": sorted(store.ledger.shards),
        "peak_memory_bytes": environment.peak_memory(),
        "command": [environment.redacted(text) for text in command],
    }


@contextmanager
def _signals() -> Iterator[Request]:
    """Turn the first Ctrl-C or request to end into a mark, so that nothing is cut in the middle; a later one acts now.

    Outside the main thread signals stay what they are.
    """
    stop = Request()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def note(number: int, _frame: Any) -> None:
        if stop.note(number):
            raise KeyboardInterrupt

    before = {number: signal.signal(number, note) for number in REQUESTS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
