"""Which older open weights stay on sale, to the bit of `sim.market.stages.versions` (docs/model.md, section 4.3)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sim.market.kernels import arithmetic
from sim.market.kernels.compiled import kernel


class Asked(NamedTuple):
    """Taste nodes that are asked what they make of weights; shapes (nodes,), units as in `Choosers`."""

    kind: Any
    need: Any  # this month's
    pain: Any  # this month's
    price_sensitivity: Any
    value: Any
    difficulty: Any  # this month's


@kernel
def write_wanted(asked, capability, price, width, utility):
    """Write success less bill, (nodes, weights), of capabilities and prices of shape (classes, weights) (eq. 96)."""
    for r in range(len(asked.kind)):
        kind, need, pain, hard = asked.kind[r], asked.need[r], asked.pain[r], asked.difficulty[r]
        value, alpha = asked.value[r], asked.price_sensitivity[r]
        for j in range(utility.shape[1]):
            success = 1.0 / (arithmetic.exp((hard - capability[kind, j]) / width) + 1.0)
            utility[r, j] = success * value - alpha * arithmetic.log1p(price[kind, j] * need / pain)


@kernel
def missed_most(utility, weight, first, found):
    """Write the versions that buyers of each line would miss most beside its last, (lines, versions) (eq. 96).

    The versions of line i are columns first[i] to first[i + 1] of `utility`; places in it ascend, after -1 for none.
    """
    buyers, count = len(weight), found.shape[1]
    best, gain = np.empty(buyers), np.empty(utility.shape[1])
    for i in range(len(found)):
        start, newest = first[i], first[i + 1] - 1
        found[i] = -1
        best[:] = utility[:, newest]
        for place in range(count):
            gain[start:newest] = 0.0
            for r in range(buyers):
                for j in range(start, newest):
                    more = utility[r, j] - best[r]
                    gain[j] += (more if more > 0.0 else 0.0) * weight[r]
            most, largest = newest, 0.0
            for j in range(start, newest):
                if gain[j] > largest:
                    most, largest = j, gain[j]
            if most == newest:
                break
            found[i, place] = most - start
            for r in range(buyers):
                if utility[r, most] > best[r]:
                    best[r] = utility[r, most]
        found[i].sort()
