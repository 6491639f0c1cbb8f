"""Stage 8: who looks again, and what they choose (docs/model.md, section 4.5).

A nested logit: a product line is a nest whose members are its channels; keeping a superseded release and doing the
work without a model are nests of their own. Utilities are in utils of the Gumbel noise redrawn at each choice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.market.kernels.elementary import exp, log, log1p
from sim.market.stages.hosting import own_price
from sim.market.stages.usage import bill_disutility
from sim.market.tables import NONE, ON_DEVICE, SELF_HOST, Bools, Floats, Ints, OfferTable
from sim.scenario.schema import CHANNELS

BLOCK = 256  # rows evaluated together: about 150 kB a matrix, so that a few of them stay in the second-level cache
NEGLIGIBLE = -690.0  # a member this far below the best counts as impossible: its exponential would be subnormal
TINY = 1e-300
LOG_CHANNELS = np.array([0.0, *map(math.log, range(1, len(CHANNELS) + 1))])  # a line that nobody here can use has none
BAN_LEVEL = np.array([1, 2, 3, 3], np.int8)  # reach of a ban from which a channel is barred: api, hosted, weights


@dataclass(frozen=True)
class Choosers:
    """The workloads that look again this month; shapes (rows,) unless said otherwise, units as in `WorkloadTable`."""

    kind: Ints
    bloc: Ints
    need: Floats  # this month's, Mtok/month
    pain: Floats
    price_sensitivity: Floats
    value: Floats
    difficulty: Floats  # this month's, ECI points
    control_value: Floats
    distrust: Floats  # this month's
    barred: NDArray[np.int8]  # (rows, blocs) how far a ban on models of the bloc reaches, 0 none to 3 weights too
    staff_cost: Floats  # USD/month
    taste_line: NDArray[np.float32]  # (rows, lines)
    taste_open: Floats
    taste_origin: Floats  # (rows, blocs)
    knows: Bools  # (rows, labs) considers the lab
    used_here: Floats  # (rows, labs) 1 where the organisation uses the lab for another workload, or the chance of it
    release: Ints
    channel: Ints
    lab: Ints  # current vendor, NONE if none
    at_home: Bools  # looks only at the current vendor's offers
    switching_cost: Floats
    upgrade_cost: Floats
    adoption_cost: Floats
    without_ai_cost: Floats  # USD/Mtok-equivalent
    keep_option: Ints  # of which the release in use is a version, NONE if of none
    keep_price: Floats  # price of the release in use where it is superseded and still served, else NaN
    keep_capability: Floats  # with the lab's strength in the class
    keep_fixed: Floats  # the rest of its utility that no price or capability moves


@dataclass(frozen=True)
class ChoiceRules:
    """What is common to all choosers this month."""

    strength: Floats  # (classes, offers) ECI points
    appeal: Floats  # (offers,) utils that all of a family share: liking, ecosystem, less latency and lost trust
    lab_bloc: Ints  # (offers,)
    control: Floats  # (offers,) openness x channel
    exposure: Floats  # (offers,) share of the distrust raised, 0 for labs outside China
    ban_level: NDArray[np.int8]  # (offers,) reach of a ban from which the offer is barred
    sold_in: Bools  # (blocs, offers)
    home_fit: Floats  # (blocs, offers) utils
    success_width: float
    dissimilarity: float
    multi_home_discount: float
    device_limit: float  # Mtok/month


def review_hazard(usual: float, *, leap: float, bump: float) -> float:
    """Return the hazard of reviewing all vendors this month (eq. 48): raised by `bump` times a leap's size (0..1)."""
    return min(1.0, usual * (1.0 + bump * leap))


def upgrade_hazard(step: Floats, *, usual: float, leap: float, leap_points: float) -> Floats:
    """Return the hazard of considering the vendor's newer release (eq. 49): it rises with the step [points]."""
    return usual + (leap - usual) * np.clip(step / leap_points, 0.0, 1.0)


def success(capability: Floats, difficulty: Floats, width: float) -> Floats:
    """Return the share of the work that succeeds (eq. 50): logistic in capability above difficulty, shape broadcast."""
    odds = exp((difficulty - capability) / width)
    odds += 1.0
    return 1.0 / odds


def offer_worth(who: Choosers, offers: OfferTable, rules: ChoiceRules) -> Floats:
    """Return each offer's worth before its bill, -inf where it cannot be chosen, shape (rows, offers) (eq. 53).

    The log of the line's channels that the chooser can use, times the dissimilarity, is taken off, so that more
    channels add no bonus (eq. 59).
    """
    # What the channels of a release share is computed once for the release, the first of its columns standing for it.
    starts = np.diff(offers.release, prepend=NONE) != 0
    release = np.flatnonzero(starts)
    capability = (offers.capability + rules.strength)[:, release]
    shared = success(capability[who.kind], who.difficulty[:, None], rules.success_width)
    shared *= who.value[:, None]
    shared += rules.home_fit[:, release][who.bloc]
    shared += who.taste_line[:, offers.line[release]]
    shared += who.taste_origin[:, rules.lab_bloc[release]]
    shared += who.taste_open[:, None] * offers.is_open[release]
    worth = np.take(shared, np.cumsum(starts) - 1, axis=1)
    worth += rules.appeal
    part = np.multiply(who.control_value[:, None], rules.control)
    worth += part
    np.multiply(who.distrust[:, None], rules.exposure, out=part)
    worth -= part
    staff = who.price_sensitivity * log1p(who.staff_cost / who.pain)
    worth[:, np.flatnonzero(offers.channel == SELF_HOST)] -= staff[:, None]
    worth -= vendor_costs(who, offers, rules)
    can = open_to(who, offers, rules)
    options = len(offers.newest)
    channels = line_sums(can[:, :options].view(np.int8), offers.first_of_line)
    bonus = np.take(rules.dissimilarity * LOG_CHANNELS, channels)
    worth -= np.take(bonus, _line_of(offers.first_of_line, options)[offers.option], axis=1)
    np.putmask(worth, ~can, -np.inf)
    return worth


def offer_prices(who: Choosers, offers: OfferTable) -> Floats:
    """Return what each offer costs each chooser [USD/Mtok], shape (rows, offers)."""
    price = offers.price[who.kind]
    own = np.flatnonzero(offers.channel == SELF_HOST)
    price[:, own] = own_price(price[:, own], offers.cluster[own], who.need[:, None])
    return price


def offer_utilities(who: Choosers, offers: OfferTable, rules: ChoiceRules) -> Floats:
    """Return each offer's utility to each chooser, -inf where it cannot be chosen, shape (rows, offers) (eq. 53)."""
    bill = bill_disutility(offer_prices(who, offers), who.need[:, None], who.pain[:, None])
    bill *= who.price_sensitivity[:, None]
    return offer_worth(who, offers, rules) - bill


def best_versions(utility: Floats, option: Ints) -> tuple[Floats, Ints]:
    """Return the utility of each option, that of the version that suits a buyer best, and which it is (eq. 97).

    Parameters
    ----------
    utility : array, shape (rows, offers)
        Of every version.
    option : array, shape (offers,)
        Of which each offer is a version; the newest version of every option comes first.

    Returns
    -------
    best : array, shape (rows, options)
    version : array, shape (rows, options)
        Number of the offer; the newest where versions are equal.
    """
    options = int(option.max()) + 1
    best = utility[:, :options].copy()
    version = np.broadcast_to(np.arange(options), best.shape).copy()
    for offer in range(options, len(option)):
        at = option[offer]
        better = utility[:, offer] > best[:, at]
        best[better, at], version[better, at] = utility[better, offer], offer
    return best, version


def weights_kept(
    who: Choosers, offers: OfferTable, rules: ChoiceRules, best: Floats, keep: Floats
) -> tuple[Ints, Ints, Floats]:
    """Return who uses weights that are no longer on sale: rows, options of which these are versions, and the log term.

    They compete with the versions on sale, once the term for the channels of the line is taken off theirs too (eq. 97).

    Parameters
    ----------
    best : array, shape (rows, options)
        Utilities of the versions on sale, or anything that is -inf where an option cannot be chosen.
    keep : array, shape (rows,)
        Utility of staying, as `keep_utilities` has it.
    """
    rows = np.flatnonzero((who.keep_option != NONE) & (keep > -np.inf))
    rows = rows[best[rows, who.keep_option[rows]] > -np.inf]
    option, line = who.keep_option[rows], _line_of(offers.first_of_line, best.shape[1])
    channels = np.count_nonzero((best[rows] > -np.inf) & (line == line[option, None]), axis=1)
    return rows, option, rules.dissimilarity * LOG_CHANNELS[channels]


def kept_in_line(
    who: Choosers, offers: OfferTable, rules: ChoiceRules, best: Floats, version: Ints, keep: Floats
) -> Floats:
    """Let weights in use that are no longer on sale count as versions of their option (eq. 97).

    Writes their utility into `best` and `NONE` into `version` where they suit better than the versions on sale, shapes
    (rows, options), and returns the utility of staying with what is a version of no option, shape (rows,).
    """
    rows, option, bonus = weights_kept(who, offers, rules, best, keep)
    own = keep[rows] - bonus
    better = own > best[rows, option]
    best[rows[better], option[better]] = own[better]
    version[rows[better], option[better]] = NONE
    return np.where(who.keep_option != NONE, -np.inf, keep)


def vendor_costs(who: Choosers, offers: OfferTable, rules: ChoiceRules) -> Floats:
    """Return the cost of moving to each offer, shape (rows, offers) (eq. 56).

    Nothing for the offer in use, the upgrade cost inside the vendor, the switching cost to another one (less for a
    vendor that the organisation uses already), the adoption cost for a workload that uses no model yet.
    """
    uses = np.flatnonzero(who.lab != NONE)
    by_lab = who.switching_cost[:, None] * (1.0 - rules.multi_home_discount * who.used_here)
    by_lab[uses, who.lab[uses]] = who.upgrade_cost[uses]
    by_lab[who.lab == NONE] = who.adoption_cost[who.lab == NONE, None]
    move = np.take(by_lab, offers.lab, axis=1)
    code = offers.release * len(CHANNELS) + offers.channel
    move[(who.release * len(CHANNELS) + who.channel)[:, None] == code] = 0.0
    return move


def open_to(who: Choosers, offers: OfferTable, rules: ChoiceRules) -> Bools:
    """Return which offers each chooser may and does look at, shape (rows, offers)."""
    uses = np.flatnonzero(who.lab != NONE)
    by_lab = who.knows.copy()
    by_lab[uses, who.lab[uses]] = True
    home = np.flatnonzero(who.at_home)
    by_lab[home] = False
    by_lab[home, who.lab[home]] = True
    looks = np.take(by_lab, offers.lab, axis=1)
    looks &= rules.sold_in[who.bloc]
    barred = np.flatnonzero(who.barred.any(axis=1))
    looks[barred] &= np.take(who.barred[barred], rules.lab_bloc, axis=1) < rules.ban_level
    device = np.flatnonzero(offers.channel == ON_DEVICE)
    looks[:, device] &= who.need[:, None] <= rules.device_limit
    return looks


def keep_utilities(who: Choosers, rules: ChoiceRules) -> Floats:
    """Return the utility of staying with a superseded release, -inf where impossible, shape (rows,) (eq. 57)."""
    bill = who.price_sensitivity * bill_disutility(who.keep_price, who.need, who.pain)
    return np.where(np.isnan(who.keep_price), -np.inf, keep_worth(who, rules) - bill)


def keep_worth(who: Choosers, rules: ChoiceRules) -> Floats:
    """Return what a superseded release is worth before its bill to who uses it, shape (rows,) (eq. 57)."""
    return who.value * success(who.keep_capability, who.difficulty, rules.success_width) + who.keep_fixed


def contested(
    who: Choosers, offers: OfferTable, rules: ChoiceRules, capability: Floats, price: Floats, *, slack: float
) -> Bools:
    """Return who knows an open offer that costs less than its model and succeeds nearly as often, (rows,) (eq. 93).

    Parameters
    ----------
    who : Choosers
        Workloads that use a closed model.
    capability, price : array, shape (rows,)
        Of the model in use, with its lab's strength in the class [ECI points], and what is paid for it [USD/Mtok].
    slack : float
        Part of the work by which the open model may succeed less.
    """
    columns = np.flatnonzero(offers.is_open)
    can = open_to(who, offers, rules)[:, columns] & (offer_prices(who, offers)[:, columns] < price[:, None])
    able = (offers.capability + rules.strength)[who.kind][:, columns]
    hard = who.difficulty[:, None]
    enough = success(able, hard, rules.success_width) >= success(capability[:, None], hard, rules.success_width) - slack
    return np.asarray((can & enough).any(axis=1))


def surplus(gain: Floats, premium: Floats, *, price_sensitivity: Floats, pain: Floats) -> Floats:
    """Return what a month with the model in use is worth, shape broadcast [USD/month] (eq. 62).

    Parameters
    ----------
    gain : array
        This month's utility of what is in use over that of doing without [utils]; 0 for who does without.
    premium : array
        What the last choice was worth beyond the utility of what was chosen [utils].
    price_sensitivity, pain : array
        alpha [utils] and this month's pain [USD/month].
    """
    return pain / price_sensitivity * (gain + premium)


def outside_utilities(who: Choosers) -> Floats:
    """Return the utility of doing the work without a model, shape (rows,) (eq. 58)."""
    return -who.price_sensitivity * bill_disutility(who.without_ai_cost, who.need, who.pain)


def choice_probabilities(
    utility: Floats, keep: Floats, outside: Floats, *, first_of_line: Ints, dissimilarity: float
) -> tuple[Floats, Floats]:
    """Return nested-logit probabilities and the logsum (eq. 59).

    Parameters
    ----------
    utility : array, shape (rows, options)
        Utilities of lines on channels (`best_versions`), columns sorted by line.
    keep, outside : array, shape (rows,)
        Utilities of the two options outside the nests.
    first_of_line : array, shape (lines,)
        Column at which each line starts.
    dissimilarity : float
        lambda in (0, 1]; 1 is the plain logit.

    Returns
    -------
    probability : array, shape (rows, options + 2)
        Options, then keep, then outside; rows sum to one.
    logsum : array, shape (rows,)
        Expected maximum utility less Euler's constant.
    """
    highest = np.maximum(np.maximum(utility.max(axis=1), keep), outside)
    utility = utility - highest[:, None]
    utility /= dissimilarity
    possible = utility > NEGLIGIBLE
    np.maximum(utility, NEGLIGIBLE, out=utility)
    weight = np.empty((len(utility), utility.shape[1] + 2))
    member = weight[:, :-2]
    np.multiply(exp(utility), possible, out=member)
    nest = line_sums(member, first_of_line)
    np.maximum(nest, TINY, out=nest)  # a line that nobody here can choose; its members weigh nothing
    scale = exp((dissimilarity - 1.0) * log(nest))
    member *= np.take(scale, _line_of(first_of_line, utility.shape[1]), axis=1)
    weight[:, -2] = exp(keep - highest)
    weight[:, -1] = exp(outside - highest)
    total = weight.sum(axis=1)
    weight /= total[:, None]
    return weight, highest + log(total)


def _line_of(first_of_line: Ints, options: int) -> Ints:
    """Return the number of each column's line, shape (options,)."""
    starts = np.zeros(options, np.int64)
    starts[first_of_line[1:]] = 1
    return np.cumsum(starts)


def line_sums(values: NDArray, first_of_line: Ints) -> NDArray:
    """Return the sum of each line's columns, shape (rows, lines): a third of the time of `np.add.reduceat`.

    Parameters
    ----------
    values : array, shape (rows, offers)
        Columns sorted by line.
    first_of_line : array, shape (lines,)
        Column at which each line starts.
    """
    columns = np.diff(first_of_line, append=values.shape[1])
    totals = np.take(values, first_of_line, axis=1)
    for place in range(1, int(columns.max())):
        longer = np.flatnonzero(columns > place)
        totals[:, longer] += np.take(values, first_of_line[longer] + place, axis=1)
    return totals


def draw_option(probability: Floats, u: Floats) -> Ints:
    """Return the option each uniform picks by inverse CDF, shape (rows,); never one of probability zero (eq. 62)."""
    cumulative = np.cumsum(probability, axis=1)
    return np.count_nonzero(cumulative < (u * cumulative[:, -1])[:, None], axis=1)
