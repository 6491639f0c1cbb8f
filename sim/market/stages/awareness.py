"""Stage 7: awareness of labs (docs/model.md, section 4.7), by segment (group x bloc) and lab, all in [0, 1]."""

from __future__ import annotations

import numpy as np

from sim.market.kernels.elementary import expm1
from sim.market.tables import Floats


def next_awareness(awareness: Floats, share: Floats, *, innovation: float, imitation: float) -> Floats:
    """Return next month's awareness (eq. 73): hazard 1 - exp(-(p + q share)) for who does not know the lab (Bass 1969).

    Parameters
    ----------
    awareness, share : array, shape (segments, labs)
        Share who know the lab, and its share of the segment's workloads last month.
    innovation, imitation : float
        Bass p and q, per month.
    """
    return awareness + (1.0 - awareness) * -expm1(-(innovation + imitation * share))


def next_buzz(buzz: Floats, leap: Floats, *, decay: float, points: float) -> Floats:
    """Return next month's buzz, shape (labs,) (eq. 74): what is left of last month's, or the news of a leap if more.

    A leap of `points` ECI points above the old record is noticed by 63 %.
    """
    return np.maximum(decay * buzz, -expm1(-leap / points))


def consideration(awareness: Floats, buzz: Floats) -> Floats:
    """Return 1 - (1 - awareness)(1 - buzz), (segments, labs) (eq. 75): attention can fall back, knowledge cannot."""
    return 1.0 - (1.0 - awareness) * (1.0 - buzz[None, :])
