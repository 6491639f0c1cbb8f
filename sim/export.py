"""Copies of the tables for other programs: CSV and XLSX in which no text can act as a formula."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from sim.columns import FLOAT, MONTH, TABLES, TEXT, Column
from sim.errors import UsageError
from sim.months import format_month
from sim.record import Tables
from sim.summary import number_texts, summarise

if TYPE_CHECKING:
    from sim.results import Results

SHEET_ROWS = 1_048_576  # of an XLSX sheet
_HEADER_ROWS = 2
_FIXED_DATE = datetime(2000, 1, 1)  # a real date would change the bytes of equal results
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\0")


def safe_text(text: str | None) -> str:
    """Return a text that no spreadsheet takes for a formula: a leading ``'`` where it would (ASVS 1.2.10)."""
    if text is None:
        return ""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def table_csv(name: str, columns: Mapping[str, NDArray[Any]]) -> bytes:
    """Return a table as CSV: UTF-8, months as dates, missing values empty, numbers with all their digits."""
    return csv_lines(TABLES[name].columns, columns, header=True)


def csv_lines(columns: Sequence[Column], values: Mapping[str, NDArray[Any]], *, header: bool) -> bytes:
    """Return rows as lines of CSV, below a line of names if `header` is set."""
    cells = [_cells(values[column.name], column) for column in columns]
    names = [",".join(_quoted(column.name) for column in columns)] if header else []
    return "\n".join([*names, *map(",".join, zip(*cells, strict=True)), ""]).encode()


def _quoted(text: str) -> str:
    """Return a CSV cell; the csv module of Python 3.11 leaves a lone carriage return bare, which starts a new row."""
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text


def _cells(values: NDArray[Any], column: Column) -> list[str]:
    if column.kind == FLOAT:
        return number_texts(values)
    if column.kind == TEXT:
        return [_quoted(safe_text(text)) for text in values.tolist()]
    if column.kind == MONTH:
        return [f"{format_month(month)}-01" for month in values.tolist()]
    return [str(number) for number in values.tolist()]


def check_fits_sheets(tables: Tables) -> None:
    """Refuse tables longer than a sheet.

    Raises
    ------
    UsageError
        If a table has more rows than a sheet holds below its header and its units.
    """
    for name, columns in tables.items():
        rows = len(columns["month"])
        if rows > SHEET_ROWS - _HEADER_ROWS:
            raise UsageError(
                f"table {name}: {rows:,} rows do not fit an XLSX sheet, which holds {SHEET_ROWS - _HEADER_ROWS:,}; "
                "use --format csv"
            )


def workbook(results: Results, progress: Callable[[int], object] | None = None) -> bytes:
    """Return an XLSX workbook: where it comes from, one sheet for each table with units, the summary, the columns.

    Equal results give equal bytes. Texts are written as strings, never as formulas or links.

    Parameters
    ----------
    results : Results
        What to copy.
    progress : callable, optional
        Called now and then with the number of rows written since the last call.

    Raises
    ------
    UsageError
        If a table does not fit a sheet, or XlsxWriter is not installed.
    """
    try:
        import xlsxwriter
    except ImportError:
        raise UsageError('XLSX needs XlsxWriter: pip install "sim[report]"') from None
    check_fits_sheets(results.tables)
    sink = io.BytesIO()
    book = xlsxwriter.Workbook(
        sink,
        {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        },
    )
    book.set_properties({"title": _clean(results.manifest["scenario"]["title"]), "created": _FIXED_DATE})
    styles = {
        "name": book.add_format({"bold": True}),
        "unit": book.add_format({"italic": True, "font_color": "#555555"}),
        "month": book.add_format({"num_format": "yyyy-mm"}),
    }
    _write_about(book, results, styles)
    for name, table in TABLES.items():
        _write_table(book, name, results.tables[name], table.columns, styles, progress)
    summary = summarise(results.tables["market"])
    units = {column.name: column.unit for column in TABLES["market"].values}
    columns = tuple(
        Column(name, MONTH if name == "month" else FLOAT, units.get(name.rpartition("_")[0], ""), "")
        for name in summary
    )
    _write_table(book, "summary", summary, columns, styles, progress)
    book.close()
    return sink.getvalue()


def _clean(text: str) -> str:
    """Return a text without characters that XML cannot hold."""
    return "".join(mark for mark in text if mark >= " " or mark in "\t\n")


def _write_about(book: Any, results: Results, styles: dict[str, Any]) -> None:
    """Write the first sheet: where the numbers come from and what each column means."""
    facts = results.manifest
    sheet = book.add_worksheet("about")
    rows = [
        ("scenario", facts["scenario"]["title"]),
        ("result", facts["result_id"]),
        ("model version", facts["model_version"]),
        ("runs", str(facts["runs"])),
        ("seed", str(facts["seed"])),
        ("valid", "yes" if facts["valid"] else "NO: the run broke its own invariants"),
        ("not filled", ", ".join(facts["columns_not_filled"]) or "none"),
    ]
    for row, (label, text) in enumerate(rows):
        sheet.write_string(row, 0, label, styles["name"])
        sheet.write_string(row, 1, _clean(text))
    row = len(rows) + 1
    for table in TABLES.values():
        for column in table.columns:
            cells = (f"{table.name}.{column.name}", column.meaning, column.unit)
            for place, text in enumerate(cells):
                sheet.write_string(row, place, text)
            row += 1
    sheet.set_column(0, 0, 38)
    sheet.set_column(1, 1, 90)


def _write_table(
    book: Any,
    name: str,
    values: Mapping[str, NDArray[Any]],
    columns: tuple[Column, ...],
    styles: dict[str, Any],
    progress: Callable[[int], object] | None,
) -> None:
    """Write one sheet: names, units, then the rows from the top, as the sheet goes to disk while it is written."""
    sheet = book.add_worksheet(name)
    sheet.freeze_panes(_HEADER_ROWS, min(len(columns), 2))
    sheet.set_column(0, len(columns) - 1, 14)
    for row, style in enumerate(("name", "unit")):
        for place, column in enumerate(columns):
            sheet.write_string(row, place, getattr(column, style), styles[style])
    kinds = [column.kind for column in columns]
    data = zip(*(values[column.name].tolist() for column in columns), strict=True)
    for row, cells in enumerate(data, start=_HEADER_ROWS):
        for place, (kind, value) in enumerate(zip(kinds, cells, strict=True)):
            if value is None or value != value:
                continue  # a missing value is an empty cell
            if kind == TEXT:
                sheet.write_string(row, place, _clean(value))
            elif kind == MONTH:
                sheet.write_datetime(row, place, datetime(1970 + value // 12, value % 12 + 1, 1), styles["month"])
            else:
                sheet.write_number(row, place, value)
        if progress and row % 1000 == 0:
            progress(1000)
