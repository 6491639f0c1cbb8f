"""The JSON Schema of scenario files for editors, made from the register (draft 7: what editors understand).

It knows names, kinds, bounds and words; what only the loader can tell (units, order of arguments, dates against one
another, files) it lets pass, and it never refuses what the loader accepts.
"""

from __future__ import annotations

from typing import Any

from sim.months import format_month
from sim.scenario.distributions import ARGUMENTS, MAX_SAMPLES
from sim.scenario.files import NAME
from sim.scenario.layer import LAST_END, LAST_HISTORY, MAX_TITLE, START
from sim.scenario.nodes import number_text
from sim.scenario.register import BLOC, ENSEMBLE, POPULATION, TEXT_FIELDS, Register
from sim.scenario.schema import ANY_LAB, Lever, Parameter
from sim.scenario.units import QUANTITY_PATTERN
from sim.scenario.values import allowed
from sim.scenario.yaml_io import MAX_TEXT

ID = "urn:sim:scenario-schema:1"
_NAME = "^" + NAME.pattern.removesuffix(r"\Z") + "$"
_TEXT = {"type": ["string", "null"], "maxLength": MAX_TEXT}
_REASON_TEXTS = {
    "source": "Where the value comes from",
    "assumption": "Why the value is assumed",
    "note": "Anything else worth knowing",
}
_REASONS = {name: {"$ref": f"#/definitions/text.{name}"} for name in _REASON_TEXTS}


def json_schema(of: Register) -> dict[str, Any]:
    """Return the schema of scenario files for what a register allows."""
    shapes = _Shapes()
    definitions = shapes.definitions
    definitions["quantity"] = {"type": "string", "pattern": QUANTITY_PATTERN, "description": "A number with a unit"}
    definitions["weight"] = {"type": "number", "minimum": 0, "maximum": 1e9}
    definitions["width"] = _number(0, None)
    definitions |= {f"text.{name}": {**_TEXT, "description": text} for name, text in _REASON_TEXTS.items()}
    for group, names in of.groups.items():
        members = {name: _member(f"{group}.{name}" if group else name, of, shapes) for name in names}
        definitions[f"group.{group}" if group else "parameters"] = _map(members)
    lab = {name: shapes.leaf(spec) for name, spec in of.lab_fields.items()}
    definitions["lab"] = _map(lab | _REASONS)
    definitions["added-lab"] = _map({BLOC.path: shapes.leaf(BLOC)} | lab | _REASONS)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": ID,
        "title": "Scenario of the model market",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string", "pattern": _NAME, "description": "Name of the scenario"},
            "title": {**_TEXT, "description": f"One line for figures, at most {MAX_TITLE} characters"},
            "story": {**_TEXT, "description": "Why this could happen, in a few sentences"},
            "extends": {"type": "string", "pattern": _NAME, "description": "Scenario this one builds on"},
            "population": _setting(POPULATION),
            "horizon": _horizon(),
            "ensemble": _ensemble(),
            "parameters": {"$ref": "#/definitions/parameters"},
            "labs": _map({name: {"$ref": "#/definitions/lab"} for name in of.labs})
            | {"additionalProperties": {"$ref": "#/definitions/added-lab"}},
            "events": {"type": ["array", "null"], "items": _event(of, shapes)},
            "correlations": _correlations(),
            "sources": {"type": ["array", "null"], "items": _TEXT},
        },
        "definitions": definitions,
    }


def _map(members: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": ["object", "null"], "additionalProperties": False, "properties": members, **more}


def _member(path: str, of: Register, shapes: _Shapes) -> dict[str, Any]:
    if path in of.parameters:
        shapes.definitions[path] = shapes.leaf(of.parameters[path])
        return {"$ref": f"#/definitions/{path}"}
    return {"$ref": f"#/definitions/group.{path}"}


class _Shapes:
    """Definitions of value shapes, shared between parameters with the same unit and bounds."""

    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}

    def leaf(self, spec: Parameter) -> dict[str, Any]:
        words = "-or-".join(word.strip("<>") for word in spec.choices)
        key = "value-" + (words or f"{number_text(spec.low)}-to-{number_text(spec.high)}")
        if key not in self.definitions:
            self.definitions[key] = _words(spec) if spec.choices else self._numbers(spec)
        reason = f"Source: {spec.source}" if spec.source else f"Assumption: {spec.assumption}"
        text = f"{spec.meaning}. Unit {spec.unit}; allowed is {allowed(spec)}. {spec.kind.capitalize()}."
        if spec.source or spec.assumption:
            text += f" {reason}."
        return {"description": text, "allOf": [{"$ref": f"#/definitions/{key}"}]}

    def _numbers(self, spec: Parameter) -> dict[str, Any]:
        name = f"number-{number_text(spec.low)}-to-{number_text(spec.high)}"
        self.definitions[name] = _number(spec.low, spec.high)
        single = {"$ref": f"#/definitions/{name}"}
        wide = {"anyOf": [single, {"$ref": "#/definitions/width"}]}  # a standard deviation knows no upper bound
        kinds: dict[str, Any] = {}
        for kind, names in ARGUMENTS.items():
            item = wide if kind in ("normal", "lognormal") else single
            kinds[kind] = {**_list(item, len(names), len(names)), "description": f"[{', '.join(names)}]"}
        samples = _list(single, 1, MAX_SAMPLES)
        weighted = {"type": "object", "minProperties": 1, "additionalProperties": _weight()}
        kinds["choice"] = {"anyOf": [samples, weighted]}
        kinds["empirical"] = samples
        return {"anyOf": [single, _value_map(single, kinds, _list(single, 2, 2))]}


def _value_map(single: dict[str, Any], kinds: dict[str, Any], bounds: dict[str, Any] | None) -> dict[str, Any]:
    forms = {"value": single, **kinds}
    members = forms | _REASONS | ({"bounds": bounds} if bounds else {})
    needs = [{"required": [name]} for name in forms]
    return {"type": "object", "additionalProperties": False, "properties": members, "oneOf": needs}


def _words(spec: Parameter) -> dict[str, Any]:
    others = [word for word in spec.choices if word != ANY_LAB]
    word = {"enum": others} if len(others) == len(spec.choices) else {"type": "string"}
    weighted = {"type": "object", "minProperties": 1, "propertyNames": word, "additionalProperties": _weight()}
    return {"anyOf": [word, _value_map(word, {"choice": {"anyOf": [_list(word, 1, MAX_SAMPLES), weighted]}}, None)]}


def _number(low: float, high: float | None) -> dict[str, Any]:
    limits = {"minimum": low} | ({} if high is None else {"maximum": high})
    return {"anyOf": [{"type": "number", **limits}, {"$ref": "#/definitions/quantity"}]}


def _weight() -> dict[str, Any]:
    return {"$ref": "#/definitions/weight"}


def _list(item: dict[str, Any], least: int, most: int) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": least, "maxItems": most}


def _month(low: int, high: int, meaning: str) -> dict[str, Any]:
    text = f"{meaning}, YYYY-MM from {format_month(low)} to {format_month(high)}"
    return {"type": "string", "pattern": "^20[0-9]{2}-(0[1-9]|1[0-2])$", "description": text}


def _horizon() -> dict[str, Any]:
    return _map(
        {
            "start": _month(START, LAST_HISTORY, "First month"),
            "history_until": _month(START, LAST_HISTORY, "Last month replayed from evidence"),
            "end": _month(START, LAST_END, "Last month"),
        }
    )


def _ensemble() -> dict[str, Any]:
    members = {name: _setting(spec) for name, spec in ENSEMBLE.items()}
    return _map(members | {"posterior": {"enum": ["none", None], "description": "none in this version"}})


def _setting(spec: Parameter) -> dict[str, Any]:
    content = {"enum": list(spec.choices)} if spec.choices else _number(spec.low, spec.high)
    return {**content, "description": f"{spec.meaning}; {allowed(spec)}"}


def _event(of: Register, shapes: _Shapes) -> dict[str, Any]:
    name = {"type": "string", "pattern": _NAME, "description": "Name of the event, unique in a scenario"}
    dropped = {
        "type": "object",
        "additionalProperties": False,
        "required": ["id", "remove"],
        "properties": {"id": name, "remove": {"const": True}},
    }
    return {"anyOf": [*(_pulled(lever, name, shapes) for lever in of.levers.values()), dropped]}


def _pulled(lever: Lever, name: dict[str, Any], shapes: _Shapes) -> dict[str, Any]:
    members: dict[str, Any] = {
        "id": name,
        "date": {"type": "string", "pattern": "^20[0-9]{2}-(0[1-9]|1[0-2])$", "description": "Month, YYYY-MM"},
        "lever": {"const": lever.name, "description": lever.meaning},
    }
    fields = {spec.path: shapes.leaf(spec) for spec in lever.fields}
    needed = [spec.path for spec in lever.fields if spec.default is None]
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["id", "date", "lever", *needed],
        "properties": members | fields | _REASONS,
    }


def _correlations() -> dict[str, Any]:
    members = {
        "between": {**_list({"type": "string"}, 2, 2), "description": "Paths of two uncertain values"},
        "rank": {"anyOf": _number(-1, 1)["anyOf"], "description": "Spearman rank correlation, -1 to 1"},
        **{name: _REASONS[name] for name in TEXT_FIELDS},
    }
    item = {"type": "object", "additionalProperties": False, "required": ["between", "rank"], "properties": members}
    return {"type": ["array", "null"], "items": item}
