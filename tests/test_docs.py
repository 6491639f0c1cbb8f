"""The pages of the model, the parameters and the results say what the code does."""

from __future__ import annotations

import ast
import calendar
import re
from functools import cache
from pathlib import Path

import pytest

from .pages import MODEL, PAGES, ROOT, name_of, prose

SIM, STAGES = ROOT / "sim", ROOT / "sim" / "market" / "stages"
PARAMETERS = ROOT / "docs" / "parameters.md"
STAGE_MODULES = sorted(path for path in STAGES.glob("*.py") if path.stem != "__init__")
NAMED = re.compile(r"`(sim/[\w/]+\.py): (\w+)`")


@cache
def functions(path: Path) -> frozenset[str]:
    """Return the names of all functions and methods of a source file."""
    tree = ast.parse(path.read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@cache
def section_numbers() -> frozenset[str]:
    return frozenset(re.findall(r"^##+ (\d+(?:\.\d+)?)\.? ", MODEL.read_text("utf-8"), re.MULTILINE))


@cache
def equations() -> tuple[tuple[int, str], ...]:
    """Return number and explanation of each equation of the model page, in its order."""
    pieces = re.split(r"^```text\n\((\d+)\) .*?^```$", MODEL.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return tuple((int(pieces[i]), pieces[i + 1].split("\n\n")[0]) for i in range(1, len(pieces), 2))


def cited(text: str) -> list[int]:
    """Return the equations that a docstring cites, written (eq. 3) or (eqs. 3, 5)."""
    found = []
    for numbers in re.findall(r"\(eqs?\.\s([^)]*)\)", text):
        assert re.fullmatch(r"\d+(,\s\d+)*", numbers), f"(eq. {numbers}) is not a list of numbers"
        found += [int(number) for number in numbers.split(",")]
    return found


def citations(name: str, source: str) -> dict[tuple[str, str], list[int]]:
    """Return the equations that the docstring of each function and method of a source file cites, none left out."""
    found: dict[tuple[str, str], list[int]] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            numbers = cited(ast.get_docstring(node) or "")
            found[name, node.name] = sorted(found.get((name, node.name), []) + numbers)
    return found


def on_the_page() -> dict[tuple[str, str], list[int]]:
    """Return the equations at which the model page names each function."""
    found: dict[tuple[str, str], list[int]] = {}
    for number, text in equations():
        for place in NAMED.findall(text):
            found[place] = sorted({*found.get(place, []), number})
    return found


# The model page against the code


@pytest.mark.parametrize("path", STAGE_MODULES, ids=name_of)
def test_every_stage_says_which_section_describes_it(path):
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    assert re.search(r"docs/model\.md, section \d", docstring)


@pytest.mark.parametrize("path", sorted(SIM.rglob("*.py")), ids=name_of)
def test_sections_and_equations_that_the_code_names_exist(path):
    text = path.read_text("utf-8")
    for number in re.findall(r"docs/model\.md,(?: section)? (\d+(?:\.\d+)*)", text):
        assert number in section_numbers()
    for number in re.findall(r"\b[Ee]quations? \((\d+)\)", text):
        assert int(number) in dict(equations())
    assert [n for n in cited(text) if n not in dict(equations())] == []


@pytest.mark.parametrize("path", sorted(SIM.rglob("*.py")), ids=name_of)
def test_functions_cite_exactly_the_equations_at_which_the_page_names_them(path):
    named, source = on_the_page(), path.read_text("utf-8")
    for place, numbers in citations(name_of(path), source).items():
        assert numbers == named.get(place, []), f"{place[1]}: cited here and named on the page differ"
    cited_in_functions = sum(len(numbers) for numbers in citations(name_of(path), source).values())
    assert len(cited(source)) == cited_in_functions, "a citation outside the docstring of a function"


def test_a_missing_or_wrong_citation_is_noticed():
    source = 'def one():\n    "Return x (eq. 3)."\n\ndef two():\n    "Return y (eqs. 3, 12)."\n\ndef bare(): ...\n'
    assert citations("a.py", source) == {("a.py", "one"): [3], ("a.py", "two"): [3, 12], ("a.py", "bare"): []}
    with pytest.raises(AssertionError, match="not a list of numbers"):
        cited("Return z (eqs. 3 and 5).")
    assert on_the_page()["sim/market/stages/compute.py", "next_compute"] == [11, 12, 13]
    assert sum(path.startswith("sim/market/stages/") for path, _ in on_the_page()) >= 40


@pytest.mark.parametrize("path", sorted(SIM.rglob("*.py")), ids=name_of)
def test_documents_that_the_code_names_exist(path):
    for named in re.findall(r"\b(?:docs|sim)/[\w./-]+\.md\b", path.read_text("utf-8")):
        assert (ROOT / named).is_file(), named


def test_equations_are_numbered_in_order_without_a_gap():
    late = [98, 96, 97, 94, 95]  # of sections 3.3, 4.3, 4.5 and 4.10, as the page says
    numbers = [number for number, _ in equations()]
    assert len(numbers) > 40
    assert [number for number in numbers if number not in late] == list(range(1, min(late)))
    assert [number for number in numbers if number in late] == late
    words = " ".join(MODEL.read_text("utf-8").split())
    assert "but for (94) and (95) in section 4.10" in words
    assert "(96) in section 4.3 and (97) in section 4.5" in words
    for cited in re.findall(r"\bequations? \((\d+)\)", MODEL.read_text("utf-8")):
        assert int(cited) in numbers


@pytest.mark.parametrize(("number", "text"), equations(), ids=[f"({n})" for n, _ in equations()])
def test_every_equation_has_words_a_place_in_the_code_and_a_source(number, text):
    assert NAMED.search(text), "no function holds it"
    assert "Source: " in " ".join(text.split())
    assert len(prose(text).split()) > 8, "no sentence of words"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_functions_and_files_that_the_pages_name_exist(page):
    text = page.read_text("utf-8")
    for file, function in NAMED.findall(text):
        assert function in functions(ROOT / file), f"{file} has no {function}"
    for named in re.findall(r"`((?:sim|docs|tests|scenarios|requirements)/[\w./-]*)`", text):
        assert (ROOT / named).exists(), named


@pytest.mark.parametrize("path", STAGE_MODULES, ids=name_of)
def test_every_public_function_of_a_stage_is_on_the_model_page(path):
    named = {function for file, function in NAMED.findall(MODEL.read_text("utf-8")) if file == name_of(path)}
    public = {
        node.name
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }
    assert sorted(public - named) == []


def test_the_timetable_of_the_page_is_that_of_the_step():
    step = (SIM / "market" / "market.py").read_text("utf-8").split("def step", 1)[1].split("def ", 1)[0]
    steps = re.findall(r"^\s+# (\d+\. .+)$", step, re.MULTILINE)
    rows = re.findall(r"^\| (\d+\. [^|]+?) \|", MODEL.read_text("utf-8"), re.MULTILINE)
    assert len(steps) == 12
    assert rows == steps


def test_the_page_lists_exactly_the_columns_that_stay_empty():
    from sim.market.observe import NOT_FILLED

    simple = MODEL.read_text("utf-8").split("\n## 8. ", 1)[1].split("\n## 9. ", 1)[0]
    assert re.findall(r"^\| `(\w+\.\w+)` \|", simple, re.MULTILINE) == list(NOT_FILLED["agents"])
    assert re.findall(r"`(panels\.\w+\.\w+)`", simple) == list(NOT_FILLED["mean-field"])


def test_the_page_lists_exactly_the_levers_of_the_register():
    from sim.scenario.levers import LEVERS

    section = MODEL.read_text("utf-8").split("\n## 5. ", 1)[1].split("\n## 6. ", 1)[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == sorted(lever.name for lever in LEVERS)


def test_the_page_says_what_is_behind_every_column_of_the_market_in_order():
    from sim.columns import TABLES

    section = MODEL.read_text("utf-8").split("\n### 6.1 ", 1)[1].split("\n## 7. ", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \| [^|]{4,} \| ((?:\(\d+\)(?:, )?)+) \|$", section, re.MULTILINE)
    assert [name for name, _ in rows] == [column.name for column in TABLES["market"].values]
    assert {int(number) for _, cited in rows for number in re.findall(r"\d+", cited)} <= dict(equations()).keys()


def test_the_page_says_which_equation_each_field_of_a_lab_enters():
    from sim.scenario.lab_fields import LAB_FIELDS

    section = MODEL.read_text("utf-8").split("\n### 5.1 ", 1)[1].split("\n### 5.2 ", 1)[0]
    rows = re.findall(r"^\| (`labs\.<lab>\..+) \| ((?:\(\d+\)(?:, )?)+) \|$", section, re.MULTILINE)
    named = [name for names, _ in rows for name in re.findall(r"`labs\.<lab>\.(\w+)`", names)]
    assert sorted(named) == sorted(field.path for field in LAB_FIELDS)
    assert {int(number) for _, cited in rows for number in re.findall(r"\d+", cited)} <= dict(equations()).keys()


def switches() -> list[tuple[str, str]]:
    """Return the values at which the model page says that a mechanism is off."""
    section = MODEL.read_text("utf-8").split("\n### 5.2 ", 1)[1].split("\n## 6. ", 1)[0]
    return re.findall(r"`([\w.<>]+): (\w+)`", section)


@pytest.mark.parametrize(("path", "value"), switches())
def test_what_the_page_says_switches_a_mechanism_off_can_be_set(path, value):
    from sim.scenario.register import register

    of = register()
    name = path.removeprefix("labs.<lab>.")
    spec = of.parameters[path] if name == path else of.lab_fields[name]
    assert value in spec.choices if spec.choices else spec.low <= float(value) <= spec.high


def test_the_constants_of_the_price_search_on_the_page_are_those_of_the_code():
    from sim.market.price_setting import EXACT, ROUGH, SEARCH_MONTHS, SUSPECT

    words = " ".join(MODEL.read_text("utf-8").split())
    assert (EXACT.tolerance, ROUGH.tolerance, SEARCH_MONTHS, SUSPECT) == (1e-5, 3e-4, 6, 1e-6)
    assert "to a relative 1e-5 at the hand-over and in months of a full search (68), to 3e-4 in the others" in words
    assert "every six months" in words


def test_the_constants_of_taste_nodes_on_the_pages_are_those_of_the_code():
    from sim.market.kernels.month import LANES
    from sim.market.mean_field import NEGLIGIBLE
    from sim.market.nodes import DIMENSIONS, NEWCOMERS, NODES_OF_CLASS, SLICE
    from sim.market.parts import PART
    from sim.market.population import LARGEST_ORGANISATION
    from sim.scenario.register import ENSEMBLE

    words = " ".join(MODEL.read_text("utf-8").split())
    assert f"{ENSEMBLE['nodes'].default:,} taste nodes" in words
    assert (len(DIMENSIONS), NEWCOMERS, NEGLIGIBLE, LARGEST_ORGANISATION) == (11, 0.4, 1e-4, 12)
    assert "Eleven traits" in words
    assert f"slices of {SLICE}" in words
    assert ", ".join(f"{part:g}" for part in NODES_OF_CLASS) in words
    assert "Two in five nodes are newcomers" in words
    assert "fewer than 1 in 10,000 of the nodes' users have" in words
    assert "n = 1..12" in words
    words = " ".join((ROOT / "docs" / "performance.md").read_text("utf-8").split())
    assert f"blocks of {LANES}" in words
    assert f"parts of {PART:,} rows" in words


def test_the_files_that_hold_the_invariants_exist():
    section = MODEL.read_text("utf-8").split("\n## 12. ", 1)[1].split("\n## 13. ", 1)[0]
    files = re.findall(r"`([\w/]+\.py)`", section)
    assert len(files) > 50
    assert [name for name in dict.fromkeys(files) if not (ROOT / "tests" / name).is_file()] == []
    assert [int(number) for number in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)] == list(range(1, 51))


def test_every_equation_that_the_page_mentions_is_on_it():
    text = prose(MODEL.read_text("utf-8"))
    mentioned = {int(number) for number in re.findall(r"(?<![\w)])\((\d{1,3})\)", text)}
    assert len(mentioned) > 60
    assert sorted(mentioned - dict(equations()).keys()) == []


def test_the_numbers_of_labs_lines_and_releases_on_the_page_are_those_of_the_evidence():
    from sim import evidence
    from sim.scenario.lab_fields import LABS

    releases = evidence.releases()
    lines = len({(release.lab, release.line) for release in releases})
    words = " ".join(MODEL.read_text("utf-8").split())
    assert f"There are {len(LABS)} labs with {lines} lines and {len(releases)} replayed releases." in words


def test_the_notation_names_columns_parameters_and_functions_that_exist():
    from sim.market import adopters, governments, market, mean_field, offering, price_setting, supply, tables
    from sim.market.stages import accounts, compute, demand_panel, ledger
    from sim.scenario.register import register

    homes = (tables, governments, supply, offering, price_setting, accounts, compute, demand_panel, market)
    homes += (adopters, ledger, mean_field)
    in_sources = "\n".join(path.read_text("utf-8") for path in sorted((SIM / "market").rglob("*.py")))
    paths = register().parameters
    notation = MODEL.read_text("utf-8").split("\n## 13. ", 1)[1].split("\n## 14. ", 1)[0]
    rows = [line.split(" | ")[1] for line in notation.splitlines() if line.startswith("| ") and "`" in line]
    assert len(rows) > 30
    for name in [name for row in rows for name in re.findall(r"`([^`]+)`", row)]:
        first, _, rest = name.partition(".")
        home = next((vars(module)[first] for module in homes if first in vars(module)), None)
        stem = rest.rstrip("*")
        if home is not None and first[0].isupper():
            own = first in ("Market", "MeanField")  # they say in `__init__` what they hold
            source = dict.fromkeys(re.findall(r"self\.(\w+)", in_sources)) if own else home.__annotations__
            assert not stem or any(column.startswith(stem) if "*" in rest else column == stem for column in source), (
                name
            )
        elif rest:
            assert any(path.startswith(name.rstrip("*")) if "*" in name else path == name for path in paths), name
        else:
            assert re.search(rf"\b{name}\b", in_sources), name


def test_every_reference_is_cited_and_every_citation_has_a_reference():
    body, references = MODEL.read_text("utf-8").split("\n## 14. ", 1)
    listed = re.findall(r"^- (\w+), .*?\. (\d{4})\. ", references, re.MULTILINE)
    assert len(listed) >= 15
    cited = " ".join(body.split())
    for surname, year in listed:
        assert re.search(rf"{surname}\b[^;:|]{{0,40}}\(?{year}", cited), f"{surname} {year} is cited nowhere"
    sources = re.findall(r"Source: (.*?)(?= ```| #| \*\*| `|$)", cited)
    assert len(sources) == len(equations())
    for name, year in re.findall(r"\b([A-Z][a-z]+(?:[A-Z][a-z]+)?),? \(?((?:19|20)\d\d)\b", " ".join(sources)):
        found = re.search(rf"^- .*\b{name}\b.*\b{year}\. ", references, re.MULTILINE)
        assert found or name in calendar.month_name, f"{name} {year} has no reference"


# Parameters and results


def test_the_page_of_results_is_what_the_generator_writes_and_names_every_column():
    from sim.columns import TABLES

    from .results_page import COMMAND, results_page

    page = (ROOT / "docs" / "results.md").read_text("utf-8")
    assert page == results_page(), f"write it anew: {COMMAND}"
    for name, each in TABLES.items():
        section = page.split(f"## `{name}.parquet`", 1)[1].split("\n## ", 1)[0]
        assert [column.name for column in each.columns if f"\n| `{column.name}` |" not in section] == []


def test_the_page_of_parameters_is_what_the_generator_writes():
    from sim.scenario.register import register
    from sim.scenario.register_table import COMMAND, register_page

    assert PARAMETERS.read_text("utf-8") == register_page(register()), f"write it anew: {COMMAND}"


def test_every_path_of_the_register_is_on_the_page_of_parameters():
    from sim.scenario.register import ENSEMBLE, register

    of, rows = register(), PARAMETERS.read_text("utf-8")
    paths = [*of.parameters, *(f"labs.<lab>.{name}" for name in of.lab_fields), *(e.path for e in ENSEMBLE.values())]
    paths += [spec.path for lever in of.levers.values() for spec in lever.fields]
    assert [path for path in paths if f"| `{path}` |" not in rows] == []
    assert [lab for lab in of.labs if f"| `{lab}` |" not in rows] == []
    assert [lever for lever in of.levers if f"### `{lever}`\n" not in rows] == []


def test_every_default_has_either_a_source_or_an_assumption():
    from sim.scenario.register import register

    for spec in [*register().parameters.values(), *register().lab_fields.values()]:
        assert bool(spec.source) != bool(spec.assumption), spec.path
        assert len(spec.source or spec.assumption) >= 8, spec.path


def test_every_default_on_the_page_of_parameters_says_what_it_rests_on():
    from sim.scenario.register import register

    of, page = register(), PARAMETERS.read_text("utf-8")
    for path in [*of.parameters, *(f"labs.<lab>.{name}" for name in of.lab_fields)]:
        (row,) = re.findall(rf"^\| `{re.escape(path)}` \|.*$", page, re.MULTILINE)
        assert re.search(r"\| (Source|Assumption): [^|]{8,}", row), row


def test_parameters_that_the_model_page_names_are_in_the_register():
    from sim.scenario.register import register

    names = register().groups
    for path in re.findall(
        r"`((?:compute|capability|openness|serving|pricing|demand|awareness|ecosystem|observation)\.[\w.]+)`",
        MODEL.read_text("utf-8"),
    ):
        assert path in register().parameters or path in names, path


def test_bars_and_line_ends_cannot_break_a_table():
    from sim.scenario.register_table import table

    assert table(["a", "b"], [["x | y", "one\n two"]]).splitlines()[2] == "| x \\| y | one two |"
    with pytest.raises(ValueError, match="a row of 1 cells under 2 headings"):
        table(["a", "b"], [["x"]])


# Performance


def test_the_page_of_performance_names_every_row_of_the_benchmark_and_the_figures_of_the_estimate():
    from sim.experiment import run

    page = (ROOT / "docs" / "performance.md").read_text("utf-8")
    table, rest = page.split("<!-- bench -->\n```text\n", 1)[1].split("\n```\n<!-- /bench -->\n", 1)
    rows = [re.split(r",| {2}", line)[0].replace("`", "") for line in table.splitlines()[1:]]
    explained = [row.replace("`", "") for row in re.findall(r"^\| ([^|]+?) \| [^|]{40,} \|$", rest, re.MULTILINE)]
    assert list(dict.fromkeys(rows)) == explained
    assert f"| memory of a process | {run.BYTES_A_PROCESS / 1e6:.0f} MB |" in rest
    assert f"| memory of a workload | {run.BYTES_A_WORKLOAD:.0f} bytes |" in rest
    assert f"| memory of a taste node | {run.BYTES_A_NODE:.0f} bytes |" in rest
    assert f"| time of a workload-month | {run.SECONDS_A_ROW_MONTH * 1e6:g} µs |" in rest
    assert f"| the same with `noise: options` | {run.WITH_OPTION_NOISE:g} times that |" in rest
    assert f"| time of a node-month | {run.SECONDS_A_NODE_MONTH * 1e6:g} µs |" in rest
    assert f"or {run.HOURS_LIMIT:g} hours" in " ".join(rest.split())
