"""Reading a YAML file that nobody vouches for: bounded in size, depth and number of nodes, YAML 1.2, no magic.

ruamel.yaml's pure parser turns text into events; the tree is built here, so that anchors, aliases, tags, merge keys
and a second document are refused before they can do anything, and every value knows its line.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
import unicodedata
from typing import Any, NoReturn

from sim.errors import ScenarioError
from sim.scenario.nodes import Mapping, Node, Scalar, Sequence, plain_value
from sim.scenario.problems import Problems, Where, shown

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_NODES = 10_000
MAX_TEXT = 16_000  # characters of one value
MAX_KEY = 200
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_bytes(path: str, label: str, *, follow: bool = True, limit: int = MAX_BYTES, kind: str = "scenario") -> bytes:
    """Return the content of a regular file of at most `limit` bytes, 256 kB for a scenario.

    Parameters
    ----------
    path, label : str
        What to open, and the name for messages.
    follow : bool
        Whether the last component may be a symbolic link.
    limit : int
        Largest size [bytes].
    kind : str
        What the file is, for the message.

    Raises
    ------
    ScenarioError
        If it is missing, not a regular file, not readable or too large.
    """
    name = shown(label, 300)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    flags |= 0 if follow else getattr(os, "O_NOFOLLOW", 0)
    try:
        _check_kind(os.stat(path).st_mode, name)  # before opening: opening a device can have effects
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise ScenarioError(f"{name}: no such file") from None
    except ValueError:  # a NUL in the name
        raise ScenarioError(f"{name}: not a file name") from None
    except OSError as error:
        raise ScenarioError(f"{name}: cannot be read: {error.strerror}") from None
    with os.fdopen(descriptor, "rb") as handle:
        _check_kind(os.fstat(handle.fileno()).st_mode, name)
        try:
            data = handle.read(limit + 1)
        except OSError as error:
            raise ScenarioError(f"{name}: cannot be read: {error.strerror}") from None
    if len(data) > limit:
        raise ScenarioError(f"{name}: larger than {limit // 1024} kB, the limit for a {kind} file")
    return data


def _check_kind(mode: int, name: str) -> None:
    if stat.S_ISDIR(mode):
        raise ScenarioError(f"{name}: is a folder; name the scenario file in it")
    if not stat.S_ISREG(mode):
        raise ScenarioError(f"{name}: is not a regular file (a pipe, socket or device)")


def decode(data: bytes, label: str) -> str:
    """Return the text of UTF-8 bytes, without byte order mark and with line feeds only.

    Raises
    ------
    ScenarioError
        If the bytes are UTF-16, UTF-32 or not UTF-8.
    """
    name = shown(label, 300)
    if data.startswith(_UTF16) or re.match(rb"(?:\x00[^\x00]|[^\x00]\x00){2}", data):
        raise ScenarioError(f"{name}:1: the file is UTF-16; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = data[error.start]
        raise ScenarioError(f"{name}:{line}: byte 0x{byte:02x} is not UTF-8; save the file as UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse(text: str, label: str, problems: Problems, *, lines: bool = True) -> Node:
    """Return the tree of one YAML document.

    Parameters
    ----------
    text : str
        The document.
    label : str
        Name of the file in messages.
    problems : Problems
        Receives what does not hinder reading on: duplicate keys, forbidden characters.
    lines : bool
        False for a text without lines, such as the value of ``--set``.

    Raises
    ------
    ScenarioError
        If the text is not YAML, goes beyond a limit or uses an anchor, alias, tag, merge key or second document.
    """
    _check_characters(text, label, problems)
    return _Composer(label, problems, lines).compose(text)


def _allowed(character: str) -> bool:
    return character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def _named(character: str) -> str:
    special = {"\0": "NUL", "\x1b": "ESCAPE", "\ufeff": "ZERO WIDTH NO-BREAK SPACE"}
    name = special.get(character) or unicodedata.name(character, "a control or unassigned character")
    return f"U+{ord(character):04X} ({name})"


def _check_characters(text: str, label: str, problems: Problems) -> None:
    """Refuse what cannot be seen or would damage tables, terminals and slides later."""
    for character in sorted(set(text)):
        if not _allowed(character):
            line = text.count("\n", 0, text.index(character)) + 1
            problems.add(Where(label, line), "", f"the character {_named(character)} is not allowed; delete it")
    word = re.search(rf"[^\s\[\]{{}},]{{{MAX_TEXT + 1}}}", text)  # the parser takes its time over such words
    if word:
        line = text.count("\n", 0, word.start()) + 1
        raise ScenarioError(f"{shown(label, 300)}:{line}: a word of more than {MAX_TEXT} characters")
    tab = re.search(r"^ *\t[ \t]*[^\s#]", text, re.MULTILINE)
    if tab:
        line = text.count("\n", 0, tab.start()) + 1
        raise ScenarioError(f"{shown(label, 300)}:{line}: a tab is used for indentation; use spaces")


class _Composer:
    """Builds the tree from parser events, keeping the open lists and maps on a stack of its own."""

    def __init__(self, label: str, problems: Problems, lines: bool):
        self.label = label
        self.problems = problems
        self.lines = lines
        self.nodes = 0
        self.documents = 0
        self.root: Node | None = None
        self.stack: list[tuple[Sequence | Mapping, Scalar | None]] = []

    def compose(self, text: str) -> Node:
        for event in self._events(text):
            self._take(event)
        if self.root is None or (isinstance(self.root, Scalar) and self.root.value is None and self.lines):
            raise ScenarioError(f"{shown(self.label, 300)}:1: the file is empty; a scenario starts with name:")
        return self.root

    def _events(self, text: str) -> Any:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError

        events = YAML(typ="safe", pure=True).parse(text)
        while True:
            try:
                event = next(events, None)
            except MarkedYAMLError as error:
                mark = error.problem_mark or error.context_mark
                line = mark.line + 1 if mark else 1
                reason = _first_line(error.problem or error.context or "")
                cut = text.split("\n")[line - 1 : line]
                if cut and "\t" in cut[0] and "\\t" in reason:
                    self._refuse(line, "a tab separates or indents here; use spaces")
                self._refuse(line, f"this is not YAML: {reason}")
            except Exception as error:  # the parser fails in its own ways on odd bytes; any such text is not YAML
                self.problems.check()  # a forbidden character, already noted, is the usual reason
                self._refuse(1, f"this is not YAML: {_first_line(str(error)) or type(error).__name__}")
            if event is None:
                return
            yield event

    def _refuse(self, line: int, message: str) -> NoReturn:
        prefix = f"{shown(self.label, 300)}:{line}" if self.lines else shown(self.label, 300)
        raise ScenarioError([*self.problems.lines(), f"{prefix}: {message}"])

    def _take(self, event: Any) -> None:
        name = type(event).__name__
        line = event.start_mark.line + 1
        if name == "DocumentStartEvent":
            self.documents += 1
            if self.documents > 1:
                self._refuse(line, "a second document starts here; a scenario file holds one")
            if event.version not in (None, (1, 2)) or event.tags:
                self._refuse(line, "directives (%YAML, %TAG) are not allowed; scenario files are YAML 1.2")
        elif name == "AliasEvent":
            self._refuse(line, f"the alias *{shown(str(event.anchor))} is not allowed; write the value or use extends")
        elif name in ("ScalarEvent", "SequenceStartEvent", "MappingStartEvent"):
            self._open(event, name, line)
        elif name in ("SequenceEndEvent", "MappingEndEvent"):
            self.stack.pop()

    def _open(self, event: Any, name: str, line: int) -> None:
        if event.anchor is not None:
            self._refuse(
                line, f"the anchor &{shown(str(event.anchor))} is not allowed; write values out or use extends"
            )
        if event.ctag is not None:
            self._refuse(line, f"the tag {shown(_tag(event.ctag))} is not allowed; write the value without it")
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self._refuse(line, f"more than {MAX_NODES} values, the limit for a scenario file")
        where = Where(self.label, line if self.lines else 0)
        if name == "ScalarEvent":
            self._place(self._scalar(event, where))
            return
        node = Sequence(where) if name == "SequenceStartEvent" else Mapping(where)
        self._place(node)
        if len(self.stack) >= MAX_DEPTH:
            self._refuse(line, f"more than {MAX_DEPTH} levels deep, the limit for a scenario file")
        self.stack.append((node, None))

    def _scalar(self, event: Any, where: Where) -> Scalar:
        if len(event.value) > MAX_TEXT:
            self._refuse(where.line, f"a text of more than {MAX_TEXT} characters, the limit for one value")
        text = unicodedata.normalize("NFC", event.value)
        bad = next((c for c in text if c == "\t" or not _allowed(c)), None)
        if bad is not None:
            self.problems.add(where, "", f"the character {_named(bad)} is not allowed in a value; delete it")
            text = "".join(c for c in text if c != "\t" and _allowed(c))
        return Scalar(where, text, plain=event.style in (None, ""))

    def _place(self, node: Node) -> None:
        """Put a finished scalar, or a list or map that opens, where it belongs."""
        if not self.stack:
            self.root = node
            return
        parent, key = self.stack[-1]
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif key is None:
            self.stack[-1] = (parent, self._key(node))
        else:
            self._enter(parent, key, node)
            self.stack[-1] = (parent, None)

    def _key(self, node: Node) -> Scalar:
        if not isinstance(node, Scalar):
            self._refuse(node.where.line, "a list or map is used as a key; keys are words")
        if node.plain and node.text == "<<":
            self._refuse(node.where.line, "the merge key << is not allowed; use extends")
        if len(node.text) > MAX_KEY:
            self._refuse(node.where.line, f"a key of more than {MAX_KEY} characters")
        return node

    def _enter(self, parent: Mapping, key: Scalar, node: Node) -> None:
        first = parent.entries.get(key.text)
        if first is None:
            parent.entries[key.text] = (key, node)
        else:
            line = f" (first on line {first[0].where.line})" if self.lines else ""
            self.problems.add(key.where, shown(key.text), f"the key is given twice{line}; keep one")


def check_word_key(key: Scalar, path: str, problems: Problems) -> bool:
    """Return whether a key is a word, noting a problem if YAML reads it as a number, boolean or null."""
    if key.plain and not isinstance(plain_value(key.text), str):
        what = key.text or "nothing"
        problems.add(key.where, path, f"the key {what} is a number, boolean or null; keys are words")
        return False
    return True


def _tag(tag: Any) -> str:
    return str(tag).replace("tag:yaml.org,2002:", "!!")


def _first_line(text: str) -> str:
    return shown(text.strip().split("\n")[0], 160)
