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
from sim.market.tables import HOST, Floats, Ints
from sim.scenario.schema import BLOCS, GROUPS

if TYPE_CHECKING:
    from sim.market.market import Market

Releases, Lines = NDArray[np.int32], NDArray[np.int16]
US, ENTERPRISE = BLOCS.index("US"), GROUPS.index("ordinary")


def memory(market: Market) -> observation.Memory:
    """Return an empty memory of the workloads that panels follow: US enterprises, and developers on the router."""
    table = market.workloads
    surveyed = np.flatnonzero((table.group >= ENTERPRISE) & (table.bloc == US))
    return observation.Memory(surveyed, market.adopters[0].rows, table.weight)


def in_use(market: Market) -> tuple[Releases, Lines]:
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

    NaN under mean-field, where nobody's past is known.
    """
    if not market.draws:
        return float("nan"), dict.fromkeys(observation.YEARLY_RATES, float("nan"))
    past, threads = market.memory, market.threads
    lines = (past.ago(months)[1] for months in (observation.COHORT + 1, observation.COHORT, 0))
    releases = (past.ago(months)[0] for months in (observation.YEAR, 0))
    return (
        retention(past.weight_routed, *lines, threads=threads),
        yearly_rates(past.weight_surveyed, market.releases.lab, *releases, threads=threads),
    )


def retention(weight: Floats, before: Lines, then: Lines, now: Lines, *, threads: int = 1) -> float:
    """Return who is on its line now of those who took one up then, by weight; lines in use, NONE for none, (rows,)."""
    taken, kept = _weights(compiled.joined, (weight, before, then, now), 2, threads)
    return ratio(kept, taken)


def yearly_rates(weight: Floats, lab: Ints, then: Releases, now: Releases, *, threads: int = 1) -> dict[str, float]:
    """Return who changed vendor, and who took another release of the same one, of those who used a model then and now.

    Parameters
    ----------
    weight : array, shape (rows,)
        By which they count.
    lab : array, shape (releases,)
        Their vendors.
    then, now : array, shape (rows,)
        Releases in use, NONE for none.
    threads : int
        Parts of the rows at work at a time.
    """
    used, *others = _weights(compiled.moved, (weight, lab, then, now), 3, threads)
    return {name: ratio(one, used) for name, one in zip(observation.YEARLY_RATES, others, strict=True)}


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
