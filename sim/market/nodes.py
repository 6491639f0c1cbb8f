"""Taste nodes: few points that carry the mix of the whole population (docs/model.md, section 3).

Strata by class and age, in each of them cells of the volume with their exact mean; Sobol points for what matters most
beside it, a sliced Latin hypercube (Qian 2012) for the many tastes. Nodes do not arrive one by one; shares of them do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim import rng
from sim.market.kernels.elementary import exp, log
from sim.market.population import FAMILY_GROUPS, REFERENCE_YEAR_END, developer_rows, pick, reached, tilted, traits
from sim.market.tables import Floats, Ints, WorkloadTable
from sim.scenario.schema import BLOCS, CLASSES, GROUPS

# Primitive polynomials and first direction numbers of Joe and Kuo (2008), "Constructing Sobol sequences with better
# two-dimensional projections", SIAM Journal on Scientific Computing 30: one row a dimension.
POLYNOMIALS = (1, 3, 7, 11, 13, 19, 25, 37, 41, 47, 55)
FIRST_NUMBERS = (
    (1,),
    (1,),
    (1, 3),
    (1, 3, 1),
    (1, 1, 1),
    (1, 1, 3, 3),
    (1, 3, 5, 13),
    (1, 1, 5, 5, 17),
    (1, 1, 5, 5, 5),
    (1, 1, 7, 11, 19),
    (1, 1, 5, 1, 1),
)
BITS = 32
DIMENSIONS = (
    "bloc",
    "taste open",
    "difficulty",
    "price sensitivity",
    "value",
    "taste origin:CN",
    "group",
    "taste origin:US",
    "state",
    "taste origin:EU",
    "taste origin:ROW",
)
SLICE = 16  # nodes side by side, most of like volume, whose tastes are spread over all there are
FINE = 64  # points of a cell of the volume
NEWCOMERS = 0.4  # part of the nodes that stand for workloads that appear after 2025
# Nodes for a workload of each class, of which the few heavy ones need more: as volumes are tilted by their root, the
# root of the class's factor of the volume by the defaults.
NODES_OF_CLASS = (1.0, 1.4, 2.0, 2.8, 2.0)


def sobol(dimension: int, index: Ints, shift: NDArray[np.uint64] | int) -> Floats:
    """Return points of one dimension of a Sobol sequence, shifted digitally, in (0, 1), shape (points,).

    Parameters
    ----------
    dimension : int
        From 0, less than the number of rows in `POLYNOMIALS`.
    index : array, shape (points,)
        Places in the sequence, from 0.
    shift : int or array, shape (points,)
        Bits that are turned over in a point, 0 <= shift < 2**32.
    """
    numbers = list(FIRST_NUMBERS[dimension])
    polynomial = POLYNOMIALS[dimension]
    degree = polynomial.bit_length() - 1
    used = int(index.max()).bit_length()
    while len(numbers) < used:
        if degree == 0:
            numbers.append(1)
            continue
        new = numbers[-degree] ^ (numbers[-degree] << degree)
        for step in range(1, degree):
            if polynomial >> (degree - step) & 1:
                new ^= numbers[-step] << step
        numbers.append(new)
    points = np.zeros(1, np.uint64)  # of the sequence, twice as many with each number
    for bit in range(used):
        points = np.concatenate((points, points ^ np.uint64(numbers[bit] << (BITS - 1 - bit))))
    return ((points[index] ^ np.uint64(shift)).astype(np.float64) + 0.5) / 2.0**BITS


def sliced(key: int, count: int) -> Floats:
    """Return uniforms, one in the middle of each of `count` equal cells, that are spread evenly in every slice, too.

    A sliced Latin hypercube (Qian 2012): of `SLICE` points that follow each other one lies in each `SLICE`th part of
    (0, 1), shape (count,).
    """
    slices = -(-count // SLICE)
    bits = rng.bits(key, np.arange(2 * slices * SLICE)).reshape(2, -1)
    part = np.argsort(bits[0].reshape(slices, SLICE), kind="stable")
    within = np.argsort(bits[1].reshape(SLICE, slices), kind="stable")
    place = (part * slices + within[part, np.arange(slices)[:, None]]).ravel()[:count]
    there = np.zeros(slices * SLICE)
    there[place] = 1.0
    return (np.cumsum(there)[place] - 0.5) / count


def volume_cells(count: int, sd: float) -> tuple[Floats, Floats]:
    """Return standard normals that carry the mean volume of cells, and weights that sum to one; shapes (count,).

    Cells are equally likely where `sim.market.population: tilted` draws, and made of `FINE` of its points each.
    Workloads and their needs sum to those of the world, whatever the number of cells (eq. 98).

    Parameters
    ----------
    sd : float
        Standard deviation of the log volume.
    """
    z, weight = tilted((np.arange(count * FINE) + 0.5) / (count * FINE), sd)
    need = (weight * exp(sd * z)).reshape(count, FINE).sum(axis=1)
    weight = weight.reshape(count, FINE).sum(axis=1)
    weight, need = weight / weight.sum(), need / need.sum()
    return (log(need / weight) / sd + 0.5 * sd if sd > 0.0 else np.zeros(count)), weight


def allotted(parts: Floats, count: int) -> Ints:
    """Return how many of `count` nodes each part gets, the largest remainders last and one at least if there are."""
    least = (parts > 0.0).astype(np.int64)
    least *= count >= least.sum()
    wanted = parts / parts.sum() * (count - least.sum())
    found = least + np.floor(wanted).astype(np.int64)
    found[np.argsort(np.floor(wanted) - wanted, kind="stable")[: count - found.sum()]] += 1
    return found


def draw_nodes(
    seed: int, count: int, parameters: Mapping[str, Any], labs: tuple[str, ...], lines: tuple[str, ...]
) -> tuple[WorkloadTable, Floats]:
    """Draw taste nodes, each an organisation of its own, sorted by class inside families (eq. 3).

    Parameters
    ----------
    seed : int
        Of the shifts and orders.
    count : int
        Nodes.
    parameters : mapping of str to float
        Drawn parameters of the scenario.
    labs, lines : tuple of str
        Names.

    Returns
    -------
    table : WorkloadTable
        `weight` is the number of workloads in the world once all have arrived that had by the end of 2025; newcomers
        stand for as many. `arrival` is the first month of any.
    state : array, shape (nodes,)
        A point in (0, 1) for each node at which one state stands for it.
    """
    p = parameters
    developers = developer_rows(count, p)
    parts, states = [], []
    for family, size in zip(FAMILY_GROUPS, (developers, count - developers), strict=True):
        if size == 0:
            continue
        groups = FAMILY_GROUPS[family]
        of_group = np.array([p[f"demand.mix.{g}"] for g in groups])
        of_class = np.array([p[f"demand.{family}.class_mix.{c}"] for c in CLASSES])
        of_class /= of_class.sum()
        nodes = allotted(np.outer(of_class * NODES_OF_CLASS, (1.0 - NEWCOMERS, NEWCOMERS)).ravel(), size)
        stratum = np.arange(len(nodes)).repeat(nodes)
        place = np.arange(size) - (np.cumsum(nodes) - nodes)[stratum]
        kind, newcomer = np.divmod(stratum, 2)
        z, weight = np.concatenate([volume_cells(n, p["demand.volume_sd"]) for n in nodes if n], axis=1)
        weight *= of_class[kind]
        for age in np.unique(newcomer):
            weight[newcomer == age] *= of_group.sum() / weight[newcomer == age].sum()  # few nodes miss strata

        def uniform(
            name: str, rows: slice = slice(None), *, family: str = family, stratum: Ints = stratum, place: Ints = place
        ) -> Floats:
            key = rng.stream_key(seed, f"node:{family}:{name}")
            if name not in DIMENSIONS:
                return sliced(key, len(place))[rows]
            return sobol(DIMENSIONS.index(name), place, rng.bits(key, stratum) >> np.uint64(32))[rows]

        table = traits(
            p,
            labs,
            lines,
            uniform,
            1,
            developer=np.full(size, family == "developer"),
            organisation=np.arange(size) + (developers if parts else 0),
            group=GROUPS.index(groups[0]) + pick(uniform("group"), of_group),
            bloc=pick(uniform("bloc"), np.array([p[f"demand.bloc.{b}"] for b in BLOCS])),
            kind=kind,
            arrival=np.where(newcomer, REFERENCE_YEAR_END + 1, 0),
            weight=weight,
            z=z,
            ban=uniform("ban"),
            size=size,
        )
        parts.append(vars(table).values())
        states.append(uniform("state"))
    table = WorkloadTable(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    newcomer = table.arrival > REFERENCE_YEAR_END
    for which in (newcomer, ~newcomer):
        if which.any():
            table.weight[which] *= p["demand.workloads_2025"] / table.weight[which].sum()
    return table, np.concatenate(states)


def arrived(table: WorkloadTable, month: int, parameters: Mapping[str, Any]) -> Floats:
    """Return the part of each node that is in the market, 1 for who was there by the end of 2025 (eq. 2), (nodes,)."""
    midpoint, width = parameters["demand.arrival_midpoint"], parameters["demand.arrival_spread"]
    now, reference = (float(reached(at, midpoint, width)) for at in (month, REFERENCE_YEAR_END))
    newcomer = table.arrival > REFERENCE_YEAR_END
    return np.where(newcomer, max(0.0, now - reference), min(now, reference)) / reference
