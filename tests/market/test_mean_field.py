"""A population carried by taste nodes: nothing is lost, and it is the limit of many workloads that choose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim.market import mean_field
from sim.market.adopters import Stand
from sim.market.kernels.month import LANES
from sim.market.market import Market
from sim.market.population import LARGEST_ORGANISATION
from sim.market.stages.ledger import CELLS, Ledger
from sim.market.tables import LAB_API, NONE
from sim.scenario.schema import BLOCS, GROUPS

from .guards import binds
from .kernels import numpy_choice
from .rows import Watched
from .worlds import between, changed, differing, event, for_all_labs, outcomes, simulated

FAMILIES = ("developer", "enterprise")
AT_ONCE = {f"demand.{family}.review_hazard": 1.0 for family in FAMILIES}
FREE = {
    f"demand.{family}.{cost}": 0.0
    for family in FAMILIES
    for cost in ("switching_cost", "upgrade_cost", "adoption_cost")
}


@pytest.fixture(scope="module")
def world(small_settings):
    """Nodes in place of people, through the hand-over, with a ban and often a newer release."""
    ban = event("2026-03", "model_ban", origin="CN", adopters="all", group="all", scope="hosted", share=0.7)
    settings = between(small_settings, "2025-06", "2026-09", nodes=150, population="mean-field", events=(ban,))
    return changed(settings, {"capability.deprecation": 2.0}, for_all_labs(settings, cadence_months=2.0))


def test_every_node_is_where_it_is_and_nobody_twice(world):
    """[94] Shares are never negative and sum to the part of the node that is in the market, month after month."""
    market, gone = Market(world), set()
    nodes, before = market.nodes, 0.0
    while market.month <= world.end:
        states = {*zip(nodes.release.tolist(), nodes.channel.tolist(), strict=True)}
        market.step()
        share = nodes.mass[:, : len(nodes.table)]
        assert (share >= 0.0).all()
        assert np.abs(share.sum(axis=0) - nodes.present).max() <= 1e-12
        assert (nodes.mass[:, len(nodes.table) :] == 0.0).all()
        assert (nodes.release[0], nodes.channel[0]) == (NONE, LAB_API)
        now = [*zip(nodes.release.tolist(), nodes.channel.tolist(), strict=True)]
        assert len(now) == len({*now})
        gone |= states - {*now}
        ledger, weight = market.ledger, nodes.table.weight
        assert ledger.present.sum() == pytest.approx((weight * nodes.present).sum())
        assert ledger.workloads.sum() == pytest.approx((weight * share[1:]).sum())
        assert ledger.surplus.sum() == pytest.approx((weight * nodes.surplus).sum())
        utils = nodes.surplus * nodes.table.price_sensitivity / nodes.table.pain
        assert (utils >= -1e-6).all()  # utilities are single precision
        assert nodes.present.sum() > before
        before = nodes.present.sum()
    market.close()
    assert gone
    assert market.violations == []


def chances(market, view):
    """Return choice probabilities of who uses nothing at each node, by state of the nodes, (states, nodes)."""
    nodes = market.nodes
    place = {at: n for n, at in enumerate(zip(nodes.release.tolist(), nodes.channel.tolist(), strict=True))}
    found = np.zeros((len(place), len(nodes.table)))
    for group in market.adopters:
        rows = np.arange(group.nodes.start, group.nodes.stop)
        nothing = Stand(
            np.full(len(rows), NONE),
            np.full(len(rows), LAB_API),
            np.zeros((len(rows), len(market.labs.names))),
            view.node_reach[rows],
        )
        who = group.choosers(rows, np.zeros(len(rows), bool), nodes.table, nothing, view)
        probability, version, _, _ = numpy_choice.options(group, who, view)
        pairs = zip(view.offers.release.tolist(), view.offers.channel.tolist(), strict=True)
        states = np.array([place[at] for at in pairs])
        found[states[version], rows[:, None]] = probability[:, :-2]
        found[0, group.nodes] = probability[:, -1]
    return found


def test_those_who_come_first_choose_with_the_probabilities_of_the_choice_stage(world):
    market = Watched(replace(world, start=world.start, events=()))
    market.step()
    nodes = market.nodes
    share = nodes.mass[:, : len(nodes.table)] / np.where(nodes.present > 0.0, nodes.present, 1.0)
    here = nodes.present > 0.0
    assert np.abs(share - chances(market, market.view))[:, here].max() <= 1e-5
    assert np.ptp(share[0, here]) > 0.01
    market.close()


def test_where_all_review_and_nothing_binds_them_shares_are_choice_probabilities(world):
    """Without costs of moving, and with every lab known, where a node stood last month counts for nothing."""
    settings = between(replace(world, events=()), "2023-07", "2023-12")
    settings = changed(settings, AT_ONCE | FREE, for_all_labs(settings, initial_awareness=1.0))
    market, shares = Watched(settings), []
    for _ in range(2):
        used = market.nodes.release[1:], market.nodes.channel[1:]
        market.step()
        nodes, view = market.nodes, market.view
        assert view.offered[used].all()  # nobody can keep what is superseded
        here = nodes.present > 0.0
        shares.append(nodes.mass[:, : len(nodes.table)][:, here] / nodes.present[here])
        assert np.abs(shares[-1] - chances(market, view)[:, here]).max() <= 1e-5
    market.close()
    assert np.abs(shares[1][:, :5] - shares[0][:, :5]).max() > 1e-4


@pytest.mark.parametrize(("part", "stays"), [(0.5, False), (2.0, True)])
def test_a_state_that_next_to_nobody_uses_is_given_up_and_its_users_move_on(world, part, stays):
    market = Watched(world)
    for _ in range(3):
        market.step()
    market.close()
    nodes, view = market.nodes, numpy_choice.newest_alone(market.view)
    nodes._states(view)
    state, count = (nodes.release[1], nodes.channel[1]), len(nodes.table)
    moved = nodes.mass[1, :count] - part * mean_field.NEGLIGIBLE * nodes.present
    nodes.mass[1, :count] -= moved
    nodes.mass[0, :count] += moved
    offered, left = view.offered.copy(), nodes.mass[1].sum()
    offered[state] = False
    ((_, heir),) = nodes._heirs(view.releases.line[nodes.release], np.arange(len(nodes.release)) != 1)
    gains, held = (nodes.release[heir], nodes.channel[heir]), nodes.mass[heir].sum()
    nodes._states(replace(view, offered=offered))
    states = [*zip(nodes.release.tolist(), nodes.channel.tolist(), strict=True)]
    assert (state in states) == stays
    assert left > 0.0
    assert nodes.mass[states.index(gains)].sum() == pytest.approx(held + (0.0 if stays else left), rel=1e-13)
    assert nodes.mass.sum() == pytest.approx(nodes.present.sum(), rel=1e-13)


def test_users_of_a_state_given_up_go_on_in_its_line_on_its_channel(world):
    """To the next newer release that is kept, else to the last one before, else to no model."""
    market = Watched(world)
    nodes = market.nodes
    #        none, line 0 on channel 1: releases 2, 5, 7, 9; on channel 0: 5; line 1: 3, 4; line 2: 6
    nodes.release = np.array([NONE, 2, 5, 7, 9, 5, 3, 4, 6])
    nodes.channel = np.array([0, 1, 1, 1, 1, 0, 1, 1, 1])
    line = np.array([0, 0, 0, 0, 0, 0, 1, 1, 2])  # of the first, nothing
    keeps = np.array([1, 0, 0, 1, 0, 0, 1, 0, 0], bool)
    assert list(nodes._heirs(line, keeps)) == [(1, 3), (2, 3), (4, 3), (5, 0), (7, 6), (8, 0)]
    keeps[4] = True
    assert dict(nodes._heirs(line, keeps))[1] == 3  # the next one and not the last
    market.close()


def test_one_state_stands_for_a_node_as_often_as_it_is_used(world):
    market = simulated(replace(world, nodes=4096), 4)
    nodes, weight = market.nodes, market.nodes.table.weight
    release, channel = nodes.stands
    for state in range(len(nodes.release)):
        used = (weight * nodes.mass[state, : len(weight)]).sum()
        stands = (release == nodes.release[state]) & (channel == nodes.channel[state])
        assert (weight * nodes.present)[stands].sum() == pytest.approx(used, abs=0.02 * weight.sum())
        assert nodes.mass[state, : len(weight)][stands & (nodes.present > 0.0)].all()


@binds("mean_field.py", "_blocks", "min(LANES, len(of_class) - first)")
def test_blocks_hold_every_node_once_in_runs_of_one_class():
    kind = np.repeat([0, 1, 2, 0, 4], [LANES, LANES + 3, 1, 2 * LANES, 5])
    rows = (slice(0, 2 * LANES + 4), slice(2 * LANES + 4, len(kind)))
    seen = np.zeros(len(kind), int)
    for part in rows:
        for first, count, of_class in mean_field._blocks(kind, part):
            assert 0 < count <= LANES
            assert (kind[first : first + count] == of_class).all()
            assert part.start <= first < first + count <= part.stop
            seen[first : first + count] += 1
    assert (seen == 1).all()
    assert len(mean_field._blocks(kind, slice(0, 0))) == 0


@binds("mean_field.py", "used_elsewhere", "np.maximum(present, 1e-300)")
@binds("mean_field.py", "used_elsewhere", "np.minimum(1.0, count / np.maximum(present, 1e-300)[:, None])")
def test_the_chance_of_another_workload_at_a_lab_is_that_of_organisations_of_all_sizes():
    """By hand: half of a segment uses the lab; of organisations of n workloads 1 - 0.5^(n - 1) use it for another."""
    cells = int(np.prod(CELLS))
    present, workloads = np.zeros(cells), np.zeros((cells, 2))
    present[:10] = 40.0  # the first group in the first two blocs
    workloads[:5, 0] = 20.0
    workloads[5:10] = [[0.0, np.nextafter(40.0, 50.0)]] * 5  # all, and more by rounding
    none = np.zeros_like(workloads)
    ledger = Ledger(np.array([0, 1]), np.zeros(2, int), workloads, none, none, none, present, np.zeros(cells))
    tail = 1.4
    found = mean_field.used_elsewhere(ledger, np.array([1, 0]), 3, tail)
    assert found.shape == (len(GROUPS) * len(BLOCS), 3)
    sizes = range(1, LARGEST_ORGANISATION + 1)
    weights = [n**-tail * n for n in sizes]  # workloads, not organisations
    half = sum(w * (1 - 0.5 ** (n - 1)) for n, w in zip(sizes, weights, strict=True)) / sum(weights)
    every = 1 - weights[0] / sum(weights)
    assert found[0] == pytest.approx([0.0, half, 0.0])
    assert found[1] == pytest.approx([every, 0.0, 0.0])
    assert (found[2:] == 0.0).all()


LIMIT = {  # of the mean difference in 2026, over three runs: three times its error; logarithms where no share
    "open_workload_share": 0.02,
    "chinese_open_workload_share": 0.02,
    "open_token_share": 0.03,
    "open_spend_share": 0.013,
    "total_tokens": 0.05,
    "total_spend": 0.045,
    "consumer_surplus": 0.04,
    "closed_price": 0.07,
}


def test_nodes_are_the_limit_of_many_people(small_scenario):
    """Neither carries the population without error; the errors of one are not those of the other."""
    gaps = dict.fromkeys(LIMIT, 0.0)
    for replicate in range(3):
        settings = between(small_scenario.draw(replicate), "2025-01", "2026-12", nodes=2048, workloads=20_000)
        people, limit = (
            outcomes(replace(settings, population=carrier))["market"] for carrier in ("agents", "mean-field")
        )
        for name in LIMIT:
            one, other = people[name][-12:], limit[name][-12:]
            gaps[name] += ((one - other) if name.endswith("share") else np.log(one / other)).mean() / 3
    assert {name for name, gap in gaps.items() if abs(gap) > LIMIT[name]} == set()


def test_a_population_of_nodes_has_no_luck_and_the_same_run_twice(world):
    """Another seed of the population moves nothing: nobody draws."""
    short = replace(world, end=world.start + 8)
    one, other = outcomes(short), outcomes(replace(short, population_seed=99))
    assert differing(one, other) == []
