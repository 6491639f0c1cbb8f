"""`make bench`: what a run costs on this machine, as one table. Not a test: it is timed, and noisy on a shared machine.

Every measurement runs in a process of its own; ratios are taken between interleaved rounds of one invocation.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import psutil

from tests.engines.lines import SMALL_END, lines

ROUNDS = 5
ENGINES, SWEEPS = (Path(__file__).parent.parent / "docs" / name for name in ("performance.md", "scale.md"))


def python(code: str) -> tuple[float, float, str]:
    """Run code in a fresh interpreter; return wall seconds, peak memory [MB] of it and its children, and its output."""
    program = (
        f"{code}\nimport resource as r\n"
        "print('peak', max(r.getrusage(w).ru_maxrss for w in (r.RUSAGE_SELF, r.RUSAGE_CHILDREN)) / 1024)"
    )
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - started
    *lines, last = done.stdout.strip().splitlines()
    return seconds, float(last.split()[1]), "\n".join(lines)


def first_month(population: str, rounds: int) -> float:
    """Return seconds from the start of a process, imports as in the command line, to the end of its first month."""
    code = (
        "from sim.imports import import_market\nimport_market()\n"
        "from sim.scenario.load import load_scenario\nfrom sim.market.market import Market\n"
        f"Market(load_scenario('baseline', population={population!r})).step()"
    )
    return statistics.median(python(code)[0] for _ in range(rounds))


def month_cost(workloads: int, months: int, rounds: int) -> tuple[float, float]:
    """Return milliseconds a month and nanoseconds a workload-month of the whole model, median over rounds."""
    code = (
        "import time\nfrom sim.scenario.load import load_scenario\nfrom sim.market.market import Market\n"
        f"s = load_scenario('baseline').replace(workloads={workloads}, runs=1)\n"
        "m = Market(s)\n"
        f"for _ in range(36): m.step()\nt = time.perf_counter()\nfor _ in range({months}): m.step()\n"
        "print(time.perf_counter() - t)"
    )
    spent = statistics.median(float(python(code)[2]) for _ in range(rounds)) / months
    return spent * 1e3, spent / workloads * 1e9


def run_cost(workloads: int, rounds: int) -> tuple[float, float]:
    """Return seconds and peak memory [MB] of one baseline run, imports included."""
    code = (
        "from sim.scenario.load import load_scenario\nfrom sim.experiment.run import simulate\n"
        f"simulate(load_scenario('baseline').replace(workloads={workloads}, runs=1), None, 0)"
    )
    found = [python(code) for _ in range(rounds)]
    return statistics.median(f[0] for f in found), max(f[1] for f in found)


def ensemble_cost(runs: int, jobs: int, workloads: int, options: tuple[str, ...] = ()) -> tuple[float, float]:
    """Return seconds and peak memory of one process [MB] of `sim run`, figures and files included."""
    with tempfile.TemporaryDirectory() as place:
        arguments = [
            "run",
            "baseline",
            "--runs",
            runs,
            "--workloads",
            workloads,
            "--jobs",
            jobs,
            "--quiet",
            *options,
            "--out",
        ]
        code = f"from sim.cli import main\nassert main({[*map(str, arguments), str(Path(place) / 'r')]!r}) == 0"
        guarded = f"if __name__ == '__main__':\n    {code.replace(chr(10), chr(10) + '    ')}"
        seconds, memory, _ = python(guarded)
    return seconds, memory


def start_up(rounds: int) -> float:
    """Return the time of `sim --help` over that of importing click, median of interleaved rounds."""
    python("import click")
    ratios = []
    for _ in range(rounds):
        helped, _, _ = python("from sim.cli import main\nmain(['--help'])")
        imported, _, _ = python("import click")
        ratios.append(helped / imported)
    return statistics.median(ratios)


def rejection(rounds: int) -> tuple[float, float]:
    """Return seconds and memory [MB] of refusing a scenario with a mistyped key."""
    with tempfile.TemporaryDirectory() as place:
        bad = Path(place) / "bad.yaml"
        bad.write_text("name: bad\nparameters:\n  demand.valeu: 3\n")
        code = f"from sim.cli import main\nassert main(['run', {str(bad)!r}]) == 2"
        found = [python(code) for _ in range(rounds)]
    return statistics.median(f[0] for f in found), max(f[1] for f in found)


def rows(small: bool, largest: bool):
    """Yield (what, measured, limit) for each line of the table."""
    yield from lines(small, largest)
    rounds = 1 if small else ROUNDS
    ratio = start_up(max(rounds, 3))
    yield "sim --help over import click", f"{ratio:.2f} x", "3 x"
    seconds, memory = rejection(rounds)
    yield "refusing a bad scenario", f"{seconds:.2f} s, {memory:.0f} MB", "1 s, 300 MB"
    for population in ("agents", "mean-field"):
        seconds = first_month(population, max(rounds, 3))
        yield f"first month of a fresh process, {population}", f"{seconds:.2f} s", "1 s"
    for workloads in (2_000,) if small else (2_000, 20_000, 200_000):
        spent, each = month_cost(workloads, 6 if small else 24, rounds if workloads < 100_000 else 1)
        yield f"one month in 2026-28, {workloads:,} workloads", f"{spent:.1f} ms, {each:.0f} ns a workload", ""
    workloads = 2_000 if small else 20_000
    seconds, memory = run_cost(workloads, min(rounds, 3))
    yield (
        f"one baseline run of 90 months, {workloads:,} workloads",
        f"{seconds:.1f} s, {memory:.0f} MB",
        "4 s, 1,000 MB",
    )
    runs = 2 if small else 32
    what = f"sim run, {runs} runs, 2 processes, files and figures"
    shorter = ("--until", SMALL_END) if small else ()
    seconds, memory = ensemble_cost(runs, 2, workloads, ("--no-twin", *shorter))
    yield f"{what}, no twin", f"{seconds:.0f} s, {memory:.0f} MB", "80 s, 1,000 MB"
    seconds, memory = ensemble_cost(runs, 2, workloads, shorter)
    yield what, f"{seconds:.0f} s, {memory:.0f} MB", ""


def sweep_rows(small: bool):
    """Yield the lines about sweeps: made-up runs of known length, so that only what is beside the runs is measured."""

    def measured(*arguments: object) -> list[float]:
        command = [sys.executable, "-m", "tests.bench_sweeps", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return [float(word) for word in done.stdout.split()]

    first, many, read = (200, 1_000, 500) if small else (1_000, 100_000, 10_000)
    low, _ = measured("memory", first)
    high, each = measured("memory", many)
    yield (
        f"coordinator of {first:,} cells, of {many:,}",
        f"{low:.0f} MB, {high:.0f} MB, {each * 1e3:.2f} ms a cell",
        "500 MB",
    )
    seconds, size = measured("reading", read)
    yield f"one metric of {read:,} runs of 90 months", f"{seconds:.2f} s, {size / 1e3:.1f} kB a run", "2 s"
    if small:
        return
    share, _ = measured("overhead")
    yield "overhead of a 1-second cell on two processes", f"{share:.2%}", "2 %"
    ratio, low, high, plain, least, most, share, worst, best, one, two = measured("speed_up")
    yield "two processes over one, runs of the model", f"{ratio:.2f} x ({low:.2f} to {high:.2f})", "1.8 x"
    yield "  two plain processes over one: what the machine allows", f"{plain:.2f} x ({least:.2f} to {most:.2f})", ""
    yield "  the first over the second, round by round", f"{share:.2f} ({worst:.2f} to {best:.2f})", ""
    yield "  seconds to the first result, one process, two", f"{one:.1f} s, {two:.1f} s", ""
    for workloads, until in ((20_000, "2025-12"), (400_000, "2024-06")):
        workers, threads = measured("threads", workloads, until)
        what = f"a run of {workloads:,} on two cores: two workers, two threads"
        yield what, f"{workers:.2f} s, {threads:.2f} s", ""
    for engine in ("dask", "local"):
        rate, used = measured("rate", engine, 20_000)
        what = f"1-ms cells a second on two workers, {engine}"
        yield what, f"{rate:,.0f}, {used * 1e3:.2f} ms of the coordinator a cell", "2,000 without any overhead"


def table(small: bool, largest: bool = False, pages: Sequence[Path] = (ENGINES, SWEEPS)) -> dict[Path, list[str]]:
    """Measure, print and return the lines of the table by the page that shows them, each with one about the machine."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    machine = (
        f"Python {sys.version.split()[0]}, NumPy {version('numpy')}, Numba {version('numba')}, {processor()}, "
        f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, load {load:.1f} at the start"
    )
    print(machine, flush=True)
    shown: dict[Path, list[str]] = {}
    measured = {ENGINES: rows(small, largest), SWEEPS: sweep_rows(small)}
    for page in pages:
        shown[page] = [machine]
        for what, found, limit in measured[page]:
            shown[page].append(f"{what:58s} {found:44s} {'limit ' + limit if limit else ''}".rstrip())
            print(shown[page][-1], flush=True)
    return shown


def processor() -> str:
    """Return the name of the processor for which kernels are compiled."""
    from llvmlite import binding

    return binding.get_host_cpu_name()


def write(shown: dict[Path, list[str]]) -> None:
    """Put lines into the places that pages have for them."""
    for page, measured in shown.items():
        head, _, rest = re.split("(?<=<!-- bench -->\n)(.*)(?=\n<!-- /bench -->)", page.read_text(), flags=re.DOTALL)
        page.write_text(head + "```text\n" + "\n".join(measured) + "\n```" + rest)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure what a run costs on this machine.")
    parser.add_argument("--small", action="store_true", help="a quick pass over every measurement")
    parser.add_argument("--largest", action="store_true", help="a run of ten million workloads too: minutes and memory")
    parser.add_argument("--sweeps", action="store_true", help="only the lines about sweeps: a few minutes")
    parser.add_argument("--write", action="store_true", help="put the lines into docs/performance.md and docs/scale.md")
    arguments = parser.parse_args()
    everything = table(arguments.small, arguments.largest, [SWEEPS] if arguments.sweeps else [ENGINES, SWEEPS])
    if arguments.write:
        write(everything)
