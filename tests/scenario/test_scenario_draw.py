"""What one run draws: keyed by path, clipped, correlated as asked, and nobody else's luck changes."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy import stats

from sim import rng

UNCERTAIN = "parameters:\n  demand.value: {uniform: [0, 100]}\n  demand.value_sd: {uniform: [0, 50]}\n"
PAIR = "correlations:\n- {between: [demand.value, demand.value_sd], rank: 0.6}\n"


def test_a_draw_is_the_quantile_of_the_uniform_of_its_path(load):
    found = load(UNCERTAIN + "ensemble: {seed: 7}\n")
    u = float(rng.uniform(rng.stream_key(7, "parameter:demand.value"), 3))
    assert found.draw(3).parameters["demand.value"] == pytest.approx(100 * u, abs=1e-12)


def test_a_draw_depends_on_no_other_path_and_not_on_the_number_of_runs_or_the_order_of_the_file(load):
    alone = load("parameters: {demand.value: {uniform: [0, 100]}}\n")
    among = load("parameters: {demand.value_sd: {normal: [1, 1]}, demand.value: {uniform: [0, 100]}}\n", runs=5)
    for replicate in range(5):
        assert alone.draw(replicate).parameters["demand.value"] == among.draw(replicate).parameters["demand.value"]


def test_every_default_is_drawn_inside_its_bounds(load):
    from sim.scenario.register import register

    of, found = register(), load("name: x\n")
    for replicate in range(200):
        drawn = found.draw(replicate)
        for path, spec in of.parameters.items():
            value = drawn.parameters[path]
            assert value in spec.choices if spec.choices else spec.low <= value <= spec.high, path
        for lab in of.labs:
            for name, spec in of.lab_fields.items():
                value = drawn.labs[lab][name]
                assert value in spec.choices if spec.choices else spec.low <= value <= spec.high, (lab, name)


def test_the_bounds_of_a_distribution_and_of_the_parameter_bind(load):
    found = load(
        "parameters:\n  demand.value: {normal: [5, 50], bounds: [4, 6]}\n  demand.value_sd: {normal: [1, 99]}\n"
    )
    drawn = [found.draw(replicate).parameters for replicate in range(200)]
    assert {min(d["demand.value"] for d in drawn), max(d["demand.value"] for d in drawn)} == {4.0, 6.0}
    assert {min(d["demand.value_sd"] for d in drawn), max(d["demand.value_sd"] for d in drawn)} == {0.0, 50.0}


def test_a_run_is_told_what_carries_the_population_and_how_choices_draw(load):
    drawn = load("name: x\n").draw(0)
    assert (drawn.population, drawn.nodes, drawn.noise) == ("agents", 1024, "shared")
    drawn = load("name: x\npopulation: mean-field\nensemble: {nodes: 64, noise: options}\n").draw(0)
    assert (drawn.population, drawn.nodes, drawn.noise) == ("mean-field", 64, "options")


def test_labs_and_events_are_drawn_with_streams_of_their_own(load):
    found = load(
        "labs: {Meta: {brand: {uniform: [-10, 10]}}, xAI: {brand: {uniform: [-10, 10]}}}\nevents:\n"
        "- {id: a, date: 2026-03, lever: cloud_access, bloc: CN, open: {uniform: [0, 1]}}\n"
        "- {id: b, date: 2026-04, lever: cloud_access, bloc: CN, open: {uniform: [0, 1]}}\n"
    )
    drawn = found.draw(0)
    assert drawn.labs["Meta"]["brand"] != drawn.labs["xAI"]["brand"]
    values = {event.id: event.fields["open"] for event in drawn.events}
    for name, value in values.items():
        assert value == pytest.approx(float(rng.uniform(rng.stream_key(1, f"event:{name}:open"), 0)), abs=1e-15)


def test_words_and_whole_numbers_are_drawn_as_such(load):
    found = load("labs: {Meta: {openness: {choice: {open: 1, closed: 3}}, active: {uniform: [0, 1]}}}\n")
    labs = [found.draw(replicate).labs["Meta"] for replicate in range(400)]
    words = [lab["openness"] for lab in labs]
    assert 60 < words.count("open") < 140
    assert words.count("open") + words.count("closed") == 400
    assert {lab["active"] for lab in labs} == {0.0, 1.0}


def test_a_run_has_the_seed_of_its_replicate(load):
    found = load("ensemble: {seed: 11}\n")
    assert [found.draw(k).seed for k in (0, 5)] == [rng.run_seed(11, 0), rng.run_seed(11, 5)]
    assert found.draw(5).replicate == 5


def test_a_rank_correlation_is_reached_and_the_first_path_keeps_its_draws(load):
    free, tied = load(UNCERTAIN), load(UNCERTAIN + PAIR)
    pairs = [[d.parameters[p] for p in ("demand.value", "demand.value_sd")] for d in map(tied.draw, range(1500))]
    before = [free.draw(k).parameters["demand.value"] for k in range(1500)]
    first, second = np.array(pairs).T
    assert first.tolist() == before
    assert stats.spearmanr(first, second).statistic == pytest.approx(0.6, abs=0.05)
    assert stats.kstest(second / 50, "uniform").pvalue > 0.001


def test_the_second_path_is_mixed_by_pearsons_formula_for_ranks(load):
    free, tied = load(UNCERTAIN), load(UNCERTAIN + PAIR)
    rho = 2 * np.sin(np.pi * 0.6 / 6)
    for replicate in range(20):
        u = free.uniforms(replicate)
        z = stats.norm.ppf([u["demand.value"], u["demand.value_sd"]])
        expected = stats.norm.cdf(rho * z[0] + np.sqrt(1 - rho**2) * z[1])
        assert tied.uniforms(replicate)["demand.value_sd"] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("rank", [1, -1])
def test_a_full_rank_correlation_ties_the_draws_completely(load, rank: int):
    found = load(UNCERTAIN + PAIR.replace("0.6", str(rank)))
    drawn = [found.draw(k).parameters for k in range(100)]
    first = [d["demand.value"] / 100 for d in drawn]
    second = [d["demand.value_sd"] / 50 for d in drawn]
    assert second == pytest.approx(first if rank > 0 else [1 - x for x in first], abs=1e-9)


def test_three_correlations_hold_together_and_leave_other_paths_alone(load):
    text = (
        UNCERTAIN + "  demand.volume_sd: {uniform: [0, 4]}\n" + PAIR
        + "- {between: [demand.value, demand.volume_sd], rank: -0.5}\n"
        + "- {between: [demand.value_sd, demand.volume_sd], rank: 0.2}\n"
    )  # fmt: skip
    found, free = load(text), load(UNCERTAIN)
    drawn = [found.draw(k).parameters for k in range(1500)]
    columns = np.array([[d[p] for p in ("demand.value", "demand.value_sd", "demand.volume_sd")] for d in drawn])
    ranks = stats.spearmanr(columns).statistic
    assert [ranks[0, 1], ranks[0, 2], ranks[1, 2]] == pytest.approx([0.6, -0.5, 0.2], abs=0.06)
    others = {p: v for p, v in free.draw(9).parameters.items() if p not in ("demand.value_sd", "demand.volume_sd")}
    assert all(drawn[9][p] == v for p, v in others.items())


def test_a_correlation_across_parameters_labs_and_events_is_allowed(load):
    found = load(
        UNCERTAIN + "labs: {Meta: {brand: {uniform: [-1, 1]}}}\nevents:\n"
        "- {id: a, date: 2026-03, lever: cloud_access, bloc: CN, open: {uniform: [0, 1]}}\n"
        "correlations:\n- {between: [labs.Meta.brand, events.a.open], rank: 1}\n"
    )
    drawn = found.draw(0)
    assert drawn.events[0].fields["open"] == pytest.approx((drawn.labs["Meta"]["brand"] + 1) / 2)


def test_a_correlation_whose_value_an_override_makes_certain_is_dropped_with_a_warning(load):
    found = load(UNCERTAIN + PAIR, "demand.value=5")
    assert found.correlations == ()
    assert any("has no effect, since --set #1 makes demand.value certain" in warning for warning in found.warnings)


def test_settings_travel_to_other_processes_unchanged(load):
    drawn = load(UNCERTAIN + PAIR).draw(2)
    assert pickle.loads(pickle.dumps(drawn)) == drawn  # noqa: S301
