"""Loading a scenario: its files, what they extend, ``--set`` overrides, and the checks across all of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sim.errors import ScenarioError
from sim.months import format_month, parse_month
from sim.scenario.correlations import read_correlations
from sim.scenario.events import REMOVED, Event, check_same_effect, read_event
from sim.scenario.files import SourceFile, name_fault, read_chain, read_text_file
from sim.scenario.layer import Layer, added_labs, read_layer
from sim.scenario.nodes import Mapping, Node, Scalar, node_of
from sim.scenario.problems import Problems, Where, shown
from sim.scenario.register import ENSEMBLE, HORIZON, POPULATION, Register, register
from sim.scenario.scenario import Scenario
from sim.scenario.schema import Parameter
from sim.scenario.values import Value, read_value
from sim.scenario.yaml_io import parse

DEFAULT_HORIZON = {"start": "2023-07", "history_until": "2025-12", "end": "2030-12"}


def load_scenario(
    path_or_name: str | os.PathLike[str],
    *,
    overrides: Sequence[str] = (),
    of: Register | None = None,
    **settings: Any,
) -> Scenario:
    """Return a scenario, checked.

    Parameters
    ----------
    path_or_name : str or path
        A file, or the bare name of a packaged scenario.
    overrides : sequence of str
        Each ``dotted.path=value``, as ``--set`` takes them; later ones win.
    of : Register
        What can be set; the model's own register unless a test substitutes another.
    **settings
        ``runs``, ``seed``, ``workloads``, ``nodes``, ``noise``, ``until``, ``population``: see `Scenario.replace`.

    Raises
    ------
    ScenarioError
        With every problem found, one line each: ``file:line: path: what is wrong, what is allowed``.
    """
    problems = Problems()
    scenario = _load(read_chain(path_or_name, problems), overrides, of or register(), problems)
    return scenario.replace(**settings) if settings else scenario


def scenario_from_text(text: str, label: str) -> Scenario:
    """Return the scenario that a text holds: one that extends nothing, such as a resolved one.

    Raises
    ------
    ScenarioError
        As `load_scenario`.
    """
    problems = Problems()
    file = read_text_file(text, label, problems)
    if (node := file.root.get("extends")) is not None:
        problems.add(node.where, "extends", "is not possible in a text that stands alone")
        problems.check()
    return _load([file], (), register(), problems)


def _load(chain: list[SourceFile], overrides: Sequence[str], known: Register, problems: Problems) -> Scenario:
    names = known.with_labs(added_labs([file.root for file in reversed(chain)], known))
    layers = [read_layer(file.root, names, problems) for file in chain]
    merged = Layer(events={})
    for layer in reversed(layers):
        _merge(merged, layer, problems)
    merged.settings |= {key: layers[0].settings.get(key, "") for key in ("name", "title", "story")}
    for number, text in enumerate(overrides, 1):
        _merge(merged, _read_override(number, text, merged, names, problems), problems)
    return _assemble(merged, chain, names, defaults(known) | _of_labs(names, names.added), problems)


@cache
def defaults(of: Register) -> dict[str, Value]:
    """Return the register's own values: parameters by path, fields of labs as ``labs.<Lab>.<field>``.

    Raises
    ------
    ScenarioError
        If an entry of the register does not keep its own bounds or has not exactly one reason: a defect of the
        program.
    """
    found = _checked([(path, spec, spec.default) for path, spec in of.parameters.items()])
    return found | _of_labs(of, of.labs)


def _of_labs(of: Register, labs: Iterable[str]) -> dict[str, Value]:
    """Return the register's own values of some labs."""
    problems = Problems()
    for lab in labs:
        for name in of.labs[lab]:
            if name not in of.lab_fields and name not in ("bloc", "country"):
                problems.add(Where("register", 0), f"labs.{lab}.{name}", "unknown field")
    problems.check()
    return _checked(
        [(f"labs.{lab}.{n}", spec, of.lab_default(lab, n)) for lab in labs for n, spec in of.lab_fields.items()]
    )


def _checked(entries: Sequence[tuple[str, Parameter, Any]]) -> dict[str, Value]:
    """Return the values of entries of the register, each path with its specification and default."""
    problems, found = Problems(), {}
    for path, spec, default in entries:
        where = Where("register", 0)
        value = read_value(node_of(default, where), spec, path, problems)
        if bool(spec.source) == bool(spec.assumption):
            problems.add(where, path, "needs exactly one of source and assumption")
        if value is not None:
            reason = (value.source, value.assumption) if value.source or value.assumption else ()
            found[path] = Value(value.value, *(reason or (spec.source, spec.assumption)), note=value.note)
    problems.check()
    return found


def _merge(merged: Layer, layer: Layer, problems: Problems) -> None:
    """Put a layer on top: maps merge, values replace, events append, replace or drop by id, other lists replace."""
    merged.settings |= layer.settings
    merged.values |= layer.values
    if layer.correlations is not None:
        merged.correlations = layer.correlations
    for name, event in layer.events.items():
        if event is not REMOVED:
            merged.events[name] = event
        elif merged.events.pop(name, None) is None:
            message = "there is no such event to remove"
            problems.add(layer.places[f"events.{name}"], f"events.{name}", message, word=name, names=merged.events)
    merged.places |= layer.places


def _read_override(number: int, text: str, merged: Layer, names: Register, problems: Problems) -> Layer:
    """Return the layer of one ``dotted.path=value``."""
    where = Where(f"--set #{number}", 0)
    path, equals, written = text.partition("=")
    path = path.strip().removeprefix("parameters.")
    if not equals or not path or not written.strip():
        problems.add(where, "", f"'{shown(text)}' is not of the form dotted.path=value")
        return Layer()
    try:
        node = parse(written, where.file, problems, lines=False)
    except ScenarioError as error:
        for line in error.problems:
            problems.add(where, path, line.removeprefix(f"{where.file}: "))
        return Layer()
    first, _, rest = path.partition(".")
    if path in names.parameters:
        root = _nested(where, ("parameters", path), node)
    elif first == "labs" and (lab := lab_of(rest, names.labs)):
        root = _nested(where, ("labs", lab, rest[len(lab) + 1 :]), node)
    elif first == "events" and rest:
        return _event_override(where, rest, node, merged, problems)
    elif first in ("horizon", "ensemble") and rest:
        root = _nested(where, (first, rest), node)
    elif path == POPULATION.path:
        root = _nested(where, (path,), node)
    else:
        known = [*names.parameters, *(f"horizon.{n}" for n in HORIZON), POPULATION.path]
        known += [spec.path for spec in ENSEMBLE.values()]
        known += [f"labs.{lab}.{n}" for lab in names.labs for n in names.lab_fields]
        problems.add(where, path, "unknown path", word=path, names=known)
        return Layer()
    return read_layer(root, names, problems)


def lab_of(rest: str, labs: Iterable[str]) -> str:
    """Return the lab of ``<Lab>.<field>``; names of labs may hold dots."""
    found = [lab for lab in labs if rest.startswith(lab + ".")]
    return max(found, key=len) if found else rest.rpartition(".")[0]


def _nested(where: Where, keys: tuple[str, ...], node: Node) -> Mapping:
    key, *inner = keys
    child = _nested(where, tuple(inner), node) if inner else node
    return Mapping(where, {key: (Scalar(where, key, plain=False), child)})


def _event_override(where: Where, rest: str, node: Node, merged: Layer, problems: Problems) -> Layer:
    name, _, key = rest.partition(".")
    path = f"events.{rest}"
    event = merged.events.get(name)
    if not isinstance(event, Mapping):
        problems.add(where, path, f"there is no event {shown(name)!r}", word=name, names=merged.events)
    elif key in ("", "id", "lever", "remove"):
        problems.add(where, path, "only the date and the fields of an event can be set; replace the event in a file")
    else:
        entries = event.entries | {key: (Scalar(where, key, plain=False), node)}
        changed = Mapping(event.where, entries)
        return Layer(events={name: changed}, places={path: where})
    return Layer()


def _assemble(
    merged: Layer, chain: list[SourceFile], names: Register, base: dict[str, Value], problems: Problems
) -> Scenario:
    """Check everything across files and return the scenario; `base` holds what no file sets."""
    file = chain[0]
    values = base | merged.values
    horizon = _horizon(merged, problems)
    name = merged.settings["name"] or _name_of_file(file, problems)
    found = [read_event(key, item, names, problems) for key, item in merged.events.items() if isinstance(item, Mapping)]
    events = tuple(sorted((e for e in found if e), key=lambda e: (e.date, e.id)))
    warnings: list[str] = []
    _check_dates(events, merged, horizon, problems, warnings)
    check_same_effect(events, names, merged.places, problems)
    _check_parts(values, names, merged, problems)
    everything = values | {f"events.{e.id}.{n}": v for e in events for n, v in e.fields.items()}
    pairs = read_correlations(merged.correlations, everything, merged.places, problems, warnings)
    problems.check()
    short = {f.label: f.short for f in chain}
    return Scenario(
        name=name,
        title=merged.settings["title"] or name,
        story=merged.settings["story"],
        population=merged.settings.get("population", POPULATION.default),
        **horizon,
        **{key: merged.settings.get(f"ensemble.{key}", spec.default) for key, spec in ENSEMBLE.items()},
        parameters={path: values[path] for path in names.parameters},
        labs={lab: {n: values[f"labs.{lab}.{n}"] for n in names.fields_of(lab)} for lab in names.labs},
        events=events,
        correlations=pairs,
        sources=merged.settings.get("sources", ()),
        origins=_origins(merged, values, events, short),
        files=tuple((f.short, f.digest) for f in chain),
        warnings=(*_without_reason(merged, events), *warnings),
    )


def _check_parts(values: dict[str, Value], names: Register, merged: Layer, problems: Problems) -> None:
    """Report a whole whose parts are all zero: nothing can be divided among them."""
    wholes: dict[str, list[str]] = {}
    for path, spec in names.parameters.items():
        if spec.unit == "parts":
            wholes.setdefault(path.rpartition(".")[0], []).append(path)
    for stem, parts in wholes.items():
        if all(values[path].value == 0 for path in parts):
            problems.add(merged.places[parts[0]], stem, "all its parts are zero; allowed is at least one above zero")


def _name_of_file(file: SourceFile, problems: Problems) -> str:
    stem = os.path.splitext(file.short)[0]
    if name_fault(stem):
        problems.add(Where(file.label, 1), "name", "is missing, and the file's name cannot serve as one")
    return stem


def _horizon(merged: Layer, problems: Problems) -> dict[str, int]:
    months = {key: merged.settings.get(f"horizon.{key}", parse_month(text)) for key, text in DEFAULT_HORIZON.items()}
    for later in ("history_until", "end"):
        if months[later] < months["start"] + (later == "end"):
            setters = [merged.places[p] for p in (f"horizon.{later}", "horizon.start") if p in merged.places]
            message = f"{format_month(months[later])} does not come after horizon.start {format_month(months['start'])}"
            problems.add(setters[0], f"horizon.{later}", message)
    return months


def _check_dates(
    events: tuple[Event, ...], merged: Layer, horizon: dict[str, int], problems: Problems, warnings: list[str]
) -> None:
    for event in events:
        place, path = merged.places[f"events.{event.id}"], f"events.{event.id}"
        if event.date <= horizon["history_until"]:
            until, after = format_month(horizon["history_until"]), format_month(horizon["history_until"] + 1)
            problems.add(
                place,
                path,
                f"acts in {format_month(event.date)}, but the history is replayed as observed to {until}; "
                f"allowed is {after} or later, or an earlier horizon.history_until",
            )
        elif event.date > horizon["end"]:
            limit = format_month(horizon["end"])
            warnings.append(
                f"{place}: {path}: acts in {format_month(event.date)}, after horizon.end {limit}: no effect"
            )


def _says(reason: str) -> bool:
    """Return whether a reason holds a word; dots are no reason."""
    return any(sign.isalpha() for sign in reason)


def _without_reason(merged: Layer, events: tuple[Event, ...]) -> list[str]:
    """Return a warning for each value that a file sets without saying why."""
    bare = [path for path, value in merged.values.items() if not (_says(value.source) or _says(value.assumption))]
    for event in events:
        reasons = [event, *event.fields.values()]
        if not any(_says(of.source) or _says(of.assumption) for of in reasons):
            bare.append(f"events.{event.id}")
    places = [(merged.places[path], path) for path in bare if merged.places[path].line]
    return [f"{where}: {path}: has neither source nor assumption" for where, path in sorted(places)]


def _origins(
    merged: Layer, values: dict[str, Value], events: tuple[Event, ...], short: dict[str, str]
) -> dict[str, str]:
    paths = [*(f"horizon.{key}" for key in HORIZON), *(f"ensemble.{key}" for key in ENSEMBLE), *values]
    for event in events:
        paths += [f"events.{event.id}", *(f"events.{event.id}.{name}" for name in ("date", *event.fields))]
    origins = {}
    for path in paths:
        place = merged.places.get(path)
        if place is None and path.startswith("events."):
            place = merged.places["events." + path.split(".")[1]]
        origins[path] = str(place._replace(file=short.get(place.file, place.file))) if place else "default"
    return origins
