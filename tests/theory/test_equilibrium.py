"""Prices that no lab wants to change: conditions, deviations, status, and what must and need not follow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.market.stages.demand_panel import demand, prepare, price_derivatives
from sim.market.stages.deviations import DeviationCheck, deviation_gains
from sim.market.stages.equilibrium import Solver, solve_prices
from sim.market.stages.implied_costs import implied_costs
from sim.market.stages.markups import largest_capture, markups, profits
from sim.market.stages.newton import gradient_derivatives, solve_linear
from sim.market.stages.price_terms import LINEAR, LOG
from sim.theory.equilibria import profit_slopes
from sim.theory.panels import Case, full_case, joint_ownership, logit_case, normals, one_type, several_types

from .worlds import FINE, QUICK, permuted, solve, wild_case, with_panel

CASE = full_case(41, rows=300)
FOUND = solve(CASE, FINE)
SOLD = np.flatnonzero(CASE.panel.priced)


def gains(case: Case, prices: np.ndarray, **search) -> np.ndarray:
    return deviation_gains(
        case.panel,
        case.owner,
        prices,
        case.cost,
        case.adoption_value,
        free=case.panel.priced,
        check=DeviationCheck(**search),
    )


@settings(derandomize=True, deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 10**6),
    labs=st.integers(1, 5),
    term=st.sampled_from(["bill", "linear"]),
    dissimilarity=st.floats(0.3, 1.0),
)
def test_conditions_hold_and_costs_come_back_in_any_market(seed, labs, term, dissimilarity):
    case = full_case(seed, rows=80, labs=labs)
    case = with_panel(case, dissimilarity=dissimilarity)
    if term == "linear":
        # Needs of one, or a large bill would make demand a step.
        ones = np.ones(80)
        case = with_panel(case, term=LINEAR, need=ones, pain=ones)
    found = solve(case, replace(QUICK, tolerance=1e-12))
    assert found.status == "local_only", "nothing was searched, so nothing better may be said"
    sold = case.panel.priced & ~found.at_zero
    loaded = markups(case.panel, case.owner, found.prices, case.cost, case.adoption_value).loaded_tokens
    assert np.abs(profit_slopes(case, found.prices)[sold] / loaded[sold]).max() <= 1e-9
    costs = implied_costs(case.panel, case.owner, found.prices, case.adoption_value)
    assert np.abs(costs[sold] / case.cost[sold] - 1.0).max() <= 1e-9


def test_no_lab_gains_by_leaving_on_its_own():
    assert FOUND.status == "nash"
    assert FOUND.deviation_gain <= 1e-9
    assert gains(CASE, FOUND.prices, margins=400, joint_moves=200).max() <= 1e-9


def test_the_search_finds_a_gain_where_there_is_one():
    for offer in SOLD[:4]:
        moved = FOUND.prices.copy()
        moved[offer] *= 1.05
        found = gains(CASE, moved, margins=400, joint_moves=0)
        assert found[CASE.owner[offer]] > 1e-5
        assert found.argmax() == CASE.owner[offer]


def test_the_gain_found_is_the_gain_in_profit():
    """Against a plain loop over prices, profits computed anew at each."""
    moved = FOUND.prices.copy()
    moved[SOLD] *= np.exp(0.3 * normals(1, "moved", len(SOLD)))
    found = gains(CASE, moved, margins=300, joint_moves=0)
    before = profits(CASE.panel, CASE.owner, moved, CASE.cost, CASE.adoption_value)
    for lab in (0, 1):
        best = 0.0
        for offer in SOLD[CASE.owner[SOLD] == lab]:
            for margin in np.exp(np.linspace(-3.0, 3.0, 150)):
                tried = moved.copy()
                tried[offer] = CASE.cost[offer] + margin * abs(moved[offer] - CASE.cost[offer])
                after = profits(CASE.panel, CASE.owner, tried, CASE.cost, CASE.adoption_value)
                best = max(best, after[lab] / before[lab] - 1.0)
        assert found[lab] == pytest.approx(best, rel=2e-2)
        assert best > 1e-3


def test_joint_moves_find_a_gain_that_no_single_price_gives():
    """Two offers of one lab far too dear together: cutting both is worth more than cutting one."""
    case = one_type(3, 4, owner=np.array([0, 0, 1, 1]))
    prices = solve(case).prices
    prices[:2] += 1.5
    alone, joint = gains(case, prices, margins=200, joint_moves=0), gains(case, prices, margins=200, joint_moves=200)
    assert joint[0] > alone[0] * 1.01
    moves = gains(case, solve(case).prices, margins=50, joint_moves=300)
    assert moves.max() <= 1e-12


def test_conditions_without_equilibrium_are_local_only():
    found = solve(wild_case(3), FINE)
    assert found.residual <= 1e-12
    assert found.status == "local_only"
    assert found.deviation_gain > 0.5
    case = wild_case(3)
    assert largest_capture(prepare(case.panel, case.owner), found.prices) > 0.5


def test_different_starts_with_different_ends_are_multiple_and_all_are_reported():
    found = solve(wild_case(1), replace(FINE, other_starts=8))
    assert found.status == "multiple"
    assert len(found.solutions) == 2
    assert np.abs(found.solutions[0] / found.solutions[1] - 1.0).max() > 1e-3
    assert found.deviation_gain <= 1e-9, "the one returned is the one no lab wants to leave"
    alone = solve(wild_case(1), FINE)
    assert alone.status == "local_only"
    assert (np.abs(found.solutions - alone.prices).max(axis=1) < 1e-6).any()


def test_starting_prices_do_not_matter_where_the_status_is_nash():
    for seed in range(20):
        start = CASE.cost * np.exp(1.5 * normals(seed, "my start", len(CASE.cost)))
        again = solve(replace(CASE, start=start))
        assert np.abs(again.prices / FOUND.prices - 1.0)[SOLD].max() <= 1e-8


def test_a_warm_start_needs_fewer_iterations():
    later = replace(CASE, cost=CASE.cost * 0.98)
    cold = solve(later)
    warm = solve(replace(later, start=FOUND.prices))
    assert warm.iterations < cold.iterations
    assert solve(replace(CASE, start=FOUND.prices)).iterations == 0


def test_profit_is_concave_in_own_prices_at_the_solution():
    ready = prepare(CASE.panel, CASE.owner)
    columns = ready.order[ready.priced]
    matrix = gradient_derivatives(ready, FOUND.prices, CASE.cost, CASE.adoption_value)
    for lab in np.unique(CASE.owner):
        own = np.flatnonzero(CASE.owner[columns] == lab)
        block = matrix[np.ix_(own, own)]
        assert np.abs(block - block.T).max() <= 1e-12 * np.abs(block).max()
        assert np.linalg.eigvalsh(block).max() < 0.0


@pytest.mark.parametrize("labs", [2, 5])
def test_order_of_rows_and_offers_does_not_matter(labs):
    case = full_case(42, rows=150, labs=labs)
    rows = np.argsort(normals(2, "rows", 150))
    offers = np.argsort(normals(2, "offers", len(case.cost)))
    before, after = solve(case), solve(permuted(case, rows, offers))
    sold = case.panel.priced[offers]
    assert np.abs(after.prices / before.prices[offers] - 1.0)[sold].max() <= 1e-10


def test_names_of_labs_do_not_matter():
    renamed = replace(CASE, owner=7 - 2 * CASE.owner)
    found = solve(renamed, FINE)
    assert np.abs(found.prices / FOUND.prices - 1.0)[SOLD].max() <= 1e-10
    assert len(found.lab_gain) == 8


def test_own_cost_rise_raises_own_price():
    for seed in range(40):
        case = several_types(seed, 4, 60)
        dearer = case.cost.copy()
        dearer[1] += 0.05
        rise = solve(replace(case, cost=dearer)).prices[1] - solve(case).prices[1]
        assert rise > 0.0


def test_merging_single_product_firms_raises_their_prices():
    for seed in range(40):
        case = several_types(seed, 5, 60)
        merged = replace(case, owner=np.array([0, 0, 2, 3, 4]))
        assert (solve(merged).prices[:2] >= solve(case).prices[:2]).all()


def test_together_rivals_earn_more_at_higher_prices():
    joint = joint_ownership(CASE)
    together = solve(joint)
    apart = profits(CASE.panel, CASE.owner, FOUND.prices, CASE.cost, CASE.adoption_value).sum()
    assert profits(joint.panel, joint.owner, together.prices, joint.cost, joint.adoption_value).sum() > apart


def test_adoption_value_lowers_prices_one_for_one_where_all_use_counts_alike():
    """A closed model, loading one: valuing a token by a is having costs lower by a."""
    case = several_types(9, 5, 40)
    valued = solve(replace(case, adoption_value=np.full(5, 0.2))).prices
    assert np.abs(valued / solve(replace(case, cost=case.cost - 0.2)).prices - 1.0).max() <= 1e-11


def test_hosted_use_of_own_weights_softens_the_price_of_the_own_service():
    """The complement strategy: what hosts win is not lost to a lab that values use."""
    without = solve(replace(CASE, adoption_value=np.where(CASE.panel.priced, CASE.adoption_value, 0.0)))
    open_lines = [j for j in SOLD if (CASE.panel.nest == CASE.panel.nest[j]).sum() > 1]
    assert (FOUND.prices[open_lines] > without.prices[open_lines]).all()


def test_markups_have_the_form_of_the_model_page_at_loading_one():
    """m_j = [Q_j + sum m_k Gamma_kj] / Lambda_j, each Gamma summed on its own."""
    panel = replace(CASE.panel, loading=(CASE.panel.loading > 0.0).astype(float))
    prices = 1.5 * CASE.cost
    now = markups(panel, CASE.owner, prices, CASE.cost, CASE.adoption_value)
    share = demand(panel, prices)
    slope = panel.loading * (panel.price_sensitivity * panel.need / panel.pain)[:, None]
    slope /= 1.0 + (prices * panel.loading + panel.base_price) * (panel.need / panel.pain)[:, None]
    tokens = panel.weight[:, None] * share.quantity * share.probability
    lam = panel.dissimilarity
    bend = slope / panel.price_sensitivity[:, None]
    own = (tokens * (slope / lam + bend)).sum(axis=0)
    margin = np.where(panel.priced, prices - CASE.cost, 0.0) + CASE.adoption_value
    for j in SOLD:
        total = tokens[:, j].sum()
        for k in np.flatnonzero(CASE.owner == CASE.owner[j]):
            near = share.probability[:, j].copy()
            if panel.nest[k] == panel.nest[j]:
                near += (1.0 / lam - 1.0) * share.within[:, j]
            total += margin[k] * (tokens[:, k] * slope[:, j] * near).sum()
        assert now.markup[j] + CASE.adoption_value[j] == pytest.approx(total / own[j], rel=1e-12)
        assert now.own_slope[j] == pytest.approx(own[j], rel=1e-12)
        assert now.loaded_tokens[j] == pytest.approx(tokens[:, j].sum(), rel=1e-12)


def test_newton_derivatives_in_a_nest_with_several_list_prices():
    case = full_case(43, rows=60)
    loading = np.where(case.panel.priced, case.panel.loading, 0.7)
    case = with_panel(case, loading=loading, base_price=0.2 + 0.0 * loading)
    ready, prices = prepare(case.panel, case.owner), 1.4 * case.cost
    columns = ready.order[ready.priced]
    assert len(columns) == len(case.cost)
    found = gradient_derivatives(ready, prices, case.cost, case.adoption_value)
    for place, offer in enumerate(columns):
        step = 1e-5 * prices[offer]
        sides = []
        for side in (step, -step):
            moved = prices.copy()
            moved[offer] += side
            sides.append(markups(case.panel, case.owner, moved, case.cost, case.adoption_value).gradient[columns])
        right = (sides[0] - sides[1]) / (2.0 * step)
        assert np.abs(found[:, place] - right).max() <= 1e-7 * np.abs(right).max()


def test_firms_may_share_a_nest():
    """Rivals in one nest, as in a nested logit of brands: equal firms, whose markup solves one equation."""
    case = logit_case(np.ones((1, 3)), np.ones(1), np.ones(1), np.ones(3))
    case = with_panel(case, nest=np.zeros(3, int), dissimilarity=0.5)
    found = solve(case, FINE)
    share = demand(case.panel, found.prices)
    right = 1.0 / (1.0 / 0.5 - (1.0 / 0.5 - 1.0) * share.within[0] - share.probability[0])
    assert np.abs((found.prices - 1.0) / right - 1.0).max() <= 1e-11
    assert found.status == "nash"


def test_costs_come_back_where_some_prices_are_given():
    held = SOLD[:2]
    free = CASE.panel.priced.copy()
    free[held] = False
    found = solve(CASE, free=free)
    assert (found.prices[held] == CASE.start[held]).all()
    known = np.where(free, np.nan, CASE.cost)
    costs = implied_costs(CASE.panel, CASE.owner, found.prices, CASE.adoption_value, cost=known, free=free)
    assert np.abs(costs[free] / CASE.cost[free] - 1.0).max() <= 1e-10
    with pytest.raises(ValueError, match="costs of offers with a list price that is not free"):
        implied_costs(CASE.panel, CASE.owner, found.prices, CASE.adoption_value, free=free)


def test_implied_costs_are_the_costs_at_which_prices_stay():
    prices = CASE.start * np.exp(0.1 * normals(3, "posted", len(CASE.cost)))
    costs = implied_costs(CASE.panel, CASE.owner, prices, CASE.adoption_value)
    costs = np.where(CASE.panel.priced, costs, 0.0)
    assert solve(replace(CASE, cost=costs, start=prices)).iterations == 0


def test_capture_is_the_largest_share_of_a_lab_in_a_row():
    share = demand(CASE.panel, FOUND.prices).probability
    by_lab = np.stack([share[:, CASE.owner == lab].sum(axis=1) for lab in range(4)])
    assert largest_capture(prepare(CASE.panel, CASE.owner), FOUND.prices) == pytest.approx(by_lab.max(), rel=1e-12)


def test_profits_are_summed_by_the_lab_whose_weights_are_used():
    share = demand(CASE.panel, FOUND.prices)
    for lab in range(4):
        total = 0.0
        for j in np.flatnonzero(CASE.owner == lab):
            tokens = CASE.panel.weight * share.quantity[:, j] * share.probability[:, j]
            price = (FOUND.prices[j] - CASE.cost[j]) if CASE.panel.priced[j] else 0.0
            total += (tokens * (CASE.panel.loading[:, j] * price + CASE.adoption_value[j])).sum()
        found = profits(CASE.panel, CASE.owner, FOUND.prices, CASE.cost, CASE.adoption_value)[lab]
        assert found == pytest.approx(total, rel=1e-12)


def test_prices_of_the_logarithmic_term_are_a_share_over_cost():
    case = one_type(12, 5, term=LOG)
    found = solve(case)
    share = demand(case.panel, found.prices).probability[0]
    assert np.abs(found.prices / (case.cost * (1.0 + 1.0 / (1.3 * (1.0 - share)))) - 1.0).max() <= 1e-11


def test_linear_systems_are_solved_with_pivots():
    matrix = np.array([[0.0, 2.0, 1.0], [1.0, 0.0, 3.0], [4.0, 1.0, 0.0]])
    side = np.array([1.0, -2.0, 0.5])
    assert np.abs((matrix * solve_linear(matrix, side)).sum(axis=1) - side).max() <= 1e-14
    assert np.abs(solve_linear(matrix, np.eye(3)) - np.linalg.inv(matrix)).max() <= 1e-14
    with pytest.raises(ZeroDivisionError, match="singular"):
        solve_linear(np.zeros((2, 2)), np.ones(2))


def test_the_seed_moves_random_starts_and_nothing_else():
    one, other = solve(wild_case(52), Solver(other_starts=3)), solve(wild_case(52), Solver(other_starts=3))
    assert (one.prices == other.prices).all()
    assert one.status == other.status


def test_matrix_of_derivatives_gives_the_gradient_of_every_lab():
    prices = 1.3 * CASE.cost
    right = markups(CASE.panel, CASE.owner, prices, CASE.cost, CASE.adoption_value).gradient
    found = profit_slopes(CASE, prices)
    assert np.abs(found[SOLD] - right[SOLD]).max() <= 1e-12 * np.abs(right).max()
    assert price_derivatives(CASE.panel, prices).shape == (len(prices), len(prices))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"start": CASE.start * -1.0}, "starting prices must be finite and 0 or more"),
        ({"start": CASE.start * np.nan}, "starting prices must be finite and 0 or more"),
        ({"free": np.ones(len(CASE.cost), bool)}, "a free offer must have a list price"),
        ({"panel": replace(CASE.panel, term=LOG), "cost": 0.0 * CASE.cost}, "needs positive costs"),
    ],
)
def test_wrong_inputs_are_refused_with_a_reason(change, words):
    given_ = {"panel": CASE.panel, "cost": CASE.cost, "start": CASE.start} | change
    with pytest.raises(ValueError, match=words):
        solve_prices(owner=CASE.owner, adoption_value=CASE.adoption_value, **given_)


def test_what_rivals_in_the_same_nest_earn_is_no_gain():
    case = logit_case(np.ones((1, 4)), np.ones(1), np.ones(1), np.ones(4), owner=np.array([0, 0, 1, 1]))
    case = with_panel(case, nest=np.zeros(4, int), dissimilarity=0.5)
    assert solve(case, FINE).status == "nash"
    assert gains(case, solve(case).prices, margins=10, joint_moves=200).max() <= 1e-12
