"""Releases: intervals, steps, openness and deprecation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from sim.market.stages import releases

from ..guards import binds

SEED = 4


def intervals(mean, shape, elapsed=0.0, count=4000):
    stream = np.full(count, releases.interval_stream(SEED, "A/x"), np.uint64)
    return releases.draw_intervals(stream, np.arange(count), mean=mean, shape=shape, elapsed=elapsed)


def interval(seed, line, number):
    stream = np.array([releases.interval_stream(seed, line)], np.uint64)
    return float(releases.draw_intervals(stream, np.array([number]), mean=4.0, shape=3.0)[0])


def noise(line, count, sd):
    return releases.draw_noise(np.full(count, releases.noise_stream(SEED, line), np.uint64), np.arange(count), sd)


@pytest.mark.parametrize(("mean", "shape"), [(4.0, 3.0), (2.0, 0.5), (1.5, 50.0)])
def test_intervals_are_gamma_distributed_with_the_mean_of_the_lab(mean, shape):
    drawn = intervals(mean, shape)
    assert drawn.mean() == pytest.approx(mean, abs=5 * mean / np.sqrt(shape * len(drawn)))
    assert stats.kstest(drawn, stats.gamma(shape, scale=mean / shape).cdf).pvalue > 1e-3


def test_an_interval_under_way_is_drawn_given_that_it_has_lasted_so_long():
    mean, shape, elapsed = 4.0, 3.0, 5.0
    law = stats.gamma(shape, scale=mean / shape)
    drawn = intervals(mean, shape, elapsed)
    assert drawn.min() >= elapsed
    residual = integrate.quad(law.sf, elapsed, np.inf)[0] / law.sf(elapsed)
    assert drawn.mean() - elapsed == pytest.approx(residual, rel=0.06)
    assert stats.kstest(drawn, lambda t: 1 - law.sf(t) / law.sf(elapsed)).pvalue > 1e-3


@binds("stages/releases.py", "draw_intervals", "np.maximum(gammaincc(shape, elapsed * shape / mean), SMALLEST_TAIL)")
@pytest.mark.parametrize(("mean", "shape", "elapsed"), [(2.0, 10.0, 15.0), (0.5, 50.0, 60.0), (1.0, 50.0, 14.0)])
def test_a_line_long_overdue_releases_soon(mean, shape, elapsed):
    drawn = intervals(mean, shape, elapsed, count=200)
    assert np.all(drawn >= elapsed)
    assert np.all(drawn < elapsed + 3 * mean)


@binds(
    "stages/releases.py",
    "draw_intervals",
    "np.maximum(elapsed, gammainccinv(shape, left * (1.0 - u)) * mean / shape)",
)
def test_an_interval_is_never_shorter_than_what_has_passed_of_it():
    """So long after the mean the inverse of the tail that is left falls short of it."""
    overdue, fresh = (intervals(0.5, 50.0, elapsed=passed, count=1)[0] for passed in (30.0, 0.01))
    assert overdue == 30.0
    assert 0.1 < fresh < 2.0


def test_an_interval_depends_on_the_line_and_the_number_of_the_release_alone():
    first = interval(SEED, "A/x", 3)
    assert first == interval(SEED, "A/x", 3)
    assert first != interval(SEED, "A/x", 4)
    assert first != interval(SEED, "A/y", 3)
    assert first != interval(SEED + 1, "A/x", 3)


def test_an_interval_is_the_same_alone_and_among_others_with_cadences_of_their_own():
    streams = np.array([releases.interval_stream(SEED, line) for line in ("A/x", "A/y", "B/x")], np.uint64)
    drawn = releases.draw_intervals(
        streams, np.array([3, 0, 7]), mean=np.array([4.0, 2.0, 9.0]), shape=3.0, elapsed=np.array([0.0, 1.0, 30.0])
    )
    assert drawn[0] == interval(SEED, "A/x", 3)
    assert drawn[2] >= 30.0


def test_release_noise_is_normal_with_the_given_spread():
    drawn = noise("A/x", 4000, 1.5)
    assert stats.kstest(drawn, stats.norm(scale=1.5).cdf).pvalue > 1e-3
    assert noise("A/x", 1, 0.0).tolist() == [0.0]
    assert not np.isin(drawn, noise("A/y", 4000, 1.5)).any()


def test_a_line_is_due_once_its_interval_has_passed_and_the_step_is_worth_it():
    next_month = np.array([100.0, 100.6, 99.0, 90.0, np.nan, np.inf])
    gain = np.array([0.5, 9.0, 0.49, np.nan, 9.0, 9.0])
    assert releases.due_lines(next_month, 100, gain, 0.5).tolist() == [0]
    assert releases.due_lines(next_month, 101, gain, 0.5).tolist() == [0, 1]
    assert releases.due_lines(next_month, 100, gain, 0.0).tolist() == [0, 2]


def seen(**fields):
    """Return what a lab sees that has neither rival nor load nor profit to look at, but for the given fields."""
    blank = {"was_open": False, "follows": False, "behind": lambda: -np.inf, "points": 0.0, "load": 0.0}
    return releases.Situation(**blank | {"profit_if": lambda is_open: 0.0} | fields)


@pytest.mark.parametrize(
    ("rule", "was_open", "is_open"),
    [
        ("as_line", True, True),
        ("as_line", False, False),
        ("open", False, True),
        ("open", True, True),
        ("closed", True, False),
        ("closed", False, False),
        ("delayed", True, False),
    ],
)
def test_openness_follows_the_rule_of_the_lab(rule, was_open, is_open):
    assert releases.opens(rule, seen(was_open=was_open)) is is_open


@pytest.mark.parametrize(
    ("rule", "fields", "below", "at", "above"),
    [
        ("open_if_behind", lambda v: {"behind": lambda: v}, (4.9, False), (5.0, True), (5.1, True)),
        ("open_if_short", lambda v: {"load": v}, (0.9, False), (1.0, False), (1.1, True)),
    ],
)
def test_a_lab_opens_what_is_behind_or_what_it_cannot_serve(rule, fields, below, at, above):
    for value, is_open in (below, at, above):
        assert releases.opens(rule, seen(points=5.0, **fields(value))) is is_open
    assert not releases.opens(rule, seen(was_open=True, points=0.0))  # no rival, no load


def test_a_lab_that_answers_a_rival_opens_once_where_it_continues_its_lines():
    assert releases.opens("as_line", seen(follows=True))
    assert not releases.opens("closed", seen(follows=True))


def test_profit_decides_where_it_is_asked_for():
    for gain, is_open in ((-1.0, False), (0.0, False), (1.0, True)):  # weights stay in where publishing earns nothing
        situation = seen(profit_if=lambda is_open, gain=gain: gain * is_open)
        assert releases.opens("profit_max", situation) is is_open


@pytest.mark.parametrize("rule", sorted(set(releases.RULES) - {"profit_max"}))
def test_profit_is_reckoned_for_no_other_rule(rule):
    """Reckoning it costs two trials of the market."""

    def refuse(is_open):
        raise AssertionError("nobody asked for it")

    assert releases.opens(rule, seen(was_open=True, profit_if=refuse)) in {True, False}


def test_answers_come_at_the_stated_chance_and_depend_on_both_labs_and_the_month():
    found = np.array([releases.answers(SEED, "A", "B", month, 0.3) for month in range(4000)])
    assert found.mean() == pytest.approx(0.3, abs=0.03)
    other = np.array([releases.answers(SEED, "B", "A", month, 0.3) for month in range(4000)])
    assert 0 < (found != other).sum() < 4000
    assert not releases.answers(SEED, "A", "B", 1, 0.0)
    assert releases.answers(SEED, "A", "B", 1, 1.0)


@binds("stages/releases.py", "licence_degree", "last or DEGREES['open_weights']")
def test_a_licence_is_the_labs_word_or_that_of_the_last_release():
    assert [releases.licence_degree("as_line", last) for last in (1.0, 0.5, 0.0)] == [1.0, 0.5, 0.8]
    assert [releases.licence_degree("restricted_weights", last) for last in (1.0, 0.0)] == [0.5, 0.5]


def test_what_buyers_perceive_moves_from_the_claim_to_the_truth():
    age = np.array([0, 4, 10_000])
    found = releases.perceived(np.full(3, 150.0), np.full(3, 3.0), age, 4.0)
    assert found == pytest.approx([150.0, 150.0 - 3.0 * (1 - np.exp(-1.0)), 147.0])
    assert releases.perceived(np.full(3, 150.0), np.zeros(3), age, 4.0).tolist() == [150.0] * 3


def test_an_unknown_openness_rule_is_refused():
    with pytest.raises(KeyError):
        releases.opens("sometimes", seen())


def test_a_superseded_release_runs_until_its_deprecation():
    superseded = np.array([100, 10**9])
    assert releases.still_served(superseded, 111, 12.0).tolist() == [True, True]
    assert releases.still_served(superseded, 112, 12.0).tolist() == [False, True]
