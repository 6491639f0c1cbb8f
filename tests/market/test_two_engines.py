"""Two engines, one model: workloads that draw come to the shares of taste nodes as their number grows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from .worlds import changed, outcomes

HEADLINES = (
    "open_workload_share",
    "open_token_share",
    "open_spend_share",
    "chinese_open_workload_share",
    "chinese_open_token_share",
    "closed_price",
    "hhi_tokens",
    "total_tokens",
    "total_spend",
    "consumer_surplus",
)
SCENARIOS = ("baseline", "tight-controls", "no-open-weights")
SIZES = (1000, 4000, 16000)
SEEDS = 12
NODES = 4096  # that set the prices of both engines and carry the population without noise
FINE = 16384
ENOUGH = 65536  # the error of 16,384 is as large as that of the draws here


def settings_of(name: str):
    from sim.scenario.load import load_scenario

    return load_scenario(name, until="2026-12").draw(0)


def last(settings) -> np.ndarray:
    """Return the headlines of the last year, relative where they have units, shape (headlines,)."""
    table = outcomes(settings)["market"]
    return np.array([np.mean(np.asarray(table[name][-12:], float)) for name in HEADLINES])


def test_shares_of_nodes_are_near_what_many_workloads_choose():
    settings = replace(settings_of("baseline"), nodes=1024, end=settings_of("baseline").history_until)
    nodes = last(replace(settings, population="mean-field"))
    people = np.mean([last(replace(settings, workloads=8000, population_seed=seed)) for seed in range(4)], axis=0)
    share = [HEADLINES.index(name) for name in HEADLINES if name.endswith("share")]
    assert np.abs(nodes - people)[share].max() <= 0.03
    assert np.abs(nodes / people - 1.0).max() <= 0.12


def people(settings, workloads: int, seeds: int) -> np.ndarray:
    """Return the headlines of populations that differ by their draws alone, shape (seeds, headlines)."""
    drawn = (replace(settings, workloads=workloads, population_seed=100 * workloads + seed) for seed in range(seeds))
    return np.array([last(one) for one in drawn])


@pytest.mark.long
@pytest.mark.parametrize("name", SCENARIOS)
def test_workloads_come_to_the_nodes_as_the_root_of_their_number(name, capsys):
    settings = replace(settings_of(name), nodes=NODES)
    limit = last(replace(settings, population="mean-field"))
    quadrature = np.abs(limit / last(replace(settings, population="mean-field", nodes=FINE)) - 1.0)
    found = [people(settings, size, SEEDS) for size in SIZES]
    spread = np.array([each.std(axis=0, ddof=1) / limit for each in found])
    bias, error = found[-1].mean(axis=0) / limit - 1.0, spread[-1] / np.sqrt(SEEDS)
    slope = np.polyfit(np.log(SIZES), np.log(spread), 1)[0]
    with capsys.disabled():
        print(f"\n{name}: slope of log sd on log N {slope.mean():.3f}")
        for k, column in enumerate(HEADLINES):
            print(f"  {column:30} slope {slope[k]:6.3f}  bias at {SIZES[-1]} {bias[k]:8.4f}")
            print(f"  {'':30} Monte-Carlo error {error[k]:.4f}  nodes {quadrature[k]:.4f}")
    assert slope.mean() == pytest.approx(-0.5, abs=0.1)
    # Both the draws and the nodes err; the nodes' error is judged by four times as many of them.
    allowed = 3.0 * np.hypot(error, np.maximum(quadrature, np.median(quadrature)))
    assert (np.abs(bias) <= allowed).all()


@pytest.mark.long
@pytest.mark.parametrize("name", SCENARIOS)
def test_what_sets_many_workloads_apart_from_many_nodes_are_organisations(name, capsys):
    """On nodes enough, and where a vendor used elsewhere costs no less, the rest is the error of the draws."""
    settings = changed(settings_of(name), {"demand.multi_home_discount": 0.0}, nodes=ENOUGH)
    limit = last(replace(settings, population="mean-field"))
    found = people(settings, 4 * SIZES[-1], SEEDS) / limit - 1.0
    bias, error = found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(SEEDS)
    with capsys.disabled():
        print(f"\n{name}: bias, Monte-Carlo error, ratio")
        for column, *values in zip(HEADLINES, bias, error, bias / error, strict=True):
            print(f"  {column:30} {values[0]:8.4f} {values[1]:8.4f} {values[2]:6.1f}")
    assert (
        np.abs(bias) <= 4.0 * error
    ).all()  # thirty columns, eleven degrees of freedom: one in 16 would fail by luck
