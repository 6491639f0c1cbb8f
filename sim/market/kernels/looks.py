"""Who looks again, in blocks of one class, and how many look at each lab (docs/model.md, eqs. 48, 49)."""

from __future__ import annotations

import numpy as np

from sim.market.kernels.compiled import piece, prefetch
from sim.market.kernels.draws import uniform
from sim.market.kernels.month import CHANNELS, KINDS, LANES, NONE
from sim.market.kernels.room import WORD


@piece
def who_looks(first, last, people, now_release, now_channel, reach, uses, rules, review, upgrade, looks):
    """Write 0, 1 (looks at all vendors) or 2 (at its own vendor's offers alone) for each row (eqs. 48, 49).

    `review` and `upgrade` are room for the draws of `LANES` rows.
    """
    none = len(uses.lab) - 1
    for begin in range(first, last, LANES):
        count = min(LANES, last - begin)
        house, arrival = people.organisation[begin : begin + count], people.arrival[begin : begin + count]
        release, channel = now_release[begin : begin + count], now_channel[begin : begin + count]
        reached, look = reach[begin : begin + count], looks[begin - first : begin - first + count]
        for k in range(count):
            review[k] = uniform(rules.review_key, house[k])
        for k in range(count):
            upgrade[k] = uniform(rules.upgrade_key, house[k])
        for k in range(count):
            s = np.uint32(release[k] * CHANNELS + channel[k] if release[k] != NONE else none)
            barred = reached[k, uses.bloc[s]] >= uses.ban_level[s]
            comes = (s == none) & (arrival[k] == rules.month)
            own = uses.vendor[s] if upgrade[k] < uses.hazard[s] else 0
            every = (review[k] < rules.review) | barred | comes
            look[k] = (1 if every else own) if arrival[k] <= rules.month else 0


@piece
def by_class(start, stop, kinds, now_release, vendor, scratch):
    """Write the rows that look, in their order, and by class: who looks at all vendors, then the others by vendor.

    `vendor` is the lab of each release. A block whose rows look at few vendors has few offers to value.
    """
    looks, lookers, first, looking = scratch.looks, scratch.lookers, scratch.first, 0
    for i in range(start, stop):
        lookers[looking] = i
        looking += 1 if looks[i - start] else 0
    first[:] = 0
    ways = (len(first) - 2) // KINDS
    for place in range(looking):
        i = lookers[place]
        scratch.way[place] = kinds[i] * ways + (1 + vendor[now_release[i]] if looks[i - start] == 2 else 0)
        first[scratch.way[place] + 2] += 1
    for way in range(len(first) - 2):
        first[way + 2] += first[way + 1]
    for place in range(looking):
        way = scratch.way[place] + 1
        scratch.rows[first[way]] = lookers[place]
        first[way] += 1


@piece
def seat(begin, count, traits, scratch):
    """Write the rows of a block, the first one on seats that are left, and ask for those of the next block."""
    last = scratch.first[-2]
    for k in range(LANES):
        scratch.seats[k] = scratch.rows[begin + k if k < count else begin]
        if begin + LANES + k < last:
            prefetch(traits, scratch.rows[begin + LANES + k])


@piece
def note(start, count, scratch):
    """Write which labs the rows of a block know, for the rows from `start` on."""
    known, sees, bits = scratch.known, scratch.sees, scratch.bits
    bits[:] = 0
    for lab in range(known.shape[0]):
        for k in range(LANES):
            bits[lab // WORD, k] |= known[lab, k] << (lab % WORD)
    for word in range(sees.shape[1]):
        for k in range(count):
            sees[scratch.seats[k] - start, word] = bits[word, k]


@piece
def count_looks(start, weights, scratch):
    """Add the workloads that look at each lab, in the order of the rows."""
    counts = scratch.counts
    for place in range(scratch.first[-2]):
        i = scratch.lookers[place]
        weight = weights[i]
        for word in range(scratch.sees.shape[1]):
            bits = scratch.sees[i - start, word]
            for lab in range(counts.shape[1]):
                counts[word, lab] += weight if (bits >> lab) & 1 else 0.0
