"""The labs, and what a scenario can set for each of them."""

from __future__ import annotations

from typing import Any

from sim.scenario.schema import CLASSES, DEGREES, OPENNESS_RULES, PRICE_RULES, Parameter

_STRENGTH = "strength beyond the index is an assumption; only Claude's coding share (60 % on the router) speaks of it"

LAB_FIELDS: tuple[Parameter, ...] = (
    Parameter("openness", "Whether new releases after the history have open weights: as the line did last, all, none, those far enough behind, "
              "while the lab is short of serving compute, some months after the release, or as earns the lab more", "1", 0, 0,
              "as_line", assumption="labs continue what they do", kind="lever", choices=OPENNESS_RULES),
    Parameter("openness_points", "Under open_if_behind: points below the best closed offer of others from which a release is open", "ECI points", 0, 100,
              5.0, assumption="about four months of frontier progress: what is behind that far earns little behind an API", kind="lever"),
    Parameter("openness_delay_months", "Under delayed: months from the closed release until its weights are published", "months", 1, 60,
              6, assumption="about the time until the line's next release has taken over its sales", kind="lever", integer=True),
    Parameter("degree", "What the licence of new open releases allows: as the line's last one did, or one degree for all", "1", 0, 0,
              "as_line", assumption="labs continue what they do", kind="lever", choices=DEGREES),
    Parameter("benchmark_inflation", "Points by which the lab's releases score better on public tests than in use", "ECI points", 0, 30,
              {"uniform": [0, 3]}, assumption="claims of followers are to be read with caution, tests are easily tuned to (article 000); size unknown, up to the index's error"),
    Parameter("price_rule", "List prices after the history: those no lab wants to change (bertrand), the ratio to cost of the hand-over (cost_plus), the price of a nearly as good open model (match_open), cost (penetration), or unchanged (hold)", "1", 0, 0,
              "bertrand", assumption="textbook price competition; the others are for structural uncertainty",
              kind="lever", choices=PRICE_RULES),
    Parameter("adoption_value", "What a token on the lab's own API is worth to it beyond its price", "USD/Mtok", 0, 100, 0.0,
              assumption="no evidence; zero keeps prices at the hand-over where they were", kind="lever"),
    Parameter("cadence_months", "Mean time between releases of a line after the history", "months", 0.5, 60, 4.0,
              assumption="middle of the labs observed", kind="uncertainty"),
    Parameter("active", "1: the lab releases and sells after the history; 0: it has stopped, its API is closed and its published weights stay", "1", 0, 1, 1, integer=True,
              assumption="a release in 2025 shows activity", kind="lever"),
    Parameter("compute_share", "The lab's part of its bloc's accelerators", "share", 0, 1, 0.02, assumption="no disclosure; by capital spending"),
    Parameter("initial_awareness", "Share of adopters who know the lab when it first appears", "share", 0, 1, 0.1, assumption="fame at first release"),
    Parameter("brand", "Liking of the lab at equal capability and price", "utils", -10, 10, {"normal": [0, 0.5]}, assumption="tight prior around zero"),
    *(
        Parameter(f"strength_{name}", f"Capability beyond the index in {name} workloads", "ECI points", -20, 20, 0.0, assumption=_STRENGTH)
        for name in CLASSES
    ),
)  # fmt: skip

# Their models are those that tests are written around, and lead in use as they do on tests.
_LITTLE_INFLATION = {
    "uniform": [0, 1],
    "assumption": "closed US labs lead in use about as they do on tests (article 000)",
}
_CADENCE = "mean flagship interval to the end of 2025 (sim/evidence/releases.csv)"
_STOPPED = "no release in 2025"
_ABSENT = "its models are not in releases.csv; it enters with an event lab_entry"


def _lab(bloc: str, compute: float, awareness: float, cadence: float | None = None, **fields: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {"bloc": bloc, "compute_share": compute, "initial_awareness": awareness}
    if cadence is not None:
        entry["cadence_months"] = {"value": cadence, "source": _CADENCE}
    return entry | fields


LABS: dict[str, dict[str, Any]] = {
    "OpenAI": _lab("US", 0.16, 0.95, 4.1, benchmark_inflation=_LITTLE_INFLATION),
    "Anthropic": _lab(
        "US",
        0.11,
        0.4,
        3.2,
        benchmark_inflation=_LITTLE_INFLATION,
        strength_coding=5.0,
        strength_agentic=5.0,
        strength_knowledge=1.0,
    ),
    "Google": _lab("US", 0.25, 0.6, 3.9, benchmark_inflation=_LITTLE_INFLATION),
    "xAI": _lab("US", 0.06, 0.2, 5.2, benchmark_inflation=_LITTLE_INFLATION),
    "Meta": _lab("US", 0.15, 0.6, 5.1),
    "Microsoft": _lab("US", 0.05, 0.3),
    "Amazon": _lab("US", 0.05, 0.3, benchmark_inflation=_LITTLE_INFLATION),
    "Databricks": _lab("US", 0.005, 0.2, active={"value": 0, "source": _STOPPED}),
    "Mistral": _lab("EU", 0.10, 0.2),
    "Alibaba": _lab("CN", 0.20, 0.15, 3.0),
    "DeepSeek": _lab("CN", 0.06, 0.05, 2.7),
    "Moonshot": _lab("CN", 0.03, 0.05, 1.9),
    "Zhipu": _lab("CN", 0.03, 0.05, 2.4),
    "MiniMax": _lab("CN", 0.03, 0.05, 3.1),
    "Baidu": _lab("CN", 0.10, 0.1),
    "ByteDance": _lab("CN", 0.25, 0.1),
    "Xiaomi": _lab("CN", 0.03, 0.05),
    "01.AI": _lab("CN", 0.01, 0.05, active={"value": 0, "source": _STOPPED}),
    "TII": _lab("ROW", 0.02, 0.1, active={"value": 0, "source": _STOPPED}),
    "Cohere": _lab("ROW", 0.02, 0.15, active={"value": 0, "source": _STOPPED}),
    "Tencent": _lab("CN", 0.15, 0.1, active={"value": 0, "assumption": _ABSENT}),
}
