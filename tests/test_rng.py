"""Random numbers: known answers, independence of order, and no trace of one stream in another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sim import rng

ROWS = np.arange(100_000)
BOUND = 5.0 / np.sqrt(len(ROWS))  # five standard errors of a correlation
MASK = 2**64 - 1


def splitmix64(state: int, count: int) -> list[int]:
    """Return the first outputs of splitmix64 as published, in plain integers."""
    found = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        found.append(z ^ (z >> 31))
    return found


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def test_bits_are_the_published_outputs_of_splitmix64():
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert rng.bits(1234567, range(5)).tolist() == published


@given(st.integers(0, MASK))
def test_bits_equal_a_sequential_generator_from_any_state(key):
    assert rng.bits(key, np.arange(7)).tolist() == splitmix64(key, 7)


@given(st.integers(0, MASK), st.text(max_size=12), st.integers(0, 2000))
def test_keys_of_streams_are_64_bits_and_answer_alike_each_time(seed, name, month):
    key = rng.stream_key(seed, name, month)
    assert 0 <= key <= MASK
    assert key == rng.stream_key(seed, name, month)


def test_keys_known_by_heart_do_not_move():
    assert [rng.stream_key(0, ""), rng.stream_key(1, "choice", 660), rng.run_seed(1, 3)] == [
        968999591178511036,
        8885940680748198134,
        7700762937752410427,
    ]


def test_order_and_chunks_change_no_number():
    key = rng.stream_key(5, "any")
    whole = rng.uniform(key, np.arange(1000))
    backwards = rng.uniform(key, np.arange(1000)[::-1])[::-1]
    chunks = np.concatenate([rng.uniform(key, np.arange(a, min(a + 7, 1000))) for a in range(0, 1000, 7)])
    single = np.array([rng.uniform(key, row) for row in range(1000)])
    assert np.array_equal(whole, backwards)
    assert np.array_equal(whole, chunks)
    assert np.array_equal(whole, single)
    assert np.array_equal(whole.reshape(10, 100), rng.uniform(key, np.arange(1000).reshape(10, 100)))


@pytest.mark.parametrize("extreme", [0, MASK])
def test_uniforms_stay_inside_the_open_interval_at_the_ends(monkeypatch, extreme):
    monkeypatch.setattr(rng, "bits", lambda key, rows: np.full(np.shape(rows), extreme, np.uint64))
    u = rng.uniform(0, np.arange(2))
    assert np.all((u > 0.0) & (u < 1.0))
    assert np.all(np.isfinite(rng.normal(0, np.arange(2))))


def test_uniforms_at_both_ends_are_mirror_images(monkeypatch):
    monkeypatch.setattr(rng, "bits", lambda key, rows: np.array([0, MASK], np.uint64))
    low, high = rng.uniform(0, np.arange(2))
    assert low == 1.0 - high


def test_uniforms_are_uniform():
    u = rng.uniform(rng.stream_key(1, "uniformity"), ROWS)
    assert stats.kstest(u, "uniform").pvalue > 1e-3
    counts = np.bincount((u * 256).astype(int), minlength=256)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_normals_have_the_quantiles_of_the_normal():
    z = rng.normal(rng.stream_key(1, "normality"), ROWS)
    assert stats.kstest(z, "norm").pvalue > 1e-3
    assert np.quantile(z, [0.025, 0.5, 0.975]) == pytest.approx([-1.96, 0.0, 1.96], abs=0.03)


def test_normals_rise_with_the_uniform_behind_them():
    key = rng.stream_key(1, "monotone")
    order = np.argsort(rng.uniform(key, ROWS[:1000]))
    assert np.all(np.diff(rng.normal(key, ROWS[:1000])[order]) > 0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("choice", 660, 1), ("review", 660, 1)),
        (("choice", 660, 1), ("choice", 661, 1)),
        (("choice", 660, 1), ("choice", 660, 2)),
        (("choice", 660, 0), ("choice", 660, 2**63)),
        (("taste line:A/x", 0, 7), ("taste line:A/y", 0, 7)),
    ],
    ids=["streams", "months", "seeds", "distant seeds", "similar names"],
)
def test_neighbouring_streams_are_uncorrelated(one, other):
    a, b = (rng.uniform(rng.stream_key(seed, name, month), ROWS) for name, month, seed in (one, other))
    assert abs(correlation(a, b)) < BOUND
    assert abs(correlation(a[1:], b[:-1])) < BOUND


@pytest.mark.parametrize("lag", [1, 2, 12, 256])
def test_neighbouring_rows_are_uncorrelated(lag):
    u = rng.uniform(rng.stream_key(3, "rows"), ROWS)
    assert abs(correlation(u[lag:], u[:-lag])) < BOUND


def test_neighbouring_seeds_are_uncorrelated_in_one_number():
    first = np.array([rng.uniform(rng.stream_key(seed, "one"), 0) for seed in range(4001)])
    assert abs(correlation(first[1:], first[:-1])) < 5.0 / np.sqrt(4000)


def test_replicates_of_neighbouring_seeds_share_no_seed():
    seeds = [rng.run_seed(seed, replicate) for seed in range(20) for replicate in range(1000)]
    assert len(set(seeds)) == len(seeds)


def test_replicates_are_uncorrelated():
    a, b = (rng.uniform(rng.stream_key(rng.run_seed(1, k), "choice", 660), ROWS) for k in (0, 1))
    assert abs(correlation(a, b)) < BOUND


def test_no_two_purposes_of_a_run_share_a_key(monkeypatch, small_scenario):
    from sim.market.market import Market

    seen: dict[int, tuple] = {}
    plain = rng.stream_key

    def registering(seed: int, name: str, month: int = 0) -> int:
        key = plain(seed, name, month)
        assert seen.setdefault(key, (seed, name, month)) == (seed, name, month)
        return key

    monkeypatch.setattr(rng, "stream_key", registering)
    market = Market(small_scenario.draw(0))
    market.run()
    market.close()
    months = market.settings.end - market.settings.start + 1
    used = {name for _, name, _ in seen.values()}
    assert {"choice", "review", "upgrade", "value", "weyl:rows"} <= used
    assert sum(name == "choice" for _, name, _ in seen.values()) == months
    assert len(seen) > 3 * months + len(market.lines.names)
