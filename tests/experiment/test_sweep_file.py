"""Sweep files: what they mean, and what is said about a wrong one."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from sim.errors import ScenarioError
from sim.experiment.plan import make_plan
from sim.experiment.sweep_file import load_sweep_file

from .made_up import plan_of

ROOT = Path(__file__).parent.parent.parent
CONTRACT = """
name: controls
scenario: baseline                  # a name as in `extends`, a readable path, or a list of them
design: {kind: lhs, samples: 256, seed: 3}
factors:
  demand.enterprise.distrust: {uniform: [0.5, 4.0]}
  events.h200-thaw.quota: [0, 400000, 900000]
runs: 8
store: headline
stop: {metric: open_token_share, date: 2028-12, half_width: 0.01}
"""
GRID = "name: g\nscenario: baseline\ndesign: {kind: grid}\nfactors:\n  demand.enterprise.distrust: [1, 2]\n"


def write(folder: Path, text: str, name: str = "sweep.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        load_sweep_file(write(folder, text))
    return [line.removeprefix(f"{folder}/") for line in caught.value.problems]


def test_the_example_of_the_contract_loads(tmp_path):
    sweep = load_sweep_file(write(tmp_path, CONTRACT))
    assert [(f.path, f.kind) for f in sweep.factors] == [
        ("demand.enterprise.distrust", "uncertainty"),
        ("events.h200-thaw.quota", "lever"),
    ]
    assert sweep.stop is not None
    assert sweep.stop.max_runs == 256
    assert sweep.notes == ("baseline has no event 'h200-thaw'; it is taken from the packaged scenario chip-thaw",)
    plan = make_plan(sweep)
    assert (plan.cells, plan.runs) == (256, 8)
    distrust, quota = plan.columns.values()
    assert 0.5 < distrust.min() < 0.6 < 3.9 < distrust.max() < 4.0
    assert [int((quota == value).sum()) in (85, 86) for value in (0, 400000, 900000)] == [True] * 3


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "scenarios/sweeps").glob("*.yaml")))
def test_packaged_sweeps_load_by_name_and_can_be_planned(name):
    plan = make_plan(load_sweep_file(name))
    assert plan.name == name
    assert 1 < plan.cells < 10_000


def test_there_are_four_packaged_sweeps():
    assert len(list((ROOT / "scenarios/sweeps").glob("*.yaml"))) == 4


def test_in_a_grid_the_last_factor_runs_fastest_and_scenarios_slowest(tmp_path):
    text = (
        "name: g\nscenario: [baseline, plateau]\ndesign: {kind: grid}\nfactors:\n"
        "  demand.enterprise.distrust: [1, 2]\n  labs.Meta.openness: [open, closed]\n"
    )
    plan = plan_of(tmp_path, text)
    rows = [(plan.scenario_name(cell), *plan.values(cell).values()) for cell in range(plan.cells)]
    assert rows == [
        (scenario, distrust, openness)
        for scenario in ("baseline", "plateau")
        for distrust in (1.0, 2.0)
        for openness in ("open", "closed")
    ]


def test_all_scenarios_share_one_seed_so_that_replicates_pair(tmp_path):
    write(tmp_path, "name: other\nextends: baseline\nensemble: {seed: 99}\n", "other.yaml")
    text = GRID.replace("scenario: baseline", "scenario: [other, baseline]")
    sweep = load_sweep_file(write(tmp_path, text))
    assert [scenario.seed for scenario in sweep.scenarios] == [99, 99]
    assert [s.seed for s in load_sweep_file(write(tmp_path, text + "seed: 5\n")).scenarios] == [5, 5]
    assert [s.seed for s in load_sweep_file(write(tmp_path, text + "seed: 5\n"), seed=6).scenarios] == [6, 6]


def test_settings_of_the_file_and_of_the_caller_reach_the_scenarios(tmp_path):
    path = write(tmp_path, GRID + "workloads: 300\nuntil: 2027-01\nruns: 3\n")
    sweep = load_sweep_file(path, overrides=["demand.value=6"], workloads=400)
    (scenario,) = sweep.scenarios
    assert (sweep.runs, scenario.workloads, scenario.runs) == (3, 400, 1)
    assert scenario.parameters["demand.value"].value == 6
    assert load_sweep_file(path, runs=9).runs == 9


def test_a_list_design_reads_its_cells_from_a_file(tmp_path):
    write(tmp_path, "demand.enterprise.distrust, events.h200-thaw.date\n1.5, 2026-05\n2.5,2027-01\n\n", "cells.csv")
    text = "name: l\nscenario: chip-thaw\ndesign: {kind: list, file: cells.csv}\n"
    plan = plan_of(tmp_path, text)
    assert [plan.values(cell) for cell in range(plan.cells)] == [
        {"demand.enterprise.distrust": 1.5, "events.h200-thaw.date": "2026-05"},
        {"demand.enterprise.distrust": 2.5, "events.h200-thaw.date": "2027-01"},
    ]


def test_a_distribution_in_a_design_keeps_to_the_bounds_of_its_parameter(tmp_path):
    text = GRID.replace("{kind: grid}", "{kind: lhs, samples: 200}").replace("[1, 2]", "{normal: [1, 5]}")
    values = plan_of(tmp_path, text).columns["demand.enterprise.distrust"]
    assert values.min() == 0.0
    assert values.max() <= 20.0
    assert np.unique(values).size > 100


WRONG = [
    ("name: g", "name: Bad Name", "sweep.yaml:1: name: 'Bad Name' is not a scenario name"),
    ("scenario: baseline", "scenario: baselin", "sweep.yaml:2: scenario: baselin: no such file"),
    ("scenario: baseline", "scenario: []", "sweep.yaml:2: scenario: names 1 to 64 scenarios"),
    ("scenario: baseline", "scenario: [baseline, baseline]", "sweep.yaml:2: scenario: two scenarios"),
    ("{kind: grid}", "{kind: gird}", "sweep.yaml:3: design.kind: 'gird' is not one of .*did you mean 'grid'"),
    ("{kind: grid}", "{kind: lhs}", "sweep.yaml:3: design.samples: is missing"),
    ("{kind: grid}", "{kind: lhs, samples: 0}", "sweep.yaml:3: design.samples: 0 is out of bounds"),
    ("{kind: grid}", "{kind: sobol, samples: 6}", "sweep.yaml:3: design.samples: 6 is not a power of two"),
    ("{kind: grid}", "{kind: grid, samples: 6}", "sweep.yaml:3: design.samples: unknown key"),
    ("{kind: grid}", "{kind: lhs, samples: 99999999}", "sweep.yaml:3: design.samples: 99999999 is out of bounds"),
    ("{kind: grid}", "{kind: list}", "sweep.yaml:3: design.file: is missing"),
    ("{kind: grid}", "{kind: list, file: ../x.csv}", "sweep.yaml:3: design.file: '../x.csv' must be the name"),
    ("{kind: grid}", "lhs", "sweep.yaml:3: design: is a text"),
    ("demand.enterprise.distrust", "demand.enterprise.distrst", "sweep.yaml:5: .* unknown path; did you mean"),
    ("[1, 2]", "{uniform: [1, 2]}", "sweep.yaml:5: .*: a grid takes a list of levels"),
    ("[1, 2]", "[1, 1]", "sweep.yaml:5: .*: the level 1.0 is given twice"),
    ("[1, 2]", "[1, 99]", "sweep.yaml:5: .*: 99 is out of bounds"),
    ("[1, 2]", "[1, x]", "sweep.yaml:5: .*: 'x' is not a number"),
    ("[1, 2]", "[]", "sweep.yaml:5: .*: a factor takes 1 to 10,000 levels"),
    ("[1, 2]", "[{uniform: [1, 2]}]", "sweep.yaml:5: .*: a level is certain"),
    ("[1, 2]\n", "[1, 2]\nruns: 0\n", "sweep.yaml:6: runs: 0 is out of bounds"),
    ("[1, 2]\n", "[1, 2]\nstore: all\n", "sweep.yaml:6: store: 'all' is not one of full, headline, summary"),
    ("[1, 2]\n", "[1, 2]\nrun: 3\n", "sweep.yaml:6: run: unknown key; .*did you mean 'runs'"),
    ("[1, 2]\n", "[1, 2]\ntwin: mirror\n", "sweep.yaml:6: twin: 'mirror' is not one of"),
    ("[1, 2]\n", "[1, 2]\nstop: {metric: open_token_share}\n", "sweep.yaml:6: stop: date, half_width are missing"),
    (
        "[1, 2]\n",
        "[1, 2]\nstop: {metric: open, date: 2031-01, half_width: 0}\n",
        "sweep.yaml:6: stop.date: '2031-01' is not allowed",
    ),
    (
        "[1, 2]\n",
        "[1, 2]\nruns: 9\nstop: {metric: open_price, date: 2026-01, half_width: 1, max_runs: 4}\n",
        "sweep.yaml:7: stop.max_runs: 4 is too few",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "line"), WRONG, ids=[wrong.strip() for _, wrong, _ in WRONG])
def test_what_is_wrong_is_told_with_its_line(tmp_path, right, wrong, line):
    assert right in GRID
    found = problems(tmp_path, GRID.replace(right, wrong))
    assert any(re.match(line, each) for each in found), found


def test_all_problems_are_told_at_once(tmp_path):
    assert len(problems(tmp_path, GRID.replace("[1, 2]", "[99, x]") + "runs: 0\nstore: all\nfoo: 1\n")) == 5


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("demand.enterprise.distrust\n99\n", "cells.csv:2: demand.enterprise.distrust: 99 is out of bounds"),
        ("demand.enterprise.distrust\n1,2\n", "cells.csv:2: 2 values, but the header names 1 factors"),
        ("demand.distrust\n1\n", "cells.csv:1: demand.distrust: unknown path"),
        ("demand.value,demand.value\n6,6\n", "cells.csv:1: demand.value: the column is given twice"),
        ("demand.enterprise.distrust\n", "cells.csv:1: the design has no rows"),
        ("", "cells.csv:1: the first line must name the factors"),
    ],
)
def test_what_is_wrong_in_a_list_is_told_with_its_line(tmp_path, text, line):
    write(tmp_path, text, "cells.csv")
    found = problems(tmp_path, "name: l\nscenario: baseline\ndesign: {kind: list, file: cells.csv}\n")
    assert any(each.startswith(line) for each in found), found


def test_a_grid_beyond_all_bounds_is_refused_at_once(tmp_path):
    levels = ", ".join(str(k / 1000) for k in range(2000))
    text = GRID.replace("[1, 2]", f"[{levels}]")
    for path in ("demand.developer.distrust", "demand.value", "pricing.match_points"):
        text += f"  {path}: [{levels.replace('0.0,', '0.0005,')}]\n"
    with pytest.raises(ScenarioError, match="16,000,000,000,000 cells are more than the limit"):
        plan_of(tmp_path, text)
