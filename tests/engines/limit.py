"""The limit of the machine: operations counted in the kernel of choices, times what the machine was measured to do.

Counted are the arithmetic operations that each lane needs in `sim/market/kernels/choice.py` and the pieces that it is
made of: additions, products, comparisons, selections; a product and the sum that follows count once. Moving data counts
nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from sim.market.adopters import MonthView
from sim.market.kernels.compiled import fma, part
from sim.market.kernels.draws import bits
from sim.market.kernels.single import exp2, log2
from sim.market.market import Market
from sim.market.tables import NONE, Ints
from tests.market.kernels import numpy_choice

from .moment import Moment

ROWS, LANES = 8, 256  # numbers that stay in the first-level cache
CHAIN = 16  # operations in a row on each number
SINGLE = np.float32


class Operations(NamedTuple):
    """How many of each a lane needs."""

    simple: int
    exp2: int = 0
    log2: int = 0
    division: int = 0
    hash: int = 0


# bill 5, worth and moving 5, whether it may be chosen 3, highest 1
OFFER = Operations(simple=14, log2=1)
# whether the older version is the better one
OLDER = Operations(simple=2)
# distance from the highest 2, sum 1, members of the line 3
OPTION = Operations(simple=6, exp2=1)
# success 3, tastes 4
RELEASE = Operations(simple=7, exp2=1, division=1)
# mean 1, weight 3, running sum 1, comparison with the point 2
LINE = Operations(simple=7, exp2=1, log2=1, division=1)
# known and costs of moving 4 a lab
LAB = Operations(simple=4)
# traits 12, four blocs 8, staff, outside and keep 12, whole and point 4, surplus 6, place in the line 12
LOOKING = Operations(simple=54, exp2=3, log2=4, division=4, hash=1)
# whether a row looks at all: two draws at most, one for most; comparisons 8; what it has of its choice this month 24
ROW = Operations(simple=32, exp2=1, log2=1, division=5, hash=1)

# A state that a node uses (eq. 94): who looks 9, weight and worth of what is in use 3, looks at all vendors 9, what
# comes, what is left and what it holds 14
STATE = Operations(simple=35, exp2=1, log2=1, division=1)
# looks at the own vendor, of users of what is not the newest 10
HOME = Operations(simple=10, log2=1, division=1)
# a version of a line: the line without the upgrade cost 12, what comes back to it 9
VERSION = Operations(simple=21, exp2=1, log2=1, division=1)
# superseded and no longer on sale: bill 4, utility 5
KEPT = Operations(simple=9, log2=1)
# what its users buy: price 2, tokens 1; users, tokens and spending in double precision 12
USE = Operations(simple=15, division=1)


class Speeds(NamedTuple):
    """Nanoseconds of one operation on one number, on one core."""

    simple: float
    exp2: float
    log2: float
    division: float
    hash: float


@part
def _simple(x):
    for _ in range(CHAIN):
        x = fma(x, SINGLE(0.5), SINGLE(0.25))
    return x


@part
def _exp2(x):
    return exp2(x)


@part
def _log2(x):
    return log2(x)


@part
def _division(x):
    return SINGLE(1.0) / x


@part
def _hash(x):
    return bits(np.uint64(12345), x)


def _loop(function: Any) -> Any:
    """Return a compiled loop of a function over numbers in the first-level cache."""

    def repeat(times, numbers, found):
        for turn in range(times):
            row = turn % ROWS
            for place in range(LANES):
                found[row, place] = function(numbers[row, place])

    return part(repeat)


def _nanoseconds(function: Any, numbers: Any, found: Any, each: int = 1) -> Callable[[], float]:
    loop, times = _loop(function), 4000
    loop(1, numbers, found)

    def measure() -> float:
        begin = time.process_time()
        loop(times, numbers, found)
        return (time.process_time() - begin) * 1e9 / (times * LANES * each)

    return measure


def speeds(rounds: int) -> Speeds:
    """Measure what this machine does; the best of some rounds, since nothing makes it faster than it is."""
    singles = np.linspace(0.5, 3.0, ROWS * LANES, dtype=SINGLE).reshape(ROWS, LANES)
    whole = np.arange(ROWS * LANES, dtype=np.uint64).reshape(ROWS, LANES)
    measures = Speeds(
        _nanoseconds(_simple, singles, np.empty_like(singles), CHAIN),
        _nanoseconds(_exp2, singles, np.empty_like(singles)),
        _nanoseconds(_log2, singles, np.empty_like(singles)),
        _nanoseconds(_division, singles, np.empty_like(singles)),
        _nanoseconds(_hash, whole, np.empty_like(whole)),
    )
    return Speeds(*(min(measure() for _ in range(rounds)) for measure in measures))


class Looking(NamedTuple):
    """Workloads that look again in a month."""

    everywhere: int
    at_home: Ints  # at the offers of one lab alone, (labs,)


def looking(now: Moment) -> Looking:
    """Return who looks again."""
    everywhere, at_home = 0, np.zeros(len(now.view.lab_bloc), int)
    for group in now.market.adopters:
        rows, home = numpy_choice.who_looks(now.market, group, now.view)
        everywhere += int((~home).sum())
        vendor = now.view.releases.lab[now.market.usage.release[rows[home]]]
        at_home += np.bincount(vendor, minlength=len(at_home))
    return Looking(everywhere, at_home)


def nanoseconds(now: Moment, who: Looking, speed: Speeds) -> float:
    """Return the least time that one core needs for the choices of a month [ns]."""
    offers = now.view.offers

    def seen(lab: Ints) -> int:
        """Return how often something is looked at that the labs have, a row each."""
        return who.everywhere * len(lab) + int(who.at_home[lab].sum())

    releases, looks = np.unique(offers.release), who.everywhere + int(who.at_home.sum())
    counts = (
        (OFFER, seen(offers.lab)),
        (OLDER, seen(offers.lab) - seen(offers.newest.lab)),
        (OPTION, seen(offers.newest.lab)),
        (RELEASE, seen(now.view.releases.lab[releases])),
        (LINE, seen(offers.lab[offers.first_of_line])),
        (LAB, seen(np.arange(len(now.view.lab_bloc)))),
        (LOOKING, looks),
        (ROW, len(now.market.workloads)),
    )
    return float(sum(times * np.dot(operations, speed) for operations, times in counts))


class Counting(Market):
    """A market that counts what choices and use of its nodes need; everything else counts nothing."""

    counted = np.zeros(len(Operations._fields))

    def _choose(self, view: MonthView) -> None:
        super()._choose(view)
        offers, nodes = view.offers, self.nodes
        count, at = len(nodes.table), (nodes.release[1:], nodes.channel[1:])
        used = nodes.mass[1:, :count] > 0.0
        by_state, kept = used.sum(axis=1), view.runs[at] & ~view.offered[at]
        held = sum(int(used[kept & (at[0] == release)].any(axis=0).sum()) for release in np.unique(at[0][kept]))
        counts = (
            (OFFER, count * len(offers)),
            (OLDER, count * (len(offers) - len(offers.newest))),
            (OPTION, count * len(offers.newest)),
            (RELEASE, count * len(np.unique(offers.release)) + held),
            (LINE, count * len(offers.first_of_line)),
            (LAB, count * len(view.lab_bloc)),
            (STATE, by_state.sum()),
            (HOME, by_state[view.runs[at] & ~view.newest[at]].sum()),
            (VERSION, by_state[view.place[at] != NONE].sum()),
            (KEPT, by_state[kept].sum()),
            (USE, by_state.sum()),
        )
        self.counted = self.counted + sum(times * np.array(operations) for operations, times in counts)


def seconds_of_nodes(scenario: Any, speed: Speeds) -> float:
    """Return the least time that one core needs for choices and use of the nodes in a whole run [s]."""
    market = Counting(scenario)
    market.run()
    market.close()
    return float(market.counted @ np.array(speed)) * 1e-9
