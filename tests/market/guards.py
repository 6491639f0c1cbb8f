"""Where the market bounds a number, found in its code, and the register of the tests in which each bound binds.

A guard is a call of max, min, clip or one of NumPy's kin that compares at least two things, or an `or` or a condition
that replaces a value by a limit. A reduction of one array or generator is none unless it is told what an empty one
gives. A guard is named by its file, its function and its text: it may move, and a new one is noticed.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import sim.market

ROOT = Path(sim.market.__file__).parent
LIMITS = {"maximum", "minimum", "fmax", "fmin", "max", "min", "larger"}
ALWAYS = {"clip", "nan_to_num"}
ORDERS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
TRUTHS = {"bool", "any", "all", "isinstance"}


class Guard(NamedTuple):
    """A bound in the code: file below `sim/market`, function, text."""

    file: str
    function: str
    text: str


BINDING: dict[Guard, str] = {}  # the test in which each binds
NO_GUARD: dict[Guard, str] = {}  # what looks like a guard and is none, with the reason


def binds(file: str, function: str, text: str) -> Callable[[Callable], Callable]:
    """Register a test as the case in which a guard binds, and just inside of which it does not."""

    def register(test: Callable) -> Callable:
        _add(BINDING, Guard(file, function, text), test.__name__)
        return test

    return register


def no_guard(file: str, function: str, text: str, reason: str) -> None:
    """Register what looks like a guard and is none."""
    _add(NO_GUARD, Guard(file, function, text), reason)


def _add(register: dict[Guard, str], guard: Guard, words: str) -> None:
    assert guard not in BINDING | NO_GUARD, f"{guard} is registered twice"
    register[guard] = words


def guards_in_the_code() -> set[Guard]:
    """Return every guard below `sim/market`."""
    found = set()
    for path in sorted(ROOT.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found |= {Guard(path.relative_to(ROOT).as_posix(), *at) for at in guards_below(tree)}
    return found


def guards_below(node: ast.AST, function: str = "", *, as_truth: bool = False) -> Iterator[tuple[str, str]]:
    """Return function and text of the guards in a piece of code; `as_truth` tells whether only its truth counts."""
    bounding = _bounds(node) or (isinstance(node, ast.BoolOp) and not as_truth and _replaces(node))
    if bounding:
        yield function, ast.unparse(node)
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        function = f"{function}.{node.name}".removeprefix(".")
    for name, value in ast.iter_fields(node):
        negated = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
        truth = name in {"test", "ifs"} or negated or (as_truth and isinstance(node, ast.BoolOp))
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from guards_below(child, function, as_truth=truth)


def _bounds(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return _limits(node) or (_name(node.func) == "where" and len(node.args) == 3 and _chooses(*node.args))
    if isinstance(node, ast.IfExp):
        return _chooses(node.test, node.body, node.orelse)
    if isinstance(node, ast.If) and isinstance(node.body[0], ast.Assign):
        assign = node.body[0]
        return _sides(node.test) == {ast.unparse(assign.targets[0]), ast.unparse(assign.value)}
    return False


def _limits(call: ast.Call) -> bool:
    """Return whether a call compares at least two things: two arguments, or one and what an empty one gives."""
    name = _name(call.func)
    if name == "at":
        return isinstance(call.func, ast.Attribute) and _name(call.func.value) in LIMITS
    if name in ALWAYS:
        return True
    several = len(call.args) > 1 or any(isinstance(argument, ast.Starred) for argument in call.args)
    told = any(keyword.arg in {"initial", "default"} for keyword in call.keywords)
    return name in LIMITS and (several or told)


def _chooses(test: ast.AST, one: ast.AST, other: ast.AST) -> bool:
    """Return whether a condition that compares a number chooses between that number and something else."""
    constants = {ast.unparse(side) for side in (one, other) if isinstance(side, ast.Constant)}
    return bool((_sides(test) - constants) & {ast.unparse(one), ast.unparse(other)})


def _sides(test: ast.AST) -> set[str]:
    """Return what a condition compares by size."""
    if not (isinstance(test, ast.Compare) and isinstance(test.ops[0], ORDERS)):
        return set()
    return {ast.unparse(side) for side in (test.left, *test.comparators)}


def _replaces(node: ast.BoolOp) -> bool:
    """Return whether an `or` gives a value and not only the truth of one."""
    last = node.values[-1]
    logical = isinstance(last, ast.Compare | ast.UnaryOp) or (isinstance(last, ast.Call) and _name(last.func) in TRUTHS)
    return isinstance(node.op, ast.Or) and not logical


def _name(function: ast.AST) -> str:
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
