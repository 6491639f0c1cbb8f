"""What is on disk is whole or found damaged; what was damaged is computed again, and nothing else is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from sim import environment
from sim.errors import FolderHeld, ResultError, SimError, Unreadable, UsageError
from sim.experiment.check import verify_sweep
from sim.experiment.engines import Inline
from sim.experiment.folder import read_totals
from sim.experiment.sweep import run_sweep
from sim.experiment.sweep_results import SweepResults
from sim.storage import hold

from .made_up import market, plan_of, quick, sweep_text


def resume(folder, plan, **options):
    return run_sweep(plan, folder, Inline, resume=True, task=quick, **options)


def files_of(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_finished_sweep_holds_what_was_computed(finished):
    folder, plan = finished
    results = SweepResults(folder)
    assert results.totals is not None
    assert (results.totals["cells"], results.totals["done_runs"], results.totals["failed_runs"]) == (20, 40, 0)
    assert len(list((folder / "shards").iterdir())) == 5
    seen = {}
    for run in results:
        seen[run.cell, run.run] = run
    assert len(seen) == 40
    for (cell, run), found in seen.items():
        expected = market(cell, run)
        assert found.values == plan.values(cell)
        for name, values in found.tables["market"].items():
            np.testing.assert_array_equal(values, expected[name])
    assert verify_sweep(str(folder)).damage == ()


READS = """
import sys, psutil, pyarrow as pa
from sim.experiment.sweep_results import load_sweep
from sim.parquet import file_bytes
file_bytes(pa.table({"a": [1.0]}))
before = psutil.Process().num_threads()
found = load_sweep(sys.argv[1]).column("open_token_share")
print(len(found), psutil.Process().num_threads() - before)
"""


def test_reading_starts_no_thread_that_could_outlive_python(finished):
    """One that lets go of a file's bytes while Python ends aborts the program, once in ten commands or so."""
    done = subprocess.run([sys.executable, "-c", READS, finished[0]], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["120", "0"]


def test_a_finished_sweep_is_used_again_and_nothing_is_written(finished):
    folder, plan = finished
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files_of(folder)}
    report = run_sweep(plan, folder, Inline, task=quick)
    assert report.computed == 0
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files_of(folder)} == before


def flips(size: int, count: int):
    random = np.random.default_rng(size)
    return zip(random.integers(0, size, count).tolist(), random.integers(0, 8, count).tolist(), strict=True)


def test_300_of_300_flipped_bits_are_found(finished):
    folder, _ = finished
    files = files_of(folder)
    sizes = np.array([path.stat().st_size for path in files])
    random = np.random.default_rng(1)
    chosen = random.choice(len(files), 300, p=sizes / sizes.sum()).tolist()
    chosen[: len(files)] = range(len(files))  # each file at least once
    for number, which in enumerate(chosen):
        path = files[which]
        whole = path.read_bytes()
        place, bit = next(iter(flips(len(whole) + number, 1)))
        damaged = bytearray(whole)
        damaged[place % len(whole)] ^= 1 << bit
        path.write_bytes(damaged)
        assert verify_sweep(str(folder)).damage != (), (path, place, bit)
        path.write_bytes(whole)
    assert verify_sweep(str(folder)).damage == ()


@pytest.mark.parametrize(
    "name",
    [
        "plan.json",
        "design.parquet",
        "log.jsonl",
        "manifest.json",
        "scenarios/baseline.yaml",
        "shards/00002/market.parquet",
        "shards/00003/runs.parquet",
    ],
)
@pytest.mark.parametrize("how", ["flip", "cut", "empty", "gone"])
def test_what_is_damaged_is_found_and_mended(finished, name, how):
    folder, plan = finished
    whole = read_totals(folder)
    path = folder / name
    data = path.read_bytes()
    if how == "flip":
        middle = bytearray(data)
        middle[len(data) // 2] ^= 4
        path.write_bytes(middle)
    elif how == "gone":
        path.unlink()
    else:
        path.write_bytes(data[: len(data) // 3] if how == "cut" else b"")
    if (name, how) == ("manifest.json", "gone"):  # as in a sweep that is not finished
        assert "not finished" in verify_sweep(str(folder)).notes[0]
    elif (name, how) == ("plan.json", "gone"):
        assert verify_sweep(str(folder)).damage != ()
    else:
        assert any(str(path) in line for line in verify_sweep(str(folder)).damage)
    with pytest.raises(SimError):
        run_sweep(plan, folder, Inline, task=quick)  # never taken for finished
    if (name, how) in (("log.jsonl", "gone"), ("log.jsonl", "empty")):
        shutil.rmtree(folder / "corrupt", ignore_errors=True)
    report = resume(folder, plan)
    assert verify_sweep(str(folder)).damage == ()
    assert report.totals["content_hash"] == whole["content_hash"]
    assert report.computed <= (40 if name == "log.jsonl" else 8)


def test_swapped_shards_are_found_and_mended(finished):
    folder, plan = finished
    a, b = (folder / f"shards/0000{k}/market.parquet" for k in (1, 2))
    whole, other = a.read_bytes(), b.read_bytes()
    a.write_bytes(other)
    b.write_bytes(whole)
    assert len(verify_sweep(str(folder)).damage) >= 2
    report = resume(folder, plan)
    assert report.computed == 16
    assert len(report.repairs) == 2
    assert verify_sweep(str(folder)).damage == ()


@pytest.mark.parametrize("cut", range(1, 40, 2))
def test_a_shard_cut_at_any_length_is_found(finished, cut):
    folder, _ = finished
    path = folder / "shards/00001/market.parquet"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * cut // 40])
    assert any("damaged" in line for line in verify_sweep(str(folder)).damage)
    with pytest.raises(ResultError, match="damaged"):
        SweepResults(folder).column("open_token_share")


def test_a_missing_shard_names_its_cells_and_only_its_runs_are_computed_again(finished):
    folder, plan = finished
    shutil.rmtree(folder / "shards/00002")
    lines = verify_sweep(str(folder)).damage
    assert any("runs are missing of cells 8, 9, 10, 11, 12, 13, 14, 15" in line for line in lines), lines
    assert resume(folder, plan).computed == 8


def test_a_file_that_nobody_wrote_is_told(finished):
    folder, _ = finished
    (folder / "shards/00001/extra.parquet").write_bytes(b"x")
    (folder / "notes.txt").write_text("mine")
    lines = verify_sweep(str(folder)).damage
    assert [line.split(": ")[1] for line in lines] == ["not written by this program"] * 2


def test_what_a_file_manager_left_beside_shards_is_no_reason_to_stop(finished):
    folder, plan = finished
    (folder / "manifest.json").unlink()
    strange = [folder / "shards/.DS_Store", folder / ".x.tmp-mine"]
    for path in strange:
        path.write_bytes(b"x")
    (folder / "shards/.00006.tmp-12-0123abcd").mkdir()
    report = resume(folder, plan)
    assert (report.computed, report.repairs) == (0, ())
    assert all(path.exists() for path in strange)
    assert not (folder / "shards/.00006.tmp-12-0123abcd").exists()


@pytest.mark.parametrize(
    "name",
    ["log.jsonl", "design.parquet", "scenarios/baseline.yaml", "shards/00002/market.parquet", "journal-00006.bin"],
)
def test_what_cannot_be_read_is_told_in_one_line_and_not_put_aside(finished, name):
    """A folder in the place of a file is what no user, not even root, can read."""
    folder, plan = finished
    (folder / "manifest.json").unlink()
    path = folder / name
    path.unlink(missing_ok=True)
    path.mkdir()
    line = f"{path}: cannot be read: Is a directory"
    with pytest.raises(Unreadable, match=re.escape(line)):
        list(SweepResults(folder))
    if name == "log.jsonl":
        with pytest.raises(Unreadable, match=re.escape(line)):
            verify_sweep(str(folder))
    else:
        assert line in verify_sweep(str(folder)).damage
    with pytest.raises(SimError):
        resume(folder, plan)
    assert path.is_dir()


def test_a_manifest_that_cannot_be_read_is_told_too(finished):
    folder, _ = finished
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").mkdir()
    assert f"{folder / 'manifest.json'}: cannot be read: Is a directory" in verify_sweep(str(folder)).damage


def test_starting_over_spares_what_the_program_did_not_write(finished):
    folder, plan = finished
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"--force would delete notes.txt"):
        run_sweep(plan, folder, Inline, force=True, task=quick)
    (folder / "notes.txt").unlink()
    assert run_sweep(plan, folder, Inline, force=True, task=quick).computed == 40


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    plan = plan_of(tmp_path, sweep_text())
    (tmp_path / "o").mkdir()
    (tmp_path / "o/thesis.doc").write_text("years of work")
    for force in (False, True):
        with pytest.raises(UsageError, match="not a sweep"):
            run_sweep(plan, tmp_path / "o", Inline, force=force, task=quick)
    assert (tmp_path / "o/thesis.doc").exists()


def test_an_edited_sweep_is_refused_with_the_names_of_what_changed(finished, tmp_path):
    folder, _ = finished
    edited = plan_of(tmp_path, sweep_text(cells=20, runs=2), overrides=["demand.value=6"])
    with pytest.raises(
        UsageError, match=r"holds another sweep; changed: demand.value: \{'triangular'.* -> 6.0; --force"
    ):
        resume(folder, edited)
    commented = plan_of(tmp_path, "# a remark\n" + sweep_text(cells=20, runs=2))
    assert resume(folder, commented).computed == 0


def test_another_program_is_refused_unless_mixing_is_allowed_and_then_every_run_says_so(
    tmp_path, small_shards, monkeypatch
):
    class Half(Inline):
        def submit(self, task, work, batch):
            if batch[0].cell >= 5:
                raise KeyboardInterrupt
            return super().submit(task, work, batch)

    with monkeypatch.context() as former:
        former.setattr(environment, "code_hash", lambda: "0" * 64)
        older = plan_of(tmp_path, sweep_text(cells=10))
        with pytest.raises(KeyboardInterrupt):
            run_sweep(older, tmp_path / "o", Half, task=quick)
    plan = plan_of(tmp_path, sweep_text(cells=10))
    with pytest.raises(UsageError, match=r"another program or library \(code_hash: 000000000000 -> .*--allow-mixed"):
        resume(tmp_path / "o", plan)
    report = resume(tmp_path / "o", plan, allow_mixed=True)
    assert report.totals["mixed"]
    assert report.totals["programs"] == ["0" * 64, environment.code_hash()]
    codes = SweepResults(tmp_path / "o").runs["code"].tolist()
    assert codes == ["0" * 12] * (10 - report.computed) + [environment.code_hash()[:12]] * report.computed
    assert verify_sweep(str(tmp_path / "o")).damage == ()


def test_two_writers_do_not_meet(finished):
    folder, plan = finished
    program = (
        "import sys\nfrom sim.storage import hold\nwith hold(sys.argv[1]):\n"
        "    print('held', flush=True)\n    sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(FolderHeld):
            resume(folder, plan)
        other.kill()  # a killed holder lets go
    with hold(folder):
        pass
    assert resume(folder, plan).computed == 0


def test_the_log_tells_the_history(finished):
    folder, plan = finished
    shutil.rmtree(folder / "shards/00002")
    resume(folder, plan)
    lines = [json.loads(line[9:]) for line in (folder / "log.jsonl").read_text().splitlines() if line]
    assert [line["event"] for line in lines] == ["session", *["shard"] * 5, "dropped", "session", "shard"]
    assert lines[6]["reason"] == "shards/00002/market.parquet: missing"
    assert lines[0]["engine"] == "inline"
    totals = read_totals(folder)
    assert (totals["sessions"], totals["shards"]) == (2, [1, 3, 4, 5, 6])
