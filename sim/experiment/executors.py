"""Where runs are computed: any `concurrent.futures.Executor`; by default a pool of spawned processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

from sim import interrupts
from sim.errors import WorkerLost
from sim.imports import import_market

WINDOW = 2  # tasks in flight for each worker: enough to keep it busy, few enough to keep memory flat
GRACE = 2.0  # seconds that a worker has to end
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def usable_cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def _start_worker(parent: int) -> None:
    """Prepare a worker: Ctrl-C is the coordinator's to handle, and a worker without a coordinator ends itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    import_market()


class _Pool(ProcessPoolExecutor):
    """A pool whose workers never get a Ctrl-C, not even while they start."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hand over a task, which may start a process."""
        with interrupts_held():
            return super().submit(fn, *args, **kwargs)


@contextmanager
def local_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Give a pool of spawned worker processes, one BLAS thread each; on the way out none is left behind.

    Parameters
    ----------
    workers : int
        Number of processes.
    """
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    context = multiprocessing.get_context("spawn")  # Mesa 3.3 changes the global default on import
    pool = _Pool(workers, mp_context=context, initializer=_start_worker, initargs=(os.getpid(),))
    with interrupts.unwound():
        try:
            yield pool
            pool.shutdown()
        except BaseException:
            end_processes(pool)
            raise
        finally:
            for name, value in before.items():
                os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold back Ctrl-C inside the block; a process started there never gets one, not even while it starts."""
    if os.name != "nt":
        resource_tracker.ensure_running()  # its start would let Ctrl-C through again in the middle of the block
    with interrupts.held(signal.SIGINT):
        yield


def end_processes(pool: ProcessPoolExecutor) -> list[int | None]:
    """End the workers of a pool, by force where need be; return the exit codes they had before, None if alive."""
    processes = list((pool._processes or {}).values())
    manager: Any = pool._executor_manager_thread
    codes = [process.exitcode for process in processes]
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(GRACE)
        if process.exitcode is None:  # stopped, or deep in the system
            process.kill()
    if manager is not None:  # with a pipe still open it would meet the end of Python, which closes it too
        manager.join(GRACE)
    return codes


def completed(
    executor: Executor, task: Callable[..., Any], items: Iterable[Any], *, workers: int
) -> Iterator[tuple[Any, Any]]:
    """Yield (item, result) as tasks finish, with a bounded number in flight.

    Raises
    ------
    WorkerLost
        If a worker process dies; an exception of the task itself is raised as it is.
    """
    waiting = iter(items)
    flying: dict[Future[Any], Any] = {}
    while True:
        for item in waiting:
            flying[_submitted(executor, task, item)] = item
            if len(flying) >= WINDOW * workers:
                break
        if not flying:
            return
        done, _ = wait(flying, return_when=FIRST_COMPLETED)
        for future in done:
            item = flying.pop(future)
            try:
                yield item, future.result()
            except BrokenProcessPool as error:
                raise _lost(item) from error


def _submitted(executor: Executor, task: Callable[..., Any], item: Any) -> Future[Any]:
    try:
        return executor.submit(task, item)
    except BrokenProcessPool as error:
        raise _lost(item) from error


def _lost(item: Any) -> WorkerLost:
    return WorkerLost(
        f"a worker process died about run {item}: for want of memory (try --jobs 1 or fewer --workloads), or in a "
        "script that calls sim.run with jobs > 1 outside `if __name__ == '__main__':`"
    )
