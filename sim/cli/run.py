"""`sim run`: an ensemble of one scenario, its table on the screen, its folder on disk."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from sim.cli.progress import Progress
from sim.errors import InvariantError

WORTH_A_WORD = 0.2  # hours from which a run says beforehand how long it takes


@click.command()
@click.argument("scenario", metavar="SCENARIO")
@click.option("--out", type=click.Path(path_type=Path), help="Result folder.  [default: outputs/<scenario name>]")
@click.option("--runs", type=int, help="Number of runs.  [default: the scenario's]")
@click.option("--seed", type=int, help="Seed of the ensemble.  [default: the scenario's]")
@click.option("--population", help="agents or mean-field.  [default: the scenario's]")
@click.option("--workloads", type=int, help="Simulated workloads in a run.  [default: the scenario's]")
@click.option("--nodes", type=int, help="Taste nodes, which set prices.  [default: the scenario's]")
@click.option("--noise", help="How choices draw: shared or options.  [default: the scenario's]")
@click.option("--until", metavar="YYYY-MM", help="Last month.  [default: the scenario's]")
@click.option("--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Replace a value; may be repeated.")
@click.option(
    "--twin",
    metavar="WORLD",
    default="weights_withheld",
    show_default=True,
    help="World without open weights to compare prices with: this, never_developed, or none.",
)
@click.option("--no-twin", is_flag=True, help="The same as --twin none: pricing_pressure stays empty, half the time.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes to use.  [default: all cores]")
@click.option("--force", is_flag=True, help="Replace an existing result folder; start however costly.")
@click.option("--csv", is_flag=True, help="Also write the tables as CSV.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the table.")
@click.option("-v", "--verbose", is_flag=True, help="Also print warnings of the scenario.")
def run(
    scenario: str,
    out: Path | None,
    overrides: tuple[str, ...],
    twin: str,
    no_twin: bool,
    jobs: int | None,
    force: bool,
    csv: bool,
    quiet: bool,
    as_json: bool,
    verbose: bool,
    **changes: Any,
) -> None:
    """Run SCENARIO, a file or the name of a packaged scenario, and write its result folder."""
    from sim.scenario.load import load_scenario

    loaded = load_scenario(scenario, overrides=overrides).replace(**changes)
    if verbose:
        for warning in loaded.warnings:
            click.echo(warning, err=True)
    idle = [f"--{name}" for name in ("workloads", "noise") if changes[name] is not None]
    if loaded.population == "mean-field" and idle and not quiet:
        click.echo(f"{' and '.join(idle)}: without effect under mean-field, where nobody draws; see --nodes", err=True)
    from sim.experiment.executors import usable_cores
    from sim.experiment.run import affordable_jobs, check_cost, estimated_hours, run_options, twin_world

    world = twin_world(False if no_twin else twin)
    folder = out or Path("outputs") / loaded.name
    jobs = jobs or affordable_jobs(loaded, usable_cores())
    if not force:
        check_cost(loaded, jobs, world)
    from sim.imports import import_market
    from sim.manifest import run_key
    from sim.result_folder import check_replaceable, same_run
    from sim.storage import hold

    options = run_options(loaded, world)
    key = run_key(loaded, seed=loaded.seed, runs=loaded.runs, workloads=loaded.workloads, options=options)
    if not force and same_run(folder, key):
        _report_existing(folder, csv=csv, quiet=quiet, as_json=as_json)
        return
    check_replaceable(folder, force=force, key=key)
    hours = estimated_hours(loaded, min(jobs, loaded.runs), world)
    if hours > WORTH_A_WORD and not quiet:
        click.echo(f"{loaded.runs:,} runs take about {hours:.1f} hours on {jobs} processes; Ctrl-C stops.", err=True)
    bar = Progress(loaded.name, hours, silent=quiet or as_json)
    import_market()
    with hold(folder):  # for the whole run: a second one learns at once, and a full or closed disk is found now
        results = _compute(loaded, world, jobs, overrides, bar)
        _save_and_show(results, folder, force=force, csv=csv, quiet=quiet, as_json=as_json)


def _compute(loaded: Any, world: str | None, jobs: int, overrides: tuple[str, ...], bar: Progress) -> Any:
    from sim.experiment.run import run as run_ensemble

    with bar:
        bar.update(0, loaded.runs)
        return run_ensemble(
            loaded,
            twin=world or False,
            jobs=jobs,
            command=["sim", *sys.argv[1:]],
            overrides=overrides,
            progress=lambda ended: bar.update(ended, loaded.runs),
        )


def _save_and_show(results: Any, folder: Path, *, force: bool, csv: bool, quiet: bool, as_json: bool) -> None:
    from sim.results import save

    if not (quiet or as_json):
        _print_outcomes(results)  # before the figures, which can take longer than the run
    from sim.present.figures import render_all

    saved = save(results, folder, force=force, figures=render_all(results), csv=csv)
    if as_json:
        _print_json(saved, folder, reused=False)
    elif not quiet:
        _print_places(saved, folder)
    violations = saved.manifest["invariants"]["violations"]
    if violations:
        raise InvariantError(
            f"{folder}: the result is invalid: {len(violations)} identities failed, first: {violations[0]}"
        )


def _report_existing(folder: Path, *, csv: bool, quiet: bool, as_json: bool) -> None:
    from sim.results import load_results

    results = load_results(folder)
    if csv and not (folder / "market.csv").exists():
        from sim.present.figures import render_all
        from sim.results import save

        results = save(results, folder, force=True, figures=render_all(results), csv=True)
    if as_json:
        _print_json(results, folder, reused=True)
    elif not quiet:
        _print_outcomes(results)
        _print_places(results, folder)
        click.echo(
            f"Already there: the same scenario, seed, version and libraries gave {folder}; --force runs it again.",
            err=True,
        )


def _print_outcomes(results: Any) -> None:
    from sim.present.screen import outcome_table

    click.echo(outcome_table(results))


def _print_places(results: Any, folder: Path) -> None:
    from sim.present.screen import evidence_line

    seconds = results.manifest["process"]["seconds"]
    click.echo(
        f"\nResult {results.manifest['result_id']} in {folder}/ ({results.manifest['runs']} runs, {seconds:.0f} s)"
    )
    click.echo(f"  pictures   {folder}/figures/adoption.png, prices.png, capability.png, compute.png")
    click.echo(f"  tables     {folder}/summary.csv, market.parquet and four more")
    click.echo(f"  inputs     {folder}/scenario.resolved.yaml, manifest.json")
    click.echo(evidence_line(results))


def _print_json(results: Any, folder: Path, *, reused: bool) -> None:
    from sim.summary import summarise

    manifest = results.manifest
    summary = summarise(results.tables["market"])
    document = {
        "folder": str(folder),
        "reused": reused,
        "result_id": manifest["result_id"],
        "content_hash": manifest["content_hash"],
        "valid": manifest["valid"],
        "runs": manifest["runs"],
        "seconds": manifest["process"]["seconds"],
        "columns_not_filled": manifest["columns_not_filled"],
        "last_month": {name: _plain(values[-1]) for name, values in summary.items()},
    }
    click.echo(json.dumps(document, indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    number = value.item() if hasattr(value, "item") else value
    return None if isinstance(number, float) and number != number else number
