"""Every damage to a result folder is found."""

from __future__ import annotations

import hashlib
import json
import os
import time

import numpy as np
import pytest
from click.testing import CliRunner

from sim import manifest
from sim.cli.results import verify
from sim.columns import TABLES
from sim.content import canonical, combine, content_hash, table_hashes
from sim.errors import ResultError
from sim.identities import broken_identities
from sim.parquet import from_parquet, to_parquet
from sim.results import Results, load_results, save
from sim.verify import verify_folder

from .samples import made_up_results, recorded_run


def rewrite_manifest(folder, change):
    """Apply `change` to the manifest and seal it anew, as a forger would."""
    facts = json.loads((folder / "manifest.json").read_text())
    change(facts)
    (folder / "manifest.json").write_bytes(manifest.to_json(facts))


def list_file(folder, name):
    """Make the manifest agree with a changed file."""
    data = (folder / name).read_bytes()
    entry = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    rewrite_manifest(folder, lambda facts: facts["files"][name].update(entry))


def some_bits(data, count):
    """Return places of `count` different bits of `data`."""
    return np.random.default_rng(1).choice(len(data) * 8, count, replace=False).tolist()


def test_pristine_result_is_sound(pristine):
    report = verify_folder(str(pristine))
    assert report.damage == ()
    assert report.notes == ()
    assert report.rows == 3 * 6 * (1 + 3 + 5 + 4 + 2)
    assert report.result_id == load_results(pristine).content_hash()[:12]


def test_300_of_300_single_bit_flips_in_parquet_are_found_by_loading(saved):
    path = saved / "market.parquet"
    whole = path.read_bytes()
    flips = some_bits(whole, 300)
    found = 0
    for bit in flips:
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(ResultError, match=r"market\.parquet: damaged"):
            load_results(saved)
        found += bool(verify_folder(str(saved)).damage)
    assert found == 300


def test_bit_flips_in_the_data_are_found_by_page_checksums_alone():
    """Without the hashes of the manifest: a flip is an error, or it fell outside the data and changed no number."""
    random_numbers = np.random.default_rng(1).random(20_000)
    table = {name: values[:0] for name, values in combine([recorded_run(0)])["panels"].items()}
    rows = len(random_numbers)
    table.update(
        run=np.zeros(rows, np.int32),
        month=np.arange(rows, dtype=np.int32),
        panel=np.full(rows, "p", dtype=object),
        series=np.full(rows, "s", dtype=object),
        value=random_numbers,
    )
    whole = to_parquet("panels", table, {})
    refused = 0
    for bit in some_bits(whole, 300):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            read = from_parquet("panels", bytes(damaged), "panels.parquet")
        except ResultError:
            refused += 1
            continue
        assert read["value"].tobytes() == random_numbers.tobytes()
    assert refused > 280


def test_bit_flips_in_the_manifest_are_found(saved):
    path = saved / "manifest.json"
    whole = path.read_bytes()
    for bit in some_bits(whole, 200):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        if json_or_none(damaged) == json.loads(whole):
            continue  # a flip in white space between the entries
        assert verify_folder(str(saved)).damage


def json_or_none(data):
    try:
        return json.loads(data)
    except ValueError:
        return None


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("name", ["offers.parquet", "summary.csv", "scenario.resolved.yaml", "figures/adoption.png"])
def test_truncated_files_are_found(saved, name, share):
    data = (saved / name).read_bytes()
    (saved / name).write_bytes(data[: int(len(data) * share)])
    assert any(name in line for line in verify_folder(str(saved)).damage)


def test_every_deleted_file_is_found(pristine, tmp_path):
    import shutil

    names = [path.relative_to(pristine).as_posix() for path in pristine.rglob("*") if path.is_file()]
    assert len(names) == 14
    for place, name in enumerate(names):
        copy = shutil.copytree(pristine, tmp_path / str(place))
        (copy / name).unlink()
        damage = verify_folder(str(copy)).damage
        assert [line for line in damage if name in line and "missing" in line], name


def test_swapped_files_are_found(saved):
    for one, other in (("labs", "offers"), ("market", "panels")):
        os.rename(saved / f"{one}.parquet", saved / "x")
        os.rename(saved / f"{other}.parquet", saved / f"{one}.parquet")
        os.rename(saved / "x", saved / f"{other}.parquet")
        damage = verify_folder(str(saved)).damage
        assert sum(f"{one}.parquet" in line for line in damage) >= 1
        assert sum(f"{other}.parquet" in line for line in damage) >= 1


def test_swapped_files_are_found_even_if_the_manifest_is_swapped_too(saved):
    os.rename(saved / "labs.parquet", saved / "x")
    os.rename(saved / "offers.parquet", saved / "labs.parquet")
    os.rename(saved / "x", saved / "offers.parquet")
    list_file(saved, "labs.parquet")
    list_file(saved, "offers.parquet")
    assert any("are not those of the labs table" in line for line in verify_folder(str(saved)).damage)


def test_extra_files_are_found_and_derived_ones_only_noted(saved):
    (saved / "extra.parquet").write_bytes(b"x")
    (saved / "figures" / "mine.png").write_bytes(b"x")
    (saved / ".DS_Store").write_bytes(b"x")
    report = verify_folder(str(saved))
    assert [line for line in report.damage if "extra.parquet: not listed" in line]
    assert len(report.damage) == 1
    assert len(report.notes) == 2


def test_changed_number_is_found_even_if_files_and_manifest_were_made_to_agree(saved):
    table = {name: values.copy() for name, values in load_results(saved).tables["panels"].items()}
    table["value"][3] += 1e-12
    (saved / "panels.parquet").write_bytes(to_parquet("panels", table, {}))
    list_file(saved, "panels.parquet")
    damage = verify_folder(str(saved)).damage
    assert any("panels.parquet: its content hash" in line for line in damage)
    assert any("content hash" in line and "in the manifest" in line for line in damage)


def test_missing_rows_are_found_even_if_hashes_were_made_to_agree(saved):
    table = {name: values[1:] for name, values in load_results(saved).tables["panels"].items()}
    (saved / "panels.parquet").write_bytes(to_parquet("panels", table, {}))
    list_file(saved, "panels.parquet")
    assert any("35 rows, 36 in the manifest" in line for line in verify_folder(str(saved)).damage)
    with pytest.raises(ResultError, match="35 rows"):
        load_results(saved)


def test_manifest_that_lists_files_outside_the_folder_is_damage(saved):
    entry = {"sha256": "0" * 64, "bytes": 1}
    rewrite_manifest(saved, lambda facts: facts["files"].update({"../secret": entry, "/etc/passwd": entry}))
    damage = verify_folder(str(saved)).damage
    assert sum("outside the folder" in line for line in damage) == 2


@pytest.mark.parametrize("entry", ["files", "tables", "content_hash", "key", "scenario", "invariants", "valid"])
def test_sealed_manifest_with_missing_or_odd_entries_is_refused(saved, entry):
    whole = (saved / "manifest.json").read_bytes()
    for change in (lambda facts: facts.pop(entry), lambda facts: facts.update({entry: 7})):
        (saved / "manifest.json").write_bytes(whole)
        rewrite_manifest(saved, change)
        with pytest.raises(ResultError, match="entries are missing or of another kind"):
            load_results(saved)


def test_run_that_broke_its_invariants_is_reported(saved):
    def break_one(facts):
        facts["valid"] = False
        facts["invariants"]["violations"].append("shares sum to 1.2")

    rewrite_manifest(saved, break_one)
    assert any("shares sum to 1.2" in line for line in verify_folder(str(saved)).damage)


# Each change breaks one identity: table, column, row, factor, words of the line.
IDENTITIES = [
    ("labs", "workload_share", "labs.workload_share summed"),
    ("labs", "token_share", "labs.token_share summed"),
    ("labs", "spend_share", "labs.spend_share summed"),
    ("labs", "revenue", "labs.revenue summed"),
    ("offers", "workload_share", "offers.workload_share summed"),
    ("offers", "token_share", "offers.token_share summed"),
    ("segments", "tokens", "segments.tokens summed"),
    ("segments", "spend", "segments.spend summed"),
    ("market", "spend_hosts", "spend_labs + spend_hosts + spend_self_host"),
    ("market", "open_token_share", "market.open_token_share"),
    ("market", "open_workload_share", "market.open_workload_share"),
    ("market", "total_tokens", "market.total_tokens"),
]


@pytest.mark.parametrize(("table", "column", "words"), IDENTITIES)
def test_broken_identity_is_found(table, column, words):
    tables = combine([recorded_run(0), recorded_run(1)])
    assert broken_identities(tables) == []
    values = tables[table][column].copy()
    values[-1] *= 1.0 + 1e-6
    lines = broken_identities({**tables, table: {**tables[table], column: values}})
    assert [line for line in lines if words in line and "run 1, 2026-03" in line]


@pytest.mark.parametrize("bad", [np.inf, -np.inf, -0.01, 1.01])
def test_shares_outside_bounds_and_infinite_values_are_found(bad):
    tables = combine([recorded_run(0)])
    shares = tables["segments"]["outside_share"].copy()
    shares[5] = bad
    lines = broken_identities({**tables, "segments": {**tables["segments"], "outside_share": shares}})
    assert len(lines) == 1
    assert "segments.outside_share: 1 values are not 0 to 1" in lines[0]
    assert "run 0, 2025-11" in lines[0]


def test_market_without_use_has_nothing_to_share_out():
    tables = combine([recorded_run(0, months=1)])
    none = {
        "market": ("total_tokens", "total_spend", "spend_labs", "spend_hosts", "spend_self_host"),
        "labs": ("workload_share", "token_share", "spend_share", "revenue"),
        "offers": ("workload_share", "token_share"),
        "segments": ("tokens", "spend"),
    }
    for table, columns in none.items():
        tables[table] |= {column: np.zeros_like(tables[table][column]) for column in columns}
    assert broken_identities(tables) == []


def test_rows_of_a_month_that_the_market_lacks_are_found():
    tables = combine([recorded_run(0)])
    tables["market"] = {name: values[:-1] for name, values in tables["market"].items()}
    lines = broken_identities(tables)
    assert "labs: 3 rows belong to no run and month of the market table" in lines
    assert len(lines) == 3


def test_empty_market_is_found():
    assert broken_identities(combine([])) == ["market: no rows"]


def test_stored_result_that_does_not_add_up_is_damage(tmp_path):
    tables = combine([recorded_run(0)])
    revenue = tables["labs"]["revenue"] * 1.5
    tables = canonical({**tables, "labs": {**tables["labs"], "revenue": revenue}})
    save(made_up_results(tables=tables), tmp_path / "x")
    assert any("labs.revenue summed is not" in line for line in verify_folder(str(tmp_path / "x")).damage)


def bomb(rows):
    """Return a Parquet file of the panels table, a few kilobytes that unpack to 40 bytes a row."""
    columns = {
        "run": np.zeros(rows, np.int32),
        "month": np.zeros(rows, np.int32),
        "panel": np.full(rows, "p", dtype=object),
        "series": np.full(rows, "s", dtype=object),
        "value": np.zeros(rows),
    }
    return to_parquet("panels", columns, {})


def test_parquet_bomb_is_refused_before_it_is_unpacked(saved):
    data = bomb(4_000_000)
    assert len(data) < 100_000
    (saved / "panels.parquet").write_bytes(data)
    list_file(saved, "panels.parquet")
    begin = time.process_time()
    with pytest.raises(ResultError, match="refused as a decompression bomb"):
        load_results(saved)
    assert time.process_time() - begin < 1.0
    assert any("bomb" in line for line in verify_folder(str(saved)).damage)


def test_planted_pickle_is_not_executed(saved, tmp_path):
    marker = tmp_path / "marker"
    planted = b"cos\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR."  # runs a command when unpickled
    for name in ("market.parquet", "manifest.json"):
        (saved / name).write_bytes(planted)
        with pytest.raises(ResultError):
            load_results(saved)
        assert verify_folder(str(saved)).damage
    assert not marker.exists()


def test_parquet_with_pickled_extension_metadata_is_read_as_plain_data_or_refused(saved, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    marker = tmp_path / "marker"
    planted = b"cos\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR."
    table = pq.read_table(pa.BufferReader((saved / "panels.parquet").read_bytes()))
    extension = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": planted}
    field = table.schema.field("value").with_metadata(extension)
    pq.write_table(table.cast(table.schema.set(4, field)), saved / "panels.parquet")
    list_file(saved, "panels.parquet")
    load_results(saved)
    assert not marker.exists()


def test_verify_command_lists_each_damage_and_exits_with_one(saved, pristine):
    run = CliRunner().invoke
    good = run(verify, [str(pristine)])
    assert good.exit_code == 0
    assert (
        good.output == f"{pristine}: sound; 13 files, 270 rows, result {load_results(pristine).content_hash()[:12]}\n"
    )
    (saved / "labs.parquet").unlink()
    (saved / "summary.csv").write_bytes(b"x")
    bad = run(verify, [str(pristine), str(saved)])
    assert bad.exit_code == 1
    assert len([line for line in bad.output.splitlines() if str(saved) in line]) == 2
    report = json.loads(run(verify, ["--json", str(saved), str(pristine)]).output)
    assert report["sound"] is False
    assert [each["sound"] for each in report["results"]] == [False, True]
    assert len(report["results"][0]["damage"]) == 2
    assert run(verify, [str(saved.parent / "nowhere")]).exit_code == 2


def test_verify_leaves_the_folder_as_it_was(saved):
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in saved.parent.rglob("*")}
    verify_folder(str(saved))
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in saved.parent.rglob("*")} == before


def test_hashes_of_saved_results_follow_from_the_tables(pristine):
    results = load_results(pristine)
    assert isinstance(results, Results)
    hashes = table_hashes(results.tables)
    assert {name: facts["sha256"] for name, facts in results.manifest["tables"].items()} == hashes
    assert results.manifest["content_hash"] == content_hash(hashes)
    assert list(hashes) == list(TABLES)
