"""Commands about scenario files: validate, schema, new."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import click

from sim import interrupts
from sim.errors import ScenarioError, UsageError, WriteError

SCHEMA_FILE = "scenario.schema.json"


@click.command()
@click.argument("scenarios", metavar="SCENARIO...", nargs=-1, required=True)
@click.option("--set", "overrides", metavar="PATH=VALUE", multiple=True, help="Change one value (repeatable).")
@click.option("--resolved", is_flag=True, help="Print the effective scenario with the origin of every value.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def validate(scenarios: tuple[str, ...], overrides: tuple[str, ...], resolved: bool, as_json: bool) -> None:
    """Check scenario files and tell all problems at once, each with its line.

    SCENARIO is a file or the name of a scenario that comes with the package. A value that a file sets without a
    source or an assumption is a warning, not a problem.
    """
    from sim.scenario.files import locate
    from sim.scenario.load import load_scenario

    if resolved and len(scenarios) > 1:
        raise UsageError("--resolved prints one scenario; name one")
    problems: list[str] = []
    reports: list[dict[str, Any]] = []
    for argument in scenarios:
        try:
            scenario = load_scenario(argument, overrides=overrides)
        except ScenarioError as error:
            problems += error.problems
            reports.append({"scenario": argument, "valid": False, "problems": error.problems, "warnings": []})
            continue
        for warning in scenario.warnings:
            click.echo(f"warning: {warning}", err=True)
        report: dict[str, Any] = {"scenario": argument, "valid": True, "name": scenario.name, "problems": []}
        report |= {"warnings": list(scenario.warnings), "content_hash": scenario.content_hash()}
        if resolved:
            report["resolved"] = scenario.resolved()
        reports.append(report)
        if resolved and not as_json:
            click.echo(scenario.resolved_text(), nl=False)
        elif not as_json:
            count = len(scenario.warnings)
            packaged = " (packaged)" if locate(argument)[1] != argument else ""  # whatever file of that name lies here
            click.echo(f"{argument}: valid{packaged}" + (f", {count} warning{'s' * (count > 1)}" if count else ""))
    if as_json:
        click.echo(json.dumps({"scenarios": reports}, indent=2))
    if problems:
        raise ScenarioError(problems)


@click.command()
@click.option("-o", "--out", metavar="FILE", help="Write to FILE instead of the screen.")
@click.option("--force", is_flag=True, help="Replace FILE even if it is something else.")
def schema(out: str | None, force: bool) -> None:
    """Print the JSON Schema of scenario files, for completion and checks in editors."""
    text = _schema_text()
    if out is None:
        click.echo(text, nl=False)
        return
    _write(Path(out), text, force=force or _is_our_schema(Path(out)))
    click.echo(f"wrote {out}", err=True)


@click.command()
@click.argument("name", metavar="NAME")
@click.option("--from", "parent", default="baseline", show_default=True, metavar="SCENARIO",
              help="Scenario to build on.")  # fmt: skip
@click.option("--out", metavar="FILE", help="File to write (default: NAME.yaml here).")
@click.option("--with-schema", is_flag=True, help=f"Write {SCHEMA_FILE} beside it, for completion in editors.")
@click.option("--force", is_flag=True, help="Replace an existing file.")
def new(name: str, parent: str, out: str | None, with_schema: bool, force: bool) -> None:
    """Write a commented scenario file that extends another."""
    from sim.scenario.files import name_fault, packaged_names
    from sim.scenario.load import load_scenario
    from sim.scenario.register import register
    from sim.scenario.writing import new_file

    if fault := name_fault(name):
        raise UsageError(fault)
    if name in packaged_names():
        raise UsageError(f"'{name}' is a packaged scenario, which that name always means; choose another NAME")
    target = Path(out or f"{name}.yaml")
    beside = target.parent / SCHEMA_FILE
    extends = _extends(parent, target)
    scenario = load_scenario(parent)
    if not force and target.exists():
        raise UsageError(f"{target}: exists; --force replaces it")
    if with_schema:
        _write(beside, _schema_text(), force=force or _is_our_schema(beside))
    modeline = f"./{SCHEMA_FILE}" if _is_our_schema(beside) else ""
    text = new_file(name, scenario, extends, register(), schema=modeline)
    _write(target, text, force=force, check=load_scenario)
    click.echo(f"wrote {target}, which extends {extends}; delete '# ' before what you want to change", err=True)


def _extends(parent: str, target: Path) -> str:
    """Return what `extends:` must say in `target` for the scenario a user names by path or name.

    Raises
    ------
    UsageError
        If no name in the new file's folder or in the package leads there.
    """
    from sim.scenario.files import locate, name_fault, packaged_scenarios_dir

    path, _ = locate(parent)
    stem, folder = Path(path).stem, Path(path).resolve().parent
    beside = target.parent / f"{stem}.yaml"
    if target.name == f"{stem}.yaml" and folder in (target.parent.resolve(), packaged_scenarios_dir().resolve()):
        raise UsageError(f"{target}: a scenario cannot extend a file of its own name; choose another NAME")
    here = folder == target.parent.resolve()
    packaged = folder == packaged_scenarios_dir().resolve() and not beside.exists()
    if Path(path).suffix != ".yaml" or name_fault(stem) or not (here or packaged):
        raise UsageError(f"{parent}: extends finds scenarios in the new file's folder or in the package; copy it there")
    return stem


def _schema_text() -> str:
    from sim.scenario.json_schema import json_schema
    from sim.scenario.register import register

    return json.dumps(json_schema(register()), indent=1, ensure_ascii=False) + "\n"


def _is_our_schema(path: Path) -> bool:
    """Return whether a file is a schema that this command wrote, so that it may be written anew."""
    from sim.scenario.json_schema import ID

    try:
        with path.open(encoding="utf-8", errors="replace") as handle:
            return f'"$id": "{ID}"' in handle.read(500)
    except OSError:
        return False


@interrupts.unwound()
def _write(path: Path, text: str, *, force: bool, check: Any = None) -> None:
    """Write a whole file or nothing; `check` sees the finished file in its folder before it gets its name."""
    try:
        handle, temporary = tempfile.mkstemp(prefix=".sim-", suffix=".yaml", dir=path.parent)
    except OSError as error:
        raise WriteError(f"{path}: cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        os.chmod(temporary, 0o666 & ~_umask())
        if check is not None:
            check(temporary)
        with interrupts.held():
            if not force:
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))  # claims the name, or finds it taken
            os.replace(temporary, path)
            interrupts.written.add(path)
    except FileExistsError:
        raise UsageError(f"{path}: exists; --force replaces it") from None
    except OSError as error:
        raise WriteError(f"{path}: cannot be written ({len(text.encode())} bytes): {error.strerror}") from None
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
