"""`sim warmup` and the folder in which kernels are kept."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time

import pytest

from sim.experiment.warmup import remove_unused

# One small kernel that is compiled in a moment; prints whether it is kept, and how often it was found and compiled.
SOLVE = """
import numpy as np
from sim.market.kernels import compiled, sums
found = np.empty(1)
assert sums.solve(np.array([[2.0, 3.0]]), found) and found[0] == 1.5
hits, misses = (sum(counter.values()) for counter in (sums.solve.stats.cache_hits, sums.solve.stats.cache_misses))
print(compiled.CACHED, hits, misses)
"""

# Runs of either population, with what else changes how choices are made; prints the kernels that had to be compiled.
RUNS = """
from sim.experiment.run import simulate
from sim.market.kernels.compiled import KERNELS
from sim.scenario.load import load_scenario
for population, noise in (("agents", "options"), ("mean-field", "shared"), ("agents", "shared")):
    scenario = load_scenario("baseline", runs=1, workloads=300, nodes=64, population=population, noise=noise,
                             overrides=("horizon.start=2025-11", "horizon.end=2026-04"))
    simulate(scenario, "weights_withheld" if noise == "options" else None, 0, threads=2)
print([one.py_func.__qualname__ for one in KERNELS if one.stats.cache_misses])
"""
# A user whom the list of users does not have, as in many a container.
UNKNOWN = """
import pwd
def nobody(number):
    raise KeyError(number)
pwd.getpwuid = nobody
"""


def started(arguments, folder, without=(), before=(), **more):
    environment = os.environ | {"SIM_CACHE_DIR": str(folder)}
    environment = {name: value for name, value in environment.items() if name not in without}
    command = [*before, sys.executable, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


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
    assert answer(started(["-c", RUNS], tmp_path)) == "[]"


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


def test_warmup_says_that_without_a_home_folder_nothing_can_be_kept(monkeypatch, capsys):
    from sim.cli import main
    from sim.market.kernels import compiled

    monkeypatch.setattr(compiled, "FOLDER", None)
    assert main(["warmup"]) == 74
    told = capsys.readouterr()
    assert "kernels: " in told.out
    assert "kept" not in told.out
    assert re.fullmatch("kernels cannot be kept: there is no home folder; .* SIM_CACHE_DIR .*\n", told.err)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A folder with all that warming up compiles, but the file of one small kernel is cut off."""
    from sim.cli import main
    from sim.market.kernels.compiled import FOLDER

    assert main(["warmup"]) == 0
    place = tmp_path_factory.mktemp("filled")
    shutil.copytree(FOLDER, place / FOLDER.name)
    cut(place, "usage.in_use")
    return place


def cut(place, kernel):
    """Cut off the file of a small kernel; return it."""
    (path,) = place.glob(f"kernels-*/{kernel}.*.nbc")
    path.write_bytes(path.read_bytes()[:1000])
    return path


def test_warmup_on_a_full_disk_says_so_and_later_mends_what_is_damaged(filled):
    resource = pytest.importorskip("resource", reason="limits on files are a matter of POSIX")
    small = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))  # noqa: E731
    path = cut(filled, "usage.in_use")
    full = started(["-m", "sim", "warmup"], filled, preexec_fn=small)
    out, err = full.communicate()
    assert full.returncode == 74
    assert re.fullmatch(r"(\d+) kernels: 1 compiled, \d+ found, in [\d.]+ s\.\n", out)
    reason = f"{path.parent}: File too large; every process compiles anew. SIM_CACHE_DIR names another folder"
    assert err == f"kernels cannot be kept: {reason}\n"
    assert path.stat().st_size == 1000
    assert " 1 compiled, " in answer(started(["-m", "sim", "warmup"], filled))
    assert " 0 compiled, " in answer(started(["-m", "sim", "warmup"], filled))


def obeying():
    """Return what has to stand before a command for which the modes of files shall hold, root's too."""
    if sys.platform != "win32" and os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        assert os.environ.get("CI") != "true", "CI has to have setpriv, or a user who is not root"
        pytest.skip("modes do not stop root, and setpriv is not installed")
    return ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"]


def test_a_folder_that_cannot_be_written_is_read_all_the_same(tmp_path):
    before = obeying()
    answer(started(["-c", SOLVE], tmp_path))
    (folder,) = tmp_path.iterdir()
    folder.chmod(0o500)
    assert answer(started(["-c", SOLVE], tmp_path, before=before)) == "False 1 0"
    path = cut(tmp_path, "sums.solve")
    assert answer(started(["-c", SOLVE], tmp_path, before=before)) == "False 0 1"
    path.chmod(0o000)
    assert answer(started(["-c", SOLVE], tmp_path, before=before)) == "False 0 1"
    folder.chmod(0o700)
    assert answer(started(["-c", SOLVE], tmp_path, before=before)) == "True 0 1"
    assert answer(started(["-c", SOLVE], tmp_path, before=before)) == "True 1 0"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows always knows a user's folder")
def test_without_a_home_folder_nothing_is_kept_and_all_else_works():
    homeless = ("HOME", "SIM_CACHE_DIR", "XDG_CACHE_HOME", "LOGNAME", "USER", "LNAME", "USERNAME")
    told = "from sim import environment\nprint(compiled.FOLDER, environment.home(), environment.redacted('/root/x'))"
    assert answer(started(["-c", UNKNOWN + SOLVE + told], "", homeless)) == "False 0 1\nNone None /root/x"


def kernels(place, name, days, files=("choose-1.py311.nbi", "choose-1.py311.1.nbc", "choose-1.py311.nbi.tmp.0a1b")):
    """Make a folder that was last used some days ago."""
    folder = place / name
    (folder / "kernels_0123").mkdir(parents=True)
    for file in files:
        (folder / "kernels_0123" / file).write_bytes(b"x")
    then = time.time() - days * 86400.0
    os.utime(folder, (then, then))
    return folder


def test_warming_up_removes_kernels_that_nobody_used_for_a_month_and_nothing_else(tmp_path):
    own = kernels(tmp_path, "kernels-000000000000", 31)
    old = kernels(tmp_path, "kernels-0123456789ab", 31)
    kept = [
        own,
        kernels(tmp_path, "kernels-ba9876543210", 29),
        kernels(tmp_path, "kernels-of-my-thesis", 99),
        kernels(tmp_path, "kernels-0123456789ab.bak", 99),
        kernels(tmp_path, "kernels-0123456789ac", 99, files=("choose-1.py311.nbi", "notes.txt")),
        kernels(tmp_path / "elsewhere", "kernels-0123456789ab", 99),
    ]
    link = tmp_path / "kernels-0123456789ad"
    link.symlink_to(kept[-1], target_is_directory=True)
    (tmp_path / "kernels-0123456789ae").write_text("a file")
    assert remove_unused(own) == ((old,), ())
    assert not old.exists()
    assert all(folder.is_dir() for folder in kept)
    assert link.is_symlink()
    assert (tmp_path / "kernels-0123456789ae").read_text() == "a file"
    assert remove_unused(own) == ((), ())


def test_using_kernels_dates_their_folder_so_that_it_is_not_removed(tmp_path):
    answer(started(["-c", SOLVE], tmp_path))
    (folder,) = tmp_path.iterdir()
    os.utime(folder, (0.0, 0.0))
    assert answer(started(["-c", SOLVE], tmp_path)) == "True 1 0"
    assert time.time() - folder.stat().st_mtime < 3600.0


def test_warmup_says_what_it_removed(tmp_path, monkeypatch, capsys):
    from sim.cli import main
    from sim.market.kernels import compiled

    old = kernels(tmp_path, "kernels-0123456789ab", 31)
    monkeypatch.setattr(compiled, "CACHED", True)
    monkeypatch.setattr(compiled, "FOLDER", tmp_path / "kernels-000000000000")
    assert main(["warmup"]) == 0
    assert f"Removed {old}, not used for 30 days." in capsys.readouterr().out
    assert not old.exists()
