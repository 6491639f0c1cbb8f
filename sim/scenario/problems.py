"""Everything that is wrong with a scenario, gathered first and told at once, one line each."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from sim.errors import ScenarioError

LISTED = 100  # more problems than this come from one cause; the rest is counted
HINTED = 40  # a hint compares a word with every name, so a file of nonsense would take seconds without a limit


class Where(NamedTuple):
    """A place in a file; `line` counts from 1, and 0 stands for a text without lines such as ``--set``."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


def shown(text: str, limit: int = 60) -> str:
    """Return `text` for a message: one line, no control or invisible characters, at most `limit` characters."""
    clipped = text if len(text) <= limit else text[: limit - 3] + "..."
    return "".join(c if _visible(c) else f"\\u{ord(c):04x}" for c in clipped)


def _visible(character: str) -> bool:
    return character == " " or unicodedata.category(character)[0] not in "CZ"


def edits(a: str, b: str) -> int:
    """Return the number of letters to change, add, drop or swap with a neighbour to turn `a` into `b`."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        following = [i]
        for j, right in enumerate(b, 1):
            cost = min(row[j] + 1, following[j - 1] + 1, row[j - 1] + (left != right))
            if i > 1 and j > 1 and left == b[j - 2] and a[i - 2] == right:
                cost = min(cost, before[j - 2] + 1)
            following.append(cost)
        before, row = row, following
    return row[-1]


def nearest(word: str, names: Iterable[str]) -> str:
    """Return the name most like `word`, or an empty text when none comes close.

    Case, spaces and hyphens do not count, so ``Export-Control`` finds ``export_control``.
    """
    folded: dict[str, str] = {}
    for name in names:
        folded.setdefault(_fold(name), name)
    target = _fold(word[:120])
    close = difflib.get_close_matches(target, list(folded), n=6, cutoff=0.6)
    if len(target) <= 3:  # a ratio says little about words of three letters
        close += [name for name in folded if len(name) <= 4 and edits(target, name) <= 1]
    if not close:
        return ""
    return folded[min(close, key=lambda name: edits(target, name))]


def _fold(name: str) -> str:
    return name.lower().replace("-", "_").replace(" ", "_")


class Problems:
    """The list that loading fills; nothing is raised before all of it is known."""

    def __init__(self) -> None:
        self._lines: list[tuple[int, int, str]] = []
        self._files: dict[str, int] = {}
        self._hints = 0
        self.count = 0

    def __bool__(self) -> bool:
        return self.count > 0

    def add(self, where: Where, path: str, message: str, *, word: str = "", names: Iterable[str] = ()) -> None:
        """Note one problem.

        Parameters
        ----------
        where : Where
            File and line.
        path : str
            Dotted path inside the scenario; may be empty for the file as a whole.
        message : str
            What is wrong and what is allowed.
        word, names
            The word given and the names allowed: the nearest becomes the hint.
        """
        self.count += 1
        if self.count > LISTED:
            return
        hint = ""
        if word and self._hints < HINTED:
            self._hints += 1
            match = nearest(word, names)
            hint = f"; did you mean {match!r}?" if match else ""
        prefix = f"{shown(where.file, 300)}:{where.line}: " if where.line else f"{shown(where.file, 300)}: "
        name = f"{shown(path, 160)}: " if path else ""
        order = self._files.setdefault(where.file, len(self._files))
        self._lines.append((order, where.line, f"{prefix}{name}{message}{hint}"))

    def lines(self) -> list[str]:
        """Return the problems in the order of files and lines."""
        listed = [line for *_, line in sorted(self._lines, key=lambda entry: entry[:2])]
        if self.count > LISTED:
            listed.append(f"and {self.count - LISTED} more problems; mend the first {LISTED} and validate again")
        return listed

    def check(self) -> None:
        """Raise what has been gathered.

        Raises
        ------
        ScenarioError
            If there is any problem.
        """
        if self:
            raise ScenarioError(self.lines())
