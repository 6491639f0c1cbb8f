"""Figure `prices`: what is paid for closed and open tokens, and what a fixed capability costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sim.analysis.compare_observed import modelled_series
from sim.analysis.series import Bands, Outcomes, bands
from sim.present.lettering import EndLabel, frame_slide, label_ends
from sim.present.marks import (
    draw_fan,
    draw_observed,
    mark_hand_over,
    positive_limits,
    say_empty,
    set_log_axis,
    set_time_axis,
)
from sim.present.style import LOOKS, new_panel, new_slide
from sim.present.wording import band_phrase, estimate, last_place, month_words, number, runs_words

UNIT = "USD per million tokens (log scale)"
ROUTER = {"mean_price_paid:closed": "closed", "mean_price_paid:open": "open"}
NAMES = {"closed": "Closed", "open": "Open"}
CAPABILITIES = (("price_at_eci_126", "lower_capability", "126"), ("price_at_eci_140", "higher_capability", "140"))
SOURCE = (
    "Observed router prices: Nagle and Yue. Price paid: tokens-weighted, with each user's own mix and discounts; open "
    "includes hosts and self-hosting. ECI: Epoch Capabilities Index (GPT-4 of March 2023: 126)."
)


def draw_prices(outcome: Outcomes) -> Figure:
    """Return the figure: prices paid in the whole market, at a fixed capability, and as the router sees them."""
    figure = new_slide()
    paid = {key: bands(outcome.market(f"{key}_price")) for key in ("closed", "open")}
    axes = new_panel(figure, (0.065, 0.145, 0.36, 0.62), "Price paid, whole market", UNIT)
    _draw_prices(axes, [(key, NAMES[key], one) for key, one in paid.items()], (outcome.start, outcome.end))
    mark_hand_over(axes, outcome)
    fixed = [(look, f"ECI {level}+", bands(outcome.market(column))) for column, look, level in CAPABILITIES]
    title = "Cheapest model with at least a fixed capability"
    axes = new_panel(figure, (0.575, 0.515, 0.31, 0.25), title, "USD per Mtok (log)", pad=19)
    _draw_prices(axes, fixed, (outcome.start, outcome.end))
    mark_hand_over(axes, outcome)
    _draw_router(new_panel(figure, (0.575, 0.145, 0.31, 0.22), "Price paid as the router sees it", ""), outcome)
    explanation = (
        f"{runs_words(outcome)} White markers: observed on the router, with band and window; compare them with the "
        "router panel only."
    )
    frame_slide(figure, outcome, _title(outcome), explanation, SOURCE)
    return figure


def _draw_prices(
    axes: Axes, prices: Iterable[tuple[str, str, Bands]], span: tuple[int, int], extra: Sequence[float] = ()
) -> None:
    kept = [(look, name, one) for look, name, one in prices if np.isfinite(one.median).any()]
    set_log_axis(axes, *positive_limits([one for _, _, one in kept], extra))
    set_time_axis(axes, *span)
    labels = []
    for look, name, one in kept:
        draw_fan(axes, one, look)
        last = float(one.median[np.flatnonzero(np.isfinite(one.median))[-1]])
        labels.append(EndLabel(last, f"{name}  {number(last, last_place(last))}", LOOKS[look].colour))
    if not kept:
        say_empty(axes, "not recorded in this result")
    label_ends(axes, labels, size=10.5 if axes.get_position().height > 0.3 else 9.5)


def _draw_router(axes: Axes, outcome: Outcomes) -> None:
    from sim.evidence import observations

    axes.set_ylabel("USD per Mtok (log)", fontsize=8.5)
    span = (outcome.start, max(min(outcome.hand_over, outcome.end), outcome.start + 1))
    seen = [one for one in observations() if one.panel == "router" and one.series in ROUTER]
    seen = [one for one in seen if span[0] <= one.start and one.end <= span[1]]
    group = [
        (look, NAMES[look], bands(modelled_series(outcome, "router", series).between(*span)))
        for series, look in ROUTER.items()
    ]
    _draw_prices(axes, group, span, [bound for one in seen for bound in (one.value, one.low, one.high)])
    for one in seen:
        draw_observed(axes, one, ROUTER[one.series])


def _title(outcome: Outcomes) -> str:
    closed_runs, open_runs = (outcome.market(f"{key}_price").at(outcome.end) for key in ("closed", "open"))
    closed, opened = estimate(closed_runs), estimate(open_runs)
    if not (closed.known and opened.known):
        return "Prices paid for closed and open tokens"
    ratio = estimate(np.divide(closed_runs, open_runs, out=np.full(len(open_runs), np.nan), where=open_runs > 0))
    prices = [number(one.median, last_place(one.median, one.error)) for one in (closed, opened)]
    title = f"Users pay {prices[0]} USD for a million closed tokens and {prices[1]} USD for open ones in "
    title += month_words(outcome.end)
    return title + (f": the average closed one costs {band_phrase(ratio, '', 'times as much')}" if ratio.known else "")
