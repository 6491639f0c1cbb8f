"""Every number a scenario can set changes some outcome."""

from __future__ import annotations

import itertools

import pytest

from sim.scenario.lab_fields import LAB_FIELDS
from sim.scenario.parameters import PARAMETERS

from .worlds import between, changed, differing, for_all_labs, outcomes

# Parameters that act only where others let them: what has to be set beside them.
BESIDE = {
    "compute.perf.h20": {"compute.cn.quota_h20": 400_000.0},
    "compute.perf.b200": {"compute.cn.quota_b200": 40_000.0},
    "compute.perf.h200": {"compute.cn.quota_h200": 100_000.0},
    "compute.perf_infer.h200": {"compute.cn.quota_h200": 100_000.0},
    "compute.perf_infer.b200": {"compute.cn.quota_b200": 40_000.0},
    "demand.ban.start": {"demand.enterprise.distrust": 0.0, "demand.ban.public": 1.0, "demand.ban.regulated": 1.0},
    "demand.ban.public": {"demand.enterprise.distrust": 0.0, "demand.mix.public": 0.5},
    "demand.ban.regulated": {"demand.enterprise.distrust": 0.0},
    "capability.deprecation": {"demand.upgrade_hazard": 0.0, "demand.enterprise.review_hazard": 0.0},
    "demand.distrust_relief": {"demand.enterprise.distrust": 2.0},
    "serving.on_device_limit": {"demand.developer.volume": 1.0},
    "serving.on_device_size": {"serving.saving_spent.open": 0.3},  # models that grow faster leave devices at once
    "capability.regime_sd": {"capability.regime_hazard": 1.0},
}
# Parameters that act only where labs let them: fields of all labs or of some.
LABS_BESIDE = {
    "pricing.match_points": lambda world: for_all_labs(world, cadence_months=2.0, price_rule="match_open"),
    "openness.follow": lambda world: for_all_labs(world, cadence_months=2.0) | {"OpenAI": {"openness": "open"}},
}
# The same for fields of labs.
BESIDE_LABS = {
    "openness_points": {"openness": "open_if_behind", "cadence_months": 2.0},
    "openness_delay_months": {"openness": "delayed", "cadence_months": 2.0},
}
# Values far enough from the default to be felt in a market of 250 workloads over a year.
FAR = {
    "capability.regime_hazard": 1.0,
    "capability.dormant_months": 3.0,
    "capability.deprecation": 1.0,
    "openness.follow": 1.0,
    "openness_delay_months": 2,
    "capability.minimum_step": 6.0,
    "demand.ban.start": 2050.0,
    "demand.ban.public": 0.0,
    "demand.ban.regulated": 0.0,
    "demand.leap_points": 0.5,
    "demand.multi_home_discount": 1.0,
    "demand.review_bump": 20.0,
    "demand.upgrade_hazard_leap": 1.0,
    "observation.tie_tolerance": 8.0,
    "serving.on_device_limit": 1000.0,
    "serving.on_device_size": 0.0,
    "demand.pain_growth": 1.0,
}


def far(spec, now):
    """Return an allowed value well away from `now`."""
    if spec.path in FAR:
        return FAR[spec.path]
    value = now * 1.5 if now else 0.25 * (spec.high - spec.low) + spec.low
    if value <= spec.high:
        return value
    return max(spec.low, now * 0.6)


@pytest.fixture(scope="module")
def world(small_settings):
    return between(small_settings, "2025-07", "2026-06", workloads=250)


@pytest.mark.parametrize("spec", PARAMETERS, ids=lambda spec: spec.path)
def test_every_parameter_changes_an_outcome(spec, world, plain):
    if spec.path in LABS_BESIDE:
        world = changed(world, labs=LABS_BESIDE[spec.path](world))
        plain = outcomes(world)
    beside = BESIDE.get(spec.path, {})
    left = outcomes(changed(world, beside)) if beside else plain
    now = world.parameters[spec.path] if spec.path not in beside else beside[spec.path]
    value = far(spec, now)
    assert spec.low <= value <= spec.high
    assert value != now
    assert differing(left, outcomes(changed(world, {**beside, spec.path: value}))) != []


@pytest.mark.parametrize("spec", LAB_FIELDS, ids=lambda spec: spec.path)
def test_every_field_of_a_lab_changes_an_outcome(spec, world, plain):
    if spec.choices:
        found = [
            outcomes(changed(world, labs=for_all_labs(world, cadence_months=2.0, **{spec.path: word})))
            for word in spec.choices
        ]
        assert all(differing(a, b) for a, b in itertools.pairwise(found))
        return
    beside = BESIDE_LABS.get(spec.path, {})
    left = outcomes(changed(world, labs=for_all_labs(world, **beside))) if beside else plain
    labs = {
        name: {**beside, spec.path: 0.0 if spec.path == "active" else far(spec, fields[spec.path])}
        for name, fields in world.labs.items()
    }
    assert differing(left, outcomes(changed(world, labs=labs))) != []


FUTURE = [
    "compute.world.growth",
    "compute.world.growth_fade",
    "compute.cn.import_allowed",
    "compute.cn.quota_h20",
    "compute.cn.domestic_growth",
    "capability.frontier_slope",
    "capability.compute_effect",
    "capability.catch_up_open",
    "capability.catch_up_closed",
    "capability.research_returns",
    "capability.novelty_effect",
    "capability.outside_effect",
    "capability.data_effect",
    "capability.data_floor",
    "capability.data_decay",
    "capability.embodied.ceiling.cn",
    "capability.embodied.data",
    "capability.regime_hazard",
    "compute.revenue_elasticity",
    "capability.trend_months",
    "capability.release_noise",
    "capability.release_spread",
    "capability.minimum_step",
    "capability.dormant_months",
    "serving.saving_spent.open",
    "serving.saving_spent.closed",
    "pricing.adjustment",
    "pricing.wedge_half_life",
    "pricing.match_points",
    "demand.newcomer.volume",
    "demand.newcomer.price_sensitivity",
    "serving.gpu_price_growth",
    "demand.volume_growth_fade",
    "demand.pain_growth",
    "serving.on_device_size",
]


@pytest.mark.parametrize("path", FUTURE)
def test_parameters_of_the_rules_act_only_after_the_history(path, world, plain):
    spec = next(spec for spec in PARAMETERS if spec.path == path)
    found = outcomes(changed(world, {path: far(spec, world.parameters[path])}))
    assert differing(plain, found, before=world.history_until + 1) == []


@pytest.mark.parametrize(
    ("path", "factor", "column", "sign"),
    [
        ("demand.developer.distrust", 10.0, "chinese_open_workload_share", -1),
        ("demand.enterprise.distrust", 4.0, "chinese_open_workload_share", -1),
        ("demand.taste_sd.open", 0.0, "open_workload_share", -1),
        ("demand.workloads_2025", 2.0, "total_tokens", +1),
        ("serving.base_cost", 5.0, "open_price", +1),
        ("serving.closed_margin", 0.5, "closed_margin", -1),
        ("compute.cn.leakage", 0.1, "compute_cn_diverted", -1),
        ("demand.enterprise.staff_cost", 0.0, "self_host_token_share", +1),
        ("demand.developer.volume", 3.0, "total_tokens", +1),
        ("demand.price_factor.coding", 0.5, "closed_price", -1),
    ],
)
def test_parameters_push_the_way_their_meaning_says(small_settings, path, factor, column, sign):
    """With common random numbers, over the mean of a year; only pushes that no feedback can turn round."""
    settings = between(small_settings, "2025-01", "2026-01", workloads=1500)
    left = outcomes(settings)["market"][column]
    right = outcomes(changed(settings, {path: settings.parameters[path] * factor}))["market"][column]
    assert sign * (right.mean() - left.mean()) > 0


def test_twice_the_workloads_in_the_world_is_twice_of_everything_counted_and_the_same_shares(world):
    """With twice the fixed cost of hosts and twice the compute for APIs, which are amounts and not shares."""
    world = changed(
        world, {"capability.data_effect": 0.0}
    )  # more use is more data: the size of the world matters there
    plain = outcomes(world)
    scale = ("demand.workloads_2025", "serving.host.fixed_cost", "serving.api_share")
    doubled = outcomes(changed(world, {path: 2.0 * world.parameters[path] for path in scale}))
    for column in ("total_tokens", "total_spend", "consumer_surplus", "spend_hosts"):
        assert doubled["market"][column].tolist() == (2.0 * plain["market"][column]).tolist()
    for column in ("open_token_share", "closed_price", "hhi_spend"):
        assert doubled["market"][column].tolist() == plain["market"][column].tolist()
