"""Folders of scenario files for tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sim.scenario.load import load_scenario
from sim.scenario.scenario import Scenario


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Return a function that writes a scenario file of a name and gives its path."""

    def writer(text: str, name: str = "mine") -> Path:
        path = tmp_path / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return writer


@pytest.fixture
def load(write) -> Callable[..., Scenario]:
    """Return a function that loads a scenario given as text."""

    def loader(text: str, *overrides: str, **settings) -> Scenario:
        return load_scenario(write(text), overrides=overrides, **settings)

    return loader
