"""A name mistyped by one letter gets the right hint."""

from __future__ import annotations

import re

import pytest

from sim.errors import ScenarioError
from sim.scenario.files import packaged_names
from sim.scenario.layer import SECTIONS, read_layer
from sim.scenario.load import load_scenario
from sim.scenario.nodes import node_of
from sim.scenario.problems import Problems, Where, edits, nearest
from sim.scenario.register import ENSEMBLE, HORIZON, register

LETTERS = "aqz_"


def one_letter_typos(word: str) -> list[str]:
    """Return every drop and swap, and additions and changes by a few letters, of the last name of a path."""
    stem, _, last = word.rpartition(".")
    head = stem + "." if stem else ""
    typos = {last[:i] + last[i + 1 :] for i in range(len(last))}
    typos |= {last[:i] + last[i + 1] + last[i] + last[i + 2 :] for i in range(len(last) - 1)}
    typos |= {last[:i] + LETTERS[i % 4] + last[i:] for i in range(len(last) + 1)}
    typos |= {last[:i] + LETTERS[i % 4] + last[i + 1 :] for i in range(len(last))}
    return sorted(head + typo for typo in typos - {last, ""})


def hint(document: dict) -> str:
    problems = Problems()
    read_layer(node_of(document, Where("f", 1)), register(), problems)
    found = [m[1] for line in problems.lines() if (m := re.search(r"did you mean '([^']+)'", line))]
    return found[0] if found else ""


def share_of_right_hints(names: dict[str, str], wrap) -> float:
    """Return the share of typos of each key that lead back to its value; a typo that is another name is none."""
    right = total = 0
    for name, expected in names.items():
        for typo in one_letter_typos(name):
            if typo not in names and re.fullmatch(r"[A-Za-z_][\w.]*", typo):
                total += 1
                right += hint(wrap(typo)) == expected
    assert total >= len(names)
    return right / total


def test_at_least_95_percent_of_typos_in_dotted_paths_get_the_right_hint():
    paths = list(register().parameters)[::6]  # every sixth: the search takes milliseconds
    assert share_of_right_hints({p: p for p in paths}, lambda typo: {"parameters": {typo: 1}}) >= 0.95


def test_at_least_95_percent_of_typos_in_every_nested_key_get_the_right_hint():
    of, right, total = register(), 0, 0
    for path in of.parameters:
        *groups, last = path.split(".")
        for typo in one_letter_typos(last)[::3]:
            if ".".join([*groups, typo]) in of.parameters or ".".join([*groups, typo]) in of.groups:
                continue
            document: dict = {typo: 1}
            for group in reversed(groups):
                document = {group: document}
            total += 1
            found = hint({"parameters": document})
            right += found in (last, path)
    assert total > 500
    assert right / total >= 0.95


def test_at_least_95_percent_of_typos_in_sections_settings_labs_and_fields_get_the_right_hint():
    of = register()
    assert share_of_right_hints({n: n for n in SECTIONS}, lambda t: {t: 1}) >= 0.95
    assert share_of_right_hints({n: n for n in HORIZON}, lambda t: {"horizon": {t: "2030-12"}}) >= 0.95
    assert share_of_right_hints({n: n for n in ENSEMBLE}, lambda t: {"ensemble": {t: 1}}) >= 0.95
    labs = {n: n for n in of.labs if "." not in n}
    assert share_of_right_hints(labs, lambda t: {"labs": {t: {}}}) >= 0.95
    fields = {n: n for n in of.lab_fields}
    assert share_of_right_hints(fields, lambda t: {"labs": {"Meta": {t: 1}}}) >= 0.95


def test_at_least_95_percent_of_typos_in_levers_and_their_fields_get_the_right_hint(write):
    right = total = 0
    for lever in register().levers.values():
        specs = [register().named(spec) for spec in lever.fields]
        fields = {spec.path: spec.choices[0] if spec.choices else spec.low for spec in specs}
        base = {"id": "a", "date": "2026-01", "lever": lever.name}
        cases = [(typo, lever.name, base | {"lever": typo}) for typo in one_letter_typos(lever.name)[::4]]
        cases += [
            (typo, name, base | {typo if key == name else key: value for key, value in fields.items()})
            for name in fields
            for typo in one_letter_typos(name)[::2]
            if typo not in fields and typo not in base
        ]
        for _, expected, event in cases:
            text = "events:\n- {" + ", ".join(f"{k}: {v}" for k, v in event.items()) + "}\n"
            with pytest.raises(ScenarioError) as caught:
                load_scenario(write(text))
            total += 1
            right += f"did you mean '{expected}'" in str(caught.value)
    assert total > 50
    assert right / total >= 0.95


@pytest.mark.skipif(not packaged_names(), reason="no packaged scenarios yet")
def test_typos_in_names_of_packaged_scenarios_get_the_right_hint():
    for name in packaged_names():
        for typo in (name[1:], name + "s", name.replace("l", "1")):
            if typo != name:
                with pytest.raises(ScenarioError, match=f"did you mean '{name}'"):
                    load_scenario(typo)


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [("", "", 0), ("a", "", 1), ("abc", "abc", 0), ("abc", "acb", 1), ("abc", "ab", 1), ("abc", "xbc", 1),
     ("kitten", "sitting", 3), ("ab", "ba", 1), ("distrust", "distrsut", 1)],
)  # fmt: skip
def test_the_distance_counts_letters_and_swaps(a: str, b: str, distance: int):
    assert edits(a, b) == edits(b, a) == distance


def test_a_word_like_no_name_gets_no_hint():
    assert nearest("elephant", ["runs", "seed", "workloads"]) == ""
    assert nearest("Export-Control", ["export_control", "cloud_access"]) == "export_control"
