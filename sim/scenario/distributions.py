"""Uncertain numbers: seven kinds of distribution, each sampled through its inverse CDF from one uniform.

=============  =========================  ====================================================================
kind           arguments                  meaning
=============  =========================  ====================================================================
``uniform``    [low, high]                all values between equally likely
``normal``     [mean, sd]                 bell curve
``lognormal``  [median, sigma]            `sigma` is the standard deviation of the natural logarithm
``triangular`` [low, mode, high]          density rises to the mode and falls
``pert``       [low, mode, high]          Beta(1 + 4 (mode - low) / range, 1 + 4 (high - mode) / range) on the range
``choice``     [a, b] or {a: 1, b: 3}     one of the values, with weights
``empirical``  [x, y, z, ...]             one of the samples, all equally likely
=============  =========================  ====================================================================

Every sample is clipped into `bounds` and into the bounds of the parameter, so that a tail piles up at the bound.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sim.scenario.nodes import number_text

# Arguments of the kinds whose number of arguments is fixed; "spread" arguments are sizes, not values.
ARGUMENTS = {
    "uniform": ("low", "high"),
    "normal": ("mean", "sd"),
    "lognormal": ("median", "sigma"),
    "triangular": ("low", "mode", "high"),
    "pert": ("low", "mode", "high"),
}
KINDS = (*ARGUMENTS, "choice", "empirical")
MAX_SAMPLES = 1000
_INSIDE = 2.0**-54  # keeps a uniform away from 0 and 1, where normal tails are infinite


@dataclass(frozen=True)
class Distribution:
    """One uncertain value.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    args : tuple of float or tuple of str
        Arguments in the order of the table above; for `choice` and `empirical` the values.
    weights : tuple of float
        Weights of `choice`, one for each value; empty otherwise.
    bounds : tuple of float or None
        Bounds written in the scenario.
    low, high : float
        Bounds that samples are clipped into: `bounds` inside those of the parameter.
    integer : bool
        Samples are rounded to whole numbers.
    """

    kind: str
    args: tuple[Any, ...]
    weights: tuple[float, ...] = ()
    bounds: tuple[float, float] | None = None
    low: float = -math.inf
    high: float = math.inf
    integer: bool = False

    def quantile(self, u: float) -> float | str:
        """Return the value below which a sample lies with probability `u`, clipped and rounded as samples are.

        Parameters
        ----------
        u : float
            Probability, 0 <= u <= 1.
        """
        if self.kind in ("choice", "empirical"):
            value = self._pick(u)
            if isinstance(value, str):
                return value
        else:
            value = _QUANTILES[self.kind](min(max(u, _INSIDE), 1.0 - _INSIDE * 2), *self.args)
        value = min(max(value, self.low), self.high)
        return float(round(value)) if self.integer else value

    def _pick(self, u: float) -> Any:
        if self.kind == "empirical":
            return sorted(self.args)[min(int(u * len(self.args)), len(self.args) - 1)]
        heights = list(itertools.accumulate(self.weights))
        place = bisect.bisect_right(heights, u * heights[-1])
        last = max(i for i, weight in enumerate(self.weights) if weight > 0)
        return self.args[min(place, last)]

    def fault(self) -> str:
        """Return what is wrong with the arguments among themselves, or an empty text."""
        if self.kind in ("normal", "lognormal"):
            if self.args[1] <= 0:
                return f"{ARGUMENTS[self.kind][1]} must be above 0"
            if self.kind == "lognormal" and self.args[0] <= 0:
                return "the median must be above 0"
        elif self.kind in ARGUMENTS:
            if list(self.args) != sorted(self.args):
                return f"the order must be {' <= '.join(ARGUMENTS[self.kind])}"
            if self.args[0] == self.args[-1]:
                return "low and high are equal; write the number itself"
        elif self.kind == "choice" and (min(self.weights) < 0 or not 0 < math.fsum(self.weights) < math.inf):
            return "weights must be 0 or more and not all 0"
        if self.bounds is not None:
            if self.bounds[0] >= self.bounds[1]:
                return "bounds must be [low, high] with low below high"
            if self.kind in ("normal", "lognormal") and not self.bounds[0] <= self.args[0] <= self.bounds[1]:
                return f"the {ARGUMENTS[self.kind][0]} lies outside its own bounds"
        return ""

    def document(self) -> dict[str, Any]:
        """Return the distribution as a scenario file writes it."""
        arguments: Any = list(self.args)
        if self.kind == "choice" and any(weight != 1 for weight in self.weights):
            names = [value if isinstance(value, str) else number_text(value) for value in self.args]
            arguments = dict(zip(names, self.weights, strict=True))
        written: dict[str, Any] = {self.kind: arguments}
        if self.bounds is not None:
            written["bounds"] = list(self.bounds)
        return written


def _uniform(u: float, low: float, high: float) -> float:
    return min(max(low * (1.0 - u) + high * u, low), high)


def _normal(u: float, mean: float, sd: float) -> float:
    from scipy.special import ndtri

    return mean + sd * float(ndtri(u))


def _lognormal(u: float, median: float, sigma: float) -> float:
    from scipy.special import ndtri

    try:
        return median * math.exp(sigma * float(ndtri(u)))
    except OverflowError:
        return math.inf


def _triangular(u: float, low: float, mode: float, high: float) -> float:
    width = high - low
    left = (mode - low) / width
    if u < left:
        return min(low + width * math.sqrt(u * left), mode)
    return max(high - width * math.sqrt((1.0 - u) * (1.0 - left)), mode)


def _pert(u: float, low: float, mode: float, high: float) -> float:
    from scipy.special import betaincinv

    width = high - low
    rise, fall = 4.0 * (mode - low) / width, 4.0 * (high - mode) / width
    return min(low + width * float(betaincinv(1.0 + rise, 1.0 + fall, u)), high)


_QUANTILES: dict[str, Callable[..., float]] = {
    "uniform": _uniform,
    "normal": _normal,
    "lognormal": _lognormal,
    "triangular": _triangular,
    "pert": _pert,
}
