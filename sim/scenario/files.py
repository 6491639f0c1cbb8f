"""Which files make up a scenario: the argument of the user, then what it extends, up to the root.

`extends` names a scenario, never a path: the file of that name in the same folder, else one shipped in the package.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sim.errors import ScenarioError
from sim.scenario.nodes import Mapping, Scalar, kind
from sim.scenario.problems import Problems, Where, nearest, shown
from sim.scenario.yaml_io import decode, parse, read_bytes

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")
NAME_RULE = "1 to 64 small letters, digits, - and _, the first a letter or digit"
_DEVICES = re.compile(r"(con|nul|aux|prn|com[0-9]|lpt[0-9])\Z")  # names that Windows opens as devices
MAX_EXTENDS = 8


@dataclass(frozen=True)
class SourceFile:
    """One file of the chain.

    Parameters
    ----------
    path : str
        Where it was read.
    label : str
        Its name in messages.
    short : str
        Its name in origins and results: without folders, so that results do not tell whose machine made them.
    digest : str
        SHA-256 of its bytes.
    root : Mapping
        Its content.
    """

    path: str
    label: str
    short: str
    digest: str
    root: Mapping


def packaged_scenarios_dir() -> Path:
    """Return the folder of the scenarios that come with the package.

    It lies inside an installed package, and beside the package in a checkout.
    """
    package = Path(__file__).resolve().parent.parent
    inside = package / "scenarios"
    return inside if inside.is_dir() else package.parent / "scenarios"


def packaged_names() -> list[str]:
    """Return the names of the packaged scenarios in order of the alphabet."""
    return sorted(path.stem for path in packaged_scenarios_dir().glob("*.yaml") if NAME.match(path.stem))


def name_fault(name: str) -> str:
    """Return why a text cannot name a scenario, or an empty text."""
    if not NAME.match(name):
        return f"'{shown(name)}' is not a scenario name; allowed are {NAME_RULE}"
    if _DEVICES.match(name):
        return f"'{name}' names a device on Windows; choose another name"
    return ""


def locate(argument: str | os.PathLike[str]) -> tuple[str, str]:
    """Return path and label of the scenario a user names by path or by the bare name of a packaged scenario.

    Raises
    ------
    ScenarioError
        If there is neither.
    """
    text = os.fspath(argument)
    if isinstance(argument, str) and NAME.match(text):
        packaged = packaged_scenarios_dir() / f"{text}.yaml"
        if packaged.is_file():
            return str(packaged), f"scenarios/{text}.yaml"
        if not os.path.exists(text):
            hint = suggestion(text, packaged_names())
            names = ", ".join(packaged_names()) or "none"
            raise ScenarioError(f"{text}: no such file, and no packaged scenario (there are: {names}){hint}")
    return text, text


def suggestion(text: str, names: Sequence[str]) -> str:
    """Return the end of a message that no file and no packaged name is `text`: the file or name that was meant."""
    match = f"{text}.yaml" if os.path.isfile(f"{text}.yaml") else nearest(text, names)
    return f"; did you mean {match!r}?" if match else ""


def read_chain(argument: str | os.PathLike[str], problems: Problems) -> list[SourceFile]:
    """Return the files of a scenario, the user's own first and the root of all last.

    Raises
    ------
    ScenarioError
        If a file cannot be read or is not YAML.
    """
    path, label = locate(argument)
    chain = [_read(path, label, problems, follow=True)]
    while (parent := _parent(chain, problems)) is not None:
        chain.append(_read(*parent, problems, follow=False))
    return chain


def _read(path: str, label: str, problems: Problems, *, follow: bool) -> SourceFile:
    return _parsed(path, label, read_bytes(path, label, follow=follow), problems)


def read_text_file(text: str, label: str, problems: Problems) -> SourceFile:
    """Return a text that was never a file, or is no longer, as a file of that name; it must extend nothing.

    Raises
    ------
    ScenarioError
        If the text is not YAML.
    """
    return _parsed(label, label, text.encode(), problems)


def _parsed(path: str, label: str, data: bytes, problems: Problems) -> SourceFile:
    root = parse(decode(data, label), label, problems)
    if not isinstance(root, Mapping):
        problems.add(root.where, "", f"the file is {kind(root)}; a scenario is a map that starts with name:")
        problems.check()
        raise AssertionError("unreachable")
    return SourceFile(path, label, os.path.basename(label), hashlib.sha256(data).hexdigest(), root)


def _parent(chain: list[SourceFile], problems: Problems) -> tuple[str, str] | None:
    """Return path and label of what the last file of the chain extends, or None if it stands alone."""
    file = chain[-1]
    node = file.root.get("extends")
    if node is None:
        return None
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        problems.add(node.where, "extends", f"must be the name of a scenario, given is {kind(node)}")
        return None
    if fault := name_fault(node.text):
        problems.add(node.where, "extends", f"{fault}; a file is named without its folder and .yaml")
        return None
    if len(chain) > MAX_EXTENDS:
        problems.add(node.where, "extends", f"more than {MAX_EXTENDS} scenarios extend one another")
        return None
    found = _resolve(file, node.text, node.where, problems)
    if found and any(os.path.samefile(found[0], earlier.path) for earlier in chain):
        names = " -> ".join([*(f.short for f in chain), os.path.basename(found[1])])
        problems.add(node.where, "extends", f"the scenarios extend one another in a circle: {shown(names, 200)}")
        return None
    return found


def _resolve(file: SourceFile, name: str, where: Where, problems: Problems) -> tuple[str, str] | None:
    folder = os.path.dirname(file.path)
    beside = os.path.join(folder, f"{name}.yaml")
    if os.path.lexists(beside):
        real, root = os.path.realpath(beside), os.path.realpath(folder or ".")
        if os.path.dirname(real) != root and not real.startswith(root + os.sep):
            problems.add(where, "extends", f"{name}.yaml is a link out of its folder; copy the file")
            return None
        if not os.path.exists(real):
            problems.add(where, "extends", f"{name}.yaml is a link to nothing")
            return None
        return real, os.path.join(os.path.dirname(file.label), f"{name}.yaml")
    packaged = packaged_scenarios_dir() / f"{name}.yaml"
    if packaged.is_file():
        return str(packaged), f"scenarios/{name}.yaml"
    siblings = [p.stem for p in Path(folder or ".").glob("*.yaml")][:500]
    names = [*siblings, *packaged_names()]
    message = f"no scenario {name!r} in this file's folder or in the package"
    problems.add(where, "extends", message, word=name, names=names)
    return None
