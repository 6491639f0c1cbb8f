"""What modules of this folder build from the `world` that each of them names."""

from __future__ import annotations

import pytest

from .worlds import outcomes


@pytest.fixture(scope="module")
def plain(world):
    """The tables of the module's world as it is."""
    return outcomes(world)
