"""The supply side: the replay equals the evidence, and rules attach to it."""

from __future__ import annotations

import numpy as np
import pytest

from sim import evidence
from sim.market import offering, supply
from sim.market.market import Market
from sim.market.stages import compute
from sim.market.stages.releases import DEGREES, draw_noise
from sim.market.tables import HOST, LAB_API, NONE, ON_DEVICE, SELF_HOST
from sim.months import parse_month
from sim.scenario.schema import BLOCS, CLASSES

from .worlds import between, changed, event, for_all_labs, simulated


@pytest.fixture(scope="module")
def history(small_settings):
    """The market at the end of the replay, and what was on offer in each of its months."""
    market = Market(between(small_settings, "2023-07", "2026-01", workloads=200))
    on_offer = {}
    while market.month <= small_settings.history_until:
        market.step()
        lines = market.lines
        on_offer[market.month - 1] = {
            name: (current, market.releases.names[current])
            for name, current in zip(lines.names, lines.current, strict=True)
            if current != NONE
        }
    market.close()
    return market, on_offer


# Replay ------------------------------------------------------------------------------------------------------------


def as_known(market):
    """Return each release as the evidence up to its month shows it; of the first stock, up to the first month."""
    start, until = market.settings.start, market.settings.history_until
    return [
        next(
            r for r in evidence.releases(until=max(seen.month, start - 1)) if (r.lab, r.model) == (seen.lab, seen.model)
        )
        for seen in evidence.releases(until=until)
    ]


def test_every_release_of_the_evidence_is_replayed_in_its_month_as_it_was(history):
    market, _ = history
    seen = as_known(market)
    table = market.releases
    assert table.names == [r.model for r in seen]
    assert table.month.tolist() == [r.month for r in seen]
    assert table.is_open.tolist() == [r.open for r in seen]
    assert table.capability.tolist() == [r.capability for r in seen]
    assert table.on_device.tolist() == [r.on_device for r in seen]
    assert table.degree.tolist() == [DEGREES[r.degree] for r in seen]
    assert [market.labs.names[lab] for lab in table.lab] == [r.lab for r in seen]
    assert [market.lines.names[line] for line in table.line] == [f"{r.lab}/{r.line}" for r in seen]
    assert table.has_api.tolist() == [r.price_kind == "first_party" or not r.open for r in seen]


def test_each_month_exactly_the_lines_of_the_evidence_are_on_offer(history):
    _, on_offer = history
    assert len(on_offer) == 30
    for month, lines in on_offer.items():
        wanted = {f"{lab}/{line}": r.model for (lab, line), r in evidence.alive_lines(month).items()}
        assert {name: model for name, (_, model) in lines.items()} == wanted


def test_list_prices_are_those_of_the_evidence_with_their_later_changes(history):
    market, _ = history
    prices = {r.model: (r.input_price, r.output_price) for r in as_known(market)}
    for change in evidence.price_changes(until=market.settings.history_until):
        prices[change.model] = (change.input_price, change.output_price)
    for name, a, b in zip(
        market.releases.names, market.releases.input_price, market.releases.output_price, strict=True
    ):
        if not np.isnan(prices[name][0]):
            assert (a, b) == prices[name], name


def test_the_price_of_o3_is_cut_in_june_2025(small_settings):
    market = Market(between(small_settings, "2025-04", "2026-01", workloads=200))
    row, listed = None, {}
    for _ in range(4):
        market.step()
        row = market.releases.names.index("o3")
        listed[market.month - 1] = (market.releases.input_price[row], market.releases.output_price[row])
    market.close()
    assert listed[parse_month("2025-05")] == (10.0, 40.0)
    assert listed[parse_month("2025-06")] == (2.0, 8.0)
    offers = market.record.tables()["offers"]
    rows = (offers["release"] == "o3") & (offers["channel"] == "lab_api")
    by_month = dict(zip(offers["month"][rows].tolist(), offers["list_price"][rows].tolist(), strict=True))
    assert by_month[parse_month("2025-05")] == 17.5
    assert by_month[parse_month("2025-06")] == 3.5


def test_a_start_in_the_middle_of_the_history_finds_the_same_offers(small_settings, history):
    _, on_offer = history
    month = parse_month("2025-03")
    market = simulated(between(small_settings, "2025-03", "2026-01", workloads=200), 1)
    lines = {
        n: market.releases.names[c] for n, c in zip(market.lines.names, market.lines.current, strict=True) if c >= 0
    }
    assert lines == {name: model for name, (_, model) in on_offer[month].items()}


def test_shipments_are_replayed(history):
    market, _ = history
    columns = market.record.market
    for month in range(market.settings.start, market.settings.history_until + 1):
        row = month - market.settings.start
        assert columns["compute_cn"][row] == pytest.approx(
            sum(columns[f"compute_cn_{part}"][row] for part in ("legal", "diverted", "domestic", "rented"))
        )
    assert market.compute.legal_total == pytest.approx(evidence.china_legal_stock(market.settings.history_until).median)
    assert market.compute.abroad_total + market.compute.legal_total == pytest.approx(
        evidence.world_stock(market.settings.history_until)
    )


def test_a_superseded_release_carries_the_month_in_which_it_was(history):
    market, _ = history
    table = market.releases
    for row in range(len(table.names)):
        later = [m for m, line in zip(table.month, table.line, strict=True) if line == table.line[row]]
        following = [m for m in later if m > table.month[row]]
        if following and min(following) >= market.settings.start:
            assert table.superseded[row] <= min(following)
        if row in market.lines.current:
            assert table.superseded[row] == table.FAR


def test_a_retired_line_leaves_its_api_and_its_open_weights_stay(history):
    market, _ = history
    on = offering.offered(market)
    retired = [
        (market.lines.names.index(f"{r.lab}/{line}"))
        for r in evidence.releases(until=market.settings.history_until)
        for line in r.retires
    ]
    ended = [line for line in retired if market.lines.current[line] == NONE]
    assert ended
    for line in ended:
        rows = np.flatnonzero(market.releases.line == line)
        assert not on[rows, LAB_API].any()
        weights = market.lines.current_open[line]
        if weights != NONE:
            assert on[weights, HOST]


# Offers ------------------------------------------------------------------------------------------------------------


def test_open_weights_are_on_hosts_and_own_machines_and_small_ones_on_devices(small_market):
    on, table, lines = offering.offered(small_market), small_market.releases, small_market.lines
    for row in range(len(table.names)):
        is_weights = row in lines.current_open.tolist()
        assert on[row, HOST] == on[row, SELF_HOST] == is_weights
        assert on[row, ON_DEVICE] == (is_weights and table.on_device[row])
        assert on[row, LAB_API] == (row in lines.current.tolist() and table.has_api[row])
        assert table.is_open[row] or not on[row, [HOST, SELF_HOST, ON_DEVICE]].any()


def test_offers_are_sorted_so_that_a_line_is_a_run_of_columns(small_market):
    costs = offering.serving_costs(small_market)
    table = offering.offers(small_market, offering.prices(small_market, costs))
    assert np.all(np.diff(table.line) >= 0)
    assert table.line[table.first_of_line].tolist() == sorted(set(table.line.tolist()))
    assert table.channels_of_line.tolist() == [int(np.sum(table.line == line)) for line in table.line]
    assert table.price.shape == (len(CLASSES), len(table))
    assert np.isfinite(table.price).all()
    assert (table.price[:, table.channel == ON_DEVICE] == 0.0).all()


def test_hosts_sell_at_list_in_the_month_of_release_and_follow_cost_after(small_market):
    costs = offering.serving_costs(small_market)
    found = offering.prices(small_market, costs)
    table = small_market.releases
    new = table.is_open & (table.month == small_market.month)
    assert np.isnan(found.host_list[~table.is_open]).all()
    assert found.host_list[new] == pytest.approx(table.list_price[new])
    ratio = found.host_list[table.is_open] / table.list_price[table.is_open]
    assert ratio == pytest.approx(costs.since_release[table.is_open])


def test_costs_follow_the_cost_index_since_the_release(small_market):
    costs = offering.serving_costs(small_market)
    table, now = small_market.releases, small_market.month
    for row in (0, 40, len(table.names) - 1):
        ratio = supply.cost_index(small_market, now) / supply.cost_index(small_market, int(table.month[row]))
        assert costs.since_release[row] == pytest.approx(ratio)
        assert costs.marginal[row] == pytest.approx(table.cost_at_release[row] * ratio)


def test_open_models_cost_what_their_size_costs_and_closed_ones_a_margin_less_than_their_price(small_market):
    table, p = small_market.releases, small_market.parameters
    for row in range(len(table.names)):
        if table.month[row] > small_market.settings.history_until:
            continue
        if table.is_open[row]:
            wanted = supply.technical_cost(small_market, float(table.active_params[row]), int(table.month[row]))
            assert table.cost_at_release[row] == pytest.approx(wanted)
    closed = ~table.is_open & (table.month <= small_market.settings.history_until)
    changes = {c.model for c in evidence.price_changes(until=small_market.settings.history_until)}
    same_price = closed & ~np.isin(table.names, list(changes))
    margin = 1 - table.cost_at_release[same_price] / table.list_price[same_price]
    assert margin == pytest.approx(p["serving.closed_margin"])


# Rules -------------------------------------------------------------------------------------------------------------


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


# Compute -----------------------------------------------------------------------------------------------------------


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
    total = sum(supply.domestic_units(p, m) for m in range(parse_month("2025-01"), parse_month("2026-01")))
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
    closed = changed(small_settings, events=(event("2026-02", "import_restriction", allowed=0.0),))
    before, after = (simulated(s).record for s in (small_settings, closed))
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


def test_blocs_share_the_accelerators_abroad(small_market):
    stocks = supply.bloc_stocks(small_market)
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
