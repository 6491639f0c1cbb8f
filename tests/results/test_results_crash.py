"""A result folder is whole whatever moment a process dies, and says so when the disk refuses."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sim
from sim.results import load_results, save
from sim.verify import verify_folder

from .samples import made_up_results

# The program imports these tests, and the very package under test.
SEARCH = os.pathsep.join([str(Path(__file__).resolve().parent.parent), str(Path(sim.__file__).parent.parent)])
ENVIRONMENT = {**os.environ, "PYTHONPATH": SEARCH, "PYTHONDONTWRITEBYTECODE": "1"}
PROGRAM = [sys.executable, "-m", "results.crashing"]


def traced(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the program under strace; only its own thread, which does all the writing."""
    command = ["strace", "-qq", "-o", str(folder.parent.parent / "trace"), *options, *PROGRAM, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=120, check=False)


@pytest.fixture(scope="session")
def strace(tmp_path_factory):
    """Skip without a working strace, but never on the build server."""
    folder = tmp_path_factory.mktemp("probe") / "in" / "made-up"
    reason = "strace is not installed"
    if shutil.which("strace"):
        run = traced(folder, "-e", "trace=fsync")
        if run.returncode == 0:
            return
        reason = f"strace does not work here: {run.stderr.strip().splitlines()[-1:]}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def former(tmp_path) -> Path:
    """A folder with a result of one run, which the program replaces by one of two runs."""
    folder = tmp_path / "in" / "made-up"
    save(made_up_results(runs=1, months=2), folder, figures={"old.png": b"x", "adoption.png": b"y"})
    return folder


# The k-th call of each kind during the replacement: some, and up to a number beyond the last.
CALLS = {"mkdir": [2], "write": [1, 8], "fsync": [11, 12], "rename": [1, 2, 3], "unlinkat": [1, 11]}
EVERY = {"mkdir": 4, "write": 11, "fsync": 13, "rename": 4, "unlinkat": 12, "rmdir": 2, "unlink": 2}
# The same act is another system call elsewhere.
NAMES = {
    "mkdir": "mkdir,mkdirat",
    "rename": "rename,renameat,renameat2",
}


def killed_at(former: Path, call: str, number: int) -> bool:
    """Kill the program at a call; then look, and replace again; return whether it was alive at that call."""
    names = NAMES.get(call, call)
    run = traced(former, "-e", f"trace={names}", "-e", f"inject={names}:signal=SIGKILL:when={number}")
    results = load_results(former)
    assert results.manifest["runs"] in (1, 2)
    assert results.content_hash() == made_up_results(runs=results.manifest["runs"], months=2).content_hash()
    assert verify_folder(str(former)).damage == ()
    if run.returncode == 0:  # there were fewer calls than that
        assert results.manifest["runs"] == 2
    save(made_up_results(runs=3, months=2), former, force=True)
    assert load_results(former).manifest["runs"] == 3
    assert os.listdir(former.parent) == ["made-up"]
    return run.returncode != 0


@pytest.mark.parametrize(("call", "number"), [(call, number) for call, numbers in CALLS.items() for number in numbers])
def test_kill_during_a_replacement_leaves_the_old_or_the_new_result_whole(strace, former, call, number):
    assert killed_at(former, call, number)


@pytest.mark.long
@pytest.mark.parametrize(
    ("call", "number"), [(call, number) for call, last in EVERY.items() for number in range(1, last + 1)]
)
def test_kill_at_every_call_of_a_replacement_leaves_the_old_or_the_new_result_whole(strace, former, call, number):
    killed_at(former, call, number)


@pytest.mark.parametrize(
    ("call", "number", "error", "words"),
    [
        ("write", 5, "ENOSPC", "No space left on device"),
        ("write", 8, "EDQUOT", "quota exceeded"),
        ("fsync", 3, "EIO", "Input/output error"),
        ("mkdir", 2, "EROFS", "Read-only file system"),
        ("rename", 1, "EACCES", "Permission denied"),
        ("rename", 2, "EACCES", "Permission denied"),
    ],
)
def test_disk_that_refuses_gives_one_line_exit_74_and_leaves_the_old_result(strace, former, call, number, error, words):
    before = {path: path.read_bytes() for path in former.rglob("*") if path.is_file()}
    names = NAMES.get(call, call)
    run = traced(former, "-e", f"trace={names}", "-e", f"inject={names}:error={error}:when={number}")
    assert run.returncode == 74, run.stdout + run.stderr
    line = run.stdout.splitlines()[-1]
    assert words in line
    assert re.search(rf"^{re.escape(str(former))}: cannot write: .*; [\d,]+ bytes needed", line)
    assert ("bytes are free" in line) == (error in ("ENOSPC", "EDQUOT"))
    assert run.stderr == ""
    assert {path: path.read_bytes() for path in former.rglob("*") if path.is_file()} == before
    assert os.listdir(former.parent) == ["made-up"]


def test_every_file_is_on_disk_before_the_rename_and_the_rename_before_the_former_result_goes(strace, former):
    """What a power cut needs, and a killed process does not show."""
    run = traced(former, "-y", "-e", f"trace=fsync,unlinkat,{NAMES['rename']}")
    assert run.returncode == 0, run.stderr
    lines = (former.parent.parent / "trace").read_text().splitlines()
    steps = [line.split("(")[0] for line in lines if line.startswith(("fsync", "rename", "unlinkat"))]
    renames = [place for place, step in enumerate(steps) if step.startswith("rename")]
    written = list(former.rglob("*"))
    assert steps[: renames[0]] == ["fsync"] * (len(written) + 1)  # each file, the folder of figures, the folder
    for path in written:
        assert any(line.startswith("fsync") and f"/{path.name}>" in line for line in lines), path
    assert steps[renames[1] + 1] == "fsync"
    assert f"<{former.parent}>" in [line for line in lines if line.startswith("fsync")][len(written) + 1]
    assert steps.index("unlinkat") > renames[1] + 1


def test_file_size_limit_gives_exit_74_and_leaves_nothing(tmp_path):
    """Needs no strace: the system itself refuses the first file beyond 4 kB."""
    resource = pytest.importorskip("resource")
    folder = tmp_path / "in" / "made-up"
    run = subprocess.run(
        [*PROGRAM, str(folder)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
        timeout=120,
        check=False,
    )
    assert run.returncode == 74, run.stdout + run.stderr
    assert str(folder) in run.stdout
    assert os.listdir(folder.parent) == []
