"""The benchmark runs at a small size and compares what gives the same outcomes; its figures are not judged here."""

from __future__ import annotations

import numpy as np
import pytest

from tests import bench
from tests.engines import apart, as_mesa, as_numpy, moment
from tests.market.kernels import numpy_choice


def test_the_benchmark_measures_every_line_at_a_small_size(capsys):
    shown = bench.table(small=True)
    (machine, *engines), (same, *sweeps) = shown[bench.ENGINES], shown[bench.SWEEPS]
    assert (len(engines), len(sweeps), machine) == (21, 2, same)
    assert all(any(character.isdigit() for character in line[58:]) for line in engines + sweeps)
    assert capsys.readouterr().out.splitlines() == [machine, *engines, *sweeps]


def test_lines_go_to_their_places_on_the_pages(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- bench -->\n```text\nold\n```\n<!-- /bench -->\nb\n")
    for lines in (["one", "two"], ["three"]):
        bench.write({page: lines})
        assert page.read_text() == "a\n<!-- bench -->\n```text\n" + "\n".join(lines) + "\n```\n<!-- /bench -->\nb\n"
    for real in (bench.ENGINES, bench.SWEEPS):
        assert "\n<!-- bench -->\n" in real.read_text()
        assert "\n<!-- /bench -->\n" in real.read_text()


@pytest.fixture(scope="module", params=["2025-03", moment.MONTH])
def now(request):
    """A small market at its choices, in the history and after it."""
    return moment.moment(4000, request.param, nodes=128)


OTHER_WAYS = {
    "Mesa agents in plain Python": lambda now: by_agents(now, as_mesa.PlainWorkload),
    "Mesa agents with small arrays": lambda now: by_agents(now, as_mesa.ArrayWorkload),
    "textbook NumPy": lambda now: as_numpy.by_the_book(now, moment.before(now)),
    "NumPy in chunks": lambda now: as_numpy.in_chunks(now, moment.before(now), 256),
    "two threads": lambda now: moment.choose(now, moment.before(now), threads=2),
}


def by_agents(now, kind):
    """Return the outcome of a month of agents."""
    agents = as_mesa.Choices(now, kind)
    agents.step()
    return agents.outcome()


@pytest.mark.parametrize("way", OTHER_WAYS)
def test_every_way_to_choose_comes_to_the_same(now, way):
    ours, theirs = moment.choose(now, moment.before(now)), OTHER_WAYS[way](now)
    moved = ours.usage.release != now.market.usage.release
    assert moved.sum() > 100
    same = (ours.usage.release == theirs.usage.release) & (ours.usage.channel == theirs.usage.channel)
    assert (~same).sum() <= 1  # a draw may fall within rounding of an edge
    looks = np.concatenate([numpy_choice.who_looks(now.market, group, now.view)[0] for group in now.market.adopters])
    same = looks[same[looks]]  # that of the others, which they do not look after, moves in ours
    assert ours.usage.surplus[same] == pytest.approx(theirs.usage.surplus[same], rel=1e-4, abs=1e-3)
    assert ours.looked == pytest.approx(theirs.looked, rel=1e-12)
    assert np.count_nonzero(ours.looked) > 3


def test_the_distance_of_nodes_and_workloads_is_printed_and_zero_from_themselves():
    found = apart.measured(nodes=(64, 128), reference=128, workloads=500, runs=2, until="2026-03")
    fewer, same, workloads = found.values()
    assert all(of == (0.0, 0.0, 0.0) for of in same.values())
    assert all(of.rms > 0.0 and of.rms >= abs(of.mean) for of in [*fewer.values(), *workloads.values()])
    between = apart.organisations(nodes=64, workloads=300, populations=2, until="2026-02")
    assert all(as_is != without for as_is, without in zip(*(of.values() for of in between.values()), strict=True))
    assert apart.page(found, between).count("\n| `") == 3 * len(apart.COLUMNS)


def test_who_leads_open_weights_is_reported_by_pull_and_size():
    found = apart.tipping(pulls=(0.0, 5.0), sizes=(300,), populations=2, until="2025-06")
    (without, some), (strong, many) = found[0.0], found[5.0]
    assert 0.0 < without.share < strong.share <= 1.0  # what is used draws more use
    assert all(len(each[300]) == 2 and each[300][0] != each[300][1] for each in (some, many))
    assert apart.tipping_page(found).splitlines()[2].startswith(f"| 0 | {without.lab}, {without.share:.2f} | 300 | ")
