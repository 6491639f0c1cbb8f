"""Stage 6: would one lab gain by leaving? (docs/model.md, section 4.6)

First-order conditions alone prove no equilibrium: where tastes differ strongly a lab can gain by a large move. Each
lab is tried alone: every one of its list prices over a geometric grid of margins, all of them by common factors, and
random joint moves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby

import numpy as np

from sim import rng
from sim.market.kernels.elementary import exp, log
from sim.market.stages.demand_panel import Demand, DemandPanel, demand, prepare
from sim.market.stages.markups import earnings, margins
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

    margins: int = 32
    joint_moves: int = 4
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
    """Return the largest relative gain in profit found for each lab, all others staying, shape (labs,) (eq. 68).

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
    for number in np.unique(owner[free]):
        mine = owner == number
        scale = max(abs(float(earned[:, mine].sum())), 1e-6 * float(turnover[mine].sum()))
        lab = _lab_of(panel, now, np.where(mine, earned, 0.0), mine, free, prices, cost, adoption_value)
        singles = [_single_gain(lab, offer, check) for offer in np.flatnonzero(lab.free).tolist()]
        best = max(0.0, _joint_gain(lab, int(number), check), *singles)
        gains[number] = best / scale if scale > 0.0 else np.inf if best > 0.0 else 0.0
    return gains


@dataclass(frozen=True)
class _Lab:
    """What one lab sees: the nests in which it has an offer; all else is part of the outside option."""

    panel: DemandPanel
    mine: Bools  # (offers,)
    free: Bools  # (offers,) its own that it may reprice
    prices: Floats  # (offers,)
    cost: Floats  # (offers,)
    adoption_value: Floats  # (offers,)
    nest_value: Floats  # (rows, nests) in the order of np.unique
    earned: Floats  # (rows, offers) USD/month, 0 for offers of others


def _lab_of(
    panel: DemandPanel,
    now: Demand,
    earned: Floats,
    mine: Bools,
    free: Bools,
    prices: Floats,
    cost: Floats,
    adoption_value: Floats,
) -> _Lab:
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
    own = (mine[columns], (free & mine)[columns], prices[columns], cost[columns], adoption_value[columns])
    return _Lab(seen, *own, now.nest_value[:, touched], earned[:, columns])


def _tried_prices(price: float | Floats, cost: float | Floats, number: int) -> Floats:
    """Return the price itself, zero, and prices at a geometric grid of margins, along a last axis."""
    price, cost = np.asarray(price)[..., None], np.asarray(cost)[..., None]
    floor = np.minimum(np.maximum(cost, 0.0), price)
    scale = np.maximum(price - floor, LEAST_MARGIN * np.maximum(price, cost))
    scale = np.where(scale == 0.0, 1.0, scale)
    return np.concatenate([price, floor * _even(max(2, number // 8)), floor + scale * _factors(number)], axis=-1)


@lru_cache(maxsize=64)
def _even(number: int) -> Floats:
    """Return parts from 0 to below 1."""
    return np.linspace(0.0, 1.0, number, endpoint=False)


@lru_cache(maxsize=64)
def _factors(number: int) -> Floats:
    """Return factors on a margin."""
    return exp(np.linspace(-log(MARGIN_RANGE), log(MARGIN_RANGE), number))


def _single_gain(lab: _Lab, offer: int, check: DeviationCheck) -> float:
    """Return the gain [USD/month] of the best single price; only the offer's nest and the total move with it."""
    panel, lam = lab.panel, lab.panel.dissimilarity
    rows = np.flatnonzero(np.isfinite(panel.fixed[:, offer]) & (panel.weight > 0.0))
    mates = panel.nest == panel.nest[offer]
    others = np.flatnonzero(mates & (np.arange(len(mates)) != offer))
    other_nests = np.unique(panel.nest) != panel.nest[offer]
    nest_rest = _log_sum(_utilities(lab, rows, others) / lam)
    rest = _log_sum(np.column_stack([lab.nest_value[rows][:, other_nests], panel.outside[rows]]))
    with_nest = lab.earned[np.ix_(rows, others)].sum(axis=1)
    elsewhere = lab.earned[rows][:, ~mates].sum(axis=1)
    loading, sensitivity = panel.loading[rows, offer], panel.price_sensitivity[rows]
    per_money = panel.need[rows] / panel.pain[rows]
    weighted_need = panel.weight[rows] * panel.need[rows]
    old = _utilities(lab, rows, np.array([offer]))[:, 0] / lam
    old_inclusive = _log_add(nest_rest, old)
    old_total = _log_add(rest, lam * old_inclusive)
    tried = _tried_prices(lab.prices[offer], lab.cost[offer], check.margins)
    tried = tried[tried > 0.0] if panel.term.needs_price else tried
    total = np.empty(len(tried))
    at_once = max(1, CHUNK // max(1, len(rows)))
    for first in range(0, len(tried), at_once):
        price = tried[first : first + at_once, None]
        burden = (loading * price + panel.base_price[rows, offer]) * per_money
        own = (panel.fixed[rows, offer] - sensitivity * panel.term.value(burden)) / lam
        inclusive = _log_add(nest_rest, own)
        all_options = _log_add(rest, lam * inclusive)
        probability = exp(own + (lam - 1.0) * inclusive - all_options)
        margin = loading * (price - lab.cost[offer]) + lab.adoption_value[offer]
        value = margin * weighted_need * panel.term.slope(burden) * probability
        freed = old_total - all_options
        if len(others):
            in_nest = (lam - 1.0) * (inclusive - old_inclusive) + freed
            value += with_nest * exp(np.minimum(in_nest, LARGEST_EXPONENT))
        value += elsewhere * exp(np.minimum(freed, LARGEST_EXPONENT))
        total[first : first + at_once] = value.sum(axis=1)
    return float(total[1:].max() - total[0])


def _utilities(lab: _Lab, rows: Ints, offers: Ints) -> Floats:
    """Return utilities at the present prices, shape (rows, offers)."""
    panel, at = lab.panel, np.ix_(rows, offers)
    listed = np.where(panel.priced, lab.prices, 0.0)[offers]
    paid = panel.loading[at] * listed + panel.base_price[at]
    bill = panel.term.disutility(paid, panel.need[rows, None], panel.pain[rows, None])
    return panel.fixed[at] - panel.price_sensitivity[rows, None] * bill


def _log_sum(values: Floats) -> Floats:
    """Return log of the row sums of exponentials; -inf for a row without a possible one."""
    highest = values.max(axis=1, initial=-np.inf)
    shift = np.where(np.isfinite(highest), highest, 0.0)
    return shift + log(exp(values - shift[:, None]).sum(axis=1))


def _log_add(one: Floats, other: Floats) -> Floats:
    """Return log(exp(one) + exp(other)); `other` is finite."""
    highest = np.maximum(one, other)
    return highest + log(exp(one - highest) + exp(other - highest))


def _joint_gain(lab: _Lab, number: int, check: DeviationCheck) -> float:
    """Return the gain [USD/month] of the best joint move of a lab's free prices."""
    moving = np.flatnonzero(lab.free)
    if check.joint_moves == 0 or len(moving) < 2:
        return 0.0
    tried = np.tile(lab.prices, (1 + 2 * check.joint_moves, 1))
    tried[1:, moving] = _joint_moves(lab.prices[moving], lab.cost[moving], int(number), check)
    ready = prepare(lab.panel, np.zeros(len(lab.prices), np.int64))
    mine = np.flatnonzero(lab.mine[ready.order])
    totals = np.full(len(tried), -np.inf)
    for trial, prices in enumerate(tried):
        if not lab.panel.term.needs_price or (prices[moving] > 0.0).all():
            parts = [earnings(ready, block, prices, lab.cost, lab.adoption_value) for block in ready.blocks]
            totals[trial] = np.sum([part.earned[mine].sum() for part in parts])
    return float(totals[1:].max() - totals[0])


def _joint_moves(price: Floats, cost: Floats, lab: Ints | int, check: DeviationCheck) -> Floats:
    """Return joint moves of labs' prices, shape (2 joint_moves, prices): random ones, then common factors.

    `lab` sets the prices, shape (prices,), each lab those that lie side by side; a number sets all.
    """
    number = check.joint_moves
    noise = _noise(check.seed, tuple(np.broadcast_to(lab, price.shape).tolist()), number)
    size = _sizes(number)
    scale = np.maximum(price, np.maximum(cost, 0.0))
    random = np.maximum(0.0, price + scale * size[:, None] * noise)
    common = _factors(number)
    return np.concatenate([random, np.maximum(0.0, cost + common[:, None] * (price - cost))])


@lru_cache(maxsize=64)
def _sizes(number: int) -> Floats:
    """Return log standard deviations of random moves."""
    return exp(np.linspace(log(SMALLEST_MOVE), log(LARGEST_MOVE), number))


@lru_cache(maxsize=1024)
def _noise(seed: int, labs: tuple[int, ...], moves: int) -> Floats:
    """Return the normals of labs' random moves, (moves, prices); the same in every month."""
    found = [np.empty((moves, 0))]
    for lab, own in groupby(labs):
        prices = len(list(own))
        cells = np.arange(moves * prices).reshape(moves, prices)
        found.append(rng.normal(rng.stream_key(seed, "joint deviation", lab), cells))
    return np.concatenate(found, axis=1)


def trials(price: Floats, cost: Floats, lab: Ints, free: Bools, check: DeviationCheck) -> tuple[Ints, Floats]:
    """Return what is tried where all list prices lie side by side, lab after lab (eq. 68).

    Parameters
    ----------
    price, cost : array, shape (priced,)
        List price and marginal cost at loading one [USD/Mtok].
    lab : array, shape (priced,)
        Number of the lab that sets the price.
    free : array of bool, shape (priced,)
        Prices that may change.

    Returns
    -------
    lab : array, shape (trials,)
        Who moves.
    prices : array, shape (trials, priced)
        Of each lab first the prices as they are, then its moves.
    """
    moving = np.flatnonzero(free)
    moving = moving[np.argsort(lab[moving], kind="stable")]
    own = lab[moving]
    first = np.flatnonzero(np.append(True, own[1:] != own[:-1]))
    offers = np.append(first[1:], len(moving)) - first
    alone = _tried_prices(price[moving], cost[moving], check.margins)[:, 1:]
    joint = np.where(offers > 1, 2 * check.joint_moves, 0)
    rows = 1 + alone.shape[1] * offers + joint
    end = np.cumsum(rows)
    table = np.empty((end[-1], len(price)))
    table[:] = price
    at = np.repeat(end - rows + 1 - alone.shape[1] * first, offers) + alone.shape[1] * np.arange(len(moving))
    table[at[:, None] + np.arange(alone.shape[1]), moving[:, None]] = alone
    several = np.flatnonzero(np.repeat(joint, offers))
    at = np.repeat(end - joint, offers)[several]
    together = _joint_moves(price[moving], cost[moving], own, check)
    table[at + np.arange(len(together))[:, None], moving[several]] = together[:, several]
    return np.repeat(own[first], rows), table
