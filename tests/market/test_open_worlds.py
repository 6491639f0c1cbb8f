"""Worlds without open weights run beside a market and leave it alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim.market.market import Market
from sim.market.worlds import WORLDS

from .worlds import differing


@pytest.mark.parametrize("world", WORLDS)
def test_a_twin_moves_no_bit_of_the_market_but_the_pressure_that_it_measures(small_settings, world):
    settings = replace(small_settings, end=small_settings.history_until + 6)
    alone, with_twin = Market(settings), Market(settings, twin=world)
    without, beside = alone.run().tables(), with_twin.run().tables()
    assert with_twin.violations == []
    assert differing(without, beside) == ["market.pricing_pressure"]
    pressure = beside["market"]["pricing_pressure"]
    assert (np.isfinite(pressure) == (beside["market"]["month"] > settings.history_until)).all()
    for market in (alone, with_twin):
        market.close()
