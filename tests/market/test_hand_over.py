"""Nothing jumps where the rules take over from the history."""

from __future__ import annotations

import numpy as np
import pytest

from sim.market import supply
from sim.market.market import Market

from .worlds import between, simulated


@pytest.mark.parametrize("replicate", range(3))
def test_nothing_jumps_at_the_hand_over(small_scenario, replicate):
    """In the first month of the rules nothing moves more than in the roughest of the other months."""
    settings = between(small_scenario.draw(replicate), "2024-01", "2027-12", workloads=2500)
    market = simulated(settings)
    settled = 6
    at = settings.history_until - settings.start - settled
    relative = (
        *("open_token_share", "open_workload_share", "open_spend_share", "closed_price", "open_price", "hhi_tokens"),
        *("compute_cn", "compute_us", "total_tokens", "total_spend"),
    )
    for name in (*relative, "gap_points", "closed_margin"):
        values = market.record.market[name]
        moves = np.abs(np.diff(np.log(values) if name in relative else values))[settled:]
        assert moves[at] <= np.delete(moves, at).max(), name


def test_at_the_hand_over_every_labs_potential_is_its_best_release(small_settings):
    market = Market(between(small_settings, "2025-10", "2026-03"))
    for _ in range(3):
        market.step()
    best = supply.best_of_labs(market)
    assert market.month == small_settings.history_until + 1
    assert np.array_equal(market.attached.level, best, equal_nan=True)
    market.step()
    known = ~np.isnan(best)
    moved = market.labs.potential[known] - best[known]
    assert np.abs(moved).max() < 3.0  # a month on trend is about 1.3 points
    front = int(np.nanargmax(best))
    slope = small_settings.parameters["capability.frontier_slope"] / 12
    assert market.labs.potential[front] - best[front] == pytest.approx(slope, abs=0.35)
    market.close()


def test_list_prices_of_running_releases_do_not_move_at_the_hand_over(small_settings):
    market = Market(between(small_settings, "2025-10", "2026-03"))
    for _ in range(3):
        market.step()
    before = market.releases.list_price.copy()
    market.step()
    assert np.array_equal(market.releases.list_price[: len(before)], before)
    market.close()
