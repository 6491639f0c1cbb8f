"""One session of work on a sweep: sized to the machine, checked, and run on the engine that was asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sim import storage
from sim.errors import UsageError
from sim.experiment.engines import Engine, Local
from sim.experiment.estimates import Needs, check_fits, needs, time_limit
from sim.experiment.executors import usable_cores
from sim.experiment.plan import make_plan
from sim.experiment.run import affordable_jobs, available_memory
from sim.experiment.sweep import Report, run_sweep
from sim.experiment.sweep_file import SweepFile

ENGINES = ("local", "dask")
WORTH_A_WORD = 0.2  # hours from which a sweep says beforehand how long it takes
LEAST_MEMORY = 2e9  # of a worker, whatever is free [bytes]


class Session:
    """What a command line asks for.

    Parameters
    ----------
    sweep : SweepFile
        What is to run.
    folder : path
        Where the results go.
    jobs : int, optional
        Processes; as many as cores and memory allow if left out.
    engine : {'local', 'dask'}
        Where runs are computed.
    scheduler : str, optional
        Address of a Dask scheduler.

    Raises
    ------
    UsageError
        If there is no such engine.
    """

    def __init__(
        self,
        sweep: SweepFile,
        folder: str | os.PathLike[str],
        jobs: int | None = None,
        engine: str = "local",
        scheduler: str | None = None,
    ):
        self.sweep, self.folder = sweep, Path(folder)
        if engine not in ENGINES:
            raise UsageError(f"engine: '{engine}' is unknown; allowed are {', '.join(ENGINES)}, or an executor")
        self.dask = engine == "dask" or scheduler is not None
        self.scheduler = scheduler
        self.workers = jobs or min(affordable_jobs(each, usable_cores()) for each in sweep.scenarios)
        self.needed: Needs = needs(sweep, self.workers)

    def engine(self) -> Engine:
        """Return the engine; called once there is something to run."""
        if not self.dask:
            return Local(self.workers)
        from sim.experiment.dask_engine import Dask

        return Dask(self.workers, self.scheduler)

    def run(
        self,
        *,
        force: bool = False,
        seconds: float | None = None,
        memory_limit: float | None = None,
        say: Callable[[str], Any] | None = None,
        **options: Any,
    ) -> Report:
        """Run what is left; see `sim.experiment.sweep.run_sweep` for the options and what it raises.

        Parameters
        ----------
        force : bool
            Start over, and however large the sweep is.
        seconds, memory_limit : float, optional
            Limits of one run [s], of one worker [MB].
        say : callable, optional
            Takes a line about what is going to happen.
        """
        if not force:
            check_fits(self.needed, storage.real(self.folder))
        if say and self.needed.hours > WORTH_A_WORD:
            hours = f"{self.needed.hours:.1f} hours on {self.workers} processes"
            say(f"{self.needed.runs:,} runs take about {hours}; Ctrl-C stops, and nothing is lost")
        here = None if self.scheduler else max(LEAST_MEMORY, available_memory() / self.workers)
        return run_sweep(
            make_plan(self.sweep),
            self.folder,
            self.engine,
            force=force,
            seconds=seconds or time_limit(self.needed),
            memory=memory_limit * 1e6 if memory_limit else here,
            say=say,
            **options,
        )


def sweep(
    file: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    jobs: int = 1,
    engine: str | Any = "local",
    scheduler: str | None = None,
    resume: bool = True,
    retry_failed: bool = False,
    allow_mixed: bool = False,
    force: bool = False,
    overrides: Sequence[str] = (),
    progress: Callable[[int, int, int], Any] | None = None,
    **settings: Any,
) -> Any:
    """Run a sweep and return its results, which are read from the folder as they are asked for.

    Parameters
    ----------
    file : str or path
        A sweep file, or the name of a packaged sweep.
    out : path, optional
        Folder of the results; ``outputs/<sweep name>`` if left out.
    jobs : int
        Worker processes; 1 computes in this one, where a run that kills its process takes the caller along.
    engine : {'local', 'dask'} or Executor
        Where runs are computed; any executor of `concurrent.futures` will do.
    scheduler : str, optional
        Address of a Dask scheduler.
    resume, retry_failed, allow_mixed, force : bool
        Go on with what is there; also with what failed; also with another program; start over.
    overrides : sequence of str
        Each ``dotted.path=value``.
    progress : callable, optional
        Called with the runs that ended so far, those planned and those failed.
    **settings
        ``runs``, ``seed``, ``workloads``, ``until``, ``population``, ``twin``.

    Returns
    -------
    SweepResults
        Iterate over it for one run at a time; `column` reads one column of all.

    Raises
    ------
    SimError
        As for the command; failed runs raise nothing and are in `SweepResults.failures`.
    """
    from sim.experiment.engines import Given, Inline
    from sim.experiment.sweep_file import load_sweep_file
    from sim.experiment.sweep_results import SweepResults

    if jobs < 1:
        raise UsageError(f"jobs must be 1 or more, not {jobs}")
    loaded = load_sweep_file(file, overrides=overrides, **settings)
    folder = Path(out) if out is not None else Path("outputs") / loaded.name
    common: dict[str, Any] = {"resume": resume, "retry_failed": retry_failed, "allow_mixed": allow_mixed}
    common |= {"force": force, "progress": progress}
    if not isinstance(engine, str):
        run_sweep(make_plan(loaded), folder, lambda: Given(engine, jobs), **common)
    elif jobs == 1 and engine == "local" and scheduler is None:
        run_sweep(make_plan(loaded), folder, Inline, **common)
    else:
        Session(loaded, folder, jobs, engine, scheduler).run(**common)
    return SweepResults(folder)
