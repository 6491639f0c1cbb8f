"""What adopters carry from month to month in a market: liking, ecosystem, bans, and who could be lost."""

from __future__ import annotations

import numpy as np
import pytest

from sim.market import demand
from sim.market.market import Market
from sim.market.tables import HOST, LAB_API, NONE, ON_DEVICE, SELF_HOST
from sim.scenario.schema import BLOCS

from .rows import Watched
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


def test_contestable_revenue_is_that_of_nodes_whose_users_know_a_cheaper_good_enough_open_offer(small_settings):
    market = Watched(between(small_settings, "2025-03", "2026-03"))
    for _ in range(6):
        market.step()
    market.close()
    view, p, nodes, table = market.view, market.parameters, market.nodes, market.nodes.table
    release, channel = nodes.stands
    whole = part = 0.0
    offers = view.offers
    for row in np.flatnonzero((release != NONE) & (channel == LAB_API) & ~market.releases.is_open[release]):
        segment, kind = table.group[row] * len(BLOCS) + table.bloc[row], table.kind[row]
        need, pain = table.need[row] * view.need[kind], table.pain[row] * view.pain[kind]
        paid = view.price[LAB_API, kind, release[row]]
        spend = table.weight[row] * nodes.present[row] * paid * need / (1.0 + paid * need / pain)
        whole += spend

        def succeeds(capability, lab, row=row, kind=kind):
            points = table.difficulty[row] + view.rise[kind] - capability - market.labs.strength[lab, kind]
            return 1.0 / (1.0 + np.exp(points / p["demand.success_width"]))

        own = market.releases.lab[release[row]]
        mine = succeeds(view.capability[release[row]], own)
        for j in np.flatnonzero(offers.is_open):
            lab, where = offers.lab[j], offers.channel[j]
            known = (table.attention[row] < view.consideration[segment]) | (np.arange(len(market.labs.names)) == own)
            price = offers.price[kind, j]
            if where == SELF_HOST:
                price = max(price, offers.cluster[j] / need)
            fits = where != ON_DEVICE or need <= p["serving.on_device_limit"]
            allowed = view.node_reach[row, market.labs.bloc[lab]] < (1, 2, 3, 3)[where]
            sold = table.bloc[row] != CN or where != LAB_API or market.labs.bloc[lab] != BLOCS.index("US")
            can = known[lab] and fits and allowed and sold and price < paid
            if can and succeeds(offers.capability[j], lab) >= mine - p["observation.good_enough"]:
                part += spend
                break
    assert 0.0 < part < whole
    assert market.record.market["contestable_revenue_share"][5] == pytest.approx(part / whole)
