"""Serving costs, own machines, list prices, what a class pays, downloads."""

from __future__ import annotations

import numpy as np
import pytest

from sim.market.stages import ecosystem, hosting, pricing

from ..guards import binds


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


@binds("stages/hosting.py", "own_price", "np.maximum(full_price, cluster / volume)")
def test_own_machines_pay_the_cluster_at_small_volumes_and_full_load_at_large_ones():
    found = hosting.own_price(np.array([0.3, 0.3, 0.3]), np.array([600.0] * 3), np.array([1000.0, 1e5, 0.0]))
    assert found.tolist() == [pytest.approx(0.6), pytest.approx(0.3), np.inf]


def test_split_prices_blend_back_to_the_list_price_at_the_given_ratio():
    list_price, ratio = np.array([1.0, 3.5, 0.2]), np.array([4.0, 1.0, 0.0])
    input_price, output_price = hosting.split_price(list_price, ratio)
    assert (3 * input_price + output_price) / 4 == pytest.approx(list_price)
    assert output_price == pytest.approx(ratio * input_price)


@binds("stages/pricing.py", "cost_plus_price", "np.maximum(0.0, cost * price_over_cost - adoption_value)")
def test_cost_plus_keeps_the_ratio_to_cost_less_the_adoption_value_and_never_below_zero():
    found = pricing.cost_plus_price(np.array([0.5, 0.5, 0.5]), np.array([4.0, 4.0, 4.0]), np.array([0.0, 0.5, 3.0]))
    assert found.tolist() == [2.0, 1.5, 0.0]


@binds("stages/pricing.py", "penetration_price", "np.maximum(0.0, cost - adoption_value)")
def test_penetration_sells_at_cost_less_the_adoption_value_and_never_below_zero():
    assert pricing.penetration_price(np.array([0.5, 0.5, 0.5]), np.array([0.0, 0.2, 3.0])).tolist() == [0.5, 0.3, 0.0]


def matched(posted, cost, capability=130.0, slack=3.0, open_price=(2.0, 1.0, 0.2), open_capability=(131, 127, 120)):
    """Return the price that matches open models at hosts, the dearer of which are better."""
    one = (np.array([float(value)]) for value in (posted, cost, capability))
    return pricing.matching_price(*one, np.array(open_price), np.array(open_capability, float), slack=slack)[0]


def test_matching_takes_the_cheapest_open_model_that_is_good_enough():
    assert matched(5.0, 0.5) == 1.0
    assert matched(5.0, 0.5, slack=2.9) == 2.0
    assert matched(5.0, 0.1, slack=10.0) == 0.2


@binds("stages/pricing.py", "matching_price", "np.maximum(cost, cheapest)")
@binds("stages/pricing.py", "matching_price", "np.minimum(posted, np.maximum(cost, cheapest))")
def test_matching_never_raises_a_price_nor_goes_below_cost_but_where_the_price_is_below_it_already():
    assert matched(5.0, 1.5) == 1.5
    assert matched(0.7, 0.5) == 0.7
    assert matched(0.7, 1.5) == 0.7


@binds(
    "stages/pricing.py",
    "matching_price",
    "np.where(good_enough, open_price[None, :], np.inf).min(axis=1, initial=np.inf)",
)
def test_with_no_open_model_good_enough_there_is_nothing_to_match():
    assert matched(5.0, 0.5, capability=140.0) == 5.0
    assert matched(5.0, 0.5, open_price=(), open_capability=()) == 5.0
    assert matched(5.0, 0.5, capability=np.inf) == 5.0  # what nobody can buy matches nothing


@pytest.mark.parametrize(("adjustment", "kept"), [(0.0, 4.0), (0.25, 3.5), (1.0, 2.0)])
def test_a_price_goes_a_part_of_the_way_between_releases_and_all_of_it_at_one(adjustment, kept):
    posted, target = np.array([4.0, 4.0]), np.array([2.0, 2.0])
    found = pricing.next_posted(posted, target, np.array([False, True]), adjustment)
    assert found.tolist() == [kept, 2.0]


def test_a_price_at_its_target_stays_to_the_bit():
    posted = np.array([0.1, 1 / 3, 1e-9, 0.0])
    assert np.array_equal(pricing.next_posted(posted, posted, np.zeros(4, bool), 0.17), posted)


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
