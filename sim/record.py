"""Recording of one run: market columns preallocated, rows of the other tables kept month by month."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.columns import FLOAT, MONTH, RUN, TABLES, TEXT, Column
from sim.months import format_month

Tables = dict[str, dict[str, NDArray[Any]]]
_Block = tuple[int, int, dict[str, NDArray[Any]]]  # month, rows, columns as given

_MARKET_NAMES = frozenset(column.name for column in TABLES["market"].values)
_DTYPES = {  # of the columns that are appended, by table
    name: {column.name: np.dtype(object if column.kind == TEXT else np.float64) for column in table.columns[2:]}
    for name, table in TABLES.items()
}


class Record:
    """The outcomes of one run.

    Parameters
    ----------
    start, end : int
        First and last month number, both recorded.

    Attributes
    ----------
    market : dict of ndarray, each of shape (months,)
        Columns of the market table; NaN (or None for a text) where nothing was written.
    """

    def __init__(self, start: int, end: int):
        if end < start:
            raise ValueError(f"a record cannot end ({format_month(end)}) before it starts ({format_month(start)})")
        self.start, self.end = start, end
        months = end - start + 1
        self.market: dict[str, NDArray[Any]] = {
            column.name: np.full(months, np.nan) if column.kind == FLOAT else np.full(months, None, dtype=object)
            for column in TABLES["market"].values
        }
        self._written = np.zeros(months, dtype=bool)
        self._blocks: dict[str, list[_Block]] = {name: [] for name in TABLES if name != "market"}

    def _row(self, month: int) -> int:
        row = month - self.start
        if not 0 <= row < len(self._written):
            raise IndexError(
                f"month {format_month(month)} is outside the record, "
                f"{format_month(self.start)} to {format_month(self.end)}"
            )
        return row

    def write_market(self, month: int, **values: float | str | None) -> None:
        """Write columns of the market table for a month; a later call adds or replaces, the rest stays NaN.

        Parameters
        ----------
        month : int
            Month number.
        **values
            Column name to value, in the unit of `sim.columns`.

        Raises
        ------
        KeyError
            If the market table has no such column.
        IndexError
            If the month lies outside the record.
        """
        row = self._row(month)
        unknown = values.keys() - _MARKET_NAMES
        if unknown:
            raise KeyError(f"the market table has no column {sorted(unknown)}")
        market = self.market
        for name, value in values.items():
            market[name][row] = value
        self._written[row] = True

    def append(self, table: str, month: int, **columns: ArrayLike) -> None:
        """Append a month's rows to `labs`, `offers`, `segments` or `panels`; arrays are copied.

        Parameters
        ----------
        table : str
            Name of the table.
        month : int
            Month number.
        **columns : array_like of shape (rows,) or scalar
            Every key of the table but `run` and `month`, and any of its values; scalars are repeated, values left
            out are NaN.

        Raises
        ------
        KeyError
            If the table or a column is unknown, or a key is missing.
        ValueError
            If the lengths differ.
        IndexError
            If the month lies outside the record.
        """
        self._row(month)
        if table not in self._blocks:
            raise KeyError(f"rows can be appended to {', '.join(self._blocks)}, not to {table!r}")
        dtypes = _DTYPES[table]
        unknown = columns.keys() - dtypes.keys()
        if unknown:
            raise KeyError(f"the {table} table has no column {sorted(unknown)}")
        for key in TABLES[table].keys[2:]:
            if key.name not in columns:
                raise KeyError(f"rows of {table} need the key {key.name}")
        block = {name: np.array(values, dtypes[name]) for name, values in columns.items()}
        shapes = dict.fromkeys(values.shape for values in block.values() if values.ndim)
        if len(shapes) > 1 or any(len(shape) > 1 for shape in shapes):
            raise ValueError(f"columns of {table} differ in shape: { {n: v.shape for n, v in block.items()} }")
        rows = next(iter(shapes), (1,))[0]
        self._blocks[table].append((month, rows, block))

    def tables(self) -> Tables:
        """Return the five tables without `run`: table -> column -> array of shape (rows,), months as int32."""
        months = np.flatnonzero(self._written)
        tables: Tables = {"market": {"month": (months + self.start).astype(np.int32)}}
        for name, values in self.market.items():
            tables["market"][name] = values[months]
        for name, blocks in self._blocks.items():
            tables[name] = {
                column.name: _joined(column, blocks) for column in TABLES[name].columns if column.kind != RUN
            }
        return tables


def _joined(column: Column, blocks: list[_Block]) -> NDArray[Any]:
    """Return one column of all blocks, with scalars repeated and missing values filled."""
    if column.kind == MONTH:
        months, rows = ([block[place] for block in blocks] for place in (0, 1))
        return np.repeat(np.array(months, np.int32), np.array(rows, np.int64))
    missing = np.array(None, dtype=object) if column.kind == TEXT else np.array(np.nan)
    found = [(rows, block.get(column.name, missing)) for _, rows, block in blocks]
    parts = [values if values.ndim else np.repeat(values, rows) for rows, values in found]
    return np.concatenate(parts) if parts else np.empty(0, dtype=missing.dtype)
