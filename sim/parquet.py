"""Result tables as Parquet: units in the column metadata, page checksums, bytes that depend on the data alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sim.columns import FLOAT, MONTH, RUN, TABLES, TEXT, Column
from sim.content import text_codes
from sim.errors import ResultError

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 262_144  # fixed, so that the bytes do not follow a library's default
MEMORY_LIMIT = 16 << 30  # [bytes] what a table may take in memory
RATIO_LIMIT, RATIO_FREE = 200, 64 << 20  # memory per byte of file; smaller tables need not keep to it


@cache
def schema(name: str) -> pa.Schema:
    """Return the Arrow schema of a table, unit and meaning of each column in its metadata."""
    import pyarrow as pa

    types = {FLOAT: pa.float64(), TEXT: pa.string(), RUN: pa.int32(), MONTH: pa.date32()}
    fields = [
        pa.field(
            column.name,
            types[column.kind],
            nullable=column.nullable,
            metadata={"unit": column.unit, "meaning": column.meaning},
        )
        for column in TABLES[name].columns
    ]
    return pa.schema(fields)


def to_parquet(name: str, columns: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """Return a table as the bytes of a Parquet file; equal data and metadata give equal bytes.

    Parameters
    ----------
    name : str
        Name of the table.
    columns : mapping of str to ndarray of shape (rows,)
        As from `sim.content.canonical`.
    metadata : mapping of str to str
        Schema metadata, such as the scenario hash and the version.
    """
    import pyarrow as pa

    return file_bytes(
        pa.Table.from_batches([arrow_batch(name, columns)], schema(name)).replace_schema_metadata(metadata)
    )


def arrow_batch(name: str, columns: Mapping[str, NDArray[Any]]) -> pa.RecordBatch:
    """Return a table, as from `sim.content.canonical`, in Arrow's form with units in the metadata."""
    import pyarrow as pa

    arrays = [_to_arrow(columns[column.name], column) for column in TABLES[name].columns]
    return pa.RecordBatch.from_arrays(arrays, schema=schema(name))


def file_bytes(table: pa.Table) -> bytes:
    """Return an Arrow table as the bytes of a Parquet file with page checksums."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    floats = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    encodings: dict[str, Any] = {  # the signs, exponents and digits of floats apart compress twice as well
        "use_dictionary": [field.name for field in table.schema if field.name not in floats],
        "use_byte_stream_split": floats,
    }
    pq.write_table(
        table,
        sink,
        row_group_size=ROW_GROUP,
        compression="zstd",
        write_page_checksum=True,
        version="2.6",
        **encodings,
    )
    return sink.getvalue().to_pybytes()


def _to_arrow(values: NDArray[Any], column: Column) -> pa.Array:
    """Return a column in Arrow's form, made of its bytes: `pa.array` would import pandas to ask whether it is one."""
    import pyarrow as pa

    if column.kind == TEXT:
        words, codes = text_codes(values)
        encoded = [word.encode() for word in words]
        ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
        dictionary = pa.Array.from_buffers(
            pa.string(), len(words), [None, _buffer(ends), pa.py_buffer(b"".join(encoded))]
        )
        present = None if (codes >= 0).all() else _buffer(np.packbits(codes >= 0, bitorder="little"))
        kind = pa.dictionary(pa.int32(), pa.string())
        places = [present, _buffer(np.maximum(codes, 0))]
        return pa.DictionaryArray.from_buffers(kind, len(codes), places, dictionary).dictionary_decode()
    if column.kind == MONTH:
        days = month_starts(values).astype("datetime64[D]").astype(np.int32)
        return pa.Array.from_buffers(pa.date32(), len(days), [None, _buffer(days)])
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, _buffer(values)])


def _buffer(values: NDArray[Any]) -> pa.Buffer:
    import pyarrow as pa

    return pa.py_buffer(np.ascontiguousarray(values))


def month_starts(months: NDArray[Any]) -> NDArray[np.datetime64]:
    """Return month numbers as datetime64[M]."""
    return months.astype(np.int64).astype("datetime64[M]")


def from_parquet(name: str, content: bytes, where: str) -> dict[str, NDArray[Any]]:
    """Return the columns of a table from the bytes of its Parquet file, checksums verified.

    Parameters
    ----------
    name : str
        Name of the table.
    content : bytes
        The file.
    where : str
        Path, for messages.

    Raises
    ------
    ResultError
        If the bytes are no table of this kind, are damaged, or would fill the memory.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        check_size(file.metadata, len(content), where)
        expected = schema(name)
        if not file.schema_arrow.equals(expected, check_metadata=False):
            raise ResultError(f"{where}: its columns are not those of the {name} table")
        texts = [column.name for column in TABLES[name].columns if column.kind == TEXT]
        reader = pq.ParquetFile(
            pa.BufferReader(content), page_checksum_verification=True, read_dictionary=texts, metadata=file.metadata
        )
        table = read_here(reader)
        return {column.name: from_arrow(table[column.name], column, where) for column in TABLES[name].columns}
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ResultError(f"{where}: damaged: {first}") from error


def read_here(file: Any, columns: Sequence[str] | None = None) -> pa.Table:
    """Return columns of an open `pyarrow.parquet.ParquetFile`, all if left out, read by this thread alone.

    A thread of Arrow may let go of the file's bytes after Python has ended, which aborts the program (seen with 26.0).
    """
    return file.read(columns, use_threads=False)


def check_size(metadata: Any, file_bytes: int, where: str) -> None:
    """Refuse a file that would unpack to far more than its size, before unpacking any of it.

    Raises
    ------
    ResultError
        If rows x columns x 8 bytes, or the sizes its columns declare, exceed the limits.
    """
    declared = sum(
        metadata.row_group(group).column(column).total_uncompressed_size
        for group in range(metadata.num_row_groups)
        for column in range(metadata.num_columns)
    )
    needed = max(metadata.num_rows * metadata.num_columns * 8, declared)
    if needed > MEMORY_LIMIT or needed > max(RATIO_FREE, RATIO_LIMIT * file_bytes):
        raise ResultError(f"{where}: {file_bytes:,} bytes would unpack to {needed:,}: refused as a decompression bomb")


def from_arrow(values: pa.ChunkedArray, column: Column, where: str) -> NDArray[Any]:
    """Return an Arrow column as the array kept in memory.

    Raises
    ------
    ResultError
        If values are missing that may not be, or a month is not the first of a month.
    """
    import pyarrow as pa

    if values.null_count and not column.nullable:
        raise ResultError(f"{where}: column {column.name} lacks {values.null_count} values")
    if column.kind == TEXT:
        joined = values.combine_chunks()
        chunks = joined.chunks if isinstance(joined, pa.ChunkedArray) else [joined]
        return np.concatenate([np.empty(0, dtype=object)] + [_texts(chunk) for chunk in chunks])
    if column.kind == MONTH:
        days = values.cast("int32").to_numpy().astype("datetime64[D]")
        months = days.astype("datetime64[M]")
        if (months.astype("datetime64[D]") != days).any():
            raise ResultError(f"{where}: column month holds days other than the first of a month")
        return months.astype(np.int32)
    return values.to_numpy().copy()


def _texts(chunk: Any) -> NDArray[Any]:
    """Return dictionary-encoded texts as an object array; equal texts share one object."""
    words = np.array([*chunk.dictionary.to_pylist(), None], dtype=object)
    codes = chunk.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False)
    return words[codes]
