"""How many hosts serve an open line and what they take (docs/model.md, section 4.4).

Hosts of the same weights stand on a circle (Salop 1979): t is what being one circumference away from the ideal host
costs per million tokens, Q the tokens hosted in a month, F the fixed cost of a host in a month.
"""

from __future__ import annotations

import numpy as np

from sim.market.tables import Floats, Ints

LEAST_HOSTS = 2


def host_markup(transport: float, hosts: Floats | Ints | int) -> Floats:
    """Return the markup over cost of equally spaced hosts, t / n [unit of t], shape of `hosts` (eq. 40)."""
    return transport / np.asarray(hosts, np.float64)


def free_entry(transport: Floats | float, tokens: Floats, fixed_cost: float) -> Ints:
    """Return the whole number of hosts at which the next one would lose, at least two, shape of `tokens` (eq. 41).

    Parameters
    ----------
    transport : float or array, shape (lines,)
        t [USD/Mtok], or τ, in units of the cost of serving.
    tokens : array, shape (lines,)
        Q, hosted tokens [Mtok/month], or what serving them costs [USD/month].
    fixed_cost : float
        F, fixed cost of a host [USD/month].
    """
    return np.maximum(LEAST_HOSTS, np.floor(np.sqrt(transport * tokens / fixed_cost))).astype(np.int64)


def host_elasticity(price: Floats, transport: float, hosts: Floats | Ints | int) -> Floats:
    """Return the elasticity of one host's tokens to its own price at equal prices, -p n / t (eq. 92)."""
    return -price * hosts / transport
