"""`sim sweep` and its sisters as a user meets them: screens, JSON, exit codes, interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from sim.errors import UsageError

SIM = str(Path(sys.executable).with_name("sim"))
TEXT = (
    "name: tiny\nscenario: baseline\ndesign: {kind: grid}\nfactors:\n  demand.value: [6, 9, 12]\n"
    "  events.h200-thaw.quota: [0, 400000]\nruns: 2\nworkloads: 200\nuntil: 2024-01\n"
)


def start(*arguments, cwd, **options):
    """Start the command line in a process group of its own."""
    return subprocess.Popen(
        [SIM, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        start_new_session=True,
        **options,
    )


def sim(*arguments, cwd):
    """Run the command line; return its exit code, output and errors."""
    with start(*arguments, cwd=cwd) as process:
        out, errors = process.communicate(timeout=300)
    return process.returncode, out, errors


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder in which the sweep has been run once, with what was printed."""
    place = tmp_path_factory.mktemp("sweep")
    (place / "tiny.yaml").write_text(TEXT)
    return place, sim("sweep", "tiny.yaml", "--jobs", "2", cwd=place)


def test_a_sweep_ends_with_a_table_and_a_folder(done):
    place, (code, out, errors) = done
    assert code == 0, errors
    assert "note: baseline has no event 'h200-thaw'; it is taken from the packaged scenario chip-thaw" in errors
    assert "closed_price USD/Mtok" in out
    assert out.splitlines()[-1].endswith("in outputs/tiny/: 6 of 6 cells, 12 runs")
    names = {path.name for path in (place / "outputs/tiny").iterdir()}
    assert names == {"plan.json", "design.parquet", "scenarios", "log.jsonl", "shards", "manifest.json"}


def test_the_same_sweep_again_is_used_again(done):
    place, (_, out, _) = done
    code, again, errors = sim("sweep", "tiny.yaml", cwd=place)
    assert code == 0
    assert again == out
    assert "Already there: the same sweep and version gave outputs/tiny" in errors
    code, out, _ = sim("sweep", "tiny.yaml", "--json", cwd=place)
    found = json.loads(out)
    assert (code, found["computed"], found["cells"], found["done"], found["failed"]) == (0, 0, 6, 6, 0)


def test_to_resume_what_is_not_there_is_to_start_and_is_said(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TEXT.replace("runs: 2", "runs: 1"))
    code, _, errors = sim("sweep", "tiny.yaml", "--resume", "--jobs", "1", cwd=tmp_path)
    assert code == 0, errors
    assert errors.splitlines()[-1] == f"nothing to resume in {tmp_path / 'outputs/tiny'}; starting"
    assert "nothing to resume" not in sim("sweep", "tiny.yaml", "--resume", cwd=tmp_path)[2]


def test_an_engine_that_does_not_exist_is_refused(tmp_path):
    import sim as package

    (tmp_path / "tiny.yaml").write_text(TEXT)
    with pytest.raises(UsageError, match="engine: 'dsk' is unknown; allowed are local, dask, or an executor"):
        package.sweep(tmp_path / "tiny.yaml", engine="dsk", out=tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_an_edited_sweep_is_refused_and_force_starts_over(done):
    place, _ = done
    code, out, errors = sim("sweep", "tiny.yaml", "--set", "demand.enterprise.distrust=1", cwd=place)
    assert (code, out) == (2, "")
    assert "outputs/tiny: holds another sweep; changed: demand.enterprise.distrust: " in errors.splitlines()[-1]
    assert "--force" in errors


def test_a_dry_run_tells_cells_size_and_hours_and_writes_nothing(done, tmp_path):
    place, _ = done
    code, out, _ = sim("sweep", place / "tiny.yaml", "--dry-run", cwd=tmp_path)
    assert code == 0
    assert "tiny: 6 cells x 2 runs = 12 runs" in out
    assert "levers   events.h200-thaw.quota" in out
    assert "uncertain demand.value" in out
    found = json.loads(sim("sweep", place / "tiny.yaml", "--dry-run", "--json", cwd=tmp_path)[1])
    assert (found["cells"], found["runs"]) == (6, 12)
    assert found["disk_bytes"] > 0
    assert found["hours"] > 0
    assert list(tmp_path.iterdir()) == []


def test_the_estimate_of_disk_is_of_the_right_size(done, tmp_path):
    place, _ = done
    found = json.loads(sim("sweep", place / "tiny.yaml", "--dry-run", "--json", cwd=tmp_path)[1])
    used = sum(path.stat().st_size for path in (place / "outputs/tiny/shards").rglob("*.parquet"))
    assert used / 4 < found["disk_bytes"] < 10 * used


def test_status_and_verify_and_reproduce_of_a_sound_sweep(done):
    place, _ = done
    code, out, _ = sim("status", "outputs/tiny", cwd=place)
    assert (code, out) == (0, "tiny: finished; 6 of 6 cells done, 0 failed\n  runs: 12 of 12 done, 0 failed\n")
    found = json.loads(sim("status", "outputs/tiny", "--json", cwd=place)[1])
    assert (found["planned"], found["done"], found["failed"]) == (6, 6, 0)
    code, out, _ = sim("verify", "outputs/tiny", cwd=place)
    assert code == 0
    assert "outputs/tiny: sound; " in out
    code, out, _ = sim("reproduce", "outputs/tiny", "--sample", "3", "--json", cwd=place)
    assert code == 0
    found = json.loads(out)
    assert (found["runs"], found["sample"], found["equal"], found["differing"]) == (12, 3, 3, [])


def test_diff_of_two_sweeps_names_inputs_and_paired_differences(done):
    place, _ = done
    code, _, errors = sim("sweep", "tiny.yaml", "--set", "demand.enterprise.adoption_cost=2", "--out", "o2", cwd=place)
    assert code == 0, errors
    code, out, _ = sim("diff", "outputs/tiny", "o2", cwd=place)
    assert code == 1
    assert "demand.enterprise.adoption_cost: 4.0 -> 2.0" in out
    assert "Runs: 12 and 12; 12 in both, 0 with the same content." in out
    found = json.loads(sim("diff", "outputs/tiny", "o2", "--json", cwd=place)[1])
    assert found["outcomes"][0]["replicates"] == 2
    assert sim("diff", "outputs/tiny", "outputs/tiny", cwd=place)[0] == 0
    code, _, errors = sim("diff", "outputs/tiny", "baseline", cwd=place)
    assert (code, errors) == (2, "outputs/tiny is a sweep and baseline a scenario; give two of one kind\n")


def test_export_writes_csv_and_xlsx(done, tmp_path):
    place, _ = done
    code, out, _ = sim("export", "outputs/tiny", "--out", tmp_path / "csv", cwd=place)
    assert code == 0
    names = {Path(line).name for line in out.splitlines()}
    assert names == {"cells.csv", "failures.csv", "market.csv", "runs.csv"}
    lines = (tmp_path / "csv/market.csv").read_text().splitlines()
    assert len(lines) == 1 + 12 * 7
    assert lines[0].startswith("cell,run,month,open_workload_share,")
    assert len((tmp_path / "csv/cells.csv").read_text().splitlines()) == 7
    code, out, _ = sim("export", "outputs/tiny", "--format", "xlsx", "--out", tmp_path / "t.xlsx", cwd=place)
    assert code == 0
    assert (tmp_path / "t.xlsx").stat().st_size > 5000


BEGUN = TEXT.replace("runs: 2", "runs: 40")


@pytest.mark.parametrize(
    ("engine", "number", "code"),
    [("local", signal.SIGINT, 130), ("local", signal.SIGTERM, 143), ("dask", signal.SIGINT, 130)],
)
def test_a_stop_is_one_message_with_the_way_on_and_leaves_no_process(tmp_path, engine, number, code):
    (tmp_path / "tiny.yaml").write_text(BEGUN)
    with start("sweep", "tiny.yaml", "--engine", engine, "--jobs", "2", "--quiet", cwd=tmp_path) as process:
        journal = tmp_path / "outputs/tiny/journal-00001.bin"
        wait_until(lambda: journal.exists() and journal.stat().st_size > 0)
        family = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, number)
        asked = time.monotonic()
        out, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert out == ""
    (line,) = errors.splitlines()
    assert "of 240 runs are kept in" in line
    assert line.endswith(f"go on with: sim sweep tiny.yaml --engine {engine} --jobs 2 --quiet --resume")
    assert psutil.wait_procs(family, timeout=max(0.0, asked + 5 - time.monotonic()))[1] == []
    found = json.loads(sim("status", "outputs/tiny", "--json", cwd=tmp_path)[1])
    assert 0 < found["runs"]["done"] < 240
    assert not found["finished"]
    exit_code, _, errors = sim("sweep", "tiny.yaml", cwd=tmp_path)
    assert exit_code == 2
    assert "holds this sweep, not finished; --resume goes on with it" in errors


@pytest.mark.parametrize("engine", ["local", "dask"])
@pytest.mark.parametrize("after", [0.0, 0.15, 0.3, 0.6])
def test_a_stop_while_workers_start_is_the_same_message(tmp_path, after, engine):
    """Sent twice, as `timeout` does: to the program, and to its group."""
    (tmp_path / "tiny.yaml").write_text(BEGUN)
    with start("sweep", "tiny.yaml", "--engine", engine, "--jobs", "2", "--quiet", cwd=tmp_path) as process:
        wait_until(lambda: (tmp_path / "outputs/tiny/log.jsonl").exists())
        time.sleep(after)
        process.send_signal(signal.SIGINT)
        time.sleep(0.001)
        os.killpg(process.pid, signal.SIGINT)
        out, errors = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    (line,) = errors.splitlines()
    assert line.endswith(f"go on with: sim sweep tiny.yaml --engine {engine} --jobs 2 --quiet --resume")


def wait_until(true, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def test_workers_of_a_killed_coordinator_end_themselves(tmp_path):
    (tmp_path / "tiny.yaml").write_text(BEGUN)
    with start("sweep", "tiny.yaml", "--jobs", "2", cwd=tmp_path) as process:
        journal = tmp_path / "outputs/tiny/journal-00001.bin"
        wait_until(lambda: journal.exists() and journal.stat().st_size > 0)
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) >= 2
        process.kill()
        process.communicate()
    assert psutil.wait_procs(family, timeout=5)[1] == []
    code, out, errors = sim("sweep", "tiny.yaml", "--resume", "--jobs", "2", "--runs", "40", cwd=tmp_path)
    assert code == 0, errors
    assert "6 of 6 cells, 240 runs" in out


def test_a_second_writer_exits_75_within_a_second_of_its_start(tmp_path):
    (tmp_path / "tiny.yaml").write_text(BEGUN)
    with start("sweep", "tiny.yaml", "--jobs", "1", cwd=tmp_path) as first:
        wait_until(lambda: (tmp_path / "outputs/tiny/log.jsonl").exists())
        spent = {"--resume": [], "--dry-run": []}  # the second is the same start without meeting the lock
        for option in 3 * list(spent):  # of three the quickest: a busy machine may hold up any one
            started = time.monotonic()
            code, _, errors = sim("sweep", "tiny.yaml", option, cwd=tmp_path)
            spent[option].append(time.monotonic() - started)
            if option == "--resume":
                assert code == 75
                assert errors.splitlines()[-1].endswith("wait for it or choose --out")
        assert min(spent["--resume"]) < min(spent["--dry-run"]) + 1.0
        assert json.loads(sim("status", "outputs/tiny", "--json", cwd=tmp_path)[1])["running"]
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()


def test_failed_cells_are_listed_and_the_exit_code_is_3(tmp_path):
    text = TEXT.replace("events.h200-thaw.quota: [0, 400000]", "ensemble.workloads: [200, 2000000]")
    (tmp_path / "tiny.yaml").write_text(text.replace("[6, 9, 12]", "[6]").replace("runs: 2\n", "runs: 1\n"))
    code, out, errors = sim("sweep", "tiny.yaml", "--jobs", "2", "--memory-limit", "1000", "--force", cwd=tmp_path)
    assert code == 3, out + errors
    assert "1 of 2 cells" in out
    assert "failed: cell 1, run 0, " in errors
    assert "out of memory: it needs more than 1.0 GB" in errors
    code, out, _ = sim("status", "outputs/tiny", cwd=tmp_path)
    assert code == 0
    assert "1 of 2 cells done, 1 failed" in out
    assert "out of memory" in out
    assert sim("sweep", "tiny.yaml", "--resume", "--memory-limit", "1000", cwd=tmp_path)[0] == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sweep", "nothing"], "no such file, and no packaged sweep"),
        (["sweep", "tiny.yaml", "--runs", "0"], "0 is not allowed"),
        (["sweep", "tiny.yaml", "--twin", "mirror"], "twin: 'mirror' is unknown"),
        (["sweep", "tiny.yaml", "--set", "x=1"], "unknown path"),
        (["sweep", "tiny"], "did you mean 'tiny.yaml'?"),
        (["run", "tiny"], "did you mean 'tiny.yaml'?"),
        (["status", "nowhere"], "no such folder"),
        (["reproduce", "."], "not a result folder"),
        (["reproduce", ".", "--sample", "x"], "neither a part such as 5% nor a number"),
        (["verify", "nowhere"], "no such folder"),
    ],
)
def test_a_mistake_is_one_line_exit_2_and_writes_nothing(tmp_path, arguments, words):
    (tmp_path / "tiny.yaml").write_text(TEXT)
    code, out, errors = sim(*arguments, cwd=tmp_path)
    assert code == 2
    assert words in out + errors
    assert "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


def test_a_disk_too_small_for_the_sweep_is_refused_before_it_starts(tmp_path):
    text = TEXT.replace("[6, 9, 12]", "{uniform: [6, 12]}").replace("{kind: grid}", "{kind: lhs, samples: 5000000}")
    (tmp_path / "tiny.yaml").write_text(text.replace("runs: 2", "runs: 10000\nstore: full"))
    code, _, errors = sim("sweep", "tiny.yaml", cwd=tmp_path)
    assert code == 2
    assert "of disk" in errors.splitlines()[-1]
    assert "--force" in errors.splitlines()[-1]
    assert not (tmp_path / "outputs").exists()


def test_reproduce_works_for_a_result_of_sim_run_and_notices_a_changed_number(tmp_path):
    arguments = ["run", "baseline", "--runs", "2", "--workloads", "200", "--until", "2024-02", "--no-twin", "--quiet"]
    assert sim(*arguments, "--out", "r", cwd=tmp_path)[0] == 0
    code, out, _ = sim("reproduce", "r", "--sample", "100%", cwd=tmp_path)
    assert (code, out) == (0, "r: 2 of 2 runs came out the same, of 2 in all\n")
    assert json.loads(sim("status", "r", "--json", cwd=tmp_path)[1])["planned"] == 2
    import sim as package

    results = package.load_results(tmp_path / "r")
    tables = {name: dict(columns) for name, columns in results.tables.items()}
    tables["market"]["closed_price"] = tables["market"]["closed_price"] * (1 + 1e-12)
    from sim.content import content_hash, table_hashes

    hashes = table_hashes(tables)
    facts = {**results.manifest, "content_hash": content_hash(hashes), "result_id": content_hash(hashes)[:12]}
    facts["tables"] = {name: {**facts["tables"][name], "sha256": hashes[name]} for name in hashes}
    facts["key"] = {**facts["key"], "numba": "0.1"}
    changed = package.Results(tables, facts, results.scenario, results.scenario_text)
    package.save(changed, tmp_path / "changed")
    code, out, errors = sim("reproduce", "changed", "--sample", "100%", cwd=tmp_path)
    assert code == 1
    assert "0 of 2 runs came out the same" in out
    assert "numba: 0.1 -> " in errors
