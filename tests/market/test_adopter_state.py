"""What adopters carry from month to month in a market: liking, ecosystem, bans, and who could be lost."""

from __future__ import annotations

import numpy as np
import pytest

from sim.market import demand, offering
from sim.market.market import Market
from sim.market.tables import HOST, LAB_API, NONE
from sim.scenario.schema import BLOCS

from .worlds import between, changed, differing, outcomes, simulated

CN = BLOCS.index("CN")


@pytest.fixture(scope="module")
def world(small_settings):
    return between(small_settings, "2025-03", "2026-03", workloads=400)


def test_affinity_has_a_mean_of_zero_over_the_use_of_the_month_before(world):
    market = Market(world)
    for _ in range(8):
        share = demand.family_shares(market)
        market.step()
        mean = (market.affinity * share).sum(axis=1) / share.sum(axis=1)
        assert np.abs(mean).max() <= 1e-14
        assert market.affinity.std() > 0.0
    market.close()


def test_families_are_weighed_by_their_own_use(world):
    market = simulated(world, 6)
    share = demand.family_shares(market)
    table, used = market.workloads, market.usage.release != NONE
    for number, group in enumerate(market.adopters):
        rows = np.arange(group.rows.start, group.rows.stop)
        rows = rows[used[rows]]
        lab = market.releases.lab[market.usage.release[rows]]
        wanted = [table.weight[rows][lab == one].sum() for one in range(len(market.labs.names))]
        assert share[number] == pytest.approx(wanted)


def test_before_anybody_uses_anything_labs_with_a_release_weigh_alike(world):
    market = simulated(world, 0)
    appeared = np.isin(np.arange(len(market.labs.names)), market.releases.lab)
    assert not appeared.all()
    assert (demand.family_shares(market) == appeared).all()


def test_a_lab_that_is_liked_more_is_used_more(small_settings):
    """Liking enters utility once: raising one lab's by hand moves use to it in both families."""
    settings = between(small_settings, "2025-03", "2025-12", workloads=1500)
    markets = [Market(settings) for _ in range(2)]
    google = markets[0].labs.names.index("Google")
    used = []
    for market, liking in zip(markets, (0.0, 2.0), strict=True):
        market.labs.brand[google] += liking
        for _ in range(6):
            market.step()
        market.close()
        used.append(demand.family_shares(market)[:, google])
    assert (used[1] > 1.5 * used[0]).all()


def test_the_ecosystem_of_a_line_is_the_decayed_stock_plus_developers_use_of_its_open_weights_in_percent(world):
    market = simulated(world, 6)
    before = market.ecosystem.copy()
    market.step()
    table, now = market.workloads, market.usage
    used = (now.release != NONE) & (table.group < 2)
    whole = table.weight[used].sum()
    for line in range(len(market.lines.names)):
        open_use = used & (market.releases.line[now.release] == line) & market.releases.is_open[now.release]
        wanted = (1.0 - market.parameters["ecosystem.decay"]) * before[line] + 100.0 * table.weight[
            open_use
        ].sum() / whole
        assert market.ecosystem[line] == pytest.approx(wanted)
    assert (market.ecosystem > 0.0).any()
    assert (market.ecosystem[market.lines.current_open == NONE] == 0.0).all()


def test_an_ecosystem_draws_developers_to_open_weights_and_most_to_own_machines(small_settings):
    settings = between(small_settings, "2024-07", "2025-12", workloads=1500)
    weights = {"demand.developer.ecosystem_weight": 0.0, "demand.enterprise.ecosystem_weight": 0.0}
    plain = simulated(changed(settings, weights)).record.market["open_workload_share"]
    drawn = simulated(changed(settings, weights | {"demand.developer.ecosystem_weight": 1.0})).record.market
    assert drawn["open_workload_share"][-6:].mean() > 1.2 * plain[-6:].mean()


def test_a_worthless_ecosystem_changes_nobody(world):
    """Its stock is still kept: it teaches labs, which here comes to nothing."""
    none = {f"demand.{family}.ecosystem_weight": 0.0 for family in ("developer", "enterprise")}
    none["capability.outside_effect"] = 0.0
    slow, quick = (outcomes(changed(world, none | {"ecosystem.decay": decay})) for decay in (0.0, 1.0))
    assert differing(slow, quick) == []


def on_chinese(market, *channels):
    """Return which workloads use a Chinese model on some channels."""
    use = market.usage
    chinese = market.labs.bloc[market.releases.lab[use.release]] == CN
    return (use.release != NONE) & chinese & np.isin(use.channel, channels)


def test_a_ban_that_comes_into_force_moves_its_users_in_its_month(small_settings):
    """Nobody reviews anything else: those who are barred look at once, and many go to hosts of the same weights."""
    quiet = {
        "demand.ban.start": 2025.5,  # July 2025
        "demand.ban.regulated": 1.0,
        "demand.ban.public": 1.0,
        "demand.enterprise.distrust": 0.0,
        "demand.enterprise.review_hazard": 0.0,
    }
    liked = {lab: {"brand": 3.0} for lab in ("DeepSeek", "Alibaba")}
    settings = changed(between(small_settings, "2025-03", "2025-12", workloads=3000), quiet, liked)
    market = Market(settings)
    for _ in range(4):
        market.step()
    barred = market.workloads.banned
    before = barred & on_chinese(market, LAB_API)
    assert before.sum() > 5
    others = ~barred & (market.workloads.group >= 2) & on_chinese(market, LAB_API)
    free = others & (market.workloads.bloc != CN)
    release = market.usage.release.copy()
    market.step()
    market.close()
    assert not (barred & on_chinese(market, LAB_API)).any()
    assert (barred & on_chinese(market, HOST)).any()  # the weights are not banned
    assert (market.usage.release[free] == release[free]).mean() > 0.5


def test_contestable_revenue_is_that_of_the_panel_whose_users_know_a_cheaper_good_enough_open_offer(small_settings):
    market = Market(between(small_settings, "2025-03", "2026-03", workloads=600))
    for _ in range(6):
        market.step()
    market.month -= 1  # the month that was recorded, of 600 workloads all in the panel
    costs = offering.serving_costs(market)
    priced = offering.prices(market, costs)
    view = demand.month_view(market, offering.offers(market, priced), priced, np.zeros(len(market.labs.names)))
    table, use, slack = market.workloads, market.usage, market.parameters["observation.good_enough"]
    whole = part = 0.0
    offers = view.offers
    for row in np.flatnonzero((use.release != NONE) & ~market.releases.is_open[use.release]):
        spend = use.price[row] * use.tokens[row] * table.weight[row]
        whole += spend
        segment, kind = table.group[row] * len(BLOCS) + table.bloc[row], table.kind[row]

        def succeeds(capability, lab, row=row, kind=kind):
            points = view.difficulty[row] - capability - market.labs.strength[lab, kind]
            return 1.0 / (1.0 + np.exp(points / market.parameters["demand.success_width"]))

        mine = succeeds(view.capability[use.release[row]], market.releases.lab[use.release[row]])
        for j in np.flatnonzero(offers.is_open):
            lab, channel = offers.lab[j], offers.channel[j]
            known = table.attention[row] < view.consideration[segment]
            price = offers.price[kind, j]
            if channel == 2:
                price = max(price, offers.cluster[j] / view.need[row])
            fits = channel != 3 or view.need[row] <= market.parameters["serving.on_device_limit"]
            allowed = view.barred[row, market.labs.bloc[lab]] < (1, 2, 3, 3)[channel]
            sold = table.bloc[row] != CN or channel != LAB_API or market.labs.bloc[lab] != BLOCS.index("US")
            can = known[lab] and fits and allowed and sold and price < use.price[row]
            if can and succeeds(offers.capability[j], lab) >= mine - slack:
                part += spend
                break
    market.close()
    assert 0.0 < part < whole
    assert demand.contestable_share(market, view) == pytest.approx(part / whole)
