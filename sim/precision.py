"""How well replicates know a mean: Monte-Carlo error, interval, paired differences, and how many more are needed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

LEVEL = 0.95
_MOST_GROWTH, _LEAST_GROWTH = 2.0, 1.25  # of the number of replicates from one look at the interval to the next


@dataclass(frozen=True)
class Mean:
    """The mean of one number over replicates.

    Parameters
    ----------
    value : float
        NaN without a replicate.
    error : float
        Monte-Carlo standard error; NaN for fewer than two.
    half_width : float
        Half of the 95 % interval by Student's t; NaN for fewer than two.
    runs : int
        Replicates that have a value.
    """

    value: float
    error: float
    half_width: float
    runs: int


def mean(values: ArrayLike) -> Mean:
    """Return the mean of the finite values, with its error and interval."""
    sample = np.asarray(values, dtype=np.float64)
    sample = sample[np.isfinite(sample)]
    n = len(sample)
    if n < 2:
        return Mean(float(sample[0]) if n else math.nan, math.nan, math.nan, n)
    error = float(sample.std(ddof=1)) / math.sqrt(n)
    return Mean(float(sample.mean()), error, error * _quantile(n), n)


def paired_difference(a: ArrayLike, b: ArrayLike) -> Mean:
    """Return the mean of b less a over replicates that share their random numbers, both of shape (R,)."""
    return mean(np.asarray(b, dtype=np.float64) - np.asarray(a, dtype=np.float64))


def _quantile(n: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, 0.5 + LEVEL / 2))


def replicates_needed(values: ArrayLike, planned: int, half_width: float, most: int) -> int:
    """Return how many replicates a cell should have: `planned` if its interval is narrow enough, else more.

    A function of the first `planned` values alone, so that neither workers nor interruptions change it. The number
    grows by a quarter to twofold at a look, towards what the spread so far asks for. Looking again and again makes the
    interval of a cell that stops a little too narrow; with growing steps the coverage of a normal sample stays above
    0.93 (tests/experiment/test_precision.py).

    Parameters
    ----------
    values : array_like of shape (planned,)
        The metric in each replicate; NaN where it failed.
    planned : int
        Replicates so far.
    half_width : float
        Wanted.
    most : int
        Never more than that.
    """
    found = mean(values)
    if found.runs == 0 or (found.runs >= 2 and found.half_width <= half_width):
        return planned  # without a single value, more replicates would have none either
    wanted = planned * (found.half_width / half_width) ** 2 if found.runs >= 2 else math.inf
    bounded = min(max(wanted, planned * _LEAST_GROWTH), planned * _MOST_GROWTH)
    return min(most, max(planned + 1, math.ceil(bounded)))
