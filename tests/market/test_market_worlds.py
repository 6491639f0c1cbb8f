"""Where a market starts, and worlds in which something is missing."""

from __future__ import annotations

import numpy as np
import pytest

from sim.content import combine
from sim.identities import broken_identities
from sim.market import offering
from sim.market.market import Market
from sim.market.tables import NONE
from sim.months import parse_month

from .worlds import between, changed, for_all_labs, simulated


def test_before_the_first_month_everything_released_is_on_offer_and_nobody_uses_anything(small_settings):
    market = Market(small_settings)
    assert market.releases.month.max() == small_settings.start - 1
    assert (market.usage.release == NONE).all()
    assert not market.usage.present.any()
    assert offering.offered(market).any()
    market.close()


def test_in_the_first_month_who_is_present_chooses(small_settings):
    market = simulated(small_settings, 1)
    present = market.workloads.arrival <= small_settings.start
    assert np.array_equal(market.usage.present, present)
    assert (market.usage.release[present] != NONE).mean() > 0.2
    assert (market.usage.release[~present] == NONE).all()


@pytest.mark.parametrize(("start", "until"), [("2023-03", "2023-03"), ("2023-03", "2024-02"), ("2025-12", "2025-12")])
def test_the_history_may_end_at_any_time(small_settings, start, until):
    settings = between(small_settings, start, "2026-03", history_until=until, workloads=200)
    market = simulated(settings)
    assert market.violations == []
    assert market.releases.month.max() > parse_month(until)
    assert np.isfinite(market.record.market["total_tokens"]).all()


def test_without_anything_worth_choosing_nobody_uses_a_model_and_the_books_still_close(small_settings):
    """Value zero, dear adoption, cheap hands: doing without wins, and shares of nothing are missing, not wrong."""
    settings = changed(
        between(small_settings, "2025-10", "2026-02"),
        {"demand.value": 0.0, "demand.value_sd": 0.0}
        | {f"demand.{f}.adoption_cost": 30.0 for f in ("developer", "enterprise")}
        | {f"demand.{f}.without_ai_cost": 0.0 for f in ("developer", "enterprise")},
    )
    market = simulated(settings)
    assert market.violations == []
    assert np.all(market.record.market["total_tokens"] == 0.0)
    assert np.isnan(market.record.market["open_token_share"]).all()
    assert broken_identities(combine([market.record.tables()])) == []


def test_a_ban_on_every_strict_adopter_empties_the_chinese_apis_there(small_settings):
    settings = changed(
        between(small_settings, "2025-01", "2026-12", workloads=1500),
        {"demand.ban.public": 1.0, "demand.ban.regulated": 1.0, "demand.ban.start": 2020.0}
        | {"demand.enterprise.distrust": 0.0},
    )
    market = simulated(settings)
    table, use = market.workloads, market.usage
    used = use.release != NONE
    on_chinese_api = used & (use.channel == 0) & (market.labs.bloc[market.releases.lab[use.release]] == 2)
    strict = (table.group >= 3) & (table.bloc != 2)
    assert on_chinese_api[~strict].any()
    assert not on_chinese_api[strict].any()


def test_us_apis_are_not_sold_in_china(small_market):
    table, use = small_market.workloads, small_market.usage
    used = use.release != NONE
    american = used & (use.channel == 0) & (small_market.labs.bloc[small_market.releases.lab[use.release]] == 0)
    assert american.any()
    assert not american[table.bloc == 2].any()


def test_labs_that_all_close_leave_their_last_weights_with_hosts(small_settings):
    settings = changed(small_settings, labs=for_all_labs(small_settings, openness="closed", cadence_months=1.0))
    market = simulated(settings)
    closed_after = market.releases.month > settings.history_until
    assert closed_after.any()
    assert not market.releases.is_open[closed_after].any()
    assert not market.releases.on_device[closed_after].any()
    assert (market.releases.degree[closed_after] == 0.0).all()
    on = offering.offered(market)
    line = market.lines.names.index("DeepSeek/chat")
    weights = market.lines.current_open[line]
    assert market.releases.month[weights] <= settings.history_until
    assert market.lines.current[line] != weights
    assert on[weights, 1]
    assert on[weights, 2]
    assert not on[weights, 0]
    assert on[market.lines.current[line], 0]
    assert not on[market.lines.current[line], 1]


def test_labs_that_all_open_publish_every_new_release(small_settings):
    settings = changed(small_settings, labs=for_all_labs(small_settings, openness="open", cadence_months=1.0))
    market = simulated(settings)
    after = market.releases.month > settings.history_until
    assert market.releases.is_open[after].all()
    assert (market.releases.degree[after] > 0).all()
    opened = market.releases.lab[after] == market.labs.names.index("Anthropic")
    assert market.releases.has_api[after][opened].all()


def test_a_lab_that_has_stopped_releases_nothing_more(small_settings):
    settings = changed(small_settings, labs={"OpenAI": {"active": 0.0}, "TII": {"active": 1.0}})
    market = simulated(settings)
    after = market.releases.month > settings.history_until
    assert market.labs.names.index("OpenAI") not in market.releases.lab[after]
    plain = simulated(small_settings).releases
    assert (plain.month > settings.history_until).sum() > after.sum()
