"""The compiled worth of offers to a panel against the stage, to the bit, and where its bound binds."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import pytest

from sim.market import demand, offering, price_setting
from sim.market.kernels import panel_rows
from sim.market.kernels import worth as compiled
from sim.market.market import Market
from sim.market.stages import choice
from sim.market.stages.usage import bill_disutility
from sim.market.tables import LAB_API, NONE, ON_DEVICE, SELF_HOST, OfferTable
from tests.market.guards import binds
from tests.market.worlds import between, changed, event

from .numpy_choice import of_newest


class Seen(NamedTuple):
    """What a panel of a family's nodes is made of."""

    who: choice.Choosers
    offers: OfferTable
    rules: choice.ChoiceRules
    loading: np.ndarray
    nodes: panel_rows.Nodes
    family: panel_rows.Seen
    rows: np.ndarray
    present: np.ndarray


@pytest.fixture(scope="module")
def seen(small_scenario):
    """By family of four months, of them one in the history, one under a ban and one where weights go off sale."""
    ban = event("2026-03", "model_ban", origin="CN", adopters="all", group="all", scope="hosted", share=0.5)
    settings = between(small_scenario.draw(3), "2025-06", "2026-04", nodes=300, events=(ban,))
    market, found = Market(changed(settings, {"serving.on_device_limit": 2.0})), []
    while market.month <= settings.end:
        if market.month in (settings.start + 2, settings.history_until + 1, settings.end):
            found += as_panel(copy.deepcopy(market))
        market.step()
    market.lines.older[::2] = NONE  # who uses these keeps them
    found += as_panel(market)
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
        nodes, family = price_setting.nodes_of(market, view), price_setting.seen_by(view, group)
        present = (market.nodes.table.weight * market.nodes.present)[rows]
        found.append(Seen(who, offers, view.rules[group.number], loading, nodes, family, rows, present))
    return found


def written(one, offers=None, rules=None):
    """Return the panel as the kernel has it, by default with all offers."""
    offers, rules = one.offers if offers is None else offers, one.rules if rules is None else rules
    found = panel_rows.empty(len(one.rows) + 2, len(offers.newest))
    for part in found:
        part[:] = np.nan
    columns = compiled.columns(offers, rules, one.loading)
    compiled.write_panel(one.nodes, one.family, one.rows, columns, 1, found)
    assert all(np.isnan(part[..., [0, -1]]).all() for part in found)
    return panel_rows.Panel(*(part[..., 1:-1].T for part in found))


def in_line(who, offers, rules, worth, base):
    """Let weights in use that are no longer on sale count in the options of a panel, shapes (rows, options) (eq. 97).

    Returns the utility of staying with what is a version of no option, and in which rows those weights are the best.
    """
    keep = choice.keep_utilities(who, rules)
    rows, option, bonus = choice.weights_kept(who, offers, rules, worth, keep)
    at = rows, option
    bill = who.price_sensitivity[rows] * bill_disutility(base[at], who.need[rows], who.pain[rows])
    better = keep[rows] - bonus > worth[at] - bill
    at = rows[better], option[better]
    worth[at] = (choice.keep_worth(who, rules)[rows] - bonus)[better]
    base[at] = who.keep_price[at[0]]
    return np.where(who.keep_option != NONE, -np.inf, keep), at[0]


def test_the_panel_is_that_of_the_stage_to_the_bit(seen):
    stays, best = 0, 0
    for one in seen:
        who, offers, rules, loading = one[:4]
        found = written(one)
        _, version = choice.best_versions(choice.offer_utilities(who, offers, rules), offers.option)
        assert (version >= version.shape[1]).any()
        rows = np.arange(len(version))[:, None]
        worth = choice.offer_worth(who, offers, rules)[rows, version]
        base = np.where(loading[who.kind] > 0.0, 0.0, choice.offer_prices(who, offers)[rows, version])
        keep, kept = in_line(who, offers, rules, worth, base)
        assert np.array_equal(found.paid, loading[who.kind])
        assert np.array_equal(found.worth, worth)
        assert np.array_equal(found.base, base)
        assert np.array_equal(found.keep, keep)
        assert np.array_equal(found.outside, choice.outside_utilities(who))
        assert np.array_equal(found.weight, one.present)
        for name in ("price_sensitivity", "need", "pain"):
            assert np.array_equal(getattr(found, name), getattr(who, name))
        stays, best = stays + np.count_nonzero(keep > -np.inf), best + len(kept)
    assert stays > 0
    assert best > 0


def test_the_rows_compared_differ_in_all_that_bars_or_moves(seen):
    """Newcomers and users, at every sort of limit."""
    found = [choice.open_to(*one[:3]) for one in seen]
    for can, (who, offers, rules, *_) in zip(found, seen, strict=True):
        assert (who.release != NONE).any()
        assert not who.knows.all()
        assert (choice.vendor_costs(who, offers, rules) == 0.0).any()
        assert not can.all()
        assert (can & (offers.channel == SELF_HOST)).any()
    assert any((who.release == NONE).any() for who, *_ in seen)
    assert any(who.barred.any() for who, *_ in seen)
    on_device = [can[:, offers.channel == ON_DEVICE] for can, (_, offers, *_) in zip(found, seen, strict=True)]
    assert any(can.any() and not can.all() for can in on_device)


@binds("kernels/panel_rows.py", "own_price", "max(listed, cluster / need)")
def test_a_small_user_of_own_machines_pays_its_part_of_a_cluster(seen):
    for one in seen:
        offers = one.offers.newest
        own = np.flatnonzero(offers.channel == SELF_HOST)
        found = written(one, offers, of_newest(one.rules, one.offers))
        fresh = np.isnan(one.who.keep_price)  # others may be best off with weights that are no longer on sale
        base, listed = found.base[fresh][:, own], offers.price[one.who.kind][fresh][:, own]
        assert (base >= listed).all()
        assert (base > listed).any()
        assert (base == listed).any()
