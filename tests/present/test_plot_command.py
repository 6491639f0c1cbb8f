"""`sim plot` on a real result folder."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from sim.cli.plot import FORMATS as COMMAND_FORMATS
from sim.cli.plot import NAMES, plot
from sim.columns import FLOAT, MONTH, RUN, TABLES
from sim.errors import ResultError, UsageError
from sim.manifest import build_manifest
from sim.present.figures import FIGURES, FORMATS
from sim.results import Results, load_results, save
from sim.verify import verify_folder

from .made_up import MadeUp, columns


class Facts:
    """What a manifest reads of a scenario."""

    name, title, files = "made-up", "A made-up market", ()

    def __init__(self, scenario: dict):
        self._scenario = scenario

    def resolved(self) -> dict:
        return {"name": self.name, "title": self.title, **self._scenario}

    def content_hash(self) -> str:
        return "0" * 64


def real_results(made_up: MadeUp) -> Results:
    """Return the made-up result as the program's own kind; columns that it lacks are missing."""
    tables = {}
    for name, table in TABLES.items():
        frame, found = getattr(made_up, name), columns(getattr(made_up, name))
        tables[name] = {}
        for column in table.columns:
            if column.kind == MONTH:
                values = found["month"]
            elif column.kind == RUN:
                values = found["run"].astype(np.int32)
            elif column.kind == FLOAT:
                values = found.get(column.name, np.full(len(frame), np.nan)).astype(float)
            else:
                values = found.get(column.name, np.full(len(frame), None)).astype(object)
            tables[name][column.name] = values
    facts = Facts(made_up.scenario)
    manifest = build_manifest(
        facts,
        tables,
        seed=1,
        runs=made_up.runs,
        workloads=100,
        options={},
        started=datetime(2025, 12, 31, tzinfo=UTC),
        seconds=1.0,
    )
    return Results(tables, manifest, facts.resolved(), "name: made-up\n")


@pytest.fixture
def folder(tmp_path) -> Path:
    """A saved result without figures."""
    place = tmp_path / "result"
    save(real_results(MadeUp(runs=2, end="2026-06")), place)
    return place


def run(*arguments: object):
    """Run the command; errors of the program come out as they are."""
    return CliRunner().invoke(plot, [str(argument) for argument in arguments], catch_exceptions=True)


def test_the_command_knows_every_figure_and_format():
    assert tuple(FIGURES) == NAMES
    assert COMMAND_FORMATS == FORMATS


def test_figures_go_into_the_result_folder_which_stays_sound(folder):
    done = run(folder)
    assert done.exit_code == 0, done.output
    made = sorted(path.name for path in (folder / "figures").iterdir())
    assert made == sorted(f"{name}.{kind}" for name in NAMES for kind in ("png", "svg"))
    assert done.output.splitlines() == [str(folder / "figures" / f"{n}.{k}") for n in NAMES for k in ("png", "svg")]
    assert not verify_folder(folder).damage


def test_drawing_twice_replaces_with_the_same_bytes(folder):
    run(folder, "--figure", "prices", "--format", "svg")
    first = (folder / "figures" / "prices.svg").read_bytes()
    assert run(folder, "--figure", "prices", "--format", "svg").exit_code == 0
    assert (folder / "figures" / "prices.svg").read_bytes() == first


def test_the_loaded_result_draws_its_own_figure(folder):
    assert load_results(folder).figure("compute").get_label().startswith("What Chinese labs can use of accelerators is")


def test_another_folder_gets_the_chosen_figures_alone(folder, tmp_path):
    before = sorted(folder.rglob("*"))
    done = run(folder, "--figure", "adoption", "--format", "pdf,png", "--out", tmp_path / "slides")
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "slides").iterdir()) == ["adoption.pdf", "adoption.png"]
    assert sorted(folder.rglob("*")) == before


def test_a_file_of_someone_else_is_not_replaced_without_force(folder, tmp_path):
    mine = tmp_path / "slides" / "prices.svg"
    mine.parent.mkdir()
    mine.write_text("mine")
    arguments = (folder, "--figure", "prices", "--format", "svg", "--out", mine.parent)
    refused = run(*arguments)
    assert isinstance(refused.exception, UsageError)
    assert mine.read_text() == "mine"
    assert run(*arguments, "--force").exit_code == 0
    assert mine.read_text() != "mine"


def test_figures_never_land_among_the_tables(folder):
    for place in (folder, folder / "extra"):
        refused = run(folder, "--out", place)
        assert isinstance(refused.exception, UsageError)
    assert not (folder / "extra").exists()


@pytest.mark.parametrize("kind", ["missing", "empty", "file"])
def test_what_is_no_result_folder_is_refused_and_left_alone(tmp_path, kind):
    place = tmp_path / "place"
    if kind == "empty":
        place.mkdir()
    elif kind == "file":
        place.write_text("x")
    assert isinstance(run(place).exception, ResultError)
    assert list(tmp_path.rglob("*.png")) == []


@pytest.mark.parametrize("arguments", [("--format", "gif"), ("--format", ","), ("--figure", "adaption")])
def test_bad_options_are_usage_errors(folder, arguments):
    done = run(folder, *arguments)
    assert done.exit_code == 2
    assert "Traceback" not in done.output
    assert not (folder / "figures").exists()
