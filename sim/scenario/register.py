"""The register as loading needs it: parameters by path, fields of labs, levers, and the names to hint at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sim.scenario.schema import Lever, Parameter

HORIZON = ("start", "history_until", "end")
TEXT_FIELDS = ("source", "assumption", "note")
ENSEMBLE = {
    "runs": Parameter(
        "ensemble.runs", "Number of runs of the ensemble", "runs", 1, 10_000, 32, kind="setting", integer=True
    ),
    "seed": Parameter(
        "ensemble.seed", "Seed of all random numbers", "1", 0, 2**63 - 1, 1, kind="setting", integer=True
    ),
    "workloads": Parameter(
        "ensemble.workloads",
        "Number of simulated workloads in a run; the market's size does not depend on it",
        "workloads",
        200,
        10_000_000,
        20_000,
        kind="setting",
        integer=True,
    ),
}


@dataclass(frozen=True, eq=False)
class Register:
    """Everything a scenario can set.

    Parameters
    ----------
    parameters : dict of Parameter
        By dotted path.
    lab_fields : dict of Parameter
        By bare field name.
    labs : dict of dict
        By lab: ``bloc``, ``country`` and the defaults of that lab that differ from the field's.
    levers : dict of Lever
        By name.
    """

    parameters: Mapping[str, Parameter]
    lab_fields: Mapping[str, Parameter]
    labs: Mapping[str, Mapping[str, Any]]
    levers: Mapping[str, Lever]
    groups: Mapping[str, tuple[str, ...]] = field(init=False)

    def __post_init__(self) -> None:
        groups: dict[str, dict[str, None]] = {"": {}}
        for path in self.parameters:
            parts = path.split(".")
            for start in range(len(parts)):
                names = groups.setdefault(".".join(parts[:start]), {})
                for end in range(start + 1, len(parts) + 1):
                    names[".".join(parts[start:end])] = None
        object.__setattr__(self, "groups", {group: tuple(names) for group, names in groups.items()})

    @classmethod
    def of(
        cls,
        parameters: Sequence[Parameter],
        lab_fields: Sequence[Parameter],
        labs: Mapping[str, Mapping[str, Any]],
        levers: Sequence[Lever],
    ) -> Register:
        """Return the register of these entries."""
        return cls(
            {p.path: p for p in parameters},
            {p.path: p for p in lab_fields},
            labs,
            {lever.name: lever for lever in levers},
        )

    def lab_default(self, lab: str, name: str) -> Any:
        """Return the default of a field for a lab, as a scenario file would write it."""
        return self.labs[lab].get(name, self.lab_fields[name].default)


@cache
def register() -> Register:
    """Return the register of this version of the model."""
    from sim.scenario.lab_fields import LAB_FIELDS, LABS
    from sim.scenario.levers import LEVERS
    from sim.scenario.parameters import PARAMETERS

    return Register.of(PARAMETERS, LAB_FIELDS, LABS, LEVERS)
