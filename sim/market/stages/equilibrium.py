"""Stage 6: list prices that no lab wants to change, and how far they can be trusted (docs/model.md, section 4.6).

Prices solve every lab's first-order conditions in zeta form with complementarity at a price of zero; a status says
whether they are an equilibrium: one lab's large moves and other starting prices are tried.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from sim import rng
from sim.market.kernels.elementary import exp
from sim.market.kernels.price_panel import CompiledConditions
from sim.market.stages.demand_panel import DemandPanel
from sim.market.stages.deviations import DeviationCheck
from sim.market.stages.price_conditions import PriceConditions, price_conditions
from sim.market.tables import Bools, Floats, Ints

NASH, LOCAL_ONLY, MULTIPLE, NOT_CONVERGED = "nash", "local_only", "multiple", "not_converged"
SAME = 1e-7  # two solutions closer than this, relative to their highest price, are one
GAIN = 1e-9  # a deviation counts if it gains more than this share of a lab's profit
START_SPREAD = 1.5  # log standard deviation of further starting prices
LARGEST_CUT = 8.0  # a step cuts a price at most to this-th where the price term has no value at zero


@dataclass(frozen=True)
class Solver:
    """How prices are solved and checked.

    Parameters
    ----------
    tolerance : float
        Largest relative distance of a price from the one that its lab's condition asks for.
    most_iterations : int
        Iterations after which a start counts as not converged.
    other_starts : int
        Further starts, keyed random multiples of the first.
    check : DeviationCheck or None
        The search for profitable deviations; None leaves it out, and then no status is better than `local_only`.
    seed : int
        Key of the random starts.
    """

    tolerance: float = 1e-12
    most_iterations: int = 200
    other_starts: int = 0
    check: DeviationCheck | None = field(default_factory=DeviationCheck)
    seed: int = 0


@dataclass(frozen=True)
class Equilibrium:
    """Prices and their standing.

    `nash`: no profitable deviation was found and every start led here. `multiple`: no profitable deviation was found,
    but other starts led elsewhere; `solutions` lists all. `local_only`: the conditions hold, but a lab gains by a
    large move, or none was searched. `not_converged`: the conditions do not hold.
    """

    prices: Floats  # (offers,) USD/Mtok
    status: str
    residual: float  # largest relative distance from the price asked for
    iterations: int
    deviation_gain: float  # largest relative gain of one lab from leaving; NaN where none was searched
    lab_gain: Floats  # (labs,), empty where none was searched
    at_zero: Bools  # (offers,) the bound of zero holds the price
    solutions: Floats  # (found, offers) every different solution
    conditions: PriceConditions  # what was solved


def solve_prices(
    panel: DemandPanel,
    owner: Ints,
    cost: Floats,
    adoption_value: Floats,
    start: Floats,
    *,
    free: Bools | None = None,
    solver: Solver | None = None,
) -> Equilibrium:
    """Return list prices at which no lab wants to change its own (eq. 67).

    Parameters
    ----------
    owner : array, shape (offers,)
        Lab whose weights an offer runs on, 0 or more.
    cost, adoption_value : array, shape (offers,)
        Marginal cost at loading one and value of a token beyond its price [USD/Mtok].
    start : array, shape (offers,)
        Prices to start from, last month's if there are any; the prices of offers that are not free [USD/Mtok].
    free : array of bool, shape (offers,), optional
        Offers whose list price is solved; by default all that have one.
    solver : Solver, optional
        Tolerance, limits and checks.

    Raises
    ------
    ValueError
        If a free offer has no list price, a starting price is negative or not finite, or the price term needs
        positive prices and costs.
    """
    solver = Solver() if solver is None else solver
    free = panel.priced if free is None else free
    _check_inputs(panel, cost, start, free)
    terms = price_conditions(panel, owner, cost, adoption_value)
    found = [_found_from(terms, panel.term.needs_price, first, free, solver) for first in _starts(start, free, solver)]
    different: list[Equilibrium] = []
    for one in found:
        if one.status != NOT_CONVERGED and not any(_same(one.prices, other.prices) for other in different):
            different.append(one)
    if not different:
        return found[0]
    if solver.check is not None:
        for number, one in enumerate(different):
            gains = terms.gains(one.prices, free, solver.check)
            different[number] = replace(one, deviation_gain=float(gains.max()), lab_gain=gains)
    stable = [one for one in different if one.deviation_gain <= GAIN]
    chosen = stable[0] if stable else different[0]
    status = LOCAL_ONLY if not stable else NASH if len(different) == 1 else MULTIPLE
    return replace(chosen, status=status, solutions=np.stack([one.prices for one in different]))


def _check_inputs(panel: DemandPanel, cost: Floats, start: Floats, free: Bools) -> None:
    if (free & ~panel.priced).any():
        raise ValueError("a free offer must have a list price; its loading is 0 for every row")
    if not (start[panel.priced] >= 0.0).all() or not np.isfinite(start[panel.priced]).all():
        raise ValueError("starting prices must be finite and 0 or more")
    if panel.term.needs_price and not ((cost[free] > 0.0).all() and (start[panel.priced] > 0.0).all()):
        raise ValueError(f"the price term {panel.term.name!r} needs positive costs and starting prices")


def _starts(start: Floats, free: Bools, solver: Solver) -> list[Floats]:
    rows = np.arange(len(start))
    starts = [start]
    for number in range(solver.other_starts):
        factor = exp(START_SPREAD * rng.normal(rng.stream_key(solver.seed, "price start", number), rows))
        starts.append(np.where(free, start * factor, start))
    return starts


def _same(one: Floats, other: Floats) -> bool:
    return bool(np.abs(one - other).max() <= SAME * max(np.abs(one).max(), np.abs(other).max()))


def _found_from(terms: PriceConditions, needs_price: bool, start: Floats, free: Bools, solver: Solver) -> Equilibrium:
    """Return where the search from one start ends."""
    compiled = isinstance(terms, CompiledConditions)
    search = terms.search if compiled else partial(_solve_from, terms, needs_price)
    prices, residual, iterations = search(start, free, solver.tolerance, solver.most_iterations)
    return Equilibrium(
        prices=prices,
        status=LOCAL_ONLY if residual <= solver.tolerance else NOT_CONVERGED,
        residual=residual,
        iterations=iterations,
        deviation_gain=np.nan,
        lab_gain=np.empty(0),
        at_zero=free & (prices == 0.0),
        solutions=prices[None, :],
        conditions=terms,
    )


def _solve_from(
    terms: PriceConditions, needs_price: bool, start: Floats, free: Bools, tolerance: float, most_iterations: int
) -> tuple[Floats, float, int]:
    """Return the fixed point reached from one start by Newton steps, its distance from it, and their number.

    Where a lab's profit is convex in a price, a Newton step would lead to the worst price; there the price goes the way
    that it is asked to, twice as far each time, until it has left the valley. A step at most doubles a price or its
    cost, or halves it unless zero is asked for; less where the one before went too far.
    """
    by_column = np.argsort(terms.columns)
    columns = np.flatnonzero(free)
    problem = _Conditions(terms, columns, by_column[np.searchsorted(terms.columns, columns, sorter=by_column)])
    prices = start.astype(np.float64)
    now = problem.at(prices)
    best, best_now, iterations = prices, now, 0
    stretch, reach = np.ones(len(problem.columns)), np.ones(len(problem.columns))
    while best_now.size > tolerance and iterations < most_iterations:
        iterations += 1
        own, cost = prices[problem.columns], np.abs(terms.cost[problem.columns])
        step, convex = problem.step(prices, now, stretch)
        stretch = np.where(convex, 2.0 * stretch, 1.0)
        largest = np.where(now.bound, np.inf, reach * np.maximum(own, cost))
        least = own / LARGEST_CUT if needs_price else 0.0
        prices = prices.copy()
        prices[problem.columns] = np.maximum(own + np.clip(step, -0.5 * largest, largest), least)
        before, now = now, problem.at(prices)
        reach = np.where(before.move * now.move < 0.0, 0.5 * reach, np.minimum(1.0, 2.0 * reach))
        if now.size < best_now.size:
            best, best_now = prices, now
    return best, best_now.size, iterations


@dataclass(frozen=True)
class _Distance:
    move: Floats  # (free offers,) way to the prices that the conditions ask for
    size: float  # its largest length relative to price or cost
    own_slope: Floats  # (free offers,) Lambda
    bound: Bools  # (free offers,) the price asked for is zero


@dataclass(frozen=True)
class _Conditions:
    """The fixed-point problem of one month."""

    terms: PriceConditions
    columns: Ints  # free offers
    rows: Ints  # (free offers,) their places in `terms.columns`

    def at(self, prices: Floats) -> _Distance:
        """Return how far prices are from those that the conditions ask for, never below zero."""
        now = self.terms.at(prices)
        own, cost = prices[self.columns], self.terms.cost[self.columns]
        wanted = np.maximum(0.0, cost + now.markup[self.columns])
        wanted = np.where(np.isnan(wanted), own, wanted)  # nobody can choose the offer: any price will do
        move = wanted - own
        scale = np.maximum(np.maximum(own, wanted), np.abs(cost))
        size = np.divide(np.abs(move), scale, out=np.zeros(len(own)), where=move != 0.0).max(initial=0.0)
        return _Distance(move, float(size), now.own_slope[self.columns], wanted == 0.0)

    def step(self, prices: Floats, now: _Distance, stretch: Floats) -> tuple[Floats, Bools]:
        """Return the step of every free price and where profit is convex in it, shapes (free offers,)."""
        move = np.zeros(len(prices))
        move[self.columns] = now.move
        matrix = -self.terms.derivatives(prices, move)[self.rows[:, None], self.rows]
        held = now.bound | (now.own_slope == 0.0)
        with np.errstate(over="ignore"):
            matrix /= np.where(held, 1.0, now.own_slope)[:, None]
        convex = ~held & (matrix.diagonal() <= 0.0)
        way = np.where(convex, stretch, 1.0) * now.move
        given = held | convex | (prices[self.columns] == 0.0)  # a price leaves zero the way it is asked to
        if given.any():
            matrix[given] = np.eye(len(way))[given]
        try:
            step = self.terms.solve_linear(matrix, way)
        except ZeroDivisionError:
            return way, convex
        return np.where(np.isfinite(step), step, way), convex
