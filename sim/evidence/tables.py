"""The CSV files of this folder as rows of text, read once."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from sim.errors import InvariantError
from sim.months import parse_month

FOLDER = Path(__file__).parent
LAST_MONTH = parse_month("2025-12")  # the evidence ends here; nothing later is handed out
Row = Mapping[str, str]


@cache
def table(name: str) -> tuple[Row, ...]:
    """Return the rows of ``<name>.csv`` of this folder, in file order, as read-only mappings from column to text.

    Raises
    ------
    InvariantError
        If a row is longer or shorter than the header: the installed file is damaged.
    FileNotFoundError
        If there is no such file.
    """
    with open(FOLDER / f"{name}.csv", encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        header = next(reader)
        rows = []
        for fields in reader:
            if len(fields) != len(header):
                raise InvariantError(
                    f"sim/evidence/{name}.csv:{reader.line_num}: {len(fields)} fields, not {len(header)}"
                )
            rows.append(MappingProxyType(dict(zip(header, fields, strict=True))))
    return tuple(rows)


def number(text: str) -> float:
    """Return the number in a field, NaN for an empty one."""
    return float(text) if text else float("nan")


def last_month(until: int | None) -> int:
    """Return the last month that may be used: `until`, and never one after the end of the evidence."""
    return LAST_MONTH if until is None else min(until, LAST_MONTH)
