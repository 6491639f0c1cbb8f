"""Invariants of demand and prices that hold in any market: units, copies, splits, limits, signs.

Numbers in brackets are those of the list of invariants in the documents. What is false in mixed-logit Bertrand
competition is not asserted: a rival's cost, entry and mergers may move another price either way.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim.market.stages.demand_panel import consumer_surplus, demand, price_derivatives
from sim.market.stages.equilibrium import Solver, solve_prices
from sim.market.stages.implied_costs import implied_costs
from sim.market.stages.markups import markups, profits
from sim.market.stages.price_terms import LINEAR
from sim.theory.closed_forms import EXACT, symmetric_case
from sim.theory.panels import (
    Case,
    full_case,
    joint_ownership,
    logit_case,
    normals,
    one_type,
    several_types,
    uniforms,
)

from .worlds import QUICK, permuted, solve, with_panel

CASE = full_case(61, rows=120)
FOUND = solve(CASE)
SOLD = np.flatnonzero(CASE.panel.priced)


def unit_demand(case: Case) -> Case:
    """Return the case with a linear price, one token a workload, and a loading of one."""
    ones = np.ones(len(case.panel.weight))
    return with_panel(case, term=LINEAR, need=ones, pain=ones, loading=(case.panel.loading > 0.0).astype(float))


def apart(found: np.ndarray, right: np.ndarray, sold: np.ndarray = SOLD) -> float:
    return float(np.abs(found / right - 1.0)[sold].max())


# Demand ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1e2, 1e4, 1e8, 1e300])
def test_huge_utilities_in_nests_leave_finite_shares_in_every_row(size):
    """[1, 2]"""
    panel = CASE.panel
    far = replace(panel, fixed=panel.fixed * size, keep=panel.keep * size, outside=panel.outside * size)
    now = demand(far, FOUND.prices)
    assert np.abs(now.probability.sum(axis=1) + now.keep + now.outside - 1.0).max() <= 1e-12
    for values in (now.probability, now.within, now.tokens, now.logsum):
        assert np.isfinite(values).all()
    assert not np.isnan(now.nest_value).any()


@pytest.mark.parametrize("dissimilarity", [0.05, 0.5, 1.0])
def test_scale_limits_hold_in_nests(dissimilarity):
    """[9] Without noise the best is chosen; with noise alone lines count by their channels to the power of lambda."""
    panel = logit_case(np.array([[1.0, 2.0, 1.5, 0.5]]), np.ones(1), np.ones(1), np.ones(4)).panel
    panel = replace(panel, nest=np.array([0, 0, 1, 2]), dissimilarity=dissimilarity)
    sharp = replace(panel, fixed=panel.fixed * 1e6, price_sensitivity=np.full(1, 1e5))
    assert demand(sharp, np.ones(4)).probability[0] == pytest.approx([0.0, 1.0, 0.0, 0.0], abs=1e-12)
    flat = replace(panel, fixed=panel.fixed * 1e-9, price_sensitivity=np.full(1, 1e-9))
    pair = 2.0**dissimilarity
    right = np.array([pair / 2.0, pair / 2.0, 1.0, 1.0]) / (pair + 3.0)
    assert demand(flat, np.ones(4)).probability[0] == pytest.approx(right, abs=1e-8)


@pytest.mark.parametrize("dissimilarity", [0.4, 1.0])
def test_every_lost_customer_goes_somewhere(dissimilarity):
    """[13] Diversion ratios of every offer, doing without and keeping included, add up to one."""
    case = with_panel(unit_demand(CASE), dissimilarity=dissimilarity)
    panel = case.panel
    now, matrix = demand(panel, FOUND.prices), price_derivatives(panel, FOUND.prices)
    rise = panel.weight * panel.price_sensitivity * (now.outside + now.keep)
    for offer in SOLD:
        elsewhere = matrix[:, offer].sum() - matrix[offer, offer] + (rise * now.probability[:, offer]).sum()
        assert abs(elsewhere / -matrix[offer, offer] - 1.0) <= 1e-12


@pytest.mark.parametrize("dissimilarity", [0.4, 1.0])
def test_derivatives_in_nests_are_symmetric_and_negative_definite_where_the_price_is_linear(dissimilarity):
    """[10, 12]"""
    case = with_panel(unit_demand(CASE), dissimilarity=dissimilarity)
    matrix = price_derivatives(case.panel, FOUND.prices)[np.ix_(SOLD, SOLD)]
    assert np.abs(matrix - matrix.T).max() <= 1e-14 * np.abs(matrix).max()
    assert np.linalg.eigvalsh(matrix).max() < 0.0
    assert (np.diag(matrix) < 0.0).all()
    assert (matrix[~np.eye(len(SOLD), dtype=bool)] > 0.0).all()


def test_odds_inside_a_nest_do_not_depend_on_other_nests_and_those_across_do():
    """[7] With its negative control, row by row."""
    case = logit_case(normals(1, "odds", 1, 4), np.ones(1), np.ones(1), np.ones(4))
    case = with_panel(case, nest=np.array([0, 0, 1, 1]), dissimilarity=0.5)
    fixed = case.panel.fixed.copy()
    fixed[0, 3] = -np.inf
    before, after = (demand(p, np.ones(4)).probability[0] for p in (case.panel, replace(case.panel, fixed=fixed)))
    assert after[0] / after[1] == pytest.approx(before[0] / before[1], rel=1e-12)
    assert after[0] / after[2] < 0.9 * before[0] / before[2]


def test_tokens_in_another_unit_give_the_same_bits_for_powers_of_two():
    """[6] Prices by the token instead of by the million, nearly: two to the twenty."""
    mega, panel = 2.0**20, CASE.panel
    small = replace(panel, need=panel.need * mega, base_price=panel.base_price / mega)
    before, after = demand(panel, FOUND.prices), demand(small, FOUND.prices / mega)
    assert (before.probability == after.probability).all()
    assert (before.tokens * mega == after.tokens).all()
    assert consumer_surplus(panel, FOUND.prices) == consumer_surplus(small, FOUND.prices / mega)


@pytest.mark.parametrize("seed", range(5))
def test_surplus_falls_by_the_tokens_bought_along_any_path(seed):
    """[15] The change of surplus between two price vectors is the integral of tokens: Simpson's rule on many points."""
    start = FOUND.prices
    end = start * np.exp(0.4 * normals(seed, "end", len(start)))
    points = np.linspace(0.0, 1.0, 65)
    sold = []
    for point in points:
        prices = start + point * (end - start)
        now = demand(CASE.panel, prices)
        paid = (CASE.panel.weight[:, None] * CASE.panel.loading * now.quantity * now.probability).sum(axis=0)
        sold.append((paid * (end - start))[SOLD].sum())
    weights = np.tile([2.0, 4.0], 33)[:65]
    weights[[0, -1]] = 1.0
    integral = (weights * sold).sum() * (points[1] / 3.0)
    change = consumer_surplus(CASE.panel, end) - consumer_surplus(CASE.panel, start)
    assert change == pytest.approx(-integral, rel=1e-7)


def test_surplus_is_counted_from_doing_without():
    """[15] Nothing on offer is worth nothing; one type has the closed form, whatever doing without is worth."""
    panel = CASE.panel
    nothing = replace(panel, fixed=np.full_like(panel.fixed, -np.inf), keep=np.full_like(panel.keep, -np.inf))
    assert abs(consumer_surplus(nothing, FOUND.prices)) <= 1e-12
    case = one_type(63, 4)
    for outside in (-2.0, 0.0, 3.0):
        other = replace(case.panel, outside=np.full(1, outside), weight=np.full(1, 5.0), pain=np.full(1, 2.0))
        utility = case.panel.fixed[0] - 1.3 * case.start / 2.0
        right = 5.0 * 2.0 / 1.3 * np.log1p(np.exp(utility - outside).sum())
        assert consumer_surplus(other, case.start) == pytest.approx(right, rel=1e-12)


def test_list_prices_of_offers_without_one_are_not_read():
    unlisted = ~CASE.panel.priced
    prices, cost = (np.where(unlisted, np.nan, values) for values in (FOUND.prices, CASE.cost))
    assert (demand(CASE.panel, prices).tokens == demand(CASE.panel, FOUND.prices).tokens).all()
    for function in (profits, lambda *given: markups(*given).gradient):
        right = function(CASE.panel, CASE.owner, FOUND.prices, CASE.cost, CASE.adoption_value)
        assert (function(CASE.panel, CASE.owner, prices, cost, CASE.adoption_value) == right).all()


# Prices ---------------------------------------------------------------------------------------------------------------


def test_a_row_split_in_unequal_parts_moves_no_price():
    """[5]"""
    rows = np.append(np.arange(len(CASE.panel.weight)), 7)
    split = permuted(CASE, rows, np.arange(len(CASE.cost)))
    weight = split.panel.weight.copy()
    weight[7], weight[-1] = weight[7] / 3.0, weight[7] * 2.0 / 3.0
    assert apart(solve(with_panel(split, weight=weight)).prices, FOUND.prices) <= 1e-10


def test_twice_the_workloads_move_no_price():
    assert apart(solve(with_panel(CASE, weight=2.0 * CASE.panel.weight)).prices, FOUND.prices) == 0.0
    thrice = with_panel(CASE, weight=3.0 * CASE.panel.weight)
    assert apart(solve(thrice).prices, FOUND.prices) <= 1e-12


def test_a_constant_on_all_utilities_moves_no_price():
    """[3]"""
    panel = CASE.panel
    moved = with_panel(CASE, fixed=panel.fixed + 5.0, keep=panel.keep + 5.0, outside=panel.outside + 5.0)
    assert apart(solve(moved).prices, FOUND.prices) <= 1e-10


def test_a_row_without_weight_or_choice_moves_no_price():
    """[48] One more workload that nobody counts, and one that can choose nothing."""
    rows = np.append(np.arange(len(CASE.panel.weight)), [3, 4])
    more = permuted(CASE, rows, np.arange(len(CASE.cost)))
    weight, fixed = more.panel.weight.copy(), more.panel.fixed.copy()
    weight[-2], fixed[-1] = 0.0, -np.inf
    assert apart(solve(with_panel(more, weight=weight, fixed=fixed)).prices, FOUND.prices) <= 1e-12


def test_a_copy_in_the_nest_moves_no_price_and_one_outside_it_does():
    """[8] A channel that is a copy of another, the bonus for variety taken off, is no new product."""
    lam = 0.6
    case = logit_case(np.array([[2.0, 1.0]]), np.ones(1), np.ones(1), np.ones(2))
    alone = with_panel(case, dissimilarity=lam)
    quality = np.array([[2.0 - lam * np.log(2.0), 2.0 - lam * np.log(2.0), 1.0]])
    case = logit_case(quality, np.ones(1), np.ones(1), np.ones(3), owner=np.array([0, 0, 1]))
    copied = with_panel(case, nest=np.array([0, 0, 1]), dissimilarity=lam)
    before, after = solve(alone).prices, solve(copied).prices
    assert np.abs(after - before[[0, 0, 1]]).max() <= 1e-10
    twice = logit_case(np.array([[2.0, 2.0, 1.0]]), np.ones(1), np.ones(1), np.ones(3), owner=np.array([0, 0, 1]))
    assert (solve(twice).prices[:2] > before[0] + 0.1).all()


@pytest.mark.parametrize("money", [2.0**-10, 2.0, 2.0**20])
def test_money_in_other_units_gives_the_same_bits_of_prices_for_powers_of_two(money):
    """[6, 30] The whole search, not only demand: every step is relative."""
    other = full_case(61, rows=120, money=money)
    found = solve(other)
    assert (found.prices[SOLD] == money * FOUND.prices[SOLD]).all()
    assert found.iterations == FOUND.iterations
    costs = (implied_costs(c.panel, c.owner, f.prices, c.adoption_value) for c, f in ((CASE, FOUND), (other, found)))
    one, two = (values[SOLD] for values in costs)
    assert (two == money * one).all()


@pytest.mark.parametrize("money", [1e-6, 0.37, 1e6])
def test_prices_scale_with_money_under_the_bill(money):
    """[30] Costs, pain, the cost of doing without and adoption values together; shares stay."""
    other = full_case(61, rows=120, money=money)
    found = solve(other)
    assert apart(found.prices, money * FOUND.prices) <= 1e-9
    before, after = demand(CASE.panel, FOUND.prices), demand(other.panel, found.prices)
    assert np.abs(before.probability - after.probability).max() <= 1e-9


def test_costs_alone_do_not_scale_prices():
    """[30] The negative control: with pain as it was, dearer costs are not another unit."""
    dearer = solve(replace(CASE, cost=2.0 * CASE.cost, adoption_value=2.0 * CASE.adoption_value))
    assert apart(dearer.prices, 2.0 * FOUND.prices) > 1e-2


def test_markups_of_equal_firms_fall_with_their_number_to_that_of_a_speck():
    """[27] alpha times the markup falls strictly to one; equal firms have the same price but for a last bit."""
    markup = []
    for firms in (1, 2, 3, 5, 8, 20, 100, 200):
        prices = solve(symmetric_case(firms), EXACT).prices
        assert np.ptp(prices) <= 4.5e-16 * prices[0]
        markup.append(1.3 * float(prices[0] - 1.0))
    assert (np.diff(markup) < 0.0).all()
    assert 1.0 < markup[-1] < 1.006


def random_case(seed: int) -> Case:
    """Return single-product firms and smooth types, of other numbers for every seed."""
    return several_types(seed, 2 + seed % 5, 20 + 10 * (seed % 4))


def test_own_cost_up_means_own_price_up_in_a_hundred_markets():
    """[29] Strictly, and down with a lower cost."""
    for seed in range(100):
        case = random_case(seed)
        offer, step = seed % len(case.cost), 0.02 + 0.5 * float(uniforms(seed, "step", 1)[0])
        before = solve(case).prices[offer]
        for sign in (1.0, -1.0):
            cost = case.cost.copy()
            cost[offer] += sign * step * case.cost[offer]
            assert sign * (solve(replace(case, cost=cost)).prices[offer] - before) > 0.0


def test_own_pass_through_is_positive_with_bills_nests_and_self_hosting():
    """[29] Every list price of the full market against its own cost."""
    for offer in SOLD:
        cost = CASE.cost.copy()
        cost[offer] *= 1.01
        rise = solve(replace(CASE, cost=cost, start=FOUND.prices)).prices[offer] - FOUND.prices[offer]
        assert 0.0 < rise < 5.0 * (cost - CASE.cost)[offer]


def test_together_rivals_charge_and_earn_no_less_in_thirty_markets():
    """[28]"""
    for seed in range(30):
        case = random_case(1000 + seed)
        joint = joint_ownership(case)
        rivals, together = solve(case).prices, solve(joint).prices
        assert (together >= rivals).all()
        earned = profits(case.panel, case.owner, rivals, case.cost, case.adoption_value).sum()
        assert profits(joint.panel, joint.owner, together, joint.cost, joint.adoption_value).sum() >= earned


def test_merging_single_product_firms_do_not_cut_prices_in_a_hundred_markets():
    """[29]"""
    for seed in range(100):
        case = random_case(2000 + seed)
        merged = replace(case, owner=np.maximum(case.owner, 1) - 1)
        assert (solve(merged).prices[:2] - solve(case).prices[:2] >= 0.0).all()


def test_one_owner_of_all_charges_one_markup_where_customers_are_alike():
    """[25, 26] With nests too: lambda drops out where a lab owns whole nests."""
    case = joint_ownership(one_type(62, 6))
    case = with_panel(case, nest=np.array([0, 0, 1, 1, 1, 2]), dissimilarity=0.5)
    found = solve(case)
    share = demand(case.panel, found.prices).outside[0]
    assert np.abs((found.prices - case.cost) * 1.3 * share - 1.0).max() <= 1e-10


@pytest.mark.parametrize("seed", range(8))
def test_costs_come_back_from_any_solution_and_give_it_again(seed):
    """[23] With adoption values, other owners and another order of offers."""
    labs = 2 + seed % 4
    case = full_case(500 + seed, rows=90, labs=labs)
    offers = np.argsort(normals(seed, "order", len(case.cost)))
    case = permuted(case, np.arange(90), offers)
    case = replace(case, owner=2 * case.owner + 1, adoption_value=3.0 * case.adoption_value)
    found = solve(case, replace(QUICK, tolerance=1e-12))
    sold = case.panel.priced & ~found.at_zero
    costs = implied_costs(case.panel, case.owner, found.prices, case.adoption_value)
    assert np.abs(costs / case.cost - 1.0)[sold].max() <= 1e-10
    again = solve_prices(
        case.panel, case.owner, np.where(sold, costs, case.cost), case.adoption_value, case.start, solver=QUICK
    )
    assert np.abs(again.prices / found.prices - 1.0)[sold].max() <= 1e-9


@pytest.mark.parametrize("seed", range(6))
def test_conditions_are_the_slope_of_profit_in_every_direction(seed):
    """[11, 17] Labs' profits along random directions of their own prices, against differences of profit."""
    prices = FOUND.prices * np.exp(0.2 * normals(seed, "where", len(CASE.cost)))
    gradient = markups(CASE.panel, CASE.owner, prices, CASE.cost, CASE.adoption_value).gradient
    lab = seed % 4
    way = np.where((CASE.owner == lab) & CASE.panel.priced, normals(seed, "way", len(CASE.cost)), 0.0) * prices
    step = 1e-4
    ends = [
        profits(CASE.panel, CASE.owner, prices + side * way, CASE.cost, CASE.adoption_value)[lab]
        for side in (step, -step, 2.0 * step, -2.0 * step)
    ]
    slope = (8.0 * (ends[0] - ends[1]) - (ends[2] - ends[3])) / (12.0 * step)
    assert slope == pytest.approx((gradient * way).sum(), rel=1e-8, abs=1e-8 * np.abs(gradient * way).sum())


def test_a_thorough_search_agrees_with_the_status():
    """[18, 20] `nash` of several starts; a search that is left out promises nothing."""
    found = solve(CASE, Solver(other_starts=6))
    assert found.status == "nash"
    assert len(found.solutions) == 1
    assert np.isnan(FOUND.deviation_gain)
