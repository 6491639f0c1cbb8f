"""List prices after the history: rule by rule, sticky, on demand that is the demand of the choice stage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim.market import demand, governments, offering, price_setting
from sim.market.market import Market
from sim.market.stages import choice, demand_panel
from sim.market.stages.equilibrium import LOCAL_ONLY, MULTIPLE, NASH, NOT_CONVERGED
from sim.market.tables import HOST, LAB_API, NONE

from .guards import binds
from .worlds import between, changed, for_all_labs, simulated

AT_ONCE = {"pricing.adjustment": 1.0}


@pytest.fixture(scope="module")
def world(small_settings):
    return between(small_settings, "2025-11", "2026-08", workloads=400)


def after(settings, months=None):
    """Return a market after some months of the rules; by default after its last one."""
    market = Market(settings)
    last = settings.end if months is None else settings.history_until + months
    while market.month <= last:
        market.step()
    market.close()
    return market


def next_prices(market):
    """Return what the rules would post next month, were nothing released in it, with this and the costs of that."""
    costs = offering.serving_costs(market)
    return price_setting.prices_month(market, costs), costs


def on_api(market):
    """Return the releases that labs sell themselves."""
    return np.flatnonzero(offering.offered(market)[:, LAB_API])


# Rules ---------------------------------------------------------------------------------------------------------------


def test_under_hold_a_line_keeps_the_list_price_of_the_hand_over(world):
    settings = changed(world, AT_ONCE, for_all_labs(world, price_rule="hold", cadence_months=2.0))
    market, start = after(settings), after(settings, 0)
    table = market.releases
    known = len(start.releases.names)
    assert len(table.names) > known + 10
    assert np.array_equal(table.posted[:known], start.releases.posted)
    for row in range(known, len(table.names)):
        before = np.flatnonzero((table.line == table.line[row]) & (np.arange(len(table.names)) < row))[-1]
        assert table.posted[row] == table.posted[before]


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_cost_plus_keeps_the_ratio_to_cost_of_the_hand_over_less_the_adoption_value(world, value):
    fields = {"price_rule": "cost_plus", "cadence_months": 2.0, "adoption_value": value}
    settings = changed(world, AT_ONCE, for_all_labs(world, **fields))
    market, start = after(settings), after(settings, 0)
    start.month -= 1  # the hand-over itself
    at_start = offering.serving_costs(start).marginal
    ratio = market.releases.price_over_cost
    assert ratio[: len(at_start)] == pytest.approx(start.releases.posted / at_start)
    found, costs = next_prices(market)
    sold = on_api(market)
    assert found.posted[sold] == pytest.approx(np.maximum(0.0, (costs.marginal * ratio - value)[sold]))
    assert (found.posted[sold] == 0.0).any() == (value > 0.0)


def test_penetration_sells_at_cost(world):
    market = after(changed(world, AT_ONCE, for_all_labs(world, price_rule="penetration")), 2)
    found, costs = next_prices(market)
    sold = on_api(market)
    assert found.posted[sold] == pytest.approx(costs.marginal[sold])
    assert found.status == ""


def test_match_open_takes_the_price_of_the_cheapest_open_model_nearly_as_good(world):
    points = {"pricing.match_points": 4.0}
    market = after(changed(world, AT_ONCE | points, for_all_labs(world, price_rule="match_open")), 0)
    found, costs = next_prices(market)
    hosts = offering.prices(market, costs).host_list
    seen = offering.perceived(market)
    hosted = np.flatnonzero(offering.offered(market)[:, HOST])
    matched = 0
    for row in on_api(market):
        rivals = hosts[hosted[seen[hosted] >= seen[row] - 4.0]]
        wanted = market.releases.posted[row]
        if len(rivals):
            wanted = min(wanted, max(costs.marginal[row], rivals.min()))
        assert found.posted[row] == pytest.approx(wanted)
        matched += found.posted[row] < market.releases.posted[row]
    assert matched > 3


def test_matching_never_raises_a_price(world):
    market = Market(changed(world, AT_ONCE, for_all_labs(world, price_rule="match_open")))
    while market.month <= world.end:
        before = market.releases.posted.copy()
        market.step()
        if market.month - 1 > world.history_until:
            assert (market.releases.posted[: len(before)] <= before).all()
    market.close()


def test_under_bertrand_a_lab_that_values_adoption_asks_less_for_its_api(world):
    """From the same hand-over: every list price of the open lab falls, and the profit it gives up is its own choice."""
    world = replace(world, nodes=1024)  # with few, hardly anybody is there whom a lower price would win
    plain = after(world, 0)
    keen = after(changed(world, labs={"DeepSeek": {"adoption_value": 0.2}}), 0)
    assert np.array_equal(plain.releases.posted, keen.releases.posted)
    (left, _), (right, _) = next_prices(plain), next_prices(keen)
    mine = on_api(plain)
    mine = mine[plain.releases.lab[mine] == plain.labs.names.index("DeepSeek")]
    assert len(mine) > 0
    assert (right.wanted[mine] < left.wanted[mine] - 0.05).all()
    assert (right.posted[mine] < left.posted[mine]).all()


def test_what_is_given_away_stands_at_zero_while_its_lab_wants_it_and_leaves_it_again(world):
    """Complementarity: a price at the bound of zero, from where another rule of the month can lift it."""
    settings = changed(world, AT_ONCE, {"DeepSeek": {"adoption_value": 50.0, "cadence_months": 2.0}})
    market = after(settings)
    deepseek = market.labs.names.index("DeepSeek")
    mine = on_api(market)
    mine = mine[market.releases.lab[mine] == deepseek]
    assert (market.releases.month[mine] > world.history_until).any()  # a successor was priced too
    assert (market.releases.wanted[mine] == 0.0).all()
    assert (market.releases.posted[mine] == 0.0).all()
    assert market.violations == []
    market.labs.adoption_value[deepseek] = 0.0
    found, _ = next_prices(market)
    assert (found.wanted[mine] > 0.0).all()
    assert (found.posted[mine] > 0.0).all()


def test_labs_that_solve_take_the_prices_of_the_others_as_given(world):
    """Others at cost: their prices are the rule's, and those of the lab that solves answer them."""
    rules = for_all_labs(world, price_rule="penetration") | {"Anthropic": {"price_rule": "bertrand"}}
    alone, everybody = after(changed(world, AT_ONCE, rules), 1), after(changed(world, AT_ONCE), 1)
    found, costs = next_prices(alone)
    lab = alone.releases.lab == alone.labs.names.index("Anthropic")
    sold = on_api(alone)
    assert found.posted[sold][~lab[sold]] == pytest.approx(costs.marginal[sold][~lab[sold]])
    assert found.status == price_setting.NOT_CHECKED
    mine = sold[lab[sold]]
    assert (found.wanted[mine] > costs.marginal[mine]).all()
    assert (found.wanted[mine] != next_prices(everybody)[0].wanted[mine]).all()


# Sticky prices -------------------------------------------------------------------------------------------------------


def test_without_adjustment_a_release_keeps_its_price_until_its_successor(world):
    settings = changed(world, {"pricing.adjustment": 0.0}, for_all_labs(world, cadence_months=2.0))
    market = Market(settings)
    while market.month <= settings.end:
        before = market.releases.posted.copy()
        market.step()
        if market.month - 1 > settings.history_until:
            assert np.array_equal(market.releases.posted[: len(before)], before)
    market.close()
    table = market.releases
    assert sum(table.month > settings.history_until) > 10
    assert (table.wanted != table.posted).any()


def test_with_full_adjustment_every_price_is_the_wanted_one_times_what_is_left_of_the_wedge(world):
    market = after(changed(world, AT_ONCE, for_all_labs(world, cadence_months=2.0)), 6)
    table, sold = market.releases, on_api(market)
    market.month -= 1  # the month just simulated
    left = price_setting.wedge_left(market)
    assert 0.0 < left < 1.0
    assert table.posted[sold] == pytest.approx((table.wanted * np.exp(left * table.wedge))[sold])


def test_a_release_is_priced_in_full_in_its_month_whatever_the_adjustment(world):
    market = after(changed(world, {"pricing.adjustment": 0.0}, for_all_labs(world, cadence_months=1.0)), 3)
    table = market.releases
    fresh = np.intersect1d(np.flatnonzero(table.month == market.month - 1), on_api(market))
    assert len(fresh) > 3
    market.month -= 1
    wanted = table.wanted * np.exp(price_setting.wedge_left(market) * table.wedge)
    assert table.posted[fresh] == pytest.approx(wanted[fresh])


# The panel -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "with a promotion and subsidies"])
def priced(request, world):
    """A market after three months of the rules, its price problem, and the same rows seen by the choice stage."""
    market = after(world, 3)
    if request.param:
        free = tuple(governments.Promotion(row, 0.3, market.month, 2.0) for row in (0, 3))
        market.policy = replace(market.policy, promotions=free, subsidy=(0.2, 0.0, 0.5, 0.0))
    costs = offering.serving_costs(market)
    problem, prices = price_setting.price_problem(market, costs), offering.prices(market, costs)
    offers = offering.offers(market, prices)
    view = demand.month_view(market, offers, prices, np.zeros(len(market.labs.names)))
    parts = []
    for group in market.adopters:
        rows = group.nodes_present(market.nodes)
        stand = demand.standing(market, view, rows)
        who = group.choosers(rows, np.zeros(len(rows), bool), market.nodes.table, stand, view)
        common = view.rules[group.number]
        outside = choice.outside_utilities(who)
        utility, version = choice.best_versions(choice.offer_utilities(who, offers, common), offers.option)
        assert (version >= version.shape[1]).any()  # an older version suits some best
        keep = choice.kept_in_line(who, offers, common, utility, version, choice.keep_utilities(who, common))
        probability, logsum = choice.choice_probabilities(
            utility,
            keep,
            outside,
            first_of_line=problem.offers.first_of_line,
            dissimilarity=common.dissimilarity,
        )
        parts.append((probability, logsum, who.pain / who.price_sensitivity * (logsum - outside)))
    return market, problem, [np.concatenate(column) for column in zip(*parts, strict=True)]


def test_demand_of_the_panel_at_posted_prices_is_that_of_the_choice_stage(priced):
    _, problem, (probability, logsum, _) = priced
    found = demand_panel.demand(problem.panel, problem.listed)
    assert np.abs(found.probability - probability[:, :-2]).max() <= 1e-12
    assert np.abs(found.keep - probability[:, -2]).max() <= 1e-12
    assert np.abs(found.outside - probability[:, -1]).max() <= 1e-12
    assert np.abs(found.logsum - logsum).max() <= 1e-12 * np.abs(logsum).max()
    assert (probability[:, -2] > 0.0).any()  # some keep what is superseded


def test_surplus_of_the_panel_is_that_of_the_choice_stage(priced):
    _, problem, (_, _, worth) = priced
    assert demand_panel.consumer_surplus(problem.panel, problem.listed) == pytest.approx(
        (problem.panel.weight * worth).sum(), rel=1e-12
    )


def test_the_panel_stands_for_everybody_present(world):
    """Each node for what of it has arrived; together for as many workloads as the population counts."""
    market = after(changed(world, workloads=20_000), 3)
    panel = price_setting.price_problem(market, offering.serving_costs(market)).panel
    nodes, people = market.nodes, market.workloads
    assert panel.weight.tolist() == (nodes.table.weight * nodes.present)[nodes.present > 0.0].tolist()
    assert (nodes.present <= 1.0).all()
    here = people.weight[people.arrival < market.month].sum()
    assert panel.weight.sum() == pytest.approx(here, rel=0.02)
    assert panel.weight.sum() > 1.02 * market.parameters["demand.workloads_2025"]  # those of 2025 and newcomers


def test_list_prices_move_the_labs_own_apis_alone(priced):
    _, problem, _ = priced
    api = problem.offers.channel == LAB_API
    assert (problem.panel.loading[:, api] > 0.0).all()
    assert (problem.panel.base_price[:, api] == 0.0).all()
    assert (problem.panel.loading[:, ~api] == 0.0).all()
    assert np.array_equal(problem.panel.priced, api)


# How far prices can be trusted ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checked(small_scenario):
    """Market tables of two runs of 2,000 workloads that end after five searches for deviations."""
    settings = (between(small_scenario.draw(replicate), "2025-11", "2028-02", workloads=2000) for replicate in range(2))
    return [(one, after(one).record.tables()["market"]) for one in settings]


def test_most_searches_find_that_no_lab_would_leave(checked):
    found = []
    for settings, table in checked:
        forecast = table["month"] > settings.history_until
        status = table["equilibrium_status"]
        assert set(status[~forecast]) == {None}
        assert set(status[forecast]) <= {NASH, LOCAL_ONLY, MULTIPLE, NOT_CONVERGED, price_setting.NOT_CHECKED}
        searched = (table["month"] - settings.history_until) % price_setting.SEARCH_MONTHS == 1
        assert price_setting.NOT_CHECKED not in set(status[forecast & searched])
        found += status[forecast & searched].tolist()
    assert len(found) == 10
    assert found.count(NASH) >= 7


def test_a_deviation_gain_is_known_where_it_was_searched_and_nothing_where_prices_are_an_equilibrium(checked):
    for settings, table in checked:
        forecast = table["month"] > settings.history_until
        gain, status = table["deviation_gain"], table["equilibrium_status"]
        searched = forecast & (status != price_setting.NOT_CHECKED)
        assert np.array_equal(~np.isnan(gain), searched)
        assert (gain[status == NASH] <= 1e-9).all()
        assert (gain[status == LOCAL_ONLY] > 1e-9).all()


def test_posted_prices_that_differ_from_the_wanted_ones_leave_something_to_gain(world):
    market = Market(world)
    while market.month <= world.history_until + 1:
        market.step()
    market.close()
    assert market.price_month.deviation_gain <= market.price_month.posted_gain
    assert market.price_month.posted_gain > 1e-6


@pytest.mark.parametrize("population", ["agents", "mean-field"])
def test_the_median_month_finds_its_prices_in_at_most_three_steps(small_settings, monkeypatch, population):
    """Steps of Newton's method, with those of a second search where the first one left something to gain.

    With the nodes of the default: few are rougher, and take four with 128.
    """
    steps: dict[int, int] = {}
    solve = price_setting.solve_prices

    def counting(*args, **options):
        found = solve(*args, **options)
        steps[market.month] = steps.get(market.month, 0) + found.iterations
        return found

    monkeypatch.setattr(price_setting, "solve_prices", counting)
    settings = between(small_settings, "2025-11", "2030-12", workloads=400, nodes=1024, population=population)
    market = Market(settings)
    market.run()
    market.close()
    del steps[settings.history_until]  # the first prices of all, from those observed
    assert len(steps) == settings.end - settings.history_until
    assert np.median(list(steps.values())) <= 3.0


def test_prices_that_no_lab_solves_have_no_status(world):
    found, _ = next_prices(after(changed(world, labs=for_all_labs(world, price_rule="hold")), 1))
    assert (found.status, np.isnan(found.deviation_gain)) == ("", True)


def test_what_nobody_offers_any_more_keeps_its_last_price(world):
    market = after(changed(world, AT_ONCE, for_all_labs(world, cadence_months=1.0)), 4)
    found, _ = next_prices(market)
    gone = np.setdiff1d(np.arange(len(market.releases.names)), on_api(market))
    assert np.array_equal(found.posted[gone], market.releases.posted[gone])
    assert (market.lines.current[market.releases.line[gone]] != gone).any() or NONE in market.lines.current


@binds("price_setting.py", "_posted", "np.minimum(found.prices[free], DEAREST)")
def test_a_lab_that_wants_its_users_on_weights_that_others_serve_prices_its_api_out_and_no_further(small_scenario):
    """Its API earns a token's value at a cost; the same token on a host earns it for nothing.

    Few nodes are soon without anybody who would stay with the API; of many somebody does.
    """
    most = {}
    for value in (0.0, 10.0):
        settings = between(small_scenario.draw(3), "2025-07", "2026-03", workloads=250)
        market = simulated(changed(settings, labs={"Alibaba": {"adoption_value": value}}))
        most[value] = market.releases.wanted.max()
        assert market.violations == []
    assert most[0.0] < 1e3 < price_setting.DEAREST == most[10.0]
