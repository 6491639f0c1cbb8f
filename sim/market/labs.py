"""Labs and hosts: identity and decision rules. A Lab is a view of its row in the market's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import mesa
import numpy as np

from sim.market.governments import Actor, Policy, Promotion, given, may_publish
from sim.market.stages import host_entry, releases
from sim.market.tables import NONE, Bools, Floats, Ints
from sim.scenario.levers import EVERYONE
from sim.scenario.schema import BLOCS

if TYPE_CHECKING:
    from sim.market.market import Market

_OPENNESS_COLUMNS = {
    "openness": "openness",
    "degree": "degree",
    "points": "openness_points",
    "delay_months": "openness_delay",
}


def columns_set(lever: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of the lab table that an event sets for a lab it concerns, with their values (eq. 88)."""
    if lever == "price_rule":
        return {"price_rule": values["rule"]}
    if lever == "openness_change":
        return {column: values[name] for name, column in _OPENNESS_COLUMNS.items() if given(values[name])}
    return {"lab_exit": {"active": False}, "lab_entry": {"active": True}}.get(lever, {})


class Column:
    """Read-only view of one column at the agent's row; assigning raises, since only the market writes state."""

    def __init__(self, column: str):
        self.column = column

    def __get__(self, agent: Any, owner: type | None = None) -> Any:
        """Return the agent's entry of the column."""
        return self if agent is None else getattr(agent.model.labs, self.column)[agent.row]

    def __set__(self, agent: Any, value: Any) -> None:
        raise AttributeError(f"{self.column} is a column of the market's lab table; only the market writes it")


class Lab(Actor):
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

    def __init__(self, model: Market, row: int, events: Sequence[Any]):
        self.row = row
        self.name = model.labs.names[row]
        self.bloc = BLOCS[model.labs.bloc[row]]
        super().__init__(model, [event for event in events if self._meant(event)])

    def _meant(self, event: Any) -> str:
        """Return the word by which an event means this lab, or an empty text."""
        word = event.fields.get("who", event.fields.get("lab"))
        return word if word in (EVERYONE, self.bloc, self.name) else ""

    def due(self, month: int) -> list[Any]:
        """Return the lab's events of a month; what is said of its bloc goes over what is said of all labs, and what is
        said of the lab goes over both."""
        words = (EVERYONE, self.bloc, self.name)
        return sorted(super().due(month), key=lambda event: words.index(self._meant(event)))

    def act(self, policy: Policy, month: int) -> Policy:
        """Return the policy with the promotions that the lab starts in `month` (eq. 86)."""
        new = [
            Promotion(self.row, event.fields["discount"], month, event.fields["months"])
            for event in self.due(month)
            if event.lever == "promotion"
        ]
        return replace(policy, promotions=(*policy.promotions, *new)) if new else policy

    def decisions(self, month: int) -> dict[str, Any]:
        """Return the lab's new entries in columns of the lab table after its events of `month` (eqs. 87, 88)."""
        changed: dict[str, Any] = {}
        for event in self.due(month):
            changed |= columns_set(event.lever, event.fields)
            if event.lever == "frontier_shock":
                changed["knowledge"] = changed.get("knowledge", self.knowledge) + event.fields["points"]
        return changed

    def decide_releases(self, due: dict[int, float]) -> list[releases.NewRelease]:
        """Return this month's releases of the lab's lines (eq. 29) and which of them have open weights (eqs. 32, 35).

        Parameters
        ----------
        due : dict of int to float
            Line row number to the capability ready for release, for lines whose interval has passed.
        """
        made, follows = [], bool(self.follows)
        for line, capability in sorted(due.items()):
            if self.model.lines.lab[line] != self.row:
                continue
            seen = releases.Situation(
                was_open=self._was_open(line),
                follows=follows,
                behind=partial(self._behind, capability),
                points=float(self.openness_points),
                load=float(self.load),
                profit_if=partial(self.model.profit_if, self.row, line, capability),
            )
            follows = follows and seen.was_open  # one line that was closed is the answer
            may = self.may_publish(capability)
            later = self.model.month + int(self.openness_delay) if self.openness == "delayed" and may else None
            made.append(releases.NewRelease(line, capability, may and releases.opens(self.openness, seen), later))
        return made

    def new_degree(self, last: float) -> float:
        """Return the degree of the lab's next open release in a line whose last one had `last`."""
        return releases.licence_degree(self.degree, last)

    def _behind(self, capability: float) -> float:
        return self._best_closed_rival() - capability

    def _best_closed_rival(self) -> float:
        table, current = self.model.releases, self.model.lines.current
        on = current[current != NONE]
        rivals = on[~table.is_open[on] & (table.lab[on] != self.row) & self.model.labs.active[table.lab[on]]]
        return float(table.capability[rivals].max(initial=-np.inf))

    def may_publish(self, capability: float) -> bool:
        """Return whether the lab may now publish weights of a capability [ECI points] (eq. 85)."""
        return may_publish(self.model.policy, int(self.model.labs.bloc[self.row]), capability)

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
        """Return what hosts ask for serving weights, over the cost of serving them, shape of `hosts` (eq. 40)."""
        kept = 1.0 - self.licence * np.asarray(restricted, np.float64)
        return (1.0 + host_entry.host_markup(self.transport, hosts)) / kept

    def entering(self, cost: Floats, years: float) -> Ints:
        """Return the hosts of each line next month, by what was hosted in this one, shape (lines,) (eq. 41).

        Parameters
        ----------
        cost : array, shape (lines,)
            Of serving the line's hosted tokens [USD/month].
        years : float
            Time since the date of the fixed cost.
        """
        return host_entry.free_entry(self.transport, cost, self.fixed_cost * self.growth**years)
