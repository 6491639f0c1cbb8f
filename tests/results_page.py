"""The columns of the result tables as a page: `python -m tests.results_page > docs/results.md`."""

from __future__ import annotations

import sys

from sim.columns import FLOAT, HEADLINES, MONTH, RUN, TABLES, Column
from sim.market.observe import NOT_FILLED
from sim.scenario.register_table import table

COMMAND = "python -m tests.results_page > docs/results.md"
KINDS = {RUN: "whole number", MONTH: "date", FLOAT: "number"}


def results_page() -> str:
    """Return the page of all result tables as Markdown."""
    blocks = [
        "# Results",
        f"<!-- Written by: {COMMAND}. Edit sim/columns.py, not this page. -->",
        "A result folder holds five tables as Parquet, with unit and meaning of each column in the file itself.\n"
        "`sim export DIR` writes them as CSV or XLSX. Shares are between 0 and 1 and count for the lab that made the\n"
        "model, whoever serves it. A missing value is NaN, or nothing for a text.",
        "`summary.csv` has one row for each month: for each number of `market` that is not empty the median over runs\n"
        "and the 5, 25, 75 and 95 % quantiles, as `<column>_median`, `_q05`, `_q25`, `_q75` and `_q95`.\n"
        "`sim diff` shows " + ", ".join(f"`{name}`" for name in HEADLINES) + ".",
        "How each is computed: [model.md](model.md), sections 4.8 and 6; the equations behind each column of `market`\n"
        "stand in section 6.1.",
    ]
    for each in TABLES.values():
        keys = [(f"`{column.name}`", "key", column.meaning) for column in each.keys]
        values = [(f"`{column.name}`", _unit(column), _meaning(each.name, column)) for column in each.values]
        blocks += [f"## `{each.name}.parquet`", each.meaning, table(("Column", "Unit", "Meaning"), keys + values)]
    return "\n\n".join(blocks) + "\n"


def _unit(column: Column) -> str:
    if column.kind != FLOAT:
        return KINDS.get(column.kind, "text")
    return "pure number" if column.unit == "1" else column.unit


def _meaning(name: str, column: Column) -> str:
    empty = f"{name}.{column.name}" in NOT_FILLED["agents"]
    return column.meaning + (" *Empty in this version.*" if empty else "")


if __name__ == "__main__":
    sys.stdout.buffer.write(results_page().encode("utf-8"))
