"""The files that hold the plan of a sweep: written before anything runs, believed only if every hash is right."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim import manifest, storage
from sim.errors import ResultError
from sim.experiment.plan import FORMAT, FORMAT_VERSION, Plan, design_hash
from sim.parquet import file_bytes, read_here

PLAN, DESIGN = "plan.json", "design.parquet"


def plan_files(plan: Plan) -> dict[str, bytes]:
    """Return the files that hold a plan: relative name -> content."""
    pairs = zip(plan.facts["scenarios"], plan.scenarios, strict=True)
    found = {entry["file"]: text.encode() for entry, text in pairs}
    design = _design_file(plan)
    facts = {**plan.facts, "design_file": hashlib.sha256(design).hexdigest()}
    return {PLAN: manifest.to_json(facts), DESIGN: design, **found}


def _design_file(plan: Plan) -> bytes:
    """Return the design as Parquet: cell, scenario, then one column for each factor, its unit in the metadata."""
    import pyarrow as pa

    places = range(len(plan.scenarios))
    names = [plan.facts["scenarios"][place]["name"] for place in places for _ in range(plan.points)]
    fields = [pa.field("cell", pa.int32(), False), pa.field("scenario", pa.string(), False)]
    arrays = [pa.array(np.arange(plan.cells, dtype=np.int32)), pa.array(names)]
    for factor in plan.facts["factors"]:
        column = plan.columns[factor["path"]]
        values = np.tile(column, len(plan.scenarios))
        words = column.dtype == object
        arrays.append(pa.array(values.tolist() if words else values, type=pa.string() if words else pa.float64()))
        about = {"unit": factor["unit"], "kind": factor["kind"]}
        fields.append(pa.field(factor["path"], arrays[-1].type, False, metadata=about))
    return file_bytes(pa.Table.from_arrays(arrays, schema=pa.schema(fields)))


def read_plan(folder: Path) -> Plan:
    """Return the plan in a sweep folder, every file of it checked.

    Raises
    ------
    ResultError
        If it is missing, of another program, or damaged.
    """
    facts = read_facts(folder)
    texts = []
    for entry in facts["scenarios"]:
        data = storage.read_bytes(folder / entry["file"])
        if hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise ResultError(f"{folder / entry['file']}: damaged: its content does not match the hash in {PLAN}")
        texts.append(data.decode())
    columns = _read_design(folder / DESIGN, facts)
    return Plan(facts, tuple(texts), columns)


def read_facts(folder: Path) -> dict[str, Any]:
    """Return the content of ``plan.json``, its seal checked.

    Raises
    ------
    ResultError
        If it is missing, of another program, or damaged.
    """
    path = folder / PLAN
    if not folder.is_dir():
        raise ResultError(f"{folder}: no such folder" if not folder.exists() else f"{folder}: is not a folder")
    if not path.is_file():
        raise ResultError(f"{folder}: not a sweep: {PLAN} is missing")
    try:
        facts = json.loads(storage.read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise ResultError(f"{path}: damaged: not JSON ({error})") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise ResultError(f"{path}: is of another program, or damaged")
    if facts.get("format_version") != FORMAT_VERSION:
        raise ResultError(
            f"{path}: format version {facts.get('format_version')!r}; this program reads {FORMAT_VERSION}"
        )
    if not manifest.is_sealed(facts):
        raise ResultError(f"{path}: damaged: its content does not match its own hash")
    return facts


def _read_design(path: Path, facts: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    points = facts["points"]
    data = storage.read_bytes(path)
    if hashlib.sha256(data).hexdigest() != facts["design_file"]:
        raise ResultError(f"{path}: damaged: its content does not match the hash in {PLAN}")
    try:
        table = read_here(pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True))
        columns = {}
        for factor in facts["factors"]:
            values = table[factor["path"]].slice(0, points)
            words = pa.types.is_string(values.type)
            columns[factor["path"]] = np.array(values.to_pylist(), dtype=object) if words else values.to_numpy()
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise ResultError(f"{path}: damaged: {str(error).splitlines()[0] if str(error) else error!r}") from error
    if design_hash(columns) != facts["design"]["sha256"] or table.num_rows != points * len(facts["scenarios"]):
        raise ResultError(f"{path}: damaged: its content does not match the hash in {PLAN}")
    return columns
