"""Results of an ensemble, frozen: tables, provenance and scenario; saved as a folder, loaded only if undamaged."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim import content, manifest, storage
from sim.columns import MONTH, TABLES
from sim.errors import ResultError
from sim.record import Tables
from sim.result_folder import (
    MANIFEST,
    SCENARIO,
    SUMMARY,
    add_files,
    check_replaceable,
    checked_bytes,
    file_list,
    read_manifest,
    same_run,
)

__all__ = ["Results", "add_files", "check_replaceable", "load_results", "same_run", "save"]

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Results:
    """What an ensemble of runs found.

    Parameters
    ----------
    tables : dict of dict of ndarray
        The five tables as from `sim.content.combine`; months are month numbers.
    manifest : dict
        Provenance as from `sim.manifest.build_manifest`.
    scenario : dict
        The resolved scenario.
    scenario_text : str
        The resolved scenario as YAML, as it goes into the folder.
    """

    tables: Tables
    manifest: dict[str, Any]
    scenario: dict[str, Any]
    scenario_text: str = ""
    _frames: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def market(self) -> pd.DataFrame:
        """The whole market: run, month and the columns of `sim.columns`."""
        return self._frame("market")

    @property
    def labs(self) -> pd.DataFrame:
        """Each lab, month by month."""
        return self._frame("labs")

    @property
    def offers(self) -> pd.DataFrame:
        """Each release on sale through each channel."""
        return self._frame("offers")

    @property
    def segments(self) -> pd.DataFrame:
        """Each group of adopters in each bloc."""
        return self._frame("segments")

    @property
    def panels(self) -> pd.DataFrame:
        """What trackers and surveys would report."""
        return self._frame("panels")

    @property
    def summary(self) -> pd.DataFrame:
        """Median and 5, 25, 75, 95 % of the market columns, by month."""
        import pandas as pd

        from sim.summary import summarise

        columns: dict[str, Any] = dict(summarise(self.tables["market"]))
        columns["month"] = _dates(columns["month"])
        return pd.DataFrame(columns)

    def figure(self, name: str) -> Figure:
        """Draw a standard figure, for example ``adoption``."""
        from sim.present.figures import draw

        return draw(name, self)

    def content_hash(self) -> str:
        """Return the SHA-256 of the tables' content, whatever the files, row order or chunks."""
        return content.content_hash(content.table_hashes(self.tables))

    def _frame(self, name: str) -> pd.DataFrame:
        import pandas as pd

        if name not in self._frames:
            columns = {
                column.name: _dates(values) if column.kind == MONTH else values
                for column in TABLES[name].columns
                for values in (self.tables[name][column.name],)
            }
            self._frames[name] = pd.DataFrame(columns)
        return self._frames[name].copy()  # the caller may change it; the results stay frozen


def _dates(months: Any) -> Any:
    from sim.parquet import month_starts

    return month_starts(months).astype("datetime64[ns]")


def save(
    results: Results,
    folder: str | os.PathLike[str],
    *,
    force: bool = False,
    figures: Mapping[str, bytes] | None = None,
    csv: bool = False,
) -> Results:
    """Write a result folder that appears whole or not at all.

    Parameters
    ----------
    results : Results
        What to write.
    folder : path
        Where; its parents are made.
    force : bool
        Replace an existing result folder. Anything else is never replaced.
    figures : mapping of str to bytes
        File name to content, for the folder ``figures``.
    csv : bool
        Also write each table as CSV.

    Returns
    -------
    Results
        The same, with the list of files in its manifest.

    Raises
    ------
    UsageError
        If something is there that may not be replaced.
    WriteError
        If the disk refuses; nothing is left behind.
    FolderHeld
        If another process is writing the folder.
    """
    place = storage.real(folder)
    check_replaceable(place, force=force)
    files = _render(results, figures or {}, csv)
    complete = {**results.manifest, "files": file_list(files, results.tables)}
    files[MANIFEST] = manifest.to_json(complete)
    with storage.hold(place):
        check_replaceable(place, force=force)  # again: another process may have finished meanwhile
        storage.write_folder(place, files)
    return Results(results.tables, json.loads(files[MANIFEST]), results.scenario, results.scenario_text)


def _render(results: Results, figures: Mapping[str, bytes], csv: bool) -> dict[str, bytes]:
    """Return every file but the manifest: relative name -> content."""
    from sim.export import table_csv
    from sim.parquet import to_parquet
    from sim.summary import summarise, summary_csv

    metadata = {
        "scenario": results.manifest["scenario"]["name"],
        "scenario_hash": results.manifest["scenario"]["hash"],
        "model_version": results.manifest["model_version"],
    }
    files = {f"{name}.parquet": to_parquet(name, results.tables[name], metadata) for name in TABLES}
    files[SUMMARY] = summary_csv(summarise(results.tables["market"]))
    files[SCENARIO] = results.scenario_text.encode()
    if csv:
        files.update({f"{name}.csv": table_csv(name, results.tables[name]) for name in TABLES})
    for name, picture in figures.items():
        if not name or Path(name).name != name:
            raise ValueError(f"{name!r} is not the name of a figure file")
        files[f"figures/{name}"] = picture
    return files


def load_results(folder: str | os.PathLike[str]) -> Results:
    """Read a result folder, every table checked against the manifest before it is unpacked.

    Raises
    ------
    ResultError
        If the folder is missing, not a result of this program, or damaged.
    """
    from sim.parquet import from_parquet

    place = storage.real(folder)
    facts = read_manifest(place)
    tables: Tables = {}
    for name in TABLES:
        where = place / f"{name}.parquet"
        tables[name] = from_parquet(name, checked_bytes(place, where.name, facts), str(where))
        rows = len(tables[name]["month"])
        if rows != facts["tables"][name]["rows"]:
            raise ResultError(f"{where}: damaged: {rows} rows, {facts['tables'][name]['rows']} in the manifest")
        for values in tables[name].values():
            values.flags.writeable = False
    text = checked_bytes(place, SCENARIO, facts).decode("utf-8", "replace")
    return Results(tables, facts, facts["scenario"]["as_run"], text)
