"""Stage 10: hub downloads (docs/model.md, section 4.7). The ecosystem stock and the data term come later."""

from __future__ import annotations

import numpy as np

from sim.market.tables import Floats

REFERENCE_SIZE = 10.0  # billions of parameters


def downloads(evaluations: Floats, total_params: Floats, *, rate: float, size_exponent: float) -> Floats:
    """Return the month's downloads of each line's open weights, shape (lines,) (eq. 45).

    Parameters
    ----------
    evaluations : array, shape (lines,)
        Developers' workloads in the world that looked at the line this month.
    total_params : array, shape (lines,)
        Size of its open release [billions of parameters], NaN for lines without one.
    rate : float
        Downloads for each look at a model of ten billion parameters.
    size_exponent : float
        Small models are downloaded most.
    """
    size = np.where(np.isnan(total_params), REFERENCE_SIZE, total_params) / REFERENCE_SIZE
    return np.where(np.isnan(total_params), 0.0, rate * evaluations * size**-size_exponent)
