"""Whether a result folder is as it was written, and whether what is in it adds up; no simulation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim import storage
from sim.columns import TABLES
from sim.content import content_hash, table_hashes
from sim.errors import InvariantError, ResultError
from sim.identities import broken_identities
from sim.record import Tables
from sim.result_folder import (
    MANIFEST,
    SCENARIO,
    SUMMARY,
    checked_bytes,
    is_derived,
    read_manifest,
    unlisted_files,
)

REQUIRED = (*(f"{name}.parquet" for name in TABLES), SUMMARY, SCENARIO)


@dataclass(frozen=True)
class Verification:
    """The outcome of `verify_folder`.

    Parameters
    ----------
    folder : str
        As given.
    damage : tuple of str
        One line for each thing that is not as written, or does not add up; empty for a sound result.
    notes : tuple of str
        What a reader may want to know and is no damage.
    result_id : str
        First twelve digits of the content hash in the manifest; empty if the manifest cannot be read.
    files, rows : int
        Number of listed files, and of rows in the tables that could be read.
    """

    folder: str
    damage: tuple[str, ...]
    notes: tuple[str, ...]
    result_id: str
    files: int
    rows: int


def verify_folder(folder: str) -> Verification:
    """Check hashes, page checksums, missing and strange files, row counts, the content hash and adding-up.

    Raises
    ------
    ResultError
        If there is no result folder to verify.
    """
    place = storage.real(folder)
    try:
        facts = read_manifest(place)
    except ResultError as error:
        if any((place / name).is_file() for name in REQUIRED):  # ours once: the manifest itself is the damage
            return Verification(folder, (str(error),), (), "", 0, 0)
        raise
    damage = _file_damage(place, facts)
    tables, broken = _read_tables(place, facts)
    damage += [line for line in broken if line not in damage]
    if len(tables) == len(TABLES):
        damage += _content_damage(tables, facts)
    if not facts["valid"]:
        breaches = facts["invariants"]["violations"]
        first = f", first: {breaches[0]}" if breaches else ""
        damage.append(f"{place / MANIFEST}: the run itself broke {len(breaches)} invariants{first}")
    strange = unlisted_files(place, facts)
    damage += [f"{place / name}: not listed in {MANIFEST}" for name in strange if not is_derived(name)]
    notes = tuple(f"{place / name}: made after the run" for name in strange if is_derived(name))
    rows = sum(len(columns["month"]) for columns in tables.values())
    return Verification(folder, tuple(damage), notes, facts["result_id"], len(facts["files"]), rows)


def _file_damage(place: Path, facts: dict[str, Any]) -> list[str]:
    """Return a line for each file that is missing, changed, or listed outside the folder."""
    lines = [f"{place / name}: not listed in {MANIFEST}" for name in REQUIRED if name not in facts["files"]]
    for name in facts["files"]:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            lines.append(f"{place / MANIFEST}: lists {name!r}, outside the folder")
            continue
        try:
            checked_bytes(place, name, facts)
        except ResultError as error:
            lines.append(str(error))
    return lines


def _read_tables(place: Path, facts: dict[str, Any]) -> tuple[Tables, list[str]]:
    """Return the tables that can be read and a line for each that cannot, or has other rows than listed."""
    from sim.parquet import from_parquet

    tables: Tables = {}
    lines = []
    for name in TABLES:
        where = place / f"{name}.parquet"
        try:
            tables[name] = from_parquet(name, checked_bytes(place, where.name, facts), str(where))
        except ResultError as error:
            lines.append(str(error))
            continue
        rows, listed = len(tables[name]["month"]), facts["tables"][name]["rows"]
        if rows != listed:
            lines.append(f"{where}: {rows} rows, {listed} in the manifest")
    return tables, lines


def _content_damage(tables: Tables, facts: dict[str, Any]) -> list[str]:
    """Return a line for each hash that does not follow from the tables and for each identity that is broken."""
    try:
        hashes = table_hashes(tables)
    except InvariantError as error:
        return [str(error)]
    lines = [
        f"{name}.parquet: its content hash {hashes[name][:12]} is not the {facts['tables'][name]['sha256'][:12]} "
        "in the manifest"
        for name in TABLES
        if hashes[name] != facts["tables"][name]["sha256"]
    ]
    whole = content_hash(hashes)
    if whole != facts["content_hash"] or facts["result_id"] != whole[:12]:
        lines.append(f"content hash {whole[:12]} is not the {facts['content_hash'][:12]} in the manifest")
    return lines + broken_identities(tables)
