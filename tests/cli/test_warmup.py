"""`sim warmup` and the folder in which kernels are kept."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

# One small kernel that is compiled in a moment; prints whether it is kept, and how often it was found and compiled.
SOLVE = """
import numpy as np
from sim.market.kernels import compiled, sums
found = np.empty(1)
assert sums.solve(np.array([[2.0, 3.0]]), found) and found[0] == 1.5
hits, misses = (sum(counter.values()) for counter in (sums.solve.stats.cache_hits, sums.solve.stats.cache_misses))
print(compiled.CACHED, hits, misses)
"""


def started(arguments, folder):
    environment = os.environ | {"SIM_CACHE_DIR": str(folder)}
    return subprocess.Popen(
        [sys.executable, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def answer(process):
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    return out.strip()


def test_kernels_are_compiled_once_and_then_found(tmp_path):
    first, second = (answer(started(["-m", "sim", "warmup"], tmp_path)) for _ in range(2))
    words = r"(\d+) kernels: (\d+) compiled, (\d+) found, in [\d.]+ s\. They are kept in (.+)"
    used, compiled, found, folder = re.fullmatch(words, first).groups()
    assert int(used) >= 6
    assert (compiled, found) == (used, "0")
    assert folder.startswith(str(tmp_path))
    again, compiled, found, same = re.fullmatch(words, second).groups()
    assert (compiled, found, same) == ("0", again, folder)
    assert 6 <= int(again) <= int(used)  # pieces of other kernels are not asked for by themselves any more


def test_processes_that_share_a_new_folder_do_not_disturb_each_other(tmp_path):
    together = [started(["-c", SOLVE], tmp_path) for _ in range(3)]
    assert all(answer(one) in ("True 0 1", "True 1 0") for one in together)
    assert answer(started(["-c", SOLVE], tmp_path)) == "True 1 0"


@pytest.mark.parametrize("taken", ["a file", "a folder below a file"])
def test_where_nothing_can_be_kept_kernels_are_compiled_all_the_same(tmp_path, taken):
    folder = tmp_path / "taken"
    folder.write_text("not a folder\n")
    out = answer(started(["-c", SOLVE], folder if taken == "a file" else folder / "below"))
    assert out.startswith("False 0 ")
    assert folder.read_text() == "not a folder\n"


def test_warmup_says_where_kernels_cannot_be_kept(monkeypatch, tmp_path, capsys):
    from sim.cli import main
    from sim.market.kernels import compiled

    monkeypatch.setattr(compiled, "CACHED", False)
    monkeypatch.setattr(compiled, "FOLDER", tmp_path)
    assert main(["warmup"]) == 0
    out = capsys.readouterr().out
    assert f"They cannot be kept: {tmp_path} cannot be written" in out
    assert "SIM_CACHE_DIR" in out
