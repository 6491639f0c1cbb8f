"""A model of the market for open-weight and closed AI models. Names are loaded when first used."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than all else that the program needs to start
if TYPE_CHECKING:
    from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Market": "sim.market.market",
    "Lab": "sim.market.labs",
    "HostMarket": "sim.market.labs",
    "Government": "sim.market.governments",
    "Developers": "sim.market.adopters",
    "Enterprises": "sim.market.adopters",
    "Scenario": "sim.scenario.scenario",
    "load_scenario": "sim.scenario.load",
    "run": "sim.experiment.run",
    "CrossElasticities": "sim.analysis.elasticities",
    "cross_elasticities": "sim.analysis.elasticities",
    "sweep": "sim.experiment.session",
    "SweepResults": "sim.experiment.sweep_results",
    "load_sweep": "sim.experiment.sweep_results",
    "Results": "sim.results",
    "load_results": "sim.results",
    "save": "sim.results",
    "SimError": "sim.errors",
    "ScenarioError": "sim.errors",
}
__all__ = [*_HOMES, "__version__"]

if TYPE_CHECKING:
    from sim.analysis.elasticities import CrossElasticities, cross_elasticities
    from sim.errors import ScenarioError, SimError
    from sim.experiment.run import run
    from sim.experiment.session import sweep
    from sim.experiment.sweep_results import SweepResults, load_sweep
    from sim.market.adopters import Developers, Enterprises
    from sim.market.governments import Government
    from sim.market.labs import HostMarket, Lab
    from sim.market.market import Market
    from sim.results import Results, load_results, save
    from sim.scenario.load import load_scenario
    from sim.scenario.scenario import Scenario


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sim' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
