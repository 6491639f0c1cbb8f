"""Any value in any place is accepted or refused in clean lines, never with a traceback."""

from __future__ import annotations

import json
import math

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.errors import ScenarioError
from sim.scenario.load import load_scenario
from sim.scenario.register import ENSEMBLE, HORIZON, register
from sim.scenario.schema import Parameter
from tests.scenario.strategies import anything

OF = register()
COMMON = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}


def accepted(path, overrides=()) -> bool:
    """Return whether a file loads; if not, check that each problem is one clean line."""
    found, problems = None, []
    try:
        found = load_scenario(path, overrides=overrides)
    except ScenarioError as error:
        problems = error.problems
    assert all(line.isprintable() and len(line) < 1500 for line in problems)
    assert bool(problems) == (found is None)
    if found is None:
        return False
    drawn = found.draw(0)
    for name, spec in OF.parameters.items():
        value = drawn.parameters[name]
        assert isinstance(value, str) or (math.isfinite(value) and spec.low <= value <= spec.high)
    return True


def places() -> st.SearchStrategy[list[str]]:
    """Return the path of keys to every kind of place in a document."""
    return st.one_of(
        st.sampled_from(["name", "title", "story", "extends", "population", "horizon", "ensemble", "parameters"]).map(
            lambda name: [name]
        ),
        st.sampled_from(["labs", "events", "correlations", "sources"]).map(lambda name: [name]),
        st.sampled_from([["horizon", name] for name in HORIZON] + [["ensemble", name] for name in ENSEMBLE]),
        st.sampled_from(list(OF.parameters)).map(lambda path: ["parameters", path]),
        st.sampled_from(list(OF.parameters)).map(lambda path: ["parameters", *path.split(".")]),
        st.tuples(st.sampled_from(list(OF.labs)), st.sampled_from(list(OF.lab_fields))).map(lambda p: ["labs", *p]),
        st.text(max_size=10).map(lambda key: [key]),
        st.text(max_size=10).map(lambda key: ["parameters", key]),
    )


@settings(max_examples=300, **COMMON)
@given(places(), anything())
def test_any_value_in_any_place_is_accepted_or_refused_cleanly(write, keys: list[str], value):
    document = value
    for key in reversed(keys):
        document = {key: document}
    accepted(write(json.dumps(document)))
    accepted(write(json.dumps(document, ensure_ascii=False).encode("utf-8", "replace").decode()))


@settings(max_examples=150, **COMMON)
@given(
    st.dictionaries(
        st.sampled_from(["id", "date", "lever", "bloc", "tier", "quota", "open", "remove", "x"]), anything()
    )
)
def test_any_event_is_accepted_or_refused_cleanly(write, event):
    accepted(write(json.dumps({"events": [event]})))


@settings(max_examples=150, **COMMON)
@given(st.sampled_from(list(OF.parameters.values())), st.floats())
def test_a_float_is_accepted_exactly_when_it_is_within_the_bounds(write, spec: Parameter, number: float):
    text = repr(number) if math.isfinite(number) else {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}[repr(number)]
    inside = spec.low <= number <= spec.high and (not spec.integer or number == int(number)) and not spec.choices
    assert accepted(write(f"parameters: {{{spec.path}: {text}}}\n")) == inside


@settings(max_examples=150, **COMMON)
@given(st.text(max_size=60))
def test_any_override_is_accepted_or_refused_cleanly(write, text: str):
    path = write("name: x\n")
    accepted(path, [text])
    accepted(path, [f"demand.value={text}"])
    accepted(path, [f"{text}=5"])
