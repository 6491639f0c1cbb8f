"""Random numbers as a pure function of (seed, stream, month, row, column).

One counter hash, the finaliser of splitmix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number
generators", OOPSLA), keyed by what a number is for instead of by when it is drawn. No state, so the order of
calls, the number of rows, a policy or a worker count changes nobody's luck: two scenarios that share a seed
share every draw (common random numbers).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

_GOLDEN, _FACTOR_1, _FACTOR_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_MASK = (1 << 64) - 1
_SHIFT_1, _SHIFT_2, _SHIFT_3, _SHIFT_52, _ONE = (np.uint64(bits) for bits in (30, 27, 31, 12, 1))
GOLDEN, _M1, _M2 = np.uint64(_GOLDEN), np.uint64(_FACTOR_1), np.uint64(_FACTOR_2)
SCHEME = "splitmix64-counter-2"  # recorded in every manifest; changes when any draw would change


def mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the splitmix64 finaliser of each element; `z` is left alone."""
    z = (z ^ (z >> _SHIFT_1)) * _M1
    z = (z ^ (z >> _SHIFT_2)) * _M2
    return z ^ (z >> _SHIFT_3)


def _mix_int(z: int) -> int:
    z = ((z ^ (z >> 30)) * _FACTOR_1) & _MASK
    z = ((z ^ (z >> 27)) * _FACTOR_2) & _MASK
    return z ^ (z >> 31)


def stream_key(seed: int, name: str, month: int = 0) -> int:
    """Return the 64-bit key of a stream.

    Parameters
    ----------
    seed : int
        Seed of the run, 0 <= seed < 2**64.
    name : str
        What the numbers are for; two purposes never share a name.
    month : int
        Month number, 0 for draws made once.
    """
    return _mix_int((_stream(seed, name) + (month + 1) * _GOLDEN) & _MASK)


@lru_cache(maxsize=4096)  # streams of a few runs; a hash byte by byte is slow
def _stream(seed: int, name: str) -> int:
    key = 0xCBF29CE484222325  # FNV-1a over the name (Fowler, Noll and Vo), then mixed with the seed
    for byte in name.encode():
        key = ((key ^ byte) * 0x100000001B3) & _MASK
    return _mix_int(key ^ _mix_int((seed + _GOLDEN) & _MASK))


def bits(key: int | NDArray[np.uint64], rows: ArrayLike) -> NDArray[np.uint64]:
    """Return 64 random bits for each row number of a stream, in the shape of `rows`."""
    rows = np.asarray(rows, dtype=np.uint64)
    if rows.ndim:
        return mix(np.uint64(key) + (rows + _ONE) * GOLDEN)
    counter = (int(rows) + 1) * _GOLDEN & _MASK  # NumPy warns where a scalar wraps around, an array does not
    if isinstance(key, np.ndarray):
        return mix(key + np.uint64(counter))
    return np.uint64(_mix_int((int(key) + counter) & _MASK))  # pyright: ignore[reportReturnType]


def uniform(key: int | NDArray[np.uint64], rows: ArrayLike) -> NDArray[np.float64]:
    """Return uniforms in the open interval (0, 1), one for each row number.

    They are the middles of 2**52 equal cells: with 53 bits the middle of the last cell would round to one, and its
    normal would be infinite.
    """
    return ((bits(key, rows) >> _SHIFT_52).astype(np.float64) + 0.5) * 2.0**-52


def normal(key: int | NDArray[np.uint64], rows: ArrayLike) -> NDArray[np.float64]:
    """Return standard normals by inverse CDF, one for each row number."""
    from scipy.special import ndtri

    return ndtri(uniform(key, rows))


def run_seed(seed: int, replicate: int) -> int:
    """Return the seed of one replicate; replicate k of every scenario with the same `seed` shares it."""
    return stream_key(seed, "replicate", replicate)
