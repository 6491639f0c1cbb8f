"""Stage 2: accelerators by bloc under export controls (docs/model.md, section 4.1). All stocks in H100-equivalents.

An accelerator has two weights: its worth in training, and its worth in serving, where memory bandwidth counts more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, fsum

from sim.market.kernels.elementary import exp

TIERS = ("B200", "H200", "H20")  # in the order in which a licensed buyer fills a need
STOCKS = ("abroad", "legal", "diverted", "domestic")  # what retires and is added to; rented compute is a level
REVENUE_BAND = 4.0  # revenue above four times its trend, or below a quarter, moves investment no further


@dataclass(frozen=True)
class Serving:
    """Accelerators of each source in serving weights [H100e]; the names are those of `ComputeState`."""

    abroad: float = 0.0
    legal: float = 0.0
    diverted: float = 0.0
    domestic: float = 0.0
    rented: float = 0.0

    @property
    def china(self) -> float:
        """Compute on which Chinese labs can serve [H100e]."""
        return self.legal + self.diverted + self.domestic + self.rented


@dataclass(frozen=True)
class ComputeState:
    """Stocks at the end of a month [H100e] and the month's flows into China, in training weights.

    `abroad` is everything outside China; `legal`, `diverted`, `domestic` and `rented` are China's. The `added_*`
    fields are flows of the month before retirement, `abroad_total` the count of all accelerators ever added. `serving`
    holds the same stocks in serving weights, `added_serving` the flows into them.
    """

    abroad: float
    abroad_total: float
    legal: float
    legal_total: float
    diverted: float
    domestic: float
    rented: float
    added_legal: float = 0.0
    added_diverted: float = 0.0
    added_domestic: float = 0.0
    added_domestic_units: float = 0.0
    serving: Serving = Serving()
    added_serving: Serving = Serving()

    @property
    def china(self) -> float:
        """Compute that Chinese labs can use [H100e]."""
        return self.legal + self.diverted + self.domestic + self.rented


def monthly_quota(quota: float, month: int) -> int:
    """Return the licensed units of a calendar month (eq. 4); twelve add up to the whole units of the yearly quota."""
    position = month % 12
    return floor(quota * (position + 1) / 12.0) - floor(quota * position / 12.0)


def legal_imports(
    demand: float, month: int, *, quota: Mapping[str, float], perf: Mapping[str, float], allowed: float
) -> tuple[dict[str, int], float]:
    """Fill a month's demand from the licensed tiers, best tier first, in whole units (eq. 5).

    Parameters
    ----------
    demand : float
        Demand for banned-class accelerators, H100e a month.
    month : int
        Month number.
    quota, perf : dict of str to float
        Licensed units a year and training weight [H100e/chip] by tier.
    allowed : float
        Share of the licensed units that the importing government lets in, applied to whole units first.

    Returns
    -------
    units : dict of str to int
        Units imported by tier; never above the quota.
    compute : float
        Their sum in H100e; never above `demand`.
    """
    units: dict[str, int] = {}
    left = demand
    for tier in TIERS:
        licensed = floor(monthly_quota(quota[tier], month) * allowed)
        wanted = floor(left / perf[tier]) if perf[tier] > 0 else 0
        units[tier] = max(0, min(licensed, wanted))
        left -= units[tier] * perf[tier]
    return units, worth(units, perf)


def worth(units: Mapping[str, int], perf: Mapping[str, float]) -> float:
    """Return the compute of units by tier at some weights [H100e] (eqs. 5, 13)."""
    return fsum(units[tier] * perf[tier] for tier in TIERS)


def licensed_compute(month: int, *, quota: Mapping[str, float], perf: Mapping[str, float]) -> float:
    """Return the compute that a month's quotas license at most [H100e] (eq. 5)."""
    return fsum(monthly_quota(quota[tier], month) * perf[tier] for tier in TIERS)


def additions_abroad(last_year: float, growth: float, fade: float, years: float) -> float:
    """Return accelerators added outside China in a month [H100e], `years` after the history (eq. 6).

    Growth starts at `growth` a year over the mean of the last year and fades at rate `fade`.
    """
    grown = years if fade == 0 else (1.0 - exp(-fade * years)) / fade
    return last_year / 12.0 * growth ** float(grown)


def revenue_response(revenue: float, reference: float, trend_growth: float, elasticity: float) -> float:
    """Return the factor by which revenue raises or lowers additions (eq. 8); 1 on trend and at elasticity zero.

    Parameters
    ----------
    revenue, reference : float
        Labs' averaged revenue now and at the hand-over [USD/month]; a market without revenue then has no trend of it.
    trend_growth : float
        Growth of trend additions since the hand-over, which revenue is measured against.
    elasticity : float
        Response of additions to revenue off its trend.
    """
    if reference <= 0.0:
        return 1.0
    relative = max(1.0 / REVENUE_BAND, revenue / reference / trend_growth)
    return min(REVENUE_BAND, relative) ** elasticity


def violations(
    before: ComputeState, after: ComputeState, *, retirement: float, legal_cap: float, diversion_cap: float
) -> list[str]:
    """Return the identities of compute that fail, each a sentence; empty when all hold.

    Parameters
    ----------
    before, after : ComputeState
        Stocks at the end of last month and of this one.
    retirement : float
        Share of a stock retired in a year.
    legal_cap : float
        Largest compute that quotas license this month [H100e]; infinite where shipments are replayed.
    diversion_cap : float
        Leakage times unlicensed demand [H100e].
    """
    keep = (1.0 - retirement) ** (1.0 / 12.0)
    abroad = after.abroad_total - before.abroad_total
    trained = Serving(abroad, after.added_legal, after.added_diverted, after.added_domestic)
    broken = []
    for old, new, flows, use in (
        (before, after, trained, "compute"),
        (before.serving, after.serving, after.added_serving, "serving compute"),
    ):
        for name in STOCKS:
            flow, stock = getattr(flows, name), getattr(new, name)
            expected = getattr(old, name) * keep + flow
            if not abs(stock - expected) <= 1e-9 * max(1.0, abs(expected)):
                broken.append(f"{name} {use} is not last month's less retirement plus what came in")
            if not (flow >= 0.0 and stock >= 0.0):
                broken.append(f"{name} {use} or its inflow is negative or not a number")
    if not after.added_legal <= legal_cap * (1.0 + 1e-12):
        broken.append(f"legal imports of {after.added_legal!r} exceed the licensed {legal_cap!r}")
    if not after.added_diverted <= diversion_cap * (1.0 + 1e-12):
        broken.append("diverted compute exceeds the leakage times the unlicensed demand")
    return broken


def next_compute(
    state: ComputeState,
    *,
    added_abroad: float,
    added_legal: float,
    added_legal_serving: float,
    unlicensed: float,
    domestic_units: float,
    domestic_perf: float,
    domestic_perf_serving: float,
    leakage: float,
    rented_share: float,
    cloud_open: float,
    retirement: float,
) -> ComputeState:
    """Return next month's stocks (eqs. 11, 12, 13): last month's less retirement, plus what came in.

    `diverted` is the leakage times `unlicensed`, the demand beyond what the exporter licenses and the home industry
    makes: an importing government's own restriction does not raise it. `rented` is a level: what clouds abroad rent
    out while they are open. What is abroad, rented or diverted serves as it trains: it is of the H100's kind.
    """
    keep = (1.0 - retirement) ** (1.0 / 12.0)
    diverted = leakage * unlicensed
    domestic = domestic_units * domestic_perf
    abroad = state.abroad * keep + added_abroad
    rented = rented_share * cloud_open
    added = Serving(added_abroad, added_legal_serving, diverted, domestic_units * domestic_perf_serving)
    old = state.serving
    serving = Serving(
        abroad=old.abroad * keep + added.abroad,
        legal=old.legal * keep + added.legal,
        diverted=old.diverted * keep + added.diverted,
        domestic=old.domestic * keep + added.domestic,
        rented=rented * (old.abroad * keep + added.abroad),
    )
    return ComputeState(
        abroad=abroad,
        abroad_total=state.abroad_total + added_abroad,
        legal=state.legal * keep + added_legal,
        legal_total=state.legal_total + added_legal,
        diverted=state.diverted * keep + diverted,
        domestic=state.domestic * keep + domestic,
        rented=rented * abroad,
        added_legal=added_legal,
        added_diverted=diverted,
        added_domestic=domestic,
        added_domestic_units=domestic_units,
        serving=serving,
        added_serving=added,
    )
