"""The register: every number a scenario can set, with meaning, unit, bounds, default and its reason, in one place.

Validation, `sim schema`, the resolved scenario, the tables of `docs/parameters.md` and the model itself read
this file and no other. `parameters.py`, `lab_fields.py` and `levers.py` hold the entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

BLOCS = ("US", "EU", "CN", "ROW")
GROUPS = ("indie", "startup", "ordinary", "regulated", "public")
DEVELOPER_GROUPS = GROUPS[:2]
ENTERPRISE_GROUPS = GROUPS[2:]
CLASSES = ("chat", "knowledge", "coding", "agentic", "embodied")
CHANNELS = ("lab_api", "host", "self_host", "on_device")
OPENNESS_RULES = ("as_line", "open", "closed", "open_if_behind", "open_if_short", "delayed", "profit_max")
DEGREES = ("as_line", "open_source", "open_weights", "restricted_weights")  # of new open releases
PRICE_RULES = ("bertrand", "cost_plus", "match_open", "penetration", "hold")
WITHHELD, NEVER = WORLDS = ("weights_withheld", "never_developed")  # without open weights; see `sim.market.worlds`
ANY_LAB = "<lab>"  # stands among the choices of a word for the name of any lab of the scenario


@dataclass(frozen=True)
class Parameter:
    """One number of the register.

    Parameters
    ----------
    path : str
        Dotted name as written in a scenario file.
    meaning : str
        One sentence a strategist understands.
    unit : str
        Unit in plain text; ``"1"`` for a pure number.
    low, high : float
        Bounds, inclusive; every draw is kept inside them.
    default : float or dict or str
        A number, or a distribution such as ``{"triangular": [1.5, 2.5, 4.0]}`` as in a scenario file; a word from
        `choices` where those are given.
    source, assumption : str
        Exactly one of the two: where the default comes from, or why it is assumed.
    kind : {'uncertainty', 'lever', 'setting'}
        Uncertain fact, choice of an actor, or a setting of the simulation.
    integer : bool
        Whole numbers only.
    choices : tuple of str
        Allowed words for a value that is a word and not a number; `ANY_LAB` among them allows every lab.
    """

    path: str
    meaning: str
    unit: str
    low: float
    high: float
    default: Any
    source: str = ""
    assumption: str = ""
    kind: str = "uncertainty"
    integer: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lever:
    """One kind of dated event.

    Parameters
    ----------
    name : str
        Value of `lever:` in an event.
    meaning : str
        What happens from the event's date on.
    fields : tuple of Parameter
        The event's own fields; `Parameter.path` is the bare field name. A default of None makes the field required,
        one of NaN leaves a field that is left out as it is.
    target : tuple of str
        Fields that say on what the lever acts; the others say how. Two events of a month with one target would undo
        each other.
    """

    name: str
    meaning: str
    fields: tuple[Parameter, ...]
    target: tuple[str, ...]
