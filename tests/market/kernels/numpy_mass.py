"""The readable twin of the compiled flows between states: the stages in NumPy, each state of the nodes on its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sim.market.adopters import Adopters, MonthView, Stand
from sim.market.market import Market
from sim.market.mean_field import MeanField
from sim.market.stages import choice
from sim.market.tables import NONE, Floats

from . import numpy_choice


def choose(market: Market, nodes: MeanField, fresh: Floats, view: MonthView) -> tuple[Floats, ...]:
    """Return shares after a month's choices and what they hold beyond their utility [utils], (states, nodes), and what
    those who look gain [USD/month] and what all have of it [USD/month], (nodes,).

    Parameters
    ----------
    nodes : MeanField
        With the states of the month and those who have come in the state of no model.
    fresh : array, shape (nodes,)
        Those who have come.
    """
    count = len(nodes.table)
    after, gained, surplus = nodes.mass[:, :count].copy(), np.zeros(count), np.zeros(count)
    premium, came = nodes.premium[:, :count].copy(), np.zeros_like(after)
    place = {at: n for n, at in enumerate(zip(nodes.release.tolist(), nodes.channel.tolist(), strict=True))}
    offers = [place[at] for at in zip(view.offers.release.tolist(), view.offers.channel.tolist(), strict=True)]
    for group in market.adopters:
        rows = np.arange(group.nodes.start, group.nodes.stop)
        used = view.used_elsewhere[nodes.people.segment[rows]]
        looked, each, gains = np.zeros(len(rows)), np.zeros(len(rows)), np.zeros((len(after), len(rows)))
        for state, share in enumerate(nodes.mass[:, rows]):
            release, channel = (np.full(len(rows), column[state]) for column in (nodes.release, nodes.channel))
            stand = Stand(release, channel, used, view.node_reach[rows])
            parts = _looks(group, state, share, fresh[rows], stand, view)
            held = share - fresh[rows] if state == 0 else share
            left = parts[0] + parts[1] - (fresh[rows] if state == 0 else 0.0)
            premium[state, rows] *= 1.0 - left / np.where(held > 0.0, held, 1.0)
            if state > 0 and view.runs[release[0], channel[0]]:
                who = group.choosers(rows, np.zeros(len(rows), bool), nodes.table, stand, view)
                price, _, _ = group.in_use(rows, nodes.table, stand, view)
                utility = choice.keep_utilities(replace(who, keep_price=price), view.rules[group.number])
                gains[state] = utility - choice.outside_utilities(who)
            for at_home, part in enumerate(parts):
                if not part.any():
                    continue
                who = group.choosers(rows, np.full(len(rows), bool(at_home)), nodes.table, stand, view)
                probability, logsum, alone = numpy_choice.options(group, who, view)
                flow = part[:, None] * probability
                came[np.ix_(offers, rows)] += flow[:, :-2].T
                came[state, rows] += flow[:, -2]
                came[0, rows] += flow[:, -1]
                after[state, rows] -= part
                looked += part
                each += part * (logsum - alone)
        after[:, rows] += came[:, rows]
        premium[:, rows] += came[:, rows] * (each / np.where(looked > 0.0, looked, 1.0) - gains)
        every = nodes.table.pain[rows] * view.pain[nodes.table.kind[rows]], nodes.table.price_sensitivity[rows]
        gained[rows] = every[0] / every[1] * each
        total = (after[:, rows] * gains).sum(axis=0), premium[:, rows].sum(axis=0)
        surplus[rows] = choice.surplus(*total, pain=every[0], price_sensitivity=every[1])
    return after, premium, gained, surplus


def _looks(
    group: Adopters, state: int, share: Floats, fresh: Floats, stand: Stand, view: MonthView
) -> tuple[Floats, Floats]:
    """Return what of a share looks at all vendors, and at its own alone, shapes (rows,) (eq. 48, 49)."""
    review = choice.review_hazard(group.review_hazard, leap=view.leap, bump=group.review_bump)
    if state == 0:
        return (share - fresh) * review + fresh, np.zeros_like(share)
    release, channel = stand.release[0], stand.channel[0]
    assert release != NONE
    lab = view.releases.lab[release]
    hazard = 0.0 if view.offered[release, channel] else float(group.upgrade_hazards(stand.release[:1], view)[0])
    hazard = hazard if view.runs[release, channel] else 1.0
    barred = stand.reach[:, view.lab_bloc[lab]] >= choice.BAN_LEVEL[channel]
    own = share * (1.0 - review) * hazard
    if lab not in view.offers.lab:
        return np.where(barred, share, share * review + own), np.zeros_like(share)
    return np.where(barred, share, share * review), np.where(barred, 0.0, own)
