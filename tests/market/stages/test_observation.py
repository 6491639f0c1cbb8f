"""What panels see: known answers by hand on tiny samples."""

from __future__ import annotations

import numpy as np
import pytest

from sim.market import followed
from sim.market.stages import observation
from sim.market.stages.observation import COHORT, YEAR, Memory, Sample
from sim.market.tables import NONE
from sim.scenario.schema import BLOCS, CLASSES

LABS = ("OpenAI", "Anthropic", "Google", "Meta", "Mistral", "DeepSeek", "Alibaba")
OPENAI, ANTHROPIC, GOOGLE, META, MISTRAL, DEEPSEEK, ALIBABA = range(7)
CHAT, CODING = CLASSES.index("chat"), CLASSES.index("coding")


def sample():
    kind, state = np.array([CHAT, CODING, CODING, CHAT, CHAT]), np.arange(5)
    amount, spend = np.zeros((2, len(CLASSES), 5))
    amount[kind, state] = [40.0, 20.0, 25.0, 10.0, 5.0]
    spend[kind, state] = [400.0, 100.0, 50.0, 10.0, 40.0]
    return Sample(
        lab=np.array([OPENAI, ANTHROPIC, DEEPSEEK, META, DEEPSEEK]),
        line=np.array([0, 1, 2, 3, 4]),
        is_open=np.array([False, False, True, True, True]),
        chinese=np.array([False, False, True, False, True]),
        amount=amount,
        spend=spend,
    )


def test_the_router_shows_shares_of_tokens_and_money():
    found = observation.router_series(sample(), LABS, tokens_per_month=1e6, router_share=0.01)
    wanted = {
        "open_token_share": 0.4,
        "chinese_open_token_share": 0.3,
        "rest_of_world_open_token_share": 0.1,
        "open_spend_share": 100 / 600,
        "chinese_spend_share": 90 / 600,
        "mean_price_paid:closed": 500 / 60,
        "mean_price_paid:open": 2.5,
        "workload_token_share:coding": 0.45,
        "workload_share_of_open:chat": 15 / 40,
        "total_tokens_per_week": 1e6 * 0.01 / (365.25 / 84) / 1e6,
        "lab_token_share:OpenAI": 0.4,
        "lab_token_share:Anthropic": 0.2,
        "lab_token_share:Google": 0.0,
        "lab_token_share:OpenAI+Anthropic+Google": 0.6,
        "lab_share_of_workload:Anthropic/coding": 20 / 45,
        "lab_share_of_open:DeepSeek": 0.75,
        "largest_line_share_of_open": 25 / 40,
    }
    assert found == pytest.approx(wanted)


def empty():
    full = sample()
    return Sample(**{name: getattr(full, name)[..., :0] for name in full.__dataclass_fields__})


def test_a_router_without_users_has_no_shares():
    found = observation.router_series(empty(), LABS, 0.0, 0.01)
    assert found.pop("total_tokens_per_week") == 0.0
    assert all(np.isnan(value) for value in found.values())


def test_the_survey_of_enterprises_counts_workloads():
    found = observation.enterprise_series(sample(), LABS)
    assert found == pytest.approx(
        {
            "open_workload_share": 0.4,
            "chinese_open_workload_share": 0.3,
            "lab_workload_share:OpenAI": 0.4,
            "lab_workload_share:Anthropic": 0.2,
            "lab_workload_share:Google": 0.0,
            "lab_workload_share:Meta": 0.1,
            "lab_workload_share:Mistral": 0.0,
            "lab_workload_share:DeepSeek": 0.3,
        }
    )


def test_memory_gives_back_what_was_used_up_to_a_year_ago():
    memory = Memory(np.array([3, 8]), slice(0, 2), np.arange(10.0))
    assert (memory.weight_surveyed.tolist(), memory.weight_routed.tolist()) == ([3.0, 8.0], [0.0, 1.0])
    for month in range(600, 620):
        memory.push(month, np.array([month, NONE]), np.array([month % 5, NONE]))
        for ago in (0, 1, COHORT, COHORT + 1, YEAR):
            release, line = memory.ago(ago)
            then = month - ago
            known = then >= 600
            assert release.tolist() == [then if known else NONE, NONE]
            assert line.tolist() == [then % 5 if known else NONE, NONE]


def test_yearly_rates_tell_a_change_of_vendor_from_a_newer_release():
    weight = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    lab = np.array([0, 0, 0, 0, 0, 1, 1, 2, 2, 2])
    now, then = np.array([5, 6, 7, NONE, 9]), np.array([5, 5, 5, 5, NONE])
    found = followed.yearly_rates(weight, lab, then, now)
    assert found == {"annual_vendor_switch_rate": 4 / 7, "annual_upgrade_within_vendor_rate": 2 / 7}


def test_retention_follows_those_who_took_a_line_up():
    weight = np.array([1.0, 2.0, 4.0, 8.0])
    before = np.array([NONE, 1, 2, NONE])
    then = np.array([2, 2, 2, NONE])  # the third was there already, the fourth never came
    now = np.array([2, 3, 2, 2])
    assert followed.retention(weight, before, then, now) == pytest.approx(1 / 3)
    assert np.isnan(followed.retention(weight, before, np.full(4, NONE), now))


def test_downloads_compare_china_with_the_us_over_the_month_and_count_all_so_far():
    before = np.array([0.0, 0.0, 0.0, 6e6, 1e6, 1e6, 2e6])
    by_lab = np.array([0.0, 0.0, 0.0, 8e6, 5e6, 3e6, 6e6])
    blocs = np.array([BLOCS.index(b) for b in ("US", "US", "US", "US", "EU", "CN", "CN")])
    found = observation.downloads_series(by_lab, before, blocs, LABS)
    assert found == {
        "chinese_download_share_of_two": 0.75,
        "cumulative_downloads:all": 22.0,
        "cumulative_downloads:Alibaba": 6.0,
        "cumulative_downloads:Meta": 8.0,
        "cumulative_downloads:CN": 9.0,
        "cumulative_downloads:US": 8.0,
    }


def race(tolerance, on_api=(True, True, True, True, True)):
    us, cn, eu = (BLOCS.index(b) for b in ("US", "CN", "EU"))
    return observation.race(
        np.array([100, 106, 110, 112, 118]),
        np.array([120.0, 130.0, 127.0, 140.0, 132.0]),
        np.array([False, False, True, False, True]),
        np.array([us, us, eu, us, cn]),
        np.array(on_api),
        now=120,
        tolerance=tolerance,
    )


def test_the_race_reports_records_and_lags_in_months():
    found = race(3.0)
    assert (found.closed, found.open, found.us, found.china) == (140.0, 132.0, 140.0, 132.0)
    assert found.gap_months == 8.0  # closed models passed 132 in month 112
    assert found.china_lag == 8.0


def test_a_tie_tolerance_shortens_the_lag():
    assert race(8.0).gap_months_tied == 8.0
    assert race(8.1).gap_months_tied == 0.0
    assert race(8.1).gap_months == 8.0


def test_a_race_without_open_models_has_no_gap():
    found = observation.race(
        np.array([100]),
        np.array([120.0]),
        np.array([False]),
        np.array([0]),
        np.array([True]),
        now=101,
        tolerance=3.0,
    )
    assert found.closed == 120.0
    assert np.isnan([found.open, found.china, found.gap_months, found.china_lag]).all()


def test_the_closed_side_of_the_race_is_what_can_still_be_bought():
    found = race(3.0, on_api=(True, True, True, False, True))
    assert (found.closed, found.us) == (130.0, 140.0)  # the best closed model has been switched off
    assert found.gap_months == 8.0  # when closed models first had it is what it was
    assert np.isnan(race(3.0, on_api=(False, False, True, False, True)).closed)


def test_the_lowest_price_at_a_level_is_that_of_the_cheapest_model_that_reaches_it():
    capability = np.array([126.0, 130.0, 125.9])
    price = np.array([4.0, 3.0, 0.1])
    assert observation.lowest_price(capability, price, 126.0) == 3.0
    assert observation.lowest_price(capability, price, 125.9) == 0.1
    assert np.isnan(observation.lowest_price(capability, price, 131.0))
