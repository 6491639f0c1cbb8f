"""Random scenario documents for Hypothesis: valid ones over the full bounds, and arbitrary ones."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from sim.months import format_month, parse_month
from sim.scenario.register import register
from sim.scenario.schema import Parameter

_WORDS = st.text("abcdefghijklmnopqrstuvwxyz 0123456789$%<>&'é中=-", min_size=1, max_size=30)


def numbers(spec: Parameter) -> st.SearchStrategy[float]:
    """Return numbers over all that a parameter allows, its bounds included."""
    ends = st.sampled_from([float(spec.low), float(spec.high)])
    if spec.integer:
        return ends | st.integers(math.ceil(spec.low), math.floor(spec.high)).map(float)
    inside = st.floats(spec.low, spec.high, allow_nan=False).map(lambda x: 0.0 if abs(x) < 1e-300 else x)
    return ends | inside.filter(lambda x: spec.low <= x <= spec.high)


def distributions(spec: Parameter) -> st.SearchStrategy[dict[str, Any]]:
    """Return maps of every kind of distribution whose arguments a parameter allows."""
    number = numbers(spec)
    two = st.lists(number, min_size=2, max_size=2, unique=True).map(sorted)
    three = st.lists(number, min_size=3, max_size=3).map(sorted).filter(lambda a: a[0] < a[2])
    spread = st.floats(1e-3, 1e3)
    median = number.filter(lambda x: x > 0)
    kinds = [
        two.map(lambda a: {"uniform": a}),
        st.tuples(number, spread).map(lambda a: {"normal": list(a)}),
        three.map(lambda a: {"triangular": a}),
        three.map(lambda a: {"pert": a}),
        st.lists(number, min_size=1, max_size=4, unique=True).map(lambda a: {"choice": a}),
        st.lists(number, min_size=1, max_size=5).map(lambda a: {"empirical": a}),
    ]
    if spec.high > 0:
        kinds.append(st.tuples(median, st.floats(0.01, 3)).map(lambda a: {"lognormal": list(a)}))
    return st.one_of(kinds)


@st.composite
def values(draw: st.DrawFn, spec: Parameter) -> Any:
    """Return a value in one of the forms a file may use."""
    reasons = draw(st.sampled_from([{}, {"source": "a report"}, {"assumption": "a guess", "note": "n"}]))
    if spec.choices:
        word = draw(st.sampled_from(spec.choices))
        return draw(st.sampled_from([word, {"value": word} | reasons, {"choice": list(spec.choices)} | reasons]))
    form = draw(st.integers(0, 2))
    if form == 0:
        return draw(numbers(spec))
    if form == 1:
        return {"value": draw(numbers(spec))} | reasons
    return draw(distributions(spec)) | reasons


@st.composite
def _events(draw: st.DrawFn, first: int, last: int) -> list[dict[str, Any]]:
    events, seen = [], set()
    for place in range(draw(st.integers(0, 4))):
        lever = draw(st.sampled_from(list(register().levers.values())))
        date = draw(st.integers(first, last))
        event: dict[str, Any] = {"id": f"event-{place}", "date": format_month(date), "lever": lever.name}
        for spec in map(register().named, lever.fields):
            if spec.choices:
                event[spec.path] = draw(st.sampled_from(spec.choices))
            elif spec.default is None or draw(st.booleans()):
                event[spec.path] = draw(values(spec))
        effect = (date, lever.name, *(event[name] for name in lever.target))
        if effect not in seen:
            seen.add(effect)
            events.append(event)
    return events


@st.composite
def valid_scenarios(draw: st.DrawFn, *, months: int | None = None) -> dict[str, Any]:
    """Return documents of scenarios that must load, values drawn over the full allowed bounds.

    Parameters
    ----------
    months : int
        Length of the horizon; any length if None.
    """
    of = register()
    start = draw(st.integers(parse_month("2023-07"), parse_month("2025-11")))
    end = start + months if months else draw(st.integers(start + 1, parse_month("2040-12")))
    history = draw(st.integers(start, parse_month("2025-12")))
    horizon = {"start": format_month(start), "history_until": format_month(history), "end": format_month(end)}
    paths = draw(st.lists(st.sampled_from(sorted(of.parameters)), max_size=8, unique=True))
    labs: dict[str, dict[str, Any]] = {}
    for lab in draw(st.lists(st.sampled_from(sorted(of.labs)), max_size=3, unique=True)):
        names = draw(st.lists(st.sampled_from(sorted(of.lab_fields)), max_size=3, unique=True))
        labs[lab] = {name: draw(values(of.lab_fields[name])) for name in names}
    document: dict[str, Any] = {
        "name": draw(st.from_regex(r"s[a-z0-9_-]{0,20}", fullmatch=True)),
        "title": draw(_WORDS),
        "population": draw(st.sampled_from(["agents", "mean-field"])),
        "horizon": horizon,
        "ensemble": {
            "runs": draw(st.integers(1, 10_000)),
            "seed": draw(st.integers(0, 2**63 - 1)),
            "workloads": draw(st.integers(200, 10_000_000)),
            "nodes": draw(st.integers(64, 65_536)),
            "noise": draw(st.sampled_from(["shared", "options"])),
        },
        "parameters": {path: draw(values(of.parameters[path])) for path in paths},
        "labs": labs,
        "events": draw(_events(history + 1, max(history + 1, end))),
    }
    uncertain = [
        path
        for path, value in document["parameters"].items()
        if isinstance(value, dict) and "value" not in value and not of.parameters[path].choices
    ]
    if len(uncertain) >= 2:
        rank = draw(st.floats(-1, 1).filter(lambda x: x == 0 or abs(x) > 1e-300))
        document["correlations"] = [{"between": uncertain[:2], "rank": rank}]
    return document


def anything() -> st.SearchStrategy[Any]:
    """Return any JSON-like value: what a careless or hostile file could hold in any place."""
    leaves = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=20)
        | st.sampled_from(["5 USD/Mtok", "5 %", "1e400", "NO", ".inf", "2025-13", "open", "uniform"])
    )
    keys = st.text(max_size=8) | st.sampled_from(["value", "uniform", "choice", "bounds", "id", "date", "lever"])
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=8,
    )
