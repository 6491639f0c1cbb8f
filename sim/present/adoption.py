"""Figure `adoption`: how much of the market runs on open weights, Chinese ones and own machines."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sim.analysis.compare_observed import modelled_series
from sim.analysis.segments import over_segments
from sim.analysis.series import Bands, Outcomes, RunSeries, bands
from sim.present.lettering import EndLabel, frame_slide, label_ends
from sim.present.marks import (
    draw_fan,
    draw_observed,
    mark_hand_over,
    say_empty,
    set_share_axis,
    set_time_axis,
)
from sim.present.style import LOOKS, QUIET, ink, new_panel, new_slide
from sim.present.wording import estimate, month_words, runs_words, share_phrase, short_month
from sim.scenario.schema import BLOCS

NAMES = {"open": "Open", "chinese_open": "Chinese open", "self_host": "Self-hosted"}
# panel, what it is called, unit, series -> look
POPULATIONS = (
    (
        "router",
        "As the router sees it (price-shopping developers)",
        "share of tokens [%]",
        {"open_token_share": "open", "chinese_open_token_share": "chinese_open"},
    ),
    (
        "enterprise",
        "As the enterprise survey sees it (US firms)",
        "share of workloads [%]",
        {"open_workload_share": "open", "chinese_open_workload_share": "chinese_open"},
    ),
)
SOURCE = (
    "Observed values: State of AI (router study), Nagle and Yue, enterprise surveys of Menlo Ventures; populations "
    "differ and are never averaged. Shares count the lab that made the model, whoever serves it."
)


def draw_adoption(outcome: Outcomes) -> Figure:
    """Return the figure: shares of workloads and of tokens, the two observed populations, and the adopters' blocs."""
    figure = new_slide()
    tokens = outcome.market("open_token_share")
    shares = {
        "workloads": {
            "open": outcome.market("open_workload_share"),
            "chinese_open": outcome.market("chinese_open_workload_share"),
            "self_host": over_segments(outcome, "self_host_share"),
        },
        "tokens": {
            "open": tokens,
            "chinese_open": outcome.market("chinese_open_token_share"),
            "self_host": outcome.market("self_host_token_share"),
        },
    }
    found = {what: {key: bands(series) for key, series in group.items()} for what, group in shares.items()}
    top = _top(one for group in found.values() for one in group.values())
    for (what, group), left in zip(found.items(), (0.065, 0.555), strict=True):
        title = f"Whole market: share of {what}" + (" that use a model" if what == "workloads" else "")
        unit = f"share of {what} [%]"
        axes = new_panel(figure, (left, 0.465, 0.31, 0.3), title, unit)
        _draw_shares(axes, outcome, group, (outcome.start, outcome.end), top, values=True)
    _draw_populations(figure, outcome)
    _draw_blocs(figure, outcome)
    explanation = (
        f"{runs_words(outcome)} White markers: observed, beside the model of the same "
        "population (triangles by bloc: the model)."
    )
    frame_slide(figure, outcome, _title(outcome, tokens), explanation, SOURCE)
    return figure


def _top(found: Any) -> float:
    highest = [float(np.nanmax(one.q95)) for one in found if np.isfinite(one.q95).any()]
    return min(1.0, 1.06 * max([0.05, *highest]))


def _draw_shares(
    axes: Axes, outcome: Outcomes, group: dict[str, Bands], span: tuple[int, int], top: float, values: bool
) -> None:
    labels = []
    for key, one in group.items():
        known = np.flatnonzero(np.isfinite(one.median))
        if not known.size:
            continue
        draw_fan(axes, one, key)
        last = float(one.median[known[-1]])
        text = f"{NAMES[key]} {100 * last:.0f} %" if values else NAMES[key]
        labels.append(EndLabel(last, text, LOOKS[key].colour))
    set_share_axis(axes, top)
    set_time_axis(axes, *span)
    if not labels:
        say_empty(axes, "not recorded in this result")
    label_ends(axes, labels, size=10.5 if values else 9)
    if values:
        mark_hand_over(axes, outcome)


def _draw_populations(figure: Figure, outcome: Outcomes) -> None:
    from sim.evidence import observations

    last = min(outcome.hand_over, outcome.end)
    span = (outcome.start, max(last, outcome.start + 1))
    for (panel, title, unit, looks), left in zip(POPULATIONS, (0.065, 0.41), strict=True):
        axes = new_panel(figure, (left, 0.145, 0.215, 0.195), title, unit)
        group = {look: bands(modelled_series(outcome, panel, series).between(*span)) for series, look in looks.items()}
        seen = [one for one in observations() if one.panel == panel and one.series in looks and one.start >= span[0]]
        seen = [one for one in seen if one.end <= span[1]]
        top = max(_top(group.values()), *[1.06 * np.nanmax([one.value, one.high]) for one in seen], 0.05)
        _draw_shares(axes, outcome, group, span, min(1.0, float(top)), values=False)
        for one in seen:
            draw_observed(axes, one, looks[one.series])


def _draw_blocs(figure: Figure, outcome: Outcomes) -> None:
    axes = new_panel(figure, (0.765, 0.145, 0.145, 0.195), "Open share by user's bloc", "share of workloads [%]")
    end, start = outcome.end, min(max(outcome.hand_over, outcome.start), outcome.end)
    colour, drawn = ink(LOOKS["open"].colour), []
    for place, bloc in enumerate(BLOCS):
        series = over_segments(outcome, "open_workload_share", bloc)
        for month, shift, face in ((start, -0.16, "white"), (end, 0.16, colour)):
            found = estimate(series.at(month))
            if not found.known or (month == end == start and shift < 0):
                continue
            drawn.append(found)
            axes.plot([place + shift] * 2, [found.low, found.high], color=colour, linewidth=1.6, zorder=3)
            axes.plot(
                [place + shift],
                [found.median],
                marker="^",
                markersize=7,
                markerfacecolor=face,
                markeredgecolor=colour,
                linestyle="none",
                zorder=4,
            )
    axes.set_xlim(-0.6, len(BLOCS) - 0.4)
    axes.set_xticks(range(len(BLOCS)), BLOCS)
    axes.set_xlabel("bloc of the adopter", fontsize=8.5)
    set_share_axis(axes, min(1.0, 1.06 * max([0.05, *(one.high for one in drawn)])))
    if not drawn:
        say_empty(axes, "not recorded")
    key = f"△ {short_month(start)}   ▲ {short_month(end)}" if start != end else f"▲ {short_month(end)}"
    axes.text(1.02, 0.5, key.replace("   ", "\n"), transform=axes.transAxes, fontsize=8.5, color=QUIET, va="center")


def _title(outcome: Outcomes, tokens: RunSeries) -> str:
    found = estimate(tokens.at(outcome.end))
    chinese = estimate(outcome.market("chinese_open_token_share").at(outcome.end))
    if not found.known:
        return "Adoption of open weights"
    when = month_words(outcome.end)
    title = f"Open weights serve {share_phrase(found, f'of tokens in {when}')}"
    return title + (f", Chinese ones {share_phrase(chinese, explain=False)}" if chinese.known else "")
