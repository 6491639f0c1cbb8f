"""The market over all runs of an ensemble: median and bands, month by month."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.columns import FLOAT, TABLES
from sim.months import format_month

BANDS = {"median": 0.5, "q05": 0.05, "q25": 0.25, "q75": 0.75, "q95": 0.95}


def summarise(market: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return quantiles over runs of each market column that is not empty.

    Runs in which a value is missing (a price before there is such an offer) do not count in that month.

    Parameters
    ----------
    market : mapping of str to ndarray of shape (rows,)
        The market table.

    Returns
    -------
    dict of ndarray of shape (months,)
        ``month`` and, for each column, ``<column>_median``, ``_q05``, ``_q25``, ``_q75``, ``_q95`` by NumPy's linear
        method, in the unit of the column.
    """
    months, month_place = np.unique(market["month"], return_inverse=True)
    runs, run_place = np.unique(market["run"], return_inverse=True)
    summary: dict[str, NDArray[Any]] = {"month": months}
    for column in TABLES["market"].values:
        if column.kind != FLOAT or np.isnan(market[column.name]).all():
            continue
        values = np.full((len(runs), len(months)), np.nan)
        values[run_place, month_place] = market[column.name]
        found = ~np.isnan(values).all(axis=0)
        over_runs = np.full((len(BANDS), len(months)), np.nan)
        over_runs[:, found] = _quantiles(values[:, found])
        summary |= {f"{column.name}_{band}": over_runs[row] for row, band in enumerate(BANDS)}
    return summary


def _quantiles(values: NDArray[Any]) -> NDArray[Any]:
    """Return the quantiles over runs of each month, shape (bands, months), of the runs that have a value in it."""
    gaps = np.isnan(values).any(axis=0)
    quantiles = np.empty((len(BANDS), values.shape[1]))
    quantiles[:, ~gaps] = np.quantile(values[:, ~gaps], [*BANDS.values()], axis=0, method="linear")
    quantiles[:, gaps] = np.nanquantile(values[:, gaps], [*BANDS.values()], axis=0, method="linear")
    return quantiles


def summary_csv(summary: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the file: months as dates, missing values empty, numbers with all their digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(summary)
    months = [f"{format_month(int(month))}-01" for month in summary["month"]]
    columns = [number_texts(values) for name, values in summary.items() if name != "month"]
    writer.writerows(zip(months, *columns, strict=True))
    return text.getvalue().encode()


def number_texts(values: NDArray[Any]) -> list[str]:
    """Return the shortest text that reads back as each number; empty for NaN."""
    return ["" if number != number else repr(number) for number in values.tolist()]
