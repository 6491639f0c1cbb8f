"""A plan survives the disk, notices damage, and names what differs from another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim import storage
from sim.errors import ResultError, UsageError
from sim.experiment.estimates import Needs, check_fits, needs
from sim.experiment.plan import changes, program_changes
from sim.experiment.plan_files import plan_files, read_plan
from sim.experiment.sweep_file import load_sweep_file

from .made_up import plan_of, sweep_text


@pytest.fixture
def written(tmp_path):
    """A plan and the folder that holds it."""
    plan = plan_of(tmp_path, sweep_text())
    storage.write_folder(tmp_path / "o", plan_files(plan))
    return plan, tmp_path / "o"


def test_a_plan_reads_back_as_it_was(written):
    plan, folder = written
    again = read_plan(folder)
    assert again.content_hash() == plan.content_hash()
    assert [again.values(cell) for cell in range(4)] == [plan.values(cell) for cell in range(4)]
    assert changes(plan, again) == []


def test_every_single_bit_of_a_plan_counts(written):
    """One bit of each file, at places over its whole length."""
    _, folder = written
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        for place in range(0, len(whole), max(1, len(whole) // 40)):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << (place % 8)
            path.write_bytes(damaged)
            with pytest.raises(ResultError):
                read_plan(folder)
        path.write_bytes(whole)
    read_plan(folder)


def test_a_comment_is_no_change(tmp_path):
    plain = plan_of(tmp_path, sweep_text())
    commented = plan_of(tmp_path, "# why\n" + sweep_text().replace("runs: 1", "runs:   1  # one") + "title: Words\n")
    assert plain.content_hash() == commented.content_hash()


@pytest.mark.parametrize(
    ("options", "edit", "lines"),
    [
        ({"overrides": ["demand.value=6"]}, ("", ""), ["demand.value: {'triangular': [9.0, 12.0, 15.0]} -> 6.0"]),
        ({"workloads": 300}, ("", ""), ["ensemble.workloads: 200 -> 300"]),
        ({"runs": 5}, ("", ""), ["runs: 1 -> 5"]),
        ({"twin": "never_developed"}, ("", ""), ["twin: None -> never_developed"]),
        ({}, ("name: small", "name: other"), ["name: small -> other"]),
        ({}, ("scenario: baseline", "scenario: plateau"), ["scenario: baseline -> plateau"]),
    ],
)
def test_a_change_is_named(tmp_path, options, edit, lines):
    old = plan_of(tmp_path, sweep_text())
    new = plan_of(tmp_path, sweep_text().replace(*edit), **options)
    assert old.content_hash() != new.content_hash()
    found = changes(old, new)
    assert [line for line in lines if line not in found] == [], found


def test_a_changed_factor_is_named_with_its_levels(tmp_path):
    found = changes(plan_of(tmp_path, sweep_text(cells=2)), plan_of(tmp_path, sweep_text(cells=3)))
    assert found == ["factors.demand.enterprise.distrust: [0.1, 0.2] -> [0.1, 0.2, 0.3]", "points: 2 -> 3"]


def test_a_changed_list_of_cells_is_named_with_the_first_that_differs(tmp_path):
    plans = []
    for text in ("demand.value,demand.enterprise.distrust\n9,1\n10,2\n10,2\n",
                 "demand.value,demand.enterprise.distrust\n9,1\n10,3\n10,4\n"):  # fmt: skip
        (tmp_path / "cells.csv").write_text(text)
        plans.append(plan_of(tmp_path, "name: l\nscenario: baseline\ndesign: {kind: list, file: cells.csv}\n"))
    assert changes(*plans) == ["demand.enterprise.distrust in cell 1: 2.0 -> 3.0"]


def test_another_program_is_named():
    old = {"model_version": "0.1.0", "code_hash": "a" * 64, "numpy": "2.4.5"}
    assert program_changes(old, old) == []
    new = {**old, "code_hash": "b" * 64, "numba": "0.68"}
    assert program_changes(old, new) == ["code_hash: aaaaaaaaaaaa -> bbbbbbbbbbbb", "numba: none -> 0.68"]


def test_what_cannot_fit_is_refused_with_what_it_needs_and_what_is_free(tmp_path):
    fits = Needs(cells=1, runs=8, disk=1e6, memory=1e8, hours=0.1, run_seconds=1.0)
    check_fits(fits, tmp_path / "not/yet/there")
    for part, words in (
        ("memory", r"about 1e\+03 TB of memory, .*--jobs"),
        ("disk", r"about 1e\+03 TB of disk, .*store"),
    ):
        with pytest.raises(UsageError, match=rf"{words}.*--force to try"):
            check_fits(replace(fits, **{part: 1e15}), tmp_path)


def test_needs_are_those_of_the_settings_that_cost_most(tmp_path):
    """In whatever order the factors stand: workloads count only where they draw."""
    factors = "  ensemble.workloads: [200, 2000000]\n  population: [mean-field, agents]\n  ensemble.nodes: [64, 4096]\n"
    path = tmp_path / "sweep.yaml"
    path.write_text(f"name: a\nscenario: baseline\ndesign: {{kind: grid}}\nfactors:\n{factors}until: 2023-12\n")
    found = needs(load_sweep_file(path), workers=2)
    one = "factors:\n  ensemble.nodes: [4096]\nworkloads: 2000000\nuntil: 2023-12\n"
    path.write_text(f"name: a\nscenario: baseline\ndesign: {{kind: grid}}\n{one}")
    largest = needs(load_sweep_file(path), workers=2)
    assert (found.cells, largest.cells) == (8, 1)
    assert found.run_seconds == largest.run_seconds
    assert found.memory == pytest.approx(largest.memory, rel=1e-5)
