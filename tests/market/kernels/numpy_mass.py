"""The readable twin of the compiled flows between states: the stages in NumPy, each state of the nodes on its own."""

from __future__ import annotations

import numpy as np

from sim.market.adopters import Adopters, MonthView, Stand
from sim.market.market import Market
from sim.market.mean_field import MeanField
from sim.market.stages import choice
from sim.market.tables import NONE, Floats

from . import numpy_choice


def choose(market: Market, nodes: MeanField, fresh: Floats, view: MonthView) -> tuple[Floats, Floats]:
    """Return shares after a month's choices, (states, nodes), and what those who look gain [USD/month], (nodes,).

    Parameters
    ----------
    nodes : MeanField
        With the states of the month and those who have come in the state of no model.
    fresh : array, shape (nodes,)
        Those who have come.
    """
    count = len(nodes.table)
    after, gained = nodes.mass[:, :count].copy(), np.zeros(count)
    place = {at: n for n, at in enumerate(zip(nodes.release.tolist(), nodes.channel.tolist(), strict=True))}
    pairs = zip(view.offers.release.tolist(), view.offers.channel.tolist(), strict=True)
    offers = np.array([place[at] for at in pairs])
    for group in market.adopters:
        rows = np.arange(group.nodes.start, group.nodes.stop)
        used = view.used_elsewhere[nodes.people.segment[rows]]
        for state, share in enumerate(nodes.mass[:, rows]):
            release, channel = (np.full(len(rows), column[state]) for column in (nodes.release, nodes.channel))
            stand = Stand(release, channel, used, view.node_reach[rows])
            for at_home, part in enumerate(_looks(group, state, share, fresh[rows], stand, view)):
                if not part.any():
                    continue
                who = group.choosers(rows, np.full(len(rows), bool(at_home)), nodes.table, stand, view)
                probability, version, logsum, alone = numpy_choice.options(group, who, view)
                flow = part[:, None] * probability
                np.add.at(after, (np.where(version == NONE, state, offers[version]), rows[:, None]), flow[:, :-2])
                after[state, rows] += flow[:, -2] - part
                after[0, rows] += flow[:, -1]
                gained[rows] += part * who.pain / who.price_sensitivity * (logsum - alone)
    return after, gained


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
    hazard = 0.0 if view.newest[release, channel] else float(group.upgrade_hazards(stand.release[:1], view)[0])
    hazard = hazard if view.runs[release, channel] else 1.0
    barred = stand.reach[:, view.lab_bloc[lab]] >= choice.BAN_LEVEL[channel]
    own = share * (1.0 - review) * hazard
    if lab not in view.offers.lab:
        return np.where(barred, share, share * review + own), np.zeros_like(share)
    return np.where(barred, share, share * review), np.where(barred, 0.0, own)
