"""Stage 4: releases and openness (docs/model.md, section 4.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincc, gammainccinv

from sim import rng
from sim.market.kernels.elementary import expm1
from sim.market.tables import Bools, Floats, Ints, Keys

DEGREES = {"open_source": 1.0, "open_weights": 0.8, "restricted_weights": 0.5, "closed": 0.0}
SMALLEST_TAIL = 1e-280  # probability; below it the inverse of the Gamma distribution loses its digits


@dataclass(frozen=True)
class NewRelease:
    """One release decided this month: line (row number), capability [ECI points], open weights or not.

    `opens_at` is the month in which the weights of a closed release are to be published, None for never.
    """

    line: int
    capability: float
    is_open: bool
    opens_at: int | None = None


@dataclass(frozen=True)
class Situation:
    """What a lab looks at when it decides whether a release has open weights.

    `was_open` tells whether the line's last release was open, `follows` whether the lab answers a rival's opening;
    `behind` gives how far the release stands below the best closed offer of others [ECI points], minus infinity where
    there is none, and `points` is the lab's threshold for it; `load` is needed over available serving compute;
    `profit_if` gives the profit expected with open (True) and with closed weights (False). What is asked of few rules
    is reckoned when it is asked for.
    """

    was_open: bool
    follows: bool
    behind: Callable[[], float]
    points: float
    load: float
    profit_if: Callable[[bool], float]


def interval_stream(seed: int, line: str) -> int:
    """Return the key of a line's intervals, so that other lines never move them (eq. 28)."""
    return rng.stream_key(seed, f"interval:{line}")


def noise_stream(seed: int, line: str) -> int:
    """Return the key of the deviations of a line's releases (eq. 29)."""
    return rng.stream_key(seed, f"release noise:{line}")


def draw_intervals(
    stream: Keys, release: Ints, *, mean: Floats | float, shape: float, elapsed: Floats | Ints | float = 0.0
) -> Floats:
    """Return the Gamma-distributed intervals to lines' next releases [months], given `elapsed` ones (eq. 28).

    Parameters
    ----------
    stream : array, shape (lines,)
        Keys of the lines' intervals.
    release : array, shape (lines,)
        Number of releases of each line so far.
    mean, elapsed : float or array, shape (lines,)
        Cadence, and time since the last release that is known to have passed [months].
    shape : float
        Of the Gamma distribution.
    """
    u = rng.uniform(stream, release)
    # The upper tail keeps its digits where one less the lower tail is zero; a line beyond even that releases at once.
    left = np.maximum(gammaincc(shape, elapsed * shape / mean), SMALLEST_TAIL)
    return np.maximum(elapsed, gammainccinv(shape, left * (1.0 - u)) * mean / shape)


def draw_noise(stream: Keys, release: Ints, sd: float) -> Floats:
    """Return the deviations of lines' n-th releases from their labs' potential [ECI points], (lines,) (eq. 29)."""
    return sd * rng.normal(stream, release)


def due_lines(next_month: Floats, month: int, gain: Floats, minimum_step: float) -> Ints:
    """Return the lines that release this month (eq. 29), ascending: their interval is over, the step is worth it."""
    with np.errstate(invalid="ignore"):
        return np.flatnonzero((next_month <= month) & (gain >= minimum_step))


RULES: dict[str, Callable[[Situation], bool]] = {
    "as_line": lambda seen: seen.was_open or seen.follows,
    "open": lambda seen: True,
    "closed": lambda seen: False,
    "delayed": lambda seen: False,
    "open_if_behind": lambda seen: seen.behind() >= seen.points,
    "open_if_short": lambda seen: seen.load > 1.0,
    "profit_max": lambda seen: seen.profit_if(True) > seen.profit_if(False),
}


def opens(rule: str, seen: Situation) -> bool:
    """Return whether a release comes out with open weights under the lab's openness rule (eq. 32)."""
    return RULES[rule](seen)


def licence_degree(rule: str, last: float) -> float:
    """Return the degree of a new open release: the lab's word for all, or that of the line's last one.

    Parameters
    ----------
    rule : {'as_line', 'open_source', 'open_weights', 'restricted_weights'}
        The lab's choice.
    last : float
        Degree of the line's last release, 0 for a closed one: a line that opens is of open weights.
    """
    return last or DEGREES["open_weights"] if rule == "as_line" else DEGREES[rule]


def answers(seed: int, opener: str, lab: str, month: int, chance: float) -> bool:
    """Return whether a lab will answer a rival's opening of a closed line in a month by one of its own (eq. 34)."""
    return bool(rng.uniform(rng.stream_key(seed, f"follows:{opener}:{lab}", month), 0) < chance)


def perceived(claimed: Floats, inflation: Floats, age: Ints, experience: float) -> Floats:
    """Return what buyers take releases to be worth [ECI points], shape (releases,) (eq. 36).

    Parameters
    ----------
    claimed, inflation : array, shape (releases,)
        Capability on public tests, and the points by which it is above that in use.
    age : array, shape (releases,)
        Months since the release.
    experience : float
        Time scale of learning [months].
    """
    return claimed + inflation * expm1(-age / experience)


def still_served(superseded: Ints, month: int, deprecation: float) -> Bools:
    """Return which releases a lab's API still serves (eq. 30): to `deprecation` months after the next, (releases,)."""
    return month < superseded + deprecation
