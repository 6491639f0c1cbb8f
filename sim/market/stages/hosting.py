"""Stage 5: serving cost, hosts and own machines (docs/model.md, section 4.4). All costs in USD per million tokens."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from sim.market.tables import Floats

Numbers = TypeVar("Numbers", float, Floats)
ACCELERATOR_MEMORY = 80.0  # GB of an H100 (vendor data sheet)
BYTES_A_PARAMETER = 1.0  # 8-bit weights, the usual way to serve large open models
WORKING_MEMORY = 0.2  # share of the weights' memory needed beside them
HOURS_A_MONTH = 730.0
REFERENCE_TOTAL_PARAMS = 671.0  # billions, of the same model
REFERENCE_PARAMS = 37.0  # active parameters [billions] of the model whose cost is `serving.base_cost`
REFERENCE_GPU_HOUR = 2.0  # USD, the accelerator-hour price of that cost


def cost_index(gpu_hour: float, efficiency_growth: float, years: float) -> float:
    """Return serving cost relative to February 2025 (eq. 37): price of an accelerator-hour over its tokens."""
    return gpu_hour / REFERENCE_GPU_HOUR / efficiency_growth**years


def technical_cost(base_cost: float, active_params: float, size_exponent: float, index: float) -> float:
    """Return the cost of serving an open model at full load, by its active parameters [billions] (eq. 38)."""
    return base_cost * (active_params / REFERENCE_PARAMS) ** size_exponent * index


def accelerators_needed(total_params: Floats) -> Floats:
    """Return the accelerators whose memory holds a model's weights, whole ones, shape of `total_params` (eq. 42)."""
    return np.ceil(total_params * BYTES_A_PARAMETER * (1.0 + WORKING_MEMORY) / ACCELERATOR_MEMORY)


def cluster_cost(total_params: Floats, gpu_hour: float, sharing: float) -> Floats:
    """Return a workload's part of the smallest cluster that can run a model [USD/month], shape (releases,) (eq. 42).

    Parameters
    ----------
    total_params : array, shape (releases,)
        Size [billions of parameters].
    gpu_hour : float
        Price of an accelerator-hour [USD].
    sharing : float
        Workloads that share a cluster.
    """
    return accelerators_needed(total_params) * gpu_hour * HOURS_A_MONTH / sharing


def split_price(list_price: Numbers, output_ratio: Numbers) -> tuple[Numbers, Numbers]:
    """Return input and output prices whose blend (3 input + output) / 4 is `list_price`, given their ratio (eq. 72)."""
    input_price = 4.0 * list_price / (3.0 + output_ratio)
    return input_price, input_price * output_ratio


def own_price(full_price: Floats, cluster: Floats, volume: Floats) -> Floats:
    """Return the price of a million tokens on own machines [USD/Mtok], broadcast shape (eq. 42).

    Parameters
    ----------
    full_price : array
        Cost at the highest utilisation [USD/Mtok].
    cluster : array
        The workload's part of the smallest cluster [USD/month], due however little runs on it.
    volume : array
        Need [Mtok/month].
    """
    with np.errstate(divide="ignore"):
        return np.maximum(full_price, cluster / volume)
