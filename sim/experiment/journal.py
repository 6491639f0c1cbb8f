"""Where finished runs go at once: records that prove themselves, appended and flushed to disk in groups.

A record is a head of fixed size (mark, lengths, CRC of the head), a JSON header, the packed tables, and the SHA-256 of
all of it. Reading tells three things apart: whole records, a tail that a crash cut short, and damage. After damage it
goes on at the next mark. The log beside it holds one line for each event, numbered, with a CRC.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sim import storage

MARK = b"\nSIMRUN1"
_HEAD = struct.Struct("<8sIQ")
_CRC = struct.Struct("<I")
_HEADER_LIMIT = 64 << 10
_DIGEST = 32
_LINE = re.compile(r"([0-9a-f]{8}) (\{.*\})\Z", re.DOTALL)


@dataclass(frozen=True)
class Record:
    """One finished run: its facts, as in the list of runs of a shard, and its packed tables."""

    cell: int
    run: int
    key: str
    content: str
    code: str
    attempts: int
    seconds: float
    measure: float | None
    payload: bytes

    def to_bytes(self) -> bytes:
        """Return the record as it stands in the file."""
        facts = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "payload"}
        header = json.dumps(facts, allow_nan=False).encode()
        head = _HEAD.pack(MARK, len(header), len(self.payload))
        body = head + _CRC.pack(zlib.crc32(head)) + header + self.payload
        return body + hashlib.sha256(body).digest()


@dataclass(frozen=True)
class Scan:
    """What a journal holds: whole records, a line for each damaged stretch, and the bytes of a torn tail."""

    records: tuple[Record, ...]
    damage: tuple[str, ...]
    torn: int


def scan(data: bytes, where: str) -> Scan:
    """Return what the bytes of a journal hold."""
    records: list[Record] = []
    damage: list[str] = []
    at = 0
    while at < len(data):
        record, after, torn = _record_at(data, at)
        if record is not None:
            records.append(record)
            at = after
            continue
        following = data.find(MARK, at + 1)
        if torn and following < 0:
            return Scan(tuple(records), tuple(damage), len(data) - at)
        damage.append(f"{where}: damaged: bytes {at:,} to {following if following > 0 else len(data):,}")
        at = following if following > 0 else len(data)
    return Scan(tuple(records), tuple(damage), 0)


def _record_at(data: bytes, at: int) -> tuple[Record | None, int, bool]:
    """Return the record at a place with the place behind it; None if there is none, and whether it was cut short."""
    start = at + _HEAD.size + _CRC.size
    head = data[at : at + _HEAD.size]
    if len(data) < start:
        return None, at, MARK.startswith(head[: len(MARK)])
    mark, header_size, payload_size = _HEAD.unpack(head)
    if mark != MARK or data[at + _HEAD.size : start] != _CRC.pack(zlib.crc32(head)) or header_size > _HEADER_LIMIT:
        return None, at, False
    end = start + header_size + payload_size + _DIGEST
    if len(data) < end:
        return None, at, True
    if hashlib.sha256(data[at : end - _DIGEST]).digest() != data[end - _DIGEST : end]:
        return None, at, False
    facts = json.loads(data[start : start + header_size])
    return Record(**facts, payload=data[start + header_size : end - _DIGEST]), end, False


class Appender:
    """A file that only grows, each group flushed to disk before the call returns.

    Parameters
    ----------
    path : Path
        Made if it is not there.
    """

    def __init__(self, path: Path):
        self.path = path
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        try:
            self._handle = os.open(path, flags, 0o644)
        except OSError as error:
            raise storage.write_error(path, error, 0) from error
        try:
            storage.flush_folder(path.parent)
        except OSError as error:
            self.close()
            raise storage.write_error(path, error, 0) from error

    def append(self, content: bytes) -> None:
        """Add bytes at the end and flush them.

        Raises
        ------
        WriteError
            If the disk refuses; what was written of the group is a torn tail.
        """
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(self._handle, rest) :]
            os.fsync(self._handle)
        except OSError as error:
            raise storage.write_error(self.path, error, len(content)) from error

    def close(self) -> None:
        """Let go of the file; a second time does nothing."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


class Log:
    """The log of a sweep: what happened, one line an event; the one source for which shards count.

    Parameters
    ----------
    path : Path
        Made with the first line.
    events : sequence of dict
        What it holds already.
    """

    def __init__(self, path: Path, events: Sequence[dict[str, Any]] = ()):
        self._count = len(events)
        self._file = Appender(path)

    def add(self, event: str, **facts: Any) -> dict[str, Any]:
        """Append an event, flushed to disk.

        Raises
        ------
        WriteError
            If the disk refuses.
        """
        self._count += 1
        entry = {"n": self._count, "event": event, **facts}
        self._file.append(log_line(entry))
        return entry

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def log_line(entry: dict[str, Any]) -> bytes:
    """Return an event as its line; it starts with a line feed, so that a torn one before it harms only itself."""
    text = json.dumps(entry, ensure_ascii=True, allow_nan=False)
    return f"\n{zlib.crc32(text.encode()):08x} {text}\n".encode()


def read_log(path: Path) -> tuple[list[dict[str, Any]], list[str], bool]:
    """Return the events of a log, a line for each damage, and whether its last line was cut short by a crash.

    Raises
    ------
    Unreadable
        If the system does not let it be read.
    """
    data = storage.found_bytes(path)
    if data is None:
        return [], [], False
    events: list[dict[str, Any]] = []
    damage: list[str] = []
    *pieces, tail = data.decode("ascii", "replace").split("\n")
    for number, piece in enumerate(pieces, 1):
        found = _LINE.match(piece)
        if found and f"{zlib.crc32(found[2].encode()):08x}" == found[1]:
            events.append(json.loads(found[2]))
        elif piece:
            damage.append(f"{path}:{number}: damaged: the line does not match its checksum")
    return events, damage + _gaps(events, path), tail != ""


def _gaps(events: Sequence[dict[str, Any]], path: Path) -> list[str]:
    numbers = [entry["n"] for entry in events]
    return [] if numbers == list(range(1, len(numbers) + 1)) else [f"{path}: damaged: events are missing or moved"]
