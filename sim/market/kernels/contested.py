"""Who knows a cheaper open offer that is good enough, to the bit of `sim.market.stages.choice: contested`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sim.market.kernels import arithmetic
from sim.market.kernels.compiled import kernel
from sim.market.stages.choice import ChoiceRules
from sim.market.tables import ON_DEVICE, SELF_HOST, Bools, OfferTable


class Users(NamedTuple):
    """Rows that use a closed model; shapes (rows,) unless said, units as in `Choosers`."""

    kind: Any
    bloc: Any
    need: Any  # this month's
    difficulty: Any  # this month's
    node: Any  # row of the next two
    attention: Any  # (nodes, labs)
    reach: Any  # (nodes, blocs) of a ban
    segment: Any  # row of the next
    consideration: Any  # (segments, labs) a lab is known where it exceeds attention
    lab: Any  # whose model they use
    capability: Any  # of it, with the lab's strength in the class
    price: Any  # paid for it [USD/Mtok]


class OpenOffers(NamedTuple):
    """What runs on open weights; shapes (offers,) unless said."""

    lab: Any
    lab_bloc: Any
    channel: Any
    ban_level: Any
    cluster: Any
    sold_in: Any  # (blocs, offers)
    price: Any  # (classes, offers)
    capability: Any  # (classes, offers) with the lab's strength


def contested(users: Users, offers: OfferTable, rules: ChoiceRules, *, slack: float) -> Bools:
    """Return which users know an open offer that costs less than their model and succeeds nearly as often, (rows,)."""
    columns = np.flatnonzero(offers.is_open)
    columns = columns[np.argsort(-offers.capability[columns])]  # best first: few are tried
    weights = OpenOffers(
        lab=offers.lab[columns],
        lab_bloc=rules.lab_bloc[columns],
        channel=offers.channel[columns],
        ban_level=rules.ban_level[columns],
        cluster=offers.cluster[columns],
        sold_in=rules.sold_in.take(columns, axis=1),
        price=offers.price.take(columns, axis=1),
        capability=(offers.capability + rules.strength).take(columns, axis=1),
    )
    found = np.zeros(len(users.kind), bool)
    mark(users, weights, rules.success_width, rules.device_limit, slack, found)
    return found


@kernel
def mark(users, offers, width, device_limit, slack, found):
    """Mark who is contested (eq. 93)."""
    for r in range(len(users.kind)):
        kind, bloc, need, difficulty = users.kind[r], users.bloc[r], users.need[r], users.difficulty[r]
        node, segment = users.node[r], users.segment[r]
        enough = 1.0 / (arithmetic.exp((difficulty - users.capability[r]) / width) + 1.0) - slack
        failed = -np.inf  # the most capable that will not do: what is weaker will not either
        for j in range(len(offers.lab)):
            lab, channel = offers.lab[j], offers.channel[j]
            knows = users.attention[node, lab] < users.consideration[segment, lab]
            looks = (knows | (lab == users.lab[r])) & offers.sold_in[bloc, j]
            looks &= users.reach[node, offers.lab_bloc[j]] < offers.ban_level[j]
            looks &= (channel != ON_DEVICE) | (need <= device_limit)
            paid = offers.price[kind, j]
            if channel == SELF_HOST:
                paid = max(paid, offers.cluster[j] / need)
            capability = offers.capability[kind, j]
            if looks & (paid < users.price[r]) & (capability > failed):
                if 1.0 / (arithmetic.exp((difficulty - capability) / width) + 1.0) >= enough:
                    found[r] = True
                    break
                failed = capability
