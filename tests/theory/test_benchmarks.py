"""The benchmarks of `sim theory`, one test each, and the command."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
from click.testing import CliRunner

from sim.cli.theory import theory
from sim.theory import benchmarks as module
from sim.theory.benchmarks import Benchmark

COUNT = 31


@cache
def found() -> list[Benchmark]:
    return module.benchmarks()


@pytest.mark.parametrize("number", range(COUNT))
def test_every_benchmark_is_within_its_tolerance(number):
    row = found()[number]
    assert row.ok, f"{row.name}: {row.residual:.2e} > {row.tolerance:.0e}"


def test_the_list_is_complete_and_every_row_is_different():
    assert len(found()) == COUNT
    assert len({row.name for row in found()}) == COUNT
    assert all(row.source for row in found())
    assert all(row.residual >= 0.0 for row in found())


@pytest.mark.parametrize(
    ("part", "most"),
    [
        ("another program", 1e-10),
        ("Lambert", 1e-12),
        ("logit markup", 1e-10),
        ("derivatives", 1e-8),
        ("Roy", 1e-7),
        ("20 starting points", 1e-8),
        ("no profitable deviation", 1e-9),
        ("two algorithms", 1e-10),
        ("costs recovered", 1e-10),
        ("circle", 1e-9),
        ("Bass", 1e-6),
        ("go somewhere", 1e-12),
    ],
)
def test_the_promised_tolerances_are_not_loosened(part, most):
    rows = [row for row in found() if part in row.name]
    assert rows
    assert all(row.tolerance <= most for row in rows)


def test_a_residual_that_is_not_a_number_is_not_within_any_tolerance():
    assert not Benchmark("x", "y", float("nan"), 1.0).ok
    assert not Benchmark("x", "y", float("inf"), 1e300).ok
    assert Benchmark("x", "y", 0.0, 0.0).ok


def test_the_table_shows_every_row_and_the_count(monkeypatch):
    monkeypatch.setattr(module, "benchmarks", found)
    answer = CliRunner().invoke(theory, [])
    assert answer.exit_code == 0
    lines = answer.output.splitlines()
    assert len(lines) == COUNT + 2
    assert lines[-1] == f"{COUNT} of {COUNT} benchmarks within their tolerance."
    assert all(row.name in line for row, line in zip(found(), lines[1:], strict=False))


def test_one_large_residual_makes_the_exit_code_one(monkeypatch):
    rows = [Benchmark("good", "a", 0.0, 1e-9), Benchmark("bad", "b", 2e-9, 1e-9), Benchmark("lost", "c", np.nan, 1.0)]
    monkeypatch.setattr(module, "benchmarks", lambda: rows)
    answer = CliRunner().invoke(theory, ["--json"])
    assert answer.exit_code == 1
    document = json.loads(answer.output)
    assert document["ok"] is False
    assert [row["ok"] for row in document["benchmarks"]] == [True, False, False]
    assert document["benchmarks"][2]["residual"] is None
    assert "NO" in CliRunner().invoke(theory, []).output
