"""The commands on finished results: verify, diff, export."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import click

from sim.errors import ResultError, UsageError

_HASH = re.compile("[0-9a-f]{64}")
_CONTROL = dict.fromkeys((*range(32), *range(127, 160)))


def shown(value: Any) -> str:
    """Return a value as one short line for a terminal, without control characters (CWE-150)."""
    if value is None:
        text = "-"
    elif isinstance(value, float):
        text = f"{value:.6g}"
    elif isinstance(value, str):
        text = value
    else:
        text = json.dumps(value, ensure_ascii=False, default=str)
    text = text.translate(_CONTROL)
    if _HASH.fullmatch(text):
        return text[:12]
    return text if len(text) <= 60 else text[:57] + "..."


def _print_json(document: Any) -> None:
    click.echo(json.dumps(document, indent=1, ensure_ascii=True, default=str))


@click.command()
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=str))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def verify(ctx: click.Context, folders: tuple[str, ...], as_json: bool) -> None:
    """Check that result folders and sweeps are as they were written and add up.

    Exit code 1 lists every damage, one line each.
    """
    from sim.experiment.check import verify_sweep
    from sim.experiment.folder import is_sweep
    from sim.verify import verify_folder

    code, reports = 0, []
    for folder in folders:
        try:
            report = verify_sweep(folder) if is_sweep(Path(folder)) else verify_folder(folder)
        except ResultError as error:
            code = max(code, error.exit_code)
            reports.append({"folder": folder, "sound": False, "damage": [str(error)], "notes": []})
            continue
        code = max(code, 1 if report.damage else 0)
        reports.append(
            {
                "folder": folder,
                "sound": not report.damage,
                "result_id": report.result_id,
                "files": report.files,
                "rows": report.rows,
                "damage": list(report.damage),
                "notes": list(report.notes),
            }
        )
    if as_json:
        _print_json({"sound": code == 0, "results": reports})
    else:
        for report in reports:
            _print_verification(report)
    ctx.exit(code)


def _print_verification(report: dict[str, Any]) -> None:
    for line in (*report["damage"], *(f"note: {note}" for note in report["notes"])):
        click.echo(line.translate(_CONTROL))
    if report["sound"]:
        what = f"{report['files']} files, {report['rows']:,} rows, result {report['result_id']}"
        click.echo(f"{report['folder']}: sound; {what}".translate(_CONTROL))


@click.command()
@click.argument("a", type=click.Path(path_type=str))
@click.argument("b", type=click.Path(path_type=str))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def diff(ctx: click.Context, a: str, b: str, as_json: bool) -> None:
    """Show two scenarios, results or sweeps side by side: inputs that differ, then outcomes.

    Exit code 0 if the content is equal, 1 if it differs.
    """
    kinds = [_kind(each) for each in (a, b)]
    if kinds[0] != kinds[1]:
        raise UsageError(f"{a} is a {kinds[0]} and {b} a {kinds[1]}; give two of one kind")
    if kinds[0] == "sweep":
        from sim.experiment.sweep_differences import compare_sweeps
        from sim.experiment.sweep_results import SweepResults

        report = {"kind": "sweep", **compare_sweeps(SweepResults(a), SweepResults(b))}
        if as_json:
            _print_json({"a": a, "b": b, **report})
        else:
            _print_sweeps(report, a, b)
        ctx.exit(0 if report["equal"] else 1)
    if kinds[0] == "result":
        from sim.differences import compare_results
        from sim.results import load_results

        report = {"kind": "result", **compare_results(load_results(a), load_results(b))}
    else:
        from sim.differences import compare_scenarios
        from sim.scenario.load import load_scenario

        report = {"kind": "scenario", **compare_scenarios(load_scenario(a), load_scenario(b))}
    if as_json:
        named = ("path", "a", "b")
        for part in ("inputs", "machine"):
            if part in report:
                report[part] = [dict(zip(named, row, strict=True)) for row in report[part]]
        _print_json({"a": a, "b": b, **report})
    else:
        _print_difference(report, a, b)
    ctx.exit(0 if report["equal"] else 1)


def _kind(place: str) -> str:
    """Return what a path holds, as far as its form tells."""
    if not Path(place).is_dir():
        return "scenario"
    from sim.experiment.folder import is_sweep

    return "sweep" if is_sweep(Path(place)) else "result"


def _print_sweeps(report: dict[str, Any], a: str, b: str) -> None:
    """Print what differs between two sweeps, and the verdict last."""
    from sim.experiment.overview import worded_difference

    click.echo(f"a: {a}\nb: {b}".translate({**_CONTROL, 10: "\n"}))
    for title, lines in (("Inputs that differ", report["inputs"]), ("Program differences", report["program"])):
        if lines:
            click.echo(f"\n{title}")
        for line in lines:
            click.echo(f"  {line.translate(_CONTROL)}")
    if report["outcomes"]:
        click.echo("\nOutcomes: means over the cells, and their difference ± half of its 95 % interval over replicates")
    for row in report["outcomes"]:
        click.echo(f"  {worded_difference(row)}")
    runs = report["runs"]
    counts = f"{runs['both']:,} in both, {runs['same']:,} with the same content"
    click.echo(f"\nRuns: {runs['a']:,} and {runs['b']:,}; {counts}.")
    click.echo("The content is equal." if report["equal"] else "The content differs.")


def _print_difference(report: dict[str, Any], a: str, b: str) -> None:
    """Print what differs, widest column first, and the verdict last."""
    click.echo(f"a: {a}\nb: {b}".translate({**_CONTROL, 10: "\n"}))
    for title, part in (("Inputs", "inputs"), ("Machine", "machine")):
        rows = report.get(part, [])
        if not rows:
            continue
        click.echo(f"\n{title} that differ" if part == "inputs" else f"\n{title} differences")
        for path, left, right in rows:
            click.echo(f"  {shown(path)}: {shown(left)} -> {shown(right)}")
    outcomes = report.get("outcomes", [])
    if any(path == "code_hash" for path, _, _ in report.get("inputs", [])):
        click.echo("\nTwo versions of the program: part of what differs may be its and not the scenarios'.")
    if outcomes:
        pairs = max(row["pairs"] for row in outcomes)
        words = f"{pairs} pairs of runs: medians, the median difference, and where 90 % of the differences lie"
        click.echo(f"\nOutcomes of {words if pairs else 'runs that share no random numbers: medians'}")
        click.echo(f"  {'':28} {'month':8} {'a':>9} {'b':>9} {'b - a':>9} {'90 % of runs':>20}")
        for row in outcomes:
            click.echo(_outcome_line(row))
    click.echo("")
    if report["equal"]:
        click.echo("The content is equal." if report["kind"] == "result" else "The scenarios give the same results.")
        return
    tables = [name for name, equal in report.get("tables", {}).items() if not equal]
    what = "scenarios differ" if report["kind"] == "scenario" else "content differs"
    click.echo(f"The {what}{': ' + ', '.join(tables) if tables else ''}.")


def _outcome_line(row: dict[str, Any]) -> str:
    """Return one outcome at one date; shares as per cent, their differences in percentage points."""
    scale, unit = (100.0, "%, points") if row["unit"] == "share" else (1.0, row["unit"])

    def cell(name: str) -> str:
        return "-" if row[name] is None else f"{row[name] * scale:.3g}"

    band = f"[{cell('difference_q05')}..{cell('difference_q95')}]" if row["difference_q05"] is not None else "-"
    cells = "".join(f" {cell(name):>9}" for name in ("a", "b", "difference"))
    return f"  {row['column']:28} {row['month']:8}{cells} {band:>20}  {unit}"


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=str))
@click.option("--format", "kind", type=click.Choice(["csv", "xlsx"]), default="csv", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Folder; for xlsx also a file.  [default: DIR/export]")
@click.option("--force", is_flag=True, help="Replace files that are there already.")
def export(folder: str, kind: str, out: Path | None, force: bool) -> None:
    """Copy the tables of a result or sweep as CSV files or one XLSX workbook."""
    from sim.experiment.folder import is_sweep

    if is_sweep(Path(folder)):
        _export_sweep(folder, kind, out, force)
        return
    from sim.columns import TABLES
    from sim.export import table_csv
    from sim.results import add_files, load_results
    from sim.storage import replace_file

    results = load_results(folder)
    name = f"{results.manifest['scenario']['name']}.xlsx"
    names = [name] if kind == "xlsx" else [f"{table}.csv" for table in TABLES]
    place, names = _export_place(folder, out, names, kind, force)
    if kind == "xlsx":
        contents = [_workbook(results)]
    else:
        contents = [table_csv(table, results.tables[table]) for table in TABLES]
    if out is None:
        add_files(folder, {f"export/{each}": content for each, content in zip(names, contents, strict=True)})
    else:
        for each, content in zip(names, contents, strict=True):
            replace_file(place / each, content)
    for each in names:
        click.echo(str(place / each))


def _export_place(folder: str, out: Path | None, names: list[str], kind: str, force: bool) -> tuple[Path, list[str]]:
    """Return where copies go and under which names, having checked that they may."""
    place = Path(folder) / "export" if out is None else out
    if kind == "xlsx" and place.suffix == ".xlsx":
        place, names = place.parent, [place.name]
    taken = [str(place / each) for each in names if (place / each).exists()]
    if taken and not force:
        raise UsageError(f"{taken[0]}: is there already; --force replaces it, --out chooses another place")
    if place.exists() and not place.is_dir():
        raise UsageError(f"{place}: is not a folder")
    return place, names


def _export_sweep(folder: str, kind: str, out: Path | None, force: bool) -> None:
    """Copy a sweep: large tables are written shard by shard."""
    from sim.experiment.sweep_export import csv_files, workbook
    from sim.experiment.sweep_results import SweepResults
    from sim.storage import replace_file

    results = SweepResults(folder)
    if kind == "xlsx":
        names = [f"{results.plan.name}.xlsx"]
        place, names = _export_place(folder, out, names, kind, force)
        replace_file(place / names[0], workbook(results))
    else:
        files = csv_files(results)
        place, names = _export_place(folder, out, list(files), kind, force)
        for name, pieces in files.items():
            replace_file(place / name, pieces)
    for name in names:
        click.echo(str(place / name))


def _workbook(results: Any) -> bytes:
    """Return the workbook, with a bar on a terminal when it takes long."""
    from tqdm import tqdm

    from sim.export import workbook

    rows = sum(len(columns["month"]) for columns in results.tables.values())
    quiet = not sys.stderr.isatty()
    with tqdm(total=rows, unit="row", unit_scale=True, delay=2, disable=quiet, file=sys.stderr, leave=False) as bar:
        return workbook(results, bar.update)
