"""Shares over adopter groups and blocs, weighted by the workloads that use a model."""

from __future__ import annotations

import numpy as np

from sim.analysis.series import Outcomes, RunSeries, grid


def over_segments(outcome: Outcomes, column: str, bloc: str | None = None) -> RunSeries:
    """Return the mean of a share of workloads over the adopter groups, of the workloads that use a model.

    Parameters
    ----------
    outcome : Outcomes
        What a result recorded.
    column : str
        A share of the segments table, for example ``self_host_share``.
    bloc : str, optional
        Only the adopters of this bloc.
    """
    table = outcome.tables["segments"]
    if bloc is not None:
        table = {name: values[table["bloc"] == bloc] for name, values in table.items()}
    months, cell, runs = grid(table["run"], table["month"])
    using = table["workloads"] * (1 - table["outside_share"])
    share = table[column]
    using = np.where(np.isfinite(share) & np.isfinite(using), using, 0.0)
    size = runs * months.size
    total = np.bincount(cell, weights=using, minlength=size)
    part = np.bincount(cell, weights=using * np.where(using > 0, share, 0.0), minlength=size)
    value = np.divide(part, total, out=np.full(size, np.nan), where=total > 0)
    return RunSeries(months, value.reshape(runs, months.size))
