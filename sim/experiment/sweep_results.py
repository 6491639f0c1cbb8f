"""Reading a sweep: lazily, shard by shard, every byte checked before it is believed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sim import storage
from sim.columns import FLOAT, MONTH, TABLES
from sim.errors import ResultError, UsageError
from sim.experiment.folder import read_totals
from sim.experiment.journal import read_log, scan
from sim.experiment.ledger import LOG, Ledger, journal_path, shard_bytes, shard_path
from sim.experiment.plan import Plan
from sim.experiment.plan_files import read_plan
from sim.experiment.shards import RUNS, columns_of, read_columns, shard_files, split_by_run
from sim.months import format_month, parse_month
from sim.parquet import month_starts
from sim.precision import Mean, mean, paired_difference

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class SweepRun:
    """One run of a sweep.

    Parameters
    ----------
    cell, run : int
        Number of the cell and of the replicate.
    scenario : str
        Name of its scenario.
    values : dict of float or str
        Value of each factor, by path.
    tables : dict of dict of ndarray
        What was stored, as in `Results.tables`; with ``store: full`` all tables.
    """

    cell: int
    run: int
    scenario: str
    values: Mapping[str, float | str]
    tables: Mapping[str, Mapping[str, NDArray[Any]]]

    def frame(self, name: str = "market") -> pd.DataFrame:
        """Return a table as a data frame, months as dates."""
        return _frame(self.tables[name])

    @property
    def market(self) -> pd.DataFrame:
        """The market of this run."""
        return self.frame("market")


class SweepResults:
    """The results of a sweep, finished or not; nothing is read before it is asked for.

    Iterating yields a `SweepRun` for each finished run, in the order of shards, with one shard in memory at a time.

    Parameters
    ----------
    folder : path
        A folder that `sim sweep` or `sim.sweep` wrote.

    Raises
    ------
    ResultError
        If it is no sweep, or its plan or log is damaged.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder: Path = storage.real(folder)
        self.plan: Plan = read_plan(self.folder)
        self.ledger: Ledger = self._read_ledger()

    def _read_ledger(self) -> Ledger:
        events, damage, _ = read_log(self.folder / LOG)
        if damage:
            raise ResultError(f"{damage[0]}; --resume repairs it")
        return Ledger.of(events)

    @cached_property
    def totals(self) -> Mapping[str, Any] | None:
        """The content of ``manifest.json``; None while the sweep is not finished."""
        return read_totals(self.folder)

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that were stored."""
        return tuple(TABLES) if self.plan.facts["store"] == "full" else ("market",)

    @property
    def design(self) -> pd.DataFrame:
        """Every cell: its number, its scenario and the value of each factor."""
        import pandas as pd

        scenarios = len(self.plan.scenarios)
        columns: dict[str, Any] = {
            "cell": np.arange(self.plan.cells),
            "scenario": [self.plan.scenario_name(cell) for cell in range(self.plan.cells)],
        }
        columns |= {path: np.tile(values, scenarios) for path, values in self.plan.columns.items()}
        return pd.DataFrame(columns)

    @property
    def runs(self) -> pd.DataFrame:
        """Every finished run: key, content hash, program, attempts, time."""
        return _frame(self.columns(RUNS))

    @property
    def failures(self) -> pd.DataFrame:
        """Every run that failed and did not succeed later, with its reason."""
        import pandas as pd

        return pd.DataFrame(self.failed(), columns=["cell", "run", "attempts", "reason"])

    def failed(self) -> list[dict[str, Any]]:
        """Return cell, run, attempts and reason of every run that failed and did not succeed later."""
        found = self.ledger.failed
        listed = self.columns(RUNS, ("cell", "run")) if found else {"cell": _empty("int32"), "run": _empty("int32")}
        done = dict.fromkeys(zip(listed["cell"].tolist(), listed["run"].tolist(), strict=True))
        keys = ("cell", "run", "attempts", "reason")
        return [{key: entry[key] for key in keys} for place, entry in sorted(found.items()) if place not in done]

    def frame(self, name: str = "market", columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return a table of all runs, or some of its columns beside cell, run and month, as a data frame."""
        return _frame(self.columns(name, columns))

    def column(self, metric: str, date: str | None = None) -> pd.DataFrame:
        """Return one column of the market for all runs: cell, run, month and the column.

        Parameters
        ----------
        metric : str
            Column of the market table.
        date : str, optional
            ``YYYY-MM``; all stored months if left out.
        """
        found = self._metric(metric)
        if date is not None:
            at = found["month"] == parse_month(date)
            found = {name: values[at] for name, values in found.items()}
        return _frame(found)

    def means(self, metric: str, date: str) -> dict[int, Mean]:
        """Return the mean over replicates of one column in one month, with its Monte-Carlo error, for each cell."""
        by_cell = self._by_cell(metric, date)
        return {cell: mean(list(values.values())) for cell, values in by_cell.items()}

    def difference(self, metric: str, date: str, a: int, b: int) -> Mean:
        """Return the mean of cell b less cell a over replicates that both have, which share their random numbers."""
        by_cell = self._by_cell(metric, date)
        left, right = by_cell.get(a, {}), by_cell.get(b, {})
        both = sorted(left.keys() & right.keys())
        return paired_difference([left[run] for run in both], [right[run] for run in both])

    def columns(self, name: str, wanted: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
        """Return columns of a table over all runs, in the order of cell and run; the others are not unpacked.

        Raises
        ------
        UsageError
            If the table or a column was not stored.
        ResultError
            If a shard is damaged.
        """
        if name != RUNS and name not in self.tables:
            raise UsageError(f"{self.folder}: table {name} was not stored; stored are {', '.join(self.tables)}")
        known = [column.name for column in columns_of(name)]
        keys = [key for key in ("cell", "run", "month") if key in known]
        chosen = known if wanted is None else [each for each in known if each in (*keys, *wanted)]
        unknown = [each for each in wanted or () if each not in known]
        if unknown:
            raise UsageError(f"table {name} has no column {unknown[0]!r}; it has {', '.join(known)}")
        parts = [read_columns(name, data, where, chosen) for data, where in self.files(name)]
        columns = [column for column in columns_of(name) if column.name in chosen]
        joined = {c.name: np.concatenate([_empty(c.kind), *(part[c.name] for part in parts)]) for c in columns}
        order = np.lexsort((joined["run"], joined["cell"]))  # stable: months stay in order
        return {each: values[order] for each, values in joined.items()}

    def __iter__(self) -> Iterator[SweepRun]:
        for shard in self._shards(self.tables):
            tables = {name: read_columns(name, *file) for name, file in shard.items()}
            for groups in zip(*map(split_by_run, tables.values()), strict=True):
                cell, run, _ = groups[0]
                yield self._run(cell, run, {name: group[2] for name, group in zip(tables, groups, strict=True)})

    def _run(self, cell: int, run: int, tables: Mapping[str, Any]) -> SweepRun:
        return SweepRun(cell, run, self.plan.scenario_name(cell), self.plan.values(cell), tables)

    def _metric(self, metric: str) -> dict[str, NDArray[Any]]:
        floats = [column.name for column in TABLES["market"].values if column.kind == FLOAT]
        if metric not in floats:
            raise UsageError(f"the market table has no number {metric!r}; it has {', '.join(floats)}")
        return self.columns("market", (metric,))

    def _by_cell(self, metric: str, date: str) -> dict[int, dict[int, float]]:
        found = self._metric(metric)
        at = found["month"] == parse_month(date)
        if not at.any() and len(found["month"]):
            months = ", ".join(format_month(int(month)) for month in np.unique(found["month"])[:12])
            raise UsageError(f"{date} was not stored; stored are {months} ...")
        by_cell: dict[int, dict[int, float]] = {}
        for cell, run, value in zip(*(found[name][at].tolist() for name in ("cell", "run", metric)), strict=True):
            by_cell.setdefault(cell, {})[run] = value
        return by_cell

    def files(self, name: str) -> Iterator[tuple[bytes, str]]:
        """Yield content and name of a table's file in each shard, and of the shard that the journal will become."""
        for shard in self._shards([name]):
            yield shard[name]

    def _shards(self, names: Sequence[str]) -> Iterator[dict[str, tuple[bytes, str]]]:
        """Yield, shard by shard and last of the journal, content and name of the files of these tables.

        A journal that is gone became a shard since the log was read, which then names it.
        """
        given = 0
        while True:
            for number, files in sorted(self.ledger.shards.items()):
                if number > given:
                    place = shard_path(self.folder, number)
                    yield {
                        name: (shard_bytes(self.folder, number, file, files), f"{place / file}")
                        for name, file in ((name, f"{name}.parquet") for name in names)
                    }
            given = self.ledger.last
            path = journal_path(self.folder, given + 1)
            data = storage.found_bytes(path)
            if data is not None:
                break
            self.ledger = self._read_ledger()
            if self.ledger.last == given:
                return
        found = scan(data, str(path))
        if found.damage:
            raise ResultError(f"{found.damage[0]}; --resume computes what is lost again")
        if found.records:
            files = shard_files(found.records)
            yield {name: (files[f"{name}.parquet"], str(path)) for name in names}


def _empty(kind: str) -> NDArray[Any]:
    return np.empty(0, dtype={FLOAT: np.float64, "text": object}.get(kind, np.int32))


def _frame(columns: Mapping[str, NDArray[Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            name: month_starts(values).astype("datetime64[ns]") if name == MONTH else values
            for name, values in columns.items()
        }
    )


def load_sweep(folder: str | os.PathLike[str]) -> SweepResults:
    """Return the results of a sweep folder, finished or not; see `SweepResults`."""
    return SweepResults(folder)
