"""Interleaved rounds of the choice stage and of a month, in one process: `python -m tests.engines.compare 10000 5`.

Prints one line of JSON, which `tests/bench.py` turns into lines of its table.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from sim.market import price_setting
from sim.market.kernels.price_panel import CompiledConditions
from sim.market.tables import UsageTable

from . import as_mesa, as_numpy, limit
from .moment import Moment, Outcome, before, choose, moment, twin_of

PEERS = 200_000  # workloads up to which the slower ways are measured too: Mesa agents and whole matrices need memory


class Way:
    """One way to let everybody choose, from the start of the month each time."""

    def __init__(self, now: Moment, choose: Callable[[Moment, UsageTable], Outcome]):
        self.now, self.choose = now, choose

    def seconds(self) -> float:
        """Return the processor time of the stage."""
        usage = before(self.now)
        begin = time.process_time()
        self.outcome = self.choose(self.now, usage)
        return time.process_time() - begin


class MesaWay(Way):
    """The same by agents."""

    def __init__(self, now: Moment, kind: Callable[..., as_mesa.Workload]):
        self.agents = as_mesa.Choices(now, kind)

    def seconds(self) -> float:
        self.agents.begin()
        begin = time.process_time()
        self.agents.step()
        return time.process_time() - begin

    @property
    def outcome(self) -> Outcome:
        """What the agents use."""
        return self.agents.outcome()


def ways(now: Moment) -> dict[str, Way]:
    """Return the ways by name: of the two kinds of agents, and of the sizes of chunks, the fastest one."""
    agents = fastest(MesaWay(now, kind) for kind in (as_mesa.PlainWorkload, as_mesa.ArrayWorkload))
    chunks = fastest(Way(now, _in_chunks(chunk)) for chunk in as_numpy.CHUNKS)
    return {"ours": Way(now, choose), "mesa": agents, "textbook": Way(now, as_numpy.by_the_book), "chunked": chunks}


def _in_chunks(chunk: int) -> Callable[[Moment, UsageTable], Outcome]:
    return lambda now, usage: as_numpy.in_chunks(now, usage, chunk)


def fastest(candidates: Any) -> Way:
    """Return the way that took least time in the better of two tries."""
    tried = [(min(way.seconds(), way.seconds()), number, way) for number, way in enumerate(candidates)]
    return min(tried)[-1]


def month(now: Moment) -> float:
    """Return the processor time of our whole month: all twelve stages [s]."""
    market = twin_of(now.start)
    begin = time.process_time()
    market.step()
    return time.process_time() - begin


def plain_prices(now: Moment) -> float:
    """Return the processor time of the prices of the month in NumPy [s]: the same search, not compiled."""
    market, spent = twin_of(now.start), []
    compiled, prices_month = CompiledConditions.of, price_setting.prices_month

    def timed(*arguments: Any) -> price_setting.PriceMonth:
        begin = time.process_time()
        prices = prices_month(*arguments)
        spent.append(time.process_time() - begin)
        return prices

    CompiledConditions.of = lambda *_: None  # as where utilities lie too far apart for the kernels
    price_setting.prices_month = timed
    try:
        market.step()
    finally:
        CompiledConditions.of, price_setting.prices_month = compiled, prices_month
    return spent[0]


def threaded(now: Moment, threads: int) -> float:
    """Return the wall time of our choice stage with some threads [s]."""
    usage = before(now)
    begin = time.perf_counter()
    choose(now, usage, threads)
    return time.perf_counter() - begin


def spread(values: list[float]) -> list[float]:
    """Return median, least and largest."""
    return [statistics.median(values), min(values), max(values)]


def compare(workloads: int, rounds: int) -> dict[str, Any]:
    """Measure a population of some size; ratios are those of the same round."""
    now = moment(workloads)
    every = ways(now) if workloads <= PEERS else {"ours": Way(now, choose)}
    times: dict[str, list[float]] = {name: [] for name in (*every, "month", "one thread", "two threads")}
    prices = []
    for way in every.values():
        way.seconds()
    for _ in range(rounds):
        for name, way in every.items():
            times[name].append(way.seconds())
        times["month"].append(month(now))
        if "mesa" in every:
            prices.append(plain_prices(now))
        for threads, name in ((1, "one thread"), (2, "two threads")):
            times[name].append(threaded(now, threads))
    looking, speed = limit.looking(now), limit.speeds(max(rounds, 5))
    looks = looking.everywhere + int(looking.at_home.sum())
    ours = statistics.median(times["ours"])
    found = {
        "workloads": workloads,
        "offers": len(now.view.offers),
        "looking": looks,
        "option_ns": ours / (looks * now.options) * 1e9,
        "workload_ns": ours / workloads * 1e9,
        "limit": limit.nanoseconds(now, looking, speed) * 1e-9 / ours,
        "speed": speed._asdict(),
        "month_ms": statistics.median(times["month"]) * 1e3,
        "threads_ms": [statistics.median(times[name]) * 1e3 for name in ("one thread", "two threads")],
        "ratios": {
            name: spread([theirs / mine for theirs, mine in zip(times[name], times["ours"], strict=True)])
            for name in every
            if name != "ours"
        },
    }
    if "mesa" in every:
        months = zip(times["mesa"], prices, times["month"], strict=True)
        found["ratios"]["month"] = spread([(agents + price) / mine for agents, price, mine in months])
        found["differ"] = {name: differing(every["ours"].outcome, way.outcome) for name, way in every.items()}
    return found


def differing(one: Outcome, other: Outcome) -> int:
    """Return how many workloads use something else after two ways to choose."""
    return int(np.sum((one.usage.release != other.usage.release) | (one.usage.channel != other.usage.channel)))


if __name__ == "__main__":
    print(json.dumps(compare(int(sys.argv[1]), int(sys.argv[2]))))
