"""Engines of a sweep: each gives batches to a `concurrent.futures.Executor` and knows what a lost worker looks like."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures import wait as wait_for
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import replace
from typing import Protocol

from sim.experiment.cells import Outcome, Task, Work
from sim.experiment.executors import GRACE, end_processes, local_pool

Compute = Callable[[Work, Sequence[Task]], list[Outcome]]
TIME_LIMIT = "time limit"  # how the reason of a run that took too long begins
POLL = 0.25  # seconds between looks at whether the user wants to stop


class Halted(Exception):
    """The user asked to stop while a run was waited for."""


class Engine(Protocol):
    """What computes batches.

    Attributes
    ----------
    name : str
        As on the command line.
    batch_seconds : float
        How long a batch should take at least [s].
    lost : tuple of exception types
        What a future raises when its worker died.
    all_break : bool
        Whether one death breaks every batch in flight.
    apart : bool
        Whether `alone` computes apart from batches in flight, however many there are.
    """

    name: str
    batch_seconds: float
    lost: tuple[type[BaseException], ...]
    all_break: bool
    apart: bool

    @property
    def workers(self) -> int:
        """Workers there are now."""
        ...

    def submit(self, task: Compute, work: Work, batch: Sequence[Task]) -> Future[list[Outcome]]:
        """Hand over a batch."""
        ...

    def alone(self, task: Compute, work: Work, one: Task, halted: Callable[[], bool]) -> Outcome:
        """Compute one run with no other near it; a death of its worker is its outcome."""
        ...

    def restart(self) -> None:
        """Go on after a death."""
        ...

    def __enter__(self) -> Engine: ...

    def __exit__(self, *error: object) -> None: ...


class Inline:
    """Computes in this process, one run after another: nothing is isolated and no limit is kept."""

    name, batch_seconds, all_break, apart = "inline", 0.0, False, True
    workers: int = 1
    lost: tuple[type[BaseException], ...] = ()

    def submit(self, task: Compute, work: Work, batch: Sequence[Task]) -> Future[list[Outcome]]:
        """Compute a batch before returning."""
        future: Future[list[Outcome]] = Future()
        future.set_result(task(replace(work, seconds=None, memory=None), batch))
        return future

    def alone(self, task: Compute, work: Work, one: Task, halted: Callable[[], bool]) -> Outcome:
        """Compute one run."""
        return self.submit(task, work, [one]).result()[0]

    def restart(self) -> None:
        """Nothing can break."""

    def __enter__(self) -> Inline:
        return self

    def __exit__(self, *error: object) -> None:
        return None


class Local:
    """A pool of spawned processes on this machine; a run that may have killed a worker is repeated in a pool of one.

    Parameters
    ----------
    workers : int
        Number of processes.
    """

    name, batch_seconds, all_break, apart = "local", 0.2, True, True
    lost: tuple[type[BaseException], ...] = (BrokenProcessPool,)

    def __init__(self, workers: int):
        self.workers = workers
        self._pools: dict[str, tuple[ProcessPoolExecutor, ExitStack]] = {}

    def submit(self, task: Compute, work: Work, batch: Sequence[Task]) -> Future[list[Outcome]]:
        """Hand over a batch."""
        return self._pool("all", self.workers).submit(task, work, batch)

    def alone(self, task: Compute, work: Work, one: Task, halted: Callable[[], bool]) -> Outcome:
        """Compute one run in a process of its own."""
        try:
            future = self._pool("one", 1).submit(task, work, [one])
        except BrokenProcessPool:  # its worker died while it had nothing to do
            self._end("one")
            future = self._pool("one", 1).submit(task, work, [one])
        (process,) = (self._pool("one", 1)._processes or {}).values()
        started = time.monotonic()
        try:
            return awaited(future, work, halted)[0]
        except (BrokenProcessPool, TimeoutError) as error:
            process.join(GRACE)
            code = process.exitcode
            self._end("one")
            if isinstance(error, TimeoutError):
                code = None
            elif code is None:  # the pool's own thread was just taking it; that thread has ended now
                code = process.exitcode
            return Outcome(one.cell, one.run, reason=death(code, time.monotonic() - started, work))

    def restart(self) -> None:
        """End what is left of the broken pool; the next batch starts another."""
        self._end("all")

    def _pool(self, name: str, workers: int) -> ProcessPoolExecutor:
        if name not in self._pools:
            stack = ExitStack()
            self._pools[name] = (stack.enter_context(local_pool(workers)), stack)
        return self._pools[name][0]

    def _end(self, name: str) -> None:
        pool, stack = self._pools.pop(name)
        end_processes(pool)
        stack.close()

    def __enter__(self) -> Local:
        return self

    def __exit__(self, *error: object) -> None:
        for name in list(self._pools):
            self._end(name)


def awaited(future: Future[list[Outcome]], work: Work, halted: Callable[[], bool]) -> list[Outcome]:
    """Return the result of a future, looking now and then whether the user wants to stop.

    Raises
    ------
    Halted
        If the user does.
    TimeoutError
        If it takes far longer than the limit of a run: its own watch must have failed.
    """
    started = time.monotonic()
    while not wait_for([future], timeout=POLL).done:
        if halted():
            raise Halted
        if work.seconds is not None and time.monotonic() - started > patience(work, 1):
            raise TimeoutError
    return future.result()


def patience(work: Work, runs: int) -> float:
    """Return after how long without any result a worker must be stuck [s]; infinite without a limit for a run."""
    return float("inf") if work.seconds is None else 1.5 * work.seconds * runs + 30.0


def death(code: int | None, seconds: float, work: Work) -> str:
    """Return in one line why a worker died, from its exit code (None: it had to be ended) and the time it had."""
    if work.seconds is not None and (code is None or (code == 1 and seconds >= work.seconds)):
        return f"{TIME_LIMIT}: longer than {work.seconds:.3g} s"
    if code is not None and code < 0:
        hint = "; the usual cause is a lack of memory" if code == -9 else ""
        return f"its worker was killed by signal {-code}{hint}"
    hint = "; a script must call sim.sweep below `if __name__ == '__main__':`" if code == 1 else ""
    return f"its worker ended with exit code {code}{hint}"


class Given(Inline):
    """An executor that someone else owns; it must not lose workers, and limits of a run are its owner's matter.

    Parameters
    ----------
    executor : Executor
        Any; shut down by its owner.
    workers : int
        How many batches it works on at a time.
    """

    name, batch_seconds = "executor", 0.2

    def __init__(self, executor: Executor, workers: int):
        self.executor, self.workers = executor, workers

    def submit(self, task: Compute, work: Work, batch: Sequence[Task]) -> Future[list[Outcome]]:
        """Hand over a batch."""
        return self.executor.submit(task, replace(work, seconds=None, memory=None), batch)
