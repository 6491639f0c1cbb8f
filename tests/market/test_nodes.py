"""Taste nodes: their points fill the cube evenly, and together they are the population."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import qmc

from sim import rng
from sim.market import nodes, population
from sim.months import parse_month
from sim.scenario.schema import BLOCS, CLASSES, DEVELOPER_GROUPS, GROUPS

from .guards import binds

LABS, LINES = ("A", "B"), ("A/x", "A/y", "B/x")
COUNT = 512


def drawn(settings, count=COUNT, seed=5, labs=LABS, lines=LINES, **parameters):
    return nodes.draw_nodes(seed, count, dict(settings.parameters) | parameters, labs, lines)


def digits(points):
    """Return points as whole numbers of their last binary place."""
    return np.floor(points * 2.0**nodes.BITS).astype(np.uint64)


# Points --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 64, 100])
def test_points_are_those_of_sobol_in_another_order(count):
    """SciPy takes them in the order of the Gray code."""
    dimensions = len(nodes.POLYNOMIALS)
    assert dimensions == len(nodes.FIRST_NUMBERS) == len(nodes.DIMENSIONS)
    right = qmc.Sobol(dimensions, scramble=False, bits=nodes.BITS).random(128)
    order = np.arange(128)
    order ^= order >> 1
    for dimension in range(dimensions):
        found = nodes.sobol(dimension, np.arange(count), 0)
        assert found.shape == (count,)
        assert ((found > 0.0) & (found < 1.0)).all()
        here = np.empty(128, np.uint64)
        here[order] = digits(right[:, dimension])
        assert np.array_equal(digits(found), here[:count])


def test_a_digital_shift_turns_the_same_bits_of_all_points_over():
    shift = 0x9ABCDEF0
    plain, shifted = nodes.sobol(3, np.arange(64), 0), nodes.sobol(3, np.arange(64), shift)
    assert np.array_equal(digits(plain) ^ np.uint64(shift), digits(shifted))
    assert np.array_equal(np.sort(np.floor(64 * shifted)), np.arange(64.0))  # still one in each cell


@pytest.mark.parametrize("count", [1, 7, 16, 64, 1000, 1003])
def test_a_sliced_hypercube_has_one_point_in_each_cell_and_every_slice_is_spread_as_well(count):
    one, other = (nodes.sliced(rng.stream_key(1, name), count) for name in ("one", "other"))
    for points in (one, other):
        assert np.array_equal(np.sort(points), (np.arange(count) + 0.5) / count)
    assert count < 7 or not np.array_equal(one, other)
    if count % nodes.SLICE == 0:
        part = np.floor(nodes.SLICE * one).reshape(-1, nodes.SLICE)
        assert np.array_equal(np.sort(part, axis=1), np.broadcast_to(np.arange(nodes.SLICE), part.shape))
    if count >= 1000:
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.1
        assert abs(np.corrcoef(one[1:], one[:-1])[0, 1]) < 0.1


@pytest.mark.parametrize("sd", [0.0, 0.1, 2.0, 4.0])
@pytest.mark.parametrize("count", [1, 2, 33, 4096])
def test_cells_of_the_volume_hold_all_workloads_and_all_tokens(count, sd):
    z, weight = nodes.volume_cells(count, sd)
    assert z.shape == weight.shape == (count,)
    assert (weight > 0.0).all()
    assert sd == 0.0 or (np.diff(z) > 0.0).all()
    assert weight.sum() == pytest.approx(1.0, rel=1e-12)
    assert (weight * np.exp(sd * z)).sum() == pytest.approx(np.exp(0.5 * sd * sd), rel=1e-9)


def test_a_cell_of_the_volume_has_the_mean_of_who_is_drawn_in_it():
    """Against plain integration between the quantiles of the tilted draws."""
    sd, count = 2.0, 8
    z, weight = nodes.volume_cells(count, sd)
    at = (np.arange(400_000) + 0.5) / 400_000
    drawn_z, drawn_weight = population.tilted(at, sd)
    cell = (at * count).astype(int)
    total = np.bincount(cell, drawn_weight)
    assert weight == pytest.approx(total / len(at), rel=0.01)
    assert np.exp(sd * z) == pytest.approx(np.bincount(cell, drawn_weight * np.exp(sd * drawn_z)) / total, rel=0.01)


@pytest.mark.parametrize(
    ("parts", "count", "found"),
    [
        ([0.5, 0.3, 0.2], 10, [5, 3, 2]),
        ([0.5, 0.49, 0.01], 10, [5, 4, 1]),  # one at least
        ([1.0, 0.0, 1.0], 7, [4, 0, 3]),
        ([0.4, 0.6, 0.1], 2, [1, 1, 0]),  # fewer than there are parts
        ([3.0], 5, [5]),
    ],
)
def test_nodes_are_allotted_by_the_largest_remainders(parts, count, found):
    assert nodes.allotted(np.array(parts), count).tolist() == found


def test_classes_get_nodes_by_the_root_of_their_volume(small_settings):
    """As volumes are tilted: between equal noise in shares of workloads and in those of tokens."""
    factor = np.array([small_settings.parameters[f"demand.volume_factor.{name}"] for name in CLASSES])
    assert np.array(nodes.NODES_OF_CLASS) == pytest.approx(np.sqrt(factor / factor[0]), rel=0.02)


# Who they are --------------------------------------------------------------------------------------------------------


def test_nodes_are_sorted_by_class_inside_their_family(small_settings):
    table, state = drawn(small_settings)
    developers = population.developer_rows(COUNT, small_settings.parameters)
    assert (table.group[:developers] < len(DEVELOPER_GROUPS)).all()
    assert (table.group[developers:] >= len(DEVELOPER_GROUPS)).all()
    for rows in (slice(0, developers), slice(developers, COUNT)):
        assert (np.diff(table.kind[rows]) >= 0).all()
        assert len(np.unique(table.organisation[rows])) == len(table.kind[rows])
        assert np.array_equal(np.sort(table.attention[rows, 0]), _middles(len(table.kind[rows])))
    assert len(np.unique(table.organisation)) == COUNT
    assert ((state > 0.0) & (state < 1.0)).all()


def _middles(count):
    return ((np.arange(count) + 0.5) / count).astype(np.float32)


@pytest.mark.parametrize("newcomers", [False, True])
def test_both_ages_stand_for_all_workloads_of_2025_and_have_the_mix_of_the_population(small_settings, newcomers):
    p = small_settings.parameters
    table, _ = drawn(small_settings, 4096)
    rows = (table.arrival > population.REFERENCE_YEAR_END) == newcomers
    assert rows.mean() == pytest.approx(nodes.NEWCOMERS if newcomers else 1.0 - nodes.NEWCOMERS, abs=0.01)
    weight = table.weight[rows]
    assert weight.sum() == pytest.approx(p["demand.workloads_2025"])
    for names, column, path in ((GROUPS, table.group, "demand.mix"), (BLOCS, table.bloc, "demand.bloc")):
        wanted = np.array([p[f"{path}.{name}"] for name in names])
        found = np.array([weight[column[rows] == number].sum() for number in range(len(names))])
        assert found / found.sum() == pytest.approx(wanted / wanted.sum(), abs=0.03)
    developer = table.group[rows] < len(DEVELOPER_GROUPS)
    wanted = np.array([p[f"demand.developer.class_mix.{name}"] for name in CLASSES])
    found = np.array([weight[developer & (table.kind[rows] == number)].sum() for number in range(len(CLASSES))])
    assert found / found.sum() == pytest.approx(wanted / wanted.sum(), rel=1e-12)
    for taste, sd in (
        (table.taste_open, "open"),
        (table.taste_line[:, 1], "line"),
        (table.taste_origin[:, 2], "origin"),
    ):
        mean = np.average(taste[rows], weights=weight)
        spread = np.sqrt(np.average((taste[rows] - mean) ** 2, weights=weight))
        assert mean == pytest.approx(0.0, abs=0.08 * p[f"demand.taste_sd.{sd}"])
        assert spread == pytest.approx(p[f"demand.taste_sd.{sd}"], rel=0.08)


@pytest.mark.parametrize("newcomers", [False, True])
def test_the_mean_need_of_nodes_is_that_of_the_world(small_settings, newcomers):
    """What it would use at a price of zero, however heavy the tail and few the nodes."""
    p = small_settings.parameters
    table, _ = drawn(small_settings, 64)
    rows = (table.arrival > population.REFERENCE_YEAR_END) == newcomers
    developer = table.group < len(DEVELOPER_GROUPS)
    for number, name in enumerate(CLASSES):
        for family, own in (("developer", developer), ("enterprise", ~developer)):
            here = rows & own & (table.kind == number)
            wanted = p[f"demand.{family}.volume"] * p[f"demand.volume_factor.{name}"]
            wanted *= np.exp(0.5 * p["demand.volume_sd"] ** 2) * (p["demand.newcomer.volume"] if newcomers else 1.0)
            assert np.average(table.need[here], weights=table.weight[here]) == pytest.approx(wanted, rel=1e-9)
    people = population.draw_workloads(3, 60_000, p, LABS, LINES)
    those = (people.arrival > population.REFERENCE_YEAR_END) == newcomers
    drawn_mean = np.average(people.need[those], weights=people.weight[those])
    assert np.average(table.need[rows], weights=table.weight[rows]) == pytest.approx(drawn_mean, rel=0.08)


@pytest.mark.parametrize(("developers", "count"), [(0.05, 64), (0.02, 64), (0.1, 64), (0.05, 128)])
def test_a_family_of_few_nodes_keeps_its_part_of_the_workloads(small_settings, developers, count):
    """Fewer nodes than strata leave classes out, not users."""
    mix = {"demand.mix.indie": developers, "demand.mix.startup": 0.0, "demand.mix.ordinary": 1.0 - developers}
    table, _ = drawn(small_settings, count, **mix, **{"demand.mix.regulated": 0.0, "demand.mix.public": 0.0})
    own = table.group < len(DEVELOPER_GROUPS)
    assert 0 < own.sum() < 10
    for rows in (table.arrival <= population.REFERENCE_YEAR_END, table.arrival > population.REFERENCE_YEAR_END):
        part = table.weight[rows & own].sum() / table.weight[rows].sum()
        assert part == pytest.approx(developers, rel=1e-12) or not (rows & own).any()


def test_tastes_of_a_node_stay_with_its_place_when_another_class_gets_more(small_settings):
    """A mix that changes by a little moves no other node to another point."""
    before, _ = drawn(small_settings)
    shifted = {"demand.developer.class_mix.coding": 0.32, "demand.developer.class_mix.chat": 0.43}
    after, _ = drawn(small_settings, **shifted)
    moved = []
    for name in CLASSES:
        for newcomers in (False, True):
            tastes = []
            for table in (before, after):
                rows = (table.kind == CLASSES.index(name)) & (table.group < len(DEVELOPER_GROUPS))
                rows &= (table.arrival > population.REFERENCE_YEAR_END) == newcomers
                tastes.append(table.taste_open[rows])
            moved.append(len(tastes[1]) - len(tastes[0]))
            least = min(map(len, tastes))
            assert np.array_equal(tastes[0][:least], tastes[1][:least])
    assert any(moved)


def test_blocs_and_tastes_are_spread_better_than_at_random_over_workloads_and_tokens(small_settings):
    """Standard deviation over seeds of weighted means, against draws that know nothing of each other."""
    found, alone = [], []
    for seed in range(60):
        table, _ = drawn(small_settings, 512, seed)
        us = (table.bloc == BLOCS.index("US")) - small_settings.parameters["demand.bloc.US"]
        taste = table.taste_open / small_settings.parameters["demand.taste_sd.open"]
        means, noise = [], []
        for newcomers in (False, True):
            rows = (table.arrival > population.REFERENCE_YEAR_END) == newcomers
            for weight in (table.weight[rows], (table.weight * table.need)[rows]):
                part = weight / weight.sum()
                means += [part @ us[rows], part @ taste[rows]]
                noise += [np.sqrt((part**2).sum()) * sd for sd in (np.sqrt(0.42 * 0.58), 1.0)]
        found.append(means)
        alone.append(noise)
    ratio = np.std(found, axis=0) / np.mean(alone, axis=0)
    assert ratio.max() < 0.85
    assert ratio.mean() < 0.65


def test_a_class_without_workloads_has_no_nodes(small_settings):
    nobody = {
        f"demand.{family}.class_mix.{name}": 0.0 for family in population.FAMILY_GROUPS for name in ("chat", "embodied")
    }
    table, _ = drawn(small_settings, **nobody)
    assert set(np.unique(table.kind)) == {CLASSES.index(name) for name in ("knowledge", "coding", "agentic")}
    assert table.weight.sum() == pytest.approx(2.0 * small_settings.parameters["demand.workloads_2025"])


def test_another_line_or_lab_changes_nobodys_taste_for_the_rest(small_settings):
    few, _ = drawn(small_settings)
    many, _ = drawn(small_settings, labs=("Z", *LABS), lines=("Z/x", *LINES))
    assert np.array_equal(few.taste_line, many.taste_line[:, 1:])
    assert np.array_equal(few.attention, many.attention[:, 1:])
    for name in ("need", "value", "taste_open", "weight", "kind", "banned"):
        assert np.array_equal(getattr(few, name), getattr(many, name)), name


def test_a_family_that_the_mix_leaves_out_has_no_nodes(small_settings):
    nobody = dict.fromkeys(("demand.mix.indie", "demand.mix.startup"), 0.0)
    table, state = drawn(small_settings, 64, **nobody)
    assert len(table) == len(state) == 64
    assert (table.group >= len(DEVELOPER_GROUPS)).all()


# When they come ------------------------------------------------------------------------------------------------------


@binds("nodes.py", "arrived", "max(0.0, now - reference)")
@binds("nodes.py", "arrived", "min(now, reference)")
@pytest.mark.parametrize("month", ["2022-01", "2024-06", "2025-12", "2026-01", "2030-06", "2040-12", "2045-01"])
def test_as_many_are_there_as_of_the_workloads(small_settings, month):
    """The curve of diffusion, exactly, as the weights of workloads that have arrived follow it with their noise."""
    p, at = small_settings.parameters, parse_month(month)
    table, _ = drawn(small_settings, 256)
    part = nodes.arrived(table, at, p)
    newcomer = table.arrival > population.REFERENCE_YEAR_END
    assert len(np.unique(part[newcomer])) == len(np.unique(part[~newcomer])) == 1
    assert (part[newcomer] > 0.0).all() == (at > population.REFERENCE_YEAR_END)
    assert (part[~newcomer] == 1.0).all() == (at >= population.REFERENCE_YEAR_END)
    midpoint, spread = p["demand.arrival_midpoint"], p["demand.arrival_spread"]
    curve = population.reached(at, midpoint, spread) / population.reached(parse_month("2025-12"), midpoint, spread)
    here = (table.weight * part).sum() / p["demand.workloads_2025"]
    assert here == pytest.approx(float(curve))
    months, weight = population.arrivals(population.weyl(1, "rows", 2, 50_000), midpoint, spread)
    first = population.reached(population.FIRST_ARRIVAL, midpoint, spread)
    if at > population.FIRST_ARRIVAL:
        assert weight[months <= at].sum() == pytest.approx(float(curve), rel=0.02)
    else:
        assert part[~newcomer][0] < float(first) / float(population.reached(parse_month("2025-12"), midpoint, spread))


@binds("population.py", "reached", "np.minimum(month, LAST_ARRIVAL)")
def test_nobody_comes_after_the_last_month_of_arrivals():
    last = population.LAST_ARRIVAL
    before, then, later = (float(population.reached(month, 2035.0, 2.0)) for month in (last - 1, last, last + 60))
    assert before < then == later < 1.0
