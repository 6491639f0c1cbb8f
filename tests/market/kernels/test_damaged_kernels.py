"""Files of kernels that are cut off, changed, or another's are as good as none."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from numba.core.registry import cpu_target

from sim.market.kernels.kept import HASH, Kept

TABLE = np.arange(200_000.0)  # so large that Numba takes its address into the code


def twice(x):
    return 2.0 * x


def looked_up(at):
    return TABLE[at]


def compiled(function, folder):
    """Return a function that is kept in a folder, not yet called."""
    made = numba.njit(function)
    made._cache = Kept(function, folder)
    return made


def found(function, folder, argument=numba.float64):
    """Return whether a process that starts now would find the code of a function."""
    return Kept(function, folder).load_overload((argument,), cpu_target.target_context) is not None


@pytest.fixture
def file(tmp_path):
    """The file of a function that was compiled."""
    assert compiled(twice, tmp_path)(1.5) == 3.0
    (path,) = tmp_path.iterdir()
    assert found(twice, tmp_path)
    return path


def test_what_is_cut_off_anywhere_is_not_found(file, tmp_path):
    whole = file.read_bytes()
    for length in (0, 1, HASH - 1, HASH, HASH + 1, *range(97, len(whole), 97), len(whole) - 1):
        file.write_bytes(whole[:length])
        assert not found(twice, tmp_path), length
    file.write_bytes(whole + b"\0")
    assert not found(twice, tmp_path)
    file.write_bytes(whole)
    assert found(twice, tmp_path)


def test_a_changed_bit_anywhere_is_noticed(file, tmp_path):
    whole = file.read_bytes()
    for place in (*range(0, len(whole), 97), len(whole) - 1):
        other = bytearray(whole)
        other[place] ^= 1 << place % 8
        file.write_bytes(other)
        assert not found(twice, tmp_path), place


def test_what_is_damaged_is_compiled_anew_and_replaced(file, tmp_path):
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert compiled(twice, tmp_path)(1.5) == 3.0
    assert list(tmp_path.iterdir()) == [file]
    again = compiled(twice, tmp_path)
    assert again(1.5) == 3.0
    assert sum(again.stats.cache_hits.values()) == 1


def test_a_file_under_the_name_of_another_is_not_taken_for_it(file, tmp_path):
    name, one = file.name, file.read_bytes()
    assert not found(twice, tmp_path, numba.int64)
    assert compiled(twice, tmp_path)(2) == 4.0
    (other,) = (path for path in tmp_path.iterdir() if path.name != name)
    other.write_bytes(one)
    assert not found(twice, tmp_path, numba.int64)


def test_code_with_an_address_in_it_is_not_kept(tmp_path):
    assert compiled(looked_up, tmp_path)(7) == 7.0
    assert list(tmp_path.iterdir()) == []
