"""What must hold in every result: shares, money and tokens add up; checked after each run and by `sim verify`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.columns import FLOAT, TABLES
from sim.months import format_month
from sim.record import Tables

TOLERANCE = 1e-9  # relative to the larger side; sums of a few hundred terms in double precision stay far below

CHECKED = (
    "no value is infinite",
    "shares lie between 0 and 1",
    "shares of labs sum to one (workloads, tokens, spend)",
    "shares of offers sum to one (workloads, tokens)",
    "open shares of the market are those of the open offers (workloads, tokens)",
    "spend on labs, hosts and own machines sums to total spend",
    "revenue of labs sums to spend on labs",
    "tokens and spend of the segments sum to the market's",
    "China's accelerators sum over their four sources",
)


def broken_identities(tables: Tables) -> list[str]:
    """Return one line for each identity that does not hold, with the worst row; missing values are left out (eq. 78).

    Parameters
    ----------
    tables : dict of dict of ndarray
        As from `sim.content.combine`; for one run, ``combine([record.tables()])``.
    """
    market = tables["market"]
    cells = market["run"].astype(np.int64) << 32 | market["month"].astype(np.int64)
    if len(cells) == 0:
        return ["market: no rows"]
    order = np.argsort(cells)
    lines = list(_out_of_bounds(tables))

    def place(name: str) -> NDArray[np.int64]:
        """Return the market row of each row of a table, -1 where the market has none."""
        wanted = tables[name]["run"].astype(np.int64) << 32 | tables[name]["month"].astype(np.int64)
        at = order[np.minimum(np.searchsorted(cells, wanted, sorter=order), len(order) - 1)]
        return np.where(cells[at] == wanted, at, -1)

    places = {name: place(name) for name in ("labs", "offers", "segments")}
    for name, rows in places.items():
        if (rows < 0).any():
            lines.append(f"{name}: {int((rows < 0).sum())} rows belong to no run and month of the market table")

    def total(name: str, column: str, only: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
        """Return the sum of a column over the rows of each market row; NaN where there is no value."""
        values, rows = tables[name][column], places[name]
        known = ~np.isnan(values) & (rows >= 0)
        counts = np.bincount(rows[known], minlength=len(cells))
        chosen = known if only is None else known & only
        sums = np.bincount(rows[chosen], weights=values[chosen], minlength=len(cells))
        return np.where(counts > 0, sums, np.nan)

    unused = market["total_tokens"] == 0.0  # in a market without use there is nothing to share out
    one = np.where(unused, np.nan, 1.0)
    for name, shares in (("labs", ("workload", "token", "spend")), ("offers", ("workload", "token"))):
        for share in shares:
            found = total(name, f"{share}_share")
            lines += _unequal(market, f"{name}.{share}_share summed", found, "1", one)
    is_open = tables["offers"]["open_weights"] > 0.5
    for share in ("workload", "token"):
        found = np.where(unused, np.nan, total("offers", f"{share}_share", is_open))
        column = f"open_{share}_share"
        lines += _unequal(market, f"offers.{share}_share of open weights", found, f"market.{column}", market[column])
    parts = market["spend_labs"] + market["spend_hosts"] + market["spend_self_host"]
    lines += _unequal(market, "spend_labs + spend_hosts + spend_self_host", parts, "total_spend", market["total_spend"])
    sources = np.sum([market[f"compute_cn_{source}"] for source in ("legal", "diverted", "domestic", "rented")], axis=0)
    lines += _unequal(market, "compute_cn by source summed", sources, "compute_cn", market["compute_cn"])
    for name, column, whole in (
        ("labs", "revenue", "spend_labs"),
        ("segments", "tokens", "total_tokens"),
        ("segments", "spend", "total_spend"),
    ):
        lines += _unequal(market, f"{name}.{column} summed", total(name, column), f"market.{whole}", market[whole])
    return lines


def _out_of_bounds(tables: Tables) -> Iterator[str]:
    """Yield a line for each column with an infinite value or a share outside [0, 1]."""
    for name, table in TABLES.items():
        for column in table.values:
            if column.kind != FLOAT:
                continue
            values = tables[name][column.name]
            bad = np.isinf(values)
            if column.unit == "share":
                bad |= (values < -TOLERANCE) | (values > 1.0 + TOLERANCE)
            if bad.any():
                first = int(np.argmax(bad))
                allowed = "0 to 1" if column.unit == "share" else "a finite number"
                yield (
                    f"{name}.{column.name}: {int(bad.sum())} values are not {allowed}, "
                    f"first {values[first]:.6g} in {_when(tables[name], first)}"
                )


def _unequal(
    market: dict[str, NDArray[Any]], left: str, a: NDArray[np.float64], right: str, b: NDArray[np.float64]
) -> list[str]:
    """Return no line, or one if two columns of the market's shape differ where both are known."""
    apart = np.abs(a - b)
    bad = apart > TOLERANCE * np.maximum(1.0, np.maximum(np.abs(a), np.abs(b)))
    if not bad.any():
        return []
    worst = int(np.nanargmax(np.where(bad, apart, np.nan)))
    return [
        f"{left} is not {right} in {int(bad.sum())} of {len(bad)} months, "
        f"worst {a[worst]:.12g} against {b[worst]:.12g} in {_when(market, worst)}"
    ]


def _when(columns: dict[str, NDArray[Any]], row: int) -> str:
    return f"run {int(columns['run'][row])}, {format_month(int(columns['month'][row]))}"
