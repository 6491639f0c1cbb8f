"""Colours that everyone can tell apart, and bytes that never change."""

from __future__ import annotations

from itertools import combinations

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from sim.present.style import (
    LOOKS,
    figure_bytes,
    ink,
    new_panel,
    new_slide,
    relative_luminance,
    settings,
)

# Machado, Oliveira and Fernandes 2009, severity 1.0, for linear RGB
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
)
# Sets of looks that share a panel, and so must be told apart at a glance.
SHOWN_TOGETHER = (
    ("open", "chinese_open", "self_host"),
    ("open", "western_open", "chinese_open", "closed"),
    ("closed", "open"),
    ("US", "CN"),
    ("legal", "diverted", "domestic", "rented"),
    ("lower_capability", "higher_capability"),
)
PAIRS = sorted({pair for group in SHOWN_TOGETHER for pair in combinations(group, 2)})


def lab(colour: str, deficiency: str = "none") -> np.ndarray:
    """Return CIELAB of a colour as someone with a colour deficiency sees it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.asarray(DEFICIENCIES[deficiency]) @ linear, 0, 1)
    x, y, z = (
        part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116
        for part in TO_XYZ @ seen / [0.95047, 1, 1.08883]
    )
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_white_and_black_have_the_known_lightness():
    assert lab("#ffffff") == pytest.approx([100, 0, 0], abs=0.02)
    assert lab("#000000")[0] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_colours_of_one_panel_stay_apart_in_greyscale(pair):
    first, second = (lab(LOOKS[name].colour)[0] for name in pair)
    assert abs(first - second) >= 10


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_colours_of_one_panel_stay_apart_for_the_colour_blind(pair, deficiency):
    first, second = (lab(LOOKS[name].colour, deficiency) for name in pair)
    assert np.linalg.norm(first - second) >= 20


def test_no_two_things_share_a_lightness_or_a_colour():
    lightness = sorted(lab(look.colour)[0] for look in LOOKS.values())
    assert min(np.diff(lightness)) > 0.5
    assert len({look.colour for look in LOOKS.values()}) == len(LOOKS)


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_things_of_one_panel_differ_in_line_or_marker_too(pair):
    first, second = (LOOKS[name] for name in pair)
    assert (first.line, first.marker) != (second.line, second.marker)


@pytest.mark.parametrize("name", LOOKS)
def test_words_in_a_colour_read_well_on_white(name):
    contrast = 1.05 / (relative_luminance(to_rgb(ink(LOOKS[name].colour))) + 0.05)
    assert contrast >= 4.45  # 4.5 before rounding to eight bits


def test_drawing_leaves_the_callers_settings_alone():
    with matplotlib.rc_context({"font.size": 31.0, "svg.hashsalt": "mine"}):
        before = dict(matplotlib.rcParams)
        with settings():
            assert matplotlib.rcParams["font.size"] != 31.0
            figure_bytes(new_slide(), "svg", "1")
        assert dict(matplotlib.rcParams) == before


def test_the_callers_settings_do_not_change_the_bytes():
    def picture() -> bytes:
        with settings():
            figure = new_slide()
            new_panel(figure, (0.1, 0.1, 0.8, 0.8), "Title", "unit").plot([1, 2])
        return figure_bytes(figure, "svg", "1")

    plain = picture()
    with matplotlib.rc_context({"font.family": "serif", "lines.linewidth": 9, "axes.grid": True, "svg.hashsalt": "x"}):
        assert picture() == plain


def test_pyplot_is_never_imported():
    import subprocess
    import sys

    code = "import sys, sim.present.figures, sim.present.screen; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_screen_does_not_load_matplotlib():
    import subprocess
    import sys

    code = "import sys, sim.present.screen, sim.cli.plot; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
