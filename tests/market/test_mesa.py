"""The market as a Mesa model, and the shape of its step."""

from __future__ import annotations

import ast
import gc
import inspect
import textwrap
import weakref

import pytest

import sim
from sim.market.labs import HostMarket, Lab
from sim.market.market import Market
from sim.scenario.schema import BLOCS

from .worlds import between, simulated


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
        "World",
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
    """The month can be read aloud: calls and assignments."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(Market.step)))
    found = [node for node in ast.walk(tree) if isinstance(node, (ast.BinOp, ast.For, ast.While, ast.If, ast.IfExp))]
    assert found == []
    counters = [node for node in ast.walk(tree) if isinstance(node, ast.AugAssign)]
    assert counters == []
    compared = [node for node in ast.walk(tree) if isinstance(node, ast.Compare)]
    assert compared == []


def test_the_stages_of_a_month_come_in_the_order_of_the_calendar():
    source = inspect.getsource(Market.step)
    numbers = [int(line.strip().removeprefix("# ").split(".")[0]) for line in source.splitlines() if "# " in line]
    assert numbers == list(range(1, 13))


def test_mesas_own_run_model_stops_at_the_horizon(small_settings):
    market = Market(between(small_settings, "2025-11", "2026-01"))
    market.run_model()
    assert market.month == market.settings.end + 1


def test_nothing_is_handed_over_before_the_end_of_the_history(small_settings):
    market = simulated(small_settings, 2)
    with pytest.raises(RuntimeError, match="history is still being replayed"):
        _ = market.attached
