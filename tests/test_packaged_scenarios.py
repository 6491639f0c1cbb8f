"""Every packaged scenario loads without a warning and gives a valid result beside its twin."""

from __future__ import annotations

import pytest

from sim.experiment.run import run
from sim.scenario.files import packaged_names
from sim.scenario.load import load_scenario


@pytest.mark.parametrize("name", packaged_names())
def test_a_packaged_scenario_runs_with_all_identities_on(name):
    scenario = load_scenario(name, overrides=["horizon.start=2025-01"])
    assert scenario.warnings == ()
    manifest = run(scenario, runs=2, workloads=1000, until="2027-06").manifest
    assert manifest["invariants"]["violations"] == []
    assert manifest["columns_empty"] == manifest["columns_not_filled"]
    assert len(manifest["invariants"]["checked"]) > 10
