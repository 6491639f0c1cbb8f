"""The market as a whole: same seed same bits, causes before effects, and nobody moved by what does not concern them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import sim
from sim.content import combine
from sim.experiment.run import simulate
from sim.identities import broken_identities
from sim.market.stages import accounts, choice
from sim.months import parse_month

from .worlds import changed, differing, event, outcomes, simulated


def test_the_same_seed_gives_the_same_bits(small_settings, small_tables):
    assert differing(small_tables, outcomes(small_settings)) == []


def test_another_replicate_gives_other_numbers(small_scenario, small_tables):
    assert "market.open_token_share" in differing(small_tables, outcomes(small_scenario.draw(1)))


def test_a_replicate_does_not_depend_on_how_many_there_are(small_scenario):
    many = small_scenario.replace(runs=500)
    assert small_scenario.draw(2) == many.draw(2)
    assert differing(simulate(small_scenario, None, 2)[0], simulate(many, None, 2)[0]) == []


def test_a_shorter_horizon_is_a_prefix(small_settings, small_tables):
    shorter = outcomes(changed(small_settings, end=parse_month("2026-05")))
    assert len(shorter["market"]["month"]) == 23
    assert differing(shorter, small_tables, before=parse_month("2026-06")) == []


@pytest.mark.parametrize("rows", [7, 256, 5000])
def test_the_size_of_the_blocks_changes_no_bit(small_settings, small_tables, monkeypatch, rows):
    monkeypatch.setattr(choice, "BLOCK", rows)
    assert differing(small_tables, outcomes(small_settings)) == []


def test_an_event_after_the_horizon_changes_no_bit(small_settings, small_tables):
    late = changed(small_settings, events=(event("2027-01", "cloud_access", open=0.0),))
    assert differing(small_tables, outcomes(late)) == []


def test_an_event_that_orders_what_is_in_force_changes_no_bit(small_settings, small_tables):
    p = small_settings.parameters
    null = (
        event("2026-03", "export_control", tier="H200", quota=p["compute.cn.quota_h200"]),
        event("2026-03", "import_restriction", allowed=p["compute.cn.import_allowed"]),
        event("2026-03", "cloud_access", open=1.0),
        event("2026-01", "export_control", tier="B200", quota=0.0, leakage=p["compute.cn.leakage"]),
    )
    assert differing(small_tables, outcomes(changed(small_settings, events=null))) == []


def test_a_change_leaves_everything_before_it_alone(small_settings, small_tables):
    when = "2026-06"
    acts = (event(when, "cloud_access", open=0.0), event(when, "import_restriction", allowed=0.0))
    found = outcomes(changed(small_settings, events=acts))
    assert differing(small_tables, found, before=parse_month(when)) == []
    assert "market.compute_cn" in differing(small_tables, found)


@pytest.mark.parametrize(
    "path",
    [
        "capability.frontier_slope",
        "compute.world.growth",
        "compute.cn.quota_h200",
        "serving.saving_spent.closed",
        "pricing.wedge_half_life",
        "serving.gpu_price_growth",
        "demand.volume_growth_fade",
    ],
)
def test_parameters_of_the_future_leave_the_history_alone(small_settings, small_tables, path):
    found = outcomes(changed(small_settings, {path: small_settings.parameters[path] * 1.5 + 0.1}))
    assert differing(small_tables, found, before=small_settings.history_until + 1) == []
    assert differing(small_tables, found) != []


@pytest.mark.parametrize("names", [["Newcomer"], ["Aleph", "Bet", "Gimel", "Dalet", "He"]])
def test_labs_that_a_scenario_adds_change_no_other_before_they_enter(small_settings, small_tables, names):
    """A lab with a line and without a release: its rows appear, nothing else moves."""
    new = small_settings.labs["Cohere"] | {"bloc": "ROW", "active": 0.0, "compute_share": 0.5}
    found = outcomes(replace(small_settings, labs={**small_settings.labs, **dict.fromkeys(names, new)}))
    rows = ~np.isin(found["labs"]["lab"], names)
    found["labs"] = {name: values[rows] for name, values in found["labs"].items()}
    assert rows.sum() < len(rows)
    assert differing(small_tables, found) == []


def test_the_lab_without_a_release_in_the_evidence_changes_no_other(small_settings, small_tables):
    labs = {lab: fields for lab, fields in small_settings.labs.items() if lab != "Tencent"}
    found = outcomes(replace(small_settings, labs=labs))
    rows = small_tables["labs"]["lab"] != "Tencent"
    known = small_tables | {"labs": {name: values[rows] for name, values in small_tables["labs"].items()}}
    assert rows.sum() < len(rows)
    assert differing(known, found) == []


def test_a_silent_line_changes_nobody(small_settings, small_tables, monkeypatch):
    """A line without releases has tastes drawn for it and no other effect."""
    from sim.market import setup

    plain = setup.line_table

    def with_one_more(labs):
        table = plain(labs)
        for column in ("current", "current_open", "older", "published", "last_month", "next_month", "offset"):
            values = getattr(table, column)
            setattr(table, column, np.append(values, values[:1], axis=0))
        table.lab = np.append(table.lab, table.lab[-1])
        table.names = (*table.names, "Cohere/silent")
        return table

    monkeypatch.setattr(setup, "line_table", with_one_more)
    assert differing(small_tables, outcomes(small_settings)) == []


@pytest.mark.parametrize("replicate", range(4))
def test_every_identity_holds_in_every_month(small_scenario, replicate):
    tables, violations = simulate(small_scenario.replace(until="2028-06"), "weights_withheld", replicate)
    assert violations == []
    assert broken_identities(combine([tables])) == []


def test_an_error_in_the_books_is_noted_with_its_month(small_settings, monkeypatch):
    monkeypatch.setattr(
        accounts.Accounts, "spend_hosts", property(lambda books: 1.0 + float(books.spend[:, 1].sum())), raising=True
    )
    market = simulated(small_settings, 2)
    assert [line.split(":")[0] for line in market.violations] == ["2024-07", "2024-08"]
    assert "total spend and its three parts differ" in market.violations[0]


def test_an_error_in_the_books_marks_the_result_invalid(small_scenario, monkeypatch):
    from sim.market import demand

    plain = demand.accounts_month

    def losing_money(market, costs, priced):
        books = plain(market, costs, priced)
        books.spend[0, 0] += 1.0
        return books

    monkeypatch.setattr(demand, "accounts_month", losing_money)
    results = sim.run(small_scenario, runs=1, until="2024-09")
    text = str(results.manifest)
    assert "spend by seller and by buyer differ" in text
    assert not _valid(results.manifest)


def test_a_sound_run_is_valid(small_scenario):
    assert _valid(sim.run(small_scenario, runs=1, until="2024-09").manifest)


def _valid(manifest) -> bool:
    found = manifest["invariants"]
    return not found["violations"] and found.get("valid", True)
