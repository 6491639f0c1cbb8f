"""The standard figures by name, and how they become files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

from matplotlib.figure import Figure

from sim.analysis.series import Outcomes, outcomes
from sim.errors import UsageError
from sim.present.adoption import draw_adoption
from sim.present.capability import draw_capability
from sim.present.compute import draw_compute
from sim.present.prices import draw_prices
from sim.present.style import figure_bytes, settings
from sim.present.wording import plain

FIGURES: dict[str, Callable[[Outcomes], Figure]] = {
    "adoption": draw_adoption,
    "prices": draw_prices,
    "capability": draw_capability,
    "compute": draw_compute,
}
FORMATS = ("png", "svg", "pdf")


def draw(name: str, results: Any) -> Figure:
    """Return one standard figure of a result, 13.33 x 7.5 inches.

    Parameters
    ----------
    name : {'adoption', 'prices', 'capability', 'compute'}
        Which figure.
    results : Results
        A finished result.

    Raises
    ------
    UsageError
        If there is no figure of that name.
    """
    if name not in FIGURES:
        near = get_close_matches(name, FIGURES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"no figure {plain(name, 40)!r}; the figures are {', '.join(FIGURES)}{hint}")
    with settings():
        return FIGURES[name](outcomes(results))


def render_all(
    results: Any, formats: Sequence[str] = ("png", "svg"), names: Sequence[str] | None = None
) -> dict[str, bytes]:
    """Return the standard figures as files, the same bytes for the same result.

    Parameters
    ----------
    results : Results
        A finished result.
    formats : sequence of {'png', 'svg', 'pdf'}
        File formats.
    names : sequence of str, optional
        Names of the figures, all by default.

    Returns
    -------
    dict of str to bytes
        File name, for example ``adoption.png``, to content.

    Raises
    ------
    UsageError
        If a figure or a format is unknown.
    """
    for kind in formats:
        if kind not in FORMATS:
            raise UsageError(f"no figure format {plain(kind, 40)!r}; the formats are {', '.join(FORMATS)}")
    read = outcomes(results)
    version = plain(read.manifest.get("model_version", ""), 24)
    files = {}
    for name in FIGURES if names is None else names:
        figure = draw(name, read)
        for kind in formats:
            files[f"{name}.{kind}"] = figure_bytes(figure, kind, version)
    return files
