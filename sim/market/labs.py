"""Labs and hosts: identity and decision rules. A Lab is a view of its row in the market's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mesa

from sim.market.stages import hosting, releases
from sim.market.tables import NONE, Floats
from sim.scenario.schema import BLOCS

if TYPE_CHECKING:
    from sim.market.market import Market


class Column:
    """Read-only view of one column at the agent's row; assigning raises, since only the market writes state."""

    def __init__(self, column: str):
        self.column = column

    def __get__(self, agent: Any, owner: type | None = None) -> Any:
        """Return the agent's entry of the column."""
        return self if agent is None else getattr(agent.model.labs, self.column)[agent.row]

    def __set__(self, agent: Any, value: Any) -> None:
        raise AttributeError(f"{self.column} is a column of the market's lab table; only the market writes it")


class Lab(mesa.Agent):
    """A lab that decides when to release, whether weights are open, and its list prices."""

    potential = Column("potential")
    research_compute = Column("research_compute")
    knowledge = Column("knowledge")
    openness = Column("openness")
    price_rule = Column("price_rule")

    model: Market  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, model: Market, row: int):
        super().__init__(model)
        self.row = row
        self.name = model.labs.names[row]
        self.bloc = BLOCS[model.labs.bloc[row]]

    def decide_releases(self, due: dict[int, float]) -> list[releases.NewRelease]:
        """Return this month's releases of the lab's lines (eq. 17).

        Parameters
        ----------
        due : dict of int to float
            Line row number to the capability ready for release, for lines whose interval has passed.
        """
        return [
            releases.NewRelease(line, capability, releases.opens(self.openness, self._was_open(line)))
            for line, capability in sorted(due.items())
            if self.model.lines.lab[line] == self.row
        ]

    def _was_open(self, line: int) -> bool:
        current = self.model.lines.current[line]
        return current != NONE and bool(self.model.releases.is_open[current])


class HostMarket(mesa.Agent):
    """The competitive fringe that serves open weights at cost plus a margin."""

    def __init__(self, model: mesa.Model, margin: float):
        super().__init__(model)
        self.margin = margin

    def opening_price(self, cost: float) -> float:
        """Return the price of an open release that nobody has listed (eq. 23): cost plus the margin [USD/Mtok]."""
        return hosting.cost_plus(cost, self.margin)

    def prices(self, cost: Floats) -> Floats:
        """Return this month's prices for serving releases at a cost [USD/Mtok]: cost plus the margin (eq. 23)."""
        return hosting.cost_plus(cost, self.margin)
