"""What the pages tell a reader to type or to follow works, and files name nothing they must not."""

from __future__ import annotations

import re
import shlex
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

from .pages import FENCE, MODEL, PAGES, ROOT, name_of, prose

# Written in pieces, so that this file does not name one itself.
REGISTRIES = [".".join(parts) for parts in (
    ("pypi", "org"), ("pythonhosted", "org"), ("registry", "npmjs", "org"), ("registry", "yarnpkg", "com"),
    ("anaconda", "org"), ("crates", "io"), ("rubygems", "org"), ("proxy", "golang", "org"), ("conda", "anaconda"),
)]  # fmt: skip


# Commands


def targets() -> list[str]:
    return re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def command_lines(text: str) -> list[str]:
    """Return the command lines in the code blocks of a page, without prompt, comment and what follows a pipe.

    A block marked `text` is shown and not typed: an equation, or what a command prints.
    """
    found = []
    for block in [block for language, block in FENCE.findall(text) if language != "text"]:
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
    from sim.cli.commands import cli

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
    assert command_lines(f"```text\n{line}\n```\n```\n{line}\n```\n") == [line]
    assert spans("Type `sim run --worlkoads`.") == ["sim run --worlkoads"]
    assert fault("sim run --worlkoads", whole=False) == "run has no option --worlkoads"


# Links and files


def anchors(text: str) -> list[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    titles = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]


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
