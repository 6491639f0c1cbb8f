"""Stage 5: serving cost, hosts and own machines (docs/model.md, section 4.4). All costs in USD per million tokens."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from sim.market.tables import Floats

Numbers = TypeVar("Numbers", float, Floats)
REFERENCE_PARAMS = 37.0  # active parameters [billions] of the model whose cost is `serving.base_cost`
REFERENCE_GPU_HOUR = 2.0  # USD, the accelerator-hour price of that cost


def cost_index(gpu_hour: float, efficiency_growth: float, years: float) -> float:
    """Return serving cost relative to February 2025 (eq. 20): price of an accelerator-hour over its tokens."""
    return gpu_hour / REFERENCE_GPU_HOUR / efficiency_growth**years


def technical_cost(base_cost: float, active_params: float, size_exponent: float, index: float) -> float:
    """Return the cost of serving an open model at full load, by its active parameters [billions] (eq. 21)."""
    return base_cost * (active_params / REFERENCE_PARAMS) ** size_exponent * index


def cost_plus(cost: float, margin: float) -> float:
    """Return marginal cost plus a margin that is a share of the price (eq. 23)."""
    return cost / (1.0 - margin)


def utilisation(volume: Floats, *, highest: float, half_volume: float) -> Floats:
    """Return the share of its capacity that an own cluster uses at a monthly volume [Mtok], shape of volume (eq. 24).

    Half of the highest utilisation is reached at `half_volume`.
    """
    return highest * volume / (volume + half_volume)


def split_price(list_price: Numbers, output_ratio: Numbers) -> tuple[Numbers, Numbers]:
    """Return input and output prices whose blend (3 input + output) / 4 is `list_price`, given their ratio (eq. 41)."""
    input_price = 4.0 * list_price / (3.0 + output_ratio)
    return input_price, input_price * output_ratio


def own_price(cost: Floats, volume: Floats, *, highest: float, half_volume: float) -> Floats:
    """Return the marginal price of own machines (eq. 24): cost at full load over utilisation, broadcast shape."""
    with np.errstate(divide="ignore"):
        return cost / utilisation(volume, highest=highest, half_volume=half_volume)
