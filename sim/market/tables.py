"""The state of a market as tables of columns. Only `market.py` assigns into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim.scenario.schema import CHANNELS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Keys = NDArray[np.uint64]  # of streams of random numbers

LAB_API, HOST, SELF_HOST, ON_DEVICE = range(len(CHANNELS))
OLDER = 2  # older open weights of a line that are sold beside the newest
NONE = -1  # no release: the outside option, or not in the market yet


@dataclass
class LabTable:
    """One row a lab, in a fixed order."""

    names: tuple[str, ...]
    bloc: Ints  # index into BLOCS
    openness: tuple[str, ...]
    openness_points: Floats  # ECI points, for open_if_behind
    openness_delay: Floats  # months, for delayed
    degree: tuple[str, ...]  # licence of new open releases
    price_rule: tuple[str, ...]
    active: Bools
    adoption_value: Floats  # USD/Mtok
    cadence: Floats  # months
    compute_share: Floats  # share of the bloc's stock
    inflation: Floats  # ECI points by which new releases score better on tests than in use
    brand: Floats  # utils
    strength: Floats  # (labs, classes) ECI points
    initial_awareness: Floats  # share
    research_compute: Floats  # H100e, smoothed
    knowledge: Floats  # ECI points relative to the frontier at the hand-over
    data: Floats  # Mtok of use that the lab has seen and not outlived
    potential: Floats  # ECI points; NaN before the lab's first release
    follows: Bools  # opens its next release of a closed line, after a rival of its bloc has opened one
    api_share: Floats  # part of the serving compute that the lab's API gets
    serving_load: Floats  # H100e needed by the tokens wanted from its API this month
    load: Floats  # needed over available serving compute, smoothed


@dataclass
class LineTable:
    """One row a product line, known from the start; a line without a release is not on offer."""

    names: tuple[str, ...]
    lab: Ints
    current: Ints  # release on the lab's own API, NONE if none
    current_open: Ints  # latest release with open weights, NONE if none
    older: Ints  # (lines, OLDER) older open weights that stay on sale, NONE where there are fewer
    published: Ints  # month in which weights of the line last came out, -1 if never
    last_month: Ints  # month of the last release
    next_month: Floats  # drawn month of the next release after the history, NaN before
    offset: Floats  # ECI points below the lab's potential
    hosts: Ints  # hosts of the line's open weights


@dataclass
class ReleaseTable:
    """One row a release; rows are appended and never removed."""

    names: list[str] = field(default_factory=list)
    line: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    lab: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    month: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    superseded: Ints = field(default_factory=lambda: np.empty(0, np.int64))  # month, or a far future
    is_open: Bools = field(default_factory=lambda: np.empty(0, np.bool_))
    of_open_line: Bools = field(default_factory=lambda: np.empty(0, np.bool_))  # published when its line was last seen
    opens_at: Ints = field(default_factory=lambda: np.empty(0, np.int64))  # month of late weights, or a far future
    has_api: Bools = field(default_factory=lambda: np.empty(0, np.bool_))
    on_device: Bools = field(default_factory=lambda: np.empty(0, np.bool_))
    capability: Floats = field(default_factory=lambda: np.empty(0))  # ECI points, as measured by public tests
    inflation: Floats = field(default_factory=lambda: np.empty(0))  # ECI points above what it is worth in use
    degree: Floats = field(default_factory=lambda: np.empty(0))  # openness of the licence, 0..1
    input_price: Floats = field(default_factory=lambda: np.empty(0))  # list, USD/Mtok
    output_price: Floats = field(default_factory=lambda: np.empty(0))  # list, USD/Mtok
    posted: Floats = field(default_factory=lambda: np.empty(0))  # list price on the lab's API now, USD/Mtok
    wanted: Floats = field(default_factory=lambda: np.empty(0))  # list price that its lab would not want to change
    wedge: Floats = field(default_factory=lambda: np.empty(0))  # log of list price over wanted price at the hand-over
    price_over_cost: Floats = field(default_factory=lambda: np.empty(0))  # at the hand-over
    cost_at_release: Floats = field(default_factory=lambda: np.empty(0))  # sellers', USD/Mtok at the list blend
    index_at_release: Floats = field(default_factory=lambda: np.empty(0))  # serving cost then relative to 2025-02
    full_load_cost: Floats = field(default_factory=lambda: np.empty(0))  # accelerators alone at release, USD/Mtok
    active_params: Floats = field(default_factory=lambda: np.empty(0))  # billions, NaN for closed models
    total_params: Floats = field(default_factory=lambda: np.empty(0))  # billions, NaN for closed models

    FAR = 10**9

    def append(self, names: Sequence[str], rows: Sequence[Mapping[str, float]]) -> range:
        """Append releases, every column given, and return their row numbers; columns are replaced, not changed."""
        for column, values in vars(self).items():
            if column != "names":
                new = [row[column] for row in rows]
                setattr(self, column, np.concatenate((values, new), dtype=values.dtype))
        self.names.extend(names)
        return range(len(self.names) - len(names), len(self.names))

    @property
    def list_price(self) -> Floats:
        """List price at the usual blend, (3 input + output) / 4 [USD/Mtok], shape (releases,)."""
        return (3.0 * self.input_price + self.output_price) / 4.0


@dataclass(frozen=True)
class OfferTable:
    """The offers of a month: releases on channels.

    An option is a line on a channel; its offers are versions of it, of which each buyer takes the one that suits him
    best. The newest version of every option comes first, in the order of options, so that a line is a run of them; the
    older versions follow, sorted by line. Shapes are (offers,) unless said otherwise; prices in USD per million tokens.
    """

    option: Ints  # of which each offer is a version

    line: Ints
    lab: Ints
    release: Ints
    channel: Ints
    capability: Floats  # as perceived now, ECI points
    degree: Floats
    is_open: Bools
    price: Floats  # (classes, offers), what a class pays; for own machines the cost at the highest utilisation
    cluster: Floats  # a workload's part of the smallest own cluster, USD/month; zero but for own machines
    first_of_line: Ints  # (lines on offer,) option at which each line starts

    def __len__(self) -> int:
        return len(self.line)

    @property
    def newest(self) -> OfferTable:
        """The newest version of every option, one a line and channel."""
        first = slice(0, int(self.option.max()) + 1)
        columns = {name: values[..., first] for name, values in vars(self).items() if name != "first_of_line"}
        return OfferTable(**columns, first_of_line=self.first_of_line)


SPARE = 12  # columns left free before the tastes of a workload, for what else its choices read


@dataclass(frozen=True)
class WorkloadTable:
    """Fixed properties of the workloads, one row each; shapes (workloads,) unless said otherwise.

    Rows of one organisation are neighbours, and developers' organisations come first.
    """

    organisation: Ints
    group: Ints  # index into GROUPS
    bloc: Ints  # index into BLOCS
    kind: Ints  # index into CLASSES
    arrival: Ints  # month
    weight: Floats  # workloads in the world that the row stands for
    need: Floats  # Mtok/month in January 2025
    difficulty: Floats  # ECI points in January 2025
    value: Floats  # utils
    price_sensitivity: Floats  # utils (alpha)
    pain: Floats  # USD/month
    control_value: Floats  # utils
    distrust: Floats  # utils
    banned: Bools  # may not use a Chinese lab's API once bans bind
    taste_line: NDArray[np.float32]  # (workloads, lines) utils
    taste_open: Floats  # utils
    taste_origin: Floats  # (workloads, blocs) utils
    attention: NDArray[np.float32]  # (workloads, labs) uniform: knows a lab once consideration exceeds it
    tastes: NDArray[np.float32]  # (workloads, a multiple of 16) memory of those two: from `SPARE` on, and the last

    def __len__(self) -> int:
        return len(self.group)


@dataclass
class UsageTable:
    """What each workload uses now; shapes (workloads,)."""

    release: NDArray[np.int32]  # NONE: does without
    channel: NDArray[np.int8]
    present: Bools  # has arrived
    held: NDArray[np.float32]  # utils that stay until the next choice: tastes for line and bloc, noise, less moving
    surplus: Floats  # USD/month, this month's
