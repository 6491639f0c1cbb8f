"""Scenario files as text: the effective scenario with the origin of every value, and the start of a new file."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from sim.months import format_month
from sim.scenario.nodes import Scalar, number_text, plain_value
from sim.scenario.problems import Where
from sim.scenario.register import BLOC, ENSEMBLE, Register
from sim.scenario.schema import Parameter
from sim.scenario.values import allowed

if TYPE_CHECKING:
    from sim.scenario.scenario import Scenario

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*\Z")
_MONTH = re.compile(r"\d{4}-\d{2}\Z")


def flow(value: Any) -> str:
    """Return plain data as one line of YAML that reads back as the same data."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(str(key), key=True)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if isinstance(value, bool) or value is None:
        return {None: "null", True: "true", False: "false"}[value]
    return _text(value) if isinstance(value, str) else number_text(value)


def _text(text: str, *, key: bool = False) -> str:
    bare = _WORD.match(text) or _MONTH.match(text)
    number = isinstance(plain_value(text), int | float) and key
    if number or (bare and isinstance(Scalar(Where("", 0), text, plain=True).value, str)):
        return text
    return json.dumps(text, ensure_ascii=False)


def resolved_text(scenario: Scenario, of: Register) -> str:
    """Return the effective scenario as YAML; each value is followed by ``# [unit] origin``."""
    document, origins = scenario.resolved(), scenario.origins
    lines = ["# Effective scenario: every value in force, with its unit and the place that set it."]
    lines += [f"{key}: {flow(document[key])}" for key in ("name", "title", "story", "population") if key in document]
    for section in ("horizon", "ensemble"):
        lines.append(f"{section}:")
        for key, value in document[section].items():
            lines.append(_line("  ", key, value, "", origins.get(f"{section}.{key}", "default")))
    lines.append("parameters:")
    for path, value in document["parameters"].items():
        lines.append(_line("  ", path, value, of.parameters[path].unit, origins[path]))
    lines.append("labs:")
    specs = {BLOC.path: BLOC, **of.lab_fields}
    for lab, fields in document["labs"].items():
        lines.append(f"  {_text(lab)}:")
        for name, value in fields.items():
            lines.append(_line("    ", name, value, specs[name].unit, origins[f"labs.{lab}.{name}"]))
    lines += _events(scenario, of)
    for key in ("correlations", "sources"):
        if key in document:
            lines.append(f"{key}:")
            lines += [f"  - {flow(item)}" for item in document[key]]
    return "\n".join(lines) + "\n"


def _line(indent: str, key: str, value: Any, unit: str, origin: str) -> str:
    about = f"[{unit}] " if unit not in ("", "1") else ""
    return f"{indent}{_text(key)}: {flow(value)}  # {about}{origin}"


def _events(scenario: Scenario, of: Register) -> list[str]:
    lines = ["events:"] if scenario.events else []
    for event in scenario.events:
        units = {spec.path: spec.unit for spec in of.levers[event.lever].fields}
        origin = scenario.origins[f"events.{event.id}"]
        for key, value in event.document().items():
            where = scenario.origins.get(f"events.{event.id}.{key}", origin)
            lines.append(_line("  - " if key == "id" else "    ", key, value, units.get(key, ""), where))
    return lines


def new_file(name: str, parent: Scenario, extends: str, of: Register, *, schema: str = "") -> str:
    """Return the text of a new scenario file: a parent, and every value it could change as a comment.

    Parameters
    ----------
    name : str
        Name of the new scenario.
    parent : Scenario
        The scenario to extend; the comments show its values.
    extends : str
        Its name in the file.
    of : Register
        What can be set.
    schema : str
        Path of a JSON Schema for the editor, relative to the file; may be empty.
    """
    lines = [f"# yaml-language-server: $schema={schema}"] if schema else []
    lines += [
        f"name: {name}",
        "title: " + json.dumps(f"What changes against {extends}, in one line"),
        "story: |",
        "  Why this could happen, in a few sentences.",
        f"extends: {extends}",
        "",
        "# To change a value, delete the '# ' before its line, and before its group. Every value may be a number, a",
        '# quantity ("0.28 USD/Mtok") or a distribution (uniform, normal, lognormal, triangular, pert, choice,',
        "# empirical). Say why in source: or assumption:.",
        "",
        "# horizon: " + flow({"start": format_month(parent.start), "history_until": format_month(parent.history_until),
                              "end": format_month(parent.end)}),
        "# ensemble: " + flow({name: getattr(parent, name) for name in ENSEMBLE}),
        "",
        "parameters:",
    ]  # fmt: skip
    group = ""
    for path, spec in of.parameters.items():
        if path.split(".")[0] != group:
            group = path.split(".")[0]
            lines += ["", f"  ## {group}"]
        lines += _offer("  ", path, parent.parameters[path].document(), spec)
    lines += ["", "labs:", *_new_labs(parent, of), "", "events:", *_new_events(parent, of)]
    return "\n".join(lines) + "\n"


def _offer(indent: str, key: str, value: Any, spec: Parameter) -> list[str]:
    return [
        f"{indent}## {spec.meaning}. Allowed: {allowed(spec)}.",
        f"{indent}# {key}: {flow(value)}",
    ]


def _new_labs(parent: Scenario, of: Register) -> list[str]:
    if not of.labs:
        return []
    lab = next(iter(of.labs))
    lines = [f"  ## Labs: {', '.join(of.labs)}.", f"  # {_text(lab)}:"]
    for name, spec in of.lab_fields.items():
        lines += [f"  ##   {spec.meaning}. Allowed: {allowed(spec)}."]
        lines += [f"  #   {name}: {flow(parent.labs[lab][name].document())}"]
    return lines


def _new_events(parent: Scenario, of: Register) -> list[str]:
    lines = [f"  ## From {parent.name}: {', '.join(e.id for e in parent.events)}; the same id replaces one, "
             "{id: ..., remove: true} drops it."] if parent.events else []  # fmt: skip
    date = format_month(parent.history_until + 6)
    for lever in of.levers.values():
        lines += [f"  ## {lever.meaning}"]
        fields: dict[str, Any] = {"id": lever.name.replace("_", "-") + "-new", "date": date, "lever": lever.name}
        for spec in lever.fields:
            lines.append(f"  ##   {spec.path}: {spec.meaning}. Allowed: {allowed(spec)}.")
            if spec.default is None:
                fields[spec.path] = of.named(spec).choices[0] if spec.choices else spec.low
        lines.append(f"  # - {flow(fields | {'assumption': 'why, and why then'})}")
    return lines
