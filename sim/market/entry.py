"""What labs do by dated events: rules they change, leaps, entry and exit (docs/model.md, section 5).

Each function reads the market and returns what changes; `market.py` alone assigns it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sim import evidence
from sim.market import governments, setup, supply
from sim.market.stages import hosting
from sim.market.tables import Floats, LabTable
from sim.months import format_month

if TYPE_CHECKING:
    from sim.market.labs import Lab
    from sim.market.market import Market


def labs_month(market: Market) -> LabTable:
    """Return the table of labs after the labs' events of the month (eq. 88); the same table if there are none."""
    changed: dict[str, Any] = {}
    if market.month not in market.event_months:
        return market.labs
    for lab in market.lab_agents:
        for column, value in lab.decisions(market.month).items():
            before = changed.get(column, getattr(market.labs, column))
            changed[column] = _with(before, lab.row, value)
    return replace(market.labs, **changed) if changed else market.labs


def _with(column: Any, row: int, value: Any) -> Any:
    """Return a copy of a column, a tuple of words or an array, with one entry replaced."""
    if isinstance(column, tuple):
        return (*column[:row], value, *column[row + 1 :])
    copy = column.copy()
    copy[row] = value
    return copy


def schedule(market: Market) -> tuple[Floats, Floats]:
    """Return each line's offset from its lab's potential and the month of its next release, both (lines,) (eq. 89).

    Lines of labs that have stopped have no next release; the line with which a lab enters has no offset.
    """
    lines = market.lines
    offset = lines.offset
    for lab, _ in _entries(market):
        offset = _with(offset, _line(market, lab), 0.0)
    return offset, np.where(market.labs.active[lines.lab], lines.next_month, np.inf)


def attached(market: Market) -> supply.HandOver | None:
    """Return what the rules attach to, the labs that enter this month included (eq. 89).

    From its entry on a lab's potential moves with its own columns, such as research compute and knowledge, away from
    the capability with which it enters.
    """
    start, labs = market.handover, market.labs
    for lab, values in _entries(market):
        if start is not None:
            now = {f.name: getattr(labs, f.name) for f in fields(start) if hasattr(labs, f.name)}
            rebased = {name: _with(getattr(start, name), lab.row, column[lab.row]) for name, column in now.items()}
            start = replace(start, level=_with(start.level, lab.row, _capability(market, values)), **rebased)
    return start


def entering(market: Market) -> list[supply.Made]:
    """Return the releases with which labs enter this month (eq. 89)."""
    return [_entered(market, lab, values) for lab, values in _entries(market)]


def _entered(market: Market, lab: Lab, values: Mapping[str, Any]) -> supply.Made:
    """Return a lab's first release; its line is liked as an open one even where it may not publish."""
    made = supply.as_made(market, _first_release(market, lab, values))
    return replace(made, columns=made.columns | {"of_open_line": values["weights"] == "open"})


def _entries(market: Market) -> list[tuple[Lab, Mapping[str, Any]]]:
    if market.month not in market.event_months:
        return []
    return [
        (lab, event.fields)
        for lab in market.lab_agents
        for event in lab.due(market.month)
        if event.lever == "lab_entry"
    ]


def _line(market: Market, lab: Lab) -> int:
    """Return the line of a lab's newest release, with which it enters."""
    lines = np.flatnonzero(market.lines.lab == lab.row)
    return int(lines[np.argmax(market.lines.last_month[lines])])


def _capability(market: Market, values: Mapping[str, Any]) -> float:
    """Return the capability with which a lab enters [ECI points]: so many points behind the best release so far."""
    return float(market.releases.capability.max()) - values["points_behind"]


def _first_release(market: Market, lab: Lab, values: Mapping[str, Any]) -> evidence.Release:
    """Return the release with which a lab enters, on the line of its newest release, as if it had been observed.

    Its price is split as usual lists are, and its size is that of the reference model.
    """
    capability = _capability(market, values)
    is_open = values["weights"] == "open" and governments.may_publish(
        market.policy, int(market.labs.bloc[lab.row]), capability
    )
    line = _line(market, lab)
    input_price, output_price = hosting.split_price(values["price"], setup.OUTPUT_RATIO)
    name = market.lines.names[line]
    return evidence.Release(
        month=market.month,
        date=format_month(market.month),
        lab=lab.name,
        country="",
        bloc=lab.bloc,
        model=f"{name} #{int(np.sum(market.releases.line == line)) + 1}",
        line=name.removeprefix(f"{lab.name}/"),
        open=is_open,
        degree="open_weights" if is_open else "closed",
        licence="",
        total_params_b=hosting.REFERENCE_TOTAL_PARAMS if is_open else np.nan,
        active_params_b=hosting.REFERENCE_PARAMS if is_open else np.nan,
        capability=capability,
        capability_basis="event",
        capability_sd=0.0,
        input_price=float(input_price),
        output_price=float(output_price),
        price_kind="first_party",
        price_basis="event",
        retires=(),
        on_device=False,
        source="event",
    )
