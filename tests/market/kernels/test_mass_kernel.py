"""The compiled flows between the states of taste nodes against the same flows in NumPy, and where their bounds bind."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest

from sim.market import choosing
from sim.market.market import Market
from sim.market.nodes import arrived
from sim.market.tables import NONE
from tests.market.guards import binds
from tests.market.worlds import between, changed, event, for_all_labs

from . import numpy_mass
from .test_choice_kernel import at_choice

FILE = "kernels/mass_flows.py"
MONTHS = ("first", "history", "rules")


@pytest.fixture(scope="module")
def moments(small_scenario):
    """Markets of nodes that stand at their choices: in the first month, in the history and under a ban of the rules."""
    ban = event("2026-03", "model_ban", origin="CN", adopters="all", group="all", scope="weights", share=0.5)
    settings = between(small_scenario.draw(3), "2025-06", "2026-12", nodes=150, population="mean-field", events=(ban,))
    often = for_all_labs(settings, cadence_months=2.0)
    market = Market(changed(settings, {"capability.deprecation": 1.0, "demand.upgrade_hazard": 0.3}, often))
    found = {}
    while len(found) < len(MONTHS):
        if market.month in (settings.start, settings.history_until, settings.history_until + 3):
            found[MONTHS[len(found)]] = at_choice(market)
        market.step()
    market.close()
    return found


def compare(market, view, valued=True):
    """Assert that nodes choose as the twin says; return their shares after it, their gains, and the nodes before.

    What it is worth is compared too, but where `valued` is false.
    """
    nodes, before = copy.deepcopy(market.nodes), copy.deepcopy(market.nodes)
    before._states(view)
    present = arrived(before.table, view.month, before.parameters)
    fresh = present - before.present
    before.mass[0, : len(fresh)] += fresh
    wanted, premium, gained, surplus = numpy_mass.choose(market, before, fresh, view)
    nodes.choose(view, choosing.seen(view, market.adopters))
    share = nodes.mass[:, : len(fresh)]
    assert np.isfinite(nodes.mass).all()
    assert np.abs(share - wanted).max() <= 1e-5
    assert np.abs(share.sum(axis=0) - present).max() <= 1e-12
    assert np.isfinite(nodes.surplus).all()
    if not valued:
        return share, gained, before
    largest = max(1.0, np.abs(surplus / scale_of(before.table, view)).max() / 100.0)
    on = view.runs[before.release, before.channel]
    on[0] = True
    assert np.abs(nodes.premium[:, : len(fresh)] - premium)[on].max() <= 3e-5 * largest
    assert np.abs((nodes.surplus - surplus) / scale_of(before.table, view)).max() <= 3e-5 * largest
    return share, gained, before


def scale_of(table, view):
    """Return what a util is worth to each node [USD/month]."""
    return table.pain * view.pain[table.kind] / table.price_sensitivity


def closed_to_all(view):
    """Return what people see where nothing on offer may be bought."""
    nothing = tuple(replace(rules, sold_in=np.zeros_like(rules.sold_in)) for rules in view.rules)
    return replace(view, sold=np.zeros_like(view.sold), rules=nothing)


def in_use(nodes, view, kind):
    """Return the shares of nodes in states of one kind, by state."""
    on, runs = view.offered[nodes.release, nodes.channel], view.runs[nodes.release, nodes.channel]
    newest = view.newest[nodes.release, nodes.channel]
    kinds = {"offered": on, "older, on sale": on & ~newest, "superseded": ~on & runs, "off": ~runs}
    which = kinds[kind] & (nodes.release != NONE)
    return which, nodes.mass[:, : len(nodes.table)][which]


@pytest.mark.parametrize("month", MONTHS)
def test_shares_flow_as_the_twin_says(moments, month):
    market, view = moments[month]
    _, gained, before = compare(market, view)
    assert gained.max() > 0.0
    if month == "rules":
        assert all(in_use(before, view, kind)[1].sum() > 0.01 for kind in ("older, on sale", "superseded", "off"))


@binds("kernels/mass.py", "weigh_labs", "max(part[n, k], ONE)")
@binds(FILE, "back_in_line", "max(room.line[k], LEAST)")
@binds(FILE, "look_at_home", "max(here[k], LEAST)")
@binds(FILE, "keep_in_line", "max(line[k] * part[k], LEAST)")
@binds(FILE, "settle", "max(nest[n, k], LEAST)")
@binds("kernels/choice.py", "weigh", "max(chances[k], ONE)")
@binds("kernels/choice.py", "weigh", "max(mean, LEAST)")
def test_where_nothing_may_be_bought_those_who_look_keep_what_they_have_or_do_without(moments):
    """Who looks only at home too: with nothing there and nothing to keep it does without."""
    market, view = moments["rules"]
    share, _, before = compare(market, closed_to_all(view))
    off, _ = in_use(before, view, "off")
    assert (share[off] == 0.0).all()
    offered, was = in_use(before, view, "offered")
    assert (share[offered] <= was + 1e-6).all()
    assert (share[offered].sum(axis=0) < was.sum(axis=0) - 0.01).any()
    kept, was = in_use(before, view, "superseded")
    assert share[kept].sum() > 0.2 * was.sum()
    assert share[0].sum() > before.mass[0].sum()


@binds(FILE, "keep", "min((stays[k] - room.highest[k]) * steep, HIGHEST)")
def test_who_has_what_is_beyond_all_offers_keeps_it(moments):
    """Its weight against the others would be infinite: more than 126 powers of two above them."""
    market, view = moments["rules"]
    stale = np.broadcast_to(~view.offered, view.appeal.shape)
    share, _, before = compare(market, replace(view, appeal=view.appeal + 200.0 * stale), valued=False)
    kept, was = in_use(before, view, "superseded")
    barred = (view.node_reach > 0).any(axis=1)
    assert share[kept][:, ~barred] == pytest.approx(was[:, ~barred], abs=2e-6)
    assert was[:, ~barred].sum() > 0.1


@binds(FILE, "keep_in_line", "max(weight[k] * inside, room.kept[k])")
def test_who_uses_an_older_version_on_sale_keeps_it_where_another_costs_more_than_it_is_worth(moments):
    """Where upgrades are free who looks goes to the version that suits best; where they are dear nobody does."""
    market, view = moments["rules"]
    left = []
    for cost in (0.0, 50.0):
        market = copy.deepcopy(market)
        for group in market.adopters:
            group.upgrade_cost, group.switching_cost, group.review_hazard = cost, 50.0, 1.0
        share, _, before = compare(market, view)
        older, was = in_use(before, view, "older, on sale")
        barred = (view.node_reach > 0).any(axis=1)
        left.append((was - share[older])[:, ~barred].sum() / was[:, ~barred].sum())
    assert left[0] > 0.1
    assert left[1] < 1e-3


@binds(FILE, "stay", "max(price * lane[1, k], cluster * lane[2, k])")
@binds("kernels/choice.py", "utilities", "max(price * rate[k], cluster * inverse_pain[k])")
@pytest.mark.parametrize("factor", [0.0, 1.0, 100.0])
def test_own_machines_cost_their_hours_or_the_smallest_cluster(moments, factor):
    """Where clusters are free the hours of all count, where they are dear the cluster alone."""
    market, view = moments["rules"]
    offers = replace(view.offers, cluster=factor * view.offers.cluster)
    share, _, before = compare(market, replace(view, cluster=factor * view.cluster, offers=offers))
    own = before.channel == 2
    moved = share[own].sum() - compare(market, view)[0][own].sum()
    assert np.sign(np.round(moved, 6)) == np.sign(1.0 - factor)


@binds(FILE, "settle", "max(room.seen[k] - looks[lab, k], ZERO)")
def test_where_one_lab_has_every_user_nobody_comes_from_another(moments):
    """What looks come from others is a difference of sums in single precision, which may fall below zero."""
    market, view = moments["rules"]
    market = copy.deepcopy(market)
    nodes, lab = market.nodes, view.releases.lab[market.nodes.release]
    others = (lab != lab[1]) & (nodes.release != NONE)
    nodes.mass[1] += nodes.mass[0] + nodes.mass[others].sum(axis=0)
    nodes.premium[1] += nodes.premium[0] + nodes.premium[others].sum(axis=0)
    for held in (nodes.mass, nodes.premium):
        held[0] = held[others] = 0.0
    share, _, before = compare(market, view)
    assert (share >= 0.0).all()
    assert (before.mass[others[: len(before.mass)]] == 0.0).all()


def test_where_everybody_looks_no_share_falls_below_zero(moments):
    """What leaves is rounded to single precision and may be more than there is."""
    market, view = moments["rules"]
    market = copy.deepcopy(market)
    for group in market.adopters:
        group.review_hazard = 1.0
    share, _, _ = compare(market, closed_to_all(view))
    assert (share >= 0.0).all()
    assert (share[1:] == 0.0).any()
