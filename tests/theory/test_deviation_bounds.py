"""Every floor, cap and limit of the search for deviations, and of the scales of prices and utilities, binds once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim.market.stages.demand_panel import demand
from sim.market.stages.deviations import (
    DeviationCheck,
    _joint_moves,
    _log_add,
    _log_sum,
    _tried_prices,
    deviation_gains,
)
from sim.theory.panels import full_case, logit_case, one_type
from tests.market.guards import binds

from .worlds import QUICK, solve, with_panel

FILE = "stages/deviations.py"


def gains(case, prices, **search):
    return deviation_gains(
        case.panel,
        case.owner,
        prices,
        case.cost,
        case.adoption_value,
        free=case.panel.priced,
        check=DeviationCheck(**search),
    )


def tried_reach(price, cost):
    """Return the lower end of the grid of margins, as a price, and its middle margin."""
    grid = _tried_prices(price, cost, 41)[-41:]
    return grid[0] - (grid[20] - grid[0]) / 999.0, (grid[20] - grid[0]) / 0.999


@binds(FILE, "_tried_prices", "np.maximum(cost, 0.0)")
@binds(FILE, "_tried_prices", "np.minimum(np.maximum(cost, 0.0), price)")
@pytest.mark.parametrize(("price", "cost", "floor"), [(3.0, 1.0, 1.0), (3.0, -1.0, 0.0), (0.5, 1.0, 0.5)])
def test_margins_are_tried_over_cost_but_over_the_price_of_who_sells_below_it_and_never_below_zero(price, cost, floor):
    assert tried_reach(price, cost)[0] == pytest.approx(floor, abs=1e-12)


@binds(FILE, "_tried_prices", "np.maximum(price - floor, LEAST_MARGIN * np.maximum(price, cost))")
@binds(FILE, "_tried_prices", "np.maximum(price, cost)")
@pytest.mark.parametrize(
    ("price", "cost", "margin"), [(3.0, 1.0, 2.0), (3.0, 2.999, 0.03), (0.5, 4.0, 0.04), (0.0, 0.0, 1.0)]
)
def test_the_margin_tried_is_that_of_the_price_or_a_hundredth_of_price_or_cost_or_one(price, cost, margin):
    assert tried_reach(price, cost)[1] == pytest.approx(margin, rel=1e-9)


@binds(FILE, "_tried_prices", "max(2, number // 8)")
@pytest.mark.parametrize(("number", "below"), [(8, 2), (23, 2), (24, 3), (80, 10)])
def test_an_eighth_as_many_prices_below_cost_are_tried_and_at_least_two(number, below):
    assert len(_tried_prices(3.0, 1.0, number)) == 1 + below + number


@binds(FILE, "_joint_moves", "np.maximum(price, np.maximum(cost, 0.0))")
def test_random_moves_are_relative_to_the_price_or_to_a_higher_cost():
    def moves(cost):
        found = _joint_moves(np.array([3.0]), np.array([cost]), 0, DeviationCheck(joint_moves=9))[:5, 0] - 3.0
        assert (np.abs(found) < 3.0).all(), "none is cut off at zero"
        return found

    assert (moves(1.0) == moves(3.0)).all()
    assert moves(6.0) == pytest.approx(2.0 * moves(3.0))


@binds(FILE, "_log_sum", "values.max(axis=1, initial=-np.inf)")
def test_the_sum_of_nothing_is_nothing_and_that_of_large_terms_does_not_overflow():
    assert _log_sum(np.empty((2, 0))).tolist() == [-np.inf, -np.inf]
    assert _log_sum(np.array([[-np.inf, 2.0], [900.0, 900.0]])).tolist() == [2.0, 900.0 + np.log(2.0)]


@binds(FILE, "_log_add", "np.maximum(one, other)")
def test_two_terms_are_added_whichever_is_the_larger():
    one, other = np.array([900.0, -900.0, -np.inf, 900.0]), np.array([-900.0, 900.0, 5.0, 900.0])
    assert _log_add(one, other).tolist() == [900.0, 900.0, 5.0, 900.0 + np.log(2.0)]


@binds(FILE, "_single_gain", "max(1, len(rows))")
@binds(FILE, "_single_gain", "max(1, CHUNK // max(1, len(rows)))")
@pytest.mark.parametrize("rows", [0, 1, 70_000])
def test_prices_are_tried_a_few_at_a_time_however_many_rows_can_choose_the_offer(rows):
    """None of them, all prices at once, or so many that there is room for one price."""
    count = max(rows, 1)
    case = logit_case(np.zeros((count, 1)), np.ones(count), np.full(count, 1.0 / count), np.ones(1))
    if rows == 0:
        case = with_panel(case, fixed=np.full((1, 1), -np.inf))
    found = gains(case, np.array([1.5]), margins=33, joint_moves=0)
    assert found[0] == pytest.approx(0.0 if rows == 0 else GAIN_AT_ONE_AND_A_HALF, rel=1e-9)


# One type with alpha 1 and cost 1: profit (p - 1) / (1 + e^p), at the best of the margins tried over that at 1.5.
_MARGINS = 0.5 * np.exp(np.linspace(-np.log(1e3), np.log(1e3), 33))
GAIN_AT_ONE_AND_A_HALF = float((_MARGINS / (1.0 + np.exp(1.0 + _MARGINS))).max() / (0.5 / (1.0 + np.exp(1.5))) - 1.0)


@binds(FILE, "_single_gain", "np.minimum(freed, LARGEST_EXPONENT)")
@binds(FILE, "_single_gain", "np.minimum(in_nest, LARGEST_EXPONENT)")
@pytest.mark.parametrize(
    ("behind", "nest", "best"),
    [(600.0, [0, 1], 1e3), (600.0, [0, 0], 1e3), (800.0, [0, 1], 1e3), (800.0, [0, 0], 10.0 ** (3.0 - 6.0 / 32.0))],
)
def test_what_a_dearer_offer_gives_back_to_the_others_of_its_lab_is_finite(behind, nest, best):
    """All buy the first offer for 1; where it asks for 1000 all buy the second for as much.

    Where less than exp(-700) of them bought the second before, its line is no alternative to the search; in the same
    line, what it would earn is lost to it.
    """
    quality = np.array([[0.0, 1e3 - 1.0 - behind]])
    case = logit_case(quality, np.ones(1), np.ones(1), np.zeros(2), owner=np.zeros(2, np.int64))
    case = with_panel(case, nest=np.array(nest), outside=np.array([-1e4]))
    found = gains(case, np.array([1.0, 1e3]), margins=33, joint_moves=0)
    assert found[0] == pytest.approx(best - 1.0, rel=1e-9)


@binds(FILE, "deviation_gains", "max(0.0, _joint_gain(lab, int(number), check), *singles)")
def test_a_lab_that_loses_by_every_move_gains_nothing_and_one_that_wins_by_some_gains_what_the_best_gives():
    case = one_type(3, 4, owner=np.array([0, 0, 1, 1]))
    rest = solve(case, replace(QUICK, tolerance=1e-13)).prices
    assert gains(case, rest, margins=8, joint_moves=2).tolist() == [0.0, 0.0]
    moved = rest + np.array([1.5, 1.5, 0.0, 0.0])
    single, joint = (gains(case, moved, margins=8, joint_moves=moves)[0] for moves in (0, 200))
    assert joint > single > 0.0
    alone = rest + np.array([0.3, 0.0, 0.0, 0.0])
    assert gains(case, alone, margins=400, joint_moves=2)[0] > gains(case, alone, margins=2, joint_moves=2)[0]


@binds("stages/demand_panel.py", "evaluate", "np.maximum(member.max(axis=0), block.keep)")
@binds("stages/demand_panel.py", "evaluate", "np.maximum(np.maximum(member.max(axis=0), block.keep), block.outside)")
@pytest.mark.parametrize("best", [0, 1, 2, 3])
def test_whichever_option_is_the_best_sets_the_scale_so_that_nothing_overflows(best):
    utility = np.zeros(4)
    utility[best] = 900.0
    case = logit_case(utility[None, :2], np.ones(1), np.ones(1), np.ones(2))
    now = demand(with_panel(case, keep=utility[2:3], outside=utility[3:]).panel, np.zeros(2))
    found = [*now.probability[0], now.keep[0], now.outside[0]]
    assert found == [float(option == best) for option in range(4)]
    assert now.logsum[0] == 900.0


@binds("stages/equilibrium.py", "_Conditions.at", "np.maximum(own, wanted)")
@binds("stages/equilibrium.py", "_Conditions.at", "np.maximum(np.maximum(own, wanted), np.abs(cost))")
@pytest.mark.parametrize(("start", "cost", "residual"), [(100.0, 0.0, 0.98), (1.0, 0.0, 0.5), (1.0, -1e6, 1e-6)])
def test_the_distance_from_the_price_asked_for_is_relative_to_the_largest_of_both_and_cost(start, cost, residual):
    """A monopoly at alpha 1/2 that next to nobody buys from asks for 2 over cost, and never for less than nothing."""
    case = logit_case(np.array([[-50.0]]), np.array([0.5]), np.ones(1), np.array([cost]))
    found = solve(replace(case, start=np.array([start])), replace(QUICK, most_iterations=0))
    assert found.residual == pytest.approx(residual, rel=1e-6)


@binds(
    "stages/equilibrium.py",
    "_Conditions.at",
    "np.divide(np.abs(move), scale, out=np.zeros(len(own)), where=move != 0.0).max(initial=0.0)",
)
def test_where_nobody_sets_a_price_all_are_at_rest():
    case = full_case(31, rows=60)
    found = solve(case, free=np.zeros(len(case.cost), bool))
    assert (found.residual, found.iterations) == (0.0, 0)
    assert (found.prices == case.start).all()
    assert solve(case, replace(QUICK, most_iterations=0)).residual > 0.01
