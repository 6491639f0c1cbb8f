"""Stage 11: who bought what from whom (docs/model.md, section 4.8). Money in USD, tokens in millions, per month."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sim.market.tables import HOST, LAB_API, ON_DEVICE, SELF_HOST, Floats, Ints

TOLERANCE = 1e-9  # relative, for sums that must agree


@dataclass(frozen=True)
class Accounts:
    """A month's flows.

    The first four have shape (releases, channels): workloads in the world, tokens bought, money spent, and the marginal
    cost of serving the tokens of labs and hosts. The segment arrays have shape (groups, blocs); `present` counts all
    workloads there, users or not.
    """

    workloads: Floats
    tokens: Floats
    spend: Floats
    cost: Floats
    segment_present: Floats
    segment_workloads: Floats
    segment_tokens: Floats
    segment_spend: Floats
    segment_open: Floats
    segment_chinese_open: Floats
    segment_own: Floats
    surplus: float

    @cached_property
    def all_workloads(self) -> float:
        """Workloads that use a model."""
        return float(self.workloads.sum())

    @cached_property
    def all_tokens(self) -> float:
        """Tokens bought."""
        return float(self.tokens.sum())

    @cached_property
    def all_spend(self) -> float:
        """Money spent, whoever earns it."""
        return float(self.spend.sum())

    @cached_property
    def spend_labs(self) -> float:
        """What labs earn on their own APIs."""
        return float(self.spend[:, LAB_API].sum())

    @cached_property
    def spend_hosts(self) -> float:
        """What hosts of open weights earn."""
        return float(self.spend[:, HOST].sum())

    @cached_property
    def spend_self_host(self) -> float:
        """What adopters spend on machines of their own."""
        return float(self.spend[:, SELF_HOST].sum() + self.spend[:, ON_DEVICE].sum())


def totals(code: Ints, amount: Floats, count: int) -> Floats:
    """Return the sum of the amounts of each code 0..count-1, added in the order of the rows, shape (count,)."""
    return np.asarray(np.bincount(code, weights=amount, minlength=count), dtype=np.float64)


def violations(accounts: Accounts) -> list[str]:
    """Return the identities that fail, each a sentence; empty when all hold (eq. 78).

    Workloads, tokens and money counted by seller must equal those counted by buyer; nothing is negative or not finite.
    """
    broken = []
    pairs = {
        "workloads by offer and by segment": (accounts.all_workloads, accounts.segment_workloads.sum()),
        "tokens by offer and by segment": (accounts.all_tokens, accounts.segment_tokens.sum()),
        "spend by seller and by buyer": (accounts.all_spend, accounts.segment_spend.sum()),
        "total spend and its three parts": (
            accounts.all_spend,
            accounts.spend_labs + accounts.spend_hosts + accounts.spend_self_host,
        ),
    }
    for name, (left, right) in pairs.items():
        if not abs(left - right) <= TOLERANCE * max(1.0, abs(left), abs(right)):  # so that NaN does not pass
            broken.append(f"{name} differ: {left!r} and {right!r}")
    if not np.isfinite(accounts.surplus):
        broken.append("the surplus is not finite")
    for name in ("workloads", "tokens", "spend", "cost", "segment_present"):
        values = getattr(accounts, name)
        if not (values.min() >= 0.0 and values.max() < np.inf):  # so that NaN does not pass
            broken.append(f"{name} has a negative or non-finite entry")
    if np.any(accounts.segment_workloads > accounts.segment_present * (1 + TOLERANCE)):
        broken.append("a segment uses more workloads than it has")
    return broken


def in_order(amount: Floats) -> Floats:
    """Return the sums over the last axis, which stays with length one, added from first to last.

    NumPy's own order depends on how many there are; here labs or lines without any use at the end change no bit.
    """
    return np.add.accumulate(amount, axis=-1)[..., -1:]


def herfindahl(shares: Floats) -> float:
    """Return the sum of squared shares, in [0, 1]; NaN where nothing is sold."""
    total = in_order(shares)
    return float(in_order((shares / total) ** 2)[0]) if total > 0 else float("nan")


def ratio(part: float, whole: float) -> float:
    """Return part over whole, NaN where the whole is nothing."""
    return float(part / whole) if whole > 0 else float("nan")
