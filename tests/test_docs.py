"""The documents say what the code does: sections, equations, functions, parameters, commands and links."""

from __future__ import annotations

import ast
import calendar
import re
import shlex
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parent.parent
SIM, STAGES = ROOT / "sim", ROOT / "sim" / "market" / "stages"
MODEL, PARAMETERS = ROOT / "docs" / "model.md", ROOT / "docs" / "parameters.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
STAGE_MODULES = sorted(path for path in STAGES.glob("*.py") if path.stem != "__init__")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`(sim/[\w/]+\.py): (\w+)`")
# Written in pieces, so that this file does not name one itself.
REGISTRIES = [".".join(parts) for parts in (
    ("pypi", "org"), ("pythonhosted", "org"), ("registry", "npmjs", "org"), ("registry", "yarnpkg", "com"),
    ("anaconda", "org"), ("crates", "io"), ("rubygems", "org"), ("proxy", "golang", "org"), ("conda", "anaconda"),
)]  # fmt: skip


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(text: str) -> str:
    """Return a page without its code blocks."""
    return FENCE.sub("", text)


def anchors(text: str) -> list[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    titles = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]


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


@pytest.mark.parametrize("path", sorted(SIM.rglob("*.py")), ids=name_of)
def test_documents_that_the_code_names_exist(path):
    for named in re.findall(r"\b(?:docs|sim)/[\w./-]+\.md\b", path.read_text("utf-8")):
        assert (ROOT / named).is_file(), named


def test_equations_are_numbered_in_order_without_a_gap():
    numbers = [number for number, _ in equations()]
    assert len(numbers) > 40
    assert numbers == list(range(1, len(numbers) + 1))
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
    assert re.findall(r"^\| `(\w+\.\w+)` \|", simple, re.MULTILINE) == list(NOT_FILLED)


def test_the_page_lists_exactly_the_levers_of_the_register():
    from sim.scenario.levers import LEVERS

    section = MODEL.read_text("utf-8").split("\n## 5. ", 1)[1].split("\n## 6. ", 1)[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == sorted(lever.name for lever in LEVERS)


def test_the_numbers_of_labs_lines_and_releases_on_the_page_are_those_of_the_evidence():
    from sim import evidence
    from sim.scenario.lab_fields import LABS

    releases = evidence.releases()
    lines = len({(release.lab, release.line) for release in releases})
    words = " ".join(MODEL.read_text("utf-8").split())
    assert f"There are {len(LABS)} labs with {lines} lines and {len(releases)} replayed releases." in words


def test_the_notation_names_columns_parameters_and_functions_that_exist():
    from sim.market import governments, market, offering, supply, tables
    from sim.market.stages import accounts, compute
    from sim.scenario.register import register

    homes = (tables, governments, supply, offering, accounts, compute, market)
    in_sources = "\n".join(path.read_text("utf-8") for path in sorted((SIM / "market").rglob("*.py")))
    paths = register().parameters
    notation = MODEL.read_text("utf-8").split("\n## 12. ", 1)[1].split("\n## 13. ", 1)[0]
    rows = [line.split(" | ")[1] for line in notation.splitlines() if line.startswith("| ") and "`" in line]
    assert len(rows) > 30
    for name in [name for row in rows for name in re.findall(r"`([^`]+)`", row)]:
        first, _, rest = name.partition(".")
        home = next((vars(module)[first] for module in homes if first in vars(module)), None)
        stem = rest.rstrip("*")
        if home is not None and first[0].isupper():
            source = (
                home.__annotations__ if first != "Market" else dict.fromkeys(re.findall(r"self\.(\w+)", in_sources))
            )
            assert not stem or any(column.startswith(stem) if "*" in rest else column == stem for column in source), (
                name
            )
        elif rest:
            assert any(path.startswith(name.rstrip("*")) if "*" in name else path == name for path in paths), name
        else:
            assert re.search(rf"\b{name}\b", in_sources), name


def test_every_reference_is_cited_and_every_citation_has_a_reference():
    body, references = MODEL.read_text("utf-8").split("\n## 13. ", 1)
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


def test_parameters_that_the_model_page_names_are_in_the_register():
    from sim.scenario.register import register

    names = register().groups
    for path in re.findall(r"`((?:compute|capability|serving|demand|observation)\.[\w.]+)`", MODEL.read_text("utf-8")):
        assert path in register().parameters or path in names, path


def test_bars_and_line_ends_cannot_break_a_table():
    from sim.scenario.register_table import table

    assert table(["a", "b"], [["x | y", "one\n two"]]).splitlines()[2] == "| x \\| y | one two |"
    with pytest.raises(ValueError, match="a row of 1 cells under 2 headings"):
        table(["a", "b"], [["x"]])


# Commands


def targets() -> list[str]:
    return re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def command_lines(text: str) -> list[str]:
    """Return the command lines in the code blocks of a page, without prompt, comment and what follows a pipe."""
    found = []
    for _, block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            plain = re.sub(r"^\s*(\$ )?(\.venv/bin/)?", "", line)
            plain = re.split(r"\s#\s|\s#$|\s[|>]|\s&&", plain)[0].strip()
            if re.match(r"(sim|make|python -m) \S", plain):
                found.append(plain)
    return found


def spans(text: str) -> list[str]:
    """Return the code spans of a page that show a command, perhaps in part."""
    return [span for span in re.findall(r"`([^`\n]+)`", prose(text)) if re.match(r"(sim|make|python -m) [\w.-]", span)]


def fault(line: str, *, whole: bool) -> str:
    """Return what is wrong with a command line, or an empty text; `whole` also checks that nothing is missing."""
    words = shlex.split(re.split(r"\s[|>]|\s&&", line)[0])
    if words[0] == "make":
        unknown = [word for word in words[1:] if "=" not in word and word not in targets()]
        return f"no target {unknown[0]}" if unknown else ""
    if words[0] == "python":
        own = words[2].split(".")[0] in ("sim", "tests")
        return f"no module {words[2]}" if own and find_spec(words[2]) is None else ""
    from sim.cli import cli

    if words[1] in ("--help", "-h", "--version"):
        return ""
    command = cli.get_command(click.Context(cli), words[1])
    if command is None:
        return f"no command {words[1]}"
    if whole:
        try:
            if not {"--help", "-h"} & {*words}:
                command.make_context(words[1], words[2:])
        except click.ClickException as error:
            return error.format_message()
        return ""
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [w for w in words[2:] if w.startswith("-") and w.split("=")[0] not in known | {"--help", "-h"}]
    return f"{words[1]} has no option {unknown[0]}" if unknown else ""


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_on_a_page_can_be_typed(page):
    text = page.read_text("utf-8")
    assert [(line, wrong) for line in command_lines(text) if (wrong := fault(line, whole=True))] == []
    assert [(span, wrong) for span in spans(text) if (wrong := fault(span, whole=False))] == []


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("sim rum baseline", "no command rum"),
        ("sim run", "Missing argument 'SCENARIO'."),
        ("sim run baseline --worlkoads 3", "No such option '--worlkoads'"),
        ("sim run baseline --runs many", "'many' is not a valid integer"),
        ("make runn", "no target runn"),
        ("python -m sim.nowhere", "no module sim.nowhere"),
    ],
)
def test_a_command_that_does_not_exist_is_noticed(line, wrong):
    shown = command_lines(f"```sh\n$ {line}  # why\n```\n")
    assert shown == [line]
    assert wrong.replace("'", "") in fault(line, whole=True).replace("'", "")
    assert fault("sim run baseline --runs 4 --set demand.value=6", whole=True) == ""
    assert spans("Type `sim run --worlkoads`.") == ["sim run --worlkoads"]
    assert fault("sim run --worlkoads", whole=False) == "run has no option --worlkoads"


# Links and files


def broken_links(page: Path, text: str) -> list[str]:
    """Return the links of a page to files or headings of the project that are not there, pictures included."""
    broken = []
    targets_of = re.findall(r"\]\(([^()\s]+)(?: \"[^\"]*\")?\)", prose(text))
    targets_of += re.findall(r"<(?:img|a)[^>]+(?:src|href)=\"([^\"]+)\"", prose(text))
    for target in targets_of:
        if re.match(r"(https?|mailto):", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        heading = anchor and file.suffix == ".md" and file.is_file()
        known = anchors(file.read_text("utf-8") if path else text) if heading else []
        if not file.exists() or (heading and anchor not in known):
            broken.append(target)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_pictures_lead_somewhere(page):
    assert broken_links(page, page.read_text("utf-8")) == []


def test_a_broken_link_is_noticed():
    text = "# One thing\n[a](nowhere.md) [b](#one-thing) [c](#other) ![d](figures/none.png) [e](https://example.org)\n"
    assert broken_links(MODEL, text) == ["nowhere.md", "#other", "figures/none.png"]


@cache
def project_files() -> tuple[Path, ...]:
    """Return the files of the project as version control sees them, or all outside a checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        return tuple(path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file())
    skipped = {".venv", ".git", "outputs", "__pycache__", ".pytest_cache", ".ruff_cache", ".hypothesis", "dist"}
    return tuple(p for p in ROOT.rglob("*") if p.is_file() and not skipped & {*p.relative_to(ROOT).parts})


def test_no_file_names_the_address_of_a_package_registry():
    assert len(project_files()) > 100
    named = [
        (name_of(path), host)
        for path in project_files()
        for host in REGISTRIES
        if re.search(rf"(?<![\w-]){re.escape(host)}".encode(), path.read_bytes())
    ]
    assert named == []


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.txt")), ids=name_of)
def test_requirement_files_hold_names_and_hashes_alone(path):
    lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    assert [line for line in lines if line.startswith("-") and not line.startswith("--hash=sha256:")] == []
    assert [line for line in lines if "://" in line or " @ " in line] == []
    assert sum(line.startswith("--hash=") for line in lines) > 50


# Citation and security


def test_the_citation_is_of_this_version():
    from ruamel.yaml import YAML

    citation = YAML(typ="safe", pure=True).load((ROOT / "CITATION.cff").read_text("utf-8"))
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    assert f'version = "{citation["version"]}"' in project
    assert citation.get("license") == (found[1] if (found := re.search(r'^license = "(.+)"', project, re.M)) else None)
    assert citation["cff-version"] == "1.2.0"
    assert citation["authors"] == [{"name": "The sim developers"}]
    assert {"message", "title", "type", "date-released"} <= citation.keys()


def test_the_limits_on_the_security_page_are_those_of_the_loader():
    from sim.scenario import correlations, distributions, files, yaml_io

    limits = dict(
        re.findall(r"^\| ([a-z ,]+) \| ([\d, kB]+) \|$", (ROOT / "SECURITY.md").read_text("utf-8"), re.MULTILINE)
    )
    assert limits == {
        "size of a file": f"{yaml_io.MAX_BYTES // 1024} kB",
        "depth of nesting": f"{yaml_io.MAX_DEPTH}",
        "maps, lists and values": f"{yaml_io.MAX_NODES:,}",
        "characters of one value": f"{yaml_io.MAX_TEXT:,}",
        "scenarios that extend one another": f"{files.MAX_EXTENDS}",
        "correlated pairs": f"{correlations.MAX_PAIRS}",
        "samples of one distribution": f"{distributions.MAX_SAMPLES:,}",
    }  # fmt: skip
