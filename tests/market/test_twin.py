"""Months of the whole market against the same months in plain Python (`twin.py`)."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sim.market import adopters, offering
from sim.market.adopters import Adopters
from sim.market.market import Market
from sim.months import parse_month

from .twin import API, Plain
from .worlds import between, changed, event, for_all_labs

CLOSE = 1e-9
PANEL_ROWS = 100  # so that a small market has workloads that do not stand for the others


def month_of(settings, months, monkeypatch):
    """Simulate some months and return the market, who looked in the last of them, the prices seen, and its twin."""
    monkeypatch.setattr(adopters, "PANEL_ROWS", PANEL_ROWS)
    market = Market(settings)
    for _ in range(months - 1):
        market.step()
    plain = Plain(market, PANEL_ROWS)
    looked, priced = {}, []
    who_looks, prices = Adopters._who_looks, offering.prices

    def keeping_who(self, *args):
        rows, at_home = who_looks(self, *args)
        looked.update(zip(rows.tolist(), at_home.tolist(), strict=True))
        return rows, at_home

    def keeping_prices(*args):
        priced.append(prices(*args))
        return priced[-1]

    with monkeypatch.context() as patch:
        patch.setattr(Adopters, "_who_looks", keeping_who)
        patch.setattr(offering, "prices", keeping_prices)
        market.step()
    market.close()
    if plain.replaying:
        plain.run([])
    else:
        plain.run(market.releases.wanted.tolist())
    return market, looked, priced, plain


def check(market, looked, priced, plain):
    """Assert that the product and the plain month agree in every table."""
    agree("policy", plain.policy, vars(market.policy), ("leakage", "allowed", "cloud_open", "world_compute", "frontier"))
    for name, stock in plain.stock.items():
        same(f"stock {name}", stock, getattr(market.compute, name))
        same(f"serving {name}", plain.serving[name], getattr(market.compute.serving, name))
    same("slope", plain.slope, market.slope)
    same("revenue", plain.revenue, market.revenue)
    columns("labs", plain.labs, market.labs)
    columns("releases", plain.releases, market.releases, but=("names", "wanted", "wedge", "price_over_cost") if market.month == plain.until + 1 else ("names",))
    columns("lines", plain.lines, market.lines)
    same("awareness", plain.awareness, market.awareness)
    same("buzz", plain.buzz, market.buzz)
    same("affinity", plain.affinity, market.affinity)
    assert plain.looked == looked
    columns("usage", plain.users, market.usage)
    same("unmet", plain.unmet, market.unmet_tokens)
    same("ecosystem", plain.ecosystem, market.ecosystem)
    same("downloads", plain.downloads, market.downloads)
    for name, table in plain.books.items():
        same(f"accounts {name}", table, getattr(market.accounts, name))
    row = plain.month - plain.start
    for name, value in plain.seen().items():
        same(name, value, market.record.market[name][row])
    if market.handover is not None:
        for name in vars(plain.handover):
            same(f"hand-over {name}", getattr(plain.handover, name), getattr(market.handover, name))


def agree(what, mine, theirs, names):
    for name in names:
        same(f"{what} {name}", getattr(mine, name), theirs[name])


def columns(what, rows, table, but=()):
    for name, column in vars(table).items():
        if name not in but:
            same(f"{what} {name}", [getattr(row, name) for row in rows], column)


def same(what, mine, theirs):
    mine, theirs = np.array(mine), np.array(theirs)
    if mine.dtype.kind in "fc" and theirs.dtype.kind in "fc":
        size = max(1e-12, float(np.nanmax(np.abs(theirs[np.isfinite(theirs)]), initial=0.0)))
        np.testing.assert_allclose(mine, theirs, rtol=CLOSE, atol=1e-12 * size, err_msg=what)
    else:
        np.testing.assert_array_equal(mine, theirs, err_msg=what)


def check_prices(market, plain):
    """Assert that no lab gains from moving a list price that the product wants a little, and what posted ones follow."""
    if plain.replaying and market.handover is None:
        return
    wanted = market.releases.wanted.tolist()
    price = {id(r): w if any(r is one for one in plain.free) else r.posted for r, w in zip(plain.releases, wanted, strict=True)}
    slopes = plain.slopes_of_profit(price, plain.free)
    assert len(slopes) > 0
    for r, slope in zip(plain.free, slopes, strict=True):
        print(plain.labs[r.lab].names, plain.lines[r.line].names, price[id(r)], plain.discount(r.lab), slope)


BAN = {"origin": "CN", "adopters": "all", "group": "enterprises", "scope": "weights", "share": 0.6}
CASES = {
    "profit": ("2025-08", 9, {"serving.closed_margin": 0.5}, {"openness": "profit_max", "adoption_value": 0.3}, ()),
    "late limit": ("2025-08", 12, {}, {"openness": "delayed", "openness_delay": 3}, (event("2026-06", "publishing_restriction", bloc="CN", above=0.0),)),

    "everybody chooses in the first month": ("2025-01", 1, {}, {}, ()),
    "history": ("2024-11", 3, {}, {}, ()),
    "the hand-over": ("2025-08", 5, {}, {}, ()),
    "first month of the rules": ("2025-08", 6, {}, {}, ()),
    "later": ("2025-08", 14, {}, {}, ()),
    "ban": ("2025-08", 9, {}, {}, (event("2026-04", "model_ban", **BAN), event("2026-03", "model_ban", **BAN | {"scope": "hosted", "group": "indie", "share": 1.0}))),
    "trust": ("2025-08", 9, {}, {}, tuple(event("2026-03", "trust_shock", target=t, size=2.0) for t in ("chinese", "open", "closed"))),
    "subsidy": ("2025-08", 9, {}, {}, (event("2026-03", "open_subsidy", bloc="CN", share=0.5, compute=3.0), event("2026-04", "open_subsidy", bloc="US", share=0.3))),
    "promotion": ("2025-08", 9, {}, {}, (event("2026-03", "promotion", who="CN", discount=0.4), event("2026-04", "promotion", who="OpenAI", discount=1.0, months=1.0))),
    "cost_plus": ("2025-08", 9, {}, {}, (event("2026-03", "price_rule", who="CN", rule="penetration"), event("2026-04", "price_rule", who="US", rule="match_open"), event("2026-04", "price_rule", who="OpenAI", rule="cost_plus"), event("2026-04", "price_rule", who="Google", rule="hold"))),
    "closed": ("2025-08", 12, {}, {}, (event("2026-03", "openness_change", who="CN", openness="closed"), event("2026-03", "openness_change", who="US", openness="open", degree="restricted_weights"))),
    "delayed": ("2025-08", 14, {}, {}, (event("2026-01", "openness_change", who="all", openness="delayed", delay_months=5.0), event("2026-04", "openness_change", who="all", openness="open"))),
    "behind": ("2025-08", 12, {}, {"openness": "open_if_behind", "openness_points": 3.0}, ()),
    "short": ("2025-08", 12, {"openness.follow": 0.8, "demand.latency_cost": 2.0}, {"openness": "open_if_short"}, ()),
    "exit": ("2025-08", 9, {}, {}, (event("2026-03", "lab_exit", lab="OpenAI"), event("2026-04", "lab_exit", lab="DeepSeek"), event("2026-04", "lab_entry", lab="Tencent", points_behind=2.0, price=0.7, weights="open"))),
    "values": ("2025-08", 9, {}, {"adoption_value": 0.2}, ()),
    "compute": ("2025-08", 9, {}, {}, (event("2026-03", "compute_shock", factor=0.3), event("2026-03", "export_control", tier="H200", quota=300000.0, leakage=0.2), event("2026-03", "domestic_ramp", growth=3.0), event("2026-03", "frontier_shock", factor=1.5, lab="Google", points=5.0), event("2026-03", "cloud_access", open=0.2), event("2026-04", "distillation_crackdown", factor=0.5), event("2026-04", "import_restriction", allowed=0.3), event("2026-04", "publishing_restriction", bloc="CN", above=0.0))),
}




@pytest.mark.parametrize("seed", [1])
@pytest.mark.parametrize("case", CASES)
def test_a_month_equals_the_plain_one(case, seed, small_scenario, monkeypatch):
    start, months, parameters, lab_fields, events = CASES[case]
    lab_fields = {("openness_delay_months" if k == "openness_delay" else k): v for k, v in lab_fields.items()}
    settings = small_scenario.draw(seed)
    settings = changed(
        between(settings, start, "2027-12", workloads=250),
        parameters,
        for_all_labs(settings, **lab_fields),
        events=events,
    )
    found = month_of(settings, months, monkeypatch)
    check(*found)
    check_prices(found[0], found[3])
