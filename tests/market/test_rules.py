"""Releases, openness and prices decided by rule after the history."""

from __future__ import annotations

import numpy as np
import pytest

from sim.market import offering, supply
from sim.market.market import Market
from sim.market.stages.releases import draw_noise

from .worlds import between, changed, for_all_labs, simulated


def decided(market):
    table = market.releases
    return np.flatnonzero(table.month > market.settings.history_until)


def predecessor(market, row):
    table = market.releases
    earlier = np.flatnonzero((table.line == table.line[row]) & (np.arange(len(table.names)) < row))
    return int(earlier[-1])


def busy(settings, **lab_fields):
    quick = {"cadence_months": 2.0} | lab_fields
    return simulated(changed(settings, labs=for_all_labs(settings, **quick)))


def test_no_release_is_decided_below_the_minimum_step(small_settings):
    settings = changed(small_settings, {"capability.minimum_step": 2.5, "capability.release_noise": 2.0})
    market = busy(settings)
    rows = decided(market)
    gains = [market.releases.capability[r] - market.releases.capability[predecessor(market, r)] for r in rows]
    assert len(rows) > 10
    assert min(gains) >= 2.5


def test_a_larger_minimum_step_means_fewer_releases(small_settings):
    few, many = (len(decided(busy(changed(small_settings, {"capability.minimum_step": step})))) for step in (8.0, 0.0))
    assert few < many / 2


def test_a_decided_release_is_its_labs_potential_with_offset_and_noise(small_settings):
    market = Market(changed(small_settings, labs=for_all_labs(small_settings, cadence_months=2.0)))
    found = 0
    while market.month <= small_settings.end:
        known = len(market.releases.names)
        market.step()
        if market.month - 1 <= small_settings.history_until:
            continue
        for row in range(known, len(market.releases.names)):
            line, lab = market.releases.line[row], market.releases.lab[row]
            number = int(np.sum(market.releases.line[:row] == line))
            noise = draw_noise(
                market.seed, market.lines.names[line], number, market.parameters["capability.release_noise"]
            )
            wanted = market.labs.potential[lab] + market.lines.offset[line] + noise
            assert market.releases.capability[row] == pytest.approx(wanted)
            found += 1
    market.close()
    assert found > 20


def test_held_prices_stay_and_prices_on_cost_follow_cost_and_size(small_settings):
    held, on_cost = (busy(small_settings, price_rule=rule) for rule in ("hold", "cost_plus"))
    p = small_settings.parameters
    for row in decided(held):
        before = predecessor(held, row)
        table = held.releases
        if table.has_api[row]:
            assert table.list_price[row] == pytest.approx(table.list_price[before])
            assert table.input_price[row] == pytest.approx(table.input_price[before])
    fell = 0
    for row in decided(on_cost):
        before, table = predecessor(on_cost, row), on_cost.releases
        months = (table.month[row] - table.month[before]) / 12
        growth = p["serving.size_growth"] ** months
        index = [supply.cost_index(on_cost, int(table.month[r])) for r in (row, before)]
        wanted = table.list_price[before] * index[0] / index[1] * growth ** p["serving.size_exponent"]
        assert table.list_price[row] == pytest.approx(wanted)
        fell += wanted < table.list_price[before]
    assert fell > 10


def test_lines_that_only_hosts_sell_follow_cost_even_where_the_lab_holds_its_prices(small_settings):
    market = busy(small_settings, price_rule="hold")
    hosted = [r for r in decided(market) if not market.releases.has_api[r]]
    moved = [market.releases.list_price[r] / market.releases.list_price[predecessor(market, r)] for r in hosted]
    assert hosted
    assert all(abs(ratio - 1) > 1e-6 for ratio in moved)


def test_a_held_price_keeps_the_margin_and_the_saving_goes_into_the_model(small_settings):
    market = busy(small_settings, price_rule="hold")
    table = market.releases
    closed = [r for r in decided(market) if not table.is_open[r]]
    margins = [1 - table.cost_at_release[r] / table.list_price[r] for r in closed]
    assert margins == pytest.approx([small_settings.parameters["serving.closed_margin"]] * len(closed))


def test_models_grow_by_the_stated_factor(small_settings):
    market = busy(small_settings)
    table = market.releases
    for row in decided(market):
        before = predecessor(market, row)
        growth = small_settings.parameters["serving.size_growth"] ** ((table.month[row] - table.month[before]) / 12)
        if not np.isnan(table.total_params[before]):
            assert table.total_params[row] == pytest.approx(table.total_params[before] * growth)
        assert np.isnan(table.active_params[row]) == np.isnan(table.active_params[before])


def test_adoption_value_lowers_posted_prices_from_the_first_month_after_the_history(small_settings):
    labs = {"OpenAI": {"adoption_value": 0.7}}
    market = Market(changed(between(small_settings, "2025-11", "2026-03"), labs=labs))
    for _ in range(2):
        market.step()
    made = market.releases.lab == market.labs.names.index("OpenAI")
    market.month -= 1  # look at December with its own eyes
    december = offering.prices(market, offering.serving_costs(market)).api_list
    market.month += 1
    january = offering.prices(market, offering.serving_costs(market)).api_list
    market.close()
    assert december[made] == pytest.approx(market.releases.list_price[made])
    assert january[made] == pytest.approx(np.maximum(0.0, market.releases.list_price[made] - 0.7))
    assert (january[made] == 0.0).any()
    assert january[~made] == pytest.approx(december[~made])


def test_cadence_sets_how_often_a_line_releases(small_settings):
    fast, slow = (
        len(decided(simulated(changed(small_settings, labs=for_all_labs(small_settings, cadence_months=c)))))
        for c in (1.5, 12.0)
    )
    assert fast > 2 * slow


def test_dormant_lines_keep_what_is_on_offer_and_release_no_more(small_settings):
    market = simulated(changed(small_settings, {"capability.dormant_months": 4.0}))
    last = {int(line): int(market.releases.month[market.releases.line == line].max()) for line in decided_lines(market)}
    replayed = market.releases.month <= small_settings.history_until
    for line in last:
        rows = replayed & (market.releases.line == line)
        assert small_settings.history_until - market.releases.month[rows].max() <= 4


def decided_lines(market):
    return sorted(set(market.releases.line[decided(market)].tolist()))


def test_lines_not_continued_have_no_next_month(small_settings):
    market = simulated(changed(small_settings, {"capability.dormant_months": 4.0}))
    silent = np.isinf(market.lines.next_month)
    assert silent.any()
    assert not set(np.flatnonzero(silent).tolist()) & set(decided_lines(market))
