"""The four figures: complete, stable, legible, and unimpressed by strange results."""

from __future__ import annotations

import re
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.text import Text

from sim.errors import ResultError, UsageError
from sim.present.figures import FIGURES, draw, render_all
from sim.present.style import figure_bytes
from sim.rng import stream_key, uniform

from .made_up import MadeUp

HOSTILE = [
    r"$\frac{$",
    "$x$ & <b>bold</b> [/red] %s {0} \\n",
    "--><script>alert(1)</script><!--",
    "\x1b]0;owned\x07\x00\x08",
    "\u202eevil\u2066 通义千问 🐉",
    "=cmd|' /C calc'!A0",
    "W" * 2000,
    "word " * 500,
    "",
]


def texts(figure) -> list[Text]:
    """Return every text that a reader sees, with the figure drawn: of ticks only those within the limits."""
    figure.draw_without_rendering()
    found = list(figure.texts)
    for axes in figure.axes:
        found += [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            labels = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True)
            found += [label for place, label in labels if low <= place <= high]
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def overlaps(figure) -> list[tuple[str, str]]:
    """Return the pairs of texts whose boxes overlap by more than a pixel."""
    shown = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    return [
        (one, other)
        for (one, a), (other, b) in combinations(shown, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
    ]


def outside(figure) -> list[str]:
    """Return the texts that leave the slide."""
    width, height = figure.canvas.get_width_height()
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    return [text for text, box in boxes if box.x0 < 0 or box.y0 < 0 or box.x1 > width or box.y1 > height]


@pytest.mark.parametrize("name", FIGURES)
def test_no_two_texts_overlap(drawn, name):
    assert overlaps(drawn[name]) == []


@pytest.mark.parametrize("name", FIGURES)
def test_every_text_lies_on_the_slide(drawn, name):
    assert outside(drawn[name]) == []


@pytest.mark.parametrize("name", FIGURES)
def test_every_axis_says_its_unit(drawn, name):
    units = re.compile(r"%|USD per|ECI points|months|H100-equivalents")
    for axes in drawn[name].axes:
        assert units.search(axes.get_ylabel()), axes.get_title("left")
        assert axes.get_xlabel() in ("year (ticks at January)", "month", "bloc of the adopter")
        assert axes.get_title("left")


@pytest.mark.parametrize("name", FIGURES)
def test_the_footer_names_scenario_seed_runs_version_and_result(drawn, name):
    footer = next(text.get_text() for text in texts(drawn[name]) if text.get_gid() == "footer")
    for word in ("A made-up market (made-up)", "seed 1", "32 runs", "sim 0.1.0", "0123456789ab"):
        assert word in footer
    assert footer.count("\n") == 1  # one line each, so that the source note is not crowded out


@pytest.mark.parametrize("name", FIGURES)
def test_the_bands_are_explained_in_one_line(drawn, name):
    line = next(text.get_text() for text in texts(drawn[name]) if text.get_gid() == "explanation")
    assert line.startswith("Dark line: median of 32 runs; bands: middle half and 90 % of runs.")
    assert "\n" not in line
    assert "…" not in line


@pytest.mark.parametrize("name", FIGURES)
def test_the_hand_over_is_marked_where_history_ends(drawn, name):
    lines = [line for axes in drawn[name].axes for line in axes.lines if line.get_gid() == "hand-over"]
    assert lines
    assert all(line.get_xdata()[0] == pytest.approx(2026.0) for line in lines)


def test_observed_values_stand_only_in_the_panel_of_their_population(drawn):
    def marked(name: str) -> dict[str, int]:
        return {
            axes.get_title("left"): count
            for axes in drawn[name].axes
            if (count := sum(line.get_gid() == "observed" for line in axes.lines))
        }

    assert marked("adoption") == {
        "As the router sees it (price-shopping developers)": 6,
        "As the enterprise survey sees it (US firms)": 5,
    }
    assert marked("prices") == {"Price paid as the router sees it": 2}


def test_titles_tell_what_the_numbers_say(results, drawn):
    last = results.market.loc[results.market["month"] == results.market["month"].max(), "open_token_share"]
    title = drawn["adoption"].get_label()
    low, middle, high = (round(100 * float(np.quantile(last, q))) for q in (0.05, 0.5, 0.95))
    assert title.startswith(f"Open weights serve {middle} % of tokens in December 2030 (90 % of runs: {low}-{high} %)")


def test_an_open_lead_is_called_a_lead():
    made_up = MadeUp(runs=4, end="2026-12")
    made_up.market["gap_points"] = -5.0
    assert (
        draw("capability", made_up).get_label().startswith("The best open model leads the best closed one by 5.0 ECI")
    )


def test_two_renders_give_the_same_bytes(results):
    first, second = (render_all(results, ("png", "svg", "pdf"), ["adoption"]) for _ in range(2))
    assert list(first) == ["adoption.png", "adoption.svg", "adoption.pdf"]
    assert first == second


def test_rendering_makes_all_files_of_the_right_kind(results):
    files = render_all(results)
    assert sorted(files) == sorted(f"{name}.{kind}" for name in FIGURES for kind in ("png", "svg"))
    for name, content in files.items():
        if name.endswith("png"):
            assert content.startswith(b"\x89PNG")
            assert int.from_bytes(content[16:20], "big") == pytest.approx(2000, abs=1)
        else:
            ElementTree.fromstring(content)  # noqa: S314 our own file


def test_files_hold_no_date_and_no_version_of_the_drawing_library(results):
    for name, content in render_all(results, ("png", "svg", "pdf"), ["compute"]).items():
        for word in (b"Matplotlib", b"CreationDate", b"<dc:date>"):
            assert word not in content, name


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_titles_neither_break_nor_hide_the_footer(text):
    made_up = MadeUp(runs=2, end="2026-06", name=text, title=text)
    made_up.scenario["events"][0]["id"] = text
    figure = draw("compute", made_up)
    ElementTree.fromstring(figure_bytes(figure, "svg", "1"))  # noqa: S314 our own file
    assert b"script>" not in figure_bytes(figure, "svg", "1").replace(b"&lt;", b"")
    footer = next(one for one in texts(figure) if one.get_gid() == "footer")
    assert "result 0123456789ab" in footer.get_text() or "…" in footer.get_text()
    assert overlaps(figure) == []
    assert outside(figure) == []


@pytest.mark.parametrize("name", FIGURES)
def test_columns_that_are_not_filled_leave_a_word_and_no_warning(name):
    made_up = MadeUp(runs=3, end="2026-12")
    kept = ["run", "month"]
    for frame in (made_up.market, made_up.offers, made_up.segments, made_up.panels, made_up.labs):
        numbers = [c for c in frame.columns if c not in kept and frame[c].dtype == float]
        frame[numbers] = np.nan
    figure = draw(name, made_up)
    assert any("recorded" in text.get_text() for text in texts(figure))
    assert overlaps(figure) == []
    assert outside(figure) == []
    assert "nan" not in " ".join(text.get_text() for text in texts(figure))


@pytest.mark.parametrize("name", FIGURES)
def test_holes_in_some_runs_do_not_break(name):
    made_up = MadeUp(runs=6)
    for frame in (made_up.market, made_up.segments, made_up.panels):
        numbers = [c for c in frame.columns if frame[c].dtype == float]
        holes = uniform(stream_key(1, "holes"), np.arange(frame[numbers].size)).reshape(-1, len(numbers)) < 0.3
        frame[numbers] = frame[numbers].mask(holes)
    assert overlaps(draw(name, made_up)) == []


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize(
    "span",
    [
        {"end": "2026-01"},
        {"start": "2025-12", "end": "2025-12"},
        {"start": "2025-11", "end": "2026-10"},
        {"end": "2024-06", "hand_over": "2025-12"},
        {"start": "2026-01", "hand_over": "2025-12"},
        {"end": "2049-12"},
    ],
    ids=str,
)
def test_any_horizon_and_a_single_run_are_drawn(name, span):
    figure = draw(name, MadeUp(runs=1, **span))
    assert overlaps(figure) == []
    assert outside(figure) == []
    assert "90 % of runs" not in figure.get_label()
    assert any("no band" in text.get_text() for text in texts(figure))


def test_results_without_panels_are_drawn():
    made_up = MadeUp(runs=2, end="2026-06")
    made_up.panels = made_up.panels.iloc[:0]
    assert overlaps(draw("adoption", made_up)) == []
    assert overlaps(draw("prices", made_up)) == []


def test_an_unknown_figure_or_format_is_refused_with_the_nearest_name(results):
    with pytest.raises(UsageError, match="did you mean 'adoption'"):
        draw("adaption", results)
    with pytest.raises(UsageError, match="png, svg, pdf"):
        render_all(results, ("gif",))


def test_a_missing_column_is_named():
    made_up = MadeUp(runs=1, end="2026-01")
    made_up.market = made_up.market.drop(columns="closed_price")
    with pytest.raises(ResultError, match="closed_price"):
        draw("prices", made_up)


def test_crowded_control_events_keep_their_numbers_apart():
    made_up = MadeUp(runs=2)
    levers = {"lever": "export_control", "bloc": "CN"}
    made_up.scenario["events"] = [
        {"id": f"event-{n}", "date": f"2026-{1 + n % 11:02d}", **levers} for n in range(22)
    ] + [{"id": "not-compute", "date": "2026-01", "lever": "ban"}]
    figure = draw("compute", made_up)
    assert overlaps(figure) == []
    assert outside(figure) == []
    listed = next(text.get_text() for text in texts(figure) if "event-0" in text.get_text()).split("\n")
    assert listed[0] == "1  2026-01 event-0, event-11"
    assert listed[-1] == "8  2026-08 and 4 later dates"
    assert len(listed) == 8


def test_events_without_a_hand_on_compute_are_not_marked(results):
    made_up = MadeUp(runs=2, end="2026-12")
    made_up.scenario["events"] = [{"id": "ban", "date": "2026-03", "lever": "ban"}]
    figure = draw("compute", made_up)
    assert not [line for axes in figure.axes for line in axes.lines if line.get_gid() == "event"]
