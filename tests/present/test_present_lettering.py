"""Labels that do not overlap, text that fits, signs that can be drawn."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.present.lettering import EndLabel, drawable, label_ends, spread, text_width, wrapped
from sim.present.style import new_panel, new_slide, settings
from sim.present.wording import UNKNOWN_GLYPH, plain


def test_labels_far_apart_stay_where_they_are():
    assert spread([0.8, 0.2], [0.1, 0.1], 0, 1) == pytest.approx([0.8, 0.2])


def test_two_labels_on_one_spot_move_apart_evenly():
    assert spread([0.5, 0.5], [0.1, 0.3], 0, 1) == pytest.approx([0.4, 0.6])


def test_labels_at_the_edge_move_inwards():
    assert spread([0.0, 0.0], [0.1, 0.1], 0, 1) == pytest.approx([0.05, 0.15])
    assert spread([1.0], [0.2], 0, 1) == pytest.approx([0.9])


def test_a_chain_of_labels_moves_as_a_block():
    assert spread([0.5, 0.5, 0.5], [0.2, 0.2, 0.2], 0, 1) == pytest.approx([0.3, 0.5, 0.7])


@given(st.lists(st.tuples(st.floats(-0.5, 1.5), st.floats(0.01, 0.2)), min_size=1, max_size=8))
def test_labels_never_overlap_and_stay_inside_where_they_fit(pairs):
    desired, heights = zip(*pairs, strict=True)
    centres = spread(desired, heights, 0, 1)
    order = np.argsort(centres)
    tall = np.asarray(heights)[order]
    gaps = np.diff(centres[order]) - (tall[1:] + tall[:-1]) / 2
    assert (gaps >= -1e-9).all()
    if tall.sum() <= 1:
        assert centres[order][0] - tall[0] / 2 >= -1e-9
        assert centres[order][-1] + tall[-1] / 2 <= 1 + 1e-9


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_labels_keep_the_order_of_their_lines(desired):
    centres = spread(desired, [0.1] * len(desired), 0, 1)
    order = np.argsort(desired, kind="stable")
    assert (np.diff(centres[order]) > 0).all()


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_end_labels_of_lines_that_meet_do_not_touch(scale):
    with settings():
        figure = new_slide()
        axes = new_panel(figure, (0.1, 0.2, 0.3, 0.3), "Title", "unit [%]")
        axes.set_yscale(scale)
        axes.set_ylim(0.01, 1)
        names = [EndLabel(y, f"Line {y}", "#0b5a94") for y in (0.5, 0.501, 0.502, 1.0, 0.01, float("nan"))]
        texts = label_ends(axes, names)
    figure.canvas.draw()
    boxes = sorted((text.get_window_extent() for text in texts), key=lambda box: box.y0)
    assert len(boxes) == 5
    assert all(low.y1 <= high.y0 + 1e-6 for low, high in pairwise(boxes))


@given(st.text(min_size=1, max_size=300), st.integers(40, 400))
def test_wrapped_text_fits_its_width_and_number_of_lines(text, width):
    line = drawable(plain(text))
    lines = wrapped(line, width, 9).split("\n")
    assert len(lines) <= 2
    assert all(text_width(part, 9) <= width or len(part) <= 2 for part in lines)


def test_short_text_is_left_alone_and_long_text_ends_in_an_ellipsis():
    assert wrapped("a b", 500, 9) == "a b"
    assert wrapped("word " * 200, 100, 9).endswith("…")


def test_signs_that_the_font_lacks_become_boxes():
    assert drawable("Qwen 通义") == f"Qwen {UNKNOWN_GLYPH * 2}"


@pytest.mark.parametrize("sign", ["\x00", "\x1b", "\u202e", "\u200b", "\ud800", "\ue000", "\U000e0041", "\x85"])
def test_signs_that_hide_or_reorder_text_are_dropped(sign):
    assert plain(f"a{sign}b") == "ab"


def test_lines_and_blanks_of_a_title_become_one_line():
    assert plain("  two\n\n lines\t here ") == "two lines here"
