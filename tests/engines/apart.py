"""How far few taste nodes and workloads are from many nodes: `python -m tests.engines.apart`, a quarter of an hour.

Prints the tables of docs/model.md, section 4.10.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from sim.market.market import Market
from sim.market.tables import Floats
from sim.months import parse_month
from sim.scenario.load import load_scenario

FROM, UNTIL = "2024-01", "2029-12"
COLUMNS = {  # by name, whether differences are relative
    "open_workload_share": False,
    "open_token_share": False,
    "open_spend_share": False,
    "chinese_open_token_share": False,
    "closed_margin": False,
    "hhi_tokens": False,
    "closed_price": True,
    "open_price": True,
    "total_tokens": True,
    "total_spend": True,
    "consumer_surplus": True,
}
NODES, REFERENCE, WORKLOADS, RUNS = (256, 512, 1024, 4096), 16384, 20_000, 6
MANY, POPULATIONS = 64_000, 12
DISCOUNTS: dict[str, dict[str, float]] = {"as it is": {}, "without the discount": {"demand.multi_home_discount": 0.0}}
PULLS, SIZES = (0.1, 0.5, 1.0, 2.0), (1000, 4000, 16_000)


class Leader(NamedTuple):
    """Lab with the most users of open weights at the end of a run, and its share of them."""

    lab: str
    share: float


class Apart(NamedTuple):
    """Differences of a column over months and runs: root mean square, mean, and standard error of the mean of runs."""

    rms: float
    mean: float
    error: float


def columns(
    run: int, until: str = UNTIL, changes: dict[str, float] | None = None, seed: int | None = None, **settings: Any
) -> Floats:
    """Return the columns of a run from 2026 on, shape (months, columns); `seed` is that of the population."""
    drawn = load_scenario("baseline", until=until, **settings).draw(run)
    market = Market(replace(drawn, population_seed=seed, parameters={**drawn.parameters, **(changes or {})}))
    market.run()
    market.close()
    first = parse_month(FROM) - market.record.start
    return np.array([market.record.market[name][first:] for name in COLUMNS], float).T


def apart(found: Sequence[Floats], reference: Sequence[Floats]) -> dict[str, Apart]:
    """Return by column how far runs are from their references."""
    relative = np.array(list(COLUMNS.values()))
    difference = np.array(found) - np.array(reference)
    difference /= np.where(relative, np.array(reference), 1.0)
    by_run = difference.mean(axis=1)
    error = by_run.std(axis=0, ddof=1) / np.sqrt(len(by_run))
    rms = np.sqrt((difference**2).mean(axis=(0, 1)))
    return {name: Apart(*map(float, of)) for name, *of in zip(COLUMNS, rms, by_run.mean(axis=0), error, strict=True)}


def measured(
    nodes: Sequence[int] = NODES,
    reference: int = REFERENCE,
    workloads: int = WORKLOADS,
    runs: int = RUNS,
    until: str = UNTIL,
) -> dict[str, dict[str, Apart]]:
    """Return how far fewer nodes, and workloads whose prices are set on the reference's nodes, are from it."""
    many = [columns(run, until, population="mean-field", nodes=reference) for run in range(runs)]
    ways: dict[str, dict[str, Any]] = {
        f"{count:,} nodes": {"population": "mean-field", "nodes": count} for count in nodes
    }
    ways[f"{workloads:,} workloads"] = {"population": "agents", "nodes": reference, "workloads": workloads}
    return {way: apart([columns(run, until, **of) for run in range(runs)], many) for way, of in ways.items()}


def organisations(
    nodes: int = REFERENCE, workloads: int = MANY, populations: int = POPULATIONS, until: str = UNTIL
) -> dict[str, dict[str, Apart]]:
    """Return how far populations of one draw are from its nodes, with and without what organisations change."""
    found = {}
    for way, changes in DISCOUNTS.items():
        many = columns(0, until, changes, population="mean-field", nodes=nodes)
        drawn = [columns(0, until, changes, seed, nodes=nodes, workloads=workloads) for seed in range(populations)]
        found[way] = apart(drawn, [many] * populations)
    return found


def leader(pull: float, until: str = UNTIL, seed: int | None = None, **settings: Any) -> Leader:
    """Return who leads open weights where an e-fold of an ecosystem is worth `pull` utils to developers.

    Enterprises give half of it, as by default; the most likely value there is 0.1.
    """
    drawn = load_scenario("baseline", until=until, **settings).draw(0)
    pulls = {"demand.developer.ecosystem_weight": pull, "demand.enterprise.ecosystem_weight": pull / 2.0}
    market = Market(replace(drawn, population_seed=seed, parameters={**drawn.parameters, **pulls}))
    market.run()
    market.close()
    release, table = market.ledger.release, market.releases
    users = np.where(table.is_open[release], market.ledger.workloads.sum(axis=0), 0.0)
    by_lab = np.bincount(table.lab[release], users, len(market.labs.names))
    return Leader(market.labs.names[by_lab.argmax()], float(by_lab.max() / by_lab.sum()))


def tipping(
    pulls: Sequence[float] = PULLS, sizes: Sequence[int] = SIZES, populations: int = POPULATIONS, until: str = UNTIL
) -> dict[float, tuple[Leader, dict[int, list[Leader]]]]:
    """Return by pull who leads among the nodes, and in each of some populations of every size."""
    return {
        pull: (
            leader(pull, until, population="mean-field"),
            {size: [leader(pull, until, seed, workloads=size) for seed in range(populations)] for size in sizes},
        )
        for pull in pulls
    }


def tipping_page(found: dict[float, tuple[Leader, dict[int, list[Leader]]]]) -> str:
    """Return who leads, in how many populations another one does, and the spread of the leader's share, in Markdown."""
    lines = [
        "| utils an e-fold | leader of the nodes, share | workloads | another leads | mean share, sd |",
        "|---" * 5 + "|",
    ]
    for pull, (nodes, by_size) in found.items():
        for size, each in by_size.items():
            share = np.array([one.share for one in each])
            others = sum(one.lab != nodes.lab for one in each)
            lines.append(
                f"| {pull:g} | {nodes.lab}, {nodes.share:.2f} | {size:,} | {others} of {len(each)} "
                f"| {share.mean():.2f}, {share.std(ddof=1):.3f} |"
            )
    return "\n".join(lines)


def page(found: dict[str, dict[str, Apart]], between: dict[str, dict[str, Apart]]) -> str:
    """Return the tables in Markdown."""
    *nodes, (last, workloads) = found.items()
    tables = [
        (
            f"column, root mean square | {' | '.join(way for way, _ in nodes)}",
            [[of[n].rms for _, of in nodes] for n in COLUMNS],
        ),
        (f"column, {last} | root mean square | mean | standard error", [[*workloads[n]] for n in COLUMNS]),
        (
            "column | " + " | ".join(f"{way}: mean | standard error" for way in between),
            [[value for of in between.values() for value in of[n][1:]] for n in COLUMNS],
        ),
    ]
    lines = []
    for head, rows in tables:
        lines += [f"| {head} |", "|---" * (1 + head.count(" | ")) + "|"]
        for (name, relative), values in zip(COLUMNS.items(), rows, strict=True):
            shown = [f"{100 * value:.1f} %" if relative else f"{value:.3f}" for value in values]
            lines.append(f"| `{name}`{', relative' if relative else ''} | {' | '.join(shown)} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    print(page(measured(), organisations()))
    print(tipping_page(tipping()))
