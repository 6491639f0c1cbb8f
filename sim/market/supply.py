"""Labs in a month: capability, releases, and the hand-over from replay to rule.

Each function reads the market and returns what changes; `market.py` alone assigns it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from sim import evidence
from sim.market import resources, setup
from sim.market.stages import capability, embodied, hosting, knowledge, releases
from sim.market.stages.accounts import totals
from sim.market.tables import LAB_API, NONE, Bools, Floats, Ints, Keys
from sim.months import parse_month, years_since
from sim.scenario.schema import BLOCS

if TYPE_CHECKING:
    from sim.market.labs import Lab
    from sim.market.market import Market

SMALLEST_EXPONENT = 0.1  # below it size is taken to cost so little that growth would have no bound
REFERENCE = parse_month("2025-02")  # month of the serving cost disclosure


@dataclass(frozen=True)
class HandOver:
    """State at the end of the replayed history, to which the rules attach so that nothing jumps.

    `level` is the capability of each lab's best release, NaN for labs without one; `front` the lab with the best of
    all; `received` what that lab gains a month beside its own work, from compute, data and others [points/month];
    `revenue` that of all labs, averaged [USD/month]; `added_abroad` the accelerators added outside China in the last
    twelve months [H100e].
    """

    level: Floats
    research_compute: Floats
    data: Floats
    knowledge: Floats
    front: int
    received: float
    revenue: float
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
    market.put_on_offer(replayed_releases(market, upto=last))
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
    """Return the best closed and the best open capability so far [ECI points] (eq. 31); infinite before the first."""
    table = market.releases
    best = [table.capability[table.is_open == kind].max(initial=-np.inf) for kind in (False, True)]
    closed, open_ = (value if np.isfinite(value) else np.inf for value in best)  # the first of its kind is no leap
    return float(closed), float(open_)


def slope_month(market: Market) -> float:
    """Return the slope of the frontier [ECI points/year]: the parameter until the hand-over, then by regime."""
    p = market.parameters
    if market.handover is None:
        return p["capability.frontier_slope"]
    return knowledge.next_slope(
        market.slope,
        p["capability.frontier_slope"],
        market.month,
        market.seed,
        hazard=p["capability.regime_hazard"],
        sd=p["capability.regime_sd"],
    )


def data_month(market: Market, month: int) -> Floats:
    """Return each lab's stock of data in a month, with the use it saw the month before [Mtok], shape (labs,)."""
    labs, p = market.labs, market.parameters
    seen = _embodied_data(market, month)
    if month > market.settings.start:
        seen = seen + totals(market.releases.lab, market.accounts.tokens[:, LAB_API], len(labs.names))
    return capability.next_data(labs.data, seen, decay=p["capability.data_decay"])


def _embodied_data(market: Market, month: int) -> Floats:
    """Return the data that machines in the world bring to each lab of their bloc [Mtok/month], shape (labs,)."""
    p, labs = market.parameters, market.labs
    china, america = BLOCS.index("CN"), BLOCS.index("US")
    midpoint = np.full(len(BLOCS), p["capability.embodied.midpoint"])
    midpoint[china] -= p["capability.embodied.china_lead"]
    ceiling = np.full(len(BLOCS), p["capability.embodied.ceiling.elsewhere"])
    ceiling[china], ceiling[america] = p["capability.embodied.ceiling.cn"], p["capability.embodied.ceiling.us"]
    machines = embodied.deployed(1970 + month / 12.0, ceiling, midpoint, p["capability.embodied.spread"])
    return labs.compute_share * machines[labs.bloc] * p["capability.embodied.data"]


def capability_month(market: Market) -> tuple[Floats, Floats]:
    """Return knowledge and potential of each lab; during the history potential is its best release so far."""
    labs, p, policy = market.labs, market.parameters, market.policy
    if market.handover is None:
        return labs.knowledge, best_of_labs(market)
    start = market.attached
    pace = knowledge.own_pace(market.slope * policy.frontier, start.received)
    added = knowledge.own_growth(pace, labs.research_compute, start.front, p["capability.research_returns"])
    taught = float("-inf")
    if market.open_spillover:
        added = added + _gifts(market, _novelty(market, market.month - 1))
        taught = knowledge.open_level(labs.knowledge, best_of_labs(market), best_of_labs(market, only_open=True))
    known = knowledge.next_knowledge(
        labs.knowledge,
        added=added,
        open_level=taught,
        catch_up_open=p["capability.catch_up_open"],
        catch_up_closed=p["capability.catch_up_closed"] * policy.closed_leak,
    )
    potential = capability.potential(
        start.level,
        p["capability.compute_effect"],
        labs.research_compute / start.research_compute,
        _data_gain(market, labs.data, start.data),
        known - start.knowledge,
    )
    return known, potential


def _data_gain(market: Market, data: Floats, reference: Floats) -> Floats:
    p = market.parameters
    return capability.data_gain(data, reference, effect=p["capability.data_effect"], floor=p["capability.data_floor"])


def _novelty(market: Market, month: int) -> Floats:
    table = market.releases
    return knowledge.novelty(
        month,
        len(market.labs.names),
        when=table.month,
        lab=table.lab,
        capability=table.capability,
        is_open=table.is_open,
    )


def _gifts(market: Market, novelty: Floats) -> Floats:
    """Return what others' open releases and outside developers add to each lab [points/month], shape (labs,)."""
    p, lines = market.parameters, market.lines
    on_offer = lines.current != NONE
    is_open = np.zeros(len(lines.lab), bool)
    is_open[on_offer] = market.releases.is_open[lines.current[on_offer]]
    use = totals(lines.lab, np.where(is_open, market.ecosystem, 0.0), len(market.labs.names))
    return p["capability.novelty_effect"] * novelty + knowledge.outside_work(use, p["capability.outside_effect"])


def best_of_labs(market: Market, *, only_open: bool = False) -> Floats:
    """Return the capability of each lab's best release so far, or best open one [ECI points], NaN for none."""
    best, table = np.full(len(market.labs.names), np.nan), market.releases
    np.fmax.at(best, table.lab, np.where(table.is_open, table.capability, np.nan) if only_open else table.capability)
    return best


def hand_over(market: Market) -> HandOver:
    """Return what the rules attach to: potentials are the best releases, each gap stands still on trend (eqs. 18, 23).

    What the frontier lab receives is its compute trend, next month's data, and the gifts of a month with the novelty
    usual in the window of the trend. A counterfactual without spill-over starts from the same state.
    """
    p, labs, until = market.parameters, market.labs, market.settings.history_until
    level = best_of_labs(market)
    front, window = int(np.nanargmax(level)), int(p["capability.trend_months"])
    usual = np.mean([_novelty(market, until - back) for back in range(window)], axis=0)
    received = (
        p["capability.compute_effect"] * capability.trend(np.array(market.compute_log), window)
        + _data_gain(market, data_month(market, until + 1), labs.data)
        + _gifts(market, usual)
    )
    pace = knowledge.own_pace(market.slope * market.policy.frontier, float(received[front]))
    own = knowledge.own_growth(pace, labs.research_compute, front, p["capability.research_returns"])
    return HandOver(
        level=level,
        research_compute=labs.research_compute.copy(),
        data=labs.data.copy(),
        knowledge=knowledge.stationary_knowledge(
            (received[front] + own[front]) - (received + own),
            level,
            best_of_labs(market, only_open=True),
            catch_up_open=p["capability.catch_up_open"],
            catch_up_closed=p["capability.catch_up_closed"],
        ),
        front=front,
        received=float(received[front]),
        revenue=resources.averaged_revenue(market),
        added_abroad=resources.observed_abroad(until) - resources.observed_abroad(until - 12),
    )


def line_schedule(market: Market) -> tuple[Floats, Floats]:
    """Return each line's offset from its lab's potential and the month of its next release, at the hand-over.

    A line is continued if its lab is active and its last release is recent; others keep what is on offer.
    """
    p, lines, labs, until = market.parameters, market.lines, market.labs, market.settings.history_until
    offset = np.zeros(len(lines.lab))
    following = np.full(len(lines.lab), np.inf)
    elapsed = until - lines.last_month
    recent = elapsed <= p["capability.dormant_months"]
    on = np.flatnonzero((lines.current != NONE) & labs.active[lines.lab] & recent)
    offset[on] = market.releases.capability[lines.current[on]] - market.attached.level[lines.lab[on]]
    following[on] = lines.last_month[on] + _intervals(market, on, elapsed[on])
    return offset, following


@lru_cache(maxsize=4)
def _streams(seed: int, lines: tuple[str, ...]) -> tuple[Keys, Keys]:
    """Return the streams of each line's intervals and of its deviations from its lab's potential, both (lines,)."""
    streams = (releases.interval_stream, releases.noise_stream)
    intervals, noise = (np.array([stream(seed, line) for line in lines], np.uint64) for stream in streams)
    return intervals, noise


def _released(market: Market) -> Ints:
    """Return the number of releases of each line so far, shape (lines,)."""
    return np.bincount(market.releases.line, minlength=len(market.lines.lab))


def _intervals(market: Market, lines: Ints, elapsed: Ints | float = 0.0) -> Floats:
    intervals, _ = _streams(market.seed, market.lines.names)
    return releases.draw_intervals(
        intervals[lines],
        _released(market)[lines],
        mean=market.labs.cadence[market.lines.lab[lines]],
        shape=market.parameters["capability.release_spread"],
        elapsed=elapsed,
    )


def next_release_months(market: Market, made: list[Made]) -> Floats:
    """Return the month of each line's next release, (lines,): drawn for lines with a new one after the history."""
    if market.handover is None or not made:
        return market.lines.next_month
    months, lines = market.lines.next_month.copy(), np.array([new.columns["line"] for new in made])
    months[lines] = market.month + _intervals(market, lines)
    return months


def replayed_releases(market: Market, upto: int, since: int = -1) -> list[Made]:
    """Return the observed releases of months `since` to `upto`, both included."""
    until = market.settings.history_until
    return [as_made(market, seen) for seen in evidence.releases(until=until) if since <= seen.month <= upto]


def as_made(market: Market, seen: evidence.Release) -> Made:
    """Return an observed release, or one that an event describes like one, ready to be put on offer."""
    line = market.lines.names.index(f"{seen.lab}/{seen.line}")
    lab = market.labs.names.index(seen.lab)
    row = setup.release_row(
        seen,
        line,
        lab,
        index=cost_index(market, seen.month),
        technical=technical_cost(market, seen.active_params_b, seen.month),
        inflation=float(market.labs.inflation[lab]),
        closed_margin=market.parameters["serving.closed_margin"],
        hosts=market.hosts,
        of_line=int(market.lines.hosts[line]),
    )
    return Made(seen.model, row, tuple(market.lines.names.index(f"{seen.lab}/{ended}") for ended in seen.retires))


def cost_index(market: Market, month: int) -> float:
    """Return serving cost relative to February 2025 for the same model."""
    p, until = market.parameters, market.settings.history_until
    return _cost_index(month, until, p["serving.gpu_price_growth"], p["serving.efficiency_growth"])


@lru_cache(maxsize=4096)  # a few months of many runs
def _cost_index(month: int, until: int, price_growth: float, growth: float) -> float:
    return hosting.cost_index(_gpu_hour(month, until, price_growth), growth, years_since(month, REFERENCE))


def gpu_hour(market: Market, month: int) -> float:
    """Return the price of an accelerator-hour [USD]: observed to the end of the history, then on a trend."""
    return _gpu_hour(month, market.settings.history_until, market.parameters["serving.gpu_price_growth"])


def _gpu_hour(month: int, until: int, price_growth: float) -> float:
    return evidence.gpu_hour_price(min(month, until)) * price_growth ** max(0.0, years_since(month, until))


def technical_cost(market: Market, active_params: float, month: int) -> float:
    """Return the cost of serving an open model of a size in a month [USD/Mtok]."""
    return _technical_cost(market.parameters, active_params, cost_index(market, month))


def _technical_cost(p: Mapping[str, Any], active_params: float, index: float) -> float:
    return hosting.technical_cost(p["serving.base_cost"], active_params, p["serving.size_exponent"], index)


def decided_releases(market: Market) -> list[Made]:
    """Return the releases that labs decide this month, after the history (eq. 29)."""
    p, lines, table = market.parameters, market.lines, market.releases
    _, streams = _streams(market.seed, lines.names)
    number, waiting = _released(market), np.flatnonzero(lines.next_month <= market.month)
    noise = releases.draw_noise(streams[waiting], number[waiting], p["capability.release_noise"])
    ready = np.full(len(lines.lab), np.nan)
    ready[waiting] = market.labs.potential[lines.lab[waiting]] + lines.offset[waiting] + noise
    gain = ready - np.where(lines.current == NONE, np.nan, table.capability[lines.current])
    due = releases.due_lines(lines.next_month, market.month, gain, p["capability.minimum_step"])
    made = []
    by_lab: dict[int, dict[int, float]] = {}
    for line, lab, capability_ in zip(due.tolist(), lines.lab[due].tolist(), ready[due].tolist(), strict=True):
        by_lab.setdefault(lab, {})[line] = capability_
    for row, ready_lines in sorted(by_lab.items()):
        lab = market.lab_agents[row]
        for new in lab.decide_releases(ready_lines):
            name = f"{lines.names[new.line]} #{number[new.line] + 1}"
            made.append(Made(name, decided_row(market, lab, new)))
    return made


def decided_row(market: Market, lab: Lab, new: releases.NewRelease) -> dict[str, Any]:
    """Return the columns of a new release: size and price follow its predecessor under the lab's price rule."""
    p, table = market.parameters, market.releases
    before = int(market.lines.current[new.line])
    opens = new.is_open or new.opens_at is not None
    # A new release is larger or thinks longer than the one before: that takes back a part of the fall in cost.
    now = cost_index(market, market.month)
    fall = now / table.index_at_release[before]
    spent = p["serving.saving_spent.open" if table.of_open_line[before] else "serving.saving_spent.closed"]
    ratio, growth = fall ** (1.0 - spent), fall ** (-spent / max(p["serving.size_exponent"], SMALLEST_EXPONENT))
    # Sizes of closed models are not known: one that opens is taken to be of the size of the reference model.
    known = not np.isnan(table.active_params[before])
    active = table.active_params[before] * growth if known else hosting.REFERENCE_PARAMS
    total = table.total_params[before] * growth if known else hosting.REFERENCE_TOTAL_PARAMS
    sold_by_lab = bool(table.has_api[before]) or not new.is_open
    return {
        "line": new.line,
        "lab": lab.row,
        "month": market.month,
        "superseded": table.FAR,
        "is_open": new.is_open,
        "of_open_line": bool(table.of_open_line[before]),
        "opens_at": table.FAR if new.opens_at is None else new.opens_at,
        "has_api": sold_by_lab,
        "on_device": bool(table.on_device[before]) and opens and bool(total <= p["serving.on_device_size"]),
        "capability": new.capability,
        "inflation": market.labs.inflation[lab.row],
        "degree": lab.new_degree(float(table.degree[before])) if new.is_open else 0.0,
        "input_price": table.input_price[before],
        "output_price": table.output_price[before],
        "posted": table.posted[before],
        "wanted": table.wanted[before] * ratio / fall,  # where the search for it starts
        "wedge": table.wedge[before],
        "price_over_cost": table.price_over_cost[before],
        "cost_at_release": table.cost_at_release[before] * ratio,
        "index_at_release": now,
        "full_load_cost": _technical_cost(p, active, now) if opens else np.nan,
        "active_params": active if opens or known else np.nan,
        "total_params": total if opens or known else np.nan,
    }


def late_weights(market: Market) -> list[tuple[int, float]]:
    """Return the closed releases whose weights are published this month, with their degree (eq. 35).

    A lab that has stopped publishes nothing any more; one whose government keeps it from publishing waits.
    """
    table, lines = market.releases, market.lines
    due = np.flatnonzero(table.opens_at <= market.month)
    found = []
    for row in due[~table.is_open[due] & market.labs.active[table.lab[due]]]:
        last = lines.current_open[table.line[row]]
        lab = market.lab_agents[table.lab[row]]
        if not lab.may_publish(float(table.capability[row])):
            continue
        found.append((int(row), lab.new_degree(0.0 if last == NONE else float(table.degree[last]))))
    return found


def openings(market: Market, made: list[Made], late: list[tuple[int, float]]) -> list[int]:
    """Return the labs that open a line this month that was closed (eq. 34), each once, ascending."""
    table, lines = market.releases, market.lines
    labs = [int(table.lab[row]) for row, _ in late if lines.current_open[table.line[row]] == NONE]
    for new in made:
        last = lines.current[new.columns["line"]]
        if new.columns["is_open"] and last != NONE and not table.is_open[last]:
            labs.append(int(new.columns["lab"]))
    return sorted(dict.fromkeys(labs))


def following(market: Market, opened: list[int]) -> Bools:
    """Return which labs will answer a rival's opening with their next release, (labs,) (eq. 34).

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
