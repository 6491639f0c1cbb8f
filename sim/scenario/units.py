"""Quantities as text with a unit, such as ``"0.28 USD/Mtok"``, turned into the unit of a parameter.

A unit is a product of words over others: ``USD/Mtok``, ``k chips/year``. Words of the table below convert; any
other word of the register (``utils``, ``factor``) must be written as the register writes it: a growth factor takes no
per cent, since 80 % growth would be read as a fall to 0.8.
"""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction

from sim.scenario.nodes import MAX_DIGITS, NUMBER, number_fault
from sim.scenario.problems import shown

_MULTIPLES = {
    "": 1, "k": 10**3, "thousand": 10**3, "M": 10**6, "million": 10**6, "B": 10**9, "bn": 10**9,
    "billion": 10**9, "G": 10**9, "T": 10**12, "trillion": 10**12,
}  # fmt: skip
# Words that take a multiple, each with its other spellings.
_SCALED = {
    "USD": ("usd", "$"),
    "tok": ("token", "tokens"),
    "chip": ("chips", "accelerators", "accelerator"),
    "H100e": ("h100e", "H100-equivalents"),
    "workload": ("workloads",),
    "node": ("nodes",),
    "download": ("downloads",),
}
# word: (size, word it is a size of); a month is a twelfth of a year, and hours have no fixed number in either.
_FIXED = {
    "%": (Fraction(1, 100), ""), "percent": (Fraction(1, 100), ""), "share": (Fraction(1), ""),
    "1": (Fraction(1), ""),
    "year": (Fraction(1), "year"), "years": (Fraction(1), "year"), "yr": (Fraction(1), "year"),
    "month": (Fraction(1, 12), "year"), "months": (Fraction(1, 12), "year"), "mo": (Fraction(1, 12), "year"),
    "hour": (Fraction(1), "hour"), "hours": (Fraction(1), "hour"), "h": (Fraction(1), "hour"),
    "day": (Fraction(24), "hour"), "days": (Fraction(24), "hour"),
    "ECI points": (Fraction(1), "point"), "ECI point": (Fraction(1), "point"),
    "points": (Fraction(1), "point"), "point": (Fraction(1), "point"),
}  # fmt: skip
# Right after the number a unit has no digits, so that 0x1F is no quantity of "x1F"; after a space it may (H100e).
_QUANTITY = re.compile(rf"({NUMBER})([A-Za-z%$][^0-9]*|[ \u00a0\u202f]+(?:[A-Za-z%$].*|1/.*))\Z")
QUANTITY_PATTERN = rf"^\s*{NUMBER}([A-Za-z%$][^0-9]*$|[ \u00a0\u202f]+([A-Za-z%$]|1/))"


def _word(text: str) -> tuple[Fraction, str]:
    """Return size and base word of one word of a unit."""
    word = " ".join(text.split())
    if word in _FIXED:
        return _FIXED[word]
    for base, spellings in _SCALED.items():
        for spelling in (base, *spellings):
            if word.endswith(spelling):
                multiple = _MULTIPLES.get(word[: -len(spelling)].strip())
                if multiple is not None:
                    return Fraction(multiple), base
    for name, multiple in _MULTIPLES.items():
        if name and word.startswith(name + " ") and (known := _FIXED.get(word[len(name) :].strip())):
            return known[0] * multiple, known[1]
    return Fraction(1), word


def _unit(text: str) -> tuple[Fraction, Counter[str]]:
    """Return size and dimension (base word: power) of a unit."""
    size, dimension = Fraction(1), Counter()
    for place, part in enumerate(re.split(r"/|\bper\b", text)):
        power = -1 if place else 1
        for word in part.split("*"):
            factor, base = _word(word)
            size *= factor**power
            if base:
                dimension[base] += power
    return size, Counter({base: power for base, power in dimension.items() if power})


def quantity(text: str, unit: str) -> float | None:
    """Return a quantity in `unit`, or None if `text` is not a number followed by a unit.

    Parameters
    ----------
    text : str
        A number, then a unit: ``"300 kchips/year"``, ``"1.5 M chips/year"``, ``"5 %"``.
    unit : str
        The unit wanted, as the register writes it; ``"1"`` for a pure number.

    Raises
    ------
    ValueError
        If the unit measures something else, or the number does not fit into 64 bits.
    """
    match = _QUANTITY.match(text.strip())
    if not match:
        return None
    number, given = match[1], match[2].strip()
    if len(number) > MAX_DIGITS:
        raise ValueError(f"the number has more than {MAX_DIGITS} characters")
    wanted_size, wanted = _unit(unit)
    size, dimension = _unit(given)
    if unit == "1":
        raise ValueError(f"the unit '{shown(given)}' does not fit: a pure number takes none")
    if dimension != wanted:
        raise ValueError(f"the unit '{shown(given)}' does not fit")
    fault = number_fault(number, float(number))
    if fault:
        raise ValueError(fault)
    if float(number) == 0:  # exact arithmetic would build the power of ten of 0e999999999
        return 0.0
    exact = Fraction(number) * size / wanted_size
    try:
        return float(exact) + 0.0
    except OverflowError:
        raise ValueError(f"{number} {shown(given)} is too large for a 64-bit number") from None
