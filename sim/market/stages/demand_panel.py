"""Stage 6: demand as a function of list prices, with derivatives (docs/model.md, section 4.6).

A panel holds what every aware workload would think of every offer if it looked again once, switching cost included,
without the part that prices move. What a workload pays for an offer is a base price plus its loading times the list
price: class mix and discount for a lab's own API; nothing for hosts and own machines, whose base price is all.

Inside, offers come first and rows second, in blocks that stay in the second-level cache; blocks are added in order,
so that sums have the same bits on every run.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sim.market.kernels.elementary import exp, log
from sim.market.stages.price_terms import BILL, PriceTerm
from sim.market.tables import Bools, Floats, Ints

BLOCK = 512  # rows
TINY = 1e-300


@dataclass(frozen=True)
class DemandPanel:
    """Workloads (rows) and offers (columns) between which prices decide.

    Raises
    ------
    ValueError
        If shapes or ranges are wrong; the message names the array.
    """

    weight: Floats  # (rows,) workloads in the world
    fixed: Floats  # (rows, offers) utility without the price term, -inf where the offer cannot be chosen
    keep: Floats  # (rows,) utility of staying with a superseded release, -inf where impossible
    outside: Floats  # (rows,) utility of doing without a model
    price_sensitivity: Floats  # (rows,) alpha
    need: Floats  # (rows,) Mtok/month
    pain: Floats  # (rows,) USD/month
    loading: Floats  # (rows, offers) price paid per unit of list price, 0 for offers without a list price
    base_price: Floats  # (rows, offers) USD/Mtok, the part of the price paid that no list price moves
    nest: Ints  # (offers,) line of each offer
    dissimilarity: float = 1.0  # lambda in (0, 1]
    term: PriceTerm = BILL

    def __post_init__(self) -> None:
        rows, offers = self.fixed.shape
        for name in ("weight", "keep", "outside", "price_sensitivity", "need", "pain"):
            if getattr(self, name).shape != (rows,):
                raise ValueError(f"{name} must have one value a row, {rows} of them")
        for name in ("loading", "base_price"):
            values = getattr(self, name)
            if values.shape != (rows, offers):
                raise ValueError(f"{name} must have the shape of fixed, {rows} rows and {offers} offers")
            if values.size and not values.min() >= 0.0:  # so that NaN does not pass
                raise ValueError(f"{name} must be 0 or more")
        if self.nest.shape != (offers,):
            raise ValueError(f"nest must have one value an offer, {offers} of them")
        for name in ("price_sensitivity", "pain"):
            if not (getattr(self, name) > 0.0).all():
                raise ValueError(f"{name} must be positive")
        for name in ("weight", "need"):
            if not (getattr(self, name) >= 0.0).all():
                raise ValueError(f"{name} must be 0 or more")
        if not 0.0 < self.dissimilarity <= 1.0:
            raise ValueError("dissimilarity must lie in (0, 1]")
        if not np.isfinite(self.outside).all():
            raise ValueError("outside must be finite: doing without is always possible")
        if not ((self.fixed < np.inf).all() and (self.keep < np.inf).all()):  # nor not a number
            raise ValueError("fixed and keep must be finite or -inf")

    @cached_property
    def priced(self) -> Bools:
        """Return which offers have a list price, shape (offers,)."""
        return np.asarray((self.loading > 0.0).any(axis=0))


@dataclass(frozen=True)
class Demand:
    """What a panel chooses and buys at given list prices."""

    probability: Floats  # (rows, offers)
    within: Floats  # (rows, offers) probability given the offer's nest
    nest_value: Floats  # (rows, nests) lambda times the inclusive value; nests in the order of np.unique
    keep: Floats  # (rows,) probability
    outside: Floats  # (rows,) probability
    quantity: Floats  # (rows, offers) Mtok/month bought if the offer is chosen
    tokens: Floats  # (offers,) expected Mtok/month
    logsum: Floats  # (rows,) expected maximum utility less Euler's constant


@dataclass(frozen=True)
class Groups:
    """Entries of a first axis gathered in groups; sums add the members of a group in their order.

    A tenth of the time of `np.add.reduceat` along a first axis: one vector addition for all second members, and so on.
    """

    first: Ints  # (groups,) first member of each
    later: tuple[tuple[Ints, Ints], ...]  # (groups that have one more member, that member)

    @classmethod
    def of(cls, group: Ints) -> Groups:
        """Return the groups of a numbering 0, 1, ... of the entries, shape (entries,)."""
        members = [np.flatnonzero(group == number) for number in range(int(group.max()) + 1)]
        later = []
        for rank in range(1, max(len(one) for one in members)):
            larger = [number for number, one in enumerate(members) if len(one) > rank]
            later.append((np.array(larger), np.array([members[number][rank] for number in larger])))
        return cls(np.array([one[0] for one in members]), tuple(later))

    def sums(self, values: Floats) -> Floats:
        """Return the sum of each group, shape (groups, rows)."""
        totals = values[self.first]
        for groups, members in self.later:
            totals[groups] += values[members]
        return totals


@dataclass(frozen=True)
class Block:
    """Some rows of a prepared panel; offers first, in the order of `Prepared.order`."""

    rows: slice
    weight: Floats  # (rows,)
    sensitivity: Floats  # (rows,)
    need: Floats  # (rows,)
    utility: Floats  # (offers, rows) over lambda, with the price term of offers without a list price
    keep: Floats  # (rows,) over lambda
    outside: Floats  # (rows,) over lambda
    loading: Floats  # (priced offers, rows)
    rate: Floats  # (priced offers, rows) burden per unit of list price [Mtok/USD]
    base_burden: Floats | None  # (priced offers, rows) burden at a list price of zero, None where that is 0
    held_tokens: Floats  # (offers, rows) weighted tokens, were an offer without a list price chosen; 0 elsewhere


@dataclass(frozen=True)
class Prepared:
    """A panel made ready for many evaluations. Offers sorted by nest, inside nests by owner."""

    panel: DemandPanel
    order: Ints  # (offers,) original column of each sorted one
    nests: Groups  # of offers
    nest_of: Ints  # (offers,)
    nest_size: Ints  # (nests,)
    priced: Ints  # (priced offers,) sorted positions
    cells: Groups  # of offers; a cell is the part of a nest that belongs to one owner
    cell_of: Ints  # (offers,)
    labs: Groups  # of cells, owners in ascending order
    lab_of: Ints  # (cells,)
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class BlockDemand:
    """Demand of a block; offers first."""

    probability: Floats  # (offers, rows)
    within: Floats  # (priced offers, rows) probability given the nest
    slope: Floats  # (priced offers, rows) D' of the burden
    nest: Floats  # (nests, rows) sum of exponentials over lambda, relative to the highest
    highest: Floats  # (rows,) highest utility over lambda
    keep: Floats  # (rows,)
    outside: Floats  # (rows,)
    logsum: Floats  # (rows,)


def prepare(panel: DemandPanel, owner: Ints) -> Prepared:
    """Return the panel sorted by nest and owner and cut into blocks; `owner` has shape (offers,)."""
    order = np.lexsort((owner, panel.nest))
    nest, lab = panel.nest[order], np.unique(owner, return_inverse=True)[1][order]
    new_nest = np.append(True, nest[1:] != nest[:-1])
    new_cell = new_nest | np.append(True, lab[1:] != lab[:-1])
    nest_of, cell_of = np.cumsum(new_nest) - 1, np.cumsum(new_cell) - 1
    lab_of = lab[new_cell]
    has_price = panel.priced[order]
    rows = len(panel.weight)
    blocks = tuple(
        _block(panel, slice(first, min(rows, first + BLOCK)), order, has_price) for first in range(0, rows, BLOCK)
    )
    return Prepared(
        panel=panel,
        order=order,
        nests=Groups.of(nest_of),
        nest_of=nest_of,
        nest_size=np.bincount(nest_of),
        priced=np.flatnonzero(has_price),
        cells=Groups.of(cell_of),
        cell_of=cell_of,
        labs=Groups.of(lab_of),
        lab_of=lab_of,
        blocks=blocks,
    )


def _block(panel: DemandPanel, rows: slice, order: Ints, has_price: Bools) -> Block:
    scale = 1.0 / panel.dissimilarity
    need, sensitivity = panel.need[rows], panel.price_sensitivity[rows]
    rate = need / panel.pain[rows]
    utility = np.ascontiguousarray(panel.fixed[rows].T[order])
    held_tokens = np.zeros_like(utility)
    burden = panel.base_price[rows].T[order] * rate
    held = np.flatnonzero(~has_price)
    if len(held):
        utility[held] -= sensitivity * panel.term.value(burden[held])
        held_tokens[held] = panel.term.slope(burden[held]) * (panel.weight[rows] * need)
    utility *= scale
    loading = np.ascontiguousarray(panel.loading[rows].T[order][has_price])
    base = np.ascontiguousarray(burden[has_price])
    return Block(
        rows=rows,
        weight=panel.weight[rows],
        sensitivity=sensitivity,
        need=need,
        utility=utility,
        keep=panel.keep[rows] * scale,
        outside=panel.outside[rows] * scale,
        loading=loading,
        rate=loading * rate,
        base_burden=base if base.any() else None,
        held_tokens=held_tokens,
    )


def evaluate(prepared: Prepared, block: Block, list_prices: Floats) -> BlockDemand:
    """Return the demand of a block (eq. 64).

    Parameters
    ----------
    list_prices : array, shape (priced offers,)
        List prices in the order of `prepared.priced` [USD/Mtok].
    """
    panel, lam, priced = prepared.panel, prepared.panel.dissimilarity, prepared.priced
    burden = block.rate * list_prices[:, None]
    if block.base_burden is not None:
        burden += block.base_burden
    member = block.utility.copy()
    bill = panel.term.value(burden)
    bill *= block.sensitivity / lam
    member[priced] -= bill
    highest = np.maximum(np.maximum(member.max(axis=0), block.keep), block.outside)
    member = exp(member - highest)
    of_priced = member[priced]
    nest = prepared.nests.sums(member)
    safe = np.maximum(nest, TINY)  # a nest that nobody here can choose; its members weigh nothing
    log_nest = log(safe)
    scale = exp((lam - 1.0) * log_nest)
    keep, outside = exp(lam * (block.keep - highest)), exp(lam * (block.outside - highest))
    total = (nest * scale).sum(axis=0)
    total += keep
    total += outside
    scale /= total
    member *= np.repeat(scale, prepared.nest_size, axis=0)
    of_priced /= safe[prepared.nest_of[priced]]
    return BlockDemand(
        probability=member,
        within=of_priced,
        slope=panel.term.slope(burden),
        nest=nest,
        highest=highest,
        keep=keep / total,
        outside=outside / total,
        logsum=lam * highest + log(total),
    )


def demand(panel: DemandPanel, prices: Floats) -> Demand:
    """Return choice probabilities and tokens at list prices (eq. 64).

    Parameters
    ----------
    prices : array, shape (offers,)
        List prices [USD/Mtok]; those of offers without one are not read.
    """
    rows, offers = panel.fixed.shape
    lam, priced = panel.dissimilarity, panel.priced
    ready = prepare(panel, np.zeros(offers, np.int64))
    probability, within = np.empty((rows, offers)), np.empty((rows, offers))
    nest_value = np.empty((rows, len(ready.nest_size)))
    keep, outside, logsum = (np.empty(rows) for _ in range(3))
    for block in ready.blocks:
        now = evaluate(ready, block, prices[ready.order[ready.priced]])
        probability[block.rows, ready.order] = now.probability.T
        keep[block.rows], outside[block.rows], logsum[block.rows] = now.keep, now.outside, now.logsum
        nest_value[block.rows] = (lam * (now.highest + log(now.nest))).T
        chance = np.repeat(ready.nests.sums(now.probability), ready.nest_size, axis=0)
        share = np.divide(now.probability, chance, out=np.zeros_like(chance), where=chance > 0.0)
        within[block.rows, ready.order] = share.T
    paid = panel.loading * np.where(priced, prices, 0.0) + panel.base_price
    quantity = panel.term.quantity(paid, panel.need[:, None], panel.pain[:, None])
    tokens = (panel.weight[:, None] * quantity * probability).sum(axis=0)
    return Demand(probability, within, nest_value, keep, outside, quantity, tokens, logsum)


def consumer_surplus(panel: DemandPanel, prices: Floats) -> float:
    """Return what the offers are worth to the panel over doing without [USD/month]: pain / alpha (logsum - V_out)."""
    worth = panel.pain / panel.price_sensitivity * (demand(panel, prices).logsum - panel.outside)
    return float((panel.weight * worth).sum())


def price_derivatives(panel: DemandPanel, prices: Floats, *, loaded: bool = False) -> Floats:
    """Return the derivatives of tokens with respect to list prices (eq. 65).

    Both the choice of offer and the tokens bought respond: with s_ij = alpha_i k_ij (v_i / pain_i) D',

        d(x_il P_il)/dp_j = x_il P_il s_ij [P_ij + 1{same nest} (1/lambda - 1) P_j|nest]
                            - 1{l = j} (x_ij P_ij s_ij / lambda - x'_ij k_ij P_ij)

    Parameters
    ----------
    loaded : bool
        Weight tokens by their loading, as revenue does: derivatives of sum_i k_il x_il P_il.

    Returns
    -------
    array, shape (offers, offers)
        Element (l, j) is the derivative of tokens of l by the list price of j [Mtok^2/(month USD)].
    """
    now, lam = demand(panel, prices), panel.dissimilarity
    rate = panel.loading * (panel.need / panel.pain)[:, None]
    slope = panel.term.slope(rate * prices + panel.base_price * (panel.need / panel.pain)[:, None])
    response = rate * slope
    tokens = panel.weight[:, None] * now.quantity * now.probability
    if loaded:
        tokens = tokens * panel.loading
    choice = response * panel.price_sensitivity[:, None]
    matrix = np.einsum("il,ij->lj", tokens, choice * now.probability)
    if lam < 1.0:
        inside = np.einsum("il,ij->lj", tokens, choice * now.within)
        matrix += (1.0 / lam - 1.0) * np.where(panel.nest[:, None] == panel.nest, inside, 0.0)
    own = tokens * (choice / lam + panel.term.concavity * response)
    matrix[np.diag_indices(len(prices))] -= own.sum(axis=0)
    return matrix
