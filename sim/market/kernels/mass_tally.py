"""What taste nodes buy, and the state that stands for each of them (docs/model.md, section 4.10)."""

from __future__ import annotations

import numpy as np

from sim.market.kernels.compiled import apart, kernel, lean
from sim.market.kernels.month import KINDS, NONE, ONE, SELF_HOST

LINE = 8  # numbers in a line of the cache


@lean
def move(mass, kept, first, seats):
    """Write the shares of the states kept, from place `first` on, into `seats`, which may be where they lie."""
    for place in range(first, len(kept)):
        for i in range(mass.shape[1]):
            seats[place, i] = mass[kept[place], i]


@kernel
def tally(people, release, channel, mass, present, surplus, need_growth, pain_growth, price, cluster, out):
    """Add the nodes' use to `out`, shape (3, cells, states): workloads, tokens wanted, spend (eq. 61).

    The first state of the first two holds, by cell, all workloads in the market and their surplus.

    Parameters
    ----------
    price : array, shape (channels, classes, releases)
        [USD/Mtok]; own machines at their highest utilisation.
    cluster : array, shape (channels, releases)
        A workload's part of the smallest own cluster [USD/month].
    """
    nodes, states = len(people.arrival), len(release)
    single, shares = np.zeros((2, states), np.float32), np.empty((LINE, states))
    listed, least = single[0], single[1]
    before = NONE
    for i in range(nodes):
        if i % LINE == 0:  # nodes that lie in one line of the cache
            for s in range(states):
                for k in range(min(LINE, nodes - i)):
                    shares[k, s] = mass[s, i + k]
        kind, weight = people.kind[i], people.weight[i]
        if kind != before:
            before = kind
            for s in range(1, states):
                listed[s] = price[channel[s], kind, release[s]]
                least[s] = cluster[channel[s], release[s]] if channel[s] == SELF_HOST else 0.0
        cell = people.segment[i] * KINDS + kind
        need, pain = people.need[i] * need_growth[kind], people.pain[i] * pain_growth[kind]
        out[0, cell, 0] += weight * present[i]
        out[1, cell, 0] += weight * surplus[i]
        buy(weight, need, pain, shares[i % LINE], listed, least, out[0, cell], out[1, cell], out[2, cell])


@apart
def buy(weight, need, pain, share, listed, least, used, tokens, spend):
    """Add what the users of one node's states buy."""
    amount, per, burden = np.float32(need), np.float32(1.0 / need), np.float32(need / pain)
    for s in range(1, len(share)):
        paid = least[s] * per if least[s] > listed[s] * amount else listed[s]
        users = weight * share[s]
        wanted = users * need * np.float64(ONE / (ONE + paid * burden))
        used[s] += users
        tokens[s] += wanted if share[s] > 0.0 else 0.0  # who uses it pays; others may find no price
        spend[s] += wanted * np.float64(paid) if share[s] > 0.0 else 0.0


@lean
def drawn(mass, point, reached, state):
    """Write the state of each node at a point of its shares; `reached` is room of shape (nodes,)."""
    nodes, states = len(point), mass.shape[0]
    for i in range(nodes):
        reached[i] = 0.0
        state[i] = 0
    for s in range(states - 1):
        row = mass[s]
        for i in range(nodes):
            reached[i] += row[i]
        for i in range(nodes):
            state[i] += 1 if reached[i] < point[i] else 0
