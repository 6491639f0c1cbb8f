"""Floors and limits of the compiled conditions of prices bind here, against the plain ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim.market.kernels.fold import ROWS
from sim.market.kernels.price_panel import CompiledConditions
from sim.market.stages.deviations import DeviationCheck
from sim.market.stages.price_conditions import PlainConditions
from sim.market.stages.price_terms import BILL
from sim.theory.panels import full_case, logit_case
from tests.market.guards import binds
from tests.theory.worlds import with_panel

CHECK = DeviationCheck(margins=40, joint_moves=10)


def both(case):
    """Return the plain and the compiled conditions of a case."""
    arguments = (case.panel, case.owner, case.cost, case.adoption_value)
    plain, compiled = PlainConditions.of(*arguments), CompiledConditions.of(*arguments)
    assert compiled is not None
    return plain, compiled


def close(found, wanted, rtol=1e-9):
    """Assert that numbers agree; what is left of a difference counts against the largest."""
    assert np.array_equal(np.isnan(found), np.isnan(wanted))
    size = np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0)
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=1e-12 * size)


def agree(case, prices):
    """Assert that conditions, derivatives and gains at some prices are the same."""
    plain, compiled = both(case)
    one, other = plain.at(prices), compiled.at(prices)
    for name in ("markup", "loaded_tokens", "own_slope", "gradient"):
        close(getattr(other, name), getattr(one, name))
    close(compiled.derivatives(prices), plain.derivatives(prices))
    free = case.panel.priced
    close(compiled.gains(prices, free, CHECK), plain.gains(prices, free, CHECK), rtol=1e-7)


@binds("kernels/fold.py", "fold", "min(ROWS, len(weight) - first)")
@pytest.mark.parametrize("rows", [1, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS, 300])
def test_conditions_derivatives_and_gains_are_the_plain_ones_whatever_the_number_of_rows(rows):
    case = full_case(41, rows=rows)
    for factor in (1.0, 1.7, 0.4):
        agree(case, factor * case.start)


@binds("kernels/fold.py", "powers", "x[r] if x[r] > TINY else TINY")
@binds("kernels/prices.py", "_choices", "total[r] if total[r] > TINY else TINY")
def test_a_line_that_some_or_all_rows_cannot_choose_has_no_part_in_anything():
    """The sum of its exponentials is zero; what divides by it, and its power, stay finite."""
    case = full_case(43, rows=200)
    line = case.panel.nest[np.flatnonzero(case.panel.priced)[0]]
    fixed = case.panel.fixed.copy()
    fixed[:150, case.panel.nest == line] = -np.inf
    agree(with_panel(case, fixed=fixed), case.start)
    fixed[:, case.panel.nest == line] = -np.inf
    case = with_panel(case, fixed=fixed)
    agree(case, case.start)
    _, compiled = both(case)
    found = compiled.at(case.start)
    assert np.isnan(found.markup[case.panel.priced & (case.panel.nest == line)]).all()
    assert np.isfinite(found.markup[case.panel.priced & (case.panel.nest != line)]).all()


@binds("kernels/price_panel.py", "CompiledConditions.gains", "np.maximum(np.abs(earned), 1e-06 * np.abs(turnover))")
def test_a_lab_that_earns_nothing_on_balance_has_a_finite_gain():
    """Adoption value and loss cancel: profit is no scale, turnover is."""
    case = logit_case(np.ones((1, 2)), np.ones(1), np.ones(1), np.ones(2))
    case = replace(with_panel(case, term=BILL), adoption_value=np.array([0.5, 0.0]))
    _, compiled = both(case)
    found = compiled.gains(np.array([0.5, 2.0]), np.array([True, True]), DeviationCheck(margins=50, joint_moves=0))
    assert np.isfinite(found).all()
    assert found[0] > 1e3
    assert 0.0 < found[1] < 1.0, "of the profit of the other lab, which has one"
