"""Invariants of time and policy: caps, diffusion, everybody's own luck. Numbers as in the list of invariants."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from sim import rng
from sim.market.adopters import Adopters
from sim.market.population import developer_rows, draw_workloads
from sim.market.stages import choice, compute
from sim.market.stages.awareness import next_awareness
from sim.months import parse_month

from .kernels import numpy_choice
from .worlds import between, changed, differing, event, outcomes, simulated

JANUARY = parse_month("2027-01")
PERF = {"B200": 2.5, "H200": 1.0, "H20": 0.15}


@pytest.fixture(scope="module")
def world(small_settings):
    return between(small_settings, "2025-10", "2026-09", workloads=300)


# Policy ---------------------------------------------------------------------------------------------------------------


def test_a_cap_beyond_all_demand_is_no_cap_to_the_bit(world):
    """[43] Two caps that do not bind are the same world, and leave less than a chip to smugglers each month."""
    large, larger = (
        outcomes(
            changed(
                world,
                {"compute.retirement": 0.0},
                events=(event("2026-03", "export_control", tier="H200", quota=quota, leakage=1.0),),
            )
        )
        for quota in (1e10, 1e12)
    )
    assert differing(large, larger) == []
    after = large["market"]["month"] >= parse_month("2026-03")
    assert np.diff(large["market"]["compute_cn_diverted"][after]).max() < world.parameters["compute.perf.h200"]


def test_a_cap_of_zero_lets_nothing_in_and_diverts_the_leakage_of_the_gap(world):
    """[38, 43] Against the world in which the whole gap is diverted."""

    def added(leakage: float, part: str) -> np.ndarray:
        acts = (event("2026-03", "export_control", tier="H200", quota=0.0, leakage=leakage),)
        none = {"compute.cn.quota_h20": 0.0, "compute.cn.quota_b200": 0.0, "compute.retirement": 0.0}
        none["compute.revenue_elasticity"] = 0.0  # else trade lost lowers investment, and with it the gap
        found = outcomes(changed(world, none, events=acts))["market"]
        return np.diff(found[part][found["month"] >= parse_month("2026-03")])

    gap = added(1.0, "compute_cn_diverted")
    assert (gap > 0.0).all()
    for leakage in (0.0, 0.25):
        assert (added(leakage, "compute_cn_legal") == 0.0).all()
        assert added(leakage, "compute_cn_diverted") == pytest.approx(leakage * gap, rel=1e-6)


def test_no_flow_exceeds_its_cap_whatever_the_order_of_tiers_and_months():
    """[38] Over a year, for quotas that no twelve divides, with the units of every tier counted on their own."""
    u = rng.uniform(rng.stream_key(5, "caps"), np.arange(4000)).reshape(500, 8)
    for row in u:
        quota = dict(zip(compute.TIERS, np.floor(10.0 ** (6.0 * row[:3])).tolist(), strict=True))
        allowed, demand = float(row[3]) if row[4] < 0.5 else 1.0, 10.0 ** (6.0 * float(row[5]))
        total = dict.fromkeys(compute.TIERS, 0)
        for month in range(12):
            units, bought = compute.legal_imports(demand, JANUARY + month, quota=quota, perf=PERF, allowed=allowed)
            assert bought <= compute.licensed_compute(JANUARY + month, quota=quota, perf=PERF)
            total = {tier: total[tier] + units[tier] for tier in compute.TIERS}
        assert all(total[tier] <= quota[tier] * allowed for tier in compute.TIERS)
        assert sum(compute.monthly_quota(quota["H20"], JANUARY + m) for m in range(12)) == quota["H20"]


def test_a_tighter_cap_never_raises_the_controlled_total(world):
    """[42] Legal imports after the hand-over, demand held fixed by the stage before."""
    legal = []
    for quota in (0.0, 3e3, 6e4, 3e5, 2e6):
        found = outcomes(changed(world, {"compute.cn.quota_h200": quota}))["market"]["compute_cn_legal"]
        legal.append(found[-1])
    assert legal == sorted(legal)
    assert legal[-1] > legal[0]


# Causes and horizons --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("months", [1, 5])
def test_every_shorter_horizon_is_a_prefix_to_the_bit(world, plain, months):
    """[41]"""
    shorter = outcomes(replace(world, end=world.end - months))
    assert differing(shorter, plain, before=world.end - months + 1) == []


def test_an_act_two_months_later_leaves_two_more_months_alone(world):
    """[41] The same act at two dates: worlds agree until the first, and each begins at its own."""
    world = changed(world, {"compute.revenue_elasticity": 0.0})  # else trade lost for two months lowers investment
    dates = ("2026-04", "2026-06")
    early, late = (outcomes(changed(world, events=(event(date, "cloud_access", open=0.0),))) for date in dates)
    assert differing(early, late, before=parse_month("2026-04")) == []
    moved = early["market"]["month"][early["market"]["compute_cn"] != late["market"]["compute_cn"]]
    assert moved.min() == parse_month("2026-04")
    assert moved.max() == parse_month("2026-05")


# Diffusion ------------------------------------------------------------------------------------------------------------

INNOVATION, IMITATION, MONTHS, SEEDS = 0.01, 0.12, 24, 200


def sampled_diffusion(agents: int) -> np.ndarray:
    """Return the mean awareness of agents that learn with the stage's hazard from each other, shape (seeds,)."""
    rows = np.arange(SEEDS * agents)
    aware = np.zeros((SEEDS, agents))
    for month in range(MONTHS):
        share = np.repeat(aware.mean(axis=1, keepdims=True), agents, axis=1)
        hazard = next_awareness(aware, share, innovation=INNOVATION, imitation=IMITATION)
        u = rng.uniform(rng.stream_key(17, "bass", month), rows).reshape(SEEDS, agents)
        aware = (u < hazard).astype(float)
    return aware.mean(axis=1)


@pytest.mark.parametrize("agents", [100, 400, 1600])
def test_agents_that_learn_at_random_follow_the_map_on_average(agents):
    """[45] Bass as the limit of many: within four errors of the mean, the spread falling as the root."""
    mean = np.zeros((1, 1))
    for _ in range(MONTHS):
        mean = next_awareness(mean, mean, innovation=INNOVATION, imitation=IMITATION)
    found = sampled_diffusion(agents)
    assert abs(found.mean() - float(mean[0, 0])) < 4.0 * found.std(ddof=1) / np.sqrt(SEEDS)
    assert 0.3 < found.std(ddof=1) * np.sqrt(agents) < 2.0


def test_without_innovation_diffusion_is_the_logistic_curve():
    """[45] p = 0: the odds of knowing grow by exp(q t); the error falls with the step, extrapolated to none."""

    def end(steps: int) -> float:
        aware = np.full((1, 1), 0.02)
        for _ in range(steps):
            aware = next_awareness(aware, aware, innovation=0.0, imitation=0.3 * 12.0 / steps)
        return float(aware[0, 0])

    odds = 0.02 / 0.98 * np.exp(0.3 * 12.0)
    assert 2.0 * end(8000) - end(4000) == pytest.approx(odds / (1.0 + odds), abs=1e-6)
    assert float(next_awareness(np.zeros((1, 1)), np.zeros((1, 1)), innovation=0.0, imitation=9.0)[0, 0]) == 0.0


def test_the_error_of_the_time_step_halves_with_it_and_a_year_would_be_too_long():
    """[46] At p = 0.03 and q = 0.38 a year: months lose less than a point after ten years, years more than six."""
    exact = (1.0 - np.exp(-4.1)) / (1.0 + 0.38 / 0.03 * np.exp(-4.1))
    errors = []
    for length in (1.0, 0.5, 0.25, 0.125, 1.0 / 12.0):
        aware = np.zeros((1, 1))
        for _ in range(round(10.0 / length)):
            aware = next_awareness(aware, aware, innovation=0.03 * length, imitation=0.38 * length)
        errors.append(exact - float(aware[0, 0]))
    ratios = np.array(errors[:3]) / errors[1:4]
    assert ((ratios > 1.9) & (ratios < 2.3)).all()
    assert errors[0] > 0.06
    assert 0.0 < errors[-1] < 0.01


# Luck -----------------------------------------------------------------------------------------------------------------


def test_more_rows_leave_those_before_them_who_they_were(small_settings):
    """[48] Developers come first: with more rows they stay, weights apart, which share the world anew."""
    p = small_settings.parameters
    few, many = (draw_workloads(1, count, p, ("A", "B"), ("A/x", "B/y")) for count in (500, 900))
    developers = developer_rows(500, p)
    same = slice(0, developers)
    assert developers > 50
    assert developer_rows(900, p) > developers
    for name in (
        "organisation",
        "group",
        "bloc",
        "kind",
        "arrival",
        "need",
        "difficulty",
        "value",
        "price_sensitivity",
    ):
        assert (getattr(few, name)[same] == getattr(many, name)[same]).all(), name
    for name in ("taste_line", "taste_open", "taste_origin", "attention", "banned", "pain"):
        assert (getattr(few, name)[same] == getattr(many, name)[same]).all(), name


def test_one_who_does_not_look_changes_nobody_elses_choice(world, monkeypatch):
    """[48] In every month and family the first row that would look is left out: all others choose as before."""
    choices, compared = Adopters.choices, []

    def checked(group, people, usage, view, *rest, **named):
        def choose(people, usage):
            return [piece() for piece in choices(group, people, usage, view, *rest, **named)]

        rows, _ = numpy_choice.who_looks(group.model, group, view)
        others, arrival = copy.deepcopy(usage), people.arrival.copy()
        arrival[rows[:1]] = view.month + 1
        choose(people._replace(arrival=arrival), others)
        before = copy.deepcopy(usage)
        looked = choose(people, usage)
        for name in ("release", "channel", "held"):
            expected = getattr(usage, name).copy()
            left_out = others if name == "surplus" else before  # what it has is worth what it is this month
            expected[rows[:1]] = getattr(left_out, name)[rows[:1]]
            assert (getattr(others, name) == expected).all(), name
        assert (np.delete(others.surplus, rows[:1]) == np.delete(usage.surplus, rows[:1])).all()
        compared.append(len(rows) - 1)
        return [partial(np.copy, part) for part in looked]

    monkeypatch.setattr(Adopters, "choices", checked)
    simulated(world)
    assert np.sum(compared) > 300


def test_an_unused_draw_changes_nobody(world, plain, monkeypatch):
    """[48] Numbers belong to a purpose, not to an order of calls."""
    drawn = rng.uniform

    def wasteful(key, rows):
        drawn(rng.stream_key(int(np.ravel(key)[0]) & 0xFFFF, "unused"), np.arange(10))
        return drawn(key, rows)

    monkeypatch.setattr(rng, "uniform", wasteful)
    assert differing(plain, outcomes(world)) == []


def test_common_random_numbers_show_a_small_change_ten_times_sharper(world):
    """[48] Variance of a difference: with another seed in the second world, over with the same one."""
    dearer = {"demand.developer.price_sensitivity": 1.02 * world.parameters["demand.developer.price_sensitivity"]}
    plain, moved = (
        np.array([ending(replace(settings, seed=1000 + k, population_seed=None)) for k in range(12)])
        for settings in (world, changed(world, dearer))
    )
    paired = (moved - plain).var(axis=0, ddof=1)
    crossed = (moved - np.roll(plain, 1, axis=0)).var(axis=0, ddof=1)
    assert (crossed > 10.0 * paired).all()


def ending(settings, columns=("open_token_share", "total_spend", "closed_price", "open_spend_share")) -> list[float]:
    """Return some shares and sums of the last month."""
    found = outcomes(settings)["market"]
    return [float(found[name][-1]) for name in columns]


HEADLINES = (
    *("open_workload_share", "open_token_share", "open_spend_share", "total_tokens", "total_spend"),
    *("closed_price", "consumer_surplus", "hhi_tokens"),
)


def sharper(world, noise: str, seeds: int) -> np.ndarray:
    """Return how many times smaller the variance of a difference is with the same seeds than with others, (columns,).

    The difference is what a lab does whose API is sold 5 % below its list price from January 2026 on. A pair in which
    the market tips another way outweighs the others, so that these ratios are known to a factor of about two.
    """
    cut = event("2026-01", "promotion", who="OpenAI", discount=0.05, months=1200.0)
    drawn = [replace(world, seed=1000 + k, population_seed=None, noise=noise) for k in range(seeds)]
    plain = np.array([ending(settings, HEADLINES) for settings in drawn])
    moved = np.array([ending(replace(settings, events=(cut,)), HEADLINES) for settings in drawn])
    return (plain.var(axis=0, ddof=1) + moved.var(axis=0, ddof=1)) / (moved - plain).var(axis=0, ddof=1)


@pytest.mark.parametrize(
    ("end", "workloads", "seeds"),
    [("2026-04", 500, 32), pytest.param("2026-09", 1000, 64, marks=pytest.mark.long)],
)
def test_noise_of_options_shows_a_price_five_percent_lower_ten_times_sharper_and_more(
    small_settings, end, workloads, seeds
):
    """[48] In every headline column; and sharper than one random number for all options, as a geometric mean."""
    world = between(small_settings, "2025-10", end, workloads=workloads, nodes=128)
    shared, options = (sharper(world, noise, seeds) for noise in ("shared", "options"))
    assert (options >= 10.0).all(), dict(zip(HEADLINES, options, strict=True))
    assert np.log(options).mean() > np.log(shared).mean()


def correlation(values: np.ndarray) -> float:
    return float(np.corrcoef(values[:-1], values[1:])[0, 1])


def test_populations_of_neighbouring_seeds_are_strangers(small_settings):
    """[49] A thousand pairs: who they are, and what they draw."""
    p, rows = small_settings.parameters, np.arange(60)
    taste, size, drawn = [], [], []
    shares = np.tile([0.2, 0.3, 0.5], (60, 1))
    for seed in range(1001):
        table = draw_workloads(seed, 60, p, ("A",), ("A/x",))
        taste.append(float(table.taste_open.mean()))
        size.append(float(table.organisation[-1]))
        drawn.append(float(choice.draw_option(shares, rng.uniform(rng.stream_key(seed, "choice", 600), rows)).mean()))
    for values in (taste, size, drawn):
        assert abs(correlation(np.array(values))) < 0.1


@pytest.mark.long
def test_markets_of_neighbouring_seeds_are_strangers(small_settings):
    """[49] A thousand pairs of whole markets over a few months."""
    short = between(small_settings, "2025-11", "2026-02", workloads=150)
    found = np.array([ending(replace(short, seed=seed)) for seed in range(1001)])
    for column in found.T:
        assert abs(correlation(column)) < 0.1
