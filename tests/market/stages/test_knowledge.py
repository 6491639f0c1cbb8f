"""Knowledge: gaps that stand still, followers that catch up with open and closed models, regimes that share luck."""

from __future__ import annotations

import numpy as np
import pytest

from sim import rng
from sim.market.stages import embodied, knowledge

from ..guards import binds

OPEN, CLOSED = 0.12, 0.04
NAN = float("nan")
CASES = 20_000


def step(known, level=-np.inf, added=0.0, catch_up_open=OPEN, catch_up_closed=CLOSED):
    """Return knowledge a month later."""
    known = np.asarray(known, float)
    return knowledge.next_knowledge(
        known,
        added=np.broadcast_to(added, known.shape),
        open_level=level,
        catch_up_open=catch_up_open,
        catch_up_closed=catch_up_closed,
    )


@binds("stages/knowledge.py", "next_knowledge", "np.maximum(0.0, open_level - knowledge)")
def test_gaps_close_by_the_stated_shares():
    assert step([0.0, -10.0, -1.0], added=0.5, catch_up_closed=0.2) == pytest.approx([0.5, -7.5, -0.3])
    assert step([0.0, -10.0, -1.0], level=-4.0) == pytest.approx([0.0, -10 + 0.12 * 6 + 0.04 * 10, -1 + 0.04])


def test_who_knows_more_than_open_weights_carry_learns_nothing_from_them():
    assert step([0.0, -1.0], level=-3.0).tolist() == step([0.0, -1.0]).tolist()


def test_catching_up_keeps_the_order_and_never_passes_the_best():
    """With shares of at most one half each: the bounds of the two parameters."""
    u = rng.uniform(rng.stream_key(5, "knowledge"), np.arange(8 * CASES)).reshape(CASES, 8)
    for row in u[:2000]:
        known = -60.0 * row[:5]
        level = known.max() - 40.0 * row[5]
        after = step(known, level=level, catch_up_open=0.5 * row[6], catch_up_closed=0.5 * row[7])
        assert after.max() == known.max()
        assert (after >= known).all()
        assert (np.diff(after[np.argsort(known)]) >= -1e-9).all()


def test_better_open_weights_lift_every_follower_and_harm_nobody():
    known = np.array([0.0, -2.0, -6.0, -12.0])
    found = np.array([step(known, level=level) for level in (-np.inf, -10.0, -5.0, -1.0, 0.0)])
    assert (np.diff(found, axis=0) >= 0.0).all()
    assert (found[-1] > found[0])[1:].all()


def test_own_work_grows_with_a_power_of_research_compute():
    research = np.array([100.0, 1.0, 400.0])
    assert knowledge.own_growth(0.8, research, 0, 0.0).tolist() == [0.8, 0.8, 0.8]
    assert knowledge.own_growth(0.8, research, 0, 0.5) == pytest.approx([0.8, 0.08, 1.6])


@binds("stages/knowledge.py", "own_pace", "max(0.0, slope / 12.0 - received)")
def test_knowledge_is_not_unlearned_when_compute_gives_more_than_the_slope():
    assert knowledge.own_pace(12.0, 0.4) == pytest.approx(0.6)
    assert knowledge.own_pace(4.0, 0.4) == 0.0


@binds("stages/knowledge.py", "open_level", "np.minimum(knowledge[opened], limit)")
def test_open_weights_teach_no_more_than_their_makers_know_and_they_can_do():
    known = np.array([0.0, -8.0, -0.2])
    best = np.array([154.0, 146.0, 133.0])
    assert knowledge.open_level(known, best, np.array([NAN, 146.0, NAN])) == -8.0
    assert knowledge.open_level(known, best, np.array([NAN, NAN, 133.0])) == -21.0
    assert knowledge.open_level(known, best, np.array([140.0, NAN, NAN])) == -14.0
    assert knowledge.open_level(np.array([0.0, -12.0, -0.2]), best, np.array([NAN, 146.0, NAN])) == -12.0
    assert knowledge.open_level(known, best, np.array([140.0, 146.0, 133.0])) == -8.0
    assert knowledge.open_level(known, best, np.full(3, NAN)) == -np.inf


def releases(*rows):
    """Return columns of releases given as (month, lab, capability, open)."""
    when, lab, capability, is_open = (np.array(column) for column in zip(*rows, strict=True))
    return {"when": when, "lab": lab, "capability": capability.astype(float), "is_open": is_open.astype(bool)}


@binds("stages/knowledge.py", "novelty", "np.maximum.at(by_lab, lab[now], capability[now] - capability[before].max())")
def test_novelty_is_by_how_much_others_beat_the_open_record():
    table = releases((1, 0, 130, 1), (2, 1, 135, 1), (2, 2, 133, 1), (2, 0, 150, 0))
    assert knowledge.novelty(2, 3, **table).tolist() == [5.0, 3.0, 5.0]
    below = releases((1, 0, 130, 1), (2, 1, 135, 1), (2, 2, 129.9, 1))
    assert knowledge.novelty(2, 3, **below).tolist() == [5.0, 0.0, 5.0]
    assert knowledge.novelty(3, 3, **table).tolist() == [0.0, 0.0, 0.0]


def test_the_first_open_release_and_those_below_the_record_are_no_novelty():
    assert knowledge.novelty(1, 2, **releases((1, 0, 130, 1))).tolist() == [0.0, 0.0]
    assert knowledge.novelty(2, 2, **releases((1, 0, 130, 1), (2, 0, 120, 1))).tolist() == [0.0, 0.0]


def test_with_one_lab_there_are_no_others():
    assert knowledge.novelty(2, 1, **releases((1, 0, 130, 1), (2, 0, 140, 1))).tolist() == [0.0]
    assert knowledge.novelty(2, 2, **releases((1, 0, 130, 1), (2, 0, 140, 1), (2, 1, 133, 1))).tolist() == [3.0, 10.0]


def test_another_open_release_never_lowers_anybodys_novelty():
    """A mean over releases would: a weak release beside a strong one would teach less than the strong one alone."""
    rows = [(1, 0, 130, 1), (2, 1, 138, 1)]
    alone = knowledge.novelty(2, 3, **releases(*rows))
    for capability in (100, 131, 137, 150):
        assert (knowledge.novelty(2, 3, **releases(*rows, (2, 2, capability, 1))) >= alone).all()


def test_outside_developers_help_by_the_logarithm_of_use():
    assert knowledge.outside_work(np.array([0.0, np.e - 1.0]), 0.3) == pytest.approx([0.0, 0.3])


def random_labs(count):
    """Yield loss, best releases and best open ones of six labs, some without; the first one leads."""
    u = rng.uniform(rng.stream_key(7, "labs"), np.arange(18 * count)).reshape(count, 3, 6)
    for loss, level, opened in u:
        best = 150.0 - 30.0 * level
        best[0] = 151.0
        lost = 2.0 * loss - 0.5
        lost[0] = 0.0
        yield lost, best, np.where(opened < 0.5, best - 10.0 * (opened < 0.2), NAN)


@binds("stages/knowledge.py", "stationary_knowledge", "np.where(alone < level, taught, alone)")
def test_at_the_hand_over_no_gap_drifts_where_nothing_binds():
    """The piecewise linear condition solved exactly: what is lost in a month is what is caught up."""
    shares = {"catch_up_open": OPEN, "catch_up_closed": CLOSED}
    for loss, best, best_open in random_labs(3000):
        start = knowledge.stationary_knowledge(loss, best, best_open, **shares)
        level = knowledge.open_level(start, best, best_open)
        drift = step(start, level=level, added=-loss) - start
        behind = loss > 0.0
        assert drift[behind] == pytest.approx(0.0, abs=1e-12)
        assert start[~behind] == pytest.approx(0.0, abs=0.0)  # a faster lab stands with the frontier and gains on it
        assert drift[~behind] == pytest.approx(-loss[~behind])


@binds("stages/knowledge.py", "stationary_knowledge", "np.maximum(0.0, loss)")
def test_without_open_weights_the_gaps_are_what_closed_knowledge_leaves():
    loss = np.array([0.0, 0.2, -0.1])
    start = knowledge.stationary_knowledge(
        loss, np.array([150.0, 140.0, 149.0]), np.full(3, NAN), catch_up_open=OPEN, catch_up_closed=CLOSED
    )
    assert start == pytest.approx([0.0, -5.0, 0.0])


def test_a_regime_without_hazard_lasts_and_with_certainty_is_drawn_every_month():
    assert knowledge.next_slope(15.0, 12.0, 700, 1, hazard=0.0, sd=0.62) == 15.0
    drawn = [knowledge.next_slope(15.0, 12.0, month, 1, hazard=1.0, sd=0.62) for month in range(600, 700)]
    assert len(set(drawn)) == 100
    assert knowledge.next_slope(15.0, 12.0, 700, 1, hazard=1.0, sd=0.0) == 12.0


def test_regimes_come_with_the_hazard_and_keep_the_mean_and_the_spread():
    drawn = np.array([knowledge.next_slope(-1.0, 10.0, m, 3, hazard=0.5, sd=0.3) for m in range(CASES)])
    changed = drawn[drawn > 0.0]
    assert len(changed) / CASES == pytest.approx(0.5, abs=0.015)
    assert changed.mean() == pytest.approx(10.0, rel=0.02)
    assert np.log(changed).std() == pytest.approx(0.3, rel=0.03)


@binds("stages/knowledge.py", "next_slope", "min(FASTEST, mean * float(exp(sd * rng.normal(key, 1) - sd * sd / 2.0)))")
def test_a_regime_is_never_faster_than_the_slope_may_be():
    from sim.scenario.register import register

    drawn = [knowledge.next_slope(1.0, 50.0, month, 1, hazard=1.0, sd=1.0) for month in range(200)]
    assert max(drawn) == knowledge.FASTEST == register().parameters["capability.frontier_slope"].high
    assert 0.0 < min(drawn) < knowledge.FASTEST


def test_machines_follow_a_logistic_curve():
    ceiling, midpoint = np.array([10.0, 40.0]), np.array([2033.0, 2031.0])
    assert embodied.deployed(2033.0, ceiling, midpoint, 2.0) == pytest.approx([5.0, 40.0 / (1 + np.exp(-1))])
    years = np.array([embodied.deployed(y, ceiling, midpoint, 2.0) for y in range(2000, 2090)])
    assert (np.diff(years, axis=0) > 0).all()
    assert (years < ceiling).all()
    growth = np.diff(np.log(years[:10, 0]))
    assert growth == pytest.approx(0.5, abs=1e-4)  # early on, e-fold in the spread
