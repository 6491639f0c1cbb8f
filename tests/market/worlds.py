"""Worlds that differ in one respect, and how to tell whether their outcomes do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from sim.market.market import Market
from sim.months import parse_month
from sim.scenario.events import Event
from sim.scenario.register import register
from sim.scenario.scenario import Settings

# What the use of models gives back to the labs that make them; without it nothing that moves users moves capability.
NO_FEEDBACK = dict.fromkeys(("capability.data_effect", "capability.outside_effect", "compute.revenue_elasticity"), 0.0)


def changed(
    settings: Settings,
    parameters: dict[str, float] | None = None,
    labs: dict[str, dict[str, Any]] | None = None,
    **fields: Any,
) -> Settings:
    """Return settings with some parameters, fields of labs and other fields replaced."""
    unknown = set(parameters or {}) - set(settings.parameters)
    assert not unknown, f"no such parameters: {sorted(unknown)}"
    merged = {lab: dict(values) | (labs or {}).get(lab, {}) for lab, values in settings.labs.items()}
    return replace(settings, parameters=dict(settings.parameters) | (parameters or {}), labs=merged, **fields)


def for_all_labs(settings: Settings, **values: Any) -> dict[str, dict[str, Any]]:
    """Return the same fields for every lab, as `changed` takes them."""
    return dict.fromkeys(settings.labs, values)


def between(settings: Settings, start: str, end: str, history_until: str = "2025-12", **fields: Any) -> Settings:
    """Return settings with another calendar."""
    start_month, until, end_month = (parse_month(text) for text in (start, history_until, end))
    return replace(settings, start=start_month, history_until=until, end=end_month, **fields)


def event(date: str, lever: str, **fields: Any) -> Event:
    """Return a dated event, as the settings of a run hold it: a bloc that is left out is China."""
    optional = {spec.path: spec.default for spec in register().levers[lever].fields if spec.default is not None}
    bloc = {"bloc": "CN"} if any(spec.path == "bloc" for spec in register().levers[lever].fields) else {}
    return Event(f"{lever}-{date}", parse_month(date), lever, bloc | optional | fields)


def simulated(settings: Settings, months: int | None = None) -> Market:
    """Return a market after its last month, or after some months."""
    market = Market(settings)
    if months is None:
        market.run()
    for _ in range(months or 0):
        market.step()
    market.close()
    return market


def outcomes(settings: Settings) -> dict[str, dict[str, np.ndarray]]:
    """Return the tables of a simulated market."""
    return simulated(settings).record.tables()


def differing(left: dict, right: dict, before: int | None = None) -> list[str]:
    """Return the columns that are not equal to the bit, over the months before `before` if that is given."""
    found = []
    for table, columns in left.items():
        rows, other_rows = (
            slice(None) if before is None else tables[table]["month"] < before for tables in (left, right)
        )
        for name, values in columns.items():
            a, b = values[rows], right[table][name][other_rows]
            if a.shape != b.shape or not same_bits(a, b):
                found.append(f"{table}.{name}")
    return found


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether two columns hold the same bits; texts are compared as texts."""
    return bool(np.all(a == b)) if a.dtype == object else a.tobytes() == b.tobytes()


def first_difference(left: dict, right: dict, table: str, column: str) -> int | None:
    """Return the first month in which a column differs, None if it never does; the rows must be the same."""
    a, b = left[table][column], right[table][column]
    assert len(a) == len(b)
    apart = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    return int(left[table]["month"][apart].min()) if apart.any() else None
