"""Recorded tables as arrays of runs by months, and the quantiles of an ensemble."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.content import text_codes
from sim.errors import ResultError
from sim.months import parse_month

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MEDIAN_ERROR_FACTOR = 1.2533141373155  # sqrt(pi/2): error of a median over that of a mean, for a normal sample


@dataclass(frozen=True)
class RunSeries:
    """One outcome of every run in every month.

    Parameters
    ----------
    months : ndarray, shape (T,)
        Month numbers, rising.
    values : ndarray, shape (R, T)
        The outcome, NaN where it was not recorded or does not exist.
    """

    months: NDArray[np.int64]
    values: NDArray[np.float64]

    @property
    def empty(self) -> bool:
        """Whether no run has a value in any month."""
        return not np.isfinite(self.values).any()

    def map(self, change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> RunSeries:
        """Return the series with `change` applied to its values."""
        return RunSeries(self.months, change(self.values))

    def between(self, first: int, last: int) -> RunSeries:
        """Return the months from `first` to `last`, both included."""
        keep = (self.months >= first) & (self.months <= last)
        return RunSeries(self.months[keep], self.values[:, keep])

    def at(self, month: int) -> NDArray[np.float64]:
        """Return the values of one month, shape (R,); NaN if the month was not simulated."""
        where = np.flatnonzero(self.months == month)
        return self.values[:, where[0]] if where.size else np.full(len(self.values), np.nan)


@dataclass(frozen=True)
class Bands:
    """Quantiles over the runs, each of shape (T,) in the unit of the series."""

    months: NDArray[np.int64]
    q05: NDArray[np.float64]
    q25: NDArray[np.float64]
    median: NDArray[np.float64]
    q75: NDArray[np.float64]
    q95: NDArray[np.float64]
    runs: int


def bands(series: RunSeries) -> Bands:
    """Return the quantiles over the runs that have a value; NaN where fewer than half of them have one.

    The rule of the half keeps a price that exists only in a few lucky runs from looking like the usual one.
    """
    values = series.values
    runs, months = values.shape
    out = np.full((len(QUANTILES), months), np.nan)
    count = np.isfinite(values).sum(axis=0)
    full = count == runs
    if runs and full.any():
        out[:, full] = np.quantile(values[:, full], QUANTILES, axis=0)
    for t in np.flatnonzero((count < runs) & (2 * count >= runs) & (count > 0)):
        column = values[:, t]
        out[:, t] = np.quantile(column[np.isfinite(column)], QUANTILES)
    return Bands(series.months, *out, runs=runs)


def median_error(values: ArrayLike) -> float:
    """Return the Monte-Carlo standard error of the median of one sample, NaN for fewer than two values."""
    sample = np.asarray(values, dtype=float)
    sample = sample[np.isfinite(sample)]
    if sample.size < 2:
        return float("nan")
    return float(MEDIAN_ERROR_FACTOR * sample.std(ddof=1) / np.sqrt(sample.size))


def grid(runs: ArrayLike, months: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Return the month axis (T,), the cell number run * T + month of each row, and the number of runs."""
    run_names, run_index = np.unique(np.asarray(runs), return_inverse=True)
    axis = np.unique(months).astype(np.int64)
    return axis, run_index * axis.size + np.searchsorted(axis, months), run_names.size


def pivot(runs: ArrayLike, months: NDArray[Any], values: ArrayLike) -> RunSeries:
    """Return rows (run, month, value) as an array of runs by months; cells without a row are NaN."""
    axis, cell, count = grid(runs, months)
    out = np.full(count * axis.size, np.nan)
    out[cell] = np.asarray(values, dtype=float)
    return RunSeries(axis, out.reshape(count, axis.size))


class Outcomes:
    """What a result recorded, read once and handed out as runs by months.

    Parameters
    ----------
    results : Results
        A finished result: its `tables`, the `manifest` and the resolved `scenario`.
    """

    def __init__(self, results: Any):
        self.results = results
        self.manifest: Mapping[str, Any] = results.manifest
        self.tables: Mapping[str, Mapping[str, NDArray[Any]]] = results.tables
        self.months, self._cell, self.runs = grid(self.tables["market"]["run"], self.tables["market"]["month"])
        if not self.months.size:
            raise ResultError("this result holds no month; run the scenario again")

    def market(self, column: str) -> RunSeries:
        """Return one column of the market table.

        Raises
        ------
        ResultError
            If the result has no such column.
        """
        if column not in self.tables["market"]:
            raise ResultError(f"the market table of this result has no column {column!r}; another version wrote it")
        out = np.full(self.runs * self.months.size, np.nan)
        out[self._cell] = self.tables["market"][column]
        return RunSeries(self.months, out.reshape(self.runs, self.months.size))

    @cached_property
    def _panel_rows(self) -> dict[tuple[str, str], NDArray[np.int64]]:
        """Rows of each series of the table `panels`, by panel and series."""
        (panels, panel), (names, series) = (text_codes(self.tables["panels"][key]) for key in ("panel", "series"))
        code = panel * len(names) + series
        order = np.argsort(code, kind="stable")
        found, starts = np.unique(code[order], return_index=True)
        keys = [(panels[one // len(names)], names[one % len(names)]) for one in found.tolist()]
        return dict(zip(keys, np.split(order, starts)[1:], strict=True))

    def panel(self, panel: str, series: str) -> RunSeries:
        """Return one series of one observed population, without months if the model does not record it."""
        table, rows = self.tables["panels"], self._panel_rows.get((panel, series), np.empty(0, np.int64))
        return pivot(table["run"][rows], table["month"][rows], table["value"][rows])

    @cached_property
    def start(self) -> int:
        """First simulated month."""
        return int(self.months[0])

    @cached_property
    def end(self) -> int:
        """Last simulated month."""
        return int(self.months[-1])

    @cached_property
    def hand_over(self) -> int:
        """Last replayed month."""
        text = self.scenario["horizon"]["history_until"]
        return parse_month(str(text["value"] if isinstance(text, Mapping) else text))

    @cached_property
    def scenario(self) -> Mapping[str, Any]:
        """The scenario as run, every value resolved."""
        scenario = self.results.scenario
        return scenario.resolved() if hasattr(scenario, "resolved") else scenario


def outcomes(results: Any) -> Outcomes:
    """Return the outcomes of a result; outcomes already read are returned as they are."""
    return results if isinstance(results, Outcomes) else Outcomes(results)
