"""Kernels of prices against their twins in NumPy, and the same bits whatever instructions they are compiled to."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from sim import rng
from sim.market.kernels import sums
from sim.market.kernels.compiled import kernel
from sim.market.kernels.price_panel import FARTHEST, CompiledConditions
from sim.market.stages import equilibrium
from sim.market.stages.demand_panel import prepare
from sim.market.stages.deviations import DeviationCheck
from sim.market.stages.newton import gradient_derivatives, solve_linear
from sim.market.stages.price_conditions import PlainConditions, price_conditions
from sim.market.stages.price_terms import LINEAR
from sim.theory.panels import Case, full_case
from tests.market.guards import binds

from . import exact
from .processors import PROCESSORS, needs, target

CASE = full_case(41, rows=300)
MOVES = DeviationCheck(margins=8, joint_moves=3)


def with_panel(**changes) -> Case:
    return replace(CASE, panel=replace(CASE.panel, **changes))


CASES = {
    "lines of one lab": CASE,
    "one block of rows": full_case(42, rows=60, labs=2),
    "two labs": full_case(43, rows=130, labs=2),
    "lambda of one": with_panel(dissimilarity=1.0),
    "every offer with a list price": with_panel(
        loading=np.where(CASE.panel.priced, CASE.panel.loading, 0.7), base_price=np.zeros_like(CASE.panel.base_price)
    ),
    "labs that share nests": with_panel(nest=CASE.panel.nest // 2),
    "two labs in every nest": with_panel(nest=CASE.panel.nest % 5),
    "one nest for all": with_panel(nest=np.zeros_like(CASE.panel.nest)),
    "labs with numbers left out": replace(CASE, owner=9 - 2 * CASE.owner),
    "no adoption value": replace(CASE, adoption_value=np.zeros(len(CASE.cost))),
    "rows without weight": with_panel(weight=np.where(np.arange(300) % 3 == 0, 0.0, CASE.panel.weight)),
    "offers that nobody knows": with_panel(fixed=np.where(CASE.panel.nest < 2, -np.inf, CASE.panel.fixed)),
    "a line far better than all": with_panel(fixed=CASE.panel.fixed + 250.0 * (CASE.panel.nest == 3)),
    "all far worse than nothing": with_panel(fixed=CASE.panel.fixed - 2000.0),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def both(request):
    """The conditions of a case in kernels and in NumPy, and its prices."""
    case = request.param
    parts = (case.panel, case.owner, case.cost, case.adoption_value)
    compiled = price_conditions(*parts)
    assert isinstance(compiled, CompiledConditions)
    return compiled, PlainConditions.of(*parts), 1.4 * case.cost


def close(found, right, tolerance=2e-13):
    assert np.array_equal(np.isnan(found), np.isnan(right))
    scale = np.nanmax(np.abs(right), initial=0.0)
    assert np.nanmax(np.abs(found - right), initial=0.0) <= tolerance * scale


def test_conditions_are_those_of_the_twin(both):
    compiled, plain, prices = both
    for where in (prices, 3.0 * prices, 0.0 * prices):
        found, right = compiled.at(where), plain.at(where)
        for name in ("markup", "loaded_tokens", "own_slope", "gradient"):
            close(getattr(found, name), getattr(right, name))


def test_derivatives_are_those_of_the_twin_with_and_without_a_move(both):
    compiled, plain, prices = both
    assert np.array_equal(compiled.columns, plain.columns)
    move = 0.3 * prices * np.sin(np.arange(len(prices)))
    for way in (None, move):
        close(compiled.derivatives(prices, way), plain.derivatives(prices, way))


def test_gains_from_leaving_are_those_of_the_twin(both):
    compiled, plain, prices = both
    free = compiled.at(prices).own_slope > 0.0
    free[np.flatnonzero(free)[:1]] = False
    if not free.any():
        assert not plain.at(prices).loaded_tokens.any()
        return
    for where in (prices, 0.4 * prices):
        found, right = compiled.gains(where, free, MOVES), plain.gains(where, free, MOVES)
        assert found == pytest.approx(right, rel=1e-11, abs=1e-12)


def test_with_a_move_derivatives_are_those_of_the_move():
    """Lambda times the derivative of what the conditions ask for, against differences."""
    case = full_case(44, rows=90)
    terms = PlainConditions.of(case.panel, case.owner, case.cost, case.adoption_value)
    prices = 1.6 * case.cost

    def move(at):
        return case.cost + terms.at(at).markup - at

    found = terms.derivatives(prices, move(prices)) / terms.at(prices).own_slope[terms.columns][:, None]
    for place, offer in enumerate(terms.columns):
        step = 1e-5 * prices[offer]
        up, down = prices.copy(), prices.copy()
        up[offer] += step
        down[offer] -= step
        right = (move(up) - move(down))[terms.columns] / (up[offer] - down[offer])
        assert np.abs(found[:, place] - right).max() <= 1e-8
    ready = prepare(case.panel, case.owner)
    still = gradient_derivatives(ready, prices, case.cost, case.adoption_value)
    assert np.array_equal(still, terms.derivatives(prices))


def same_search(terms, start, free, most_iterations):
    """Search in the kernel and as the twin does, with the kernels that a step takes; return what is found."""
    found = terms.search(start, free, 1e-13, most_iterations)
    right = equilibrium._solve_from(terms, False, start, free, 1e-13, most_iterations)
    assert found[1:] == right[1:]
    assert np.array_equal(found[0], right[0])
    return found


@pytest.mark.parametrize("factor", [0.0, 0.001, 1.4, 5.0])
def test_the_search_is_that_of_the_twin_to_the_bit(both, factor):
    terms, _, _ = both
    priced = np.isin(np.arange(len(terms.cost)), terms.columns)
    for free in (priced, priced & (np.arange(len(priced)) % 3 > 0)):
        same_search(terms, factor * terms.cost, free, 60)


@binds("kernels/search.py", "_distance", "max(0.0, asked)")
@binds("kernels/search.py", "_distance", "max(own, wanted[i])")
@binds("kernels/search.py", "_distance", "max(max(own, wanted[i]), abs(cost[j]))")
@binds("kernels/search.py", "search", "max(own, abs(cost[free[i]]))")
@binds("kernels/search.py", "search", "max(step[i], -0.5 * largest)")
@binds("kernels/search.py", "search", "min(max(step[i], -0.5 * largest), largest)")
@binds("kernels/search.py", "search", "max(0.0, own + min(max(step[i], -0.5 * largest), largest))")
@binds("kernels/search.py", "search", "min(1.0, 2.0 * reach[i])")
def test_the_limits_of_the_search_are_those_of_the_twin_where_they_bind():
    """A lab that would give its service away; starts far below and far above the prices asked for."""
    case = full_case(32)
    cost, priced = case.cost, case.panel.priced
    generous = CompiledConditions.of(case.panel, case.owner, cost, np.where(case.owner == 0, 20.0, case.adoption_value))
    prices, residual, _ = same_search(generous, 1.4 * cost, priced, 60)
    assert residual <= 1e-13
    assert ((prices == 0.0) & priced).any()
    assert not (prices[priced] == 0.0).all()
    terms = CompiledConditions.of(case.panel, case.owner, cost, case.adoption_value)
    for factor, limit in ((0.001, 1.0), (5.0, -0.5)):
        start = factor * cost
        share = (same_search(terms, start, priced, 1)[0] - start)[priced] / np.maximum(start, cost)[priced]
        assert np.isclose(share, limit, rtol=1e-12).any()
        assert not np.isclose(share, limit, rtol=1e-12).all()
    for conditions, factor in ((terms, 0.001), (terms, 5.0), (generous, 0.0), (generous, 0.001)):
        start = factor * cost
        asked = np.maximum(0.0, cost + conditions.at(start).markup)
        far = np.abs(asked - start) / np.maximum(np.maximum(start, asked), cost)
        assert same_search(conditions, start, priced, 0)[1] == far[priced].max()


@pytest.mark.parametrize(
    "case",
    [
        with_panel(term=LINEAR),
        with_panel(base_price=CASE.panel.base_price + 0.1 * CASE.panel.loading),
        with_panel(loading=np.zeros_like(CASE.panel.loading)),
        with_panel(fixed=np.where(CASE.panel.priced, CASE.panel.fixed + FARTHEST, CASE.panel.fixed)),
    ],
    ids=["another term", "a price that is not all list price", "no list prices", "utilities far apart"],
)
def test_where_kernels_do_not_apply_numpy_does(case):
    found = price_conditions(case.panel, case.owner, case.cost, case.adoption_value)
    assert isinstance(found, PlainConditions)
    assert np.isfinite(found.at(1.4 * case.cost).loaded_tokens).all()


def test_what_was_evaluated_before_does_not_matter():
    terms = CompiledConditions.of(CASE.panel, CASE.owner, CASE.cost, CASE.adoption_value)
    one, other = 1.4 * CASE.cost, 1.7 * CASE.cost
    first, matrix = terms.at(one), terms.derivatives(one)
    terms.at(other)
    terms.gains(one, CASE.panel.priced, MOVES)
    assert np.array_equal(terms.at(one).markup, first.markup)
    terms.derivatives(other)
    assert np.array_equal(terms.derivatives(one), matrix)


@kernel
def dot(one, other):
    return sums.dot(one, other)


def test_sums_have_the_order_that_they_say():
    one, other = rng.normal(rng.stream_key(3, "dot"), np.arange(2 * 128).reshape(2, 128))
    partial = np.zeros(sums.STEP)
    for first in range(0, 128, sums.STEP):
        at = slice(first, first + sums.STEP)
        partial = exact.fma(one[at], other[at], partial)
    while len(partial) > 1:
        partial = partial[: len(partial) // 2] + partial[len(partial) // 2 :]
    assert dot(one, other) == partial[0]


def test_small_systems_are_solved_to_the_bit_of_the_twin():
    for size in (1, 2, 7, 30):
        system = rng.normal(rng.stream_key(4, f"system {size}"), np.arange(size * (size + 1)).reshape(size, size + 1))
        found = np.empty(size)
        assert sums.solve(system.copy(), found)
        assert np.array_equal(found, solve_linear(system[:, :size], system[:, size]))
    assert not sums.solve(np.zeros((2, 3)), np.empty(2))


PROGRAM = """
import hashlib
from sim.market.stages.deviations import DeviationCheck
from sim.market.stages.price_conditions import price_conditions
from sim.theory.panels import full_case
case = full_case(41, rows=300)
terms = price_conditions(case.panel, case.owner, case.cost, case.adoption_value)
found, move = terms.at(1.4 * case.cost), 0.1 * case.cost
gains = terms.gains(1.4 * case.cost, case.panel.priced, DeviationCheck(margins=8, joint_moves=3))
matrix = terms.derivatives(1.4 * case.cost, move)
solved = terms.solve_linear(matrix, move[terms.columns])
parts = (found.markup, found.own_slope, found.gradient, gains, matrix, solved)
print(hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest())
"""


@pytest.mark.parametrize("name", PROCESSORS)
def test_bits_do_not_depend_on_the_instructions_of_the_machine(name, tmp_path):
    needs(name)
    found = {}
    for own in ({}, target(name) | {"SIM_CACHE_DIR": str(tmp_path)}):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=os.environ | own, capture_output=True, text=True, check=True
        )
        found[own.get("NUMBA_CPU_NAME", "this machine")] = done.stdout.strip()
    assert len(set(found.values())) == 1, found
