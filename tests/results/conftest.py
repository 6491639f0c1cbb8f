"""Saved results for the tests of this folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sim.results import save

from .samples import made_up_results


@pytest.fixture(scope="session")
def pristine(tmp_path_factory) -> Path:
    """A saved result that no test changes."""
    folder = tmp_path_factory.mktemp("pristine") / "made-up"
    save(made_up_results(), folder, figures={"adoption.png": b"\x89PNG made up"}, csv=True)
    return folder


@pytest.fixture
def saved(pristine, tmp_path) -> Path:
    """A saved result to be damaged."""
    return Path(shutil.copytree(pristine, tmp_path / "made-up"))
