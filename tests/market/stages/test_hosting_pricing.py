"""Serving costs, own machines, list prices, what a class pays, downloads."""

from __future__ import annotations

import numpy as np
import pytest

from sim.market.stages import ecosystem, hosting, pricing


def test_cost_index_is_one_at_its_reference_and_falls_with_rent_and_efficiency():
    assert hosting.cost_index(2.0, 1.6, 0.0) == 1.0
    assert hosting.cost_index(1.0, 1.6, 0.0) == 0.5
    assert hosting.cost_index(2.0, 1.6, 2.0) == pytest.approx(1 / 1.6**2)


def test_technical_cost_is_the_disclosed_one_at_the_reference_size():
    assert hosting.technical_cost(0.11, 37.0, 0.8, 1.0) == 0.11
    assert hosting.technical_cost(0.11, 74.0, 1.0, 0.5) == pytest.approx(0.11)
    assert np.isnan(hosting.technical_cost(0.11, np.nan, 0.8, 1.0))


def test_a_cluster_is_the_whole_accelerators_whose_memory_holds_the_weights():
    assert hosting.accelerators_needed(np.array([14.0, 66.0, 70.0, 671.0])).tolist() == [1.0, 1.0, 2.0, 11.0]
    assert np.isnan(hosting.accelerators_needed(np.array([np.nan]))[0])


def test_a_workload_pays_its_part_of_the_smallest_cluster_by_the_month():
    assert hosting.cluster_cost(np.array([70.0]), 2.0, 4.0)[0] == pytest.approx(2 * 2.0 * 730 / 4)


def test_own_machines_pay_the_cluster_at_small_volumes_and_full_load_at_large_ones():
    found = hosting.own_price(np.array([0.3, 0.3, 0.3]), np.array([600.0] * 3), np.array([1000.0, 1e5, 0.0]))
    assert found.tolist() == [pytest.approx(0.6), pytest.approx(0.3), np.inf]


def test_split_prices_blend_back_to_the_list_price_at_the_given_ratio():
    list_price, ratio = np.array([1.0, 3.5, 0.2]), np.array([4.0, 1.0, 0.0])
    input_price, output_price = hosting.split_price(list_price, ratio)
    assert (3 * input_price + output_price) / 4 == pytest.approx(list_price)
    assert output_price == pytest.approx(ratio * input_price)


def test_hold_keeps_the_list_price_and_cost_plus_follows_cost():
    assert pricing.next_list_price("hold", 5.0, 0.3) == 5.0
    assert pricing.next_list_price("cost_plus", 5.0, 0.3) == pytest.approx(1.5)


def test_the_adoption_value_is_taken_off_the_list_price_but_never_below_zero():
    assert pricing.posted_price(np.array([2.0, 2.0, 0.5]), np.array([0.0, 0.5, 9.0])).tolist() == [2.0, 1.5, 0.0]


def test_a_class_pays_its_own_mix_times_its_discount():
    found = pricing.class_price(
        np.array([1.0, 2.0]), np.array([4.0, 10.0]), np.array([0.75, 1.0]), np.array([0.5, 1.0])
    )
    assert found.tolist() == [pytest.approx([0.875, 2.0]), pytest.approx([1.0, 2.0])]


def test_downloads_follow_evaluations_and_small_models_are_downloaded_most():
    found = ecosystem.downloads(
        np.array([100.0, 100.0, 100.0, 0.0]), np.array([10.0, 40.0, np.nan, 10.0]), rate=9.0, size_exponent=0.5
    )
    assert found.tolist() == pytest.approx([900.0, 450.0, 0.0, 0.0])
