"""What is recorded of a month against sums over the workloads."""

from __future__ import annotations

import numpy as np
import pytest

from sim.market import offering
from sim.market.tables import HOST, LAB_API, NONE, ON_DEVICE, SELF_HOST
from sim.scenario.schema import BLOCS, CHANNELS, CLASSES, GROUPS

from .rows import Watched, bought
from .worlds import between, changed, for_all_labs

US, CN = BLOCS.index("US"), BLOCS.index("CN")


class Seen:
    """A month of a small market, workload by workload."""

    def __init__(self, market):
        self.market, use, table = market, market.usage, market.workloads
        self.uses = use.release != NONE
        self.release, self.channel = use.release, use.channel
        self.lab = np.where(self.uses, market.releases.lab[use.release], NONE)
        self.line = np.where(self.uses, market.releases.line[use.release], NONE)
        self.open = self.uses & market.releases.is_open[use.release]
        self.chinese = self.uses & (market.labs.bloc[self.lab] == CN)
        self.weight = table.weight * self.uses
        self.bought = bought(market, market.view, market.prices)
        self.tokens = self.bought.tokens * table.weight
        self.spend = self.bought.spend * table.weight
        self.own = self.uses & np.isin(use.channel, (SELF_HOST, ON_DEVICE))
        self.developer = table.group < 2
        self.bloc, self.kind, self.group = table.bloc, table.kind, table.group
        self.row = market.month - 1 - market.settings.start

    def on_router(self):
        """Return the line of developers on an API or at a host, NONE for the others."""
        routed = self.developer & np.isin(self.channel, (LAB_API, HOST))
        return np.where(routed, self.line, NONE)

    def column(self, name):
        return self.market.record.market[name][self.row]

    def rows(self, table):
        found = self.market.record.tables()[table]
        now = found["month"] == self.market.month - 1
        return {name: values[now] for name, values in found.items()}

    def series(self, panel):
        rows = self.rows("panels")
        return {s: v for p, s, v in zip(rows["panel"], rows["series"], rows["value"], strict=True) if p == panel}


@pytest.fixture(scope="module")
def history(small_settings):
    """A small market a step at a time: what was seen after 14 months, and the uses of every month before."""
    settings = changed(
        between(small_settings, "2025-01", "2026-12", workloads=500),
        {"demand.enterprise.review_hazard": 0.2},
        for_all_labs(small_settings, adoption_value=0.01),
    )
    market, uses = Watched(settings), []
    for _ in range(14):
        market.step()
        now = Seen(market)
        uses.append((now.release.copy(), now.lab.copy(), now.on_router()))
    market.close()
    return market, uses


@pytest.fixture(scope="module")
def seen(history):
    return Seen(history[0])


def share(amount, chosen):
    return amount[chosen].sum() / amount.sum()


def test_shares_of_the_market_are_sums_over_workloads(seen):
    wanted = {
        "open_workload_share": share(seen.weight, seen.open),
        "open_token_share": share(seen.tokens, seen.open),
        "open_spend_share": share(seen.spend, seen.open),
        "chinese_open_workload_share": share(seen.weight, seen.open & seen.chinese),
        "chinese_open_token_share": share(seen.tokens, seen.open & seen.chinese),
        "self_host_token_share": share(seen.tokens, seen.own),
    }
    assert {name: seen.column(name) for name in wanted} == pytest.approx(wanted)
    assert 0 < wanted["chinese_open_token_share"] < wanted["open_token_share"] < 1
    assert wanted["self_host_token_share"] > 0


def test_prices_paid_are_money_over_tokens(seen):
    closed = seen.uses & ~seen.open
    assert seen.column("closed_price") == pytest.approx(seen.spend[closed].sum() / seen.tokens[closed].sum())
    assert seen.column("open_price") == pytest.approx(seen.spend[seen.open].sum() / seen.tokens[seen.open].sum())


def test_money_goes_to_labs_hosts_and_own_machines(seen):
    for name, channels in (
        ("spend_labs", (LAB_API,)),
        ("spend_hosts", (HOST,)),
        ("spend_self_host", (SELF_HOST, ON_DEVICE)),
    ):
        assert seen.column(name) == pytest.approx(seen.spend[np.isin(seen.channel, channels) & seen.uses].sum())
    assert seen.column("total_spend") == pytest.approx(seen.spend.sum())
    assert seen.column("total_tokens") == pytest.approx(seen.tokens.sum())


def test_concentration_is_over_the_labs_that_made_the_models(seen):
    for name, amount in (("hhi_tokens", seen.tokens), ("hhi_spend", seen.spend)):
        parts = np.array([amount[seen.lab == lab].sum() for lab in range(len(seen.market.labs.names))]) / amount.sum()
        assert seen.column(name) == pytest.approx((parts**2).sum())


def test_the_closed_margin_is_of_closed_models_on_their_own_api(seen):
    market = seen.market
    market.month -= 1  # the month that was recorded
    costs = offering.serving_costs(market)
    posted = offering.prices(market, costs).api_list
    market.month += 1
    closed = seen.uses & ~seen.open
    release = seen.release[closed]
    cost = (seen.spend[closed] * costs.marginal[release] / posted[release]).sum()
    assert seen.column("closed_margin") == pytest.approx(1 - cost / seen.spend[closed].sum())


def test_surplus_is_that_of_everybody_present_at_the_last_choice(seen):
    market = seen.market
    weight = market.workloads.weight * market.usage.present
    assert seen.column("consumer_surplus") == pytest.approx((market.usage.surplus * weight).sum())


def test_prices_at_a_level_are_the_lowest_on_an_api_or_at_hosts_of_whatever_weights_are_out(seen):
    market, state, old = seen.market, seen.market.releases, 0
    for level in (126, 140):
        price = {}
        for line in market.lines.current[market.lines.current != NONE]:
            if state.has_api[line]:
                price[int(line), "api"] = market.prices.api_list[line]
        for row in np.flatnonzero(state.is_open):
            price[int(row), "host"] = market.prices.host_list[row]
        able = {key: paid for key, paid in price.items() if state.capability[key[0]] >= level}
        (row, channel) = min(able, key=able.get)
        assert seen.column(f"price_at_eci_{level}") == able[row, channel]
        old += channel == "host" and row not in market.lines.current_open
    assert old  # a superseded one sets a price


def test_the_gap_is_that_of_the_records(seen):
    table = seen.market.releases
    closed, open_ = table.capability[~table.is_open].max(), table.capability[table.is_open].max()
    assert seen.column("gap_points") == pytest.approx(closed - open_)
    reached = table.month[~table.is_open & (table.capability >= open_)].min()
    assert seen.column("gap_months") == seen.market.month - 1 - reached


def test_rows_of_labs_are_sums_over_workloads(seen):
    rows = seen.rows("labs")
    assert rows["lab"].tolist() == list(seen.market.labs.names)
    for number in range(len(rows["lab"])):
        mine = seen.lab == number
        assert rows["workload_share"][number] == pytest.approx(share(seen.weight, mine))
        assert rows["token_share"][number] == pytest.approx(share(seen.tokens, mine))
        assert rows["spend_share"][number] == pytest.approx(share(seen.spend, mine))
        assert rows["revenue"][number] == pytest.approx(seen.spend[mine & (seen.channel == LAB_API)].sum())
    assert np.all(rows["gross_profit"] <= rows["revenue"])
    assert (rows["revenue"] - rows["gross_profit"]).sum() == pytest.approx(seen.market.accounts.cost[:, LAB_API].sum())


def test_a_labs_capability_is_that_of_the_best_it_offers(seen):
    rows, table = seen.rows("labs"), seen.market.releases
    on = offering.offered(seen.market).any(axis=1)
    for number, value in enumerate(rows["capability"]):
        mine = on & (table.lab == number)
        assert (np.isnan(value) and not mine.any()) or value == table.capability[mine].max()


def test_rows_of_offers_are_what_is_listed_or_in_use(seen):
    rows = seen.rows("offers")
    names = {
        (release, CHANNELS.index(channel)): i
        for i, (release, channel) in enumerate(zip(rows["release"], rows["channel"], strict=True))
    }
    assert len(names) == len(rows["release"])
    used = {
        (seen.market.releases.names[r], int(c))
        for r, c in zip(seen.release[seen.uses], seen.channel[seen.uses], strict=True)
    }
    release, channel = np.nonzero(offering.offered(seen.market))
    listed = {(seen.market.releases.names[r], int(c)) for r, c in zip(release, channel, strict=True)}
    assert set(names) == used | listed
    assert used - listed, "somebody keeps a superseded release"
    for (name, where), i in names.items():
        mine = seen.uses & (seen.release == seen.market.releases.names.index(name)) & (seen.channel == where)
        assert rows["token_share"][i] == pytest.approx(seen.tokens[mine].sum() / seen.tokens.sum())
        assert rows["workload_share"][i] == pytest.approx(seen.weight[mine].sum() / seen.weight.sum())
    devices = rows["channel"] == "on_device"
    assert (rows["list_price"][devices] == 0.0).all()
    assert (rows["marginal_cost"][devices] == 0.0).all()
    assert (rows["marginal_cost"][~devices] > 0.0).all()


def test_rows_of_segments_are_sums_over_workloads(seen):
    rows, market = seen.rows("segments"), seen.market
    assert len(rows["group"]) == len(GROUPS) * len(BLOCS)
    for i, (group, bloc) in enumerate(zip(rows["group"], rows["bloc"], strict=True)):
        mine = (seen.group == GROUPS.index(group)) & (seen.bloc == BLOCS.index(bloc))
        present = market.workloads.weight[mine & market.usage.present].sum()
        used = seen.weight[mine].sum()
        assert rows["workloads"][i] == pytest.approx(present)
        assert rows["tokens"][i] == pytest.approx(seen.tokens[mine].sum())
        assert rows["spend"][i] == pytest.approx(seen.spend[mine].sum())
        if used > 0:
            assert rows["open_workload_share"][i] == pytest.approx(seen.weight[mine & seen.open].sum() / used)
            both = mine & seen.open & seen.chinese
            assert rows["chinese_open_workload_share"][i] == pytest.approx(seen.weight[both].sum() / used)
            assert rows["self_host_share"][i] == pytest.approx(seen.weight[mine & seen.own].sum() / used)
        if present > 0:
            assert rows["outside_share"][i] == pytest.approx(1 - used / present)


def test_the_router_sees_developers_on_apis_and_hosts_by_billing_country(seen):
    p = seen.market.parameters
    routed = seen.uses & seen.developer & np.isin(seen.channel, (LAB_API, HOST))
    bills = np.array([p[f"observation.router.{b}"] for b in BLOCS])
    in_bloc = np.array([seen.tokens[routed & (seen.bloc == b)].sum() for b in range(4)])
    amount = np.where(routed, seen.tokens * (bills / bills.sum() / in_bloc)[seen.bloc], 0.0)
    found = seen.series("router")
    assert found["open_token_share"] == pytest.approx(share(amount, seen.open))
    assert found["chinese_open_token_share"] == pytest.approx(share(amount, seen.open & seen.chinese))
    coding = seen.kind == CLASSES.index("coding")
    assert found["workload_token_share:coding"] == pytest.approx(share(amount, coding))
    money = amount * seen.bought.price
    assert found["open_spend_share"] == pytest.approx(share(money, seen.open))
    weeks = 365.25 / 12 / 7
    assert found["total_tokens_per_week"] == pytest.approx(
        seen.tokens.sum() * p["observation.router_share"] / weeks / 1e6
    )


def test_the_enterprise_survey_sees_us_enterprises(seen):
    asked = seen.uses & ~seen.developer & (seen.bloc == US)
    found = seen.series("enterprise")
    weight = np.where(asked, seen.weight, 0.0)
    assert found["open_workload_share"] == pytest.approx(share(weight, seen.open))
    anthropic = seen.lab == seen.market.labs.names.index("Anthropic")
    assert found["lab_workload_share:Anthropic"] == pytest.approx(share(weight, anthropic))
    served = seen.uses & ~seen.developer & (seen.bloc != CN) & np.isin(seen.channel, (LAB_API, HOST))
    assert found["api_spend_annualised"] == pytest.approx(seen.spend[served].sum() * 12 / 1e9)


def test_rates_look_back_a_year_and_cohorts_five_months(history, seen):
    _, uses = history
    release, lab, _ = uses[-1 - 12]
    asked = seen.uses & ~seen.developer & (seen.bloc == US)
    both = asked & (lab != NONE)
    weight = np.where(both, seen.market.workloads.weight, 0.0)
    found = seen.series("enterprise")
    switched = seen.lab != lab
    assert found["annual_vendor_switch_rate"] == pytest.approx(share(weight, switched))
    newer = ~switched & (seen.release != release)
    assert found["annual_upgrade_within_vendor_rate"] == pytest.approx(share(weight, newer))
    then, before = uses[-1 - 5][2], uses[-1 - 6][2]
    joined = (then != NONE) & (then != before)
    weight = np.where(joined, seen.market.workloads.weight, 0.0)
    assert seen.series("router")["cohort_retention_5_months"] == pytest.approx(share(weight, seen.on_router() == then))
    assert 0 < found["annual_vendor_switch_rate"] < 1


def test_downloads_add_up_and_never_fall(small_market):
    rows = small_market.record.tables()["labs"]
    months = sorted(set(rows["month"].tolist()))
    by_month = np.array([rows["downloads_cumulative"][rows["month"] == m] for m in months])
    assert np.all(np.diff(by_month, axis=0) >= 0)
    panels = small_market.record.tables()["panels"]
    all_series = panels["value"][panels["series"] == "cumulative_downloads:all"]
    assert all_series * 1e6 == pytest.approx(by_month.sum(axis=1))
    fresh = np.diff(by_month, axis=0, prepend=0.0)
    bloc = small_market.labs.bloc
    china, us = fresh[:, bloc == CN].sum(axis=1), fresh[:, bloc == US].sum(axis=1)
    two = panels["value"][panels["series"] == "chinese_download_share_of_two"]
    assert two == pytest.approx(china / (china + us))


def test_series_of_prices_compute_and_revenue_have_their_units(seen):
    market = seen.market
    revenue = seen.series("revenue")["annualised_revenue:OpenAI"]
    mine = (seen.lab == market.labs.names.index("OpenAI")) & (seen.channel == LAB_API)
    assert revenue == pytest.approx(seen.spend[mine].sum() * 12 / 1e9)
    stock = seen.series("compute")["world_accelerator_stock"]
    assert stock == pytest.approx((market.compute.abroad_total + market.compute.legal_total) / 1e6)
    prices = seen.series("prices")
    assert 0.0 < prices["self_host_cost"] < 20.0
    assert prices["gpu_hour_price"] == pytest.approx(1.7, abs=0.6)
    assert 0.0 < prices["marginal_cost:DeepSeek"] < prices["self_host_cost"]


def test_a_developer_bloc_lost_to_the_router_leaves_the_market_columns_alone(small_settings):
    """Observation never feeds back: other billing weights move the router panel and nothing else."""
    from .worlds import differing, outcomes

    settings = between(small_settings, "2025-06", "2026-03", workloads=300)
    changes = {"observation.router.CN": 0.5, "observation.tie_tolerance": 9.0, "observation.router_share": 0.5}
    assert set(differing(outcomes(settings), outcomes(changed(settings, changes)))) == {"panels.value"}
