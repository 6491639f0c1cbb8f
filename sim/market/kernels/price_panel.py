"""A panel of demand laid out for the kernels of prices, and the conditions that these find."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sim.market.kernels import prices as kernels
from sim.market.kernels import sums
from sim.market.kernels.deviations import earnings_tried
from sim.market.kernels.fold import Folded, Layout, empty, fold
from sim.market.kernels.prices import Work
from sim.market.kernels.search import search
from sim.market.stages.demand_panel import DemandPanel
from sim.market.stages.deviations import DeviationCheck, trials
from sim.market.stages.markups import MarkupConditions, conditions_of_sums
from sim.market.tables import Bools, Floats, Ints

FARTHEST = 600.0  # utilities over lambda this far above the best without a list price have no scale in common with it


@dataclass(frozen=True)
class CompiledConditions:
    """The conditions of a panel with the price term `bill`; the twin is `stages/price_conditions.py`."""

    columns: Ints  # (priced,) offers with a list price in the order of `derivatives`
    cost: Floats  # (offers,)
    adoption_value: Floats  # (offers,)
    dissimilarity: float
    labs: Ints  # (labs,) as numbered by the owner of offers
    layout: Layout
    folded: Folded
    work: Work
    seen: Floats  # (priced,) list prices that the room to work in was filled for
    found: Floats  # (4, priced) sums of the conditions at these

    @classmethod
    def of(cls, panel: DemandPanel, owner: Ints, cost: Floats, adoption_value: Floats) -> CompiledConditions | None:
        """Return the conditions of a panel.

        None where the kernels do not apply: no list prices, one that is not the whole price, or utilities too far apart
        for one scale a row.
        """
        priced = panel.priced
        if not priced.any() or panel.base_price.T[priced].any():
            return None
        labs, lab = np.unique(owner, return_inverse=True)
        layout = lay_out(priced, panel.nest, lab, panel.dissimilarity)
        folded = empty(len(panel.weight), layout, len(labs))
        rows = (panel.weight, panel.keep, panel.outside, panel.price_sensitivity, panel.need, panel.pain)
        offers = (panel.fixed.T, panel.loading.T, panel.base_price.T)
        arrays = [np.ascontiguousarray(array, np.float64) for array in (*rows, *offers)]
        value = np.ascontiguousarray(adoption_value, np.float64)
        if fold(*arrays, value, layout, panel.dissimilarity, folded) > FARTHEST:
            return None
        work = kernels.room(len(folded.rest), layout, len(labs))
        seen, found = np.full(len(layout.priced), np.nan), np.empty((4, len(layout.priced)))
        return cls(layout.priced, cost, value, panel.dissimilarity, labs, layout, folded, work, seen, found)

    def at(self, prices: Floats) -> MarkupConditions:
        """Return the conditions."""
        return conditions_of_sums(self._evaluated(prices), self.columns, prices, self.cost, self.adoption_value)

    def derivatives(self, prices: Floats, move: Floats | None = None) -> Floats:
        """Return the derivatives of the profit gradients, less those of Lambda times the move, (priced, priced)."""
        self._evaluated(prices)
        priced = len(self.columns)
        matrix = np.empty((priced, priced))
        way = np.zeros(priced) if move is None else move[self.columns]
        margin, value = (prices - self.cost)[self.columns], self.adoption_value[self.columns]
        kernels.derivatives(self.folded, self.layout, self.dissimilarity, margin, value, way, self.work, matrix)
        return matrix

    def _evaluated(self, prices: Floats) -> Floats:
        """Let the room to work in hold what these prices lead to; return the sums that the conditions are made of."""
        price = prices[self.columns]
        if not np.array_equal(price, self.seen):
            margin, value = price - self.cost[self.columns], self.adoption_value[self.columns]
            kernels.evaluate(self.folded, self.layout, self.dissimilarity, price, margin, value, self.work, self.found)
            self.seen[:] = price
        return self.found

    def search(self, start: Floats, free: Bools, tolerance: float, most_iterations: int) -> tuple[Floats, float, int]:
        """Return the prices that Newton steps lead to, their distance from those asked for, and how many steps.

        Twin: `stages/equilibrium.py: _solve_from`.
        """
        prices = start.astype(np.float64)
        price, cost, value = prices[self.columns], self.cost[self.columns], self.adoption_value[self.columns]
        by_column = np.argsort(self.columns)
        moving = by_column[free[self.columns[by_column]]]  # the system has the order of offers
        panel = (self.folded, self.layout, self.dissimilarity, self.work, cost, value)
        residual, iterations = search(*panel, moving, tolerance, most_iterations, price, self.seen, self.found)
        prices[self.columns] = price
        return prices, residual, iterations

    def solve_linear(self, matrix: Floats, side: Floats) -> Floats:
        """Return the solution of a small system; ZeroDivisionError if it is singular."""
        system, found = np.empty((len(matrix), len(matrix) + 1)), np.empty(len(matrix))
        system[:, :-1], system[:, -1] = matrix, side
        if not sums.solve(system, found):
            raise ZeroDivisionError("the matrix is singular")
        return found

    def gains(self, prices: Floats, free: Bools, check: DeviationCheck) -> Floats:
        """Return the largest relative gain of each lab from leaving alone, shape (labs,)."""
        price, cost, value = prices[self.columns], self.cost[self.columns], self.adoption_value[self.columns]
        panel = (self.folded, self.layout, self.dissimilarity, price)
        earned, turnover = np.empty(len(self.labs)), np.empty(len(self.labs))
        self._evaluated(prices)
        for margin, worth, total in ((np.abs(price - cost), np.abs(value), turnover), (price - cost, value, earned)):
            kernels.earnings(self.folded, self.layout, margin, worth, self.work, total)
        who, table = trials(price, cost, self.labs[self.layout.lab], free[self.columns], check)
        who, found = np.searchsorted(self.labs, who), np.empty(len(who))
        earnings_tried(*panel, cost, value, self.work, who, table, found)
        first = np.flatnonzero(np.append(True, who[1:] != who[:-1]))
        gain = np.zeros(len(self.labs))
        gain[who[first]] = np.maximum.reduceat(found, first) - found[first]
        scale = np.maximum(np.abs(earned), 1e-6 * np.abs(turnover))
        gains = np.zeros(int(self.labs.max()) + 1)
        gains[self.labs] = np.divide(gain, scale, out=np.where(gain > 0.0, np.inf, 0.0), where=scale > 0.0)
        return gains


def lay_out(priced: Bools, nest: Ints, lab: Ints, dissimilarity: float) -> Layout:
    """Return how offers lie for the kernels, shapes (offers,); labs are numbered 0, 1, ..."""
    return _laid_out(priced.tobytes(), nest.astype(np.int64).tobytes(), lab.astype(np.int64).tobytes(), dissimilarity)


@lru_cache(maxsize=16)
def _laid_out(of_priced: bytes, of_nest: bytes, of_lab: bytes, dissimilarity: float) -> Layout:
    """Return the layout; what lines sell on which channels is the same for months, and so is it."""
    priced, nest, lab = (
        np.frombuffer(of_priced, bool),
        np.frombuffer(of_nest, np.int64),
        np.frombuffer(of_lab, np.int64),
    )
    columns = np.lexsort((lab, nest))
    sold = np.isin(nest, nest[priced])  # in a nest with a list price
    order, held = columns[priced[columns]], columns[~priced[columns]]
    nests = np.unique(nest[priced])
    place = np.where(sold, np.searchsorted(nests, nest), len(nests) + np.unique(nest, return_inverse=True)[1])
    cells = np.unique(place[sold] * len(lab) + lab[sold])
    cell = np.where(sold, np.searchsorted(cells, place * len(lab) + lab), -1)
    first = np.searchsorted(place[order], np.arange(len(nests) + 1))
    whole = np.bincount(place[sold]) == 1
    sells = np.zeros((len(nests), lab.max() + 1), bool)
    sells[place[order], lab[order]] = True
    cell_of = np.full(sells.shape, -1)
    cell_of[cells // len(lab), cells % len(lab)] = np.arange(len(cells))
    return Layout(
        priced=order,
        nest=place[order],
        cell=cell[order],
        lab=lab[order],
        cell_nest=cells // len(lab),
        cell_lab=cells % len(lab),
        first=first,
        sells=sells,
        cell_of=cell_of,
        steep=np.where(whole, 1.0, 1.0 / dissimilarity),
        held=held,
        held_nest=place[held],
        held_cell=cell[held],
        held_lab=lab[held],
        nests=int(place.max()) + 1,
    )
