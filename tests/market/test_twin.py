"""Months of the whole market against the same months in plain Python (`twin.py`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sim.market import choosing, price_setting
from sim.market.adopters import Adopters
from sim.market.kernels import uses
from sim.market.kernels.looks import who_looks
from sim.market.kernels.month import LANES
from sim.market.market import Market
from sim.market.stages.equilibrium import NOT_CONVERGED
from sim.months import parse_month

from .twin import Twin
from .twin_cases import CASES
from .worlds import between, changed, for_all_labs

CLOSE = 1e-9
SINGLE = 3e-5  # surplus over pain/alpha: utilities of choices are single precision in the product
SHARES = 1e-5  # of a node
FLAT = 1e-6  # slope of profit in a lab's own list price, over the tokens sold at it
TOLERANCE = 1e-7  # of the product's search for prices
NODES = 64


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_months_equal_the_plain_ones(case, small_scenario, monkeypatch):
    settings = small_scenario.draw(case.seed)
    settings = changed(
        between(settings, case.start, "2026-12", workloads=250, nodes=NODES, **case.fields),
        case.parameters,
        for_all_labs(settings, **case.lab_fields) | {lab: {"compute_share": 0.0} for lab in case.without_compute},
        events=case.events,
        population_seed=99 if case.own_people else settings.population_seed,
    )
    looked = noting_who_looks(monkeypatch)
    solved: list[Any] = []
    solve = price_setting.solve_prices

    def keeping_solution(*args, **options):
        solved.append(solve(*args, **options))
        return solved[-1]

    monkeypatch.setattr(price_setting, "solve_prices", keeping_solution)
    for name in ("ROUGH", "EXACT"):
        monkeypatch.setattr(price_setting, name, replace(price_setting.EXACT, tolerance=TOLERANCE))
    market, reached = Market(settings), set()
    for month in map(parse_month, case.months):
        while market.month < month:
            market.step()
        before, plain = Twin(market), Twin(market)
        looked.clear()
        solved.clear()
        market.step()
        plain.run(market.releases.wanted.tolist())
        check_tables(market, plain, looked)
        if solved and solved[-1].status != NOT_CONVERGED:
            check_prices(plain)
            reached.add("prices")
        reached |= kinds(before, plain)
    market.close()
    assert {*case.reaches, *(() if market.handover is None else ("prices",))} <= reached


def noting_who_looks(monkeypatch):
    """Return a table of who looks again, and whether only at its vendor's offers, that fills as families choose."""
    looked: dict[int, bool] = {}
    choices = Adopters.choices

    def noting(self, people, usage, view, *rest, **named):
        first, last = self.rows.start, self.rows.stop
        looks, seen = np.zeros(last - first, np.uint8), choosing.seen(view, [self])[0]
        states, draws = uses.uses(seen.standing), np.empty((2, LANES))
        uses.tabulate(*seen, states)
        now = people, usage.release, usage.channel, view.reach
        who_looks(first, last, *now, states, seen.rules, *draws, looks)
        looked.update({first + int(row): bool(looks[row] == 2) for row in np.flatnonzero(looks)})
        return choices(self, people, usage, view, *rest, **named)

    monkeypatch.setattr(Adopters, "choices", noting)
    return looked


def check_tables(market, plain, looked):
    """Assert that the product and the plain month agree in every table."""
    close = CLOSE if market.draws else 10 * SHARES  # what follows from shares of nodes is as close as they are
    for name in ("leakage", "allowed", "cloud_open", "world_compute", "frontier", "closed_leak", "publish_limit"):
        same(name, getattr(plain.policy, name), getattr(market.policy, name))
    for name in plain.stock:
        same(f"stock {name}", plain.stock[name], getattr(market.compute, name))
        same(f"serving {name}", plain.serving[name], getattr(market.compute.serving, name))
    assert plain.looked == looked
    for name in ("labs", "releases", "lines"):
        columns(name, getattr(plain, name), getattr(market, name), close)
    check_nodes(market.nodes, plain)
    if market.draws:
        check_people(market, plain)
    for name in ("slope", "revenue", "awareness", "buzz", "affinity"):
        same(name, getattr(plain, name), getattr(market, name))
    for name in ("ecosystem", "downloads"):
        same(name, getattr(plain, name), getattr(market, name), close)
    for name, table in plain.books.items():
        same(f"accounts {name}", table, getattr(market.accounts, name), close)
    for name, value in plain.seen().items():
        seen = market.record.market[name][plain.month - plain.start]
        same(name, value, seen, max(1e-6, close) if name == "consumer_surplus" else close)
    if plain.handover is not None:
        for name, value in vars(plain.handover).items():
            same(f"hand-over {name}", value, getattr(market.handover, name), close)


def check_people(market, plain):
    """Assert that everybody chose the same; the value of the choices is as exact as single precision lets it be."""
    for name in ("release", "channel", "present"):
        same(f"usage {name}", [getattr(w, name) for w in plain.users], getattr(market.usage, name))
    scale = np.array([w.pain_now / w.price_sensitivity for w in plain.users])
    as_utils([w.surplus for w in plain.users] / scale, market.usage.surplus / scale)
    as_utils([w.held for w in plain.users], market.usage.held)


def as_utils(mine, theirs, largest=0.0):
    """Assert that utilities agree as well as single precision can tell; some lie beyond 100 where an API is full."""
    largest = max(largest, np.abs(theirs).max())
    assert np.abs(np.array(mine) - theirs).max() <= SINGLE * max(1.0, largest / 100.0)


def check_nodes(nodes, plain):
    """Assert that nodes have the same shares of the same states, and stand at the same one but on an edge."""
    assert plain.states == [*zip(nodes.release.tolist(), nodes.channel.tolist(), strict=True)]
    found = np.array([node.shares for node in plain.nodes]).T
    assert np.abs(found - nodes.mass[:, : len(plain.nodes)]).max() <= SHARES
    same("present", [node.present for node in plain.nodes], nodes.present)
    scale = np.array([node.pain_now / node.price_sensitivity for node in plain.nodes])
    as_utils([node.surplus for node in plain.nodes] / scale, nodes.surplus / scale)
    held = np.array([node.premium for node in plain.nodes]).T
    as_utils(held, nodes.premium[:, : len(plain.nodes)], np.abs(nodes.surplus / scale).max())
    reached = np.cumsum(found, axis=0)
    edge = (nodes.present > 0.0) & (np.abs(reached - nodes.quantile * nodes.present).min(axis=0) <= SHARES)
    assert edge.sum() <= 2
    for mine, theirs in zip(("release", "channel"), nodes.stands, strict=True):
        here = np.array([getattr(node, mine) for node in plain.nodes])
        assert (here == theirs)[~edge].all(), mine


def columns(table_name, rows, table, close=CLOSE):
    for name, column in vars(table).items():
        if name != "names":
            same(f"{table_name} {name}", [getattr(row, name) for row in rows], column, close)


def same(what, mine, theirs, close=CLOSE):
    mine, theirs = np.array(mine), np.array(theirs)
    if theirs.dtype.kind != "f":
        np.testing.assert_array_equal(mine, theirs, err_msg=what)
        return
    size = np.abs(theirs[np.isfinite(theirs)]).max(
        initial=0.0
    )  # what is left of a difference counts against the largest
    atol = (1e-12 if close == CLOSE else close) * size
    np.testing.assert_allclose(mine, theirs, rtol=close, atol=atol, err_msg=what)


def check_prices(plain):
    """Assert that no lab's profit rises with a small change of a list price that the product wants."""
    price = {id(r): r.wanted if any(r is one for one in plain.free) else r.posted for r in plain.releases}
    slopes = plain.slopes_of_profit(price, plain.free)
    assert len(slopes) > 0
    for r, slope in zip(plain.free, slopes, strict=True):
        assert slope < FLAT, (plain.lines[r.line].names, r.wanted, slope)
        assert slope > -FLAT or r.wanted == 0.0, (plain.lines[r.line].names, r.wanted, slope)


def kinds(before, plain):
    """Return what has happened in the month, in words."""
    happened = {("lab_api", "host", "self_host", "on_device")[channel] for _, _, _, channel in plain.uses()}
    for i, at_home in plain.looked.items():
        old, new = before.users[i], plain.users[i]
        happened.add("arrival" if new.arrival == plain.month else "at home" if at_home else "review")
        if old.release >= 0:
            r = plain.releases[old.release]
            happened |= {"switched off"} if not plain.runs(r, old.channel) else set()
            happened |= {"reached by a ban"} if plain.barred(new, r, old.channel) else set()
            stays = (old.release, old.channel) == (new.release, new.channel) and not plain.on_offer(r, old.channel)
            happened |= {"keeps an old release"} if stays else set()
            older = plain.on_offer(r, old.channel) and not plain.is_newest(r, old.channel)
            happened |= {"leaves an older release on sale"} if older and new.release != old.release else set()
        if new.release not in (-1, old.release):
            r = plain.releases[new.release]
            happened |= set() if plain.is_newest(r, new.channel) else {"takes an older release"}
    for old, new in zip(before.nodes, plain.nodes, strict=True) if not plain.users else ():
        left = dict(zip(plain.states, new.shares, strict=True))
        for (release, channel), share in zip(before.states, old.shares, strict=True):
            if release >= 0 and share > 0.0:
                r = plain.releases[release]
                happened |= {"switched off"} if not plain.runs(r, channel) else set()
                happened |= {"reached by a ban"} if plain.barred(new, r, channel) else set()
                older = plain.on_offer(r, channel) and not plain.is_newest(r, channel)
                happened |= {"older, on sale"} if older else set()
                stays = left.get((release, channel), 0.0) > 0.0 and not plain.on_offer(r, channel)
                happened |= (
                    {"keeps an old release"} if stays else {"at home"} if not plain.on_offer(r, channel) else set()
                )
    count = len(before.releases)
    happened |= {"release"} if len(plain.releases) > count else set()
    happened |= {"enters"} if plain.entries else set()
    happened |= {"overflow"} if any(one.spilled > 0 for one in plain.flows) else set()
    happened |= {"unmet"} if plain.unmet > 0 else set()
    happened |= {"hosts enter"} if any(line.hosts > 2 for line in plain.lines) else set()
    happened |= {"answers"} if any(lab.follows for lab in plain.labs) else set()
    for new, r in enumerate(plain.releases):
        line = plain.lines[r.line]
        late = new < count and r.is_open and not before.releases[new].is_open
        happened |= {"late weights"} if late else set()
        happened |= {"late weights that stay behind"} if late and line.current_open != new else set()
        last = before.lines[r.line].current
        happened |= (
            {"a line opens"}
            if new >= count and r.is_open and last >= 0 and not before.releases[last].is_open
            else set()
        )
    return happened
