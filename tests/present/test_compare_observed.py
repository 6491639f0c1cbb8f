"""Windows of observed series: means, sums and last values, run by run."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sim.analysis.compare_observed import modelled_series, not_compared, observed_comparison, window_value
from sim.analysis.series import Outcomes, RunSeries, bands, pivot
from sim.evidence import observations
from sim.months import parse_month

from .made_up import MadeUp

MONTHS = np.arange(100, 106)
SERIES = RunSeries(MONTHS, np.array([[1.0, 2, 3, 4, 5, 6], [10, 20, 30, 40, 50, 60]]))


def test_shares_are_averaged_over_the_months_of_the_window():
    assert window_value(SERIES, "open_token_share", 101, 103).tolist() == [3, 30]


def test_a_window_that_begins_before_the_run_is_averaged_over_what_was_simulated():
    assert window_value(SERIES, "open_gap_points", 90, 101).tolist() == [1.5, 15]


def test_additions_are_summed_and_need_the_whole_window():
    assert window_value(SERIES, "legal_accelerators_added:CN", 100, 102).tolist() == [6, 60]
    assert np.isnan(window_value(SERIES, "legal_accelerators_added:CN", 99, 102)).all()


def test_stocks_and_backward_rates_are_read_in_the_last_month():
    assert window_value(SERIES, "world_accelerator_stock", 100, 104).tolist() == [5, 50]
    assert np.isnan(window_value(SERIES, "annual_vendor_switch_rate", 100, 110)).all()


def test_a_window_outside_the_run_has_no_value():
    assert np.isnan(window_value(SERIES, "open_token_share", 200, 201)).all()


def test_months_without_a_value_are_left_out_of_the_mean():
    holes = RunSeries(MONTHS, np.array([[1.0, np.nan, 3, 4, 5, 6]]))
    assert window_value(holes, "x", 100, 102).tolist() == [2]


def test_labs_named_with_a_plus_are_added_up():
    made_up = MadeUp(runs=2)
    parts = [
        made_up._rows([{"panel": "router", "series": f"lab_token_share:{lab}", "value": share}])
        for lab, share in (("OpenAI", 0.2), ("Anthropic", 0.3), ("Google", 0.1))
    ]
    made_up.panels = pd.concat(parts, ignore_index=True)
    found = modelled_series(Outcomes(made_up), "router", "lab_token_share:OpenAI+Anthropic+Google")
    assert found.values == pytest.approx(0.6)
    assert modelled_series(Outcomes(made_up), "router", "lab_token_share:OpenAI+xAI").empty


def test_a_comparison_carries_the_quantiles_the_difference_and_the_verdict():
    made_up = MadeUp(runs=5)
    rows = (made_up.panels["panel"] == "router") & (made_up.panels["series"] == "mean_price_paid:closed")
    made_up.panels.loc[rows, "value"] = 1.0 + made_up.panels.loc[rows, "run"]
    found = next(row for row in observed_comparison(made_up) if row.id == "router_closed_price_2025")
    assert (found.median, found.q05, found.q95) == pytest.approx((3.0, 1.2, 4.8))
    assert found.difference == pytest.approx(3.0 - 1.86)
    assert found.inside is False
    assert (found.months, found.projected) == (12, False)


def test_the_router_is_never_compared_with_the_whole_market():
    made_up = MadeUp(runs=2)
    made_up.panels = made_up.panels.loc[made_up.panels["panel"] != "router"]
    assert {row.panel for row in observed_comparison(made_up)} == {"enterprise", "capability"}


def test_every_observation_but_the_events_is_either_compared_or_named():
    made_up = MadeUp(runs=2)
    compared = {row.id for row in observed_comparison(made_up)}
    named = set(not_compared(made_up))
    assert compared.isdisjoint(named)
    assert compared | named == {one.id for one in observations() if one.unit != "event"}
    assert len(compared) == 17


def test_what_the_model_means_otherwise_is_not_compared():
    made_up = MadeUp(runs=2)
    made_up.panels = made_up._rows([{"panel": "revenue", "series": "annualised_revenue:OpenAI", "value": 5.0}])
    assert observed_comparison(made_up) == []
    assert "openai_revenue_2025_08" in not_compared(made_up)


def test_a_window_beyond_the_hand_over_counts_as_projected():
    rows = observed_comparison(MadeUp(runs=2, hand_over="2024-12"))
    assert {row.id for row in rows if not row.projected} >= {"enterprise_open_2024"}
    assert all(row.projected == (row.end > parse_month("2024-12")) for row in rows)


def test_rows_in_any_order_give_the_same_array():
    shuffled = pivot([1, 0, 1], np.array([5, 5, 4]), [3.0, 1.0, 2.0])
    assert shuffled.months.tolist() == [4, 5]
    np.testing.assert_array_equal(shuffled.values, [[np.nan, 1], [2, 3]])


def test_bands_are_quantiles_of_the_runs_and_empty_below_one_half():
    values = np.vstack([np.arange(101.0), np.full(101, np.nan)]).T
    values[:40, 1] = 7.0
    found = bands(RunSeries(np.array([1, 2]), values))
    assert (found.q05[0], found.q25[0], found.median[0], found.q75[0], found.q95[0]) == (5, 25, 50, 75, 95)
    assert np.isnan(found.median[1])
    values[:51, 1] = 7.0
    assert bands(RunSeries(np.array([1, 2]), values)).median[1] == 7


def test_chinas_share_of_downloads_is_compared_as_a_share_of_chinas_and_the_uss():
    from sim.analysis.compare_observed import _shares_of_two
    from sim.evidence import observations

    found = [o for o in _shares_of_two(list(observations())) if "download_share" in o.series]
    assert [o.series for o in found] == ["chinese_download_share_of_two", "us_download_share"]
    assert found[0].value == pytest.approx(0.171 / (0.171 + 0.158))
    assert found[0].low < found[0].value < found[0].high
