"""Ctrl-C at any moment of a command: one line that is true, exit code 130, nothing half written and no process left."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from sim.experiment.check import verify_sweep
from sim.verify import verify_folder

TEXT = (
    "name: tiny\nscenario: baseline\ndesign: {kind: grid}\nfactors:\n  demand.value: [6, 9, 12]\n"
    "runs: 2000\nworkloads: 200\nuntil: 2024-01\n"
)
SWEEP = ("sweep", "tiny.yaml", "--jobs", "2", "--quiet")
RUN = ("run", "baseline", "--runs", "2", "--workloads", "200", "--until", "2023-09", "--no-twin", "--quiet")
NOTHING = "Interrupted; nothing was written."
pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="tells when signals are held by /proc")


def started(place: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the command line; return when its own first line has run, for what comes before is Python's matter."""
    command = [str(Path(sys.executable).with_name("sim")), *arguments]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=place, stdout=pipe, stderr=pipe, text=True, start_new_session=True)
    held = f"SigBlk:\t{(1 << signal.SIGINT - 1) | (1 << signal.SIGTERM - 1):016x}\n"
    status = Path(f"/proc/{process.pid}/status")
    while held not in status.read_text():
        assert process.poll() is None
    return process


def stopped(process: subprocess.Popen[str], number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
    """Send a request as `timeout` does, to the program and to its group; return the exit code and what was printed."""
    process.send_signal(number)
    time.sleep(0.001)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
    asked = time.monotonic()
    out, errors = process.communicate(timeout=60)
    while members(process.pid):
        assert time.monotonic() - asked < 5.0, "a process outlived the program"
        time.sleep(0.02)
    return process.returncode, out + errors


def members(session: int) -> list[psutil.Process]:
    """Return the living processes of a session."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def check_sweep(place: Path, code: int, said: str, *, begun: bool, expected: int = 130) -> None:
    """Check that the answer is one line that is true of the folder."""
    assert code == expected, said
    (line,) = said.splitlines()
    folder = place / "outputs/tiny"
    if line == NOTHING:
        assert not begun
        assert not folder.exists()
    else:
        assert re.match(r"stopped: .* kept in \S*outputs/tiny; go on with: sim sweep tiny.yaml .*--resume$", line)
        assert verify_sweep(str(folder)).damage == ()
    if folder.parent.exists():
        assert [path.name for path in folder.parent.iterdir() if path != folder] == []


def moments(count: int, most: float) -> list[float]:
    return [most * k / count for k in range(count)]


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A folder with a sweep that was stopped soon after its start."""
    place = tmp_path_factory.mktemp("begun")
    (place / "tiny.yaml").write_text(TEXT)
    process = started(place, *SWEEP)
    while not (place / "outputs/tiny/log.jsonl").exists():
        assert process.poll() is None
    check_sweep(place, *stopped(process), begun=True)
    return place


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("count", "most"), [(5, 1.5), pytest.param(50, 3.0, marks=pytest.mark.long)])
def test_a_sweep_that_is_stopped_says_what_is_there(tmp_path, count, most, number):
    for after in moments(count, most):
        place = tmp_path / f"{after:.3f}"
        place.mkdir()
        (place / "tiny.yaml").write_text(TEXT)
        process = started(place, *SWEEP)
        time.sleep(after)
        check_sweep(place, *stopped(process, number), begun=False, expected=128 + number)


@pytest.mark.parametrize(("count", "most"), [(8, 1.6), pytest.param(60, 3.0, marks=pytest.mark.long)])
def test_a_sweep_that_goes_on_and_is_stopped_says_how_to_go_on(begun, count, most):
    for after in moments(count, most):
        process = started(begun, *SWEEP, "--resume")
        time.sleep(after)
        check_sweep(begun, *stopped(process), begun=True)


def test_a_dry_run_that_is_stopped_has_written_nothing(begun):
    for after in moments(5, 0.3):
        process = started(begun, *SWEEP, "--dry-run")
        time.sleep(after)
        code, said = stopped(process)
        # The answer is the last line: the table may be on the screen when the request comes.
        assert (code == 130 and said.endswith(f"{NOTHING}\n")) or (code == 0 and "tiny: 3 cells x 2000 runs" in said)


@pytest.mark.parametrize(
    ("count", "jobs"), [(6, "1"), (4, "2"), *(pytest.param(40, jobs, marks=pytest.mark.long) for jobs in "12")]
)
def test_a_run_that_is_stopped_says_what_it_wrote(tmp_path, count, jobs):
    clock = time.monotonic()
    started(tmp_path, *RUN, "--jobs", jobs, "--out", "whole").communicate(timeout=300)
    for number, after in enumerate(moments(count, 1.05 * (time.monotonic() - clock))):
        place = tmp_path / str(number)
        process = started(tmp_path, *RUN, "--jobs", jobs, "--out", str(place))
        time.sleep(after)
        code, said = stopped(process)
        if said == f"{NOTHING}\n":
            assert not place.exists()
        else:
            assert said == (f"Interrupted; written: {place}\n" if code else "")
            assert verify_folder(str(place)).damage == ()
        assert code == (130 if said else 0)
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("step", [150, pytest.param(7, marks=pytest.mark.long)])
def test_a_stop_at_the_opening_of_any_file_is_answered_alike(begun, tmp_path, step):
    """The requests fall into the imports, where an exception could be lost, and into the reading of the sweep."""
    if not shutil.which("strace"):
        assert os.environ.get("CI") != "true", "strace is not installed"
        pytest.skip("strace is not installed")
    trace = tmp_path / "trace"

    def traced(*arguments: str, at: str = "") -> tuple[int, str]:
        command = ["strace", "-qq", "-o", str(trace), "-e", "trace=openat", *(["-e", at] if at else [])]
        command += [sys.executable, "-m", "sim", *arguments]
        done = subprocess.run(command, cwd=begun, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout + done.stderr

    traced("--version")
    opened = [line for line in trace.read_text().splitlines() if line.startswith("openat(")]
    number, said = next(k for k, line in enumerate(opened, 1) if "/interrupts" in line), ""
    tried = 0
    while "runs are kept" not in said:  # the answer of a sweep whose workers are to start
        code, said = traced(*SWEEP, "--resume", at=f"inject=openat:signal=SIGINT:when={number}")
        check_sweep(begun, code, said, begun=True)
        number, tried = number + step, tried + 1
    assert tried >= 4
