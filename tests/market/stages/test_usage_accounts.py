"""Needs and tokens, and the books: known answers, and planted errors that the checks must find."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim.market.stages import accounts, usage

from ..guards import binds


def need(years, hand_over=1.0, fade=0.3, growth=2.0):
    return float(usage.need_now(np.array([3.0]), np.array([growth]), fade, years, hand_over)[0])


def test_needs_grow_at_the_stated_rate_up_to_the_hand_over():
    assert need(0.0) == 3.0
    assert need(1.0) == pytest.approx(6.0)
    assert need(-1.0) == pytest.approx(1.5)


@binds("stages/usage.py", "need_now", "max(0.0, years - years_at_hand_over)")
@binds("stages/usage.py", "need_now", "min(years, years_at_hand_over)")
def test_growth_fades_after_the_hand_over_to_a_level():
    assert need(0.5) == pytest.approx(3 * 2**0.5)
    assert need(3.0, fade=0.0) == pytest.approx(24.0)
    assert need(2.0) == pytest.approx(3 * 2 ** (1 + (1 - np.exp(-0.3)) / 0.3))
    assert need(500.0) == pytest.approx(3 * 2 ** (1 + 1 / 0.3))


def test_needs_do_not_jump_at_the_hand_over():
    assert need(1.0 + 1e-9) == pytest.approx(need(1.0 - 1e-9), rel=1e-7)


def test_at_price_zero_the_whole_need_is_bought_and_at_the_pain_price_half():
    price, volume, pain = np.array([0.0, 10.0, 1e12]), np.full(3, 10.0), np.full(3, 100.0)
    assert usage.tokens_bought(price, volume, pain) == pytest.approx([10.0, 5.0, 0.0], abs=1e-9)


def test_a_growing_need_is_never_answered_with_fewer_tokens():
    volume = np.geomspace(1e-3, 1e9, 200)
    bought = usage.tokens_bought(np.full(200, 2.0), volume, np.full(200, 100.0))
    assert np.all(np.diff(bought) > 0)
    assert bought[-1] * 2.0 == pytest.approx(100.0)  # the bill tends to the pain and no further


def test_pain_follows_need_as_far_as_it_is_told_to():
    pain, ratio = np.array([10.0, 10.0]), np.array([1.0, 16.0])
    assert usage.pain_now(pain, ratio, 0.0).tolist() == [10.0, 10.0]  # to the bit
    assert usage.pain_now(pain, ratio, 0.5).tolist() == [10.0, 40.0]


def test_where_pain_grows_with_need_in_full_the_price_decides_and_not_the_bill():
    need, ratio, price = 3.0, np.geomspace(1.0, 1e6, 20), 5.0
    pain = usage.pain_now(np.full(20, 10.0), ratio, 1.0)
    assert usage.tokens_bought(price, need * ratio, pain) / (need * ratio) == pytest.approx(np.full(20, 0.4))


def test_the_derivative_of_the_bill_is_tokens_over_pain():
    price, volume, pain, step = np.linspace(0.1, 50, 30), np.geomspace(0.1, 1e4, 30), np.full(30, 70.0), 1e-6
    up, down = (usage.bill_disutility(price + s, volume, pain) for s in (step, -step))
    assert (up - down) / (2 * step) == pytest.approx(usage.tokens_bought(price, volume, pain) / pain, rel=1e-7)


def test_amounts_are_added_by_code_and_nothing_is_nought():
    found = accounts.totals(np.array([2, 0, 2]), np.array([5.0, 7.0, 11.0]), 4)
    assert found.tolist() == [7.0, 0.0, 16.0, 0.0]


def books(**changes):
    by_offer = np.array([[4.0, 0.0, 0.0, 0.0], [0.0, 3.0, 2.0, 1.0]])
    segments = np.zeros((5, 4))
    segments[0, 0], segments[2, 3] = 6.0, 4.0
    plain = accounts.Accounts(
        workloads=by_offer,
        tokens=10 * by_offer,
        spend=20 * by_offer,
        cost=5 * by_offer,
        segment_present=2 * segments,
        segment_workloads=segments,
        segment_tokens=10 * segments,
        segment_spend=20 * segments,
        segment_open=0.5 * segments,
        segment_chinese_open=0.1 * segments,
        segment_own=0.2 * segments,
        surplus=1.0,
    )
    return replace(plain, **changes)


def spoilt(array, place, value):
    copy = array.copy()
    copy[place] = value
    return copy


def test_money_is_earned_by_labs_hosts_and_owners_of_machines():
    assert (books().spend_labs, books().spend_hosts, books().spend_self_host) == (80.0, 60.0, 60.0)


def test_books_that_balance_have_no_violations():
    assert accounts.violations(books()) == []


@pytest.mark.parametrize("name", ["workloads", "tokens", "spend"])
def test_an_amount_lost_between_seller_and_buyer_is_found(name):
    wrong = books(**{name: spoilt(getattr(books(), name), (0, 0), getattr(books(), name)[0, 0] * (1 + 1e-6))})
    assert any(name in line and "differ" in line for line in accounts.violations(wrong))


@pytest.mark.parametrize("name", ["segment_workloads", "segment_tokens", "segment_spend"])
def test_an_amount_lost_between_buyers_is_found(name):
    wrong = books(**{name: getattr(books(), name) * (1 - 1e-6)})
    assert len(accounts.violations(wrong)) == 1


@pytest.mark.parametrize("value", [-1e-9, np.nan, np.inf])
@pytest.mark.parametrize("name", ["workloads", "tokens", "spend", "cost", "segment_present"])
def test_negative_and_non_finite_entries_are_found(name, value):
    wrong = books(**{name: spoilt(getattr(books(), name), (0, 1), value)})
    with np.errstate(invalid="ignore"):
        assert f"{name} has a negative or non-finite entry" in accounts.violations(wrong)


def test_a_segment_that_uses_more_than_it_has_is_found():
    wrong = books(segment_present=spoilt(books().segment_present, (2, 3), 3.9))
    assert accounts.violations(wrong) == ["a segment uses more workloads than it has"]


@binds("stages/accounts.py", "violations", "max(1.0, abs(left), abs(right))")
@pytest.mark.parametrize(("size", "slack"), [(1e-3, 1e-9), (1e6, 1e-3)])
def test_sums_agree_to_a_part_in_a_billion_of_themselves_or_of_one(size, slack):
    by_offer, segments = spoilt(np.zeros((2, 4)), (0, 0), size), spoilt(np.zeros((5, 4)), (0, 0), size)
    for lost, found in ((0.8 * slack, 0), (1.2 * slack, 1)):
        wrong = books(tokens=spoilt(by_offer, (0, 1), lost), segment_tokens=segments)
        assert len(accounts.violations(wrong)) == found


def test_differences_of_rounding_are_no_violation():
    assert accounts.violations(books(tokens=books().tokens * (1 + 1e-12))) == []


def test_concentration_is_one_for_a_monopoly_and_a_quarter_for_four_equals():
    assert accounts.herfindahl(np.array([0.0, 7.0])) == 1.0
    assert accounts.herfindahl(np.full(4, 3.0)) == 0.25
    assert np.isnan(accounts.herfindahl(np.zeros(3)))


def test_a_ratio_to_nothing_is_missing():
    assert accounts.ratio(1.0, 4.0) == 0.25
    assert np.isnan(accounts.ratio(0.0, 0.0))
