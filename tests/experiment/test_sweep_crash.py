"""A sweep survives an end at any system call: nothing torn, nothing wrong, at most what was in flight lost."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import sim
from sim import storage
from sim.experiment import store
from sim.experiment.check import verify_sweep
from sim.experiment.engines import Inline
from sim.experiment.plan_files import plan_files, read_plan
from sim.experiment.sweep import run_sweep
from sim.experiment.sweep_results import SweepResults

from .made_up import market, plan_of, quick, sweep_text

SEARCH = os.pathsep.join([str(Path(__file__).resolve().parent.parent), str(Path(sim.__file__).parent.parent)])
ENVIRONMENT = {**os.environ, "PYTHONPATH": SEARCH, "PYTHONDONTWRITEBYTECODE": "1"}
PROGRAM = [sys.executable, "-m", "experiment.crashing"]
CELLS = 10  # in shards of four: two full ones, and one of two
IN_FLIGHT = 2  # of the inline engine: one batch of one run in each place of its window
# One act is one of several system calls, depending on the system.
NAMES = {"mkdir": "mkdir,mkdirat", "rename": "rename,renameat,renameat2", "unlink": "unlink,unlinkat,rmdir",
         "truncate": "truncate,ftruncate"}  # fmt: skip


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """A folder with the files of a plan, and the content hash of its uninterrupted run."""
    place = tmp_path_factory.mktemp("planned")
    plan = plan_of(place, sweep_text(cells=CELLS))
    storage.write_folder(place / "plan", plan_files(plan))
    return place / "plan", run_sweep(plan, place / "o", Inline, task=quick).totals["content_hash"]


def traced(folder: Path, plan: Path, *options: str, files: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the program under strace; it works in one thread."""
    command = ["strace", "-qq", "-o", str(folder.parent / "trace"), *options, *PROGRAM, str(folder), str(plan)]
    command += ["inline", str(files)]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=120, check=False)


@pytest.fixture(scope="module")
def calls(planned, tmp_path_factory):
    """How many calls of each kind an uninterrupted run makes; skipped without strace, but never on the build server."""
    folder = tmp_path_factory.mktemp("count") / "o"
    reason = "strace is not installed"
    kinds = ("write", "fsync", "rename", "unlink", "mkdir", "truncate")
    if shutil.which("strace"):
        names = ",".join(NAMES.get(kind, kind) for kind in kinds)
        run = traced(folder, planned[0], "-e", f"trace={names}")
        if run.returncode == 0:
            lines = (folder.parent / "trace").read_text().splitlines()
            made = [line.split("(")[0] for line in lines if "(" in line]
            return {kind: sum(name in NAMES.get(kind, kind).split(",") for name in made) for kind in kinds}
        reason = f"strace does not work here: {run.stderr.strip().splitlines()[-1:]}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def check_whole_and_resume(folder: Path, planned, kept: int) -> None:
    """Look at what a dead session left, go on, and compare with the run that was not interrupted."""
    plan, whole = planned
    if folder.exists():
        report = verify_sweep(str(folder))
        assert [line for line in report.damage if "not written by this program" not in line] == []
        if (folder / "log.jsonl").exists():
            there = list(SweepResults(folder))
            assert len(there) >= kept, "a finished run was lost"
            for run in there:
                np.testing.assert_array_equal(run.tables["market"]["closed_price"], market(run.cell, 0)["closed_price"])
    before, store.SHARD_MOST = store.SHARD_MOST, 4
    try:
        report = run_sweep(read_plan(plan), folder, Inline, resume=True, task=quick)
    finally:
        store.SHARD_MOST = before
    assert report.totals["content_hash"] == whole
    assert report.repairs == ()
    assert verify_sweep(str(folder)).damage == ()
    assert not (folder / "corrupt").exists()
    assert [path.name for path in folder.parent.iterdir() if path.name not in ("o", "trace")] == []
    assert [path.name for path in folder.rglob(".*")] == []


def last_number(text: str) -> int:
    numbers = [int(line) for line in text.splitlines() if line.isdigit()]
    return numbers[-1] if numbers else 0


def killed_at(tmp_path: Path, planned, kind: str, number: int) -> bool:
    """Kill the program at a call; then look, and go on; return whether it was alive at that call."""
    names = NAMES.get(kind, kind)
    run = traced(tmp_path / "o", planned[0], "-e", f"trace={names}", "-e",
                 f"inject={names}:signal=SIGKILL:when={number}")  # fmt: skip
    check_whole_and_resume(tmp_path / "o", planned, last_number(run.stdout))
    return run.returncode != 0


# Of 31 writes: the first runs told as kept, those of the last shard in the journal, and the line that makes it count.
SAMPLE = [("write", 9), ("write", 25), ("write", 30), ("fsync", 3), ("fsync", 14), ("fsync", 21), ("rename", 1),
          ("rename", 2), ("unlink", 1), ("mkdir", 3), ("mkdir", 4)]  # fmt: skip


@pytest.mark.parametrize(("kind", "number"), SAMPLE)
def test_a_kill_at_a_call_loses_nothing(calls, tmp_path, planned, kind, number):
    assert killed_at(tmp_path, planned, kind, number)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["write", "fsync", "rename", "unlink", "mkdir", "truncate"])
def test_a_kill_at_every_call_loses_nothing(calls, tmp_path, planned, kind):
    for number in range(1, calls[kind] + 1):
        place = tmp_path / str(number)
        place.mkdir()
        assert killed_at(place, planned, kind, number), f"{kind} {number}"


def refused(tmp_path: Path, planned, kind: str, number: int, error: str) -> bool:
    """Let a call fail; the program must say so in one line, exit with 74, and be able to go on."""
    names = NAMES.get(kind, kind)
    run = traced(tmp_path / "o", planned[0], "-e", f"trace={names}", "-e",
                 f"inject={names}:error={error}:when={number}")  # fmt: skip
    line = run.stdout.splitlines()[-1]
    if run.returncode == 0 or (kind == "write" and not line.startswith("/")):
        return False  # the call was no matter of the folder, such as a line on the screen
    assert run.returncode == 74, run.stdout + run.stderr
    assert re.match(rf"{re.escape(str(tmp_path / 'o'))}\S*: cannot write: .*; [\d,]+ bytes needed", line)
    assert run.stderr == ""
    check_whole_and_resume(tmp_path / "o", planned, last_number(run.stdout))
    return True


@pytest.mark.parametrize(
    ("kind", "number", "error"),
    [("write", 12, "ENOSPC"), ("fsync", 9, "EIO"), ("rename", 2, "EACCES"), ("mkdir", 3, "EROFS"),
     ("unlink", 1, "EACCES"), ("write", 20, "EDQUOT")],
)  # fmt: skip
def test_a_disk_that_refuses_gives_exit_74_and_a_clean_resume(calls, tmp_path, planned, kind, number, error):
    assert refused(tmp_path, planned, kind, number, error)


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "error"),
    [("write", "ENOSPC"), ("fsync", "EIO"), ("rename", "EACCES"), ("mkdir", "EROFS"), ("unlink", "EACCES")],
)
def test_a_disk_that_refuses_at_any_call_gives_exit_74_and_a_clean_resume(calls, tmp_path, planned, kind, error):
    met = []
    for number in range(1, calls[kind] + 1):
        place = tmp_path / str(number)
        place.mkdir()
        met.append(refused(place, planned, kind, number, error))
    assert sum(met) >= len(met) // 2


def refused_openings(tmp_path: Path, planned, chosen: slice) -> int:
    """Let each chosen opening of a file of the folder fail for want of open files; return how many there were.

    Which opening of the program is the k-th in the folder is read off an uninterrupted run.
    """
    place = tmp_path / "whole"
    place.mkdir()
    assert traced(place / "o", planned[0], "-e", "trace=openat").returncode == 0
    lines = [line for line in (place / "trace").read_text().splitlines() if line.startswith("openat(")]
    opened = [number for number, line in enumerate(lines, 1) if f'"{place}/' in line][chosen]
    for number in opened:
        place = tmp_path / str(number)
        place.mkdir()
        run = traced(place / "o", planned[0], "-e", "trace=openat", "-e",
                     f"inject=openat:error=EMFILE:when={number}")  # fmt: skip
        (failed,) = [line for line in (place / "trace").read_text().splitlines() if "(INJECTED)" in line]
        assert f'"{place}/' in failed, failed
        assert (run.returncode, run.stderr) == (74, ""), (failed, run.stdout, run.stderr)
        line = run.stdout.splitlines()[-1]
        assert re.match(rf"{re.escape(str(place))}\S*: cannot .*: Too many open files", line), (failed, line)
        check_whole_and_resume(place / "o", planned, last_number(run.stdout))
    return len(opened)


def test_too_many_open_files_at_an_opening_give_exit_74_and_a_clean_resume(calls, tmp_path, planned):
    assert refused_openings(tmp_path, planned, slice(0, None, 13)) >= 3


@pytest.mark.long
def test_too_many_open_files_at_any_opening_give_exit_74_and_a_clean_resume(calls, tmp_path, planned):
    assert refused_openings(tmp_path, planned, slice(None)) >= 20


@pytest.mark.long
def test_too_few_open_files_give_exit_74_and_a_clean_resume(tmp_path, planned):
    codes = []
    for files in range(3, 12):
        place = tmp_path / str(files)
        place.mkdir()
        command = [*PROGRAM, str(place / "o"), str(planned[0]), "inline", str(files)]
        run = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=120, check=False)
        codes.append(run.returncode)
        assert run.returncode in (0, 74), run.stdout + run.stderr
        if run.returncode == 74:
            assert "Too many open files" in run.stdout.splitlines()[-1]
        check_whole_and_resume(place / "o", planned, last_number(run.stdout))
    assert codes[0] == 74
    assert codes[-1] == 0


def test_a_file_too_large_gives_exit_74_with_the_bytes_needed_and_leaves_nothing(tmp_path, planned):
    """Needs no strace: the system itself refuses files beyond 20 kB, which the scenario is."""
    resource = pytest.importorskip("resource")
    run = subprocess.run(
        [*PROGRAM, str(tmp_path / "o"), str(planned[0]), "inline", "0"],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
        timeout=120,
        check=False,
    )
    assert run.returncode == 74, run.stdout + run.stderr
    assert re.search(r"cannot write: File too large; [\d,]+ bytes needed", run.stdout)
    assert list(tmp_path.iterdir()) == []
    check_whole_and_resume(tmp_path / "o", planned, last_number(run.stdout))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a megabyte, in memory; skipped where the system refuses to mount it."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if not all(map(shutil.which, [mount[0], *as_root[:1]])):
        if os.environ.get("CI") == "true":
            pytest.fail("mount is not installed")
        pytest.skip("mount is not installed")
    done = subprocess.run([*as_root, *mount], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"mount was refused: {done.stderr.strip()}")
    yield place
    subprocess.run([*as_root, "umount", str(place)], check=True)


def test_a_disk_that_is_full_gives_exit_74_and_a_clean_resume_once_there_is_room(small_disk, planned):
    kept = []
    for room in range(8, 256, 16):  # kB; from where the plan does not fit to where everything does
        place, ballast = small_disk / "place", small_disk / "ballast"
        place.mkdir()
        ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - (room << 10)))
        command = [*PROGRAM, str(place / "o"), str(planned[0]), "inline", "0"]
        run = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=120, check=False)
        kept.append(last_number(run.stdout))
        ballast.unlink()
        if run.returncode == 0:
            assert kept[-1] == CELLS
            break
        assert (run.returncode, run.stderr) == (74, ""), run.stdout
        message = r"\S*: cannot write: No space left on device; (\d[\d,]*) bytes needed, [\d,]+ bytes are free"
        needed = re.fullmatch(re.escape(str(place / "o")) + message, run.stdout.splitlines()[-1])
        assert needed, run.stdout
        assert int(needed[1].replace(",", "")) > 0
        check_whole_and_resume(place / "o", planned, kept[-1])
        shutil.rmtree(place)
    assert len(set(kept)) >= 4, "it was full at different stages"
    assert (kept[0], kept[-1]) == (0, CELLS)


def killed_group(tmp_path: Path, planned, after: float) -> int:
    """Start the sweep on two processes and kill the whole group after a while; return what was kept for sure."""
    with subprocess.Popen(
        [*PROGRAM, str(tmp_path / "o"), str(planned[0]), "local", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=ENVIRONMENT,
        start_new_session=True,
    ) as process:
        time.sleep(after)
        os.killpg(process.pid, signal.SIGKILL)
        out, _ = process.communicate()
    return last_number(out)


@pytest.mark.long
def test_30_kills_of_the_process_group_at_random_moments_lose_nothing(tmp_path):
    plan = plan_of(tmp_path, sweep_text(cells=200))
    storage.write_folder(tmp_path / "plan", plan_files(plan))
    whole = run_sweep(plan, tmp_path / "whole", Inline, task=quick).totals["content_hash"]
    random = np.random.default_rng(1)
    for _ in range(30):
        place = tmp_path / "killed"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        kept = 0
        for _ in range(3):  # several times in one sweep
            kept = max(kept, killed_group(place, (tmp_path / "plan", whole), random.uniform(0.8, 6.0)))
        check_whole_and_resume(place / "o", (tmp_path / "plan", whole), kept)


@pytest.mark.parametrize("shift", ["+3652d", "-3652d"])
def test_a_clock_that_is_ten_years_off_changes_nothing(tmp_path, planned, shift):
    """Half of the sweep by the right clock, the rest by a wrong one."""
    if not shutil.which("faketime"):
        if os.environ.get("CI") == "true":
            pytest.fail("faketime is not installed")
        pytest.skip("faketime is not installed")
    plan = read_plan(planned[0])

    def stop(ended, _planned, _failed):
        if ended >= 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_sweep(plan, tmp_path / "o", Inline, task=quick, progress=stop)
    command = ["faketime", "-f", shift, *PROGRAM, str(tmp_path / "o"), str(planned[0]), "inline", "0"]
    run = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=120, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    totals = SweepResults(tmp_path / "o").totals
    assert totals is not None
    assert totals["content_hash"] == planned[1]
    assert verify_sweep(str(tmp_path / "o")).damage == ()
