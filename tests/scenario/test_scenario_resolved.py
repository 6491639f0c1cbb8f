"""The effective scenario on paper, and the hash of what can change a result."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings

from sim.scenario.files import packaged_names
from sim.scenario.load import load_scenario
from sim.scenario.writing import flow
from tests.scenario.strategies import valid_scenarios

RICH = """
name: rich
title: "A title: with 'quotes' and $dollars$"
story: |
  Two lines
  of text.
population: mean-field
horizon: {end: 2029-06}
ensemble: {nodes: 256, noise: options}
parameters:
  demand.value: {choice: {4: 2, 6.5: 2}, source: "a, b: {c}"}
  demand.value_sd: {empirical: [1, 2, 2.5], bounds: [1.5, 2.5], assumption: "100 % sure, # not a comment"}
  demand.volume_sd: {normal: [2, 0.3], note: "true"}
  serving.base_cost: 0.0003 USD/ktok
labs:
  01.AI: {active: 1, openness: {choice: {open: 1, closed: 3}}}
events:
  - {id: b, date: 2027-01, lever: cloud_access, bloc: CN, open: 5 %, source: s}
  - {id: a, date: 2026-03, lever: export_control, bloc: CN, tier: H200, quota: {pert: [0, 1e5, 1e6]}, leakage: 0.1}
correlations:
  - {between: [demand.value_sd, demand.volume_sd], rank: -0.25, assumption: guess}
sources: ["one: two", "- three", "null"]
"""


def content(found) -> tuple:
    return (
        found.population,
        found.nodes,
        found.noise,
        found.parameters,
        found.labs,
        found.events,
        found.correlations,
        found.sources,
        found.title,
        found.story,
    )


def test_the_effective_scenario_loads_again_to_the_same_content(load, write):
    found = load(RICH)
    for text in (found.resolved_text(), json.dumps(found.resolved()), json.dumps(found.resolved(), indent=1)):
        again = load_scenario(write(text, "again"))
        assert again.content_hash() == found.content_hash()
        assert content(again) == content(found)
        assert again.draw(3) == found.draw(3)
        assert again.resolved() == found.resolved()


def test_every_line_of_the_effective_scenario_tells_unit_and_origin(load):
    lines = load(RICH, "demand.leap_points=3").resolved_text().splitlines()
    starts = {line.split(":")[0].strip(): line for line in lines}
    assert starts["serving.base_cost"] == "  serving.base_cost: 0.3  # [USD/Mtok] mine.yaml:14"
    assert starts["demand.leap_points"] == "  demand.leap_points: 3  # [ECI points] --set #1"
    assert starts["demand.volume_growth_fade"].endswith("  # [1/year] default")
    assert "population: mean-field" in lines
    assert "  nodes: 256  # mine.yaml:9" in lines
    assert "  noise: options  # mine.yaml:9" in lines
    assert "  workloads: 20000  # default" in lines
    assert "    leakage: 0.1  # [share] mine.yaml:19" in lines


@pytest.mark.parametrize("name", packaged_names())
def test_packaged_scenarios_load_without_warnings_and_again_from_their_effective_form(name: str, write):
    found = load_scenario(name)
    assert not found.warnings
    assert found.title != name
    assert found.story
    assert load_scenario(write(found.resolved_text())).content_hash() == found.content_hash()


SAME = [
    ("name: other", "another name"),
    ("title: T\nstory: S\nsources: [a]", "texts"),
    ("# comment\nname: x  # another", "a comment"),
    (
        "horizon: {end: 2030-12}\nensemble: {runs: 32, seed: 1.0, workloads: 2e4, nodes: 1024, noise: shared}",
        "the defaults written out",
    ),
    ("population: agents", "the population"),
]


@pytest.mark.parametrize(("text", "_"), SAME, ids=[label for _, label in SAME])
def test_what_cannot_change_a_result_leaves_the_hash_alone(load, text: str, _: str):
    assert load(text + "\n").content_hash() == load("name: x\n").content_hash()


def test_spelling_order_and_reasons_leave_the_hash_alone(load):
    one = load("parameters: {demand.value: 5, serving.base_cost: 0.5}\n").content_hash()
    two = load("parameters:\n  serving: {base_cost: {value: 0.5 USD/Mtok, source: s}}\n  demand: {value: 5e0}\n")
    assert two.content_hash() == one
    assert (
        load("parameters: {demand.value: 0}").content_hash() == load("parameters: {demand.value: -0.0}").content_hash()
    )


def test_line_ends_and_byte_order_mark_leave_the_hash_alone(write):
    path = write(RICH)
    expected = load_scenario(path).content_hash()
    path.write_bytes(b"\xef\xbb\xbf" + RICH.replace("\n", "\r\n").encode())
    assert load_scenario(path).content_hash() == expected


@pytest.mark.parametrize(
    "override",
    ["demand.value=5.000000001", "demand.value={uniform: [4, 6]}", "labs.Meta.brand=0.1", "horizon.end=2030-11",
     "horizon.start=2023-08", "horizon.history_until=2025-11", "ensemble.runs=31", "ensemble.seed=2",
     "ensemble.workloads=20001", "ensemble.nodes=257", "ensemble.noise=shared", "population=agents",
     "events.b.open=6 %", "events.b.date=2027-02",
     "demand.value_sd={empirical: [1, 2, 2.5], bounds: [1.5, 2.4]}", "labs.01.AI.openness=open"],
)  # fmt: skip
def test_what_can_change_a_result_changes_the_hash(load, override: str):
    assert load(RICH, override).content_hash() != load(RICH).content_hash()


def test_another_rank_or_pair_changes_the_hash(load):
    assert load(RICH.replace("-0.25", "0.25")).content_hash() != load(RICH).content_hash()
    swapped = RICH.replace("[demand.value_sd, demand.volume_sd]", "[demand.volume_sd, demand.value_sd]")
    assert load(swapped).content_hash() != load(RICH).content_hash()


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(valid_scenarios())
def test_every_valid_document_loads_and_its_effective_form_is_the_same_scenario(write, document):
    found = load_scenario(write(flow(document)))
    again = load_scenario(write(found.resolved_text(), "again"))
    assert again.content_hash() == found.content_hash()
    assert again.draw(1) == found.draw(1)  # events hold NaN, equal here because it is one object
