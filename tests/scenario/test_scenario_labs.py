"""Labs that a scenario adds, and events that name labs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sim.scenario.load import load_scenario
from sim.scenario.register import ADDED, register
from sim.scenario.schema import ANY_LAB

from .refusals import problems_of

NEW = "labs:\n  Newcomer: {bloc: EU, compute_share: 0.2, assumption: a guess}\n"
ENTRY = "id: in, date: 2027-03, lever: lab_entry, lab: Newcomer, points_behind: {uniform: [2, 6]}, price: 1"


def test_a_lab_with_a_bloc_is_added_and_waits_for_its_entry(load):
    found = load(f"name: x\n{NEW}events:\n- {{{ENTRY}, assumption: a guess}}\n")
    assert list(found.labs) == [*register().labs, "Newcomer"]
    own = found.labs["Newcomer"]
    assert list(own) == ["bloc", *register().lab_fields]
    assert (own["bloc"].value, own["compute_share"].value) == ("EU", 0.2)
    assert own["active"].value == ADDED["active"]["value"] == 0
    assert own["brand"].value == found.labs["Meta"]["brand"].value
    assert found.warnings == ()
    drawn = found.draw(0)
    assert drawn.labs["Newcomer"]["bloc"] == "EU"
    assert 2 <= drawn.events[0].fields["points_behind"] <= 6
    assert drawn.events[0].fields["weights"] == "closed"


def test_the_register_itself_learns_nothing_of_it(load):
    load(f"name: x\n{NEW}")
    assert "Newcomer" not in register().labs
    assert "Newcomer" not in load("name: x\n").labs


def test_the_effective_form_loads_again_to_the_same_scenario(load, write):
    found = load(f"name: x\n{NEW}events:\n- {{{ENTRY}}}\n")
    again = load_scenario(write(found.resolved_text(), "again"))
    assert again.content_hash() == found.content_hash()
    assert '    bloc: {value: EU, assumption: "a guess"}  # mine.yaml:3' in found.resolved_text()
    assert again.labs["Newcomer"]["bloc"].value == "EU"


def test_an_added_lab_changes_nobodys_draws(load):
    plain, more = load("name: x\n").draw(3), load(f"name: x\n{NEW}").draw(3)
    assert {lab: more.labs[lab] for lab in plain.labs} == plain.labs
    assert more.parameters == plain.parameters


def test_a_child_may_change_a_lab_that_its_parent_added_and_move_it(write):
    write(f"name: root\n{NEW}", "root")
    child = load_scenario(write("extends: root\nlabs: {Newcomer: {brand: 1}}\n"))
    assert (child.labs["Newcomer"]["brand"].value, child.labs["Newcomer"]["bloc"].value) == (1.0, "EU")
    child = load_scenario(write("extends: root\nlabs: {Newcomer: {bloc: US}}\n"))
    assert child.labs["Newcomer"]["bloc"].value == "US"


def test_overrides_reach_an_added_lab(load):
    found = load(f"name: x\n{NEW}", "labs.Newcomer.brand=2", "labs.Newcomer.bloc=CN")
    assert (found.labs["Newcomer"]["brand"].value, found.labs["Newcomer"]["bloc"].value) == (2.0, "CN")


def test_an_unknown_lab_without_a_bloc_is_refused_with_the_nearest_name(write):
    (line,) = problems_of(load_scenario, write("name: x\nlabs:\n  Antropic: {brand: 1}\n"))
    assert ":3: labs.Antropic: unknown lab; allowed are OpenAI, " in line
    assert line.endswith("or a new one with a bloc; did you mean 'Anthropic'?")


def test_an_event_may_name_an_added_lab_and_no_other(load, write):
    assert load(f"name: x\n{NEW}events:\n- {{id: a, date: 2027-01, lever: lab_exit, lab: Newcomer}}\n").events
    (line,) = problems_of(
        load_scenario, write(f"name: x\n{NEW}events:\n- {{id: a, date: 2027-01, lever: lab_exit, lab: Newcome}}\n")
    )
    assert ":5: events.a.lab: 'Newcome' is not one of OpenAI, " in line
    assert line.endswith("did you mean 'Newcomer'?")


def test_a_mistyped_lab_in_an_event_ends_with_code_2_and_its_line(write):
    path = write("name: x\nevents:\n- {id: a, date: 2027-01, lever: promotion, who: Alibab, discount: 1}\n")
    done = subprocess.run([sys.executable, "-m", "sim", "validate", path], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"{path}:3: events.a.who: 'Alibab' is not one of" in done.stderr
    assert "did you mean 'Alibaba'?" in done.stderr


@pytest.mark.parametrize("who", ["OpenAI", "CN", "all", "{choice: [OpenAI, Google]}", "{choice: {US: 1, Meta: 3}}"])
def test_who_may_be_a_lab_a_bloc_all_or_drawn(load, who):
    found = load(f"name: x\nevents:\n- {{id: a, date: 2027-01, lever: price_rule, who: {who}, rule: hold}}\n")
    assert found.draw(0).events[0].fields["who"] in ("OpenAI", "CN", "all", "Google", "US", "Meta")


def test_any_lab_never_reaches_a_scenario_as_a_word(write):
    text = f"name: x\nevents:\n- {{id: a, date: 2027-01, lever: price_rule, who: '{ANY_LAB}', rule: hold}}\n"
    assert f"'{ANY_LAB}' is not one of OpenAI" in problems_of(load_scenario, write(text))[0]


TWO = "name: x\nevents:\n- {{id: a, date: 2027-01, lever: {a}}}\n- {{id: b, date: 2027-01, lever: {b}}}\n"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("price_rule, who: US, rule: hold", "price_rule, who: US, rule: cost_plus"),
        ("lab_exit, lab: Meta", "lab_exit, lab: Meta"),
        (
            "model_ban, origin: CN, adopters: US, share: 0.2, scope: api",
            "model_ban, origin: CN, adopters: US, share: 0.1, scope: weights",
        ),
        ("compute_shock, factor: 2", "compute_shock, factor: 1"),
    ],
)
def test_two_events_of_a_month_on_one_target_are_refused(write, first, second):
    (line,) = problems_of(load_scenario, write(TWO.format(a=first, b=second)))
    assert "does the same as 'a' in the same month" in line


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("price_rule, who: US, rule: hold", "price_rule, who: Meta, rule: hold"),
        ("price_rule, who: {choice: [US, EU]}, rule: hold", "price_rule, who: {choice: [US, EU]}, rule: hold"),
        ("model_ban, origin: CN, adopters: US, share: 0.2", "model_ban, origin: CN, adopters: EU, share: 0.2"),
        ("trust_shock, target: open, size: 1", "trust_shock, target: closed, size: 1"),
    ],
)
def test_two_events_of_a_month_on_two_targets_are_allowed(load, first, second):
    assert len(load(TWO.format(a=first, b=second)).events) == 2
