"""Rank correlations between uncertain values, by a Gaussian copula.

A Spearman correlation r is reached by normal scores with correlation 2 sin(pi r / 6) (Pearson 1907). The first path
named keeps its own draw to the bit; each later one is mixed from its own and the earlier ones (Cholesky).
"""

from __future__ import annotations

import math
from collections.abc import Mapping as Map
from dataclasses import dataclass

from sim.scenario.distributions import Distribution
from sim.scenario.nodes import Mapping, Node, Sequence, kind
from sim.scenario.problems import Problems, Where, shown
from sim.scenario.register import TEXT_FIELDS
from sim.scenario.schema import Parameter
from sim.scenario.values import Value, read_number, read_text

MAX_PAIRS = 100
_RANK = Parameter("rank", "Spearman rank correlation", "1", -1, 1, None)
_KEYS = ("between", "rank", *TEXT_FIELDS)
_ROUNDING = 1e-9  # a pivot this close to 0 is 0: the matrix has a redundant path, which is allowed


@dataclass(frozen=True)
class Correlation:
    """The rank correlation of two uncertain values, by their paths."""

    first: str
    second: str
    rank: float
    source: str = ""
    assumption: str = ""
    note: str = ""

    def document(self) -> dict:
        """Return the correlation as a scenario file writes it."""
        reasons = {name: text for name in TEXT_FIELDS if (text := getattr(self, name))}
        return {"between": [self.first, self.second], "rank": self.rank} | reasons


def read_correlations(
    node: Node | None, values: Map[str, Value], places: Map[str, Where], problems: Problems, warnings: list[str]
) -> tuple[Correlation, ...]:
    """Return the correlations that act, noting what is wrong.

    Parameters
    ----------
    node : Sequence or None
        The list of the scenario.
    values : dict of Value
        All values of the scenario by path.
    places : dict of Where
        Where each value was set; a pair is dropped with a warning if another file or ``--set`` made one of its
        paths certain.
    """
    found: dict[tuple[str, str], Correlation] = {}
    items = node.items if isinstance(node, Sequence) else []
    if len(items) > MAX_PAIRS and node is not None:
        problems.add(node.where, "correlations", f"more than {MAX_PAIRS} pairs")
        return ()
    for place, item in enumerate(items, 1):
        path = f"correlations[{place}]"
        pair = _read_pair(item, path, values, problems)
        if pair is None:
            continue
        key = (min(pair.first, pair.second), max(pair.first, pair.second))
        if key in found:
            problems.add(item.where, path, "the pair is given twice; keep one")
        elif _uncertain(pair, item, path, values, places, problems, warnings):
            found[key] = pair
    pairs = tuple(found.values())
    if node is not None and pairs and not problems and not _lower(_matrix(pairs)[1]):
        message = "the ranks contradict one another (the matrix is not positive semidefinite); lower some of them"
        problems.add(node.where, "correlations", message)
    return pairs


def _read_pair(item: Node, path: str, values: Map[str, Value], problems: Problems) -> Correlation | None:
    if not isinstance(item, Mapping):
        problems.add(item.where, path, f"must be {{between: [path, path], rank: number}}, given is {kind(item)}")
        return None
    for key, _ in item:
        if key.text not in _KEYS:
            problems.add(key.where, f"{path}.{key.text}", f"unknown key; allowed are {', '.join(_KEYS)}",
                         word=key.text, names=_KEYS)  # fmt: skip
    between, rank = item.get("between"), item.get("rank")
    if between is None or rank is None:
        problems.add(item.where, path, f"{'between' if between is None else 'rank'} is missing")
        return None
    number = read_number(rank, _RANK, f"{path}.rank", problems)
    if not isinstance(between, Sequence) or len(between.items) != 2:
        problems.add(between.where, f"{path}.between", "must be a list of two paths")
        return None
    names = []
    for node in between.items:
        text = read_text(node, f"{path}.between", problems)
        if text and text not in values:
            message = f"'{shown(text, 120)}' is not the path of a value"
            problems.add(node.where, f"{path}.between", message, word=text, names=values)
        elif text:
            names.append(text)
    texts = {n: read_text(c, f"{path}.{n}", problems) for n in TEXT_FIELDS if (c := item.get(n)) is not None}
    if len(names) < 2 or number is None:
        return None
    if names[0] == names[1]:
        problems.add(between.where, f"{path}.between", "both paths are the same")
        return None
    return Correlation(names[0], names[1], float(number), **texts)


def _uncertain(
    pair: Correlation, item: Node, path: str, values: Map[str, Value], places: Map[str, Where],
    problems: Problems, warnings: list[str],
) -> bool:  # fmt: skip
    """Return whether both values are distributions of numbers."""
    for name in (pair.first, pair.second):
        value = values[name].value
        if isinstance(value, Distribution) and not isinstance(value.args[0], str):
            continue
        setter = places.get(name)
        if setter is not None and setter.file != item.where.file:
            warnings.append(f"{item.where}: {path}: has no effect, since {setter} makes {name} certain")
        else:
            problems.add(item.where, path, f"{name} is not uncertain; give it a distribution of numbers")
        return False
    return True


def _matrix(pairs: tuple[Correlation, ...]) -> tuple[list[str], list[list[float]]]:
    paths = list(dict.fromkeys(path for pair in pairs for path in (pair.first, pair.second)))
    rows = [[1.0 if i == j else 0.0 for j in range(len(paths))] for i in range(len(paths))]
    for pair in pairs:
        i, j = paths.index(pair.first), paths.index(pair.second)
        rows[i][j] = rows[j][i] = 2.0 * math.sin(math.pi * pair.rank / 6.0)
    return paths, rows


def _lower(matrix: list[list[float]]) -> list[list[float]]:
    """Return the Cholesky factor, row by row; an empty list if the matrix is not positive semidefinite."""
    lower: list[list[float]] = []
    for i, row in enumerate(matrix):
        factor: list[float] = []
        for j in range(i):
            rest = row[j] - math.fsum(factor[k] * lower[j][k] for k in range(j))
            pivot = lower[j][j]
            if pivot == 0.0 and abs(rest) > math.sqrt(_ROUNDING):
                return []
            factor.append(rest / pivot if pivot else 0.0)
        rest = row[i] - math.fsum(value * value for value in factor)
        if rest < -_ROUNDING:
            return []
        factor.append(math.sqrt(rest) if rest > _ROUNDING else 0.0)
        lower.append(factor)
    return lower


def correlated(pairs: tuple[Correlation, ...], uniforms: Map[str, float]) -> dict[str, float]:
    """Return the uniforms of the paths named in `pairs`, made to depend on one another.

    Parameters
    ----------
    pairs : tuple of Correlation
        Correlations that passed `read_correlations`.
    uniforms : dict of float
        Independent uniforms in (0, 1), by path.
    """
    from scipy.special import ndtr, ndtri

    paths, matrix = _matrix(pairs)
    lower = _lower(matrix)
    scores = [float(ndtri(uniforms[path])) for path in paths]
    mixed: dict[str, float] = {}
    for path, row in zip(paths, lower, strict=True):
        if not any(row[:-1]):
            mixed[path] = uniforms[path]
        else:
            mixed[path] = float(ndtr(math.fsum(weight * score for weight, score in zip(row, scores, strict=False))))
    return mixed
