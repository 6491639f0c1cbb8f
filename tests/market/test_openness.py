"""Openness after the history: rules of labs, weights published late, answers to a rival, what buyers perceive."""

from __future__ import annotations

import numpy as np
import pytest

from sim.market import demand, offering, supply
from sim.market.market import Market
from sim.market.stages.releases import DEGREES
from sim.market.tables import HOST, LAB_API, NONE, SELF_HOST, ReleaseTable

from .worlds import NO_FEEDBACK, between, changed, differing, for_all_labs, outcomes, simulated


@pytest.fixture(scope="module")
def world(small_settings):
    return between(small_settings, "2025-07", "2027-06", workloads=250)


def quick(settings, parameters=None, **fields):
    return changed(settings, parameters, for_all_labs(settings, cadence_months=2.0, **fields))


def decided(market):
    return np.flatnonzero(market.releases.month > market.settings.history_until)


def watched(settings, look):
    """Simulate a market and call `look(market, rows released)` after every month of the rules."""
    market = Market(settings)
    while market.month <= settings.end:
        known = len(market.releases.names)
        market.step()
        if market.month - 1 > settings.history_until:
            look(market, range(known, len(market.releases.names)))
    market.close()
    return market


def test_under_open_if_behind_a_release_is_open_iff_it_stands_far_enough_below_the_closed_rivals(world):
    settings = quick(world, openness="open_if_behind", openness_points=12.0)
    market = Market(settings)
    kinds = []
    while market.month <= settings.end:
        table, lines = market.releases, market.lines
        on = lines.current[lines.current != NONE]
        closed = on[~table.is_open[on] & market.labs.active[table.lab[on]]]
        known, level, lab = len(table.names), table.capability[closed], table.lab[closed]
        market.step()
        if market.month - 1 <= settings.history_until:
            continue
        for row in range(known, len(market.releases.names)):
            best = level[lab != market.releases.lab[row]].max()
            assert market.releases.is_open[row] == (best - market.releases.capability[row] >= 12.0)
            kinds.append(bool(market.releases.is_open[row]))
    market.close()
    assert 10 < sum(kinds) < len(kinds) - 10


def test_without_a_closed_rival_nothing_is_behind(world):
    """The floor of the best closed rival is minus infinity, so that an empty set is no rival."""
    market = Market(world)
    market.releases.is_open[:] = True
    assert market.lab_agents[0]._best_closed_rival() == -np.inf
    market.close()


def test_under_open_if_short_a_lab_opens_while_its_load_is_above_one(world):
    market = Market(quick(between(world, "2025-07", "2026-03"), openness="open_if_short"))
    while market.month <= world.history_until + 1:
        market.step()
    lab, capability = market.lab_agents[0], {0: 170.0}
    for load, is_open in ((0.99, False), (1.01, True)):
        market.labs.load[0] = load
        assert [new.is_open for new in lab.decide_releases(capability)] == [is_open]
    market.close()


def test_delayed_weights_come_out_closed_and_open_after_the_delay(world):
    settings = quick(world, openness="delayed", openness_delay_months=4, degree="open_source")
    opened = []

    def look(market, rows):
        table, now = market.releases, market.month - 1
        assert not table.is_open[list(rows)].any()
        for row in decided(market):
            assert table.is_open[row] == (table.opens_at[row] <= now)
            assert table.opens_at[row] == table.month[row] + 4
            if table.is_open[row] and table.opens_at[row] == now:
                opened.append(row)
                assert market.lines.current_open[table.line[row]] == row
                assert table.degree[row] == DEGREES["open_source"]
                on = offering.offered(market)[row]
                assert on[HOST]
                assert on[SELF_HOST]
            if not table.is_open[row]:
                assert table.degree[row] == 0.0
                assert not offering.offered(market)[row, [HOST, SELF_HOST]].any()

    market = watched(settings, look)
    table = market.releases
    assert len(opened) > 15
    assert np.isfinite(table.full_load_cost[opened]).all()
    assert np.isfinite(table.total_params[opened]).all()
    assert market.violations == []
    assert (market.accounts.tokens[opened, HOST] > 0).any()


def test_weights_published_late_are_news_of_the_open_kind(world):
    """The leap is counted against the open record when the weights appear, as for a release."""
    settings = quick(world, openness="delayed", openness_delay_months=1)
    market = Market(settings)
    while market.month <= settings.history_until + 1:
        market.step()
    row = int(np.flatnonzero(~market.releases.is_open)[-1])
    market.releases.opens_at[row] = market.month
    market.releases.capability[row] = 300.0
    _, best_open = supply.records(market)
    leaps = market._release([])
    assert leaps[market.releases.lab[row]] == 300.0 - best_open
    market.close()


def test_a_lab_that_has_stopped_publishes_no_late_weights(world):
    market = simulated(quick(between(world, "2025-07", "2026-03"), openness="delayed", openness_delay_months=60))
    market.releases.opens_at[decided(market)] = market.month
    due = supply.late_weights(market)
    assert due
    market.labs.active[:] = False
    assert supply.late_weights(market) == []


def test_a_delay_beyond_the_horizon_is_as_closed_as_closed(world):
    late = outcomes(quick(world, openness="delayed", openness_delay_months=60))
    assert differing(late, outcomes(quick(world, openness="closed"))) == []


def test_releases_of_the_history_never_open_late(world):
    market = simulated(world)
    seen = market.releases.month <= world.history_until
    assert (market.releases.opens_at[seen] == ReleaseTable.FAR).all()


@pytest.mark.parametrize("word", ["open_source", "open_weights", "restricted_weights"])
def test_the_degree_of_new_open_releases_is_the_labs_word(world, word):
    market = simulated(quick(world, openness="open", degree=word))
    rows = decided(market)
    assert len(rows) > 20
    assert set(market.releases.degree[rows].tolist()) == {DEGREES[word]}


def test_rivals_of_the_bloc_answer_an_opening_with_one_line_that_was_closed(world):
    labs = for_all_labs(world, cadence_months=2.0) | {"OpenAI": {"openness": "open", "cadence_months": 1.0}}
    answering = changed(world, {"openness.follow": 1.0}, labs)
    market = simulated(answering)
    table = market.releases
    by_bloc = {}
    for row in decided(market):
        before = np.flatnonzero(table.line[:row] == table.line[row])[-1]
        if table.is_open[row] and not table.is_open[before]:
            name = market.labs.names[table.lab[row]]
            by_bloc.setdefault(int(market.labs.bloc[table.lab[row]]), []).append((name, int(table.month[row])))
    assert list(by_bloc) == [0]  # US labs alone: an opening answers an opening in its bloc
    assert {name for name, _ in by_bloc[0]} >= {"OpenAI", "Anthropic", "Google"}
    nobody = simulated(changed(world, {"openness.follow": 0.0}, labs))
    rows = [row for row in decided(nobody) if nobody.labs.names[nobody.releases.lab[row]] == "Anthropic"]
    assert rows
    assert not nobody.releases.is_open[rows].any()


def test_an_answer_is_given_once_and_by_labs_that_continue_their_lines(world):
    market = Market(quick(between(world, "2025-07", "2026-03"), {"openness.follow": 1.0}))
    while market.month <= world.history_until:
        assert not supply.following(market, [0]).any()  # nobody answers during the history
        market.step()
    names = market.labs.names
    market.labs.openness = tuple("closed" if name == "Google" else "as_line" for name in names)
    follows = supply.following(market, [0])
    same_bloc = market.labs.bloc == market.labs.bloc[0]
    wanted = same_bloc & (np.arange(len(names)) != 0) & (np.array(names) != "Google")
    assert follows.tolist() == wanted.tolist()
    market.labs.follows = follows
    row = names.index("Anthropic")
    lines = [i for i in np.flatnonzero(market.lines.lab == row) if market.lines.current[i] != NONE]
    assert len(lines) > 1
    made = market.lab_agents[row].decide_releases(dict.fromkeys(lines, 170.0))
    assert [new.is_open for new in made] == [True] + [False] * (len(lines) - 1)
    assert not supply.following(market, [row])[row]
    market.close()


def test_without_an_opening_the_chance_of_an_answer_changes_no_bit(world):
    certain, never = (outcomes(changed(world, {"openness.follow": chance})) for chance in (1.0, 0.0))
    assert differing(certain, never) == []


def test_offers_show_what_buyers_perceive_and_trackers_what_tests_claim(small_market):
    priced = offering.prices(small_market, offering.serving_costs(small_market))
    table = offering.offers(small_market, priced)
    releases, labs = small_market.releases, small_market.labs
    age = small_market.month - releases.month[table.release]
    learnt = 1 - np.exp(-age / small_market.parameters["demand.experience_months"])
    assert table.capability == pytest.approx(releases.capability[table.release] - labs.inflation[table.lab] * learnt)
    view = demand.month_view(small_market, table, priced, np.zeros(len(labs.names)))
    assert view.capability[table.release].tolist() == table.capability.tolist()


def test_inflation_costs_users_in_time_and_never_moves_the_race(small_settings):
    settings = changed(between(small_settings, "2025-01", "2026-06", workloads=1500), NO_FEEDBACK)
    honest = outcomes(changed(settings, labs=for_all_labs(settings, benchmark_inflation=0.0)))
    inflated = {name: {"benchmark_inflation": 12.0 * (name == "OpenAI")} for name in settings.labs}
    found = outcomes(changed(settings, labs=inflated))
    for column in ("gap_points", "gap_months", "china_lag_months"):
        assert found["market"][column].tolist() == honest["market"][column].tolist()
    lab = honest["labs"]["lab"] == "OpenAI"
    assert found["labs"]["token_share"][lab][-6:].mean() < 0.9 * honest["labs"]["token_share"][lab][-6:].mean()


def test_the_api_of_a_lab_that_has_stopped_closes_after_the_history_and_its_weights_stay(world):
    settings = changed(world, labs={name: {"active": 0.0} for name in ("OpenAI", "Meta", "DeepSeek")})
    market = Market(settings)
    while market.month <= settings.history_until:
        market.step()
    gone = np.isin(market.releases.lab, [market.labs.names.index(n) for n in ("OpenAI", "Meta", "DeepSeek")])
    market.month -= 1
    before = offering.offered(market)
    assert offering.served(market)[gone].any()
    market.month += 1
    after = offering.offered(market)
    active = market.labs.active[market.releases.lab]
    assert before[gone, LAB_API].any()
    assert not after[~active, LAB_API].any()
    assert after[:, HOST:].tolist() == before[:, HOST:].tolist()
    assert after[active].tolist() == before[active].tolist()
    assert not offering.served(market)[gone].any()
    market.step()
    used = market.usage.release[(market.usage.release != NONE) & (market.usage.channel == LAB_API)]
    assert market.labs.active[market.releases.lab[used]].all()
    assert market.violations == []
    market.close()
