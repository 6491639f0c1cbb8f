"""The plan of a sweep: every cell with its values, as a document that a later session can compare with its own.

A cell is a scenario at one point of the design; a run is one replicate of a cell. Cells are numbered scenario by
scenario, points in the order of the design, and runs of a cell from 0; replicate k draws the same random numbers in
every cell.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim import environment, manifest
from sim.differences import differing_leaves, headline_months
from sim.experiment import sampling
from sim.experiment.sections import MAX_CELLS, Stop
from sim.experiment.sweep_file import SweepFile
from sim.months import format_month, parse_month
from sim.scenario.problems import Problems, Where

FORMAT, FORMAT_VERSION = "sim-sweep", 1
_DESIGNS = {"lhs": sampling.latin_hypercube, "sobol": sampling.sobol, "morris": sampling.morris}
_NOT_COMPUTED = ("title", "identity", "design_file", "manifest_sha256")  # entries that change no number


@dataclass(frozen=True)
class Plan:
    """What a sweep computes.

    Parameters
    ----------
    facts : dict
        The content of ``plan.json``.
    scenarios : tuple of str
        The resolved text of each scenario.
    columns : dict of ndarray, each of shape (points,)
        Value of each factor at each point: float64, or objects for words and months.
    """

    facts: Mapping[str, Any]
    scenarios: tuple[str, ...]
    columns: Mapping[str, NDArray[Any]]

    @property
    def name(self) -> str:
        """Name of the sweep."""
        return self.facts["name"]

    @property
    def points(self) -> int:
        """Points of the design; every scenario is run at each."""
        return self.facts["points"]

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.points * len(self.scenarios)

    @property
    def runs(self) -> int:
        """Replicates of every cell, at least."""
        return self.facts["runs"]

    @cached_property
    def stop(self) -> Stop | None:
        """When to stop replicating, if the file says so."""
        found = self.facts["stop"]
        return found and Stop(found["metric"], parse_month(found["date"]), found["half_width"], found["max_runs"])

    @property
    def dates(self) -> tuple[int, ...]:
        """Months that the store `summary` keeps."""
        return tuple(parse_month(text) for text in self.facts["dates"])

    def scenario_of(self, cell: int) -> int:
        """Return the place of a cell's scenario in `scenarios`."""
        return cell // self.points

    def scenario_name(self, cell: int) -> str:
        """Return the name of a cell's scenario."""
        return self.facts["scenarios"][self.scenario_of(cell)]["name"]

    def values(self, cell: int) -> dict[str, float | str]:
        """Return the value of each factor in a cell, by path."""
        point = cell % self.points
        return {path: column[point] if column.dtype == object else float(column[point]) for path, column in
                self.columns.items()}  # fmt: skip

    def content_hash(self) -> str:
        """Return the hash of all that decides what is computed, program and libraries apart."""
        counted = {key: value for key, value in self.facts.items() if key not in _NOT_COMPUTED}
        counted["scenarios"] = [[entry["name"], entry["hash"]] for entry in self.facts["scenarios"]]
        return hashlib.sha256(json.dumps(counted, sort_keys=True, allow_nan=False).encode()).hexdigest()


def make_plan(sweep: SweepFile) -> Plan:
    """Return the plan of a sweep.

    Raises
    ------
    ScenarioError
        If it has more cells than the limit.
    """
    points = count_cells(sweep) // len(sweep.scenarios)
    columns = _columns(sweep)
    texts = tuple(each.resolved_text() for each in sweep.scenarios)
    scenarios = [
        {
            "name": each.name,
            "file": f"scenarios/{each.name}.yaml",
            "hash": each.content_hash(),
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
        }
        for each, text in zip(sweep.scenarios, texts, strict=True)
    ]
    design = {"kind": sweep.design.kind, "samples": sweep.design.samples, "seed": sweep.design.seed}
    facts = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": sweep.name,
        "title": sweep.title,
        "scenarios": scenarios,
        "design": {**design, "sha256": design_hash(columns)},
        "factors": [
            {"path": f.path, "kind": f.kind, "unit": f.unit, "values": f.document()} for f in sweep.factors
        ],
        "points": points,
        "runs": sweep.runs,
        "store": sweep.store,
        "stop": sweep.stop and {
            "metric": sweep.stop.metric,
            "date": format_month(sweep.stop.date),
            "half_width": sweep.stop.half_width,
            "max_runs": sweep.stop.max_runs,
        },
        "twin": sweep.twin,
        "dates": [format_month(month) for month in stored_dates(sweep)],
        "identity": environment.identity(),
    }  # fmt: skip
    return Plan(json.loads(manifest.to_json(facts)), texts, columns)


def count_cells(sweep: SweepFile) -> int:
    """Return the number of cells of a sweep, without making its design.

    Raises
    ------
    ScenarioError
        If there are more than the limit.
    """
    factors, design = len(sweep.factors), sweep.design
    if design.kind == "list":
        points = len(sweep.rows)
    elif design.kind == "grid":
        points = math.prod(len(factor.levels) for factor in sweep.factors)
    else:
        points = design.samples * {"lhs": 1, "sobol": factors + 2, "morris": factors + 1}[design.kind]
    cells, problems = points * len(sweep.scenarios), Problems()
    if cells > MAX_CELLS:
        message = f"{cells:,} cells are more than the limit of {MAX_CELLS:,}; use fewer levels or samples, or lhs"
        problems.add(Where("design", 0), "", message)
    problems.check()
    return cells


def _columns(sweep: SweepFile) -> dict[str, NDArray[Any]]:
    """Return the value of each factor at each point."""
    paths = [factor.path for factor in sweep.factors]
    kind = sweep.design.kind
    if kind == "list":
        return {path: _array([row[j] for row in sweep.rows]) for j, path in enumerate(paths)}
    if kind == "grid":
        rows = list(itertools.product(*(factor.levels for factor in sweep.factors)))  # the last factor runs fastest
        return {path: _array([row[j] for row in rows]) for j, path in enumerate(paths)}
    cube = _DESIGNS[kind](paths, sweep.design.samples, sweep.design.seed)
    return {factor.path: _array([factor.value(u) for u in cube[:, j].tolist()]) for j, factor in
            enumerate(sweep.factors)}  # fmt: skip


def _array(values: Sequence[float | str]) -> NDArray[Any]:
    words = any(isinstance(value, str) for value in values)
    return np.array(values, dtype=object if words else np.float64)


def stored_dates(sweep: SweepFile) -> list[int]:
    """Return the months that a summary keeps: those of the table that `sim run` prints, and that of the stop rule."""
    months = [m for each in sweep.scenarios for m in headline_months(each.history_until, each.start, each.end)]
    return sorted(dict.fromkeys([*months, *([sweep.stop.date] if sweep.stop else [])]))


def design_hash(columns: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 of a design: names in order, numbers as little-endian float64, words as UTF-8."""
    digest = hashlib.sha256()
    for path, values in columns.items():
        kind = "words" if values.dtype == object else "numbers"
        digest.update(f"{path} {kind} {len(values)}\n".encode())
        words = json.dumps(values.tolist(), ensure_ascii=False).encode() if kind == "words" else b""
        digest.update(words or values.astype("<f8").tobytes())
    return digest.hexdigest()


def changes(old: Plan, new: Plan) -> list[str]:
    """Return a line for each thing that two plans compute differently, named by its path."""
    from sim.scenario.load import scenario_from_text

    lines = []
    names = [[entry["name"] for entry in plan.facts["scenarios"]] for plan in (old, new)]
    if names[0] != names[1]:
        lines.append(f"scenario: {', '.join(names[0])} -> {', '.join(names[1])}")
    for place, (left, right) in enumerate(zip(old.facts["scenarios"], new.facts["scenarios"], strict=False)):
        if left["hash"] != right["hash"] and left["name"] == right["name"]:
            pair = (scenario_from_text(plan.scenarios[place], left["file"]).resolved() for plan in (old, new))
            parts = [{**each.pop("parameters"), **each} for each in pair]
            lines += [f"{path}: {a} -> {b}" for path, a, b in differing_leaves(*parts)]
    for key in ("name", "design", "factors", "points", "runs", "store", "stop", "twin"):
        if old.facts[key] == new.facts[key]:
            continue
        if key == "design":
            kinds = [
                {name: value for name, value in plan.facts[key].items() if name != "sha256"} for plan in (old, new)
            ]
            lines += [f"{path}: {a} -> {b}" for path, a, b in differing_leaves(*({key: each} for each in kinds))]
            lines += _moved_points(old, new) if kinds[0]["kind"] == kinds[1]["kind"] == "list" else []
        elif key == "factors":
            lines += [f"factors.{path}: {a} -> {b}" for path, a, b in differing_leaves(_factors(old), _factors(new))]
        else:
            lines += [f"{path}: {a} -> {b}" for path, a, b in
                      differing_leaves({key: old.facts[key]}, {key: new.facts[key]})]  # fmt: skip
    return lines or (["the design"] if old.content_hash() != new.content_hash() else [])


def _moved_points(old: Plan, new: Plan) -> list[str]:
    """Return a line for each factor that two lists of cells both have, with the first cell in which it differs."""
    lines = []
    for path, values in old.columns.items():
        moved = np.flatnonzero(values != new.columns[path]) if path in new.columns and old.points == new.points else []
        if len(moved):
            lines.append(f"{path} in cell {moved[0]}: {values[moved[0]]} -> {new.columns[path][moved[0]]}")
    return lines


def _factors(plan: Plan) -> dict[str, str]:
    return {factor["path"]: json.dumps(factor["values"]) for factor in plan.facts["factors"]}


def program_changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Return a line for each part of the program or its libraries that differs between two identities."""
    return [
        f"{name}: {old.get(name, 'none')[:12]} -> {new.get(name, 'none')[:12]}"
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]
