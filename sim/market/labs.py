"""Labs and hosts: identity and decision rules. A Lab is a view of its row in the market's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mesa
import numpy as np

from sim.market.stages import host_entry, pricing, releases
from sim.market.tables import NONE, Bools, Floats, Ints
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
    openness_points = Column("openness_points")
    openness_delay = Column("openness_delay")
    degree = Column("degree")
    follows = Column("follows")
    load = Column("load")
    price_rule = Column("price_rule")

    model: Market  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, model: Market, row: int):
        super().__init__(model)
        self.row = row
        self.name = model.labs.names[row]
        self.bloc = BLOCS[model.labs.bloc[row]]

    def decide_releases(self, due: dict[int, float]) -> list[releases.NewRelease]:
        """Return this month's releases of the lab's lines (eq. 17) and which of them have open weights (eqs. 80, 82).

        Parameters
        ----------
        due : dict of int to float
            Line row number to the capability ready for release, for lines whose interval has passed.
        """
        made, follows = [], bool(self.follows)
        later = self.model.month + int(self.openness_delay) if self.openness == "delayed" else None
        for line, capability in sorted(due.items()):
            if self.model.lines.lab[line] != self.row:
                continue
            seen = releases.Situation(
                was_open=self._was_open(line),
                follows=follows,
                behind=self._best_closed_rival() - capability,
                points=float(self.openness_points),
                load=float(self.load),
            )
            follows = follows and seen.was_open  # one line that was closed is the answer
            made.append(releases.NewRelease(line, capability, releases.opens(self.openness, seen), later))
        return made

    def new_degree(self, last: float) -> float:
        """Return the degree of the lab's next open release in a line whose last one had `last`."""
        return releases.licence_degree(self.degree, last)

    def _best_closed_rival(self) -> float:
        table, current = self.model.releases, self.model.lines.current
        on = current[current != NONE]
        rivals = on[~table.is_open[on] & (table.lab[on] != self.row) & self.model.labs.active[table.lab[on]]]
        return float(table.capability[rivals].max(initial=-np.inf))

    def next_list_price(self, previous: float, cost_ratio: float) -> float:
        """Return the list price of a line's next release [USD/Mtok] under the lab's price rule (eq. 39)."""
        return pricing.next_list_price(self.price_rule, previous, cost_ratio)

    def _was_open(self, line: int) -> bool:
        current = self.model.lines.current[line]
        return current != NONE and bool(self.model.releases.is_open[current])


class HostMarket(mesa.Agent):
    """The competitive fringe that serves open weights: hosts enter each line until the next one would lose.

    Parameters
    ----------
    transport : float
        Cost of the worst-fitting host over the cost of serving (tau).
    licence : float
        Part of their price that hosts pay to the lab for restricted weights.
    fixed_cost, growth : float
        Fixed cost of offering a line [USD/month] at the reference date, and its growth a year.
    """

    def __init__(self, model: mesa.Model, *, transport: float, licence: float, fixed_cost: float, growth: float):
        super().__init__(model)
        self.transport, self.licence = transport, licence
        self.fixed_cost, self.growth = fixed_cost, growth

    def price_over_cost(self, hosts: Ints | int, restricted: Bools | bool) -> Floats:
        """Return what hosts ask for serving weights, over the cost of serving them, shape of `hosts` (eq. 23)."""
        kept = 1.0 - self.licence * np.asarray(restricted, np.float64)
        return (1.0 + host_entry.host_markup(self.transport, hosts)) / kept

    def entering(self, cost: Floats, tokens: Floats, years: float) -> Ints:
        """Return the hosts of each line next month, by what was hosted in this one, shape (lines,) (eq. 84).

        Parameters
        ----------
        cost : array, shape (lines,)
            Cost of serving the line's latest open weights [USD/Mtok].
        tokens : array, shape (lines,)
            Hosted tokens of the line [Mtok/month].
        years : float
            Time since the date of the fixed cost.
        """
        return host_entry.free_entry(self.transport * cost, tokens, self.fixed_cost * self.growth**years)
