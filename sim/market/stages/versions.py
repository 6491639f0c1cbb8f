"""Which older open weights of a line stay on sale beside the newest (docs/model.md, section 4.3)."""

from __future__ import annotations

import numpy as np

from sim.market.tables import NONE, Floats, Ints


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
