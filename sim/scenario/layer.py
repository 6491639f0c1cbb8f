"""One file of a scenario, read against the register: what it sets, each entry with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from sim.months import format_month, parse_month
from sim.scenario.events import REMOVED, read_event_list
from sim.scenario.files import name_fault
from sim.scenario.levers import EVERYONE, NOBODY
from sim.scenario.nodes import Mapping, Node, Scalar, Sequence, is_null, kind
from sim.scenario.problems import Problems, Where, shown
from sim.scenario.register import BLOC, ENSEMBLE, HORIZON, POPULATION, TEXT_FIELDS, Register
from sim.scenario.schema import BLOCS
from sim.scenario.values import Value, allowed, read_setting, read_text, read_value
from sim.scenario.yaml_io import check_word_key

SECTIONS = (
    "name", "title", "story", "extends", "population", "horizon", "ensemble", "parameters", "labs", "events",
    "correlations", "sources",
)  # fmt: skip
MAX_TITLE = 200
LAB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,39}\Z")
LAB_NAME_RULE = "1 to 40 letters, digits, . and -, the first a letter or digit"
START, LAST_HISTORY, LAST_END = parse_month("2023-07"), parse_month("2025-12"), parse_month("2040-12")
_MONTHS = {"start": (START, LAST_HISTORY), "history_until": (START, LAST_HISTORY), "end": (START, LAST_END)}


@dataclass
class Layer:
    """What one file, or the ``--set`` options together, set.

    `settings` holds the horizon (months), the ensemble (integers and words) and the texts; `values` the parameters by
    path and the fields of labs as ``labs.<Lab>.<field>``; `events` the nodes of events by id, or `REMOVED`.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    events: dict[str, Mapping | str] = field(default_factory=dict)
    correlations: Node | None = None
    places: dict[str, Where] = field(default_factory=dict)


def read_layer(root: Mapping, register: Register, problems: Problems) -> Layer:
    """Return what a file sets, noting everything that is wrong with it."""
    layer = Layer()
    for key, node in root:
        if not check_word_key(key, key.text, problems):
            continue
        if key.text not in SECTIONS:
            _unknown_section(key, register, problems)
            continue
        layer.places[key.text] = key.where
        reader = _READERS.get(key.text)
        if reader and not (is_null(node) and key.text not in ("name", "population")):
            reader(layer, node, register, problems)
    return layer


def _unknown_section(key: Scalar, register: Register, problems: Problems) -> None:
    first = key.text.split(".")[0]
    if first in register.groups[""] or key.text in register.labs:
        section = "labs" if key.text in register.labs else "parameters"
        problems.add(key.where, key.text, f"belongs under {section}:")
        return
    message = f"unknown key; allowed are {', '.join(SECTIONS)}"
    problems.add(key.where, key.text, message, word=key.text, names=SECTIONS)


def _name(layer: Layer, node: Node, _: Register, problems: Problems) -> None:
    text = read_text(node, "name", problems)
    fault = name_fault(text) if text else ""
    if is_null(node) or (isinstance(node, Scalar) and node.value == ""):
        fault = "the name is empty"
    if fault:
        problems.add(node.where, "name", fault)
    layer.settings["name"] = text


def _text(name: str):
    def read(layer: Layer, node: Node, _: Register, problems: Problems) -> None:
        words = read_text(node, name, problems).strip()
        layer.settings[name] = words if name == "story" else " ".join(words.split())
        if name == "title" and len(words) > MAX_TITLE:
            problems.add(node.where, name, f"longer than {MAX_TITLE} characters; the story may be longer")

    return read


def _population(layer: Layer, node: Node, _: Register, problems: Problems) -> None:
    layer.settings["population"] = read_setting(node, POPULATION, "population", problems)


def _section(node: Node, path: str, problems: Problems) -> Mapping | None:
    if isinstance(node, Mapping):
        return node
    problems.add(node.where, path, f"must be a map of names and values, given is {kind(node)}")
    return None


def _horizon(layer: Layer, node: Node, _: Register, problems: Problems) -> None:
    for key, child in _section(node, "horizon", problems) or ():
        path = f"horizon.{key.text}"
        if key.text not in HORIZON:
            message = f"unknown key; allowed are {', '.join(HORIZON)}"
            problems.add(key.where, path, message, word=key.text, names=HORIZON)
            continue
        month = read_month(child, path, problems, *_MONTHS[key.text])
        if month is not None:
            layer.settings[path] = month
            layer.places[path] = child.where


def read_month(node: Node, path: str, problems: Problems, low: int, high: int) -> int | None:
    """Return the month at `node`, or None after noting why it is not one between `low` and `high`."""
    span = f"allowed is a month from {format_month(low)} to {format_month(high)}, written YYYY-MM"
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        problems.add(node.where, path, f"is {kind(node)}; {span}")
        return None
    try:
        month = parse_month(node.text) if node.text.isascii() else None
    except ValueError:
        month = None
    if month is None or not low <= month <= high:
        problems.add(node.where, path, f"'{shown(node.text)}' is not allowed; {span}")
        return None
    return month


def _ensemble(layer: Layer, node: Node, _: Register, problems: Problems) -> None:
    names = (*ENSEMBLE, "posterior")
    for key, child in _section(node, "ensemble", problems) or ():
        path = f"ensemble.{key.text}"
        if key.text not in names:
            message = f"unknown key; allowed are {', '.join(names)}"
            problems.add(key.where, path, message, word=key.text, names=names)
        elif key.text == "posterior":
            if not (isinstance(child, Scalar) and child.value in ("none", None)):
                message = "a posterior ensemble is not available in this version; write none"
                problems.add(child.where, path, message)
        else:
            setting = read_setting(child, ENSEMBLE[key.text], path, problems)
            if setting is not None:
                layer.settings[path] = setting
                layer.places[path] = child.where


def _parameters(layer: Layer, node: Node, register: Register, problems: Problems) -> None:
    section = _section(node, "parameters", problems)
    if section is not None:
        _group(layer, section, "", register, problems)


def _group(layer: Layer, node: Mapping, group: str, register: Register, problems: Problems) -> None:
    """Read a group of parameters; keys may be nested, dotted or both."""
    for key, child in node:
        path = f"{group}.{key.text}" if group else key.text
        if not check_word_key(key, path, problems):
            continue
        if path in register.parameters:
            _keep(layer, path, key, read_value(child, register.parameters[path], path, problems), problems)
        elif path in register.groups and path:
            if isinstance(child, Mapping):
                _group(layer, child, path, register, problems)
            elif not is_null(child):
                inside = register.groups[path]
                message = f"is a group and needs a map of {', '.join(inside[:6])}{', ...' if len(inside) > 6 else ''}"
                problems.add(key.where, path, message)
        else:
            _unknown_parameter(key, group, path, register, problems)


def _unknown_parameter(key: Scalar, group: str, path: str, register: Register, problems: Problems) -> None:
    names = register.groups[group]
    last = key.text.split(".")[-1]
    elsewhere = [full for full in register.parameters if full.split(".")[-1] == last or full.endswith("." + key.text)]
    message = "unknown parameter" + (f"; allowed are {', '.join(names)}" if len(names) <= 12 else "")
    if len(elsewhere) == 1:
        problems.add(key.where, path, f"{message}; did you mean {elsewhere[0]!r}?")
    else:
        problems.add(key.where, path, message, word=key.text, names=names)


def _keep(layer: Layer, path: str, key: Scalar, value: Value | None, problems: Problems) -> None:
    if path in layer.places:
        line = f" (first on line {layer.places[path].line})" if key.where.line else ""
        problems.add(key.where, path, f"is set twice{line}; keep one")
        return
    layer.places[path] = key.where
    if value is not None:
        layer.values[path] = value


def _labs(layer: Layer, node: Node, register: Register, problems: Problems) -> None:
    for key, child in _section(node, "labs", problems) or ():
        path = f"labs.{key.text}"
        if not check_word_key(key, path, problems):
            continue
        if key.text not in register.labs:
            message = f"unknown lab; allowed are {', '.join(register.labs)}, or a new one with a bloc"
            problems.add(key.where, path, message, word=key.text, names=register.labs)
        elif key.text in register.added and (fault := _lab_fault(key.text, register)):
            problems.add(key.where, path, fault)
        elif not is_null(child) and (fields := _section(child, path, problems)) is not None:
            _lab(layer, fields, path, register, problems)


def added_labs(roots: list[Mapping], register: Register) -> list[str]:
    """Return the labs that files add: names under `labs:` that the register does not know and that get a bloc."""
    sections = [section for root in roots if isinstance(section := root.get("labs"), Mapping)]
    names = [
        key.text
        for section in sections
        for key, child in section
        if key.text not in register.labs and isinstance(child, Mapping) and child.get("bloc") is not None
    ]
    return list(dict.fromkeys(names))


def _lab_fault(name: str, register: Register) -> str:
    """Return why a new lab cannot have a name, or an empty text."""
    known = [lab for lab in register.labs if lab not in register.added]
    if not LAB_NAME.match(name):
        return f"cannot be the name of a lab; allowed are {LAB_NAME_RULE}"
    if name.lower() in [word.lower() for word in (*BLOCS, EVERYONE, NOBODY, *known)]:
        return "cannot be the name of a new lab: a lab or a group of labs is called so"
    return ""


def _lab(layer: Layer, node: Mapping, lab: str, register: Register, problems: Problems) -> None:
    specs = register.fields_of(lab.removeprefix("labs."))
    names = (*specs, *TEXT_FIELDS)
    reasons = {n: read_text(c, f"{lab}.{n}", problems) for n in TEXT_FIELDS if (c := node.get(n)) is not None}
    for key, child in node:
        path = f"{lab}.{key.text}"
        if key.text in specs:
            value = read_value(child, specs[key.text], path, problems)
            if key.text == BLOC.path and value is not None and not isinstance(value.value, str):
                problems.add(child.where, path, f"must be certain; allowed is {allowed(BLOC)}")
            if value is not None and not (value.source or value.assumption):
                value = Value(value.value, **({"note": value.note} | reasons))
            _keep(layer, path, key, value, problems)
        elif key.text not in TEXT_FIELDS and check_word_key(key, path, problems):
            fixed = "is fixed for a known lab" if key.text == BLOC.path else "unknown field"
            problems.add(key.where, path, f"{fixed}; allowed are {', '.join(specs)}", word=key.text, names=names)


def _events(layer: Layer, node: Node, _: Register, problems: Problems) -> None:
    layer.events = read_event_list(node, problems)
    for name, event in layer.events.items():
        layer.places[f"events.{name}"] = event.where if event is not REMOVED else node.where  # type: ignore[union-attr]


def _correlations(layer: Layer, node: Node, _: Register, problems: Problems) -> None:
    if isinstance(node, Sequence):
        layer.correlations = node
    else:
        problems.add(node.where, "correlations", f"must be a list, given is {kind(node)}")


def _sources(layer: Layer, node: Node, _: Register, problems: Problems) -> None:
    if not isinstance(node, Sequence):
        problems.add(node.where, "sources", f"must be a list of texts, given is {kind(node)}")
        return
    items = enumerate(node.items, 1)
    layer.settings["sources"] = tuple(read_text(item, f"sources[{i}]", problems) for i, item in items)


_READERS = {
    "name": _name,
    "title": _text("title"),
    "story": _text("story"),
    "population": _population,
    "horizon": _horizon,
    "ensemble": _ensemble,
    "parameters": _parameters,
    "labs": _labs,
    "events": _events,
    "correlations": _correlations,
    "sources": _sources,
}
