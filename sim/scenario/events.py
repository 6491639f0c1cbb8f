"""Dated events: a lever, a month and a size, read from a scenario and checked against the lever's fields."""

from __future__ import annotations

import math
from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from typing import Any

from sim.months import format_month, parse_month
from sim.scenario.files import NAME, NAME_RULE
from sim.scenario.nodes import Mapping, Node, Scalar, Sequence, kind, node_of
from sim.scenario.problems import Problems, Where, nearest, shown
from sim.scenario.register import TEXT_FIELDS, Register
from sim.scenario.schema import Lever
from sim.scenario.values import Value, allowed, read_text, read_value

REMOVED = "removed"  # stands in a layer for an event that `remove: true` drops
OWN_KEYS = ("id", "date", "lever", *TEXT_FIELDS)
FIRST, LAST = parse_month("2020-01"), parse_month("2060-12")


@dataclass(frozen=True)
class Event:
    """One dated event.

    Parameters
    ----------
    id : str
        Name of the event, unique in a scenario.
    date : int
        Month from which it acts [months since January 1970].
    lever : str
        Name of the lever.
    fields : dict
        The lever's own fields: `Value` in a scenario; numbers and words in the settings of a run, where an optional
        number left out is NaN.
    source, assumption, note : str
        The reason for the event as a whole.
    """

    id: str
    date: int
    lever: str
    fields: Map[str, Any] = field(default_factory=dict)
    source: str = ""
    assumption: str = ""
    note: str = ""

    def document(self) -> dict[str, Any]:
        """Return the event as a scenario file writes it."""
        written: dict[str, Any] = {"id": self.id, "date": format_month(self.date), "lever": self.lever}
        written |= {name: value.document() for name, value in self.fields.items()}
        return written | {name: text for name in TEXT_FIELDS if (text := getattr(self, name))}


def read_event_list(node: Node, problems: Problems) -> dict[str, Mapping | str]:
    """Return the events of one file by id, not yet checked: another file may replace or drop them."""
    events: dict[str, Mapping | str] = {}
    if not isinstance(node, Sequence):
        problems.add(node.where, "events", f"must be a list of events, given is {kind(node)}")
        return events
    lines: dict[str, Where] = {}
    for place, item in enumerate(node.items, 1):
        path = f"events[{place}]"
        if not isinstance(item, Mapping):
            problems.add(item.where, path, f"must be a map with id, date and lever, given is {kind(item)}")
            continue
        name = item.get("id")
        if name is None:
            hint = "; did you mean 'id'?" if any(nearest(key.text, ("id",)) for key, _ in item) else ""
            problems.add(item.where, path, f"has no id{hint}")
        elif not isinstance(name, Scalar) or not isinstance(name.value, str) or not NAME.match(name.text):
            given = f"'{shown(name.text)}'" if isinstance(name, Scalar) else kind(name)
            problems.add(name.where, f"{path}.id", f"{given} cannot be an id; allowed are {NAME_RULE}")
        elif name.text in events:
            message = f"the id is given twice (first on line {lines[name.text].line}); ids are unique"
            problems.add(name.where, f"events.{name.text}", message)
        else:
            lines[name.text] = name.where
            events[name.text] = REMOVED if _removes(item, name.text, problems) else item
    return events


def _removes(item: Mapping, name: str, problems: Problems) -> bool:
    node = item.get("remove")
    if node is None:
        return False
    rest = [key.text for key, _ in item if key.text not in ("id", "remove")]
    if not isinstance(node, Scalar) or node.value is not True or rest:
        problems.add(node.where, f"events.{name}", "an event is dropped by {id: ..., remove: true} and nothing else")
    return True


def read_event(name: str, item: Mapping, register: Register, problems: Problems) -> Event | None:
    """Return an event, or None after noting what is wrong with it."""
    path = f"events.{name}"
    before = problems.count
    lever = _lever(path, item, register, problems)
    date = _date(path, item, problems)
    texts = {n: read_text(child, f"{path}.{n}", problems) for n in TEXT_FIELDS if (child := item.get(n)) is not None}
    if lever is None:
        return None
    specs = {spec.path: spec for spec in lever.fields}
    for key, _ in item:
        if key.text not in specs and key.text not in OWN_KEYS:
            message = f"unknown field of {lever.name}; allowed are {', '.join(specs)}"
            problems.add(key.where, f"{path}.{key.text}", message, word=key.text, names=(*specs, *OWN_KEYS))
    fields: dict[str, Value] = {}
    for spec in map(register.named, lever.fields):
        node = item.get(spec.path)
        if node is None and spec.default is None:
            problems.add(item.where, path, f"{spec.path} is missing; allowed is {allowed(spec)}")
        elif node is not None:
            value = read_value(node, spec, f"{path}.{spec.path}", problems)
            if value is not None:
                fields[spec.path] = value
        elif not (isinstance(spec.default, float) and math.isnan(spec.default)):
            value = read_value(node_of(spec.default, item.where), spec, f"{path}.{spec.path}", problems)
            if value is not None:
                fields[spec.path] = value
    if problems.count > before or date is None:
        return None
    return Event(name, date, lever.name, fields, **texts)


def _lever(path: str, item: Mapping, register: Register, problems: Problems) -> Lever | None:
    node = item.get("lever")
    names = ", ".join(register.levers)
    if node is None:
        typed = [key for key, _ in item if key.text not in OWN_KEYS]
        place = typed[0].where if typed else item.where
        problems.add(place, path, f"lever is missing; allowed are {names}",
                     word=typed[0].text if typed else "", names=("lever",))  # fmt: skip
        return None
    if not isinstance(node, Scalar) or node.value not in register.levers:
        text = node.text if isinstance(node, Scalar) else ""
        given = f"'{shown(text)}'" if text else kind(node)
        problems.add(node.where, f"{path}.lever", f"{given} is not a lever; allowed are {names}",
                     word=text, names=register.levers)  # fmt: skip
        return None
    return register.levers[node.text]


def _date(path: str, item: Mapping, problems: Problems) -> int | None:
    from sim.scenario.layer import read_month

    node = item.get("date")
    if node is None:
        problems.add(item.where, path, "date is missing; write YYYY-MM, the month from which the event acts")
        return None
    return read_month(node, f"{path}.date", problems, FIRST, LAST)


def check_same_effect(
    events: tuple[Event, ...], register: Register, places: dict[str, Where], problems: Problems
) -> None:
    """Note events that pull the same lever in the same month on the same target, so that order would decide."""
    seen: dict[tuple, str] = {}
    for event in events:
        target = tuple(event.fields[name].value for name in register.levers[event.lever].target)
        if not all(isinstance(word, str) for word in target):
            continue  # a word that is drawn in each run
        key = (event.date, event.lever, target)
        if key in seen:
            message = (
                f"does the same as {seen[key]!r} in the same month, so one would undo the other; "
                "drop one, or give it the same id to replace it"
            )
            problems.add(places[f"events.{event.id}"], f"events.{event.id}", message)
        seen.setdefault(key, event.id)
