"""Older open weights on sale: which there are, what they add to a line, and who takes them."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest

import sim
from sim import rng
from sim.market import choosing, offering, versions
from sim.market.kernels.choice import fold
from sim.market.kernels.month import IMPOSSIBLE, LANES, Offered
from sim.market.market import Market
from sim.market.stages import choice
from sim.market.stages.versions import missed_most
from sim.market.tables import HOST, LAB_API, NONE, OLDER
from sim.months import parse_month
from tests import older_weights

from .guards import binds
from .kernels import numpy_choice
from .kernels.test_choice_kernel import at_choice
from .stages.made_up import choosers, offers, rules
from .worlds import between, changed, for_all_labs


def normals(name, *shape):
    count = int(np.prod(shape))
    return rng.normal(rng.stream_key(5, f"versions:{name}"), np.arange(count)).reshape(shape)


# Which there are -----------------------------------------------------------------------------------------------------


@binds("stages/versions.py", "missed_most", "np.maximum(utility - best, 0.0)")
@binds("stages/versions.py", "missed_most", "np.maximum(best, utility[:, version:version + 1])")
def test_the_versions_kept_are_those_that_add_most_to_the_ones_before():
    """The first is worth most beside the newest; the second of those like it adds nothing, another a little."""
    utility = np.array([[5.0, 4.9, -9.0, 0.0], [-9.0, -9.0, 2.0, 0.0], [-9.0, -9.0, -9.0, 0.0]])
    weight = np.ones(3)
    assert missed_most(utility, weight, 1).tolist() == [0]
    assert missed_most(utility, weight, 2).tolist() == [0, 2]
    assert missed_most(utility, weight, 3).tolist() == [NONE, 0, 2]
    assert missed_most(utility, np.array([0.0, 1.0, 1.0]), 2).tolist() == [NONE, 2]
    assert missed_most(utility[:, 3:], weight, 2).tolist() == [NONE, NONE]


@pytest.fixture(scope="module")
def world(small_settings):
    """Open releases every other month."""
    return between(small_settings, "2025-06", "2027-02", nodes=100)


def test_older_weights_are_chosen_when_new_ones_come_out_and_in_january(world):
    market, chosen = Market(changed(world, labs=for_all_labs(world, cadence_months=3.0))), set()
    while market.month <= world.end:
        before, month = market.lines.older.copy(), market.month
        market.step()
        lines, table = market.lines, market.releases
        moved = (lines.older != before).any(axis=1)
        first = month == world.start
        assert first or month % 12 == 0 or (lines.published[moved] == month).all()
        chosen |= {"publishing"} if moved.any() and month % 12 != 0 and not first else set()
        chosen |= {"January"} if (moved & (lines.published != month)).any() and month % 12 == 0 else set()
        line, place = np.nonzero(lines.older != NONE)
        older = lines.older[line, place]
        assert table.is_open[older].all()
        assert (table.line[older] == line).all()
        assert (older != lines.current_open[line]).all()
        assert len(set(older.tolist())) == len(older)
    market.close()
    assert chosen == {"publishing", "January"}
    assert (market.lines.older != NONE).sum() > 20


def test_a_trial_of_a_release_keeps_the_one_that_it_follows_on_sale(small_market):
    market = copy.deepcopy(small_market)
    line = int(np.flatnonzero((market.lines.current_open == market.lines.current) & (market.lines.current >= 0))[0])
    before = market.lines.older.copy()
    newest = market.lines.current_open[line]
    able = float(market.releases.capability[newest]) + 3.0
    trial = sim.market.opening.trial_with(market, int(market.lines.lab[line]), line, able, True)
    assert trial.lines.current_open[line] == len(market.releases.names)
    assert trial.lines.published[line] == market.month
    assert offering.offered(trial)[newest, HOST] == (newest in trial.lines.older[line])
    assert np.array_equal(market.lines.older, before)


# What they add to a line ---------------------------------------------------------------------------------------------


def two_versions(price, capability):
    """Return a line at a host in two versions, the newest first, beside a closed line."""
    table = offers((0, 0, LAB_API), (1, 1, HOST), (1, 1, HOST), price=price, capability=capability, degree=[0, 1, 1])
    return replace(table, option=np.array([0, 1, 1]), first_of_line=np.array([0, 1]))


def test_the_cheaper_older_version_gets_easy_work_at_high_volume_and_the_newest_the_hard():
    table = two_versions([4.0, 2.0, 0.2], [135.0, 134.0, 128.0])
    who = choosers(2, table, need=[5000.0, 1.0], difficulty=[110.0, 134.0])
    utility = choice.offer_utilities(who, table, rules(table))
    best, version = choice.best_versions(utility, table.option)
    assert version[:, 1].tolist() == [2, 1]
    assert best[:, 1].tolist() == [utility[0, 2], utility[1, 1]]


def test_a_dominated_version_is_never_taken():
    table = two_versions([4.0, 1.0, 1.5], [135.0, 134.0, 132.0])
    who = choosers(500, table, need=np.exp(2 * normals("need", 500)), difficulty=130 + 5 * normals("hard", 500))
    _, version = choice.best_versions(choice.offer_utilities(who, table, rules(table)), table.option)
    assert (version == np.arange(2)).all()


@binds("kernels/choice.py", "fold", "larger(top[k], row[k])")
@binds("kernels/choice.py", "fold", "max(which[k], np.int32(j) if row[k] > top[k] else np.int32(0))")
def test_the_compiled_fold_is_that_of_numpy_to_the_bit():
    options, count = 7, 20
    option = np.concatenate([np.arange(options), np.sort(np.abs(normals("option", count - options)) * 3).astype(int)])
    utility = normals("utility", count, LANES).astype(np.float32)
    utility[:, 3] = IMPOSSIBLE
    utility[9] = utility[2]  # where versions are equal the newest counts
    folded, version = utility.copy(), np.empty((options, LANES), np.int32)
    room = dict.fromkeys(Offered._fields)
    seen = room | {"nest": np.zeros(options), "option": option.astype(np.int32), "release": np.arange(count)}
    fold(Offered(**seen), folded, version)
    best = folded[:options]
    right, number = choice.best_versions(utility.T, option)
    assert np.array_equal(best, right.T)
    assert np.array_equal(version, number.T)
    brute = np.array([[utility[option == q, k].max() for k in range(LANES)] for q in range(options)])
    assert np.array_equal(best, brute)
    assert (version >= options).any()


@pytest.fixture(scope="module")
def moment():
    """A market at its choices in 2026, every option with noise of its own."""
    scenario = sim.load_scenario("baseline").replace(workloads=3000, until="2026-06", noise="options")
    market = Market(replace(scenario.draw(3), nodes=256))
    while market.month < parse_month("2026-06"):
        market.step()
    return at_choice(market)


def with_older_of(view, line):
    """Return a month in which no line but one sells older versions."""
    offers = view.offers
    keeps = (offers.line == line) | (np.arange(len(offers)) < len(offers.newest))
    columns = {name: array[..., keeps] for name, array in vars(offers).items() if name != "first_of_line"}
    offered = np.zeros_like(view.offered)
    offered[offers.release[keeps], offers.channel[keeps]] = True
    by_offer = [
        {name: array[..., keeps] for name, array in vars(one).items() if isinstance(array, np.ndarray)}
        for one in view.rules
    ]
    found = tuple(replace(one, **of) for one, of in zip(view.rules, by_offer, strict=True))
    return replace(view, offers=replace(offers, **columns), offered=offered, rules=found)


def test_a_version_more_takes_nobody_from_its_line(moment):
    """Of newcomers, by every engine: workloads with the same noise, nodes by their shares."""
    market, view = moment
    market.usage.release[:] = NONE
    alone = numpy_choice.newest_alone(view)
    lines = sorted(set(view.offers.line[len(view.offers.newest) :].tolist()))
    assert len(lines) > 8
    before, share_before = of_lines(market, alone), shares(market, alone)
    gained = 0
    for line in lines:
        other = with_older_of(view, line)
        now, share = of_lines(market, other), shares(market, other)
        assert ((now == line) | (before != line)).all()
        assert (now[now != before] == line).all()
        assert (share[line] >= share_before[line] - 1e-6).all()
        gained += (now != before).sum()
    assert gained > 5


def of_lines(market, view):
    """Return the line that each workload chooses if all look; NONE without."""
    usage = copy.deepcopy(market.usage)
    for group in market.adopters:
        group.review_hazard = 1.0
        group.choose(market.people, usage, view)
    return np.where(usage.release == NONE, NONE, view.releases.line[usage.release])


def shares(market, view):
    """Return the shares of nodes that choose each line if all look and none uses anything, (lines, nodes)."""
    nodes = copy.deepcopy(market.nodes)
    nodes.mass[0] += nodes.mass[1:].sum(axis=0)
    nodes.mass[1:] = 0.0
    for group in market.adopters:
        group.review_hazard = 1.0
    nodes.choose(view, choosing.seen(view, market.adopters))
    found = np.zeros((len(view.lines.names), len(nodes.table)))
    np.add.at(found, view.releases.line[nodes.release[1:]], nodes.mass[1:, : len(nodes.table)])
    return found


# Who takes them ------------------------------------------------------------------------------------------------------


def test_older_versions_that_some_prefer_are_cheaper_than_the_newest(moment):
    market, view = moment
    seen = 0
    for group in market.adopters:
        rows = np.arange(group.rows.start, group.rows.stop)
        who = group.choosers(rows, np.zeros(len(rows), bool), market.workloads, unused(market, rows, view), view)
        utility = choice.offer_utilities(who, view.offers, view.rules[group.number])
        best, version = choice.best_versions(utility, view.offers.option)
        for option in np.flatnonzero(view.offers.newest.channel == HOST):
            can, older = np.isfinite(best[:, option]), version[:, option] >= best.shape[1]
            if (can & older).sum() > 30 and (can & ~older).sum() > 30:
                taken = np.unique(version[can & older, option])
                assert (view.offers.price[:, taken] < view.offers.price[:, [option]]).any(axis=0).all()
                seen += 1
    assert seen > 5


def unused(market, rows, view):
    """Return where workloads stand that use nothing yet."""
    stand = numpy_choice.stand(market, rows, view)
    return replace(stand, release=np.full(len(rows), NONE), channel=np.full(len(rows), LAB_API))


@pytest.mark.long
def test_two_older_versions_are_near_all_of_them():
    """What `python -m tests.older_weights` prints, on few runs."""
    assert OLDER == 2
    assert versions.EVERY == 4
    scenario = sim.load_scenario("baseline").replace(population="mean-field")
    market = Market(scenario.draw(0))
    market.run()
    found = older_weights.losses(market)
    assert len(found) > 10
    for loss in found.values():
        assert loss.mean < 0.02
        assert loss.mean < 0.2 * loss.mean_newest
        assert loss.worst < 0.3
    newest, two, four = (older_weights.outcomes(scenario, older, range(2)).mean(axis=0) for older in (0, 2, 4))
    price = older_weights.COLUMNS.index("open_price")
    assert abs(two[price] / four[price] - 1.0) < 0.05
    assert newest[price] / four[price] > 1.1
