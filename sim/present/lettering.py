"""Text on a slide: what can be drawn, wrapped by measured width, and labels at line ends that never overlap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text
from matplotlib.textpath import text_to_path
from numpy.typing import NDArray

from sim.analysis.series import Outcomes
from sim.present.style import FONT, INK, QUIET, SLIDE, ink
from sim.present.wording import UNKNOWN_GLYPH, plain, provenance

LEFT, RIGHT = 0.045, 0.975  # margins of the text on a slide, as fractions of its width
LINE_SPACING = 1.25
POINTS = 72.0  # to the inch


@dataclass(frozen=True)
class EndLabel:
    """A label at the right end of a line: where the line ends [data units], what to say, in which colour."""

    y: float
    text: str
    colour: str


@lru_cache(maxsize=1)
def _glyphs() -> frozenset[int]:
    return frozenset(font_manager.get_font(font_manager.findfont(FontProperties(family=FONT))).get_charmap())


def drawable(text: str) -> str:
    """Return the text with a box for each sign that the figure's font lacks, so that drawing never warns."""
    return "".join(sign if sign == "\n" or ord(sign) in _glyphs() else UNKNOWN_GLYPH for sign in text)


def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Return the width of one line of text [points]."""
    properties = FontProperties(family=FONT, size=size, weight=weight)
    return float(text_to_path.get_text_width_height_descent(text, properties, ismath=False)[0])


def wrapped(text: str, width: float, size: float, weight: str = "normal", lines: int = 2) -> str:
    """Return the text broken into at most `lines` lines of at most `width` points; the rest becomes an ellipsis."""

    def fits(part: str) -> bool:
        return text_width(part, size, weight) <= width

    out: list[str] = []
    rest = text.lstrip(" ")
    while rest and len(out) <= lines:
        ends = [place for place, sign in enumerate(rest) if sign == " "] + [len(rest)]
        words = _most(len(ends), lambda count, rest=rest, ends=ends: fits(rest[: ends[count - 1]]))
        if words:
            end = ends[words - 1]
        else:  # one word longer than the line: cut it
            end = max(1, _most(ends[0], lambda count, rest=rest: fits(rest[:count])))
        out.append(rest[:end])
        rest = rest[end:].lstrip(" ")
    if len(out) > lines:
        last = out[lines - 1] + "…"
        while text_width(last, size, weight) > width:
            last = last[:-2] + "…"
        out = [*out[: lines - 1], last]
    return "\n".join(out)


def _most(limit: int, fits: Callable[[int], bool]) -> int:
    """Return the largest count up to a limit that fits, 0 if none; measured in few places, since measuring is slow."""
    low, high = 0, 1
    while high <= limit and fits(high):
        low, high = high, 2 * high
    high = min(high, limit + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def frame_slide(figure: Figure, outcome: Outcomes, title: str, explanation: str, source: str) -> None:
    """Write the action title, the line that explains the marks, and the footer with provenance and sources."""
    width = (RIGHT - LEFT) * SLIDE[0] * POINTS
    title = drawable(plain(title, 400))
    figure.set_label(title)
    figure.text(LEFT, 0.965, wrapped(title, width, 17, "bold"), fontsize=17, fontweight="bold", va="top", color=INK)
    figure.text(
        LEFT, 0.872, wrapped(drawable(explanation), width, 9.5), fontsize=9.5, va="top", color=QUIET, gid="explanation"
    )
    footer = wrapped(drawable(provenance(outcome)), width, 8) + "\n" + wrapped(drawable(source), width, 8)
    figure.text(LEFT, 0.018, footer, fontsize=8, va="bottom", color=QUIET, linespacing=1.35, gid="footer")


def spread(desired: Sequence[float], heights: Sequence[float], low: float, high: float) -> NDArray[np.float64]:
    """Return centres for labels so that none overlap, none leaves [low, high], and they move as little as possible.

    The least-squares solution: with each label's room subtracted, the order-preserving fit (pool adjacent
    violators) cut off at the bounds.

    Parameters
    ----------
    desired, heights : sequence of float, length n
        Wanted centres and heights, in one unit.
    low, high : float
        Bounds; labels that do not fit between them keep their spacing and overflow evenly.
    """
    order = np.argsort(desired, kind="stable")
    wanted, tall = np.asarray(desired, dtype=float)[order], np.asarray(heights, dtype=float)[order]
    offset = np.concatenate(([0.0], np.cumsum((tall[1:] + tall[:-1]) / 2)))
    blocks: list[list[float]] = []  # mean, count
    for target in wanted - offset:
        blocks.append([float(target), 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, count = blocks.pop()
            before = blocks[-1]
            blocks[-1] = [(before[0] * before[1] + mean * count) / (before[1] + count), before[1] + count]
    fitted = np.concatenate([np.full(int(count), mean) for mean, count in blocks])
    first, last = low + tall[0] / 2, high - tall[-1] / 2 - offset[-1]
    fitted = np.clip(fitted, first, last) if first <= last else np.full(len(fitted), (first + last) / 2)
    out = np.empty(len(fitted))
    out[order] = fitted + offset
    return out


def label_ends(axes: Axes, labels: Sequence[EndLabel], size: float = 10.0) -> list[Text]:
    """Write the labels to the right of the axes at the heights of their line ends, moved apart where they collide.

    Call it when the limits of the axes are final. Labels whose height is unknown (NaN) are left out.
    """
    kept = [label for label in labels if np.isfinite(label.y)]
    if not kept:
        return []
    points = axes.get_position().height * SLIDE[1] * POINTS
    to_axes = axes.transData + axes.transAxes.inverted()
    x_low = axes.get_xlim()[0]
    ends = [min(max(float(to_axes.transform((x_low, label.y))[1]), 0.0), 1.0) for label in kept]
    heights = [(label.text.count("\n") + 1) * size * LINE_SPACING / points for label in kept]
    centres = spread(ends, heights, -0.08, 1.08)
    texts = []
    for label, end, centre in zip(kept, ends, centres, strict=True):
        if abs(centre - end) > 0.3 * size / points:
            axes.plot(
                [1.0, 1.012], [end, centre], transform=axes.transAxes, color=ink(label.colour), lw=0.7, clip_on=False
            )
        texts.append(
            axes.text(
                1.018,
                centre,
                drawable(label.text),
                transform=axes.transAxes,
                va="center",
                fontsize=size,
                color=ink(label.colour),
                linespacing=1.15,
                gid="end-label",
            )
        )
    return texts
