"""Accelerators in a month: the rules in force, what comes into each bloc, what labs can use.

Each function reads the market and returns what changes; `market.py` alone assigns it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sim import evidence
from sim.market.governments import Policy, research_grants
from sim.market.stages import capability, compute
from sim.market.tables import Floats
from sim.months import parse_month, years_since
from sim.scenario.schema import BLOCS

if TYPE_CHECKING:
    from sim.market.market import Market

FIRST_STOCK = parse_month("2022-12")  # compute is followed from here, whatever the start of the scenario
DOMESTIC_REFERENCE = parse_month("2025-07")  # middle of the year whose domestic output is a parameter
REVENUE_MEMORY = 12.0  # months over which labs' revenue is averaged: a budget year
HAND_OVER_YEARS = 0.5  # the mean of the last year stands at its middle, half a year before the hand-over
H20_IN_EVIDENCE = 0.15  # H100e, the weight by which the replayed shipments count an H20
BEFORE_H20 = frozenset({"A100", "H100", "A800", "H800"})  # tiers that serve as they train


@dataclass(frozen=True)
class Inflow:
    """What a month adds [H100e]: abroad, legally into China, the demand nobody licenses; domestic output [chips].

    `legal_serving` is the legal inflow in serving weights; `legal_cap` is the most that quotas and the importing
    government let in, infinite where shipments are replayed.
    """

    abroad: float
    legal: float
    legal_serving: float
    legal_cap: float
    unlicensed: float
    domestic_units: float


def first_policy(p: Mapping[str, Any]) -> Policy:
    """Return the rules during the history; quotas are not used there, since shipments are replayed."""
    return Policy(quota=dict.fromkeys(compute.TIERS, 0.0), leakage=p["compute.cn.leakage"], allowed=1.0, cloud_open=1.0)


def replayed_policy(policy: Policy, month: int) -> Policy:
    """Return the policy with the tiers that could be sold to China in a month of the history, as observed.

    How much was sold is replayed as shipments, so an open tier has no quota here.
    """
    seen = evidence.tiers_allowed(month)
    return replace(policy, quota={tier: float("inf") if tier in seen else 0.0 for tier in compute.TIERS})


def policy_after_history(policy: Policy, p: Mapping[str, Any]) -> Policy:
    """Return the rules that hold from the first month after the history, before the scenario's events."""
    quota = {tier: p[f"compute.cn.quota_{tier.lower()}"] for tier in compute.TIERS}
    return replace(policy, quota=quota, allowed=p["compute.cn.import_allowed"])


def first_compute(p: Mapping[str, Any]) -> compute.ComputeState:
    """Return the stocks at the end of 2022: legal imports as observed, no diverted, one year of domestic output."""
    legal = evidence.china_legal_stock(FIRST_STOCK).median
    abroad = evidence.world_stock(FIRST_STOCK) - legal
    units = 12.0 * domestic_units(p, FIRST_STOCK)
    rented = p["compute.cn.rented_share"] * abroad
    serving = compute.Serving(abroad, legal, 0.0, units * p["compute.perf_infer.domestic"], rented)
    return compute.ComputeState(
        abroad=abroad,
        abroad_total=abroad,
        legal=legal,
        legal_total=legal,
        diverted=0.0,
        domestic=units * p["compute.perf.domestic"],
        rented=rented,
        serving=serving,
    )


def domestic_units(p: Mapping[str, Any], month: int) -> float:
    """Return China's monthly output of accelerators during the history [chips/month] (eq. 10)."""
    years = years_since(month, DOMESTIC_REFERENCE)
    return p["compute.cn.domestic_units_2025"] / 12.0 * p["compute.cn.domestic_past_growth"] ** years


def _domestic_after(market: Market) -> float:
    """Return the monthly output after the history (eq. 10): the last one, grown at the rates in force since."""
    p, until = market.parameters, market.settings.history_until
    units = domestic_units(p, until)
    growth, since = p["compute.cn.domestic_growth"], until
    for month, factor in market.policy.domestic_growth:
        units *= growth ** years_since(month, since)
        growth, since = factor, month
    return units * growth ** years_since(market.month, since)


def inflow(market: Market, month: int) -> Inflow:
    """Return what the month adds (eqs. 9, 11): shipments replayed in the history, rules after it."""
    p, policy = market.parameters, market.policy
    share = p["compute.cn.demand_share"]
    if month <= market.settings.history_until:
        legal = _observed_legal(month) - _observed_legal(month - 1)
        abroad = observed_abroad(month) - observed_abroad(month - 1)
        demand = share * (abroad + legal)
        licensed, cap, domestic = legal, float("inf"), domestic_units(p, month)
        serving = legal * replayed_serving_weight(p, month)
    else:
        abroad = _added_abroad(market, month)
        demand = share * abroad / (1.0 - share)
        perf, perf_infer = (
            {tier: p[f"compute.{use}.{tier.lower()}"] for tier in compute.TIERS} for use in ("perf", "perf_infer")
        )
        units, legal = compute.legal_imports(demand, month, quota=policy.quota, perf=perf, allowed=policy.allowed)
        serving = compute.worth(units, perf_infer)
        _, licensed = compute.legal_imports(demand, month, quota=policy.quota, perf=perf, allowed=1.0)
        cap = compute.licensed_compute(month, quota=policy.quota, perf=perf)
        domestic = _domestic_after(market)
    return Inflow(
        abroad=abroad,
        legal=legal,
        legal_serving=serving,
        legal_cap=cap,
        unlicensed=max(0.0, demand - licensed - domestic * p["compute.perf.domestic"]),
        domestic_units=domestic,
    )


def replayed_serving_weight(p: Mapping[str, Any], month: int) -> float:
    """Return serving over training weight of the accelerators China bought in a month of the history (eq. 13).

    What arrived after the older tiers were closed were H20, in the months without a licence too.
    """
    return 1.0 if BEFORE_H20 & {*evidence.tiers_allowed(month)} else p["compute.perf_infer.h20"] / H20_IN_EVIDENCE


def _added_abroad(market: Market, month: int) -> float:
    """Return what is added outside China in a month after the history [H100e] (eq. 8)."""
    p, start = market.parameters, market.attached
    growth, fade = p["compute.world.growth"], p["compute.world.growth_fade"]
    years = HAND_OVER_YEARS + years_since(month, market.settings.history_until)
    trend = compute.additions_abroad(start.added_abroad, growth, fade, years)
    at_start, last_month = (
        compute.additions_abroad(start.added_abroad, growth, fade, y) for y in (HAND_OVER_YEARS, years - 1.0 / 12.0)
    )
    response = compute.revenue_response(  # revenue is that of last month, and so is the trend it is held against
        market.revenue, start.revenue, last_month / at_start, p["compute.revenue_elasticity"]
    )
    return trend * response * market.policy.world_compute


def revenue_month(market: Market) -> float:
    """Return labs' averaged revenue to last month [USD/month]; NaN where no month came before."""
    return float("nan") if market.month == market.settings.start else averaged_revenue(market)


def averaged_revenue(market: Market) -> float:
    """Return labs' revenue averaged over a year, with the last month in the books [USD/month] (eq. 7)."""
    now = market.accounts.spend_labs
    before = now if np.isnan(market.revenue) else market.revenue
    return before + (now - before) / REVENUE_MEMORY


def compute_month(market: Market, coming: Inflow) -> compute.ComputeState:
    """Return the stocks at the end of the month."""
    p, policy = market.parameters, market.policy
    return compute.next_compute(
        market.compute,
        added_abroad=coming.abroad,
        added_legal=coming.legal,
        added_legal_serving=coming.legal_serving,
        unlicensed=coming.unlicensed,
        domestic_units=coming.domestic_units,
        domestic_perf=p["compute.perf.domestic"],
        domestic_perf_serving=p["compute.perf_infer.domestic"],
        leakage=policy.leakage,
        rented_share=p["compute.cn.rented_share"],
        cloud_open=policy.cloud_open,
        retirement=p["compute.retirement"],
    )


def _observed_legal(month: int) -> float:
    return evidence.china_legal_stock(month).median


def observed_abroad(month: int) -> float:
    """Return the accelerators outside China at the end of a month of the history [H100e]."""
    return evidence.world_stock(month) - _observed_legal(month)


def bloc_stocks(market: Market, *, serving: bool = False) -> Floats:
    """Return the accelerators that labs of each bloc can use [H100e], in the order of `BLOCS` (eq. 12).

    In training weights, or in serving weights.
    """
    p, state = market.parameters, market.compute.serving if serving else market.compute
    us, eu = p["compute.us_share"], min(p["compute.eu_share"], 1.0 - p["compute.us_share"])
    stocks = {"US": us * state.abroad, "EU": eu * state.abroad, "CN": state.china, "ROW": (1 - us - eu) * state.abroad}
    return np.array([stocks[bloc] for bloc in BLOCS])


def serving_compute(market: Market) -> Floats:
    """Return the accelerators on which each lab serves, in serving weights [H100e], shape (labs,) (eq. 15)."""
    labs, research = market.labs, market.parameters["compute.research_share"]
    return labs.compute_share * bloc_stocks(market, serving=True)[labs.bloc] * (1.0 - research)


def research_month(market: Market) -> Floats:
    """Return smoothed research compute of each lab [H100e], shape (labs,)."""
    p, labs = market.parameters, market.labs
    stock = np.maximum(bloc_stocks(market)[labs.bloc], 1.0)  # a bloc cut off from everything keeps one accelerator
    now = capability.research_compute(labs.compute_share, stock, p["compute.research_share"])
    now = now * research_grants(market.policy, labs, market.lines, market.releases)
    now = np.maximum(now, 1e-3)  # a lab with a share of zero stays on the logarithmic scale
    if np.isnan(labs.research_compute[0]):
        return now
    return capability.smoothed(labs.research_compute, now, p["capability.smoothing_months"])
