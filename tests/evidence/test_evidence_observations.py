from math import isnan

from sim.evidence import LAST_MONTH, observations, table
from sim.months import parse_month

BY_ID = {o.id: o for o in observations()}


def test_all_observations_up_to_2025_are_read_and_the_one_of_2026_is_not():
    assert len(observations()) == len(table("observations")) - 1 == 104
    assert "price_ratio_k25_opus" not in BY_ID
    assert max(o.end for o in observations()) == LAST_MONTH
    assert observations(until=parse_month("2027-01")) is observations()


def test_every_observation_is_sourced_and_lies_in_its_band():
    assert len(BY_ID) == 104
    for o in observations():
        assert o.source
        assert o.unit
        assert o.confidence in ("high", "medium", "low")
        assert o.start <= o.end
        assert isnan(o.low) == isnan(o.high)
        assert isnan(o.low) or o.low <= o.value <= o.high, o.id


def test_a_known_row():
    o = BY_ID["enterprise_open_2025_11"]
    assert (o.panel, o.series, o.value, o.low, o.high) == ("enterprise", "open_workload_share", 0.11, 0.09, 0.13)
    assert (o.start, o.end, o.unit) == (parse_month("2025-11"), parse_month("2025-11"), "share")


def test_a_cut_keeps_only_windows_that_have_ended():
    cut = parse_month("2024-10")
    kept = observations(until=cut)
    assert {o.id for o in kept} == {o.id for o in observations() if o.end <= cut}
    assert {o.id for o in kept if o.panel == "enterprise"} == {
        "enterprise_open_2023",
        "enterprise_openai_2023",
        "enterprise_anthropic_2023",
        "enterprise_google_2023",
        "enterprise_meta_2023",
        "enterprise_mistral_2023",
    }


def test_roles_name_existing_rows_and_mark_inputs_only():
    assert {row["id"] for row in table("observation_roles")} <= set(BY_ID)
    assert {o.role for o in observations()} == {"replayed", "fitted", "held_out"}
    for panel in ("router", "enterprise", "downloads", "revenue", "consumer", "survey", "demand"):
        assert "replayed" not in {o.role for o in observations() if o.panel == panel}
    assert BY_ID["world_stock_2024"].role == "replayed"
    assert BY_ID["gap_open_points"].role == "replayed"
    assert BY_ID["gross_margin_openai_2025"].role == "fitted"


def test_a_cited_observation_names_parameters_that_exist():
    from sim.scenario.parameters import PARAMETERS

    paths = {p.path for p in PARAMETERS}
    for row in table("observation_roles"):
        if row["role"] == "fitted":
            words = [word.strip(",") for word in row["reason"].split() if "." in word]
            assert words or "strength" in row["reason"], row["id"]
            assert set(words) <= paths, row["id"]


def test_observed_crossing_dates():
    qwen = BY_ID["downloads_qwen_over_llama"]
    assert (qwen.start, qwen.end) == (parse_month("2025-09"), parse_month("2025-10"))
    china = BY_ID["downloads_cn_over_us"]
    assert (china.start, china.end) == (parse_month("2025-06"), parse_month("2025-08"))
