"""Awareness: the Bass diffusion and the buzz that falls back."""

from __future__ import annotations

import numpy as np
import pytest

from sim.market.stages import awareness

from ..guards import binds


def path(months, innovation, imitation, share=None, start=0.0, step=1.0):
    """Return awareness month by month; users are everybody who knows unless a constant share is given."""
    known = np.array([[start]])
    found = [start]
    for _ in range(int(months / step)):
        used = known if share is None else np.array([[share]])
        known = awareness.next_awareness(known, used, innovation=innovation * step, imitation=imitation * step)
        found.append(float(known[0, 0]))
    return np.array(found)


def bass(t, p, q):
    return (1 - np.exp(-(p + q) * t)) / (1 + q / p * np.exp(-(p + q) * t))


def test_without_imitation_the_closed_form_is_exact():
    assert path(60, 0.03, 0.0) == pytest.approx(1 - np.exp(-0.03 * np.arange(61)), abs=1e-13)


def test_with_a_constant_share_the_closed_form_is_exact():
    assert path(60, 0.01, 0.4, share=0.1) == pytest.approx(1 - np.exp(-0.05 * np.arange(61)), abs=1e-13)


def test_the_error_against_the_bass_curve_halves_with_the_time_step():
    exact = bass(40.0, 0.015, 0.2)
    errors = [exact - path(40, 0.015, 0.2, step=step)[-1] for step in (1.0, 0.5, 0.25, 0.125)]
    ratios = np.array(errors[:-1]) / errors[1:]
    assert np.all((ratios > 1.8) & (ratios < 2.2))
    assert abs(errors[-1]) < 0.01


def test_at_a_monthly_step_awareness_lags_the_bass_curve_by_at_most_six_points():
    """Last month's share drives this month's hazard, so the discrete map is late and never early."""
    behind = bass(np.arange(61), 0.015, 0.2) - path(60, 0.015, 0.2)
    assert np.all(behind >= 0)
    assert 0.05 < behind.max() < 0.06


def test_awareness_never_falls_and_never_exceeds_one():
    found = path(200, 0.5, 5.0)
    assert np.all(np.diff(found) >= 0)
    assert found[-1] <= 1.0


def test_a_leap_of_the_reference_size_is_noticed_by_63_percent():
    assert awareness.next_buzz(np.zeros(1), np.array([8.0]), decay=0.7, points=8.0)[0] == pytest.approx(1 - np.exp(-1))


@binds("stages/awareness.py", "next_buzz", "np.maximum(decay * buzz, -expm1(-leap / points))")
def test_buzz_falls_back_at_the_decay_and_is_not_added_up():
    buzz = np.array([0.6, 0.6, 0.6])
    found = awareness.next_buzz(buzz, np.array([0.0, 1.0, 50.0]), decay=0.5, points=8.0)
    assert found[0] == pytest.approx(0.3)
    assert found[1] == pytest.approx(0.3)  # a small leap makes less noise than what is left
    assert found[2] == pytest.approx(1 - np.exp(-50 / 8))


def test_consideration_lies_between_awareness_and_one():
    known, buzz = np.array([[0.0, 0.3, 1.0]]), np.array([0.5, 0.5, 0.5])
    found = awareness.consideration(known, buzz)
    assert found.tolist() == [pytest.approx([0.5, 0.65, 1.0])]
    assert np.all((found >= known) & (found <= 1.0))


def test_once_the_buzz_is_gone_consideration_is_awareness():
    known = np.array([[0.1, 0.9]])
    assert awareness.consideration(known, np.zeros(2)) == pytest.approx(known, abs=1e-15)
