"""Workloads that panels follow from month to month: what they used in the past year, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sim.market.kernels import followed as compiled
from sim.market.parts import in_parts
from sim.market.stages import observation
from sim.market.stages.accounts import ratio
from sim.market.tables import HOST, Floats
from sim.scenario.schema import BLOCS, GROUPS

if TYPE_CHECKING:
    from sim.market.market import Market

US, ENTERPRISE = BLOCS.index("US"), GROUPS.index("ordinary")


def memory(market: Market) -> observation.Memory:
    """Return an empty memory of the workloads that panels follow: US enterprises, and developers on the router."""
    table = market.workloads
    surveyed = np.flatnonzero((table.group >= ENTERPRISE) & (table.bloc == US))
    return observation.Memory(surveyed, market.adopters[0].rows, table.weight)


def in_use(market: Market) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
    """Return the releases of who is surveyed and the lines that developers have on the router, NONE for none."""
    now, line, routed = market.usage, market.releases.line, market.memory.routed
    found = np.empty(routed.stop - routed.start, np.int16)
    release, channel = now.release[routed], now.channel[routed]

    def write(rows: slice) -> None:
        compiled.routed(rows.start, rows.stop, release, channel, line, HOST, found)

    in_parts(write, slice(0, len(found)), market.threads)
    return now.release[market.memory.surveyed], found


def rates(market: Market) -> tuple[float, dict[str, float]]:
    """Return what follows workloads over time: retention on the router, yearly rates of enterprises.

    Of those who took up a line on the router some months ago, who is on it now; of enterprises that used a model a year
    ago and use one now, who changed vendor and who took another release of the same one. NaN under mean-field, where
    nobody's past is known.
    """
    if not market.draws:
        return float("nan"), dict.fromkeys(observation.YEARLY_RATES, float("nan"))
    past, lines = market.memory, (observation.COHORT + 1, observation.COHORT, 0)
    joined = past.weight_routed, *(past.ago(months)[1] for months in lines)
    users = past.weight_surveyed, market.releases.lab, *(past.ago(months)[0] for months in (observation.YEAR, 0))
    (taken, kept), (used, *others) = (
        _weights(kernel, columns, ways, market.threads)
        for kernel, columns, ways in ((compiled.joined, joined, 2), (compiled.moved, users, 3))
    )
    moves = [ratio(weight, used) for weight in others]
    return ratio(kept, taken), dict(zip(observation.YEARLY_RATES, moves, strict=True))


def _weights(kernel: Callable[..., tuple[int, ...]], columns: tuple[Any, ...], ways: int, threads: int) -> list[float]:
    """Return the weights that a kernel of `sim.market.kernels.followed` finds among rows, added.

    Parameters
    ----------
    kernel : callable
        Writes them in one or more ways.
    columns : tuple of array
        What it reads, the weights first, shape (rows,).
    ways : int
        In how many ways.
    threads : int
        Parts of the rows at work at a time.
    """

    def write(rows: slice) -> list[Floats]:
        found = np.empty((ways, rows.stop - rows.start))
        counts = kernel(rows.start, rows.stop, *columns, found)
        return [weight[:count] for weight, count in zip(found, counts, strict=True)]

    parts = in_parts(write, slice(0, len(columns[0])), threads)
    return [float(np.concatenate(way).sum()) for way in zip(*parts, strict=True)]
