"""The register as a page for readers: `python -m sim.scenario.register_table > docs/parameters.md`.

The page is a pure function of the register, so that a test can hold the file against it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from sim.months import format_month
from sim.scenario.layer import LAST_END, LAST_HISTORY, START
from sim.scenario.load import DEFAULT_HORIZON
from sim.scenario.nodes import number_text
from sim.scenario.register import ENSEMBLE, POPULATION, Register, register
from sim.scenario.schema import Parameter
from sim.scenario.writing import flow

COMMAND = "python -m sim.scenario.register_table > docs/parameters.md"
HEADER = ("Path", "Meaning", "Unit", "Default", "Allowed", "Why this default")
GROUP_TITLES = {
    "compute": "Accelerators and export controls",
    "capability": "Knowledge, capability and releases",
    "serving": "Serving cost, hosts and own machines",
    "demand": "Adopters and their workloads",
    "awareness": "Awareness of labs",
    "observation": "What trackers and surveys see",
}
HORIZON_MEANINGS = {
    "start": "First month simulated",
    "history_until": "Last month replayed from the evidence",
    "end": "Last month simulated",
}


def register_page(of: Register) -> str:
    """Return the page of all parameters, lab fields and lever fields as Markdown.

    Parameters
    ----------
    of : Register
        What scenarios can set.

    Returns
    -------
    str
        Ends with a line feed; the same register gives the same text.
    """
    blocks = [_opening(of), _horizon_and_ensemble()]
    groups: dict[str, list[Parameter]] = {}
    for spec in of.parameters.values():
        groups.setdefault(spec.path.split(".")[0], []).append(spec)
    for group, specs in groups.items():
        blocks.append(f"## {GROUP_TITLES.get(group, group.capitalize())} (`{group}`)")
        blocks.append(table(HEADER, [_row(spec, spec.path) for spec in specs]))
    blocks += [*_lab_blocks(of), *_lever_blocks(of)]
    return "\n\n".join(blocks) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; bars and line ends inside cells are made harmless.

    Raises
    ------
    ValueError
        If a row has another number of cells than the header.
    """
    lines = [_line(header), _line(["---"] * len(header))]
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"a row of {len(row)} cells under {len(header)} headings: {row}")
        lines.append(_line(row))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def _opening(of: Register) -> str:
    specs = [*of.parameters.values(), *of.lab_fields.values()]
    sourced = sum(bool(spec.source) for spec in specs)
    return "\n".join(
        (
            "# Parameters",
            "",
            f"<!-- Written by: {COMMAND}. Edit the register in sim/scenario, not this page. -->",
            "",
            "Every number that a scenario can set, with its meaning, unit, bounds and default. What each one does",
            "stands in [model.md](model.md); how it is written in a scenario file, `sim new NAME` shows.",
            "",
            f"- {len(of.parameters)} parameters, {len(of.lab_fields)} fields of each of {len(of.labs)} labs, "
            f"{len(of.levers)} levers for dated events.",
            f"- {sourced} defaults rest on a source, {len(specs) - sourced} are assumptions with a reason. "
            "Four were set by hand so that the base year comes out right (two volumes, two constants for open "
            "models); nothing else is fitted to the observed series in this version.",
            "- A default in braces is a distribution: each run draws from it, and every draw is kept in the bounds.",
            "  `triangular: [low, mode, high]`, `uniform: [low, high]`, `normal: [mean, sd]`,",
            "  `lognormal: [median, sigma]`; `pert`, `choice` and `empirical` may be written too.",
            "- `parts` are divided by their sum. `utils` are units of the random part of utility (model.md, 4.5).",
        )
    )


def _horizon_and_ensemble() -> str:
    span = {"start": LAST_HISTORY, "history_until": LAST_HISTORY, "end": LAST_END}
    rows = [
        (f"`horizon.{name}`", HORIZON_MEANINGS[name], "month", f"`{default}`",
         f"{format_month(START)} to {format_month(span[name])}")
        for name, default in DEFAULT_HORIZON.items()
    ]  # fmt: skip
    rows += [
        (f"`{spec.path}`", spec.meaning, _unit(spec), f"`{flow(spec.default)}`", _bounds(spec))
        for spec in (POPULATION, *ENSEMBLE.values())
    ]
    return "## Horizon, population and ensemble\n\n" + table(HEADER[:-1], rows)


def _row(spec: Parameter, path: str) -> tuple[str, ...]:
    why = f"Source: {spec.source}" if spec.source else f"Assumption: {spec.assumption}"
    return f"`{path}`", spec.meaning, _unit(spec), f"`{flow(spec.default)}`", _bounds(spec), why


def _unit(spec: Parameter) -> str:
    if spec.choices:
        return "word"
    return "pure number" if spec.unit == "1" else spec.unit


def _bounds(spec: Parameter) -> str:
    if spec.choices:
        return ", ".join(f"`{word}`" for word in spec.choices)
    return f"{number_text(spec.low)} to {number_text(spec.high)}" + (", whole" if spec.integer else "")


def _lab_blocks(of: Register) -> list[str]:
    fields = [_row(spec, f"labs.<lab>.{name}") for name, spec in of.lab_fields.items()]
    names = ["bloc", *(n for n in of.lab_fields if any(n in entry for entry in of.labs.values()))]
    rows = []
    reasons: dict[str, list[str]] = {}
    for lab, entry in of.labs.items():
        cells = [f"`{lab}`"]
        for name in names:
            value = entry.get(name)
            if isinstance(value, dict) and "value" in value:
                for kind in ("source", "assumption"):
                    if kind in value:
                        text = f"`{name}: {flow(value['value'])}`" if isinstance(value["value"], str) else f"`{name}`"
                        reasons.setdefault(f"{kind.capitalize()} of {text}: {value[kind]}", []).append(lab)
                value = value["value"]
            cells.append("" if value is None else value if isinstance(value, str) else flow(value))
        rows.append(cells)
    why = [f"- {text} ({', '.join(labs)})." for text, labs in reasons.items()]
    return [
        "## Labs (`labs`)",
        table(HEADER, fields),
        "The labs and where their defaults differ; an empty cell means the default above.",
        table(["Lab", *(f"`{name}`" for name in names)], rows),
        "\n".join(why),
    ]


def _lever_blocks(of: Register) -> list[str]:
    blocks = [
        "## Levers (`events`)",
        "An event has an `id`, a `date` (the month from which it acts), a `lever`, and the fields of that lever.\n"
        "The size has no default, because it is the scenario's claim; write its `source` or `assumption` beside it.",
    ]
    for lever in of.levers.values():
        rows = [
            (f"`{spec.path}`", spec.meaning, _unit(spec), _given(spec), _bounds(spec))
            for spec in lever.fields
        ]  # fmt: skip
        blocks += [
            f"### `{lever.name}`",
            lever.meaning,
            table(("Field", "Meaning", "Unit", "If left out", "Allowed"), rows),
        ]
    return blocks


def _given(spec: Parameter) -> str:
    default: Any = spec.default
    if default is None:
        return "must be given"
    return "stays as it is" if isinstance(default, float) and math.isnan(default) else f"`{flow(default)}`"


if __name__ == "__main__":
    sys.stdout.buffer.write(register_page(register()).encode("utf-8"))
