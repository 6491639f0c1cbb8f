"""Stage 10: ecosystem of open lines and hub downloads (docs/model.md, section 4.7)."""

from __future__ import annotations

import numpy as np

from sim.market.kernels.elementary import power
from sim.market.tables import Floats

REFERENCE_SIZE = 10.0  # billions of parameters


def downloads(evaluations: Floats, total_params: Floats, *, rate: float, size_exponent: float) -> Floats:
    """Return the month's downloads of each line's open weights, shape (lines,) (eq. 77).

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
    return np.where(np.isnan(total_params), 0.0, rate * evaluations * power(size, -size_exponent))


def next_ecosystem(stock: Floats, share: Floats, *, decay: float) -> Floats:
    """Return the ecosystem of each line's open weights [percent-months], shape (lines,) (eq. 76).

    Derivatives, tools and defaults grow with developers' use and become outdated.

    Parameters
    ----------
    stock : array, shape (lines,)
        Last month's.
    share : array, shape (lines,)
        Part of developers' workloads that run the line's open weights [percent].
    decay : float
        Part of the stock lost in a month.
    """
    return (1.0 - decay) * stock + share
