"""Recording one run."""

from __future__ import annotations

import time

import numpy as np
import pytest

from sim.columns import HEADLINES, TABLES
from sim.record import Record


def test_market_values_land_in_their_month_and_the_rest_is_missing():
    record = Record(100, 102)
    record.write_market(101, open_price=2.5)
    record.write_market(102, open_price=3.5, equilibrium_status="nash")
    record.write_market(101, closed_price=7.0)
    market = record.tables()["market"]
    assert market["month"].tolist() == [101, 102]
    assert market["open_price"].tolist() == [2.5, 3.5]
    assert market["closed_price"][0] == 7.0
    assert np.isnan(market["closed_price"][1])
    assert market["equilibrium_status"].tolist() == [None, "nash"]


def test_unknown_market_column_is_refused_and_nothing_is_written():
    record = Record(100, 102)
    with pytest.raises(KeyError, match="no column \\['opne_price'\\]"):
        record.write_market(101, open_price=1.0, opne_price=1.0)
    assert record.tables()["market"]["month"].tolist() == []


@pytest.mark.parametrize("month", [99, 103])
def test_months_outside_the_record_are_refused(month):
    record = Record(100, 102)
    with pytest.raises(IndexError, match="outside the record"):
        record.write_market(month, open_price=1.0)
    with pytest.raises(IndexError, match="outside the record"):
        record.append("labs", month, lab=["a"], bloc="US")


def test_record_that_ends_before_it_starts_is_refused():
    with pytest.raises(ValueError, match="cannot end"):
        Record(10, 9)


def test_appended_rows_keep_order_repeat_scalars_and_fill_gaps():
    record = Record(100, 102)
    record.append("labs", 100, lab=["b", "a"], bloc=np.array(["US", "CN"]), revenue=[1, 2])
    record.append("labs", 102, lab="c", bloc="EU", capability=5)
    labs = record.tables()["labs"]
    assert labs["month"].tolist() == [100, 100, 102]
    assert labs["lab"].tolist() == ["b", "a", "c"]
    assert labs["bloc"].tolist() == ["US", "CN", "EU"]
    np.testing.assert_array_equal(labs["revenue"], [1.0, 2.0, np.nan])
    np.testing.assert_array_equal(labs["capability"], [np.nan, np.nan, 5.0])


def test_recorded_arrays_do_not_follow_later_changes_of_the_state():
    record, state = Record(100, 100), np.array([1.0, 2.0])
    record.append("labs", 100, lab=["a", "b"], bloc="US", revenue=state)
    state[:] = 0.0
    assert record.tables()["labs"]["revenue"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("table", "columns", "error", "words"),
    [
        ("labs", {"bloc": "US"}, KeyError, "need the key lab"),
        ("labs", {"lab": ["a"], "reveneu": 1.0}, KeyError, "no column"),
        ("market", {"open_price": 1.0}, KeyError, "rows can be appended to"),
        ("labs", {"lab": ["a", "b"], "revenue": [1.0, 2.0, 3.0]}, ValueError, "differ in shape"),
        ("labs", {"lab": ["a"], "revenue": [[1.0]]}, ValueError, "differ in shape"),
    ],
)
def test_ill_formed_rows_are_refused_by_name(table, columns, error, words):
    with pytest.raises(error, match=words):
        Record(100, 100).append(table, 100, **columns)


def test_empty_record_gives_empty_tables_with_every_column():
    tables = Record(100, 102).tables()
    for name, table in TABLES.items():
        assert list(tables[name]) == [column.name for column in table.columns if column.name != "run"]
        assert all(len(values) == 0 for values in tables[name].values())


def test_every_column_has_a_meaning_and_every_number_a_unit():
    for table in TABLES.values():
        for column in table.columns:
            assert column.meaning.endswith("."), column
            assert bool(column.unit) == (column.kind == "float64"), column
    assert {column.name for column in TABLES["market"].values} >= set(HEADLINES)


def test_columns_are_those_of_the_contract():
    contract = {
        "market": "open_workload_share, open_token_share, open_spend_share, chinese_open_workload_share, "
        "chinese_open_token_share, self_host_token_share, closed_price, open_price, price_at_eci_126, "
        "price_at_eci_140, closed_margin, pricing_pressure, contestable_revenue_share, hhi_tokens, hhi_spend, "
        "gap_points, gap_months, china_lag_months, compute_us, compute_cn, compute_cn_legal, compute_cn_diverted, "
        "compute_cn_domestic, compute_cn_rented, unmet_tokens, total_tokens, total_spend, spend_labs, spend_hosts, "
        "spend_self_host, consumer_surplus, twin_total_tokens, twin_total_spend, twin_consumer_surplus, "
        "equilibrium_status, deviation_gain, posted_deviation_gain",
        "labs": "bloc, capability, workload_share, token_share, spend_share, revenue, gross_profit, "
        "research_compute, serving_load, downloads_cumulative",
        "offers": "open_weights, capability, list_price, marginal_cost, workload_share, token_share",
        "segments": "workloads, tokens, spend, open_workload_share, chinese_open_workload_share, self_host_share, "
        "outside_share",
        "panels": "value",
    }
    keys = {
        "market": "run, month",
        "labs": "run, month, lab",
        "offers": "run, month, lab, line, release, channel",
        "segments": "run, month, group, bloc",
        "panels": "run, month, panel, series",
    }
    assert {name: ", ".join(column.name for column in table.values) for name, table in TABLES.items()} == contract
    assert {name: ", ".join(column.name for column in table.keys) for name, table in TABLES.items()} == keys


def test_recording_a_month_costs_little():
    """Half a millisecond for the market and five for 200 rows would still be a small part of a month."""
    record, texts = Record(0, 199), np.array([f"lab {row}" for row in range(200)], dtype=object)
    values = {name: 1.0 for name in record.market if name != "equilibrium_status"}
    begin = time.process_time()
    for month in range(200):
        record.write_market(month, **values)
    market = (time.process_time() - begin) / 200
    begin = time.process_time()
    for month in range(200):
        record.append("offers", month, lab=texts, line=texts, release=texts, channel="host", token_share=1.0)
    rows = (time.process_time() - begin) / 200
    assert market < 0.5e-3
    assert rows < 5e-3
