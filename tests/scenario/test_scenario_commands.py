"""The commands validate, schema and new."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from sim.cli.scenario import SCHEMA_FILE, new, schema, validate
from sim.errors import ScenarioError, SimError, UsageError, WriteError
from sim.scenario.files import packaged_names
from sim.scenario.load import load_scenario
from sim.scenario.nodes import plain
from sim.scenario.problems import Problems
from sim.scenario.register import register
from sim.scenario.yaml_io import parse

BASE = "name: root\nparameters:\n  demand.value: {value: 5, source: s}\n"
needs_packaged = pytest.mark.skipif("baseline" not in packaged_names(), reason="no packaged scenarios yet")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command, *arguments: str):
    """Return the result of a command that must succeed; raise what it raises."""
    result = CliRunner().invoke(command, list(arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def test_a_valid_file_is_called_valid_and_its_warnings_go_to_stderr(here: Path):
    (here / "a.yaml").write_text("name: a\nparameters: {demand.value: 5}\n")
    (here / "b.yaml").write_text(BASE)
    result = run(validate, "a.yaml", "b.yaml")
    assert result.stdout == "a.yaml: valid, 1 warning\nb.yaml: valid\n"
    assert result.stderr == "warning: a.yaml:2: demand.value: has neither source nor assumption\n"


def test_the_problems_of_all_files_are_told_together(here: Path):
    (here / "a.yaml").write_text("nam: a\n")
    (here / "b.yaml").write_text(BASE)
    (here / "c.yaml").write_text("name: c\nhorizon: {end: x}\n")
    with pytest.raises(ScenarioError) as caught:
        run(validate, "a.yaml", "b.yaml", "c.yaml", "d.yaml")
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["a.yaml", "c.yaml", "d.yaml"]


def test_json_is_one_document_even_with_problems(here: Path):
    (here / "a.yaml").write_text("nam: a\n")
    (here / "b.yaml").write_text("parameters: {demand.value: 5}\n")
    result = CliRunner().invoke(validate, ["--json", "a.yaml", "b.yaml"])
    assert isinstance(result.exception, ScenarioError)
    reports = json.loads(result.stdout)["scenarios"]
    assert [report["valid"] for report in reports] == [False, True]
    assert reports[0]["problems"][0].startswith("a.yaml:1: nam: unknown key")
    assert reports[1]["warnings"] == ["b.yaml:1: demand.value: has neither source nor assumption"]
    assert reports[1]["content_hash"] == load_scenario("b.yaml").content_hash()


def test_a_new_file_shows_the_settings_of_its_parent_in_a_comment_that_can_be_used(here: Path):
    (here / "root.yaml").write_text(BASE + "ensemble: {nodes: 256, noise: options}\n")
    run(new, "mine", "--from", "root.yaml")
    (line,) = [line for line in (here / "mine.yaml").read_text().splitlines() if line.startswith("# ensemble: ")]
    assert line == "# ensemble: {runs: 32, seed: 1, workloads: 20000, nodes: 256, noise: options}"
    (here / "mine.yaml").write_text((here / "mine.yaml").read_text().replace("# ensemble: ", "ensemble: "))
    assert load_scenario("mine.yaml").noise == "options"


def test_resolved_prints_what_loads_again(here: Path):
    (here / "a.yaml").write_text(BASE)
    found = load_scenario("a.yaml", overrides=["demand.value=6"])
    (here / "r.yaml").write_text(run(validate, "a.yaml", "--resolved", "--set", "demand.value=6").stdout)
    assert load_scenario("r.yaml").content_hash() == found.content_hash()
    report = json.loads(run(validate, "a.yaml", "--resolved", "--json").stdout)["scenarios"][0]
    assert report["resolved"]["parameters"]["demand.value"] == {"value": 5.0, "source": "s"}
    with pytest.raises(UsageError, match="prints one scenario"):
        run(validate, "a.yaml", "a.yaml", "--resolved")


def test_validate_writes_nothing(here: Path):
    (here / "a.yaml").write_text(BASE)
    run(validate, "a.yaml")
    assert os.listdir(here) == ["a.yaml"]


def test_the_schema_is_printed_or_written_and_another_file_is_left_alone(here: Path):
    document = json.loads(run(schema).stdout)
    jsonschema.Draft7Validator.check_schema(document)
    run(schema, "-o", "s.json")
    run(schema, "-o", "s.json")  # its own file may be written anew
    assert json.loads((here / "s.json").read_text()) == document
    (here / "other.json").write_text("{}")
    with pytest.raises(UsageError, match="--force replaces it"):
        run(schema, "-o", "other.json")
    assert (here / "other.json").read_text() == "{}"
    run(schema, "-o", "other.json", "--force")
    assert json.loads((here / "other.json").read_text()) == document
    assert sorted(os.listdir(here)) == ["other.json", "s.json"]


def test_a_new_file_extends_a_file_beside_it_and_changes_nothing_yet(here: Path):
    (here / "root.yaml").write_text(BASE)
    result = run(new, "child", "--from", "root.yaml")
    assert "wrote child.yaml, which extends root" in result.stderr
    child, root = load_scenario("child.yaml"), load_scenario("root.yaml")
    assert child.content_hash() == root.content_hash()
    assert child.name == "child"
    assert not child.warnings
    assert "yaml-language-server" not in (here / "child.yaml").read_text()
    assert oct((here / "child.yaml").stat().st_mode)[-3:] == oct(0o666 & ~umask())[-3:]


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_every_offered_line_of_a_new_file_is_valid_once_uncommented(here: Path):
    (here / "root.yaml").write_text(BASE)
    run(new, "child", "--from", "root.yaml")
    lines = (here / "child.yaml").read_text().splitlines()
    head = lines.index("# horizon: {start: 2023-07, history_until: 2025-12, end: 2030-12}")
    body = [line.replace("# ", "", 1) if not line.lstrip().startswith("##") else line for line in lines[head:]]
    body = [line.replace("#   ", "    ", 1) if line.startswith("  #   ") else line for line in body]
    (here / "child.yaml").write_text("\n".join([*lines[: head - 5], *body]) + "\n")
    child = load_scenario("child.yaml")
    assert not child.warnings
    assert {event.lever for event in child.events} == set(register().levers)
    document = plain(parse((here / "child.yaml").read_text(), "child.yaml", Problems()))
    assert set(document["parameters"]) == set(register().parameters)
    assert child.parameters == load_scenario("root.yaml").parameters


def test_a_new_file_points_the_editor_to_a_schema_beside_it(here: Path):
    (here / "root.yaml").write_text(BASE)
    run(new, "child", "--from", "root.yaml", "--with-schema")
    assert (here / SCHEMA_FILE).exists()
    first = (here / "child.yaml").read_text().splitlines()[0]
    assert first == f"# yaml-language-server: $schema=./{SCHEMA_FILE}"
    run(new, "second", "--from", "root.yaml")
    assert (here / "second.yaml").read_text().splitlines()[0] == first


def test_a_new_file_replaces_another_only_with_force(here: Path):
    (here / "root.yaml").write_text(BASE)
    (here / "child.yaml").write_text("precious")
    with pytest.raises(UsageError, match=r"child.yaml: exists; --force replaces it"):
        run(new, "child", "--from", "root.yaml")
    assert (here / "child.yaml").read_text() == "precious"
    run(new, "child", "--from", "root.yaml", "--force")
    assert load_scenario("child.yaml").name == "child"
    assert sorted(os.listdir(here)) == ["child.yaml", "root.yaml"]


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (["Child", "--from", "root.yaml"], UsageError, "is not a scenario name"),
        (["../child", "--from", "root.yaml"], UsageError, "is not a scenario name"),
        (["tight-controls", "--force"], UsageError, "'tight-controls' is a packaged scenario"),
        (["con", "--from", "root.yaml"], UsageError, "device"),
        (["root", "--from", "root.yaml", "--force"], UsageError, "cannot extend a file of its own name"),
        (["child", "--from", "elsewhere/far.yaml"], UsageError, "copy it there"),
        (["child", "--from", "bad.yaml"], ScenarioError, "bad.yaml:1: nam: unknown key"),
        (["child", "--from", "nowhere.yaml"], SimError, ""),
        (["child", "--from", "root.yaml", "--out", "no/folder/child.yaml"], SimError, ""),
    ],
)
def test_a_new_file_that_cannot_be_is_refused_and_nothing_is_written(here: Path, arguments, error, says: str):
    (here / "elsewhere").mkdir()
    (here / "elsewhere" / "far.yaml").write_text("name: far\n")
    (here / "root.yaml").write_text(BASE)
    (here / "bad.yaml").write_text("nam: x\n")
    with pytest.raises(error) as caught:
        run(new, *arguments)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted(os.listdir(here)) == ["bad.yaml", "elsewhere", "root.yaml"]
    assert (here / "root.yaml").read_text() == BASE


def test_a_folder_that_cannot_be_written_gives_exit_code_74(here: Path):
    (here / "file").write_text("not a folder")
    with pytest.raises(WriteError, match="cannot be written") as caught:
        run(schema, "-o", "file/schema.json")
    assert caught.value.exit_code == 74


@needs_packaged
def test_a_new_file_extends_the_packaged_baseline_by_default(here: Path):
    run(new, "mine", "--out", "mine.yaml")
    assert load_scenario("mine.yaml").content_hash() == load_scenario("baseline").content_hash()


@needs_packaged
def test_validate_takes_the_bare_names_of_packaged_scenarios(here: Path):
    Path("baseline.yaml").write_text("name: baseline\nextends: none\n")
    assert run(validate, "baseline").stdout.startswith("baseline: valid (packaged)")
