"""What a bad scenario is refused with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sim.errors import ScenarioError


def problems_of(action: Callable[..., Any], *args: Any, **kwargs: Any) -> list[str]:
    """Return the problems for which a call is refused, with exit code 2."""
    with pytest.raises(ScenarioError) as caught:
        action(*args, **kwargs)
    assert caught.value.exit_code == 2
    return caught.value.problems
