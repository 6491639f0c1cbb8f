"""The market as a whole: same seed same bits, causes before effects, and nobody moved by what does not concern them."""

from __future__ import annotations

import ast
import gc
import inspect
import textwrap
import weakref
from dataclasses import replace

import numpy as np
import pytest

import sim
from sim.content import combine
from sim.experiment.run import simulate
from sim.identities import broken_identities
from sim.market import offering, supply
from sim.market.labs import HostMarket, Lab
from sim.market.market import Market
from sim.market.stages import accounts, choice
from sim.market.tables import NONE
from sim.months import parse_month
from sim.scenario.lab_fields import LABS
from sim.scenario.schema import BLOCS

from .worlds import between, changed, differing, event, for_all_labs, outcomes, simulated


def test_the_same_seed_gives_the_same_bits(small_settings, small_tables):
    assert differing(small_tables, outcomes(small_settings)) == []


def test_another_replicate_gives_other_numbers(small_scenario, small_tables):
    assert "market.open_token_share" in differing(small_tables, outcomes(small_scenario.draw(1)))


def test_a_replicate_does_not_depend_on_how_many_there_are(small_scenario):
    many = small_scenario.replace(runs=500)
    assert small_scenario.draw(2) == many.draw(2)
    assert differing(simulate(small_scenario, 2)[0], simulate(many, 2)[0]) == []


def test_a_shorter_horizon_is_a_prefix(small_settings, small_tables):
    shorter = outcomes(changed(small_settings, end=parse_month("2026-05")))
    assert len(shorter["market"]["month"]) == 23
    assert differing(shorter, small_tables, before=parse_month("2026-06")) == []


@pytest.mark.parametrize("rows", [7, 256, 5000])
def test_the_size_of_the_blocks_changes_no_bit(small_settings, small_tables, monkeypatch, rows):
    monkeypatch.setattr(choice, "BLOCK", rows)
    assert differing(small_tables, outcomes(small_settings)) == []


def test_an_event_after_the_horizon_changes_no_bit(small_settings, small_tables):
    late = changed(small_settings, events=(event("2027-01", "cloud_access", open=0.0),))
    assert differing(small_tables, outcomes(late)) == []


def test_an_event_that_orders_what_is_in_force_changes_no_bit(small_settings, small_tables):
    p = small_settings.parameters
    null = (
        event("2026-03", "export_control", tier="H200", quota=p["compute.cn.quota_h200"]),
        event("2026-03", "import_restriction", allowed=p["compute.cn.import_allowed"]),
        event("2026-03", "cloud_access", open=1.0),
        event("2026-01", "export_control", tier="B200", quota=0.0, leakage=p["compute.cn.leakage"]),
    )
    assert differing(small_tables, outcomes(changed(small_settings, events=null))) == []


def test_a_change_leaves_everything_before_it_alone(small_settings, small_tables):
    when = "2026-06"
    acts = (event(when, "cloud_access", open=0.0), event(when, "import_restriction", allowed=0.0))
    found = outcomes(changed(small_settings, events=acts))
    assert differing(small_tables, found, before=parse_month(when)) == []
    assert "market.compute_cn" in differing(small_tables, found)


@pytest.mark.parametrize(
    "path",
    [
        "capability.frontier_slope",
        "compute.world.growth",
        "compute.cn.quota_h200",
        "serving.size_growth",
        "serving.gpu_price_growth",
        "demand.volume_growth_fade",
    ],
)
def test_parameters_of_the_future_leave_the_history_alone(small_settings, small_tables, path):
    found = outcomes(changed(small_settings, {path: small_settings.parameters[path] * 1.5 + 0.1}))
    assert differing(small_tables, found, before=small_settings.history_until + 1) == []
    assert differing(small_tables, found) != []


def test_a_lab_that_nobody_knows_changes_no_other(small_settings, small_tables):
    """One more lab without a line: its rows appear, nothing else moves."""
    labs = {**small_settings.labs, "Newcomer": small_settings.labs["Cohere"] | {"compute_share": 0.0}}
    known = {**LABS, "Newcomer": {"bloc": "ROW"}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sim.market.setup.LABS", known)
        found = outcomes(replace(small_settings, labs=labs))
    rows = found["labs"]["lab"] != "Newcomer"
    found["labs"] = {name: values[rows] for name, values in found["labs"].items()}
    assert rows.sum() < len(rows)
    assert differing(small_tables, found) == []


def test_a_silent_line_changes_nobody(small_settings, small_tables, monkeypatch):
    """A line without releases has tastes drawn for it and no other effect."""
    from sim.market import setup

    plain = setup.line_table

    def with_one_more(labs):
        table = plain(labs)
        for column in ("current", "current_open", "last_month", "next_month", "offset"):
            values = getattr(table, column)
            setattr(table, column, np.append(values, values[:1]))
        table.lab = np.append(table.lab, table.lab[-1])
        table.names = (*table.names, "Cohere/silent")
        return table

    monkeypatch.setattr(setup, "line_table", with_one_more)
    assert differing(small_tables, outcomes(small_settings)) == []


@pytest.mark.parametrize("replicate", range(4))
def test_every_identity_holds_in_every_month(small_scenario, replicate):
    tables, violations = simulate(small_scenario.replace(until="2028-06"), replicate)
    assert violations == []
    assert broken_identities(combine([tables])) == []


def test_an_error_in_the_books_is_noted_with_its_month(small_settings, monkeypatch):
    monkeypatch.setattr(
        accounts.Accounts, "spend_hosts", property(lambda books: 1.0 + float(books.spend[:, 1].sum())), raising=True
    )
    market = simulated(small_settings, 2)
    assert [line.split(":")[0] for line in market.violations] == ["2024-07", "2024-08"]
    assert "total spend and its three parts differ" in market.violations[0]


def test_an_error_in_the_books_marks_the_result_invalid(small_scenario, monkeypatch):
    from sim.market import demand

    plain = demand.accounts_month

    def losing_money(market, costs, priced):
        books = plain(market, costs, priced)
        books.spend[0, 0] += 1.0
        return books

    monkeypatch.setattr(demand, "accounts_month", losing_money)
    results = sim.run(small_scenario, runs=1, until="2024-09")
    text = str(results.manifest)
    assert "spend by seller and by buyer differ" in text
    assert not _valid(results.manifest)


def test_a_sound_run_is_valid(small_scenario):
    assert _valid(sim.run(small_scenario, runs=1, until="2024-09").manifest)


def _valid(manifest) -> bool:
    found = manifest["invariants"]
    return not found["violations"] and found.get("valid", True)


# Mesa --------------------------------------------------------------------------------------------------------------


def test_state_of_a_lab_can_be_read_and_not_be_written(small_market):
    lab = small_market.lab_agents[0]
    assert lab.potential == small_market.labs.potential[0]
    for name in ("potential", "research_compute", "knowledge", "openness", "price_rule"):
        with pytest.raises(AttributeError, match="only the market writes it"):
            setattr(lab, name, 1.0)
    assert lab.potential == small_market.labs.potential[0]


def test_mesa_lists_agents_by_type(small_market):
    by_type = small_market.agents_by_type
    assert len(by_type[sim.Lab]) == len(small_market.labs.names)
    assert [lab.name for lab in by_type[Lab]] == list(small_market.labs.names)
    assert len(by_type[HostMarket]) == 1
    assert {type(agent).__name__ for agent in small_market.agents} == {
        "Lab",
        "Government",
        "HostMarket",
        "Developers",
        "Enterprises",
    }
    assert [lab.bloc for lab in small_market.lab_agents] == [BLOCS[b] for b in small_market.labs.bloc]


def test_a_mesa_data_collector_works_on_the_market(small_settings):
    from mesa.datacollection import DataCollector

    market = Market(small_settings)
    collector = DataCollector(
        model_reporters={"share": lambda m: m.record.market["open_token_share"][m.month - 1 - m.settings.start]},
        agenttype_reporters={Lab: {"potential": "potential"}},
    )
    for _ in range(3):
        market.step()
        collector.collect(market)
    market.close()
    frame = collector.get_model_vars_dataframe()
    assert frame["share"].tolist() == market.record.market["open_token_share"][:3].tolist()
    assert len(collector.get_agenttype_vars_dataframe(Lab)) == 3 * len(market.labs.names)


def test_a_closed_market_is_freed(small_settings):
    market = Market(small_settings)
    market.step()
    gone = weakref.ref(market)
    market.close()
    del market
    gc.collect()
    assert gone() is None


def test_closing_one_market_leaves_another_working(small_settings):
    one, other = Market(small_settings), Market(small_settings)
    one.close()
    one.close()
    other.step()
    other.close()


def test_a_market_can_be_made_of_a_scenario(small_scenario, small_settings):
    market = Market(small_scenario, replicate=0)
    assert market.settings == small_settings
    market.close()


def test_a_step_holds_no_arithmetic():
    """The month can be read aloud: calls and assignments, and the month counter."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(Market.step)))
    found = [node for node in ast.walk(tree) if isinstance(node, (ast.BinOp, ast.For, ast.While, ast.If, ast.IfExp))]
    assert found == []
    counters = [node for node in ast.walk(tree) if isinstance(node, ast.AugAssign)]
    assert [ast.unparse(node) for node in counters] == ["self.month += 1"]
    compared = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Compare)]
    assert compared == ["self.workloads.arrival <= self.month"]


def test_the_stages_of_a_month_come_in_the_order_of_the_calendar():
    source = inspect.getsource(Market.step)
    numbers = [int(line.strip().removeprefix("# ").split(".")[0]) for line in source.splitlines() if "# " in line]
    assert numbers == list(range(1, 13))


def test_nothing_is_handed_over_before_the_end_of_the_history(small_settings):
    market = simulated(small_settings, 2)
    with pytest.raises(RuntimeError, match="history is still being replayed"):
        _ = market.attached


# The hand-over -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("replicate", range(3))
def test_nothing_jumps_at_the_hand_over(small_scenario, replicate):
    """In the first month of the rules nothing moves more than in the roughest of the other months."""
    settings = between(small_scenario.draw(replicate), "2024-01", "2027-12", workloads=2500)
    market = simulated(settings)
    settled = 6
    at = settings.history_until - settings.start - settled
    relative = (
        *("open_token_share", "open_workload_share", "open_spend_share", "closed_price", "open_price", "hhi_tokens"),
        *("compute_cn", "compute_us", "total_tokens", "total_spend"),
    )
    for name in (*relative, "gap_points", "closed_margin"):
        values = market.record.market[name]
        moves = np.abs(np.diff(np.log(values) if name in relative else values))[settled:]
        assert moves[at] <= np.delete(moves, at).max(), name


def test_at_the_hand_over_every_labs_potential_is_its_best_release(small_settings):
    market = Market(between(small_settings, "2025-10", "2026-03"))
    for _ in range(3):
        market.step()
    best = supply.best_of_labs(market)
    assert market.month == small_settings.history_until + 1
    assert np.array_equal(market.attached.level, best, equal_nan=True)
    market.step()
    known = ~np.isnan(best)
    moved = market.labs.potential[known] - best[known]
    assert np.abs(moved).max() < 3.0  # a month on trend is about 1.3 points
    front = int(np.nanargmax(best))
    slope = small_settings.parameters["capability.frontier_slope"] / 12
    assert market.labs.potential[front] - best[front] == pytest.approx(slope, abs=0.35)
    market.close()


def test_list_prices_of_running_releases_do_not_move_at_the_hand_over(small_settings):
    market = Market(between(small_settings, "2025-10", "2026-03"))
    for _ in range(3):
        market.step()
    before = market.releases.list_price.copy()
    market.step()
    assert np.array_equal(market.releases.list_price[: len(before)], before)
    market.close()


# What the market starts from -----------------------------------------------------------------------------------------


def test_before_the_first_month_everything_released_is_on_offer_and_nobody_uses_anything(small_settings):
    market = Market(small_settings)
    assert market.releases.month.max() == small_settings.start - 1
    assert (market.usage.release == NONE).all()
    assert not market.usage.present.any()
    assert offering.offered(market).any()
    market.close()


def test_in_the_first_month_who_is_present_chooses(small_settings):
    market = simulated(small_settings, 1)
    present = market.workloads.arrival <= small_settings.start
    assert np.array_equal(market.usage.present, present)
    assert (market.usage.release[present] != NONE).mean() > 0.2
    assert (market.usage.release[~present] == NONE).all()


@pytest.mark.parametrize(("start", "until"), [("2023-03", "2023-03"), ("2023-03", "2024-02"), ("2025-12", "2025-12")])
def test_the_history_may_end_at_any_time(small_settings, start, until):
    settings = between(small_settings, start, "2026-03", history_until=until, workloads=200)
    market = simulated(settings)
    assert market.violations == []
    assert market.releases.month.max() > parse_month(until)
    assert np.isfinite(market.record.market["total_tokens"]).all()


def test_without_anything_worth_choosing_nobody_uses_a_model_and_the_books_still_close(small_settings):
    """Value zero, dear adoption, cheap hands: doing without wins, and shares of nothing are missing, not wrong."""
    settings = changed(
        between(small_settings, "2025-10", "2026-02"),
        {"demand.value": 0.0, "demand.value_sd": 0.0}
        | {f"demand.{f}.adoption_cost": 30.0 for f in ("developer", "enterprise")}
        | {f"demand.{f}.without_ai_cost": 0.0 for f in ("developer", "enterprise")},
    )
    market = simulated(settings)
    assert market.violations == []
    assert np.all(market.record.market["total_tokens"] == 0.0)
    assert np.isnan(market.record.market["open_token_share"]).all()
    assert broken_identities(combine([market.record.tables()])) == []


def test_a_ban_on_every_strict_adopter_empties_the_chinese_apis_there(small_settings):
    settings = changed(
        between(small_settings, "2025-01", "2026-12", workloads=1500),
        {"demand.ban.public": 1.0, "demand.ban.regulated": 1.0, "demand.ban.start": 2020.0}
        | {"demand.enterprise.distrust": 0.0},
    )
    market = simulated(settings)
    table, use = market.workloads, market.usage
    used = use.release != NONE
    on_chinese_api = used & (use.channel == 0) & (market.labs.bloc[market.releases.lab[use.release]] == 2)
    strict = (table.group >= 3) & (table.bloc != 2)
    assert on_chinese_api[~strict].any()
    assert not on_chinese_api[strict].any()


def test_us_apis_are_not_sold_in_china(small_market):
    table, use = small_market.workloads, small_market.usage
    used = use.release != NONE
    american = used & (use.channel == 0) & (small_market.labs.bloc[small_market.releases.lab[use.release]] == 0)
    assert american.any()
    assert not american[table.bloc == 2].any()


def test_labs_that_all_close_leave_their_last_weights_with_hosts(small_settings):
    settings = changed(small_settings, labs=for_all_labs(small_settings, openness="closed", cadence_months=1.0))
    market = simulated(settings)
    closed_after = market.releases.month > settings.history_until
    assert closed_after.any()
    assert not market.releases.is_open[closed_after].any()
    on = offering.offered(market)
    line = market.lines.names.index("DeepSeek/chat")
    weights = market.lines.current_open[line]
    assert market.releases.month[weights] <= settings.history_until
    assert market.lines.current[line] != weights
    assert on[weights, 1]
    assert on[weights, 2]
    assert not on[weights, 0]
    assert on[market.lines.current[line], 0]
    assert not on[market.lines.current[line], 1]


def test_labs_that_all_open_publish_every_new_release(small_settings):
    settings = changed(small_settings, labs=for_all_labs(small_settings, openness="open", cadence_months=1.0))
    market = simulated(settings)
    after = market.releases.month > settings.history_until
    assert market.releases.is_open[after].all()
    assert (market.releases.degree[after] > 0).all()
    opened = market.releases.lab[after] == market.labs.names.index("Anthropic")
    assert market.releases.has_api[after][opened].all()


def test_a_lab_that_has_stopped_releases_nothing_more(small_settings):
    settings = changed(small_settings, labs={"OpenAI": {"active": 0.0}, "TII": {"active": 1.0}})
    market = simulated(settings)
    after = market.releases.month > settings.history_until
    assert market.labs.names.index("OpenAI") not in market.releases.lab[after]
    plain = simulated(small_settings).releases
    assert (plain.month > settings.history_until).sum() > after.sum()
