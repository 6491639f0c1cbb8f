"""What is where in a sweep folder: names of files, what the log says, and reading a shard if it is as written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim import storage
from sim.errors import InvariantError, ResultError
from sim.experiment.shards import RUNS, read_columns

LOG, SHARDS, CORRUPT, MANIFEST = "log.jsonl", "shards", "corrupt", "manifest.json"


@dataclass
class Ledger:
    """What a log says.

    Parameters
    ----------
    shards : dict
        By number: SHA-256, bytes and rows of each file.
    failed : dict
        By (cell, run): reason, attempts and trace; a run that succeeded later is still among them.
    sessions : list of dict
        When, where and by which program the sweep was worked on.
    last : int
        The highest number a shard ever had.
    """

    shards: dict[int, dict[str, Any]] = field(default_factory=dict)
    failed: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    sessions: list[dict[str, Any]] = field(default_factory=list)
    last: int = 0

    @classmethod
    def of(cls, events: Iterable[Mapping[str, Any]]) -> Ledger:
        """Return the ledger of these events."""
        found = cls()
        for entry in events:
            found.note(entry)
        return found

    def note(self, entry: Mapping[str, Any]) -> None:
        """Take an event in."""
        if entry["event"] == "shard":
            self.shards[entry["shard"]] = entry["files"]
            self.last = max(self.last, entry["shard"])
        elif entry["event"] == "dropped":
            self.shards.pop(entry["shard"], None)
        elif entry["event"] == "failed":
            self.failed[entry["cell"], entry["run"]] = dict(entry)
        elif entry["event"] == "session":
            self.sessions.append(dict(entry))


def shard_path(folder: Path, number: int) -> Path:
    """Return the folder of a shard."""
    return folder / SHARDS / f"{number:05d}"


def journal_path(folder: Path, number: int) -> Path:
    """Return the journal of the runs that become shard `number`."""
    return folder / f"journal-{number:05d}.bin"


def shard_bytes(folder: Path, number: int, name: str, files: Mapping[str, Any]) -> bytes:
    """Return a file of a shard if it is as the log says.

    Raises
    ------
    ResultError
        If it is missing or its content differs.
    Unreadable
        If the system does not let it be read.
    """
    path = shard_path(folder, number) / name
    data = storage.read_bytes(path)
    if len(data) != files[name]["bytes"]:
        raise ResultError(f"{path}: damaged: {len(data):,} bytes, {files[name]['bytes']:,} in the log")
    if hashlib.sha256(data).hexdigest() != files[name]["sha256"]:
        raise ResultError(f"{path}: damaged: its content does not match the hash in the log")
    return data


def run_hashes(folder: Path, ledger: Ledger) -> tuple[NDArray[Any], NDArray[Any], list[str]]:
    """Return cell, run and content hash of every run in the shards, in the order of cell and run.

    Raises
    ------
    ResultError
        If a shard is damaged.
    InvariantError
        If one run is there twice with different content.
    """
    cells, runs, contents = [np.empty(0, np.int32)], [np.empty(0, np.int32)], [np.empty(0, object)]
    for number, files in sorted(ledger.shards.items()):
        name = f"{RUNS}.parquet"
        found = read_columns(RUNS, shard_bytes(folder, number, name, files), name, ("cell", "run", "content"))
        cells.append(found["cell"])
        runs.append(found["run"])
        contents.append(found["content"])
    cell, run, content = np.concatenate(cells), np.concatenate(runs), np.concatenate(contents)
    order = np.lexsort((run, cell))
    cell, run, content = cell[order], run[order], content[order]
    twice = (np.diff(cell) == 0) & (np.diff(run) == 0)
    if twice.any():
        first = int(np.argmax(twice))
        raise InvariantError(f"{folder}: run {run[first]} of cell {cell[first]} is there twice")
    return cell, run, content.tolist()


def content_hash(cells: NDArray[Any], runs: NDArray[Any], contents: Sequence[str]) -> str:
    """Return the one hash of the content of a sweep: cell, run and hash of every run, in that order."""
    digest = hashlib.sha256()
    for cell, run, content in zip(cells.tolist(), runs.tolist(), contents, strict=True):
        digest.update(f"{cell} {run} {content}\n".encode())
    return digest.hexdigest()
