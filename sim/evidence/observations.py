"""Observed values of the market that a result can be compared with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from sim.evidence.tables import last_month, number, table
from sim.months import month_of_day


@dataclass(frozen=True)
class Observation:
    """One observed value with its band.

    Parameters
    ----------
    id, series, panel : str
        Name of the value; what is measured; in which population.
    start, end : int
        First and last month of the window.
    value, low, high : float
        Value and band [`unit`]; NaN where no band is given.
    unit, confidence, source, note : str
    role : {'replayed', 'fitted', 'held_out'}
        ``replayed``: an input of the history or derived from one, so agreement proves nothing. ``fitted``: used to
        choose parameters (none in this version). ``held_out``: never used.
    """

    id: str
    series: str
    panel: str
    start: int
    end: int
    value: float
    low: float
    high: float
    unit: str
    confidence: str
    source: str
    note: str
    role: str


def observations(until: int | None = None) -> tuple[Observation, ...]:
    """Return the observations whose window ends in or before month `until`, in file order."""
    return _observations(last_month(until))


@cache
def _observations(end: int) -> tuple[Observation, ...]:
    roles = {row["id"]: row["role"] for row in table("observation_roles")}
    found = (
        Observation(
            id=row["id"],
            series=row["series"],
            panel=row["panel"],
            start=month_of_day(row["start"]),
            end=month_of_day(row["end"]),
            value=number(row["value"]),
            low=number(row["low"]),
            high=number(row["high"]),
            unit=row["unit"],
            confidence=row["confidence"],
            source=row["source"],
            note=row["note"],
            role=roles.get(row["id"], "held_out"),
        )
        for row in table("observations")
    )
    return tuple(observation for observation in found if observation.end <= end)
