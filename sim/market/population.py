"""Draw the workloads of a run: who they are, what they need, what they like (docs/model.md, section 3).

Fixed traits follow a randomly shifted Weyl (Kronecker) sequence with the irrationals of Roberts (2018), "The
unreasonable effectiveness of quasirandom sequences", so that a few thousand rows already carry the right mix.
Volumes are drawn tilted towards the large ones and arrivals evenly over the calendar, both with exact weights
(importance sampling): a token share of 20,000 plain rows would carry 2.3 points of noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import fsum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim import rng
from sim.market.kernels.draws import uniforms
from sim.market.kernels.elementary import exp, ndtri, power
from sim.market.parts import SMALL, in_parts
from sim.market.tables import SPARE, Bools, Floats, Ints, WorkloadTable
from sim.months import parse_month
from sim.scenario.schema import BLOCS, CLASSES, DEVELOPER_GROUPS, ENTERPRISE_GROUPS, GROUPS

LARGEST_ORGANISATION = 12
CACHE_LINE = 16  # numbers in single precision in a line of the cache
VOLUME_TILT = 0.5  # part of the log sd by which volumes are tilted: equal noise in workload and in token shares
EARLY_ROWS = 0.3  # part of the rows that stand for workloads already present by mid-2023
LATE_ROWS = 0.1  # part of the rows that appear after 2031
EARLY_UNTIL = parse_month("2023-07")
FIRST_ARRIVAL = parse_month("2023-01")
LAST_ARRIVAL = parse_month("2040-12")  # fixed, so that the horizon of a scenario changes nobody
REFERENCE_YEAR_END = parse_month("2025-12")
_PHI = 1.1673039782614187  # the root of x**5 = x + 1, Roberts' constant in four dimensions
_OWN = ("need", "difficulty", "value", "price_sensitivity", "pain", "control_value", "distrust", "taste_open")
FAMILY_GROUPS = {"developer": DEVELOPER_GROUPS, "enterprise": ENTERPRISE_GROUPS}


def developer_rows(count: int, parameters: Mapping[str, Any]) -> int:
    """Return how many of `count` rows belong to developers; they come first."""
    parts = {group: parameters[f"demand.mix.{group}"] for group in GROUPS}
    return round(count * fsum(parts[group] for group in DEVELOPER_GROUPS) / fsum(parts.values()))


def weyl(seed: int, name: str, dimension: int, count: int) -> Floats:
    """Return points in (0, 1) of one dimension of a Weyl sequence, shifted at random, shape (count,) (eq. 1)."""
    shift = rng.uniform(rng.stream_key(seed, f"weyl:{name}"), np.array([dimension]))[0]
    points = np.arange(1, count + 1) * _PHI ** -(dimension + 1)
    points += shift
    points -= np.floor(points)
    return np.maximum(points, 2.0**-53)  # a point on zero would be an infinite normal


def pick(u: Floats, parts: Floats, threads: int = 1) -> Ints:
    """Return the category of each uniform given the parts of the categories, shape of `u`."""
    edges = np.cumsum(parts) / np.sum(parts)

    def place(rows: slice) -> Ints:
        return np.searchsorted(edges, u[rows], side="right").clip(max=len(parts) - 1)

    return np.concatenate(in_parts(place, slice(0, len(u)), threads))


def _uniforms(seed: int, name: str, rows: slice) -> Floats:
    """Return uniforms of some rows of a stream, shape (rows,)."""
    found = np.empty(rows.stop - rows.start)
    uniforms(np.uint64(rng.stream_key(seed, name)), rows.start, found)
    return found


def organisations(seed: int, count: int, tail: float, family: str, threads: int = 1) -> Ints:
    """Return the organisation number of each of `count` rows, sizes 1 to 12 with weights size**-tail."""
    weights = power(np.arange(1, LARGEST_ORGANISATION + 1), -tail)
    sizes = 1 + pick(_uniforms(seed, f"organisation size:{family}", slice(0, count)), weights, threads)
    houses = 1 + np.searchsorted(np.cumsum(sizes), count - 1, side="right")
    return np.arange(houses).repeat(sizes[:houses])[:count]


def reached(month: Ints | int, midpoint: float, spread: float) -> Floats:
    """Return the part of all workloads to come that has appeared by the end of a month (eq. 2), shape of `month`."""
    years = 1970 + (np.minimum(month, LAST_ARRIVAL) + 1) / 12.0
    return 1.0 / (1.0 + exp(-(years - midpoint) / spread))


def arrivals(u: Floats, midpoint: float, spread: float, threads: int = 1) -> tuple[Ints, Floats]:
    """Return arrival months and weights of rows at uniforms `u`; the weights follow a logistic diffusion curve (eq. 2).

    Weights are scaled so that the sum over all rows present at the end of 2025 is one on average.
    """
    months = np.arange(FIRST_ARRIVAL, LAST_ARRIVAL + 1)
    so_far = reached(months, midpoint, spread)
    mass = np.diff(so_far, prepend=0.0)
    early, late = months <= EARLY_UNTIL, months > parse_month("2031-12")
    near = ~early & ~late
    # Few scenarios look beyond 2031. Rows in proportion to the root of the mass balance early and late months.
    sampling = np.zeros(len(months))
    for span, rows, density in (
        (early, EARLY_ROWS, mass),
        (near, 1.0 - EARLY_ROWS - LATE_ROWS, np.sqrt(mass)),
        (late, LATE_ROWS, np.sqrt(mass)),
    ):
        if density[span].sum() > 0.0:  # a diffusion that is over leaves later months without rows
            sampling[span] = rows * density[span] / density[span].sum()
    sampling /= sampling.sum()
    chosen = pick(u, sampling, threads)
    at_reference = so_far[REFERENCE_YEAR_END - FIRST_ARRIVAL]
    weight = np.divide(mass, sampling, out=np.zeros(len(months)), where=sampling > 0.0) / (len(u) * at_reference)
    return months[chosen], weight[chosen]


def draw_workloads(
    seed: int,
    count: int,
    parameters: Mapping[str, Any],
    labs: tuple[str, ...],
    lines: tuple[str, ...],
    threads: int = 1,
) -> WorkloadTable:
    """Draw the table of workloads (eq. 3).

    Parameters
    ----------
    seed : int
        Seed of the population.
    count : int
        Rows to draw.
    parameters : mapping of str to float
        Drawn parameters of the scenario.
    labs, lines : tuple of str
        Names, which key the persistent tastes: another lab or line changes nobody's taste for the rest.
    threads : int
        That draw tastes at a time.

    Returns
    -------
    WorkloadTable
        Developers' rows first.
    """
    p = parameters
    developers = developer_rows(count, p)
    organisation = np.empty(count, np.int64)
    group = np.empty(count, np.int64)
    bloc = np.empty(count, np.int64)
    kind = np.empty(count, np.int64)
    first = 0
    family_rows = (slice(0, developers), slice(developers, count))
    for (family, groups), rows in zip(FAMILY_GROUPS.items(), family_rows, strict=True):
        size = rows.stop - rows.start
        if size == 0:
            continue
        own = organisations(seed, size, p["demand.organisation_tail"], family, threads)
        houses = int(own[-1]) + 1
        parts = np.array([p[f"demand.mix.{g}"] for g in groups])
        group[rows] = GROUPS.index(groups[0]) + pick(weyl(seed, f"house:{family}", 0, houses), parts)[own]
        blocs = np.array([p[f"demand.bloc.{b}"] for b in BLOCS])
        bloc[rows] = pick(weyl(seed, f"house:{family}", 1, houses), blocs)[own]
        classes = np.array([p[f"demand.{family}.class_mix.{c}"] for c in CLASSES])
        kind[rows] = pick(weyl(seed, f"class:{family}", 1, size), classes, threads)  # volumes have dimension 0
        organisation[rows] = first + own
        first += houses
    curve = p["demand.arrival_midpoint"], p["demand.arrival_spread"]
    arrival, weight = arrivals(weyl(seed, "rows", 2, count), *curve, threads)
    points, volume, difficulty = slice(0, count), weyl(seed, "volume", 0, count), weyl(seed, "rows", 3, count)
    tilts = in_parts(lambda rows: tilted(volume[rows], p["demand.volume_sd"]), points, threads, SMALL)
    z, tilt_weight = map(np.concatenate, zip(*tilts, strict=True))
    weight *= tilt_weight
    weight *= p["demand.workloads_2025"] / weight[arrival <= REFERENCE_YEAR_END].sum()

    def uniform(name: str, rows: slice) -> Floats:
        return difficulty[rows] if name == "difficulty" else _uniforms(seed, name, rows)

    return traits(
        p,
        labs,
        lines,
        uniform,
        threads,
        developer=np.arange(count) < developers,
        organisation=organisation,
        group=group,
        bloc=bloc,
        kind=kind,
        arrival=arrival,
        weight=weight,
        z=z,
        ban=_uniforms(seed, "ban", slice(0, first))[organisation],
    )


def traits(
    p: Mapping[str, Any],
    labs: tuple[str, ...],
    lines: tuple[str, ...],
    uniform: Callable[..., Floats],
    threads: int,
    *,
    developer: Bools,
    organisation: Ints,
    group: Ints,
    bloc: Ints,
    kind: Ints,
    arrival: Ints,
    weight: Floats,
    z: Floats,
    ban: Floats,
    size: int = SMALL,
) -> WorkloadTable:
    """Return the table of workloads who are what they are (eq. 3); arrays of shape (rows,).

    Parameters
    ----------
    uniform : callable
        Uniforms by the name of a trait, of all rows or of a slice of them.
    threads : int
        That draw tastes at a time.
    z : array
        Standard normals of the volume.
    ban : array
        Uniforms of the organisations, below which share of them a ban binds.
    size : int
        Rows that are drawn at a time.
    """
    matrix = _in_cache_lines(len(kind), SPARE + len(lines) + len(labs))
    taste_line, attention = matrix[:, SPARE : SPARE + len(lines)], matrix[:, matrix.shape[1] - len(labs) :]
    origin = np.zeros((len(kind), len(BLOCS)))
    columns, newcomer = {name: np.empty(len(kind)) for name in _OWN}, arrival > REFERENCE_YEAR_END

    def draw(rows: slice) -> None:
        who = developer[rows], group[rows], bloc[rows], kind[rows], newcomer[rows], z[rows]
        for name, values in _own(p, partial(uniform, rows=rows), *who).items():
            columns[name][rows] = values
        for place, name in enumerate(lines):
            taste_line[rows, place] = p["demand.taste_sd.line"] * ndtri(uniform(f"taste line:{name}", rows))
        for place, name in enumerate(labs):
            attention[rows, place] = uniform(f"attention:{name}", rows)
        for place, name in enumerate(BLOCS):
            taste = p["demand.taste_sd.origin"] * ndtri(uniform(f"taste origin:{name}", rows))
            origin[rows, place] = taste.astype(np.float32)

    in_parts(draw, slice(0, len(kind)), threads, size)
    ban_share = np.array([0, 0, 0, p["demand.ban.regulated"], p["demand.ban.public"]])[group]
    return WorkloadTable(
        organisation=organisation,
        group=group,
        bloc=bloc,
        kind=kind,
        arrival=arrival,
        weight=weight,
        **columns,
        banned=(ban < ban_share) & (bloc != BLOCS.index("CN")),
        taste_line=taste_line,
        taste_origin=origin,
        attention=attention,
        tastes=matrix,
    )


def _own(
    p: Mapping[str, Any],
    uniform: Callable[[str], Floats],
    developer: Bools,
    group: Ints,
    bloc: Ints,
    kind: Ints,
    newcomer: Bools,
    z: Floats,
) -> dict[str, Floats]:
    """Return the columns `_OWN` of rows who are what they are, as `traits` has them; arrays of shape (rows,)."""
    factor = np.array([p[f"demand.volume_factor.{c}"] for c in CLASSES])[kind]
    need = _by_family(p, "volume", developer) * factor * exp(p["demand.volume_sd"] * z)
    need *= np.where(newcomer, p["demand.newcomer.volume"], 1.0)
    difficulty = np.array([p[f"demand.difficulty.{c}"] for c in CLASSES])[kind]
    strict = np.isin(group, [GROUPS.index("regulated"), GROUPS.index("public")])
    distrust_bloc = np.array([1.0, p["demand.distrust_bloc.EU"], 0.0, p["demand.distrust_bloc.ROW"]])[bloc]
    stern = np.where(strict, p["demand.regulated_factor"], 1.0)
    return {
        "need": need,
        "difficulty": difficulty + p["demand.difficulty_sd"] * ndtri(uniform("difficulty")),
        "value": np.maximum(0.0, p["demand.value"] + p["demand.value_sd"] * ndtri(uniform("value"))),
        "price_sensitivity": _by_family(p, "price_sensitivity", developer)
        * exp(p["demand.price_sensitivity_sd"] * ndtri(uniform("price sensitivity")))
        * np.where(newcomer, p["demand.newcomer.price_sensitivity"], 1.0),
        "pain": _by_family(p, "pain", developer) * power(need, p["demand.pain_exponent"]),
        "control_value": _by_family(p, "control_value", developer) * stern,
        "distrust": _by_family(p, "distrust", developer) * stern * distrust_bloc,
        "taste_open": p["demand.taste_sd.open"] * ndtri(uniform("taste open")),
    }


def _by_family(p: Mapping[str, Any], name: str, is_developer: np.ndarray) -> Floats:
    return np.where(is_developer, p[f"demand.developer.{name}"], p[f"demand.enterprise.{name}"])


def _in_cache_lines(rows: int, columns: int) -> NDArray[np.float32]:
    """Return a matrix of zeros with at least so many columns, each row of which fills whole lines of the cache."""
    width = -(-columns // CACHE_LINE) * CACHE_LINE
    room = np.zeros(rows * width + CACHE_LINE, np.float32)
    skip = -room.ctypes.data // room.itemsize % CACHE_LINE
    return room[skip : skip + rows * width].reshape(rows, width)


def tilted(u: Floats, sd: float) -> tuple[Floats, Floats]:
    """Return tilted standard normals and the weights that undo the tilt, both of the shape of `u` (eq. 3)."""
    tilt = VOLUME_TILT * sd
    z = ndtri(u) + tilt
    return z, exp(-tilt * z + 0.5 * tilt * tilt)
