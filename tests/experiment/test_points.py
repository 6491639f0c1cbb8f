"""A scenario at a point is the scenario that `--set` would have made."""

from __future__ import annotations

import numpy as np
import pytest

from sim.errors import ScenarioError
from sim.scenario.load import load_scenario, scenario_from_text
from sim.scenario.points import at_point, spot
from sim.scenario.problems import Problems, Where
from sim.scenario.register import register

SETTINGS = [
    ("demand.enterprise.distrust", 1.5),
    ("compute.cn.quota_h200", 400000.0),
    ("labs.DeepSeek.openness", "closed"),
    ("labs.DeepSeek.openness_delay_months", 9.0),
    ("events.h200-thaw.quota", 123456.0),
    ("events.h200-thaw.date", "2026-09"),
    ("horizon.end", "2029-06"),
    ("ensemble.workloads", 5000.0),
    ("ensemble.nodes", 128.0),
    ("ensemble.noise", "options"),
    ("population", "mean-field"),
]


@pytest.mark.parametrize(("path", "value"), SETTINGS)
def test_a_point_is_what_set_makes_of_the_scenario(path, value):
    base = load_scenario("chip-thaw")
    written = int(value) if isinstance(value, float) and value.is_integer() else value
    assert at_point(base, {path: value}).content_hash() == (
        load_scenario("chip-thaw", overrides=[f"{path}={written}"]).content_hash()
    )
    assert at_point(base, {path: value}).content_hash() != base.content_hash()


def test_all_paths_together_make_the_scenario_of_all_overrides():
    overrides = [f"{path}={int(v) if isinstance(v, float) and v.is_integer() else v}" for path, v in SETTINGS]
    together = at_point(load_scenario("chip-thaw"), dict(SETTINGS))
    assert together.content_hash() == load_scenario("chip-thaw", overrides=overrides).content_hash()


def test_what_a_point_does_not_name_keeps_its_luck():
    base = load_scenario("chip-thaw")
    moved = at_point(base, {"demand.enterprise.distrust": 1.0})
    before, after = base.uniforms(3), moved.uniforms(3)
    assert before.keys() - after.keys() == {"demand.enterprise.distrust"}
    assert all(before[path] == after[path] for path in after)


def test_a_rank_correlation_with_a_fixed_path_has_no_effect(tmp_path):
    text = load_scenario("baseline").resolved_text()
    pair = "correlations:\n  - {between: [demand.enterprise.distrust, demand.developer.distrust], rank: 0.8}\n"
    base = scenario_from_text(text + pair, "with a correlation")
    assert len(base.correlations) == 1
    moved = at_point(base, {"demand.enterprise.distrust": 2.0})
    assert moved.correlations == ()
    assert np.isfinite(moved.draw(0).parameters["demand.developer.distrust"])


def test_a_date_before_the_projection_is_refused():
    with pytest.raises(ScenarioError, match="history is replayed"):
        at_point(load_scenario("chip-thaw"), {"events.h200-thaw.date": "2024-01"})


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("demand.enterprise.distrst", "did you mean 'demand.enterprise.distrust'"),
        ("events.nothing.quota", "has no event 'nothing'"),
        ("events.h200-thaw.quotta", "export_control has no field 'quotta'.*did you mean 'quota'"),
        ("labs.DeepSek.openness", "unknown path"),
        ("ensemble.runs", "unknown path"),
    ],
)
def test_a_path_that_is_not_there_is_told_with_the_nearest(path, words):
    problems = Problems()
    assert spot(path, load_scenario("chip-thaw"), register(), Where("sweep.yaml", 7), problems) is None
    with pytest.raises(ScenarioError, match=rf"^sweep.yaml:7: {path}: .*{words}"):
        problems.check()
