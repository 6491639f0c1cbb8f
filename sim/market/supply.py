"""Labs in a month: capability, releases, and the hand-over from replay to rule.

Each function reads the market and returns what changes; `market.py` alone assigns it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sim import evidence
from sim.market import resources, setup
from sim.market.stages import capability, hosting, releases
from sim.market.tables import NONE, Bools, Floats
from sim.months import parse_month, years_since

if TYPE_CHECKING:
    from sim.market.labs import Lab
    from sim.market.market import Market

REFERENCE = parse_month("2025-02")  # month of the serving cost disclosure


@dataclass(frozen=True)
class HandOver:
    """State at the end of the replayed history, to which the rules attach so that nothing jumps.

    `level` is the capability of each lab's best release, NaN for labs without one; `growth` the common growth of
    knowledge [points/month]; `added_abroad` the accelerators added outside China in the last twelve months [H100e].
    """

    level: Floats
    research_compute: Floats
    knowledge: Floats
    growth: float
    added_abroad: float


@dataclass(frozen=True)
class Made:
    """A release ready to be put on offer: name, columns of `ReleaseTable`, and the other lines that it ends."""

    name: str
    columns: dict[str, Any]
    retires: tuple[int, ...] = ()


def spin_up(market: Market) -> None:
    """Follow compute from the end of 2022 and put on offer what was released before the first month."""
    for month in range(resources.FIRST_STOCK + 1, market.settings.start):
        market.follow_compute(month)
    last = market.settings.start - 1
    for made in replayed_releases(market, upto=last):
        market.put_on_offer(made)
    for change in evidence.price_changes(until=last):
        market.change_price(change)


def releases_month(market: Market) -> list[Made]:
    """Return the month's releases: observed ones to the end of the history, decided ones after it."""
    if market.replaying:
        return replayed_releases(market, upto=market.month, since=market.month)
    return decided_releases(market)


def price_changes_month(market: Market) -> list[evidence.PriceChange]:
    """Return the observed list-price changes of the month; none after the history."""
    if not market.replaying:
        return []
    return [change for change in evidence.price_changes(until=market.month) if change.month == market.month]


def records(market: Market) -> tuple[float, float]:
    """Return the best closed and the best open capability so far [ECI points] (eq. 19); infinite before the first."""
    table = market.releases
    best = [table.capability[table.is_open == kind].max(initial=-np.inf) for kind in (False, True)]
    closed, open_ = (value if np.isfinite(value) else np.inf for value in best)  # the first of its kind is no leap
    return float(closed), float(open_)


def capability_month(market: Market) -> tuple[Floats, Floats]:
    """Return knowledge and potential of each lab; during the history potential is its best release so far."""
    labs, p = market.labs, market.parameters
    if market.handover is None:
        return labs.knowledge, best_of_labs(market)
    start = market.attached
    knowledge = capability.next_knowledge(labs.knowledge, growth=start.growth, catch_up=p["capability.catch_up"])
    potential = capability.potential(
        start.level,
        p["capability.compute_effect"],
        labs.research_compute / start.research_compute,
        knowledge - start.knowledge,
    )
    return knowledge, potential


def best_of_labs(market: Market) -> Floats:
    """Return the capability of each lab's best release so far [ECI points], NaN for none."""
    best = np.full(len(market.labs.names), np.nan)
    table = market.releases
    if len(table.names):
        np.fmax.at(best, table.lab, table.capability)
    return best


def hand_over(market: Market) -> HandOver:
    """Return what the rules attach to (eq. 14): potentials are the best releases, each gap stands still on trend."""
    p, labs = market.parameters, market.labs
    level = best_of_labs(market)
    trends = capability.trend(np.array(market.compute_log), int(p["capability.trend_months"]))
    front = int(np.nanargmax(level))
    effect = p["capability.compute_effect"]
    until = market.settings.history_until
    return HandOver(
        level=level,
        research_compute=labs.research_compute.copy(),
        knowledge=capability.stationary_knowledge(effect, p["capability.catch_up"], trends, front),
        growth=p["capability.frontier_slope"] / 12.0 - effect * float(trends[front]),
        added_abroad=resources.observed_abroad(until) - resources.observed_abroad(until - 12),
    )


def line_schedule(market: Market) -> tuple[Floats, Floats]:
    """Return each line's offset from its lab's potential and the month of its next release, at the hand-over.

    A line is continued if its lab is active and its last release is recent; others keep what is on offer.
    """
    p, lines, labs, until = market.parameters, market.lines, market.labs, market.settings.history_until
    offset = np.zeros(len(lines.lab))
    following = np.full(len(lines.lab), np.inf)
    for line, current in enumerate(lines.current):
        lab = lines.lab[line]
        elapsed = until - lines.last_month[line]
        if current == NONE or not labs.active[lab] or elapsed > p["capability.dormant_months"]:
            continue
        offset[line] = market.releases.capability[current] - market.attached.level[lab]
        following[line] = lines.last_month[line] + _interval(market, line, elapsed)
    return offset, following


def _interval(market: Market, line: int, elapsed: float = 0.0) -> float:
    p, lines = market.parameters, market.lines
    number = int(np.sum(market.releases.line == line))
    return releases.draw_interval(
        market.seed,
        lines.names[line],
        number,
        mean=float(market.labs.cadence[lines.lab[line]]),
        shape=p["capability.release_spread"],
        elapsed=elapsed,
    )


def next_release_month(market: Market, line: int) -> float:
    """Return the month of the release after the one that has just come out."""
    return market.month + _interval(market, line)


def replayed_releases(market: Market, upto: int, since: int = -1) -> list[Made]:
    """Return the observed releases of months `since` to `upto`, both included."""
    rows = []
    names = market.labs.names
    for seen in evidence.releases(until=market.settings.history_until):
        if not since <= seen.month <= upto:
            continue
        lab = names.index(seen.lab)
        line = market.lines.names.index(f"{seen.lab}/{seen.line}")
        technical = technical_cost(market, seen.active_params_b, seen.month)
        row = setup.release_row(
            seen,
            line,
            lab,
            technical=technical,
            inflation=float(market.labs.inflation[lab]),
            closed_margin=market.parameters["serving.closed_margin"],
            hosts=market.hosts,
            of_line=int(market.lines.hosts[line]),
        )
        retired = tuple(market.lines.names.index(f"{seen.lab}/{ended}") for ended in seen.retires)
        rows.append(Made(seen.model, row, retired))
    return rows


def cost_index(market: Market, month: int) -> float:
    """Return serving cost relative to February 2025 for the same model."""
    growth = market.parameters["serving.efficiency_growth"]
    return hosting.cost_index(gpu_hour(market, month), growth, years_since(month, REFERENCE))


def gpu_hour(market: Market, month: int) -> float:
    """Return the price of an accelerator-hour [USD]: observed to the end of the history, then on a trend."""
    until = market.settings.history_until
    trend = market.parameters["serving.gpu_price_growth"] ** max(0.0, years_since(month, until))
    return evidence.gpu_hour_price(min(month, until)) * trend


def technical_cost(market: Market, active_params: float, month: int) -> float:
    """Return the cost of serving an open model of a size in a month [USD/Mtok]."""
    p = market.parameters
    return hosting.technical_cost(
        p["serving.base_cost"], active_params, p["serving.size_exponent"], cost_index(market, month)
    )


def decided_releases(market: Market) -> list[Made]:
    """Return the releases that labs decide this month, after the history (eq. 17)."""
    p, lines, table = market.parameters, market.lines, market.releases
    ready = np.full(len(lines.lab), np.nan)
    for line in np.flatnonzero(lines.next_month <= market.month):
        number = int(np.sum(table.line == line))
        noise = releases.draw_noise(market.seed, lines.names[line], number, p["capability.release_noise"])
        ready[line] = market.labs.potential[lines.lab[line]] + lines.offset[line] + noise
    gain = ready - np.where(lines.current == NONE, np.nan, table.capability[lines.current])
    due = {
        int(line): float(ready[line])
        for line in releases.due_lines(lines.next_month, market.month, gain, p["capability.minimum_step"])
    }
    made = []
    for lab in market.lab_agents:
        for new in lab.decide_releases(due):
            name = f"{lines.names[new.line]} #{int(np.sum(table.line == new.line)) + 1}"
            made.append(Made(name, _decided_row(market, lab, new)))
    return made


def _decided_row(market: Market, lab: Lab, new: releases.NewRelease) -> dict[str, Any]:
    """Return the columns of a new release: size and price follow its predecessor under the lab's price rule."""
    p, table = market.parameters, market.releases
    before = int(market.lines.current[new.line])
    growth = p["serving.size_growth"] ** years_since(market.month, table.month[before])
    opens = new.is_open or new.opens_at is not None
    # Sizes of closed models are not known: one that opens is taken to be of the size of the reference model.
    known = not np.isnan(table.active_params[before])
    active = table.active_params[before] * growth if known else hosting.REFERENCE_PARAMS
    total = table.total_params[before] * growth if known else hosting.REFERENCE_TOTAL_PARAMS
    ratio = (
        cost_index(market, market.month)
        / cost_index(market, int(table.month[before]))
        * growth ** p["serving.size_exponent"]
    )
    sold_by_lab = bool(table.has_api[before]) or not new.is_open
    price = lab.next_list_price(1.0, ratio) if sold_by_lab else ratio  # hosts alone follow cost
    # A held price buys a larger model: cost follows the price. Otherwise cost follows the index and the size.
    cost = table.cost_at_release[before] * (price if sold_by_lab else ratio)
    return {
        "line": new.line,
        "lab": lab.row,
        "month": market.month,
        "superseded": table.FAR,
        "is_open": new.is_open,
        "opens_at": table.FAR if new.opens_at is None else new.opens_at,
        "has_api": sold_by_lab,
        "on_device": bool(table.on_device[before]) and opens,
        "capability": new.capability,
        "inflation": market.labs.inflation[lab.row],
        "degree": lab.new_degree(float(table.degree[before])) if new.is_open else 0.0,
        "input_price": table.input_price[before] * price,
        "output_price": table.output_price[before] * price,
        "cost_at_release": cost,
        "full_load_cost": technical_cost(market, active, market.month) if opens else np.nan,
        "active_params": active if opens or known else np.nan,
        "total_params": total if opens or known else np.nan,
    }


def late_weights(market: Market) -> list[tuple[int, float]]:
    """Return the closed releases whose weights are published this month, with their degree (eq. 82).

    A lab that has stopped publishes nothing any more.
    """
    table, lines = market.releases, market.lines
    due = np.flatnonzero(~table.is_open & (table.opens_at <= market.month) & market.labs.active[table.lab])
    found = []
    for row in due:
        last = lines.current_open[table.line[row]]
        lab = market.lab_agents[table.lab[row]]
        found.append((int(row), lab.new_degree(0.0 if last == NONE else float(table.degree[last]))))
    return found


def openings(market: Market, made: list[Made], late: list[tuple[int, float]]) -> list[int]:
    """Return the labs that open a line this month that was closed (eq. 81), each once, ascending."""
    table, lines = market.releases, market.lines
    labs = [int(table.lab[row]) for row, _ in late if lines.current_open[table.line[row]] == NONE]
    for new in made:
        last = lines.current[new.columns["line"]]
        if new.columns["is_open"] and last != NONE and not table.is_open[last]:
            labs.append(int(new.columns["lab"]))
    return sorted(dict.fromkeys(labs))


def following(market: Market, opened: list[int]) -> Bools:
    """Return which labs will answer a rival's opening with their next release, (labs,) (eq. 81).

    An opening of its own ends a lab's answer; nobody answers during the history.
    """
    labs, chance = market.labs, market.parameters["openness.follow"]
    follows = labs.follows.copy()
    follows[opened] = False
    if market.replaying:
        return follows
    for opener in opened:
        for row, name in enumerate(labs.names):
            rival = row != opener and labs.bloc[row] == labs.bloc[opener] and labs.openness[row] == "as_line"
            if rival and releases.answers(market.seed, labs.names[opener], name, market.month, chance):
                follows[row] = True
    return follows
