"""Stage 3: machines that act in the world and the data they bring home (docs/model.md, section 4.2)."""

from __future__ import annotations

from sim.market.kernels.elementary import exp
from sim.market.tables import Floats


def deployed(year: float, ceiling: Floats, midpoint: Floats, spread: float) -> Floats:
    """Return machines in use that learn from their work, by bloc [million], shape (blocs,) (eq. 27).

    Parameters
    ----------
    year : float
        Date [year].
    ceiling, midpoint : array, shape (blocs,)
        Machines in the end [million], and the date at which half of them are there [year].
    spread : float
        Time in which the odds of a machine being there grow e-fold [years].
    """
    return ceiling / (1.0 + exp(-(year - midpoint) / spread))
