"""The commands of experiments at scale: sweep, status, reproduce."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from sim import interrupts
from sim.cli.progress import Progress, in_words
from sim.errors import UsageError

LISTED = 10  # failures on the screen
FAILED = 3


@click.command()
@click.argument("sweep", metavar="SWEEP")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the results.  [default: outputs/<sweep name>]")
@click.option("--runs", type=int, help="Replicates of each cell.  [default: the file's]")
@click.option("--seed", type=int, help="Seed of all runs.  [default: the file's]")
@click.option("--population", help="agents or mean-field.  [default: the scenario's]")
@click.option("--workloads", type=int, help="Simulated workloads in a run.  [default: the file's]")
@click.option("--until", metavar="YYYY-MM", help="Last month.  [default: the file's]")
@click.option("--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Replace a value of every scenario.")
@click.option("--twin", metavar="WORLD", help="World without open weights to run beside, or none.  [default: none]")
@click.option("--dry-run", is_flag=True, help="Say how many cells, how large and how long, and stop.")
@click.option("--resume", is_flag=True, help="Go on with what is there; damaged runs are computed again.")
@click.option("--retry-failed", is_flag=True, help="Go on, and try again what failed.")
@click.option("--allow-mixed", is_flag=True, help="Go on with another program version; every run is marked.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes to use.  [default: all cores]")
@click.option("--engine", type=click.Choice(["local", "dask"]), default="local", show_default=True)
@click.option("--scheduler", metavar="ADDRESS", help="Dask scheduler to use, such as tcp://host:8786.")
@click.option("--time-limit", "seconds", type=click.FloatRange(min=0.01), metavar="SECONDS", help="Limit of one run.")
@click.option("--memory-limit", type=click.FloatRange(min=1), metavar="MB", help="Memory of one worker.")
@click.option("--force", is_flag=True, help="Start over; start however large.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def sweep(
    ctx: click.Context,
    sweep: str,
    out: Path | None,
    runs: int | None,
    overrides: tuple[str, ...],
    twin: str | None,
    dry_run: bool,
    jobs: int | None,
    engine: str,
    scheduler: str | None,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Run a designed experiment: every cell of SWEEP, a file or the name of a packaged sweep.

    Finished runs are kept at once; --resume goes on after any interruption. Exit code 3 lists cells that failed.
    """
    from sim.experiment.sweep_file import load_sweep_file

    settings = {key: options.pop(key) for key in ("seed", "population", "workloads", "until")}
    loaded = load_sweep_file(sweep, overrides=overrides, runs=runs, twin=twin, **settings)
    if not quiet:
        for note in loaded.notes:
            click.echo(f"note: {note}", err=True)
    folder = out or Path("outputs") / loaded.name
    from sim.experiment.session import Session

    if not dry_run:
        ctx.obj.answer = partial(_answer, folder)
    interrupts.release()
    session = Session(loaded, folder, jobs, engine, scheduler)
    if dry_run:
        _print_plan(session, as_json)
        return
    with Progress(loaded.name, session.needed.hours, silent=quiet or as_json) as bar:
        report = session.run(
            **options,
            command=["sim", *sys.argv[1:]],
            resume_command=_resume_command(),
            progress=bar.update,
            say=None if quiet else lambda text: click.echo(text, err=True),
        )
    if as_json:
        totals = dict(report.totals)
        click.echo(json.dumps({"folder": str(folder), "computed": report.computed, **totals}, indent=1))
    elif not quiet:
        _print_report(report, folder)
    ctx.exit(FAILED if report.totals["failed_runs"] else 0)


def _answer(folder: Path) -> str:
    """Return what is true of a command that is stopped, with the way on where a sweep is in the folder."""
    from sim.experiment.folder import is_sweep

    if not is_sweep(folder):
        return interrupts.what_was_written()
    return f"stopped: what is finished is kept in {folder}; go on with: {_resume_command()}"


def _resume_command() -> str:
    """Return the command line that goes on with what this one began."""
    words = ["sim", *(word for word in sys.argv[1:] if word != "--force")]
    return shlex.join(words if "--resume" in words else [*words, "--resume"])


def _print_plan(session: Any, as_json: bool) -> None:
    """Print what a sweep would need."""
    from sim.experiment.estimates import size

    needed, swept = session.needed, session.sweep
    facts = {
        "name": swept.name,
        "cells": needed.cells,
        "runs": needed.runs,
        "store": swept.store,
        "disk_bytes": round(needed.disk),
        "memory_bytes": round(needed.memory),
        "hours": needed.hours,
        "jobs": session.workers,
        "factors": [{"path": factor.path, "kind": factor.kind, "unit": factor.unit} for factor in swept.factors],
    }
    if as_json:
        click.echo(json.dumps(facts, indent=1))
        return
    at_least = " at least" if swept.stop else ""
    click.echo(f"{swept.name}: {needed.cells:,} cells x {swept.runs} runs = {needed.runs:,} runs{at_least}")
    click.echo(f"  design   {swept.design.kind} over {', '.join(each.name for each in swept.scenarios)}")
    for kind, title in (("lever", "levers"), ("uncertainty", "uncertain"), ("setting", "settings")):
        paths = [factor.path for factor in swept.factors if factor.kind == kind]
        if paths:
            click.echo(f"  {title:8} {', '.join(paths)}")
    click.echo(f"  disk     {size(needed.disk)} (store: {swept.store})")
    click.echo(f"  memory   {size(needed.memory)} on {session.workers} processes")
    click.echo(f"  time     {in_words(needed.hours)}")


def _print_report(report: Any, folder: Path) -> None:
    from sim.experiment.overview import overview

    totals = report.totals
    for line in report.repairs:
        click.echo(f"repaired: {line}", err=True)
    if not report.computed:
        click.echo(f"Already there: the same sweep and version gave {folder}; --force runs it again.", err=True)
    for line in overview(folder):
        click.echo(line)
    mixed = "; computed by more than one program version" if totals["mixed"] else ""
    click.echo(
        f"Sweep {totals['result_id']} in {folder}/: {totals['done']:,} of {totals['cells']:,} cells, "
        f"{totals['done_runs']:,} runs{mixed}"
    )
    _print_failures(totals["failures"], totals["failed_runs"])


def _print_failures(failures: list[dict[str, Any]], count: int) -> None:
    for entry in failures[:LISTED]:
        click.echo(failure_line(entry), err=True)
    if count > LISTED:
        click.echo(f"failed: and {count - LISTED:,} more; sim status lists them", err=True)


def failure_line(entry: Mapping[str, Any]) -> str:
    """Return a failed run and its reason as a line, without control characters (CWE-150)."""
    tries = f"{entry['attempts']} attempts" if entry["attempts"] > 1 else "1 attempt"
    reason = entry["reason"].translate(dict.fromkeys((*range(32), *range(127, 160))))
    return f"failed: cell {entry['cell']}, run {entry['run']}, {tries}: {reason}"


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=str))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def status(folder: str, as_json: bool) -> None:
    """Show what of a sweep is planned, done and failed, with every failure's reason."""
    from sim.experiment.status import status as status_of

    found = status_of(folder)
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    runs = found["runs"]
    state = "finished" if found["finished"] else "running" if found.get("running") else "not finished"
    what = "cells" if found["kind"] == "sweep" else "runs"
    done = f"{found['done']:,} of {found['planned']:,} {what} done, {found['failed']:,} failed"
    click.echo(f"{found['name']}: {state}; {done}")
    if found["kind"] == "sweep":
        click.echo(f"  runs: {runs['done']:,} of {runs['planned']:,} done, {runs['failed']:,} failed")
        left = runs["planned"] - runs["done"] - runs["failed"]
        if left > 0 and found["seconds_a_run"]:
            click.echo(f"  left: {left:,} runs, {in_words(left * found['seconds_a_run'] / 3600)} on one process")
        if found["mixed"]:
            click.echo("  computed by more than one program version (column code of the runs)")
    for entry in found["failures"]:
        click.echo(f"  {failure_line(entry)}")


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=str))
@click.option("--sample", default="5%", show_default=True, metavar="PART", help="Part of the runs (5%) or a number.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes to use.  [default: all cores]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def reproduce(ctx: click.Context, folder: str, sample: str, jobs: int | None, as_json: bool) -> None:
    """Run a sample of a result or sweep again and compare its content.

    Exit code 1 if a run comes out differently.
    """
    from sim.experiment.reproduce import reproduce as reproduce_folder

    found = reproduce_folder(folder, **_part(sample), jobs=jobs)
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        for note in found["notes"]:
            click.echo(f"note: {note}", err=True)
        for line in found["differing"]:
            click.echo(line)
        count = f"{found['equal']:,} of {found['sample']:,}"
        click.echo(f"{folder}: {count} runs came out the same, of {found['runs']:,} in all")
    ctx.exit(1 if found["differing"] else 0)


def _part(text: str) -> dict[str, Any]:
    """Return a sample as a part, from a text like 5%, or as a number of runs."""
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = 0.0
    if text.endswith("%") and 0 < number <= 100:
        return {"part": number / 100.0}
    if text.isascii() and text.isdigit() and number > 0:
        return {"count": int(text)}
    raise UsageError(f"--sample: '{text}' is neither a part such as 5% nor a number of runs")
