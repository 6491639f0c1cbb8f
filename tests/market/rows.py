"""What each workload pays and buys, row by row in NumPy: the readable twin of the compiled sums over rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.market import offering, resources
from sim.market.adopters import MonthView, paid_price
from sim.market.market import Market
from sim.market.stages import usage
from sim.market.stages.ledger import Ledger, cell
from sim.market.tables import HOST, LAB_API, NONE, Floats


class Watched(Market):
    """A market that keeps what its people saw and paid in the last month simulated."""

    view: MonthView
    costs: offering.Costs
    prices: offering.Prices

    def _observe(self, view: MonthView, costs: offering.Costs, prices: offering.Prices) -> None:
        self.view, self.costs, self.prices = view, costs, prices
        super()._observe(view, costs, prices)


@dataclass(frozen=True)
class Bought:
    """Shapes (workloads,); zero for who uses no model."""

    need: Floats  # this month's [Mtok/month]
    price: Floats  # [USD/Mtok]
    wanted: Floats  # tokens a workload [Mtok/month]
    tokens: Floats  # of them served
    spilled: Floats  # of those served by hosts in place of the lab
    spill_price: Floats  # [USD/Mtok]
    spend: Floats  # [USD/month]


def bought(market: Market, view: MonthView, prices: offering.Prices) -> Bought:
    """Return what each workload of a market buys of what it uses (eqs. 45, 60, 61)."""
    table, now, state = market.workloads, market.usage, market.releases
    uses = now.release != NONE
    need, pain = table.need * view.need[table.kind], table.pain * view.pain[table.kind]
    price = np.where(uses, paid_price(prices.by_class, prices.cluster, now.channel, table.kind, now.release, need), 0.0)
    wanted = np.where(uses, usage.tokens_bought(price, need, pain), 0.0)
    share = np.ones(len(table))
    capacity = market.labs.api_share * np.maximum(resources.serving_compute(market), 1e-3)
    with np.errstate(divide="ignore"):
        of_lab = np.minimum(1.0, capacity / market.labs.serving_load)
    on_api = uses & (now.channel == LAB_API)
    share[on_api] = of_lab[state.lab[now.release[on_api]]]
    missing = wanted * (1.0 - share)
    spills = (missing > 0.0) & state.is_open[now.release]
    spilled = np.where(spills, missing, 0.0)
    spill_price = np.where(spills, prices.by_class[HOST, table.kind, now.release], 0.0)
    own = wanted - missing
    return Bought(need, price, wanted, own + spilled, spilled, spill_price, own * price + spilled * spill_price)


def summed(market: Market, ledger: Ledger, amount: Floats) -> Floats:
    """Return an amount of the workloads, in figures for the world, by cell and state of a ledger, its shape."""
    table, now = market.workloads, market.usage
    found: dict[tuple[Any, ...], list[int]] = {}
    for row in np.flatnonzero(now.release != NONE).tolist():
        place = cell(table.group[row], table.bloc[row], table.kind[row])
        found.setdefault((int(place), int(now.release[row]), int(now.channel[row])), []).append(row)
    states = {(int(r), int(c)): n for n, (r, c) in enumerate(zip(ledger.release, ledger.channel, strict=True))}
    sums = np.zeros_like(ledger.tokens)
    for (place, release, channel), rows in found.items():
        sums[place, states[release, channel]] = (amount[rows] * table.weight[rows]).sum()
    return sums
