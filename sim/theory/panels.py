"""Markets for the benchmarks, built in code from keyed random numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sim import rng
from sim.market.stages.demand_panel import DemandPanel
from sim.market.stages.price_terms import BILL, LINEAR, PriceTerm
from sim.market.tables import Floats, Ints


@dataclass(frozen=True)
class Case:
    """A panel with what its labs are and pay; shapes (offers,)."""

    panel: DemandPanel
    owner: Ints
    cost: Floats  # USD/Mtok
    adoption_value: Floats  # USD/Mtok
    start: Floats  # USD/Mtok


def normals(seed: int, name: str, *shape: int) -> Floats:
    """Return keyed standard normals of a shape."""
    return rng.normal(rng.stream_key(seed, f"theory {name}"), np.arange(int(np.prod(shape))).reshape(shape))


def uniforms(seed: int, name: str, *shape: int) -> Floats:
    """Return keyed uniforms of a shape."""
    return rng.uniform(rng.stream_key(seed, f"theory {name}"), np.arange(int(np.prod(shape))).reshape(shape))


def logit_case(
    quality: Floats,
    price_sensitivity: Floats,
    weight: Floats,
    cost: Floats,
    *,
    owner: Ints | None = None,
    term: PriceTerm = LINEAR,
) -> Case:
    """Return a plain logit with unit demand: no nests, no self-hosting, no adoption value.

    Parameters
    ----------
    quality : array, shape (types, offers)
        Utility at a price of zero; that of the outside option is zero.
    price_sensitivity, weight : array, shape (types,)
    cost : array, shape (offers,)
    owner : array, shape (offers,), optional
        By default every offer is a firm of its own.
    term : PriceTerm
        How the price enters.
    """
    types, offers = quality.shape
    ones = np.ones(types)
    panel = DemandPanel(
        weight=weight,
        fixed=quality,
        keep=np.full(types, -np.inf),
        outside=np.zeros(types),
        price_sensitivity=price_sensitivity,
        need=ones,
        pain=ones,
        loading=np.ones((types, offers)),
        base_price=np.zeros((types, offers)),
        nest=np.arange(offers),
        term=term,
    )
    owner = np.arange(offers) if owner is None else owner
    return Case(panel, owner, cost, np.zeros(offers), cost + 1.0)


def one_type(seed: int, offers: int, *, owner: Ints | None = None, term: PriceTerm = LINEAR) -> Case:
    """Return a plain logit of one type whose offers differ in quality and cost; alpha is 1.3."""
    quality = 1.0 + normals(seed, "quality", 1, offers)
    cost = 0.5 + uniforms(seed, "cost", offers)
    return logit_case(quality, np.array([1.3]), np.ones(1), cost, owner=owner, term=term)


def several_types(seed: int, offers: int, types: int, owner: Ints | None = None) -> Case:
    """Return a plain logit of types that differ in price sensitivity and in the value of one characteristic."""
    character = normals(seed, "character", offers)
    quality = 1.0 + normals(seed, "quality", offers) + normals(seed, "tastes", types, 1) * character
    alpha = np.exp(0.3 * normals(seed, "alpha", types))
    weight = uniforms(seed, "weight", types)
    cost = 0.5 + uniforms(seed, "cost", offers)
    return logit_case(quality, alpha, weight / weight.sum(), cost, owner=owner)


def full_case(seed: int, rows: int = 240, labs: int = 4, term: PriceTerm = BILL, money: float = 1.0) -> Case:
    """Return a market with all that the model has: bills, lines as nests of channels, hosts and own machines.

    Each lab has three lines: a closed one, and two whose weights are open too, sold by the lab, by hosts and run on
    own machines, where the lab earns the adoption value alone. Needs are lognormal, some offers are not known to
    some workloads, some workloads may keep what they use.

    Parameters
    ----------
    money : float
        Unit of money: costs, pains, the cost of doing without and adoption values are multiplied by it.
    """
    lines = 3 * labs
    nest = np.repeat(np.arange(lines), np.tile([1, 3, 3], labs))
    offers = len(nest)
    channel = np.arange(offers) - np.searchsorted(nest, nest)
    owner = nest // 3
    need = np.exp(normals(seed, "need", rows) + 2.0)
    pain = money * 20.0 * need**0.5
    alpha = 2.0 * np.exp(0.4 * normals(seed, "alpha", rows))
    cost = money * np.exp(0.5 * normals(seed, "cost", lines))[nest]
    sold = channel == 0
    fixed = 1.5 + normals(seed, "line", lines)[nest] + normals(seed, "taste", rows, lines)[:, nest]
    fixed = fixed - 0.5 * (channel == 2) * normals(seed, "staff", rows)[:, None] ** 2
    fixed[uniforms(seed, "known", rows, labs)[:, owner] < 0.2] = -np.inf
    served = 1.3 * cost * np.exp(0.5 * uniforms(seed, "own price", rows, offers))
    panel = DemandPanel(
        weight=0.5 + uniforms(seed, "weight", rows),
        fixed=fixed,
        keep=np.where(uniforms(seed, "keeps", rows) < 0.5, -np.inf, 0.5),
        outside=-alpha * np.log1p(money * 3.0 * need / pain),
        price_sensitivity=alpha,
        need=need,
        pain=pain,
        loading=np.where(sold, 0.5 + uniforms(seed, "loading", rows)[:, None], 0.0),
        base_price=np.where(sold, 0.0, served),
        nest=nest,
        dissimilarity=0.6,
        term=term,
    )
    adoption = money * 0.2 * uniforms(seed, "adoption", labs)[owner]
    return Case(panel, owner, cost, adoption, 2.0 * cost)


def joint_ownership(case: Case) -> Case:
    """Return the case with all offers in one hand."""
    return replace(case, owner=np.zeros_like(case.owner))
