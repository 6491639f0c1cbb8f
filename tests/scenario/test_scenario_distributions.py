"""Distributions: quantiles against closed forms and SciPy, clipping, rounding."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sim.scenario.distributions import Distribution

GRID = [1e-9, 0.001, 0.1, 0.25, 0.5, 0.75, 0.9, 0.999, 1 - 1e-9]


@pytest.mark.parametrize(
    ("found", "reference"),
    [
        (Distribution("uniform", (2.0, 5.0)), stats.uniform(2, 3)),
        (Distribution("normal", (3.0, 2.0)), stats.norm(3, 2)),
        (Distribution("lognormal", (0.3, 0.9)), stats.lognorm(0.9, scale=0.3)),
        (Distribution("triangular", (1.5, 2.5, 4.0)), stats.triang(0.4, 1.5, 2.5)),
        (Distribution("triangular", (0.0, 0.0, 1.0)), stats.triang(0, 0, 1)),
        (Distribution("triangular", (0.0, 1.0, 1.0)), stats.triang(1, 0, 1)),
        (Distribution("pert", (1.0, 2.0, 6.0)), stats.beta(1.8, 4.2, 1, 5)),
        (Distribution("pert", (0.0, 0.0, 1.0)), stats.beta(1, 5, 0, 1)),
    ],
    ids=lambda value: value.kind if isinstance(value, Distribution) else "",
)
def test_the_quantile_is_the_inverse_of_the_distribution_function(found: Distribution, reference):
    assert [found.quantile(u) for u in GRID] == pytest.approx(reference.ppf(GRID), rel=1e-12)


def test_the_median_of_a_lognormal_is_its_first_argument():
    assert Distribution("lognormal", (1000.0, 0.7)).quantile(0.5) == 1000.0


def test_a_choice_is_made_in_proportion_to_the_weights():
    found = Distribution("choice", ("a", "b", "c"), (1.0, 0.0, 3.0))
    picks = [found.quantile((i + 0.5) / 1000) for i in range(1000)]
    assert (picks.count("a"), picks.count("b"), picks.count("c")) == (250, 0, 750)
    assert found.quantile(0.0) == "a"
    assert found.quantile(1.0) == "c"


def test_a_choice_whose_first_and_last_weights_are_zero_takes_the_middle():
    found = Distribution("choice", (1.0, 2.0, 3.0), (0.0, 1.0, 0.0))
    assert {found.quantile(u) for u in (0.0, 0.5, 1.0)} == {2.0}


def test_an_empirical_distribution_steps_through_its_samples_in_order():
    found = Distribution("empirical", (3.0, 1.0, 2.0, 2.0))
    assert [found.quantile(u) for u in (0.0, 0.24, 0.26, 0.5, 0.74, 0.76, 1.0)] == [1, 1, 2, 2, 2, 3, 3]


@pytest.mark.parametrize("kind", ["normal", "lognormal"])
def test_tails_are_clipped_at_the_bounds(kind: str):
    found = Distribution(kind, (5.0, 3.0), low=4.0, high=6.0)
    assert found.quantile(1e-6) == 4.0
    assert found.quantile(1 - 1e-6) == 6.0
    assert 4.0 < found.quantile(0.5) < 6.0


@pytest.mark.parametrize("u", [0.0, 1.0])
@pytest.mark.parametrize(
    "found",
    [
        Distribution("normal", (0.0, 1.0)),
        Distribution("lognormal", (1.0, 1.0)),
        Distribution("pert", (0.0, 1.0, 2.0)),
        Distribution("triangular", (0.0, 1.0, 2.0)),
        Distribution("uniform", (0.0, 2.0)),
    ],
    ids=lambda found: found.kind,
)
def test_the_ends_of_the_unit_interval_give_finite_values(found: Distribution, u: float):
    assert math.isfinite(found.quantile(u))


def test_a_lognormal_beyond_64_bits_ends_at_the_bound():
    assert Distribution("lognormal", (1.0, 1e6), low=0.0, high=7.0).quantile(0.9) == 7.0


def test_samples_of_a_whole_number_are_whole():
    found = Distribution("uniform", (0.0, 3.0), low=0.0, high=3.0, integer=True)
    assert {found.quantile(u) for u in np.linspace(0, 1, 101)} == {0.0, 1.0, 2.0, 3.0}


@given(
    st.sampled_from(["uniform", "triangular", "pert"]),
    st.lists(st.floats(-1e12, 1e12), min_size=3, max_size=3).map(sorted).filter(lambda a: a[0] < a[2]),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_quantiles_rise_and_stay_inside_the_range(kind: str, args: list[float], u: float, v: float):
    args = [args[0], args[2]] if kind == "uniform" else args
    found = Distribution(kind, tuple(args))
    low, high = sorted((found.quantile(min(u, v)), found.quantile(max(u, v))))
    slack = 1e-9 * (abs(args[0]) + abs(args[-1]))
    assert found.quantile(min(u, v)) <= found.quantile(max(u, v)) + slack
    assert args[0] - slack <= low <= high <= args[-1] + slack


def test_the_written_form_keeps_kind_arguments_weights_and_bounds():
    assert Distribution("normal", (1.0, 2.0), bounds=(0.0, 3.0)).document() == {
        "normal": [1.0, 2.0],
        "bounds": [0.0, 3.0],
    }
    assert Distribution("choice", (0.5, 2.0), (1.0, 1.0)).document() == {"choice": [0.5, 2.0]}
    assert Distribution("choice", (0.5, 2.0), (2.0, 2.0)).document() == {"choice": {"0.5": 2.0, "2": 2.0}}
