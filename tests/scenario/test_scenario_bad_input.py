"""Every bad file is refused in one line a problem, quickly, in little memory, with nothing written."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sim.scenario.load import load_scenario
from tests.scenario.corpus import BOMBS, CORPUS, Bad
from tests.scenario.refusals import problems_of

DRIVER = """
import sys
from sim.errors import SimError
from sim.cli.scenario import validate
try:
    validate(sys.argv[1:], standalone_mode=False)
except SimError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""
HEAVY = ("mesa", "scipy", "pandas", "pyarrow", "matplotlib", "numpy.random")
MEMORY_MB = 300
ALLOWED_SECONDS = 3.0  # the promise is 1 s; sharing a box must not fail a test


def test_the_corpus_holds_at_least_120_different_cases():
    assert len({case.name for case in CORPUS}) == len(CORPUS) >= 120


@pytest.mark.parametrize("case", CORPUS, ids=[case.name for case in CORPUS])
def test_a_bad_file_is_refused_with_the_line_and_the_reason(case: Bad, tmp_path: Path):
    path = tmp_path / "bad.yaml"
    path.write_bytes(case.content)
    problems = problems_of(load_scenario, path)
    assert any(case.says in problem for problem in problems), problems
    for problem in problems:
        counted = re.match(r"and \d+ more problems", problem)
        line = "" if case.name == "huge-file" else r":[1-9]\d*"
        assert counted or re.match(rf"{re.escape(str(path))}{line}: \S", problem), problem
        assert "\n" not in problem
        assert problem.isprintable()
        assert len(problem) < 1000
    assert os.listdir(tmp_path) == ["bad.yaml"]


# A small process starts the child: the peak of a child counts the memory of its parent at the start.
LAUNCHER = """
import json, os, subprocess, sys
child = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(child.pid, 0)
child.returncode = os.waitstatus_to_exitcode(status)
with open(sys.argv[1], "w") as out:
    json.dump([child.returncode, usage.ru_maxrss, usage.ru_utime + usage.ru_stime], out)
"""
SAMPLE = [*BOMBS, *CORPUS[len(BOMBS) :: 6]]


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="this system cannot tell the memory of a child")
@pytest.mark.parametrize("case", SAMPLE, ids=[case.name for case in SAMPLE])
def test_a_bad_file_costs_a_second_and_300_megabytes_at_most(case: Bad, tmp_path: Path, tmp_path_factory):
    path = tmp_path / "bad.yaml"
    path.write_bytes(case.content)
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    before = sorted(os.listdir(tmp_path))
    measured = tmp_path_factory.mktemp("measured") / "usage.json"
    child = [sys.executable, "-B", "-W", "error", str(script), str(path)]
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHER, str(measured), *child],
        cwd=tmp_path,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )
    errors = done.stderr.decode()
    code, peak, spent = json.loads(measured.read_text())
    assert code == 2, errors
    assert done.stdout == b""
    assert case.says in errors
    assert "Traceback" not in errors
    assert sorted(os.listdir(tmp_path)) == before
    assert peak / (2**20 if sys.platform == "darwin" else 1024) <= MEMORY_MB
    assert spent <= ALLOWED_SECONDS


def test_refusing_a_bad_file_imports_nothing_heavy(tmp_path: Path):
    path = tmp_path / "bad.yaml"
    path.write_text("name: x\nparameters: {demand.valu: {triangular: [1, 2, 3]}}\n")
    script = DRIVER.replace("sys.exit", f"print([m for m in {HEAVY} if m in sys.modules]); sys.exit")
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in the file system here")
def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.yaml")
    assert "not a regular file" in problems_of(load_scenario, tmp_path / "pipe.yaml")[0]


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("/dev/zero", "not a regular file"),
        ("/dev/stdin", ""),
        ("/", "is a folder"),
        (".", "is a folder"),
        ("nowhere/none.yaml", "no such file"),
        ("none.yaml", "no such file"),
        ("no-such-name", "no packaged scenario"),
        ("a\0b", "not a file name"),
        ("", "no such file"),
        ("x" * 5000 + ".yaml", "cannot be read"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="names of POSIX devices")
def test_what_is_no_file_is_refused_in_one_line(argument: str, says: str, monkeypatch: pytest.MonkeyPatch):
    if argument == "/dev/stdin" and os.path.isfile(argument):
        pytest.skip("standard input is a file in this run")
    problems = problems_of(load_scenario, argument)
    assert len(problems) == 1
    assert says in problems[0]


def test_a_file_without_read_permission_is_refused(tmp_path: Path):
    path = tmp_path / "secret.yaml"
    path.write_text("name: x\n")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user reads every file")
    assert "Permission denied" in problems_of(load_scenario, path)[0]


def test_a_file_name_with_control_characters_cannot_write_to_the_terminal(tmp_path: Path):
    path = tmp_path / "a\x1b[31m\nb.yaml"
    path.write_text("nam: x\n")
    assert all(problem.isprintable() for problem in problems_of(load_scenario, path))


def test_all_problems_are_told_at_once_in_the_order_of_the_file(tmp_path: Path):
    path = tmp_path / "bad.yaml"
    path.write_text(
        "nme: x\nhorizon: {end: never}\nparameters:\n  demand.value: 900\n  demand.valu: 1\n"
        "events:\n  - {id: a, date: 2026-01, lever: cloud_access, bloc: CN}\nlabs: {Nobody: {brand: 1}}\n"
    )
    problems = problems_of(load_scenario, path)
    assert [int(problem.split(":")[1]) for problem in problems] == [1, 2, 4, 5, 7, 8]
