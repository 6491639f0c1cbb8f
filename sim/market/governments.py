"""Governments: the actors that pull dated levers (docs/model.md, section 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import mesa

EXPORTER, IMPORTER = "US", "CN"


@dataclass(frozen=True)
class Policy:
    """Rules in force in a month.

    `quota` is in chips a year by tier, `leakage`, `allowed` and `cloud_open` are shares, `domestic_growth` a factor
    a year with the month from which it holds. `world_compute` multiplies accelerator additions outside China,
    `frontier` the slope of the frontier, `closed_leak` the speed at which closed knowledge leaks.
    """

    quota: Mapping[str, float]
    leakage: float
    allowed: float
    cloud_open: float
    domestic_growth: tuple[tuple[int, float], ...] = field(default=())
    world_compute: float = 1.0
    frontier: float = 1.0
    closed_leak: float = 1.0


class Government(mesa.Agent):
    """One government and the dated events it carries out."""

    def __init__(self, model: mesa.Model, bloc: str, events: Sequence[Any]):
        super().__init__(model)
        self.bloc = bloc
        self.events = tuple(sorted(events, key=lambda e: (e.date, e.id)))

    def act(self, policy: Policy, month: int) -> Policy:
        """Return the policy after this government's events of `month`."""
        for event in self.events:
            if event.date == month:
                policy = apply_event(policy, event.lever, event.fields, month)
        return policy


def owner_of(lever: str) -> str:
    """Return the bloc whose government pulls a lever."""
    return EXPORTER if lever in ("export_control", "cloud_access") else IMPORTER


def apply_event(policy: Policy, lever: str, values: Mapping[str, Any], month: int) -> Policy:
    """Return the policy with one event in force.

    Raises
    ------
    KeyError
        If the lever is unknown; the scenario loader lets none through.
    """
    if lever == "export_control":
        leakage = values.get("leakage", float("nan"))
        return replace(
            policy,
            quota={**policy.quota, values["tier"]: values["quota"]},
            leakage=policy.leakage if leakage != leakage else leakage,
        )
    if lever == "import_restriction":
        return replace(policy, allowed=values["allowed"])
    if lever == "cloud_access":
        return replace(policy, cloud_open=values["open"])
    if lever == "domestic_ramp":
        return replace(policy, domestic_growth=(*policy.domestic_growth, (month, values["growth"])))
    raise KeyError(lever)
