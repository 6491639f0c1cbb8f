"""Stage 3: how knowledge grows and spreads (docs/model.md, section 4.2). Knowledge in points of the index.

A lab's own work adds to it in proportion to a power of its research compute; it catches up with what open weights
teach, faster, and with the best closed lab, slower; others' novel open releases and outside developers add to it. The
pace of the frontier lab is what the frontier slope leaves after all else it receives, so one number does not serve
both. At the hand-over each follower's gap is the one at which its distance to the frontier stands still that month:
the observed gap is a sawtooth without trend while China's compute fell behind.
"""

from __future__ import annotations

import numpy as np

from sim import rng
from sim.market.kernels.elementary import exp, log1p, power
from sim.market.tables import Bools, Floats, Ints

FASTEST = 60.0  # ECI points a year: the upper bound of capability.frontier_slope holds for its redraws too


def next_slope(slope: float, mean: float, month: int, seed: int, *, hazard: float, sd: float) -> float:
    """Return the slope of the frontier in a month [points/year] (eq. 26): last month's, or a new regime's.

    With probability `hazard` it is drawn anew around `mean`, lognormal with log standard deviation `sd` and that mean.
    """
    key = rng.stream_key(seed, "frontier regime", month)
    if rng.uniform(key, 0) >= hazard:
        return slope
    return min(FASTEST, mean * float(exp(sd * rng.normal(key, 1) - sd * sd / 2.0)))


def own_pace(slope: float, received: float) -> float:
    """Return what the frontier lab learns by its own work [points/month] (eq. 18): the slope less what it receives.

    Knowledge is not unlearned: a slope below what compute alone gives leaves zero.
    """
    return max(0.0, slope / 12.0 - received)


def own_growth(pace: float, research: Floats, front: int, returns: float) -> Floats:
    """Return what each lab learns by its own work [points/month], shape (labs,) (eq. 19).

    Parameters
    ----------
    pace : float
        What the frontier lab learns [points/month].
    research : array, shape (labs,)
        Research compute [H100e].
    front : int
        The lab that led at the hand-over.
    returns : float
        Elasticity with respect to research compute (psi); 0 gives all labs the same pace.
    """
    return pace * power(research / research[front], returns)


def open_level(knowledge: Floats, best: Floats, best_open: Floats) -> float:
    """Return the knowledge that open weights carry [points] (eq. 20); minus infinity without any.

    Parameters
    ----------
    knowledge : array, shape (labs,)
        Knowledge of each lab [points].
    best, best_open : array, shape (labs,)
        Capability of each lab's best release and of its best open one [points], NaN for none.

    Returns
    -------
    float
        The best over labs, each limited by what its maker knows and by how far its weights are from the frontier.
    """
    opened = ~np.isnan(best_open)
    if not opened.any():
        return float("-inf")
    limit = knowledge.max() - (np.fmax.reduce(best) - best_open[opened])
    return float(np.minimum(knowledge[opened], limit).max())


def novelty(month: int, labs: int, *, when: Ints, lab: Ints, capability: Floats, is_open: Bools) -> Floats:
    """Return by how much others' open releases of a month beat the open record before it [points], (labs,) (eq. 21).

    The best of the month counts: another release never lowers it. Without a record before there is no novelty.

    Parameters
    ----------
    month, labs : int
        The month asked about, and how many labs there are.
    when, lab, capability, is_open : array, shape (releases,)
        Month, lab, capability [points] and openness of all releases.
    """
    by_lab = np.zeros(labs)
    before, now = is_open & (when < month), np.flatnonzero(is_open & (when == month))
    if len(now) == 0 or not before.any():
        return by_lab
    np.maximum.at(by_lab, lab[now], capability[now] - capability[before].max())
    leader = int(by_lab.argmax())
    others = np.full(labs, by_lab[leader])
    by_lab[leader] = 0.0
    others[leader] = by_lab.max()
    return others


def outside_work(use: Floats, effect: float) -> Floats:
    """Return what outside developers add to labs with open lines [points/month], shape (labs,) (eq. 22).

    `use` is the ecosystem of a lab's lines that are open now [percent-months], zero for closed labs.
    """
    return effect * log1p(use)


def next_knowledge(
    knowledge: Floats, *, added: Floats, open_level: float, catch_up_open: float, catch_up_closed: float
) -> Floats:
    """Return next month's knowledge [points], shape (labs,) (eq. 17).

    Parameters
    ----------
    knowledge, added : array, shape (labs,)
        Knowledge [points], and what own work, others' novelty and outside developers add [points/month].
    open_level : float
        Knowledge that open weights carry [points].
    catch_up_open, catch_up_closed : float
        Share of the gap to it, and to the best lab, closed in a month.
    """
    open_gap = np.maximum(0.0, open_level - knowledge)
    return knowledge + added + catch_up_open * open_gap + catch_up_closed * (knowledge.max() - knowledge)


def stationary_knowledge(
    loss: Floats, best: Floats, best_open: Floats, *, catch_up_open: float, catch_up_closed: float
) -> Floats:
    """Return knowledge at the hand-over relative to the frontier lab [points, <= 0], shape (labs,) (eq. 23).

    A lab that loses nothing stands with the frontier. The lab whose weights teach most learns nothing from open
    weights itself, so what they carry follows from the gaps that closed knowledge alone would leave.

    Parameters
    ----------
    loss : array, shape (labs,)
        What a lab falls behind the frontier lab before it catches up [points/month].
    best, best_open : array, shape (labs,)
        As in `open_level`.
    catch_up_open, catch_up_closed : float
        As in `next_knowledge`.
    """
    loss = np.maximum(0.0, loss)
    alone = -loss / catch_up_closed
    level = open_level(alone, best, best_open)
    if level == float("-inf"):
        return alone
    taught = (catch_up_open * level - loss) / (catch_up_open + catch_up_closed)
    return np.where(alone < level, taught, alone)
