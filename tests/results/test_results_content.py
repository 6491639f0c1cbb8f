"""The canonical form of tables and its hash."""

from __future__ import annotations

import numpy as np
import pytest

from sim.columns import FLOAT, RUN, TABLES, TEXT
from sim.content import canonical, combine, content_hash, table_hashes
from sim.errors import InvariantError
from sim.months import parse_month
from sim.parquet import from_parquet, to_parquet

from .samples import recorded_run

# Changes only together with FORMAT_VERSION in sim/manifest.py: else every stored result looks damaged.
KNOWN = "ed09f6211d49a6f347c555398e4e106c2d1fadb30b44879dcefa1aa90931a61a"
RUNS = [recorded_run(run) for run in range(3)]


def hash_of(tables):
    return content_hash(table_hashes(tables))


def shuffled(tables, seed):
    """Return the tables with their rows in another order."""
    random = np.random.default_rng(seed)
    mixed = {}
    for name, columns in tables.items():
        order = random.permutation(len(columns["month"]))
        mixed[name] = {column: values[order] for column, values in columns.items()}
    return mixed


def test_runs_are_sorted_whatever_the_order_in_which_they_finished():
    in_order = combine(RUNS)
    late = combine({2: RUNS[2], 0: RUNS[0], 1: RUNS[1]})
    for name in TABLES:
        for column in in_order[name]:
            np.testing.assert_array_equal(in_order[name][column], late[name][column])
    assert in_order["market"]["run"].tolist() == sorted(in_order["market"]["run"].tolist())


@pytest.mark.parametrize("seed", range(5))
def test_content_hash_does_not_depend_on_row_order(seed):
    tables = combine(RUNS)
    assert hash_of(shuffled(tables, seed)) == hash_of(tables)


def test_content_hash_does_not_depend_on_the_form_of_nan_or_the_sign_of_zero():
    tables = combine(RUNS)
    changed = {name: dict(columns) for name, columns in tables.items()}
    odd = changed["market"]["price_at_eci_140"].copy()
    assert np.isnan(odd).any()
    odd[np.isnan(odd)] = np.array(0xFFF8000000000123, dtype=np.uint64).view(np.float64)
    changed["market"]["price_at_eci_140"] = odd
    assert hash_of(changed) == hash_of(tables)
    plus, minus = (np.full_like(odd, zero) for zero in (0.0, -0.0))
    assert plus.tobytes() != minus.tobytes()
    hashes = []
    for zeros in (plus, minus):
        changed["market"]["price_at_eci_140"] = zeros
        hashes.append(hash_of(changed))
    assert hashes[0] == hashes[1]


def test_content_hash_survives_another_compression_and_chunking():
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = combine(RUNS)
    again = {}
    for name in TABLES:
        table = pq.read_table(pa.BufferReader(to_parquet(name, tables[name], {})))
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="gzip", row_group_size=3, use_dictionary=False)
        again[name] = from_parquet(name, sink.getvalue().to_pybytes(), name)
    assert hash_of(again) == hash_of(tables)


def test_every_single_value_counts_in_the_content_hash():
    tables = combine([recorded_run(0, months=3)])
    whole = hash_of(tables)
    changes = 0
    for name, table in TABLES.items():
        for column in table.columns:
            values = tables[name][column.name]
            for row in range(len(values)):
                changed = values.copy()
                if column.kind == TEXT:
                    changed[row] = f"{changed[row]}'"
                elif column.kind == FLOAT:
                    changed[row] = 1.0 if np.isnan(changed[row]) else np.nextafter(changed[row], np.inf)
                else:
                    changed[row] += 1000
                other = {**tables, name: {**tables[name], column.name: changed}}
                assert hash_of(other) != whole, (name, column.name, row)
                changes += 1
    assert changes > 400


def test_missing_text_is_not_the_empty_text():
    tables = combine([RUNS[0]])
    status = tables["market"]["equilibrium_status"].copy()
    assert status[0] is None
    status[0] = ""
    other = {**tables, "market": {**tables["market"], "equilibrium_status": status}}
    assert hash_of(other) != hash_of(tables)


def test_content_hash_depends_on_units(monkeypatch):
    from dataclasses import replace

    tables = combine([RUNS[0]])
    before = hash_of(tables)
    panels = TABLES["panels"]
    monkeypatch.setitem(TABLES, "panels", replace(panels, values=(replace(panels.values[0], unit="other"),)))
    assert hash_of(tables) != before


def test_rows_with_the_same_key_are_a_defect():
    twice = {name: {c: np.concatenate([v, v]) for c, v in columns.items()} for name, columns in RUNS[0].items()}
    with pytest.raises(InvariantError, match="repeat the key"):
        combine([twice])


def test_canonical_tables_cannot_be_changed():
    tables = combine(RUNS)
    for columns in tables.values():
        for values in columns.values():
            with pytest.raises(ValueError, match="read-only"):
                values[0] = values[0]


def test_content_hash_is_the_same_in_every_release_of_the_format():
    tables = combine([recorded_run_of_constants()])
    assert hash_of(tables) == KNOWN


def recorded_run_of_constants():
    from sim.record import Record

    record = Record(parse_month("2025-12"), parse_month("2025-12"))
    record.write_market(record.start, open_price=0.1, equilibrium_status="nash")
    record.append("labs", record.start, lab=["b", "a"], bloc=["CN", "US"], revenue=[1.0, -0.0])
    return record.tables()


def test_canonical_form_is_a_fixed_point():
    tables = combine(RUNS)
    again = canonical(tables)
    for name, table in TABLES.items():
        for column in table.columns:
            assert again[name][column.name].dtype == tables[name][column.name].dtype
            if column.kind in (FLOAT, RUN):
                assert again[name][column.name].tobytes() == tables[name][column.name].tobytes()
