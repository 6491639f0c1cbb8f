"""The compiled worth of offers to a panel against the stage, to the bit, and where its bound binds."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from sim.market import demand, offering
from sim.market.kernels import worth as compiled
from sim.market.market import Market
from sim.market.stages import choice
from sim.market.tables import LAB_API, NONE, ON_DEVICE, SELF_HOST
from tests.market.guards import binds
from tests.market.worlds import between, changed, event

from .numpy_choice import of_newest

FILE = "kernels/worth.py"


@pytest.fixture(scope="module")
def seen(small_scenario):
    """By family of three months, of them one in the history and one under a ban: rows, offers, rules and loading."""
    ban = event("2026-03", "model_ban", origin="CN", adopters="all", group="all", scope="hosted", share=0.5)
    settings = between(small_scenario.draw(3), "2025-06", "2026-04", nodes=300, events=(ban,))
    market, found = Market(changed(settings, {"serving.on_device_limit": 2.0})), []
    while market.month <= settings.end:
        if market.month in (settings.start + 2, settings.history_until + 1, settings.end):
            found += as_panel(copy.deepcopy(market))
        market.step()
    market.close()
    return found


def as_panel(market):
    """Return for each family what a panel of its nodes is made of."""
    costs = offering.serving_costs(market)
    prices = offering.prices(market, costs)
    offers = offering.offers(market, prices)
    view = demand.month_view(market, offers, prices, np.zeros(len(market.labs.names)))
    newest = offers.newest
    loading = np.where(newest.channel == LAB_API, prices.mix[:, newest.release], 0.0)
    found = []
    for group in market.adopters:
        rows = group.nodes_present(market.nodes)
        stand = demand.standing(market, view, rows)
        who = group.choosers(rows, np.zeros(len(rows), bool), market.nodes.table, stand, view)
        found.append((who, offers, view.rules[group.number], loading))
    return found


def written(who, offers, rules, loading):
    """Return worth, loading and base price as the kernel has them."""
    found = np.full((3, len(offers.newest), len(who.kind)), np.nan)
    compiled.write(who, offers, rules, loading, *found)
    return found.transpose(0, 2, 1)


def test_worth_loading_and_base_price_are_those_of_the_stage_to_the_bit(seen):
    for who, offers, rules, loading in seen:
        worth, paid, base = written(who, offers, rules, loading)
        _, version = choice.best_versions(choice.offer_utilities(who, offers, rules), offers.option)
        assert (version >= version.shape[1]).any()
        rows = np.arange(len(version))[:, None]
        assert np.array_equal(worth, choice.offer_worth(who, offers, rules)[rows, version])
        assert np.array_equal(paid, loading[who.kind])
        assert np.array_equal(base, np.where(paid > 0.0, 0.0, choice.offer_prices(who, offers)[rows, version]))


def test_the_rows_compared_differ_in_all_that_bars_or_moves(seen):
    """Newcomers and users, at every sort of limit."""
    found = [choice.open_to(who, offers, rules) for who, offers, rules, _ in seen]
    for can, (who, offers, rules, _) in zip(found, seen, strict=True):
        assert (who.release != NONE).any()
        assert not who.knows.all()
        assert (choice.vendor_costs(who, offers, rules) == 0.0).any()
        assert not can.all()
        assert (can & (offers.channel == SELF_HOST)).any()
    assert any((who.release == NONE).any() for who, *_ in seen)
    assert any(who.barred.any() for who, *_ in seen)
    on_device = [can[:, offers.channel == ON_DEVICE] for can, (_, offers, *_) in zip(found, seen, strict=True)]
    assert any(can.any() and not can.all() for can in on_device)


@binds(FILE, "_price", "max(listed, cluster / values[NEED, r])")
def test_a_small_user_of_own_machines_pays_its_part_of_a_cluster(seen):
    for who, offers, rules, loading in seen:
        offers, rules = offers.newest, of_newest(rules, offers)
        own = np.flatnonzero(offers.channel == SELF_HOST)
        base, listed = written(who, offers, rules, loading)[2][:, own], offers.price[who.kind][:, own]
        assert (base >= listed).all()
        assert (base > listed).any()
        assert (base == listed).any()
