"""Work on many rows in parts, whose size does not depend on how many threads share them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
PART = 1 << 16  # rows


def in_parts(work: Callable[[slice], T], rows: slice, threads: int) -> list[T]:
    """Return what `work` returns for each part of some rows, in their order.

    Parameters
    ----------
    work : callable
        Takes a slice of the rows; it lets other threads run while it works.
    rows : slice
        With start and stop.
    threads : int
        Parts at work at a time.
    """
    parts = [slice(first, min(first + PART, rows.stop)) for first in range(rows.start, rows.stop, PART)] or [rows]
    if threads == 1 or len(parts) < 2:
        return [work(part) for part in parts]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, parts))
