"""What a population uses and buys, added up (docs/model.md, section 4.8); NumPy twin: `sim.market.stages.usage`.

Sums run over the rows in order, in parts of fixed size that are added in order: neither the number of threads nor their
speed moves a bit.
"""

from __future__ import annotations

from sim.market.kernels.compiled import kernel
from sim.market.kernels.month import KINDS, NONE, SELF_HOST


@kernel
def tally(first, last, people, release, channel, surplus, month, need_growth, pain_growth, price, cluster, place, out):
    """Add the rows' use to `out`, shape (3, cells, states + 1): workloads, tokens wanted, spend (eq. 61).

    The last column of the first two holds, by cell, all workloads in the market and their surplus.

    Parameters
    ----------
    price : array, shape (channels, classes, releases)
        [USD/Mtok]; own machines at their highest utilisation.
    cluster : array, shape (channels, releases)
        A workload's part of the smallest own cluster [USD/month].
    place : array, shape (releases, channels)
        Number of each state in use.
    """
    end = out.shape[2] - 1
    for i in range(first, last):
        if people.arrival[i] > month:
            continue
        kind, weight = people.kind[i], people.weight[i]
        cell = people.segment[i] * KINDS + kind
        out[0, cell, end] += weight
        out[1, cell, end] += weight * surplus[i]
        r = release[i]
        if r == NONE:
            continue
        c = channel[i]
        need = people.need[i] * need_growth[kind]
        paid = price[c, kind, r]
        if c == SELF_HOST and cluster[c, r] > paid * need:
            paid = cluster[c, r] / need
        tokens = weight * need / (1.0 + paid * need / (people.pain[i] * pain_growth[kind]))
        state = place[r, c]
        out[0, cell, state] += weight
        out[1, cell, state] += tokens
        out[2, cell, state] += tokens * paid


@kernel
def in_use(first, last, release, channel, found):
    """Mark the states in use, `found` of shape (releases, channels)."""
    for i in range(first, last):
        if release[i] != NONE:
            found[release[i], channel[i]] = 1


@kernel
def by_organisation(first, last, release, organisation, lab, used):
    """Mark the labs that each organisation uses, `used` of shape (organisations, labs)."""
    for i in range(first, last):
        if release[i] != NONE:
            used[organisation[i], lab[release[i]]] = 1
