"""What is drawn into a panel: fans, observed values, axes of time, share, price and stock, the hand-over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from sim.analysis.series import Bands, Outcomes
from sim.present.lettering import POINTS, text_width
from sim.present.style import INK, LOOKS, QUIET, SLIDE, ink
from sim.present.wording import last_place, number, short_month


def in_years(months: Any) -> NDArray[np.float64]:
    """Return month numbers as calendar years, the place on the time axis."""
    return 1970 + np.asarray(months, dtype=float) / 12


def draw_fan(axes: Axes, found: Bands, look: str) -> None:
    """Draw the median as a line and the middle half and 90 % of the runs as bands."""
    style, when = LOOKS[look], in_years(found.months)
    if found.runs > 1:
        axes.fill_between(when, found.q05, found.q95, color=style.colour, alpha=0.13, linewidth=0, zorder=2)
        axes.fill_between(when, found.q25, found.q75, color=style.colour, alpha=0.26, linewidth=0, zorder=2.1)
    axes.plot(when, found.median, color=ink(style.colour), linestyle=style.line, linewidth=2.1, zorder=3)


def draw_observed(axes: Axes, observation: Any, look: str, scale: float = 1.0) -> None:
    """Draw one observed value: a marker with its band, and a thin bar over the window it speaks of."""
    style = LOOKS[look]
    colour = ink(style.colour)
    start, end = in_years(observation.start), in_years(observation.end + 1)
    value, middle = observation.value * scale, (start + end) / 2
    axes.plot([start, end], [value, value], color=colour, linewidth=1.1, alpha=0.75, zorder=4)
    if np.isfinite(observation.low) and np.isfinite(observation.high):
        ends = [observation.low * scale, observation.high * scale]
        axes.plot([middle, middle], ends, color=colour, linewidth=1.1, alpha=0.75, zorder=4)
    axes.plot(
        [middle],
        [value],
        marker=style.marker,
        markersize=6.5,
        markerfacecolor="white",
        markeredgecolor=colour,
        markeredgewidth=1.4,
        linestyle="none",
        zorder=5,
        clip_on=False,
        gid="observed",
    )


def set_time_axis(axes: Axes, first: int, last: int) -> None:
    """Show the months from `first` to `last`: a tick at each January, or at months when the span is short."""
    last = max(last, first + 1)
    axes.set_xlim(float(in_years(first)), float(in_years(last)))
    width = axes.get_position().width
    room = max(2, round(width * 22))
    if last - first > 24:
        years = [year for year in range(1970 + first // 12, 1971 + last // 12) if first <= (year - 1970) * 12 <= last]
        step = -(-len(years) // room)
        shown = [year for year in years if (year - years[0]) % step == 0]
        axes.xaxis.set_major_locator(FixedLocator(shown))
        axes.xaxis.set_minor_locator(FixedLocator(years))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda year, _: f"{year:.0f}"))
        axes.set_xlabel("year (ticks at January)", fontsize=8.5)
    else:
        step = -(-(last - first + 1) // max(2, room // 2))
        shown = list(range(first, last + 1, step))
        axes.xaxis.set_major_locator(FixedLocator([float(in_years(month)) for month in shown]))
        names = {round(float(in_years(month)), 6): short_month(month) for month in shown}
        axes.xaxis.set_major_formatter(FuncFormatter(lambda year, _: names.get(round(year, 6), "")))
        axes.set_xlabel("month", fontsize=8.5)


def set_share_axis(axes: Axes, top: float | None = None) -> None:
    """Show shares as per cent from 0 to `top`, by default a little above what is drawn, at most 100 %."""
    high = axes.dataLim.y1 if top is None else top
    axes.set_ylim(0, min(1.0, max(0.05, 1.04 * high if top is None else top)))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{number(100 * share, -1).removesuffix('.0')} %"))


def set_log_axis(axes: Axes, low: float, high: float) -> None:
    """Show positive numbers from `low` to `high` on a logarithmic axis with plain numbers at 1, 2 and 5 times 10^k."""
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    decades = np.log10(high / low)
    steps = (1, 2, 5) if decades < 1.7 else (1, 3) if decades < 3.2 else (1,)
    stride = max(1, int(np.ceil(decades / 7)))
    exponents = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    ticks = [step * 10.0**k for k in exponents if k % stride == 0 for step in steps if low <= step * 10.0**k <= high]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value, last_place(value, digits=1))))


def positive_limits(found: Sequence[Bands], extra: Sequence[float] = ()) -> tuple[float, float]:
    """Return limits for a logarithmic axis that hold the 90 % bands and the extra values with a little air."""
    values = np.concatenate([*(np.concatenate((one.q05, one.q95)) for one in found), np.asarray(extra, dtype=float)])
    values = values[np.isfinite(values) & (values > 0)]
    if not values.size:
        return 0.1, 10.0
    low, high = float(values.min()), float(values.max())
    if high / low < 3:
        middle = (low * high) ** 0.5
        low, high = middle / 1.8, middle * 1.8
    return low / 1.15, high * 1.15


def mark_hand_over(axes: Axes, outcome: Outcomes) -> None:
    """Mark where replayed history ends and projection begins; above the axes, so that it covers nothing."""
    low, high = axes.get_xlim()
    if not outcome.start <= outcome.hand_over < outcome.end:
        word = "replayed history" if outcome.hand_over >= outcome.end else "projection"
        axes.text(0.5, 1.015, word, transform=axes.transAxes, fontsize=8, color=QUIET, ha="center", va="bottom")
        return
    where = float(in_years(outcome.hand_over + 1))
    axes.axvline(where, color=INK, linewidth=1.0, linestyle=(0, (2, 2)), zorder=1.5, gid="hand-over")
    place, width = (where - low) / (high - low), axes.get_position().width * SLIDE[0] * POINTS
    beside = {"transform": axes.transAxes, "fontsize": 8, "color": QUIET, "va": "bottom"}
    for side, words, room in (
        ("right", ("◂ replayed history", "◂ history"), place * width),
        ("left", ("projection ▸",), (1 - place) * width),
    ):
        fitting = [word for word in words if text_width(word, 8) + 6 <= room]
        if fitting:
            shift = -3 / width if side == "right" else 3 / width
            axes.text(place + shift, 1.015, fitting[0], ha=side, **beside)


def say_empty(axes: Axes, why: str) -> None:
    """Write into a panel why it is empty, instead of leaving a blank that could be read as zero."""
    axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center", fontsize=9.5, color=QUIET)
