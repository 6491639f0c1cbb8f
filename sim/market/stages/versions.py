"""Which older open weights of a line stay on sale beside the newest (docs/model.md, section 4.3).

The market takes both from `sim.market.kernels.versions`; these are their twins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.market.stages.choice import success
from sim.market.stages.usage import bill_disutility
from sim.market.tables import NONE, Floats, Ints

if TYPE_CHECKING:
    from sim.market.kernels.versions import Asked


def wanted(asked: Asked, capability: Floats, price: Floats, width: float) -> Floats:
    """Return what buyers make of versions, success less bill [utils], shape (buyers, versions) (eq. 96).

    Parameters
    ----------
    asked : Asked
        The buyers.
    capability, price : array, shape (classes, versions)
        With the lab's strength in the class [ECI points]; what a class pays [USD/Mtok].
    width : float
        Of success [ECI points].
    """
    utility = success(capability[asked.kind], asked.difficulty[:, None], width) * asked.value[:, None]
    bill = bill_disutility(price[asked.kind], asked.need[:, None], asked.pain[:, None])
    return utility - asked.price_sensitivity[:, None] * bill


def missed_most(utility: Floats, weight: Floats, count: int) -> Ints:
    """Return the versions that buyers would miss most beside the last, ascending, shape (count,) (eq. 96).

    One after the other, that which adds most to what they get from the best of those there are; `NONE` where no
    version adds anything.

    Parameters
    ----------
    utility : array, shape (buyers, versions)
        Of each version to each buyer; the last version is the newest.
    weight : array, shape (buyers,)
        Worth of a unit of it [USD/month].
    """
    found = np.full(count, NONE)
    if utility.shape[1] == 1:
        return found
    best = utility[:, -1:]
    for place in range(count):
        gain = (np.maximum(utility - best, 0.0) * weight[:, None]).sum(axis=0)
        version = int(gain.argmax())
        if gain[version] > 0.0:
            found[place] = version
            best = np.maximum(best, utility[:, version : version + 1])
    return np.sort(found)
