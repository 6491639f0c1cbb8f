"""The results of a sweep on disk: a plan, a log, a journal of the latest runs, and shards of all others.

    plan.json  design.parquet  scenarios/   what is to be run, written before anything runs
    log.jsonl                               one line an event; a shard counts if a line of the log names its hashes
    journal-00003.bin                       the runs that will become shard 3
    shards/00001/*.parquet                  50 to 200 runs each
    corrupt/                                what was found damaged, kept for whoever wants to look
    manifest.json                           totals and the content hash, once nothing is left to run

The coordinator alone writes, under the lock of the folder. A run is kept as soon as its record is flushed to the
journal. A full journal becomes a shard: files, folder, line in the log, and only then the journal goes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim import storage
from sim.errors import ResultError, Unreadable
from sim.experiment.cells import Outcome
from sim.experiment.journal import Appender, Log, Record, log_line, read_log, scan
from sim.experiment.ledger import CORRUPT, LOG, MANIFEST, SHARDS, Ledger, journal_path, shard_bytes, shard_path
from sim.experiment.plan import Plan
from sim.experiment.shards import RUNS, read_columns, shard_files

SHARD_LEAST, SHARD_MOST = 50, 200  # runs of a shard
SHARD_BYTES = 48 << 20  # packed; from there on a shard is made as soon as it has the least number of runs


class Tally:
    """Which runs are done, and what the stop rule needs of each: a bit, or a number, for each run of each cell."""

    def __init__(self, cells: int, width: int, measured: bool):
        self.done = np.zeros((cells, width), dtype=bool)
        self.measures = np.full((cells, width), np.nan) if measured else None

    def widen(self, width: int) -> None:
        """Make room for more runs of a cell."""
        more = width - self.done.shape[1]
        if more > 0:
            self.done = np.pad(self.done, ((0, 0), (0, more)))
            if self.measures is not None:
                self.measures = np.pad(self.measures, ((0, 0), (0, more)), constant_values=np.nan)

    def mark(self, cells: NDArray[Any], runs: NDArray[Any], measures: NDArray[Any]) -> None:
        """Note runs as done."""
        if len(runs):
            self.widen(int(runs.max()) + 1)
        self.done[cells, runs] = True
        if self.measures is not None:
            self.measures[cells, runs] = measures


class Store:
    """An open sweep folder, held by the caller.

    Parameters
    ----------
    folder : Path
        As from `sim.storage.real`, with the files of the plan in it.
    plan : Plan
        The plan in force.
    code : str
        Hash of the program that computes from now on.
    """

    def __init__(self, folder: Path, plan: Plan, code: str):
        self.folder, self.plan, self.code = folder, plan, code
        self.repairs: list[str] = []  # what was found damaged and will be computed again
        self.tally = Tally(plan.cells, plan.runs, plan.stop is not None)
        self._fresh: list[Record] = []  # runs in the journal
        self._fresh_bytes = 0  # of their payloads
        events = self._mended_log()
        self.ledger = Ledger.of(events)
        self.ledger.last = max(self.ledger.last, self._latest_journal() - 1)
        self._log = Log(folder / LOG, events)
        with storage.refusals(folder):
            (folder / MANIFEST).unlink(missing_ok=True)
            (folder / SHARDS).mkdir(exist_ok=True)
            storage.flush_folder(folder)
        for number in sorted(self.ledger.shards):
            self._take_shard(number)
        self._clear_strays()
        self._journal = self._opened_journal()

    @property
    def failed(self) -> dict[tuple[int, int], dict[str, Any]]:
        """Return the runs that failed and did not succeed later."""
        done = self.tally.done
        return {
            (cell, run): entry
            for (cell, run), entry in self.ledger.failed.items()
            if run >= done.shape[1] or not done[cell, run]
        }

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Keep finished runs: flushed to disk when the call returns.

        Raises
        ------
        WriteError
            If the disk refuses.
        """
        records = [self._record(outcome) for outcome in outcomes]
        while records:
            group, records = records[: SHARD_MOST - len(self._fresh)], records[SHARD_MOST - len(self._fresh) :]
            self._journal.append(b"".join(record.to_bytes() for record in group))
            self._fresh += group
            self._mark(group)
            self._fresh_bytes += sum(len(record.payload) for record in group)
            large = len(self._fresh) >= SHARD_LEAST and self._fresh_bytes >= SHARD_BYTES
            if large or len(self._fresh) >= SHARD_MOST:
                self._compact()

    def note(self, event: str, **facts: Any) -> None:
        """Write an event to the log."""
        self.ledger.note(self._log.add(event, **facts))

    def fail(self, outcome: Outcome) -> None:
        """Record a run that failed for good."""
        self.note(
            "failed",
            cell=outcome.cell,
            run=outcome.run,
            attempts=outcome.attempts,
            reason=outcome.reason,
            trace=outcome.trace,
        )

    def finish(self, manifest: bytes) -> None:
        """Write the manifest, with nothing left in the journal; nothing is left to run."""
        self._journal.close()
        with storage.refusals(self._journal.path):
            self._journal.path.unlink()
        storage.replace_file(self.folder / MANIFEST, manifest)

    def compact(self) -> None:
        """Make a shard of what the journal holds, however few."""
        if self._fresh:
            self._compact()

    def close(self) -> None:
        """Let go of the files."""
        self._journal.close()
        self._log.close()

    def _record(self, outcome: Outcome) -> Record:
        measure = None if np.isnan(outcome.measure) else outcome.measure
        return Record(
            outcome.cell,
            outcome.run,
            outcome.key,
            outcome.content,
            self.code[:12],
            outcome.attempts,
            outcome.seconds,
            measure,
            outcome.payload,
        )

    def _mark(self, records: Sequence[Record]) -> None:
        cells = np.array([record.cell for record in records], dtype=np.int64)
        runs = np.array([record.run for record in records], dtype=np.int64)
        measures = np.array([np.nan if record.measure is None else record.measure for record in records])
        self.tally.mark(cells, runs, measures)

    def _compact(self) -> None:
        number = self.ledger.last + 1
        files = shard_files(self._fresh)
        storage.write_folder(shard_path(self.folder, number), files)
        hashes = {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()
        }
        self.note("shard", shard=number, runs=len(self._fresh), files=hashes)
        self._journal.close()
        former = self._journal.path
        self._journal = Appender(journal_path(self.folder, number + 1))
        with storage.refusals(former):
            former.unlink()
        self._fresh, self._fresh_bytes = [], 0

    def _mended_log(self) -> list[dict[str, Any]]:
        """Return the events of the log; a torn or damaged one is first written anew without what cannot be read."""
        path = self.folder / LOG
        events, damage, torn = read_log(path)
        if damage:
            self._keep_aside(path)
            self.repairs += damage
        if damage or torn:
            events = [{**entry, "n": number} for number, entry in enumerate(events, 1)]
            storage.replace_file(path, b"".join(map(log_line, events)))
        return events

    def _take_shard(self, number: int) -> None:
        """Count the runs of a shard as done; put it aside if anything in it is damaged."""
        files = self.ledger.shards[number]
        try:
            data = {name: shard_bytes(self.folder, number, name, files) for name in files}
            runs = read_columns(RUNS, data[f"{RUNS}.parquet"], RUNS, ("cell", "run", "measure"))
        except Unreadable:  # as far as anyone knows it is sound
            raise
        except ResultError as error:
            self.repairs.append(str(error))
            self._keep_aside(shard_path(self.folder, number))
            self.note("dropped", shard=number, reason=str(error).removeprefix(f"{self.folder}/"))
            return
        self.tally.mark(runs["cell"], runs["run"], runs["measure"])

    def _clear_strays(self) -> None:
        """Remove what a crash left half done; put aside shards that the log does not know."""
        following = self.ledger.last + 1
        with storage.refusals(self.folder / SHARDS):
            begun = f"{following:05d}" if journal_path(self.folder, following).exists() else ""
            for path in sorted((self.folder / SHARDS).iterdir()):
                if path.name.isdigit() and int(path.name) in self.ledger.shards:
                    continue
                if path.is_dir() and (path.name == begun or storage.is_leftover(path)):
                    shutil.rmtree(path)
                elif not path.name.startswith("."):  # what a file manager keeps there is its own matter
                    self.repairs.append(f"{path}: not in the log")
                    self._keep_aside(path)
            for path in sorted(self.folder.glob("journal-*.bin")):
                if path != journal_path(self.folder, following):
                    path.unlink()  # became a shard before the crash
            for path in filter(storage.is_leftover, self.folder.iterdir()):
                path.unlink()

    def _latest_journal(self) -> int:
        """Return the highest number of a journal, 0 without one; it tells what a damaged log no longer does."""
        numbers = [path.stem.removeprefix("journal-") for path in self.folder.glob("journal-*.bin")]
        return max([int(number) for number in numbers if number.isdigit()], default=0)

    def _opened_journal(self) -> Appender:
        """Return the journal, open at its end, its whole records taken in.

        After a crash it is written anew: a torn tail goes, and a flush that failed once is not trusted.
        """
        path = journal_path(self.folder, self.ledger.last + 1)
        data = storage.found_bytes(path)
        if data is None:
            return Appender(path)
        found = scan(data, str(path))
        if found.damage:
            self._keep_aside(path)
            self.repairs += found.damage
        once = {(record.cell, record.run): record for record in found.records}
        self._fresh = list(once.values())
        self._fresh_bytes = sum(len(record.payload) for record in self._fresh)
        self._mark(self._fresh)
        storage.replace_file(path, b"".join(record.to_bytes() for record in self._fresh))
        return Appender(path)

    def _keep_aside(self, path: Path) -> None:
        """Move what is damaged to ``corrupt/``, under a name of its own."""
        place = self.folder / CORRUPT
        with storage.refusals(path):
            if not path.exists():
                return
            place.mkdir(exist_ok=True)
            taken = len(os.listdir(place))
            os.rename(path, place / f"{taken + 1:03d}-{path.name}")
            storage.flush_folder(place)
