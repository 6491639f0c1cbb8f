"""What a user at a terminal sees while a command works, and when it is stopped there."""

from __future__ import annotations

import os
import re
import select
import sys
import time
from pathlib import Path

import pytest

from sim.cli.progress import Progress, in_words, rate_in_words

pty = pytest.importorskip("pty", reason="terminals of this system are another matter")
SIM = str(Path(sys.executable).with_name("sim"))
SWEEP = (
    "name: tiny\nscenario: baseline\ndesign: {kind: grid}\nfactors:\n  demand.value: [6, 9]\nruns: 1\n"
    "workloads: 200\nuntil: 2024-01\n"
)
SMALL = ("run", "baseline", "--runs", "2", "--workloads", "200", "--until", "2026-01", "--no-twin")


def at_a_terminal(cwd, *arguments, stop: bytes | None = None, later: float = 0.0) -> tuple[int, str]:
    """Run the command line on a terminal; return its exit code and all that appeared there.

    After the words `stop` and a while later Ctrl-C is typed, which goes to every process of the terminal.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.execv(SIM, [SIM, *arguments])  # noqa: S606
    seen, at, deadline = b"", None, time.monotonic() + 300
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                seen += os.read(terminal, 65536)
            except OSError:  # the last process that had it is gone
                break
        if stop is not None and stop in seen:
            stop, at = None, time.monotonic() + later
        if at is not None and time.monotonic() >= at:
            at = None
            os.write(terminal, b"\x03")
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen.decode()


def test_a_run_tells_from_the_start_how_far_it_is(tmp_path):
    code, seen = at_a_terminal(tmp_path, *SMALL, "--jobs", "1")
    assert code == 0, seen
    lines = re.findall(
        r"\rbaseline: (\d) of 2 runs(?:, [\d.]+ a \w+)?, about \d+ (?:seconds|minutes) left *(?=\r)", seen
    )
    assert lines[0] == "0"
    assert lines == sorted(lines)
    assert re.search(r"\r +\r.*Open share of tokens", seen, re.DOTALL), "the line is gone before the table comes"


def test_a_run_that_is_to_be_quiet_is(tmp_path):
    assert at_a_terminal(tmp_path, *SMALL, "--quiet") == (0, "")


def test_a_sweep_tells_from_the_start_how_far_it_is(tmp_path):
    (tmp_path / "tiny.yaml").write_text(SWEEP)
    code, seen = at_a_terminal(tmp_path, "sweep", "tiny.yaml", "--jobs", "1")
    assert code == 0, seen
    assert re.search(r"\rtiny: 0 of 2 runs, about \d+ (seconds|minutes) left", seen)


@pytest.mark.parametrize("later", [0.0, 0.3, 1.0, 5.0])
def test_a_run_that_is_stopped_says_so_in_one_line_and_nothing_else(tmp_path, later):
    code, seen = at_a_terminal(
        tmp_path, "run", "price-war", "--runs", "16", "--jobs", "2", stop=b"0 of 16 runs", later=later
    )
    assert code == 130
    assert re.sub(r"\r[^\r\n]* left *|\r *\r|\^C|\r", "", seen).split("\n")[-3:] == [
        "",
        "Interrupted; nothing was written.",
        "",
    ], seen
    assert "Error" not in seen


def test_failures_rate_and_time_left_are_those_of_this_session(monkeypatch):
    now, seen = iter([100.0, 110.0]), []
    monkeypatch.setattr("sim.cli.progress.time.monotonic", lambda: next(now))
    bar = Progress("tiny", 2.0, silent=True)
    bar.shown = True
    monkeypatch.setattr(bar, "_show", seen.append)
    bar.update(20, 100)  # found done
    bar.update(40, 100, 3)
    assert seen == [
        "tiny: 20 of 100 runs, about 1.6 hours left",
        "tiny: 40 of 100 runs, 3 failed, 2.0 a second, about 30 seconds left",
    ]


def test_rates_are_told_in_the_unit_that_fits():
    rates = [rate_in_words(seconds / 3600) for seconds in (1 / 1585, 0.4, 2.5, 300.0, 7200.0)]
    assert rates == ["1,585 a second", "2.5 a second", "24 a minute", "12 an hour", "0.5 an hour"]


def test_durations_are_told_in_the_unit_that_fits():
    assert [in_words(hours) for hours in (0.001, 0.2, 1234.5)] == ["4 seconds", "12 minutes", "1,234.5 hours"]
