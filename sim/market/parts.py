"""Work on many rows in parts, whose size does not depend on how many threads share them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
PART = 1 << 16  # rows
SMALL = 1 << 13  # rows whose columns stay in the cache while one is made from another


def in_parts(work: Callable[[slice], T], rows: slice, threads: int, size: int | None = None) -> list[T]:
    """Return what `work` returns for each part of some rows, in their order.

    Parameters
    ----------
    work : callable
        Takes a slice of the rows; it lets other threads run while it works.
    rows : slice
        With start and stop.
    threads : int
        Parts at work at a time.
    size : int
        Rows of a part, `PART` unless said; what adds up over the rows of a part depends on it.
    """
    step = PART if size is None else size
    parts = [slice(first, min(first + step, rows.stop)) for first in range(rows.start, rows.stop, step)] or [rows]
    if threads == 1 or len(parts) < 2:
        return [work(part) for part in parts]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, parts))
