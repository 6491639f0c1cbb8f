"""The demand side of a month: what adopters see, buy and leave in the books.

Each function reads the market and returns what changes; `market.py` alone assigns it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sim import evidence
from sim.market import offering, resources
from sim.market.adopters import CN, MonthView, paid_price
from sim.market.stages import accounts, awareness, capability, choice, ecosystem, serving, usage
from sim.market.tables import HOST, LAB_API, NONE, SELF_HOST, Bools, Floats, OfferTable
from sim.months import parse_month, years_since
from sim.scenario.schema import BLOCS, CHANNELS, CLASSES, GROUPS

if TYPE_CHECKING:
    from sim.market.market import Market

REFERENCE = parse_month("2025-01")  # month in which needs and difficulties are stated
US = BLOCS.index("US")
LEAST_COMPUTE = 1e-3  # H100e, so that a lab without any has a load


def awareness_month(market: Market, leaps: Floats) -> tuple[Floats, Floats]:
    """Return awareness (segments, labs) and buzz (labs,); a lab becomes known with its first release."""
    p = market.parameters
    appeared = np.isin(np.arange(len(market.labs.names)), market.releases.lab)
    known = np.where(appeared, np.maximum(market.awareness, market.labs.initial_awareness), 0.0)
    spread = awareness.next_awareness(
        known, vendor_shares(market), innovation=p["awareness.innovation"], imitation=p["awareness.imitation"]
    )
    buzz = awareness.next_buzz(market.buzz, leaps, decay=p["awareness.buzz_decay"], points=p["awareness.buzz_points"])
    return np.where(appeared, spread, 0.0), buzz


def vendor_shares(market: Market) -> Floats:
    """Return each lab's share of each segment's workloads last month, shape (segments, labs)."""
    table, used = market.workloads, market.usage.release != NONE
    labs, segments = len(market.labs.names), len(GROUPS) * len(BLOCS)
    segment = table.group[used] * len(BLOCS) + table.bloc[used]
    lab = market.releases.lab[market.usage.release[used]]
    count = accounts.totals(segment * labs + lab, table.weight[used], segments * labs).reshape(segments, labs)
    return count / np.maximum(count.sum(axis=1, keepdims=True), 1e-300)


def month_view(market: Market, offers: OfferTable, priced: offering.Prices, leaps: Floats) -> MonthView:
    """Return what adopters see when they choose (eq. 31)."""
    p, table = market.parameters, market.workloads
    labs = market.labs
    control = np.array([p["demand.control.lab_api"], p["demand.control.host"], *[p["demand.control.own"]] * 2])
    exposure = np.array([p["demand.exposure.lab_api"], p["demand.exposure.host"], *[p["demand.exposure.own"]] * 2])
    home_fit = np.zeros((len(BLOCS), len(labs.names)))
    home_fit[CN, labs.bloc == CN] = p["demand.language_fit"]
    return MonthView(
        month=market.month,
        seed=market.seed,
        offers=offers,
        rules=_rules(market, offers, control, exposure, home_fit),
        releases=market.releases,
        lines=market.lines,
        offered=offering.offered(market),
        capability=offering.perceived(market),
        served=offering.served(market),
        price=priced.by_class,
        cluster=priced.cluster,
        channel_control=control,
        channel_exposure=exposure,
        lab_bloc=labs.bloc,
        brand=labs.brand,
        strength=labs.strength,
        home_fit=home_fit,
        consideration=awareness.consideration(market.awareness, market.buzz),
        used=_used_in_organisation(market),
        need=needs(market),
        difficulty=table.difficulty + _difficulty_rise(market)[table.kind],
        distrust=table.distrust * np.exp(-p["demand.distrust_relief"] * _chinese_share(market)),
        bans_bind=1970 + market.month / 12.0 >= p["demand.ban.start"],
        leap=float(np.clip(leaps.max() / p["demand.leap_points"], 0.0, 1.0)),
    )


def _rules(
    market: Market, offers: OfferTable, control: Floats, exposure: Floats, home_fit: Floats
) -> choice.ChoiceRules:
    p, labs = market.parameters, market.labs
    lab_bloc = labs.bloc[offers.lab]
    sold_in = np.ones((len(BLOCS), len(offers)), bool)
    # US labs do not sell their APIs in China; open weights cannot be kept out.
    sold_in[CN] = ~((offers.channel == LAB_API) & (lab_bloc == US))
    return choice.ChoiceRules(
        strength=labs.strength[offers.lab].T,
        brand=labs.brand[offers.lab],
        lab_bloc=lab_bloc,
        control=offers.degree * control[offers.channel],
        exposure=exposure[offers.channel] * (lab_bloc == CN),
        chinese_api=(offers.channel == LAB_API) & (lab_bloc == CN),
        sold_in=sold_in,
        home_fit=home_fit[:, offers.lab],
        success_width=p["demand.success_width"],
        dissimilarity=p["demand.nest_dissimilarity"],
        multi_home_discount=p["demand.multi_home_discount"],
        device_limit=p["serving.on_device_limit"],
    )


def needs(market: Market) -> Floats:
    """Return each workload's need this month at zero price [Mtok/month], shape (workloads,)."""
    p, table = market.parameters, market.workloads
    growth = np.array([p[f"demand.volume_growth.{c}"] for c in CLASSES])
    return usage.need_now(
        table.need,
        growth[table.kind],
        p["demand.volume_growth_fade"],
        years_since(market.month, REFERENCE),
        years_since(market.settings.history_until, REFERENCE),
    )


def _difficulty_rise(market: Market) -> Floats:
    p = market.parameters
    ambition = np.array([p[f"demand.ambition.{c}"] for c in CLASSES])
    return capability.difficulty_rise(ambition, market.releases.capability.max(), reference_frontier(market))


def reference_frontier(market: Market) -> float:
    """Return the capability of the best release up to January 2025 [ECI points]; of the evidence, if it is to come."""
    return max(seen.capability for seen in evidence.releases(until=REFERENCE))


def _used_in_organisation(market: Market) -> Bools:
    table, used = market.workloads, market.usage.release != NONE
    seen = np.zeros((int(table.organisation[-1]) + 1, len(market.labs.names)), bool)
    seen[table.organisation[used], market.releases.lab[market.usage.release[used]]] = True
    return seen


def _chinese_share(market: Market) -> float:
    """Return Chinese models' share of workloads outside China last month: what others are seen to use."""
    table, usage_now = market.workloads, market.usage
    abroad = (usage_now.release != NONE) & (table.bloc != CN)
    chinese = market.labs.bloc[market.releases.lab[usage_now.release[abroad]]] == CN
    weight = table.weight[abroad]
    return float(weight[chinese].sum() / weight.sum()) if len(weight) else 0.0


@dataclass(frozen=True)
class Usage:
    """What a month's users buy and what serving it takes.

    Shapes (workloads,): `price` on the channel in use [USD/Mtok], `tokens` served [Mtok/month], `spilled` those of them
    that hosts serve in place of the lab's full API, at `spill_price`. Shapes (labs,): `needed` serving compute of the
    tokens wanted from the API [H100e], `api_share` the part of the serving compute that the API gets, `load` as felt.
    `unmet` is what the world wanted and did not get [Mtok/month].
    """

    price: Floats
    tokens: Floats
    spilled: Floats
    spill_price: Floats
    needed: Floats
    api_share: Floats
    load: Floats
    unmet: float


def usage_month(market: Market, need: Floats, costs: offering.Costs, priced: offering.Prices) -> Usage:
    """Return what is bought and served at this month's needs; zero for workloads without a model (eq. 87)."""
    table, now, labs = market.workloads, market.usage, market.labs
    price, wanted = np.zeros(len(table)), np.zeros(len(table))
    uses = now.release != NONE
    release, kind = now.release[uses], table.kind[uses]
    price[uses] = paid_price(priced.by_class, priced.cluster, now.channel[uses], kind, release, need[uses])
    wanted[uses] = usage.tokens_bought(price[uses], need[uses], table.pain[uses])

    on_api = np.flatnonzero(uses & (now.channel == LAB_API))
    release, kind = now.release[on_api], table.kind[on_api]
    lab = market.releases.lab[release]
    hours = wanted[on_api] * table.weight[on_api] * costs.hours[release] * priced.mix[kind, release]
    needed = serving.accelerators_busy(accounts.totals(lab, hours, len(labs.names)))
    compute = np.maximum(resources.serving_compute(market), LEAST_COMPUTE)
    capacity = labs.api_share * compute
    if market.replaying:
        capacity = serving.api_capacity(market.parameters["serving.api_share"], compute, needed)

    tokens, spilled, spill_price = wanted.copy(), np.zeros(len(table)), np.zeros(len(table))
    tokens[on_api] *= serving.served_share(needed, capacity)[lab]
    is_open = market.releases.is_open[release]
    full = on_api[is_open]
    spilled[full] = wanted[full] - tokens[full]
    spill_price[full] = priced.by_class[HOST, kind[is_open], release[is_open]]
    tokens[full] = wanted[full]
    return Usage(
        price=price,
        tokens=tokens,
        spilled=spilled,
        spill_price=spill_price,
        needed=needed,
        api_share=capacity / compute,
        load=serving.next_load(labs.load, needed, capacity, market.parameters["serving.load_months"]),
        unmet=float(((wanted - tokens) * table.weight).sum()),
    )


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
    table, now, releases_ = market.workloads, market.usage, market.releases
    uses = (now.release != NONE).astype(float)
    tokens, spilled = now.tokens * table.weight, now.spilled * table.weight
    spend = now.spend * table.weight
    unit = _unit_cost(market, costs, priced)
    rows, channels = len(releases_.names), len(CHANNELS)
    is_open = np.where(now.release != NONE, releases_.is_open[now.release], False)
    chinese = np.where(now.release != NONE, market.labs.bloc[releases_.lab[now.release]] == CN, False)
    own = (now.channel >= SELF_HOST) & (now.release != NONE)

    def offered(amount: Floats, by_hosts: Floats | None = None) -> Floats:
        """Return an amount by offer, the part served by hosts in place of the lab taken over to them."""
        found = accounts.by_offer(now.release, now.channel, amount, rows, channels)
        if by_hosts is not None and now.spilled.any():
            found[:, HOST] += accounts.by_offer(now.release, now.channel, by_hosts, rows, channels)[:, LAB_API]
        return found

    def segment(amount: Floats) -> Floats:
        return accounts.by_segment(table.group, table.bloc, amount, len(GROUPS), len(BLOCS))

    used = uses * table.weight
    return accounts.Accounts(
        workloads=offered(used),
        tokens=offered(tokens - spilled, spilled),
        spend=offered((tokens - spilled) * now.price, spilled * now.spill_price),
        cost=offered((tokens - spilled) * unit, spilled * unit),
        segment_present=segment(now.present * table.weight),
        segment_workloads=segment(used),
        segment_tokens=segment(tokens),
        segment_spend=segment(spend),
        segment_open=segment(used * is_open),
        segment_chinese_open=segment(used * is_open * chinese),
        segment_own=segment(used * own),
        surplus=float((now.surplus * table.weight * now.present).sum()),
    )


def _unit_cost(market: Market, costs: offering.Costs, priced: offering.Prices) -> Floats:
    """Return the cost of serving each workload's tokens [USD/Mtok] (eq. 47).

    Caching and discounts save cost in proportion to price: a class costs its own mix times the cost at the list blend,
    at a lab as at a host. Own machines cost what their users pay.
    """
    now = market.usage
    cost = np.where(
        now.channel <= HOST, costs.marginal[now.release] * priced.mix[market.workloads.kind, now.release], now.price
    )
    return np.where(now.release == NONE, 0.0, cost)
