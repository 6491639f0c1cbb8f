"""Numbers as words: no more digits than the Monte-Carlo error allows, and names a strategist reads."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from math import floor, isfinite, log10
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sim.analysis.series import Outcomes, median_error
from sim.months import format_month

MONTH_NAMES = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
UNKNOWN_GLYPH = "□"
_BLANKS = {"\t": " ", "\n": " ", "\r": " ", "\x0b": " ", "\x0c": " "}


@dataclass(frozen=True)
class Estimate:
    """Median and 90 % band of one number over the runs.

    Parameters
    ----------
    median, low, high : float
        Median, 5 % and 95 % quantile; NaN when fewer than half of the runs have a value.
    error : float
        Monte-Carlo standard error of the median; NaN for a single run.
    runs : int
        Runs that have a value.
    """

    median: float
    low: float
    high: float
    error: float
    runs: int

    @property
    def known(self) -> bool:
        """Whether there is a number to tell."""
        return isfinite(self.median)

    @property
    def banded(self) -> bool:
        """Whether there is a band: more than one run."""
        return self.known and self.runs > 1


def estimate(values: ArrayLike) -> Estimate:
    """Return the estimate of one number from its value in each run, shape (R,)."""
    sample = np.asarray(values, dtype=float)
    known = sample[np.isfinite(sample)]
    if not known.size or 2 * known.size < sample.size:
        return Estimate(float("nan"), float("nan"), float("nan"), float("nan"), int(known.size))
    low, median, high = (float(q) for q in np.quantile(known, (0.05, 0.5, 0.95)))
    return Estimate(median, low, high, median_error(known), int(known.size))


def last_place(value: float, error: float = float("nan"), digits: int = 2, finest: int = -99) -> int:
    """Return the power of ten of the last digit worth showing.

    That is the leading digit of the Monte-Carlo error, but at most `digits` significant digits, at least one, and
    nothing finer than 10**`finest`.
    """
    if value == 0 or not isfinite(value):
        return max(finest, 1 - digits)
    magnitude = floor(log10(abs(value)))
    place = magnitude - digits + 1
    if isfinite(error) and error > 0:
        place = max(place, min(floor(log10(error)), magnitude))
    return max(place, finest)


def number(value: float, place: int) -> str:
    """Return `value` rounded to 10**`place`, "-" for NaN, without a minus before zero.

    What would need many zeros is written with a power of ten, for example ``1.5e-11``.
    """
    if not isfinite(value):
        return "-"
    rounded = round(value, -place) + 0.0
    if rounded and not 1e-4 <= abs(rounded) < 1e6:
        return f"{rounded:.{max(0, floor(log10(abs(rounded))) - place)}e}"
    return f"{rounded:,.{max(0, -place)}f}"


def band_words(found: Estimate, scale: float = 1.0, digits: int = 2, finest: int = -99) -> tuple[str, str]:
    """Return the median and the band as text, for example ``("41", "28-55")``.

    Parameters
    ----------
    found : Estimate
        What to tell.
    scale : float
        Factor to the unit shown, 100 for per cent.
    digits, finest : int
        As in `last_place`, after scaling.

    Returns
    -------
    tuple of str
        "-" for an unknown median; an empty band where there is none.
    """
    if not found.known:
        return "-", ""
    place = last_place(found.median * scale, found.error * scale, digits, finest)
    median = number(found.median * scale, place)
    if not found.banded:
        return median, ""
    ends = [number(end * scale, max(place, last_place(end * scale, digits=digits))) for end in (found.low, found.high)]
    return median, (" to " if found.low < 0 else "-").join(ends)


def band_phrase(found: Estimate, unit: str, of: str = "", explain: bool = True, **how: Any) -> str:
    """Return, for example, ``41 % of tokens (90 % of runs: 28-55 %)``.

    Parameters
    ----------
    found : Estimate
        What to tell.
    unit, of : str
        Unit of median and band; words between the median and the band.
    explain : bool
        Whether to say that the band holds 90 % of the runs; once in a sentence is enough.
    **how
        Scale and digits as in `band_words`.
    """
    median, band = band_words(found, **how)
    unit = f" {unit}" if unit else ""
    of = f" {of}" if of else ""
    if not band:
        return f"{median}{unit}{of}"
    return f"{median}{unit}{of} ({'90 % of runs: ' if explain else ''}{band}{unit})"


def share_phrase(found: Estimate, of: str = "", explain: bool = True) -> str:
    """Return a share with its band in per cent."""
    return band_phrase(found, "%", of, explain, scale=100.0, finest=-1)


def month_words(month: int) -> str:
    """Return, for example, ``December 2030``."""
    return f"{MONTH_NAMES[month % 12]} {1970 + month // 12}"


def plain(text: object, limit: int = 200) -> str:
    """Return text of a scenario fit for one line of a picture or a terminal.

    Control, format, private and unassigned characters (which can reorder or hide text, or break an SVG file) are
    dropped, blanks are joined, and what is longer than `limit` ends in an ellipsis.
    """
    spaced = "".join(_BLANKS.get(sign, sign) for sign in str(text))
    kept = "".join(sign for sign in spaced if unicodedata.category(sign)[0] != "C")
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def scenario_name(outcome: Outcomes) -> str:
    """Return the scenario's name and title on one line."""
    scenario = outcome.manifest.get("scenario", {})
    name, title = plain(scenario.get("name", ""), 64), plain(scenario.get("title", ""), 120)
    return f"{title} ({name})" if title and title != name else name


def runs_words(outcome: Outcomes) -> str:
    """Return what line and bands are, in words."""
    if outcome.runs == 1:
        return "Line: a single run, so there is no band."
    few = "" if outcome.runs >= ENOUGH_RUNS else " Too few runs for a band: read it as what some runs give."
    return f"Dark line: median of {outcome.runs} runs; bands: middle half and 90 % of runs.{few}"


ENOUGH_RUNS = 20  # the 5 and 95 % points of fewer are their smallest and largest
CAUTION = "uncalibrated; history: releases, prices, shipments replayed, use simulated"


def variant(outcome: Outcomes) -> list[str]:
    """Return what of the result a scenario's name does not say: mean-field, and values replaced on the command line."""
    manifest = outcome.manifest
    found = ["mean-field"] if manifest.get("options", {}).get("population") == "mean-field" else []
    replaced = manifest.get("scenario", {}).get("overrides", ())
    return found + ([f"with {plain(', '.join(map(str, replaced)), 80)}"] if replaced else [])


def provenance(outcome: Outcomes) -> str:
    """Return scenario and variant, seed, runs, version and result id on one line."""
    manifest = outcome.manifest
    return " · ".join(
        (
            f"Scenario: {scenario_name(outcome)}",
            *variant(outcome),
            f"{outcome.runs} run" + ("s" if outcome.runs != 1 else ""),
            f"seed {plain(manifest.get('seed', '-'), 24)}",
            f"sim {plain(manifest.get('model_version', '-'), 24)}",
            f"result {plain(manifest.get('result_id', '-'), 24)}",
            f"{format_month(outcome.start)} to {format_month(outcome.end)}",
            CAUTION,
        )
    )


def short_month(month: int) -> str:
    """Return, for example, ``Dec 2030``."""
    return f"{MONTH_NAMES[month % 12][:3]} {1970 + month // 12}"
