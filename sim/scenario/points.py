"""One scenario at given values of some of its paths: what a design of experiments varies."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping as Map
from dataclasses import dataclass
from typing import Any

from sim.months import format_month, parse_month
from sim.scenario.events import FIRST, LAST, Event, check_same_effect
from sim.scenario.layer import LAST_END, START, read_month
from sim.scenario.load import lab_of
from sim.scenario.nodes import Node, Scalar
from sim.scenario.problems import Problems, Where
from sim.scenario.register import ENSEMBLE, POPULATION, Register
from sim.scenario.scenario import Scenario
from sim.scenario.schema import Parameter
from sim.scenario.values import Value, read_value

# Months are written as text in a design, as in a scenario file.
_MONTHS = {
    "horizon.start": Parameter("horizon.start", "First month", "month", START, LAST_END, None, kind="setting"),
    "horizon.history_until": Parameter(
        "horizon.history_until", "Last month of replayed history", "month", START, LAST_END, None, kind="setting"
    ),
    "horizon.end": Parameter("horizon.end", "Last month", "month", START, LAST_END, None, kind="setting"),
}
_SETTINGS = {"population": POPULATION} | {f"ensemble.{name}": ENSEMBLE[name] for name in ENSEMBLE if name != "runs"}
_DATE = Parameter("date", "Month from which the event acts", "month", FIRST, LAST, None, kind="lever")


@dataclass(frozen=True)
class Spot:
    """A path of a scenario that can be set, and what is allowed there.

    Parameters
    ----------
    path : str
        As ``--set`` takes it.
    spec : Parameter
        Meaning, unit, bounds and kind.
    month : bool
        Whether its values are months, written ``YYYY-MM``.
    """

    path: str
    spec: Parameter
    month: bool = False

    def read(self, node: Node, problems: Problems) -> Any:
        """Return the value at `node` (a number, a text or a `Distribution`), or None after noting what is wrong."""
        if self.month:
            month = read_month(node, self.path, problems, int(self.spec.low), int(self.spec.high))
            return None if month is None else format_month(month)
        found = read_value(node, self.spec, self.path, problems)
        return None if found is None else found.value


def spot(path: str, scenario: Scenario, of: Register, where: Where, problems: Problems) -> Spot | None:
    """Return what can be set at a path of a scenario, or None after noting that there is no such path."""
    path = path.removeprefix("parameters.")
    names = of.with_labs([lab for lab in scenario.labs if lab not in of.labs])
    first, _, rest = path.partition(".")
    if path in names.parameters:
        return Spot(path, names.parameters[path])
    if path in _MONTHS:
        return Spot(path, _MONTHS[path], month=True)
    if path in _SETTINGS:
        return Spot(path, _SETTINGS[path])
    if first == "labs":
        lab = lab_of(rest, names.labs)
        name = rest[len(lab) + 1 :]
        if lab in names.labs and name in names.lab_fields:
            return Spot(path, names.lab_fields[name])
    elif first == "events":
        return _event_spot(path, rest, scenario, names, where, problems)
    known = [*names.parameters, *_MONTHS, *_SETTINGS]
    known += [f"labs.{lab}.{name}" for lab in names.labs for name in names.lab_fields]
    problems.add(where, path, "unknown path", word=path, names=known)
    return None


def _event_spot(
    path: str, rest: str, scenario: Scenario, names: Register, where: Where, problems: Problems
) -> Spot | None:
    ident, _, key = rest.partition(".")
    event = next((event for event in scenario.events if event.id == ident), None)
    if event is None:
        ids = [each.id for each in scenario.events]
        there = f"its events are {', '.join(ids)}" if ids else "it has none"
        problems.add(where, path, f"{scenario.name} has no event {ident!r}; {there}", word=ident, names=ids)
        return None
    if key == "date":
        return Spot(path, _DATE, month=True)
    specs = {spec.path: names.named(spec) for spec in names.levers[event.lever].fields}
    if key not in specs:
        message = f"{event.lever} has no field {key!r}; allowed are date, {', '.join(specs)}"
        problems.add(where, path, message, word=key, names=("date", *specs))
        return None
    return Spot(path, specs[key])


def with_event(scenario: Scenario, event: Event, origin: str) -> Scenario:
    """Return the scenario with one more event, which it must not have yet."""
    events = tuple(sorted((*scenario.events, event), key=lambda each: (each.date, each.id)))
    paths = (f"events.{event.id}", *(f"events.{event.id}.{name}" for name in ("date", *event.fields)))
    return dataclasses.replace(scenario, events=events, origins={**scenario.origins, **dict.fromkeys(paths, origin)})


def at_point(scenario: Scenario, values: Map[str, float | str]) -> Scenario:
    """Return the scenario with the values of a point in place of its own, certain from then on.

    What else is uncertain keeps its draws, so that two points differ in nothing but their values. A rank correlation
    with a path of the point has no effect.

    Parameters
    ----------
    scenario : Scenario
        The scenario to vary.
    values : dict of float or str
        By path, as `Spot.read` returned them.

    Raises
    ------
    ScenarioError
        If dates contradict one another or two events undo each other at this point.
    """
    parameters, labs = dict(scenario.parameters), {lab: dict(fields) for lab, fields in scenario.labs.items()}
    events, settings = {event.id: event for event in scenario.events}, {}
    for path, value in values.items():
        first, _, rest = path.partition(".")
        if path in parameters:
            parameters[path] = Value(value)
        elif first == "labs":
            lab = lab_of(rest, labs)
            labs[lab][rest[len(lab) + 1 :]] = Value(value)
        elif first == "events":
            ident, _, key = rest.partition(".")
            if key == "date":
                events[ident] = dataclasses.replace(events[ident], date=parse_month(str(value)))
            else:
                events[ident] = dataclasses.replace(events[ident], fields={**events[ident].fields, key: Value(value)})
        elif first == "horizon":
            settings[rest] = parse_month(str(value))
        else:
            settings[rest or path] = int(float(value)) if _SETTINGS[path].integer else value
    pairs = tuple(c for c in scenario.correlations if c.first not in values and c.second not in values)
    found = dataclasses.replace(
        scenario,
        parameters=parameters,
        labs=labs,
        events=tuple(sorted(events.values(), key=lambda each: (each.date, each.id))),
        correlations=pairs,
        **settings,
    )
    _check_dates(found)
    return found


def _check_dates(scenario: Scenario) -> None:
    """Refuse what only the point as a whole can get wrong."""
    from sim.scenario.register import register

    problems, where = Problems(), Where("point", 0)
    if not scenario.start < scenario.end or scenario.history_until < scenario.start:
        months = ", ".join(format_month(m) for m in (scenario.start, scenario.history_until, scenario.end))
        problems.add(where, "horizon", f"start, history_until and end do not follow one another: {months}")
    for event in scenario.events:
        if event.date <= scenario.history_until:
            until = format_month(scenario.history_until)
            message = f"acts in {format_month(event.date)}, but the history is replayed as observed to {until}"
            problems.add(where, f"events.{event.id}", message)
    places = {f"events.{event.id}": where for event in scenario.events}
    check_same_effect(scenario.events, register(), places, problems)
    problems.check()


def scalar(text: str, where: Where) -> Scalar:
    """Return a text, such as a cell of a CSV file, as a value written in a scenario file."""
    return Scalar(where, text, plain=True)
