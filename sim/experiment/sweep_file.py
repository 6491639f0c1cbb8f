"""Sweep files: what to run how often, at which points; read with the same care as scenario files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.errors import ScenarioError
from sim.experiment.factors import Factor
from sim.experiment.run import twin_world
from sim.experiment.sections import (
    MAX_RUNS,
    Design,
    Rows,
    Section,
    Stop,
    read_design,
    read_factors,
    read_scenarios,
    read_settings,
    read_stop,
)
from sim.scenario.files import NAME, name_fault, packaged_scenarios_dir, suggestion
from sim.scenario.nodes import Mapping, Scalar, is_null, kind
from sim.scenario.problems import Problems, Where
from sim.scenario.register import ENSEMBLE
from sim.scenario.scenario import Scenario
from sim.scenario.yaml_io import decode, parse, read_bytes

KEYS = (
    "name", "title", "story", "scenario", "design", "factors", "runs", "seed", "workloads", "until", "population",
    "twin", "store", "stop",
)  # fmt: skip
STORES = ("full", "headline", "summary")


@dataclass(frozen=True)
class SweepFile:
    """A sweep file that passed every check, with the scenarios it starts from.

    Parameters
    ----------
    name, title : str
        As in the file.
    scenarios : tuple of Scenario
        With the settings of the sweep in force, one seed, and `runs` 1: replicates are the sweep's matter.
    design : Design
        How points are chosen.
    factors : tuple of Factor
        In the order of the file.
    rows : tuple of tuple
        Values of a list design by row and factor; empty for the other kinds.
    runs : int
        Replicates of a cell, at least.
    store : {'full', 'headline', 'summary'}
        All tables; the market table; or the market table at a few dates.
    stop : Stop, optional
        When to stop replicating.
    twin : str, optional
        World without open weights to run beside.
    notes : tuple of str
        What the user should know.
    """

    name: str
    title: str
    scenarios: tuple[Scenario, ...]
    design: Design
    factors: tuple[Factor, ...]
    rows: Rows
    runs: int
    store: str
    stop: Stop | None
    twin: str | None
    notes: tuple[str, ...] = ()


def load_sweep_file(
    path_or_name: str | os.PathLike[str],
    *,
    overrides: Sequence[str] = (),
    runs: int | None = None,
    twin: str | None = None,
    **settings: Any,
) -> SweepFile:
    """Return a sweep, checked.

    Parameters
    ----------
    path_or_name : str or path
        A file, or the bare name of a packaged sweep.
    overrides : sequence of str
        Each ``dotted.path=value``, applied to every scenario.
    runs, twin
        Replace what the file says; the twin ``none`` leaves it out.
    **settings
        ``seed``, ``workloads``, ``until``, ``population``: see `Scenario.replace`; they win over the file.

    Raises
    ------
    ScenarioError
        With every problem found, one line each: ``file:line: path: what is wrong, what is allowed``.
    """
    problems = Problems()
    place, label = _locate(path_or_name)
    root = parse(decode(read_bytes(place, label, kind="sweep"), label), label, problems)
    if not isinstance(root, Mapping):
        raise ScenarioError(f"{root.where}: the file is {kind(root)}; a sweep is a map that starts with name:")
    top, folder = Section(root, problems), os.path.dirname(place)
    top.check_keys(KEYS)
    name = _name(top, label)
    given = {key: value for key, value in settings.items() if value is not None}
    scenarios, notes = read_scenarios(top, folder, overrides, read_settings(top) | given)
    design = read_design(top)
    if not scenarios or design is None:
        problems.check()
        raise AssertionError("unreachable")
    factors, rows = read_factors(top, design, folder, scenarios)
    replicates = int(top.number("runs", ENSEMBLE["runs"]) or 1) if runs is None else runs
    if not 1 <= replicates <= MAX_RUNS:
        problems.add(Where("runs", 0), "", f"{replicates} is not allowed; a whole number from 1 to {MAX_RUNS:,} is")
    found = SweepFile(
        name=name,
        title=top.text("title") or name,
        scenarios=scenarios,
        design=design,
        factors=factors,
        rows=rows,
        runs=replicates,
        store=top.word("store", STORES) or "headline",
        stop=read_stop(top, replicates, scenarios),
        twin=_world(top) if twin is None else twin_world(twin),
        notes=tuple(notes),
    )
    problems.check()
    return found


def _locate(argument: str | os.PathLike[str]) -> tuple[str, str]:
    """Return path and label of the sweep a user names by path or by the bare name of a packaged one."""
    text = os.fspath(argument)
    folder = packaged_scenarios_dir() / "sweeps"
    if isinstance(argument, str) and NAME.match(text) and not os.path.isfile(text):
        packaged = folder / f"{text}.yaml"
        if packaged.is_file():
            return str(packaged), f"scenarios/sweeps/{text}.yaml"
        names = sorted(each.stem for each in folder.glob("*.yaml"))
        hint = suggestion(text, names)
        raise ScenarioError(f"{text}: no such file, and no packaged sweep (there are: {', '.join(names)}){hint}")
    return text, text


def _name(top: Section, label: str) -> str:
    """Return the name of the sweep: as given, else that of its file."""
    text = top.text("name") or Path(label).stem
    if fault := name_fault(text):
        top.note("name", fault)
    return text


def _world(top: Section) -> str | None:
    """Return the world without open weights that the file asks for."""
    from sim.scenario.schema import WORLDS

    node = top.node.get("twin")
    if node is None or is_null(node):
        return None
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        return twin_world(node.value)
    return twin_world(top.word("twin", ("none", *WORLDS)) or False)
