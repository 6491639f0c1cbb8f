"""Worlds without open weights, which start at the hand-over and run beside the simulated one (docs/model.md, 4.9).

`weights_withheld`: the same releases in the same months, but nobody can host, tune or run them; they are sold on their
labs' APIs or not at all. `never_developed`: the lines that were open at the hand-over do not exist, and what open
releases teach other labs is gone too. Prices follow the same rules in all worlds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.market.stages import accounts
from sim.market.supply import Made
from sim.market.tables import LAB_API, NONE, Floats, ReleaseTable
from sim.scenario.schema import NEVER

if TYPE_CHECKING:
    from sim.market.market import Market


def close(market: Market, world: str) -> None:
    """Take the open weights out of a copy of the market that nobody else holds yet."""
    releases, lines = market.releases, market.lines
    if world == NEVER:
        for line in np.flatnonzero(lines.current_open != NONE):
            if lines.current[line] == NONE or not releases.is_open[lines.current[line]]:
                continue  # closed again since: its closed release stays
            releases.superseded[releases.line == line] = -ReleaseTable.FAR
            lines.current[line] = NONE
            lines.next_month[line] = np.inf
    releases.is_open[:] = False
    releases.degree[:] = 0.0
    releases.opens_at[:] = ReleaseTable.FAR
    lines.current_open[:] = NONE
    lines.older[:] = NONE


def withheld(market: Market, made: list[Made]) -> list[Made]:
    """Return releases as they come out where no weights are published, now or later.

    What a release takes over from the prices of its predecessor is taken from those of this world; one with which a
    lab enters has the price of its event.
    """
    secret = {"is_open": False, "on_device": False, "degree": 0.0, "opens_at": ReleaseTable.FAR}
    return [Made(one.name, one.columns | secret | _prices_before(market, one), one.retires) for one in made]


def _prices_before(market: Market, made: Made) -> dict[str, float]:
    before = market.lines.current[made.columns["line"]]
    lab = market.lab_agents[made.columns["lab"]]
    if before == NONE or any(event.lever == "lab_entry" for event in lab.due(market.month)):
        return {}
    return {name: float(getattr(market.releases, name)[before]) for name in ("posted", "wanted")}


def pricing_pressure(market: Market, twin: Market) -> float:
    """Return by how much open weights press closed list prices: 1 - price here / price in the twin (eq. 80).

    Both prices weigh each closed line by the tokens that it sells here; NaN where none sells in both worlds.
    """
    tokens = _closed_tokens(market)
    here, there = _line_prices(market), _line_prices(twin)
    both = (tokens > 0.0) & np.isfinite(here) & np.isfinite(there)
    return 1.0 - accounts.ratio(float((tokens * here)[both].sum()), float((tokens * there)[both].sum()))


def _closed_tokens(market: Market) -> Floats:
    """Return the tokens of closed releases on their labs' APIs by line, shape (lines,)."""
    state = market.releases
    sold = np.where(state.is_open, 0.0, market.accounts.tokens[:, LAB_API])
    return accounts.totals(state.line, sold, len(market.lines.names))


def _line_prices(market: Market) -> Floats:
    """Return the posted list price of each line's current closed release [USD/Mtok], NaN for none, shape (lines,)."""
    current = market.lines.current
    closed = (current != NONE) & ~market.releases.is_open[current]
    return np.where(closed, market.releases.posted[current], np.nan)
