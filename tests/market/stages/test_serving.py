"""What labs' APIs can serve: accelerators, capacity, rationing, load and latency."""

from __future__ import annotations

import numpy as np
import pytest

from sim.market.stages import serving

from ..guards import binds


def test_an_accelerator_is_busy_for_730_hours_a_month():
    assert serving.accelerators_busy(np.array([0.0, 730.0, 1460.0])).tolist() == [0.0, 1.0, 2.0]


@binds("stages/serving.py", "api_capacity", "np.maximum(usual * compute, needed)")
def test_while_the_history_is_replayed_an_api_gets_its_usual_part_or_what_it_needs():
    found = serving.api_capacity(0.3, np.array([100.0, 100.0]), np.array([20.0, 80.0]))
    assert found.tolist() == [30.0, 80.0]


def test_a_lab_serves_what_is_wanted_or_what_it_can():
    needed, capacity = np.array([0.0, 10.0, 10.0, 10.0, 10.0]), np.array([5.0, 20.0, 10.0, 5.0, 0.0])
    assert serving.served_share(needed, capacity).tolist() == [1.0, 1.0, 1.0, 0.5, 0.0]


def test_the_load_felt_is_an_average_over_its_memory():
    load = np.zeros(2)
    for _ in range(200):
        load = serving.next_load(load, np.array([6.0, 20.0]), np.array([10.0, 10.0]), 3.0)
    assert load == pytest.approx([0.6, 2.0])
    assert serving.next_load(np.array([0.9]), np.array([6.0]), np.array([10.0]), 1.0) == pytest.approx([0.6])


def test_latency_is_its_cost_at_full_load_and_rises_with_the_fourth_power():
    assert serving.latency(np.array([0.0, 0.5, 1.0, 2.0]), 0.4) == pytest.approx([0.0, 0.025, 0.4, 6.4])
    assert serving.latency(np.array([3.0]), 0.0).tolist() == [0.0]
