"""The replay equals the evidence month by month."""

from __future__ import annotations

import numpy as np
import pytest

from sim import evidence
from sim.market import offering
from sim.market.market import Market
from sim.market.stages.releases import DEGREES
from sim.market.tables import HOST, LAB_API, NONE
from sim.months import parse_month

from .worlds import between, simulated


@pytest.fixture(scope="module")
def history(small_settings):
    """The market at the end of the replay, and what was on offer in each of its months."""
    market = Market(between(small_settings, "2023-07", "2026-01", workloads=200))
    on_offer = {}
    while market.month <= small_settings.history_until:
        market.step()
        lines = market.lines
        on_offer[market.month - 1] = {
            name: (current, market.releases.names[current])
            for name, current in zip(lines.names, lines.current, strict=True)
            if current != NONE
        }
    market.close()
    return market, on_offer


def as_known(market):
    """Return the releases as the evidence to the end of the history shows them."""
    return evidence.releases(until=market.settings.history_until)


def test_every_release_of_the_evidence_is_replayed_in_its_month_as_it_was(history):
    market, _ = history
    seen = as_known(market)
    table = market.releases
    assert table.names == [r.model for r in seen]
    assert table.month.tolist() == [r.month for r in seen]
    assert table.is_open.tolist() == [r.open for r in seen]
    assert table.capability.tolist() == [r.capability for r in seen]
    assert table.on_device.tolist() == [r.on_device for r in seen]
    assert table.degree.tolist() == [DEGREES[r.degree] for r in seen]
    assert [market.labs.names[lab] for lab in table.lab] == [r.lab for r in seen]
    assert [market.lines.names[line] for line in table.line] == [f"{r.lab}/{r.line}" for r in seen]
    assert table.has_api.tolist() == [r.price_kind == "first_party" or not r.open for r in seen]


def test_each_month_exactly_the_lines_of_the_evidence_are_on_offer(history):
    _, on_offer = history
    assert len(on_offer) == 30
    for month, lines in on_offer.items():
        wanted = {f"{lab}/{line}": r.model for (lab, line), r in evidence.alive_lines(month).items()}
        assert {name: model for name, (_, model) in lines.items()} == wanted


def test_list_prices_are_those_of_the_evidence_with_their_later_changes(history):
    market, _ = history
    prices = {r.model: (r.input_price, r.output_price) for r in as_known(market)}
    for change in evidence.price_changes(until=market.settings.history_until):
        prices[change.model] = (change.input_price, change.output_price)
    for name, a, b in zip(
        market.releases.names, market.releases.input_price, market.releases.output_price, strict=True
    ):
        if not np.isnan(prices[name][0]):
            assert (a, b) == prices[name], name


def test_the_price_of_o3_is_cut_in_june_2025(small_settings):
    market = Market(between(small_settings, "2025-04", "2026-01", workloads=200))
    row, listed = None, {}
    for _ in range(4):
        market.step()
        row = market.releases.names.index("o3")
        listed[market.month - 1] = (market.releases.input_price[row], market.releases.output_price[row])
    market.close()
    assert listed[parse_month("2025-05")] == (10.0, 40.0)
    assert listed[parse_month("2025-06")] == (2.0, 8.0)
    offers = market.record.tables()["offers"]
    rows = (offers["release"] == "o3") & (offers["channel"] == "lab_api")
    by_month = dict(zip(offers["month"][rows].tolist(), offers["list_price"][rows].tolist(), strict=True))
    assert by_month[parse_month("2025-05")] == 17.5
    assert by_month[parse_month("2025-06")] == 3.5


def test_a_start_in_the_middle_of_the_history_finds_the_same_offers(small_settings, history):
    _, on_offer = history
    month = parse_month("2025-03")
    market = simulated(between(small_settings, "2025-03", "2026-01", workloads=200), 1)
    lines = {
        n: market.releases.names[c] for n, c in zip(market.lines.names, market.lines.current, strict=True) if c >= 0
    }
    assert lines == {name: model for name, (_, model) in on_offer[month].items()}


def test_shipments_are_replayed(history):
    market, _ = history
    columns = market.record.market
    for month in range(market.settings.start, market.settings.history_until + 1):
        row = month - market.settings.start
        assert columns["compute_cn"][row] == pytest.approx(
            sum(columns[f"compute_cn_{part}"][row] for part in ("legal", "diverted", "domestic", "rented"))
        )
    assert market.compute.legal_total == pytest.approx(evidence.china_legal_stock(market.settings.history_until).median)
    assert market.compute.abroad_total + market.compute.legal_total == pytest.approx(
        evidence.world_stock(market.settings.history_until)
    )


def test_a_superseded_release_carries_the_month_in_which_it_was(history):
    market, _ = history
    table = market.releases
    for row in range(len(table.names)):
        later = [m for m, line in zip(table.month, table.line, strict=True) if line == table.line[row]]
        following = [m for m in later if m > table.month[row]]
        if following and min(following) >= market.settings.start:
            assert table.superseded[row] <= min(following)
        if row in market.lines.current:
            assert table.superseded[row] == table.FAR


def test_a_retired_line_leaves_its_api_and_its_open_weights_stay(history):
    market, _ = history
    on = offering.offered(market)
    retired = [
        (market.lines.names.index(f"{r.lab}/{line}"))
        for r in evidence.releases(until=market.settings.history_until)
        for line in r.retires
    ]
    ended = [line for line in retired if market.lines.current[line] == NONE]
    assert ended
    for line in ended:
        rows = np.flatnonzero(market.releases.line == line)
        assert not on[rows, LAB_API].any()
        weights = market.lines.current_open[line]
        if weights != NONE:
            assert on[weights, HOST]
