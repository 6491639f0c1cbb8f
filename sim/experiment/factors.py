"""What a sweep varies: factors with levels or a distribution, from a sweep file or the CSV of a list."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sim.errors import ScenarioError
from sim.scenario.distributions import Distribution
from sim.scenario.events import Event
from sim.scenario.files import packaged_names
from sim.scenario.load import load_scenario
from sim.scenario.nodes import Mapping, Node, kind
from sim.scenario.nodes import Sequence as NodeList
from sim.scenario.points import Spot, at_point, scalar, spot, with_event
from sim.scenario.problems import Problems, Where, shown
from sim.scenario.register import register
from sim.scenario.scenario import Scenario
from sim.scenario.yaml_io import decode, read_bytes

MAX_LEVELS = 10_000
MAX_ROWS = 1_000_000
CSV_BYTES = 64 << 20
_CSV_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,127}\.csv\Z")


@dataclass(frozen=True)
class Factor:
    """One path of the scenario that a sweep varies.

    Parameters
    ----------
    path, unit : str
        As in the register.
    kind : {'lever', 'uncertainty', 'setting'}
        Choice of an actor, uncertain fact, or a setting of the simulation.
    levels : tuple of float or str
        Its values, in the order of the file; empty with a distribution.
    distribution : Distribution, optional
        Where its values are drawn from.
    """

    path: str
    unit: str
    kind: str
    levels: tuple[float | str, ...] = ()
    distribution: Distribution | None = None

    def value(self, u: float) -> float | str:
        """Return the value at a coordinate of the unit interval; levels take equal parts of it."""
        if self.distribution is not None:
            return self.distribution.quantile(u)
        return self.levels[min(int(u * len(self.levels)), len(self.levels) - 1)]

    def document(self) -> Any:
        """Return the factor as a sweep file writes it."""
        return list(self.levels) if self.distribution is None else self.distribution.document()


def read_factor(path: str, node: Node, at: Where, scenarios: Sequence[Scenario], problems: Problems) -> Factor | None:
    """Return the factor written at `node`, or None after noting what is wrong with it."""
    found = _spots(path, at, scenarios, problems)
    if found is None:
        return None
    if isinstance(node, NodeList):
        levels = _levels(found, node, problems)
        if not levels:
            return None
        for node_of_level, level in zip(node.items, levels, strict=True):
            _check_level(found.path, level, node_of_level.where, scenarios, problems)
        return Factor(found.path, found.spec.unit, found.spec.kind, levels)
    if isinstance(node, Mapping) and found.month:
        problems.add(node.where, path, "months take a list of levels, not a distribution")
        return None
    value = found.read(node, problems)
    if value is None:
        return None
    if isinstance(value, Distribution):
        return Factor(found.path, found.spec.unit, found.spec.kind, (), value)
    _check_level(found.path, value, node.where, scenarios, problems)
    return Factor(found.path, found.spec.unit, found.spec.kind, (value,))


def _spots(path: str, at: Where, scenarios: Sequence[Scenario], problems: Problems) -> Spot | None:
    """Return what can be set at a path that all scenarios must have."""
    found = [spot(path, scenario, register(), at, problems) for scenario in scenarios]
    return found[0] if found and None not in found else None


def _levels(found: Spot, node: NodeList, problems: Problems) -> tuple[float | str, ...]:
    if not 1 <= len(node.items) <= MAX_LEVELS:
        message = f"a factor takes 1 to {MAX_LEVELS:,} levels, given are {len(node.items):,}"
        problems.add(node.where, found.path, message)
        return ()
    levels: list[float | str] = []
    for item in node.items:
        value = found.read(item, problems) if not isinstance(item, NodeList) else None
        if isinstance(item, NodeList):
            problems.add(item.where, found.path, f"a level is a value, given is {kind(item)}")
        elif isinstance(value, Distribution):
            problems.add(item.where, found.path, "a level is certain; a distribution stands alone, not in a list")
        elif value is not None and value in levels:
            problems.add(item.where, found.path, f"the level {value} is given twice; keep one")
        elif value is not None:
            levels.append(value)
    return tuple(levels) if len(levels) == len(node.items) else ()


def _check_level(path: str, level: Any, where: Where, scenarios: Sequence[Scenario], problems: Problems) -> None:
    """Note what a level on its own makes wrong with the rest of a scenario, such as a date before the projection."""
    for scenario in scenarios:
        try:
            at_point(scenario, {path: level})
        except ScenarioError as error:
            for line in error.problems:
                problems.add(where, path, f"at {level} in {scenario.name}: {line.removeprefix('point: ')}")


def with_borrowed_events(scenario: Scenario, paths: Sequence[str]) -> tuple[Scenario, list[str]]:
    """Return the scenario with the events that factors name and it lacks, from the packaged scenarios that have them.

    So a sweep over ``events.h200-thaw.quota`` of the baseline needs no scenario of its own. Also returned is a line for
    each event borrowed.
    """
    notes: list[str] = []
    idents = [path.split(".")[1] for path in paths if path.startswith("events.") and path.count(".") >= 2]
    for ident in dict.fromkeys(idents):
        if any(event.id == ident for event in scenario.events):
            continue
        found = _packaged_event(ident)
        if found is not None:
            event, owner = found
            scenario = with_event(scenario, event, f"from {owner}")
            notes.append(f"{scenario.name} has no event {ident!r}; it is taken from the packaged scenario {owner}")
    return scenario, notes


def _packaged_event(ident: str) -> tuple[Event, str] | None:
    for name in packaged_names():
        for event in load_scenario(name).events:
            if event.id == ident:
                return event, name
    return None


@dataclass(frozen=True)
class ListDesign:
    """The rows of a list design: values by factor, in the order of the file."""

    factors: tuple[Factor, ...]
    rows: tuple[tuple[float | str, ...], ...]


def read_list(
    name: str, folder: str, at: Where, scenarios: Sequence[Scenario], problems: Problems
) -> ListDesign | None:
    """Return the design of a CSV file: a header of paths, then one row a cell; None after noting what is wrong.

    Parameters
    ----------
    name : str
        File in the folder of the sweep file.
    folder : str
        That folder.
    at : Where
        Where the sweep file names it.
    scenarios : sequence of Scenario
        Every path must be settable in all of them.
    """
    if not _CSV_NAME.match(name):
        message = f"'{shown(name)}' must be the name of a .csv file in the sweep file's folder"
        problems.add(at, "design.file", message)
        return None
    label = os.path.join(folder, name)
    text = decode(read_bytes(label, label, limit=CSV_BYTES, kind="design"), label)
    reader = csv.reader(io.StringIO(text))
    try:
        header = [cell.strip() for cell in next(reader, [])]
        spots = _header(header, Where(label, 1), scenarios, problems)
        if spots is None:
            return None
        rows = []
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append(_row(cells, spots, Where(label, reader.line_num), problems))
            if len(rows) > MAX_ROWS:
                problems.add(Where(label, reader.line_num), "", f"more than {MAX_ROWS:,} rows, the limit for a design")
                return None
    except csv.Error as error:
        problems.add(Where(label, reader.line_num), "", f"this is not CSV: {error}")
        return None
    if not rows:
        problems.add(Where(label, 1), "", "the design has no rows; each row below the header is a cell")
        return None
    factors = tuple(Factor(each.path, each.spec.unit, each.spec.kind) for each in spots)
    return ListDesign(factors, tuple(rows))


def _header(header: list[str], where: Where, scenarios: Sequence[Scenario], problems: Problems) -> list[Spot] | None:
    if not any(header):
        problems.add(where, "", "the first line must name the factors by their dotted paths")
        return None
    found = [_spots(path, where, scenarios, problems) for path in header]
    twice = [path for place, path in enumerate(header) if path in header[:place]]
    if twice:
        problems.add(where, twice[0], "the column is given twice; keep one")
    spots = [each for each in found if each is not None]
    return spots if len(spots) == len(header) and not twice else None


def _row(cells: list[str], spots: list[Spot], where: Where, problems: Problems) -> tuple[float | str, ...]:
    if len(cells) != len(spots):
        problems.add(where, "", f"{len(cells)} values, but the header names {len(spots)} factors")
        return ()
    values = [each.read(scalar(cell.strip(), where), problems) for each, cell in zip(spots, cells, strict=True)]
    return tuple(values)
