"""The one look of every figure: slide size, fonts, colours, and how a figure becomes bytes.

Nothing here touches `pyplot` or leaves a changed global setting behind. Colours keep apart in greyscale and for
people with colour-blindness (tests measure it); line styles and markers differ as well.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

SLIDE = (13.33, 7.5)  # inches: a 16:9 slide
DPI = 150
FONT = "DejaVu Sans"
INK, QUIET, GRID = "#22262b", "#5b636d", "#dfe3e8"
SALT = "sim"


@dataclass(frozen=True)
class Look:
    """How one thing is drawn wherever it appears."""

    colour: str
    line: Any  # a matplotlib line style
    marker: str


LOOKS: dict[str, Look] = {
    "closed": Look("#1f2a44", "-", "o"),
    "open": Look("#0b5a94", "-", "^"),
    "chinese_open": Look("#cb5219", (0, (6, 1.6)), "s"),
    "western_open": Look("#62b4de", (0, (4, 1, 1, 1)), "v"),
    "self_host": Look("#a288cf", (0, (1.6, 1.1)), "D"),
    "US": Look("#24477f", "-", "o"),
    "CN": Look("#bd4136", (0, (6, 1.6)), "s"),
    "domestic": Look("#7a1e2c", "-", "P"),
    "legal": Look("#dd8440", (0, (6, 1.6)), "X"),
    "diverted": Look("#5a55b0", (0, (1.6, 1.1)), "d"),
    "rented": Look("#f4c68c", (0, (4, 1, 1, 1)), "h"),
    "lower_capability": Look("#8a9199", (0, (4, 1, 1, 1)), "<"),
    "higher_capability": Look("#42474d", "-", ">"),
}

SETTINGS: dict[Any, Any] = {
    "font.family": [FONT],
    "font.size": 10.5,
    "text.parse_math": False,  # text of a scenario may hold dollars and backslashes
    "text.color": INK,
    "axes.labelcolor": QUIET,
    "axes.edgecolor": "#9aa3ad",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": SALT,
    "pdf.fonttype": 42,
    "path.simplify": True,
}


@contextmanager
def settings() -> Iterator[None]:
    """Draw or save inside this: matplotlib's defaults with the settings above, the caller's own put back after."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


def ink(colour: str) -> str:
    """Return the colour darkened until text in it reads well on white (contrast 4.5 or more)."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    while 1.05 / (relative_luminance((red, green, blue)) + 0.05) < 4.5:
        red, green, blue = red * 0.95, green * 0.95, blue * 0.95
    return "#" + "".join(f"{round(255 * part):02x}" for part in (red, green, blue))


def relative_luminance(rgb: tuple[float, float, float]) -> float:
    """Return the relative luminance (WCAG 2) of an sRGB colour with parts in [0, 1]."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def new_slide() -> Figure:
    """Return an empty slide with an Agg canvas, unknown to pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = Figure(figsize=SLIDE, dpi=DPI)
    FigureCanvasAgg(figure)
    return figure


def new_panel(
    figure: Figure, rectangle: tuple[float, float, float, float], title: str, unit: str, pad: float | None = None
) -> Axes:
    """Return axes at a rectangle of the slide [fractions: left, bottom, width, height] with title and unit.

    Low panels get smaller letters, and no room for the words of the hand-over above them unless `pad` [points] asks.
    """
    axes = figure.add_axes(rectangle)
    small = rectangle[3] <= 0.25
    if pad is None:
        pad = 8 if small else 19
    size = 10.5 if small else 12.5
    axes.set_title(title, loc="left", fontsize=size, fontweight="bold", pad=pad, color=INK, y=1.0)  # not searched for
    axes.set_ylabel(unit, fontsize=8.5 if small else 9.5)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.tick_params(axis="both", length=3, width=0.8, labelsize=8.5 if small else 9.5, labelcolor=QUIET)
    return axes


def figure_bytes(figure: Figure, kind: str, version: str) -> bytes:
    """Return the figure as a file; the same figure gives the same bytes, whenever and wherever it is saved.

    Parameters
    ----------
    figure : Figure
        A figure of `draw`.
    kind : {'png', 'svg', 'pdf'}
        Format.
    version : str
        Version of the model, named in the file's metadata.
    """
    maker = f"sim {version}"
    title = figure.get_label() or "figure"
    metadata: dict[str, dict[str, Any]] = {
        "png": {"Software": maker, "Title": title},
        "svg": {"Creator": maker, "Date": None, "Title": title},
        "pdf": {"Creator": maker, "Producer": maker, "CreationDate": None, "Title": title},
    }
    buffer = io.BytesIO()
    with settings():
        figure.savefig(buffer, format=kind, dpi=DPI, metadata=metadata[kind])
    return buffer.getvalue()
