"""Every floor, cap and limit of the price stage has a case in which it binds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim.market.stages import equilibrium
from sim.market.stages.demand_panel import TINY, demand, prepare
from sim.market.stages.deviations import (
    LARGEST_MOVE,
    MARGIN_RANGE,
    SMALLEST_MOVE,
    DeviationCheck,
    _joint_moves,
    _tried_prices,
    deviation_gains,
)
from sim.market.stages.equilibrium import Solver, _starts
from sim.market.stages.host_entry import free_entry, host_elasticity, host_markup
from sim.market.stages.implied_costs import implied_costs
from sim.market.stages.markups import markups, profits
from sim.market.stages.price_conditions import price_conditions
from sim.market.stages.price_terms import LOG
from sim.theory.panels import full_case, logit_case, one_type
from tests.market.guards import binds

from .worlds import FINE, QUICK, solve, wild_case, with_panel

RESTLESS = 322  # the wild case in which a search from its own start finds no rest


@binds("stages/equilibrium.py", "_Conditions.at", "np.maximum(0.0, cost + now.markup[self.columns])")
def test_a_lab_that_values_use_enough_gives_its_service_away_and_would_pay_for_it():
    case = full_case(32)
    case = replace(case, adoption_value=np.where(case.owner == 0, 20.0, case.adoption_value))
    found = solve(case, FINE)
    assert found.status == "nash"
    free_of_charge = found.at_zero
    assert free_of_charge.any()
    assert (case.owner[free_of_charge] == 0).all()
    assert not free_of_charge.all()
    assert (found.prices[free_of_charge] == 0.0).all()
    now = markups(case.panel, case.owner, found.prices, case.cost, case.adoption_value)
    assert (now.gradient[free_of_charge] < 0.0).all()
    others = case.panel.priced & ~free_of_charge
    assert np.abs(now.gradient[others] / now.loaded_tokens[others]).max() <= 1e-10
    bound = implied_costs(case.panel, case.owner, found.prices, case.adoption_value)
    assert (bound[free_of_charge] > case.cost[free_of_charge]).all(), "zero is right up to these costs"


def test_a_start_at_zero_leaves_it_where_that_pays():
    case = full_case(33)
    found = solve(replace(case, start=np.zeros(len(case.cost))))
    assert np.abs(found.prices / solve(case).prices - 1.0)[case.panel.priced].max() <= 1e-10


@pytest.mark.parametrize(("factor", "right"), [(10.0, 0.5), (0.1, 2.0)])
def test_a_step_at_most_doubles_or_halves_a_price_or_its_cost(factor, right):
    case = one_type(17, 3)
    case = replace(case, cost=1e-6 * case.cost, start=factor * solve(case).prices)
    found = solve(case, replace(QUICK, most_iterations=1))
    assert (found.prices / case.start).tolist() == pytest.approx([right] * 3)
    cheap = replace(case, cost=np.ones(3), start=np.full(3, 1e-9))
    assert solve(cheap, replace(QUICK, most_iterations=1)).prices.tolist() == pytest.approx([1.0] * 3)


def test_steps_get_shorter_where_whole_ones_lead_to_and_fro():
    """Profit is all but straight up to a steep fall: a Newton step from before the fall leads far beyond it."""
    case = logit_case(np.array([[60.0]]), np.array([2.0]), np.ones(1), np.array([0.1]))
    found = solve(replace(case, start=np.array([17.6])))
    assert found.residual <= 1e-13
    assert 25.0 < found.prices[0] < 30.0


def test_a_price_leaves_a_valley_of_profit_with_steps_that_double():
    """Few pay much and many pay little: between the two best prices profit is convex."""
    case = logit_case(np.array([[8.0], [60.0]]), np.array([8.0, 2.0]), np.array([0.93, 0.07]), np.array([0.1]))
    terms = price_conditions(case.panel, case.owner, case.cost, case.adoption_value)
    problem = equilibrium._Conditions(terms, np.array([0]), np.array([0]))
    prices = np.linspace(0.5, 30.0, 400)
    profit = np.array([profits(case.panel, case.owner, np.array([at]), case.cost, np.zeros(1))[0] for at in prices])
    valley = np.flatnonzero((profit[1:-1] < profit[:-2]) & (profit[1:-1] < profit[2:]))[0] + 1
    for side in (-1, 1):
        start = prices[valley + side : valley + side + 1]
        now = problem.at(start)
        step, convex = problem.step(start, now, np.array([4.0]))
        assert convex.all()
        assert step == pytest.approx(4.0 * now.move)
        assert np.sign(step) == side
        found = solve(replace(case, start=start))
        peak = prices[valley:][profit[valley:].argmax()] if side == 1 else prices[:valley][profit[:valley].argmax()]
        assert found.prices[0] == pytest.approx(peak, abs=0.1)


@binds("stages/equilibrium.py", "_solve_from", "np.maximum(own, cost)")
@binds("stages/equilibrium.py", "_solve_from", "np.clip(step, -0.5 * largest, largest)")
def test_a_step_moves_a_price_up_by_itself_or_its_cost_and_down_by_half_of_that():
    case, once = full_case(32), replace(QUICK, most_iterations=1)
    priced = case.panel.priced
    for factor in (0.001, 5.0):
        start = factor * case.cost
        move = (solve(replace(case, start=start), once).prices - start)[priced] / np.maximum(start, case.cost)[priced]
        limit = 1.0 if factor < 1.0 else -0.5
        assert np.isclose(move, limit, rtol=1e-12).any()
        assert (move <= 1.0 + 1e-12).all()
        assert (move >= -0.5 - 1e-12).all()
        assert ((move > -0.5 + 1e-3) & (move < 1.0 - 1e-3)).any(), "some are asked to move by less"


@binds("stages/equilibrium.py", "_solve_from", "np.minimum(1.0, 2.0 * reach)")
def test_the_reach_of_a_step_never_grows_beyond_the_price_itself():
    """A monopolist far below its price, which is about a hundred times its cost: each step may double the price."""
    case = logit_case(np.full((1, 1), 0.0), np.full(1, 0.01), np.ones(1), np.ones(1))
    case = replace(case, start=np.array([2.0]))
    prices = [solve(case, replace(QUICK, most_iterations=steps)).prices[0] for steps in range(5)]
    assert prices[:5] == pytest.approx([2.0, 4.0, 8.0, 16.0, 32.0])
    assert solve(case).prices[0] > 100.0


def test_a_search_that_steps_into_valleys_of_profit_leads_out():
    for seed in (39, 64, 71):
        assert solve(wild_case(seed)).residual <= 1e-13


def test_too_few_iterations_are_not_converged():
    found = solve(full_case(32), Solver(most_iterations=2))
    assert found.status == "not_converged"
    assert found.iterations == 2
    assert found.residual > 1e-12
    assert np.isnan(found.deviation_gain)
    none = solve(full_case(32), Solver(most_iterations=0))
    assert (none.prices == full_case(32).start).all()
    assert none.status == "not_converged"


def test_a_market_in_which_the_search_finds_no_rest_is_not_converged():
    found = solve(wild_case(281), FINE)
    assert found.status == "not_converged"
    assert found.iterations == 200


def test_a_search_that_fails_gives_the_best_prices_it_met():
    found = solve(wild_case(281), FINE)
    there = solve(replace(wild_case(281), start=found.prices), replace(FINE, most_iterations=0))
    assert there.residual == found.residual


def test_further_starts_move_every_free_price_on_its_own_and_no_other():
    start, free = np.array([1.0, 2.0, 3.0, 4.0]), np.array([True, True, True, False])
    first, *others = (one / start for one in _starts(start, free, Solver(other_starts=3, seed=1)))
    assert (first == 1.0).all()
    factors = np.array(others)
    assert (factors[:, 3] == 1.0).all()
    assert len(np.unique(factors[:, :3])) == 9
    again = _starts(start, free, Solver(other_starts=3, seed=2))
    assert not (np.array(again[1:]) / start == factors)[:, :3].any()


@pytest.mark.parametrize("money", [1e-9, 1.0, 1e9])
def test_two_solutions_are_told_apart_in_any_unit_of_money(money):
    two, one = wild_case(1), full_case(31, rows=60, money=money)
    two = with_panel(two, price_sensitivity=two.panel.price_sensitivity / money)
    two = replace(two, cost=two.cost * money, start=two.start * money)
    assert solve(two, replace(FINE, other_starts=8)).status == "multiple"
    assert solve(one, replace(FINE, other_starts=4)).status == "nash"


def test_a_price_given_as_zero_is_not_held_by_the_bound():
    case = full_case(37, rows=60)
    given_free = int(np.flatnonzero(case.panel.priced)[0])
    free = case.panel.priced.copy()
    free[given_free] = False
    start = np.where(free, case.start, 0.0)
    found = solve(replace(case, start=start), free=free)
    assert found.prices[given_free] == 0.0
    assert not found.at_zero.any()


def test_another_start_can_save_a_first_that_fails():
    found = solve(wild_case(RESTLESS), replace(FINE, other_starts=8))
    assert found.status == "nash"


def test_an_offer_that_nobody_can_choose_keeps_its_price():
    case = full_case(34)
    lonely = int(np.flatnonzero(case.panel.priced)[2])
    fixed = case.panel.fixed.copy()
    fixed[:, lonely] = -np.inf
    case = with_panel(case, fixed=fixed)
    found = solve(case, FINE)
    assert found.status == "nash"
    assert found.prices[lonely] == case.start[lonely]
    assert np.isnan(markups(case.panel, case.owner, found.prices, case.cost, case.adoption_value).markup[lonely])
    assert np.isnan(implied_costs(case.panel, case.owner, found.prices, case.adoption_value)[lonely])
    nobody = with_panel(case, fixed=np.full_like(fixed, -np.inf))
    found = solve(nobody, FINE)
    assert (found.prices == case.start).all()
    assert found.deviation_gain == 0.0


@binds("stages/demand_panel.py", "evaluate", "np.maximum(nest, TINY)")
def test_a_line_that_some_rows_cannot_choose_reaches_the_floor_of_its_sum():
    case = full_case(35)
    now = demand(case.panel, case.start)
    impossible = np.isneginf(now.nest_value)
    assert impossible.any()
    assert not impossible.all()
    assert TINY > 0.0
    assert np.isfinite(now.within).all()


@binds(
    "stages/equilibrium.py",
    "_solve_from",
    "np.maximum(own + np.clip(step, -0.5 * largest, largest), least)",
)
def test_a_logarithmic_price_stays_positive_when_a_step_would_cut_it_to_zero():
    case = one_type(15, 3, term=LOG)
    case = replace(case, start=case.cost * 1e6)
    found = solve(case)
    assert np.abs(found.prices / solve(one_type(15, 3, term=LOG)).prices - 1.0).max() <= 1e-11
    valued = replace(case, adoption_value=np.full(3, 0.99) * case.cost, start=case.cost * 50.0)
    assert (solve(valued).prices > 0.0).all()
    swallowed = replace(case, adoption_value=5.0 * case.cost, start=case.cost)
    steps = solve(swallowed, replace(QUICK, most_iterations=1))
    assert (steps.prices >= case.cost / equilibrium.LARGEST_CUT).all()


def test_prices_tried_reach_from_nothing_to_a_thousand_margins():
    tried = _tried_prices(3.0, 1.0, 40)
    assert tried[0] == 3.0
    assert tried.min() == 0.0
    assert tried.max() == pytest.approx(1.0 + 2.0 * 1e3)
    at_loss = _tried_prices(0.5, 1.0, 40)
    assert at_loss[0] == 0.5
    assert at_loss.max() == pytest.approx(0.5 + 0.01 * 1e3)
    assert _tried_prices(0.0, 0.0, 40).max() == pytest.approx(1e3)


@binds("stages/deviations.py", "_joint_moves", "np.maximum(0.0, price + scale * size[:, None] * noise)")
@binds("stages/deviations.py", "_joint_moves", "np.maximum(0.0, cost + common[:, None] * (price - cost))")
def test_joint_moves_are_small_and_large_random_ones_and_common_factors_of_margins():
    price, cost = np.array([3.0, 0.5, 2.0]), np.array([1.0, 1.0, 2.0])
    moves = _joint_moves(price, cost, 0, DeviationCheck(joint_moves=400))
    random, common = (moves[:400] / price - 1.0)[:, [0, 2]], moves[400:]
    assert np.abs(random[:20]).max() < 10.0 * SMALLEST_MOVE
    assert LARGEST_MOVE / 2.0 < np.abs(random[-20:]).max() < 5.0 * LARGEST_MOVE
    assert abs(np.corrcoef(random.T)[0, 1]) < 0.3, "every price moves on its own"
    assert (moves >= 0.0).all()
    assert (moves == 0.0).any(), "a price that would be negative is zero"
    factors = (common - cost)[:, 0] / (price - cost)[0]
    assert factors.min() == pytest.approx(1.0 / MARGIN_RANGE)
    assert factors.max() == pytest.approx(MARGIN_RANGE)
    assert (common[:, 2] == 2.0).all(), "without a margin there is nothing to multiply"
    assert common[:, 1] == pytest.approx(np.maximum(0.0, 1.0 - 0.5 * factors))
    other = _joint_moves(price, cost, 1, DeviationCheck(joint_moves=400))
    assert (other[:400, 0] != moves[:400, 0]).all()
    assert (_joint_moves(price, cost, 0, DeviationCheck(joint_moves=400, seed=1))[:400, 0] != moves[:400, 0]).all()


@binds(
    "stages/deviations.py",
    "deviation_gains",
    "max(abs(float(earned[:, mine].sum())), 1e-06 * float(turnover[mine].sum()))",
)
def test_a_lab_that_earns_nothing_on_balance_has_a_finite_gain():
    """Adoption value and loss cancel: profit is no scale, turnover is."""
    case = logit_case(np.ones((1, 2)), np.ones(1), np.ones(1), np.ones(2))
    case = replace(case, adoption_value=np.array([0.5, 0.0]))
    prices = np.array([0.5, 2.0])
    found = deviation_gains(
        case.panel,
        case.owner,
        prices,
        case.cost,
        case.adoption_value,
        free=np.array([True, True]),
        check=DeviationCheck(margins=50, joint_moves=0),
    )
    assert np.isfinite(found).all()
    assert found[0] > 1e3
    assert 0.0 < found[1] < 1.0, "of the profit of the other lab, which has one"


def test_utilities_far_apart_give_gains_and_no_nan():
    """The second lab has priced itself out of the market: its profit is no scale for what it could gain."""
    case = logit_case(np.array([[5e3, 0.0], [0.0, 5e3]]), np.array([50.0, 2e3]), np.ones(2), np.ones(2))
    found = deviation_gains(
        case.panel,
        case.owner,
        np.array([2.0, 3.0]),
        case.cost,
        case.adoption_value,
        free=np.array([True, True]),
        check=DeviationCheck(margins=100),
    )
    assert 1.0 < found[0] < np.inf
    assert found[1] == np.inf


@binds("stages/demand_panel.py", "prepare", "min(rows, first + BLOCK)")
def test_blocks_of_rows_are_whole_and_the_last_is_short():
    ready = prepare(full_case(36, rows=600).panel, full_case(36, rows=600).owner)
    assert [len(block.weight) for block in ready.blocks] == [512, 88]
    assert [block.rows for block in ready.blocks] == [slice(0, 512), slice(512, 600)]


@binds(
    "stages/host_entry.py", "free_entry", "np.maximum(LEAST_HOSTS, np.floor(np.sqrt(transport * tokens / fixed_cost)))"
)
def test_there_are_never_fewer_than_two_hosts():
    tokens = np.array([0.0, 1.0, 1e3, 1e6])
    hosts = free_entry(2.0, tokens, 20.0)
    assert hosts.tolist() == [2, 2, 10, 316]
    assert host_markup(2.0, hosts).tolist() == [1.0, 1.0, 0.2, pytest.approx(2.0 / 316)]
    assert host_elasticity(np.array(0.37), 2.0, 6) == pytest.approx(-1.11)
