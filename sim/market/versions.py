"""Which older open weights of each line stay on sale, by what buyers would lose without them.

Weights that are out stay out, so hosts could sell every release of a line. Newcomers are offered the newest and the
older ones that they would miss most: a device of the computation, like the number of taste nodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.market import demand, offering
from sim.market.nodes import arrived
from sim.market.stages.choice import success
from sim.market.stages.usage import bill_disutility
from sim.market.stages.versions import missed_most
from sim.market.tables import HOST, NONE, Floats, Ints

if TYPE_CHECKING:
    from sim.market.market import Market

EVERY = 4  # taste nodes for which one is asked


def older_weights(market: Market, costs: offering.Costs) -> Ints:
    """Return the older weights of each line that stay on sale, shape (lines, `OLDER`) (eq. 96).

    Chosen anew when weights of the line come out, and every January; until then they stay as they are.
    """
    lines, table = market.lines, market.releases
    january = market.month % 12 == 0 or market.month == market.settings.start
    due = np.flatnonzero((lines.published == market.month) | (january & (lines.current_open != NONE)))
    older = lines.older.copy()
    weights, newest = np.flatnonzero(table.is_open), lines.current_open[table.line]
    weights = weights[np.isin(table.line[weights], due)]
    weights = weights[np.lexsort((weights, weights == newest[weights], table.line[weights]))]  # newest last of its line
    if len(weights) > 0:
        utility, worth = wanted(market, weights, offering.prices(market, costs).by_class[HOST])
        ends = np.cumsum(np.bincount(table.line[weights], minlength=len(older))[due])
        for line, first, last in zip(due.tolist(), [0, *ends[:-1].tolist()], ends.tolist(), strict=True):
            place = missed_most(utility[:, first:last], worth, older.shape[1])
            older[line] = np.where(place == NONE, NONE, weights[first + place])
    return older


def asked(market: Market) -> Ints:
    """Return the taste nodes that are asked, some of those in the market."""
    present = arrived(market.nodes.table, market.month, market.parameters)
    return np.flatnonzero(present > 0.0)[::EVERY]


def wanted(market: Market, weights: Ints, price: Floats) -> tuple[Floats, Floats]:
    """Return what nodes make of weights at hosts, success less bill [utils], (nodes, weights) (eq. 96).

    And what a util is worth to all that each stands for [USD/month], (nodes,). `price` has shape (classes, releases).
    """
    nodes, labs, some = market.nodes.table, market.labs, asked(market)
    present = arrived(nodes, market.month, market.parameters)[some]
    kind, alpha = nodes.kind[some], nodes.price_sensitivity[some]
    need = nodes.need[some] * demand.need_growth(market)[kind]
    pain = nodes.pain[some] * demand.pain_growth(market)[kind]
    able = offering.perceived(market)[weights] + labs.strength[market.releases.lab[weights]].T[kind]
    hard = nodes.difficulty[some] + demand.difficulty_rise(market)[kind]
    bill = bill_disutility(price[:, weights][kind], need[:, None], pain[:, None])
    utility = success(able, hard[:, None], market.parameters["demand.success_width"]) * nodes.value[some, None]
    utility -= alpha[:, None] * bill
    return utility, nodes.weight[some] * present * pain / alpha
