"""What was observed up to the end of 2025: figures with their sources (`SOURCES.md`), and their reader.

Nothing here depends on a scenario. `docs/evidence.md` tells what the figures can and cannot show.
"""

from __future__ import annotations

from sim.evidence.compute import (
    PolicyEvent,
    Stock,
    china_legal_stock,
    gpu_hour_price,
    policy_events,
    tiers_allowed,
    world_stock,
)
from sim.evidence.observations import Observation, observations
from sim.evidence.releases import PriceChange, Release, alive_lines, price_changes, releases
from sim.evidence.sources import SourceFile, sources
from sim.evidence.tables import LAST_MONTH, table

__all__ = [
    "LAST_MONTH",
    "Observation",
    "PolicyEvent",
    "PriceChange",
    "Release",
    "SourceFile",
    "Stock",
    "alive_lines",
    "china_legal_stock",
    "gpu_hour_price",
    "observations",
    "policy_events",
    "price_changes",
    "releases",
    "sources",
    "table",
    "tiers_allowed",
    "world_stock",
]
