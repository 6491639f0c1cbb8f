"""Saving and loading a result folder."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from sim import storage
from sim.columns import TABLES
from sim.content import combine
from sim.environment import identity
from sim.errors import ResultError, UsageError, WriteError
from sim.manifest import run_key
from sim.result_folder import check_replaceable
from sim.results import add_files, load_results, same_run, save
from sim.summary import summarise

from .samples import MadeUpScenario, made_up_results

KEY = {"seed": 1, "runs": 3, "workloads": 100, "options": {"population": "agents"}}


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_saved_results_come_back_to_the_bit(pristine):
    results, loaded = made_up_results(), load_results(pristine)
    for name, table in TABLES.items():
        for column in table.columns:
            left, right = results.tables[name][column.name], loaded.tables[name][column.name]
            assert left.dtype == right.dtype
            if left.dtype == object:
                assert left.tolist() == right.tolist()
            else:
                assert left.tobytes() == right.tobytes()
    assert loaded.content_hash() == results.content_hash() == loaded.manifest["content_hash"]
    assert loaded.scenario == results.scenario
    assert loaded.scenario_text == results.scenario_text


def test_result_folder_holds_the_files_of_the_contract_and_nothing_else_is_left(tmp_path):
    save(made_up_results(), tmp_path / "new" / "made-up", figures={"prices.svg": b"<svg/>"})
    assert names_in(tmp_path / "new" / "made-up") == [
        "figures",
        "figures/prices.svg",
        "labs.parquet",
        "manifest.json",
        "market.parquet",
        "offers.parquet",
        "panels.parquet",
        "scenario.resolved.yaml",
        "segments.parquet",
        "summary.csv",
    ]
    assert os.listdir(tmp_path / "new") == ["made-up"]


def test_two_saves_of_the_same_data_give_the_same_bytes(pristine, tmp_path):
    save(made_up_results(), tmp_path / "again", figures={"adoption.png": b"\x89PNG made up"}, csv=True)
    for name in names_in(pristine):
        if (pristine / name).is_file() and name != "manifest.json":
            assert (pristine / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_parquet_carries_units_scenario_and_page_checksums(pristine):
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pristine / "market.parquet")
    assert file.schema_arrow.field("closed_price").metadata[b"unit"] == b"USD/Mtok"
    assert file.schema_arrow.metadata[b"scenario_hash"] == b"made-up-2.5"
    assert str(file.schema_arrow.field("month").type) == "date32[day]"
    assert file.metadata.row_group(0).column(2).compression == "ZSTD"
    assert "BYTE_STREAM_SPLIT" in file.metadata.row_group(0).column(2).encodings


def test_data_frames_have_dates_and_cannot_change_the_results():
    results = made_up_results()
    market = results.market
    assert str(market["month"].dtype) == "datetime64[ns]"
    assert str(market["month"].min().date()) == "2025-10-01"
    market["open_price"] = 0.0
    assert (results.market["open_price"] > 0).all()
    assert list(results.offers.columns) == [column.name for column in TABLES["offers"].columns]
    assert len(results.labs) == len(results.segments) * 3 // 4 == 54
    assert len(results.panels) == 36


def test_summary_gives_the_known_quantiles():
    market = {
        "run": np.arange(5),
        "month": np.full(5, 671),
        **{column.name: np.full(5, np.nan) for column in TABLES["market"].values},
        "open_price": np.array([4.0, 0.0, 3.0, 1.0, 2.0]),
        "closed_price": np.array([np.nan, 10.0, np.nan, 30.0, np.nan]),
    }
    found = summarise(market)
    assert found["month"].tolist() == [671]
    prices = [found[f"open_price_{band}"][0] for band in ("median", "q05", "q25", "q75", "q95")]
    np.testing.assert_allclose(prices, [2.0, 0.2, 1.0, 3.0, 3.8], rtol=1e-15)
    assert found["closed_price_median"][0] == 20.0
    assert not [name for name in found if name.startswith("gap_months")]


def test_summary_leaves_a_month_empty_where_no_run_has_a_value():
    results = made_up_results()
    summary = results.summary
    assert np.isnan(summary["price_at_eci_140_median"].iloc[:2]).all()
    assert summary["price_at_eci_140_median"].iloc[2:].notna().all()
    market = results.market
    for month, row in summary.set_index("month").iterrows():
        values = market.loc[market["month"] == month, "open_price"]
        assert row["open_price_q05"] == np.quantile(values, 0.05)


def test_summary_file_reads_back_to_the_same_numbers(pristine):
    rows = list(csv.DictReader(io.StringIO((pristine / "summary.csv").read_text())))
    summary = summarise(load_results(pristine).tables["market"])
    assert [row["month"] for row in rows] == [f"2025-{month}-01" for month in (10, 11, 12)] + [
        f"2026-0{month}-01" for month in (1, 2, 3)
    ]
    for name, values in summary.items():
        if name != "month":
            read = [float(row[name]) if row[name] else np.nan for row in rows]
            np.testing.assert_array_equal(read, values)


def test_manifest_tells_what_was_run_and_hides_who_and_where(pristine, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/mallory")
    monkeypatch.setenv("LOGNAME", "mallory")
    monkeypatch.setenv("SIM_TOKEN", "hunter2")
    from sim import environment

    assert environment.redacted("cannot read /home/mallory/x.yaml") == "cannot read ~/x.yaml"
    assert environment.redacted("/data/mallory/runs") == "/data/user/runs"
    assert environment.redacted("/home/mallory2/x") == "/home/mallory2/x"
    monkeypatch.setenv("NUMBA_CPU_NAME", "haswell")
    results = made_up_results()
    text = json.dumps(results.manifest)
    assert results.manifest["machine"]["variables"]["NUMBA_CPU_NAME"] == "haswell"
    assert "mallory" not in text
    assert "hunter2" not in text
    assert results.manifest["scenario"]["files"] == [{"path": "made-up.yaml", "sha256": "0" * 64}]
    assert results.manifest["machine"]["libraries"]["numpy"] == np.__version__
    assert results.manifest["result_id"] == results.content_hash()[:12]
    assert results.manifest["equilibrium_status"] == {"nash": 12, "none": 6}
    assert "labs.gross_profit" in results.manifest["columns_empty"]


def test_content_hash_does_not_depend_on_time_command_or_machine(monkeypatch):
    before = made_up_results().manifest
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    after = made_up_results().manifest
    assert after["machine"] != before["machine"]
    assert after["content_hash"] == before["content_hash"]


def test_violations_make_a_result_invalid():
    from datetime import UTC, datetime

    from sim.manifest import build_manifest

    tables = made_up_results().tables
    common = {**KEY, "started": datetime(2026, 1, 1, tzinfo=UTC), "seconds": 1.0}
    assert build_manifest(MadeUpScenario(), tables, **common)["valid"] is True
    broken = build_manifest(MadeUpScenario(), tables, checked=["shares"], violations=["shares: 1.2"], **common)
    assert broken["valid"] is False
    assert broken["invariants"] == {"checked": ["shares"], "violations": ["shares: 1.2"]}


def test_same_run_is_recognised_and_any_change_of_the_key_is_not(saved):
    key = run_key(MadeUpScenario(), **KEY)
    assert same_run(saved, key)
    assert not same_run(saved, run_key(MadeUpScenario(distrust=3.0), **KEY))
    for change in ({"seed": 2}, {"runs": 4}, {"workloads": 101}, {"options": {"population": "mean-field"}}):
        assert not same_run(saved, run_key(MadeUpScenario(), **{**KEY, **change}))
    assert {"model_version", "code_hash", "numpy", "numba", "llvmlite"} <= set(identity())
    for name in identity():
        assert not same_run(saved, {**key, name: "other"})
    assert not same_run(saved.parent / "nothing", key)


def test_a_result_of_another_library_is_refused_by_the_name_of_the_library(saved):
    key = run_key(MadeUpScenario(), **KEY)
    with pytest.raises(UsageError, match=r"another result \(other random numbers, numba\); --force"):
        check_replaceable(saved, force=False, key={**key, "numba": "0.1", "random_numbers": "dice"})


def test_damaged_result_of_the_same_run_is_not_reused(saved):
    key = run_key(MadeUpScenario(), **KEY)
    (saved / "figures" / "adoption.png").write_bytes(b"other")
    assert not same_run(saved, key)


def test_existing_result_is_not_replaced_without_force(saved):
    before = {name: (saved / name).read_bytes() for name in names_in(saved) if (saved / name).is_file()}
    with pytest.raises(UsageError, match="--force"):
        save(made_up_results(runs=1), saved)
    assert {name: (saved / name).read_bytes() for name in before} == before
    assert os.listdir(saved.parent) == ["made-up"]
    save(made_up_results(runs=1), saved, force=True)
    assert load_results(saved).manifest["runs"] == 1
    assert not (saved / "figures").exists()
    assert os.listdir(saved.parent) == ["made-up"]


@pytest.mark.parametrize("force", [False, True])
def test_foreign_folder_is_never_replaced(tmp_path, force):
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter.txt").write_text("years of work")
    with pytest.raises(UsageError, match="not a result of this program"):
        save(made_up_results(runs=1), thesis, force=force)
    (thesis / "manifest.json").write_text('{"format": "someone else\'s"}')
    with pytest.raises(UsageError, match="not a result of this program"):
        save(made_up_results(runs=1), thesis, force=force)
    assert (thesis / "chapter.txt").read_text() == "years of work"


def test_result_folder_with_a_users_own_file_is_not_replaced_even_with_force(saved):
    (saved / "my notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="my notes"):
        save(made_up_results(runs=1), saved, force=True)
    assert (saved / "my notes.txt").read_text() == "mine"


def test_damaged_result_can_be_replaced_with_force(saved):
    text = (saved / "manifest.json").read_text()
    (saved / "manifest.json").write_text(text[: len(text) // 2])
    (saved / "labs.parquet").unlink()
    save(made_up_results(runs=1), saved, force=True)
    assert load_results(saved).manifest["runs"] == 1


def test_file_in_the_place_of_the_folder_is_refused_and_kept(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UsageError, match="is a file"):
        save(made_up_results(runs=1), tmp_path / "out", force=True)
    assert (tmp_path / "out").read_text() == "mine"


def test_empty_folder_is_used(tmp_path):
    (tmp_path / "out").mkdir()
    save(made_up_results(runs=1), tmp_path / "out")
    assert load_results(tmp_path / "out").manifest["runs"] == 1


def test_a_folder_of_someone_else_beside_the_result_is_left_alone(tmp_path):
    for name in (".out.old-mine", ".out.tmp-1-notes", ".out.old-12-0123abcd.bak"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "work").write_text("mine")
    save(made_up_results(runs=1), tmp_path / "out")
    save(made_up_results(runs=2), tmp_path / "out", force=True)
    assert len(list(tmp_path.glob(".out.*/work"))) == 3


def test_an_interrupted_drawing_leaves_a_result_that_verifies(tmp_path, monkeypatch):
    from sim import storage
    from sim.result_folder import add_files
    from sim.verify import verify_folder

    save(made_up_results(runs=1), tmp_path / "out", figures={"a.png": b"old", "b.png": b"old"})
    real, calls = storage._write_pieces, []

    def interrupted(path, pieces):
        calls.append(path)
        if len(calls) == 3:
            real(path, [b"".join(pieces)[:1]])
            raise KeyboardInterrupt
        real(path, pieces)

    monkeypatch.setattr(storage, "_write_pieces", interrupted)
    with pytest.raises(KeyboardInterrupt):
        add_files(tmp_path / "out", {"figures/a.png": b"new", "figures/b.png": b"new"})
    monkeypatch.setattr(storage, "_write_pieces", real)
    assert not verify_folder(tmp_path / "out").damage
    assert not list((tmp_path / "out").rglob(".*tmp*"))
    save(made_up_results(runs=2), tmp_path / "out", force=True)


def test_folder_names_with_pattern_signs_are_plain_names(tmp_path):
    bystander = tmp_path / ".ax.old-1"
    bystander.mkdir()
    save(made_up_results(runs=1), tmp_path / "[a]x")
    save(made_up_results(runs=2), tmp_path / "[a]x", force=True)
    assert load_results(tmp_path / "[a]x").manifest["runs"] == 2
    assert bystander.is_dir()


def test_link_to_a_result_folder_stays_a_link(saved, tmp_path):
    (tmp_path / "link").symlink_to(saved)
    save(made_up_results(runs=1), tmp_path / "link", force=True)
    assert (tmp_path / "link").is_symlink()
    assert load_results(saved).manifest["runs"] == 1


def test_figures_drawn_anew_are_listed_in_the_manifest(saved):
    add_files(saved, {"figures/adoption.png": b"new", "figures/prices.pdf": b"pdf"})
    files = load_results(saved).manifest["files"]
    assert files["figures/prices.pdf"]["bytes"] == 3
    assert (saved / "figures" / "adoption.png").read_bytes() == b"new"
    for name in ("market.parquet", "figures/../market.parquet", "../x", "/etc/x", "figures/.."):
        with pytest.raises(ValueError, match="is not a file below"):
            add_files(saved, {name: b"x"})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: None, "no such folder"),
        (lambda folder: folder.write_text("x"), "is not a folder"),
        (lambda folder: folder.mkdir(), "manifest.json is missing"),
        (lambda folder: (folder.mkdir(), (folder / "manifest.json").write_text("[]")), "another program"),
        (lambda folder: (folder.mkdir(), (folder / "manifest.json").write_text("{")), "not JSON"),
        (lambda folder: (folder.mkdir(), (folder / "manifest.json").write_text("[" * 100_000)), "not JSON"),
        (lambda folder: (folder.mkdir(), (folder / "manifest.json").write_bytes(b"\xff\xfe")), "not JSON"),
    ],
)
def test_foreign_folders_are_refused_with_one_line(tmp_path, make, words):
    make(tmp_path / "x")
    with pytest.raises(ResultError, match=words) as caught:
        load_results(tmp_path / "x")
    assert "\n" not in str(caught.value)


def test_result_of_a_later_format_is_refused_by_name(saved):
    facts = json.loads((saved / "manifest.json").read_text())
    (saved / "manifest.json").write_text(json.dumps({**facts, "format_version": 99}))
    with pytest.raises(ResultError, match="format version 99"):
        load_results(saved)


def test_crash_between_the_two_renames_is_repaired_on_the_next_look(saved):
    aside = saved.parent / ".made-up.old-1-0123abcd"
    os.rename(saved, aside)
    shutil.copytree(aside, saved.parent / ".made-up.tmp-1-0123abcd")
    assert load_results(saved).manifest["runs"] == 3
    save(made_up_results(runs=1), saved, force=True)
    assert os.listdir(saved.parent) == ["made-up"]


def test_held_folder_is_refused_to_others_and_may_be_nested(tmp_path):
    import subprocess
    import sys

    from sim.errors import FolderHeld

    code = (
        "import sys\nfrom sim import storage\n"
        "with storage.hold(sys.argv[1]):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "out")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(FolderHeld, match="another process"), storage.hold(tmp_path / "out"):
            pass
        with pytest.raises(FolderHeld):
            save(made_up_results(runs=1), tmp_path / "out")
        other.kill()
        other.wait()
    assert (tmp_path / ".out.lock").exists()  # left by the killed process, and taken over
    with storage.hold(tmp_path / "out"):
        save(made_up_results(runs=1), tmp_path / "out")
    assert os.listdir(tmp_path) == ["out"]


def test_read_only_place_gives_one_line_with_the_path(tmp_path, monkeypatch):
    """The refusal is planted: a test may run as root, whom permissions do not bind."""
    import errno

    def refuse(path, *arguments, **named):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

    monkeypatch.setattr(storage.os, "mkdir", refuse)
    with pytest.raises(WriteError, match=r"out: cannot write: Read-only file system; [\d,]+ bytes needed") as caught:
        save(made_up_results(runs=1), tmp_path / "out")
    assert caught.value.exit_code == 74
    monkeypatch.undo()
    assert os.listdir(tmp_path) == []


def test_combined_tables_of_no_runs_can_be_saved(tmp_path):
    save(made_up_results(tables=combine([]), runs=0), tmp_path / "none")
    assert len(load_results(tmp_path / "none").market) == 0


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("sim.cli.results", ("numpy", "pandas", "pyarrow", "matplotlib", "scipy", "mesa", "xlsxwriter")),
        ("sim.results", ("pandas", "pyarrow", "matplotlib", "scipy", "mesa", "xlsxwriter")),
        ("sim.record", ("pandas", "pyarrow", "matplotlib", "scipy", "mesa", "xlsxwriter")),
    ],
)
def test_heavy_libraries_are_loaded_only_when_needed(module, heavy):
    import subprocess
    import sys

    code = f"import sys, {module}; print([name for name in {heavy!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
