"""The provenance of a result: what was run, with which program on which machine, and what came out of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import numpy as np

from sim import environment
from sim.columns import FLOAT, TABLES
from sim.content import content_hash, table_hashes
from sim.months import format_month
from sim.record import Tables

FORMAT, FORMAT_VERSION = "sim-results", 1


class ScenarioFacts(Protocol):
    """What a manifest reads of a scenario."""

    @property
    def name(self) -> str:
        """Name of the scenario."""
        ...

    @property
    def title(self) -> str:
        """Title of the scenario."""
        ...

    @property
    def files(self) -> Sequence[tuple[Any, str]]:
        """Path and SHA-256 of the scenario's file and of those it extends, in that order."""
        ...

    def resolved(self) -> dict[str, Any]:
        """Every value as run."""
        ...

    def content_hash(self) -> str:
        """Hash of all that changes a result."""
        ...


def run_key(
    scenario: ScenarioFacts, *, seed: int, runs: int, workloads: int, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what makes two runs the same: equal keys give equal content on one machine.

    Parameters
    ----------
    scenario : ScenarioFacts
        The scenario with all overrides applied.
    seed, runs, workloads : int
        As run.
    options : mapping
        Other choices that change the content (population, mechanisms left out, twin world); not workers or output.
    """
    return {
        "scenario": scenario.content_hash(),
        "seed": int(seed),
        "runs": int(runs),
        "workloads": int(workloads),
        "options": dict(sorted(options.items())),
        **environment.identity(),
    }


def build_manifest(
    scenario: ScenarioFacts,
    tables: Tables,
    *,
    seed: int,
    runs: int,
    workloads: int,
    options: Mapping[str, Any],
    started: datetime,
    seconds: float,
    command: Sequence[str] = (),
    overrides: Sequence[str] = (),
    warnings: Iterable[str] = (),
    checked: Sequence[str] = (),
    violations: Sequence[str] = (),
    not_filled: Sequence[str] = (),
    not_observed: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the manifest of a finished run; `sim.results.save` adds the list of files.

    Parameters
    ----------
    scenario : ScenarioFacts
        The scenario as run.
    tables : dict of dict of ndarray
        As from `sim.content.combine`.
    seed, runs, workloads, options
        As for `run_key`.
    started : datetime
        When the run began, with a time zone.
    seconds : float
        How long it took, by a monotonic clock [s].
    command : sequence of str
        Command line; empty when called from Python.
    overrides : sequence of str
        The ``--set path=value`` texts.
    warnings : iterable of str
        Each is listed once, in order.
    checked, violations : sequence of str
        Invariants watched during the run, and each breach; any breach makes the result invalid.
    not_filled : sequence of str
        ``table.column`` the model cannot fill yet.
    not_observed : sequence of str
        Panel series of the evidence that the model does not produce.
    """
    key = run_key(scenario, seed=seed, runs=runs, workloads=workloads, options=options)
    hashes = table_hashes(tables)
    whole = content_hash(hashes)
    begun = started.astimezone(UTC)
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "result_id": whole[:12],
        "content_hash": whole,
        "valid": not violations,
        "seed": key["seed"],
        "runs": key["runs"],
        "workloads": key["workloads"],
        "options": key["options"],
        "model_version": key["model_version"],
        "key": key,
        "scenario": {
            "name": scenario.name,
            "title": scenario.title,
            "hash": key["scenario"],
            "files": [{"path": environment.shown_path(path), "sha256": digest} for path, digest in scenario.files],
            "overrides": [environment.redacted(text) for text in overrides],
            "as_run": scenario.resolved(),
        },
        "tables": {
            name: {"rows": len(tables[name]["month"]), "columns": len(tables[name]), "sha256": hashes[name]}
            for name in TABLES
        },
        "months": _month_range(tables),
        "equilibrium_status": _status_counts(tables),
        "invariants": {"checked": list(checked), "violations": list(violations)},
        "columns_not_filled": list(not_filled),
        "columns_empty": empty_columns(tables),
        "panels_not_observed": list(not_observed),
        "warnings": [environment.redacted(text) for text in dict.fromkeys(warnings)],
        "git": environment.git_state(),
        "machine": environment.machine(),
        "process": {
            "command": [environment.redacted(text) for text in command],
            "started": begun.isoformat(timespec="seconds"),
            "ended": (begun + timedelta(seconds=seconds)).isoformat(timespec="seconds"),
            "seconds": round(seconds, 3),
            "peak_memory_bytes": environment.peak_memory(),
        },
    }


def _month_range(tables: Tables) -> dict[str, str] | None:
    months = tables["market"]["month"]
    if not len(months):
        return None
    return {"first": format_month(int(months.min())), "last": format_month(int(months.max()))}


def _status_counts(tables: Tables) -> dict[str, int]:
    statuses = tables["market"]["equilibrium_status"].tolist()
    texts = [status if status is not None else "none" for status in statuses]
    return {status: texts.count(status) for status in sorted(dict.fromkeys(texts))}


def empty_columns(tables: Tables) -> list[str]:
    """Return ``table.column`` for each value column that holds nothing but NaN in a table with rows."""
    return [
        f"{name}.{column.name}"
        for name, table in TABLES.items()
        for column in table.values
        if column.kind == FLOAT and len(tables[name]["month"]) and bool(np.isnan(tables[name][column.name]).all())
    ]


def to_json(manifest: Mapping[str, Any]) -> bytes:
    """Return the file: indented JSON, closed by a hash of the rest under ``manifest_sha256``."""
    plain = {name: value for name, value in manifest.items() if name != "manifest_sha256"}
    sealed = {**plain, "manifest_sha256": _seal(plain)}
    return (json.dumps(sealed, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def is_sealed(manifest: Mapping[str, Any]) -> bool:
    """Return whether a manifest read from a file is as it was written."""
    plain = {name: value for name, value in manifest.items() if name != "manifest_sha256"}
    return manifest.get("manifest_sha256") == _seal(plain)


def _seal(plain: Mapping[str, Any]) -> str:
    canonical = json.dumps(plain, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()
