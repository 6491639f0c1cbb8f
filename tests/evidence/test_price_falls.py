"""How fast list prices fall from release to release of a line: what `serving.saving_spent` rests on."""

from __future__ import annotations

import numpy as np
import pytest

from sim import evidence
from sim.scenario.register import register

COST_FALL = 0.53  # a year, of the same model


def lines(is_open: bool, kind: str = "") -> list[np.ndarray]:
    """Return year and log list price of the releases of each line that has at least two, arrays of shape (2, n).

    All that have a price, or those whose price is of a kind.
    """
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for seen in evidence.releases():
        if seen.open == is_open and not np.isnan(seen.input_price) and kind in ("", seen.price_kind):
            price = (3.0 * seen.input_price + seen.output_price) / 4.0
            found.setdefault((seen.lab, seen.line), []).append((seen.month / 12.0, np.log(price)))
    many = (np.array(sorted(one)).T for one in found.values() if len(one) > 1)
    return [one for one in many if one[0, -1] > one[0, 0]]


def first_to_last(of: list[np.ndarray]) -> float:
    return float(np.exp(sum(one[1, -1] - one[1, 0] for one in of) / sum(one[0, -1] - one[0, 0] for one in of)) - 1.0)


def with_a_level_each(of: list[np.ndarray]) -> float:
    year, price = (np.concatenate([one[k] - one[k].mean() for one in of]) for k in (0, 1))
    return float(np.exp(year @ price / (year @ year)) - 1.0)


def spent(change: float) -> float:
    """Return the part of the fall in cost that prices do not show."""
    return 1.0 - float(np.log1p(change) / np.log1p(-COST_FALL))


def test_the_register_says_what_the_releases_show():
    closed, weights = lines(False), lines(True)
    listed = first_to_last(lines(True, "first_party"))
    shown = {
        "serving.saving_spent.closed": [first_to_last(closed), with_a_level_each(closed)],
        "serving.saving_spent.open": [first_to_last(weights), with_a_level_each(weights), listed],
    }
    for name, changes in shown.items():
        spec = register().parameters[name]
        for change in changes:
            assert f"{-100 * change:.0f} %" in spec.source
            assert f"{spent(change):.2f}" in spec.source
        low, mode, high = spec.default["triangular"]
        found = [round(spent(change), 2) for change in changes]
        assert low < min(found) <= mode <= max(found) + 0.01 < high + 0.01


@pytest.mark.parametrize("is_open", [False, True])
def test_prices_of_lines_fall(is_open):
    assert all(-0.5 < estimate(lines(is_open)) < 0.0 for estimate in (first_to_last, with_a_level_each))
