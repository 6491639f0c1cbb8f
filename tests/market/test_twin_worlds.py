"""Worlds without open weights beside the simulated one: what is the same there, what is gone, what they measure."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import sim
from sim.errors import UsageError
from sim.experiment.run import twin_world
from sim.market import offering, worlds
from sim.market.market import Market
from sim.market.tables import HOST, LAB_API, NONE, ReleaseTable
from sim.scenario.schema import WORLDS

from .worlds import between, changed, differing, event, for_all_labs

OF_THE_TWIN = ("pricing_pressure", "twin_total_tokens", "twin_total_spend", "twin_consumer_surplus")


@pytest.fixture(scope="module")
def settings(small_settings):
    world = between(small_settings, "2025-10", "2026-12", workloads=300)
    return changed(world, labs=for_all_labs(world, cadence_months=2.0))


def watched(settings, world, look=None):
    """Simulate a market with its twin and call `look(market)` after every month of the rules."""
    market = Market(settings, twin=world)
    while market.month <= settings.end:
        market.step()
        if look and market.month - 1 > settings.history_until:
            look(market)
    market.close()
    return market


@pytest.fixture(scope="module")
def alone(settings):
    return watched(settings, None)


@pytest.fixture(scope="module")
def withheld(settings):
    return watched(settings, "weights_withheld")


@pytest.fixture(scope="module")
def never(settings):
    return watched(settings, "never_developed")


@pytest.mark.parametrize("world", WORLDS)
def test_a_twin_changes_no_bit_of_the_world_it_stands_beside(alone, world, request):
    beside = request.getfixturevalue({"weights_withheld": "withheld", "never_developed": "never"}[world])
    assert differing(alone.record.tables(), beside.record.tables()) == [f"market.{name}" for name in OF_THE_TWIN]
    assert beside.violations == []


def test_pressure_is_measured_from_the_first_month_of_the_rules_on_and_never_without_a_twin(alone, withheld, settings):
    assert np.isnan(alone.record.market["pricing_pressure"]).all()
    pressure = withheld.record.market["pricing_pressure"]
    months = settings.start + np.arange(len(pressure))
    assert np.array_equal(np.isnan(pressure), months <= settings.history_until)
    assert (np.abs(pressure[months > settings.history_until]) < 1.0).all()
    assert (pressure[months > settings.history_until] != 0.0).all()


def test_totals_of_the_twin_are_written_from_the_first_month_of_the_rules_on(alone, withheld, settings):
    month = settings.history_until + 1 - settings.start
    for name in OF_THE_TWIN[1:]:
        assert np.isnan(alone.record.market[name]).all()
        assert np.isnan(withheld.record.market[name][:month]).all()
        assert (withheld.record.market[name][month:] > 0.0).all()
    books, last = withheld.twin.accounts, settings.end - settings.start
    found = [withheld.record.market[name][last] for name in OF_THE_TWIN[1:]]
    assert found == [books.tokens.sum(), books.spend.sum(), books.surplus]


def test_withheld_weights_are_of_the_same_releases_with_the_same_capabilities_in_the_same_months(withheld):
    base, twin = withheld.releases, withheld.twin.releases
    assert twin.names == base.names
    for column in ("month", "line", "lab", "capability", "has_api", "wedge", "cost_at_release", "superseded"):
        assert np.array_equal(getattr(twin, column), getattr(base, column)), column
    assert base.is_open.any()
    assert (base.month > withheld.settings.history_until).sum() > 20


def test_where_weights_are_withheld_nobody_uses_an_open_model_in_any_month(settings):
    def look(market):
        twin = market.twin
        used = twin.usage.release != NONE
        assert used.any()
        assert not twin.releases.is_open.any()
        assert (twin.usage.channel[used] == LAB_API).all()
        assert not offering.offered(twin)[:, HOST:].any()
        assert (twin.lines.current_open == NONE).all()
        assert (twin.lines.older == NONE).all()
        assert twin.month == market.month

    watched(settings, "weights_withheld", look)


def test_what_only_hosts_sold_is_gone_where_weights_are_withheld_and_what_a_lab_sold_is_not(withheld):
    base, twin = offering.offered(withheld), offering.offered(withheld.twin)
    assert np.array_equal(base[:, LAB_API], twin[:, LAB_API])
    assert (base[:, HOST] & ~twin[:, LAB_API]).any()
    assert (base[:, HOST] & twin[:, LAB_API]).any()


def test_the_past_is_shared_up_to_the_hand_over(settings):
    """The twin starts from what everybody uses, pays and knows in the last month of the history."""
    market = Market(settings, twin="weights_withheld")
    while market.replaying:
        assert market.twin is None
        market.step()
    twin = market.twin
    assert twin.month == market.month
    for table, names in (
        ("usage", ("release", "channel", "surplus")),
        ("nodes", ("release", "channel", "mass", "present", "surplus")),
        ("ledger", ("workloads", "tokens", "spend", "present", "surplus")),
    ):
        for name in names:
            here, there = (getattr(getattr(one, table), name) for one in (market, twin))
            assert np.array_equal(here, there), name
            assert not np.shares_memory(here, there), name
    for name in ("awareness", "buzz", "affinity", "ecosystem", "downloads"):
        assert np.array_equal(getattr(twin, name), getattr(market, name))
    assert np.array_equal(twin.releases.posted, market.releases.posted)
    assert twin.workloads is market.workloads
    assert twin.policy == market.policy
    assert market.releases.is_open[market.usage.release[market.usage.release != NONE]].any()
    market.close()


def test_weights_due_to_be_published_later_stay_withheld(settings):
    late = for_all_labs(settings, openness="delayed", openness_delay_months=2, cadence_months=2.0)
    market = watched(changed(settings, labs=late), "weights_withheld")
    published = market.releases.is_open & (market.releases.month > settings.history_until)
    assert published.sum() > 5
    assert not market.twin.releases.is_open.any()
    assert (market.twin.releases.opens_at == ReleaseTable.FAR).all()


def test_labs_that_open_under_an_event_withhold_it_in_the_twin(settings):
    opening = (event("2026-03", "openness_change", who="all", openness="open"),)
    market = watched(changed(settings, events=opening), "weights_withheld")
    assert market.releases.is_open[market.releases.month > market.settings.history_until + 3].all()
    assert not market.twin.releases.is_open.any()


def test_prices_of_a_twin_follow_from_its_own_prices(settings):
    """Labs that match open models have nothing to match there: lines keep the list price of the hand-over."""
    matching = for_all_labs(settings, price_rule="match_open", cadence_months=2.0)
    market = watched(changed(settings, {"pricing.adjustment": 1.0}, matching), "weights_withheld")
    base, twin = market.releases, market.twin.releases
    last_old = {}
    for row in range(len(twin.names)):
        line = int(twin.line[row])
        if twin.month[row] <= settings.history_until:
            last_old[line] = twin.posted[row]
        elif line in last_old:
            assert twin.posted[row] == last_old[line]
    sold = offering.offered(market)[:, LAB_API] & ~base.is_open
    assert (base.posted[sold] <= twin.posted[sold]).all()
    assert (base.posted[sold] < twin.posted[sold]).any()
    assert market.record.market["pricing_pressure"][-1] > 0.05


@pytest.mark.parametrize("world", WORLDS)
def test_a_lab_that_comes_back_asks_the_price_of_its_event_in_every_world(settings, world):
    back = (
        event("2026-02", "lab_exit", lab="OpenAI"),
        event("2026-05", "lab_entry", lab="OpenAI", points_behind=1.0, price=7.0, weights="closed"),
    )
    held = changed(between(settings, "2025-10", "2026-05"), labs=for_all_labs(settings, price_rule="hold"), events=back)
    market = watched(held, world)
    for one in (market, market.twin):
        assert one.releases.lab[-1] == one.labs.names.index("OpenAI")
        assert one.releases.posted[-1] == pytest.approx(7.0)


def test_lines_that_were_open_at_the_hand_over_were_never_developed(never):
    base, twin = never.lines, never.twin.lines
    start = never.releases.month <= never.settings.history_until
    last = {int(line): row for row, line in enumerate(never.releases.line) if start[row]}
    open_then = {line for line, row in last.items() if never.releases.is_open[row]}
    assert len(open_then) > 5
    for line in open_then:
        assert twin.current[line] == NONE
        assert np.isinf(twin.next_month[line])
        assert not (never.twin.releases.line[never.twin.releases.month > never.settings.history_until] == line).any()
    gone = [line for line in sorted(open_then) if base.current[line] != NONE]
    assert gone
    used = never.twin.usage.release[never.twin.usage.release != NONE]
    assert not set(never.twin.releases.line[used].tolist()) & open_then


def test_what_was_never_developed_teaches_nobody(never):
    """Every follower knows less there, the closed frontier itself no more."""
    base, twin = never.labs, never.twin.labs
    assert not never.twin.open_spillover
    assert never.open_spillover
    china = base.bloc == 2
    assert (twin.knowledge[china] < base.knowledge[china]).all()


def test_pressure_is_one_less_the_price_here_over_the_price_there_weighted_by_tokens_here():
    """Three closed lines by hand: one sells nothing, one is gone there; an open one does not count."""

    def world(posted, is_open, tokens, current=(0, 1, 2, 3)):
        by_channel = np.zeros((4, 4))
        by_channel[:, LAB_API] = tokens
        return SimpleNamespace(
            releases=SimpleNamespace(line=np.arange(4), posted=np.array(posted), is_open=np.array(is_open)),
            lines=SimpleNamespace(current=np.array(current), names=("a", "b", "c", "d")),
            accounts=SimpleNamespace(tokens=by_channel),
        )

    here = world([2.0, 4.0, 9.0, 0.5], [False, False, False, True], [30.0, 10.0, 0.0, 50.0])
    there = world([4.0, 5.0, 1.0, 0.5], [False] * 4, [1.0, 2.0, 3.0, 4.0])
    assert worlds.pricing_pressure(here, there) == pytest.approx(1.0 - (30 * 2 + 10 * 4) / (30 * 4 + 10 * 5))
    assert worlds.pricing_pressure(here, here) == 0.0
    missing = world([4.0, 5.0, 1.0, 0.5], [False] * 4, [1.0] * 4, current=(0, NONE, 2, 3))
    assert worlds.pricing_pressure(here, missing) == pytest.approx(0.5)
    nothing = world([4.0, 5.0, 1.0, 0.5], [False] * 4, [1.0] * 4, current=(NONE, NONE, 2, 3))
    assert np.isnan(worlds.pricing_pressure(here, nothing))


def test_a_superseded_release_weighs_on_the_price_of_its_line_today():
    """What its users buy counts for the line, at the line's current list price."""
    releases = SimpleNamespace(
        line=np.array([0, 0, 1]), posted=np.array([9.0, 2.0, 1.0]), is_open=np.array([False, False, False])
    )
    tokens = np.zeros((3, 4))
    tokens[:, LAB_API] = [5.0, 5.0, 10.0]
    lines = SimpleNamespace(current=np.array([1, 2]), names=("a", "b"))
    here = SimpleNamespace(releases=releases, lines=lines, accounts=SimpleNamespace(tokens=tokens))
    dearer = SimpleNamespace(line=releases.line, posted=np.array([9.0, 4.0, 1.0]), is_open=releases.is_open)
    there = SimpleNamespace(releases=dearer, lines=lines, accounts=here.accounts)
    assert worlds.pricing_pressure(here, there) == pytest.approx(1.0 - (10 * 2 + 10 * 1) / (10 * 4 + 10 * 1))


def test_an_error_in_the_books_of_a_twin_is_noted_as_its_own(settings, monkeypatch):
    from sim.market.stages import accounts

    monkeypatch.setattr(accounts, "violations", lambda books: ["planted"])
    market = Market(settings, twin="weights_withheld")
    while market.month <= settings.history_until + 1:
        market.step()
    market.close()
    assert market.violations[-2:] == ["2026-01: planted", "weights_withheld: 2026-01: planted"]
    assert market.twin.violations == []


def test_a_closed_market_frees_its_twin(settings):
    import gc
    import weakref

    market = Market(settings, twin="weights_withheld")
    while market.replaying:
        market.step()
    gone = weakref.ref(market.twin)
    market.close()
    del market
    gc.collect()
    assert gone() is None


# Runs ----------------------------------------------------------------------------------------------------------------


def test_the_name_of_a_twin_is_checked():
    assert [twin_world(value) for value in (True, False, "none")] == ["weights_withheld", None, None]
    assert [twin_world(name) for name in WORLDS] == list(WORLDS)
    for bad in ("", "weights"):
        with pytest.raises(UsageError, match=r"weights_withheld, never_developed"):
            twin_world(bad)


def test_a_run_fills_or_leaves_the_column_and_counts_the_statuses(small_scenario):
    """The manifest lists how many months stand at which status; months of the history at none."""
    short = small_scenario.replace(until="2026-03", workloads=200, runs=1)
    with_twin, without = sim.run(short), sim.run(short, twin=False)
    assert np.isfinite(with_twin.tables["market"]["pricing_pressure"][-3:]).all()
    assert np.isnan(without.tables["market"]["pricing_pressure"]).all()
    assert "market.pricing_pressure" in without.manifest["columns_empty"]
    assert "market.pricing_pressure" not in with_twin.manifest["columns_empty"]
    assert with_twin.manifest["options"]["twin"] == "weights_withheld"
    assert without.manifest["options"]["twin"] == "none"
    assert with_twin.manifest["valid"]
    counts = with_twin.manifest["equilibrium_status"]
    assert counts["none"] == 18
    assert set(counts) <= {"nash", "local_only", "multiple", "not_converged", "not_checked", "none"}
    solved = with_twin.tables["market"]["equilibrium_status"][-3:].tolist()
    assert {status: solved.count(status) for status in solved} == {s: n for s, n in counts.items() if s != "none"}
    assert counts == without.manifest["equilibrium_status"]
