"""Stage 4: releases and openness (docs/model.md, section 4.3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincc, gammainccinv

from sim import rng
from sim.market.tables import Bools, Floats, Ints

DEGREES = {"open_source": 1.0, "open_weights": 0.8, "restricted_weights": 0.5, "closed": 0.0}
SMALLEST_TAIL = 1e-280  # probability; below it the inverse of the Gamma distribution loses its digits


@dataclass(frozen=True)
class NewRelease:
    """One release decided this month: line (row number), capability [ECI points], open weights or not."""

    line: int
    capability: float
    is_open: bool


def draw_interval(seed: int, line: str, release: int, *, mean: float, shape: float, elapsed: float = 0.0) -> float:
    """Return the Gamma-distributed interval to a line's next release [months], given `elapsed` ones (eq. 16).

    Keyed by line and by the number of the release within it, so that other lines never move it.
    """
    u = rng.uniform(rng.stream_key(seed, f"interval:{line}"), np.array([release]))[0]
    # The upper tail keeps its digits where one less the lower tail is zero; a line beyond even that releases at once.
    left = max(float(gammaincc(shape, elapsed * shape / mean)), SMALLEST_TAIL)
    return max(elapsed, float(gammainccinv(shape, left * (1.0 - u)) * mean / shape))


def draw_noise(seed: int, line: str, release: int, sd: float) -> float:
    """Return the deviation of a line's n-th release from its lab's potential [ECI points] (eq. 17)."""
    return float(sd * rng.normal(rng.stream_key(seed, f"release noise:{line}"), np.array([release]))[0])


def due_lines(next_month: Floats, month: int, gain: Floats, minimum_step: float) -> Ints:
    """Return the lines that release this month (eq. 17), ascending: their interval is over, the step is worth it."""
    with np.errstate(invalid="ignore"):
        return np.flatnonzero((next_month <= month) & (gain >= minimum_step))


def opens(rule: str, was_open: bool) -> bool:
    """Return whether the next release of a line has open weights under the lab's openness rule."""
    return {"as_line": was_open, "open": True, "closed": False}[rule]


def still_served(superseded: Ints, month: int, deprecation: float) -> Bools:
    """Return which releases a lab's API still serves (eq. 18): to `deprecation` months after the next, (releases,)."""
    return month < superseded + deprecation
