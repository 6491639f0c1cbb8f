"""The register as loading needs it: parameters by path, fields of labs, levers, and the names to hint at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from sim.scenario.schema import ANY_LAB, BLOCS, Lever, Parameter

HORIZON = ("start", "history_until", "end")
TEXT_FIELDS = ("source", "assumption", "note")
BLOC = Parameter("bloc", "Bloc of a lab that the scenario adds", "1", 0, 0, None, kind="setting", choices=BLOCS)
# A lab that a scenario adds has the defaults of the fields, but that it waits for its entry.
ADDED = {"active": {"value": 0, "assumption": "a lab that a scenario adds enters with an event lab_entry"}}
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
    "nodes": Parameter(
        "ensemble.nodes",
        "Taste nodes: price setting in both engines, and the population itself under mean-field",
        "nodes",
        64,
        65_536,
        1024,
        kind="setting",
        integer=True,
    ),
    "noise": Parameter(
        "ensemble.noise",
        "How choices draw: one number a workload, or one for every option, which couples scenarios more closely and "
        "costs about twice as much",
        "1",
        0,
        0,
        "shared",
        kind="setting",
        choices=("shared", "options"),
    ),
}
POPULATION = Parameter(
    "population",
    "How adopters are represented: workloads that draw, or taste nodes with shares of each, which have no luck",
    "1",
    0,
    0,
    "agents",
    kind="setting",
    choices=("agents", "mean-field"),
)


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
    added : tuple of str
        Labs among `labs` that the scenario adds.
    """

    parameters: Mapping[str, Parameter]
    lab_fields: Mapping[str, Parameter]
    labs: Mapping[str, Mapping[str, Any]]
    levers: Mapping[str, Lever]
    added: tuple[str, ...] = ()
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

    def with_labs(self, names: Sequence[str]) -> Register:
        """Return the register with labs that a scenario adds; they come last."""
        if not names:
            return self
        return replace(self, labs={**self.labs, **dict.fromkeys(names, ADDED)}, added=(*self.added, *names))

    def fields_of(self, lab: str) -> Mapping[str, Parameter]:
        """Return the fields of a lab: those of all, and the bloc of one that the scenario adds."""
        return {"bloc": BLOC, **self.lab_fields} if lab in self.added else self.lab_fields

    def named(self, spec: Parameter) -> Parameter:
        """Return a field with the names of the labs among its choices where it allows any lab."""
        if ANY_LAB not in spec.choices:
            return spec
        return replace(spec, choices=(*self.labs, *(word for word in spec.choices if word != ANY_LAB)))

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
