"""Accelerators in a month: the rules in force, what comes into each bloc, what labs can use.

Each function reads the market and returns what changes; `market.py` alone assigns it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sim import evidence
from sim.market.governments import Policy
from sim.market.stages import capability, compute
from sim.market.tables import Floats
from sim.months import parse_month, years_since
from sim.scenario.schema import BLOCS

if TYPE_CHECKING:
    from sim.market.market import Market

FIRST_STOCK = parse_month("2022-12")  # compute is followed from here, whatever the start of the scenario
DOMESTIC_REFERENCE = parse_month("2025-07")  # middle of the year whose domestic output is a parameter


@dataclass(frozen=True)
class Inflow:
    """What a month adds [H100e]: abroad, legally into China, the demand nobody licenses; domestic output [chips].

    `legal_cap` is the most that quotas and the importing government let in; infinite where shipments are replayed.
    """

    abroad: float
    legal: float
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
    return Policy(
        quota={tier: p[f"compute.cn.quota_{tier.lower()}"] for tier in compute.TIERS},
        leakage=policy.leakage,
        allowed=p["compute.cn.import_allowed"],
        cloud_open=policy.cloud_open,
        domestic_growth=policy.domestic_growth,
    )


def first_compute(p: Mapping[str, Any]) -> compute.ComputeState:
    """Return the stocks at the end of 2022: legal imports as observed, no diverted, one year of domestic output."""
    legal = evidence.china_legal_stock(FIRST_STOCK).median
    abroad = evidence.world_stock(FIRST_STOCK) - legal
    units = 12.0 * domestic_units(p, FIRST_STOCK)
    return compute.ComputeState(
        abroad=abroad,
        abroad_total=abroad,
        legal=legal,
        legal_total=legal,
        diverted=0.0,
        domestic=units * p["compute.perf.domestic"],
        rented=p["compute.cn.rented_share"] * abroad,
    )


def domestic_units(p: Mapping[str, Any], month: int) -> float:
    """Return China's monthly output of accelerators during the history [chips/month] (eq. 8)."""
    years = years_since(month, DOMESTIC_REFERENCE)
    return p["compute.cn.domestic_units_2025"] / 12.0 * p["compute.cn.domestic_past_growth"] ** years


def _domestic_after(market: Market) -> float:
    """Return the monthly output after the history (eq. 8): the last one, grown at the rates in force since."""
    p, until = market.parameters, market.settings.history_until
    units = domestic_units(p, until)
    growth, since = p["compute.cn.domestic_growth"], until
    for month, factor in market.policy.domestic_growth:
        units *= growth ** years_since(month, since)
        growth, since = factor, month
    return units * growth ** years_since(market.month, since)


def inflow(market: Market, month: int) -> Inflow:
    """Return what the month adds (eqs. 7, 9): shipments replayed in the history, rules after it."""
    p, policy = market.parameters, market.policy
    share = p["compute.cn.demand_share"]
    if month <= market.settings.history_until:
        legal = _observed_legal(month) - _observed_legal(month - 1)
        abroad = observed_abroad(month) - observed_abroad(month - 1)
        demand = share * (abroad + legal)
        licensed, cap, domestic = legal, float("inf"), domestic_units(p, month)
    else:
        # The mean of the last year stands at its middle, half a year before the hand-over.
        years = years_since(month, market.settings.history_until) + 0.5
        abroad = compute.additions_abroad(
            market.attached.added_abroad, p["compute.world.growth"], p["compute.world.growth_fade"], years
        )
        demand = share * abroad / (1.0 - share)
        perf = {tier: p[f"compute.perf.{tier.lower()}"] for tier in compute.TIERS}
        _, legal = compute.legal_imports(demand, month, quota=policy.quota, perf=perf, allowed=policy.allowed)
        _, licensed = compute.legal_imports(demand, month, quota=policy.quota, perf=perf, allowed=1.0)
        cap = compute.licensed_compute(month, quota=policy.quota, perf=perf)
        domestic = _domestic_after(market)
    return Inflow(
        abroad=abroad,
        legal=legal,
        legal_cap=cap,
        unlicensed=max(0.0, demand - licensed - domestic * p["compute.perf.domestic"]),
        domestic_units=domestic,
    )


def compute_month(market: Market, coming: Inflow) -> compute.ComputeState:
    """Return the stocks at the end of the month."""
    p, policy = market.parameters, market.policy
    return compute.next_compute(
        market.compute,
        added_abroad=coming.abroad,
        added_legal=coming.legal,
        unlicensed=coming.unlicensed,
        domestic_units=coming.domestic_units,
        domestic_perf=p["compute.perf.domestic"],
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


def bloc_stocks(market: Market) -> Floats:
    """Return the accelerators that labs of each bloc can use [H100e], in the order of `BLOCS` (eq. 10)."""
    p, state = market.parameters, market.compute
    us, eu = p["compute.us_share"], min(p["compute.eu_share"], 1.0 - p["compute.us_share"])
    stocks = {"US": us * state.abroad, "EU": eu * state.abroad, "CN": state.china, "ROW": (1 - us - eu) * state.abroad}
    return np.array([stocks[bloc] for bloc in BLOCS])


def serving_compute(market: Market) -> Floats:
    """Return the accelerators of each lab that serve users [H100e], shape (labs,) (eq. 85)."""
    p, labs = market.parameters, market.labs
    return labs.compute_share * bloc_stocks(market)[labs.bloc] * (1.0 - p["compute.research_share"])


def research_month(market: Market) -> Floats:
    """Return smoothed research compute of each lab [H100e], shape (labs,)."""
    p, labs = market.parameters, market.labs
    stock = np.maximum(bloc_stocks(market)[labs.bloc], 1.0)  # a bloc cut off from everything keeps one accelerator
    now = capability.research_compute(labs.compute_share, stock, p["compute.research_share"])
    now = np.maximum(now, 1e-3)  # a lab with a share of zero stays on the logarithmic scale
    if np.isnan(labs.research_compute[0]):
        return now
    return capability.smoothed(labs.research_compute, now, p["capability.smoothing_months"])
