"""Whole runs, measured in a process of their own: see `lines.py`. Prints one line of JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

from sim.experiment.run import run, simulate
from sim.market import price_setting
from sim.market.kernels.price_panel import CompiledConditions
from sim.market.market import Market
from sim.months import parse_month
from sim.scenario.load import load_scenario

from . import limit

LARGEST = 500_000  # workloads above which a run is measured once, and not after another one

MONTHS = 6  # from one search of all labs for deviations to the next
STARTING = 4  # runs of an ensemble in which processes still start


def one(end: str, population: str, size: str, threads: str) -> dict[str, float]:
    """Return seconds and peak memory [MB] of a baseline run in a process that has made one before."""
    carried = "nodes" if population == "mean-field" else "workloads"
    settings: dict[str, Any] = {carried: int(size), "population": population, "runs": 1, "until": end}
    scenario = load_scenario("baseline", **settings)
    simulate(load_scenario("baseline", **settings | {carried: min(int(size), 2000)}), None, 0)
    spent = []
    for _ in range(1 if int(size) > LARGEST else 3):
        begin = time.perf_counter()
        simulate(scenario, None, 0, int(threads))
        spent.append(time.perf_counter() - begin)
    return {"seconds": min(spent), "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def least(end: str, nodes: str) -> dict[str, float]:
    """Return the least time of a mean-field run for choices and use of its nodes, by the operations counted [s]."""
    scenario = load_scenario("baseline", population="mean-field", nodes=int(nodes), runs=1, until=end)
    return {"seconds": limit.seconds_of_nodes(scenario, limit.speeds(10))}


def ensemble(end: str, nodes: str, runs: str) -> dict[str, float]:
    """Return the mean-field runs that two processes finish in a second, once both have started."""
    finished: list[float] = []
    scenario = load_scenario(
        "baseline", population="mean-field", nodes=int(nodes), runs=int(runs) + STARTING, until=end
    )
    run(scenario, twin=False, jobs=2, progress=lambda _: finished.append(time.perf_counter()))
    return {"rate": int(runs) / (finished[-1] - finished[STARTING - 1])}


def prices(nodes: str) -> dict[str, float]:
    """Return processor time of the price stage and, of it, of the search for deviations [ms a month].

    Averaged over half a year by rule, which holds one search of all labs.
    """
    market = Market(load_scenario("baseline", population="mean-field", nodes=int(nodes), runs=1))
    while market.month < parse_month("2026-07"):
        market.step()
    spent = {"stage": 0.0, "deviations": 0.0}

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            begin = time.process_time()
            try:
                return function(*arguments)
            finally:
                spent[name] += time.process_time() - begin

        return call

    price_setting.prices_month = timed("stage", price_setting.prices_month)
    CompiledConditions.gains = timed("deviations", CompiledConditions.gains)
    for _ in range(MONTHS):
        market.step()
    return {name: seconds / MONTHS * 1e3 for name, seconds in spent.items()}


if __name__ == "__main__":
    print(json.dumps({"one": one, "least": least, "ensemble": ensemble, "prices": prices}[sys.argv[1]](*sys.argv[2:])))
