"""The dated levers that governments can pull in this version of the model."""

from __future__ import annotations

from sim.scenario.schema import Lever, Parameter

UNCHANGED = float("nan")  # an optional field that leaves the value as it is


def _word(path: str, meaning: str, choices: tuple[str, ...], default: str | None = None) -> Parameter:
    return Parameter(path, meaning, "1", 0, 0, default, kind="lever", choices=choices)


def _number(path: str, meaning: str, unit: str, low: float, high: float, default: float | None = None) -> Parameter:
    return Parameter(path, meaning, unit, low, high, default, kind="lever")


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
    ),
    Lever(
        "import_restriction",
        "The importing government lets its companies buy only a share of the licensed accelerators.",
        (
            _word("bloc", "Bloc whose government restricts", ("CN",)),
            _number("allowed", "Share of the licensed units that may be imported", "share", 0, 1),
        ),
    ),
    Lever(
        "cloud_access",
        "Access of a bloc's labs to accelerators abroad through clouds.",
        (
            _word("bloc", "Bloc whose access changes", ("CN",)),
            _number("open", "Share of the usual rented compute that stays available; 0 closes it", "share", 0, 1),
        ),
    ),
    Lever(
        "domestic_ramp",
        "The bloc's own accelerator output grows at another rate from this date on.",
        (
            _word("bloc", "Bloc whose industry ramps", ("CN",)),
            _number("growth", "Yearly growth factor of domestic output", "factor/year", 0.1, 10),
        ),
    ),
)
