"""How far bans reach workloads and taste nodes; it stands until a ban changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.market import governments
from sim.market.adopters import CN
from sim.market.tables import WorkloadTable

if TYPE_CHECKING:
    from sim.market.market import Market


class Reach(NamedTuple):
    """How far bans on models of each bloc reach, `rows` of shape (workloads, blocs) and `nodes` of (nodes, blocs)."""

    bans: tuple[governments.Ban, ...]
    usual: bool  # whether what organisations bar of themselves binds yet
    rows: NDArray[np.int8]
    nodes: NDArray[np.int8]


def reach_month(market: Market) -> Reach:
    """Return how far bans reach this month: what was found last while no ban has changed."""
    last, now = market.reach, market.policy.bans
    usual = _usual(market)
    if last is not None and (last.bans, last.usual) == (now, usual):
        return last
    of_people = (market.workloads, market.population_seed), (market.nodes.table, market.seed)
    return Reach(now, usual, *(_barred(market, table, seed) for table, seed in of_people))


def _usual(market: Market) -> bool:
    return bool(1970 + market.month / 12.0 >= market.parameters["demand.ban.start"])


def _barred(market: Market, table: WorkloadTable, seed: int) -> NDArray[np.int8]:
    """Return how far bans on models of each bloc reach for each row of a table, (rows, blocs) (eq. 81)."""
    barred = governments.barred(market.policy, table, seed)
    if _usual(market):
        barred[:, CN] = np.maximum(barred[:, CN], table.banned)
    return barred
