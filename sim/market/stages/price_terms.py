"""Stage 6: how a price enters utility, and the tokens bought at it (docs/model.md, section 4.6).

A price term is a function D of the burden z = p v / pain, the bill at full need over the pain it causes. Utility
falls by alpha D(z) and tokens bought are x = v D'(z) for every term, so Roy's identity holds by construction:
dV/dp = -(alpha / pain) x. `bill` is the model's own term; `linear` and `log` are its limits for small and large
bills, for which textbooks have closed forms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sim.market.kernels.elementary import log, log1p
from sim.market.tables import Floats


@dataclass(frozen=True)
class PriceTerm:
    """Disutility of a burden per unit of price sensitivity, with its derivatives.

    `value` and `slope` are D and D' as functions of the burden. For all terms D'' = -`concavity` D'^2, so one number
    gives the second derivative. `needs_price`: the term has no value at a price of zero.
    """

    name: str
    value: Callable[[Floats], Floats]
    slope: Callable[[Floats], Floats]
    concavity: float
    needs_price: bool = False

    def disutility(self, price: Floats, need: Floats, pain: Floats) -> Floats:
        """Return D(p v / pain), shape broadcast; USD/Mtok, Mtok/month and USD/month give a pure number."""
        return self.value(price * need / pain)

    def quantity(self, price: Floats, need: Floats, pain: Floats) -> Floats:
        """Return tokens bought [Mtok/month], pain times dD/dp, shape broadcast."""
        return self.slope(price * need / pain) * need


def _bill_slope(burden: Floats) -> Floats:
    return 1.0 / (1.0 + burden)


def _same(burden: Floats) -> Floats:
    return burden * 1.0


# Source: docs/model.md, section 4.5 for `bill`; Anderson, de Palma and Thisse 1992 for the other two.
BILL = PriceTerm("bill", log1p, _bill_slope, 1.0)
LOG = PriceTerm("log", log, np.reciprocal, 1.0, needs_price=True)
LINEAR = PriceTerm("linear", _same, np.ones_like, 0.0)
