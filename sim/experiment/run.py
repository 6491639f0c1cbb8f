"""Run a scenario: the only loop over replicates."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from sim.errors import UsageError

if TYPE_CHECKING:
    from sim.results import Results
    from sim.scenario.scenario import Scenario

# Measured on 2 cores at 3.6 GHz (docs/performance.md): refused above the limits unless forced.
BYTES_A_WORKLOAD, BYTES_A_NODE, BYTES_A_PROCESS = 900.0, 4000.0, 400e6
SECONDS_A_MONTH, SECONDS_A_ROW_MONTH, SECONDS_A_NODE_MONTH, WITH_TWIN = 0.010, 0.25e-6, 6e-6, 1.6
WITH_OPTION_NOISE = 2.0
HOURS_LIMIT = 24.0
THREADED = 200_000  # workloads from which threads inside a run pay
CHECKED_EACH_MONTH = (
    "workloads, tokens and money counted by seller equal those counted by buyer",
    "nothing is negative or not finite",
    "no segment uses more workloads than it has",
)


def simulate(
    scenario: Scenario, twin: str | None, replicate: int, threads: int = 1
) -> tuple[dict[str, Any], list[str]]:
    """Return the tables of one replicate and the identities that failed in it; threads change no bit."""
    from sim.market.market import Market

    market = Market(scenario.draw(replicate), twin=twin, threads=threads)
    try:
        tables = market.run().tables()
    finally:
        market.close()
    return tables, [f"run {replicate}, {line}" for line in market.violations]


def run(
    scenario: Scenario | str | os.PathLike[str],
    *,
    runs: int | None = None,
    seed: int | None = None,
    workloads: int | None = None,
    nodes: int | None = None,
    noise: str | None = None,
    population: str | None = None,
    until: str | None = None,
    twin: bool | str = True,
    jobs: int = 1,
    command: Sequence[str] = (),
    overrides: Sequence[str] = (),
    progress: Callable[[int], Any] | None = None,
) -> Results:
    """Run an ensemble of one scenario.

    Parameters
    ----------
    scenario : Scenario or path or str
        A loaded scenario, a file, or the name of a packaged one.
    runs, seed, workloads, nodes, noise, population, until
        Replace what the scenario says; see `Scenario.replace`.
    twin : bool or str
        World without open weights to run beside, which gives `pricing_pressure`: True for `weights_withheld`, or
        `never_developed`; False or `none` leaves the column empty and takes half the time.
    jobs : int
        Worker processes; 1 computes in this one. The content does not depend on it.
    command, overrides : sequence of str
        Noted in the manifest.
    progress : callable, optional
        Called with the number of finished runs.

    Returns
    -------
    Results
        Tables in memory; `sim.save` writes them.

    Raises
    ------
    ScenarioError
        If the scenario or a replacement is not allowed.
    WorkerLost
        If a worker process dies.
    """
    from sim.content import combine
    from sim.identities import CHECKED, broken_identities
    from sim.manifest import build_manifest
    from sim.market.observe import NOT_FILLED
    from sim.results import Results
    from sim.scenario.load import load_scenario

    if jobs < 1:
        raise UsageError(f"jobs must be 1 or more, not {jobs}")
    loaded = load_scenario(scenario) if isinstance(scenario, (str, os.PathLike)) else scenario
    loaded = loaded.replace(
        runs=runs, seed=seed, workloads=workloads, nodes=nodes, noise=noise, population=population, until=until
    )
    started, clock = datetime.now(UTC), time.monotonic()
    finished: dict[int, dict[str, Any]] = {}
    broken: dict[int, list[str]] = {}
    world = twin_world(twin)
    for replicate, (tables, violations) in _computed(loaded, world, min(jobs, loaded.runs), jobs):
        finished[replicate], broken[replicate] = tables, violations
        if progress:
            progress(len(finished))
    tables = combine(finished)
    violations = [line for k in sorted(broken) for line in broken[k]] + broken_identities(tables)
    manifest = build_manifest(
        loaded,
        tables,
        seed=loaded.seed,
        runs=loaded.runs,
        workloads=loaded.workloads,
        options=run_options(loaded, world),
        started=started,
        seconds=time.monotonic() - clock,
        command=command,
        overrides=overrides,
        warnings=loaded.warnings,
        checked=(*CHECKED_EACH_MONTH, *CHECKED),
        violations=violations,
        not_filled=NOT_FILLED[loaded.population],
        not_observed=series_not_observed(tables),
    )
    return Results(tables, manifest, loaded.resolved(), loaded.resolved_text())


def series_not_observed(tables: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return ``panel: series`` of the evidence for which the tables of a result hold no row, sorted."""
    from sim.evidence import observations

    panels = tables["panels"]
    one = panels["run"] == panels["run"].min()  # every run records the same series
    recorded = set(zip(panels["panel"][one].tolist(), panels["series"][one].tolist(), strict=True))
    return sorted(
        {f"{seen.panel}: {seen.series}" for seen in observations() if (seen.panel, seen.series) not in recorded}
    )


def twin_world(twin: bool | str) -> str | None:
    """Return the name of the world without open weights, None for no such world.

    Raises
    ------
    UsageError
        If the name is unknown.
    """
    from sim.scenario.schema import WITHHELD, WORLDS

    if isinstance(twin, bool):
        return WITHHELD if twin else None
    if twin == "none":
        return None
    if twin not in WORLDS:
        raise UsageError(f"twin: '{twin}' is unknown; allowed are {', '.join(WORLDS)}, or none")
    return twin


def run_options(scenario: Scenario, world: str | None) -> Mapping[str, Any]:
    """Return the choices beside the scenario that change the content."""
    return {
        "population": scenario.population,
        "nodes": scenario.nodes,
        "noise": scenario.noise,
        "twin": world or "none",
    }


def _computed(scenario: Scenario, world: str | None, workers: int, jobs: int):
    if workers == 1:
        threads = jobs if _drawing(scenario) >= THREADED else 1
        for replicate in range(scenario.runs):
            yield replicate, simulate(scenario, world, replicate, threads)
        return
    from sim.experiment.executors import completed, local_pool

    with local_pool(workers) as pool:
        yield from completed(pool, partial(simulate, scenario, world), range(scenario.runs), workers=workers)


def estimated_hours(scenario: Scenario, workers: int, world: str | None = None) -> float:
    """Return about how long an ensemble takes [hours]."""
    months = scenario.end - scenario.start + 1
    each = SECONDS_A_ROW_MONTH * _drawing(scenario) * (WITH_OPTION_NOISE if scenario.noise == "options" else 1.0)
    each += SECONDS_A_MONTH + SECONDS_A_NODE_MONTH * scenario.nodes
    each *= WITH_TWIN if world else 1.0
    return scenario.runs * months * each / workers / 3600.0


def affordable_jobs(scenario: Scenario, cores: int) -> int:
    """Return how many processes fit in memory, at least one and at most one a core."""
    return max(1, min(cores, int(available_memory() // bytes_a_process(scenario))))


def bytes_a_process(scenario: Scenario) -> float:
    """Return about how much memory a process takes that runs a scenario [bytes]."""
    return BYTES_A_PROCESS + BYTES_A_NODE * scenario.nodes + BYTES_A_WORKLOAD * _drawing(scenario)


def _drawing(scenario: Scenario) -> int:
    """Return how many workloads draw: none where nodes carry the population."""
    return 0 if scenario.population == "mean-field" else scenario.workloads


def check_cost(scenario: Scenario, jobs: int, world: str | None = None) -> None:
    """Refuse an ensemble that cannot fit in memory or would take days.

    Raises
    ------
    UsageError
        With the estimate and what to change.
    """
    workers = min(jobs, scenario.runs)
    what = "nodes" if scenario.population == "mean-field" else "workloads"
    size = f"{getattr(scenario, what):,} {what}"
    needed = workers * bytes_a_process(scenario)
    available = available_memory()
    if needed > available:
        raise UsageError(
            f"ensemble.{what}: {size} in {workers} processes need about "
            f"{needed / 1e9:.1f} GB of memory, {available / 1e9:.1f} GB are free; use fewer --{what} or --jobs, "
            "or --force to try"
        )
    months = scenario.end - scenario.start + 1
    hours = estimated_hours(scenario, workers, world)
    if hours > HOURS_LIMIT:
        raise UsageError(
            f"ensemble: {scenario.runs:,} runs of {months} months with {size} take about "
            f"{hours:,.0f} hours on {workers} processes; use fewer --runs or --{what}, or --force to start anyway"
        )


def available_memory() -> float:
    """Return the memory that can be used without swapping [bytes]; a guess of 8 GB where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return float(line.split()[1]) * 1024.0
    except OSError:
        pass
    return 8e9
