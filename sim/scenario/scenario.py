"""A scenario that passed every check, what one run draws from it, and its effective form on paper."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sim import rng
from sim.months import format_month, parse_month
from sim.scenario.correlations import Correlation, correlated
from sim.scenario.distributions import Distribution
from sim.scenario.events import Event
from sim.scenario.nodes import node_of
from sim.scenario.problems import Problems, Where
from sim.scenario.register import ENSEMBLE, POPULATION, register
from sim.scenario.values import Value, read_setting

HASH_FORMAT = 1  # goes into every content hash; raised when the same file would mean something else


@dataclass(frozen=True)
class Settings:
    """What one run is made of: numbers and words only.

    Parameters
    ----------
    parameters : dict
        Number or word by path of the register.
    labs : dict of dict
        Number or word by lab and field.
    events : tuple of Event
        In order of date, then id; an optional number left out is NaN.
    start, history_until, end : int
        First month, last month of replayed history, last month [months since January 1970].
    seed : int
        Seed of this run: a function of the scenario's seed and the replicate.
    workloads : int
        Number of simulated workloads.
    replicate : int
        Number of the run in the ensemble, from 0.
    population_seed : int, optional
        Seed of who the workloads are and of their luck; that of the run if left out. With a seed of its own another
        population of any size meets the same releases, intervals and regimes.
    population : str
        What carries the population: 'agents' or 'mean-field'.
    nodes : int
        Number of taste nodes.
    noise : str
        How choices draw: 'shared' or 'options'.
    """

    parameters: Mapping[str, float | str]
    labs: Mapping[str, Mapping[str, float | str]]
    events: tuple[Event, ...]
    start: int
    history_until: int
    end: int
    seed: int
    workloads: int
    replicate: int
    population_seed: int | None = None
    population: str = "agents"
    nodes: int = 1024
    noise: str = "shared"


@dataclass(frozen=True)
class Scenario:
    """A scenario file with everything it stands on, checked.

    Parameters
    ----------
    name, title, story, population : str
        As in the file.
    start, history_until, end : int
        Horizon [months since January 1970].
    runs, seed, workloads, nodes : int
    noise : str
        The ensemble.
    parameters : dict of Value
        Every parameter of the register, by path.
    labs : dict of dict of Value
        Every field of every lab.
    events : tuple of Event
        In order of date, then id.
    correlations : tuple of Correlation
        Rank correlations that act.
    sources : tuple of str
        Sources of the scenario as a whole.
    origins : dict of str
        By path: ``file:line``, ``default``, ``--set #k`` or ``argument``.
    files : tuple of (str, str)
        Name and SHA-256 of each file, the user's own first.
    warnings : tuple of str
        What the user should know, though it hinders nothing.
    """

    name: str
    title: str
    story: str
    population: str
    start: int
    history_until: int
    end: int
    runs: int
    seed: int
    workloads: int
    nodes: int
    noise: str
    parameters: Mapping[str, Value]
    labs: Mapping[str, Mapping[str, Value]]
    events: tuple[Event, ...] = ()
    correlations: tuple[Correlation, ...] = ()
    sources: tuple[str, ...] = ()
    origins: Mapping[str, str] = dataclasses.field(default_factory=dict)
    files: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()

    def draw(self, replicate: int) -> Settings:
        """Return the settings of one run.

        The uniform behind each value is keyed by its path, so it depends on the seed and the replicate alone: not on
        other paths, the order of the file or the number of runs.
        """
        uniforms = self.uniforms(replicate)

        def drawn(path: str, value: Value) -> float | str:
            of = value.value
            return of.quantile(uniforms[path]) if isinstance(of, Distribution) else of

        events = tuple(self._drawn_event(event, drawn) for event in self.events)
        return Settings(
            {path: drawn(path, value) for path, value in self.parameters.items()},
            {
                lab: {name: drawn(f"labs.{lab}.{name}", value) for name, value in fields.items()}
                for lab, fields in self.labs.items()
            },
            events,
            self.start,
            self.history_until,
            self.end,
            rng.run_seed(self.seed, replicate),
            self.workloads,
            replicate,
            population=self.population,
            nodes=self.nodes,
            noise=self.noise,
        )

    def _drawn_event(self, event: Event, drawn: Any) -> Event:
        given = {name: drawn(f"events.{event.id}.{name}", value) for name, value in event.fields.items()}
        lever = register().levers.get(event.lever)
        order = [spec.path for spec in lever.fields] if lever else list(given)
        return dataclasses.replace(event, fields={name: given.get(name, math.nan) for name in order})

    def uniforms(self, replicate: int) -> dict[str, float]:
        """Return the uniform in (0, 1) of every uncertain value of a run, correlations included, by path."""
        found = {}
        for path, value in self.values().items():
            if isinstance(value.value, Distribution):
                key = rng.stream_key(self.seed, _stream(path))
                found[path] = float(rng.uniform(key, replicate))
        return found | (correlated(self.correlations, found) if self.correlations else {})

    def values(self) -> dict[str, Value]:
        """Return every value by path: parameters, ``labs.<Lab>.<field>`` and ``events.<id>.<field>``."""
        found = dict(self.parameters)
        found |= {f"labs.{lab}.{name}": v for lab, fields in self.labs.items() for name, v in fields.items()}
        return found | {f"events.{e.id}.{name}": v for e in self.events for name, v in e.fields.items()}

    def content_hash(self) -> str:
        """Return the SHA-256 of everything that can change a result.

        Names, texts, sources, comments, file names and the order of a file do not count.
        """
        canonical = {
            "format": HASH_FORMAT,
            "population": self.population,
            "horizon": [self.start, self.history_until, self.end],
            "ensemble": list(self._ensemble().values()),
            "parameters": {path: value.canonical() for path, value in self.parameters.items()},
            "labs": {lab: {n: v.canonical() for n, v in fields.items()} for lab, fields in self.labs.items()},
            "events": [[e.id, e.date, e.lever, {n: v.canonical() for n, v in e.fields.items()}] for e in self.events],
            "correlations": [[c.first, c.second, c.rank] for c in self.correlations],
        }
        text = json.dumps(canonical, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def _ensemble(self) -> dict[str, int | str]:
        return {name: getattr(self, name) for name in ENSEMBLE}

    def resolved(self) -> dict[str, Any]:
        """Return the effective scenario as plain data, which loads again to the same content hash."""
        written: dict[str, Any] = {
            "name": self.name,
            "title": self.title,
            "story": self.story,
            "population": self.population,
            "horizon": {
                "start": format_month(self.start),
                "history_until": format_month(self.history_until),
                "end": format_month(self.end),
            },
            "ensemble": self._ensemble() | {"posterior": "none"},
            "parameters": {path: value.document() for path, value in self.parameters.items()},
            "labs": {lab: {n: v.document() for n, v in fields.items()} for lab, fields in self.labs.items()},
            "events": [event.document() for event in self.events],
            "correlations": [pair.document() for pair in self.correlations],
            "sources": list(self.sources),
        }
        return {key: value for key, value in written.items() if value not in ("", [])}

    def resolved_text(self) -> str:
        """Return `resolved` as YAML, each value followed by its unit and where it was set."""
        from sim.scenario.writing import resolved_text

        return resolved_text(self, register())

    def replace(
        self,
        *,
        runs: int | None = None,
        seed: int | None = None,
        workloads: int | None = None,
        nodes: int | None = None,
        noise: str | None = None,
        until: int | str | None = None,
        population: str | None = None,
    ) -> Scenario:
        """Return the scenario with another ensemble or end; None leaves a setting as it is.

        Parameters
        ----------
        runs, seed, workloads, nodes : int
            Within the bounds of the schema.
        noise : str
            ``shared`` or ``options``.
        until : str or int
            Last month, ``YYYY-MM`` or a month number.
        population : str
            ``agents`` or ``mean-field``.

        Raises
        ------
        ScenarioError
            If a value is not allowed.
        """
        from sim.scenario.layer import LAST_END

        problems, changed = Problems(), {}
        given = {"runs": runs, "seed": seed, "workloads": workloads, "nodes": nodes, "noise": noise}
        for name, setting in (given | {"population": population}).items():
            if setting is not None:
                node = node_of(_plain_number(setting), Where(name, 0))
                changed[name] = read_setting(node, ENSEMBLE.get(name, POPULATION), "", problems)
        if until is not None:
            try:
                month = parse_month(until) if isinstance(until, str) else int(until)
            except ValueError as error:
                problems.add(Where("until", 0), "", str(error))
            else:
                if not self.start < month <= LAST_END:
                    span = f"from {format_month(self.start + 1)} to {format_month(LAST_END)}"
                    problems.add(Where("until", 0), "", f"{format_month(month)} is not allowed; a month {span} is")
                changed["end"] = month
        problems.check()
        paths = {"end": "horizon.end"} | {name: f"ensemble.{name}" for name in ENSEMBLE}
        origins = dict(self.origins) | {paths[name]: "argument" for name in changed if name in paths}
        return dataclasses.replace(self, **changed, origins=origins)


def _plain_number(given: Any) -> Any:
    """Return NumPy integers and the like as Python numbers; anything else is left for the check to refuse."""
    index = getattr(given, "__index__", None)
    return index() if index and not isinstance(given, bool) else given


def _stream(path: str) -> str:
    if path.startswith("events."):
        return "event:" + path.removeprefix("events.").replace(".", ":", 1)
    if path.startswith("labs."):
        return "lab:" + path.removeprefix("labs.")
    return "parameter:" + path
