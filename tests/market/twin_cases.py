"""The months in which `test_twin.py` compares the market with the plain one, and what must happen in them."""

from __future__ import annotations

from typing import Any, NamedTuple

from .worlds import event


class Case(NamedTuple):
    """A market, the months in which it is compared, and what must happen in them."""

    months: tuple[str, ...]
    reaches: tuple[str, ...]
    seed: int = 0
    start: str = "2025-09"
    events: tuple[Any, ...] = ()
    parameters: dict[str, float] = {}  # noqa: RUF012
    lab_fields: dict[str, Any] = {}  # noqa: RUF012
    without_compute: tuple[str, ...] = ()
    own_people: bool = False  # the population is that of another seed
    fields: dict[str, str] = {}  # noqa: RUF012


BAN = {"origin": "CN", "adopters": "all", "group": "enterprises", "scope": "weights", "share": 0.6}
AGAIN = {"demand.developer.review_hazard": 0.6, "demand.enterprise.review_hazard": 0.3}
CASES = {
    "everybody chooses for the first time": Case(("2025-01",), ("arrival", "lab_api", "host"), start="2025-01"),
    "history": Case(("2025-02", "2025-04", "2025-08"), ("review", "at home", "keeps an old release"), 1, "2025-01"),
    "history, with a ban over users of superseded releases": Case(
        ("2025-07", "2025-08"),
        ("reached by a ban",),
        start="2025-01",
        parameters=dict.fromkeys(("demand.ban.public", "demand.ban.regulated", "demand.mix.regulated"), 1.0)
        | dict.fromkeys(("demand.enterprise.distrust", "demand.enterprise.adoption_cost"), 0.0)
        | {"demand.ban.start": 2025 + 7 / 12, "demand.enterprise.control_value": 0.0, "demand.upgrade_hazard": 0.5},
        lab_fields={"initial_awareness": 1.0},
    ),
    "from replay to rule": Case(
        ("2025-12", "2026-01", "2026-02"),
        ("release", "review", "self_host"),
        seed=2,
        parameters={"openness.follow": 0.5},
    ),
    "from replay to rule, with people of another seed": Case(
        ("2025-12", "2026-01", "2026-12"),
        ("release", "switched off", "hosts enter"),
        seed=3,
        own_people=True,
        parameters=AGAIN
        | {"capability.deprecation": 1.0, "serving.host.fixed_cost": 1e4, "capability.regime_hazard": 1.0},
    ),
    "bans": Case(
        ("2026-03", "2026-04", "2026-05"),
        ("reached by a ban", "review"),
        own_people=True,
        seed=4,
        events=(
            event("2026-03", "model_ban", **BAN),
            event("2026-04", "model_ban", **BAN | {"group": "indie", "scope": "hosted", "share": 1.0}),
            event("2026-05", "model_ban", **BAN | {"share": 0.0}),
        ),
    ),
    "lost trust": Case(
        ("2026-03", "2026-06"),
        ("review",),
        seed=5,
        events=tuple(
            event(date, "trust_shock", target=target, size=2.0)
            for date, target in (("2026-03", "chinese"), ("2026-04", "open"), ("2026-06", "closed"))
        ),
        parameters=AGAIN | {"demand.nest_dissimilarity": 1.0, "demand.volume_growth_fade": 0.0},
    ),
    "subsidies and promotions": Case(
        ("2026-03", "2026-05", "2026-06"),
        ("self_host", "review"),
        seed=6,
        events=(
            event("2026-03", "open_subsidy", bloc="CN", share=0.5, compute=3.0),
            event("2026-03", "promotion", who="CN", discount=0.4),
            event("2026-05", "open_subsidy", bloc="US", share=0.9, compute=2.0),
            event("2026-05", "promotion", who="OpenAI", discount=1.0, months=1.0),
        ),
        parameters=AGAIN,
    ),
    "price rules": Case(
        ("2026-03", "2026-04", "2026-06"),
        ("release",),
        seed=8,
        events=(
            event("2026-03", "price_rule", who="CN", rule="penetration"),
            event("2026-04", "price_rule", who="US", rule="match_open"),
            *(event("2026-06", "price_rule", who=w, rule=r) for w, r in (("OpenAI", "cost_plus"), ("Google", "hold"))),
        ),
        parameters={"pricing.adjustment": 0.3},
        lab_fields={"adoption_value": 0.2},
    ),
    "openness changes": Case(
        ("2026-03", "2026-04", "2026-05", "2026-09"),
        ("release", "a line opens", "answers", "takes an older release", "leaves an older release on sale"),
        seed=9,
        events=(
            event("2026-03", "openness_change", who="CN", openness="closed"),
            event("2026-03", "openness_change", who="OpenAI", openness="open", degree="restricted_weights"),
        ),
        parameters={"openness.follow": 0.9, "demand.upgrade_hazard": 0.5, "capability.minimum_step": -20.0},
        lab_fields={"cadence_months": 1.0},
    ),
    "weights that come late, and too late": Case(
        ("2026-04", "2026-09", "2026-10", "2026-11"),
        ("late weights", "late weights that stay behind"),
        seed=10,
        events=(
            event("2026-01", "openness_change", who="all", openness="delayed", delay_months=8.0),
            event("2026-04", "openness_change", who="all", openness="open"),
        ),
    ),
    "late weights that may not come out": Case(
        ("2026-06", "2026-07"),
        ("release",),
        seed=11,
        events=(event("2026-06", "publishing_restriction", bloc="CN", above=0.0),),
        lab_fields={"openness": "delayed", "openness_delay_months": 3},
    ),
    "open if behind": Case(
        ("2026-03", "2026-07"),
        ("release", "a line opens"),
        seed=12,
        lab_fields={"openness": "open_if_behind", "openness_points": 3.0},
    ),
    "open if short, and full APIs": Case(
        ("2026-03", "2026-08"),
        ("release", "overflow", "unmet"),
        seed=13,
        parameters={"serving.api_share": 1e-9, "demand.latency_cost": 0.1},
        lab_fields={"openness": "open_if_short"},
    ),
    "open if it pays": Case(
        ("2026-03",),
        ("release",),
        seed=14,
        events=(event("2026-02", "promotion", who="CN", discount=1.0),),
        lab_fields={"openness": "profit_max", "adoption_value": 0.3},
    ),
    "exit and entry": Case(
        ("2026-03", "2026-04", "2026-06"),
        ("switched off", "enters"),
        seed=15,
        events=(
            event("2026-03", "lab_exit", lab="OpenAI"),
            event("2026-04", "lab_entry", lab="Tencent", points_behind=2.0, price=0.7, weights="open"),
            event("2026-06", "lab_entry", lab="OpenAI", points_behind=-1.0, price=4.0, weights="closed"),
        ),
    ),
    "noise of options": Case(
        ("2026-01", "2026-03", "2026-05"),
        ("release", "review", "self_host"),
        seed=17,
        parameters=AGAIN | {"demand.upgrade_hazard": 0.5},
        fields={"noise": "options"},
    ),
    "nodes in place of people": Case(
        ("2025-09", "2025-10", "2025-12", "2026-01", "2026-04"),
        ("release", "self_host", "host", "switched off", "reached by a ban", "keeps an old release", "older, on sale"),
        seed=18,
        events=(event("2026-04", "model_ban", **BAN | {"group": "all"}),),
        parameters={"serving.api_share": 1e-9, "capability.deprecation": 1.0, "demand.upgrade_hazard": 0.3},
        fields={"population": "mean-field"},
    ),
    "compute and the frontier": Case(
        ("2026-03", "2026-04", "2026-06"),
        (),
        without_compute=("TII", "Cohere"),
        seed=16,
        events=(
            event("2026-03", "compute_shock", factor=0.3),
            event("2026-03", "export_control", tier="H200", quota=300_001.0, leakage=0.2),
            event("2026-03", "domestic_ramp", growth=3.0),
            event("2026-03", "frontier_shock", factor=1.5, lab="Google", points=5.0),
            event("2026-04", "cloud_access", open=0.2),
            event("2026-04", "distillation_crackdown", factor=0.5),
            event("2026-04", "import_restriction", allowed=0.3),
        ),
    ),
}
