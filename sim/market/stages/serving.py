"""Stage 9: what labs' APIs can serve (docs/model.md, section 4.4). Compute in H100e, shapes (labs,) unless said."""

from __future__ import annotations

import numpy as np

from sim.market.kernels.elementary import power
from sim.market.stages.hosting import HOURS_A_MONTH
from sim.market.tables import Floats

CONGESTION = 4.0  # exponent of the Bureau of Public Roads (1964)


def accelerators_busy(hours: Floats) -> Floats:
    """Return the accelerators that work of so many accelerator-hours a month keeps busy [H100e] (eq. 43)."""
    return hours / HOURS_A_MONTH


def api_capacity(usual: float, compute: Floats, needed: Floats) -> Floats:
    """Return the serving compute of labs' APIs while the history is replayed [H100e] (eq. 44).

    Parameters
    ----------
    usual : float
        Least part of the serving compute that an API gets.
    compute : array, shape (labs,)
        Serving compute [H100e].
    needed : array, shape (labs,)
        What the tokens wanted need [H100e]; a lab that needs more than the usual part gives it.
    """
    return np.maximum(usual * compute, needed)


def served_share(needed: Floats, capacity: Floats) -> Floats:
    """Return the part of the wanted tokens that each lab's API serves (eq. 45): all, or what capacity allows."""
    return np.divide(capacity, needed, out=np.ones_like(needed), where=needed > capacity)


def next_load(load: Floats, needed: Floats, capacity: Floats, months: float) -> Floats:
    """Return the load that users feel: needed over available compute, averaged over a memory [months] (eq. 46)."""
    return load + (needed / capacity - load) / months


def latency(load: Floats, cost: float) -> Floats:
    """Return the disutility of queues and limits on each lab's API [utils] (eq. 47)."""
    return cost * power(load, CONGESTION)
