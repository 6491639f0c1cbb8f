"""The compiled choices against the same choices in NumPy."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest

import sim
from sim.market import choosing, demand, offering, price_setting
from sim.market.kernels import choice as compiled
from sim.market.kernels import single
from sim.market.kernels.draws import uniform
from sim.market.kernels.room import scratch
from sim.market.kernels.uses import uses
from sim.market.market import Market
from sim.market.tables import NONE, SELF_HOST
from sim.months import parse_month
from tests.market.guards import binds
from tests.market.worlds import event

from . import numpy_choice

MONTHS = ("2023-07", "2024-06", "2025-12", "2026-04", "2027-02")
BAN = event("2026-03", "model_ban", origin="CN", adopters="all", group="all", scope="weights", share=0.5)


def at_choice(market: Market):
    """Return the month's view of a market that has come as far as its choices, on a copy."""
    market = copy.deepcopy(market)
    seen = []

    def stop(view):
        seen.append(view)
        raise StopIteration

    market._choose = stop
    with pytest.raises(StopIteration):
        market.step()
    return market, seen[0]


@pytest.fixture(scope="module", params=["plain", "banned"])
def moments(request):
    """Markets that stand at their choices in several months."""
    scenario = sim.load_scenario("baseline").replace(workloads=3000, until="2027-03")
    settings = scenario.draw(3)
    settings = replace(settings, nodes=128)
    if request.param == "banned":
        settings = replace(settings, events=(BAN,))
    market, found = Market(settings), []
    while market.month <= parse_month(MONTHS[-1]):
        if market.month in [parse_month(month) for month in MONTHS]:
            found.append(at_choice(market))
        market.step()
    return found


def test_everybody_chooses_what_the_numpy_twin_chooses(moments):
    for market, view in moments:
        for group in market.adopters:
            expected, usage = numpy_choice.choose(market, group, view), copy.deepcopy(market.usage)
            looked = group.choose(market.people, usage, view)
            same = (usage.release == expected["release"]) & (usage.channel == expected["channel"])
            assert (~same).sum() <= 1  # a draw may fall within rounding of an edge
            rows = expected["everybody"]
            gap = np.abs(usage.surplus - expected["surplus"])[rows] / expected["scale"]
            assert (gap[same[rows]] <= 3e-5).all()
            assert (np.abs(usage.held - expected["held"])[same] <= 3e-5).all()
            open_lines = view.lines.current_open != NONE
            assert looked == pytest.approx(np.where(open_lines, expected["looked"][view.lines.lab], 0.0), rel=1e-12)


def test_the_months_compared_have_every_kind_of_look(moments):
    seen = set()
    for market, view in moments:
        for group in market.adopters:
            rows, at_home = numpy_choice.who_looks(market, group, view)
            release = market.usage.release[rows]
            seen |= {"at home"} if at_home.any() else set()
            seen |= {"newcomers"} if (release == NONE).any() else set()
            seen |= {"own machines"} if (market.usage.channel[rows][release != NONE] == SELF_HOST).any() else set()
            seen |= {"superseded"} if (~view.offered[release, market.usage.channel[rows]]).any() else set()
            older = view.offered & ~view.newest
            seen |= {"older, on sale"} if older[release, market.usage.channel[rows]].any() else set()
    assert seen == {"at home", "newcomers", "own machines", "superseded", "older, on sale"}


@binds("kernels/choice.py", "choose", "min(LANES, end - begin)")
@binds("kernels/looks.py", "who_looks", "min(LANES, last - begin)")
@binds("kernels/choice.py", "choose", "min(last, start + CHUNK)")
@binds("kernels/uses.py", "follow", "min(LANES, staying - begin)")
def test_neither_the_parts_nor_the_chunk_change_a_choice(moments, monkeypatch):
    market, view = moments[2]
    group = market.adopters[1]
    whole = copy.deepcopy(market.usage)
    looked = group.choose(market.people, whole, view)
    parts = copy.deepcopy(market.usage)
    offered, standing, rules = choosing.seen(view, [group])[0]
    seen = np.zeros(len(view.lab_bloc))
    for first in range(group.rows.start, group.rows.stop, 77):
        compiled.choose(
            first,
            min(first + 77, group.rows.stop),
            market.people,
            parts.release,
            parts.channel,
            parts.held,
            parts.surplus,
            view.used,
            view.reach,
            offered,
            standing,
            rules,
            uses(standing),
            scratch(
                market.people.traits.shape[1], len(seen), len(offered.line), len(offered.nest), len(offered.release)
            ),
            seen,
        )
    assert np.array_equal(whole.release, parts.release)
    assert np.array_equal(whole.channel, parts.channel)
    assert np.array_equal(whole.held, parts.held)
    assert np.array_equal(whole.surplus, parts.surplus)
    assert np.array_equal(looked, np.where(view.lines.current_open != NONE, seen[view.lines.lab], 0.0))


@binds("kernels/uses.py", "in_use", "max(burden, narrow[CLUSTER + k] * inverse)")
@pytest.mark.parametrize("factor", [0.0, 1e4])
def test_who_stays_on_own_machines_pays_their_hours_or_the_smallest_cluster(moments, factor):
    """Free clusters leave the hours to pay; where they are dear nobody who looks stays."""
    market, view = copy.deepcopy(moments[3])
    view = numpy_choice.newest_alone(view)
    view = replace(
        view, cluster=factor * view.cluster, offers=replace(view.offers, cluster=factor * view.offers.cluster)
    )
    stayed = looked = 0
    for group in market.adopters:
        group.review_hazard = 1.0
        expected, usage = numpy_choice.choose(market, group, view), copy.deepcopy(market.usage)
        group.choose(market.people, usage, view)
        same = (usage.release == expected["release"]) & (usage.channel == expected["channel"])
        assert (~same).sum() <= 1
        rows = expected["rows"]
        own = rows[(market.usage.channel[rows] == SELF_HOST) & (market.usage.release[rows] != NONE)]
        old = own[~view.offered[market.usage.release[own], SELF_HOST]]
        looked += len(old)
        stayed += (usage.release[old] == market.usage.release[old]).sum()
    assert looked > 3
    assert (stayed == 0) == (factor > 0.0)


def test_a_shorter_cost_of_moving_moves_more(moments):
    market, view = moments[2]
    group = market.adopters[0]
    moved = []
    for cost in (group.switching_cost, 0.0):
        usage = copy.deepcopy(market.usage)
        group.switching_cost, before = cost, group.switching_cost
        group.choose(market.people, usage, view)
        group.switching_cost = before
        moved.append((usage.release != market.usage.release).sum())
    assert moved[1] > moved[0]


def test_exponentials_and_logarithms_are_right_to_the_last_places():
    x = np.linspace(-125.9, 126.9, 20001).astype(np.float32)
    assert np.array([single.exp2(v) for v in x]) == pytest.approx(2.0 ** x.astype(float), rel=3e-7)
    z = np.exp(np.linspace(-80, 80, 20001)).astype(np.float32)
    exact = np.log2(z.astype(float))
    found = np.array([single.log2(v) for v in z])
    assert (np.abs(found - exact) <= 1.2e-7 + 0.6 * np.spacing(np.abs(found).astype(np.float32))).all()
    assert single.exp2(np.float32(-126.5)) == 0.0
    assert single.exp2(np.float32(-1e30)) == 0.0
    assert single.exp2(np.float32(0.0)) == pytest.approx(1.0, abs=2e-7)


def test_uniforms_are_those_of_the_counter_hash():
    key = sim.rng.stream_key(7, "choice", 3)
    rows = np.array([0, 1, 77, 10**6])
    assert [uniform(np.uint64(key), row) for row in rows] == sim.rng.uniform(key, rows).tolist()


def test_costs_and_prices_enter_the_view(moments):
    market, view = moments[2]
    costs = offering.serving_costs(market)
    prices = offering.prices(market, costs)
    assert np.array_equal(prices.by_class, view.price, equal_nan=True)
    assert demand.tally(market, view, prices).workloads.sum() > 0
    assert price_setting.price_problem(market, costs).panel.weight.sum() > 0
