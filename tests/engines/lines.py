"""The benchmark's lines about the two engines: what was measured, and what this version is meant to keep."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from sim.scenario.register import ENSEMBLE

Line = tuple[str, str, str]
NAMES = {
    "mesa": "choice: Mesa agents over ours",
    "textbook": "choice: textbook NumPy over ours",
    "chunked": "choice: chunked NumPy over ours",
    "month": "month with prices: Mesa over ours",
}
WANTED = {"mesa": "250 x", "chunked": "6 x", "month": "150 x"}  # at 100,000 workloads
COMPARED, LARGEST = 100_000, 10_000_000
NODES = int(ENSEMBLE["nodes"].default)
END, SMALL_END = "2030-12", "2026-02"


def printed(module: str, *arguments: object) -> Any:
    """Return what a module of this package prints in a fresh process."""
    command = [sys.executable, "-m", f"tests.engines.{module}", *map(str, arguments)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def lines(small: bool, largest: bool) -> Iterator[Line]:
    """Yield the lines: the choice stage and a month by size of the population, then whole runs."""
    for workloads in (2_000,) if small else (10_000, COMPARED, 1_000_000):
        yield from stage(printed("compare", workloads, 3 if small else 7))
    if largest:
        yield from stage(printed("compare", LARGEST, 3))
    found = printed("runs", "prices", 128 if small else NODES)
    what = "month's prices, of it the search for deviations"
    yield what, f"{found['stage']:.1f} ms, {found['deviations']:.1f} ms", ""
    yield from runs(small, largest)


def stage(found: dict[str, Any]) -> Iterator[Line]:
    """Yield the lines about one size of the population."""
    size, compared = f"{found['workloads']:,} workloads", found["workloads"] == COMPARED
    spent = f"{found['option_ns']:.2f} ns an option, {found['workload_ns']:.1f} a workload"
    yield f"choice, {size}, {found['offers']} offers", spent, ""
    yield f"choice: part of the limit, {size}", f"{found['limit']:.0%}", "25 %" if compared else ""
    if compared:
        speeds = ", ".join(f"{name} {spent:.3f}" for name, spent in found["speed"].items())
        yield "choice: speeds of the machine, ns each", speeds, ""
    for name, (middle, least, most) in found["ratios"].items():
        wanted = WANTED.get(name, "") if compared else ""
        yield f"{NAMES[name]}, {size}", f"{middle:.3g} x [{least:.3g} .. {most:.3g}]", wanted
    one, two = found["threads_ms"]
    yield f"choice: one and two threads, {size}", f"{one:.2f} ms, {two:.2f} ms", ""
    yield f"month with prices, {size}", f"{found['month_ms']:.1f} ms", ""


def runs(small: bool, largest: bool) -> Iterator[Line]:
    """Yield the lines about whole runs: the second in a process, drawing the population included."""
    sizes: list[tuple[str, int, int, str]] = [("mean-field", NODES, 1, "60 ms"), ("agents", 20_000, 1, "250 ms")]
    if small:
        sizes = [("mean-field", 128, 1, ""), ("agents", 2_000, 1, "")]
    else:
        sizes += [("agents", COMPARED, 1, ""), ("agents", 1_000_000, 1, ""), ("agents", 1_000_000, 2, "8,000 ms")]
    if largest:
        sizes += [("agents", LARGEST, 2, "24,000 MB")]
    end = SMALL_END if small else END
    for population, size, threads, wanted in sizes:
        found = printed("runs", "one", end, population, size, threads)
        carried = f"{size:,} {'nodes' if population == 'mean-field' else 'workloads'}"
        what = f"run to {end}, {population}, {carried}, {'two threads' if threads == 2 else 'one thread'}"
        yield what, f"{found['seconds'] * 1e3:,.0f} ms, {found['memory_mb']:,.0f} MB", wanted
    nodes = 128 if small else NODES
    what = f"least time for choices and use of nodes, {nodes:,} nodes"
    yield what, f"{printed('runs', 'least', end, nodes)['seconds'] * 1e3:,.0f} ms", ""
    measured = 8 if small else 50
    rate = printed("runs", "ensemble", end, nodes, measured)["rate"]
    what = f"mean-field runs to {end}, two processes, from {measured}"
    yield what, f"{rate:,.1f} runs a second, {1000.0 / rate:,.0f} s for 1,000", "" if small else "40 s"
