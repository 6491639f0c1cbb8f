"""Compile everything that a run needs, so that the first one does not wait for it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

# The hand-over and the first month of the rules, in which all stages and searches run; a few people will do.
HORIZON = ("horizon.start=2025-11", "horizon.end=2026-01")
WORKLOADS = 300


@dataclass(frozen=True)
class Warmup:
    """How many kernels a run used, how many of them had to be compiled, and where they are kept now."""

    used: int
    compiled: int
    seconds: float
    folder: Path
    kept: bool


def warm_up() -> Warmup:
    """Simulate three months of a small market; kernels that are not in the cache are compiled on the way."""
    from sim.market.kernels.compiled import CACHED, FOLDER, KERNELS
    from sim.market.market import Market
    from sim.scenario.load import load_scenario

    begin = time.perf_counter()
    market = Market(load_scenario("baseline", overrides=HORIZON, runs=1, workloads=WORKLOADS))
    market.run()
    seconds = time.perf_counter() - begin
    used = [kernel for kernel in KERNELS if kernel.signatures]
    found = [kernel for kernel in used if len(kernel.stats.cache_hits) > 0]
    return Warmup(len(used), len(used) - len(found), seconds, FOLDER, CACHED)
