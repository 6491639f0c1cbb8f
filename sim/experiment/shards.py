"""Runs as bytes: one packed for its way to the journal, and many together as the Parquet files of a shard."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sim.columns import TABLES, Column
from sim.errors import ResultError
from sim.parquet import arrow_batch, check_size, file_bytes, from_arrow, read_here, schema

if TYPE_CHECKING:
    import pyarrow as pa

    from sim.experiment.journal import Record

CELL = Column("cell", "int32", "", "Number of the cell; `design.parquet` has its values.")
RUNS = "runs"
WORTH_PACKING = 1 << 16  # bytes of a table from which compression is worth its time
_PIECE = struct.Struct("<BQQ")  # length of a table's name, size before compression or 0 without, size
RUN_COLUMNS = (
    CELL,
    Column("run", "int32", "", "Replicate of the cell; replicate k of all cells shares its random numbers."),
    Column("key", "text", "", "SHA-256 of all that decides the run."),
    Column("content", "text", "", "SHA-256 of its stored tables."),
    Column("code", "text", "", "First digits of the hash of the program that computed it."),
    Column("attempts", "int32", "", "How often it was tried."),
    Column("seconds", "float64", "s", "How long it took."),
    Column("measure", "float64", "", "The metric of the stop rule in its month; missing without one."),
)


def columns_of(name: str) -> tuple[Column, ...]:
    """Return the columns of a table of a shard: those of a result table behind the cell, or of the list of runs."""
    return RUN_COLUMNS if name == RUNS else (CELL, *TABLES[name].columns)


def pack(tables: Mapping[str, Mapping[str, NDArray[Any]]]) -> bytes:
    """Return the canonical tables of one run as bytes: name, size and content of each, large ones compressed.

    The schema is not among them: both sides know it, and it would be most of a small run.
    """
    import pyarrow as pa

    pieces = []
    for name, columns in tables.items():
        content = arrow_batch(name, columns).serialize().to_pybytes()
        unpacked = len(content) if len(content) > WORTH_PACKING else 0
        if unpacked:
            content = pa.compress(content, codec="zstd", asbytes=True)
        pieces += [_PIECE.pack(len(name), unpacked, len(content)), name.encode(), content]
    return b"".join(pieces)


def unpack(payload: bytes) -> dict[str, pa.RecordBatch]:
    """Return the tables of a packed run; the bytes come from a record whose hash was checked."""
    import pyarrow as pa

    tables, at = {}, 0
    while at < len(payload):
        named, unpacked, size = _PIECE.unpack_from(payload, at)
        start = at + _PIECE.size + named
        name, at = payload[start - named : start].decode(), start + size
        content = pa.py_buffer(payload).slice(start, size)
        if unpacked:
            content = pa.decompress(content, decompressed_size=unpacked, codec="zstd")
        tables[name] = pa.ipc.read_record_batch(content, schema(name))
    return tables


def shard_files(records: Sequence[Record]) -> dict[str, bytes]:
    """Return the files of a shard: file name -> Parquet, rows in the order of cell and run."""
    import pyarrow as pa

    ordered = sorted(records, key=lambda record: (record.cell, record.run))
    parts: dict[str, list[pa.RecordBatch]] = {}
    for record in ordered:
        for name, batch in unpack(record.payload).items():
            parts.setdefault(name, []).append(batch)
    numbers = np.array([record.cell for record in ordered], dtype=np.int32)
    field = pa.field(CELL.name, pa.int32(), False, metadata={"unit": CELL.unit, "meaning": CELL.meaning})
    files = {}
    for name, batches in parts.items():
        cells = pa.array(np.repeat(numbers, [batch.num_rows for batch in batches]))
        files[f"{name}.parquet"] = file_bytes(pa.Table.from_batches(batches).add_column(0, field, cells))
    files[f"{RUNS}.parquet"] = file_bytes(_runs_table(ordered))
    return files


def _runs_table(records: Sequence[Record]) -> pa.Table:
    import pyarrow as pa

    types = {"int32": pa.int32(), "text": pa.string(), "float64": pa.float64()}
    values = {column.name: [getattr(record, column.name) for record in records] for column in RUN_COLUMNS}
    values["measure"] = [math.nan if value is None else value for value in values["measure"]]
    arrays = [pa.array(values[column.name], type=types[column.kind]) for column in RUN_COLUMNS]
    fields = [
        pa.field(column.name, types[column.kind], False, metadata={"unit": column.unit, "meaning": column.meaning})
        for column in RUN_COLUMNS
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def read_columns(name: str, content: bytes, where: str, wanted: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
    """Return columns of a file of a shard, page checksums verified; the others are not unpacked.

    Parameters
    ----------
    name : str
        Name of the table.
    content : bytes
        The file.
    where : str
        Path, for messages.
    wanted : sequence of str
        Names of columns; all if left out.

    Raises
    ------
    ResultError
        If the bytes are no such table, are damaged, or would fill the memory.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [column for column in columns_of(name) if wanted is None or column.name in wanted]
    texts = [column.name for column in columns if column.kind == "text"]
    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True, read_dictionary=texts)
        check_size(file.metadata, len(content), where)
        table = read_here(file, [column.name for column in columns])
        return {column.name: from_arrow(table[column.name], column, where) for column in columns}
    except (pa.ArrowException, OSError, ValueError, KeyError, OverflowError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ResultError(f"{where}: damaged: {first}") from error


def split_by_run(columns: Mapping[str, NDArray[Any]]) -> Iterator[tuple[int, int, dict[str, NDArray[Any]]]]:
    """Yield (cell, run, columns without the cell) of each run in a table of a shard."""
    cells, runs = columns["cell"].astype(np.int64), columns["run"].astype(np.int64)
    if not len(cells):
        return
    edges = np.flatnonzero((np.diff(cells) != 0) | (np.diff(runs) != 0)) + 1
    for first, last in zip([0, *edges.tolist()], [*edges.tolist(), len(cells)], strict=True):
        rest = {name: values[first:last] for name, values in columns.items() if name != "cell"}
        yield int(cells[first]), int(runs[first]), rest
