"""Made-up choosers, offers and rules: plain defaults, each test sets what it is about."""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.market.stages.choice import BAN_LEVEL, ChoiceRules, Choosers
from sim.market.tables import HOST, LAB_API, NONE, OfferTable
from sim.scenario.schema import BLOCS, CLASSES

LABS = 3  # 0 in the US, 1 in China, 2 in the EU
LAB_BLOC = np.array([BLOCS.index(b) for b in ("US", "CN", "EU")])


def offers(*rows: tuple[int, int, int], price: Any = 1.0, capability: Any = 130.0, degree: Any = 0.0) -> OfferTable:
    """Return a table of offers, each given as (line, lab, channel); releases carry the number of the offer.

    Offers of a line are neighbours. Prices may be one number, one for each offer, or (classes, offers).
    """
    line, lab, channel = (np.array(column) for column in zip(*rows, strict=True))
    first = np.flatnonzero(np.diff(line, prepend=-1))
    count = len(line)
    degree = np.broadcast_to(np.asarray(degree, float), count)
    return OfferTable(
        option=np.arange(count),
        line=line,
        lab=lab,
        release=np.arange(count),
        channel=channel,
        capability=np.broadcast_to(np.asarray(capability, float), count).copy(),
        degree=degree,
        is_open=degree > 0,
        price=np.broadcast_to(np.asarray(price, float), (len(CLASSES), count)).copy(),
        cluster=np.zeros(count),
        first_of_line=first,
    )


def rules(table: OfferTable, **columns: Any) -> ChoiceRules:
    """Return rules under which nothing but price and capability counts, with the given columns replaced."""
    count = len(table)
    plain: dict[str, Any] = {
        "strength": np.zeros((len(CLASSES), count)),
        "appeal": np.zeros(count),
        "lab_bloc": LAB_BLOC[table.lab],
        "control": np.zeros(count),
        "exposure": np.zeros(count),
        "ban_level": BAN_LEVEL[table.channel],
        "sold_in": np.ones((len(BLOCS), count), bool),
        "home_fit": np.zeros((len(BLOCS), count)),
        "success_width": 4.0,
        "dissimilarity": 0.5,
        "multi_home_discount": 0.5,
        "device_limit": 5.0,
    }
    return ChoiceRules(**(plain | columns))


def choosers(count: int, table: OfferTable, **columns: Any) -> Choosers:
    """Return choosers who use nothing, know every lab and have no tastes, with the given columns replaced."""
    lines = int(table.line.max()) + 1
    plain: dict[str, Any] = {
        "kind": 0,
        "bloc": 0,
        "need": 10.0,
        "pain": 100.0,
        "price_sensitivity": 1.5,
        "value": 6.0,
        "difficulty": 128.0,
        "control_value": 0.0,
        "distrust": 0.0,
        "barred": np.zeros((count, len(BLOCS)), np.int8),
        "staff_cost": 0.0,
        "taste_line": np.zeros((count, lines), np.float32),
        "taste_open": 0.0,
        "taste_origin": np.zeros((count, len(BLOCS))),
        "knows": np.ones((count, LABS), bool),
        "used_here": np.zeros((count, LABS), bool),
        "release": NONE,
        "channel": LAB_API,
        "lab": NONE,
        "at_home": False,
        "switching_cost": 0.0,
        "upgrade_cost": 0.0,
        "adoption_cost": 0.0,
        "without_ai_cost": 20.0,
        "keep_option": NONE,
        "keep_price": np.nan,
        "keep_capability": 0.0,
        "keep_fixed": 0.0,
    }
    full = {}
    for name, value in (plain | columns).items():
        array = np.asarray(value)
        full[name] = array.copy() if array.ndim == 2 else np.broadcast_to(array, count).copy()
    return Choosers(**full)


def two_labs(**columns: Any) -> OfferTable:
    """Return a closed US line on its API, and an open Chinese line on its API and at hosts."""
    settings = {"price": [4.0, 1.0, 1.0], "capability": [132.0, 130.0, 130.0], "degree": [0.0, 1.0, 1.0]}
    return offers((0, 0, LAB_API), (1, 1, LAB_API), (1, 1, HOST), **(settings | columns))
