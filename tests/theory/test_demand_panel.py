"""Demand of a panel: identities, limits, derivatives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.market.stages import demand_panel
from sim.market.stages.demand_panel import DemandPanel, consumer_surplus, demand, price_derivatives
from sim.market.stages.price_terms import BILL, LINEAR, LOG
from sim.theory.panels import full_case, logit_case, normals, one_type, several_types
from sim.theory.slopes import differences

from .worlds import permuted, with_panel

TERMS = {"bill": BILL, "linear": LINEAR, "log": LOG}
CASE = full_case(5, rows=300)
PRICES = 1.6 * CASE.cost


def test_probabilities_are_shares_and_add_up_for_every_row():
    now = demand(CASE.panel, PRICES)
    for share in (now.probability, now.keep, now.outside):
        assert (share >= 0.0).all()
    total = now.probability.sum(axis=1) + now.keep + now.outside
    assert np.abs(total - 1.0).max() <= 1e-12
    for line in np.unique(CASE.panel.nest):
        members = CASE.panel.nest == line
        chosen = now.probability[:, members].sum(axis=1) > 0.0
        assert np.abs(now.within[chosen][:, members].sum(axis=1) - 1.0).max() <= 1e-12


def test_offers_that_cannot_be_chosen_are_not_chosen():
    now = demand(CASE.panel, PRICES)
    barred = np.isneginf(CASE.panel.fixed)
    assert barred.any()
    assert (now.probability[barred] == 0.0).all()
    assert (now.keep[np.isneginf(CASE.panel.keep)] == 0.0).all()
    assert (now.keep[np.isfinite(CASE.panel.keep)] > 0.0).all()


@pytest.mark.parametrize("size", [1e2, 1e4, 1e8, 1e300])
def test_huge_utilities_leave_finite_shares(size):
    case = one_type(3, 5)
    panel = replace(case.panel, fixed=case.panel.fixed * size)
    now = demand(panel, case.start)
    assert np.isfinite(now.probability).all()
    assert abs(now.probability.sum() + now.outside.sum() - 1.0) <= 1e-12


def test_a_constant_on_all_utilities_changes_nothing():
    panel = CASE.panel
    moved = replace(panel, fixed=panel.fixed + 7.0, keep=panel.keep + 7.0, outside=panel.outside + 7.0)
    before, after = demand(panel, PRICES), demand(moved, PRICES)
    assert np.abs(before.probability - after.probability).max() <= 1e-13
    assert np.abs(after.logsum - before.logsum - 7.0).max() <= 1e-12


@pytest.mark.parametrize(("shift", "share"), [(800.0, 0.0), (-800.0, 1.0)])
def test_the_outside_option_vanishes_or_takes_all_without_nan(shift, share):
    panel = replace(CASE.panel, fixed=CASE.panel.fixed + shift, keep=CASE.panel.keep + shift)
    now = demand(panel, PRICES)
    known = np.isfinite(panel.fixed).any(axis=1) | np.isfinite(panel.keep)
    assert np.abs(now.outside[known] - share).max() <= 1e-9
    assert np.isfinite(now.tokens).all()


def test_rows_and_offers_may_come_in_any_order():
    rows = np.argsort(normals(1, "rows", len(CASE.panel.weight)))
    offers = np.argsort(normals(1, "offers", len(CASE.cost)))
    other = permuted(CASE, rows, offers)
    before, after = demand(CASE.panel, PRICES), demand(other.panel, PRICES[offers])
    assert np.abs(before.probability[np.ix_(rows, offers)] - after.probability).max() <= 1e-12
    assert np.abs(before.tokens[offers] / after.tokens - 1.0).max() <= 1e-11


def test_a_row_split_in_unequal_parts_changes_nothing():
    panel = CASE.panel
    rows = np.append(np.arange(len(panel.weight)), 0)
    weight = panel.weight[rows].copy()
    weight[0], weight[-1] = panel.weight[0] / 3.0, panel.weight[0] * 2.0 / 3.0
    split = permuted(CASE, rows, np.arange(len(CASE.cost))).panel
    split = replace(split, weight=weight)
    assert np.abs(demand(split, PRICES).tokens / demand(panel, PRICES).tokens - 1.0).max() <= 1e-12


def test_money_in_other_units_gives_the_same_bits_for_powers_of_two():
    panel = CASE.panel
    dear = replace(panel, pain=1024.0 * panel.pain, base_price=1024.0 * panel.base_price)
    before, after = demand(panel, PRICES), demand(dear, 1024.0 * PRICES)
    assert (before.probability == after.probability).all()
    assert (before.tokens == after.tokens).all()


def test_block_size_does_not_change_probabilities(monkeypatch):
    before = demand(CASE.panel, PRICES)
    monkeypatch.setattr(demand_panel, "BLOCK", 7)
    assert (demand(CASE.panel, PRICES).probability == before.probability).all()


def test_one_type_has_independence_of_irrelevant_alternatives_and_several_types_do_not():
    for case, holds in ((one_type(4, 5), True), (several_types(4, 5, 30), False)):
        all_five = demand(case.panel, case.start).tokens
        fixed = case.panel.fixed.copy()
        fixed[:, 4] = -np.inf
        four = demand(replace(case.panel, fixed=fixed), case.start).tokens
        change = abs(all_five[0] / all_five[1] - four[0] / four[1])
        assert (change <= 1e-12) == holds
        assert holds or change > 1e-6


def test_a_clone_in_the_nest_gains_less_than_a_clone_on_its_own():
    def joint(nest: list[int], dissimilarity: float) -> float:
        case = logit_case(np.ones((1, 3)), np.ones(1), np.ones(1), np.ones(3))
        panel = replace(case.panel, nest=np.array(nest), dissimilarity=dissimilarity)
        return float(demand(panel, np.ones(3)).probability[0, 1:].sum())

    alone = joint([0, 1, 2], 1.0)
    assert alone == pytest.approx(2.0 / 4.0, abs=1e-14)
    together = joint([0, 1, 1], 0.4)
    assert together == pytest.approx(2.0**0.4 / (2.0 + 2.0**0.4), abs=1e-14)
    assert joint([0, 1, 1], 1.0) == pytest.approx(alone, abs=1e-14)
    assert joint([0, 1, 1], 0.01) < 0.34


def test_little_noise_picks_the_best_and_much_noise_picks_evenly():
    quality = np.array([[1.0, 2.0, 1.5]])
    for noise, right in ((1e-4, [0.0, 1.0, 0.0]), (1e8, [0.25] * 3)):
        case = logit_case(quality / noise, np.array([0.1 / noise]), np.ones(1), np.ones(3))
        assert np.abs(demand(case.panel, np.ones(3)).probability[0] - right).max() <= 1e-6


@pytest.mark.parametrize("name", ["bill", "linear", "log"])
@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("dissimilarity", [0.45, 1.0])
def test_price_derivatives_equal_differences(name, loaded, dissimilarity):
    panel = replace(CASE.panel, dissimilarity=dissimilarity, term=TERMS[name])
    panel = replace(panel, base_price=panel.base_price + 0.1 * panel.loading)  # a fixed part beside the list price
    if name == "log":
        panel = replace(panel, base_price=panel.base_price + 0.2)
    loading = panel.loading if loaded else np.ones_like(panel.loading)

    def tokens(prices: np.ndarray) -> np.ndarray:
        now = demand(panel, prices)
        return (panel.weight[:, None] * loading * now.quantity * now.probability).sum(axis=0)

    found = price_derivatives(panel, PRICES, loaded=loaded)
    for offer in np.flatnonzero(panel.priced):
        right = differences(tokens, PRICES, offer)
        assert np.abs(found[:, offer] - right).max() <= 1e-8 * np.abs(right).max()
    assert (found[:, ~panel.priced] == 0.0).all()


def test_own_price_lowers_own_tokens_and_raises_those_of_all_others():
    matrix = price_derivatives(CASE.panel, PRICES)
    sold = np.flatnonzero(CASE.panel.priced)
    assert (matrix[sold, sold] < 0.0).all()
    others = matrix[:, sold].copy()
    others[sold, np.arange(len(sold))] = 1.0
    assert (others > 0.0).all()


def test_derivatives_are_symmetric_and_negative_definite_where_price_is_linear():
    case = several_types(6, 7, 40)
    matrix = price_derivatives(case.panel, case.start)
    assert np.abs(matrix - matrix.T).max() <= 1e-14
    assert np.linalg.eigvalsh(matrix).max() < 0.0


def test_lost_customers_go_somewhere():
    case = several_types(7, 6, 25)
    now, step = demand(case.panel, case.start), 1e-6
    matrix = price_derivatives(case.panel, case.start)
    up = case.start.copy()
    up[2] += step
    outside = (case.panel.weight * (demand(case.panel, up).outside - now.outside)).sum() / step
    diversion = (matrix[:, 2].sum() - matrix[2, 2] + outside) / -matrix[2, 2]
    assert diversion == pytest.approx(1.0, abs=1e-5)
    outside_exact = (case.panel.weight * case.panel.price_sensitivity * now.outside * now.probability[:, 2]).sum()
    diversion = (matrix[:, 2].sum() - matrix[2, 2] + outside_exact) / -matrix[2, 2]
    assert abs(diversion - 1.0) <= 1e-12


def test_elasticities_of_one_type_have_the_textbook_form():
    case = one_type(8, 6)
    share = demand(case.panel, case.start).probability[0]
    elasticity = price_derivatives(case.panel, case.start) * case.start / share[:, None]
    right = np.tile(1.3 * case.start * share, (6, 1))
    right[np.diag_indices(6)] = -1.3 * case.start * (1.0 - share)
    assert np.abs(elasticity / right - 1.0).max() <= 1e-10


def test_surplus_never_falls_when_an_offer_is_added_or_a_price_cut():
    full = consumer_surplus(CASE.panel, PRICES)
    fixed = CASE.panel.fixed.copy()
    fixed[:, 3] = -np.inf
    assert consumer_surplus(replace(CASE.panel, fixed=fixed), PRICES) < full
    for offer in np.flatnonzero(CASE.panel.priced):
        cheaper = PRICES.copy()
        cheaper[offer] *= 0.9
        assert consumer_surplus(CASE.panel, cheaper) > full


def test_linear_and_log_are_the_limits_of_the_bill():
    need, pain = np.array([3.0]), np.array([7.0])
    small, large = np.array([1e-9]), np.array([1e12])
    assert BILL.disutility(small, need, pain) == pytest.approx(LINEAR.disutility(small, need, pain), rel=1e-8)
    assert BILL.disutility(large, need, pain) == pytest.approx(LOG.disutility(large, need, pain), rel=1e-8)
    assert BILL.quantity(large, need, pain) == pytest.approx(LOG.quantity(large, need, pain), rel=1e-8)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    name=st.sampled_from(["bill", "linear", "log"]),
    price=st.floats(1e-3, 1e3),
    need=st.floats(1e-3, 1e4),
    pain=st.floats(1e-2, 1e4),
)
def test_every_price_term_has_its_own_derivatives_and_roys_identity(name, price, need, pain):
    term = TERMS[name]

    def at(function, where):
        return float(function(np.array(where), np.array(need), np.array(pain)))

    step = 1e-5 * price
    slope = (at(term.disutility, price + step) - at(term.disutility, price - step)) / (2.0 * step)
    noise = 1e-11 * (1.0 + abs(at(term.disutility, price))) / step
    assert at(term.quantity, price) == pytest.approx(pain * slope, rel=1e-8, abs=pain * noise)
    bend = (at(term.quantity, price + step) - at(term.quantity, price - step)) / (2.0 * step)
    noise = 1e-11 * at(term.quantity, price) / step
    assert bend == pytest.approx(-term.concavity * at(term.quantity, price) ** 2 / pain, rel=1e-7, abs=noise)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weight": np.ones(3)}, "weight must have one value a row"),
        ({"loading": np.ones((2, 2))}, "loading must have the shape of fixed"),
        ({"loading": -CASE.panel.loading}, "loading must be 0 or more"),
        ({"base_price": CASE.panel.base_price - 1.0}, "base_price must be 0 or more"),
        ({"nest": np.zeros(2, int)}, "nest must have one value an offer"),
        ({"pain": 0.0 * CASE.panel.pain}, "pain must be positive"),
        ({"price_sensitivity": -CASE.panel.price_sensitivity}, "price_sensitivity must be positive"),
        ({"need": -CASE.panel.need}, "need must be 0 or more"),
        ({"weight": CASE.panel.weight * np.nan}, "weight must be 0 or more"),
        ({"dissimilarity": 0.0}, "dissimilarity must lie in"),
        ({"dissimilarity": 1.2}, "dissimilarity must lie in"),
        ({"outside": CASE.panel.outside - np.inf}, "outside must be finite"),
        ({"fixed": np.full_like(CASE.panel.fixed, np.inf)}, "fixed and keep must be finite or -inf"),
        ({"keep": np.full_like(CASE.panel.keep, np.inf)}, "fixed and keep must be finite or -inf"),
    ],
)
def test_a_wrong_panel_is_refused_by_name(change, words):
    with pytest.raises(ValueError, match=words):
        with_panel(CASE, **change)


def test_a_panel_may_have_a_single_offer_and_row():
    panel = DemandPanel(
        weight=np.ones(1),
        fixed=np.zeros((1, 1)),
        keep=np.full(1, -np.inf),
        outside=np.zeros(1),
        price_sensitivity=np.ones(1),
        need=np.ones(1),
        pain=np.ones(1),
        loading=np.ones((1, 1)),
        base_price=np.zeros((1, 1)),
        nest=np.zeros(1, int),
    )
    assert demand(panel, np.zeros(1)).probability[0, 0] == pytest.approx(0.5, abs=1e-15)


@pytest.mark.parametrize("name", ["bill", "linear"])
def test_derivatives_of_loaded_tokens_are_symmetric(name):
    """Surplus in USD is their potential by Roy's identity, row by row."""
    panel = replace(CASE.panel, term=TERMS[name])
    if name == "linear":
        panel = replace(panel, pain=100.0 * panel.pain)
    matrix = price_derivatives(panel, PRICES, loaded=True)
    assert np.abs(matrix - matrix.T).max() <= 1e-12 * np.abs(matrix).max()
    plain = price_derivatives(panel, PRICES)
    assert np.abs(plain - plain.T).max() > 1e-3 * np.abs(plain).max(), "tokens not weighted by loading need not be"
