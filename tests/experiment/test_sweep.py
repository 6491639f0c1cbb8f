"""A sweep of the real model: the right runs, the same luck in every cell, and results that can be read lazily."""

from __future__ import annotations

import numpy as np
import pytest

import sim
from sim.content import combine
from sim.errors import ResultError, UsageError
from sim.experiment.run import simulate
from sim.experiment.sweep_results import load_sweep
from sim.scenario.load import load_scenario

from .made_up import plan_of, quick, sweep_text

TEXT = (
    "name: tiny\nscenario: baseline\ndesign: {{kind: grid}}\nfactors:\n"
    "  demand.value: [6, 12]\n  compute.cn.quota_h200: [0, 400000]\n"
    "runs: 2\nworkloads: 200\nuntil: 2024-01\nstore: {store}\n"
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A finished sweep of four cells with two replicates, everything stored."""
    place = tmp_path_factory.mktemp("tiny")
    (place / "tiny.yaml").write_text(TEXT.format(store="full"))
    return sim.sweep(place / "tiny.yaml", out=place / "o")


def expected_tables(values: dict, run: int):
    overrides = [f"{path}={value}" for path, value in values.items()]
    scenario = load_scenario("baseline", overrides=overrides, workloads=200, until="2024-01")
    return combine({run: simulate(scenario, None, run)[0]})


def test_each_run_is_the_run_of_its_scenario(tiny):
    runs = list(tiny)
    assert len(runs) == 8
    for found in (runs[0], runs[5]):
        for name, columns in expected_tables(dict(found.values), found.run).items():
            for column, values in columns.items():
                np.testing.assert_array_equal(found.tables[name][column], values, err_msg=f"{name}.{column}")


def test_replicates_share_their_luck_across_cells(tiny):
    """Quotas after the history cannot matter before it: the same replicate is the same to the bit."""
    prices = tiny.column("open_token_share")
    cells = [prices[(prices.cell == cell) & (prices.run == 1)].open_token_share.to_numpy() for cell in range(4)]
    np.testing.assert_array_equal(cells[0], cells[1])
    assert not np.array_equal(cells[0], cells[2])
    other = prices[(prices.cell == 0) & (prices.run == 0)].open_token_share.to_numpy()
    assert not np.array_equal(cells[0], other)


@pytest.mark.parametrize(("store", "rows"), [("headline", 7), ("summary", 3)])
def test_smaller_stores_keep_the_same_numbers(tiny, tmp_path, store, rows):
    (tmp_path / "tiny.yaml").write_text(TEXT.format(store=store))
    small = sim.sweep(tmp_path / "tiny.yaml", out=tmp_path / "o")
    assert small.tables == ("market",)
    whole = {(run.cell, run.run): run.market for run in tiny}
    for run in small:
        assert len(run.market) == rows
        of_whole = whole[run.cell, run.run]
        same = of_whole[of_whole.month.isin(run.market.month)].reset_index(drop=True)
        assert same.equals(run.market)
    with pytest.raises(UsageError, match="table labs was not stored; stored are market"):
        small.frame("labs")


def test_the_design_names_every_cell(tiny):
    assert tiny.design.columns.tolist() == [
        "cell", "scenario", "demand.value", "compute.cn.quota_h200"
    ]  # fmt: skip
    assert tiny.design["compute.cn.quota_h200"].tolist() == [0, 400000, 0, 400000]
    assert tiny.runs[["cell", "run"]].to_numpy().tolist() == [[c, r] for c in range(4) for r in range(2)]
    assert len(tiny.failures) == 0


def test_one_column_reads_no_other(tiny, monkeypatch):
    from sim.experiment import shards

    asked = []
    original = shards.from_arrow
    monkeypatch.setattr(shards, "from_arrow", lambda v, column, w: asked.append(column.name) or original(v, column, w))
    found = tiny.column("closed_price", "2024-01")
    assert asked == ["cell", "run", "month", "closed_price"]
    assert found.shape == (8, 4)


def test_means_and_paired_differences(tiny):
    frame = tiny.column("open_token_share", "2024-01")
    means = tiny.means("open_token_share", "2024-01")
    assert means[2].value == pytest.approx(frame[frame.cell == 2].open_token_share.mean())
    gap = tiny.difference("open_token_share", "2024-01", 0, 2)
    assert gap.value == pytest.approx(means[2].value - means[0].value)
    assert tiny.difference("open_token_share", "2024-01", 0, 1).half_width == 0.0
    with pytest.raises(UsageError, match="2031-01 was not stored"):
        tiny.means("open_token_share", "2031-01")
    with pytest.raises(UsageError, match="no number 'open_tokens'"):
        tiny.column("open_tokens")


def test_results_are_frozen_to_the_hash(tiny, tmp_path):
    again = sim.sweep(tiny.folder.parent / "tiny.yaml", out=tmp_path / "o", jobs=2)
    assert again.totals["content_hash"] == tiny.totals["content_hash"]


def test_a_sweep_can_be_read_before_it_is_finished(tmp_path, small_shards):
    from sim.experiment.engines import Inline
    from sim.experiment.sweep import run_sweep

    class Half(Inline):
        def submit(self, task, work, batch):
            if batch[0].cell >= 12:
                raise KeyboardInterrupt
            return super().submit(task, work, batch)

    with pytest.raises(KeyboardInterrupt):
        run_sweep(plan_of(tmp_path, sweep_text(cells=20)), tmp_path / "o", Half, task=quick)
    results = load_sweep(tmp_path / "o")
    assert results.totals is None
    runs = [(run.cell, run.run) for run in results]
    assert runs == [(cell, 0) for cell in range(12)]  # eight in a shard, four in the journal
    assert len(results.column("closed_price")) == 36
    assert results.runs["cell"].tolist() == list(range(12))


def test_a_reader_keeps_up_with_a_writer_that_makes_shards_of_the_journal(tmp_path, small_shards):
    from sim.experiment.engines import Inline
    from sim.experiment.sweep import run_sweep

    plan, readers = plan_of(tmp_path, sweep_text(cells=20)), []

    def look(ended, planned, failed):
        if ended == 4:  # all in the journal
            readers.append(load_sweep(tmp_path / "o"))
            midway = iter(load_sweep(tmp_path / "o"))
            readers.append([next(midway).cell, midway])

    run_sweep(plan, tmp_path / "o", Inline, task=quick, progress=look)
    first, (cell, midway) = readers
    assert [run.cell for run in first] == list(range(20))
    assert first.runs["cell"].tolist() == list(range(20))
    assert [cell, *(run.cell for run in midway)] == list(range(4))  # what was there when it looked


def test_what_is_no_sweep_is_told(tmp_path):
    with pytest.raises(ResultError, match="no such folder"):
        load_sweep(tmp_path / "nothing")
    with pytest.raises(ResultError, match="not a sweep"):
        load_sweep(tmp_path)


# The stop rule


STOP = "stop: {metric: open_token_share, date: 2023-12, half_width: 0.2, max_runs: 40}\n"


def replicated(tmp_path, name: str, engine, text: str = sweep_text(cells=6, runs=2, extra=STOP)):
    from sim.experiment.sweep import run_sweep

    report = run_sweep(plan_of(tmp_path, text), tmp_path / name, engine, task=quick)
    return report, load_sweep(tmp_path / name)


def test_cells_are_replicated_until_their_interval_is_narrow_enough(tmp_path):
    from sim.experiment.engines import Inline
    from sim.precision import mean

    report, results = replicated(tmp_path, "o", Inline)
    measures = results.runs
    counts = []
    for cell in range(6):
        own = measures[measures.cell == cell].sort_values("run").measure.to_numpy()
        counts.append(len(own))
        assert mean(own).half_width <= 0.2
    assert len(set(counts)) > 1  # each cell stops for itself
    assert sum(counts) == report.totals["runs"] == report.totals["done_runs"]


def test_the_number_of_replicates_does_not_depend_on_workers_or_interruptions(tmp_path):
    from sim.experiment.engines import Inline, Local
    from sim.experiment.sweep import run_sweep

    whole, _ = replicated(tmp_path, "a", Inline)
    two, _ = replicated(tmp_path, "b", lambda: Local(2))
    assert two.totals["content_hash"] == whole.totals["content_hash"]

    class Some(Inline):
        left = 15

        def submit(self, task, work, batch):
            Some.left -= 1
            if Some.left < 0:
                raise KeyboardInterrupt
            return super().submit(task, work, batch)

    plan = plan_of(tmp_path, sweep_text(cells=6, runs=2, extra=STOP))
    for _ in range(50):
        Some.left = 15
        try:
            report = run_sweep(plan, tmp_path / "c", Some, resume=True, task=quick)
        except KeyboardInterrupt:
            continue
        break
    assert report.totals["content_hash"] == whole.totals["content_hash"]
    assert report.totals["sessions"] > 2


def test_replication_ends_at_its_limit(tmp_path):
    from sim.experiment.engines import Inline

    text = sweep_text(cells=2, runs=2, extra=STOP.replace("0.2", "0.0001").replace("40", "11"))
    report, _ = replicated(tmp_path, "o", Inline, text)
    assert report.totals["runs"] == 22
