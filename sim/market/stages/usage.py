"""Stage 9: tokens bought (docs/model.md, section 4.5). Tokens and utility belong together by Roy's identity."""

from __future__ import annotations

from sim.market.kernels.elementary import expm1, log1p, power
from sim.market.tables import Floats


def need_now(need: Floats, growth: Floats, fade: float, years: float, years_at_hand_over: float) -> Floats:
    """Return each workload's need at zero price [Mtok/month], shape (workloads,) (eq. 60).

    Parameters
    ----------
    need : array, shape (workloads,)
        Need in January 2025.
    growth : array, shape (workloads,)
        Growth factor a year; it fades at rate `fade` after the hand-over.
    fade : float
        Rate of fading, 1/year.
    years, years_at_hand_over : float
        Time since January 2025 of this month and of the hand-over.
    """
    after = max(0.0, years - years_at_hand_over)
    grown = min(years, years_at_hand_over) + (after if fade == 0 else -expm1(-fade * after) / fade)
    return need * power(growth, grown)


def pain_now(pain: Floats, need_ratio: Floats, exponent: float) -> Floats:
    """Return the bill that starts to hurt this month [USD/month], shape of `pain` (eq. 60).

    Parameters
    ----------
    pain : array, shape (workloads,)
        In the base year [USD/month].
    need_ratio : array, shape (workloads,)
        Need this month over that of the hand-over, 1 before it.
    exponent : float
        Growth of pain with volume between workloads, times the part of it that holds over time.
    """
    return pain * power(need_ratio, exponent)


def tokens_bought(price: Floats, need: Floats, pain: Floats) -> Floats:
    """Return x = v / (1 + p v / pain) [Mtok/month], shape broadcast (eq. 61)."""
    return need / (1.0 + price * need / pain)


def bill_disutility(price: Floats, need: Floats, pain: Floats) -> Floats:
    """Return log(1 + p v / pain), the disutility of a bill per unit of price sensitivity, shape broadcast (eq. 52).

    Its derivative with respect to the price is `tokens_bought` over pain, which is Roy's identity.
    """
    return log1p(price * need / pain)
