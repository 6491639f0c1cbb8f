"""Answers that hold from the releases of a month to its end: reckoned once in that time, anew at any other."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from sim.market.market import Market

Answer = TypeVar("Answer")


def settled(function: Callable[[Market], Answer]) -> Callable[[Market], Answer]:
    """Keep what a function returns while `Market.settled` is a table: what it reads stands still then.

    The answer is shared by all who ask, so that nobody may change it.
    """

    @wraps(function)
    def kept(market: Market) -> Answer:
        answers: dict[Any, Any] | None = market.settled
        if answers is None:
            return function(market)
        if function not in answers:
            answers[function] = function(market)
        return answers[function]

    return kept
