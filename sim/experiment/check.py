"""Whether a sweep folder is as it was written: every file and run, and no cell missing; no simulation."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sim import storage
from sim.content import content_hash as tables_hash
from sim.content import table_hashes
from sim.errors import InvariantError, ResultError
from sim.experiment.folder import read_totals
from sim.experiment.journal import read_log, scan
from sim.experiment.ledger import (
    CORRUPT,
    LOG,
    MANIFEST,
    SHARDS,
    Ledger,
    content_hash,
    journal_path,
    run_hashes,
    shard_bytes,
    shard_path,
)
from sim.experiment.plan import Plan
from sim.experiment.plan_files import DESIGN, PLAN, read_facts, read_plan
from sim.experiment.shards import RUNS, read_columns, shard_files, split_by_run
from sim.verify import Verification

_LISTED = 20  # missing cells that are named


@dataclass
class _Findings:
    """What was found on the way."""

    damage: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    files: int = 0
    rows: int = 0
    done: dict[tuple[int, int], None] = field(default_factory=dict)


def verify_sweep(folder: str) -> Verification:
    """Check the plan, the log, every file of every shard, the content hash of every run, and that no cell is missing.

    Raises
    ------
    ResultError
        If there is no sweep to verify.
    """
    place = storage.real(folder)
    found = _Findings()
    plan = _plan(place, found)
    events, damage, torn = read_log(place / LOG)
    found.damage += damage
    ledger = Ledger.of(events)
    for number, files in sorted(ledger.shards.items()):
        try:
            _check_shard(place, number, files, found)
        except (ResultError, InvariantError) as error:
            found.damage.append(str(error))
    totals = _totals(place, found)
    try:
        _check_journal(journal_path(place, ledger.last + 1), found)
    except ResultError as error:
        found.damage.append(str(error))
    if totals is not None:
        _check_totals(place, totals, ledger, plan, torn, found)
    else:
        planned = f" of {plan.cells * plan.runs:,} or more" if plan else ""
        found.notes.append(f"{folder}: not finished: {len(found.done):,}{planned} runs are there")
    found.damage += [f"{place / name}: not written by this program" for name in _strangers(place, ledger)]
    if (place / CORRUPT).is_dir():
        found.notes.append(f"{place / CORRUPT}: holds what was damaged and computed again")
    ident = totals["result_id"] if totals else ""
    return Verification(folder, tuple(dict.fromkeys(found.damage)), tuple(found.notes), ident, found.files, found.rows)


def _plan(place: Path, found: _Findings) -> Plan | None:
    try:
        plan = read_plan(place)
    except ResultError as error:
        if not (place / LOG).is_file():
            raise
        found.damage.append(str(error))
        return None
    found.files += 2 + len(plan.scenarios)
    return plan


def _totals(place: Path, found: _Findings) -> dict[str, Any] | None:
    try:
        return read_totals(place)
    except ResultError as error:
        found.damage.append(str(error))
        return None


def _check_shard(place: Path, number: int, files: dict[str, Any], found: _Findings) -> None:
    """Check the files of a shard against the log, and each run against its hash."""
    names = [name.removesuffix(".parquet") for name in files]
    where = shard_path(place, number)
    data = {}
    for name in names:
        found.files += 1
        content = shard_bytes(place, number, f"{name}.parquet", files)
        data[name] = read_columns(name, content, str(where / f"{name}.parquet"))
        found.rows += len(data[name]["run"])
    _check_runs(str(where), data, found)


def _check_runs(where: str, data: dict[str, Any], found: _Findings) -> None:
    runs = data.pop(RUNS)
    keys = list(zip(runs["cell"].tolist(), runs["run"].tolist(), strict=True))
    expected = dict(zip(keys, runs["content"].tolist(), strict=True))
    tables = {name: {(c, r): own for c, r, own in split_by_run(columns)} for name, columns in data.items()}
    for cell, run in keys:
        own = {name: of_run[cell, run] for name, of_run in tables.items() if (cell, run) in of_run}
        if len(own) < len(tables) or tables_hash(table_hashes(own)) != expected[cell, run]:
            found.damage.append(f"{where}: run {run} of cell {cell} is not what its hash says")
        found.done[cell, run] = None
    strange = [place for of_run in tables.values() for place in of_run if place not in expected]
    found.damage += [f"{where}: run {run} of cell {cell} is not in its list of runs" for cell, run in strange]


def _check_journal(path: Path, found: _Findings) -> None:
    data = storage.found_bytes(path)
    if data is None:
        return
    scanned = scan(data, str(path))
    found.damage += scanned.damage
    found.files += 1
    if scanned.torn:
        found.notes.append(f"{path}: ends in {scanned.torn:,} bytes that a crash cut short; --resume drops them")
    if scanned.records:
        files = shard_files(scanned.records)
        tables = {name.removesuffix(".parquet"): read_columns(name.removesuffix(".parquet"), content, str(path))
                  for name, content in files.items()}  # fmt: skip
        _check_runs(str(path), tables, found)


def _check_totals(
    place: Path, totals: dict[str, Any], ledger: Ledger, plan: Plan | None, torn: bool, found: _Findings
) -> None:
    """Check a finished sweep: nothing torn, nothing missing, and the content hash that its manifest names."""
    found.files += 2
    if torn:
        found.damage.append(f"{place / LOG}: damaged: its last line is cut short")
    if sorted(ledger.shards) != totals["shards"]:
        found.damage.append(f"{place / LOG}: its shards are not those of {MANIFEST}")
    failed = [place for place in ledger.failed if place not in found.done]
    if plan is not None:
        ended = np.zeros(plan.cells, dtype=np.int64)
        for cell, run in (*found.done, *failed):
            ended[cell] += run < plan.runs
        missing = np.flatnonzero(ended < plan.runs).tolist()
        if missing:
            more = f" and {len(missing) - _LISTED:,} more" if len(missing) > _LISTED else ""
            found.damage.append(f"{place}: runs are missing of cells {', '.join(map(str, missing[:_LISTED]))}{more}")
    if found.damage:
        return
    try:
        whole = content_hash(*run_hashes(place, ledger))
    except InvariantError as error:
        found.damage.append(str(error))
        return
    if whole != totals["content_hash"] or totals["result_id"] != whole[:12]:
        found.damage.append(f"content hash {whole[:12]} is not the {totals['content_hash'][:12]} in {MANIFEST}")
    if len(found.done) != totals["done_runs"] or len(failed) != totals["failed_runs"]:
        found.damage.append(f"{place / MANIFEST}: its numbers of runs are not those in the shards and the log")


def _strangers(place: Path, ledger: Ledger) -> list[str]:
    """Return the files that nothing vouches for; what was put aside, and copies for other programs, do not count."""
    known = {PLAN, DESIGN, LOG, MANIFEST, journal_path(place, ledger.last + 1).name}
    try:
        known |= {entry["file"] for entry in read_facts(place)["scenarios"]}
    except ResultError:
        known |= {path.relative_to(place).as_posix() for path in (place / "scenarios").glob("*.yaml")}
    for number, files in ledger.shards.items():
        known |= {f"{SHARDS}/{number:05d}/{name}" for name in files}
    found = [path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_symlink() or path.is_file()]
    return sorted(name for name in found if name not in known and name.split("/")[0] not in (CORRUPT, "export"))
