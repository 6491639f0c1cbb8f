from collections import Counter
from math import isnan

import pytest

from sim import evidence
from sim.evidence import alive_lines, price_changes, releases, table
from sim.months import month_of_day, parse_month

BY_MODEL = {(r.lab, r.model): r for r in releases()}


def test_every_release_has_exactly_one_row_in_each_mapping_table():
    wanted = Counter((row["date"], row["lab"], row["model"]) for row in table("releases"))
    assert len(wanted) == 118
    assert set(wanted.values()) == {1}
    for name in ("lines", "release_terms"):
        assert Counter((row["date"], row["lab"], row["model"]) for row in table(name)) == wanted


def test_every_mapping_row_carries_a_reason():
    for name in (
        "lines",
        "release_terms",
        "price_change_map",
        "policy_replay",
        "observation_roles",
        "capability_anchors",
    ):
        assert all(len(row["reason"]) > 5 for row in table(name)), name


def test_releases_are_sorted_and_complete_and_end_in_2025():
    found = releases()
    assert len(found) == 118
    assert [(r.date, r.lab, r.model) for r in found] == sorted((r.date, r.lab, r.model) for r in found)
    assert (found[0].date, found[-1].date) == ("2023-02-24", "2025-12-23")
    for release in found:
        assert release.month == month_of_day(release.date) <= evidence.LAST_MONTH
        assert 90 < release.capability < 160
        assert release.capability_sd >= 3
        assert release.source.startswith("https://")
        assert release.line.replace("-", "").isalnum()
        assert release.line.islower()


def test_bloc_follows_the_seat_of_the_lab():
    seats = {"US": "US", "CN": "CN", "FR": "EU", "AE": "ROW", "CA": "ROW"}
    assert {r.country for r in releases()} == set(seats)
    for release in releases():
        assert release.bloc == seats[release.country]
    blocs = {r.lab: r.bloc for r in releases()}
    assert (blocs["Mistral"], blocs["TII"], blocs["Cohere"], blocs["01.AI"]) == ("EU", "ROW", "ROW", "CN")


def test_no_line_has_two_releases_in_one_month():
    assert max(Counter((r.lab, r.line, r.month) for r in releases()).values()) == 1


def test_a_retired_line_belongs_to_the_lab_and_has_no_later_release():
    for release in releases():
        for line in release.retires:
            family = [r for r in releases() if (r.lab, r.line) == (release.lab, line)]
            assert family, (release.model, line)
            assert line != release.line
            assert all(r.date < release.date for r in family)


def test_current_releases_at_known_dates():
    def current(text):
        return {key: release.model for key, release in alive_lines(parse_month(text)).items()}

    assert current("2023-02") == {("Meta", "llama"): "LLaMA-65B"}
    december_2024 = current("2024-12")
    assert december_2024["OpenAI", "flagship"] == "GPT-4o (Nov 2024)"
    assert december_2024["OpenAI", "reasoning"] == "o1"
    assert december_2024["DeepSeek", "chat"] == "DeepSeek-V3"
    end = current("2025-12")
    assert {line: model for (lab, line), model in end.items() if lab == "OpenAI"} == {
        "flagship": "GPT-5.2",
        "small": "GPT-5 mini",
        "nano": "GPT-5 nano",
        "premium": "GPT-5 Pro",
        "open": "gpt-oss-120b",
    }
    assert {line for lab, line in end if lab == "Anthropic"} == {"opus", "sonnet", "haiku"}
    assert {line for lab, line in end if lab == "DeepSeek"} == {"chat"}


def test_lines_appear_and_end_only_by_releases_and_stay_few():
    before: set = set()
    for month in range(parse_month("2023-02"), evidence.LAST_MONTH + 1):
        now = alive_lines(month)
        this_month = [r for r in releases() if r.month == month]
        assert set(now) - before == {(r.lab, r.line) for r in this_month} - before
        assert before - set(now) == {(r.lab, line) for r in this_month for line in r.retires}
        assert all(r.month <= month for r in now.values())
        before = set(now)
    assert 30 <= len(before) <= 40


@pytest.mark.parametrize(
    ("lab", "model", "degree"),
    [
        ("OpenAI", "gpt-oss-120b", "open_source"),
        ("Moonshot", "Kimi K2", "open_weights"),
        ("Meta", "Llama 3 70B", "open_weights"),
        ("Cohere", "Command R+", "restricted_weights"),
        ("xAI", "Grok 2 (Dec 2024)", "closed"),
    ],
)
def test_degree_of_openness_at_known_licences(lab, model, degree):
    assert BY_MODEL[lab, model].degree == degree


def test_degree_agrees_with_openness_and_equal_licences_have_equal_degrees():
    by_licence = {}
    for release in releases():
        assert release.open == (release.degree != "closed")
        assert by_licence.setdefault(release.licence, release.degree) == release.degree
    assert set(by_licence.values()) == {"open_source", "open_weights", "restricted_weights", "closed"}


def test_device_models_are_the_small_open_ones():
    assert {r.model for r in releases() if r.on_device} == {"Mistral 7B", "Qwen-14B", "Phi-4"}


def test_price_kind_agrees_with_the_prices():
    for release in releases():
        assert isnan(release.input_price) == isnan(release.output_price) == (release.price_kind == "none")
        if release.price_kind != "none":
            assert 0 < release.input_price <= release.output_price
            assert release.price_basis
        if not release.open:
            assert release.price_kind == "first_party"
    assert {
        r.lab for r in releases() if r.open and r.lab in ("Meta", "Microsoft") and r.price_kind == "first_party"
    } == set()


def test_a_price_noted_as_hosted_is_never_first_party():
    for row in table("releases"):
        if row["note"].startswith("hosted"):
            assert BY_MODEL[row["lab"], row["model"]].price_kind == "hosted"


def test_prices_at_release_precede_later_list_changes():
    v31 = BY_MODEL["DeepSeek", "DeepSeek-V3.1"]
    assert (v31.input_price, v31.output_price) == (0.27, 1.10)
    assert v31.price_basis == "launch price in the note of the source"
    assert (BY_MODEL["OpenAI", "o3"].input_price, BY_MODEL["OpenAI", "o3"].output_price) == (10, 40)
    assert BY_MODEL["Mistral", "Mixtral 8x7B"].output_price == 1.97


@pytest.mark.parametrize(
    ("month", "lab", "model", "price"),
    [
        ("2024-12", "Anthropic", "Claude 3.5 Haiku", (0.8, 4)),
        ("2025-01", "OpenAI", "o1-mini", (1.1, 4.4)),
        ("2025-02", "DeepSeek", "DeepSeek-V3", (0.27, 1.1)),
        ("2025-06", "OpenAI", "o3", (2, 8)),
        ("2025-09", "DeepSeek", "DeepSeek-V3.1", (0.56, 1.68)),
    ],
)
def test_known_changes_of_list_prices(month, lab, model, price):
    (change,) = [c for c in price_changes() if (c.lab, c.model) == (lab, model)]
    assert change.month == parse_month(month)
    assert (change.input_price, change.output_price) == price


def test_price_changes_start_from_the_price_of_their_release():
    old = {
        (row["date"], row["item"]): (float(row["old_in"] or "nan"), float(row["old_out"] or "nan"))
        for row in table("price_events")
    }
    mapped = [row for row in table("price_change_map") if row["model"]]
    assert len(mapped) == len(price_changes()) == 9
    for row in mapped:
        release = BY_MODEL[row["lab"], row["model"]]
        assert old[row["date"], row["item"]] == (release.input_price, release.output_price), row["item"]
        assert row["date"] >= release.date
    for change in price_changes():
        assert change.source.startswith("https://")
        release = BY_MODEL[change.lab, change.model]
        assert (change.input_price, change.output_price) != (release.input_price, release.output_price)


def test_every_price_event_is_mapped_or_left_out_with_a_reason():
    events = [(row["date"], row["lab"], row["item"]) for row in table("price_events")]
    assert [(row["date"], row["lab"], row["item"]) for row in table("price_change_map")] == events


def test_a_cut_hands_out_nothing_later():
    cut = parse_month("2024-05")
    assert {r.month <= cut for r in releases(until=cut)} == {True}
    assert [r.model for r in releases(until=cut)] == [r.model for r in releases() if r.month <= cut]
    assert [c.model for c in price_changes(until=cut)] == ["Claude 2"]
    assert releases(until=parse_month("2030-01")) is releases()


def test_a_cut_fills_gaps_from_earlier_models_alone():
    full = BY_MODEL["Alibaba", "Qwen1.5-110B"]
    (early,) = [r for r in releases(until=parse_month("2024-05")) if r.model == "Qwen1.5-110B"]
    (later,) = [r for r in releases(until=parse_month("2024-06")) if r.model == "Qwen1.5-110B"]
    assert full.capability_basis == later.capability_basis == "imputed: interpolated"
    assert later.capability == full.capability
    assert early.capability_basis == "imputed: carried"
    assert early.capability != full.capability


def test_every_cut_gives_every_release_a_capability():
    for month in range(parse_month("2023-02"), evidence.LAST_MONTH + 1):
        for release in releases(until=month):
            assert not isnan(release.capability)
            assert release.capability_basis.startswith(("measured", "imputed: "))


def test_a_cut_ignores_measured_models_outside_the_release_table_that_came_later():
    def gemini(cut):
        (found,) = [r for r in releases(until=parse_month(cut)) if r.model == "Gemini 1.5 Pro (Sep 2024)"]
        return found

    # the experimental model that fixes the slope of the line dates from February 2025
    assert gemini("2025-01").capability_basis == "imputed: carried"
    assert gemini("2025-02").capability_basis == "imputed: interpolated"
    assert gemini("2025-02").capability == gemini("2025-12").capability
