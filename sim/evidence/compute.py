"""Accelerators, their rent, and the export controls on them, as observed."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from sim.evidence.observations import Observation, observations
from sim.evidence.tables import last_month, table
from sim.months import month_of_day, parse_month

WORLD_STOCK_2022 = 0.29e6  # H100e at the end of 2022, Nvidia only; same source as observations world_stock_*


class Stock(NamedTuple):
    """Accelerators installed at the end of a month: median and 5 and 95 % [H100e]."""

    median: float
    p5: float
    p95: float


@dataclass(frozen=True)
class PolicyEvent:
    """A dated act of a government or supplier; `direction` is ``+``, ``-`` or ``0`` for China's compute."""

    month: int
    date: str
    actor: str
    event: str
    direction: str
    source: str
    confidence: str


def policy_events(until: int | None = None) -> tuple[PolicyEvent, ...]:
    """Return the policy events up to month `until`, in order of date."""
    return _policy_events(last_month(until))


@cache
def _policy_events(end: int) -> tuple[PolicyEvent, ...]:
    events = (
        PolicyEvent(
            month=month_of_day(row["date"]),
            date=row["date"],
            actor=row["actor"],
            event=row["event"],
            direction=row["direction_for_China_compute"],
            source=row["source_url"],
            confidence=row["confidence"],
        )
        for row in table("policy_events")
    )
    return tuple(sorted((e for e in events if e.month <= end), key=lambda event: event.date))


@cache
def tiers_allowed(month: int, bloc: str = "CN") -> tuple[str, ...]:
    """Return the accelerator tiers that may legally be sold to a bloc in a month, in file order.

    A rule of the first half of a month counts from that month on, a later one from the next. After the end of the
    evidence the last state holds.
    """
    return tuple(
        row["tier"]
        for row in table("policy_replay")
        if row["bloc"] == bloc
        and (not row["allowed_from"] or month >= parse_month(row["allowed_from"]))
        and (not row["allowed_before"] or month < parse_month(row["allowed_before"]))
    )


@cache
def china_legal_stock(month: int) -> Stock:
    """Return China's legally bought accelerators (Nvidia and AMD) at the end of a month [H100e].

    Log-linear between the quarterly figures of `chips_cumulative.csv`, constant outside them. The quantiles of the
    two makers are added, as if their errors moved together.
    """
    months, columns = _china_quarters()
    return Stock(*(_log_linear(month, months, column) for column in columns))


@cache
def world_stock(month: int) -> float:
    """Return the accelerators of the world at the end of a month [H100e].

    Log-linear between the ends of 2022, 2023, 2024 and 2025, constant outside.
    """
    months, stock = _world_years()
    return _log_linear(month, months, stock)


@cache
def gpu_hour_price(month: int) -> float:
    """Return the rent of one H100 [USD/h]: log-linear between the middles of the observed windows, constant outside."""
    months, price = _gpu_hours()
    return _log_linear(month, months, price)


def _log_linear(month: float, months: Sequence[float], values: Sequence[float]) -> float:
    """Return the value at `month`, log-linear between the points and exactly theirs on them, constant outside."""
    right = bisect_left(months, month)
    if right == len(months):
        return values[-1]
    if right == 0 or months[right] == month:
        return values[right]
    part = (month - months[right - 1]) / (months[right] - months[right - 1])
    return values[right - 1] * (values[right] / values[right - 1]) ** part


@cache
def _china_quarters() -> tuple[list[int], tuple[list[float], list[float], list[float]]]:
    """Return the quarters' last months, and for each the stock of China: median, 5 %, 95 % [H100e]."""
    totals: dict[int, list[float]] = {}
    for row in table("chips_cumulative"):
        if row["owner"] == "China":
            total = totals.setdefault(month_of_day(row["end_date"]), [0.0, 0.0, 0.0])
            for column, name in enumerate(("h100e_median", "h100e_p5", "h100e_p95")):
                total[column] += float(row[name])
    months = sorted(totals)
    median, p5, p95 = ([totals[month][column] for month in months] for column in range(3))
    return months, (median, p5, p95)


@cache
def _world_years() -> tuple[list[int], list[float]]:
    seen = _series("world_accelerator_stock")
    return [parse_month("2022-12"), *(o.end for o in seen)], [WORLD_STOCK_2022, *(o.value * 1e6 for o in seen)]


@cache
def _gpu_hours() -> tuple[list[float], list[float]]:
    seen = _series("gpu_hour_price")
    return [(o.start + o.end) / 2 for o in seen], [o.value for o in seen]


def _series(name: str) -> list[Observation]:
    return sorted((o for o in observations() if o.series == name), key=lambda o: o.start)
