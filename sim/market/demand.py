"""The demand side of a month: what adopters see, buy and leave in the books.

Each function reads the market and returns what changes; `market.py` alone assigns it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim import evidence, rng
from sim.market import bans, governments, offering, resources
from sim.market.adopters import CN, FAMILIES, MonthView, Stand
from sim.market.kernels import usage as compiled
from sim.market.kernels.contested import Users, contested
from sim.market.kernels.elementary import exp, log1p
from sim.market.kernels.month import to_eight
from sim.market.kernels.usage import by_organisation
from sim.market.mean_field import used_elsewhere
from sim.market.nodes import arrived
from sim.market.parts import in_parts
from sim.market.settled import settled
from sim.market.stages import accounts, affinity, awareness, capability, choice, ecosystem, serving, usage
from sim.market.stages.ledger import CELLS, Ledger, serve, serving_needed, sold_by_hosts
from sim.market.tables import HOST, LAB_API, NONE, SELF_HOST, Bools, Floats, Ints, OfferTable
from sim.months import parse_month, years_since
from sim.scenario.schema import BLOCS, CHANNELS, CLASSES, DEVELOPER_GROUPS, GROUPS

if TYPE_CHECKING:
    from sim.market.market import Market

REFERENCE = parse_month("2025-01")  # month in which needs and difficulties are stated
US = BLOCS.index("US")
ENTERPRISE = GROUPS.index("ordinary")
SOLD = np.ones((len(BLOCS), len(BLOCS), len(CHANNELS)), bool)  # by the bloc of the user and of the lab
SOLD[CN, US, LAB_API] = False  # US labs do not sell their APIs in China; open weights cannot be kept out
LEAST_COMPUTE = 1e-3  # H100e, so that a lab without any has a load


def awareness_month(market: Market, leaps: Floats) -> tuple[Floats, Floats]:
    """Return awareness (segments, labs) and buzz (labs,); a lab becomes known with its first release."""
    p = market.parameters
    appeared = np.bincount(market.releases.lab, minlength=len(market.labs.names)) > 0
    known = np.where(appeared, np.maximum(market.awareness, market.labs.initial_awareness), 0.0)
    spread = awareness.next_awareness(
        known, vendor_shares(market), innovation=p["awareness.innovation"], imitation=p["awareness.imitation"]
    )
    buzz = awareness.next_buzz(market.buzz, leaps, decay=p["awareness.buzz_decay"], points=p["awareness.buzz_points"])
    return np.where(appeared, spread, 0.0), buzz


def affinity_month(market: Market) -> Floats:
    """Return each family's affinity for each lab [utils], (families, labs): last month's, drifted (eq. 55)."""
    p = market.parameters
    return affinity.next_affinity(
        market.affinity,
        rng.normal(_affinity_keys(market.seed, market.labs.names), market.month),
        family_shares(market),
        half_life=p["demand.affinity_half_life"],
        sd=p["demand.affinity_sd"],
        first=market.month == market.settings.start,
    )


@lru_cache(maxsize=4)
def _affinity_keys(seed: int, labs: tuple[str, ...]) -> NDArray[np.uint64]:
    """Return the stream of each family's affinity for each lab, (families, labs)."""
    keys = [[rng.stream_key(seed, f"affinity:{family}:{lab}") for lab in labs] for family in FAMILIES]
    return np.array(keys, np.uint64)


def family_shares(market: Market) -> Floats:
    """Return each lab's share of each family's workloads last month, (families, labs); of none, equal parts of the labs
    with a release."""
    labs = len(market.labs.names)
    by_segment = market.ledger.segment_labs(market.releases.lab, labs)
    developers = len(DEVELOPER_GROUPS) * len(BLOCS)
    count = np.array([by_segment[:developers].sum(axis=0), by_segment[developers:].sum(axis=0)])
    appeared = (np.bincount(market.releases.lab, minlength=labs) > 0).astype(float)
    return np.where(count.sum(axis=1, keepdims=True) > 0, count, appeared)


def ecosystem_month(market: Market) -> Floats:
    """Return the ecosystem of each line's open weights [percent-months], (lines,) (eq. 76)."""
    ledger, lines = market.ledger, len(market.lines.names)
    used, line = ledger.developers(), market.releases.line[ledger.release]
    by_line = accounts.totals(line, used, lines)
    on_open = accounts.totals(line, used * market.releases.is_open[ledger.release], lines)
    total = accounts.in_order(by_line)
    share = 100.0 * on_open / total if total > 0 else on_open
    return ecosystem.next_ecosystem(market.ecosystem, share, decay=market.parameters["ecosystem.decay"])


def vendor_shares(market: Market) -> Floats:
    """Return each lab's share of each segment's workloads last month, shape (segments, labs)."""
    count = market.ledger.segment_labs(market.releases.lab, len(market.labs.names))
    return count / np.maximum(accounts.in_order(count), 1e-300)


def month_view(market: Market, offers: OfferTable, priced: offering.Prices, leaps: Floats) -> MonthView:
    """Return what adopters see when they choose (eq. 54)."""
    p, appeal = market.parameters, _appeal(market)
    return _view_but_for_prices(market)(
        offers=offers,
        rules=_rules(market, appeal),
        price=priced.by_class,
        cluster=priced.cluster,
        appeal=appeal,
        consideration=awareness.consideration(market.awareness, market.buzz),
        leap=min(max(float(leaps.max()) / p["demand.leap_points"], 0.0), 1.0),
    )


@settled
def _view_but_for_prices(market: Market) -> Callable[..., MonthView]:
    """Return what makes a view of what the stages of prices and awareness move."""
    labs, reach = market.labs, bans.reach_month(market)
    control, exposure, home_fit = _fixed_tastes(market)
    return partial(
        MonthView,
        month=market.month,
        seed=market.population_seed,
        option_noise=market.settings.noise == "options",
        releases=market.releases,
        lines=market.lines,
        offered=offering.offered(market),
        newest=offering.newest(market),
        place=_places(market),
        capability=offering.perceived(market),
        runs=_runs(market),
        channel_control=control,
        channel_exposure=exposure,
        lab_bloc=labs.bloc,
        strength=labs.strength,
        home_fit=home_fit,
        sold=SOLD,
        used=_used_in_organisation(market),
        used_elsewhere=_used_elsewhere(market),
        need=need_growth(market),
        pain=pain_growth(market),
        rise=difficulty_rise(market),
        relief=_relief(market),
        reach=reach.rows,
        node_reach=reach.nodes,
        node_present=arrivals(market),
    )


@settled
def arrivals(market: Market) -> Floats:
    """Return the part of each taste node that is in the market this month, shape (nodes,)."""
    return arrived(market.nodes.table, market.month, market.parameters)


@settled
def _fixed_tastes(market: Market) -> tuple[Floats, Floats, Floats]:
    """Return the parts of the control value kept and of the distrust raised, (channels,), and the fit of languages
    [utils], (blocs, blocs)."""
    p = market.parameters
    control, exposure = (
        np.array([p[f"demand.{name}.lab_api"], p[f"demand.{name}.host"], *[p[f"demand.{name}.own"]] * 2])
        for name in ("control", "exposure")
    )
    home_fit = np.zeros((len(BLOCS), len(BLOCS)))
    home_fit[CN, CN] = p["demand.language_fit"]
    return control, exposure, home_fit


def _appeal(market: Market) -> Floats:
    """Return what each family likes about every release on every channel [utils], (families, releases, channels).

    Liking of the lab with its drift, the ecosystem of its open lines, less the trust lost by shocks and the delay of a
    loaded API (eq. 53).
    """
    state, labs = market.releases, market.labs
    appeal = _openness_liked(market) + (labs.brand + market.affinity).take(state.lab, axis=1)[:, :, None]
    appeal[:, :, LAB_API] -= offering.latency(market)[state.lab]
    if market.policy.trust:
        _, exposure, _ = _fixed_tastes(market)
        lost = governments.trust_penalty(market.policy, market.month)
        chinese = (labs.bloc[state.lab] == CN)[:, None] * exposure
        appeal -= lost["chinese"] * chinese + np.where(state.is_open, lost["open"], lost["closed"])[:, None]
    return appeal


@settled
def _openness_liked(market: Market) -> Floats:
    """Return what each family likes about open lines and their ecosystem [utils], (families, releases, channels)."""
    p, state = market.parameters, market.releases
    weight = np.array([p[f"demand.{family}.ecosystem_weight"] for family in FAMILIES])
    constant = np.array([p[f"demand.{family}.open_constant"] for family in FAMILIES])
    stock = weight[:, None] * (log1p(market.ecosystem)[state.line] * state.is_open)
    of_open = constant[:, None] * state.of_open_line
    liked = np.empty((*stock.shape, len(CHANNELS)))
    liked[:, :, :SELF_HOST] = (stock + of_open)[:, :, None]
    liked[:, :, SELF_HOST:] = (stock * p["demand.ecosystem_own"] + of_open)[:, :, None]
    return liked


def _runs(market: Market) -> Bools:
    """Return which releases can still be used on each channel by who uses them, (releases, channels) (eq. 30)."""
    state = market.releases
    runs = np.empty((len(state.names), len(CHANNELS)), bool)
    runs[:] = state.is_open[:, None]  # published weights are out for good
    runs[:, LAB_API] = offering.served(market)
    return runs


def _places(market: Market) -> Ints:
    """Return the option of which each release is a version to who uses it, (releases, channels), `NONE` if of none.

    Weights that are out are, on sale or not; a superseded release on its lab's API is not (eq. 97).
    """
    on_offer = offering.unpriced_offers(market)
    options = np.full((len(market.lines.names), len(CHANNELS)), NONE)
    options[on_offer["line"], on_offer["channel"]] = on_offer["option"]
    weights = market.releases.is_open[:, None] & (np.arange(len(CHANNELS)) >= HOST)
    return np.where(weights | offering.offered(market), options[market.releases.line], NONE)


def _rules(market: Market, appeal: Floats) -> tuple[choice.ChoiceRules, ...]:
    """Return what is common to all choosers of each family."""
    offers, rules = offering.unpriced_offers(market), _rules_for_all(market)
    liked = appeal.reshape(len(FAMILIES), -1).take(offers["release"] * len(CHANNELS) + offers["channel"], axis=1)
    return tuple(rules(appeal=of_family) for of_family in liked)


@settled
def _rules_for_all(market: Market) -> Callable[..., choice.ChoiceRules]:
    """Return what makes the rules of a family of what it likes."""
    p, labs, offers = market.parameters, market.labs, offering.unpriced_offers(market)
    lab, channel, lab_bloc = offers["lab"], offers["channel"], labs.bloc[offers["lab"]]
    control, exposure, home_fit = _fixed_tastes(market)
    return partial(
        choice.ChoiceRules,
        strength=labs.strength[lab].T,
        lab_bloc=lab_bloc,
        control=offers["degree"] * control[channel],
        exposure=exposure[channel] * (lab_bloc == CN),
        ban_level=choice.BAN_LEVEL[channel],
        sold_in=SOLD[:, lab_bloc, channel],
        home_fit=home_fit[:, lab_bloc],
        success_width=p["demand.success_width"],
        dissimilarity=p["demand.nest_dissimilarity"],
        multi_home_discount=p["demand.multi_home_discount"],
        device_limit=p["serving.on_device_limit"],
    )


@settled
def need_growth(market: Market) -> Floats:
    """Return each class's need this month at zero price over that of the table, shape (classes,) (eq. 60)."""
    years = years_since(market.month, REFERENCE)
    return _grown(market, years)


@settled
def pain_growth(market: Market) -> Floats:
    """Return each class's pain this month over that of the table, shape (classes,) (eq. 60)."""
    p, until = market.parameters, market.settings.history_until
    now, then = (_grown(market, years_since(month, REFERENCE)) for month in (max(market.month, until), until))
    return usage.pain_now(np.ones(len(CLASSES)), now / then, p["demand.pain_exponent"] * p["demand.pain_growth"])


def _grown(market: Market, years: float) -> Floats:
    p = market.parameters
    growth = np.array([p[f"demand.volume_growth.{c}"] for c in CLASSES])
    until = years_since(market.settings.history_until, REFERENCE)
    return usage.need_now(np.ones(len(CLASSES)), growth, p["demand.volume_growth_fade"], years, until)


@settled
def difficulty_rise(market: Market) -> Floats:
    """Return by how much work of each class is harder this month than in January 2025 [ECI points], (classes,)."""
    p = market.parameters
    ambition = np.array([p[f"demand.ambition.{c}"] for c in CLASSES])
    return capability.difficulty_rise(ambition, market.releases.capability.max(), _reference_frontier())


@lru_cache(maxsize=1)
def _reference_frontier() -> float:
    """Return the capability of the best release up to January 2025 [ECI points]; of the evidence, if it is to come."""
    return max(seen.capability for seen in evidence.releases(until=REFERENCE))


def _used_in_organisation(market: Market) -> NDArray[np.uint8]:
    """Return which labs each organisation uses, shape (organisations, labs and more, to a multiple of eight).

    It stands until this month's choices.
    """
    labs = to_eight(len(market.labs.names))
    if not market.draws:
        return np.zeros((0, labs), np.uint8)
    seen = np.zeros((int(market.workloads.organisation[-1]) + 1, labs), np.uint8)
    release, organisation, lab = market.usage.release, market.people.organisation, market.releases.lab

    def mark(rows: slice) -> None:
        by_organisation(rows.start, rows.stop, release, organisation, lab, seen)

    in_parts(mark, slice(0, len(release)), market.threads)
    return seen


def _used_elsewhere(market: Market) -> Floats:
    """Return `used_elsewhere` of last month's ledger, which stands until this month's choices are counted."""
    tail = market.parameters["demand.organisation_tail"]
    return used_elsewhere(market.ledger, market.releases.lab, len(market.labs.names), tail)


def _relief(market: Market) -> float:
    """Return the part of the distrust that is left, by last month's ledger, which stands as long."""
    return float(exp(-market.parameters["demand.distrust_relief"] * _chinese_share(market)))


def _chinese_share(market: Market) -> float:
    """Return Chinese models' share of workloads outside China last month: what others are seen to use."""
    count = market.ledger.segment_labs(market.releases.lab, len(market.labs.names))
    abroad = count.reshape(len(GROUPS), len(BLOCS), -1)[:, np.arange(len(BLOCS)) != CN].sum(axis=(0, 1))
    total = float(accounts.in_order(abroad)[0])
    return float(abroad[market.labs.bloc == CN].sum()) / total if total > 0.0 else 0.0


@dataclass(frozen=True)
class Usage:
    """What a month's users buy and what serving it takes.

    Shapes (labs,): `needed` serving compute of the tokens wanted from the API [H100e], `api_share` the part of the
    serving compute that the API gets, `load` as felt. `unmet` is what the world wanted and did not get [Mtok/month].
    """

    ledger: Ledger
    needed: Floats
    api_share: Floats
    load: Floats
    unmet: float


def tally(market: Market, view: MonthView, priced: offering.Prices) -> Ledger:
    """Return who uses what this month and the tokens they want (eq. 61), before anybody serves them."""
    if not market.draws:
        return market.nodes.tally(view, priced.by_class, priced.cluster)
    now, releases = market.usage, len(market.releases.names)
    found = np.zeros((releases, len(CHANNELS)), np.uint8)
    rows = slice(0, len(now.release))

    def mark(part: slice) -> None:  # whoever writes, it is a one
        compiled.in_use(part.start, part.stop, now.release, now.channel, found)

    in_parts(mark, rows, market.threads)
    release, channel = np.nonzero(found)
    place = np.full(found.shape, NONE, np.int32)
    place[release, channel] = np.arange(len(release))

    def count(part: slice) -> Floats:
        out = np.zeros((3, prod(CELLS), len(release) + 1))
        compiled.tally(
            part.start,
            part.stop,
            market.people,
            now.release,
            now.channel,
            now.surplus,
            market.month,
            view.need,
            view.pain,
            priced.by_class,
            priced.cluster,
            place,
            out,
        )
        return out

    out, *others = in_parts(count, rows, market.threads)
    for other in others:  # one after the other: NumPy's own sum of several arrays copies them side by side first
        out += other
    workloads, tokens, spend = out[:, :, :-1]
    present, surplus = out[0, :, -1], out[1, :, -1]
    return Ledger(release, channel, workloads, tokens, spend, np.broadcast_to(0.0, tokens.shape), present, surplus)


def usage_month(market: Market, view: MonthView, costs: offering.Costs, priced: offering.Prices) -> Usage:
    """Return what is bought and served at this month's needs (eq. 45)."""
    labs, state = market.labs, market.releases
    wanted = tally(market, view, priced)
    hours = serving_needed(wanted, costs.hours, priced.mix, state.lab, len(labs.names))
    needed = serving.accelerators_busy(hours)
    compute = np.maximum(resources.serving_compute(market), LEAST_COMPUTE)
    capacity = labs.api_share * compute
    if market.replaying:
        capacity = serving.api_capacity(market.parameters["serving.api_share"], compute, needed)
    share = serving.served_share(needed, capacity)[state.lab]
    served = serve(wanted, share, state.is_open, priced.by_class[HOST])
    return Usage(
        ledger=served,
        needed=needed,
        api_share=capacity / compute,
        load=serving.next_load(labs.load, needed, capacity, market.parameters["serving.load_months"]),
        unmet=0.0 if served is wanted else float((wanted.tokens - served.tokens).sum()),
    )


def standing(market: Market, view: MonthView, rows: Ints) -> Stand:
    """Return where some taste nodes stand, each at one state in use."""
    release, channel = (of_node[rows] for of_node in market.nodes.stands)
    segment = market.nodes.people.segment[rows]
    return Stand(release, channel, view.used_elsewhere[segment], view.node_reach[rows])


def contestable_share(market: Market, view: MonthView) -> float:
    """Return the part of closed revenue for which a good enough cheaper open offer is known (eq. 93).

    Judged on the taste nodes.
    """
    table, state = market.nodes.table, market.releases
    release, channel = market.nodes.stands
    closed = (release != NONE) & (channel == LAB_API) & ~state.is_open[release]
    rows = np.flatnonzero(closed & (market.nodes.present > 0.0))
    kind, used = table.kind[rows], release[rows]
    lab, price = state.lab[used], view.price[LAB_API, kind, used]
    need, pain = table.need[rows] * view.need[kind], table.pain[rows] * view.pain[kind]
    users = Users(
        kind=kind,
        bloc=table.bloc[rows],
        need=need,
        difficulty=table.difficulty[rows] + view.rise[kind],
        node=rows,
        attention=table.attention,
        reach=view.node_reach,
        segment=market.nodes.people.segment[rows],
        consideration=view.consideration,
        lab=lab,
        capability=view.capability[used] + view.strength[lab, kind],
        price=price,
    )
    slack = market.parameters["observation.good_enough"]
    known = contested(users, view.offers, view.rules[0], slack=slack)  # liking, which sets families apart, is no matter
    spend = price * usage.tokens_bought(price, need, pain)
    spend *= table.weight[rows] * market.nodes.present[rows]
    whole, part = 0.0, 0.0
    for family in market.nodes.families:
        own = slice(*np.searchsorted(rows, (family.start, family.stop)).tolist())
        whole += float(spend[own].sum())
        part += float(spend[own][known[own]].sum())
    return accounts.ratio(part, whole)


def downloads_month(market: Market) -> Floats:
    """Return hub downloads of each line's open weights so far, shape (lines,)."""
    p, lines = market.parameters, market.lines
    weights = lines.current_open
    size = np.where(weights == NONE, np.nan, market.releases.total_params[weights])
    fresh = ecosystem.downloads(
        market.evaluations,
        size,
        rate=p["observation.downloads_per_evaluation"],
        size_exponent=p["observation.downloads_size_exponent"],
    )
    return market.downloads + fresh


def accounts_month(market: Market, costs: offering.Costs, priced: offering.Prices) -> accounts.Accounts:
    """Return the month's books: workloads, tokens and money by seller and by buyer, in figures for the world."""
    ledger, state = market.ledger, market.releases
    rows = len(state.names)
    is_open = state.is_open[ledger.release]
    chinese = market.labs.bloc[state.lab[ledger.release]] == CN
    unit = _unit_cost(ledger, costs, priced)
    own = ledger.channel >= SELF_HOST
    tokens, spend, spilled = (amount.sum(axis=0) for amount in (ledger.tokens, ledger.spend, ledger.spilled))
    cost = np.where(own, spend, ledger.worth(ledger.tokens, unit))
    spill_spend = spill_cost = spilled
    if spilled.any():
        spill_price = np.where(spilled > 0.0, priced.by_class[HOST][:, ledger.release], 0.0)
        spill_spend, spill_cost = (ledger.worth(ledger.spilled, each) for each in (spill_price, unit))
    used = np.ascontiguousarray(ledger.workloads.T)  # a state a row: rows are faster to pick
    return accounts.Accounts(
        workloads=ledger.by_offer(ledger.workloads, rows),
        tokens=sold_by_hosts(ledger, tokens, spilled, rows),
        spend=sold_by_hosts(ledger, spend, spill_spend, rows),
        cost=sold_by_hosts(ledger, cost, spill_cost, rows),
        segment_present=ledger.by_segment(ledger.present),
        segment_workloads=ledger.by_segment(ledger.workloads),
        segment_tokens=ledger.by_segment(ledger.tokens),
        segment_spend=ledger.by_segment(ledger.spend),
        segment_open=ledger.by_segment(used[is_open].sum(axis=0)),
        segment_chinese_open=ledger.by_segment(used[is_open & chinese].sum(axis=0)),
        segment_own=ledger.by_segment(used[own].sum(axis=0)),
        surplus=float(ledger.surplus.sum()),
    )


def _unit_cost(ledger: Ledger, costs: offering.Costs, priced: offering.Prices) -> Floats:
    """Return the cost of serving tokens on labs' APIs and hosts [USD/Mtok], shape (classes, states) (eq. 79).

    Caching and discounts save cost in proportion to price: a class costs its own mix times the cost at the list blend,
    at a lab as at a host. Own machines cost what their users pay.
    """
    return priced.mix.take(ledger.release, axis=1) * costs.marginal[ledger.release]
