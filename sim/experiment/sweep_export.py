"""Copies of a sweep for other programs: CSV written shard by shard, or one XLSX workbook of its cells and failures."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from sim.columns import FLOAT, HEADLINES, TEXT, Column
from sim.errors import UsageError
from sim.experiment.shards import CELL, RUNS, columns_of, read_columns
from sim.experiment.sweep_results import SweepResults
from sim.export import SHEET_ROWS, csv_lines
from sim.months import format_month
from sim.precision import mean

_REPLICATE = Column("run", "int32", "", "Replicate of the cell.")


def cell_table(results: SweepResults) -> tuple[list[Column], dict[str, Any]]:
    """Return one row a cell: its scenario and values, and each headline's mean and error at the last month."""
    design = results.design
    units = {factor["path"]: factor["unit"] for factor in results.plan.facts["factors"]}
    columns = [CELL, Column("scenario", TEXT, "", "Scenario of the cell.")]
    values: dict[str, Any] = {"cell": design["cell"].to_numpy(), "scenario": design["scenario"].to_numpy(dtype=object)}
    for path, unit in units.items():
        kind = TEXT if results.plan.columns[path].dtype == object else FLOAT
        columns.append(Column(path, kind, unit, "Value of the factor."))
        values[path] = design[path].to_numpy(dtype=object if kind == TEXT else np.float64)
    found = results.columns("market", HEADLINES)
    last = int(found["month"].max()) if len(found["month"]) else 0
    at = found["month"] == last
    for name in HEADLINES:
        by_cell: dict[int, list[float]] = {}
        for cell, value in zip(found["cell"][at].tolist(), found[name][at].tolist(), strict=True):
            by_cell.setdefault(cell, []).append(value)
        means = [mean(by_cell.get(cell, [])) for cell in range(results.plan.cells)]
        date = format_month(last)
        columns += [Column(f"{name}_{date}", FLOAT, "", "Mean over replicates."),
                    Column(f"{name}_{date}_error", FLOAT, "", "Monte-Carlo standard error of the mean.")]  # fmt: skip
        values[f"{name}_{date}"] = np.array([each.value for each in means])
        values[f"{name}_{date}_error"] = np.array([each.error for each in means])
    return columns, values


def failure_table(results: SweepResults) -> tuple[list[Column], dict[str, Any]]:
    """Return one row for each run that failed."""
    failed = results.failed()
    columns = [CELL, _REPLICATE, Column("attempts", "int32", "", "Attempts."), Column("reason", TEXT, "", "Why.")]
    values = {c.name: np.array([entry[c.name] for entry in failed], dtype=object if c.kind == TEXT else np.int64)
              for c in columns}  # fmt: skip
    return columns, values


def csv_files(results: SweepResults) -> dict[str, Iterator[bytes]]:
    """Return the CSV files, each as pieces that are made while they are written: memory holds one shard at a time."""
    found = {"cells.csv": _pieces(*cell_table(results)), "failures.csv": _pieces(*failure_table(results))}
    for name in (*results.tables, RUNS):
        found[f"{name}.csv"] = _table_pieces(results, name)
    return found


def _pieces(columns: Sequence[Column], values: Mapping[str, Any]) -> Iterator[bytes]:
    yield csv_lines(columns, values, header=True)


def _table_pieces(results: SweepResults, name: str) -> Iterator[bytes]:
    header = True
    for data, where in results.files(name):
        yield csv_lines(columns_of(name), read_columns(name, data, where), header=header)
        header = False
    if header:
        yield csv_lines(columns_of(name), {column.name: np.empty(0) for column in columns_of(name)}, header=True)


def workbook(results: SweepResults) -> bytes:
    """Return an XLSX workbook: where it comes from, the cells with their means, and the failures.

    Raises
    ------
    UsageError
        If there are more cells than rows of a sheet, or XlsxWriter is not installed.
    """
    try:
        import xlsxwriter
    except ImportError:
        raise UsageError('XLSX needs XlsxWriter: pip install "sim[report]"') from None
    if results.plan.cells > SHEET_ROWS - 2:
        raise UsageError(f"{results.plan.cells:,} cells do not fit an XLSX sheet; use --format csv")
    sink = io.BytesIO()
    options = {f"strings_to_{kind}": False for kind in ("formulas", "urls", "numbers")}
    book = xlsxwriter.Workbook(sink, {"constant_memory": True, **options})
    book.set_properties({"title": results.plan.facts["title"], "created": datetime(2000, 1, 1)})
    totals = results.totals or {}
    about = [
        ("sweep", results.plan.name),
        ("result", str(totals.get("result_id", "not finished"))),
        ("cells", str(results.plan.cells)),
        ("replicates of a cell", str(results.plan.runs)),
        ("program", ", ".join(f"{name} {text[:12]}" for name, text in results.plan.facts["identity"].items())),
        ("computed by several program versions", "YES" if totals.get("mixed") else "no"),
    ]
    sheet = book.add_worksheet("about")
    for row, pair in enumerate(about):
        for place, text in enumerate(pair):
            sheet.write_string(row, place, text)
    for title, (columns, values) in (("cells", cell_table(results)), ("failures", failure_table(results))):
        _sheet(book.add_worksheet(title), columns, values)
    book.close()
    return sink.getvalue()


def _sheet(sheet: Any, columns: Sequence[Column], values: Mapping[str, Any]) -> None:
    sheet.freeze_panes(2, 1)
    for place, column in enumerate(columns):
        sheet.write_string(0, place, column.name)
    for place, column in enumerate(columns):
        sheet.write_string(1, place, column.unit)
    rows = zip(*(values[column.name].tolist() for column in columns), strict=True)
    for row, cells in enumerate(rows, start=2):
        for place, (column, value) in enumerate(zip(columns, cells, strict=True)):
            if column.kind == TEXT:
                sheet.write_string(row, place, "".join(mark for mark in str(value) if mark >= " "))
            elif value == value:
                sheet.write_number(row, place, value)
