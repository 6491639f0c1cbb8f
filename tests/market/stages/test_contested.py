"""Who knows a cheaper open model that is good enough: worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim.market.stages import choice
from sim.market.tables import HOST, LAB_API, SELF_HOST
from sim.scenario.schema import BLOCS, CLASSES

from .made_up import choosers, offers, rules

WIDTH = 4.0
HARD = 128.0


def contested(slack=0.05, capability=132.0, price=4.0, table=None, common=None, **columns):
    """Return whether one user of a closed US model at 132 points and 4 USD is contested by an open one at 130 and 1.

    Success at width 4 and difficulty 128 is 0.731 at 132 points, 0.622 at 130.
    """
    table = market() if table is None else table
    common = rules(table) if common is None else common
    who = choosers(1, table, release=0, lab=0, **columns)
    found = choice.contested(who, table, common, np.array([capability]), np.array([price]), slack=slack)
    assert found.shape == (1,)
    return bool(found[0])


def market(**columns):
    """Return a closed US line on its API and an open Chinese line at hosts."""
    settings = {"price": [4.0, 1.0], "capability": [132.0, 130.0], "degree": [0.0, 1.0]}
    return offers((0, 0, LAB_API), (1, 1, HOST), **(settings | columns))


def test_a_cheaper_open_model_contests_if_it_succeeds_nearly_as_often():
    gap = 1.0 / (1.0 + np.exp(-1.0)) - 1.0 / (1.0 + np.exp(-0.5))
    assert gap == pytest.approx(0.1086, abs=1e-4)
    assert not contested(slack=gap - 1e-9)
    assert contested(slack=gap + 1e-9)


def test_an_open_model_that_costs_as_much_contests_nothing():
    assert contested(slack=0.2)
    assert not contested(slack=0.2, price=1.0)
    assert contested(slack=0.2, price=1.0 + 1e-12)


def test_where_the_work_is_easy_every_open_model_is_good_enough():
    assert contested(difficulty=100.0)
    assert contested(difficulty=100.0, capability=200.0)


def test_strength_in_the_class_counts_as_capability():
    table = market()
    strength = np.zeros((len(CLASSES), 2))
    strength[2, 1] = 2.0
    assert contested(table=table, common=rules(table, strength=strength), kind=2)
    assert not contested(table=table, common=rules(table, strength=strength), kind=1)


def test_an_open_model_that_is_not_known_banned_or_not_sold_there_contests_nothing():
    assert contested(slack=0.2)
    assert not contested(slack=0.2, knows=np.array([[True, False, True]]))
    barred = np.zeros((1, len(BLOCS)), np.int8)
    barred[0, BLOCS.index("CN")] = 1
    assert contested(slack=0.2, barred=barred)  # a ban of the service leaves the weights at a host
    assert not contested(slack=0.2, barred=2 * barred)


def test_another_closed_model_contests_nothing():
    assert not contested(slack=1.0, table=market(degree=0.0))


def test_own_machines_count_at_what_they_cost_the_user():
    table = replace(market(), channel=np.array([LAB_API, SELF_HOST]), cluster=np.array([0.0, 30.0]))
    assert contested(slack=0.2, table=table, need=10.0)  # 3 USD/Mtok of a cluster of 30 USD a month
    assert not contested(slack=0.2, table=table, need=7.0)


def test_what_switching_costs_and_what_users_like_say_nothing_of_who_is_contested():
    """Contestable revenue is what could be lost, not what will be."""
    assert contested(slack=0.2, switching_cost=100.0, taste_open=-100.0)
