"""Work on many rows in parts, whose size does not depend on how many threads share them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache, partial
from typing import Any, TypeVar

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
    return at_once(pieces(work, rows, size), threads)


def pieces(work: Callable[[slice], T], rows: slice, size: int | None = None) -> list[Callable[[], T]]:
    """Return the work of `in_parts` part by part, for `at_once`."""
    step = PART if size is None else size
    parts = [slice(first, min(first + step, rows.stop)) for first in range(rows.start, rows.stop, step)] or [rows]
    return [partial(work, part) for part in parts]


def at_once(work: Sequence[Callable[[], T]], threads: int) -> list[T]:
    """Return what pieces of work return, in their order, so many of them at work at a time."""
    if threads == 1 or len(work) < 2:
        return [piece() for piece in work]
    found: list[Any] = [None] * len(work)
    left = iter(range(len(work)))  # each is taken once

    def take() -> None:
        try:
            for number in left:
                found[number] = work[number]()
        finally:
            for _ in left:  # after an error nobody takes another
                pass

    helpers: list[Future[None]] = []
    try:
        for _ in range(threads - 1):
            helpers.append(_helpers(threads - 1).submit(take))
        take()
    finally:
        for _ in left:  # where this thread was stopped before it took any
            pass
        busy = [helper for helper in helpers if not helper.cancel()]
        wait(busy)
    for helper in busy:
        helper.result()
    return found


@cache
def _helpers(count: int) -> ThreadPoolExecutor:
    """Return threads beside the caller's that stay: to start one takes as long as some of the work that they share."""
    return ThreadPoolExecutor(count)


if hasattr(os, "register_at_fork"):  # threads do not come along to a forked process
    os.register_at_fork(after_in_child=_helpers.cache_clear)
