"""Every floor, cap and clip of the market is registered with the test in which it binds; a new one needs a new test."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import tests

from .guards import BINDING, NO_GUARD, guards_below, guards_in_the_code, no_guard

no_guard(
    "governments.py",
    "research_grants",
    "np.maximum.at(best, (releases.is_open[current].astype(int), releases.lab[current]), releases.capability[current])",
    "the best release of each lab, over an array that starts at minus infinity",
)
no_guard(
    "observe.py",
    "_lab_rows",
    "np.fmax.at(best, state.lab[on], state.capability[on])",
    "the best release of each lab, over an array that starts without any",
)
no_guard(
    "supply.py",
    "best_of_labs",
    "np.fmax.at(best, table.lab, np.where(table.is_open, table.capability, np.nan) if only_open else table.capability)",
    "the best release of each lab, over an array that starts without any",
)
no_guard(
    "stages/markups.py",
    "largest_capture",
    "max(largest, float(ready.labs.sums(ready.cells.sums(chosen)).max()))",
    "the largest so far, block by block",
)
no_guard(
    "stages/equilibrium.py",
    "_same",
    "max(np.abs(one).max(), np.abs(other).max())",
    "the highest price of two solutions, either of which may have it",
)
no_guard(
    "stages/deviations.py",
    "_joint_moves",
    "np.maximum(cost, 0.0)",
    "no list price is negative, so beside it a negative cost never counts",
)
no_guard(
    "kernels/search.py", "search", "if size < least:\n    least = size\n    copy(seen, price)", "the nearest so far"
)
for text in ("max(highest[k], keep[k])", "max(highest[k], max(keep[k], outside[k]))", "max(keep[k], outside[k])"):
    no_guard("kernels/uses.py", "stay", text, "the best of what there is, a scale of its own for each row")
no_guard("kernels/uses.py", "stay", "max(highest[k], scratch.utility[j, k])", "the best so far")
no_guard("kernels/choice.py", "utilities", "larger(highest[k], row[k])", "the best so far")
no_guard("kernels/mass.py", "without", "max(highest[k], alone[k])", "the best of what there is")
no_guard("kernels/mass_tally.py", "tally", "min(LINE, nodes - i)", "a line of the cache, or what is left of it")
for function, text in (
    ("_held_values", "max(best[r], one[r])"),
    ("_priced_values", "max(highest, utility[r])"),
    ("fold", "max(highest, _priced_values(folded, block, first, rows, layout, fixed, loading, lam, best))"),
    ("fold", "max(keep[first + r], outside[first + r])"),
):
    no_guard("kernels/fold.py", function, text, "the best so far")
no_guard("stages/releases.py", "", "seen.was_open or seen.follows", "either of two reasons to open")
no_guard("observe.py", "_market_row", "market.price_month.status or None", "a word, missing where it is empty")


@pytest.fixture(scope="module", autouse=True)
def every_registration():
    """Import the tests that register guards."""
    root = Path(tests.__file__).parent
    for path in sorted(root.rglob("test_*.py")):
        if "@binds(" in path.read_text(encoding="utf-8"):
            importlib.import_module(".".join(("tests", *path.relative_to(root).with_suffix("").parts)))


def test_every_guard_has_a_test_in_which_it_binds():
    found = guards_in_the_code()
    registered = BINDING.keys() | NO_GUARD.keys()
    assert sorted(found - registered) == [], "no test in which these bind"
    assert sorted(registered - found) == [], "no longer in the code"


@pytest.mark.parametrize(
    "code",
    [
        "max(0, x)",
        "min(x, *others)",
        "max((x for x in xs), default=0)",
        "np.clip(x, 0, 1)",
        "x.clip(max=1)",
        "np.fmin(x, y)",
        "np.nan_to_num(x)",
        "x.max(axis=0, initial=0.0)",
        "np.minimum.at(x, at, y)",
        "x or 1.0",
        "y = last or DEFAULT",
        "x if x > 0.0 else 0.0",
        "LIMIT if x >= LIMIT else x",
        "np.where(x > LIMIT, LIMIT, x)",
        "if x < LIMIT:\n    x = LIMIT",
    ],
)
def test_a_bound_is_seen_however_it_is_written(code):
    assert [*guards_below(ast.parse(code))] == [("", code.removeprefix("y = "))]


def test_a_guard_is_named_by_the_function_that_it_stands_in():
    code = "class A:\n    def f(x):\n        def g(y):\n            return max(0, y)\n        return min(1, g(x))"
    assert [*guards_below(ast.parse(code))] == [("A.f.g", "max(0, y)"), ("A.f", "min(1, g(x))")]


@pytest.mark.parametrize(
    "code",
    [
        "x.max()",
        "x.min(axis=1)",
        "max(len(x) for x in xs)",
        "x if y > 0.0 else 0.0",
        "np.where(y > 0.0, x, 0.0)",
        "0.0 if x > 0.0 else y",
        "if x < LIMIT:\n    y = LIMIT",
        "if x or y:\n    pass",
        "z = x is None or y > 1",
        "[x for x in xs if x or y]",
        "not (x or y)",
    ],
)
def test_reductions_and_conditions_are_no_bounds(code):
    assert [*guards_below(ast.parse(code))] == []
