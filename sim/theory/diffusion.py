"""Closed forms outside prices: hosts on a circle, free entry, the spread of awareness."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from sim.market.stages.awareness import next_awareness
from sim.market.stages.host_entry import LEAST_HOSTS, free_entry, host_elasticity, host_markup
from sim.theory.benchmarks import Benchmark

BASS_P, BASS_Q, YEARS = 0.03, 0.38, 10.0


def rows() -> Iterable[Benchmark]:
    """Yield the benchmarks of hosts and awareness."""
    hosts = np.arange(2, 41)
    best = np.array([circle_markup(2.4, int(n)) for n in hosts])
    yield Benchmark(
        "markup of n hosts on a circle, t / n",
        "Salop 1979",
        float(np.abs(host_markup(2.4, hosts) / best - 1.0).max()),
        1e-9,
    )
    yield Benchmark("elasticity between hosts, -p n / t", "Salop 1979", _elasticity_residual(), 1e-8)
    yield Benchmark("free entry: n hosts earn, n + 1 would lose", "Salop 1979", _entry_residual(), 0.0)
    yield Benchmark("awareness without imitation, 1 - exp(-p t)", "Bass 1969", _innovation_residual(), 1e-12)
    yield Benchmark("awareness without innovation, the logistic curve", "Bass 1969", _imitation_residual(), 1e-6)
    yield Benchmark("awareness in small steps, Bass's closed form", "Bass 1969", _bass_residual(), 1e-6)


def circle_tokens(price: float, rival_price: float, transport: float, hosts: int) -> float:
    """Return the share of the circle that one of `hosts` equally spaced hosts serves; its rivals charge alike."""
    return max(0.0, 1.0 / hosts + (rival_price - price) / transport)


def circle_markup(transport: float, hosts: int) -> float:
    """Return the markup at which no host gains by another price, found by a search over prices and no formula."""
    from scipy.optimize import brentq, minimize_scalar

    def best_reply(rival: float) -> float:
        answer = minimize_scalar(
            lambda p: -p * circle_tokens(p, rival, transport, hosts),
            bounds=(0.0, rival + transport / hosts),
            method="bounded",
            options={"xatol": 1e-13},
        )
        # Profit is a parabola around its top: its vertex through three points is sharper than the search.
        step = 0.1 * transport / hosts
        low, mid, high = (
            q * circle_tokens(q, rival, transport, hosts) for q in (answer.x - step, answer.x, answer.x + step)
        )
        return float(answer.x + 0.5 * step * (low - high) / (low - 2.0 * mid + high))

    unit = transport / hosts
    found = brentq(lambda rival: best_reply(rival) - rival, 0.2 * unit, 4.0 * unit, xtol=1e-14, full_output=False)
    return float(np.asarray(found))


def _elasticity_residual() -> float:
    price, transport, hosts, step = 0.9, 2.4, 3, 1e-6
    up, down = (circle_tokens(price + side, price, transport, hosts) for side in (step, -step))
    slope = (up - down) / (2.0 * step)
    right = slope * price / circle_tokens(price, price, transport, hosts)
    return abs(float(host_elasticity(np.array(price), transport, hosts)) / right - 1.0)


def _entry_residual() -> float:
    """Return the largest loss of an entrant that stays, or gain of one that stays out, relative to its fixed cost."""
    tokens, transport, fixed_cost = np.exp(np.linspace(0.0, 16.0, 200)), 2.4, 37.0
    hosts = free_entry(transport, tokens, fixed_cost)

    def profit(number: np.ndarray) -> np.ndarray:
        return host_markup(transport, number) * tokens / number / fixed_cost - 1.0

    inside = np.where(hosts > LEAST_HOSTS, np.maximum(0.0, -profit(hosts)), 0.0)
    return float(max(inside.max(), np.maximum(0.0, profit(hosts + 1)).max(initial=0.0)))


def _path(steps: int, innovation: float, imitation: float, start: float = 0.0) -> float:
    aware = np.full((1, 1), start)
    length = YEARS / steps
    for _ in range(steps):
        aware = next_awareness(aware, aware, innovation=innovation * length, imitation=imitation * length)
    return float(aware[0, 0])


def _innovation_residual() -> float:
    return abs(_path(120, BASS_P, 0.0) / -np.expm1(-BASS_P * YEARS) - 1.0)


def _imitation_residual() -> float:
    odds = 0.02 / 0.98 * np.exp(BASS_Q * YEARS)
    coarse, fine = (_path(steps, 0.0, BASS_Q, 0.02) for steps in (2000, 4000))
    return abs(2.0 * fine - coarse - odds / (1.0 + odds))


def _bass_residual() -> float:
    decay = np.exp(-(BASS_P + BASS_Q) * YEARS)
    right = (1.0 - decay) / (1.0 + BASS_Q / BASS_P * decay)
    coarse, fine = _path(2000, BASS_P, BASS_Q), _path(4000, BASS_P, BASS_Q)
    return abs(2.0 * fine - coarse - right)
