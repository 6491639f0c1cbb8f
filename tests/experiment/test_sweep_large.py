"""Ten thousand cells of the model, killed twice on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sim.content import combine
from sim.experiment.check import verify_sweep
from sim.experiment.run import simulate
from sim.experiment.sweep_results import SweepResults
from sim.scenario.load import load_scenario
from sim.scenario.points import at_point

pytestmark = pytest.mark.long
SIM = str(Path(sys.executable).with_name("sim"))
CELLS = 10_000
TEXT = (
    f"name: large\nscenario: baseline\ndesign: {{kind: lhs, samples: {CELLS}, seed: 5}}\nfactors:\n"
    "  demand.value: {uniform: [4, 16]}\n  demand.developer.price_sensitivity: {uniform: [1, 2]}\n"
    "workloads: 200\nuntil: 2023-09\nstore: summary\n"
)


def session(place, kill_at: int | None) -> None:
    """Run the command; kill its whole process group once the journal and the shards hold so many runs."""
    command = [SIM, "sweep", "large.yaml", "--resume", "--jobs", "2", "--quiet"]
    with subprocess.Popen(command, cwd=place, start_new_session=True, env=os.environ) as process:
        shards = place / "outputs/large/shards"
        while kill_at is not None and process.poll() is None:
            if shards.exists() and 200 * len(list(shards.iterdir())) >= kill_at:
                os.killpg(process.pid, signal.SIGKILL)
                break
            time.sleep(0.2)
        code = process.wait()
    assert code == (0 if kill_at is None else -signal.SIGKILL)


def test_ten_thousand_cells_run_to_the_end_though_killed_twice(tmp_path):
    (tmp_path / "large.yaml").write_text(TEXT)
    for kill_at in (2_000, 6_000, None):
        session(tmp_path, kill_at)
    folder = tmp_path / "outputs/large"
    results = SweepResults(folder)
    totals = results.totals
    assert totals is not None
    assert (totals["cells"], totals["done"], totals["done_runs"], totals["failed"]) == (CELLS, CELLS, CELLS, 0)
    assert totals["sessions"] == 3
    assert totals["peak_memory_bytes"] < 1e9
    assert verify_sweep(str(folder)).damage == ()
    found = results.columns("market", ("total_tokens",))
    last = found["month"] == found["month"].max()
    assert found["cell"][last].tolist() == list(range(CELLS))
    base = load_scenario("baseline", workloads=200, until="2023-09")
    for cell in range(0, CELLS, CELLS // 20):
        scenario = at_point(base, results.plan.values(cell))
        market = combine({0: simulate(scenario, None, 0)[0]})["market"]
        assert found["total_tokens"][last][cell] == market["total_tokens"][-1]
    assert np.isfinite(found["total_tokens"]).all()
