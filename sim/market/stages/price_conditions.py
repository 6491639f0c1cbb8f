"""Stage 6: the first-order conditions of a market as a function of its list prices, compiled or plain.

The one place that decides which (docs/model.md, section 4.6): kernels for the model's own price term, NumPy for the
others and for utilities so far apart that those of a row have no common scale.
"""

from __future__ import annotations

from dataclasses import dataclass

from sim.market.kernels.price_panel import CompiledConditions
from sim.market.stages import markups, newton
from sim.market.stages.demand_panel import DemandPanel, Prepared, prepare
from sim.market.stages.deviations import DeviationCheck, deviation_gains
from sim.market.stages.price_terms import BILL
from sim.market.tables import Bools, Floats, Ints


@dataclass(frozen=True)
class PlainConditions:
    """The conditions of a panel in NumPy, for every price term."""

    columns: Ints  # (priced,) offers with a list price in the order of `derivatives`
    cost: Floats  # (offers,)
    adoption_value: Floats  # (offers,)
    owner: Ints  # (offers,)
    ready: Prepared

    @classmethod
    def of(cls, panel: DemandPanel, owner: Ints, cost: Floats, adoption_value: Floats) -> PlainConditions:
        """Return the conditions of a panel."""
        ready = prepare(panel, owner)
        return cls(ready.order[ready.priced], cost, adoption_value, owner, ready)

    def at(self, prices: Floats) -> markups.MarkupConditions:
        """Return the conditions."""
        return markups.conditions(self.ready, prices, self.cost, self.adoption_value)

    def derivatives(self, prices: Floats, move: Floats | None = None) -> Floats:
        """Return the derivatives of the profit gradients, less those of Lambda times the move, (priced, priced)."""
        return newton.gradient_derivatives(self.ready, prices, self.cost, self.adoption_value, move)

    def gains(self, prices: Floats, free: Bools, check: DeviationCheck) -> Floats:
        """Return the largest relative gain of each lab from leaving alone, shape (labs,)."""
        value = self.adoption_value
        return deviation_gains(self.ready.panel, self.owner, prices, self.cost, value, free=free, check=check)

    def solve_linear(self, matrix: Floats, side: Floats) -> Floats:
        """Return the solution of a small system; ZeroDivisionError if it is singular."""
        return newton.solve_linear(matrix, side)


PriceConditions = PlainConditions | CompiledConditions


def price_conditions(panel: DemandPanel, owner: Ints, cost: Floats, adoption_value: Floats) -> PriceConditions:
    """Return the conditions of a panel; arrays as for `markups`, shapes (offers,) (eq. 67)."""
    compiled = None
    if panel.term == BILL:
        compiled = CompiledConditions.of(panel, owner, cost, adoption_value)
    return PlainConditions.of(panel, owner, cost, adoption_value) if compiled is None else compiled
