"""Accelerators under export controls: caps that hold, books that balance, levers that reach only what they name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim import rng
from sim.market.stages import compute
from sim.market.stages.compute import TIERS, ComputeState, Serving, legal_imports, monthly_quota, next_compute
from sim.months import parse_month

from ..guards import binds

JANUARY = parse_month("2027-01")
PERF = {"B200": 2.5, "H200": 1.0, "H20": 0.15}
CASES = 20_000
ROUNDING = 1e-12


def random_numbers(name, low, high):
    u = rng.uniform(rng.stream_key(11, name), np.arange(CASES))
    return low * (high / low) ** u


def random_cases():
    """Yield demand, month, quotas, weights and the share let in, over many orders of magnitude."""
    columns = {f"q{t}": random_numbers(f"q{t}", 0.5, 2e7) for t in TIERS}
    columns |= {f"p{t}": random_numbers(f"p{t}", 0.01, 10) for t in TIERS}
    demand = random_numbers("demand", 1e-2, 1e7)
    allowed = rng.uniform(rng.stream_key(11, "allowed"), np.arange(CASES))
    for i in range(CASES):
        quota = {t: float(columns[f"q{t}"][i]) if (i + k) % 5 else 0.0 for k, t in enumerate(TIERS)}
        perf = {t: float(columns[f"p{t}"][i]) for t in TIERS}
        yield float(demand[i]), JANUARY + i % 12, quota, perf, float(allowed[i]) if i % 3 else 1.0


def test_twelve_months_never_add_up_to_more_than_the_whole_units_of_a_year():
    for quota in np.concatenate([random_numbers("year", 0.1, 2e7)[:5000], np.arange(0, 500)]):
        months = [monthly_quota(float(quota), JANUARY + m) for m in range(12)]
        assert sum(months) == int(np.floor(quota))
        assert min(months) >= 0
        assert max(months) - min(months) <= 1


def test_no_quota_is_exceeded_and_no_more_is_bought_than_wanted():
    for demand, month, quota, perf, allowed in random_cases():
        units, bought = legal_imports(demand, month, quota=quota, perf=perf, allowed=allowed)
        for tier in TIERS:
            assert isinstance(units[tier], int)
            assert 0 <= units[tier] <= monthly_quota(quota[tier], month) * allowed
        assert bought <= demand * (1 + ROUNDING)
        assert bought == pytest.approx(sum(units[t] * perf[t] for t in TIERS))


def test_a_year_of_any_demand_stays_inside_the_whole_units_of_the_yearly_quota():
    generator = random_cases()
    for _ in range(300):
        demand, _, quota, perf, allowed = next(generator)
        total = dict.fromkeys(TIERS, 0)
        for m in range(12):
            units, _ = legal_imports(demand * (1 + m), JANUARY + m, quota=quota, perf=perf, allowed=allowed)
            total = {t: total[t] + units[t] for t in TIERS}
        assert all(total[t] <= int(np.floor(quota[t])) for t in TIERS)


def test_a_tighter_quota_of_one_kind_never_raises_what_is_bought():
    """With one tier open and demand held fixed: the theorem for filling in a fixed order (part 2, 42).

    Quotas are whole units a month: the units of a year that does not divide by twelve fall on other months.
    """
    generator = random_cases()
    for i in range(4000):
        demand, month, quota, perf, allowed = next(generator)
        tier = TIERS[i % 3]
        monthly = int(quota[tier] / 12)
        alone = dict.fromkeys(TIERS, 0.0)
        _, more = legal_imports(demand, month, quota=alone | {tier: 12.0 * monthly}, perf=perf, allowed=allowed)
        _, less = legal_imports(demand, month, quota=alone | {tier: 12.0 * (monthly // 2)}, perf=perf, allowed=allowed)
        assert less <= more


@pytest.mark.parametrize("allowed", [1.0, 0.4])
def test_a_lower_quota_of_a_year_never_lets_more_in_over_the_year(allowed):
    def year(quota):
        limits = {"B200": 0.0, "H200": quota, "H20": 0.0}
        return sum(
            legal_imports(1e9, JANUARY + m, quota=limits, perf=PERF, allowed=allowed)[0]["H200"] for m in range(12)
        )

    counts = [year(float(q)) for q in range(0, 20_000, 997)]
    assert counts == sorted(counts)


def test_tighter_quotas_of_all_kinds_raise_what_is_bought_by_less_than_one_unit():
    """Whole units leave a remainder that a smaller tier may fill; the total moves by no more than that."""
    generator = random_cases()
    for _ in range(4000):
        demand, month, quota, perf, allowed = next(generator)
        whole = {t: 12.0 * int(quota[t] / 12) for t in TIERS}
        half = {t: 12.0 * (int(quota[t] / 12) // 2) for t in TIERS}
        _, more = legal_imports(demand, month, quota=whole, perf=perf, allowed=allowed)
        _, less = legal_imports(demand, month, quota=half, perf=perf, allowed=allowed)
        assert less <= more + max(perf.values())


@binds("stages/compute.py", "legal_imports", "min(licensed, wanted)")
@binds("stages/compute.py", "legal_imports", "max(0, min(licensed, wanted))")
@pytest.mark.parametrize(("demand", "units"), [(50.0, [10, 10, 10]), (5.0, [5, 0, 0]), (-5.0, [0, 0, 0])])
def test_a_tier_fills_the_need_or_its_licence_and_nothing_is_sold_back(demand, units):
    quota, perf = dict.fromkeys(TIERS, 120.0), dict.fromkeys(TIERS, 1.0)
    found, bought = legal_imports(demand, 0, quota=quota, perf=perf, allowed=1.0)
    assert (list(found.values()), bought) == (units, sum(units))


def test_without_a_limit_the_best_tier_meets_the_whole_need():
    units, bought = legal_imports(1000.4, JANUARY, quota=dict.fromkeys(TIERS, 1e9), perf=PERF, allowed=1.0)
    assert units == {"B200": 400, "H200": 0, "H20": 2}
    assert bought == pytest.approx(1000.3)


def test_a_ban_stops_every_import():
    units, bought = legal_imports(1e6, JANUARY, quota=dict.fromkeys(TIERS, 0.0), perf=PERF, allowed=1.0)
    assert units == dict.fromkeys(TIERS, 0)
    assert bought == 0.0


def test_tiers_are_filled_best_first():
    quota = {"B200": 1200.0, "H200": 2400.0, "H20": 1e6}
    units, bought = legal_imports(500.0, JANUARY, quota=quota, perf=PERF, allowed=1.0)
    assert units == {"B200": 100, "H200": 200, "H20": 333}
    assert bought == pytest.approx(250 + 200 + 333 * 0.15)


def test_the_importer_lets_in_whole_units_of_what_is_licensed():
    quota = {"B200": 0.0, "H200": 12 * 7.0, "H20": 0.0}
    units, _ = legal_imports(1e6, JANUARY, quota=quota, perf=PERF, allowed=0.5)
    assert units["H200"] == 3


def test_a_tier_without_compute_is_not_bought():
    units, bought = legal_imports(100.0, JANUARY, quota=dict.fromkeys(TIERS, 1e6), perf=PERF | {"B200": 0.0}, allowed=1)
    assert units["B200"] == 0
    assert bought == pytest.approx(100.0, abs=0.15)


def test_with_demand_fixed_and_a_cap_on_each_tier_total_imports_rise_with_the_cap():
    """In whole units of one tier: its own cap up, the flow up or equal, from no flow at 0 to no policy at infinity."""
    demand = 5_000.3
    for tier in TIERS:
        flows = [
            legal_imports(
                demand, JANUARY, quota=dict.fromkeys(TIERS, 0.0) | {tier: 12.0 * cap}, perf=PERF, allowed=1.0
            )[1]
            for cap in (0, 1, 10, 100, 1000, 10_000, 1e15)
        ]
        assert flows == sorted(flows)
        assert flows[0] == 0.0
        assert flows[-1] == np.floor(demand / PERF[tier]) * PERF[tier]


def test_units_are_worth_what_their_weights_say():
    assert compute.worth({"B200": 1, "H200": 2, "H20": 10}, {"B200": 2.5, "H200": 1.0, "H20": 0.15}) == 6.0


def test_revenue_on_trend_or_without_effect_leaves_investment_alone():
    assert compute.revenue_response(6.0, 3.0, 2.0, 0.4) == 1.0
    assert compute.revenue_response(123.4, 3.0, 2.0, 0.0) == 1.0
    assert compute.revenue_response(5.0, 0.0, 2.0, 0.4) == 1.0  # no revenue at the hand-over, no trend of it
    assert compute.revenue_response(12.0, 3.0, 2.0, 0.5) == pytest.approx(2**0.5)


@binds("stages/compute.py", "revenue_response", "max(1.0 / REVENUE_BAND, revenue / reference / trend_growth)")
@binds("stages/compute.py", "revenue_response", "min(REVENUE_BAND, relative)")
def test_revenue_counts_from_a_quarter_of_its_trend_to_four_times_it():
    found = [compute.revenue_response(revenue, 100.0, 2.0, 1.0) for revenue in (1.0, 51.0, 799.0, 900.0)]
    assert found == [0.25, 0.255, 3.995, 4.0]


def test_more_revenue_never_means_less_investment():
    found = [compute.revenue_response(r, 1.0, 1.5, 0.3) for r in np.geomspace(1e-3, 1e3, 60)]
    assert found == sorted(found)
    assert (found[0], found[-1]) == (0.25**0.3, 4.0**0.3)


def test_additions_abroad_start_at_a_twelfth_of_the_year_and_grow_at_the_stated_rate():
    assert compute.additions_abroad(1200.0, 2.0, 0.0, 0.0) == pytest.approx(100.0)
    assert compute.additions_abroad(1200.0, 2.0, 0.0, 3.0) == pytest.approx(800.0)


def test_growth_that_fades_ends_at_a_level():
    """The log growth adds up to log(g) / fade."""
    assert compute.additions_abroad(1200.0, 2.0, 0.5, 200.0) == pytest.approx(100.0 * np.exp(np.log(2) / 0.5))
    slow = compute.additions_abroad(1200.0, 2.0, 1e-9, 3.0)
    assert slow == pytest.approx(800.0, rel=1e-6)


STATE = ComputeState(
    abroad=1000.0,
    abroad_total=1500.0,
    legal=200.0,
    legal_total=300.0,
    diverted=50.0,
    domestic=80.0,
    rented=10.0,
    serving=Serving(abroad=1000.0, legal=500.0, diverted=50.0, domestic=100.0, rented=10.0),
)
FLOWS = {
    "added_abroad": 100.0,
    "added_legal": 7.0,
    "added_legal_serving": 21.0,
    "unlicensed": 40.0,
    "domestic_units": 20.0,
    "domestic_perf": 0.5,
    "domestic_perf_serving": 0.6,
    "leakage": 0.25,
    "rented_share": 0.01,
    "cloud_open": 1.0,
    "retirement": 0.0,
}


def after(**changes):
    return next_compute(STATE, **(FLOWS | changes))


def test_stocks_grow_by_what_comes_in():
    found = after()
    assert (found.abroad, found.legal, found.diverted, found.domestic) == (1100.0, 207.0, 60.0, 90.0)
    assert found.rented == 11.0
    assert (found.abroad_total, found.legal_total) == (1600.0, 307.0)
    assert (found.added_legal, found.added_diverted, found.added_domestic, found.added_domestic_units) == (
        7,
        10,
        10,
        20,
    )


def test_serving_stocks_grow_by_the_same_units_at_serving_weights():
    found = after().serving
    assert found == Serving(abroad=1100.0, legal=521.0, diverted=60.0, domestic=112.0, rented=11.0)
    assert found.china == 521.0 + 60.0 + 112.0 + 11.0
    assert after().added_serving == Serving(abroad=100.0, legal=21.0, diverted=10.0, domestic=12.0)


def test_at_equal_weights_both_uses_have_the_same_stocks():
    same = Serving(STATE.abroad, STATE.legal, STATE.diverted, STATE.domestic, STATE.rented)
    state = replace(STATE, serving=same)
    for _ in range(24):
        state = next_compute(
            state, **(FLOWS | {"added_legal_serving": 7.0, "domestic_perf_serving": 0.5, "retirement": 0.2})
        )
    for name in (*compute.STOCKS, "rented", "china"):
        assert getattr(state.serving, name) == getattr(state, name)


def test_the_parts_of_chinas_compute_add_up():
    found = after(retirement=0.3)
    assert found.china == found.legal + found.diverted + found.domestic + found.rented


def test_a_year_of_retirement_takes_the_yearly_share():
    state = STATE
    for _ in range(12):
        nothing = {
            "added_abroad": 0.0,
            "added_legal": 0.0,
            "added_legal_serving": 0.0,
            "unlicensed": 0.0,
            "domestic_units": 0.0,
        }
        state = next_compute(state, **(FLOWS | nothing | {"retirement": 0.36}))
    for part in compute.STOCKS:
        assert getattr(state, part) == pytest.approx(0.64 * getattr(STATE, part))
        assert getattr(state.serving, part) == pytest.approx(0.64 * getattr(STATE.serving, part))
    assert state.abroad_total == STATE.abroad_total
    assert state.legal_total == STATE.legal_total


@pytest.mark.parametrize("leakage", [0.0, 0.3, 1.0])
def test_leakage_is_the_stated_fraction_of_unlicensed_demand(leakage):
    found = after(leakage=leakage)
    assert found.added_diverted == leakage * 40.0
    assert found.added_diverted <= 40.0


def test_closed_clouds_rent_out_nothing_and_touch_nothing_else():
    closed, open_ = after(cloud_open=0.0), after()
    assert closed.rented == 0.0
    assert open_.china - closed.china == pytest.approx(11.0)
    assert closed.abroad == open_.abroad


@binds("stages/compute.py", "violations", "max(1.0, abs(expected))")
def test_a_stock_may_miss_its_books_by_a_part_in_a_billion_of_itself_or_of_one():
    def broken(stock, error):
        empty = ComputeState(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        before, after = replace(empty, legal=stock), replace(empty, legal=stock + error)
        return compute.violations(before, after, retirement=0.0, legal_cap=0.0, diversion_cap=0.0)

    assert broken(0.01, 9e-10) == []
    assert len(broken(0.01, 2e-9)) == 1
    assert broken(1e6, 9e-4) == []
    assert len(broken(1e6, 2e-3)) == 1
