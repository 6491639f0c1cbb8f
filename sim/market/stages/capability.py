"""Stage 3: potential capability (docs/model.md, section 4.2). All capabilities in ECI points.

Potential is a lab's level at the hand-over plus what research compute, data and knowledge have added since; how
knowledge moves is in `knowledge.py`.
"""

from __future__ import annotations

import numpy as np

from sim.market.kernels.elementary import log10
from sim.market.tables import Floats, Ints


def smoothed(previous: Floats, current: Floats, months: float) -> Floats:
    """Return the exponential average of research compute over a memory [months], shape of `current` (eq. 14)."""
    return previous + (current - previous) / months


def research_compute(shares: Floats, stock: Floats, research_share: float) -> Floats:
    """Return research compute of each lab [H100e] (eq. 14): its share of its bloc's stock, less what serves users."""
    return shares * stock * research_share


def trend(history: Floats, months: int) -> Floats:
    """Return the mean monthly growth of log10 research compute over the last `months` rows, shape (labs,) (eq. 18)."""
    window = history[-(months + 1) :]
    return (log10(window[-1]) - log10(window[0])) / max(1, len(window) - 1)


def next_data(data: Floats, seen: Floats, *, decay: float) -> Floats:
    """Return what a lab has seen of use and not outlived [Mtok], shape (labs,) (eq. 24).

    Parameters
    ----------
    data, seen : array, shape (labs,)
        Stock of last month and what came in [Mtok, Mtok/month].
    decay : float
        Share of the stock that loses its worth in a month.
    """
    return (1.0 - decay) * data + seen


def data_gain(data: Floats, reference: Floats, *, effect: float, floor: float) -> Floats:
    """Return points gained from data since a reference stock [points], shape (labs,) (eq. 25); 0 at the reference.

    `effect` is for ten times the data; stocks far below `floor` [Mtok] are worth nothing yet.
    """
    return effect * log10((data + floor) / (reference + floor))


def potential(
    level: Floats, compute_effect: float, compute_ratio: Floats, data: Floats, knowledge_gain: Floats
) -> Floats:
    """Return each lab's potential capability [points] (eq. 16).

    Parameters
    ----------
    level : array, shape (labs,)
        Capability of the lab's best release at the hand-over.
    compute_effect : float
        Points for ten times the research compute (kappa_C).
    compute_ratio : array, shape (labs,)
        Research compute over that of the hand-over.
    data, knowledge_gain : array, shape (labs,)
        What data and knowledge have added since the hand-over [points].
    """
    return level + compute_effect * log10(compute_ratio) + data + knowledge_gain


def difficulty_rise(ambition: Floats, frontier: float, reference: float) -> Floats:
    """Return the rise of each class's difficulty since January 2025 with the frontier [points], (classes,) (eq. 51)."""
    return ambition * (frontier - reference)


def months_behind(months: Ints, best: Floats, level: float, now: int) -> float:
    """Return how many months before `now` a record first stood at `level` or above (eq. 91).

    Parameters
    ----------
    months, best : array, shape (releases,)
        Release months and capabilities of the leading side, in any order.
    level : float
        What the follower has today.
    now : int
        Month number.

    Returns
    -------
    float
        Zero if the leaders never reached the level, NaN if the follower has nothing.
    """
    if np.isnan(level):
        return float("nan")
    reached = months[best >= level]
    return float(now - reached.min()) if len(reached) else 0.0
