"""Stage 12: what surveys and trackers would have seen (docs/model.md, section 6).

Surveys are not the market: the router sees developers on APIs and hosts, weighted by where it bills; the enterprise
survey sees US enterprises; the hub sees downloads. Each function returns series by the names of
`sim/evidence/observations.csv`, in their units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import fsum

import numpy as np
from numpy.typing import NDArray

from sim.market.stages.accounts import in_order, ratio
from sim.market.stages.capability import months_behind
from sim.market.tables import NONE, Bools, Floats, Ints
from sim.scenario.schema import BLOCS, CLASSES

YEAR, COHORT = 12, 5  # months looked back by the yearly rates and by cohort retention
YEARLY_RATES = ("annual_vendor_switch_rate", "annual_upgrade_within_vendor_rate")
WEEKS = 365.25 / 7.0 / 12.0  # weeks in a month
CN, US = BLOCS.index("CN"), BLOCS.index("US")


class Memory:
    """What workloads used in the past year, as rings of months; NONE for no model or not yet there.

    Parameters
    ----------
    surveyed : array of int
        Workloads whose releases are remembered.
    routed : slice
        Workloads whose lines on the router are.
    weight : array, shape (workloads,)
        Workloads in the world that each stands for.
    """

    def __init__(self, surveyed: Ints, routed: slice, weight: Floats):
        self.surveyed, self.routed = surveyed, routed
        self.weight_surveyed, self.weight_routed = weight[surveyed], weight[routed]
        self.release = np.full((YEAR + 1, len(surveyed)), NONE, np.int32)
        self.line = np.full((YEAR + 1, routed.stop - routed.start), NONE, np.int16)
        self.month = -1

    def push(self, month: int, release: NDArray[np.int32], line: NDArray[np.int16]) -> None:
        """Store this month's use over that of thirteen months ago."""
        slot = month % (YEAR + 1)
        self.release[slot], self.line[slot] = release, line
        self.month = month

    def ago(self, months: int) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
        """Return the release of who is surveyed and the line of who is routed a number of months ago."""
        slot = (self.month - months) % (YEAR + 1)
        return self.release[slot], self.line[slot]


@dataclass(frozen=True)
class Sample:
    """What a panel sees used: releases on channels, shapes (states,), and of each class of work how much of them."""

    lab: Ints
    line: Ints
    is_open: Bools
    chinese: Bools
    amount: Floats  # (classes, states) tokens or workloads in the world
    spend: Floats  # (classes, states) USD/month


def share(amount: Floats, chosen: Bools) -> float:
    """Return the part of an amount that is chosen along the last axis, NaN for an empty sample."""
    return _part_of(amount)(chosen)


def _part_of(amount: Floats) -> Callable[[Bools], float]:
    """Return `share` of one amount, which is added up once."""
    whole = float(amount.sum())
    return lambda chosen: ratio(_sum(amount, chosen), whole)


def _sum(amount: Floats, chosen: Bools) -> float:
    return float(amount.compress(chosen, axis=-1).sum())


def router_series(
    sample: Sample, labs: tuple[str, ...], tokens_per_month: float, router_share: float
) -> dict[str, float]:
    """Return what a router of developers' requests shows: token shares, prices paid, mix of work.

    Parameters
    ----------
    sample : Sample
        Developers on lab APIs and hosts; `amount` in tokens weighted by billing country.
    labs : tuple of str
        Names of the labs.
    tokens_per_month : float
        Tokens of the whole market [Mtok/month].
    router_share : float
        Router's part of them.
    """
    tokens, spend, is_open = sample.amount, sample.spend, sample.is_open
    coding, on_open = tokens[CLASSES.index("coding")], tokens.compress(is_open, axis=-1)
    of_tokens, of_spend, of_open, of_coding = map(_part_of, (tokens, spend, on_open, coding))
    series = {
        "open_token_share": of_tokens(is_open),
        "chinese_open_token_share": of_tokens(is_open & sample.chinese),
        "rest_of_world_open_token_share": of_tokens(is_open & ~sample.chinese),
        "open_spend_share": of_spend(is_open),
        "chinese_spend_share": of_spend(sample.chinese),
        "mean_price_paid:closed": ratio(_sum(spend, ~is_open), _sum(tokens, ~is_open)),
        "mean_price_paid:open": ratio(_sum(spend, is_open), on_open.sum()),
        "workload_token_share:coding": ratio(coding.sum(), tokens.sum()),
        "workload_share_of_open:chat": ratio(on_open[CLASSES.index("chat")].sum(), on_open.sum()),
        "total_tokens_per_week": tokens_per_month * router_share / WEEKS / 1e6,
    }
    for name in ("OpenAI", "Anthropic", "Google"):
        series[f"lab_token_share:{name}"] = of_tokens(sample.lab == labs.index(name))
    series["lab_token_share:OpenAI+Anthropic+Google"] = fsum(
        series[f"lab_token_share:{name}"] for name in ("OpenAI", "Anthropic", "Google")
    )
    series["lab_share_of_workload:Anthropic/coding"] = of_coding(sample.lab == labs.index("Anthropic"))
    series["lab_share_of_open:DeepSeek"] = of_open(sample.lab[is_open] == labs.index("DeepSeek"))
    lines = np.broadcast_to(sample.line[is_open], on_open.shape).ravel()
    by_line = np.bincount(lines, weights=on_open.ravel()) if len(lines) else np.zeros(1)
    series["largest_line_share_of_open"] = ratio(by_line.max(), by_line.sum())
    return series


def enterprise_series(sample: Sample, labs: tuple[str, ...]) -> dict[str, float]:
    """Return what a survey of US enterprises shows: shares of workloads by openness and vendor."""
    of_workloads = _part_of(sample.amount)
    series = {
        "open_workload_share": of_workloads(sample.is_open),
        "chinese_open_workload_share": of_workloads(sample.is_open & sample.chinese),
    }
    for name in ("OpenAI", "Anthropic", "Google", "Meta", "Mistral", "DeepSeek"):
        series[f"lab_workload_share:{name}"] = of_workloads(sample.lab == labs.index(name))
    return series


def downloads_series(by_lab: Floats, before: Floats, lab_bloc: Ints, labs: tuple[str, ...]) -> dict[str, float]:
    """Return hub downloads: China's share of those of China and the US over the month, running totals in millions."""
    fresh = by_lab - before
    china, us = fresh[lab_bloc == CN].sum(), fresh[lab_bloc == US].sum()
    series = {
        "chinese_download_share_of_two": ratio(china, china + us),
        "cumulative_downloads:all": float(in_order(by_lab)[0]) / 1e6,
    }
    for name in ("Alibaba", "Meta"):
        series[f"cumulative_downloads:{name}"] = float(by_lab[labs.index(name)]) / 1e6
    series["cumulative_downloads:CN"] = float(by_lab[lab_bloc == CN].sum()) / 1e6
    series["cumulative_downloads:US"] = float(by_lab[lab_bloc == US].sum()) / 1e6
    return series


@dataclass(frozen=True)
class Race:
    """Records by openness and bloc up to now [ECI points]; lags in months, with and without a tie tolerance."""

    closed: float
    open: float
    us: float
    china: float
    gap_months: float
    gap_months_tied: float
    china_lag: float


def race(
    months: Ints, capability: Floats, is_open: Bools, bloc: Ints, on_api: Bools, *, now: int, tolerance: float
) -> Race:
    """Return the state of the capability race from all releases so far, each array of shape (releases,).

    The closed side is what can still be bought (`on_api`): where every lab opens, nothing is left of it in time, and
    the gap is NaN. A lag is the time since the leaders first had what the followers have today; with the tolerance,
    models that close count as tied.
    """

    def best(which: Bools) -> float:
        return float(capability[which].max()) if which.any() else float("nan")

    def lag(leaders: Bools, level: float, slack: float) -> float:
        return months_behind(months[leaders], capability[leaders], level + slack, now)

    us, china = bloc == US, bloc == CN
    open_best, china_best = best(is_open), best(china)
    return Race(
        closed=best(~is_open & on_api),
        open=open_best,
        us=best(us),
        china=china_best,
        gap_months=lag(~is_open, open_best, 0.0),
        gap_months_tied=lag(~is_open, open_best, tolerance),
        china_lag=lag(us, china_best, 0.0),
    )


def lowest_price(capability: Floats, price: Floats, level: float) -> float:
    """Return the lowest price of a model with capability `level` or more [USD/Mtok], NaN for none."""
    able = capability >= level
    return float(price[able].min()) if able.any() else float("nan")
