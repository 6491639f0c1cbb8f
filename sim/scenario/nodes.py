"""The tree of a YAML file: three kinds of node, each with its place, and the scalars of YAML 1.2.

Only ``true`` and ``false`` are booleans, ``null``, ``~`` and nothing are null, decimal numbers are numbers, and all
else is text: ``NO``, ``on``, ``22:30`` and ``2025-12`` stay what was written. Spellings that other readers take for
different numbers (``010``, ``0x1F``, ``1_000``) are text here, so that a number field refuses them with a hint.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sim.scenario.problems import Where, shown

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z")
NUMBER = r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_FLOAT = re.compile(NUMBER + r"\Z")
MAX_DIGITS = 60  # longest spelling of a number; 64-bit numbers need 25 characters


@dataclass
class Scalar:
    """A single value; `plain` means written without quotes."""

    where: Where
    text: str
    plain: bool

    @property
    def value(self) -> bool | int | float | str | None:
        """What the scalar means: null, boolean, number or text. Numbers may be infinite or have lost all digits."""
        if not self.plain:
            return self.text
        return plain_value(self.text)


@dataclass
class Sequence:
    """A list."""

    where: Where
    items: list[Node] = field(default_factory=list)


@dataclass
class Mapping:
    """A map in the order of the file. Keys are scalars, each once."""

    where: Where
    entries: dict[str, tuple[Scalar, Node]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[tuple[Scalar, Node]]:
        return iter(self.entries.values())

    def get(self, key: str) -> Node | None:
        """Return the node under `key`, or None."""
        entry = self.entries.get(key)
        return entry[1] if entry else None


Node = Scalar | Sequence | Mapping


def plain_value(text: str) -> bool | int | float | str | None:
    """Return the meaning of an unquoted scalar by the rules at the head of this module."""
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if len(text) <= MAX_DIGITS:
        if _INTEGER.match(text):
            return int(text)
        if _FLOAT.match(text):
            return float(text)
    return text


def is_null(node: Node) -> bool:
    """Return whether the node is an empty value."""
    return isinstance(node, Scalar) and node.value is None


def kind(node: Node) -> str:
    """Return the kind of a node in words for a message."""
    if isinstance(node, Sequence):
        return "a list"
    if isinstance(node, Mapping):
        return "a map"
    value = node.value
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return f"the boolean {node.text}"
    return "a text" if isinstance(value, str) else "a number"


def number_text(value: float) -> str:
    """Return the shortest spelling of a number that reads back as the same number."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return repr(value)


def number_fault(text: str, value: float) -> str:
    """Return why a number that was read cannot be used, or an empty text."""
    if math.isinf(value):
        return f"{shown(text)} is too large for a 64-bit number"
    if value == 0 and re.search(r"[1-9]", re.split("[eE]", text)[0]):
        return f"{shown(text)} is too small for a 64-bit number and would become 0"
    return ""


def number_hint(node: Scalar) -> str:
    """Return what is wrong with a text that stands where a number should, or an empty text if nothing is known."""
    text = node.text.strip()
    if not node.plain and isinstance(plain_value(text), int | float) and text not in ("true", "false"):
        return f"write {text} without quotes"
    bare = text.lstrip("+-")
    if re.fullmatch(r"\.?(inf|infinity|nan)", bare, re.IGNORECASE):
        return "a number must be finite"
    if re.fullmatch(r"0[xob][0-9a-f_]+", bare, re.IGNORECASE):
        return "write the number in decimal digits"
    if re.fullmatch(r"0[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?", bare):
        return f"leading zeros mean different numbers to different readers, write {bare.lstrip('0') or '0'}"
    if re.fullmatch(r"[0-9]+(_[0-9]+)+(\.[0-9_]*)?([eE][-+]?[0-9]+)?", bare):
        return f"write {text.replace('_', '')} without separators"
    if re.fullmatch(r"[0-9]{1,3}([,'][0-9]{3})+(\.[0-9]+)?|[0-9]+,[0-9]+", bare):
        return "write numbers without separators and with a decimal point"
    if re.fullmatch(NUMBER, text):
        return f"the number has more than {MAX_DIGITS} characters"
    if any(c.isdigit() and not c.isascii() for c in text):
        return "use the digits 0 to 9"
    return ""


def node_of(value: Any, where: Where) -> Node:
    """Return the tree of a plain Python value, as the register and overrides give it."""
    if isinstance(value, dict):
        entries = {str(k): (_scalar_of(k, where), node_of(v, where)) for k, v in value.items()}
        return Mapping(where, entries)
    if isinstance(value, list | tuple):
        return Sequence(where, [node_of(item, where) for item in value])
    return _scalar_of(value, where)


def _scalar_of(value: Any, where: Where) -> Scalar:
    if isinstance(value, str):
        return Scalar(where, value, plain=False)
    if value is None or isinstance(value, bool):
        return Scalar(where, {None: "null", True: "true", False: "false"}[value], plain=True)
    return Scalar(where, repr(value), plain=True)


def plain(node: Node) -> Any:
    """Return the tree as plain Python: dict, list, text, number, boolean or None."""
    if isinstance(node, Mapping):
        return {key.text: plain(child) for key, child in node}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return node.value
