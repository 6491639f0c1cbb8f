"""The tables on the terminal: known answers, width, honest digits."""

from __future__ import annotations

import numpy as np
import pytest

from sim.analysis.series import Outcomes
from sim.evidence import Observation, observations
from sim.months import format_month, parse_month
from sim.present.screen import headline_months, observation_table, outcome_table, series_words
from sim.present.wording import Estimate, band_words, estimate, last_place, number, share_phrase

from .made_up import MadeUp


def dates(**span: str) -> list[str]:
    """Return the dates that the table of a made-up result shows."""
    return [format_month(month) for month in headline_months(Outcomes(MadeUp(runs=1, **span)))]


def test_the_default_horizon_is_told_at_four_decembers():
    assert dates() == ["2025-12", "2027-12", "2029-12", "2030-12"]


def test_shorter_horizons_adapt_and_never_repeat_a_date():
    assert dates(end="2027-12") == ["2025-12", "2026-12", "2027-07", "2027-12"]
    assert dates(end="2026-02") == ["2025-12", "2026-01", "2026-02"]
    assert dates(start="2025-12", end="2025-12") == ["2025-12"]


def test_a_run_of_history_alone_is_spread_from_its_start():
    assert dates(end="2025-12")[0] == "2023-07"
    assert dates(end="2025-12")[-1] == "2025-12"


def test_the_table_tells_median_and_band_of_every_row():
    made_up = MadeUp(runs=101)
    last = made_up.market["month"] == made_up.market["month"].max()
    made_up.market.loc[last, "open_token_share"] = np.linspace(0.2, 0.6, 101)
    made_up.market.loc[last, "closed_price"] = np.linspace(1.0, 3.0, 101)
    lines = outcome_table(made_up).splitlines()
    assert lines[1].split() == ["2025-12", "2027-12", "2029-12", "2030-12"]
    tokens = next(line for line in lines if line.startswith("Open share of tokens"))
    assert tokens.endswith("40 [22-58]")
    price = next(line for line in lines if line.startswith("Closed price paid"))
    assert price.endswith("2.0 [1.1-2.9]")
    assert len(lines) == 15


def pressed(values, **span):
    """Return the rows of pricing pressure of a made-up result with a value for each run in its last month."""
    made_up = MadeUp(runs=len(values), **span)
    last = made_up.market["month"] == made_up.market["month"].max()
    made_up.market.loc[last, "pricing_pressure"] = values
    lines = outcome_table(made_up).splitlines()
    at = next(k for k, line in enumerate(lines) if line.startswith("Pricing pressure on closed %"))
    return lines[at : at + 2]


def test_pricing_pressure_is_told_with_its_band_and_the_chance_that_it_is_above_zero():
    row, chance = pressed(np.linspace(-0.02, 0.06, 101))
    assert row.endswith("2.0 [-1.6..5.6]")
    assert row.split()[5] == "-", "the history has no twin"
    assert chance.startswith("  chance it is above 0     %")
    assert chance.split()[-1] == "74"  # 75 of the 101 values lie above zero
    assert chance.split()[6] == "-"


def test_the_chance_counts_the_runs_that_have_a_value_where_half_of_them_have_one():
    assert pressed([0.1, -0.1, 0.1, 0.1, np.nan])[1].split()[-1] == "75"
    assert pressed([0.1, -0.1, np.nan, np.nan])[1].split()[-1] == "50"
    assert pressed([0.1, np.nan, np.nan])[1].split()[-1] == "-"
    assert pressed([0.0, 0.0])[1].split()[-1] == "0"


def test_without_a_twin_nothing_is_said_of_pricing_pressure_and_a_single_run_has_no_chance():
    made_up = MadeUp(runs=3)
    made_up.market["pricing_pressure"] = np.nan
    assert "ressure" not in outcome_table(made_up)
    single = outcome_table(MadeUp(runs=1))
    assert "Pricing pressure on closed %" in single
    assert "chance" not in single


def test_one_line_counts_what_the_list_prices_are():
    made_up = MadeUp(runs=2)
    assert "Equilibrium" not in outcome_table(made_up)
    made_up.manifest["equilibrium_status"] = {"none": 60, "nash": 1100, "not_checked": 110}
    words = "List prices labs want, 1,210 months of all runs: 1,100 nash, 110 not_checked. What they post lags behind."
    assert outcome_table(made_up).splitlines()[-1] == words
    made_up.manifest["equilibrium_status"] = {"none": 60}
    assert "Equilibrium" not in outcome_table(made_up)


def test_the_table_says_when_nodes_stand_for_the_population():
    made_up = MadeUp()
    made_up.manifest["options"] = {"population": "mean-field", "nodes": 4096, "noise": "shared"}
    (line,) = [line for line in outcome_table(made_up).splitlines() if line.startswith("Mean-field")]
    assert "4,096 taste nodes" in line
    assert len(line) <= 100
    made_up.manifest["options"]["population"] = "agents"
    assert "nodes" not in outcome_table(made_up)


def test_self_hosted_workloads_are_weighted_by_users_of_a_model():
    made_up = MadeUp(runs=1, end="2026-01")
    us = made_up.segments["bloc"] == "US"
    made_up.segments["workloads"] = np.where(us, 300.0, 100.0)
    made_up.segments["outside_share"] = np.where(us, 0.0, 1.0)  # nobody else uses a model
    made_up.segments["self_host_share"] = np.where(us, 0.25, 0.9)
    row = next(line for line in outcome_table(made_up).splitlines() if line.startswith("Self-hosted, workloads"))
    assert row.split()[-1] == "25"


@pytest.mark.parametrize("factor", [1e-12, 1e-3, 1.0, 1e3, 1e9])
def test_no_line_is_wider_than_a_hundred_columns_and_no_cells_run_together(factor):
    made_up = MadeUp(runs=5, name="x" * 64, title="t" * 300)
    for column in ("closed_price", "open_price", "gap_months", "gap_points"):
        made_up.market[column] *= factor
    made_up.market["gap_points"] -= 10 * factor
    lines = outcome_table(made_up).splitlines()
    assert max(len(line) for line in lines) <= 100
    for line in lines[2:-1]:
        cells = {"Pricing pressure": 3, "  chance it is a": 0}  # no twin in the history; a chance has no band
        assert line.count("[") == cells.get(line[:16], 4)
        assert all(line[28 + 18 * cell] == " " for cell in range(4)), line
    assert max(len(line) for line in observation_table(made_up).splitlines()) <= 100


def test_what_is_not_recorded_is_a_dash():
    made_up = MadeUp(runs=2)
    made_up.market["gap_months"] = np.nan
    row = next(line for line in outcome_table(made_up).splitlines() if "months" in line)
    assert row.split()[-4:] == ["-", "-", "-", "-"]
    assert "nan" not in outcome_table(made_up)


def test_a_single_run_has_no_band_and_says_so():
    table = outcome_table(MadeUp(runs=1))
    assert "[" not in table
    assert "A single run: no band." in table


def test_control_signs_of_a_title_never_reach_the_terminal():
    table = outcome_table(MadeUp(runs=1, end="2026-01", title="\x1b[31mred\x07\u202e", name="x"))
    assert all(sign == "\n" or sign.isprintable() for sign in table)


def test_no_more_digits_than_the_monte_carlo_error_allows():
    assert number(0.41234 * 100, last_place(41.234, error=0.3)) == "41"
    assert number(41.234, last_place(41.234, error=12.0)) == "40"
    assert number(1.8765, last_place(1.8765, error=0.02)) == "1.9"
    assert number(1.8765, last_place(1.8765, error=0.02, digits=3)) == "1.88"
    assert number(-0.0001, 0) == "0"
    assert number(float("nan"), 0) == "-"
    assert number(1.5e-11, -12) == "1.5e-11"
    assert number(123456.0, 3) == "123,000"


def test_an_error_larger_than_the_number_leaves_one_digit():
    assert number(3.0, last_place(3.0, error=50.0)) == "3"


def test_the_error_of_the_median_is_that_of_a_normal_sample():
    sample = np.linspace(-1, 1, 101)
    assert estimate(sample).error == pytest.approx(1.2533 * sample.std(ddof=1) / 101**0.5, rel=1e-3)
    assert np.isnan(estimate([2.0]).error)


def test_fewer_than_half_of_the_runs_make_no_number():
    assert not estimate([1.0, np.nan, np.nan]).known
    assert estimate([1.0, np.nan]).median == 1.0
    assert not estimate([]).known


def test_a_band_below_zero_is_written_without_a_double_hyphen():
    assert band_words(Estimate(3, -2, 8, 0.5, 9)) == ("3.0", "-2.0 to 8.0")
    assert share_phrase(Estimate(0.41, 0.28, 0.55, 0.01, 32), "of tokens") == "41 % of tokens (90 % of runs: 28-55 %)"


def seen(series: str, value: float, low: float, high: float, **more: object) -> Observation:
    """Return an observation of the router in 2025."""
    facts = {"id": series, "panel": "router", "start": parse_month("2025-01"), "end": parse_month("2025-12")}
    words = {"unit": "share", "confidence": "high", "source": "s", "note": "", "role": "held_out"}
    return Observation(**{**facts, **words, "series": series, "value": value, "low": low, "high": high, **more})


def test_the_observation_table_shows_difference_and_verdict():
    made_up = MadeUp(runs=3)
    router = (made_up.panels["panel"] == "router") & (made_up.panels["series"] == "open_token_share")
    made_up.panels.loc[router, "value"] = 0.25
    inside, outside = seen("open_token_share", 0.27, 0.2, 0.3), seen("open_token_share", 0.33, 0.28, 0.36)
    absent = seen("no_such_series", 1, 0, 2)
    lines = observation_table(made_up, [inside, outside, absent]).splitlines()
    assert lines[2].split()[-6:] == ["2025-01..2025-12", "27", "[20-30]", "25", "-2", "yes"]
    assert lines[3].split()[-6:] == ["2025-01..2025-12", "33", "[28-36]", "25", "-8", "no"]
    assert "Median in the observed band: 1 of 2 series." in lines
    assert any(line.startswith("1 other observed value") for line in lines)


def test_replayed_series_are_marked_and_not_counted():
    table = observation_table(MadeUp(runs=2), [seen("open_token_share", 0.15, 0.0, 1.0, role="replayed")])
    assert "yes r" in table
    assert "0 of 0" in table


def test_windows_after_the_hand_over_are_left_to_the_scoring():
    table = observation_table(MadeUp(runs=2, hand_over="2025-06"), [seen("open_token_share", 0.15, 0.0, 1.0)])
    assert "0 of 0" in table


def test_series_get_names_a_strategist_reads():
    assert series_words("lab_workload_share:Meta", "share") == "Meta, of workloads [%]"
    assert series_words("gpu_hour_price", "USD/H100-hour") == "GPU hour price [USD/H100-hour]"
    assert series_words("gross_margin:OpenAI", "share of revenue") == "Gross margin: OpenAI [%]"


def test_no_name_of_an_observed_series_is_cut():
    for one in observations():
        if one.panel in ("router", "enterprise", "capability", "prices", "compute", "revenue") and one.unit != "event":
            assert len(series_words(one.series, one.unit)) <= 38, one.id
