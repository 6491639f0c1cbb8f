"""The loop that computes runs on an engine and lets no run take others with it.

Batches go out in a window, sized by how long runs took so far. When a worker dies, every run that was in flight is
repeated alone, so that the death is put down to the run that causes it. What fails is tried again alone, at most
three times, and then recorded; sooner if another try could tell nothing new.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from typing import Protocol

from sim.errors import SimError
from sim.experiment.cells import OUT_OF_MEMORY, Outcome, Task, Work, compute
from sim.experiment.engines import POLL, TIME_LIMIT, Compute, Engine, Halted, patience
from sim.experiment.executors import GRACE, WINDOW

MOST_BATCH = 500
RETRIES = 3  # of a run that failed, each alone
GIVE_UP = 20  # failures in a row without a single success: something is wrong with more than a run


class Queue(Protocol):
    """Where tasks come from."""

    def take(self, count: int) -> list[Task]:
        """Return up to `count` tasks that were not given out yet; an empty list if there are none now."""
        ...

    def keep(self, outcomes: Sequence[Outcome]) -> None:
        """Take in outcomes, failures among them; there may be more tasks after that."""
        ...


class NothingWorks(SimError):
    """Run after run failed, and none succeeded."""

    exit_code = 3


@dataclass
class Pace:
    """How long runs take, for the size of batches."""

    target: float
    mean: float = math.nan

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Take the times of finished runs in."""
        for outcome in outcomes:
            latest = outcome.seconds
            self.mean = latest if math.isnan(self.mean) else 0.7 * self.mean + 0.3 * latest

    def batch(self) -> int:
        """Return how many runs make a batch."""
        if math.isnan(self.mean) or self.target == 0.0:
            return 1
        return min(MOST_BATCH, max(1, math.ceil(self.target / max(self.mean, 1e-6))))


class Dispatcher:
    """Computes everything a queue gives.

    Parameters
    ----------
    engine : Engine
        Started by the caller.
    queue : Queue
        Tasks out, outcomes in.
    work : Work
        What all runs share.
    halted : callable
        Whether the user wants to stop.
    task : callable
        What computes a batch; `sim.experiment.cells.compute`.
    """

    def __init__(self, engine: Engine, queue: Queue, work: Work, halted: Callable[[], bool], task: Compute = compute):
        self.engine, self.queue, self.work, self.halted, self.task = engine, queue, work, halted, task
        self.pace = Pace(engine.batch_seconds)
        self.flying: dict[Future[list[Outcome]], list[Task]] = {}
        self.succeeded, self.failures = False, 0
        self.suspects: deque[Task] = deque()  # in flight when their worker died
        self.broken = False  # since a death, until the engine is started anew
        self.failed: deque[tuple[Task, Outcome]] = deque()
        self.idle = 0.0  # seconds waited without a result

    def run(self) -> bool:
        """Compute until the queue is empty; return False if the user stopped it before.

        Raises
        ------
        NothingWorks
            If the first runs all fail.
        """
        try:
            while not self.halted():
                self._fill()
                if not self.flying and not self.suspects and not self.failed:
                    return True
                self._wait()
                self._try_again()
        except Halted:
            pass
        return False

    def _wait(self) -> None:
        """Wait for results for a moment and keep them; notice workers that died, or hang."""
        timeout = 0.0 if self.failed and self.engine.apart else POLL
        done, _ = wait(self.flying, timeout=timeout, return_when=FIRST_COMPLETED)
        self.idle = 0.0 if done or not self.flying else self.idle + timeout
        hangs = self.idle > patience(self.work, max(map(len, self.flying.values()), default=1))
        self._collect(done)
        if hangs or (self.broken and self.engine.all_break):
            self._collect_broken()

    def _fill(self) -> None:
        """Hand out batches until the window is full; none while something waits for the others to end."""
        if self.suspects or (self.failed and not self.engine.apart):
            return
        while len(self.flying) + len(self.failed) < WINDOW * self.engine.workers:
            batch = self.queue.take(self.pace.batch())
            if not batch:
                return
            try:
                self.flying[self.engine.submit(self.task, self.work, batch)] = batch
            except self.engine.lost:
                self._lost(batch)
                return

    def _try_again(self) -> None:
        """Repeat one run alone: one that may have killed its worker, or one that failed."""
        if self.suspects and not self.flying:
            self._keep([self._alone(self.suspects.popleft())])
        elif self.failed and (self.engine.apart or not self.flying):
            self._keep([self._alone(*self.failed.popleft())])

    def _collect(self, done: Collection[Future[list[Outcome]]]) -> None:
        """Keep what finished, and note the tasks that failed or whose worker died."""
        good: list[Outcome] = []
        try:
            for future in [future for future in self.flying if future in done]:
                batch = self.flying.pop(future)
                try:
                    outcomes = future.result()
                except self.engine.lost:
                    self._lost(batch)
                    continue
                good += [outcome for outcome in outcomes if not outcome.reason]
                tasks = {(task.cell, task.run): task for task in batch}
                self.failed += [(tasks[bad.cell, bad.run], bad) for bad in outcomes if bad.reason]
        finally:  # whatever one of them raises, the others are kept
            self.pace.note(good)
            self._keep(good)

    def _collect_broken(self) -> None:
        """Start the engine anew; keep what finished before it broke and suspect the rest."""
        wait(self.flying, timeout=GRACE if self.engine.all_break else 0.0)
        self._collect([future for future in self.flying if future.done()])
        for future, batch in self.flying.items():
            future.cancel()
            self.suspects += batch
        self.flying.clear()
        self.idle, self.broken = 0.0, False
        self.engine.restart()

    def _lost(self, batch: Sequence[Task]) -> None:
        """Note the tasks of a worker that died."""
        self.suspects += batch
        self.broken = True

    def _alone(self, task: Task, before: Outcome | None = None) -> Outcome:
        """Return the outcome of a run tried again alone, `before` being its own failure if it is known."""
        tried = 0 if before is None else 1
        attempts = tried
        while True:
            attempts += 1
            found = replace(self.engine.alone(self.task, self.work, task, self.halted), attempts=attempts)
            if not found.reason or _settled(before, found) or attempts == tried + RETRIES:
                return found
            before = found

    def _keep(self, outcomes: Sequence[Outcome]) -> None:
        if not outcomes:
            return
        self.queue.keep(outcomes)
        self.succeeded |= any(not outcome.reason for outcome in outcomes)
        self.failures += sum(1 for outcome in outcomes if outcome.reason)
        if not self.succeeded and self.failures >= GIVE_UP:
            raise NothingWorks(f"the first {self.failures} runs all failed, the latest: {outcomes[-1].reason}")


def _settled(before: Outcome | None, latest: Outcome) -> bool:
    """Return whether another try can tell nothing new: beyond a limit even alone, or the same error in the same words.

    A death is never settled, since it may be the machine's fault.
    """
    repeated = before is not None and latest.trace != "" and latest.reason == before.reason
    return repeated or latest.reason.startswith((TIME_LIMIT, OUT_OF_MEMORY))
