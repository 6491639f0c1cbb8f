"""What the compiled choices need to know of a month: tables of the market, narrowed (`sim.market.kernels.month`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim import rng
from sim.market.kernels import month as compiled
from sim.market.kernels import usage
from sim.market.parts import SMALL, in_parts
from sim.market.stages import choice
from sim.market.tables import NONE, ON_DEVICE, SELF_HOST, SPARE, OfferTable, WorkloadTable
from sim.scenario.schema import BLOCS, CHANNELS, CLASSES

if TYPE_CHECKING:
    from sim.market.adopters import Adopters, MonthView

_COPIED = (compiled.KINDS, compiled.BLOCS, compiled.CHANNELS, compiled.NONE, compiled.SELF_HOST, compiled.FIXED)
_HERE = (len(CLASSES), len(BLOCS), len(CHANNELS), NONE, SELF_HOST, SPARE)
if {_COPIED, (5, 4, 4, usage.NONE, usage.SELF_HOST, SPARE)} != {_HERE}:
    raise ImportError(
        "kernels month, usage and mass hold numbers of classes, blocs, channels or traits that the schema has not"
    )
SINGLE = np.float32
_EVERY = np.ones((len(BLOCS), len(CHANNELS)), bool)
_REACHES = np.arange(choice.BAN_LEVEL.max() + 1)
_OF_BLOC = np.eye(len(BLOCS), dtype=bool)
# What a ban of some reach on models of a bloc leaves, (blocs, reaches), and what too large a need for a device leaves.
ALLOWED = compiled.flags(~_OF_BLOC[:, None, :, None] | (_REACHES[:, None] < choice.BAN_LEVEL)[None, :, None, :])
OFF_DEVICE = compiled.flags(_EVERY & (np.arange(len(CHANNELS)) != ON_DEVICE))


class Seen(NamedTuple):
    """A month as a family sees it when it chooses."""

    offered: compiled.Offered
    standing: compiled.Standing
    rules: compiled.Rules


def seen(view: MonthView, groups: Sequence[Adopters]) -> list[Seen]:
    """Return what families see of a month; they share all but their likings, reviews and costs."""
    on_offer, in_use, same = _offered(view), _standing(view), _rules(view)
    upgrade = groups[0].upgrade_hazards(np.arange(len(view.capability)), view)
    return [
        Seen(
            compiled.Offered(**on_offer, appeal=view.rules[group.number].appeal.astype(SINGLE)),
            compiled.Standing(**in_use, upgrade=upgrade, appeal=view.appeal[group.number]),
            compiled.Rules(
                **same,
                review=choice.review_hazard(group.review_hazard, leap=view.leap, bump=group.review_bump),
                switching_cost=group.switching_cost,
                upgrade_cost=group.upgrade_cost,
                adoption_cost=group.adoption_cost,
                staff_cost=group.staff_cost,
                without_ai_cost=group.without_ai_cost,
            ),
        )
        for group in groups
    ]


def people(table: WorkloadTable, threads: int = 1) -> compiled.People:
    """Return the workloads as the kernels read them: with their traits in the columns before their tastes."""
    traits, core = table.tastes, np.empty((len(table), compiled.ORIGIN), SINGLE)

    def write(rows: slice) -> None:
        for place, name in enumerate(compiled.TRAITS):
            core[rows, place] = 1.0 / table.pain[rows] if name == "inverse_pain" else getattr(table, name)[rows]
        traits[rows, : compiled.ORIGIN] = core[rows]
        traits[rows, compiled.ORIGIN : compiled.FIXED] = table.taste_origin[rows]

    in_parts(write, slice(0, len(table)), threads, SMALL)
    return compiled.People(
        kind=table.kind.astype(np.uint8),
        segment=(table.group * len(BLOCS) + table.bloc).astype(np.uint8),
        organisation=table.organisation.astype(np.int32),
        arrival=table.arrival.astype(np.int16),
        weight=table.weight,
        need=table.need,
        pain=table.pain,
        core=core,
        traits=traits,
    )


def _offered(view: MonthView) -> dict[str, Any]:
    """Return the month's offers; how they are liked differs between families."""
    offers, rules, newest = view.offers, view.rules[0], view.offers.newest
    first, options = offers.first_of_line, len(newest)
    bounds = np.concatenate((first, [options]))
    column = np.full(view.offered.shape, NONE, np.int32)
    column[offers.release, offers.channel] = np.arange(len(offers))
    return dict(
        first=bounds,
        line=offers.line[first],
        lab=offers.lab[first],
        lab_bloc=rules.lab_bloc[first],
        older=np.searchsorted(offers.line[options:], np.append(offers.line[first], len(view.lines.lab))) + options,
        nest=np.arange(len(first)).repeat(bounds[1:] - first),
        option=offers.option.astype(np.int32),
        release=offers.release,
        channel=offers.channel,
        capability=(offers.capability + rules.strength).astype(SINGLE),
        price=offers.price.astype(SINGLE),
        cluster=offers.cluster.astype(SINGLE),
        control=rules.control.astype(SINGLE),
        exposure=rules.exposure.astype(SINGLE),
        is_open=offers.is_open.astype(SINGLE),
        column=column,
        place=view.place.astype(np.int32),
        **_option_keys(view, newest),
    )


def _option_keys(view: MonthView, offers: OfferTable) -> dict[str, NDArray[np.uint64]]:
    """Return the streams of the noise of lines and, inside them, of offers; none where rows draw one number."""
    lines = offers.line[offers.first_of_line]
    if not view.option_noise:
        return {"line_key": np.zeros(len(lines), np.uint64), "key": np.zeros(len(offers), np.uint64)}

    def key(*of: object) -> int:
        return rng.stream_key(view.seed, ":".join(map(str, ("option", *of))), view.month)

    names = view.lines.names
    weights = view.releases.is_open[offers.release]
    own = (
        key(names[line], CHANNELS[channel], "open" if is_open else "closed")
        for line, channel, is_open in zip(offers.line, offers.channel, weights, strict=True)
    )
    return {
        "line_key": np.array([key(names[line]) for line in lines], np.uint64),
        "key": np.array(list(own), np.uint64),
    }


def _standing(view: MonthView) -> dict[str, Any]:
    """Return the releases that may be in use; likings differ between families, who looks for newer ones does not."""
    state = view.releases
    return {
        "newest": view.newest,
        "lab": state.lab,
        "line": state.line,
        "is_open": state.is_open,
        "degree": state.degree,
        "capability": view.capability,
        "runs": view.runs,
        "price": view.price,
        "cluster": view.cluster,
    }


def _rules(view: MonthView) -> dict[str, Any]:
    """Return what holds for all rows this month, but for each family's review and costs."""
    same = view.rules[0]
    sells = np.zeros(len(view.lab_bloc), bool)
    sells[view.offers.lab] = True
    consideration = np.zeros((len(view.consideration), compiled.to_eight(len(sells))), SINGLE)
    consideration[:, : len(sells)] = view.consideration
    return {
        "month": view.month,
        "review_key": np.uint64(rng.stream_key(view.seed, "review", view.month)),
        "upgrade_key": np.uint64(rng.stream_key(view.seed, "upgrade", view.month)),
        "choice_key": np.uint64(rng.stream_key(view.seed, "choice", view.month)),
        "option_noise": view.option_noise,
        "stay_key": np.uint64(rng.stream_key(view.seed, "option:stay", view.month)),
        "without_key": np.uint64(rng.stream_key(view.seed, "option:without", view.month)),
        "lab_bloc": view.lab_bloc,
        "sells": sells,
        "strength": view.strength,
        "home_fit": view.home_fit,
        "consideration": consideration,
        "channel_control": view.channel_control,
        "channel_exposure": view.channel_exposure,
        "ban_level": choice.BAN_LEVEL,
        "sold": compiled.flags(view.sold),
        "allowed": ALLOWED,
        "off_device": OFF_DEVICE,
        "need": view.need,
        "pain": view.pain,
        "rise": view.rise,
        "relief": view.relief,
        "success_width": same.success_width,
        "dissimilarity": same.dissimilarity,
        "multi_home_discount": same.multi_home_discount,
        "device_limit": same.device_limit,
    }
