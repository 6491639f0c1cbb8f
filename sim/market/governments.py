"""Governments and the world at large: who carries out dated events, and the rules then in force (docs/model.md, 5).

What labs decide by events stands in `entry.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import fsum, inf
from typing import Any

import mesa
import numpy as np
from numpy.typing import NDArray

from sim import rng
from sim.market.tables import Bools, Floats, Ints, LabTable, LineTable, ReleaseTable, WorkloadTable
from sim.scenario.levers import BAN_SCOPES, EVERYONE, TRUST_TARGETS
from sim.scenario.schema import BLOCS, DEVELOPER_GROUPS, ENTERPRISE_GROUPS, GROUPS

EXPORTER, IMPORTER = "US", "CN"
GOVERNMENTS = ("US", "CN", "EU")
WORLD, LABS = "world", "labs"
_OWNERS = {
    "export_control": EXPORTER,
    "cloud_access": EXPORTER,
    "distillation_crackdown": EXPORTER,  # the closed frontier stands under its law
    "import_restriction": IMPORTER,
    "domestic_ramp": IMPORTER,
    "trust_shock": WORLD,
    "compute_shock": WORLD,
    "frontier_shock": WORLD,
    "price_rule": LABS,
    "promotion": LABS,
    "openness_change": LABS,
    "lab_exit": LABS,
    "lab_entry": LABS,
}
_OWNER_BY = {"model_ban": "adopters", "open_subsidy": "bloc", "publishing_restriction": "bloc"}
_MEMBERS = {"developers": DEVELOPER_GROUPS, "enterprises": ENTERPRISE_GROUPS, EVERYONE: GROUPS}


@dataclass(frozen=True)
class Ban:
    """A ban on models of the labs of bloc `origin` for a share of the organisations of a group and bloc."""

    origin: str
    adopters: str
    group: str
    scope: str
    share: float


@dataclass(frozen=True)
class TrustShock:
    """Trust that one kind of model lost in a month: `size` in utils, `half_life` in months."""

    target: str
    size: float
    half_life: float
    month: int


@dataclass(frozen=True)
class Promotion:
    """A discount that the lab of a row gives on its API: share of the price, first month and number of months."""

    lab: int
    discount: float
    month: int
    months: float


@dataclass(frozen=True)
class Policy:
    """Rules in force in a month.

    `quota` is in chips a year by tier, `leakage`, `allowed` and `cloud_open` are shares, `domestic_growth` a factor
    a year with the month from which it holds. `world_compute` multiplies accelerator additions outside China,
    `frontier` the slope of the frontier, `closed_leak` the speed at which closed knowledge leaks. By bloc of the lab,
    in the order of `BLOCS`: `subsidy` is the share of the price of hosted and self-hosted open weights that is paid,
    `research_grant` a factor on research compute, `publish_limit` the capability above which no weights are published
    [ECI points].
    """

    quota: Mapping[str, float]
    leakage: float
    allowed: float
    cloud_open: float
    domestic_growth: tuple[tuple[int, float], ...] = field(default=())
    world_compute: float = 1.0
    frontier: float = 1.0
    closed_leak: float = 1.0
    bans: tuple[Ban, ...] = ()
    trust: tuple[TrustShock, ...] = ()
    promotions: tuple[Promotion, ...] = ()
    subsidy: tuple[float, ...] = (0.0,) * len(BLOCS)
    research_grant: tuple[float, ...] = (1.0,) * len(BLOCS)
    publish_limit: tuple[float, ...] = (inf,) * len(BLOCS)


class Actor(mesa.Agent):
    """Someone who carries out dated events."""

    def __init__(self, model: mesa.Model, events: Sequence[Any]):
        super().__init__(model)
        self.by_month: dict[int, list[Any]] = {}
        for event in sorted(events, key=lambda e: (e.date, e.id)):
            self.by_month.setdefault(event.date, []).append(event)

    def due(self, month: int) -> list[Any]:
        """Return the actor's events of a month in the order in which it carries them out."""
        return self.by_month.get(month, [])

    def act(self, policy: Policy, month: int) -> Policy:
        """Return the policy after this actor's events of `month`."""
        for event in self.due(month):
            policy = apply_event(policy, event.lever, event.fields, month)
        return policy


class Government(Actor):
    """The government of a bloc."""

    def __init__(self, model: mesa.Model, bloc: str, events: Sequence[Any]):
        super().__init__(model, events)
        self.bloc = bloc


class World(Actor):
    """What no single government or lab decides: accidents, the pace of progress and of investment."""


def owner_of(lever: str, values: Mapping[str, Any]) -> str:
    """Return who pulls a lever: the bloc of a government, `WORLD`, or `LABS` for the labs that the event names.

    Raises
    ------
    KeyError
        If the lever is unknown; the scenario loader lets none through.
    """
    if lever not in _OWNER_BY:
        return _OWNERS[lever]
    bloc = values[_OWNER_BY[lever]]
    return bloc if bloc in GOVERNMENTS else WORLD


def apply_event(policy: Policy, lever: str, values: Mapping[str, Any], month: int) -> Policy:
    """Return the policy with one event of a government or of the world in force.

    Raises
    ------
    KeyError
        If the lever is unknown; the scenario loader lets none through.
    """
    return _ACTS[lever](policy, values, month)


def given(value: Any) -> bool:
    """Return whether an optional field of an event was given; one that was left out is NaN."""
    return value == value


def _export_control(policy: Policy, values: Mapping[str, Any], month: int) -> Policy:
    leakage = values["leakage"] if given(values["leakage"]) else policy.leakage
    return replace(policy, quota={**policy.quota, values["tier"]: values["quota"]}, leakage=leakage)


def _model_ban(policy: Policy, values: Mapping[str, Any], month: int) -> Policy:
    new = Ban(**{name: values[name] for name in ("origin", "adopters", "group", "scope", "share")})
    aim = (new.origin, new.adopters, new.group)
    others = tuple(ban for ban in policy.bans if (ban.origin, ban.adopters, ban.group) != aim)
    return replace(policy, bans=(*others, new) if new.share > 0.0 else others)


def _trust_shock(policy: Policy, values: Mapping[str, Any], month: int) -> Policy:
    shock = TrustShock(values["target"], values["size"], values["half_life"], month)
    return replace(policy, trust=(*policy.trust, shock))


def _open_subsidy(policy: Policy, values: Mapping[str, Any], month: int) -> Policy:
    bloc, compute = BLOCS.index(values["bloc"]), values["compute"]
    grant = _with(policy.research_grant, bloc, compute) if given(compute) else policy.research_grant
    return replace(policy, subsidy=_with(policy.subsidy, bloc, values["share"]), research_grant=grant)


def _publishing_restriction(policy: Policy, values: Mapping[str, Any], month: int) -> Policy:
    limit = _with(policy.publish_limit, BLOCS.index(values["bloc"]), values["above"])
    return replace(policy, publish_limit=limit)


def _frontier_shock(policy: Policy, values: Mapping[str, Any], month: int) -> Policy:
    return replace(policy, frontier=values["factor"]) if given(values["factor"]) else policy


def _with(values: tuple[float, ...], place: int, value: float) -> tuple[float, ...]:
    return (*values[:place], value, *values[place + 1 :])


_ACTS: dict[str, Callable[[Policy, Mapping[str, Any], int], Policy]] = {
    "export_control": _export_control,
    "import_restriction": lambda policy, values, _: replace(policy, allowed=values["allowed"]),
    "cloud_access": lambda policy, values, _: replace(policy, cloud_open=values["open"]),
    "domestic_ramp": lambda policy, values, month: replace(
        policy, domestic_growth=(*policy.domestic_growth, (month, values["growth"]))
    ),
    "model_ban": _model_ban,
    "trust_shock": _trust_shock,
    "open_subsidy": _open_subsidy,
    "publishing_restriction": _publishing_restriction,
    "distillation_crackdown": lambda policy, values, _: replace(policy, closed_leak=values["factor"]),
    "compute_shock": lambda policy, values, _: replace(policy, world_compute=values["factor"]),
    "frontier_shock": _frontier_shock,
}


def barred(policy: Policy, table: WorkloadTable, seed: int) -> NDArray[np.int8]:
    """Return how far bans on models of each bloc reach for each workload, shape (workloads, blocs) (eq. 81).

    0 none, 1 the labs' own API, 2 hosts as well, 3 own machines and devices as well. An organisation that a ban with
    some share reaches is reached by every ban on the same origin with a larger one.

    Parameters
    ----------
    policy : Policy
        Rules in force.
    table : WorkloadTable
        The workloads.
    seed : int
        Seed of the run.
    """
    reach = np.zeros((len(table), len(BLOCS)), np.int8)
    for ban in policy.bans:
        origin = BLOCS.index(ban.origin)
        bound = rng.uniform(rng.stream_key(seed, f"ban event:{ban.origin}"), table.organisation) < ban.share
        groups = [GROUPS.index(group) for group in _MEMBERS.get(ban.group, (ban.group,))]
        bound &= (table.group >= groups[0]) & (table.group <= groups[-1])
        bound &= table.bloc != origin if ban.adopters == EVERYONE else table.bloc == BLOCS.index(ban.adopters)
        reach[bound, origin] = np.maximum(reach[bound, origin], 1 + BAN_SCOPES.index(ban.scope))
    return reach


def trust_penalty(policy: Policy, month: int) -> dict[str, float]:
    """Return what shocks have cost Chinese, open and closed models in trust by a month [utils] (eq. 82)."""
    return {
        target: fsum(s.size * 0.5 ** ((month - s.month) / s.half_life) for s in policy.trust if s.target == target)
        for target in TRUST_TARGETS
    }


def subsidies(policy: Policy, lab_bloc: Ints, is_open: Bools) -> Floats:
    """Return the share of the price of hosting or running each release that is paid for its users (eq. 83).

    Parameters
    ----------
    policy : Policy
        Rules in force.
    lab_bloc : array, shape (releases,)
        Bloc of each release's lab.
    is_open : array, shape (releases,)
        Whether its weights are out.
    """
    return np.where(is_open, np.array(policy.subsidy)[lab_bloc], 0.0)


def research_grants(policy: Policy, labs: LabTable, lines: LineTable, releases: ReleaseTable) -> Floats:
    """Return the factor on each lab's research compute, shape (labs,) (eq. 84): for those whose best model is open.

    The machines come on top of the bloc's stock, paid by the government that grants them.
    """
    if set(policy.research_grant) == {1.0}:
        return np.ones(len(labs.names))
    current = lines.current[lines.current >= 0]
    best = np.full((2, len(labs.names)), -np.inf)  # of closed and of open current releases
    np.maximum.at(best, (releases.is_open[current].astype(int), releases.lab[current]), releases.capability[current])
    publishes = best[1] > best[0]
    return np.where(publishes & labs.active, np.array(policy.research_grant)[labs.bloc], 1.0)


def may_publish(policy: Policy, bloc: int, capability: float) -> bool:
    """Return whether a lab of a bloc may publish weights of a capability [ECI points] (eq. 85)."""
    return capability <= policy.publish_limit[bloc]


def discounts(policy: Policy, month: int, labs: LabTable) -> Floats:
    """Return the share of its API's price that each lab drops this month, shape (labs,) (eq. 86).

    Of several promotions of a lab the largest counts.
    """
    found = np.zeros(len(labs.names))
    for promotion in policy.promotions:
        if promotion.month <= month < promotion.month + promotion.months:
            found[promotion.lab] = max(found[promotion.lab], promotion.discount)
    return found
