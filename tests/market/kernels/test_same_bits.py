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

from .processors import PROCESSORS, lacking, needs, target
from .small_run import HORIZON, SIZES, numpy_levels

ROOT = Path(__file__).parents[3]
NUMPY = ("NumPy at its lowest", "NumPy at its second")
OTHERS = (*PROCESSORS, "two processes", *NUMPY)


def without(levels: list[str]) -> dict[str, str]:
    """Return what makes NumPy do without the forms for some levels."""
    return {"NPY_DISABLE_CPU_FEATURES": " ".join(levels)}


def worlds() -> dict[str, tuple[int, dict[str, str]]]:
    """Return the worlds to compare with each other by name: worker processes and environment."""
    levels = numpy_levels()
    others = {name: (1, target(name)) for name in PROCESSORS if not lacking(name)}
    return others | {
        "this machine": (1, {"PYTHONHASHSEED": "0"}),
        "two processes": (2, {"PYTHONHASHSEED": "1"}),
        NUMPY[0]: (1, without(levels) | {"OPENBLAS_CORETYPE": "Prescott"}),
        NUMPY[1]: (1, without(levels[1:])),
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


@pytest.mark.parametrize("name", OTHERS)
def test_every_world_gives_the_same_bits(outcomes, name):
    if name in PROCESSORS:
        needs(name)
    assert outcomes[name]["found"] == outcomes["this machine"]["found"]


@pytest.mark.parametrize("name", PROCESSORS)
def test_code_was_compiled_for_the_processor_named(outcomes, name):
    needs(name)
    assert outcomes[name]["target"] == [name, ""]


def test_the_worlds_were_what_their_names_say(outcomes):
    here = outcomes["this machine"]
    assert [outcomes[name]["numpy"] for name in NUMPY] == [[], here["numpy"][:1]]
    assert len({json.dumps(tables, sort_keys=True) for tables in here["found"].values()}) == len(SIZES)


def test_threads_change_no_bit(monkeypatch):
    monkeypatch.setattr(parts, "PART", 500)  # so that a small population has many
    settings = load_scenario("baseline", overrides=HORIZON, runs=1, **SIZES["agents"]).draw(0)
    alone, two, three = (Market(settings, threads=threads).run().tables() for threads in (1, 2, 3))
    assert differing(alone, two) == []
    assert differing(alone, three) == []
