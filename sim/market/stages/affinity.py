"""Stage 7: affinity of adopters for labs, which drifts (docs/model.md, section 4.5). In utils."""

from __future__ import annotations

import numpy as np

from sim.market.stages.accounts import in_order
from sim.market.tables import Floats


def next_affinity(
    affinity: Floats, z: Floats, share: Floats, *, half_life: float, sd: float, first: bool = False
) -> Floats:
    """Return this month's affinity (eq. 55): an AR(1) whose mean over the market is zero.

    Parameters
    ----------
    affinity : array, shape (families, labs)
        Last month's.
    z : array, shape (families, labs)
        Standard normal innovations.
    share : array, shape (families, labs)
        Weights of the mean that is taken off: use of each lab last month.
    half_life : float
        Months after which half of a deviation is left.
    sd : float
        Long-run standard deviation.
    first : bool
        In the first month affinity is drawn from the long-run distribution.
    """
    keep = 0.0 if first else 0.5 ** (1.0 / half_life)
    drifted = keep * affinity + sd * np.sqrt(1.0 - keep * keep) * z
    return drifted - in_order(drifted * share) / in_order(share)
