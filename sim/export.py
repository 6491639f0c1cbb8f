"""Copies of the tables for other programs: CSV and XLSX in which no text can act as a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from sim.columns import FLOAT, MONTH, TABLES, TEXT, Column
from sim.months import format_month
from sim.summary import number_texts

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\0")


def safe_text(text: str | None) -> str:
    """Return a text that no spreadsheet takes for a formula: a leading ``'`` where it would (ASVS 1.2.10)."""
    if text is None:
        return ""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def table_csv(name: str, columns: Mapping[str, NDArray[Any]]) -> bytes:
    """Return a table as CSV: UTF-8, months as dates, missing values empty, numbers with all their digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.name for column in TABLES[name].columns])
    writer.writerows(zip(*(_cells(columns[each.name], each) for each in TABLES[name].columns), strict=True))
    return text.getvalue().encode()


def _cells(values: NDArray[Any], column: Column) -> list[str]:
    if column.kind == FLOAT:
        return number_texts(values)
    if column.kind == TEXT:
        return [safe_text(text) for text in values.tolist()]
    if column.kind == MONTH:
        return [f"{format_month(month)}-01" for month in values.tolist()]
    return [str(number) for number in values.tolist()]
