"""Runs on Dask: a cluster of this machine, or a scheduler that is there already (extra `cluster`).

Only the coordinator writes, so no shared file system is needed. Workers must have the same program: every worker is
asked before the first run, and again with every batch, since workers may join later.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack, suppress
from typing import Any

from sim import environment
from sim.errors import SimError, UsageError
from sim.experiment.cells import Outcome, Task, Work, fingerprint
from sim.experiment.engines import TIME_LIMIT, Compute, awaited
from sim.experiment.executors import interrupts_held
from sim.experiment.plan import program_changes

JOIN_SECONDS = 60.0  # how long to wait for a first worker, or for another after the last one died
_NANNY = {  # one thread of the numerical libraries a worker
    "OMP_NUM_THREADS": 1,
    "OPENBLAS_NUM_THREADS": 1,
    "MKL_NUM_THREADS": 1,
}


async def _end_workers(nannies: Collection[Any]) -> None:
    """End the processes of these workers at once; closing the cluster alone waits for the runs they are at."""
    processes = [nanny.pid for nanny in nannies]
    closing = asyncio.gather(*(nanny.close() for nanny in nannies))
    await asyncio.sleep(0)  # from here on none of them replaces a dead process
    for process in processes:
        with suppress(ProcessLookupError):
            if process:
                os.kill(process, getattr(signal, "SIGKILL", signal.SIGTERM))
    await closing


class ClusterLost(SimError):
    """The Dask scheduler or its last worker is gone; finished runs are kept."""

    exit_code = 70


def _without_workers() -> ClusterLost:
    return ClusterLost(f"no Dask worker for {JOIN_SECONDS:.0f} s; finished runs are kept, --resume goes on")


class Dask:
    """Batches of a Dask cluster.

    Parameters
    ----------
    workers : int
        Processes of a cluster on this machine.
    address : str, optional
        Scheduler to use instead.

    Raises
    ------
    UsageError
        If Dask is not installed, no scheduler answers, or a worker has another program.
    """

    name, batch_seconds, all_break, apart = "dask", 0.5, False, False

    def __init__(self, workers: int, address: str | None = None):
        try:
            import distributed
        except ImportError:
            raise UsageError('the engine dask needs distributed: pip install "sim[cluster]"') from None
        from distributed.scheduler import KilledWorker

        self.lost: tuple[type[BaseException], ...] = (KilledWorker, CancelledError)
        self._library: Any = distributed
        self._own, self._address = workers, address
        self._stack = ExitStack()

    @property
    def workers(self) -> int:
        """Workers there are now; late ones count from their arrival."""
        now = time.monotonic()
        if now - self._asked > 1.0:
            self._asked = now
            count = sum(self._client.nthreads().values())
            self._alive = now if count else self._alive
            self._known = max(1, count)
            if now - self._alive > JOIN_SECONDS:
                raise _without_workers()
        return self._known

    def submit(self, task: Compute, work: Work, batch: Sequence[Task]) -> Future[list[Outcome]]:
        """Hand over a batch."""
        return self._executor.submit(task, work, batch)

    def alone(self, task: Compute, work: Work, one: Task, halted: Callable[[], bool]) -> Outcome:
        """Compute one run as a batch of its own; which worker died is Dask's to know."""
        try:
            self._client.wait_for_workers(1, timeout=JOIN_SECONDS)  # the time of the run starts with a worker for it
        except TimeoutError:
            raise _without_workers() from None
        started = time.monotonic()
        try:
            return awaited(self.submit(task, work, [one]), work, halted)[0]
        except (*self.lost, TimeoutError):
            spent = time.monotonic() - started
            if work.seconds is not None and spent >= work.seconds:
                return Outcome(one.cell, one.run, reason=f"{TIME_LIMIT}: longer than {work.seconds:.3g} s")
            return Outcome(one.cell, one.run, reason="its Dask worker died (killed, or out of memory)")

    def restart(self) -> None:
        """Dask replaces dead workers by itself."""

    def __enter__(self) -> Dask:
        for name in ("distributed", "distributed.worker", "distributed.nanny", "distributed.scheduler"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # deaths are ours to report
        try:
            self._client = self._stack.enter_context(self._connected())
            self._executor = self._client.get_executor(pure=False, retries=0)
            self._asked, self._alive, self._known = 0.0, time.monotonic(), 1
            self._check_workers()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _connected(self) -> Any:
        if self._address is not None:
            try:
                return self._library.Client(self._address, timeout=10, set_as_default=False)
            except (OSError, ValueError, TimeoutError) as error:
                raise UsageError(f"--scheduler {self._address}: no Dask scheduler answers ({error})") from None
        from dask import config

        settings: Mapping[str, Any] = {
            "distributed.scheduler.allowed-failures": 0,  # whose fault a death is we find out ourselves
            "distributed.nanny.pre-spawn-environ": {"MALLOC_TRIM_THRESHOLD_": 65536, **_NANNY},
            "distributed.worker.multiprocessing-method": "spawn",
            "distributed.scheduler.http.routes": [],  # no page, no metrics
            "distributed.worker.http.routes": [],
        }
        self._stack.enter_context(config.set(settings))
        with interrupts_held():  # also for the threads that start here, and the workers that they start
            cluster = self._library.LocalCluster(
                n_workers=self._own,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
                memory_limit=0,  # the limit of a run is kept by the run
                silence_logs=logging.CRITICAL,
            )
        self._stack.enter_context(cluster)
        self._stack.callback(cluster.sync, _end_workers, cluster.workers.values())
        return self._library.Client(cluster, set_as_default=False)

    def _check_workers(self) -> None:
        """Refuse workers with another program, before the first run."""
        try:
            self._client.wait_for_workers(1, timeout=JOIN_SECONDS)
        except TimeoutError:
            raise UsageError(f"--scheduler {self._address}: has no workers") from None
        mine = environment.identity()
        for worker, theirs in sorted(self._client.run(fingerprint).items()):
            differing = program_changes(mine, theirs)
            if differing:
                raise UsageError(
                    f"{worker}: has another program or library ({'; '.join(differing)}); install there what runs here: "
                    f"pip install sim=={mine['model_version']} with the same lock file"
                )
