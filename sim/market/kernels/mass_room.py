"""Room in which taste nodes choose, a block of them at a time (docs/model.md, section 4.10)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sim.market.kernels.month import BLOCS, CHANNELS, FIXED, LANES, ORIGIN, to_eight


class States(NamedTuple):
    """Releases on channels that nodes may use after this month; shapes (states,), the first stands for none."""

    release: Any
    channel: Any
    column: Any  # of the offer, NONE where it is not on offer
    place: Any  # option of which it is a version to who uses it, NONE if of none


class Room(NamedTuple):
    """Room for a block of nodes; lanes last. Utilities are in units of log2."""

    rows: Any  # (LANES,)
    segment: Any  # (LANES,)
    block: Any  # (traits, LANES)
    taste: Any  # (all lines and more, LANES) of `block`
    origin: Any  # (blocs, LANES) of `block`
    limit: Any  # (labs and more, LANES)
    lane: Any  # (9, LANES)
    known: Any  # (labs, LANES)
    everybody: Any  # (labs, LANES) ones
    free: Any  # (labs, LANES) zeros
    may: Any  # (LANES,)
    live: Any  # (lines,) whether any node knows it: all
    usable: Any  # (blocs times channels, LANES) 1 where a node may choose such an option, else 0
    level: Any  # (blocs, LANES) reach of bans
    unbarred: Any  # (blocs times channels, LANES) 1 where no ban reaches such a state, else 0
    utility: Any  # (offers, LANES)
    plain: Any  # (offers, LANES) utilities, of barred offers too
    version: Any  # (options, LANES) offer that suits best
    weight: Any  # (options, LANES) of `utility`: of the version that suits best, then its weight inside the line
    nest: Any  # (lines, LANES) their sum
    part: Any  # (lines, LANES) one over the channels of a line that a node may use
    chance: Any  # (lines, LANES) weight against the other lines
    factor: Any  # (segments, labs and more) of moving to a lab
    switch: Any  # (labs and more, LANES) the same
    aware: Any  # (labs, LANES) weight of a lab's lines to those who move to it
    own: Any  # (labs, LANES) the same to its users
    highest: Any  # (LANES,) utility
    alone: Any  # (LANES,) utility of doing without
    outside: Any  # (LANES,) its weight
    every: Any  # (LANES,) weight of all that others may move to and of doing without
    common: Any  # (LANES,) utility of a superseded release that its channels share [utils]
    stays: Any  # (LANES,) utility of what is in use, if superseded
    full: Any  # (LANES,) looks of a state's users at all vendors
    only: Any  # (LANES,) at their own vendor alone
    kept: Any  # (LANES,) weight of what is in use inside its line
    line: Any  # (LANES,) of its line
    value: Any  # (LANES,) of its line against the other lines
    here: Any  # (LANES,) of its lab's lines
    taken: Any  # (LANES,) looks over the weights that they see
    active: Any  # (states,) those that the block uses or may move to
    bloc: Any  # (states,)
    barring: Any  # (states,) reach of a ban that bars it
    leaves: Any  # (states,) part of its users that looks where no ban does, double precision
    came: Any  # (states, LANES) what comes to a state or is back with it
    worth: Any  # (states, LANES) utility over doing without, 0 where it is switched off
    left: Any  # (LANES,) looks of all, double precision
    gain: Any  # (LANES,) what they are worth
    seen: Any  # (LANES,) looks of users at all vendors, each over the sum of the weights that the user sees
    newcomers: Any  # (LANES,) the same of who uses none
    none: Any  # (LANES,) those who do without
    looks: Any  # (labs, LANES) as `seen`, of its users
    home: Any  # (labs, LANES) the same of its users at its own offers
    less: Any  # (lines, LANES) the same of users whose line counts for more
    more: Any  # (lines, LANES) over the weights in a line
    replaced: Any  # (options, LANES) of users to whom the version that they have counts for more
    moved: Any  # (options, LANES)
    mean: Any  # (LANES,) worth of a look over doing without [utils]
    scale: Any  # (LANES,) double precision
    total: Any  # (LANES,) double precision


def room(traits: int, labs: int, lines: int, options: int, offers: int, states: int, segments: int) -> Room:
    """Return room for blocks of a month with so many traits, labs, states and, on offer, lines, options and offers."""

    def rows(*shape: int, kind: Any = np.float32) -> Any:
        return np.empty((*shape, LANES), kind)

    def each(names: str, *shape: int, kind: Any = np.float32) -> dict[str, Any]:
        found = names.split()
        return dict(zip(found, rows(len(found), *shape, kind=kind), strict=True))

    block, utility = rows(traits), rows(offers)
    return Room(
        block=block,
        taste=block[FIXED:],
        origin=block[ORIGIN:FIXED],
        limit=rows(to_eight(labs)),
        lane=rows(9),
        everybody=np.ones((labs, LANES), np.int32),
        free=np.zeros((labs, LANES), np.float32),
        factor=np.empty((segments, to_eight(labs)), np.float32),
        switch=rows(to_eight(labs)),
        active=np.empty(states, np.int64),
        bloc=np.empty(states, np.int64),
        barring=np.empty(states, np.int32),
        leaves=np.empty(states),
        known=rows(labs, kind=np.int32),
        live=np.empty(lines, np.bool_),
        level=rows(BLOCS, kind=np.int32),
        version=rows(options, kind=np.int32),
        may=rows(kind=np.int32),
        **each("rows segment", kind=np.uint32),
        **each("usable unbarred", BLOCS * CHANNELS),
        **each("aware own looks home", labs),
        **each("nest part chance less more", lines),
        utility=utility,
        weight=utility[:options],
        plain=rows(offers),
        **each("replaced moved", options),
        **each("came worth", states),
        **each("highest alone outside every common stays full only kept line value here taken"),
        **each("gain seen newcomers none mean"),
        **each("left scale total", kind=np.float64),
    )
