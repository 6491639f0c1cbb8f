"""The sections of a sweep file, each read on its own with everything that is wrong noted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sim.columns import FLOAT, TABLES
from sim.errors import ScenarioError
from sim.experiment.factors import Factor, read_factor, read_list, with_borrowed_events
from sim.months import format_month
from sim.scenario.files import NAME
from sim.scenario.layer import LAST_END, START, read_month
from sim.scenario.load import load_scenario
from sim.scenario.nodes import Mapping, Node, Scalar, is_null, kind
from sim.scenario.nodes import Sequence as NodeList
from sim.scenario.problems import Problems, shown
from sim.scenario.register import ENSEMBLE
from sim.scenario.scenario import Scenario
from sim.scenario.schema import Parameter
from sim.scenario.values import read_number, read_text

KINDS = ("grid", "lhs", "sobol", "morris", "list")
MAX_CELLS = 10_000_000
MAX_RUNS = 10_000
MAX_SCENARIOS = 64
_SAMPLES = Parameter("samples", "Points, base points or trajectories", "samples", 1, MAX_CELLS, None, integer=True)
_SEED = Parameter("seed", "Seed of the design", "1", 0, 2**63 - 1, 1, integer=True)
_WIDTH = Parameter("half_width", "Half width of the 95 % interval", "1", 1e-300, 1e300, None)
_KEYS = {"grid": (), "lhs": ("samples", "seed"), "sobol": ("samples", "seed"), "morris": ("samples", "seed"),
         "list": ("file",)}  # fmt: skip
Rows = tuple[tuple[float | str, ...], ...]


@dataclass(frozen=True)
class Design:
    """How points are chosen: `samples` (points, base points or trajectories) and `seed`, or the `file` of a list."""

    kind: str
    samples: int = 0
    seed: int = 1
    file: str = ""


@dataclass(frozen=True)
class Stop:
    """Replicate each cell until the 95 % interval of the mean of `metric` in month `date` is narrow enough.

    Parameters
    ----------
    metric : str
        Column of the market table.
    date : int
        Month number.
    half_width : float
        In the unit of the metric.
    max_runs : int
        Where replication ends in any case.
    """

    metric: str
    date: int
    half_width: float
    max_runs: int


@dataclass(frozen=True)
class Section:
    """A map of the file, with its dotted name in front of every message."""

    node: Mapping
    problems: Problems
    prefix: str = ""

    def path(self, key: str) -> str:
        """Return the dotted path of a key."""
        return f"{self.prefix}.{key}" if self.prefix else key

    def check_keys(self, allowed: Sequence[str]) -> None:
        """Note every key that is not allowed."""
        for key, _ in self.node:
            if key.text not in allowed:
                message = f"unknown key; allowed are {', '.join(allowed)}"
                self.problems.add(key.where, self.path(key.text), message, word=key.text, names=allowed)

    def note(self, key: str, message: str) -> None:
        """Note a problem at a key, or at the section if the key is missing."""
        node = self.node.get(key)
        self.problems.add(node.where if node is not None else self.node.where, self.path(key), message)

    def text(self, key: str) -> str:
        """Return a text as one line; empty if it is missing."""
        node = self.node.get(key)
        return " ".join(read_text(node, self.path(key), self.problems).split()) if node is not None else ""

    def number(self, key: str, spec: Parameter) -> float | None:
        """Return a number, or None if it is missing or wrong."""
        node = self.node.get(key)
        return None if node is None else read_number(node, spec, self.path(key), self.problems)

    def month(self, key: str, low: int, high: int) -> int | None:
        """Return a month, or None if it is missing or wrong."""
        node = self.node.get(key)
        return None if node is None else read_month(node, self.path(key), self.problems, low, high)

    def word(self, key: str, allowed: Sequence[str]) -> str:
        """Return one of some words; empty if it is missing or wrong."""
        node = self.node.get(key)
        if node is None:
            return ""
        if isinstance(node, Scalar) and node.value in allowed:
            return str(node.value)
        word = node.text if isinstance(node, Scalar) else ""
        message = f"{f'{shown(word)!r}' if word else kind(node)} is not one of {', '.join(allowed)}"
        self.problems.add(node.where, self.path(key), message, word=word, names=allowed)
        return ""


def read_settings(top: Section) -> dict[str, Any]:
    """Return the settings of all scenarios that the file gives, as `Scenario.replace` takes them."""
    found: dict[str, Any] = {key: top.number(key, ENSEMBLE[key]) for key in ("seed", "workloads")}
    found = {key: None if value is None else int(value) for key, value in found.items()}
    until = top.month("until", START + 1, LAST_END)
    found["until"] = None if until is None else format_month(until)
    found["population"] = top.text("population") or None
    return {key: value for key, value in found.items() if value is not None}


def read_scenarios(
    top: Section, folder: str, overrides: Sequence[str], settings: dict[str, Any]
) -> tuple[tuple[Scenario, ...], list[str]]:
    """Return the scenarios with their settings in force and one seed, and what the user should know about them."""
    node = top.node.get("scenario")
    items = node.items if isinstance(node, NodeList) else [] if node is None else [node]
    if not 1 <= len(items) <= MAX_SCENARIOS:
        top.note("scenario", f"names 1 to {MAX_SCENARIOS} scenarios to start from, given are {len(items)}")
        return (), []
    factors = top.node.get("factors")
    paths = list(factors.entries) if isinstance(factors, Mapping) else []
    found: dict[str, Scenario] = {}
    notes: list[str] = []
    for item in items:
        scenario = _scenario(item, folder, overrides, settings, top.problems)
        if scenario is None:
            continue
        if scenario.name in found:
            top.problems.add(item.where, "scenario", f"two scenarios are called {scenario.name!r}")
        found[scenario.name], borrowed = with_borrowed_events(scenario, paths)
        notes += [*borrowed, *scenario.warnings]
    seed = next(iter(found.values())).seed if found else 1  # one for all: common random numbers
    return tuple(each.replace(runs=1, seed=seed) for each in found.values()), list(dict.fromkeys(notes))


def _scenario(
    item: Node, folder: str, overrides: Sequence[str], settings: dict[str, Any], problems: Problems
) -> Scenario | None:
    text = read_text(item, "scenario", problems)
    if not text:
        problems.add(item.where, "scenario", "must be the name or the path of a scenario")
        return None
    beside = os.path.join(folder, f"{text}.yaml" if NAME.match(text) else text)
    try:
        return load_scenario(beside if os.path.isfile(beside) else text, overrides=overrides).replace(**settings)
    except ScenarioError as error:
        for line in error.problems:
            problems.add(item.where, "scenario", line)
        return None


def read_design(top: Section) -> Design | None:
    """Return how points are chosen, or None after noting what is wrong."""
    node = top.node.get("design")
    if not isinstance(node, Mapping) or node.get("kind") is None:
        given = "is missing" if node is None else "has no kind" if isinstance(node, Mapping) else f"is {kind(node)}"
        top.note("design", f"{given}; write {{kind: one of {', '.join(KINDS)}, ...}}")
        return None
    own = Section(node, top.problems, "design")
    named = own.word("kind", KINDS)
    if not named:
        return None
    own.check_keys(("kind", *_KEYS[named]))
    if named in ("grid", "list"):
        file = own.text("file")
        if named == "list" and not file:
            own.note("file", "is missing; a list design reads its cells from a CSV file")
        return Design(named, file=file)
    samples, seed = own.number("samples", _SAMPLES), own.number("seed", _SEED)
    if node.get("samples") is None:
        own.note("samples", f"is missing; a {named} design needs it")
    elif named == "sobol" and samples and int(samples) & (int(samples) - 1):
        own.note("samples", f"{int(samples)} is not a power of two; a sobol design needs one")
    return Design(named, int(samples or 1), 1 if seed is None else int(seed))


def read_factors(
    top: Section, design: Design, folder: str, scenarios: Sequence[Scenario]
) -> tuple[tuple[Factor, ...], Rows]:
    """Return the factors and, for a list design, its rows."""
    node = top.node.get("factors")
    if design.kind == "list":
        if node is not None and not is_null(node):
            top.note("factors", "a list design has its factors in the header of its file")
        listed = None
        if design.file:
            listed = read_list(design.file, folder, top.node.entries["design"][0].where, scenarios, top.problems)
        return (listed.factors, listed.rows) if listed else ((), ())
    if not isinstance(node, Mapping) or not node.entries:
        top.note("factors", "is missing or empty; give paths with levels or distributions")
        return (), ()
    found = []
    for key, child in node:
        factor = read_factor(key.text, child, key.where, scenarios, top.problems)
        if factor is not None and design.kind == "grid" and factor.distribution is not None:
            message = "a grid takes a list of levels; for a distribution use lhs, sobol or morris"
            top.problems.add(child.where, key.text, message)
        elif factor is not None:
            found.append(factor)
    return tuple(found), ()


def read_stop(top: Section, runs: int, scenarios: Sequence[Scenario]) -> Stop | None:
    """Return when to stop replicating, or None if the file does not say or says it wrongly."""
    node = top.node.get("stop")
    names = ("metric", "date", "half_width", "max_runs")
    if node is None or is_null(node):
        return None
    if not isinstance(node, Mapping):
        top.note("stop", f"must be a map of {', '.join(names)}, given is {kind(node)}")
        return None
    own = Section(node, top.problems, "stop")
    own.check_keys(names)
    missing = [name for name in names[:3] if node.get(name) is None]
    if missing:
        top.note("stop", f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")
        return None
    metric = own.word("metric", [column.name for column in TABLES["market"].values if column.kind == FLOAT])
    date = own.month("date", max(each.start for each in scenarios), min(each.end for each in scenarios))
    width, most = own.number("half_width", _WIDTH), own.number("max_runs", ENSEMBLE["runs"])
    limit = min(MAX_RUNS, 32 * runs) if most is None else int(most)
    if limit < max(runs, 2):
        own.note("max_runs", f"{limit} is too few; allowed is {max(runs, 2)} (runs, and at least 2) or more")
    return Stop(metric, date, float(width), limit) if metric and date and width else None
