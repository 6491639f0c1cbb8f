from math import sqrt

import pytest

from sim.evidence import releases, table
from sim.evidence.imputation import (
    MEASURED_SD,
    RULE_SD,
    Measured,
    Priced,
    frontier,
    frontier_gain,
    impute_capability,
    impute_price,
    leave_one_out,
)
from sim.evidence.releases import measured_models

BY_MODEL = {r.model: r for r in releases()}


def model(when, capability, *, lab="A", line="x", is_open=True, counts=True):
    return Measured(when, lab, line, is_open, capability, counts)


def test_frontier_gain_uses_both_slopes_across_the_break():
    assert frontier_gain(2023.0, 2024.0) == pytest.approx(8.3)
    assert frontier_gain(2025.0, 2026.0) == pytest.approx(15.5)
    assert frontier_gain(2024.0, 2025.0) == pytest.approx(8.3 * 4 / 12 + 15.5 * 8 / 12)
    assert frontier_gain(2025.0, 2024.0) == -frontier_gain(2024.0, 2025.0)


def test_the_slopes_are_those_of_the_observations():
    slopes = {
        row["id"]: float(row["value"]) for row in table("observations") if row["id"].startswith("frontier_slope_p")
    }
    assert frontier_gain(2023.0, 2024.0) == pytest.approx(slopes["frontier_slope_pre"])
    assert frontier_gain(2025.0, 2026.0) == pytest.approx(slopes["frontier_slope_post"])


def test_between_two_neighbours_the_value_lies_on_the_line():
    known = [model(2024.0, 100), model(2025.0, 120), model(2024.1, 190, line="other")]
    assert impute_capability(2024.25, "A", "x", True, known) == (pytest.approx(105), "interpolated")


def test_the_nearest_neighbours_count():
    known = [model(2023.0, 50), model(2024.0, 100), model(2025.0, 120), model(2026.0, 300)]
    assert impute_capability(2024.5, "A", "x", True, known)[0] == pytest.approx(110)


def test_one_neighbour_is_carried_along_the_frontier():
    known = [model(2025.0, 120), model(2024.9, 150, line="other")]
    assert impute_capability(2025.5, "A", "x", True, known) == (pytest.approx(127.75), "carried")


def test_a_later_neighbour_is_carried_back():
    known = [model(2023.5, 120), model(2023.0, 118, line="other")]
    assert impute_capability(2023.25, "A", "x", True, known) == (pytest.approx(120 - 8.3 / 4), "carried")


def test_a_carried_value_never_beats_the_best_measured_model_of_its_openness():
    known = [model(2025.0, 120), model(2024.9, 121, line="other"), model(2024.9, 190, line="third", is_open=False)]
    assert impute_capability(2025.5, "A", "x", True, known) == (121, "carried")


def test_a_neighbour_more_than_a_year_away_does_not_count():
    known = [model(2024.0, 100), model(2025.2, 118, line="other")]
    assert impute_capability(2025.3, "A", "x", True, known) == (118, "shortfall")


def test_without_neighbours_the_median_shortfall_counts():
    known = [
        model(2025.0, 120, line="a"),
        model(2025.1, 110, line="b"),
        model(2025.2, 114, line="c"),
        model(2025.2, 90, line="d", is_open=False),
        model(2022.0, 20, line="e"),
    ]
    assert impute_capability(2025.3, "A", "x", True, known) == (120 - 6, "shortfall")


def test_an_anchor_fixes_its_line_but_not_the_frontier():
    known = [model(2025.0, 120), model(2025.5, 200, counts=False)]
    assert impute_capability(2025.25, "A", "x", True, known) == (pytest.approx(160), "interpolated")
    assert frontier(2026.0, True, known) == 120


def test_nothing_to_compare_with_is_an_error():
    with pytest.raises(ValueError, match="no measured open model"):
        impute_capability(2023.0, "A", "x", True, [model(2024.0, 100, line="other")])


def test_price_widens_until_a_rival_is_found():
    rivals = [Priced(100, "CN", 140, 1, 4), Priced(101, "CN", 141, 3, 6), Priced(60, "CN", 100, 9, 9)]
    assert impute_price(100, "CN", 141, rivals) == (2, 5)
    assert impute_price(112, "CN", 141, rivals) == (2, 5)
    assert impute_price(60, "CN", 110, rivals) == (9, 9)
    assert impute_price(60, "CN", 140, rivals) == (3, 6)
    with pytest.raises(ValueError, match="EU"):
        impute_price(100, "EU", 141, rivals)


def test_known_answers_in_the_release_table():
    assert BY_MODEL["GPT-3.5 Turbo (0613)"].capability == 116.6
    assert BY_MODEL["GPT-3.5 Turbo (0613)"].capability_basis == "imputed: stated"
    turbo = BY_MODEL["GPT-4 Turbo (1106)"]
    assert turbo.capability_basis == "imputed: interpolated"
    # 237 of the 392 days from GPT-4 (126.17) to the Turbo of April 2024 (127.66)
    assert turbo.capability == pytest.approx(126.17 + 237 / 392 * 1.49, abs=0.01)
    assert BY_MODEL["DeepSeek LLM 67B"].capability == 117.9  # held at the best open model, Yi-34B
    assert BY_MODEL["Kimi K2 0905"].capability == 142.4
    assert BY_MODEL["Kimi K2 0905"].capability_sd == 3.8
    assert BY_MODEL["GPT-5"].capability == 150
    assert BY_MODEL["GPT-5"].capability_sd == 3


def test_measured_values_are_never_changed():
    for row in table("releases"):
        if row["eci"]:
            assert BY_MODEL[row["model"]].capability == float(row["eci"])
    assert sum(r.capability_basis == "measured" for r in releases()) == 92
    assert sum("crosswalk" in r.capability_basis for r in releases()) == 10


def test_only_the_two_closed_releases_without_a_price_get_one():
    imputed = {r.model: (r.input_price, r.output_price) for r in releases() if r.price_basis.startswith("imputed")}
    assert imputed == {"Doubao Seed Code": (0.575, 2.2), "ERNIE 5.0 Thinking Preview": (0.575, 2.2)}


@pytest.mark.parametrize("rule", ["interpolated", "carried", "shortfall"])
def test_left_out_releases_are_recovered_within_the_stated_error(rule):
    errors = [error for step, _, error in leave_one_out(measured_models()) if step == rule]
    assert len(errors) >= 30
    assert abs(sum(errors) / len(errors)) < 1.0
    error = sqrt(sum(e * e for e in errors) / len(errors))
    assert 0.7 * RULE_SD[rule] < error < RULE_SD[rule]


def test_leaving_out_beats_knowing_only_the_mean_and_orders_the_steps():
    errors = leave_one_out(measured_models())
    size = {
        rule: sqrt(sum(e * e for r, _, e in errors if r == rule) / sum(r == rule for r, _, _ in errors))
        for rule in ("interpolated", "carried", "shortfall")
    }
    assert size["interpolated"] < size["carried"] < size["shortfall"]
    values = [m.capability for m in measured_models() if m.counts]
    mean = sum(values) / len(values)
    assert size["shortfall"] < 0.5 * sqrt(sum((v - mean) ** 2 for v in values) / len(values))


def test_every_imputed_value_is_less_certain_than_a_measured_one():
    assert min(RULE_SD.values()) > MEASURED_SD
    assert all((r.capability_sd > MEASURED_SD) == (r.capability_basis != "measured") for r in releases())
