"""The dated levers: what governments, labs and the world at large can change from a month on."""

from __future__ import annotations

from typing import Any

from sim.scenario.schema import ANY_LAB, BLOCS, DEGREES, GROUPS, OPENNESS_RULES, PRICE_RULES, Lever, Parameter

UNCHANGED = float("nan")  # an optional field that leaves the value as it is
EVERYONE = "all"
NOBODY = "none"
BAN_SCOPES = ("api", "hosted", "weights")
TRUST_TARGETS = ("chinese", "open", "closed")
GROUP_WORDS = (*GROUPS, "developers", "enterprises", EVERYONE)


def _word(path: str, meaning: str, choices: tuple[str, ...], default: Any = None) -> Parameter:
    return Parameter(path, meaning, "1", 0, 0, default, kind="lever", choices=choices)


def _number(path: str, meaning: str, unit: str, low: float, high: float, default: float | None = None) -> Parameter:
    return Parameter(path, meaning, unit, low, high, default, kind="lever")


_WHO = _word("who", "A lab, the labs of a bloc, or all", (ANY_LAB, *BLOCS, EVERYONE))
_LABS_OF = _word("bloc", "Bloc of the labs", BLOCS)

LEVERS = (
    Lever(
        "export_control",
        "The US allows at most `quota` accelerators of a tier a year into a bloc, and enforces with a leakage.",
        (
            _word("bloc", "Bloc under control", ("CN",)),
            _word("tier", "Accelerator tier the quota speaks of", ("H20", "H200", "B200")),
            _number("quota", "Licensed units a year; 0 is a ban", "chips/year", 0, 2e7),
            _number("leakage", "New leakage: share of unmet demand that is diverted", "share", 0, 1, UNCHANGED),
        ),
        target=("bloc", "tier"),
    ),
    Lever(
        "import_restriction",
        "The importing government lets its companies buy only a share of the licensed accelerators.",
        (
            _word("bloc", "Bloc whose government restricts", ("CN",)),
            _number("allowed", "Share of the licensed units that may be imported", "share", 0, 1),
        ),
        target=("bloc",),
    ),
    Lever(
        "cloud_access",
        "Access of a bloc's labs to accelerators abroad through clouds.",
        (
            _word("bloc", "Bloc whose access changes", ("CN",)),
            _number("open", "Share of the usual rented compute that stays available; 0 closes it", "share", 0, 1),
        ),
        target=("bloc",),
    ),
    Lever(
        "domestic_ramp",
        "The bloc's own accelerator output grows at another rate from this date on.",
        (
            _word("bloc", "Bloc whose industry ramps", ("CN",)),
            _number("growth", "Yearly growth factor of domestic output", "factor/year", 0.1, 4),
        ),
        target=("bloc",),
    ),
    Lever(
        "model_ban",
        "A share of the adopters of a group and bloc may no longer use models of an origin. It binds at once; a later "
        "ban with the same origin, adopters and group replaces it, and a share of 0 lifts it.",
        (
            _word("origin", "Bloc of the labs whose models are banned", BLOCS),
            _word("adopters", "Bloc of the adopters; all is every bloc but the origin", (*BLOCS, EVERYONE)),
            _word("group", "Group of the adopters", GROUP_WORDS, EVERYONE),
            _word("scope", "What is banned: the lab's own API; at hosts as well; on own machines and devices as well",
                  BAN_SCOPES, "api"),
            _number("share", "Part of these organisations that the ban reaches", "share", 0, 1),
        ),
        target=("origin", "adopters", "group"),
    ),
    Lever(
        "trust_shock",
        "Something, such as a vulnerability, comes to light: one kind of model loses trust and regains it slowly.",
        (
            _word("target", "Models that lose trust: of Chinese labs, with open weights, or closed", TRUST_TARGETS),
            _number("size", "Utility lost in the month of the shock", "utils", 0, 20),
            _number("half_life", "Time after which half of it is forgotten", "months", 0.1, 1200, 12.0),
        ),
        target=("target",),
    ),
    Lever(
        "open_subsidy",
        "A government pays part of the cost of using its labs' open weights, and may grant research compute to "
        "labs whose best model is open.",
        (
            _LABS_OF,
            _number("share", "Part of the price of hosting or running these weights that is paid", "share", 0, 1),
            _number("compute", "Research compute of labs whose best model is open, relative to without the grant",
                    "factor", 0.1, 10, UNCHANGED),
        ),
        target=("bloc",),
    ),
    Lever(
        "publishing_restriction",
        "A government keeps its labs from publishing weights above a capability. Weights already out stay.",
        (
            _LABS_OF,
            _number("above", "Releases above this capability stay closed; 0 stops all publishing, 1000 none",
                    "ECI points", 0, 1000, 0.0),
        ),
        target=("bloc",),
    ),
    Lever(
        "distillation_crackdown",
        "Closed labs and their government make it harder to learn from closed models in any way: from answers, people, "
        "papers and products alike.",
        (_number("factor", "All leakage of closed knowledge relative to without the crackdown", "factor", 0, 10),),
        target=(),
    ),
    Lever(
        "compute_shock",
        "Accelerators added outside China boom or bust.",
        (_number("factor", "Additions outside China relative to without the shock", "factor", 0, 10),),
        target=(),
    ),
    Lever(
        "frontier_shock",
        "Progress at the frontier speeds up or slows down, and a lab may leap.",
        (
            _number("factor", "Slope of the frontier relative to without the shock", "factor", 0, 10, UNCHANGED),
            _word("lab", "Lab whose knowledge jumps", (ANY_LAB, NOBODY), NOBODY),
            _number("points", "Points by which its knowledge jumps", "ECI points", -100, 100, 0.0),
        ),
        target=("lab",),
    ),
    Lever(
        "price_rule",
        "Labs set their list prices by another rule.",
        (_WHO, _word("rule", "The new rule", PRICE_RULES)),
        target=("who",),
    ),
    Lever(
        "promotion",
        "Labs give a discount on their own API for some months.",
        (
            _WHO,
            _number("discount", "Part of the price that is dropped; 1 is a free tier", "share", 0, 1),
            _number("months", "How long it lasts", "months", 0, 1200, 3.0),
        ),
        target=("who",),
    ),
    Lever(
        "openness_change",
        "Labs change whether they publish the weights of new releases, and under what licence.",
        (
            _WHO,
            _word("openness", "The new rule for new releases", OPENNESS_RULES, UNCHANGED),
            _word("degree", "The new licence of open releases", DEGREES, UNCHANGED),
            _number("points", "The lab's openness_points from then on", "ECI points", 0, 100, UNCHANGED),
            _number("delay_months", "The lab's openness_delay_months from then on", "months", 1, 60, UNCHANGED),
        ),
        target=("who",),
    ),
    Lever(
        "lab_exit",
        "A lab stops: it releases no more and closes its API. Weights that are out stay.",
        (_word("lab", "The lab", (ANY_LAB,)),),
        target=("lab",),
    ),
    Lever(
        "lab_entry",
        "A lab enters, or comes back, with a release, and goes on releasing.",
        (
            _word("lab", "The lab; `active: 0` before", (ANY_LAB,)),
            _number("points_behind", "Points by which its first release is behind the best one so far", "ECI points",
                    -50, 100),
            _number("price", "List price of the release, (3 input + output) / 4", "USD/Mtok", 0.001, 1000),
            _word("weights", "Whether the release has open weights", ("open", "closed"), "closed"),
        ),
        target=("lab",),
    ),
)  # fmt: skip
