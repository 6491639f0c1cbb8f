"""Utilities, costs of moving, bans and clocks: each with an answer worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from math import exp, log, log1p

import numpy as np
import pytest

from sim.market.stages import choice
from sim.market.stages.usage import tokens_bought
from sim.market.tables import HOST, LAB_API, ON_DEVICE, SELF_HOST
from sim.scenario.schema import BLOCS, CLASSES

from ..guards import binds
from .made_up import choosers, offers, rules, two_labs

US, EU, CN, ROW = range(len(BLOCS))
API_US, API_CN, HOSTED_CN = range(3)  # columns of `two_labs`
FAR = -690.0


def utilities(table=None, rules_changed=None, count=1, **columns):
    table = two_labs() if table is None else table
    return choice.offer_utilities(choosers(count, table, **columns), table, rules(table, **(rules_changed or {})))


def all_four_channels(**columns):
    return offers(*((0, 1, channel) for channel in range(4)), price=[1.0, 1.0, 1.0, 0.0], degree=1.0, **columns)


def test_utility_is_the_formula_term_by_term():
    table = two_labs()
    given = {
        "control": np.array([0.0, 0.1, 0.3]),
        "exposure": np.array([0.0, 1.0, 0.6]),
        "appeal": np.array([0.2, -0.1, -0.1]),
        "strength": np.arange(15.0).reshape(5, 3) / 10,
        "home_fit": np.arange(12.0).reshape(4, 3) / 20,
    }
    columns = {
        "kind": 2,
        "bloc": EU,
        "control_value": 0.9,
        "distrust": 1.7,
        "taste_line": np.array([[0.25, -0.5]], np.float32),
        "taste_open": 0.4,
        "taste_origin": np.array([[0.1, 0.2, 0.3, 0.5]]),
        "adoption_cost": 2.0,
    }
    found = utilities(table, given, **columns)[0]
    for j, price in enumerate((4.0, 1.0, 1.0)):
        chinese, is_open = j > 0, j > 0
        capability = (132.0, 130.0, 130.0)[j] + (6 + j) / 10
        wanted = 6.0 / (1.0 + exp((128.0 - capability) / 4.0))
        wanted -= 1.5 * log1p(price * 10.0 / 100.0)
        wanted += 0.9 * given["control"][j] - 1.7 * given["exposure"][j]
        wanted += given["appeal"][j] + (3 + j) / 20
        wanted -= 0.5 * log(2 if chinese else 1)  # channels of the line
        wanted += (-0.5 if j else 0.25) + (0.3 if chinese else 0.1) + 0.4 * is_open - 2.0
        assert found[j] == pytest.approx(wanted, abs=1e-12)


def test_half_of_the_work_succeeds_where_capability_equals_difficulty():
    assert choice.success(np.array(128.0), np.array(128.0), 4.0) == 0.5
    assert choice.success(np.array(132.0), np.array(128.0), 4.0) == pytest.approx(1 / (1 + exp(-1)))


def test_success_saturates_and_never_overflows():
    assert choice.success(np.array([1e6, -1e6]), np.array(0.0), 0.1).tolist() == [1.0, 0.0]


def test_beyond_good_enough_more_capability_is_worth_nothing():
    table = offers((0, 0, LAB_API), (1, 1, LAB_API), capability=[300.0, 200.0], price=1.0)
    found = utilities(table)[0]
    assert found[API_US] - found[API_CN] < 1e-6


@pytest.mark.parametrize("cluster", [900.0, 3000.0])
def test_own_machines_pay_full_load_or_their_part_of_a_cluster_and_their_staff(cluster):
    table = replace(offers((0, 1, SELF_HOST), price=2.0), cluster=np.array([cluster]))
    found = utilities(table, need=500.0, staff_cost=300.0)[0, 0]
    price = max(2.0, cluster / 500.0)
    gain = 6.0 / (1.0 + exp((128.0 - 130.0) / 4.0))
    assert found == pytest.approx(gain - 1.5 * log1p(price * 500.0 / 100.0) - 1.5 * log1p(300.0 / 100.0), abs=1e-12)


def test_staff_is_paid_on_own_machines_alone():
    table = all_four_channels()
    change = utilities(table, need=4.0, staff_cost=300.0)[0] - utilities(table, need=4.0)[0]
    assert change.tolist() == pytest.approx([0.0, 0.0, -1.5 * log1p(3.0), 0.0])


def test_the_table_of_offers_is_left_alone():
    table = all_four_channels()
    before = table.price.copy()
    utilities(table)
    assert np.array_equal(table.price, before)


def test_the_bill_falls_with_the_class_price():
    prices = np.arange(1.0, 1.0 + len(CLASSES))[:, None] * np.ones((1, 3))
    table = two_labs(price=prices)
    found = [utilities(table, kind=k)[0, API_US] for k in range(len(CLASSES))]
    assert found[0] - found[-1] == pytest.approx(1.5 * (log1p(0.1 * len(CLASSES)) - log1p(0.1)))


# Costs of moving ---------------------------------------------------------------------------------------------------


def moving(**columns):
    table = two_labs()
    return choice.vendor_costs(choosers(1, table, **columns), table, rules(table))[0].tolist()


def test_a_workload_without_a_model_pays_the_adoption_cost_everywhere():
    assert moving(adoption_cost=3.0, switching_cost=9.0, upgrade_cost=9.0) == [3.0, 3.0, 3.0]


def test_a_user_pays_nothing_for_what_it_uses_the_upgrade_cost_at_home_and_the_switching_cost_elsewhere():
    using = {"release": 1, "channel": LAB_API, "lab": 1}
    assert moving(adoption_cost=9.0, switching_cost=3.0, upgrade_cost=0.4, **using) == [3.0, 0.0, 0.4]


def test_a_superseded_release_costs_the_upgrade_on_every_channel_of_the_vendor():
    using = {"release": 99, "channel": HOST, "lab": 1}
    assert moving(switching_cost=3.0, upgrade_cost=0.4, **using) == [3.0, 0.4, 0.4]


def test_a_vendor_used_elsewhere_in_the_organisation_costs_half_to_switch_to():
    using = {"release": 1, "channel": LAB_API, "lab": 1, "used_here": np.array([[True, True, False]])}
    assert moving(switching_cost=3.0, upgrade_cost=0.4, **using) == [1.5, 0.0, 0.4]


def test_multi_homing_saves_nothing_of_the_upgrade_or_adoption_cost():
    here = np.array([[True, True, True]])
    assert moving(adoption_cost=3.0, used_here=here) == [3.0, 3.0, 3.0]
    assert moving(upgrade_cost=0.4, used_here=here, release=99, lab=1)[1] == 0.4


# Who may look at what ----------------------------------------------------------------------------------------------


def open_to(table=None, rules_changed=None, **columns):
    table = two_labs() if table is None else table
    return choice.open_to(choosers(1, table, **columns), table, rules(table, **(rules_changed or {})))[0].tolist()


def ban(reach, *blocs):
    """Return how far a ban on models of some blocs reaches for one chooser."""
    barred = np.zeros((1, len(BLOCS)), np.int8)
    barred[:, list(blocs)] = reach
    return barred


@pytest.mark.parametrize("reach", range(4))
def test_a_ban_closes_the_api_first_then_hosts_and_then_own_machines(reach):
    """Reach 0 none, 1 the lab's own service, 2 hosts too, 3 the weights themselves."""
    still = [[True] * 4, [False, True, True, True], [False, False, True, True], [False] * 4]
    assert open_to(all_four_channels(), need=1.0, barred=ban(reach, CN)) == still[reach]


def test_a_ban_on_one_bloc_leaves_the_models_of_others_alone():
    assert open_to(barred=ban(1, CN)) == [True, False, True]
    assert open_to(barred=ban(3, CN)) == [True, False, False]
    assert open_to(barred=ban(3, US)) == [False, True, True]
    assert open_to(barred=ban(3, US, CN)) == [False, False, False]


def test_a_ban_binds_those_alone_whom_it_names():
    table = two_labs()
    barred = np.concatenate([ban(3, CN), ban(0), ban(1, CN)])
    found = choice.open_to(choosers(3, table, barred=barred), table, rules(table))
    assert found.tolist() == [[True, False, False], [True, True, True], [True, False, True]]


def test_a_ban_reaches_the_vendor_in_use_too():
    assert open_to(barred=ban(3, CN), release=1, lab=1) == [True, False, False]


def test_an_unknown_lab_is_not_considered():
    assert open_to(knows=np.array([[True, False, True]])) == [True, False, False]


def test_the_current_vendor_is_always_known():
    assert open_to(knows=np.array([[False, False, False]]), release=1, lab=1) == [False, True, True]


def test_an_upgrade_looks_at_the_vendor_alone():
    assert open_to(at_home=True, release=1, lab=1) == [False, True, True]
    assert open_to(at_home=True, release=0, lab=0) == [True, False, False]


def test_a_market_without_the_api_is_closed_to_it():
    sold = np.ones((len(BLOCS), 3), bool)
    sold[CN, API_US] = False
    assert open_to(rules_changed={"sold_in": sold}, bloc=CN) == [False, True, True]
    assert open_to(rules_changed={"sold_in": sold}, bloc=ROW) == [True, True, True]


def test_a_device_runs_small_volumes_only():
    assert open_to(all_four_channels(), need=5.0) == [True, True, True, True]
    assert open_to(all_four_channels(), need=5.0 + 1e-9) == [True, True, True, False]


def test_what_may_not_be_chosen_has_utility_minus_infinity():
    assert np.isneginf(utilities(barred=ban(1, CN))[0]).tolist() == [False, True, False]


def test_looking_changes_nothing_in_the_choosers():
    table = two_labs()
    who = choosers(2, table, at_home=[True, False], release=1, lab=1)
    knows = who.knows.copy()
    choice.open_to(who, table, rules(table))
    choice.vendor_costs(who, table, rules(table))
    assert np.array_equal(who.knows, knows)


# Keeping and doing without -----------------------------------------------------------------------------------------


def test_keeping_is_impossible_without_a_price():
    table = two_labs()
    assert choice.keep_utilities(choosers(1, table), rules(table))[0] == -np.inf


def test_the_utility_of_keeping_is_gain_less_bill_plus_the_fixed_part():
    table = two_labs()
    who = choosers(1, table, keep_price=2.0, keep_capability=124.0, keep_fixed=0.7)
    wanted = 6.0 / (1.0 + exp(1.0)) - 1.5 * log1p(0.2) + 0.7
    assert choice.keep_utilities(who, rules(table))[0] == pytest.approx(wanted, abs=1e-12)


def test_doing_without_costs_the_time_of_the_work():
    table = two_labs()
    found = choice.outside_utilities(choosers(1, table, without_ai_cost=20.0))
    assert found[0] == pytest.approx(-1.5 * log1p(20.0 * 10.0 / 100.0))


# Clocks ------------------------------------------------------------------------------------------------------------


def test_reviews_come_more_often_after_a_leap():
    found = [choice.review_hazard(0.2, leap=leap, bump=1.5) for leap in (0.0, 0.5, 1.0)]
    assert found == pytest.approx([0.2, 0.35, 0.5])


@binds("stages/choice.py", "review_hazard", "min(1.0, usual * (1.0 + bump * leap))")
def test_a_review_hazard_never_exceeds_one():
    assert choice.review_hazard(0.9, leap=1.0, bump=20.0) == 1.0
    assert choice.review_hazard(0.04, leap=1.0, bump=20.0) == pytest.approx(0.84)


@binds("stages/choice.py", "upgrade_hazard", "np.clip(step / leap_points, 0.0, 1.0)")
def test_the_upgrade_hazard_rises_with_the_step_up_to_a_full_leap():
    found = choice.upgrade_hazard(np.array([-3.0, 0.0, 2.0, 4.0, 9.0]), usual=0.07, leap=0.45, leap_points=4.0)
    assert found == pytest.approx([0.07, 0.07, 0.26, 0.45, 0.45])


# Demand theory: price, tokens and surplus belong together ----------------------------------------------------------


def logsum_of(table, count=40, **columns):
    who = choosers(count, table, **columns)
    common = rules(table)
    utility = choice.offer_utilities(who, table, common)
    probability, logsum = choice.choice_probabilities(
        utility,
        choice.keep_utilities(who, common),
        choice.outside_utilities(who),
        first_of_line=table.first_of_line,
        dissimilarity=common.dissimilarity,
    )
    return who, utility, probability, logsum


def varied(count=40):
    spread = np.linspace(0.0, 1.0, count)
    return {"need": np.exp(6 * spread - 2), "pain": 30 + 900 * spread[::-1], "price_sensitivity": 0.4 + 2 * spread}


def raised(table, column, step):
    price = table.price.copy()
    price[:, column] += step
    return replace(table, price=price)


@pytest.mark.parametrize("column", [API_US, API_CN, HOSTED_CN])
def test_roys_identity_holds(column):
    """The derivative of utility with respect to the price is minus alpha over pain times the tokens bought."""
    table, step = two_labs(), 1e-5
    up, down = (utilities(raised(table, column, s), count=40, **varied())[:, column] for s in (step, -step))
    who = choosers(40, table, **varied())
    bought = tokens_bought(table.price[0, column], who.need, who.pain)
    wanted = -who.price_sensitivity / who.pain * bought
    assert np.abs((up - down) / (2 * step) - wanted).max() < 1e-7


def test_the_derivative_of_surplus_is_minus_the_tokens_expected():
    table, step = two_labs(), 1e-4
    who, _, probability, _ = logsum_of(table, **varied())
    for column in range(3):
        (_, _, _, up), (_, _, _, down) = (logsum_of(raised(table, column, s), **varied()) for s in (step, -step))
        slope = who.pain / who.price_sensitivity * (up - down) / (2 * step)
        bought = tokens_bought(table.price[0, column], who.need, who.pain) * probability[:, column]
        assert slope == pytest.approx(-bought, rel=1e-5, abs=1e-7)


def test_a_price_lowers_its_own_probability_and_raises_every_other():
    table = two_labs()
    _, _, before, _ = logsum_of(table, **varied())
    for column in range(3):
        _, _, after, _ = logsum_of(raised(table, column, 0.01), **varied())
        change = np.delete(after - before, 3, axis=1)  # nobody keeps anything here
        assert np.all(change[:, column] < 0)
        assert np.all(np.delete(change, column, axis=1) > 0)


def test_surplus_never_falls_when_an_offer_is_added_or_a_price_is_cut():
    fewer = offers((0, 0, LAB_API), price=4.0, capability=132.0)
    _, _, _, alone = logsum_of(fewer, **varied())
    _, _, _, more = logsum_of(two_labs(), **varied())
    _, _, _, cheaper = logsum_of(raised(two_labs(), API_US, -1.0), **varied())
    assert np.all(more >= alone)
    assert np.all(cheaper >= more)


def test_money_can_be_counted_in_another_unit():
    """Prices, pain, staff and cost of doing without in cents: the same probabilities to the bit for a power of two."""
    table = two_labs()
    _, _, before, _ = logsum_of(table, **varied(), staff_cost=10.0)
    money = varied() | {"pain": varied()["pain"] * 64}
    _, _, after, _ = logsum_of(
        replace(table, price=table.price * 64), **money, staff_cost=640.0, without_ai_cost=1280.0
    )
    assert np.array_equal(before, after)


def test_nesting_takes_the_log_of_the_channels_off_so_that_a_line_gets_no_bonus_for_variety():
    one = offers((0, 0, LAB_API), (1, 1, HOST), price=1.0)
    three = offers((0, 0, LAB_API), (1, 1, LAB_API), (1, 1, HOST), (1, 1, HOST), price=1.0)
    _, _, simple, _ = logsum_of(one, 1)
    _, _, cloned, _ = logsum_of(three, 1)
    assert cloned[0, 1:4].sum() == pytest.approx(simple[0, 1], abs=1e-12)
    assert log(cloned[0, 1] / cloned[0, 2]) == pytest.approx(0.0, abs=1e-12)


def test_channels_that_the_chooser_cannot_use_do_not_count_in_what_nesting_takes_off():
    """A line of four channels is worth to who can use one of them what a line of that channel alone is."""
    table, alone = all_four_channels(), offers((0, 1, HOST), price=1.0, degree=1.0)
    rules_changed = {"ban_level": np.array([1, 9, 1, 1], np.int8)}
    only_host = choice.offer_worth(choosers(1, table, barred=ban(1, CN)), table, rules(table, **rules_changed))[0]
    assert np.isneginf(only_host).tolist() == [True, False, True, True]
    assert only_host[HOST] == choice.offer_worth(choosers(1, alone), alone, rules(alone))[0, 0]
    every = choice.offer_worth(choosers(1, table, need=1.0), table, rules(table))[0]
    assert every[HOST] == pytest.approx(only_host[HOST] - 0.5 * log(4), abs=1e-14)


def test_a_line_without_a_usable_channel_has_none_to_take_the_log_of():
    assert choice.LOG_CHANNELS.tolist() == [0.0, 0.0, *np.log([2.0, 3.0, 4.0])]


def test_what_nesting_takes_off_is_counted_for_each_chooser():
    table = two_labs()
    barred = np.concatenate([ban(0), ban(1, CN)])
    free, bound = choice.offer_worth(choosers(2, table, barred=barred), table, rules(table))
    assert bound[HOSTED_CN] - free[HOSTED_CN] == pytest.approx(0.5 * log(2), abs=1e-14)
    assert bound[API_US] == free[API_US]


def test_utility_is_worth_less_the_bill():
    table = two_labs()
    who, common = choosers(40, table, **varied()), rules(table)
    bill = who.price_sensitivity[:, None] * np.log1p(table.price[0] * (who.need / who.pain)[:, None])
    worth = choice.offer_worth(who, table, common)
    assert choice.offer_utilities(who, table, common) == pytest.approx(worth - bill, abs=1e-13)


def test_a_device_has_no_bill():
    table = offers((0, 1, ON_DEVICE), price=0.0)
    assert utilities(table, need=3.0)[0, 0] == pytest.approx(6.0 / (1.0 + exp(-0.5)), abs=1e-12)
