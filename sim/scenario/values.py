"""One value of a scenario: a number, a word or a distribution, with where it comes from; read and checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from sim.scenario.distributions import ARGUMENTS, KINDS, MAX_SAMPLES, Distribution
from sim.scenario.nodes import (
    Mapping,
    Node,
    Scalar,
    Sequence,
    is_null,
    kind,
    number_fault,
    number_hint,
    number_text,
)
from sim.scenario.problems import Problems, shown
from sim.scenario.register import TEXT_FIELDS
from sim.scenario.schema import Parameter
from sim.scenario.units import quantity


@dataclass(frozen=True)
class Value:
    """A number, word or distribution, and the reason for it."""

    value: float | str | Distribution
    source: str = ""
    assumption: str = ""
    note: str = ""

    def document(self) -> Any:
        """Return the value as a scenario file writes it, reasons included."""
        reasons = {name: text for name in TEXT_FIELDS if (text := getattr(self, name))}
        if isinstance(self.value, Distribution):
            return self.value.document() | reasons
        return {"value": self.value} | reasons if reasons else self.value

    def canonical(self) -> Any:
        """Return what of the value can change a result."""
        if isinstance(self.value, Distribution):
            of = self.value
            return [of.kind, list(of.args), list(of.weights), of.low, of.high]
        return self.value


def allowed(parameter: Parameter) -> str:
    """Return in words what a parameter allows."""
    if parameter.choices:
        return "one of " + ", ".join(parameter.choices)
    unit = "" if parameter.unit == "1" else f" {parameter.unit}"
    whole = "a whole number" if parameter.integer else "a number"
    if math.isinf(parameter.high):
        return f"{whole} of {number_text(parameter.low)} or more{unit}"
    return f"{whole} from {number_text(parameter.low)} to {number_text(parameter.high)}{unit}"


def read_value(node: Node, parameter: Parameter, path: str, problems: Problems) -> Value | None:
    """Return the value written at `node`, or None after noting why it cannot be one.

    A value is a number, a quantity with a unit, a word from the parameter's choices, a map with ``value:``, or a
    map with a distribution; maps also take ``source``, ``assumption`` and ``note``.
    """
    if isinstance(node, Sequence):
        start = "a list is not a value; for a range write {uniform: [low, high]}, for alternatives {choice: [...]}"
        problems.add(node.where, path, f"{start}; allowed is {allowed(parameter)}")
        return None
    if isinstance(node, Scalar):
        content = _single(node, parameter, path, problems)
        return None if content is None else Value(content)
    return _read_map(node, parameter, path, problems)


def _read_map(node: Mapping, parameter: Parameter, path: str, problems: Problems) -> Value | None:
    names = ("value", *KINDS, "bounds", *TEXT_FIELDS)
    known = True
    for key, _ in node:
        if key.text not in names:
            known = False
            problems.add(
                key.where, f"{path}.{key.text}", "unknown key; a value is a number, {value: ...} or a distribution "
                f"({', '.join(KINDS)})", word=key.text, names=names,
            )  # fmt: skip
    forms = [key for key, _ in node if key.text in ("value", *KINDS)]
    texts = {name: read_text(child, f"{path}.{name}", problems) for name in TEXT_FIELDS if (child := node.get(name))}
    if len(forms) != 1:
        if known:
            found = "none" if not forms else " and ".join(key.text for key in forms)
            message = f"exactly one of value, {', '.join(KINDS)} is needed, given is {found}"
            problems.add(node.where, path, message)
        return None
    form = forms[0].text
    child = node.get(form)
    if child is None:
        return None
    bounds = node.get("bounds")
    if form == "value":
        if bounds is not None:
            problems.add(bounds.where, f"{path}.bounds", "bounds need a distribution; a single value has none")
        if not isinstance(child, Scalar):
            problems.add(child.where, path, f"value: is {kind(child)}; allowed is {allowed(parameter)}")
            return None
        content: Any = _single(child, parameter, path, problems)
    else:
        content = _distribution(form, child, bounds, parameter, path, problems)
    return None if content is None else Value(content, **texts)


def read_text(node: Node, path: str, problems: Problems) -> str:
    """Return a text, noting a problem if the node is something else; empty values are empty texts."""
    if isinstance(node, Scalar) and isinstance(node.value, str):
        return node.text
    if not is_null(node):
        hint = "; put it in quotes" if isinstance(node, Scalar) else ""
        problems.add(node.where, path, f"must be a text, given is {kind(node)}{hint}")
    return ""


def _single(node: Scalar, parameter: Parameter, path: str, problems: Problems) -> float | str | None:
    if parameter.choices:
        return _word(node, parameter, path, problems)
    number = read_number(node, parameter, path, problems)
    return None if number is None else float(number)


def _word(node: Node, parameter: Parameter, path: str, problems: Problems) -> str | None:
    if isinstance(node, Scalar) and node.value in parameter.choices:
        return node.text
    text = node.text if isinstance(node, Scalar) else ""
    given = f"'{shown(text)}'" if text else kind(node)
    problems.add(node.where, path, f"{given} is not {allowed(parameter)}", word=text, names=parameter.choices)
    return None


def read_setting(node: Node, parameter: Parameter, path: str, problems: Problems) -> int | str | None:
    """Return the whole number or word of a setting of the simulation, or None after noting why there is none."""
    if parameter.choices:
        return _word(node, parameter, path, problems)
    number = read_number(node, parameter, path, problems)
    return None if number is None else int(number)


def read_number(
    node: Node, parameter: Parameter, path: str, problems: Problems, *, bounded: bool = True
) -> float | int | None:
    """Return the number at `node` in the parameter's unit, or None after noting why there is none.

    With `bounded` it must be within the parameter's bounds, and whole where whole numbers are asked for.
    """
    value = node.value if isinstance(node, Scalar) else None
    if not isinstance(node, Scalar) or isinstance(value, bool) or not isinstance(value, int | float | str):
        problems.add(node.where, path, f"is {kind(node)}; allowed is {allowed(parameter)}")
        return None
    if isinstance(value, str):
        value = _from_text(node, value, parameter, path, problems)
        if value is None:
            return None
    elif fault := number_fault(node.text, value):
        problems.add(node.where, path, f"{fault}; allowed is {allowed(parameter)}")
        return None
    if bounded and not parameter.low <= value <= parameter.high:
        problems.add(node.where, path, f"{shown(node.text)} is out of bounds; allowed is {allowed(parameter)}")
        return None
    if bounded and parameter.integer and value != int(value):
        problems.add(node.where, path, f"{shown(node.text)} is not whole; allowed is {allowed(parameter)}")
        return None
    if isinstance(value, int):
        return value
    return value + 0.0  # turns -0.0 into 0.0: two spellings of one number shall not make two results


def _from_text(node: Scalar, text: str, parameter: Parameter, path: str, problems: Problems) -> float | int | None:
    hint = number_hint(node)
    try:
        value = None if hint else quantity(text, parameter.unit)
    except ValueError as error:
        problems.add(node.where, path, f"{error}; allowed is {allowed(parameter)}")
        return None
    if value is None:
        message = f"'{shown(text)}' is not a number{': ' + hint if hint else ''}"
        problems.add(node.where, path, f"{message}; allowed is {allowed(parameter)}")
    return value


def _distribution(
    form: str, node: Node, bounds: Node | None, parameter: Parameter, path: str, problems: Problems
) -> Distribution | None:
    """Return the distribution of kind `form` with its arguments at `node`."""
    if parameter.choices and form != "choice":
        message = f"a {form} distribution is of numbers; allowed is {allowed(parameter)}, or choice of them"
        problems.add(node.where, path, message)
        return None
    before = problems.count
    weights: tuple[float, ...] = ()
    if form in ARGUMENTS:
        args = _arguments(form, node, parameter, path, problems)
    else:
        args, weights = _samples(form, node, parameter, path, problems)
    limits = None if bounds is None else _bounds(bounds, parameter, path, problems)
    if problems.count > before:
        return None
    low, high = limits or (float(parameter.low), float(parameter.high))
    found = Distribution(form, args, weights, limits, low, high, parameter.integer)
    if fault := found.fault():
        problems.add(node.where, path, f"{form}: {fault}")
        return None
    return found


def _arguments(form: str, node: Node, parameter: Parameter, path: str, problems: Problems) -> tuple[float, ...]:
    names = ARGUMENTS[form]
    if not isinstance(node, Sequence) or len(node.items) != len(names):
        given = f"{len(node.items)} values" if isinstance(node, Sequence) else kind(node)
        problems.add(node.where, path, f"{form} takes [{', '.join(names)}], given is {given}")
        return ()
    args = []
    for name, item in zip(names, node.items, strict=True):
        spread = name in ("sd", "sigma")  # a width has no bounds, and the sigma of a logarithm no unit either
        of = Parameter(path, "", "1" if name == "sigma" else parameter.unit, 0, math.inf, None) if spread else parameter
        number = read_number(item, of, f"{path}.{form}.{name}", problems)
        args.append(0.0 if number is None else float(number))
    return tuple(args)


def _samples(
    form: str, node: Node, parameter: Parameter, path: str, problems: Problems
) -> tuple[tuple[Any, ...], tuple[float, ...]]:
    """Return values and weights of a choice, or the samples of an empirical distribution."""
    pairs: list[tuple[Node, Node | None]]
    if isinstance(node, Sequence):
        pairs = [(item, None) for item in node.items]
    elif isinstance(node, Mapping) and form == "choice":
        pairs = [(key, weight) for key, weight in node]
    else:
        takes = "[a, b, ...] or {a: weight, b: weight}" if form == "choice" else "[sample, sample, ...]"
        problems.add(node.where, path, f"{form} takes {takes}, given is {kind(node)}")
        return (), ()
    if not 1 <= len(pairs) <= MAX_SAMPLES:
        problems.add(node.where, path, f"{form} takes 1 to {MAX_SAMPLES} values, given are {len(pairs)}")
        return (), ()
    of_weight = Parameter(path, "", "1", 0, 1e9, None)
    values, weights = [], []
    for item, weight in pairs:
        if weight is not None and isinstance(item, Scalar):
            item = Scalar(item.where, item.text, plain=True)  # as a key, a number may come in quotes (JSON)
        if isinstance(item, Scalar):
            values.append(_single(item, parameter, f"{path}.{form}", problems))
        else:
            problems.add(item.where, f"{path}.{form}", f"is {kind(item)}; allowed is {allowed(parameter)}")
        number = 1.0 if weight is None else read_number(weight, of_weight, f"{path}.{form} weight", problems)
        weights.append(float(number or 0.0))
    if form == "choice" and None not in values and len(dict.fromkeys(values)) < len(values):
        problems.add(node.where, path, "choice names a value twice; give it once with a weight")
    return tuple(values), tuple(weights) if form == "choice" else ()


def _bounds(node: Node, parameter: Parameter, path: str, problems: Problems) -> tuple[float, float] | None:
    if parameter.choices:
        problems.add(node.where, f"{path}.bounds", "bounds are for numbers, not for words")
        return None
    if not isinstance(node, Sequence) or len(node.items) != 2:
        problems.add(node.where, f"{path}.bounds", f"must be [low, high], given is {kind(node)}")
        return None
    ends = [read_number(item, parameter, f"{path}.bounds", problems) for item in node.items]
    return None if None in ends else (float(ends[0]), float(ends[1]))  # type: ignore[arg-type]
