"""Stage 3: knowledge and capability (docs/model.md, section 4.2). All capabilities in ECI points.

A simple rule in this version. Measured in points, knowledge of lab l moves by

    k_l' = g + phi [k_front - k_l]+          g = slope / 12 - kappa_C trend_front

and potential is its level at the hand-over plus what compute and knowledge have added since. `g` is what the frontier
slope leaves after the compute trend, so one number does not serve both. At the hand-over each lab's knowledge gap is
the one at which its distance to the frontier would stand still that month under the compute trends of the last two
years: the observed gap is a sawtooth without trend while China's compute fell behind.
"""

from __future__ import annotations

import numpy as np

from sim.market.tables import Floats, Ints


def smoothed(previous: Floats, current: Floats, months: float) -> Floats:
    """Return the exponential average of research compute over a memory [months], shape of `current` (eq. 11)."""
    return previous + (current - previous) / months


def research_compute(shares: Floats, stock: Floats, research_share: float) -> Floats:
    """Return research compute of each lab [H100e] (eq. 11): its share of its bloc's stock, less what serves users."""
    return shares * stock * research_share


def trend(history: Floats, months: int) -> Floats:
    """Return the mean monthly growth of log10 research compute over the last `months` rows, shape (labs,) (eq. 14)."""
    window = history[-(months + 1) :]
    return (np.log10(window[-1]) - np.log10(window[0])) / max(1, len(window) - 1)


def stationary_knowledge(compute_effect: float, catch_up: float, trends: Floats, front: int) -> Floats:
    """Return knowledge at the hand-over relative to the frontier lab [points, <= 0], shape (labs,) (eq. 15)."""
    return -np.maximum(0.0, compute_effect * (trends[front] - trends) / catch_up)


def next_knowledge(knowledge: Floats, *, growth: float, catch_up: float) -> Floats:
    """Return next month's knowledge [points], (labs,) (eq. 13): common growth plus a share of the gap to the best."""
    return knowledge + growth + catch_up * np.maximum(0.0, knowledge.max() - knowledge)


def potential(level: Floats, compute_effect: float, compute_ratio: Floats, knowledge_gain: Floats) -> Floats:
    """Return each lab's potential capability [points] (eq. 12).

    Parameters
    ----------
    level : array, shape (labs,)
        Capability of the lab's best release at the hand-over.
    compute_effect : float
        Points for ten times the research compute (kappa_C).
    compute_ratio : array, shape (labs,)
        Research compute over that of the hand-over.
    knowledge_gain : array, shape (labs,)
        Knowledge gained since the hand-over [points].
    """
    return level + compute_effect * np.log10(compute_ratio) + knowledge_gain


def difficulty_rise(ambition: Floats, frontier: float, reference: float) -> Floats:
    """Return the rise of each class's difficulty since January 2025 with the frontier [points], (classes,) (eq. 28)."""
    return ambition * (frontier - reference)


def months_behind(months: Ints, best: Floats, level: float, now: int) -> float:
    """Return how many months before `now` a record first stood at `level` or above (eq. 49).

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
