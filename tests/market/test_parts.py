"""Work in parts: their size and number decide what comes out, and the threads that share them nothing."""

from __future__ import annotations

from dataclasses import replace
from threading import Event
from time import sleep

import pytest

from sim.market import parts
from sim.market.market import Market

from .guards import binds
from .worlds import between, differing


@binds("parts.py", "pieces", "min(first + step, rows.stop)")
@binds(
    "parts.py",
    "pieces",
    "[slice(first, min(first + step, rows.stop)) for first in range(rows.start, rows.stop, step)] or [rows]",
)
@pytest.mark.parametrize("threads", [1, 3])
def test_parts_hold_every_row_once_in_order_and_there_is_at_least_one(monkeypatch, threads):
    monkeypatch.setattr(parts, "PART", 10)
    for rows, wanted in (
        (slice(3, 26), [slice(3, 13), slice(13, 23), slice(23, 26)]),
        (slice(0, 20), [slice(0, 10), slice(10, 20)]),
        (slice(4, 4), [slice(4, 4)]),
    ):
        assert parts.in_parts(lambda part: part, rows, threads) == wanted
    assert parts.in_parts(lambda part: part, slice(0, 5), threads, 3) == [slice(0, 3), slice(3, 5)]


def test_an_error_in_a_part_is_raised(monkeypatch):
    monkeypatch.setattr(parts, "PART", 10)
    for threads in (1, 2):
        with pytest.raises(ZeroDivisionError):
            parts.in_parts(lambda part: 1 // (part.start - 10), slice(0, 30), threads)


def test_after_an_error_no_other_piece_is_taken():
    begun, taken = Event(), []

    def fails():
        begun.wait(30.0)
        raise ZeroDivisionError

    def lasts():
        taken.append(len(taken))
        begun.set()
        sleep(0.001)

    with pytest.raises(ZeroDivisionError):
        parts.at_once([fails, *[lasts] * 1000], 2)
    assert 0 < len(taken) < 1000


def test_threads_change_no_bit_of_a_run(small_settings, monkeypatch):
    monkeypatch.setattr(parts, "PART", 64)
    settings = replace(between(small_settings, "2025-10", "2026-03"), workloads=1500)
    tables = []
    for threads in (1, 3):
        market = Market(settings, threads=threads)
        tables.append(market.run().tables())
        market.close()
    assert differing(*tables) == []
