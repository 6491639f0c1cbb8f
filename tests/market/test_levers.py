"""Every lever and every field of a lever acts, in its month and not before."""

from __future__ import annotations

import pytest

from sim.market.governments import EXPORTER, IMPORTER, Policy, apply_event, owner_of
from sim.months import format_month, parse_month
from sim.scenario.levers import LEVERS

from .worlds import changed, differing, event, first_difference, outcomes

WHEN = "2026-05"
QUOTAS = {"compute.cn.quota_h20": 300_000.0, "compute.cn.quota_h200": 60_000.0, "compute.cn.quota_b200": 12_000.0}
# lever and field -> what is ordered, the column that must move, and its direction
CASES = {
    ("export_control", "quota"): ({"tier": "H200", "quota": 0.0}, "compute_cn_legal", -1),
    ("export_control", "tier"): ({"tier": "B200", "quota": 0.0}, "compute_cn_legal", -1),
    ("export_control", "leakage"): ({"tier": "H200", "quota": 60_000.0, "leakage": 0.9}, "compute_cn_diverted", +1),
    ("import_restriction", "allowed"): ({"allowed": 0.1}, "compute_cn_legal", -1),
    ("cloud_access", "open"): ({"open": 0.2}, "compute_cn_rented", -1),
    ("domestic_ramp", "growth"): ({"growth": 9.0}, "compute_cn_domestic", +1),
}
NEXT_MONTH = {("domestic_ramp", "growth")}  # a growth rate shows one month after it starts


@pytest.fixture(scope="module")
def world(small_settings):
    return changed(small_settings, QUOTAS | {"compute.cn.import_allowed": 0.8, "compute.cn.leakage": 0.3})


@pytest.fixture(scope="module")
def plain(world):
    return outcomes(world)


@pytest.mark.parametrize(("lever", "field"), CASES)
def test_a_lever_acts_from_its_month_on(world, plain, lever, field):
    fields, column, sign = CASES[lever, field]
    found = outcomes(changed(world, events=(event(WHEN, lever, **fields),)))
    first = first_difference(plain, found, "market", column)
    assert first is not None
    assert format_month(first) == ("2026-06" if (lever, field) in NEXT_MONTH else WHEN)
    assert differing(plain, found, before=first) == []
    assert sign * (found["market"][column][-1] - plain["market"][column][-1]) > 0
    assert "labs.research_compute" in differing(plain, found)


def test_every_lever_and_field_has_a_case():
    fields = {(lever.name, spec.path) for lever in LEVERS for spec in lever.fields if spec.path != "bloc"}
    assert fields == set(CASES)
    assert {spec.choices for lever in LEVERS for spec in lever.fields if spec.path == "bloc"} == {("CN",)}


@pytest.mark.parametrize("tier", ["H20", "H200", "B200"])
def test_each_tier_has_a_quota_of_its_own(world, plain, tier):
    found = outcomes(changed(world, events=(event(WHEN, "export_control", tier=tier, quota=0.0),)))
    assert format_month(first_difference(plain, found, "market", "compute_cn_legal")) == WHEN


def test_a_quota_without_leakage_leaves_the_leakage(world):
    policy = Policy(quota={"H20": 5.0, "H200": 7.0, "B200": 0.0}, leakage=0.3, allowed=1.0, cloud_open=1.0)
    after = apply_event(policy, "export_control", {"tier": "H200", "quota": 1.0, "leakage": float("nan")}, 700)
    assert after.leakage == 0.3
    assert after.quota == {"H20": 5.0, "H200": 1.0, "B200": 0.0}
    assert policy.quota["H200"] == 7.0
    again = apply_event(after, "export_control", {"tier": "H20", "quota": 2.0, "leakage": 0.0}, 701)
    assert again.leakage == 0.0
    assert again.quota == {"H20": 2.0, "H200": 1.0, "B200": 0.0}


def test_the_exporter_holds_controls_and_clouds_and_the_importer_the_rest():
    assert {lever.name: owner_of(lever.name) for lever in LEVERS} == {
        "export_control": EXPORTER,
        "cloud_access": EXPORTER,
        "import_restriction": IMPORTER,
        "domestic_ramp": IMPORTER,
    }


def test_an_unknown_lever_is_refused():
    policy = Policy(quota={}, leakage=0.0, allowed=1.0, cloud_open=1.0)
    with pytest.raises(KeyError, match="tariff"):
        apply_event(policy, "tariff", {}, 700)


def test_later_orders_replace_earlier_ones(world):
    world = changed(world, {"compute.revenue_elasticity": 0.0})  # else trade lost for a month lowers investment
    plain = outcomes(world)
    there_and_back = (
        event("2026-05", "cloud_access", open=0.0),
        event("2026-06", "cloud_access", open=1.0),
    )
    found = outcomes(changed(world, events=there_and_back))
    at = parse_month("2026-05") - world.start
    assert found["market"]["compute_cn_rented"][at] == 0.0
    rest = [i for i in range(len(plain["market"]["month"])) if i != at]
    assert found["market"]["compute_cn_rented"][rest].tolist() == plain["market"]["compute_cn_rented"][rest].tolist()


def test_orders_in_the_first_month_of_the_rules_stand_over_the_parameters(world, plain):
    found = outcomes(changed(world, events=(event("2026-01", "import_restriction", allowed=0.0),)))
    assert format_month(first_difference(plain, found, "market", "compute_cn_legal")) == "2026-01"


def test_leakage_changed_in_the_history_acts_there_and_lasts(world, plain):
    early = event("2025-03", "export_control", tier="H20", quota=0.0, leakage=0.9)
    found = outcomes(changed(world, events=(early,)))
    assert format_month(first_difference(plain, found, "market", "compute_cn_diverted")) == "2025-03"
    months = found["market"]["month"]
    after = months > world.history_until
    assert (found["market"]["compute_cn_diverted"][after] > plain["market"]["compute_cn_diverted"][after]).all()
    assert found["market"]["compute_cn_legal"].tolist() == plain["market"]["compute_cn_legal"].tolist()


def test_less_compute_lowers_the_potential_of_the_labs_that_lose_it(world):
    world = changed(world, {"compute.revenue_elasticity": 0.0})
    plain = outcomes(world)
    acts = (
        event("2026-01", "cloud_access", open=0.0),
        event("2026-01", "import_restriction", allowed=0.0),
        event("2026-01", "domestic_ramp", growth=0.1),
    )
    found = outcomes(changed(world, events=acts))
    last = found["labs"]["month"] == found["labs"]["month"].max()
    chinese = last & (found["labs"]["bloc"] == "CN")
    others = last & (found["labs"]["bloc"] != "CN")
    assert (found["labs"]["research_compute"][chinese] < plain["labs"]["research_compute"][chinese]).all()
    assert found["labs"]["research_compute"][others].tolist() == plain["labs"]["research_compute"][others].tolist()
