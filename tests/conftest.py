"""Small worlds that several folders of tests share; nothing is imported before a test asks for it."""

from __future__ import annotations

import pytest
from hypothesis import settings

# A shared machine may be slow for a moment; the same examples every time, so that no run fails by luck.
settings.register_profile("sim", deadline=None, derandomize=True)
settings.load_profile("sim")


@pytest.fixture(scope="session")
def small_scenario():
    """The baseline from mid-2024 to the end of 2026 with 600 workloads, 128 taste nodes and four runs."""
    from sim.scenario.load import load_scenario

    horizon = ["horizon.start=2024-07", "horizon.end=2026-12"]
    return load_scenario("baseline", overrides=horizon, runs=4, workloads=600, nodes=128)


@pytest.fixture(scope="session")
def small_settings(small_scenario):
    """What replicate 0 of the small scenario draws."""
    return small_scenario.draw(0)


@pytest.fixture(scope="session")
def small_market(small_settings):
    """The small market after its last month; tests look at it and change nothing."""
    from sim.market.market import Market

    market = Market(small_settings)
    market.run()
    return market


@pytest.fixture(scope="session")
def small_tables(small_market):
    """The tables of the small market."""
    return small_market.record.tables()
