"""Sweeps of made-up runs for the tests of this folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sim.experiment import store
from sim.experiment.engines import Inline
from sim.experiment.sweep import run_sweep

from .made_up import plan_of, quick, sweep_text


@pytest.fixture
def small_shards(monkeypatch):
    """Shards of at most eight runs, so that a small sweep has several."""
    monkeypatch.setattr(store, "SHARD_MOST", 8)


@pytest.fixture(scope="session")
def pristine_sweep(tmp_path_factory):
    """A finished made-up sweep of 20 cells x 2 runs in several shards that no test changes, with its plan."""
    place = tmp_path_factory.mktemp("pristine")
    plan = plan_of(place, sweep_text(cells=20, runs=2))
    before, store.SHARD_MOST = store.SHARD_MOST, 8
    try:
        run_sweep(plan, place / "o", Inline, task=quick)
    finally:
        store.SHARD_MOST = before
    return place / "o", plan


@pytest.fixture
def finished(pristine_sweep, tmp_path, small_shards):
    """A finished made-up sweep to be damaged, with its plan."""
    folder, plan = pristine_sweep
    return Path(shutil.copytree(folder, tmp_path / "o")), plan
