"""The vectorised month against a plain loop over workloads that shares no code with it."""

from __future__ import annotations

import numpy as np
import pytest

from sim.market import demand, offering
from sim.market.market import Market
from sim.market.stages import choice
from sim.months import parse_month

from .twin import Twin, as_array, by_offer, remember
from .worlds import between, changed, for_all_labs

CLOSE = 1e-10


def month_of(settings, months, monkeypatch):
    """Simulate some months and return the market, what its last month's stages saw, and its twin."""
    market = Market(settings)
    for _ in range(months - 1):
        market.step()
    seen = {"utilities": []}
    view, utilities, costs = demand.month_view, choice.offer_utilities, offering.serving_costs

    def keeping_view(market, offers, priced, leaps):
        seen["leaps"], seen["offers"] = leaps.tolist(), offers
        return view(market, offers, priced, leaps)

    def keeping_utilities(who, offers, rules):
        found = utilities(who, offers, rules)
        seen["utilities"].append(found)
        return found

    def keeping_costs(market):
        seen["costs"] = costs(market)
        return seen["costs"]

    before = remember(market)
    with monkeypatch.context() as patch:
        patch.setattr(demand, "month_view", keeping_view)
        patch.setattr(choice, "offer_utilities", keeping_utilities)
        patch.setattr(offering, "serving_costs", keeping_costs)
        market.step()
    market.close()
    twin = Twin(market, before, seen["leaps"], seen["costs"], demand.reference_frontier(market))
    return market, seen, twin


CASES = {
    "everybody chooses in the first month": ("2025-01", "2025-12", 1, {}, {}),
    "history before bans, many leaps": ("2024-11", "2025-12", 3, {"demand.ban.start": 2030.0}, {}),
    "bans bind in the history": ("2025-01", "2025-12", 3, {"demand.ban.public": 1.0, "demand.ban.regulated": 1.0}, {}),
    "a ban comes over users of superseded releases": (
        "2025-01",
        "2025-12",
        8,
        {
            "demand.ban.start": 1970 + parse_month("2025-08") / 12,
            "demand.ban.public": 1.0,
            "demand.ban.regulated": 1.0,
            "demand.mix.regulated": 1.0,
            "demand.enterprise.distrust": 0.0,
            "demand.enterprise.control_value": 0.0,
            "demand.enterprise.adoption_cost": 0.0,
            "demand.enterprise.review_hazard": 0.3,
            "demand.upgrade_hazard": 0.0,
            "demand.upgrade_hazard_leap": 0.0,
        },
        {"initial_awareness": 1.0},
    ),
    "first month of the rules": ("2025-10", "2026-12", 4, {"demand.developer.review_hazard": 0.6}, {}),
    "releases are switched off": ("2025-01", "2026-12", 16, {"capability.deprecation": 1.0}, {}),
    "labs value adoption": ("2025-09", "2026-12", 8, {"demand.nest_dissimilarity": 0.2}, {"adoption_value": 0.1}),
    "labs close their lines": ("2025-09", "2027-12", 14, {"demand.upgrade_hazard": 0.5}, {"openness": "closed"}),
    "work without a model becomes cheap and devices large": (
        "2025-09",
        "2026-12",
        6,
        {
            "demand.developer.without_ai_cost": 0.0,
            "demand.value": 1.0,
            "demand.developer.review_hazard": 0.9,
            "serving.on_device_limit": 1000.0,
        },
        {},
    ),
    "plain logit, growth that never fades": (
        "2025-09",
        "2026-12",
        6,
        {"demand.nest_dissimilarity": 1.0, "demand.volume_growth_fade": 0.0},
        {},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_month_equals_the_plain_loop(case, small_settings, monkeypatch):
    start, end, months, parameters, lab_fields = CASES[case]
    settings = changed(
        between(small_settings, start, end, workloads=250), parameters, for_all_labs(small_settings, **lab_fields)
    )
    market, seen, twin = month_of(settings, months, monkeypatch)
    outcomes = [twin.choose(i) for i in range(len(market.workloads))]
    assert market.usage.release.tolist() == [found.release for found in outcomes]
    assert market.usage.channel.tolist() == [found.channel for found in outcomes]
    assert market.usage.price == pytest.approx(np.array([found.price for found in outcomes]), rel=CLOSE, abs=CLOSE)
    assert market.usage.tokens == pytest.approx(np.array([found.tokens for found in outcomes]), rel=CLOSE, abs=CLOSE)
    lookers = [i for i, found in enumerate(outcomes) if found.utilities is not None]
    for i in lookers:
        assert market.usage.surplus[i] == pytest.approx(outcomes[i].surplus, rel=1e-9, abs=1e-8)
    check_utilities(seen, outcomes, lookers)
    check_books(market, twin, outcomes)


def check_utilities(seen, outcomes, lookers):
    found = np.concatenate([block for block in seen["utilities"] if len(block)])
    assert len(found) == len(lookers) > 0
    table = seen["offers"]
    columns = list(zip(table.release.tolist(), table.channel.tolist(), strict=True))
    for row, i in enumerate(lookers):
        wanted = np.array([outcomes[i].utilities.get(place, -np.inf) for place in columns])
        possible = np.isfinite(wanted)
        assert np.array_equal(np.isfinite(found[row]), possible)
        assert np.abs(found[row, possible] - wanted[possible]).max(initial=0.0) < CLOSE


def check_books(market, twin, outcomes):
    weight = market.workloads.weight.tolist()
    books, shape = market.accounts, market.accounts.tokens.shape
    tokens = [w * found.tokens for w, found in zip(weight, outcomes, strict=True)]
    spend = [t * found.price for t, found in zip(tokens, outcomes, strict=True)]
    cost = [t * twin.cost_of(i, found) for i, (t, found) in enumerate(zip(tokens, outcomes, strict=True))]
    for name, amounts in (("workloads", weight), ("tokens", tokens), ("spend", spend), ("cost", cost)):
        assert getattr(books, name) == pytest.approx(as_array(by_offer(outcomes, amounts), shape), rel=CLOSE, abs=CLOSE)
    assert market.record.market["total_spend"][twin.month - market.settings.start] == pytest.approx(sum(spend))


def test_the_cases_reach_every_kind_of_decision(small_settings, monkeypatch):
    """Together the cases hold arrivals, reviews, upgrades at home, switch-offs, keeping, leaving and bans."""
    reached = set()
    for start, end, months, parameters, lab_fields in CASES.values():
        settings = changed(
            between(small_settings, start, end, workloads=250), parameters, for_all_labs(small_settings, **lab_fields)
        )
        market, _, twin = month_of(settings, months, monkeypatch)
        for i in range(len(market.workloads)):
            now, channel = twin.before.release[i], twin.before.channel[i]
            looks, at_home = twin.clocks(i)
            present = market.workloads.arrival[i] <= twin.month
            reached |= {"arrival"} if market.workloads.arrival[i] == twin.month else set()
            if not present or not looks:
                continue
            left = market.usage.release[i] < 0
            reached |= {"at home"} if at_home else {"review"}
            reached |= {"leaves"} if left and now >= 0 else set()
            reached |= {"stays out"} if left and now < 0 else set()
            if now >= 0:
                lab = int(market.releases.lab[now])
                superseded = twin.still_runs(now, channel) and not twin.on_offer(now, channel)
                reached |= {"may not keep"} if superseded and twin.barred(i, lab, channel) else set()
                reached |= {"switched off"} if not twin.still_runs(now, channel) else set()
                same = (now, channel) == (market.usage.release[i], market.usage.channel[i])
                reached |= {"keeps an old release"} if same and not twin.on_offer(now, channel) else set()
                moved = market.releases.lab[market.usage.release[i]] != market.releases.lab[now]
                reached |= {"changes vendor"} if moved and not left else set()
            reached |= {f"channel {market.usage.channel[i]}"} if not left else set()
            reached |= {"barred"} if twin.barred(i, market.labs.names.index("DeepSeek"), 0) else set()
    assert reached == {
        *("arrival", "at home", "review", "leaves", "stays out", "switched off", "keeps an old release"),
        *("changes vendor", "channel 0", "channel 1", "channel 2", "channel 3", "barred", "may not keep"),
    }
