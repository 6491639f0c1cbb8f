"""One run of one cell, as a worker computes it: drawn, simulated, checked, cut to what is stored, hashed and packed.

Nothing here writes; the coordinator keeps what comes back. A run is given a limit of time, kept by a watch that needs
no Python lock, and one of memory, kept by the system; a worker that breaks the first dies, which the coordinator sees.
"""

from __future__ import annotations

import contextlib
import faulthandler
import hashlib
import os
import time
import traceback
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from sim import environment
from sim.errors import InvariantError, UsageError
from sim.experiment.plan import Plan, program_changes
from sim.experiment.run import simulate
from sim.record import Tables
from sim.scenario.load import scenario_from_text
from sim.scenario.points import at_point
from sim.scenario.scenario import Scenario

OUT_OF_MEMORY = "out of memory"  # how the reason of a run that took too much begins
TRACE_LIMIT = 4000  # characters of a traceback that are kept


@dataclass(frozen=True)
class Work:
    """What all runs of a sweep share; small, since it goes with every batch.

    Parameters
    ----------
    scenarios : tuple of bytes
        Resolved texts, compressed.
    twin : str, optional
        World without open weights to run beside.
    store : {'full', 'headline', 'summary'}
        What of a run is kept.
    dates : tuple of int
        Months that `summary` keeps.
    metric : tuple of str and int, optional
        Column of the market and month that the stop rule looks at.
    identity : dict of str
        Program and libraries that must be the worker's own.
    seconds, memory : float, optional
        Limits of one run [s], [bytes].
    """

    scenarios: tuple[bytes, ...]
    twin: str | None
    store: str
    dates: tuple[int, ...]
    metric: tuple[str, int] | None
    identity: Mapping[str, str]
    seconds: float | None = None
    memory: float | None = None

    @classmethod
    def of(cls, plan: Plan, *, seconds: float | None = None, memory: float | None = None) -> Work:
        """Return the work of a plan, under the program that runs now."""
        packed = tuple(zlib.compress(text.encode()) for text in plan.scenarios)
        metric = (plan.stop.metric, plan.stop.date) if plan.stop else None
        facts = plan.facts
        return cls(packed, facts["twin"], facts["store"], plan.dates, metric, environment.identity(), seconds, memory)

    @classmethod
    def of_text(cls, text: str, twin: str | None) -> Work:
        """Return the work of a single scenario of which everything is kept."""
        return cls((zlib.compress(text.encode()),), twin, "full", (), None, environment.identity())


@dataclass(frozen=True)
class Task:
    """One run to compute: replicate `run` of a cell, which is `scenario` at `values`."""

    cell: int
    run: int
    scenario: int
    values: Mapping[str, float | str]


@dataclass(frozen=True)
class Outcome:
    """What came of a run.

    Parameters
    ----------
    cell, run : int
        Which.
    payload : bytes
        Its tables, packed; empty if it failed.
    key : str
        SHA-256 of all that decides the run: scenario at the point, replicate, program.
    content : str
        SHA-256 of the stored tables.
    seconds : float
        How long it took [s].
    measure : float
        The metric of the stop rule; NaN if there is none.
    attempts : int
        How often it was tried.
    reason, trace : str
        Why it failed, in one line, and where; empty if it did not.
    """

    cell: int
    run: int
    payload: bytes = b""
    key: str = ""
    content: str = ""
    seconds: float = 0.0
    measure: float = float("nan")
    attempts: int = 1
    reason: str = ""
    trace: str = ""


def compute(work: Work, tasks: Sequence[Task], one: Callable[[Work, Task], Outcome] | None = None) -> list[Outcome]:
    """Return the outcome of each task; a run that raises is an outcome too.

    Parameters
    ----------
    work : Work
        What all runs share.
    tasks : sequence of Task
        Which to compute.
    one : callable
        What computes one run; `compute_one` if left out.

    Raises
    ------
    UsageError
        If this worker has another program than the coordinator.
    """
    differing = program_changes(work.identity, environment.identity())
    if differing:
        raise UsageError(f"a worker has another program or library ({'; '.join(differing)}); {_cure(work)}")
    if one is None:
        warm_up()  # before any limit of time counts
    return [_attempt(work, task, one or compute_one) for task in tasks]


def _cure(work: Work) -> str:
    return f"install there what runs here: pip install sim=={work.identity['model_version']} with the same lock file"


def _attempt(work: Work, task: Task, one: Callable[[Work, Task], Outcome]) -> Outcome:
    try:
        with limits(work.seconds, work.memory):
            return one(work, task)
    except MemoryError:
        size = f"{work.memory / 1e9:.1f} GB" if work.memory else "what is free"
        return Outcome(task.cell, task.run, reason=f"{OUT_OF_MEMORY}: it needs more than {size}", trace=_trace())
    except Exception as error:  # whatever a run raises is recorded with its cell, and the others go on
        first = str(error).strip().split("\n")[0]
        return Outcome(task.cell, task.run, reason=f"{type(error).__name__}: {first}"[:500], trace=_trace())


def _trace() -> str:
    return environment.redacted(traceback.format_exc()[-TRACE_LIMIT:])


def compute_one(work: Work, task: Task) -> Outcome:
    """Return the outcome of a run that succeeds.

    Raises
    ------
    InvariantError
        If what it found does not add up.
    """
    from sim.content import combine, content_hash, table_hashes
    from sim.experiment.shards import pack
    from sim.identities import broken_identities

    base = _scenario(work.scenarios[task.scenario])
    started = time.monotonic()
    scenario = at_point(base, task.values)
    tables, violations = simulate(scenario, work.twin, task.run)
    tables = combine({task.run: tables})
    violations += broken_identities(tables)
    if violations:
        raise InvariantError(f"{len(violations)} identities failed, first: {violations[0]}")
    measure = _measure(tables, work.metric)
    kept = stored(tables, work.store, work.dates)
    return Outcome(
        task.cell,
        task.run,
        payload=pack(kept),
        key=run_key(scenario, task.run, work),
        content=content_hash(table_hashes(kept)),
        seconds=time.monotonic() - started,
        measure=measure,
    )


def warm_up() -> None:
    """Load what a run needs, so that the first one is not timed with it."""
    import_module("sim.market.market")


@lru_cache(maxsize=64)
def _scenario(packed: bytes) -> Scenario:
    return scenario_from_text(zlib.decompress(packed).decode(), "scenario of the sweep")


def run_key(scenario: Scenario, run: int, work: Work) -> str:
    """Return the SHA-256 of all that decides the stored content of a run."""
    parts = [scenario.content_hash(), run, work.twin, work.store, *work.dates, *sorted(work.identity.items())]
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


def stored(tables: Tables, store: str, dates: Sequence[int]) -> Tables:
    """Return what a store keeps of the tables of a run."""
    if store == "full":
        return tables
    market = tables["market"]
    if store == "summary":
        at = np.isin(market["month"], np.asarray(dates, dtype=market["month"].dtype))
        market = {name: values[at] for name, values in market.items()}
    return {"market": market}


def _measure(tables: Tables, metric: tuple[str, int] | None) -> float:
    if metric is None:
        return float("nan")
    name, month = metric
    found = tables["market"][name][tables["market"]["month"] == month]
    return float(found[0]) if len(found) else float("nan")


@contextlib.contextmanager
def limits(seconds: float | None, memory: float | None) -> Iterator[None]:
    """Hold the block to a time, after which this process ends itself, and to an amount of memory of its own."""
    with contextlib.ExitStack() as stack:
        if memory is not None:
            stack.enter_context(_memory_limit(int(memory)))
        if seconds is not None:
            sink = stack.enter_context(open(os.devnull, "w", encoding="ascii"))
            faulthandler.dump_traceback_later(seconds, exit=True, file=sink)
            stack.callback(faulthandler.cancel_dump_traceback_later)
        yield


@contextlib.contextmanager
def _memory_limit(memory: int) -> Iterator[None]:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_DATA)
    hard = before[1]
    resource.setrlimit(resource.RLIMIT_DATA, (memory if hard == resource.RLIM_INFINITY else min(memory, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def fingerprint(*_: Any) -> Mapping[str, str]:
    """Return the identity of the process that is asked."""
    return environment.identity()
