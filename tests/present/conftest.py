"""One made-up result and its four figures, drawn once."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from sim.present.figures import FIGURES, draw

from .made_up import MadeUp


@pytest.fixture(scope="session")
def results() -> MadeUp:
    """A made-up result that no test changes."""
    return MadeUp()


@pytest.fixture(scope="session")
def drawn(results) -> dict[str, Figure]:
    """Each standard figure of the made-up result."""
    return {name: draw(name, results) for name in FIGURES}
