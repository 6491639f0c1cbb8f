"""Accelerators of a whole market under controls: quotas, diversion, the parts of China's compute."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from sim import evidence
from sim.market import resources, supply
from sim.market.market import Market
from sim.market.stages import compute
from sim.months import parse_month
from sim.scenario.schema import BLOCS

from .worlds import between, changed, event, simulated


def test_domestic_output_follows_its_past_growth_and_then_each_growth_from_its_date(small_settings):
    p = small_settings.parameters
    events = (event("2026-04", "domestic_ramp", growth=3.0), event("2026-08", "domestic_ramp", growth=0.5))
    market = simulated(changed(small_settings, events=events))
    panel = market.record.tables()["panels"]
    rows = panel["series"] == "domestic_accelerators:CN"
    units = dict(zip(panel["month"][rows].tolist(), (panel["value"][rows] * 1e3).tolist(), strict=True))
    at = parse_month("2025-12")
    assert units[at] == pytest.approx(
        p["compute.cn.domestic_units_2025"] / 12 * p["compute.cn.domestic_past_growth"] ** (5 / 12)
    )
    growth = p["compute.cn.domestic_growth"]
    assert units[parse_month("2026-04")] == pytest.approx(units[at] * growth ** (4 / 12))
    assert units[parse_month("2026-08")] == pytest.approx(units[at] * growth ** (4 / 12) * 3 ** (4 / 12))
    assert units[parse_month("2026-11")] == pytest.approx(units[parse_month("2026-08")] * 0.5 ** (3 / 12))


def test_the_year_2025_adds_up_to_the_stated_domestic_output(small_settings):
    p = small_settings.parameters
    total = sum(resources.domestic_units(p, m) for m in range(parse_month("2025-01"), parse_month("2026-01")))
    assert total == pytest.approx(p["compute.cn.domestic_units_2025"], rel=0.05)


def test_quotas_hold_over_whole_years_and_imports_stay_below_demand(small_settings):
    quotas = {"compute.cn.quota_h20": 90_000.0, "compute.cn.quota_h200": 70_001.0, "compute.cn.quota_b200": 5_000.5}
    settings = changed(between(small_settings, "2025-10", "2028-12", workloads=200), quotas)
    market = simulated(settings)
    panel = market.record.tables()["panels"]
    rows = (panel["series"] == "legal_accelerators_added:CN") & (panel["month"] > settings.history_until)
    added = panel["value"][rows].reshape(3, 12).sum(axis=1) * 1e3
    p = settings.parameters
    most = sum(
        int(np.floor(p[f"compute.cn.quota_{t.lower()}"])) * p[f"compute.perf.{t.lower()}"] for t in compute.TIERS
    )
    assert np.all(added <= most + 1e-6)
    assert np.all(added > 0)


def test_beijings_own_restriction_does_not_raise_diversion(small_settings):
    alone = changed(small_settings, {"compute.revenue_elasticity": 0.0})  # so that no trade lost lowers investment
    closed = changed(alone, events=(event("2026-02", "import_restriction", allowed=0.0),))
    before, after = (simulated(s).record for s in (alone, closed))
    assert np.array_equal(before.market["compute_cn_diverted"], after.market["compute_cn_diverted"])
    assert after.market["compute_cn_legal"][-1] < before.market["compute_cn_legal"][-1]


def test_more_home_production_means_less_diversion_and_more_compute(small_settings):
    ramp = changed(small_settings, events=(event("2026-02", "domestic_ramp", growth=8.0),))
    plain, more = (simulated(s).record.market for s in (small_settings, ramp))
    assert more["compute_cn_diverted"][-1] < plain["compute_cn_diverted"][-1]
    assert more["compute_cn"][-1] > plain["compute_cn"][-1]


def test_diversion_is_at_most_the_leakage_of_what_is_wanted(small_settings):
    market = simulated(small_settings)
    p, panel = market.parameters, market.record.tables()["panels"]
    series = {
        name: panel["value"][panel["series"] == name] * 1e3
        for name in ("smuggled_accelerators:CN", "legal_accelerators_added:CN")
    }
    world = panel["value"][panel["series"] == "world_accelerator_stock"] * 1e6
    added = np.diff(world, prepend=evidence.world_stock(small_settings.start - 1))
    share = p["compute.cn.demand_share"]
    wanted = np.maximum(share * added, share / (1 - share) * (added - series["legal_accelerators_added:CN"]))
    assert np.all(series["smuggled_accelerators:CN"] <= p["compute.cn.leakage"] * wanted * (1 + 1e-9))


def test_what_china_bought_before_the_h20_serves_as_it_trains_and_h20_serve_better(small_settings):
    p = small_settings.parameters
    assert resources.replayed_serving_weight(p, parse_month("2023-10")) == 1.0
    for month in ("2023-11", "2025-02", "2025-05", "2025-08"):  # without a licence in May 2025: what still arrived
        assert resources.replayed_serving_weight(p, parse_month(month)) == p["compute.perf_infer.h20"] / 0.15


def test_in_the_history_the_serving_stock_is_that_of_the_units_shipped(small_settings):
    """531 thousand H20 of 2025 at their serving weight, less what was retired meanwhile."""
    p = small_settings.parameters
    world = changed(between(small_settings, "2025-01", "2026-01", workloads=200), {"compute.retirement": 0.0})
    start, end = simulated(world, 0).compute.serving.legal, simulated(world, 12).compute.serving.legal
    assert end - start == pytest.approx(531e3 * p["compute.perf_infer.h20"], rel=0.2)  # and 10 thousand H100e of AMD


def test_serving_compute_is_what_research_leaves_of_a_blocs_serving_stock(small_market):
    p, labs, state = small_market.parameters, small_market.labs, small_market.compute
    found = resources.serving_compute(small_market)
    left = 1.0 - p["compute.research_share"]
    china = labs.bloc == BLOCS.index("CN")
    america = labs.bloc == BLOCS.index("US")
    assert found[china] == pytest.approx(labs.compute_share[china] * state.serving.china * left)
    assert found[america] == pytest.approx(labs.compute_share[america] * p["compute.us_share"] * state.abroad * left)
    assert state.serving.china > state.china  # H20 and home-made accelerators are better at serving
    assert state.serving.rented == state.rented


@pytest.mark.parametrize("kind", ["domestic", "h20", "h200", "b200"])
def test_every_serving_weight_moves_serving_compute_of_china_alone(small_settings, kind):
    quotas = {"compute.cn.quota_h200": 100_000.0, "compute.cn.quota_b200": 40_000.0}
    apart = {"compute.revenue_elasticity": 0.0}  # else what China can serve moves revenue, and revenue investment
    world = changed(between(small_settings, "2025-10", "2026-06", workloads=200), quotas | apart)
    path = f"compute.perf_infer.{kind}"
    plain, more = (
        resources.serving_compute(simulated(w)) for w in (world, changed(world, {path: world.parameters[path] * 1.5}))
    )
    china = simulated(world, 0).labs.bloc == BLOCS.index("CN")
    assert (more[china] > plain[china]).all()
    assert (more[~china] == plain[~china]).all()


@pytest.mark.parametrize("name", compute.STOCKS)
def test_a_serving_stock_that_grows_out_of_nothing_is_noticed(name):
    more = dataclasses.replace(state(), serving=compute.Serving(**{name: 99.0}))
    assert broken(after=more) == [f"{name} serving compute is not last month's less retirement plus what came in"]
    assert broken(after=dataclasses.replace(state(), serving=compute.Serving(**{name: math.nan})))


def boosted(settings, factor):
    """Return a market after its last month in which labs report a multiple of their revenue after the history."""
    market = Market(settings)
    while market.month <= settings.end:
        market.step()
        if market.month > settings.history_until + 1:
            market.accounts = dataclasses.replace(market.accounts, spend=factor * market.accounts.spend)
    market.close()
    return market


def test_investment_abroad_follows_revenue_when_it_may(small_settings):
    world = between(small_settings, "2025-07", "2027-06", workloads=200)
    fixed, reacting = (changed(world, {"compute.revenue_elasticity": e}) for e in (0.0, 0.4))
    assert boosted(fixed, 3.0).compute.abroad == simulated(fixed).compute.abroad
    stocks = [boosted(reacting, factor).compute.abroad for factor in (0.3, 1.0, 3.0)]
    assert stocks == sorted(stocks)
    assert stocks[0] < stocks[2]


def test_investment_does_not_jump_at_the_hand_over_whatever_revenue_does(small_settings):
    """The first month is held against the revenue of the hand-over itself."""
    world = between(small_settings, "2025-07", "2026-03", workloads=200)
    first = [
        simulated(changed(world, {"compute.revenue_elasticity": e}), 7).compute.added_serving.abroad for e in (0.0, 0.4)
    ]
    assert first[0] == first[1]


def test_a_boom_of_world_compute_multiplies_what_is_added_abroad(small_settings):
    world = between(small_settings, "2025-10", "2026-03", workloads=200)
    market, boom = Market(world), Market(world)
    for _ in range(3):
        market.step()
        boom.step()
    boom.policy = dataclasses.replace(boom.policy, world_compute=2.0)
    market.step()
    boom.step()
    assert boom.policy.world_compute == 2.0  # the rules that start after the history keep it
    assert boom.compute.added_serving.abroad == 2.0 * market.compute.added_serving.abroad


def test_blocs_share_the_accelerators_abroad(small_market):
    stocks = resources.bloc_stocks(small_market)
    p = small_market.parameters
    assert stocks[BLOCS.index("US")] == pytest.approx(p["compute.us_share"] * small_market.compute.abroad)
    assert stocks[BLOCS.index("CN")] == small_market.compute.china
    assert stocks.sum() == pytest.approx(small_market.compute.abroad + small_market.compute.china)


def test_research_compute_is_smoothed_over_the_stated_months(small_settings):
    quick, slow = (
        simulated(changed(small_settings, {"capability.smoothing_months": m})).labs.research_compute
        for m in (1.0, 24.0)
    )
    assert np.all(quick > slow)  # stocks grow, so a longer memory lags behind


def test_rent_is_observed_in_the_history_and_on_a_trend_after(small_market):
    until = small_market.settings.history_until
    growth = small_market.parameters["serving.gpu_price_growth"]
    assert supply.gpu_hour(small_market, until - 6) == evidence.gpu_hour_price(until - 6)
    assert supply.gpu_hour(small_market, until + 12) == pytest.approx(evidence.gpu_hour_price(until) * growth)


def test_additions_abroad_go_on_from_the_middle_of_the_last_year(small_settings):
    """The mean month of 2025 stands at the middle of the year: January 2026 is 0.5 + 1/12 years of growth later."""
    p = small_settings.parameters
    market = simulated(changed(small_settings, {"compute.revenue_elasticity": 0.0}))
    panel = market.record.tables()["panels"]
    rows = panel["series"] == "world_accelerator_stock"
    world = dict(zip(panel["month"][rows].tolist(), (panel["value"][rows] * 1e6).tolist(), strict=True))
    legal = dict(
        zip(
            panel["month"][rows].tolist(),
            panel["value"][panel["series"] == "legal_accelerators_added:CN"] * 1e3,
            strict=True,
        )
    )
    until = small_settings.history_until
    abroad = {m: world[m] - world[m - 1] - legal[m] for m in range(small_settings.start + 1, small_settings.end + 1)}
    mean = np.mean([abroad[m] for m in range(until - 11, until + 1)])
    fade = p["compute.world.growth_fade"]
    for after in (1, 7, 12):
        years = 0.5 + after / 12
        wanted = mean * p["compute.world.growth"] ** ((1 - np.exp(-fade * years)) / fade)
        assert abroad[until + after] == pytest.approx(wanted, rel=1e-6)


def state(**columns):
    """Return compute with one of everything, with the given columns replaced."""
    plain = {"abroad": 10.0, "abroad_total": 12.0, "legal": 3.0, "legal_total": 4.0, "diverted": 2.0, "domestic": 1.0}
    return compute.ComputeState(**(plain | {"rented": 0.5} | columns))


def broken(before=None, after=None, *, cap=math.inf, diversion=math.inf):
    return compute.violations(
        before or state(), after or state(), retirement=0.0, legal_cap=cap, diversion_cap=diversion
    )


def test_stocks_that_stand_still_without_inflow_break_nothing():
    assert broken() == []


@pytest.mark.parametrize("name", ["abroad", "legal", "diverted", "domestic"])
def test_a_stock_that_grows_out_of_nothing_is_noticed(name):
    assert broken(after=state(**{name: 99.0})) == [
        f"{name} compute is not last month's less retirement plus what came in"
    ]
    assert broken(after=state(**{name: math.nan}))


def test_imports_above_the_licences_and_diversion_above_the_leakage_are_noticed():
    more = state(legal=5.0, added_legal=2.0, diverted=4.0, added_diverted=2.0)
    assert broken(after=more) == []
    assert len(broken(after=more, cap=1.9)) == 1
    assert len(broken(after=more, cap=1.9, diversion=1.9)) == 2


def test_a_planted_break_of_compute_marks_the_result_invalid(small_settings, monkeypatch):
    real = resources.compute_month
    monkeypatch.setattr(resources, "compute_month", lambda m, c: dataclasses.replace(real(m, c), legal=1e6))
    market = Market(small_settings)
    assert any("legal compute" in line for line in market.violations)
