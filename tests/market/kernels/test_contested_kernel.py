"""The compiled test of who is contested against the stage, and where its bound binds."""

from __future__ import annotations

import numpy as np

from sim.market.kernels.contested import Users, contested
from sim.market.stages import choice
from sim.market.tables import NONE, SELF_HOST
from tests.market.guards import binds
from tests.market.kernels.test_worth_kernel import seen  # noqa: F401

SLACK = 0.05


def users(who, offers, factor):
    """Return those who use a model, as if it were of the middle of what is on offer and cost so much of the mean."""
    rows = np.flatnonzero(who.release != NONE)
    columns = {name: getattr(who, name)[rows] for name in ("kind", "bloc", "need", "difficulty", "lab")}
    return rows, Users(
        **columns,
        node=rows,
        attention=np.where(who.knows, 0.0, 1.0),
        reach=who.barred,
        segment=rows,
        consideration=np.full(who.knows.shape, 0.5),
        capability=np.full(len(rows), np.median(offers.capability)),
        price=factor * offers.price[who.kind[rows]].mean(axis=1),
    )


def by_stage(who, offers, rules, factor):
    """Return who is contested by the stage's account."""
    _, mine = users(who, offers, factor)
    whole = np.zeros(len(who.kind))
    rows = np.flatnonzero(who.release != NONE)
    capability, price = whole.copy(), whole.copy()
    capability[rows], price[rows] = mine.capability, mine.price
    return choice.contested(who, offers, rules, capability, price, slack=SLACK)[rows]


def test_who_is_contested_is_who_the_stage_says(seen):  # noqa: F811
    shares = []
    for factor in (0.02, 0.1, 0.5, 2.0):
        for who, offers, rules, *_ in seen:
            found = contested(users(who, offers, factor)[1], offers, rules, slack=SLACK)
            assert np.array_equal(found, by_stage(who, offers, rules, factor))
            shares.append(found.mean())
    assert min(shares) < 0.5 < max(shares)


@binds("kernels/contested.py", "mark", "max(paid, offers.cluster[j] / need)")
def test_a_small_user_would_pay_its_part_of_a_cluster(seen):  # noqa: F811
    differ = 0
    for who, offers, rules, *_ in seen:
        own = np.flatnonzero(offers.channel == SELF_HOST)
        assert (offers.cluster[own] / who.need.min() > offers.price[:, own].max(axis=0)).any()
        mine = users(who, offers, 0.1)[1]
        vast = mine._replace(need=np.full(len(mine.need), 1e12))
        differ += int(
            (contested(mine, offers, rules, slack=SLACK) != contested(vast, offers, rules, slack=SLACK)).sum()
        )
    assert differ > 0
