"""Floors, caps and clips of compute, costs, releases and lab decisions bind here, and not just beside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim.market import governments, offering, resources, supply
from sim.market.stages.releases import NewRelease
from sim.market.tables import NONE
from sim.months import parse_month
from sim.scenario.schema import BLOCS, CLASSES

from .guards import binds
from .worlds import between, changed, for_all_labs, simulated

EU, ROW = BLOCS.index("EU"), BLOCS.index("ROW")


@pytest.fixture(scope="module")
def world(small_settings):
    return between(small_settings, "2025-10", "2026-02", workloads=200)


# Compute -------------------------------------------------------------------------------------------------------------


@binds("resources.py", "inflow", "max(0.0, demand - licensed - domestic * p['compute.perf.domestic'])")
def test_where_home_output_covers_the_demand_nothing_is_diverted(world):
    plenty = {"compute.cn.domestic_units_2025": 2e7, "compute.perf.domestic": 10.0}
    covered, short = (simulated(changed(world, output), 4).compute for output in (plenty, {}))
    assert covered.added_diverted == 0.0
    assert covered.diverted >= 0.0
    assert short.added_diverted > 0.0


@binds("resources.py", "bloc_stocks", "min(p['compute.eu_share'], 1.0 - p['compute.us_share'])")
@pytest.mark.parametrize(("eu", "left"), [(0.5, 0.1), (0.1, 0.1), (0.04, 0.04)])
def test_the_eu_has_its_share_of_what_the_us_leaves(world, eu, left):
    market = simulated(changed(world, {"compute.us_share": 0.9, "compute.eu_share": eu}), 1)
    stocks, abroad = resources.bloc_stocks(market), market.compute.abroad
    assert stocks[[EU, ROW]] / abroad == pytest.approx([left, 0.1 - left], abs=1e-12)


@binds("resources.py", "research_month", "np.maximum(bloc_stocks(market)[labs.bloc], 1.0)")
def test_a_bloc_without_any_accelerator_keeps_one(world):
    shares = {"compute.us_share": 1.0, "compute.research_share": 0.5, "capability.smoothing_months": 1.0}
    market = simulated(changed(world, shares, for_all_labs(world, compute_share=0.5)), 4)
    stock = resources.bloc_stocks(market)[market.labs.bloc]
    europe = market.labs.bloc == EU
    assert (market.labs.research_compute[europe] == 0.25).all()
    assert market.labs.research_compute[~europe] == pytest.approx(0.25 * np.where(stock > 1.0, stock, 1.0)[~europe])
    assert (stock > 1e5).any()
    assert np.isfinite(market.labs.potential[~np.isnan(supply.best_of_labs(market))]).all()


@binds("resources.py", "research_month", "np.maximum(now, 0.001)")
def test_a_lab_without_a_share_keeps_a_thousandth_of_an_accelerator(world):
    shares = for_all_labs(world, compute_share=0.0) | {"OpenAI": {"compute_share": 0.3}}
    market = simulated(changed(world, labs=shares), 4)
    has_some = np.arange(len(market.labs.names)) == market.labs.names.index("OpenAI")
    assert market.labs.research_compute[~has_some] == pytest.approx(1e-3)
    assert market.labs.research_compute[has_some] > 1e5
    assert market.violations == []


# Costs and prices ----------------------------------------------------------------------------------------------------


@binds(
    "offering.py",
    "serving_costs",
    "np.maximum(marginal, table.full_load_cost * ratio / p['serving.self_host.utilisation'])",
)
def test_own_machines_at_full_load_cost_no_less_than_what_hosts_pay_for_the_same_weights(world):
    for utilisation, bound in ((1.0, True), (0.01, False)):
        market = simulated(changed(world, {"serving.self_host.utilisation": utilisation}), 0)
        costs, weights = offering.serving_costs(market), market.releases.is_open
        assert (costs.own[weights] >= costs.marginal[weights]).all()
        assert (costs.own[weights] == costs.marginal[weights]).any() == bound


@binds("offering.py", "class_mix", "np.where(table.input_price > 0, table.input_price, 1.0)")
def test_a_list_with_free_input_is_paid_for_its_output_alone_or_for_nothing(world):
    market = simulated(world, 0)
    table = market.releases
    table.input_price[:3], table.output_price[:3] = [0.0, 0.0, 2.0], [0.0, 6.0, 6.0]
    mix = offering.prices(market, offering.serving_costs(market)).mix
    p = market.parameters
    share, factor = (np.array([p[f"demand.{name}.{c}"] for c in CLASSES]) for name in ("input_share", "price_factor"))
    assert np.isfinite(mix).all()
    assert mix[:, 0] == pytest.approx(factor * share * 4.0 / 3.0)
    assert mix[:, 2] == pytest.approx(factor * (share * 2.0 + (1.0 - share) * 6.0) / 3.0)


@binds("supply.py", "_gpu_hour", "max(0.0, years_since(month, until))")
@binds("supply.py", "_gpu_hour", "min(month, until)")
def test_an_accelerator_hour_costs_what_was_seen_to_the_end_of_the_history_and_then_follows_its_trend(world):
    shorter = between(world, "2024-01", "2024-12", history_until="2024-06")
    market = simulated(changed(shorter, {"serving.gpu_price_growth": 0.5}), 0)
    seen = {text: supply.evidence.gpu_hour_price(parse_month(text)) for text in ("2024-01", "2024-06", "2025-06")}
    assert len(set(seen.values())) == 3
    found = [supply.gpu_hour(market, parse_month(text)) for text in seen]
    assert found == pytest.approx([seen["2024-01"], seen["2024-06"], 0.5 * seen["2024-06"]])


# Releases ------------------------------------------------------------------------------------------------------------


@binds("supply.py", "records", "table.capability[table.is_open == kind].max(initial=-np.inf)")
def test_the_first_release_of_its_kind_beats_no_record(world):
    market = simulated(world, 0)
    table = market.releases
    assert supply.records(market) == tuple(table.capability[table.is_open == kind].max() for kind in (False, True))
    table.is_open[:] = False
    assert supply.records(market) == (table.capability.max(), np.inf)


@binds("market.py", "Market._release", "max(leaps[lab], self.releases.capability[row] - records[kind])")
def test_a_leap_is_what_the_best_release_of_a_lab_is_above_the_record_of_its_kind_and_never_negative(world):
    market = simulated(world, 0)
    (first, *_) = supply.replayed_releases(market, upto=world.start, since=world.start)
    lab, closed = first.columns["lab"], supply.records(market)[0]
    made = [
        replace(first, name=f"made {step}", columns=first.columns | {"is_open": False, "capability": closed + step})
        for step in (-2.0, 3.0, 1.0)
    ]
    assert market._release(made[:1])[lab] == 0.0
    assert market._release(made)[lab] == pytest.approx(3.0)


@binds(
    "market.py",
    "Market.publish_weights",
    "if self.lines.current_open[line] < row:\n    self.lines.current_open[line] = row",
)
def test_weights_that_come_out_late_are_on_offer_unless_their_line_has_newer_ones(world):
    market = simulated(world, 0)
    table, lines = market.releases, market.lines
    line = int(np.bincount(table.line[~table.is_open]).argmax())
    older, newer = np.flatnonzero(~table.is_open & (table.line == line))[-2:]
    assert lines.current_open[line] == NONE
    for row, current in ((older, older), (newer, newer), (older, newer)):
        market.publish_weights(row, 0.8)
        assert lines.current_open[line] == current
        assert table.is_open[row]


@binds("supply.py", "decided_row", "max(p['serving.size_exponent'], SMALLEST_EXPONENT)")
def test_where_size_costs_next_to_nothing_a_release_that_spends_its_saving_grows_by_a_bounded_factor(world):
    def growth(exponent):
        market = simulated(changed(world, {"serving.size_exponent": exponent}), 4)
        line = int(np.flatnonzero(market.lines.current_open != NONE)[0])
        before = market.lines.current[line]
        lab = market.lab_agents[market.lines.lab[line]]
        row = supply.decided_row(market, lab, NewRelease(line, 150.0, True))
        return np.log(row["active_params"] / market.releases.active_params[before])

    least = supply.SMALLEST_EXPONENT
    assert growth(0.0) == growth(0.5 * least) == growth(least) > 0.0
    assert growth(1.1 * least) == pytest.approx(growth(least) / 1.1)
    assert growth(8.0 * least) == pytest.approx(growth(least) / 8.0)


# Labs ----------------------------------------------------------------------------------------------------------------


@binds("labs.py", "Lab._best_closed_rival", "table.capability[rivals].max(initial=-np.inf)")
def test_the_only_active_lab_is_behind_nobody(world):
    for others, has_rivals in ((0.0, False), (1.0, True)):
        market = simulated(changed(world, labs=for_all_labs(world, active=others) | {"Meta": {"active": 1.0}}), 0)
        found = market.lab_agents[market.labs.names.index("Meta")]._best_closed_rival()
        assert found == (supply.records(market)[0] if has_rivals else -np.inf)


@binds("governments.py", "discounts", "max(found[promotion.lab], promotion.discount)")
@pytest.mark.parametrize("order", [1, -1])
def test_of_two_promotions_of_a_lab_the_larger_counts(world, order):
    market = simulated(world, 0)
    both = [governments.Promotion(3, discount, market.month, 2.0) for discount in (0.4, 0.1)]
    found = governments.discounts(replace(market.policy, promotions=tuple(both[::order])), market.month, market.labs)
    assert found.tolist() == [0.4 * (lab == 3) for lab in range(len(market.labs.names))]
