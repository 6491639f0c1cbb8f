"""A population carried by taste nodes: shares of each node in place of workloads that draw (docs/model.md, 4.10).

The limit of many workloads with the tastes of each node. It shares every equation with the workloads of
`sim.market.adopters` and differs in how a population is carried: nobody draws, so there is no noise of finite numbers;
an organisation's other workloads are those of its segment on average; nobody's past is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from itertools import cycle
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.market import choosing
from sim.market.kernels import mass, mass_room, mass_tally
from sim.market.kernels.elementary import exp, log, power
from sim.market.kernels.month import LANES, Offered
from sim.market.parts import at_once
from sim.market.population import LARGEST_ORGANISATION
from sim.market.stages.ledger import CELLS, Ledger
from sim.market.tables import LAB_API, NONE, Bools, Floats, Ints, ReleaseTable, WorkloadTable

if TYPE_CHECKING:
    from sim.market.adopters import MonthView

NEGLIGIBLE = 1e-4  # a state that a smaller part of the nodes' mass uses is given up; its users are moved on


class MeanField:
    """Taste nodes and the shares of each that use every release in use.

    Parameters
    ----------
    table : WorkloadTable
        The nodes, sorted by family and class.
    families : tuple of slice
        Rows of each family.
    quantile : array, shape (nodes,)
        Points at which single states stand for a node.
    parameters : mapping
        Drawn parameters of the scenario.

    Attributes
    ----------
    release, channel : array, shape (states,)
        States; the first, `NONE`, stands for no model.
    mass : array, shape (states, nodes)
        Shares, which sum to the part of the node that is in the market.
    present : array, shape (nodes,)
        That part.
    stands : tuple of array, shape (nodes,)
        Release and channel of one state in use that stands for the node, at a point of its own.
    premium : array, shape (states, nodes)
        What the users of each state held beyond its utility when they chose it, all together [utils].
    surplus : array, shape (nodes,)
        Surplus over doing without, of who is in the market [USD/month].
    """

    def __init__(
        self, table: WorkloadTable, families: tuple[slice, ...], quantile: Floats, parameters: Mapping[str, Any]
    ):
        self.table = table
        self.people = choosing.people(table)
        self.families = families
        self.blocks = tuple(_blocks(table.kind, rows) for rows in families)
        self.quantile = quantile
        self.parameters = parameters
        self.present = np.zeros(len(table))
        self.release = np.array([NONE])
        self.channel = np.array([LAB_API])
        self.mass = np.zeros((1, len(table) + LANES))  # the last block reads beyond its nodes
        self.premium = np.zeros(self.mass.shape, np.float32)
        self._seats = self.mass, self.premium  # memory for more states than there are
        self._rooms: list[mass_room.Room] = []  # one for each family that chooses at a time
        self._has = 0, 0, 0, 0  # what they have room for
        self.surplus = np.zeros(len(table))
        self.stands = np.full(len(table), NONE), np.full(len(table), LAB_API)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the room: parts of it are views of others, and a copy's would not be."""
        return vars(self) | {"_rooms": []}

    @property
    def fixed(self) -> tuple[object, ...]:
        """What a copy may share: it never changes."""
        return self.table, self.people, self.blocks, self.quantile, self.parameters

    def choose(self, view: MonthView, families: list[choosing.Seen], threads: int = 1) -> Floats:
        """Let the nodes look again and choose (eq. 94).

        Returns
        -------
        array, shape (labs,)
            Workloads of the first family, developers, in the world that looked at each lab.
        """
        self._states(view)
        fresh = np.append(view.node_present - self.present, np.zeros(LANES))
        self.present = view.node_present
        at, offered, looked = (self.release, self.channel), families[0].offered, np.zeros(len(view.lab_bloc))
        states = mass_room.States(*at, offered.column[at], offered.place[at])
        states.column[0] = states.place[0] = NONE
        rooms = cycle(self._room_for(view, offered, len(families[:threads])))  # shared in turn
        of_families = zip(self.blocks, families, rooms, (looked, np.zeros(0)), strict=False)
        at_once([partial(mass.choose, *self._look(view, states, fresh, *of)) for of in of_families], threads)
        state = np.empty(len(self.table), np.int64)
        mass_tally.drawn(self.mass, self.quantile * self.present, np.empty(len(state)), state)
        self.stands = self.release[state], self.channel[state]
        return looked

    def _room_for(self, view: MonthView, offered: Offered, count: int) -> list[mass_room.Room]:
        """Return room for a block of nodes of so many families: last month's as long as it is large enough."""
        needs = len(offered.line), len(offered.nest), len(offered.release), len(self.release)
        if count > len(self._rooms) or any(need > has for need, has in zip(needs, self._has, strict=True)):
            lines, options, offers, states = self._has = *needs[:2], *(2 * need for need in needs[2:])
            of_all = self.people.traits.shape[1], len(view.lab_bloc), lines, options, offers, states
            self._rooms = [mass_room.room(*of_all, len(view.used_elsewhere)) for _ in range(count)]
        return self._rooms

    def _look(
        self,
        view: MonthView,
        states: mass_room.States,
        fresh: Floats,
        blocks: Ints,
        family: choosing.Seen,
        room: mass_room.Room,
        looked: Floats,
    ) -> tuple[Any, ...]:
        """Return what `sim.market.kernels.mass: choose` takes of a family.

        Families may go at once: lanes beyond a family's last node read what another writes; nothing is made of them.
        """
        return (
            blocks,
            self.people,
            states,
            self.mass,
            self.mass.view(np.int64),
            self.premium,
            fresh,
            self.surplus,
            view.used_elsewhere,
            view.node_reach,
            *family,
            room,
            looked,
        )

    def _states(self, view: MonthView) -> None:
        """Add this month's offers to the states and drop those that nobody uses any more."""
        total = self.mass[:, : len(self.table)].sum(axis=1)
        least = NEGLIGIBLE * float(self.present.sum())
        keeps = (total > least) | view.offered[self.release, self.channel]
        keeps[0] = True
        for state, heir in self._heirs(view.releases.line[self.release], keeps):
            for held in (self.mass, self.premium):
                held[heir] += held[state]
        here = np.zeros_like(view.offered)
        here[self.release[keeps][1:], self.channel[keeps][1:]] = True
        release, channel = np.nonzero(view.offered & ~here)
        self.release = np.append(self.release[keeps], release)
        self.channel = np.append(self.channel[keeps], channel)
        self._reseat(np.flatnonzero(keeps), len(self.release))

    def _heirs(self, line: Ints, keeps: Bools) -> Iterator[tuple[int, int]]:
        """Return each state that is given up and where its users go.

        The next release of its line that is kept on its channel, the last one before if none came after, else none.
        """
        gone, kept = np.flatnonzero(~keeps)[:, None], np.flatnonzero(keeps)
        same = (line[kept] == line[gone]) & (self.channel[kept] == self.channel[gone])
        rank = np.where(same, self.release[kept], NONE)
        newer = rank > self.release[gone]
        rank[newer] = ReleaseTable.FAR - rank[newer]
        heir = kept[rank.argmax(axis=1)]  # the first, of no model, where there is none
        return zip(gone.ravel().tolist(), heir.tolist(), strict=True)

    def _reseat(self, kept: Ints, count: int) -> None:
        """Make room for so many states, those kept first and no one in the others.

        They stay in the memory that they have as long as it has room: new memory costs more than the move.
        """
        first = 0
        if count > len(self._seats[0]):
            self._seats = tuple(np.empty((2 * count, held.shape[1]), held.dtype) for held in (self.mass, self.premium))
        elif self.mass.base is self._seats[0]:
            first = int((kept == np.arange(len(kept))).sum())  # `kept` ascends: these stay where they are
        for held, seats in zip((self.mass, self.premium), self._seats, strict=True):
            mass_tally.move(held, kept, first, seats)
            seats[len(kept) : count] = 0.0
        self.mass, self.premium = (seats[:count] for seats in self._seats)

    def tally(self, view: MonthView, price: Floats, cluster: Floats) -> Ledger:
        """Return who uses what this month and the tokens they want (eq. 61), before anybody serves them.

        Parameters
        ----------
        price : array, shape (channels, classes, releases)
            [USD/Mtok]; own machines at their highest utilisation.
        cluster : array, shape (channels, releases)
            A workload's part of the smallest own cluster [USD/month].
        """
        out = np.zeros((3, prod(CELLS), len(self.release)))
        mass_tally.tally(
            self.people,
            self.release,
            self.channel,
            self.mass,
            self.present,
            self.surplus,
            view.need,
            view.pain,
            price,
            cluster,
            out,
        )
        workloads, tokens, spend = out[:, :, 1:]
        return Ledger(
            self.release[1:],
            self.channel[1:],
            workloads,
            tokens,
            spend,
            np.broadcast_to(0.0, tokens.shape),
            out[0, :, 0],
            out[1, :, 0],
        )


def _blocks(kind: Ints, rows: slice) -> Ints:
    """Return first node, number of nodes and class of blocks of one class, shape (blocks, 3)."""
    found = []
    for number in np.unique(kind[rows]):
        of_class = rows.start + np.flatnonzero(kind[rows] == number)
        for first in range(0, len(of_class), LANES):
            found.append((of_class[first], min(LANES, len(of_class) - first), number))
    return np.array(found, np.int64).reshape(-1, 3)


def used_elsewhere(ledger: Ledger, lab: Ints, labs: int, tail: float) -> Floats:
    """Return the chance that a workload's organisation uses each lab for another one, (segments, labs) (eq. 95).

    Its other workloads are taken to be those of the segment on average: 1 - (1 - q)^(n - 1) over the sizes n of the
    organisations that workloads belong to.
    """
    count = ledger.segment_labs(lab, labs)
    present = ledger.by_segment(ledger.present).ravel()
    share = np.minimum(1.0, count / np.maximum(present, 1e-300)[:, None])  # sums in two orders: above it by rounding
    size, part = _organisations(tail)
    none = np.ones((*share.shape, len(size)))
    none[..., 1:] = exp(log(1.0 - share)[..., None] * (size[1:] - 1))
    return 1.0 - (none * part).sum(axis=-1)


@lru_cache(maxsize=16)
def _organisations(tail: float) -> tuple[Ints, Floats]:
    """Return the sizes of organisations and the part of the workloads that belongs to those of each, (sizes,)."""
    size = np.arange(1, LARGEST_ORGANISATION + 1)
    part = size * power(size, -tail)
    return size, part / part.sum()
