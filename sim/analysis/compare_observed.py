"""The model's panels beside the observed series, over the same windows.

One rule for each kind of series decides what the model's value in a window is:

* shares, prices, spend, gaps: the mean over the months of the window;
* what was added in the window (`*_added`, smuggled, domestic accelerators): the sum over its months;
* stocks, running totals and rates that look back themselves (per year, per window): the value of its last month.

Events (crossings) have no value to compare and are left out, and so is what `NOT_COMPARABLE` names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.analysis.series import Outcomes, RunSeries, outcomes

ADDED = ("legal_accelerators_added", "smuggled_accelerators", "domestic_accelerators")
LOOKS_BACK = (
    "cumulative_downloads",
    "world_accelerator_stock",
    "annual_vendor_switch_rate",
    "annual_upgrade_within_vendor_rate",
    "upgrade_within_vendor_1_month",
    "price_decline_at_constant_capability",
    "closed_frontier_slope",
    "open_frontier_slope",
    "china_frontier_slope",
    "world_accelerator_growth",
    "serving_efficiency_growth",
    "training_efficiency_growth",
)

# Observed, but of something wider than what the model calls by that name: a difference would mean nothing.
NOT_COMPARABLE = {"annualised_revenue:OpenAI": "two thirds are consumer subscriptions, which the model leaves out"}


@dataclass(frozen=True)
class Comparison:
    """One observed value beside the model's, in the unit of the observation.

    Parameters
    ----------
    start, end : int
        Window of the observation [month numbers].
    months : int
        Months of the window that the model simulated.
    observed, low, high : float
        The observed value and its band; NaN where the source gives no band.
    median, q05, q25, q75, q95 : float
        The model's value over the same window: quantiles over the runs.
    difference : float
        `median` minus `observed`.
    inside : bool or None
        Whether the median lies in the observed band; None without a band.
    role : str
        'replayed' (an input: agreement proves nothing), 'fitted' or 'held_out'.
    projected : bool
        Whether the window reaches beyond the hand-over.
    """

    id: str
    panel: str
    series: str
    start: int
    end: int
    months: int
    unit: str
    role: str
    observed: float
    low: float
    high: float
    median: float
    q05: float
    q25: float
    q75: float
    q95: float
    difference: float
    inside: bool | None
    projected: bool


def window_value(series: RunSeries, name: str, start: int, end: int) -> NDArray[np.float64]:
    """Return the model's value of a series in a window for each run, by the rules of this module.

    Parameters
    ----------
    series : RunSeries
        The model's series, R runs.
    name : str
        Name of the series as in the observations; what stands after a colon does not matter.
    start, end : int
        First and last month of the window.

    Returns
    -------
    ndarray, shape (R,)
        NaN where the model did not simulate enough of the window: any of it for means, its last month for
        values that look back, all of it for sums.
    """
    kind = name.split(":", 1)[0]
    if kind in LOOKS_BACK:
        return series.at(end)
    window = series.between(start, end).values
    known = np.isfinite(window)
    if kind in ADDED:
        complete = known.sum(axis=1) == end - start + 1
        return np.where(complete, np.where(known, window, 0.0).sum(axis=1), np.nan)
    count = known.sum(axis=1)
    total = np.where(known, window, 0.0).sum(axis=1)
    return np.divide(total, count, out=np.full(len(window), np.nan), where=count > 0)


def modelled_series(outcome: Outcomes, panel: str, name: str) -> RunSeries:
    """Return the model's counterpart of an observed series; `share:A+B` is the sum of `share:A` and `share:B`."""
    found = outcome.panel(panel, name)
    kind, colon, parts = name.partition(":")
    if not found.empty or not colon or "+" not in parts:
        return found
    pieces = [outcome.panel(panel, f"{kind}:{part}") for part in parts.split("+")]
    if any(piece.empty for piece in pieces):
        return found
    return RunSeries(pieces[0].months, np.sum([piece.values for piece in pieces], axis=0))


def _compare(observation: Any, series: RunSeries, hand_over: int) -> Comparison | None:
    value = window_value(series, observation.series, observation.start, observation.end)
    value = value[np.isfinite(value)]
    if not value.size:
        return None
    q05, q25, median, q75, q95 = (float(q) for q in np.quantile(value, (0.05, 0.25, 0.5, 0.75, 0.95)))
    banded = np.isfinite(observation.low) and np.isfinite(observation.high)
    return Comparison(
        id=observation.id,
        panel=observation.panel,
        series=observation.series,
        start=observation.start,
        end=observation.end,
        months=int(((series.months >= observation.start) & (series.months <= observation.end)).sum()),
        unit=observation.unit,
        role=observation.role,
        observed=observation.value,
        low=observation.low,
        high=observation.high,
        median=median,
        q05=q05,
        q25=q25,
        q75=q75,
        q95=q95,
        difference=median - observation.value,
        inside=bool(observation.low <= median <= observation.high) if banded else None,
        projected=observation.end > hand_over,
    )


def observed_comparison(results: Any, observed: Iterable[Any] | None = None) -> list[Comparison]:
    """Return every observed value that the model has a counterpart of, beside that counterpart.

    Parameters
    ----------
    results : Results
        A finished result.
    observed : iterable of Observation, optional
        The observations; by default those of the package.

    Returns
    -------
    list of Comparison
        In the order of the observations. What the model does not record, or did not simulate in that window, is
        left out; `not_compared` names it.
    """
    return [row for _, row in _pairs(results, observed) if row is not None]


def not_compared(results: Any, observed: Iterable[Any] | None = None) -> list[str]:
    """Return the ids of the observations without a true counterpart in the result, events apart."""
    return [observation.id for observation, row in _pairs(results, observed) if row is None]


def _pairs(results: Any, observed: Iterable[Any] | None) -> list[tuple[Any, Comparison | None]]:
    if observed is None:
        from sim.evidence import observations

        observed = observations()
    observed = _shares_of_two(list(observed))
    outcome = outcomes(results)
    cache: dict[tuple[str, str], RunSeries] = {}
    pairs = []
    for observation in observed:
        if observation.unit == "event":
            continue
        if observation.series in NOT_COMPARABLE:
            pairs.append((observation, None))
            continue
        key = (observation.panel, observation.series)
        if key not in cache:
            cache[key] = modelled_series(outcome, *key)
        pairs.append((observation, _compare(observation, cache[key], outcome.hand_over)))
    return pairs


def _shares_of_two(observed: list[Any]) -> list[Any]:
    """Return the observations with China's share of all hub downloads as a share of China's and the US's.

    Two thirds of all downloads are of uploads without a lab, which the model does not know; the share of the two is
    comparable. Its band takes China's low and high against the US's value.
    """
    us = next((o.value for o in observed if o.series == "us_download_share"), None)
    if us is None:
        return observed

    def of_two(share: float) -> float:
        return share / (share + us)

    return [
        replace(
            o,
            series="chinese_download_share_of_two",
            value=of_two(o.value),
            low=of_two(o.low),
            high=of_two(o.high),
        )
        if o.series == "chinese_download_share"
        else o
        for o in observed
    ]
