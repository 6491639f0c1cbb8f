"""The rule for releases that have no measured capability or no price.

Capability, first that applies:

0. *stated*: the value that the release's own note states.
1. *interpolated*: linear in time between the nearest measured models of the same lab and line before and after.
2. *carried*: the nearest measured model of the same lab and line, at most 12 months away, moved along the slope of the
   frontier; not above the best measured model of the same openness at that date (a record would have been measured).
3. *shortfall*: that best measured model, less the median shortfall of the measured releases of the same openness
   within 12 months.

Every step uses the measured models it is given and no others, so a cut in time is a cut of the arguments. The
standard deviations come from leaving out one measured release at a time (`leave_one_out`, `docs/evidence.md`).

Price of a closed release: median over the releases of the same bloc with a first-party price within 6 months and
5 points; both widths double until one is found. Open releases without a price stay without: hosts price them by cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MEASURED_SD = 3.0  # ECI points: 90 % intervals of about +-3 at the frontier, wider below 120 (notes of the index)
CROSSWALK_SD = 3.8  # the index's own error and the 2.3 points of the fit from the other index, in quadrature
RULE_SD = {"stated": 3.5, "interpolated": 3.5, "carried": 4.5, "shortfall": 5.5}  # see leave_one_out

SLOPE_BREAK = 2024 + 4 / 12  # May 2024
SLOPE_BEFORE, SLOPE_AFTER = 8.3, 15.5  # ECI points a year: observations frontier_slope_pre and frontier_slope_post
REACH = 1.0  # years


@dataclass(frozen=True)
class Measured:
    """A model with a measured capability.

    Parameters
    ----------
    when : float
        Release date [years, 2024.5 is the middle of 2024].
    lab, line : str
        Whose, and in which line.
    open : bool
        Weights published.
    capability : float
        [ECI points]
    counts : bool
        Counts towards the frontier and the shortfalls; an anchor that was never on offer only fixes its own line.
    """

    when: float
    lab: str
    line: str
    open: bool
    capability: float
    counts: bool = True


@dataclass(frozen=True)
class Priced:
    """A release with a first-party price: month, bloc, capability [ECI points], input and output [USD/Mtok]."""

    month: int
    bloc: str
    capability: float
    input_price: float
    output_price: float


def frontier_gain(start: float, end: float) -> float:
    """Return how far the frontier moved from `start` to `end` [ECI points]; negative when `end` is the earlier."""
    before = min(end, SLOPE_BREAK) - min(start, SLOPE_BREAK)
    after = max(end, SLOPE_BREAK) - max(start, SLOPE_BREAK)
    return SLOPE_BEFORE * before + SLOPE_AFTER * after


def impute_capability(
    when: float, lab: str, line: str, is_open: bool, measured: Sequence[Measured]
) -> tuple[float, str]:
    """Return the capability of a release that was not measured, and the name of the step that gave it.

    Parameters
    ----------
    when : float
        Release date [years].
    lab, line : str
        Whose, and in which line.
    is_open : bool
        Weights published.
    measured : sequence of Measured
        What is known.

    Returns
    -------
    capability : float
        [ECI points]
    rule : {'interpolated', 'carried', 'shortfall'}

    Raises
    ------
    ValueError
        If nothing of the same openness was measured up to that date.
    """
    family = [model for model in measured if model.lab == lab and model.line == line]
    before = max((m for m in family if m.when <= when), key=lambda m: m.when, default=None)
    after = min((m for m in family if m.when > when), key=lambda m: m.when, default=None)
    if before and after:
        part = (when - before.when) / (after.when - before.when)
        return before.capability + part * (after.capability - before.capability), "interpolated"
    record = frontier(when, is_open, measured)
    nearest = before or after
    if nearest and abs(when - nearest.when) <= REACH:
        carried = nearest.capability + frontier_gain(nearest.when, when)
        return min(carried, record), "carried"
    shortfalls = [
        frontier(m.when, is_open, measured) - m.capability
        for m in measured
        if m.counts and m.open == is_open and abs(m.when - when) <= REACH
    ]
    return record - (_median(shortfalls) if shortfalls else 0.0), "shortfall"


def frontier(when: float, is_open: bool, measured: Sequence[Measured]) -> float:
    """Return the best measured capability of that openness up to a date [ECI points].

    Raises
    ------
    ValueError
        If there is none yet.
    """
    known = [m.capability for m in measured if m.counts and m.open == is_open and m.when <= when]
    if not known:
        raise ValueError(f"no measured {'open' if is_open else 'closed'} model up to {when:.2f}")
    return max(known)


def impute_price(month: int, bloc: str, capability: float, priced: Sequence[Priced]) -> tuple[float, float]:
    """Return input and output price [USD/Mtok] of a closed release without a known price.

    Raises
    ------
    ValueError
        If no release of the bloc has a first-party price.
    """
    rivals = [p for p in priced if p.bloc == bloc]
    if not rivals:
        raise ValueError(f"no release of {bloc} with a first-party price")
    months, points = 6.0, 5.0
    while True:
        near = [p for p in rivals if abs(p.month - month) <= months and abs(p.capability - capability) <= points]
        if near:
            return _median(p.input_price for p in near), _median(p.output_price for p in near)
        months, points = 2 * months, 2 * points


def _median(values: Iterable[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def leave_one_out(measured: Sequence[Measured]) -> list[tuple[str, Measured, float]]:
    """Return the error of each step of the rule on the measured models.

    Every model is left out in turn and imputed from all others, from those without the later ones of its line, and
    from those without its line, so that each step is tried wherever it can be; at most one error per model and step.

    Returns
    -------
    list of (str, Measured, float)
        Step, model, imputed minus measured capability [ECI points]. The first models of their openness, with
        nothing earlier to compare with, have no entry.
    """
    errors = []
    for model in measured:
        if not model.counts:
            continue
        strangers = [m for m in measured if (m.lab, m.line) != (model.lab, model.line)]
        family = [m for m in measured if (m.lab, m.line) == (model.lab, model.line) and m is not model]
        earlier = [m for m in family if m.when <= model.when]
        tried = set()
        for known in ([*strangers, *family], [*strangers, *earlier], strangers):
            if not any(m.counts and m.open == model.open and m.when <= model.when for m in known):
                continue
            value, rule = impute_capability(model.when, model.lab, model.line, model.open, known)
            if rule not in tried:
                tried.add(rule)
                errors.append((rule, model, value - model.capability))
    return errors
