"""`sim run` as a user meets it: folder, table, reuse, refusal, interruption, exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from sim.errors import UsageError
from sim.evidence import observations
from sim.experiment.run import bytes_a_process, check_cost, estimated_hours
from sim.results import load_results
from sim.scenario.load import load_scenario

SIM = str(Path(sys.executable).with_name("sim"))
ROOT = Path(__file__).parent.parent.parent
SMALL = ["--runs", "2", "--workloads", "600", "--until", "2026-03"]
BUSY = 6.0  # processor seconds after which a default run is in the middle of its first runs
TABLES = ("market", "labs", "offers", "segments", "panels")


def sim(*arguments, cwd, **environment):
    """Run the command line in a process of its own."""
    return subprocess.run(
        [SIM, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | environment,
        timeout=300,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which the baseline has been run once, with what was printed."""
    place = tmp_path_factory.mktemp("run")
    return place, sim("run", "baseline", *SMALL, "--jobs", "1", cwd=place)


def test_a_run_writes_every_file_of_the_contract(finished):
    place, done = finished
    assert done.returncode == 0, done.stderr
    folder = place / "outputs" / "baseline"
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert {f"{name}.parquet" for name in TABLES} <= files
    assert {"summary.csv", "scenario.resolved.yaml", "manifest.json"} <= files
    assert {
        f"figures/{n}.{k}" for n in ("adoption", "prices", "capability", "compute") for k in ("png", "svg")
    } <= files
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["valid"]
    assert manifest["options"]["twin"] == "weights_withheld"
    assert manifest["columns_not_filled"] == []
    assert sum(manifest["equilibrium_status"].values()) == manifest["tables"]["market"]["rows"]
    assert set(manifest["equilibrium_status"]) - {"none"}


def test_columns_that_are_empty_are_the_ones_the_manifest_names(finished):
    place, _ = finished
    manifest = json.loads((place / "outputs/baseline/manifest.json").read_text())
    assert set(manifest["columns_empty"]) == set(manifest["columns_not_filled"])


@pytest.mark.parametrize(
    ("options", "twin"),
    [(["--no-twin"], "none"), (["--twin", "none"], "none"), (["--twin", "never_developed"], "never_developed")],
)
def test_a_run_may_have_no_twin_or_another_one(tmp_path, options, twin):
    small = ["--runs", "1", "--workloads", "200", "--until", "2026-01", "--out", tmp_path / "r", "--quiet"]
    done = sim("run", "baseline", *small, *options, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    manifest = json.loads((tmp_path / "r/manifest.json").read_text())
    assert manifest["options"]["twin"] == twin
    assert ("market.pricing_pressure" in manifest["columns_empty"]) == (twin == "none")


def test_a_twin_that_is_unknown_is_refused_in_one_line(tmp_path):
    done = sim("run", "baseline", *SMALL, "--twin", "no_weights", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip().splitlines()[-1].endswith("allowed are weights_withheld, never_developed, or none")
    assert "no_weights" in done.stderr
    assert not (tmp_path / "outputs").exists()


def test_the_screen_shows_the_table_and_where_the_files_are(finished):
    _, done = finished
    rows = ("Open share of tokens", "Closed price paid", "Open behind closed", "Pricing pressure on closed")
    for words in (*rows, "List prices labs want", "2025-12", "outputs/baseline/"):
        assert words in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_the_manifest_names_the_series_of_the_evidence_without_a_counterpart(finished):
    place, _ = finished
    folder = place / "outputs/baseline"
    missing = set(json.loads((folder / "manifest.json").read_text())["panels_not_observed"])
    panels = load_results(folder).tables["panels"]
    recorded = {f"{panel}: {series}" for panel, series in zip(panels["panel"], panels["series"], strict=True)}
    observed = {f"{seen.panel}: {seen.series}" for seen in observations()}
    assert missing == observed - recorded
    assert "enterprise: share_using_5_or_more_models" in missing
    assert observed & recorded


def test_the_same_run_again_is_reused_and_another_one_refused(finished):
    place, _ = finished
    before = (place / "outputs/baseline/manifest.json").read_bytes()
    again = sim("run", "baseline", *SMALL, cwd=place)
    assert again.returncode == 0
    assert "Already there" in again.stderr
    other = sim("run", "baseline", *SMALL[:-1], "2026-04", cwd=place)
    assert other.returncode == 2
    assert "--force" in other.stderr
    assert len(other.stderr.strip().splitlines()) == 1
    assert (place / "outputs/baseline/manifest.json").read_bytes() == before


def test_force_replaces_and_json_is_one_document(finished, tmp_path):
    place, _ = finished
    done = sim("run", "baseline", *SMALL, "--out", tmp_path / "r", "--json", cwd=place)
    document = json.loads(done.stdout)
    assert document["valid"]
    assert not document["reused"]
    once_more = sim("run", "baseline", *SMALL, "--out", tmp_path / "r", "--force", "--quiet", cwd=place)
    assert (once_more.returncode, once_more.stdout) == (0, "")
    reused = json.loads(sim("run", "baseline", *SMALL, "--out", tmp_path / "r", "--json", cwd=place).stdout)
    assert reused["reused"]
    assert reused["content_hash"] == document["content_hash"]


@pytest.mark.parametrize("hash_seed", ["0", "1", "random"])
def test_content_does_not_depend_on_workers_or_hash_seed(finished, tmp_path, hash_seed):
    place, _ = finished
    done = sim(
        "run", "baseline", *SMALL, "--jobs", "2", "--out", tmp_path / "r", "--json", cwd=place, PYTHONHASHSEED=hash_seed
    )
    expected = json.loads((place / "outputs/baseline/manifest.json").read_text())["content_hash"]
    assert json.loads(done.stdout)["content_hash"] == expected


def test_figures_of_two_equal_runs_are_the_same_bytes(finished, tmp_path):
    place, _ = finished
    sim("run", "baseline", *SMALL, "--out", tmp_path / "r", cwd=place)
    for picture in sorted((place / "outputs/baseline/figures").iterdir()):
        assert (tmp_path / "r/figures" / picture.name).read_bytes() == picture.read_bytes(), picture.name


def test_verify_diff_export_and_plot_work_on_a_real_result(finished, tmp_path):
    place, _ = finished
    folder = place / "outputs/baseline"
    assert sim("verify", folder, cwd=tmp_path).returncode == 0
    other = tmp_path / "tight"
    sim("run", "tight-controls", *SMALL[:-1], "2026-12", "--out", other, cwd=tmp_path)
    assert sim("diff", folder, folder, cwd=tmp_path).returncode == 0
    compared = sim("diff", folder, other, cwd=tmp_path)
    assert compared.returncode == 1
    assert "h200-ban" in compared.stdout
    assert sim("export", folder, "--out", tmp_path / "csv", cwd=tmp_path).returncode == 0
    assert sim("plot", folder, "--format", "pdf", "--out", tmp_path / "pdf", cwd=tmp_path).returncode == 0
    assert (tmp_path / "pdf/adoption.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "basline"], "baseline"),
        (["run", "baseline", "--set", "demand.valeu=3"], "demand.value"),
        (["run", "baseline", "--runs", "0"], "runs"),
        (["run", "baseline", "--until", "2023-01"], "2023-01"),
        (["run", "baseline", "--until", "soon"], "YYYY-MM"),
        (["run", "baseline", "--workloads", "1000000000000"], "workloads"),
        (["run", "baseline", "--jobs", "0"], "jobs"),
        (["run", "baseline", "--population", "mean-feld"], "did you mean 'mean-field'?"),
        (
            ["run", "baseline", "--nodes", "63"],
            "nodes: 63 is out of bounds; allowed is a whole number from 64 to 65536",
        ),
        (["run", "baseline", "--noise", "none"], "noise: 'none' is not one of shared, options"),
        (["run", "no/such/file.yaml"], "no/such/file.yaml"),
        (["rnu", "baseline"], "run"),
        (["run"], "SCENARIO"),
    ],
)
def test_a_mistake_is_answered_at_once_and_writes_nothing(tmp_path, arguments, words):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = sim(*arguments, cwd=tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    # The requirement is one second on an idle machine; its own time does not depend on what else runs there.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3.0
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def by_nodes(tmp_path_factory):
    """A folder with a result of taste nodes, with the options and what was printed."""
    place = tmp_path_factory.mktemp("nodes")
    options = ["--runs", "1", "--until", "2026-02", "--no-twin", "--nodes", "64", "--population", "mean-field"]
    return place, options, sim("run", "baseline", *options, cwd=place)


def test_a_result_of_taste_nodes_says_so_and_what_it_cannot_fill(by_nodes):
    place, _, done = by_nodes
    assert (done.returncode, done.stderr) == (0, "")
    assert "64 taste nodes" in done.stdout
    results = load_results(place / "outputs/baseline")
    options = {"population": "mean-field", "nodes": 64, "noise": "shared", "twin": "none"}
    assert results.manifest["options"] == options
    assert results.manifest["valid"]
    panels = results.tables["panels"]
    names = [f"panels.{p}.{s}" for p, s in zip(panels["panel"], panels["series"], strict=True)]
    filled = {name for name, value in zip(names, panels["value"], strict=True) if value == value}
    empty = set(results.manifest["columns_not_filled"])
    assert len(empty) == 3
    assert empty <= set(names) - filled


def test_another_population_is_another_result_and_the_same_one_is_reused(by_nodes):
    place, options, _ = by_nodes
    before = (place / "outputs/baseline/manifest.json").read_bytes()
    assert "Already there" in sim("run", "baseline", *options, cwd=place).stderr
    for change in (["--population", "agents"], ["--nodes", "65"], ["--noise", "options"]):
        other = sim("run", "baseline", *options, *change, "--quiet", cwd=place)
        assert other.returncode == 2, change
        assert "--force" in other.stderr
        assert len(other.stderr.strip().splitlines()) == 1
    assert (place / "outputs/baseline/manifest.json").read_bytes() == before


def test_workloads_asked_for_under_mean_field_are_answered_in_one_line(by_nodes, tmp_path):
    _, options, _ = by_nodes
    done = sim("run", "baseline", *options, "--workloads", "300", "--json", "--out", tmp_path / "r", cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (0, 1)
    assert done.stderr.startswith("--workloads: without effect under mean-field")
    assert json.loads(done.stdout)["valid"]


def test_the_estimate_counts_what_carries_the_population():
    agents = load_scenario("baseline", workloads=4_000_000)
    nodes = agents.replace(population="mean-field")
    assert bytes_a_process(nodes) == bytes_a_process(nodes.replace(workloads=200))
    assert bytes_a_process(agents) > bytes_a_process(nodes.replace(nodes=65_536)) > bytes_a_process(nodes)
    assert estimated_hours(nodes, 1) == estimated_hours(nodes.replace(workloads=200), 1)
    assert estimated_hours(agents, 1) > estimated_hours(nodes.replace(nodes=65_536), 1) > estimated_hours(nodes, 1)
    assert estimated_hours(agents.replace(noise="options"), 1) > 1.5 * estimated_hours(agents, 1)
    with pytest.raises(UsageError, match=r"with 65,536 nodes take about .* use fewer --runs or --nodes"):
        check_cost(nodes.replace(nodes=65_536, runs=10_000), 1)


def test_an_ensemble_that_cannot_fit_is_refused_before_it_starts(tmp_path):
    done = sim("run", "baseline", "--workloads", "10000000", "--jobs", "64", "--runs", "64", cwd=tmp_path)
    assert done.returncode == 2
    assert "GB" in done.stderr
    done = sim("run", "baseline", "--workloads", "5000000", "--jobs", "1", "--runs", "10000", cwd=tmp_path)
    assert done.returncode == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interrupted_run_leaves_nothing_behind(tmp_path, sent, code, jobs):
    process = subprocess.Popen(
        [SIM, "run", "baseline", "--jobs", jobs],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    lock = tmp_path / "outputs" / ".baseline.lock"
    wait_until(lambda: lock.exists() or process.poll() is not None)
    wait_until(lambda: process.poll() is not None or seconds_spent(process.pid) > BUSY)
    assert process.poll() is None, "it ended by itself"
    process.send_signal(sent)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == code
    assert "Traceback" not in errors
    assert [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")] == ["outputs"], "only the empty parent folder"
    wait_until(lambda: not members_of(process.pid), seconds=5.0, why="a worker outlived the run")


def test_a_second_run_of_the_same_folder_is_told_at_once(tmp_path):
    command = [SIM, "run", "baseline", "--jobs", "1"]
    first = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        wait_until((tmp_path / "outputs" / ".baseline.lock").exists)
        second = sim("run", "baseline", *SMALL, cwd=tmp_path)
        assert second.returncode == 75
        assert "another process" in second.stderr
    finally:
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=30)


def wait_until(true, seconds: float = 120.0, why: str = "it did not happen in time") -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, why
        time.sleep(0.05)


def seconds_spent(pid: int) -> float:
    """Return the processor time of a program and its workers [s]; on a busy machine it passes later."""
    spent = 0.0
    for each in members_of(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            spent += sum(psutil.Process(each).cpu_times()[:2])
    return spent


def members_of(session: int) -> list[int]:
    """Return the living processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def test_a_folder_that_cannot_be_written_ends_with_74(tmp_path):
    place = tmp_path / "file"
    place.write_text("in the way")
    done = sim("run", "baseline", *SMALL, "--out", place / "r", cwd=tmp_path)
    assert done.returncode in (2, 74)
    assert "Traceback" not in done.stderr
    assert place.read_text() == "in the way"


def test_an_internal_error_is_one_line_unless_debugging(tmp_path):
    broken = "import sim.experiment.run as r\ndef fail(*a, **k): raise ValueError('planted')\nr.check_cost = fail\n"
    program = broken + "import sys\nfrom sim.cli import main\nsys.exit(main(['run', 'baseline']))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 70
    assert "planted" in done.stderr
    assert "Traceback" not in done.stderr
    loud = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"SIM_DEBUG": "1"},
    )
    assert "Traceback" in loud.stderr
