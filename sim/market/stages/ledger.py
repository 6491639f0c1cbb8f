"""Stage 9: who uses and buys what, added up over the population (docs/model.md, section 4.8).

A cell is an adopter group in a bloc with a class of work, a state a release on a channel that somebody uses. Whatever
the population is carried by, workloads or shares of taste nodes, later stages read these sums alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from sim.market.stages.accounts import totals
from sim.market.tables import HOST, LAB_API, Bools, Floats, Ints
from sim.scenario.schema import BLOCS, CHANNELS, CLASSES, DEVELOPER_GROUPS, GROUPS

CELLS = (len(GROUPS), len(BLOCS), len(CLASSES))


def cell(group: Ints, bloc: Ints, kind: Ints) -> Ints:
    """Return the number of a cell, shape broadcast."""
    return (group * len(BLOCS) + bloc) * len(CLASSES) + kind


@dataclass(frozen=True)
class Ledger:
    """A month's use and purchases; money in USD, tokens in millions, per month.

    `release` and `channel` have shape (states,), all that follow shape (cells, states) unless said.
    """

    release: Ints
    channel: Ints
    workloads: Floats  # in the world
    tokens: Floats  # wanted, or served once `serve` has been through
    spend: Floats
    spilled: Floats  # tokens that hosts serve in place of the lab's full API
    present: Floats  # (cells,) workloads in the market, users or not
    surplus: Floats  # (cells,) USD/month over doing without
    _by_labs: dict[int, Floats] = field(default_factory=dict, init=False, repr=False, compare=False)

    def shaped(self, name: str) -> Floats:
        """Return a quantity with axes of its own for groups, blocs and classes, (groups, blocs, classes, states)."""
        return getattr(self, name).reshape(*CELLS, len(self.release))

    def by_offer(self, amount: Floats, releases: int) -> Floats:
        """Return an amount of shape (cells, states) or (states,) by release and channel, (releases, channels)."""
        by_state = amount if amount.ndim == 1 else amount.sum(axis=0)
        found = np.zeros((releases, len(CHANNELS)))
        found[self.release, self.channel] = by_state
        return found

    def worth(self, tokens: Floats, unit: Floats) -> Floats:
        """Return tokens of shape (cells, states) at what each costs [USD/Mtok], (classes, states), by state."""
        return (tokens.reshape(CELLS[0] * CELLS[1], *unit.shape) * unit).reshape(tokens.shape).sum(axis=0)

    def by_segment(self, amount: Floats) -> Floats:
        """Return an amount of shape (cells, states) or (cells,) by group and bloc, (groups, blocs)."""
        by_cell = amount if amount.ndim == 1 else amount.sum(axis=1)
        return by_cell.reshape(CELLS).sum(axis=2)

    def segment_labs(self, lab: Ints, labs: int) -> Floats:
        """Return the workloads of each segment by the lab whose model they use, (segments, labs), not to be changed.

        Parameters
        ----------
        lab : array, shape (releases,)
            Lab of each release.
        labs : int
            Labs in all.
        """
        if labs not in self._by_labs:  # several stages ask
            used = self.shaped("workloads").sum(axis=2).reshape(CELLS[0] * CELLS[1], len(self.release))
            code = np.arange(len(used))[:, None] * labs + lab[self.release]
            found = totals(code.ravel(), used.ravel(), len(used) * labs).reshape(len(used), labs)
            found.flags.writeable = False
            self._by_labs[labs] = found
        return self._by_labs[labs]

    def developers(self) -> Floats:
        """Return developers' workloads by state, (states,)."""
        return self.shaped("workloads")[: len(DEVELOPER_GROUPS)].sum(axis=(0, 1, 2))


def empty() -> Ledger:
    """Return the ledger of a world in which nobody uses a model yet."""
    cells = prod(CELLS)
    none, nothing = np.zeros(0, np.int64), np.zeros((cells, 0))
    return Ledger(none, none, nothing, nothing, nothing, nothing, np.zeros(cells), np.zeros(cells))


def serving_needed(wanted: Ledger, hours: Floats, mix: Floats, lab: Ints, labs: int) -> Floats:
    """Return the accelerator-hours that the tokens wanted from labs' APIs take, shape (labs,) (eq. 43).

    Parameters
    ----------
    wanted : Ledger
        Tokens wanted.
    hours : array, shape (releases,)
        Accelerator-hours a million tokens at the list blend.
    mix : array, shape (classes, releases)
        A class's cost over that of the list blend.
    lab : array, shape (releases,)
        Lab of each release.
    labs : int
        Labs in all.
    """
    on_api = np.flatnonzero(wanted.channel == LAB_API)
    release = wanted.release[on_api]
    tokens = wanted.shaped("tokens").sum(axis=(0, 1)).take(on_api, axis=1)
    return totals(lab[release], (tokens * mix.take(release, axis=1)).sum(axis=0) * hours[release], labs)


def serve(wanted: Ledger, share: Floats, is_open: Bools, host_price: Floats) -> Ledger:
    """Return what is served: hosts take over what a full API cannot serve of open weights, the rest is lost (eq. 45).

    Parameters
    ----------
    wanted : Ledger
        Tokens wanted and their price.
    share : array, shape (releases,)
        Part of the wanted tokens that the API of the release's lab serves.
    is_open : array, shape (releases,)
        Whether others can serve it.
    host_price : array, shape (classes, releases)
        What hosts charge [USD/Mtok].
    """
    served = np.where(wanted.channel == LAB_API, share[wanted.release], 1.0)
    if (served == 1.0).all():
        return wanted
    tokens, spend = wanted.tokens * served, wanted.spend * served
    overflow = is_open[wanted.release] & (served < 1.0)
    spilled = np.where(overflow, wanted.tokens - tokens, 0.0)
    price = np.where(overflow, host_price[:, wanted.release], 0.0)
    by_class = spilled.reshape(-1, len(CLASSES), len(served)) * price
    return replace(wanted, tokens=tokens + spilled, spend=spend + by_class.reshape(spend.shape), spilled=spilled)


def sold_by_hosts(ledger: Ledger, amount: Floats, spilled: Floats, releases: int) -> Floats:
    """Return an amount by offer, what hosts serve in place of labs counted as theirs, (releases, channels).

    Parameters
    ----------
    amount, spilled : array, shape (cells, states) or (states,)
        The whole, and the part of it that hosts take over.
    """
    found = ledger.by_offer(amount, releases)
    if spilled.any():
        taken = ledger.by_offer(spilled, releases)[:, LAB_API]
        found[:, LAB_API] -= taken
        found[:, HOST] += taken
    return found
