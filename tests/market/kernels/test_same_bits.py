"""The same results to the bit: code for another processor, other forms in NumPy, processes, hash seeds, threads.

Each world runs in a process of its own. Code for a processor that was compiled once is kept in the cache.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sim.market import parts
from sim.market.market import Market
from sim.scenario.load import load_scenario
from tests.market.worlds import differing

from .small_run import HORIZON, SIZES, numpy_levels

ROOT = Path(__file__).parents[3]
# Processors whose code any machine with these features can run: 256 bits wide, and 512 where the compiler wants them.
PROCESSORS = {
    "haswell": {"avx2", "fma", "bmi2", "f16c"},
    "skylake-avx512": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
}
FEATURES = (
    "NUMBA_CPU_FEATURES"  # empty: those of the named processor; not set: those of this machine, whatever the name
)


def without(levels: list[str]) -> dict[str, str]:
    """Return what makes NumPy do without the forms for some levels."""
    return {"NPY_DISABLE_CPU_FEATURES": " ".join(levels)}


def worlds() -> dict[str, tuple[int, dict[str, str]]]:
    """Return the worlds to compare with each other by name: worker processes and environment."""
    from llvmlite import binding

    here = binding.get_host_cpu_features()
    levels = numpy_levels()
    others = {
        name: (1, {"NUMBA_CPU_NAME": name, FEATURES: ""})
        for name, features in PROCESSORS.items()
        if all(here.get(feature, False) for feature in features)
    }
    return others | {
        "this machine": (1, {"PYTHONHASHSEED": "0"}),
        "two processes": (2, {"PYTHONHASHSEED": "1"}),
        "NumPy at its lowest": (1, without(levels) | {"OPENBLAS_CORETYPE": "Prescott"}),
        "NumPy at its second": (1, without(levels[1:])),
    }


def printed(jobs: int, environment: dict[str, str]) -> dict[str, Any]:
    """Return what a process of its own prints."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.market.kernels.small_run", str(jobs)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def outcomes():
    """What every world prints, by name; two run at a time."""
    asked = worlds()
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(asked, pool.map(printed, *zip(*asked.values(), strict=True)), strict=True))


def test_every_world_gives_the_same_bits(outcomes):
    here = outcomes["this machine"]["found"]
    for name, outcome in outcomes.items():
        assert outcome["found"] == here, name


def test_the_worlds_were_what_their_names_say(outcomes):
    here = outcomes["this machine"]
    assert outcomes["NumPy at its lowest"]["numpy"] == []
    assert outcomes["NumPy at its second"]["numpy"] == here["numpy"][:1]
    for name in PROCESSORS.keys() & outcomes.keys():
        assert outcomes[name]["target"] == [name, ""]
    assert here["found"]["agents"] != here["found"]["mean-field"]


def test_threads_change_no_bit(monkeypatch):
    monkeypatch.setattr(parts, "PART", 500)  # so that a small population has many
    settings = load_scenario("baseline", overrides=HORIZON, runs=1, **SIZES["agents"]).draw(0)
    alone, two, three = (Market(settings, threads=threads).run().tables() for threads in (1, 2, 3))
    assert differing(alone, two) == []
    assert differing(alone, three) == []
