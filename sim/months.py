"""Calendar months as integers: months since January 1970, the unit of every date in the model."""

from __future__ import annotations

import re
from datetime import date

_MONTH = re.compile(r"^(\d{4})-(0[1-9]|1[0-2])$")


def parse_month(text: str) -> int:
    """Return the month number of ``YYYY-MM``.

    Raises
    ------
    ValueError
        If `text` is not of that form.
    """
    match = _MONTH.match(text)
    if not match:
        raise ValueError(f"{text!r} is not a month; write YYYY-MM, for example 2025-12")
    return (int(match[1]) - 1970) * 12 + int(match[2]) - 1


def month_of_day(text: str) -> int:
    """Return the month number that holds the day ``YYYY-MM-DD``."""
    day = date.fromisoformat(text)
    return (day.year - 1970) * 12 + day.month - 1


def format_month(month: int) -> str:
    """Return ``YYYY-MM`` for a month number."""
    return f"{1970 + month // 12:04d}-{month % 12 + 1:02d}"


def years_since(month: float, reference: float) -> float:
    """Return the time from month `reference` to `month` [years]."""
    return (month - reference) / 12.0
