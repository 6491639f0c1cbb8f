"""What one lab would earn at other list prices of its own, for the price term `bill`.

Twin: `stages/deviations.py`. A trial changes some prices of one lab; nests in which it changes none keep their weights.
"""

from __future__ import annotations

import numpy as np

from sim.market.kernels.compiled import apart, fma, kernel
from sim.market.kernels.fold import ROWS, copy, fill, powers
from sim.market.kernels.prices import exponentials
from sim.market.kernels.sums import dot


@apart
def _others(folded, block, layout, lab, weight, raw, every, earned):
    """Write what nests without list prices of a lab weigh and earn it, per unit of all weights, for a block."""
    copy(folded.rest[block], every)
    copy(folded.rest_earned[block, lab], earned)
    for n in range(len(layout.first) - 1):
        if not layout.sells[n, lab]:
            for r in range(ROWS):
                every[r] += weight[n, r]
            c = layout.cell_of[n, lab]
            if c >= 0:
                for r in range(ROWS):
                    earned[r] += raw[c, r]


@apart
def _try_nest(folded, block, layout, lam, nest, lab, price, cost, adoption, steps, total, raw, member, slope):
    """Write a nest's sum of exponentials at other prices, and what it earns a lab for each unit of scale."""
    amount = folded.amount[block]
    copy(folded.held[block, nest], total)
    copy(folded.held_earned[block, layout.cell_of[nest, lab]], raw)
    for j in range(layout.first[nest], layout.first[nest + 1]):
        loading = folded.loading[block, j]
        exponentials(folded, block, j, layout.steep[nest], price[j], steps, member, slope)
        for r in range(ROWS):
            total[r] += member[r]
        if layout.lab[j] == lab:
            kept, worth = price[j] - cost[j], adoption[j]
            for r in range(ROWS):
                raw[r] += slope[r] * (member[r] * amount[r]) * fma(loading[r], kept, worth)


@kernel
def earnings_tried(folded, layout, lam, price, cost, adoption, work, trial_lab, trial_price, earned):
    """Write what lab `trial_lab[t]` earns at list prices `trial_price[t]`, all others staying [USD/month].

    Trials of one lab follow each other; only its own entries of `trial_price`, shape (trials, priced), may differ from
    `price`, for which `work` has been evaluated.
    """
    nests = len(layout.first) - 1
    weight, raw = np.empty((nests, ROWS)), np.empty((len(layout.cell_nest), ROWS))
    others, of_others = np.empty(ROWS), np.empty(ROWS)  # weights and earnings without the nests of the lab
    every, kept = np.empty(ROWS), np.empty(ROWS)  # with them
    total, value, member, slope, ones = np.empty(ROWS), np.empty(ROWS), np.empty(ROWS), np.empty(ROWS), np.ones(ROWS)
    fill(earned, 0.0)
    for block in range(len(folded.rest)):
        for n in range(nests):
            for r in range(ROWS):
                weight[n, r] = work.total[block, n, r] * work.scale[block, n, r] / work.every[block, r]
        for c in range(len(raw)):
            for r in range(ROWS):
                raw[c, r] = work.cell[block, c, r] / work.every[block, r]
        before = -1
        for trial in range(len(trial_lab)):
            lab, tried = trial_lab[trial], trial_price[trial]
            if lab != before:
                _others(folded, block, layout, lab, weight, raw, others, of_others)
                before = lab
            copy(others, every)
            copy(of_others, kept)
            for n in range(nests):
                if layout.sells[n, lab]:
                    changed = False
                    for j in range(layout.first[n], layout.first[n + 1]):
                        changed = changed or tried[j] != price[j]
                    if changed:
                        _try_nest(
                            folded,
                            block,
                            layout,
                            lam,
                            n,
                            lab,
                            tried,
                            cost,
                            adoption,
                            work.steps,
                            total,
                            value,
                            member,
                            slope,
                        )
                        if layout.steep[n] != 1.0:
                            powers(total, lam - 1.0, work.steps, member)
                            for r in range(ROWS):
                                total[r] *= member[r]
                                value[r] *= member[r]
                        for r in range(ROWS):
                            every[r] += total[r]
                        for r in range(ROWS):
                            kept[r] += value[r]
                    else:
                        for r in range(ROWS):
                            every[r] += weight[n, r]
                        c = layout.cell_of[n, lab]
                        for r in range(ROWS):
                            kept[r] += raw[c, r]
            for r in range(ROWS):
                value[r] = kept[r] / every[r]
            earned[trial] += dot(value, ones)
