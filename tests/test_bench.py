"""The benchmark runs at a small size; its figures are not judged here."""

from tests import bench


def test_the_benchmark_measures_every_line_at_a_small_size(capsys):
    measured = bench.table(small=True)
    assert len(measured) == 8
    assert all(any(character.isdigit() for character in found) for _, found, _ in measured)
    assert len(capsys.readouterr().out.splitlines()) == 9
