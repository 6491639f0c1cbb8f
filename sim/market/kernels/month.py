"""What choices of a month read, as tables of arrays: the rows, the offers, what may be in use, and the rules."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.scenario.schema import BLOCS as names

Singles = NDArray[np.float32]
LANES = 64
LOG2_E = np.float32(1.4426950408889634)
LOG_2 = np.float32(0.6931471805599453)
IMPOSSIBLE = np.float32(-1e30)
LEAST = np.float32(1e-35)  # exponentials below it count as nothing
ZERO, ONE = np.float32(0.0), np.float32(1.0)
NONE, SELF_HOST = -1, 2
KINDS, BLOCS, CHANNELS = 5, 4, 4
CN = names.index("CN")


class People(NamedTuple):
    """Rows of the population; shapes (rows,) unless said, units as in `WorkloadTable`.

    What a choice reads of a row lies together in `traits`, so that a row costs a few lines of the cache and not twenty.
    """

    kind: Any
    segment: Any
    organisation: Any
    arrival: Any
    weight: Any
    need: Any
    pain: Any
    core: Any  # (rows, TRAITS) of single precision, which everybody is asked for every month
    traits: Any  # (rows, a multiple of 16) of single precision: `TRAITS`, tastes for blocs, then lines; attention last


TRAITS = ("need", "inverse_pain", "price_sensitivity", "value", "difficulty", "control_value", "distrust", "taste_open")
NEED, INVERSE_PAIN, ALPHA, VALUE, DIFFICULTY, CONTROL, DISTRUST, OPEN = range(len(TRAITS))
ORIGIN = len(TRAITS)  # tastes for the blocs of labs
FIXED = ORIGIN + BLOCS


class Offered(NamedTuple):
    """Offers of a month, versions of lines on channels; shapes (offers,) unless said. The options come first."""

    first: Any  # (lines + 1,) option at which each line starts
    older: Any  # (lines + 1,) offer at which the older versions of each line start
    line: Any  # (lines,) number of the line
    lab: Any  # (lines,)
    lab_bloc: Any  # (lines,)
    nest: Any  # (options,) which of the lines it belongs to
    option: Any  # of which it is a version
    release: Any
    channel: Any
    capability: Any  # (classes, offers) with the lab's strength
    price: Any  # (classes, offers)
    cluster: Any
    appeal: Any
    control: Any
    exposure: Any
    is_open: Any  # 1.0 or 0.0
    column: Any  # (releases, channels) where each is offered, NONE where it is not
    place: Any  # (releases, channels) option of which it is a version to who uses it, NONE if of none
    line_key: Any  # (lines,) of the noise of options
    key: Any  # (options,)


class Standing(NamedTuple):
    """Releases that may be in use; shapes (releases,) unless said."""

    newest: Any  # (releases, channels) on offer as the line's newest
    lab: Any
    line: Any
    is_open: Any
    degree: Any
    capability: Any  # as perceived
    upgrade: Any  # hazard of looking at the newer release
    runs: Any  # (releases, channels)
    price: Any  # (channels, classes, releases)
    cluster: Any  # (channels, releases)
    appeal: Any  # (releases, channels) of the family


class Rules(NamedTuple):
    """What holds for all rows of a family this month."""

    month: Any
    review_key: Any
    upgrade_key: Any
    choice_key: Any
    option_noise: Any  # whether every option has noise of its own, not every row one number
    stay_key: Any
    without_key: Any
    review: Any  # hazard, with the bump of the month's leap
    lab_bloc: Any  # (labs,)
    sells: Any  # (labs,) has an offer
    strength: Any  # (labs, classes)
    home_fit: Any  # (blocs, blocs) by user's and lab's
    consideration: Any  # (segments, labs and more, to a multiple of eight)
    channel_control: Any  # (channels,)
    channel_exposure: Any  # (channels,)
    ban_level: Any  # (channels,)
    sold: Any  # (blocs,) by the user's: a bit for each bloc of labs and channel, see `flags`
    allowed: Any  # (blocs, reach of a ban on the bloc's models) such bits
    off_device: Any  # such bits
    need: Any  # (classes,) this month's need over that of the table
    pain: Any  # (classes,)
    rise: Any  # (classes,) of the difficulty
    relief: Any  # factor on distrust
    switching_cost: Any
    upgrade_cost: Any
    adoption_cost: Any
    staff_cost: Any
    without_ai_cost: Any
    success_width: Any
    dissimilarity: Any
    multi_home_discount: Any
    device_limit: Any


def flags(may: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return a bit for each bloc of labs and channel, (...,), of an array of shape (..., blocs, channels)."""
    places = np.arange(BLOCS * CHANNELS).reshape(BLOCS, CHANNELS)
    return (may.astype(np.int32) << places).sum(axis=(-2, -1)).astype(np.int32)


def to_eight(count: int) -> int:
    """Return the next multiple of eight, the squares in which matrices are transposed."""
    return -(-count // 8) * 8
