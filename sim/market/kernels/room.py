"""Room in which a thread works on a block of rows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sim.market.kernels.month import BLOCS, CHANNELS, FIXED, KINDS, LANES, ORIGIN, to_eight

CHUNK = 65536  # rows looked through before the blocks of their classes are filled
WORD = 32  # bits that say which labs a row knows


class Scratch(NamedTuple):
    """Room for a block; lanes last."""

    looks: Any  # (CHUNK,)
    lookers: Any  # (CHUNK,)
    rows: Any  # (CHUNK,) those that look, by class
    way: Any  # (CHUNK,) class and vendors that each of `lookers` looks at
    first: Any  # (ways + 2,) where each such way begins in `rows`, and the end
    lane: Any  # (9, LANES)
    seats: Any  # (LANES,) rows
    segment: Any  # (LANES,)
    block: Any  # (traits, LANES)
    taste: Any  # (all lines and more, LANES) of that
    origin: Any  # (blocs, LANES) of that
    limit: Any  # (labs and more, LANES)
    own: Any  # (LANES,) lab in use
    away: Any  # (LANES,) 1 where it looks at other labs too, else 0
    house: Any  # (LANES,) organisation
    mine: Any  # (labs and more, LANES) the organisation uses it
    counts: Any  # (labs over 32, 32) workloads that look at each
    bits: Any  # (labs over 32, LANES) a bit for each lab that a row knows of itself
    sees: Any  # (CHUNK, labs over 32) the same by row
    known: Any  # (labs, LANES)
    may: Any  # (LANES,) bits, see `flags`
    usable: Any  # (blocs times channels, LANES) 1 where a row may choose such an option, else 0
    cost: Any  # (labs, LANES)
    utility: Any  # (offers, LANES)
    best: Any  # (options, LANES) of `utility`: of the version that suits best, then its weight inside the line
    version: Any  # (options, LANES)
    plain: Any  # (0, LANES)
    live: Any  # (lines,) some row of the block knows the lab
    nest: Any  # (lines, LANES)
    chance: Any  # (lines, LANES)
    highest: Any  # (LANES,) as all that follow
    keep: Any
    outside: Any
    whole: Any
    target: Any
    place: Any
    won: Any
    kind: Any
    state: Any
    draw: Any  # double precision
    more: Any  # the same
    core: Any  # (traits LANES,) `block`, row after row
    at: Any  # (LANES,) rows of tables
    narrow: Any  # (15 LANES,)
    narrow_rows: Any  # the same, (15, LANES)
    wide: Any  # (8 LANES,)
    wide_rows: Any  # the same, (8, LANES)


def scratch(traits: int, labs: int, lines: int, options: int, offers: int) -> Scratch:
    """Return room for blocks of a month with so many traits, labs and, on offer, lines, options and offers."""
    f, i, u = (
        np.float32,
        np.int32,
        np.uint32,
    )  # the last for numbers of rows: a kernel asks of others whether they are negative
    words = -(-labs // WORD)
    utility = np.empty((offers, LANES), f)
    block, narrow, wide = np.empty((traits, LANES), f), np.empty((15, LANES), f), np.empty((8, LANES))
    return Scratch(
        looks=np.empty(CHUNK, np.uint8),
        lookers=np.empty(CHUNK, u),
        rows=np.empty(CHUNK, u),
        way=np.empty(CHUNK, u),
        first=np.empty(KINDS * (labs + 1) + 2, np.int64),
        lane=np.empty((9, LANES), f),
        seats=np.empty(LANES, u),
        segment=np.empty(LANES, u),
        block=block,
        taste=block[FIXED:],
        origin=block[ORIGIN:FIXED],
        limit=np.empty((to_eight(labs), LANES), f),
        own=np.empty(LANES, i),
        away=np.empty(LANES, i),
        house=np.empty(LANES, u),
        mine=np.empty((to_eight(labs), LANES), np.uint8),
        bits=np.empty((words, LANES), i),
        sees=np.empty((CHUNK, words), i),
        counts=np.empty((words, WORD)),
        known=np.empty((labs, LANES), i),
        may=np.empty(LANES, i),
        usable=np.empty((BLOCS * CHANNELS, LANES), f),
        cost=np.empty((labs, LANES), f),
        utility=utility,
        best=utility[:options],
        version=np.empty((options, LANES), i),
        plain=np.empty((0, LANES), f),
        live=np.empty(lines, np.bool_),
        nest=np.empty((lines, LANES), f),
        chance=np.empty((lines, LANES), f),
        **{name: np.empty(LANES, f) for name in ("highest", "keep", "outside", "whole", "target")},
        place=np.empty(LANES, i),
        won=np.empty(LANES, i),
        kind=np.empty(LANES, u),
        state=np.empty(LANES, u),
        draw=np.empty(LANES),
        more=np.empty(LANES),
        core=block.reshape(-1),
        at=np.empty(LANES, u),
        narrow=narrow.reshape(-1),
        narrow_rows=narrow,
        wide=wide.reshape(-1),
        wide_rows=wide,
    )
