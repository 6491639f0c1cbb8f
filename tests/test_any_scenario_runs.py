"""Every scenario the loader accepts runs, and all invariants hold, whatever its numbers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from sim.content import combine
from sim.experiment.run import simulate
from sim.identities import broken_identities
from sim.scenario.load import load_scenario
from tests.market.guards import binds
from tests.scenario.strategies import valid_scenarios

ROWS = 200


def check(document, write) -> None:
    """Run a scenario for two months around its hand-over, or from its start, with every invariant on."""
    scenario = load_scenario(write(document))
    first = min(scenario.history_until, scenario.end - 1)
    start = max(scenario.start, first)
    # Every event acts in the second month, the first after the history, whatever its date.
    events = tuple(dataclasses.replace(event, date=start + 1) for event in scenario.events)
    short = dataclasses.replace(scenario, start=start, end=start + 1, workloads=ROWS, nodes=ROWS, runs=1, events=events)
    tables, violations = simulate(short, "weights_withheld", 0)
    assert violations == []
    combined = combine([tables])
    assert broken_identities(combined) == []
    for name in ("total_tokens", "total_spend", "compute_cn", "compute_us", "consumer_surplus"):
        assert np.isfinite(combined["market"][name]).all(), name


@pytest.fixture(scope="module")
def write(tmp_path_factory):
    """Return a function that writes a document as a scenario file."""
    import json

    place = tmp_path_factory.mktemp("any")

    def writer(document):
        path = place / "any.yaml"
        path.write_text(json.dumps(document))  # JSON is YAML
        return path

    return writer


@binds("kernels/mass.py", "without", "max(exp2(alone[k] - highest[k]), LEAST)")
@binds("kernels/mass_flows.py", "look_at_all", "max(room.every[k] - aware[k] + room.here[k], room.outside[k])")
@pytest.mark.parametrize("population", ["agents", "mean-field"])
@pytest.mark.parametrize(
    "parameters",
    [
        {"demand.success_width": 0.1},  # success is next to nothing a few points below the work
        {"demand.price_sensitivity_sd": 3.0, "demand.regulated_factor": 0.0},  # what a node does not know is far better
        {"demand.value": 85.0, "demand.language_fit": 0.0},
    ],
)
def test_utilities_far_apart_leave_everybody_somewhere(write, population, parameters):
    for until, end in (("2023-07", "2023-08"), ("2025-02", "2025-03")):
        horizon = {"start": "2023-07", "history_until": until, "end": end}
        document = {"name": "s", "title": "0", "population": population, "horizon": horizon, "ensemble": {"seed": 1}}
        withheld = {"id": "e", "date": end, "lever": "publishing_restriction", "bloc": "CN"}
        check(document | {"parameters": {"awareness.buzz_decay": 0.0} | parameters, "events": [withheld]}, write)


def test_a_lab_enters_with_one_release_though_its_line_is_due_in_the_same_month(write):
    enters = {
        "id": "e",
        "date": "2025-08",
        "lever": "lab_entry",
        "lab": "MiniMax",
        "points_behind": -50.0,
        "price": 0.1,
    }
    horizon = {"start": "2023-07", "history_until": "2025-07", "end": "2025-08"}
    document = {"name": "s", "title": "0", "horizon": horizon, "ensemble": {"seed": 0}}
    check(document | {"events": [enters | {"weights": "open"}]}, write)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(document=valid_scenarios())
def test_every_accepted_scenario_runs_two_months_with_all_invariants_on(document, write):
    check(document, write)


@pytest.mark.long
@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=valid_scenarios())
def test_many_accepted_scenarios_run_two_months_with_all_invariants_on(document, write):
    check(document, write)
