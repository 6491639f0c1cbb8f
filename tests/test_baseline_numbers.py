"""The packaged scenarios give the stored numbers."""

from __future__ import annotations

import json

import pytest

from tests.baseline_numbers import SCENARIOS, STORE, numbers


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_packaged_scenario_gives_its_stored_numbers(scenario):
    stored = json.loads(STORE.read_text())[scenario]
    found = numbers(scenario)
    for month, columns in stored.items():
        for column, values in columns.items():
            assert found[month][column] == pytest.approx(values, rel=1e-9), (
                f"{scenario} {month} {column}: if the change is meant, run `make baseline` and say why in CHANGELOG.md"
            )
