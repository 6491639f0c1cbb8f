"""What a release would earn its lab with open weights and without: the rule `profit_max` (docs/model.md, 4.3)."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sim.market import demand, offering, price_setting, supply
from sim.market.stages.markups import profits
from sim.market.stages.releases import NewRelease
from sim.market.tables import LAB_API

if TYPE_CHECKING:
    from sim.market.market import Market


def profit_if(market: Market, lab: int, line: int, capability: float, is_open: bool) -> float:
    """Return a lab's profit in the month if a release came out open or closed [USD/month] (eq. 33).

    At the prices posted now and with every aware workload of the price panel looking again once; a token that others
    serve counts with the adoption value. A promotion lowers the lab's price and not its cost.

    Parameters
    ----------
    lab, line : int
        Row numbers.
    capability : float
        Of the release [ECI points].
    is_open : bool
        Whether its weights come out.
    """
    trial = _trial(market)
    columns = supply.decided_row(trial, trial.lab_agents[lab], NewRelease(line, capability, is_open))
    trial.put_on_offer([supply.Made("trial", columns)])
    costs = offering.serving_costs(trial)
    priced = offering.prices(trial, costs)
    offers = offering.offers(trial, priced)
    view = demand.month_view(trial, offers, priced, np.zeros(len(trial.labs.names)))
    # A class pays and costs its mix of the price and the cost; promotions are in the price here, not in the mix.
    loading = np.where(offers.channel == LAB_API, priced.mix[:, offers.release], 0.0)
    earned = profits(
        price_setting.demand_panel(trial, offers, view, loading),
        offers.lab,
        priced.api_list[offers.release],
        costs.marginal[offers.release],
        market.labs.adoption_value[offers.lab],
    )
    return float(earned[lab]) if lab < len(earned) else 0.0


def _trial(market: Market) -> Market:
    """Return a market to try a release in: its releases and lines are copies, all else is shared and only read."""
    trial = copy.copy(market)
    releases, lines = market.releases, market.lines
    trial.releases = replace(releases, names=list(releases.names))  # columns are replaced, not changed, by `append`
    trial.releases.superseded = releases.superseded.copy()
    arrays = {name: value.copy() for name, value in vars(lines).items() if isinstance(value, np.ndarray)}
    trial.lines = replace(lines, **arrays)
    return trial
