"""Two scenarios or two results side by side."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from sim.cli.results import diff, shown
from sim.columns import HEADLINES
from sim.content import combine
from sim.differences import compare_results, compare_scenarios, differing_leaves, headline_months
from sim.errors import ResultError, UsageError
from sim.months import format_month, parse_month
from sim.results import save

from .samples import MadeUpScenario, made_up_results, recorded_run


@pytest.mark.parametrize(
    ("history", "first", "last", "expected"),
    [
        ("2025-12", "2023-07", "2030-12", ["2025-12", "2027-12", "2029-12", "2030-12"]),
        ("2025-12", "2023-07", "2026-12", ["2025-12", "2026-05", "2026-10", "2026-12"]),
        ("2025-12", "2023-07", "2025-06", ["2023-07", "2023-12", "2024-12", "2025-06"]),
        ("2025-12", "2025-12", "2025-12", ["2025-12"]),
        ("2025-12", "2025-11", "2026-01", ["2025-12", "2026-01"]),
    ],
)
def test_outcomes_are_shown_at_four_dates_or_fewer(history, first, last, expected):
    found = headline_months(parse_month(history), parse_month(first), parse_month(last))
    assert [format_month(month) for month in found] == expected


def test_dates_are_those_of_the_table_that_a_run_prints():
    from sim.present import screen

    for history, first, last in ((671, 642, 731), (671, 642, 683), (671, 660, 671), (671, 680, 700)):
        outcome = SimpleNamespace(start=first, end=last, hand_over=history)
        assert screen.headline_months(outcome) == headline_months(history, first, last)


def test_remarks_do_not_count_as_inputs_and_events_are_told_apart_by_id():
    a = {"x": {"value": 1.0, "source": "here"}, "events": [{"id": "b", "n": 1}, {"id": "c", "n": 2}]}
    b = {"x": {"value": 1.0, "source": "there"}, "events": [{"id": "c", "n": 3}], "y": [1, 2]}
    assert differing_leaves(a, b) == [("events.b.n", 1, None), ("events.c.n", 2, 3), ("y", None, [1, 2])]
    c = {"x": {"uniform": [0, 1], "note": "wide"}}
    assert differing_leaves(a, c)[0] == ("x", 1.0, {"uniform": [0, 1]})


def test_absent_and_null_are_told_apart():
    assert differing_leaves({"x": None}, {}) == [("x", None, None)]
    assert differing_leaves({"x": None}, {"x": None}) == []


def test_results_of_one_run_are_equal_and_list_no_inputs():
    report = compare_results(made_up_results(), made_up_results())
    assert report["equal"]
    assert report["inputs"] == []
    assert report["machine"] == []
    assert {row["difference"] for row in report["outcomes"] if row["column"] == "open_price"} == {0.0}


def test_outcomes_are_medians_and_their_difference_at_each_date():
    other = combine([recorded_run(run) for run in range(3)])
    moved = other["market"]["closed_price"] + 0.25
    other = {**other, "market": {**other["market"], "closed_price": moved}}
    a, b = made_up_results(), made_up_results(tables=other)
    report = compare_results(a, b)
    assert not report["equal"]
    assert [name for name, equal in report["tables"].items() if not equal] == ["market"]
    rows = [row for row in report["outcomes"] if row["column"] == "closed_price"]
    assert [row["month"] for row in rows] == ["2025-12", "2026-01", "2026-02", "2026-03"]
    for row in rows:
        prices = a.market.loc[a.market["month"] == f"{row['month']}-01", "closed_price"]
        assert row["a"] == np.median(prices)
        assert row["difference"] == pytest.approx(0.25)
        assert row["unit"] == "USD/Mtok"
    empty = [row for row in report["outcomes"] if row["column"] == "gap_points"]
    assert {(row["a"], row["b"], row["difference"]) for row in empty} == {(None, None, None)}
    assert {row["column"] for row in report["outcomes"]} == set(HEADLINES)


def test_changed_inputs_are_named_by_the_path_of_set():
    report = compare_results(made_up_results(), made_up_results(runs=2, distrust=3.0))
    assert report["inputs"] == [("runs", 3, 2), ("demand.enterprise.distrust", 2.5, 3.0)]


def test_scenarios_with_other_words_and_equal_values_give_the_same_results():
    same = MadeUpScenario(title="Other words")
    same.content_hash = MadeUpScenario().content_hash
    report = compare_scenarios(MadeUpScenario(), same)
    assert report["equal"]
    assert report["inputs"] == [("title", "A made-up market", "Other words")]


def test_results_without_a_common_month_show_no_outcomes():
    tables = combine([recorded_run(0)])
    later = {name: {**columns, "month": columns["month"] + 100} for name, columns in tables.items()}
    assert compare_results(made_up_results(), made_up_results(tables=later))["outcomes"] == []


def test_diff_command_exits_with_zero_for_equal_and_one_for_different_results(pristine, tmp_path):
    save(made_up_results(distrust=3.0), tmp_path / "inputs")
    save(made_up_results(runs=2), tmp_path / "content")
    run = CliRunner().invoke
    equal = run(diff, [str(pristine), str(tmp_path / "inputs")])
    assert equal.exit_code == 0
    assert "  demand.enterprise.distrust: 2.5 -> 3\n" in equal.output
    assert equal.output.endswith("The content is equal.\n")
    differs = run(diff, [str(pristine), str(tmp_path / "content")])
    assert differs.exit_code == 1
    assert "  runs: 3 -> 2\n" in differs.output
    assert differs.output.endswith("The content differs: market, labs, offers, segments, panels.\n")
    report = json.loads(run(diff, ["--json", str(pristine), str(tmp_path / "content")]).output)
    assert report["equal"] is False
    assert report["inputs"] == [{"path": "runs", "a": 3, "b": 2}]
    assert len(report["outcomes"]) == 4 * len(HEADLINES)


def test_diff_command_compares_scenario_files(tmp_path):
    for name, distrust in (("one", 2.0), ("two", 3.0)):
        (tmp_path / f"{name}.yaml").write_text(
            f"name: same\ntitle: {name}\nparameters: {{demand.enterprise.distrust: {distrust}}}\n"
        )
    run = CliRunner().invoke
    paths = [str(tmp_path / "one.yaml"), str(tmp_path / "two.yaml")]
    differs = run(diff, paths)
    assert differs.exit_code == 1, differs.output
    assert "  demand.enterprise.distrust: 2 -> 3\n" in differs.output
    assert "  title: one -> two\n" in differs.output
    equal = run(diff, [paths[0], paths[0]])
    assert equal.exit_code == 0
    assert equal.output.endswith("The scenarios give the same results.\n")


def test_diff_command_refuses_a_scenario_against_a_result(pristine, tmp_path):
    (tmp_path / "one.yaml").write_text("name: same\n")
    mixed = CliRunner().invoke(diff, [str(pristine), str(tmp_path / "one.yaml")])
    assert isinstance(mixed.exception, UsageError)
    foreign = CliRunner().invoke(diff, [str(pristine), str(tmp_path)])
    assert isinstance(foreign.exception, ResultError)


def test_terminal_gets_no_control_characters():
    assert shown("a\x1b[31mred\x9b\n") == "a[31mred"
    assert shown("x" * 100) == "x" * 57 + "..."
    assert shown("0123456789abcdef" * 4) == "0123456789ab"
    assert shown(None) == "-"
    assert shown([1, 2]) == "[1, 2]"


def test_results_of_unequal_size_are_compared_over_the_runs_they_share():
    """Medians of all runs beside differences of pairs would not add up."""
    whole = made_up_results()
    few = made_up_results(tables=combine([recorded_run(run) for run in range(2)]), runs=2)
    shifted = {
        **few.tables,
        "market": {**few.tables["market"], "closed_price": few.tables["market"]["closed_price"] + 1},
    }
    report = compare_results(whole, made_up_results(tables=shifted, runs=2))
    rows = [row for row in report["outcomes"] if row["column"] == "closed_price"]
    assert rows
    for row in rows:
        assert row["pairs"] == 2
        assert row["b"] - row["a"] == pytest.approx(1.0)
        assert (row["difference"], row["difference_q05"], row["difference_q95"]) == pytest.approx((1.0, 1.0, 1.0))
