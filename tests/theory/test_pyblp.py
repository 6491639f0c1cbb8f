"""Prices against PyBLP where it is installed, and against its stored prices everywhere."""

from __future__ import annotations

import os
from importlib.util import find_spec

import numpy as np
import pytest

from sim.theory.closed_forms import pyblp_cases, solve, stored_pyblp_prices

from .pyblp_prices import pyblp_prices


@pytest.mark.parametrize("name", list(pyblp_cases()))
def test_prices_equal_those_that_pyblp_found(name):
    case, stored = pyblp_cases()[name], np.array(stored_pyblp_prices()[name])
    assert np.abs(solve(case).prices / stored - 1.0).max() <= 1e-10
    assert np.ptp(stored) > 0.1, "prices that differ little would prove little"


@pytest.mark.parametrize("name", list(pyblp_cases()))
def test_pyblp_itself_gives_the_stored_prices(name):
    if find_spec("pyblp") is None:
        assert os.environ.get("CI") != "true", "PyBLP must be installed where CI runs"
        pytest.skip("PyBLP is not installed")
    case = pyblp_cases()[name]
    found = pyblp_prices(case)
    assert np.abs(found / np.array(stored_pyblp_prices()[name]) - 1.0).max() <= 1e-10
    assert np.abs(found / solve(case).prices - 1.0).max() <= 1e-10
