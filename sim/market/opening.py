"""What a release would earn its lab with open weights and without: the rule `profit_max` (docs/model.md, 4.3)."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sim.market import demand, offering, price_setting, supply
from sim.market.stages.demand_panel import demand as demand_at
from sim.market.stages.markups import profits
from sim.market.stages.releases import NewRelease
from sim.market.stages.usage import tokens_bought
from sim.market.tables import LAB_API, Floats

if TYPE_CHECKING:
    from sim.market.adopters import MonthView
    from sim.market.market import Market


def profit_if(market: Market, lab: int, line: int, capability: float, is_open: bool) -> float:
    """Return a lab's profit in the month if a release came out open or closed [USD/month] (eq. 33).

    At the prices posted now and with every aware workload of the price panel looking again once; a token that others
    serve counts with the adoption value, also where a superseded release stays in use. A promotion lowers the lab's
    price and not its cost.

    Parameters
    ----------
    lab, line : int
        Row numbers.
    capability : float
        Of the release [ECI points].
    is_open : bool
        Whether its weights come out.
    """
    on_offers, on_kept = earnings(trial_with(market, lab, line, capability, is_open), lab)
    return on_offers + on_kept


def trial_with(market: Market, lab: int, line: int, capability: float, is_open: bool) -> Market:
    """Return a market in which a release came out; the market itself stays as it is. Parameters as of `profit_if`."""
    trial = _trial(market)
    columns = supply.decided_row(trial, trial.lab_agents[lab], NewRelease(line, capability, is_open))
    trial.put_on_offer([supply.Made("trial", columns)])
    trial.keep_on_sale(offering.serving_costs(trial))
    return trial


def earnings(trial: Market, lab: int) -> tuple[float, float]:
    """Return what a lab earns on its offers, and where its superseded releases stay in use [USD/month] (eq. 33)."""
    costs = offering.serving_costs(trial)
    priced = offering.prices(trial, costs)
    offers = offering.offers(trial, priced)
    view = demand.month_view(trial, offers, priced, np.zeros(len(trial.labs.names)))
    # A class pays and costs its mix of the price and the cost; promotions are in the price here, not in the mix.
    newest = offers.newest
    loading = np.where(newest.channel == LAB_API, priced.mix[:, newest.release], 0.0)
    panel, prices = price_setting.demand_panel(trial, offers, view, loading), priced.api_list[newest.release]
    value = trial.labs.adoption_value
    earned = profits(panel, newest.lab, prices, costs.marginal[newest.release], value[newest.lab])
    on_offers = float(earned[lab]) if lab < len(earned) else 0.0
    unit = priced.mix * costs.marginal
    return on_offers, _of_kept(trial, view, lab, demand_at(panel, prices).keep, unit, float(value[lab]))


def _of_kept(trial: Market, view: MonthView, lab: int, keep: Floats, unit: Floats, value: float) -> float:
    """Return what the lab earns where its superseded releases stay in use [USD/month].

    `keep` is the probability of it at each taste node of the panel, (rows,); `unit` what a class costs on the lab's
    API [USD/Mtok], (classes, releases).
    """
    nodes, start, earned = trial.nodes, 0, 0.0
    for group in trial.adopters:
        rows = group.nodes_present(nodes)
        who = group.choosers(rows, np.zeros(len(rows), bool), nodes.table, demand.standing(trial, view, rows), view)
        weight = nodes.table.weight[rows] * nodes.present[rows] * keep[start : start + len(rows)]
        start += len(rows)
        own = np.flatnonzero((who.lab == lab) & ~np.isnan(who.keep_price))
        price, release = who.keep_price[own], who.release[own]
        margin = np.where(who.channel[own] == LAB_API, price - unit[who.kind[own], release], 0.0) + value
        tokens = tokens_bought(price, who.need[own], who.pain[own])
        earned += math.fsum(weight[own] * tokens * margin)
    return earned


def _trial(market: Market) -> Market:
    """Return a market to try a release in: its releases and lines are copies, all else is shared and only read."""
    trial = copy.copy(market)
    trial.settled = None  # nothing that holds for the market as it is
    releases, lines = market.releases, market.lines
    trial.releases = replace(releases, names=list(releases.names))  # columns are replaced, not changed, by `append`
    trial.releases.superseded = releases.superseded.copy()
    arrays = {name: value.copy() for name, value in vars(lines).items() if isinstance(value, np.ndarray)}
    trial.lines = replace(lines, **arrays)
    return trial
