"""The nested logit: what theory says of its probabilities, whatever the utilities are made of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sim import rng
from sim.market.stages import choice

from ..guards import binds

IMPOSSIBLE = -np.inf


def probabilities(utility, keep=IMPOSSIBLE, outside=0.0, *, lines=None, dissimilarity=0.5):
    """Return probabilities and logsum; `lines` names the line of each column, by default each its own."""
    utility = np.atleast_2d(np.asarray(utility, float))
    line = np.arange(utility.shape[1]) if lines is None else np.asarray(lines)
    first = np.flatnonzero(np.diff(line, prepend=-1))
    rows = len(utility)
    return choice.choice_probabilities(
        utility.copy(),
        np.broadcast_to(np.asarray(keep, float), rows).copy(),
        np.broadcast_to(np.asarray(outside, float), rows).copy(),
        first_of_line=first,
        dissimilarity=dissimilarity,
    )


LINES = np.array([0, 0, 0, 1, 2, 2, 3])


def random_case(rows=200, scale=3.0, seed=0):
    utility = scale * rng.normal(rng.stream_key(seed, "utilities"), np.arange(rows * 7)).reshape(rows, 7)
    keep = scale * rng.normal(rng.stream_key(seed, "keeps"), np.arange(rows))
    outside = scale * rng.normal(rng.stream_key(seed, "outsides"), np.arange(rows))
    return utility, keep, outside


@pytest.mark.parametrize("dissimilarity", [0.05, 0.5, 1.0])
def test_probabilities_sum_to_one(dissimilarity):
    found, _ = probabilities(*random_case(), lines=LINES, dissimilarity=dissimilarity)
    assert np.all(found >= 0)
    assert np.abs(found.sum(axis=1) - 1.0).max() <= 1e-12


@pytest.mark.parametrize("dissimilarity", [0.05, 0.5, 1.0])
@pytest.mark.parametrize("scale", [1e2, 1e4, 1e8, 1e300])
def test_probabilities_stay_finite_at_any_scale(scale, dissimilarity):
    utility, keep, outside = random_case(50, 1.0)
    found, logsum = probabilities(
        utility * scale, keep * scale, outside * scale, lines=LINES, dissimilarity=dissimilarity
    )
    assert np.all(np.isfinite(found))
    assert np.abs(found.sum(axis=1) - 1.0).max() <= 1e-12
    best = np.maximum(np.maximum(utility.max(axis=1), keep), outside) * scale
    assert np.all(np.isfinite(logsum))
    assert np.allclose(logsum, best, rtol=1e-2 if scale == 1e2 else 1e-3, atol=3.0)


@pytest.mark.parametrize("shift", [-800.0, 1.0, 800.0])
def test_adding_a_constant_to_every_utility_changes_no_probability(shift):
    utility, keep, outside = random_case()
    before, logsum = probabilities(utility, keep, outside, lines=LINES)
    after, moved = probabilities(utility + shift, keep + shift, outside + shift, lines=LINES)
    assert np.abs(after - before).max() < 1e-12
    assert np.allclose(moved, logsum + shift, atol=1e-10)


def test_much_better_offers_leave_nobody_outside_and_much_worse_ones_everybody():
    utility, keep, outside = random_case()
    better, _ = probabilities(utility + 800, keep, outside, lines=LINES)
    worse, _ = probabilities(utility - 800, IMPOSSIBLE, outside, lines=LINES)
    assert better[:, -1].max() < 1e-9
    assert worse[:, -1].min() > 1 - 1e-9


def test_plain_logit_is_the_formula():
    utility, keep, outside = random_case(20)
    found, logsum = probabilities(utility, keep, outside, dissimilarity=1.0)
    for row in range(20):
        every = [*utility[row], keep[row], outside[row]]
        weights = np.exp(np.array(every))
        assert found[row] == pytest.approx(weights / weights.sum(), abs=1e-13)
        assert logsum[row] == pytest.approx(np.log(weights.sum()), abs=1e-12)


def test_nested_logit_is_the_formula():
    utility, keep, outside = random_case(20)
    dissimilarity = 0.37
    found, logsum = probabilities(utility, keep, outside, lines=LINES, dissimilarity=dissimilarity)
    for row in range(20):
        nests, members = {}, []
        for column, line in enumerate(LINES):
            members.append(np.exp(utility[row, column] / dissimilarity))
            nests[line] = nests.get(line, 0.0) + members[-1]
        total = sum(n**dissimilarity for n in nests.values()) + np.exp(keep[row]) + np.exp(outside[row])
        wanted = [
            nests[line] ** dissimilarity / total * members[column] / nests[line] for column, line in enumerate(LINES)
        ]
        wanted += [np.exp(keep[row]) / total, np.exp(outside[row]) / total]
        assert found[row] == pytest.approx(np.array(wanted), abs=1e-13)
        assert logsum[row] == pytest.approx(np.log(total), abs=1e-12)


def test_swapping_lines_swaps_their_probabilities():
    utility, keep, outside = random_case()
    order = [3, 6, 0, 1, 2, 4, 5]
    before, _ = probabilities(utility, keep, outside, lines=LINES)
    after, _ = probabilities(utility[:, order], keep, outside, lines=[0, 1, 2, 2, 2, 3, 3])
    assert np.abs(after[:, :-2] - before[:, order]).max() < 1e-13


@given(st.floats(0.05, 1.0), st.integers(1, 6))
def test_clones_of_a_channel_less_the_log_of_their_number_leave_the_share_of_the_line(dissimilarity, clones):
    """What `offer_worth` takes off for each usable channel is exactly what variety adds."""
    once, logsum = probabilities([[1.0, 0.3]], outside=0.2, lines=[0, 1], dissimilarity=dissimilarity)
    each = 1.0 - dissimilarity * np.log(clones)
    often, same = probabilities(
        [[each] * clones + [0.3]], outside=0.2, lines=[0] * clones + [1], dissimilarity=dissimilarity
    )
    assert often[0, :clones].sum() == pytest.approx(once[0, 0], abs=1e-12)
    assert often[0, -3:] == pytest.approx(once[0, -3:], abs=1e-12)
    assert same[0] == pytest.approx(logsum[0], abs=1e-12)


def test_a_copy_as_a_line_of_its_own_takes_from_the_others_as_in_a_plain_logit():
    weights = np.exp([1.0, 1.0, 0.3, 0.0])
    found, _ = probabilities([[1.0, 1.0, 0.3]])
    assert found[0, [0, 1, 2, 4]] == pytest.approx(weights / weights.sum(), abs=1e-13)


def test_odds_of_two_lines_do_not_depend_on_a_third():
    utility, keep, outside = random_case()
    with_it, _ = probabilities(utility, keep, outside, dissimilarity=1.0)
    without, _ = probabilities(np.delete(utility, 2, axis=1), keep, outside, dissimilarity=1.0)
    assert np.allclose(with_it[:, 0] / with_it[:, 1], without[:, 0] / without[:, 1], rtol=1e-12)


def test_odds_of_a_channel_and_another_line_do_depend_on_the_other_channels():
    utility, keep, outside = random_case(scale=1.0)
    with_it, _ = probabilities(utility, keep, outside, lines=LINES)
    utility[:, 1] = IMPOSSIBLE
    without, _ = probabilities(utility, keep, outside, lines=LINES)
    change = (with_it[:, 0] / with_it[:, 3]) / (without[:, 0] / without[:, 3]) - 1.0
    assert np.all(change < -1e-6)  # with the close substitute gone, more of the line's users come to this channel


def test_odds_inside_a_line_do_not_depend_on_other_lines():
    utility, keep, outside = random_case()
    before, _ = probabilities(utility, keep, outside, lines=LINES)
    utility[:, 3] += 2.0
    after, _ = probabilities(utility, keep, outside, lines=LINES)
    assert np.allclose(before[:, 0] / before[:, 1], after[:, 0] / after[:, 1], rtol=1e-10)


@pytest.mark.parametrize("dissimilarity", [0.05, 0.6, 1.0])
def test_as_noise_vanishes_everybody_takes_the_best(dissimilarity):
    utility, keep, outside = random_case(200, 1.0)
    found, _ = probabilities(utility * 1e6, keep * 1e6, outside * 1e6, lines=LINES, dissimilarity=dissimilarity)
    best = np.argmax(np.column_stack([utility, keep, outside]), axis=1)
    assert np.array_equal(found.argmax(axis=1), best)
    assert found.max(axis=1).min() > 1 - 1e-9


def test_with_noise_alone_every_option_is_as_likely():
    found, _ = probabilities(np.zeros((1, 5)), keep=0.0, outside=0.0)
    assert found[0] == pytest.approx(np.full(7, 1 / 7), abs=1e-14)


def test_own_utility_raises_and_every_other_utility_lowers_a_probability():
    utility, keep, outside = random_case(30, 1.0)
    base, _ = probabilities(utility, keep, outside, lines=LINES)
    for column in range(7):
        raised = utility.copy()
        raised[:, column] += 1e-4
        moved, _ = probabilities(raised, keep, outside, lines=LINES)
        change = moved - base
        assert np.all(change[:, column] > 0)
        assert np.all(np.delete(change, column, axis=1) < 0)


def test_the_derivative_of_the_logsum_is_the_probability():
    utility, keep, outside = random_case(30, 1.0)
    found, _ = probabilities(utility, keep, outside, lines=LINES)
    step = 1e-5
    for column in range(7):
        up, down = utility.copy(), utility.copy()
        up[:, column] += step
        down[:, column] -= step
        slope = (
            probabilities(up, keep, outside, lines=LINES)[1] - probabilities(down, keep, outside, lines=LINES)[1]
        ) / (2 * step)
        assert slope == pytest.approx(found[:, column], abs=1e-8)


@pytest.mark.parametrize("dissimilarity", [0.05, 0.5, 1.0])
def test_impossible_options_have_no_probability(dissimilarity):
    utility, _, outside = random_case()
    utility[:, 3] = IMPOSSIBLE
    utility[:, [4, 5]] = IMPOSSIBLE
    utility[::2, 0] = IMPOSSIBLE
    found, _ = probabilities(utility, IMPOSSIBLE, outside, lines=LINES, dissimilarity=dissimilarity)
    assert np.all(found[:, [3, 4, 5, 7]] == 0.0)
    assert np.all(found[::2, 0] == 0.0)
    assert np.all(found[1::2, 0] > 0.0)
    assert np.abs(found.sum(axis=1) - 1.0).max() <= 1e-12


@binds("stages/choice.py", "choice_probabilities", "np.maximum(nest, TINY, out=nest)")
def test_an_impossible_line_weighs_nothing_in_the_logsum():
    both, logsum = probabilities([[0.7, IMPOSSIBLE]])
    alone, wanted = probabilities([[0.7]])
    assert logsum[0] == wanted[0] == pytest.approx(np.log(np.exp(0.7) + 1.0))
    assert both[0, 0] == alone[0, 0]


@binds("stages/choice.py", "choice_probabilities", "np.maximum(utility.max(axis=1), keep)")
@binds("stages/choice.py", "choice_probabilities", "np.maximum(np.maximum(utility.max(axis=1), keep), outside)")
@pytest.mark.parametrize("best", [0, 1, 2, 3])
def test_whichever_option_is_the_best_sets_the_scale_so_that_nothing_overflows(best):
    utility = np.zeros(4)
    utility[best] = 900.0
    found, logsum = probabilities(utility[:2], utility[2], utility[3])
    assert found[0].tolist() == [float(option == best) for option in range(4)]
    assert logsum[0] == 900.0


def test_where_only_doing_without_is_possible_it_is_certain():
    found, logsum = probabilities([[IMPOSSIBLE, IMPOSSIBLE]], outside=-3.0)
    assert found[0].tolist() == [0.0, 0.0, 0.0, 1.0]
    assert logsum[0] == -3.0


@binds("stages/choice.py", "choice_probabilities", "np.maximum(utility, NEGLIGIBLE, out=utility)")
def test_an_option_far_below_the_best_of_its_line_is_never_half_alive():
    """Its exponential would be subnormal: below the limit it counts as impossible, above it as it is."""
    found, _ = probabilities([[0.0, 0.5 * 680.0 * -1.0, 0.5 * 700.0 * -1.0]], outside=-1.0, lines=[0, 0, 0])
    assert found[0, 0] == pytest.approx(1.0 / (1.0 + np.exp(-1.0)))
    assert 0.0 < found[0, 1] < 1e-290
    assert found[0, 2] == 0.0


def test_the_arguments_are_left_alone():
    utility, keep, outside = random_case(5)
    copies = utility.copy(), keep.copy(), outside.copy()
    choice.choice_probabilities(utility, keep, outside, first_of_line=np.arange(7), dissimilarity=0.5)
    assert all(np.array_equal(a, b) for a, b in zip((utility, keep, outside), copies, strict=True))


SMALLEST, LARGEST = 2.0**-53, 1.0 - 2.0**-53


@pytest.mark.parametrize("u", [SMALLEST, 0.5, LARGEST])
def test_an_impossible_option_is_never_drawn(u):
    probability = np.array(
        [[0.0, 0.5, 0.0, 0.5, 0.0], [0.0, 0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0]]
    )
    drawn = choice.draw_option(probability, np.full(4, u))
    assert np.all(probability[np.arange(4), drawn] > 0)


def test_options_are_drawn_by_inverse_distribution():
    probability = np.tile([0.2, 0.3, 0.5], (4, 1))
    assert choice.draw_option(probability, np.array([0.19, 0.21, 0.49, 0.51])).tolist() == [0, 1, 1, 2]


def test_on_the_edge_between_two_options_the_earlier_is_drawn():
    probability = np.array([[0.5, 0.0, 0.5], [0.25, 0.25, 0.5]])
    assert choice.draw_option(probability, np.full(2, 0.5)).tolist() == [0, 1]


def test_probabilities_that_sum_a_hair_above_or_below_one_still_draw_the_last_option():
    for total in (1.0 - 1e-15, 1.0 + 1e-15):
        assert choice.draw_option(np.array([[0.5, 0.5]]) * total, np.array([LARGEST]))[0] == 1


def test_sampled_choices_are_multinomial():
    rows = 100_000
    probability, _ = probabilities([[1.0, 0.2, -0.4, 0.0, 0.6, 0.6, -2.0]], keep=0.3, lines=LINES)
    drawn = choice.draw_option(
        np.repeat(probability, rows, axis=0), rng.uniform(rng.stream_key(1, "c"), np.arange(rows))
    )
    counts = np.bincount(drawn, minlength=9)
    assert stats.chisquare(counts, rows * probability[0]).pvalue > 1e-4
