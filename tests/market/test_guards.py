"""Every floor, cap and clip of the market has a case in which it binds; a new one needs a new case.

Stages that are tested against theory in files of their own (`stages/`) bring their cases there.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sim.market
from sim import rng
from sim.market import adopters, demand, governments, offering, population, resources, supply
from sim.market.market import Market
from sim.market.stages import accounts, awareness, capability, choice, compute, pricing, releases, usage
from sim.market.tables import NONE
from sim.months import parse_month
from sim.scenario.schema import BLOCS, GROUPS

from .worlds import between, changed, for_all_labs, outcomes

CN = BLOCS.index("CN")
GUARDS = {"maximum", "minimum", "clip", "max", "min"}


def guards_in_the_code() -> set[tuple[str, str]]:
    """Return (file, expression) of every call of max, min, maximum, minimum or clip that compares two things."""
    root = Path(sim.market.__file__).parent
    found = set()
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            over_an_axis = not node.args or isinstance(node.args[0], ast.GeneratorExp)
            limits = {keyword.arg for keyword in node.keywords} & {"max", "min", "initial"}
            if name in GUARDS and (not over_an_axis or limits):
                found.add((path.relative_to(root).as_posix(), ast.unparse(node)))
    return found


CASES: dict[tuple[str, str], Callable] = {}


def binds(file: str, expression: str):
    """Register the case in which a guard binds."""

    def register(case: Callable) -> Callable:
        assert (file, expression) not in CASES
        CASES[file, expression] = case
        return case

    return register


@pytest.fixture
def world(small_settings):
    return between(small_settings, "2025-10", "2026-02", workloads=200)


def stepped(settings, months):
    market = Market(settings)
    for _ in range(months):
        market.step()
    market.close()
    return market


# Market and demand ---------------------------------------------------------------------------------------------------


@binds("market.py", "np.maximum(self.workloads.arrival, settings.start)")
def _(world):
    early = stepped(world, 0).workloads.arrival
    assert early.min() == world.start
    assert (early == world.start).sum() > 60  # all who came before


@binds("market.py", "max(leaps[lab], self.releases.capability[row] - records[kind])")
def _(world):
    market = stepped(world, 0)
    made = supply.replayed_releases(market, upto=world.start, since=world.start)
    assert made
    below = [m for m in made if m.columns["capability"] < min(supply.records(market))]
    assert below  # a release below the record of its kind
    leaps = market._release(below)
    assert (leaps == 0.0).all()


@binds("demand.py", "max(market.month, until)")
def _(world):
    """In the history the bill that hurts is that of the workload; after it it grows with need."""
    settings = changed(world, {"demand.pain_growth": 1.0})
    market = stepped(settings, 0)
    assert (demand.pains(market) == market.workloads.pain).all()
    market.month = settings.history_until + 12
    assert (demand.pains(market) > market.workloads.pain).all()


@binds("demand.py", "np.maximum(market.awareness, market.labs.initial_awareness)")
def _(world):
    market = stepped(changed(world, {"awareness.innovation": 0.0, "awareness.imitation": 0.0}), 1)
    seen = np.isin(np.arange(len(market.labs.names)), market.releases.lab)
    assert (market.awareness[:, seen] == market.labs.initial_awareness[seen]).all()
    assert (market.awareness[:, ~seen] == 0.0).all()


@binds("demand.py", "np.maximum(accounts.in_order(count), 1e-300)")
def _(world):
    market = stepped(world, 0)  # nobody uses anything yet
    assert (demand.vendor_shares(market) == 0.0).all()


@binds("demand.py", "np.clip(leaps.max() / p['demand.leap_points'], 0.0, 1.0)")
def _(world):
    market = stepped(world, 2)
    priced = offering.prices(market, offering.serving_costs(market))
    table = offering.offers(market, priced)
    labs = len(market.labs.names)
    for leap, wanted in ((100.0, 1.0), (-5.0, 0.0), (0.0, 0.0)):
        assert demand.month_view(market, table, priced, np.full(labs, leap)).leap == wanted


@binds("demand.py", "np.maximum(resources.serving_compute(market), LEAST_COMPUTE)")
def _(world):
    world = between(world, "2025-10", "2026-09")
    market = stepped(changed(world, labs=for_all_labs(world, compute_share=0.0)), 12)
    assert np.isfinite(market.labs.load).all()
    assert (market.labs.load > 1.0).any()
    assert market.unmet_tokens > 0.0
    assert market.violations == []


@binds("demand.py", "np.maximum(barred[:, CN], market.workloads.banned)")
def _(world):
    """Of a ban in the scenario and one of the history the further reach counts."""
    bans = {"demand.ban.public": 1.0, "demand.ban.regulated": 1.0, "demand.ban.start": 2020.0}
    market = stepped(changed(world, bans), 1)
    strict = (market.workloads.group >= GROUPS.index("regulated")) & (market.workloads.bloc != CN)
    assert strict.any()
    assert (demand._barred(market)[strict, CN] == 1).all()
    everybody = governments.Ban("CN", "all", "all", "weights", 1.0)
    market.policy = replace(market.policy, bans=(everybody,))
    assert (demand._barred(market)[market.workloads.bloc != CN, CN] == 3).all()


@binds("governments.py", "np.maximum(reach[bound, origin], 1 + BAN_SCOPES.index(ban.scope))")
def _(world):
    """A later ban of smaller reach leaves the further one."""
    market = stepped(world, 0)
    everybody, regulated = (
        governments.Ban("CN", "all", group, scope, 1.0) for group, scope in (("all", "weights"), ("regulated", "api"))
    )
    reach = governments.barred(replace(market.policy, bans=(everybody, regulated)), market.workloads, market.seed)
    assert (reach[market.workloads.bloc != CN, CN] == 3).all()


@binds("governments.py", "max(found[promotion.lab], promotion.discount)")
def _(world):
    market = stepped(world, 0)
    both = tuple(governments.Promotion(3, discount, market.month, 2.0) for discount in (0.4, 0.1))
    found = governments.discounts(replace(market.policy, promotions=both), market.month, market.labs)
    assert found[3] == 0.4


@binds("labs.py", "table.capability[rivals].max(initial=-np.inf)")
def _(world):
    """The only active lab is behind nobody."""
    market = stepped(changed(world, labs=for_all_labs(world, active=0.0) | {"Meta": {"active": 1.0}}), 0)
    assert market.lab_agents[market.labs.names.index("Meta")]._best_closed_rival() == -np.inf


# Population ----------------------------------------------------------------------------------------------------------


@binds("population.py", "np.searchsorted(edges, u, side='right').clip(max=len(parts) - 1)")
def _(world):
    assert population.pick(np.array([1.0]), np.array([0.1] * 10)).tolist() == [9]


@binds("population.py", "np.maximum(points, 2.0 ** (-53))")
def _(world):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rng, "uniform", lambda key, rows: np.array([1.0 - population._PHI**-1]))
        points = population.weyl(1, "any", 0, 3)
    assert points[0] == 2.0**-53
    assert (points > 0).all()


@binds("population.py", "np.maximum(0.0, p['demand.value'] + p['demand.value_sd'] * _normal(seed, 'value', rows))")
def _(world):
    market = stepped(changed(world, {"demand.value": 1.0, "demand.value_sd": 5.0}), 0)
    assert market.workloads.value.min() == 0.0
    assert 0.3 < (market.workloads.value == 0.0).mean() < 0.55


# Supply --------------------------------------------------------------------------------------------------------------


@binds("resources.py", "max(0.0, demand - licensed - domestic * p['compute.perf.domestic'])")
def _(world):
    plenty = {"compute.cn.domestic_units_2025": 2e7, "compute.perf.domestic": 10.0}
    market = stepped(changed(world, plenty), 4)
    assert market.compute.added_diverted == 0.0
    assert market.compute.diverted >= 0.0


@binds("resources.py", "min(p['compute.eu_share'], 1.0 - p['compute.us_share'])")
def _(world):
    market = stepped(changed(world, {"compute.us_share": 0.9, "compute.eu_share": 0.5}), 1)
    stocks = resources.bloc_stocks(market)
    assert stocks[BLOCS.index("EU")] == pytest.approx(0.1 * market.compute.abroad)
    assert stocks[BLOCS.index("ROW")] == pytest.approx(0.0, abs=1e-9 * market.compute.abroad)


@binds("resources.py", "np.maximum(bloc_stocks(market)[labs.bloc], 1.0)")
def _(world):
    settings = changed(
        world, {"compute.us_share": 1.0, "compute.research_share": 0.5}, for_all_labs(world, compute_share=0.5)
    )
    market = stepped(settings, 4)
    europe = market.labs.bloc == BLOCS.index("EU")
    assert (market.labs.research_compute[europe] == 0.25).all()
    assert np.isfinite(market.labs.potential[~np.isnan(supply.best_of_labs(market))]).all()


@binds("resources.py", "np.maximum(now, 0.001)")
def _(world):
    market = stepped(changed(world, labs=for_all_labs(world, compute_share=0.0)), 4)
    assert market.labs.research_compute == pytest.approx(1e-3)
    assert market.violations == []


@binds("offering.py", "np.maximum(marginal, table.full_load_cost * ratio / p['serving.self_host.utilisation'])")
def _(world):
    """Own machines at full load cost no less than what hosts pay for the same weights."""
    for utilisation, bound in ((1.0, True), (0.01, False)):
        market = stepped(changed(world, {"serving.self_host.utilisation": utilisation}), 0)
        costs, weights = offering.serving_costs(market), market.releases.is_open
        assert (costs.own[weights] >= costs.marginal[weights]).all()
        assert (costs.own[weights] == costs.marginal[weights]).any() == bound


@binds("supply.py", "table.capability[table.is_open == kind].max(initial=-np.inf)")
def _(world):
    market = stepped(world, 0)
    market.releases.is_open[:] = False
    closed, open_ = supply.records(market)
    assert closed == market.releases.capability.max()
    assert open_ == np.inf  # so that the first of its kind is no leap


@binds("supply.py", "max(0.0, years_since(month, until))")
def _(world):
    market = stepped(changed(world, {"serving.gpu_price_growth": 0.5}), 0)
    early = parse_month("2025-01")
    assert supply.gpu_hour(market, early) == supply.evidence.gpu_hour_price(early)


@binds("supply.py", "min(month, until)")
def _(world):
    shorter = between(world, "2024-01", "2024-12", history_until="2024-06", workloads=200)
    market = stepped(changed(shorter, {"serving.gpu_price_growth": 1.0}), 0)
    late = parse_month("2025-09")
    assert supply.gpu_hour(market, late) == supply.evidence.gpu_hour_price(parse_month("2024-06"))
    assert supply.gpu_hour(market, late) != supply.evidence.gpu_hour_price(late)


@binds("supply.py", "max(p['serving.size_exponent'], SMALLEST_EXPONENT)")
def _(world):
    """Where size costs nothing a release that spends its saving grows by a bounded factor."""
    lines = for_all_labs(world, cadence_months=1.0)
    settings = changed(between(world, "2025-10", "2026-12"), {"serving.size_exponent": 0.0}, lines)
    table = stepped(settings, 15).releases
    grown = table.month > settings.history_until
    assert grown.sum() > 20
    assert np.nanmax(table.active_params[grown]) < 1e9
    assert np.nanmin(table.active_params[grown]) > 0.0


# Adopters and choice -------------------------------------------------------------------------------------------------


@binds("adopters.py", "np.maximum(utility.max(axis=1), keep)")
def _(world):
    """Lookers at home with nothing left to choose do without; those who can keep what they have keep it."""
    market = stepped(world, 2)
    table = offering.offers(market, offering.prices(market, offering.serving_costs(market)))
    priced = offering.prices(market, offering.serving_costs(market))
    view = demand.month_view(market, table, priced, np.zeros(len(market.labs.names)))
    row = np.flatnonzero(market.usage.release != NONE)[:1]
    group = next(g for g in market.adopters if g.rows.start <= row[0] < g.rows.stop)
    common = view.rules[group.number]
    common = replace(common, sold_in=np.zeros_like(common.sold_in))
    who = group.choosers(row, np.array([True]), market.workloads, market.usage, view)
    for price, wanted in ((np.nan, NONE), (1.0, int(market.usage.release[row[0]]))):
        found = adopters._decide(replace(who, keep_price=np.array([price])), np.array([0.5]), view, common)
        assert found[0].tolist() == [wanted]
        assert np.isfinite(found[2]).all()


@binds("adopters.py", "np.minimum(option, len(offers) - 1)")
def _(world):
    """Keeping and doing without are the two options after the offers."""
    market = stepped(changed(world, {"demand.value": 3.0}), 3)
    assert (market.usage.release[market.usage.present] == NONE).any()


@binds("adopters.py", "max(1, len(table) // PANEL_ROWS)")
def _(world):
    """Where there are fewer workloads than the panel would take, it takes all of them."""
    market = stepped(world, 1)
    assert len(market.workloads) < adopters.PANEL_ROWS
    for group in market.adopters:
        rows = np.arange(group.rows.start, group.rows.stop)
        present = rows[market.workloads.arrival[rows] <= market.month]
        assert group.panel_rows(market.workloads, market.month).tolist() == present.tolist()


@binds("stages/choice.py", "np.maximum(1, np.arange(len(CHANNELS) + 1))")
def _(world):
    """A line without a usable channel has no channels to take the log of, and nobody chooses it."""
    assert choice.LOG_CHANNELS[0] == choice.LOG_CHANNELS[1] == 0.0
    assert np.isfinite(choice.LOG_CHANNELS).all()


@binds("stages/choice.py", "np.minimum(1.0, hazard * (1.0 + bump * leap))")
def _(world):
    assert choice.looks_again(np.array([1 - 2.0**-53]), hazard=np.array([0.9]), leap=1.0, bump=9.0).all()


@binds("stages/choice.py", "np.clip(step / leap_points, 0.0, 1.0)")
def _(world):
    found = choice.upgrade_hazard(np.array([-4.0, 40.0]), usual=0.1, leap=0.5, leap_points=4.0)
    assert found.tolist() == [0.1, 0.5]


def _nested(utility, keep=-np.inf, outside=0.0, first=(0,), dissimilarity=0.5):
    utility = np.array([utility], float)
    return choice.choice_probabilities(
        utility,
        np.array([keep]),
        np.array([outside]),
        first_of_line=np.array(first),
        dissimilarity=dissimilarity,
    )


@binds("stages/choice.py", "np.maximum(utility.max(axis=1), keep)")
def _(world):
    probability, _ = _nested([0.0], keep=900.0)
    assert probability[0].tolist() == [0.0, 1.0, 0.0]


@binds("stages/choice.py", "np.maximum(np.maximum(utility.max(axis=1), keep), outside)")
def _(world):
    probability, _ = _nested([0.0], keep=-900.0, outside=900.0)
    assert probability[0].tolist() == [0.0, 0.0, 1.0]


@binds("stages/choice.py", "np.maximum(utility, NEGLIGIBLE, out=utility)")
def _(world):
    probability, _ = _nested([0.0, -np.inf, -400.0])
    assert probability[0, 1] == probability[0, 2] == 0.0
    assert np.isfinite(probability).all()


@binds("stages/choice.py", "np.maximum(nest, TINY, out=nest)")
def _(world):
    probability, logsum = _nested([-np.inf, -np.inf, 0.0], first=(0, 2), dissimilarity=0.05)
    assert probability[0].tolist() == pytest.approx([0.0, 0.0, 0.5, 0.0, 0.5])
    assert logsum[0] == pytest.approx(np.log(2))


# Stages --------------------------------------------------------------------------------------------------------------


@binds("stages/compute.py", "min(licensed, wanted)")
def _(world):
    perf = dict.fromkeys(compute.TIERS, 1.0)
    scarce, _ = compute.legal_imports(50.0, 0, quota=dict.fromkeys(compute.TIERS, 120.0), perf=perf, allowed=1.0)
    ample, _ = compute.legal_imports(5.0, 0, quota=dict.fromkeys(compute.TIERS, 120.0), perf=perf, allowed=1.0)
    assert scarce == dict.fromkeys(compute.TIERS, 10)
    assert ample == {"B200": 5, "H200": 0, "H20": 0}


@binds("stages/compute.py", "max(0, min(licensed, wanted))")
def _(world):
    units, bought = compute.legal_imports(
        -5.0, 0, quota=dict.fromkeys(compute.TIERS, 120.0), perf=dict.fromkeys(compute.TIERS, 1.0), allowed=1.0
    )
    assert units == dict.fromkeys(compute.TIERS, 0)
    assert bought == 0.0


@binds("stages/capability.py", "max(1, len(window) - 1)")
def _(world):
    assert capability.trend(np.array([[5.0]]), 24).tolist() == [0.0]


@binds("stages/compute.py", "max(1.0 / REVENUE_BAND, revenue / reference / trend_growth)")
def _(world):
    assert compute.revenue_response(1.0, 100.0, 1.0, 1.0) == 0.25


@binds("stages/compute.py", "min(REVENUE_BAND, relative)")
def _(world):
    assert compute.revenue_response(100.0, 1.0, 1.0, 0.5) == 2.0


def interval_under_way(number, elapsed):
    stream = np.array([releases.interval_stream(1, "A/x")], np.uint64)
    return releases.draw_intervals(stream, np.array([number]), mean=0.5, shape=50.0, elapsed=elapsed).tolist()


@binds("stages/releases.py", "np.maximum(gammaincc(shape, elapsed * shape / mean), SMALLEST_TAIL)")
def _(world):
    assert interval_under_way(0, 60.0) == [60.0]


@binds("stages/releases.py", "np.maximum(elapsed, gammainccinv(shape, left * (1.0 - u)) * mean / shape)")
def _(world):
    assert interval_under_way(1, 30.0) == [30.0]


@binds("stages/awareness.py", "np.maximum(decay * buzz, -np.expm1(-leap / points))")
def _(world):
    assert awareness.next_buzz(np.array([0.8]), np.array([1.0]), decay=0.5, points=8.0).tolist() == [0.4]


@binds("stages/usage.py", "max(0.0, years - years_at_hand_over)")
def _(world):
    early = usage.need_now(np.array([1.0]), np.array([2.0]), 5.0, years=0.5, years_at_hand_over=1.0)
    assert early.tolist() == [pytest.approx(2**0.5)]


@binds("stages/usage.py", "min(years, years_at_hand_over)")
def _(world):
    late = usage.need_now(np.array([1.0]), np.array([2.0]), 1e9, years=9.0, years_at_hand_over=1.0)
    assert late.tolist() == [pytest.approx(2.0)]  # growth that stops at once


@binds("stages/pricing.py", "np.maximum(0.0, cost - adoption_value)")
def _(world):
    given = for_all_labs(world, adoption_value=100.0, price_rule="penetration")
    market = stepped(changed(world, {"pricing.adjustment": 1.0}, given), 4)
    sold = np.unique(market.lines.current[market.lines.current != NONE])
    assert (offering.prices(market, offering.serving_costs(market)).api_list[sold] == 0.0).all()
    assert market.violations == []
    assert market.accounts.spend_labs == 0.0
    assert market.accounts.cost[:, 0].sum() > 0.0  # given away, not free to serve


@binds("stages/pricing.py", "np.maximum(0.0, cost * price_over_cost - adoption_value)")
def _(world):
    assert pricing.cost_plus_price(np.array([1.0]), np.array([2.0]), np.array([3.0])).tolist() == [0.0]


def _matched(posted, cost, open_prices=(1.0,)):
    offered = np.array(open_prices)
    one = np.array([posted]), np.array([cost]), np.array([130.0])
    return pricing.matching_price(*one, offered, np.full(len(offered), 130.0), slack=0.0).tolist()


@binds("stages/pricing.py", "np.maximum(cost, cheapest)")
def _(world):
    assert _matched(posted=5.0, cost=1.5) == [1.5]


@binds("stages/pricing.py", "np.minimum(posted, np.maximum(cost, cheapest))")
def _(world):
    assert _matched(posted=0.5, cost=0.1) == [0.5]


@binds("stages/pricing.py", "np.where(good_enough, open_price[None, :], np.inf).min(axis=1, initial=np.inf)")
def _(world):
    assert _matched(posted=5.0, cost=0.1, open_prices=()) == [5.0]


@binds("stages/compute.py", "max(1.0, abs(expected))")
def _(world):
    empty = compute.ComputeState(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    tiny = replace(empty, legal=5e-10)
    caps = {"retirement": 0.0, "legal_cap": 1.0, "diversion_cap": 1.0}
    assert compute.violations(empty, tiny, **caps) == []
    assert compute.violations(empty, replace(empty, legal=5e-9), **caps) != []


@binds("stages/accounts.py", "max(1.0, abs(left), abs(right))")
def _(world):
    """Among tiny amounts the tolerance is absolute."""
    from .stages.test_usage_accounts import books

    assert accounts.violations(books(workloads=books().workloads * 1e-12, segment_workloads=np.zeros((5, 4)))) == []


@binds("observe.py", "max(books.workloads.sum(), 1e-300)")
def _(world):
    found = outcomes(_empty(world))
    assert (found["offers"]["workload_share"] == 0.0).all()


@binds("observe.py", "max(books.tokens.sum(), 1e-300)")
def _(world):
    found = outcomes(_empty(world))
    assert (found["offers"]["token_share"] == 0.0).all()


def _empty(world):
    """Return a world in which nobody adopts anything."""
    families = ("developer", "enterprise")
    nothing = {"demand.value": 0.0, "demand.value_sd": 0.0}
    nothing |= {f"demand.{f}.adoption_cost": 30.0 for f in families}
    nothing |= {f"demand.{f}.without_ai_cost": 0.0 for f in families}
    return changed(world, nothing)


def test_every_guard_has_a_case():
    covered = {file for file, _ in CASES}
    here = {guard for guard in guards_in_the_code() if guard[0] in covered or not guard[0].startswith("stages/")}
    assert here == set(CASES)


@pytest.mark.parametrize("guard", sorted(CASES), ids=lambda guard: f"{guard[0]}: {guard[1]}")
def test_the_guard_binds(guard, world):
    CASES[guard](world)
