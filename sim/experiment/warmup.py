"""Compile everything that a run needs, so that the first one does not wait for it, and clear away what is outdated."""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

# The hand-over and the first month of the rules, in which all stages and searches run; a few people will do.
HORIZON = ("horizon.start=2025-11", "horizon.end=2026-01")
WORKLOADS = 300
NODES = 64
KEPT_DAYS = 30  # that kernels are kept after a program last used them


@dataclass(frozen=True)
class Warmup:
    """How many kernels runs used, how many of them had to be compiled, where they are kept now, and what was removed.

    `folder` is None where this user has none, `refusal` is empty where all are kept now, else says why some are not;
    `removed` are folders of other versions, `stuck` those that would not go.
    """

    used: int
    compiled: int
    seconds: float
    folder: Path | None
    refusal: str
    removed: tuple[Path, ...]
    stuck: tuple[Path, ...]


def warm_up() -> Warmup:
    """Simulate three months of a small market with either population; what is not in the cache is compiled on the way.

    Where kernels are kept, those of other versions that no program used for 30 days are removed.
    """
    from sim.experiment.run import simulate
    from sim.market.kernels.compiled import CACHED, FOLDER, KERNELS
    from sim.market.kernels.kept import REFUSED
    from sim.scenario.load import load_scenario

    begin = time.perf_counter()
    for population in ("agents", "mean-field"):
        scenario = load_scenario(
            "baseline", overrides=HORIZON, runs=1, workloads=WORKLOADS, nodes=NODES, population=population
        )
        simulate(scenario, None, 0)
    seconds = time.perf_counter() - begin
    used = [kernel for kernel in KERNELS if kernel.signatures]
    found = [kernel for kernel in used if not kernel.stats.cache_misses and kernel.stats.cache_hits]
    removed, stuck = remove_unused(FOLDER) if CACHED and FOLDER is not None else ((), ())
    refusal = "there is no home folder" if FOLDER is None else f"{FOLDER}: {REFUSED[0].strerror}" if REFUSED else ""
    return Warmup(len(used), len(used) - len(found), seconds, FOLDER, refusal, removed, stuck)


def remove_unused(folder: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Remove the folders of kernels beside `folder` that no program used for 30 days, and nothing else.

    Returns
    -------
    tuple of tuple of Path
        Those removed, and those that could not be.
    """
    removed, stuck = [], []
    for other in sorted(folder.parent.iterdir()):
        if other.name == folder.name or not _outdated(other):
            continue
        shutil.rmtree(other, ignore_errors=True)
        (stuck if other.exists() else removed).append(other)
    return tuple(removed), tuple(stuck)


def _outdated(folder: Path) -> bool:
    """Return whether a folder holds kernels and nothing else, and was not used for 30 days; its date tells of use."""
    if not re.fullmatch(r"kernels-[0-9a-f]{12}", folder.name) or folder.is_symlink() or not folder.is_dir():
        return False
    if time.time() - folder.stat().st_mtime < KEPT_DAYS * 86400.0:
        return False
    return all(_of_numba(path) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def _of_numba(path: Path) -> bool:
    """Return whether Numba wrote a file: an index, compiled code, or either of them before it has its name."""
    return not path.is_symlink() and re.search(r"\.nb[ic](\.tmp\.\w+)?$", path.name) is not None
