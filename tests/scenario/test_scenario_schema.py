"""The JSON Schema agrees with the loader wherever it can tell."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings

from sim.errors import ScenarioError
from sim.scenario.files import packaged_names, packaged_scenarios_dir
from sim.scenario.json_schema import json_schema
from sim.scenario.load import load_scenario
from sim.scenario.nodes import plain
from sim.scenario.problems import Problems
from sim.scenario.register import register
from sim.scenario.schema import OPENNESS_RULES
from sim.scenario.yaml_io import decode, parse
from tests.scenario.corpus import BOMBS, CORPUS, FILES, Bad
from tests.scenario.strategies import anything, valid_scenarios

SCHEMA = json_schema(register())
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)


def test_the_schema_is_draft_7_and_uses_nothing_that_editors_misread():
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    text = json.dumps(SCHEMA)
    assert "draft-07" in SCHEMA["$schema"]
    for word in ("prefixItems", "dependentSchemas", "unevaluated", "$defs", "$dynamicRef"):
        assert word not in text
    assert len(text) < 400_000


def test_every_reference_leads_somewhere():
    text = json.dumps(SCHEMA)
    used = {part.split('"')[0] for part in text.split('"#/definitions/')[1:]}
    assert used <= set(SCHEMA["definitions"])


def test_every_parameter_is_described_with_meaning_unit_and_bounds():
    for path, spec in register().parameters.items():
        text = SCHEMA["definitions"][path]["description"]
        assert spec.meaning in text
        assert spec.unit in text
        assert "allowed is" in text
    words = SCHEMA["definitions"]["lab"]["properties"]["openness"]["allOf"][0]["$ref"].split("/")[-1]
    assert SCHEMA["definitions"][words]["anyOf"][0] == {"enum": list(OPENNESS_RULES)}


@pytest.mark.parametrize("name", packaged_names())
def test_packaged_scenarios_and_their_effective_forms_are_valid(name: str):
    path = packaged_scenarios_dir() / f"{name}.yaml"
    VALIDATOR.validate(plain(parse(path.read_text(encoding="utf-8"), str(path), Problems())))
    VALIDATOR.validate(load_scenario(name).resolved())


@pytest.mark.parametrize(
    "parameters",
    [
        {"demand": {"enterprise": {"distrust": 2}}},
        {"demand.enterprise": {"distrust": {"triangular": [1, 2, 3]}}},
        {"demand": {"enterprise.distrust": {"value": "2 utils", "source": "s"}}},
        {"demand.enterprise.distrust": {"choice": {"1": 1, "2": 3}}},
        {"demand.enterprise.distrust": {"normal": [1, 99], "bounds": [0, 2], "note": None}},
        None,
    ],
)
def test_nested_and_dotted_keys_and_all_forms_of_values_are_valid(parameters):
    VALIDATOR.validate({"name": "x", "parameters": parameters})


@pytest.mark.parametrize("case", [c for c in CORPUS if c not in BOMBS and c not in FILES], ids=lambda c: c.name)
def test_the_schema_refuses_what_it_can_tell_of_the_corpus_and_no_more(case: Bad):
    problems = Problems()
    try:
        document = plain(parse(decode(case.content, "f"), "f", problems))
    except ScenarioError:
        assert not case.schema
        return
    if problems:  # a duplicate key is gone in the plain document
        return
    assert VALIDATOR.is_valid(document) != case.schema


FUNCTION = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=40, deadline=None, suppress_health_check=FUNCTION)
@given(valid_scenarios())
def test_valid_documents_are_valid_for_the_schema(document):
    VALIDATOR.validate(document)


@settings(max_examples=150, deadline=None, suppress_health_check=FUNCTION)
@given(anything())
def test_what_the_loader_accepts_anywhere_the_schema_accepts(write, value):
    for document in (
        {"parameters": {"demand.value": value}},
        {"labs": {"Meta": {"openness": value}}},
        {"ensemble": {"runs": value}},
        {"ensemble": {"nodes": value}},
        {"ensemble": {"noise": value}},
        {"population": value},
        {"story": value},
    ):
        path = write(json.dumps(document))
        try:
            load_scenario(path)
        except ScenarioError:
            continue
        VALIDATOR.validate(plain(parse(path.read_text(), "f", Problems())))
