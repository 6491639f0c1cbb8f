"""Figure `capability`: the race between closed and open models and between the US and China, with its gaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from sim.analysis.series import Bands, Outcomes, RunSeries, bands, grid
from sim.present.lettering import EndLabel, frame_slide, label_ends
from sim.present.marks import draw_fan, draw_observed, in_years, mark_hand_over, say_empty, set_time_axis
from sim.present.style import LOOKS, QUIET, ink, new_panel, new_slide
from sim.present.wording import band_phrase, estimate, month_words, number, runs_words

NAMES = {"closed": "Best closed", "open": "Best open", "US": "Best US", "CN": "Best Chinese"}
SOURCE = (
    "Releases and gaps: Epoch AI. History replays the releases, so agreement there proves nothing. ECI: Epoch "
    "Capabilities Index; the frontier gained about 15 points a year in 2024-2025."
)


@dataclass(frozen=True)
class Gap:
    """One panel of a gap: column of the market table, its look, words, and the observed series beside it.

    `tied` names the model's series that, like the observed one, counts statistical ties as caught up; it gets a line
    of its own, and the observed value the look of that line.
    """

    column: str
    look: str
    title: str
    unit: str
    observed: str
    tied: str = ""


GAPS = (
    Gap("gap_points", "open", "Open behind closed, in capability", "ECI points", "open_gap_points"),
    Gap("gap_months", "open", "Open behind closed, in time", "months", "open_lag_months", "open_lag_months"),
    Gap("china_lag_months", "CN", "China behind the US, in time", "months", "china_lag_months"),
)
TIED = "lower_capability"  # a neutral look


def draw_capability(outcome: Outcomes) -> Figure:
    """Return the figure: best model on offer by openness and by bloc, and three gaps beneath."""
    figure = new_slide()
    best = {key: bands(series) for key, series in best_on_offer(outcome).items()}
    limits = _limits(list(best.values()))
    for (left, title), keys in zip(
        ((0.06, "Best model on offer, by openness"), (0.54, "Best model on offer, by bloc")),
        (("closed", "open"), ("US", "CN")),
        strict=True,
    ):
        axes = new_panel(figure, (left, 0.465, 0.325, 0.3), title, "capability [ECI points]")
        _draw_race(axes, outcome, {key: best[key] for key in keys}, limits)
    for gap, left in zip(GAPS, (0.06, 0.385, 0.71), strict=True):
        _draw_gap(figure, outcome, left, gap)
    explanation = (
        f"{runs_words(outcome)} Small marks: measured releases. White markers: observed means. With ties: "
        "close models count as level."
    )
    frame_slide(figure, outcome, _title(outcome), explanation, SOURCE)
    return figure


def best_on_offer(outcome: Outcomes) -> dict[str, RunSeries]:
    """Return the highest capability on offer [ECI points] of closed, open, US and Chinese models."""
    offers, labs = outcome.tables["offers"], outcome.tables["labs"]
    blocs = dict(zip(labs["lab"].tolist(), labs["bloc"].tolist(), strict=True))
    bloc = np.array([blocs.get(lab) for lab in offers["lab"].tolist()], object)
    opened = offers["open_weights"] > 0.5
    months, cell, runs = grid(offers["run"], offers["month"])
    capability = offers["capability"]

    def highest(chosen: NDArray[np.bool_]) -> RunSeries:
        best = np.full(runs * months.size, np.nan)
        np.fmax.at(best, cell[chosen], capability[chosen])
        return RunSeries(months, best.reshape(runs, months.size))

    groups = {"closed": ~opened, "open": opened, "US": bloc == "US", "CN": bloc == "CN"}
    return {key: highest(np.asarray(chosen)) for key, chosen in groups.items()}


def _limits(found: list[Bands]) -> tuple[float, float]:
    values = np.concatenate([np.concatenate((one.q05, one.q95)) for one in found])
    values = values[np.isfinite(values)]
    return (float(values.min()) - 4, float(values.max()) + 4) if values.size else (100.0, 160.0)


def _draw_race(axes: Axes, outcome: Outcomes, group: dict[str, Bands], limits: tuple[float, float]) -> None:
    axes.set_ylim(*limits)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    set_time_axis(axes, outcome.start, outcome.end)
    labels = []
    for key, one in group.items():
        known = np.flatnonzero(np.isfinite(one.median))
        if known.size:
            draw_fan(axes, one, key)
            last = float(one.median[known[-1]])
            labels.append(EndLabel(last, f"{NAMES[key]} {last:.0f}", LOOKS[key].colour))
    if not labels:
        say_empty(axes, "no offer recorded")
    _draw_releases(axes, outcome, tuple(group), limits)
    label_ends(axes, labels, size=10.5)
    mark_hand_over(axes, outcome)


def _draw_releases(axes: Axes, outcome: Outcomes, keys: tuple[str, ...], limits: tuple[float, float]) -> None:
    from sim.evidence import releases

    last = min(outcome.hand_over, outcome.end)
    for key in keys:
        chosen = [
            one
            for one in releases()
            if one.capability_basis == "measured"
            and outcome.start <= one.month <= last
            and limits[0] <= one.capability <= limits[1]
            and (one.bloc == key if key in ("US", "CN") else one.open == (key == "open"))
        ]
        style = LOOKS[key]
        axes.plot(
            in_years([one.month for one in chosen]),
            [one.capability for one in chosen],
            marker=style.marker,
            markersize=3.6,
            linestyle="none",
            markerfacecolor="none",
            markeredgecolor=ink(style.colour),
            markeredgewidth=0.8,
            alpha=0.7,
            zorder=2.5,
            gid="releases",
        )


def _draw_gap(figure: Figure, outcome: Outcomes, left: float, gap: Gap) -> None:
    from sim.evidence import observations

    axes = new_panel(figure, (left, 0.145, 0.215, 0.195), gap.title, gap.unit)
    lines = {gap.look: bands(outcome.market(gap.column))}
    if gap.tied:
        lines[TIED] = bands(outcome.panel("capability", gap.tied))
    observed = [
        one
        for one in observations(min(outcome.hand_over, outcome.end))
        if one.panel == "capability" and one.series == gap.observed
    ]
    set_time_axis(axes, outcome.start, outcome.end)
    bounds = [bound for one in observed for bound in (one.low, one.high)]
    values = np.concatenate([*(np.concatenate((one.q05, one.q95)) for one in lines.values()), bounds, [0]])
    values = values[np.isfinite(values)]
    room = 0.06 * max(float(np.ptp(values)), 1.0)
    axes.set_ylim(float(values.min()) - room, float(values.max()) + room)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.axhline(0, color=QUIET, linewidth=0.8, zorder=1)
    label_ends(axes, [label for look, one in lines.items() for label in _draw_line(axes, one, look, gap.unit)], size=9)
    if not np.isfinite(lines[gap.look].median).any():
        say_empty(axes, "not recorded in this result")
    for one in observed:
        draw_observed(axes, one, TIED if gap.tied else gap.look)
    if outcome.start <= outcome.hand_over < outcome.end:
        axes.axvline(float(in_years(outcome.hand_over + 1)), color=QUIET, linewidth=0.9, linestyle=(0, (2, 2)))


def _draw_line(axes: Axes, one: Bands, look: str, unit: str) -> list[EndLabel]:
    known = np.flatnonzero(np.isfinite(one.median))
    if not known.size:
        return []
    style, last = LOOKS[look], float(one.median[known[-1]])
    if look == TIED:
        axes.plot(in_years(one.months), one.median, color=style.colour, linestyle=style.line, linewidth=1.3, zorder=2.9)
        return [EndLabel(last, f"{number(last, 0)} with ties", style.colour)]
    draw_fan(axes, one, look)
    return [EndLabel(last, f"{number(last, 0)} {unit.rsplit(maxsplit=1)[-1]}", style.colour)]


def _title(outcome: Outcomes) -> str:
    gap, months = (outcome.market(column).at(outcome.end) for column in ("gap_points", "gap_months"))
    points, when = estimate(gap), month_words(outcome.end)
    if not points.known:
        return "The capability race"
    if points.median < 0:
        size = band_phrase(estimate(-gap), "ECI points", f"in {when}")
        return f"The best open model leads the best closed one by {size}"
    title = f"The best open model trails the best closed one by {band_phrase(points, 'ECI points', f'in {when}')}"
    in_time = estimate(months)
    return title + (f", {band_phrase(in_time, 'months', explain=False)} in time" if in_time.known else "")
