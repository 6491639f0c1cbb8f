"""Stage 6: what labs earn, and their first-order conditions in markups (docs/model.md, section 4.6).

A lab earns k (p - c) + adoption value for a token on an offer with a list price, and the adoption value alone where
others serve its weights or adopters run them. The conditions are written in zeta form (Morrow and Skerlos 2011), which
stays well scaled where demand is thin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.market.stages.demand_panel import Block, BlockDemand, DemandPanel, Prepared, demand, evaluate, prepare
from sim.market.tables import Floats, Ints


@dataclass(frozen=True)
class MarkupConditions:
    """The first-order conditions at given prices; shapes (offers,), zero for offers without a list price."""

    markup: Floats  # USD/Mtok over cost that the condition asks for; NaN where nobody can choose the offer
    loaded_tokens: Floats  # Mtok/month times loading, Q
    own_slope: Floats  # Mtok^2/(month USD), Lambda
    gradient: Floats  # Mtok/month, derivative of the lab's profit by the list price


def margins(panel: DemandPanel, prices: Floats, cost: Floats, adoption_value: Floats) -> Floats:
    """Return what a token earns the lab whose weights it runs on [USD/Mtok], shape (rows, offers) (eq. 66)."""
    return panel.loading * np.where(panel.priced, prices - cost, 0.0) + adoption_value


def profits(panel: DemandPanel, owner: Ints, prices: Floats, cost: Floats, adoption_value: Floats) -> Floats:
    """Return each lab's profit, adoption value included [USD/month], shape (labs,) (eq. 66).

    Parameters
    ----------
    owner : array, shape (offers,)
        Lab whose weights an offer runs on, 0 or more.
    prices, cost, adoption_value : array, shape (offers,)
        List price, marginal cost at loading one, and value of a token beyond its price [USD/Mtok].
    """
    now = demand(panel, prices)
    tokens = panel.weight[:, None] * now.quantity * now.probability
    by_offer = (tokens * margins(panel, prices, cost, adoption_value)).sum(axis=0)
    return np.bincount(owner, by_offer).astype(np.float64)


def markups(panel: DemandPanel, owner: Ints, prices: Floats, cost: Floats, adoption_value: Floats) -> MarkupConditions:
    """Return the markups that the labs' first-order conditions ask for at given prices (eq. 67).

    With e_il what a token of offer l earns from row i, s_ij = alpha_i k_ij (v_i / pain_i) D' and weights left out,

        zeta_j = [Q_j - a_j L_j + sum_i s_ij (P_ij E_i,lab + (1/lambda - 1) P_j|nest E_i,lab in nest)] / Lambda_j
        Q_j = sum_i k_ij x_ij P_ij,      E_i = sum over own offers l of e_il x_il P_il
        Lambda_j = sum_i k_ij x_ij P_ij s_ij / lambda - k_ij^2 x'_ij P_ij,      L_j the same with one k_ij less

    Parameters
    ----------
    owner : array, shape (offers,)
        Lab whose weights an offer runs on, 0 or more.
    prices, cost, adoption_value : array, shape (offers,)
        List price, marginal cost at loading one, and value of a token beyond its price [USD/Mtok].
    """
    return conditions(prepare(panel, owner), prices, cost, adoption_value)


def conditions(ready: Prepared, prices: Floats, cost: Floats, adoption_value: Floats) -> MarkupConditions:
    """Return `markups` of a panel that is prepared already (eq. 67); arrays as there."""
    priced = ready.order[ready.priced]
    sums = np.zeros((4, len(priced)))
    for block in ready.blocks:
        row = row_terms(ready, block, prices, cost, adoption_value)
        steep = block.sensitivity / ready.panel.dissimilarity + ready.panel.term.concavity
        response = row.response * steep
        loaded = row.tokens * block.loading
        sums[0] += loaded.sum(axis=1)
        sums[1] += np.einsum("jb,jb->j", loaded, response)
        sums[2] += np.einsum("jb,jb->j", row.tokens, response)
        sums[3] += row.recaptured.sum(axis=1)
    return conditions_of_sums(sums, priced, prices, cost, adoption_value)


def conditions_of_sums(
    sums: Floats, priced: Ints, prices: Floats, cost: Floats, adoption_value: Floats
) -> MarkupConditions:
    """Return the conditions from Q, Lambda, L and the customers recaptured, shape (4, priced offers) (eq. 67)."""
    loaded, own, own_unloaded, recaptured = sums
    numerator = loaded - adoption_value[priced] * own_unloaded + recaptured
    markup = np.divide(numerator, own, out=np.full(len(priced), np.nan), where=own > 0.0)
    full = np.zeros((4, len(prices)))
    full[:, priced] = markup, loaded, own, numerator - (prices - cost)[priced] * own
    return MarkupConditions(*full)


def largest_capture(ready: Prepared, prices: Floats) -> float:
    """Return the largest probability that one workload chooses one lab.

    Below one half in every segment, solutions of the first-order conditions are equilibria (Allon, Federgruen and
    Pierson 2011, for single-product firms).
    """
    largest = 0.0
    for block in ready.blocks:
        chosen = evaluate(ready, block, prices[ready.order[ready.priced]]).probability
        largest = max(largest, float(ready.labs.sums(ready.cells.sums(chosen)).max()))
    return largest


@dataclass(frozen=True)
class RowTerms:
    """What the conditions add up over the rows of a block; shapes (priced offers, rows), weights included."""

    probability: Floats
    within: Floats
    tokens: Floats  # x P
    margin: Floats  # e, what a token earns
    response: Floats  # k (v / pain) D', fall of utility by the list price per unit of alpha
    choice: Floats  # s, alpha times the response
    lab_earnings: Floats  # E of the offer's lab
    nest_earnings: Floats  # E of the lab in the offer's nest
    recaptured: Floats  # s (P E_lab + (1/lambda - 1) P_nest E_nest)


@dataclass(frozen=True)
class Earnings:
    """What a block chooses and what that earns the labs whose weights it runs on; offers first, weights included."""

    now: BlockDemand
    probability: Floats  # (priced offers, rows)
    tokens: Floats  # (priced offers, rows)
    margin: Floats  # (priced offers, rows) USD/Mtok
    earned: Floats  # (offers, rows) USD/month


def earnings(ready: Prepared, block: Block, prices: Floats, cost: Floats, adoption_value: Floats) -> Earnings:
    """Return what each row of a block earns the labs at given list prices (eq. 66); prices as for `markups`."""
    columns = ready.order[ready.priced]
    now = evaluate(ready, block, prices[columns])
    probability = now.probability[ready.priced]
    tokens = probability * now.slope
    tokens *= block.weight * block.need
    margin = block.loading * (prices - cost)[columns, None]
    margin += adoption_value[columns, None]
    earned = now.probability * block.held_tokens
    earned *= adoption_value[ready.order, None]
    earned[ready.priced] = tokens * margin
    return Earnings(now, probability, tokens, margin, earned)


def row_terms(ready: Prepared, block: Block, prices: Floats, cost: Floats, adoption_value: Floats) -> RowTerms:
    """Return the parts of the first-order conditions for the rows of a block (eq. 67); prices as for `markups`."""
    lam = ready.panel.dissimilarity
    got = earnings(ready, block, prices, cost, adoption_value)
    in_cell = ready.cells.sums(got.earned)
    of_lab = ready.labs.sums(in_cell)
    response = block.rate * got.now.slope
    choice = response * block.sensitivity
    cell = ready.cell_of[ready.priced]
    lab_earnings, nest_earnings = of_lab[ready.lab_of[cell]], in_cell[cell]
    recaptured = got.probability * lab_earnings
    if lam < 1.0:
        recaptured += (1.0 / lam - 1.0) * got.now.within * nest_earnings
    recaptured *= choice
    return RowTerms(
        got.probability,
        got.now.within,
        got.tokens,
        got.margin,
        response,
        choice,
        lab_earnings,
        nest_earnings,
        recaptured,
    )
