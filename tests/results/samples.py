"""A small made-up market whose books balance, for tests of recording, storage and export."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from sim.content import combine
from sim.manifest import build_manifest
from sim.months import parse_month
from sim.record import Record, Tables
from sim.results import Results

START = parse_month("2025-10")
LABS = np.array(["Aleph", "Bet", "Gimel"], dtype=object)
OFFER_LABS = np.array(["Aleph", "Aleph", "Bet", "Gimel", "Gimel"], dtype=object)
OFFER_OPEN = np.array([0.0, 1.0, 0.0, 1.0, 1.0])


class MadeUpScenario:
    """Stands for a loaded scenario."""

    def __init__(self, name: str = "made-up", title: str = "A made-up market", distrust: float = 2.5):
        self.name, self.title = name, title
        self.files = [("/somewhere/made-up.yaml", "0" * 64)]
        self.distrust = distrust

    def resolved(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "title": self.title,
            "horizon": {"start": "2025-10", "history_until": "2025-12", "end": "2026-03"},
            "parameters": {"demand.enterprise.distrust": {"value": self.distrust, "source": "made up"}},
            "events": [{"id": "thaw", "date": "2026-01", "quota": 1000.0}],
        }

    def content_hash(self) -> str:
        return f"{self.name}-{self.distrust}"


def recorded_run(replicate: int, months: int = 6) -> Tables:
    """Return the tables of one run in which shares, money and tokens add up."""
    random = np.random.default_rng(replicate)
    record = Record(START, START + months - 1)
    for month in range(START, START + months):
        workloads, tokens = (random.dirichlet(np.ones(5)) for _ in range(2))
        spend = random.dirichlet(np.ones(3)) * 1e9
        hosts, own = 2e8, 1e8
        by_lab = [lab == OFFER_LABS for lab in LABS]
        record.write_market(
            month,
            open_workload_share=workloads @ OFFER_OPEN,
            open_token_share=tokens @ OFFER_OPEN,
            closed_price=5.0 + random.random(),
            open_price=0.5 + random.random(),
            gap_months=6.0,
            total_tokens=4e6,
            total_spend=spend.sum() + hosts + own,
            spend_labs=spend.sum(),
            spend_hosts=hosts,
            spend_self_host=own,
        )
        if month > START + 1:
            record.write_market(month, price_at_eci_140=10.0 * random.random(), equilibrium_status="nash")
        record.append(
            "labs",
            month,
            lab=LABS,
            bloc=["US", "CN", "EU"],
            capability=random.normal(130, 5, 3),
            workload_share=[workloads[rows].sum() for rows in by_lab],
            token_share=[tokens[rows].sum() for rows in by_lab],
            spend_share=random.dirichlet(np.ones(3)),
            revenue=spend,
        )
        record.append(
            "offers",
            month,
            lab=OFFER_LABS,
            line=["a", "b", "c", "d", "d"],
            release=["a-1", "b-1", "c-1", "d-1", "d-1"],
            channel=["lab_api", "host", "lab_api", "host", "self_host"],
            open_weights=OFFER_OPEN,
            list_price=random.random(5),
            workload_share=workloads,
            token_share=tokens,
        )
        record.append(
            "segments",
            month,
            group=["indie", "startup", "ordinary", "public"],
            bloc=["US", "CN", "EU", "ROW"],
            workloads=random.random(4) * 1000,
            tokens=np.full(4, 1e6),
            spend=np.full(4, (spend.sum() + hosts + own) / 4),
        )
        record.append("panels", month, panel="router", series=["open_token_share", "x"], value=random.random(2))
    return record.tables()


def made_up_results(runs: int = 3, months: int = 6, tables: Tables | None = None, **scenario: Any) -> Results:
    """Return results of a made-up ensemble, ready to be saved."""
    made_up = MadeUpScenario(**scenario)
    if tables is None:
        tables = combine([recorded_run(run, months) for run in range(runs)])
    manifest = build_manifest(
        made_up,
        tables,
        seed=1,
        runs=runs,
        workloads=100,
        options={"population": "agents"},
        started=datetime(2026, 1, 1, tzinfo=UTC),
        seconds=1.0,
        command=["sim", "run", "made-up.yaml"],
    )
    return Results(tables, manifest, made_up.resolved(), f"name: {made_up.name}\n")
