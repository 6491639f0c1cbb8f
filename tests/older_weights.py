"""What selling a few older open weights of each line leaves out: `python -m tests.older_weights`.

A line's hosts could sell all weights that it ever published. The model offers the newest and the few older ones that
buyers would miss most (docs/model.md, section 4.3): how much they still miss, and what more of them would change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

import sim
from sim.market import offering, setup, versions
from sim.market.market import Market
from sim.market.tables import HOST, NONE, Floats, Ints
from sim.months import parse_month
from sim.scenario.scenario import Scenario

MONTHS = ("2026-06", "2028-12", "2030-12")
COLUMNS = ("open_workload_share", "open_token_share", "open_price", "self_host_token_share", "total_spend")


class Loss(NamedTuple):
    """What buyers lose against all versions of a line [utils]: mean and 99th percentile over workloads."""

    versions: int
    mean: float
    worst: float
    mean_newest: float  # with the newest alone
    worst_newest: float


@contextmanager
def selling(older: int) -> Iterator[None]:
    """Let every line sell so many older weights beside the newest."""
    before = setup.OLDER
    setup.OLDER = older
    try:
        yield
    finally:
        setup.OLDER = before


def losses(market: Market) -> dict[str, Loss]:
    """Return what nodes lose in each line with more versions than are sold."""
    every, versions.EVERY = versions.EVERY, 1
    try:
        return dict(_losses(market))
    finally:
        versions.EVERY = every


def _losses(market: Market) -> Iterator[tuple[str, Loss]]:
    lines, table = market.lines, market.releases
    price = offering.prices(market, offering.serving_costs(market)).by_class[HOST]
    for line in np.flatnonzero(lines.current_open != NONE):
        weights = np.flatnonzero((table.line == line) & table.is_open)
        if len(weights) < 2 + lines.older.shape[1]:
            continue
        utility, _ = versions.wanted(market, weights, price)
        some, _ = versions.asked(market)
        nodes = market.nodes.table.weight[some] * market.nodes.present[some]
        newest = weights == lines.current_open[line]
        sold = newest | np.isin(weights, lines.older[line])
        found = [*_lost(utility, sold, nodes), *_lost(utility, newest, nodes)]
        yield lines.names[line], Loss(len(weights), *found)


def _lost(utility: Floats, sold: Ints, weight: Floats) -> tuple[float, float]:
    loss = utility.max(axis=1) - utility[:, sold].max(axis=1)
    order = np.argsort(loss)
    reached = np.cumsum(weight[order]) / weight.sum()
    return float((loss * weight).sum() / weight.sum()), float(loss[order][np.searchsorted(reached, 0.99)])


def outcomes(scenario: Scenario, older: int, runs: Sequence[int]) -> Floats:
    """Return the last month's `COLUMNS` of some runs that sell so many older weights, shape (runs, columns)."""
    found = []
    with selling(older):
        for run in runs:
            market = Market(scenario.draw(run))
            record = market.run().market
            market.close()
            found.append([record[name][-1] for name in COLUMNS])
    return np.array(found)


def main() -> None:
    scenario = sim.load_scenario("baseline").replace(population="mean-field")
    market = Market(scenario.draw(0))
    for month in MONTHS:
        while market.month <= parse_month(month):
            market.step()
        print(f"\n{month}: utils lost against all versions, mean and 99th percentile; with the newest alone")
        for name, loss in losses(market).items():
            print(
                f"{name:24} {loss.versions:3} versions {loss.mean:8.4f} {loss.worst:7.3f}"
                f" {loss.mean_newest:9.4f} {loss.worst_newest:7.3f}"
            )
    market.close()
    print(f"\n{MONTHS[-1]}, mean of four runs, and largest difference of one run from selling four older ones")
    print(f"{'older':>5} " + " ".join(f"{name:>28}" for name in COLUMNS))
    right = outcomes(scenario, 4, range(4))
    for older in (0, 1, 2, 4):
        found = outcomes(scenario, older, range(4))
        off = np.abs(found / right - 1.0).max(axis=0)
        shown = zip(found.mean(axis=0), off, strict=True)
        print(f"{older:5} " + " ".join(f"{mean:19.5g} ({gap:6.2%})" for mean, gap in shown))


if __name__ == "__main__":
    main()
