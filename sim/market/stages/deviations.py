"""Stage 6: would one lab gain by leaving? (docs/model.md, section 4.6)

First-order conditions alone prove no equilibrium: where tastes differ strongly a lab can gain by a large move. Each
lab is tried alone: every one of its list prices over a geometric grid of margins, all of them by common factors, and
random joint moves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sim import rng
from sim.market.stages.demand_panel import Demand, DemandPanel, demand, evaluate, prepare
from sim.market.stages.markups import margins
from sim.market.tables import Bools, Floats, Ints

CHUNK = 65_536  # elements evaluated together, so that a few arrays stay in the second-level cache
SMALLEST_MOVE, LARGEST_MOVE = 1e-4, 0.5  # log standard deviations of random joint moves
MARGIN_RANGE = 1e3  # margins tried reach from one this-th of the margin asked for to this many times
LEAST_MARGIN = 0.01  # of price or cost: scale of the grid where the margin is smaller or negative
LARGEST_EXPONENT = 700.0


@dataclass(frozen=True)
class DeviationCheck:
    """How finely deviations are searched.

    Parameters
    ----------
    margins : int
        Margins tried for every list price.
    joint_moves : int
        Random joint moves of each lab, and as many common factors on all its margins.
    seed : int
        Key of the random moves.
    """

    margins: int = 48
    joint_moves: int = 8
    seed: int = 0


def deviation_gains(
    panel: DemandPanel,
    owner: Ints,
    prices: Floats,
    cost: Floats,
    adoption_value: Floats,
    *,
    free: Bools,
    check: DeviationCheck,
) -> Floats:
    """Return the largest relative gain in profit found for each lab, all others staying, shape (labs,).

    Gains are relative to the lab's profit, or to a millionth of its margins and adoption values in absolute terms
    where its profit is smaller than that. A lab without customers that could win some gains infinitely much.

    Parameters
    ----------
    owner : array, shape (offers,)
        Lab whose weights an offer runs on.
    prices, cost, adoption_value : array, shape (offers,)
        As for `markups` [USD/Mtok].
    free : array of bool, shape (offers,)
        Offers whose list price its lab may change.
    check : DeviationCheck
        How finely to search.
    """
    now = demand(panel, prices)
    tokens = panel.weight[:, None] * now.quantity * now.probability
    earned = tokens * margins(panel, prices, cost, adoption_value)
    turnover = (tokens * (panel.loading * np.where(panel.priced, np.abs(prices - cost), 0.0))).sum(axis=0)
    turnover += tokens.sum(axis=0) * np.abs(adoption_value)
    gains = np.zeros(int(owner.max()) + 1)
    for lab in np.unique(owner[free]):
        mine = owner == lab
        scale = max(abs(float(earned[:, mine].sum())), 1e-6 * float(turnover[mine].sum()))
        best = 0.0
        for offer in np.flatnonzero(free & mine).tolist():
            best = max(best, _single_gain(panel, now, earned, mine, offer, prices, cost, adoption_value, check))
        best = max(best, _joint_gain(panel, now, owner, lab, prices, cost, adoption_value, free, check))
        gains[lab] = best / scale if scale > 0.0 else np.inf if best > 0.0 else 0.0
    return gains


def _tried_prices(price: float, cost: float, number: int) -> Floats:
    """Return the price itself, zero, and prices at a geometric grid of margins."""
    floor = min(max(cost, 0.0), price)
    scale = max(price - floor, LEAST_MARGIN * max(price, cost)) or 1.0
    factors = np.exp(np.linspace(-np.log(MARGIN_RANGE), np.log(MARGIN_RANGE), number))
    below = floor * np.linspace(0.0, 1.0, max(2, number // 8), endpoint=False)
    return np.concatenate([[price], below, floor + scale * factors])


def _positive(panel: DemandPanel, tried: Floats) -> Floats:
    return tried[tried > 0.0] if panel.term.needs_price else tried


def _single_gain(
    panel: DemandPanel,
    now: Demand,
    earned: Floats,
    mine: Bools,
    offer: int,
    prices: Floats,
    cost: Floats,
    adoption_value: Floats,
    check: DeviationCheck,
) -> float:
    """Return the gain [USD/month] of the best single price; only the offer's nest and the total move with it."""
    rows = np.flatnonzero(np.isfinite(panel.fixed[:, offer]) & (panel.weight > 0.0))
    mates = panel.nest == panel.nest[offer]
    others = mates.copy()
    others[offer] = False
    lam = panel.dissimilarity
    utility = _utilities(panel, prices, rows)
    nest_rest = _log_sum(utility[:, others] / lam)
    nests = np.unique(panel.nest)
    rest = [
        now.nest_value[rows][:, nests != panel.nest[offer]],
        panel.keep[rows, None],
        panel.outside[rows, None],
    ]
    rest = _log_sum(np.concatenate(rest, axis=1))
    tried = _positive(panel, _tried_prices(prices[offer], cost[offer], check.margins))
    with_nest = earned[rows][:, mine & others].sum(axis=1)
    elsewhere = earned[rows][:, mine & ~mates].sum(axis=1)
    rate = panel.loading[rows, offer] * panel.need[rows] / panel.pain[rows]
    base = panel.base_price[rows, offer] * panel.need[rows] / panel.pain[rows]
    per_token = panel.weight[rows] * panel.need[rows]
    total = np.empty(len(tried))
    at_once = max(1, CHUNK // max(1, len(rows)))
    old_nest = lam * np.logaddexp(nest_rest, utility[:, offer] / lam)
    old_total = np.logaddexp(rest, old_nest)
    for first in range(0, len(tried), at_once):
        price = tried[first : first + at_once, None]
        burden = rate * price + base
        own = (panel.fixed[rows, offer] - panel.price_sensitivity[rows] * panel.term.value(burden)) / lam
        inclusive = _log_add(nest_rest, own)
        nest = lam * inclusive
        all_options = _log_add(rest, nest)
        probability = np.exp(own - inclusive + nest - all_options)
        margin = panel.loading[rows, offer] * (price - cost[offer]) + adoption_value[offer]
        value = margin * per_token * panel.term.slope(burden) * probability
        in_nest = (nest - inclusive - all_options) - (old_nest - old_nest / lam - old_total)
        value += with_nest * np.exp(np.minimum(in_nest, LARGEST_EXPONENT))
        value += elsewhere * np.exp(np.minimum(old_total - all_options, LARGEST_EXPONENT))
        total[first : first + at_once] = value.sum(axis=1)
    return float(total[1:].max() - total[0])


def _utilities(panel: DemandPanel, prices: Floats, rows: Ints) -> Floats:
    paid = panel.loading[rows] * np.where(panel.priced, prices, 0.0) + panel.base_price[rows]
    bill = panel.term.disutility(paid, panel.need[rows, None], panel.pain[rows, None])
    return panel.fixed[rows] - panel.price_sensitivity[rows, None] * bill


def _log_sum(values: Floats) -> Floats:
    """Return log of the row sums of exponentials; -inf for a row without a possible one."""
    highest = values.max(axis=1, initial=-np.inf)
    shift = np.where(np.isfinite(highest), highest, 0.0)
    with np.errstate(divide="ignore"):
        return shift + np.log(np.exp(values - shift[:, None]).sum(axis=1))


def _log_add(one: Floats, other: Floats) -> Floats:
    """Return log(exp(one) + exp(other)); `other` is finite."""
    highest = np.maximum(one, other)
    return highest + np.log(np.exp(one - highest) + np.exp(other - highest))


def _joint_gain(
    panel: DemandPanel,
    now: Demand,
    owner: Ints,
    lab: int,
    prices: Floats,
    cost: Floats,
    adoption_value: Floats,
    free: Bools,
    check: DeviationCheck,
) -> float:
    """Return the gain [USD/month] of the best joint move of a lab's free prices."""
    moving = np.flatnonzero(free & (owner == lab))
    if check.joint_moves == 0 or len(moving) < 2:
        return 0.0
    columns, seen = _seen_by(panel, now, owner == lab)
    mine = owner[columns] == lab
    tried = np.tile(prices, (1 + 2 * check.joint_moves, 1))
    tried[1:, moving] = _joint_moves(prices[moving], cost[moving], lab, check)
    totals = np.empty(len(tried))
    ready = prepare(seen, np.zeros(len(columns), np.int64))
    listed = columns[ready.order[ready.priced]]
    for number, trial in enumerate(tried):
        if panel.term.needs_price and not (trial[moving] > 0.0).all():
            totals[number] = -np.inf
            continue
        margin = margins(seen, trial[columns], cost[columns], adoption_value[columns])[:, ready.order]
        total = 0.0
        for block in ready.blocks:
            part = evaluate(ready, block, trial[listed])
            tokens = part.probability * part.slope * (block.weight * block.need)
            total += float((tokens * margin[block.rows].T)[mine[ready.order]].sum())
        totals[number] = total
    return float(totals[1:].max() - totals[0])


def _seen_by(panel: DemandPanel, now: Demand, mine: Bools) -> tuple[Ints, DemandPanel]:
    """Return the columns of all nests with an offer of the lab and a panel of them; the rest is its outside option."""
    nests = np.unique(panel.nest)
    touched = np.isin(nests, panel.nest[mine])
    columns = np.flatnonzero(np.isin(panel.nest, nests[touched]))
    rest = [now.nest_value[:, ~touched], panel.keep[:, None], panel.outside[:, None]]
    seen = replace(
        panel,
        fixed=panel.fixed[:, columns],
        loading=panel.loading[:, columns],
        base_price=panel.base_price[:, columns],
        nest=panel.nest[columns],
        keep=np.full(len(panel.keep), -np.inf),
        outside=_log_sum(np.concatenate(rest, axis=1)),
    )
    return columns, seen


def _joint_moves(price: Floats, cost: Floats, lab: int, check: DeviationCheck) -> Floats:
    """Return joint moves of a lab's prices, shape (2 joint_moves, prices): random ones, then common factors."""
    number = check.joint_moves
    cells = np.arange(number * len(price)).reshape(number, len(price))
    noise = rng.normal(rng.stream_key(check.seed, "joint deviation", int(lab)), cells)
    size = np.exp(np.linspace(np.log(SMALLEST_MOVE), np.log(LARGEST_MOVE), number))
    scale = np.maximum(price, np.maximum(cost, 0.0))
    random = np.maximum(0.0, price + scale * size[:, None] * noise)
    common = np.exp(np.linspace(-np.log(MARGIN_RANGE), np.log(MARGIN_RANGE), number))
    return np.concatenate([random, np.maximum(0.0, cost + common[:, None] * (price - cost))])
