"""Build the tables of a market from the drawn settings and the evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sim import evidence
from sim.market.labs import HostMarket
from sim.market.stages import hosting
from sim.market.stages.host_entry import LEAST_HOSTS
from sim.market.stages.releases import DEGREES
from sim.market.tables import NONE, OLDER, LabTable, LineTable, ReleaseTable
from sim.scenario.lab_fields import LABS
from sim.scenario.schema import BLOCS, CLASSES

OUTPUT_RATIO = 4.0  # output over input price where no list price is known: the usual ratio of 2024-25 lists


def lab_table(labs: Mapping[str, Mapping[str, Any]]) -> LabTable:
    """Return the table of labs in the order of the register."""
    names = tuple(labs)

    def column(name: str) -> np.ndarray:
        return np.array([float(labs[lab][name]) for lab in names])

    return LabTable(
        names=names,
        bloc=np.array([BLOCS.index(labs[lab]["bloc"] if "bloc" in labs[lab] else LABS[lab]["bloc"]) for lab in names]),
        openness=tuple(labs[lab]["openness"] for lab in names),
        openness_points=column("openness_points"),
        openness_delay=column("openness_delay_months"),
        degree=tuple(labs[lab]["degree"] for lab in names),
        price_rule=tuple(labs[lab]["price_rule"] for lab in names),
        active=column("active") > 0,
        adoption_value=column("adoption_value"),
        cadence=column("cadence_months"),
        compute_share=column("compute_share"),
        inflation=column("benchmark_inflation"),
        brand=column("brand"),
        strength=np.stack([column(f"strength_{c}") for c in CLASSES], axis=1),
        initial_awareness=column("initial_awareness"),
        research_compute=np.full(len(names), np.nan),
        knowledge=np.zeros(len(names)),
        data=np.zeros(len(names)),
        potential=np.full(len(names), np.nan),
        follows=np.zeros(len(names), bool),
        api_share=np.zeros(len(names)),
        serving_load=np.zeros(len(names)),
        load=np.zeros(len(names)),
    )


def line_table(labs: LabTable) -> LineTable:
    """Return the table of all lines of the evidence, empty of releases, sorted by lab and name.

    A lab without a line there has one, `main`, for its entry.
    """
    seen = {(labs.names.index(r.lab), r.line) for r in evidence.releases()}
    pairs = sorted(seen | {(lab, "main") for lab in range(len(labs.names)) if lab not in {own for own, _ in seen}})
    count = len(pairs)
    return LineTable(
        names=tuple(f"{labs.names[lab]}/{line}" for lab, line in pairs),
        lab=np.array([lab for lab, _ in pairs]),
        current=np.full(count, NONE),
        current_open=np.full(count, NONE),
        older=np.full((count, OLDER), NONE),
        published=np.full(count, -1),
        last_month=np.full(count, -1),
        next_month=np.full(count, np.nan),
        offset=np.zeros(count),
        hosts=np.full(count, LEAST_HOSTS),
    )


def release_row(
    release: evidence.Release,
    line: int,
    lab: int,
    *,
    index: float,
    technical: float,
    inflation: float,
    closed_margin: float,
    hosts: HostMarket,
    of_line: int,
) -> dict[str, Any]:
    """Return the columns of one replayed release (eqs. 39, 40).

    Parameters
    ----------
    release : evidence.Release
        What was observed.
    line, lab : int
        Row numbers.
    index : float
        Serving cost in the month of the release relative to February 2025.
    technical : float
        Cost of serving a model of its size at the time [USD/Mtok]; used for open releases.
    inflation : float
        Points by which the lab's releases score better on tests than in use.
    closed_margin : float
        Margin of closed labs over marginal cost, share of the price.
    hosts : HostMarket
        Who prices an open release that has no list price.
    of_line : int
        Hosts of the line this month.

    Returns
    -------
    dict
        Columns of `ReleaseTable`. An open release without a list price is priced as hosts would: cost plus markup. Else
        the seller's cost follows from its price and its margin, which for open releases is the hosts' markup.
    """
    input_price, output_price = release.input_price, release.output_price
    over_cost = float(hosts.price_over_cost(of_line, release.degree == "restricted_weights"))
    if np.isnan(input_price):
        input_price, output_price = hosting.split_price(technical * over_cost, OUTPUT_RATIO)
    blend = (3.0 * input_price + output_price) / 4.0
    return {
        "line": line,
        "lab": lab,
        "month": release.month,
        "superseded": ReleaseTable.FAR,
        "is_open": release.open,
        "of_open_line": release.open,
        "opens_at": ReleaseTable.FAR,
        "has_api": release.price_kind == "first_party" or not release.open,
        "on_device": release.on_device,
        "capability": release.capability,
        "inflation": inflation,
        "degree": DEGREES[release.degree],
        "input_price": input_price,
        "output_price": output_price,
        "posted": blend,
        "wanted": blend,
        "wedge": 0.0,
        "price_over_cost": over_cost if release.open else 1.0 / (1.0 - closed_margin),
        "cost_at_release": blend / over_cost if release.open else blend * (1.0 - closed_margin),
        "index_at_release": index,
        "full_load_cost": technical if release.open else np.nan,
        "active_params": release.active_params_b,
        "total_params": release.total_params_b,
    }
