"""Which older open weights of each line stay on sale, by what buyers would lose without them.

Weights that are out stay out, so hosts could sell every release of a line. Newcomers are offered the newest and the
older ones that they would miss most: a device of the computation, like the number of taste nodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.market import demand, offering
from sim.market.kernels import versions as compiled
from sim.market.tables import NONE, Floats, Ints

if TYPE_CHECKING:
    from sim.market.market import Market

EVERY = 4  # taste nodes for which one is asked


def older_weights(market: Market, costs: offering.Costs) -> Ints:
    """Return the older weights of each line that stay on sale, shape (lines, `OLDER`) (eq. 96).

    Chosen anew when weights of the line come out, and every January; until then they stay as they are.
    """
    lines, table = market.lines, market.releases
    january = market.month % 12 == 0 or market.month == market.settings.start
    due = (lines.published == market.month) | (january & (lines.current_open != NONE))
    older = lines.older.copy()
    weights = np.flatnonzero(table.is_open & due[table.line])
    line = table.line[weights]
    weights = weights[np.lexsort((weights == lines.current_open[line], line))]  # the newest last of its line
    if len(weights) > 0:
        utility, worth = wanted(market, weights, costs.hosted)
        first = np.append(0, np.cumsum(np.bincount(line, minlength=len(due))[due]))
        place = np.empty((len(first) - 1, older.shape[1]), np.int64)
        compiled.missed_most(utility, worth, first, place)
        older[due] = np.where(place == NONE, NONE, weights[first[:-1, None] + place])
    return older


def asked(market: Market) -> tuple[Ints, Floats]:
    """Return the taste nodes that are asked, some of those in the market, and the part of each that is there."""
    present = demand.arrivals(market)
    some = np.flatnonzero(present > 0.0)[::EVERY]
    return some, present[some]


def wanted(market: Market, weights: Ints, price: Floats) -> tuple[Floats, Floats]:
    """Return what nodes make of weights at hosts, success less bill [utils], (nodes, weights) (eq. 96).

    And what a util is worth to all that each stands for [USD/month], (nodes,). `price` has shape (classes, releases).
    """
    nodes, (some, present) = market.nodes.table, asked(market)
    kind = nodes.kind[some]
    who = compiled.Asked(
        kind=kind,
        need=nodes.need[some] * demand.need_growth(market)[kind],
        pain=nodes.pain[some] * demand.pain_growth(market)[kind],
        price_sensitivity=nodes.price_sensitivity[some],
        value=nodes.value[some],
        difficulty=nodes.difficulty[some] + demand.difficulty_rise(market)[kind],
    )
    able = offering.perceived(market)[weights] + market.labs.strength[market.releases.lab[weights]].T
    utility = np.empty((len(some), len(weights)))
    width = market.parameters["demand.success_width"]
    compiled.write_wanted(who, np.ascontiguousarray(able), price.take(weights, axis=1), width, utility)
    return utility, nodes.weight[some] * present * who.pain / who.price_sensitivity
