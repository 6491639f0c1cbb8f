"""Figure `compute`: accelerators of the US and China, and where the Chinese ones come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from sim.analysis.series import Outcomes, RunSeries, bands
from sim.months import format_month, parse_month
from sim.present.lettering import EndLabel, drawable, frame_slide, label_ends, spread
from sim.present.marks import (
    draw_fan,
    in_years,
    mark_hand_over,
    positive_limits,
    say_empty,
    set_log_axis,
    set_time_axis,
)
from sim.present.style import INK, LOOKS, QUIET, ink, new_panel, new_slide
from sim.present.wording import estimate, last_place, month_words, number, plain, runs_words, share_phrase

MILLION = 1e-6
SOURCES = ("legal", "diverted", "domestic", "rented")
NAMES = {
    "US": "US",
    "CN": "China",
    "legal": "imported legally",
    "diverted": "diverted",
    "domestic": "made at home",
    "rented": "rented abroad",
}
CONTROLS = ("export_control", "import_restriction", "cloud_access", "domestic_ramp")
MOST_EVENTS = 8
SOURCE = (
    "Observed: legal Chinese stock at year's end, Epoch AI. Diverted and made at home after the history: assumed "
    "(compute.cn). H100-equivalents by training throughput; chips rented abroad stay abroad."
)


def draw_compute(outcome: Outcomes) -> Figure:
    """Return the figure: both stocks on a logarithmic axis, and the Chinese one by source with the events."""
    figure = new_slide()
    events = control_events(outcome)
    history = outcome.start < outcome.hand_over < outcome.end
    place = (0.065, 0.465, 0.345, 0.3) if history else (0.065, 0.145, 0.345, 0.62)
    axes = new_panel(figure, place, "Accelerators in use", "million H100-equivalents (log)")
    stocks = {key: outcome.market(f"compute_{key.lower()}").map(lambda chips: chips * MILLION) for key in ("US", "CN")}
    _draw_stocks(axes, outcome, stocks)
    title = "What Chinese labs can use, by source"
    axes = new_panel(figure, (0.55, 0.145, 0.305, 0.62), title, "million H100-equivalents")
    labels = _draw_sources(axes, outcome, (outcome.start, outcome.end), values=True)
    _mark_events(axes, events)
    label_ends(axes, labels, size=10)
    mark_hand_over(axes, outcome)
    if history:
        title, last = "Chinese ones in the replayed history", outcome.hand_over
        axes = new_panel(figure, (0.065, 0.145, 0.345, 0.195), title, "million H100-equivalents")
        label_ends(axes, _draw_sources(axes, outcome, (outcome.start, last), values=False), size=9)
    explanation = f"{runs_words(outcome)} Right: median total split by the runs' mean share of each source" + (
        "; numbers mark the scenario's control events." if events else "."
    )
    frame_slide(figure, outcome, _title(outcome), explanation, SOURCE)
    return figure


def control_events(outcome: Outcomes) -> list[tuple[int, str]]:
    """Return month and words of the scenario's events on compute within the horizon, one entry for each month."""
    names: dict[int, list[str]] = {}
    for event in outcome.scenario.get("events", ()):
        month = parse_month(str(event["date"]))
        if event.get("lever") in CONTROLS and outcome.start <= month <= outcome.end:
            names.setdefault(month, []).append(str(event.get("id", event["lever"])))
    found = [(month, plain(", ".join(ids), 34)) for month, ids in sorted(names.items())]
    if len(found) > MOST_EVENTS:
        left = len(found) - MOST_EVENTS + 1
        found = [*found[: MOST_EVENTS - 1], (found[MOST_EVENTS - 1][0], f"and {left} later dates")]
    return found


def _draw_stocks(axes: Axes, outcome: Outcomes, stocks: Mapping[str, RunSeries]) -> None:
    found = {key: bands(series) for key, series in stocks.items() if not series.empty}
    set_log_axis(axes, *positive_limits(list(found.values())))
    set_time_axis(axes, outcome.start, outcome.end)
    labels = []
    for key, one in found.items():
        draw_fan(axes, one, key)
        last = float(one.median[-1])
        labels.append(EndLabel(last, f"{NAMES[key]}  {number(last, last_place(last))}", LOOKS[key].colour))
    if not labels:
        say_empty(axes, "not recorded in this result")
    label_ends(axes, labels, size=10.5)
    mark_hand_over(axes, outcome)


def source_stocks(outcome: Outcomes) -> dict[str, RunSeries]:
    """Return the Chinese stock of each source [million H100e]; a source that is not recorded counts as none."""

    def millions(chips: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(np.isfinite(chips), chips, 0.0) * MILLION

    return {source: outcome.market(f"compute_cn_{source}").map(millions) for source in SOURCES}


def _draw_sources(axes: Axes, outcome: Outcomes, span: tuple[int, int], values: bool) -> list[EndLabel]:
    """Draw the stack of sources with the band of its total; return the labels of its layers."""
    from sim.evidence import china_legal_stock

    stocks = {source: series.between(*span) for source, series in source_stocks(outcome).items()}
    months = stocks["legal"].months
    total = RunSeries(months, np.sum([one.values for one in stocks.values()], axis=0))
    set_time_axis(axes, *span)
    if not (total.values > 0).any():
        axes.set_ylim(0, 1)
        say_empty(axes, "not recorded in this result")
        return []
    top, when = bands(total), in_years(months)
    safe = np.where(total.values > 0, total.values, 1.0)
    floor, labels = np.zeros(months.size), []
    for source, one in stocks.items():
        layer = top.median * (one.values / safe).mean(axis=0)
        colour = LOOKS[source].colour
        axes.fill_between(when, floor, floor + layer, facecolor=colour, alpha=0.85, edgecolor="white", linewidth=0.8)
        share = 100 * layer[-1] / max(top.median[-1], 1e-12)
        text = f"{NAMES[source]} {share:.0f} %" if values else NAMES[source]
        labels.append(EndLabel(float(floor[-1] + layer[-1] / 2), text, colour))
        floor = floor + layer
    axes.plot(when, top.median, color=INK, linewidth=1.8, zorder=3)
    if top.runs > 1:
        axes.plot(when, top.q05, color=INK, linewidth=0.9, linestyle=(0, (3, 2)), zorder=3)
        axes.plot(when, top.q95, color=INK, linewidth=0.9, linestyle=(0, (3, 2)), zorder=3)
        if values:
            labels.append(EndLabel(float(top.q95[-1]), "90 % of runs lie\nbetween the dashes", QUIET))
    axes.set_ylim(0, 1.12 * float(top.q95.max()))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    for month in range(span[0], min(outcome.hand_over, span[1]) + 1):
        if month % 12 == 11:
            _draw_stock_point(axes, month, china_legal_stock(month))
    return labels


def _draw_stock_point(axes: Axes, month: int, stock: Any) -> None:
    low, middle, high = (MILLION * part for part in (stock.p5, stock.median, stock.p95))
    colour = ink(LOOKS["legal"].colour)
    axes.plot([in_years(month)] * 2, [low, high], color=colour, linewidth=1.1, zorder=4)
    axes.plot(
        [in_years(month)],
        [middle],
        marker="X",
        color=colour,
        markerfacecolor="white",
        markersize=7,
        zorder=5,
        clip_on=False,
    )


def _mark_events(axes: Axes, events: list[tuple[int, str]]) -> None:
    """Number the events along the top, list them beneath, and make room so that the list covers no data."""
    if not events:
        return
    axes.set_ylim(0, axes.get_ylim()[1] / (0.93 - 0.035 * len(events)))
    low, high = axes.get_xlim()
    places = [(float(in_years(month)) - low) / (high - low) for month, _ in events]
    centres = spread(places, [0.028] * len(places), 0.0, 1.0)
    for count, (place, centre) in enumerate(zip(places, centres, strict=True), start=1):
        line = {"transform": axes.transAxes, "color": QUIET, "linewidth": 0.8, "zorder": 3.2, "gid": "event"}
        axes.plot([place, place, centre], [0, 0.93, 0.955], linestyle=(0, (1, 1.5)), **line)
        axes.text(centre, 0.96, str(count), transform=axes.transAxes, fontsize=8, ha="center", color=INK)
    rows = [f"{count}  {format_month(month)} {drawable(name)}" for count, (month, name) in enumerate(events, start=1)]
    box = {"facecolor": "white", "edgecolor": "none", "pad": 2}
    where = {"transform": axes.transAxes, "va": "top", "zorder": 6}
    axes.text(0.03, 0.92, "\n".join(rows), fontsize=8, color=INK, linespacing=1.4, bbox=box, **where)


def _title(outcome: Outcomes) -> str:
    us, cn = (outcome.market(f"compute_{bloc}").at(outcome.end) for bloc in ("us", "cn"))
    ratio = estimate(np.divide(cn, us, out=np.full(len(us), np.nan), where=us > 0))
    if not ratio.known:
        return "Compute of the US and China"
    size = share_phrase(ratio, f"of the US one in {month_words(outcome.end)}")
    title = f"What Chinese labs can use of accelerators is {size}"
    stocks = {source: series.at(outcome.end) for source, series in source_stocks(outcome).items()}
    total = np.sum(list(stocks.values()), axis=0)
    if not (total > 0).all():
        return title
    home = 100.0 * float(np.mean(stocks["domestic"] / total))
    return f"{title}, on average {home:.0f} % of it made at home"
