"""Every lever and every field of a lever acts, in its month and not before."""

from __future__ import annotations

import numpy as np
import pytest

from sim.market import governments, offering
from sim.market.governments import EXPORTER, IMPORTER, LABS, WORLD, Policy, apply_event, owner_of
from sim.market.market import Market
from sim.market.tables import HOST, LAB_API, NONE
from sim.months import format_month, parse_month
from sim.scenario.levers import LEVERS
from sim.scenario.schema import BLOCS, WORLDS

from .worlds import changed, differing, event, first_difference, outcomes, simulated

WHEN = "2026-05"
QUOTAS = {"compute.cn.quota_h20": 300_000.0, "compute.cn.quota_h200": 60_000.0, "compute.cn.quota_b200": 12_000.0}
BAN = {"origin": "CN", "adopters": "US", "group": "all", "scope": "weights", "share": 1.0}
GRANT = {"share": 0.0, "compute": 3.0}
ENTRY = {"lab": "Tencent", "points_behind": 1.0, "price": 0.5, "weights": "open"}
# lever and field -> the order, and one that differs in this field alone; None stands for no order at all
CASES = {
    ("export_control", "quota"): ({"tier": "H200", "quota": 0.0}, None),
    ("export_control", "tier"): ({"tier": "B200", "quota": 0.0}, {"tier": "H200", "quota": 0.0}),
    ("export_control", "leakage"): ({"tier": "H200", "quota": 6e4, "leakage": 0.9}, {"tier": "H200", "quota": 6e4}),
    ("import_restriction", "allowed"): ({"allowed": 0.1}, None),
    ("cloud_access", "open"): ({"open": 0.2}, None),
    ("domestic_ramp", "growth"): ({"growth": 4.0}, None),
    ("model_ban", "origin"): (BAN, BAN | {"origin": "EU"}),
    ("model_ban", "adopters"): (BAN, BAN | {"adopters": "EU"}),
    ("model_ban", "group"): (BAN, BAN | {"group": "developers"}),
    ("model_ban", "scope"): (BAN, BAN | {"scope": "api"}),
    ("model_ban", "share"): (BAN, None),
    ("trust_shock", "target"): ({"target": "closed", "size": 3.0}, {"target": "open", "size": 3.0}),
    ("trust_shock", "size"): ({"target": "closed", "size": 3.0}, None),
    ("trust_shock", "half_life"): (
        {"target": "closed", "size": 3.0, "half_life": 1.0},
        {"target": "closed", "size": 3.0},
    ),
    ("open_subsidy", "share"): ({"bloc": "CN", "share": 0.9}, None),
    ("open_subsidy", "compute"): (GRANT, None),
    ("publishing_restriction", "bloc"): ({"bloc": "CN"}, {"bloc": "US"}),
    ("publishing_restriction", "above"): ({"bloc": "CN"}, {"bloc": "CN", "above": 1000.0}),
    ("distillation_crackdown", "factor"): ({"factor": 0.0}, None),
    ("compute_shock", "factor"): ({"factor": 0.2}, None),
    ("frontier_shock", "factor"): ({"factor": 4.0}, None),
    ("frontier_shock", "lab"): ({"lab": "Alibaba", "points": 9.0}, {"lab": "DeepSeek", "points": 9.0}),
    ("frontier_shock", "points"): ({"lab": "Alibaba", "points": 9.0}, None),
    ("price_rule", "who"): ({"who": "US", "rule": "cost_plus"}, None),
    ("price_rule", "rule"): ({"who": "CN", "rule": "hold"}, {"who": "CN", "rule": "cost_plus"}),
    ("promotion", "who"): ({"who": "CN", "discount": 1.0}, {"who": "US", "discount": 1.0}),
    ("promotion", "discount"): ({"who": "CN", "discount": 1.0}, None),
    ("promotion", "months"): ({"who": "CN", "discount": 1.0, "months": 1.0}, {"who": "CN", "discount": 1.0}),
    ("openness_change", "who"): ({"who": "CN", "openness": "closed"}, {"who": "Alibaba", "openness": "closed"}),
    ("openness_change", "openness"): ({"who": "CN", "openness": "closed"}, None),
    ("openness_change", "degree"): ({"who": "CN", "degree": "restricted_weights"}, None),
    ("openness_change", "points"): (
        {"who": "all", "openness": "open_if_behind", "points": 30.0},
        {"who": "all", "openness": "open_if_behind", "points": 0.0},
    ),
    ("openness_change", "delay_months"): (
        {"who": "all", "openness": "delayed", "delay_months": 2.0},
        {"who": "all", "openness": "delayed", "delay_months": 1.0},
    ),
    ("lab_exit", "lab"): ({"lab": "OpenAI"}, {"lab": "Google"}),
    ("lab_entry", "lab"): (ENTRY, ENTRY | {"lab": "01.AI"}),
    ("lab_entry", "points_behind"): (ENTRY, ENTRY | {"points_behind": 9.0}),
    ("lab_entry", "price"): (ENTRY, ENTRY | {"price": 1.0}),
    ("lab_entry", "weights"): (ENTRY, ENTRY | {"weights": "closed"}),
}
CHINESE_COMPUTE = {
    ("export_control", "quota"): ("compute_cn_legal", -1, 0),
    ("export_control", "leakage"): ("compute_cn_diverted", +1, 0),
    ("import_restriction", "allowed"): ("compute_cn_legal", -1, 0),
    ("cloud_access", "open"): ("compute_cn_rented", -1, 0),
    ("domestic_ramp", "growth"): ("compute_cn_domestic", +1, 1),  # a growth rate shows one month after it starts
}


@pytest.fixture(scope="module")
def world(small_settings):
    return changed(small_settings, QUOTAS | {"compute.cn.import_allowed": 0.8, "compute.cn.leakage": 0.3})


def ordered(world, *orders):
    """Return the world under orders, each a lever and its fields, in the month `WHEN`."""
    return changed(world, events=tuple(event(WHEN, lever, **fields) for lever, fields in orders))


@pytest.mark.parametrize(("lever", "field"), CASES)
def test_a_field_of_a_lever_acts_and_not_before_its_month(world, plain, lever, field):
    fields, other = CASES[lever, field]
    found = outcomes(ordered(world, (lever, fields)))
    assert differing(plain, found, before=parse_month(WHEN)) == []
    assert differing(plain, found) != []
    if other is not None:
        assert differing(found, outcomes(ordered(world, (lever, other)))) != []


def test_every_lever_and_field_has_a_case():
    fields = {(lever.name, spec.path) for lever in LEVERS for spec in lever.fields}
    one_bloc = {
        (lever.name, spec.path) for lever in LEVERS for spec in lever.fields if spec.choices == ("CN",)
    }  # a word without a choice
    assert fields - one_bloc - set(CASES) == {("open_subsidy", "bloc")}  # below
    assert set(CASES) <= fields


def test_every_lever_names_its_target_among_its_words():
    for lever in LEVERS:
        words = {spec.path for spec in lever.fields if spec.choices}
        assert set(lever.target) <= words


@pytest.mark.parametrize(("lever", "field"), CHINESE_COMPUTE)
def test_controls_move_chinese_compute_the_way_they_say(world, plain, lever, field):
    column, sign, lag = CHINESE_COMPUTE[lever, field]
    found = outcomes(ordered(world, (lever, CASES[lever, field][0])))
    assert first_difference(plain, found, "market", column) == parse_month(WHEN) + lag
    assert sign * (found["market"][column][-1] - plain["market"][column][-1]) > 0
    assert "labs.research_compute" in differing(plain, found)


def test_orders_that_change_nothing_leave_every_bit(world, plain):
    p = world.parameters
    null = (
        ("export_control", {"tier": "H200", "quota": p["compute.cn.quota_h200"]}),
        ("import_restriction", {"allowed": p["compute.cn.import_allowed"]}),
        ("cloud_access", {"open": 1.0}),
        ("model_ban", BAN | {"share": 0.0}),
        ("trust_shock", {"target": "open", "size": 0.0}),
        ("open_subsidy", {"bloc": "CN", "share": 0.0, "compute": 1.0}),
        ("publishing_restriction", {"bloc": "CN", "above": 1000.0}),
        ("distillation_crackdown", {"factor": 1.0}),
        ("compute_shock", {"factor": 1.0}),
        ("frontier_shock", {"factor": 1.0, "lab": "OpenAI", "points": 0.0}),
        ("price_rule", {"who": "OpenAI", "rule": world.labs["OpenAI"]["price_rule"]}),
        ("promotion", {"who": "all", "discount": 0.0}),
        ("openness_change", {"who": "all", "openness": "as_line"}),
        ("openness_change", {"who": "OpenAI"}),
    )
    assert differing(plain, outcomes(ordered(world, *null))) == []
    assert {lever.name for lever in LEVERS} - {lever for lever, _ in null} == {
        "domestic_ramp",  # the same growth over two spans rounds in another way
        "lab_exit",
        "lab_entry",
    }


@pytest.mark.parametrize("tier", ["H20", "H200", "B200"])
def test_each_tier_has_a_quota_of_its_own(world, plain, tier):
    found = outcomes(changed(world, events=(event(WHEN, "export_control", tier=tier, quota=0.0),)))
    assert format_month(first_difference(plain, found, "market", "compute_cn_legal")) == WHEN


def policy_of(**fields):
    """Return a policy of which only some fields matter."""
    return Policy(**{"quota": {}, "leakage": 0.0, "allowed": 1.0, "cloud_open": 1.0} | fields)


def after(policy, lever, month=700, **fields):
    """Return the policy after an order, its optional fields filled in."""
    return apply_event(policy, lever, event("2026-01", lever, **fields).fields, month)


def test_a_quota_without_leakage_leaves_the_leakage():
    policy = policy_of(quota={"H20": 5.0, "H200": 7.0, "B200": 0.0}, leakage=0.3)
    first = after(policy, "export_control", tier="H200", quota=1.0)
    assert first.leakage == 0.3
    assert first.quota == {"H20": 5.0, "H200": 1.0, "B200": 0.0}
    assert policy.quota["H200"] == 7.0
    again = after(first, "export_control", tier="H20", quota=2.0, leakage=0.0)
    assert again.leakage == 0.0
    assert again.quota == {"H20": 2.0, "H200": 1.0, "B200": 0.0}


def test_orders_about_one_bloc_leave_the_others():
    policy = after(policy_of(), "open_subsidy", bloc="CN", share=0.4, compute=2.0)
    policy = after(policy, "open_subsidy", bloc="US", share=0.1)
    policy = after(policy, "publishing_restriction", bloc="EU", above=150.0)
    assert policy.subsidy == (0.1, 0.0, 0.4, 0.0)
    assert policy.research_grant == (1.0, 1.0, 2.0, 1.0)  # the second order said nothing of it
    assert policy.publish_limit == (np.inf, 150.0, np.inf, np.inf)


def test_factors_replace_those_in_force_and_a_leap_leaves_the_slope():
    policy = after(policy_of(), "frontier_shock", factor=2.0)
    policy = after(policy, "frontier_shock", lab="OpenAI", points=5.0)
    policy = after(policy, "compute_shock", factor=0.5)
    policy = after(policy, "compute_shock", factor=0.7)
    policy = after(policy, "distillation_crackdown", factor=0.1)
    assert (policy.frontier, policy.world_compute, policy.closed_leak) == (2.0, 0.7, 0.1)


def test_the_rules_after_the_history_keep_what_events_have_set(world):
    from sim.market.resources import policy_after_history

    policy = after(policy_of(), "trust_shock", target="open", size=1.0)
    kept = policy_after_history(after(policy, "compute_shock", factor=0.5), world.parameters)
    assert kept.trust == policy.trust
    assert kept.world_compute == 0.5


def test_every_lever_has_an_owner():
    def owners(lever, **fields):
        return owner_of(lever, event("2026-01", lever, **fields).fields)

    assert {lever.name: owners(lever.name, adopters="EU", bloc="US") for lever in LEVERS} == {
        "export_control": EXPORTER,
        "cloud_access": EXPORTER,
        "distillation_crackdown": EXPORTER,
        "import_restriction": IMPORTER,
        "domestic_ramp": IMPORTER,
        "model_ban": "EU",
        "open_subsidy": "US",
        "publishing_restriction": "US",
        "trust_shock": WORLD,
        "compute_shock": WORLD,
        "frontier_shock": WORLD,
        "price_rule": LABS,
        "promotion": LABS,
        "openness_change": LABS,
        "lab_exit": LABS,
        "lab_entry": LABS,
    }
    assert owners("model_ban", adopters="all") == owners("model_ban", adopters="ROW") == WORLD
    assert owners("publishing_restriction", bloc="ROW") == WORLD


def test_an_unknown_lever_is_refused():
    with pytest.raises(KeyError, match="tariff"):
        apply_event(policy_of(), "tariff", {}, 700)
    with pytest.raises(KeyError, match="tariff"):
        owner_of("tariff", {})


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
    later = months > world.history_until
    assert (found["market"]["compute_cn_diverted"][later] > plain["market"]["compute_cn_diverted"][later]).all()
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


# Bans


@pytest.fixture(scope="module")
def table(small_market):
    return small_market.workloads


def banned(table, *orders, seed=7):
    """Return how far bans reach after orders, each the fields that differ from `BAN`."""
    policy = policy_of()
    for fields in orders:
        policy = after(policy, "model_ban", **BAN | fields)
    return governments.barred(policy, table, seed)


US, EU, CN, ROW = range(4)


def test_without_a_ban_nobody_is_barred(table):
    assert not banned(table).any()
    assert not banned(table, {"share": 0.0}).any()
    assert banned(table).shape == (len(table), 4)


def test_a_ban_reaches_the_named_group_of_the_named_bloc_and_models_of_the_named_origin(table):
    reach = banned(table, {"adopters": "EU", "group": "public", "scope": "hosted"})
    aimed = (table.bloc == EU) & (table.group == 4)
    assert aimed.any()
    assert (reach[aimed, CN] == 2).all()
    assert not reach[~aimed].any()
    assert not reach[:, [US, EU, ROW]].any()


@pytest.mark.parametrize(("group", "numbers"), [("developers", (0, 1)), ("enterprises", (2, 3, 4)), ("startup", (1,))])
def test_words_for_groups_name_their_members(table, group, numbers):
    reach = banned(table, {"group": group, "adopters": "US"})
    assert ((reach[:, CN] > 0) == ((table.bloc == US) & np.isin(table.group, numbers))).all()


def test_a_ban_by_all_blocs_leaves_out_the_one_that_makes_the_models(table):
    assert ((banned(table, {"adopters": "all"})[:, CN] > 0) == (table.bloc != CN)).all()


def test_a_ban_reaches_its_share_of_organisations_whole(table):
    reach = banned(table, {"adopters": "all", "share": 0.4})[:, CN] > 0
    abroad = table.bloc != CN
    assert 0.3 < np.mean(reach[abroad]) < 0.5
    for house in np.unique(table.organisation[abroad]):
        assert len(np.unique(reach[table.organisation == house])) == 1


def test_a_larger_share_reaches_everyone_whom_a_smaller_one_reaches(table):
    small, large = (banned(table, {"share": share})[:, CN] > 0 for share in (0.2, 0.6))
    assert (large >= small).all()
    assert large.sum() > small.sum() > 0


def test_of_two_bans_the_stricter_counts(table):
    """The maximum over bans binds."""
    reach = banned(table, {"group": "public", "scope": "weights"}, {"scope": "api"})
    here = table.bloc == US
    assert (reach[here & (table.group == 4), CN] == 3).all()
    assert (reach[here & (table.group != 4), CN] == 1).all()


def test_a_ban_of_the_same_aim_replaces_the_one_before_and_a_share_of_zero_lifts_it(table):
    assert set(np.unique(banned(table, {}, {"scope": "api"}))) == {0, 1}
    assert not banned(table, {}, {"share": 0.0}).any()
    assert banned(table, {}, {"adopters": "EU", "share": 0.0}).any()


def test_scopes_are_in_the_order_in_which_channels_are_barred(table):
    from sim.market.stages.choice import BAN_LEVEL

    reached = [banned(table, {"scope": scope}).max() for scope in ("api", "hosted", "weights")]
    assert [(reach >= BAN_LEVEL).tolist() for reach in reached] == [
        [True, False, False, False],
        [True, True, False, False],
        [True, True, True, True],
    ]


# Trust, subsidies, grants, promotions


def test_trust_lost_is_forgotten_by_half_in_each_half_life_and_shocks_add_up():
    policy = after(policy_of(), "trust_shock", 700, target="chinese", size=2.0, half_life=6.0)
    assert governments.trust_penalty(policy, 700) == {"chinese": 2.0, "open": 0.0, "closed": 0.0}
    policy = after(policy, "trust_shock", 706, target="chinese", size=1.0, half_life=12.0)
    assert governments.trust_penalty(policy, 706)["chinese"] == pytest.approx(1.0 + 1.0)
    assert governments.trust_penalty(policy, 718)["chinese"] == pytest.approx(0.25 + 0.5)


def test_a_subsidy_is_paid_for_open_weights_of_the_bloc_alone():
    policy = after(policy_of(), "open_subsidy", bloc="CN", share=0.3)
    paid = governments.subsidies(policy, np.array([CN, CN, US]), np.array([True, False, True]))
    assert paid.tolist() == [0.3, 0.0, 0.0]


@pytest.mark.parametrize("bloc", ["CN", "US"])
def test_a_grant_raises_research_compute_of_labs_of_the_bloc_that_publish(world, bloc):
    world = changed(world, {"compute.revenue_elasticity": 0.0})  # else what they sell moves everyone's investment
    plain = outcomes(world)
    found = outcomes(ordered(world, ("open_subsidy", GRANT | {"bloc": bloc})))["labs"]
    up = found["research_compute"] > plain["labs"]["research_compute"]
    same = found["research_compute"] == plain["labs"]["research_compute"]
    gains = set(found["lab"][up])
    assert set(found["bloc"][up]) == {bloc}
    assert (up | same).all()
    assert "Alibaba" in gains if bloc == "CN" else "Meta" in gains
    assert "Tencent" not in gains
    assert "Anthropic" not in gains


def test_a_grant_multiplies_research_compute(small_market):
    labs, lines, releases = small_market.labs, small_market.lines, small_market.releases
    policy = after(policy_of(), "open_subsidy", bloc="CN", share=0.0, compute=3.0)
    factor = governments.research_grants(policy, labs, lines, releases)
    assert factor[labs.names.index("DeepSeek")] == 3.0
    assert factor[labs.names.index("OpenAI")] == 1.0
    assert governments.research_grants(policy_of(), labs, lines, releases).tolist() == [1.0] * len(labs.names)


def test_a_grant_goes_to_labs_whose_best_current_release_is_open(small_market):
    """A small open model beside a better closed one brings none."""
    labs, lines, releases = small_market.labs, small_market.lines, small_market.releases
    policy = policy_of()
    for bloc in BLOCS:
        policy = after(policy, "open_subsidy", bloc=bloc, share=0.0, compute=2.0)
    factor, mixed = governments.research_grants(policy, labs, lines, releases), 0
    for i, name in enumerate(labs.names):
        own = [row for row in lines.current[lines.lab == i].tolist() if row != NONE]
        best = max(own, key=lambda row: releases.capability[row], default=None)
        publishes = best is not None and bool(releases.is_open[best]) and bool(labs.active[i])
        assert factor[i] == (2.0 if publishes else 1.0), name
        mixed += not publishes and bool(releases.is_open[own].any()) and bool(labs.active[i])
    assert mixed > 0


def test_late_weights_wait_while_a_restriction_holds(often):
    late = event("2026-01", "openness_change", who="DeepSeek", openness="delayed", delay_months=1.0)
    stop = event("2026-02", "publishing_restriction", bloc="CN")
    lift = event("2026-08", "publishing_restriction", bloc="CN", above=1000.0)
    until_lifted = parse_month("2026-08") - often.start
    for events, months, some in (((late,), until_lifted, True), ((late, stop), until_lifted, False)):
        _, is_open, _ = released(simulated(changed(often, events=events), months), "DeepSeek", "2026-01")
        assert is_open.any() == some
    _, is_open, _ = released(simulated(changed(often, events=(late, stop, lift))), "DeepSeek", "2026-08")
    assert is_open.any()


@pytest.mark.parametrize("world_name", WORLDS)
def test_a_twin_without_open_weights_has_the_labs_that_enter_and_opens_nothing_late(often, world_name):
    acts = (
        event("2026-01", "openness_change", who="CN", openness="delayed", delay_months=1.0),
        event(WHEN, "lab_entry", **ENTRY),
    )
    market = Market(changed(often, events=acts), twin=world_name)
    market.run()
    market.close()
    assert market.violations == []
    assert released(market, "DeepSeek", "2026-01")[1].any()
    assert not market.twin.releases.is_open.any()
    assert len(released(market.twin, "Tencent", "2026-01")[0]) > 0


def test_a_limit_lets_through_what_does_not_exceed_it():
    policy = after(policy_of(), "publishing_restriction", bloc="CN", above=140.0)
    assert governments.may_publish(policy, CN, 140.0)
    assert not governments.may_publish(policy, CN, 140.1)
    assert governments.may_publish(policy, US, 999.0)


def test_promotions_last_their_months_and_of_two_the_larger_counts(world):
    months = tuple(
        event(date, "promotion", who=who, discount=discount, months=length)
        for date, who, discount, length in (
            ("2026-02", "DeepSeek", 1.0, 2.0),
            ("2026-03", "CN", 0.5, 3.0),
            ("2026-04", "all", 0.1, 1.0),
        )
    )
    market = simulated(changed(world, events=months))
    names = market.labs.names
    given = [governments.discounts(market.policy, parse_month(f"2026-0{m}"), market.labs) for m in range(1, 7)]
    shown = [[rate[names.index(name)] for rate in given] for name in ("DeepSeek", "Alibaba", "OpenAI")]
    assert shown == [[0, 1.0, 1.0, 0.5, 0.5, 0], [0, 0, 0.5, 0.5, 0.5, 0], [0, 0, 0, 0.1, 0, 0]]


# What labs decide


def released(market, lab, since):
    """Return month, openness and capability of a lab's releases from a month on."""
    table = market.releases
    rows = (table.lab == market.labs.names.index(lab)) & (table.month >= parse_month(since))
    return table.month[rows], table.is_open[rows], table.capability[rows]


@pytest.fixture(scope="module")
def often(world):
    """The world in which every lab releases often, so that a year shows its rules."""
    return changed(world, labs={lab: {"cadence_months": 2.0} for lab in world.labs})


def test_a_restriction_closes_new_weights_and_leaves_those_that_are_out(often):
    free = simulated(often)
    bound = simulated(changed(often, events=(event(WHEN, "publishing_restriction", bloc="CN"),)))
    table, before = bound.releases, free.releases
    chinese = (bound.labs.bloc[table.lab] == CN) & (table.month >= parse_month(WHEN))
    assert chinese.any()
    assert before.is_open[(free.labs.bloc[before.lab] == CN) & (before.month >= parse_month(WHEN))].any()
    assert not table.is_open[chinese].any()
    assert table.has_api[chinese].all()
    others = (bound.labs.bloc[table.lab] != CN) & (table.month >= parse_month(WHEN))
    assert table.is_open[others].any()
    weights = bound.lines.current_open[bound.labs.bloc[bound.lines.lab] == CN]
    assert (weights >= 0).any()


def test_a_limit_closes_only_what_lies_above(often):
    limit = float(np.median(released(simulated(often), "Alibaba", WHEN)[2]))
    market = simulated(changed(often, events=(event(WHEN, "publishing_restriction", bloc="CN", above=limit),)))
    _, is_open, capability = released(market, "Alibaba", WHEN)
    assert not is_open[capability > limit].any()
    assert (capability > limit).any()
    assert is_open.any()


def test_what_is_said_of_a_lab_goes_over_its_bloc_and_its_bloc_over_all(world):
    orders = (
        ("price_rule", {"who": "OpenAI", "rule": "cost_plus"}),
        ("price_rule", {"who": "US", "rule": "hold"}),
        ("price_rule", {"who": "all", "rule": "cost_plus"}),
    )
    for events in (orders, orders[::-1]):
        labs = simulated(ordered(world, *events)).labs
        rule = dict(zip(labs.names, labs.price_rule, strict=True))
        assert (rule["OpenAI"], rule["Meta"], rule["Mistral"]) == ("cost_plus", "hold", "cost_plus")


def test_openness_changes_with_the_next_release(often):
    market = simulated(changed(often, events=(event(WHEN, "openness_change", who="OpenAI", openness="open"),)))
    _, is_open, _ = released(market, "OpenAI", WHEN)
    assert len(is_open) > 0
    assert is_open.all()
    assert market.labs.openness[market.labs.names.index("Google")] == "as_line"


def test_a_leap_raises_the_potential_of_the_lab_by_its_points_less_what_it_would_have_caught_up(world):
    months = parse_month(WHEN) - world.start + 1
    usual = simulated(world, months).labs
    leapt = simulated(ordered(world, ("frontier_shock", {"lab": "Meta", "points": 6.0})), months).labs
    gain = dict(zip(usual.names, leapt.potential - usual.potential, strict=True))
    assert 5.0 < gain["Meta"] <= 6.0 + 1e-9
    assert 0.0 <= gain["OpenAI"] < 1.0


def test_two_leaps_of_a_lab_in_a_month_add_up(world):
    pair = tuple(event(WHEN, "frontier_shock", lab="Meta", points=points) for points in (2.0, 3.0))
    market = simulated(changed(world, events=pair), parse_month(WHEN) - world.start)
    lab = market.lab_agents[market.labs.names.index("Meta")]
    assert lab.decisions(parse_month(WHEN)) == {"knowledge": pytest.approx(lab.knowledge + 5.0)}


# Entry and exit


def test_a_lab_that_stops_releases_no_more_and_its_weights_stay(often):
    market = simulated(changed(often, events=(event(WHEN, "lab_exit", lab="Alibaba"),)))
    row = market.labs.names.index("Alibaba")
    assert not market.labs.active[row]
    assert len(released(market, "Alibaba", WHEN)[0]) == 0
    lines = market.lines.lab == row
    assert (market.lines.next_month[lines] == np.inf).all()
    weights = market.lines.current_open[lines]
    on = offering.offered(market)
    assert on[weights[weights >= 0], HOST].all()
    assert not on[market.releases.lab == row, LAB_API].any()
    assert not (market.usage.channel[market.releases.lab[market.usage.release] == row] == LAB_API).any()


@pytest.mark.parametrize("weights", ["open", "closed"])
def test_a_lab_enters_with_the_release_the_event_describes(often, weights):
    settings = changed(often, events=(event(WHEN, "lab_entry", **ENTRY | {"weights": weights, "points_behind": 4.0}),))
    before = simulated(settings, parse_month(WHEN) - settings.start)
    frontier = before.releases.capability.max()
    assert np.isnan(before.labs.potential[before.labs.names.index("Tencent")])
    market = simulated(settings)
    month, is_open, capability = released(market, "Tencent", "2020-01")
    assert format_month(month[0]) == WHEN
    assert capability[0] == frontier - 4.0
    assert is_open[0] == (weights == "open")
    table, row = market.releases, market.labs.names.index("Tencent")
    first = int(np.flatnonzero(table.lab == row)[0])
    assert table.list_price[first] == pytest.approx(ENTRY["price"])
    assert table.has_api[first]
    assert table.names[first] == "Tencent/main #1"
    assert np.isnan(table.total_params[first]) == (weights == "closed")
    assert len(month) > 1, "the lab goes on"
    assert (np.diff(capability) > 0).all()
    assert (is_open == (weights == "open")).all()


def test_nothing_jumps_after_an_entry(often):
    market = simulated(changed(often, events=(event(WHEN, "lab_entry", **ENTRY),)), parse_month(WHEN) - often.start)
    market.step()
    row = market.labs.names.index("Tencent")
    table = market.releases
    assert abs(market.labs.potential[row] - table.capability[table.lab == row][0]) < 2.0
    market.close()


def test_weights_of_a_lab_that_enters_obey_a_restriction(world):
    acts = (event(WHEN, "lab_entry", **ENTRY), event("2026-04", "publishing_restriction", bloc="CN"))
    assert not released(simulated(changed(world, events=acts)), "Tencent", WHEN)[1].any()


def test_a_lab_can_come_back_on_the_line_of_its_newest_release(often):
    acts = (
        event("2026-02", "lab_exit", lab="Alibaba"),
        event("2026-06", "lab_entry", lab="Alibaba", points_behind=2.0, price=1.0, weights="closed"),
    )
    market = simulated(changed(often, events=acts))
    month, is_open, _ = released(market, "Alibaba", "2026-02")
    table, row = market.releases, market.labs.names.index("Alibaba")
    assert format_month(month[0]) == "2026-06"
    assert len(month) > 1
    back = table.line[(table.lab == row) & (table.month >= parse_month("2026-02"))]
    before = (table.lab == row) & (table.month < parse_month("2026-02"))
    assert len(set(back)) == 1
    assert table.month[(table.line == back[0]) & before].max() == table.month[before].max()
    assert not is_open.any()
    assert market.lines.offset[back[0]] == 0.0


def test_an_entry_ahead_of_all_is_the_new_frontier(world):
    market = simulated(ordered(world, ("lab_entry", ENTRY | {"points_behind": -5.0})), parse_month(WHEN) - world.start)
    frontier = market.releases.capability.max()
    market.step()
    assert market.releases.capability.max() == frontier + 5.0
    market.close()
