"""The canonical form of result tables and their hash, independent of files, chunks, workers and the order of runs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.columns import FLOAT, TABLES, TEXT, Column
from sim.errors import InvariantError
from sim.record import Tables

_DTYPES = {FLOAT: np.dtype("<f8"), "int32": np.dtype("<i4"), "month": np.dtype("<i4")}


def combine(runs: Mapping[int, Tables] | Sequence[Tables]) -> Tables:
    """Return the tables of all runs in canonical form, with the column `run`.

    Parameters
    ----------
    runs : mapping of int to tables, or sequence of tables
        What `Record.tables` gave for each replicate; in a sequence the position is the replicate number.

    Returns
    -------
    dict of dict of ndarray
        Rows in the order of the key, NaN and zero in one form only, arrays read-only.

    Raises
    ------
    InvariantError
        If a run gave the same row twice: a defect of the program.
    """
    numbered = dict(runs) if isinstance(runs, Mapping) else dict(enumerate(runs))
    tables: Tables = {}
    for name, table in TABLES.items():
        joined: dict[str, NDArray[Any]] = {}
        for column in table.columns:
            if column.name == "run":
                parts = [np.full(len(each[name]["month"]), run, dtype=np.int32) for run, each in numbered.items()]
            else:
                parts = [each[name][column.name] for each in numbered.values()]
            joined[column.name] = np.concatenate(parts) if parts else np.empty(0, dtype=column_dtype(column))
        tables[name] = joined
    return canonical(tables)


def canonical(tables: Tables) -> Tables:
    """Return `tables`, all or some, with rows in key order, one NaN, no negative zero, fixed dtypes, read-only.

    Raises
    ------
    InvariantError
        If two rows of a table have the same key.
    """
    ordered: Tables = {}
    for name, table in TABLES.items():
        if name not in tables:
            continue
        columns = tables[name]
        keys = [_sortable(columns[key.name], key) for key in table.keys]
        order = np.lexsort(keys[::-1])
        _check_unique(name, [key[order] for key in keys])
        ordered[name] = {}
        for column in table.columns:
            values = _plain(columns[column.name][order], column)
            values.flags.writeable = False
            ordered[name][column.name] = values
    return ordered


def column_dtype(column: Column) -> np.dtype:
    """Return the NumPy dtype in which a column is kept in memory."""
    return _DTYPES.get(column.kind, np.dtype(object))


def _plain(values: NDArray[Any], column: Column) -> NDArray[Any]:
    """Return a copy in the column's dtype; floats with one NaN and no negative zero."""
    if column.kind != FLOAT:
        return values.astype(column_dtype(column))
    plain = values.astype(np.float64) + 0.0  # turns -0.0 into 0.0
    plain[np.isnan(plain)] = np.nan
    return plain


def text_codes(values: NDArray[Any]) -> tuple[list[str], NDArray[np.int32]]:
    """Return the distinct texts in code-point order and each element's place in them, -1 for a missing one."""
    texts = values.tolist()
    words = sorted(word for word in dict.fromkeys(texts) if word is not None)
    place: dict[str | None, int] = {word: code for code, word in enumerate(words)}
    place[None] = -1
    return words, np.fromiter(map(place.__getitem__, texts), dtype=np.int32, count=len(texts))


def _sortable(values: NDArray[Any], column: Column) -> NDArray[Any]:
    return text_codes(values)[1] if column.kind == TEXT else values.astype(np.int64)


def _check_unique(name: str, keys: list[NDArray[Any]]) -> None:
    """Raise if neighbouring rows of sorted keys are equal."""
    if len(keys[0]) < 2:
        return
    same = np.logical_and.reduce([key[1:] == key[:-1] for key in keys])
    if same.any():
        raise InvariantError(f"table {name}: {int(same.sum())} rows repeat the key of another row")


def table_hash(name: str, columns: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 of one table in canonical form: names, units, little-endian data, texts as UTF-8."""
    digest = hashlib.sha256()
    for column in TABLES[name].columns:
        values = columns[column.name]
        digest.update(_framed(f"{name}.{column.name} [{column.unit}] {column.kind} {len(values)}"))
        if column.kind == TEXT:
            words, codes = text_codes(values)
            for word in words:
                digest.update(_framed(word))
            digest.update(codes.astype("<i4").tobytes())
        else:
            digest.update(np.ascontiguousarray(_plain(values, column)).tobytes())
    return digest.hexdigest()


def _framed(text: str) -> bytes:
    """Return UTF-8 with its length in front, so that no two lists of texts look alike."""
    encoded = text.encode()
    return len(encoded).to_bytes(8, "little") + encoded


def table_hashes(tables: Tables) -> dict[str, str]:
    """Return the content hash of each table; the order of rows does not count."""
    ordered = canonical(tables)
    return {name: table_hash(name, ordered[name]) for name in ordered}


def content_hash(hashes: Mapping[str, str]) -> str:
    """Return the one hash of tables, from `table_hashes`."""
    lines = "".join(f"{name} {hashes[name]}\n" for name in TABLES if name in hashes)
    return hashlib.sha256(lines.encode()).hexdigest()
