"""Stored numbers of packaged scenarios, and of the baseline in its other modes.

They change only by `make baseline`, with a line in CHANGELOG.md.

Small runs, so that the test is quick; any change of the model moves them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from sim.experiment.run import run
from sim.months import format_month

STORE = Path(__file__).with_name("baseline_numbers.json")
SCENARIOS: dict[str, dict[str, Any]] = {
    **{name: {"scenario": name} for name in ("baseline", "tight-controls", "chip-thaw")},
    "mean-field": {"scenario": "baseline", "population": "mean-field", "nodes": 128},
    "noise of options": {"scenario": "baseline", "noise": "options"},
}
MONTHS = ("2023-12", "2025-12", "2027-12")
COLUMNS = (
    "open_workload_share", "open_token_share", "chinese_open_token_share", "self_host_token_share", "closed_price",
    "open_price", "gap_points", "compute_us", "compute_cn", "compute_cn_diverted", "total_tokens", "total_spend",
    "consumer_surplus", "hhi_tokens", "closed_margin",
)  # fmt: skip


def numbers(name: str) -> dict[str, dict[str, list[float]]]:
    """Return month -> column -> one number a run."""
    market = run(**SCENARIOS[name], runs=2, workloads=2000, until=MONTHS[-1]).tables["market"]
    when = [format_month(int(month)) for month in market["month"]]
    return {
        month: {
            column: [float(v) for w, v in zip(when, market[column], strict=True) if w == month] for column in COLUMNS
        }
        for month in MONTHS
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Show or write the stored numbers of the packaged scenarios.")
    parser.add_argument("--write", action="store_true")
    document = json.dumps({name: numbers(name) for name in SCENARIOS}, indent=1)
    if parser.parse_args().write:
        STORE.write_text(document + "\n")
    else:
        print(document)
