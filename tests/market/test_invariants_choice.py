"""Invariants of choice: order, units, exchangeable vendors, samples. Numbers as in the list of invariants."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from sim import rng
from sim.market.stages import choice
from sim.market.tables import HOST, LAB_API, SELF_HOST
from sim.scenario.schema import CLASSES

from .guards import binds
from .stages.made_up import choosers, offers, rules, two_labs
from .worlds import between, changed, outcomes

ROWS = 400
DRAWS = 100_000
SEED = 3


def normals(name, *shape):
    return rng.normal(rng.stream_key(SEED, name), np.arange(int(np.prod(shape)))).reshape(shape)


def varied(table, count=ROWS):
    """Return choosers who differ in all that a utility reads."""
    lines = int(table.line.max()) + 1
    return {
        "kind": np.arange(count) % len(CLASSES),
        "need": np.exp(2.0 * normals("need", count) + 1.0),
        "pain": np.exp(normals("pain", count) + 4.0),
        "price_sensitivity": np.exp(0.4 * normals("alpha", count)),
        "value": np.abs(6.0 + normals("value", count)),
        "difficulty": 128.0 + 4.0 * normals("difficulty", count),
        "control_value": np.abs(normals("control", count)),
        "distrust": np.abs(normals("distrust", count)),
        "staff_cost": np.exp(normals("staff", count)),
        "taste_line": normals("taste", count, lines).astype(np.float32),
        "taste_open": normals("open", count),
        "taste_origin": normals("origin", count, 4),
        "knows": normals("knows", count, 3) < 1.0,
        "lab": np.arange(count) % 4 - 1,
        "release": np.arange(count) % 4 - 1,
        "switching_cost": np.full(count, 1.3),
        "upgrade_cost": np.full(count, 0.4),
        "adoption_cost": np.full(count, 0.9),
    }


def chosen(table, common=None, count=ROWS, **columns):
    """Return probabilities (rows, offers + 2), logsum and tokens, were each offer chosen."""
    common = rules(table) if common is None else common
    who = choosers(count, table, **columns)
    probability, logsum = choice.choice_probabilities(
        choice.offer_utilities(who, table, common),
        choice.keep_utilities(who, common),
        choice.outside_utilities(who),
        first_of_line=table.first_of_line,
        dissimilarity=common.dissimilarity,
    )
    return probability, logsum


def three_labs(**columns):
    settings = {"price": [4.0, 1.0, 0.8, 0.6, 2.0, 1.5], "capability": [132, 130, 130, 130, 128, 128]}
    rows = ((0, 0, LAB_API), (1, 1, LAB_API), (1, 1, HOST), (1, 1, SELF_HOST), (2, 2, LAB_API), (2, 2, HOST))
    return offers(*rows, degree=[0.0, 1, 1, 1, 0.8, 0.8], **(settings | columns))


def test_workloads_may_come_in_any_order():
    """[4] To the bit: a row's choice depends on nothing but the row."""
    table = three_labs()
    order = np.argsort(normals("order", ROWS))
    columns = varied(table)
    before, logsum = chosen(table, **columns)
    after, moved = chosen(table, **{name: values[order] for name, values in columns.items()})
    assert (after == before[order]).all()
    assert (moved == logsum[order]).all()


def test_channels_may_come_in_any_order_inside_their_line():
    """[4]"""
    table = three_labs()
    order = np.array([0, 3, 1, 2, 5, 4])
    fields = {
        name: getattr(table, name)[order] for name in ("line", "lab", "channel", "release", "capability", "degree")
    }
    other = replace(table, **fields, is_open=table.is_open[order], price=table.price[:, order])
    columns = varied(table)
    before, _ = chosen(table, **columns)
    after, _ = chosen(other, **columns)
    assert np.abs(after[:, :6] - before[:, order]).max() <= 1e-10


def test_tokens_in_another_unit_give_the_same_bits_for_powers_of_two():
    """[6] Needs, prices, limit of a device, and the price of doing without."""
    table, size = three_labs(), 2.0**20
    columns = varied(table)
    small = columns | {"need": columns["need"] * size, "without_ai_cost": np.full(ROWS, 20.0 / size)}
    before, logsum = chosen(table, **columns)
    after, moved = chosen(
        replace(table, price=table.price / size), replace(rules(table), device_limit=5.0 * size), **small
    )
    assert (after == before).all()
    assert (moved == logsum).all()


@pytest.mark.parametrize("scale", [1e2, 1e8, 1e300])
def test_utilities_of_any_size_give_shares_in_a_full_market(scale):
    """[1, 2] Values, tastes and sensitivities so large that only one option is left, in every row."""
    table = three_labs()
    columns = varied(table)
    columns |= {name: columns[name] * scale for name in ("value", "price_sensitivity", "taste_open")}
    found, logsum = chosen(table, **columns)
    assert np.abs(found.sum(axis=1) - 1.0).max() <= 1e-12
    assert (found >= 0.0).all()
    assert np.isfinite(logsum).all()


def test_an_own_price_lowers_and_any_other_raises_a_probability_in_every_row():
    """[10] Where both offers can be chosen; the logsum falls (15)."""
    table = three_labs()
    columns = varied(table)
    before, logsum = chosen(table, **columns)
    for offer in (0, 1, 4):
        dearer = table.price.copy()
        dearer[:, offer] *= 1.05
        after, moved = chosen(replace(table, price=dearer), **columns)
        able = before[:, offer] > 1e-9
        assert (after[able, offer] < before[able, offer]).all()
        others = np.delete(after - before, offer, axis=1)[able]
        assert others.min() >= -1e-16
        assert others.max() > 1e-6
        assert (moved <= logsum).all()


def test_elasticities_of_the_plain_logit_have_the_textbook_form():
    """[14] One type, lambda one, a linear stretch of the bill: -a p (1 - s) and a p s."""
    table = offers((0, 0, LAB_API), (1, 1, LAB_API), (2, 2, LAB_API), price=[1.0, 2.0, 0.5], capability=[129, 131, 128])
    common = rules(table, dissimilarity=1.0)
    many = {"need": np.ones(1), "pain": np.full(1, 1e9), "price_sensitivity": np.full(1, 0.7e9)}
    share, _ = chosen(table, common, 1, **many)
    for offer in range(3):
        ends = []
        for side in (1.0, -1.0):
            price = table.price.copy()
            price[:, offer] *= 1.0 + side * 1e-4
            ends.append(np.log(chosen(replace(table, price=price), common, 1, **many)[0][0, :3]))
        found = (ends[0] - ends[1]) / (np.log1p(1e-4) - np.log1p(-1e-4))
        right = 0.7 * table.price[0, offer] * share[0, offer] * np.ones(3)
        right[offer] -= 0.7 * table.price[0, offer]
        assert found == pytest.approx(right, abs=1e-7)


def test_equal_vendors_are_chosen_equally_often():
    """[50] The same probability to the bit but for the last, and the same share of draws within four errors."""
    table = offers((0, 0, LAB_API), (1, 0, LAB_API), (2, 0, LAB_API), (3, 0, LAB_API), price=2.0)
    found, _ = chosen(table, count=1)
    assert np.ptp(found[0, :4]) <= 1e-16
    drawn = choice.draw_option(
        np.repeat(found, DRAWS, axis=0), rng.uniform(rng.stream_key(SEED, "equal"), np.arange(DRAWS))
    )
    inside = drawn[drawn < 4]
    counts = np.bincount(inside, minlength=4) / len(inside)
    assert np.abs(counts - 0.25).max() < 4.0 * np.sqrt(0.25 * 0.75 / len(inside))


def test_renumbering_vendors_renumbers_what_is_chosen():
    """[50] To the bit where lines keep their order: a lab's number is a name."""
    table = two_labs()
    columns = varied(table, 60) | {"lab": np.arange(60) % 3 - 1, "release": np.arange(60) % 3 - 1}
    columns["knows"] = np.ones((60, 3), bool)  # the swap is of names alone
    before, _ = chosen(table, count=60, **columns)
    swap = np.array([1, 0, 2])
    other = replace(table, lab=swap[table.lab])
    renamed = columns | {"lab": np.where(columns["lab"] < 0, -1, swap[columns["lab"]])}
    common = rules(table)  # appeal, origin and access stay with the line
    after, _ = chosen(other, common, 60, **renamed)
    assert (after == before).all()


def test_draws_of_different_workloads_are_multinomial_in_sum():
    """[16] Every workload has probabilities of its own: sums over the rows are normal around their expectation."""
    table = three_labs()
    found, _ = chosen(table, **varied(table))
    rows = np.arange(DRAWS) % ROWS
    drawn = choice.draw_option(found[rows], rng.uniform(rng.stream_key(SEED, "draws"), np.arange(DRAWS)))
    counts = np.bincount(drawn, minlength=8)[:8]
    expected, spread = found[rows].sum(axis=0), np.sqrt((found * (1.0 - found))[rows].sum(axis=0))
    possible = expected > 5.0
    assert (np.abs(counts - expected)[possible] < 4.5 * spread[possible]).all()
    assert (counts[expected == 0.0] == 0).all()
    one = found[:1]
    counts = np.bincount(
        choice.draw_option(
            np.repeat(one, DRAWS, axis=0), rng.uniform(rng.stream_key(SEED, "same row"), np.arange(DRAWS))
        ),
        minlength=8,
    )
    able = one[0] * DRAWS > 5.0
    assert stats.chisquare(counts[able], one[0][able] / one[0][able].sum() * counts[able].sum()).pvalue > 1e-4


def test_ten_workloads_of_weight_one_stand_for_one_of_weight_ten():
    """[50] The expectation is the same number; the sample of fewer rows is only noisier."""
    table = three_labs()
    columns = varied(table, 40)
    found, _ = chosen(table, count=40, **columns)
    heavy = (10.0 * found).sum(axis=0)
    tenfold, _ = chosen(table, count=400, **{name: np.repeat(values, 10, axis=0) for name, values in columns.items()})
    assert tenfold.sum(axis=0) == pytest.approx(heavy, rel=1e-12)


@binds("kernels/choice.py", "utilities", "min(width * (capability - difficulty[k]), HIGHEST)")
@binds("kernels/uses.py", "stay", "min(width * narrow[AHEAD_OF + k], HIGHEST)")
@binds("kernels/uses.py", "over_without", "min(width * narrow[AHEAD_OF + k], HIGHEST)")
@binds("kernels/mass_flows.py", "succeed", "min(width * (able - lane[4, k]), HIGHEST)")
@pytest.mark.parametrize("population", ["agents", "mean-field"])
def test_where_no_model_can_do_the_work_it_matters_to_nobody_how_sharply_success_rises(small_settings, population):
    settings = between(small_settings, "2025-10", "2026-02", population=population, nodes=100)
    hard = {f"demand.difficulty.{name}": 250.0 for name in CLASSES} | {"demand.success_width": 2.5}
    slow, sharp = (outcomes(changed(settings, hard | steep)) for steep in ({}, {"demand.success_width": 0.1}))
    for name in ("total_tokens", "total_spend", "open_workload_share", "consumer_surplus"):
        assert slow["market"][name] == pytest.approx(sharp["market"][name], rel=1e-6), name
    assert min(slow["market"]["total_tokens"]) > 0.0
