"""The population: exact weights, the right mix, and nobody moved by what does not concern them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sim.market import population
from sim.market.population import developer_rows, draw_workloads
from sim.scenario.schema import BLOCS, CLASSES, GROUPS

from .worlds import between, changed, simulated

LABS, LINES = ("OpenAI", "DeepSeek"), ("OpenAI/gpt", "DeepSeek/chat", "DeepSeek/small")
COUNT = 20_000
ALIKE = {"demand.newcomer.volume": 1.0, "demand.newcomer.price_sensitivity": 1.0}


def drawn(settings, count=COUNT, seed=7, labs=LABS, lines=LINES, **parameters):
    return draw_workloads(seed, count, dict(settings.parameters) | parameters, labs, lines)


@pytest.fixture(scope="module")
def table(small_settings):
    return drawn(small_settings)


def same_columns(a, b, but=()):
    for name in a.__dataclass_fields__:
        if name not in but:
            assert np.array_equal(getattr(a, name), getattr(b, name)), name


def test_weights_of_those_present_at_the_end_of_2025_sum_to_the_stated_number(table, small_settings):
    present = table.arrival <= population.REFERENCE_YEAR_END
    assert table.weight[present].sum() == pytest.approx(small_settings.parameters["demand.workloads_2025"], rel=1e-12)
    assert np.all(table.weight > 0)


def test_arrivals_follow_the_logistic_curve(table, small_settings):
    p = small_settings.parameters

    def reached(month):
        year = 1970 + (month + 1) / 12
        return 1 / (1 + np.exp(-(year - p["demand.arrival_midpoint"]) / p["demand.arrival_spread"]))

    total = table.weight.sum()
    for month in range(population.EARLY_UNTIL, population.LAST_ARRIVAL, 12):
        share = table.weight[table.arrival <= month].sum() / total
        assert share == pytest.approx(reached(month) / reached(population.LAST_ARRIVAL), abs=0.015)


def test_a_third_of_the_rows_stand_for_the_early_and_a_tenth_for_the_late(table):
    assert np.mean(table.arrival <= population.EARLY_UNTIL) == pytest.approx(0.3, abs=0.001)
    assert table.arrival.min() == population.FIRST_ARRIVAL
    assert table.arrival.max() <= population.LAST_ARRIVAL
    assert np.mean(table.arrival > population.parse_month("2031-12")) == pytest.approx(0.1, abs=0.001)


@pytest.mark.parametrize("sd", [0.0, 1.0, 2.0])
def test_weights_undo_the_tilt_of_the_volumes(sd):
    """Mean and spread of log volume, and the mean volume itself, against their closed forms."""
    z, weight = population.tilted(population.weyl(3, "volume", 0, COUNT), sd)
    assert weight.mean() == pytest.approx(1.0, abs=0.01)
    assert (weight * z).mean() == pytest.approx(0.0, abs=0.01)
    assert (weight * z**2).mean() == pytest.approx(1.0, abs=0.03)
    assert (weight * np.exp(sd * z)).mean() == pytest.approx(np.exp(sd**2 / 2), rel=0.01)


def test_the_mean_need_of_a_class_is_that_of_the_lognormal(small_settings):
    """Over replicates: the error of the weighted mean lies within four standard errors of zero."""
    p = small_settings.parameters
    errors = []
    for seed in range(12):
        table = drawn(small_settings, 8000, seed, **ALIKE)
        rows = (np.arange(8000) < developer_rows(8000, p)) & (table.kind == CLASSES.index("coding"))
        mean = np.average(table.need[rows], weights=table.weight[rows])
        exact = p["demand.developer.volume"] * p["demand.volume_factor.coding"] * np.exp(p["demand.volume_sd"] ** 2 / 2)
        errors.append(mean / exact - 1)
    assert abs(np.mean(errors)) < 4 * np.std(errors, ddof=1) / np.sqrt(len(errors))
    assert np.std(errors) < 0.15


@pytest.mark.parametrize("seed", range(4))
def test_what_a_workload_is_says_nothing_of_how_large_it_is(small_settings, seed):
    """Class, volume, difficulty and arrival come from different dimensions of the sequence."""
    p = small_settings.parameters
    table = drawn(small_settings, COUNT, seed, **ALIKE)
    developers = table.group < 2
    factor = np.array([p[f"demand.volume_factor.{c}"] for c in CLASSES])[table.kind]
    family = np.where(developers, p["demand.developer.volume"], p["demand.enterprise.volume"])
    z = np.log(table.need / factor / family) / p["demand.volume_sd"]
    hardness = table.difficulty - np.array([p[f"demand.difficulty.{c}"] for c in CLASSES])[table.kind]
    traits = {"volume": z, "difficulty": hardness, "arrival": table.arrival.astype(float)}
    for code, count in ((table.kind, len(CLASSES)), (table.group, 5), (table.bloc, 4)):
        for name, trait in traits.items():
            for value in range(count):
                rows = code == value
                error = (trait[rows].mean() - trait.mean()) / (trait.std() / np.sqrt(rows.sum()))
                assert abs(error) < 5, (name, value)
    columns = np.array([*traits.values()])
    assert np.abs(np.corrcoef(columns)[np.triu_indices(3, 1)]).max() < 5 / np.sqrt(COUNT)


def test_the_dimensions_of_the_sequence_are_roberts_four():
    """Powers of the root of x**5 = x + 1; with that of x**4 the last two would add up to one."""
    phi = population._PHI
    assert phi**5 == pytest.approx(phi + 1, rel=1e-14)
    steps = [phi ** -(d + 1) for d in range(4)]
    for i in range(4):
        for j in range(i):
            for a, b in ((1, 1), (1, -1), (2, 1), (1, 2), (2, -1), (1, -2)):
                whole = a * steps[i] + b * steps[j]
                assert abs(whole - round(whole)) > 1e-3, (i, j, a, b)


def shares(code, count, rows):
    return np.bincount(code[rows], minlength=count) / rows.sum()


def test_groups_have_their_part_of_the_workloads(table, small_settings):
    p = small_settings.parameters
    parts = np.array([p[f"demand.mix.{g}"] for g in GROUPS])
    assert shares(table.group, 5, np.ones(COUNT, bool)) == pytest.approx(parts / parts.sum(), abs=0.01)


def test_developers_come_first_and_enterprises_after(table, small_settings):
    developers = developer_rows(COUNT, small_settings.parameters)
    assert developers == round(COUNT * 0.45)
    assert table.group[:developers].max() < 2
    assert table.group[developers:].min() >= 2


@pytest.mark.parametrize("family", ["developer", "enterprise"])
def test_blocs_and_classes_have_their_part_in_each_family(table, small_settings, family):
    p = small_settings.parameters
    rows = (table.group < 2) == (family == "developer")
    blocs = np.array([p[f"demand.bloc.{b}"] for b in BLOCS])
    classes = np.array([p[f"demand.{family}.class_mix.{c}"] for c in CLASSES])
    assert shares(table.bloc, 4, rows) == pytest.approx(blocs / blocs.sum(), abs=0.03)  # by organisation
    assert shares(table.kind, len(CLASSES), rows) == pytest.approx(classes / classes.sum(), abs=0.005)


def test_organisations_are_neighbours_of_one_group_and_bloc_with_one_to_twelve_workloads(table):
    assert table.organisation[0] == 0
    assert set(np.diff(table.organisation).tolist()) == {0, 1}
    sizes = np.bincount(table.organisation)
    assert sizes.min() >= 1
    assert sizes.max() == 12
    same = np.diff(table.organisation) == 0
    for column in (table.group, table.bloc):
        assert np.all(np.diff(column)[same] == 0)


def test_sizes_of_organisations_follow_the_power_law():
    """Over organisations, less the last, which the end of the table may cut."""
    own = population.organisations(5, COUNT, 1.5, "developer")
    sizes = np.bincount(own)[:-1]
    weights = np.arange(1, 13) ** -1.5
    counts = np.bincount(sizes, minlength=13)[1:]
    assert stats.chisquare(counts, len(sizes) * weights / weights.sum()).pvalue > 1e-3


def test_tastes_are_normal_with_their_spreads(table, small_settings):
    p = small_settings.parameters
    for column, sd in (
        (table.taste_line[:, 1], p["demand.taste_sd.line"]),
        (table.taste_open, p["demand.taste_sd.open"]),
        (table.taste_origin[:, 2], p["demand.taste_sd.origin"]),
    ):
        assert stats.kstest(column / sd, "norm").pvalue > 1e-3
    assert np.abs(np.corrcoef(table.taste_line.T)[np.triu_indices(3, 1)]).max() < 5 / np.sqrt(COUNT)


def test_another_lab_or_line_changes_nobodys_tastes_for_the_rest(table, small_settings):
    more = drawn(small_settings, labs=("New", *LABS), lines=("New/one", *LINES))
    same_columns(table, more, but=("taste_line", "attention", "tastes"))
    assert np.array_equal(more.taste_line[:, 1:], table.taste_line)
    assert np.array_equal(more.attention[:, 1:], table.attention)


def test_reordering_lines_reorders_tastes(table, small_settings):
    turned = drawn(small_settings, lines=LINES[::-1])
    assert np.array_equal(turned.taste_line[:, ::-1], table.taste_line)


def test_another_seed_draws_other_people_and_the_same_mix(table, small_settings):
    other = drawn(small_settings, seed=8)
    assert not np.array_equal(other.need, table.need)
    assert np.bincount(other.kind) == pytest.approx(np.bincount(table.kind), abs=0.005 * COUNT)


def test_the_horizon_changes_nobody(small_settings):
    early, late = (simulated(between(small_settings, "2024-07", end), 0) for end in ("2025-06", "2035-12"))
    same_columns(early.workloads, late.workloads)


def test_nobody_arrives_before_the_first_month(small_settings):
    market = simulated(small_settings, 0)
    plain = draw_workloads(
        market.seed, small_settings.workloads, small_settings.parameters, market.labs.names, market.lines.names
    )
    assert market.workloads.arrival.min() == small_settings.start
    assert plain.arrival.min() < small_settings.start
    assert np.array_equal(market.workloads.arrival, np.maximum(plain.arrival, small_settings.start))


def test_bans_cover_their_share_of_strict_organisations_outside_china(small_settings):
    table = drawn(small_settings, 60_000)
    p = small_settings.parameters
    abroad = table.bloc != BLOCS.index("CN")
    for group in GROUPS:
        rows = abroad & (table.group == GROUPS.index(group))
        wanted = p.get(f"demand.ban.{group}", 0.0)
        assert table.banned[rows].mean() == pytest.approx(wanted, abs=0.06 if wanted else 0.0)
    assert not table.banned[~abroad].any()
    same_house = (np.diff(table.organisation) == 0) & (np.diff(table.group) == 0)
    assert np.array_equal(table.banned[1:][same_house], table.banned[:-1][same_house])


def test_distrust_and_control_value_are_those_of_group_and_bloc(table, small_settings):
    p = small_settings.parameters

    def of(name, group, bloc="US"):
        rows = (table.group == GROUPS.index(group)) & (table.bloc == BLOCS.index(bloc))
        return set(getattr(table, name)[rows].tolist())

    stern, enterprise = p["demand.regulated_factor"], p["demand.enterprise.distrust"]
    assert of("distrust", "indie") == {p["demand.developer.distrust"]}
    assert of("distrust", "ordinary") == {enterprise}
    assert of("distrust", "regulated") == of("distrust", "public") == {enterprise * stern}
    assert of("distrust", "ordinary", "EU") == {enterprise * p["demand.distrust_bloc.EU"]}
    assert of("distrust", "ordinary", "ROW") == {enterprise * p["demand.distrust_bloc.ROW"]}
    assert of("distrust", "public", "CN") == {0.0}
    assert of("control_value", "regulated") == {p["demand.enterprise.control_value"] * stern}
    assert of("control_value", "startup") == {p["demand.developer.control_value"]}


def test_pain_grows_with_volume_by_its_exponent(table, small_settings):
    p = small_settings.parameters
    developers = table.group < 2
    for rows, family in ((developers, "developer"), (~developers, "enterprise")):
        wanted = p[f"demand.{family}.pain"] * table.need[rows] ** p["demand.pain_exponent"]
        assert table.pain[rows] == pytest.approx(wanted)


def test_price_sensitivity_has_its_median_and_log_spread(small_settings):
    p = small_settings.parameters
    table = drawn(small_settings, **ALIKE)
    rows = table.group >= 2
    logs = np.log(table.price_sensitivity[rows] / p["demand.enterprise.price_sensitivity"])
    assert stats.kstest(logs / p["demand.price_sensitivity_sd"], "norm").pvalue > 1e-3


def test_workloads_that_appear_after_2025_need_and_feel_by_their_own_factors_and_are_else_the_same(small_settings):
    factors = {"demand.newcomer.volume": 0.5, "demand.newcomer.price_sensitivity": 2.0, "demand.pain_exponent": 0.5}
    plain = drawn(small_settings, 3000, **ALIKE | {"demand.pain_exponent": 0.5})
    other = drawn(small_settings, 3000, **factors)
    late = plain.arrival > population.REFERENCE_YEAR_END
    assert 0.2 < late.mean() < 0.8
    same_columns(plain, other, but=("need", "price_sensitivity", "pain"))
    assert np.array_equal(other.need, np.where(late, 0.5 * plain.need, plain.need))
    assert np.array_equal(other.price_sensitivity, np.where(late, 2.0, 1.0) * plain.price_sensitivity)
    assert other.pain == pytest.approx(plain.pain * np.where(late, 0.5**0.5, 1.0))  # pain follows the need


def test_difficulty_has_its_mean_and_spread_in_each_class(table, small_settings):
    p = small_settings.parameters
    for k, name in enumerate(CLASSES):
        found = table.difficulty[table.kind == k]
        assert found.mean() == pytest.approx(p[f"demand.difficulty.{name}"], abs=0.4)
        assert found.std() == pytest.approx(p["demand.difficulty_sd"], rel=0.05)


def test_the_parts_need_not_sum_to_one(small_settings):
    doubled = changed(
        small_settings, {f"demand.bloc.{b}": small_settings.parameters[f"demand.bloc.{b}"] / 2 for b in BLOCS}
    )
    same_columns(drawn(small_settings, 500), drawn(doubled, 500))


def test_a_part_of_zero_is_never_drawn(small_settings):
    table = drawn(small_settings, 2000, **{"demand.bloc.US": 0.0, "demand.developer.class_mix.chat": 0.0})
    assert BLOCS.index("US") not in table.bloc
    assert CLASSES.index("chat") not in table.kind[table.group < 2]


@pytest.mark.parametrize("family", ["developer", "enterprise"])
def test_a_market_of_one_family_runs(small_settings, family):
    zero = ("ordinary", "regulated", "public") if family == "developer" else ("indie", "startup")
    settings = changed(small_settings, {f"demand.mix.{g}": 0.0 for g in zero}, workloads=200)
    market = simulated(between(settings, "2025-11", "2026-02"))
    assert market.violations == []
    groups = {GROUPS[g] for g in np.unique(market.workloads.group)}
    assert groups.isdisjoint(zero)


@pytest.mark.parametrize(("midpoint", "spread"), [(2020.0, 0.2), (2026.5, 0.2), (2050.0, 0.2), (2050.0, 10.0)])
def test_a_diffusion_that_is_over_or_far_off_still_has_finite_weights(midpoint, spread):
    months, weight = population.arrivals(population.weyl(1, "rows", 2, 400), midpoint, spread)
    assert np.isfinite(weight).all()
    assert (weight >= 0).all()
    assert weight.sum() > 0
    assert len(months) == 400
