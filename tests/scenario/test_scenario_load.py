"""Loading: what stands on what, overrides, and the checks across files."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from sim.months import parse_month
from sim.scenario.distributions import Distribution
from sim.scenario.files import packaged_names, packaged_scenarios_dir
from sim.scenario.load import defaults, load_scenario
from sim.scenario.register import register
from sim.scenario.yaml_io import read_bytes

from .refusals import problems_of

CONTROL = "date: 2026-03, lever: export_control, bloc: CN, tier: H200"


def test_a_file_with_a_name_alone_stands_on_the_defaults(load):
    found = load("name: x\n")
    assert (found.start, found.history_until, found.end) == tuple(map(parse_month, ("2023-07", "2025-12", "2030-12")))
    assert (found.runs, found.seed, found.workloads, found.population) == (32, 1, 20_000, "agents")
    assert (found.nodes, found.noise) == (1024, "shared")
    assert list(found.parameters) == list(register().parameters)
    assert list(found.labs) == list(register().labs)
    assert found.events == found.correlations == found.warnings == ()
    assert set(found.origins.values()) == {"default"}


def test_the_defaults_of_the_register_keep_their_own_rules():
    of = register()
    found = defaults(of)
    assert len(found) == len(of.parameters) + len(of.labs) * len(of.lab_fields)
    assert all(value.source or value.assumption for value in found.values())


def test_a_lab_default_of_its_own_keeps_its_source():
    own = register().labs["OpenAI"]["cadence_months"]
    found = defaults(register())["labs.OpenAI.cadence_months"]
    assert (found.value, found.source) == (own["value"], own["source"])


@pytest.mark.parametrize(
    "text",
    [
        "demand.enterprise.distrust: 3",
        "demand: {enterprise: {distrust: 3}}",
        "demand: {enterprise.distrust: 3}",
        "demand.enterprise: {distrust: 3}",
        "demand.enterprise: {distrust: 3 utils}",
        "demand: {enterprise: {distrust: {value: 3}}}",
    ],
)
def test_keys_may_be_nested_dotted_or_both(load, text: str):
    assert load(f"parameters: {{{text}}}").parameters["demand.enterprise.distrust"].value == 3.0


def test_the_name_of_the_file_serves_when_none_is_written(load):
    assert load("title: A\n").name == "mine"


def test_a_file_whose_name_cannot_serve_needs_one(write):
    assert "name: is missing" in problems_of(load_scenario, write("title: A\n", "My File"))[0]


def test_maps_merge_values_replace_and_events_append_replace_or_drop(write):
    write(
        "name: root\nparameters: {demand.value: 6, demand.value_sd: 2}\nlabs: {Meta: {brand: 1, active: 0}}\n"
        f"events:\n- {{id: a, {CONTROL}, quota: 1}}\n"
        "- {id: b, date: 2027-01, lever: cloud_access, bloc: CN, open: 0}\n"
        "- {id: c, date: 2028-01, lever: cloud_access, bloc: CN, open: 0}\nsources: [one]\n",
        "root",
    )
    child = load_scenario(
        write(
            "extends: root\nparameters: {demand.value: {triangular: [1, 2, 3]}}\nlabs: {Meta: {brand: 2}}\n"
            "events:\n- {id: b, remove: true}\n- {id: c, date: 2029-01, lever: cloud_access, bloc: CN, open: 1}\n"
            "- {id: d, date: 2026-01, lever: cloud_access, bloc: CN, open: 1}\nsources: [two, three]\n"
        )
    )
    assert child.name == "mine"
    assert child.parameters["demand.value"].value == Distribution("triangular", (1.0, 2.0, 3.0), low=0.0, high=100.0)
    assert child.parameters["demand.value_sd"].value == 2.0
    assert (child.labs["Meta"]["brand"].value, child.labs["Meta"]["active"].value) == (2.0, 0.0)
    assert [event.id for event in child.events] == ["d", "a", "c"]
    assert child.events[2].fields["open"].value == 1.0
    assert child.sources == ("two", "three")
    assert [name for name, _ in child.files] == ["mine.yaml", "root.yaml"]


def test_a_distribution_replaces_that_of_the_parent_as_a_whole(write):
    write("parameters: {demand.value: {normal: [5, 1], bounds: [4, 6], source: s}}\n", "root")
    child = load_scenario(write("extends: root\nparameters: {demand.value: {uniform: [1, 2]}}\n"))
    value = child.parameters["demand.value"]
    assert value.value == Distribution("uniform", (1.0, 2.0), low=0.0, high=100.0)
    assert value.source == ""


def test_a_problem_in_a_parent_names_the_parent(write, tmp_path: Path):
    write("name: root\nparameters: {demand.value: 999}\n", "root")
    child = write("extends: root\nparameters: {demand.value: 5}\n")
    assert problems_of(load_scenario, child)[0].startswith(f"{tmp_path}/root.yaml:2: demand.value: 999")


def test_origins_name_file_line_default_and_override(write):
    write("parameters:\n  demand.value: 5\n  demand.value_sd: 1\n", "root")
    found = load_scenario(
        write(f"extends: root\n\nparameters: {{demand.value: 6}}\nevents:\n- {{id: a, {CONTROL}, quota: 1}}\n"),
        overrides=["demand.difficulty_sd=9", "events.a.quota=7", "ensemble.seed=5"],
        runs=3,
    )
    origins = found.origins
    assert origins["demand.value"] == "mine.yaml:3"
    assert origins["demand.value_sd"] == "root.yaml:3"
    assert origins["demand.difficulty_sd"] == "--set #1"
    assert origins["events.a"] == origins["events.a.tier"] == "mine.yaml:5"
    assert origins["events.a.quota"] == "--set #2"
    assert origins["ensemble.seed"] == "--set #3"
    assert origins["ensemble.runs"] == "argument"
    assert origins["demand.volume_sd"] == origins["labs.Meta.brand"] == origins["horizon.end"] == "default"


def test_overrides_reach_every_kind_of_value(load):
    found = load(
        f"events:\n- {{id: a, {CONTROL}, quota: 1}}\n",
        "demand.value={triangular: [1, 2, 3]}",
        "parameters.demand.value_sd=0.5 utils",
        "labs.01.AI.active=1",
        "labs.DeepSeek.openness = closed",
        "events.a.quota={uniform: [1, 2], source: s}",
        "events.a.date=2027-06",
        "events.a.leakage=5 %",
        "horizon.end=2028-12",
        "ensemble.workloads=2e4",
        "ensemble.runs=4",
        "ensemble.nodes=4 k nodes",
        "ensemble.noise=options",
        "population=mean-field",
        "demand.value_sd=0.25",
    )
    assert isinstance(found.parameters["demand.value"].value, Distribution)
    assert found.parameters["demand.value_sd"].value == 0.25  # the last of two wins
    assert found.labs["01.AI"]["active"].value == 1.0
    assert found.labs["DeepSeek"]["openness"].value == "closed"
    event = found.events[0]
    assert event.date == parse_month("2027-06")
    assert event.fields["leakage"].value == 0.05
    assert isinstance(event.fields["quota"].value, Distribution)
    assert (found.end, found.workloads, found.runs) == (parse_month("2028-12"), 20_000, 4)
    assert (found.population, found.nodes, found.noise) == ("mean-field", 4000, "options")
    assert found.origins["ensemble.nodes"] == "--set #11"


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("demand.value", "--set #1: 'demand.value' is not of the form dotted.path=value"),
        ("=5", "is not of the form"),
        ("demand.value=", "is not of the form"),
        ("demand.valu=5", "--set #1: demand.valu: unknown path; did you mean 'demand.value'?"),
        ("demand.value=900", "--set #1: demand.value: 900 is out of bounds"),
        ("demand.value=[", "--set #1: demand.value: this is not YAML"),
        ("demand.value=&a 5", "--set #1: demand.value: the anchor &a"),
        ("demand.value=*a", "--set #1: demand.value: the alias *a"),
        ("demand.value=5\n--- 6", "--set #1: demand.value: a second document"),
        ("demand.value=010", "write 10"),
        ("demand=5", "unknown path"),
        ("labs.DeepSek.openness=open", "did you mean 'DeepSeek'"),
        ("labs.DeepSeek.opennes=open", "did you mean 'openness'"),
        ("labs.DeepSeek=open", "unknown path; did you mean 'labs.DeepSeek."),
        ("events.nothing.quota=5", "there is no event"),
        ("events.b.quota=5", "did you mean 'a'"),
        ("events.a=5", "only the date and the fields"),
        ("events.a.id=b", "only the date and the fields"),
        ("events.a.remove=true", "only the date and the fields"),
        ("events.a.qota=5", "did you mean 'quota'"),
        ("horizon.stop=2030-12", "unknown key"),
        ("ensemble.runs=0", "--set #1: ensemble.runs: 0 is out of bounds"),
        ("name=y", "unknown path"),
        ("extends=y", "unknown path"),
        (
            "ensemble.nodes=63",
            "--set #1: ensemble.nodes: 63 is out of bounds; allowed is a whole number from 64 to 65536",
        ),
        ("ensemble.noise=option", "'option' is not one of shared, options; did you mean 'options'?"),
        ("ensemble.noise=5", "--set #1: ensemble.noise: '5' is not one of shared, options"),
        ("ensemble.noise=[shared]", "--set #1: ensemble.noise: a list is not one of"),
        ("ensemble.nods=64", "unknown key"),
        ("population=mean-feld", "--set #1: population: 'mean-feld' is not one of agents, mean-field; did you mean"),
        ("popluation=agents", "did you mean 'population'"),
    ],
)
def test_a_bad_override_is_refused_with_its_number(load, override: str, says: str):
    problems = problems_of(load, f"events:\n- {{id: a, {CONTROL}, quota: 1}}\n", override)
    assert len(problems) == 1
    assert says in problems[0]
    assert problems[0].isprintable()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"runs": 0}, "runs: 0 is out of bounds; allowed is a whole number from 1 to 10000"),
        ({"runs": 1.5}, "runs: 1.5 is not whole"),
        ({"runs": True}, "runs: is the boolean true"),
        ({"runs": "many"}, "runs: 'many' is not a number"),
        ({"runs": float("nan")}, "runs: "),
        ({"seed": -1}, "seed: -1 is out of bounds"),
        ({"seed": 2**63}, "out of bounds"),
        ({"workloads": 10**12}, "workloads: 1000000000000 is out of bounds"),
        ({"until": "2041-01"}, "until: 2041-01 is not allowed; a month from 2023-08 to 2040-12 is"),
        ({"until": "2023-07"}, "until: 2023-07 is not allowed"),
        ({"until": "soon"}, "until: 'soon' is not a month"),
        ({"nodes": 65_537}, "nodes: 65537 is out of bounds; allowed is a whole number from 64 to 65536"),
        ({"nodes": "shared"}, "nodes: 'shared' is not a number"),
        ({"noise": "Options"}, "noise: 'Options' is not one of shared, options"),
        ({"noise": 1}, "noise: '1' is not one of shared, options"),
        ({"population": "ants"}, "population: 'ants' is not one of agents, mean-field"),
        ({"population": 7}, "population: '7' is not one of agents, mean-field"),
    ],
)
def test_bad_settings_are_refused_like_bad_files(load, settings: dict, says: str):
    problems = problems_of(load, "name: x\n", **settings)
    assert len(problems) == 1
    assert says in problems[0]


def test_replace_changes_what_it_is_told_and_nothing_else(load):
    found = load("name: x\n")
    other = found.replace(runs=2, seed=2**63 - 1, workloads=200, until="2023-08", population="mean-field")
    assert (other.runs, other.seed, other.workloads, other.end) == (2, 2**63 - 1, 200, parse_month("2023-08"))
    assert (other.population, other.nodes, other.noise) == ("mean-field", 1024, "shared")
    coupled = found.replace(nodes=64, noise="options")
    assert (coupled.population, coupled.nodes, coupled.noise) == ("agents", 64, "options")
    changed = {path for path, origin in coupled.origins.items() if origin == "argument"}
    assert changed == {"ensemble.nodes", "ensemble.noise"}
    assert found.replace() == found
    assert other.parameters == found.parameters


def test_a_circle_of_extends_is_refused(write):
    write("extends: b\n", "a")
    write("extends: a\n", "b")
    assert (
        "in a circle: mine.yaml -> a.yaml -> b.yaml -> a.yaml" in problems_of(load_scenario, write("extends: a\n"))[0]
    )
    assert "in a circle" in problems_of(load_scenario, write("extends: mine\n"))[0]


def test_at_most_nine_files_stand_on_one_another(write):
    for i in range(9):
        write(f"extends: s{i + 1}\n" if i < 8 else "name: root\n", f"s{i}")
    assert "more than 8 scenarios" in problems_of(load_scenario, write("extends: s0\n"))[0]


def test_a_chain_of_eight_is_accepted(write):
    for i in range(8):
        write(f"extends: s{i + 1}\n" if i < 7 else "name: root\n", f"s{i}")
    assert len(load_scenario(write("extends: s0\n")).files) == 9


def test_a_link_out_of_the_folder_is_not_followed(write, tmp_path: Path):
    folder = tmp_path / "inner"
    folder.mkdir()
    secret = write("name: secret\n", "secret")
    (folder / "linked.yaml").symlink_to(secret)
    (folder / "etc.yaml").symlink_to("/etc/passwd")
    (folder / "gone.yaml").symlink_to("nowhere")
    (folder / "fine.yaml").write_text("name: fine\n")
    (folder / "inside.yaml").symlink_to(folder / "fine.yaml")
    for name, says in (("linked", "link out of its folder"), ("etc", "link out"), ("gone", "link to nothing")):
        path = folder / "child.yaml"
        path.write_text(f"extends: {name}\n")
        problem = problems_of(load_scenario, path)[0]
        assert says in problem
        assert problem.startswith(f"{path}:1: extends: ")
    path.write_text("extends: inside\n")
    assert len(load_scenario(path).files) == 2


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="this system cannot refuse links on opening")
def test_a_link_put_in_place_of_a_checked_file_is_not_opened(write, tmp_path: Path):
    (tmp_path / "swapped.yaml").symlink_to(write("name: secret\n", "secret"))
    swapped = str(tmp_path / "swapped.yaml")
    assert read_bytes(swapped, "swapped.yaml") == b"name: secret\n"
    assert "cannot be read" in problems_of(read_bytes, swapped, "swapped.yaml", follow=False)[0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in the file system here")
def test_extending_a_pipe_is_refused(write, tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.yaml")
    assert "not a regular file" in problems_of(load_scenario, write("extends: pipe\n"))[0]


def test_events_after_the_end_are_a_warning_and_stay(load):
    found = load(f"horizon: {{end: 2025-12}}\nevents:\n- {{id: a, {CONTROL}, quota: 1, source: s}}\n")
    assert [event.id for event in found.events] == ["a"]
    assert len(found.warnings) == 1
    assert "mine.yaml:3: events.a: acts in 2026-03, after horizon.end 2025-12: no effect" in found.warnings[0]


def test_every_value_without_a_reason_is_a_warning_with_its_line(load):
    found = load(
        "parameters:\n  demand.value: 5\n  demand.value_sd: {value: 1, source: s}\n"
        "  demand.leap_points: {uniform: [1, 2], assumption: a}\n  demand.volume_sd: {value: 1, note: n}\n"
        "labs:\n  Meta: {brand: 1}\n  Google: {brand: 1, source: s}\n  xAI: {brand: {value: 1, assumption: a}}\n"
        f"events:\n- {{id: a, {CONTROL}, quota: 1}}\n"
        f"- {{id: b, {CONTROL.replace('H200', 'H20')}, quota: 1, source: s}}\n"
        f"- {{id: c, {CONTROL.replace('H200', 'B200')}, quota: {{value: 1, source: s}}}}\n",
        "demand.ambition.chat=1",
    )
    assert [warning.split("mine.yaml:")[1] for warning in found.warnings] == [
        f"{line}: {path}: has neither source nor assumption"
        for line, path in ((2, "demand.value"), (5, "demand.volume_sd"), (7, "labs.Meta.brand"), (11, "events.a"))
    ]


def test_an_optional_number_left_out_of_an_event_is_absent_and_nan_in_a_run(load):
    found = load(f"events:\n- {{id: a, {CONTROL}, quota: 1}}\n")
    assert "leakage" not in found.events[0].fields
    assert math.isnan(found.draw(0).events[0].fields["leakage"])
    assert found.draw(0).events[0].fields["tier"] == "H200"


def test_a_bare_name_finds_the_packaged_scenario_and_a_typo_its_neighbour():
    names = packaged_names()
    for name in names:
        found = load_scenario(name)
        assert found.name == name
        assert found.content_hash() == load_scenario(packaged_scenarios_dir() / f"{name}.yaml").content_hash()
    if "baseline" not in names:
        pytest.skip("no packaged scenarios yet")
    assert "did you mean 'baseline'?" in problems_of(load_scenario, "baselin")[0]


def test_parents_are_looked_for_beside_the_file_first(write, tmp_path: Path):
    names = packaged_names()
    if not names:
        pytest.skip("no packaged scenarios yet")
    alone = load_scenario(write(f"extends: {names[0]}\n"))
    assert alone.files[1][0] == f"{names[0]}.yaml"
    write("parameters: {demand.value: 1.25}\n", names[0])
    assert load_scenario(tmp_path / "mine.yaml").parameters["demand.value"].value == 1.25
