"""Releases decided by rule after the history: when, how capable, how large."""

from __future__ import annotations

import numpy as np
import pytest

from sim.market import supply
from sim.market.market import Market
from sim.market.stages.releases import draw_noise, noise_stream

from .worlds import changed, for_all_labs, simulated


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
            stream = np.array([noise_stream(market.seed, market.lines.names[line])], np.uint64)
            noise = draw_noise(stream, np.array([number]), market.parameters["capability.release_noise"])[0]
            wanted = market.labs.potential[lab] + market.lines.offset[line] + noise
            assert market.releases.capability[row] == pytest.approx(wanted)
            found += 1
    market.close()
    assert found > 20


def test_a_new_release_takes_back_its_part_of_the_fall_in_cost_and_grows_by_as_much(small_settings):
    """Spent share of the fall goes into size: cost times fall**(1 - spent), size times fall**(-spent / exponent)."""
    market = busy(small_settings)
    table, p = market.releases, small_settings.parameters
    kinds = []
    for row in decided(market):
        before = predecessor(market, row)
        fall = supply.cost_index(market, int(table.month[row])) / supply.cost_index(market, int(table.month[before]))
        spent = p["serving.saving_spent.open" if table.of_open_line[row] else "serving.saving_spent.closed"]
        assert fall < 1.0
        wanted = table.cost_at_release[before] * fall ** (1.0 - spent)
        assert table.cost_at_release[row] == pytest.approx(wanted)
        growth = fall ** (-spent / p["serving.size_exponent"])
        assert growth >= 1.0
        if not np.isnan(table.total_params[before]):
            assert table.total_params[row] == pytest.approx(table.total_params[before] * growth)
        assert np.isnan(table.active_params[row]) == np.isnan(table.active_params[before])
        kinds.append(bool(table.is_open[row]))
    assert 5 < sum(kinds) < len(kinds) - 5


@pytest.mark.parametrize("spent", [0.0, 1.0])
def test_a_release_that_spends_nothing_of_the_saving_is_as_large_and_one_that_spends_all_costs_as_much(
    small_settings, spent
):
    both = {f"serving.saving_spent.{kind}": spent for kind in ("open", "closed")}
    market = busy(changed(small_settings, both))
    table = market.releases
    for row in decided(market):
        before = predecessor(market, row)
        kept = "cost_at_release" if spent else "active_params"
        left, right = getattr(table, kept)[row], getattr(table, kept)[before]
        assert left == pytest.approx(right, nan_ok=True)


@pytest.mark.parametrize("limit", [0.0, 15.0, 1e5])
def test_a_line_leaves_devices_once_a_release_is_larger_than_they_hold(small_settings, limit):
    market = busy(changed(small_settings, {"serving.on_device_size": limit}))
    table, kept = market.releases, 0
    for row in decided(market):
        fits = table.is_open[row] and table.total_params[row] <= limit
        assert table.on_device[row] == (table.on_device[predecessor(market, row)] and fits)
        kept += table.on_device[row]
    assert (kept > 0) == (limit > 15.0)


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
