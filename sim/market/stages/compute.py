"""Stage 2: accelerators by bloc under export controls (docs/model.md, section 4.1). All stocks in H100-equivalents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum

import numpy as np

TIERS = ("B200", "H200", "H20")  # in the order in which a licensed buyer fills a need


@dataclass(frozen=True)
class ComputeState:
    """Stocks at the end of a month [H100e] and the month's flows into China.

    `abroad` is everything outside China; `legal`, `diverted`, `domestic` and `rented` are China's. The `added_*`
    fields are flows of the month before retirement, `abroad_total` the count of all accelerators ever added.
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

    @property
    def china(self) -> float:
        """Compute that Chinese labs can use [H100e]."""
        return self.legal + self.diverted + self.domestic + self.rented


def monthly_quota(quota: float, month: int) -> int:
    """Return the licensed units of a calendar month (eq. 4); twelve add up to the whole units of the yearly quota."""
    position = month % 12
    return int(np.floor(quota * (position + 1) / 12.0)) - int(np.floor(quota * position / 12.0))


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
        licensed = int(np.floor(monthly_quota(quota[tier], month) * allowed))
        wanted = int(np.floor(left / perf[tier])) if perf[tier] > 0 else 0
        units[tier] = max(0, min(licensed, wanted))
        left -= units[tier] * perf[tier]
    return units, fsum(units[t] * perf[t] for t in TIERS)


def additions_abroad(last_year: float, growth: float, fade: float, years: float) -> float:
    """Return accelerators added outside China in a month [H100e], `years` after the history (eq. 6).

    Growth starts at `growth` a year over the mean of the last year and fades at rate `fade`.
    """
    grown = years if fade == 0 else (1.0 - np.exp(-fade * years)) / fade
    return last_year / 12.0 * float(np.exp(np.log(growth) * grown))


def next_compute(
    state: ComputeState,
    *,
    added_abroad: float,
    added_legal: float,
    unlicensed: float,
    domestic_units: float,
    domestic_perf: float,
    leakage: float,
    rented_share: float,
    cloud_open: float,
    retirement: float,
) -> ComputeState:
    """Return next month's stocks (eqs. 9, 10): last month's less retirement, plus what came in.

    `diverted` is the leakage times `unlicensed`, the demand beyond what the exporter licenses and the home industry
    makes: an importing government's own restriction does not raise it. `rented` is a level: what clouds abroad rent
    out while they are open.
    """
    keep = (1.0 - retirement) ** (1.0 / 12.0)
    diverted = leakage * unlicensed
    domestic = domestic_units * domestic_perf
    abroad = state.abroad * keep + added_abroad
    return ComputeState(
        abroad=abroad,
        abroad_total=state.abroad_total + added_abroad,
        legal=state.legal * keep + added_legal,
        legal_total=state.legal_total + added_legal,
        diverted=state.diverted * keep + diverted,
        domestic=state.domestic * keep + domestic,
        rented=rented_share * cloud_open * abroad,
        added_legal=added_legal,
        added_diverted=diverted,
        added_domestic=domestic,
        added_domestic_units=domestic_units,
    )
