"""What the folder of compiled kernels is named after, and that everything frozen into a kernel is part of the name."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from llvmlite import binding

from sim.environment import PACKAGE
from sim.market.kernels import compiled
from sim.market.tables import NONE, SELF_HOST
from sim.scenario.schema import BLOCS, CHANNELS, CLASSES

ROOM = Path(compiled.__file__).parent
KERNELS = {"kernel", "part", "intrinsic"}  # what makes a function a kernel or a piece of one
NAME = "from sim.market.kernels.compiled import FOLDER, fingerprint\nprint(FOLDER)"


def printed(code: str, *, without: str = "", place: Path = PACKAGE.parent, **own: str) -> str:
    """Return what a process of its own prints, with the program in `place` and without a variable."""
    known = {name: value for name, value in os.environ.items() if name != without} | {"PYTHONPATH": str(place)}
    done = subprocess.run([sys.executable, "-c", code], env=known | own, cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def read_in(node: ast.AST) -> set[str]:
    """Return the names that a piece of code reads; not what annotations, decorators and methods read."""
    if isinstance(node, ast.Name):
        return {node.id}
    below = []
    for field, value in ast.iter_fields(node):
        if field not in {"annotation", "returns", "decorator_list"}:
            below += [child for child in (value if isinstance(value, list) else [value]) if isinstance(child, ast.AST)]
    if isinstance(node, ast.ClassDef):
        below = [child for child in below if not isinstance(child, ast.FunctionDef)]
    return {name for child in below for name in read_in(child)}


def is_kernel(node: ast.AST) -> bool:
    """Return whether a statement defines a kernel or a piece of one."""
    return isinstance(node, ast.FunctionDef) and any(read_in(each) & KERNELS for each in node.decorator_list)


def is_row(node: ast.AST) -> bool:
    """Return whether a statement defines a named tuple, whose fields kernels find by their places."""
    if isinstance(node, ast.ClassDef):
        return any("NamedTuple" in read_in(base) for base in node.bases)
    value = getattr(node, "value", None)
    return isinstance(value, ast.Call) and "namedtuple" in read_in(value.func)


class Frozen:
    """Follows names from kernels, and from the types of their arguments, to the files in which they are defined."""

    def __init__(self) -> None:
        self.files: set[Path] = set()
        self._seen: set[tuple[Path, str]] = set()

    def room(self, path: Path) -> None:
        """Follow what the kernels of a file read and what its named tuples are made of."""
        for node in ast.parse(path.read_text("utf-8")).body:
            if is_kernel(node) or is_row(node):
                for name in read_in(node):
                    self.follow(path, name)

    def follow(self, path: Path, name: str) -> None:
        """Note the file in which a name is defined, and follow what its definition reads."""
        if (path, name) in self._seen:
            return
        self._seen.add((path, name))
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sim":
                for alias in node.names:
                    if (alias.asname or alias.name) == name:
                        self._imported(str(node.module), alias.name)
            elif name in defined(node):
                self.files.add(path)
                for other in read_in(node):
                    self.follow(path, other)

    def _imported(self, module: str, name: str) -> None:
        base = PACKAGE.parent.joinpath(*module.split("."))
        if (base / f"{name}.py").exists():  # a module: all that it defines
            self.room(base / f"{name}.py")
        else:
            self.follow(base.with_suffix(".py") if base.with_suffix(".py").exists() else base / "__init__.py", name)


def defined(node: ast.AST) -> set[str]:
    """Return the names that a statement of a module gives a value."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {name for target in targets for name in read_in(target)}


def test_whatever_is_frozen_into_a_kernel_stands_in_a_file_that_names_the_folder():
    frozen = Frozen()
    for path in sorted(ROOM.glob("*.py")):
        frozen.room(path)
    outside = {path for path in frozen.files if path.parent != ROOM}
    beside = {PACKAGE / name for name in compiled.BESIDE}
    assert outside - beside == set(), "part of a kernel, and not of the folder's name"
    assert beside <= outside, "no kernel takes anything from these"
    assert set(compiled.sources()) == beside | set(ROOM.glob("*.py"))


@pytest.mark.parametrize("name", ["market/tables.py", "scenario/schema.py", "market/kernels/fold.py"])
def test_a_change_of_any_of_these_files_gives_another_folder(name, tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "sim", ignore=shutil.ignore_patterns("__pycache__"))
    folders = []
    for _ in range(2):
        folders.append(printed(NAME, place=tmp_path))
        with (tmp_path / "sim" / name).open("a") as file:
            file.write("# another\n")
    assert len(set(folders)) == 2


def test_another_processor_or_other_features_give_another_folder():
    here = printed(NAME)
    assert Path(here).name == f"kernels-{compiled.fingerprint()}"
    name, features = binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()
    other = printed(NAME, NUMBA_CPU_NAME="generic")
    fewer = printed(NAME, NUMBA_CPU_NAME=name, NUMBA_CPU_FEATURES="")
    assert len({here, other, fewer}) == 3
    assert printed(NAME, NUMBA_CPU_NAME=name, NUMBA_CPU_FEATURES=features) == here


def test_numbers_that_kernels_copy_are_those_of_the_schema():
    from sim.market.kernels import month, usage

    assert (len(CLASSES), len(BLOCS), len(CHANNELS)) == (month.KINDS, month.BLOCS, month.CHANNELS)
    assert (NONE, SELF_HOST) == (month.NONE, month.SELF_HOST) == (usage.NONE, usage.SELF_HOST)


@pytest.mark.parametrize(
    ("room", "name"), [("month", "KINDS"), ("month", "BLOCS"), ("month", "FIXED"), ("usage", "SELF_HOST")]
)
def test_a_copy_that_is_another_is_refused_at_import(room, name):
    load = "try:\n    import sim.market.choosing\nexcept ImportError as error:\n    print(error)"
    assert "that the schema has not" in printed(f"from sim.market.kernels import {room}\n{room}.{name} = 7\n{load}")


# What other code of the user's finds, and where a kernel of this program and a function of the user's are kept.
OTHERS = """
import os
before = dict(os.environ)
import numba
from pathlib import Path
from sim.market.kernels import compiled, sums
import numpy as np
found = np.empty(1)
sums.solve(np.array([[2.0, 3.0]]), found)
assert os.environ == before
exec(compile(Path(os.environ["THEIRS"]).read_text(), os.environ["THEIRS"], "exec"))
kept = [one.stats.cache_path for one in (sums.solve, theirs)]
print(repr(numba.config.CACHE_DIR), *kept, sep="\\n")
"""


def test_the_users_own_folder_of_numba_stays_theirs(tmp_path):
    theirs = tmp_path / "theirs.py"
    theirs.write_text("import numba\n@numba.njit(cache=True)\ndef theirs(x):\n    return x + 1\n")
    own, ours = tmp_path / "own", tmp_path / "ours"
    answer = printed(OTHERS, THEIRS=str(theirs), NUMBA_CACHE_DIR=str(own), SIM_CACHE_DIR=str(ours)).splitlines()
    assert answer[0] == repr(str(own))
    assert Path(answer[1]).is_relative_to(ours)
    assert Path(answer[2]).is_relative_to(own)
    unset = printed(OTHERS, without="NUMBA_CACHE_DIR", THEIRS=str(theirs), SIM_CACHE_DIR=str(ours)).splitlines()
    assert unset[0] == "''"
    assert Path(unset[2]).is_relative_to(tmp_path / "__pycache__")
