"""Taste nodes: few points that carry the mix of the whole population (docs/model.md, section 3).

Sobol points for what matters most, a Latin hypercube (McKay, Beckman and Conover 1979) for the many tastes beside it:
latin supercube sampling (Owen 1998). Nodes do not arrive one by one; shares of them do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sim import rng
from sim.market.population import FAMILY_GROUPS, REFERENCE_YEAR_END, developer_rows, pick, reached, tilted, traits
from sim.market.tables import Floats, Ints, WorkloadTable
from sim.scenario.schema import BLOCS, CLASSES, GROUPS

# Primitive polynomials and first direction numbers of Joe and Kuo (2008), "Constructing Sobol sequences with better
# two-dimensional projections", SIAM Journal on Scientific Computing 30: one row a dimension.
POLYNOMIALS = (1, 3, 7, 11, 13, 19, 25, 37, 41, 47, 55, 59, 61, 67)
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
    (1, 1, 1, 3, 11),
    (1, 3, 5, 5, 31),
    (1, 3, 3, 9, 7, 49),
)
BITS = 32
DIMENSIONS = (
    "volume",
    "taste open",
    "price sensitivity",
    "bloc",
    "class",
    "value",
    "taste origin:CN",
    "group",
    "newcomer",
    "difficulty",
    "taste origin:US",
    "state",
    "taste origin:EU",
    "taste origin:ROW",
)
NEWCOMERS = 0.25  # part of the nodes that stand for workloads that appear after 2025


def sobol(dimension: int, count: int, shift: int) -> Floats:
    """Return the first points of one dimension of a Sobol sequence, shifted digitally, in (0, 1), shape (count,).

    Parameters
    ----------
    dimension : int
        From 0, less than the number of rows in `POLYNOMIALS`.
    count : int
        Points.
    shift : int
        Bits that are turned over in all points, 0 <= shift < 2**32.
    """
    numbers = list(FIRST_NUMBERS[dimension])
    polynomial = POLYNOMIALS[dimension]
    degree = polynomial.bit_length() - 1
    while len(numbers) < BITS:
        if degree == 0:
            numbers.append(1)
            continue
        new = numbers[-degree] ^ (numbers[-degree] << degree)
        for step in range(1, degree):
            if polynomial >> (degree - step) & 1:
                new ^= numbers[-step] << step
        numbers.append(new)
    index, points = np.arange(count, dtype=np.uint64), np.full(count, shift, np.uint64)
    for bit in range(int(count - 1).bit_length()):
        direction = np.uint64(numbers[bit] << (BITS - 1 - bit))
        points ^= np.where(index >> np.uint64(bit) & np.uint64(1), direction, np.uint64(0))
    return (points.astype(np.float64) + 0.5) / 2.0**BITS


def spread(key: int, rows: Ints) -> Floats:
    """Return uniforms one of which lies in the middle of each of as many equal cells, in random order, (rows,)."""
    rank = np.empty(len(rows))
    rank[np.argsort(rng.bits(key, rows), kind="stable")] = np.arange(len(rows))
    return (rank + 0.5) / len(rows)


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
        rows = np.arange(size)

        def uniform(name: str, rows: slice = slice(None), *, family: str = family, every: Ints = rows) -> Floats:
            key = rng.stream_key(seed, f"node:{family}:{name}")
            if name not in DIMENSIONS:
                return spread(key, every)[rows]
            return sobol(DIMENSIONS.index(name), len(every), int(rng.bits(key, 0)) >> 32)[rows]

        groups = FAMILY_GROUPS[family]
        of_group = np.array([p[f"demand.mix.{g}"] for g in groups])
        newcomer = uniform("newcomer") < NEWCOMERS
        z, weight = tilted(uniform("volume"), p["demand.volume_sd"])
        table = traits(
            p,
            labs,
            lines,
            uniform,
            1,
            developer=np.full(size, family == "developer"),
            organisation=rows + (developers if parts else 0),
            group=GROUPS.index(groups[0]) + pick(uniform("group"), of_group),
            bloc=pick(uniform("bloc"), np.array([p[f"demand.bloc.{b}"] for b in BLOCS])),
            kind=pick(uniform("class"), np.array([p[f"demand.{family}.class_mix.{c}"] for c in CLASSES])),
            arrival=np.where(newcomer, REFERENCE_YEAR_END + 1, 0),
            weight=weight,
            z=z,
            ban=rng.uniform(rng.stream_key(seed, f"node:{family}:ban"), rows),
            size=size,
        )
        order = np.argsort(table.kind, kind="stable")
        parts.append([column[order] for column in vars(table).values()])
        states.append(uniform("state")[order])
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
