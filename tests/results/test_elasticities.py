"""All elasticities of demand with respect to list prices, in one month."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sim
from sim.analysis import elasticities
from sim.market.stages.demand_panel import demand

README = Path(__file__).parents[2] / "README.md"
MONTH = "2026-03"


@pytest.fixture(scope="module")
def seen():
    """The market and the problem that the elasticities below were taken from."""
    return []


@pytest.fixture(scope="module")
def found(small_scenario, seen):
    kept = elasticities._elasticities
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(elasticities, "_elasticities", lambda *of: (seen.append(of), kept(*of))[1])
        return sim.cross_elasticities(small_scenario, MONTH, 1)


def test_products_are_those_on_sale_and_what_is_written_of_the_month(found, small_scenario):
    assert found.month == MONTH
    count = len(found.release)
    assert count > 10
    assert len(found.lab) == len(found.line) == count == len(set(found.line))
    assert found.matrix.shape == (count, count)
    assert found.prices.shape == found.tokens.shape == (count,)
    offers = sim.run(small_scenario, runs=2, until=MONTH, twin=False).tables["offers"]
    last = (offers["run"] == 1) & (offers["month"] == offers["month"].max()) & (offers["channel"] == "lab_api")
    listed = dict(zip(offers["release"][last], offers["list_price"][last], strict=True))
    assert [listed[name] for name in found.release] == found.prices.tolist()


def test_a_dearer_product_loses_and_all_others_gain_or_stay(found):
    own = np.eye(len(found.release), dtype=bool)
    assert (found.tokens > 0.0).all()
    assert (found.matrix[own] < 0.0).all()
    assert (found.matrix[~own] >= 0.0).all()
    assert (found.matrix[~own] > 0.0).mean() > 0.5


def test_elasticities_are_the_slopes_of_demand(found, seen):
    market, problem = seen[0]
    at = np.flatnonzero(problem.panel.priced)
    prices = np.where(problem.panel.priced, market.releases.posted[problem.offers.release], 0.0)
    step = 1e-4
    for column, offer in enumerate(at):
        up, down, far_up, far_down = (
            demand(problem.panel, prices * np.where(np.arange(len(prices)) == offer, np.exp(move), 1.0)).tokens[at]
            for move in (step, -step, 2.0 * step, -2.0 * step)
        )
        slope = (8.0 * (up - down) - (far_up - far_down)) / (12.0 * step)
        assert found.matrix[:, column] == pytest.approx(slope / found.tokens, abs=1e-6)


@pytest.mark.parametrize(
    ("month", "words"),
    [
        (
            "2025-12",
            "no lab sets prices in 2025-12: prices are replayed up to the end of the history; ask for 2026-01 to",
        ),
        ("2090-01", "no lab sets prices in 2090-01: the horizon ends before; ask for 2026-01 to"),
        ("2026-13", "'2026-13' is not a month; write YYYY-MM, for example 2026-06"),
        (7, "7 is not a month; write YYYY-MM, for example 2026-06"),
    ],
)
def test_a_month_in_which_no_lab_sets_prices_is_refused_in_one_line(small_scenario, month, words):
    with pytest.raises(sim.SimError) as refused:
        sim.cross_elasticities(small_scenario, month)
    assert str(refused.value).startswith(words)
    assert "\n" not in str(refused.value)


def test_a_negative_replicate_is_refused(small_scenario):
    with pytest.raises(sim.SimError, match=r"^replicate must be 0 or more, not -1$"):
        sim.cross_elasticities(small_scenario, MONTH, -1)


def test_a_scenario_that_is_history_alone_names_no_months(small_scenario):
    past = replace(small_scenario, end=small_scenario.history_until)
    with pytest.raises(sim.SimError) as refused:
        sim.cross_elasticities(past, "2026-01")
    assert str(refused.value) == "no lab sets prices in 2026-01: the horizon ends before"


def test_the_example_of_the_readme_runs():
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", README.read_text(), re.S) if "cross_" in block)
    code += "\nassert found.matrix[gains, dearer] > 0.0"
    done = subprocess.run([sys.executable, "-c", f"import sim\n{code}"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
