"""A result folder on disk: reading its manifest, telling what is damaged, and what may be replaced."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sim import manifest, storage
from sim.columns import TABLES
from sim.errors import ResultError, UsageError
from sim.record import Tables

MANIFEST, SCENARIO, SUMMARY = "manifest.json", "scenario.resolved.yaml", "summary.csv"
DERIVED = ("figures", "export")  # folders whose unlisted files are drawn from the rest and may go with it
_DESKTOP_MARKS = (".DS_Store", "Thumbs.db", "desktop.ini")
_MANIFEST_LIMIT = 16 << 20  # [bytes]


def file_list(files: Mapping[str, bytes], tables: Tables) -> dict[str, dict[str, Any]]:
    """Return the manifest's entry for each file: SHA-256, bytes and, for tables, rows."""
    entries: dict[str, dict[str, Any]] = {}
    for name, data in sorted(files.items()):
        entries[name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        stem, _, kind = name.partition(".")
        if stem in TABLES and kind in ("parquet", "csv"):
            entries[name]["rows"] = len(tables[stem]["month"])
    return entries


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a result folder.

    Raises
    ------
    ResultError
        If there is none, it is not of this program, or it was changed.
    """
    if not folder.exists() and storage.leftovers(folder, "old"):
        with storage.hold(folder):
            storage.recover(folder)
    path = folder / MANIFEST
    if not folder.is_dir():
        raise ResultError(f"{folder}: no such folder" if not folder.exists() else f"{folder}: is not a folder")
    if not path.is_file():
        raise ResultError(f"{folder}: not a result folder: {MANIFEST} is missing")
    try:
        if path.stat().st_size > _MANIFEST_LIMIT:
            raise ResultError(f"{path}: more than {_MANIFEST_LIMIT:,} bytes: not a manifest of this program")
        facts = json.loads(path.read_bytes())
    except OSError as error:
        raise ResultError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ResultError(f"{path}: damaged: not JSON ({error})") from error
    if not isinstance(facts, dict) or facts.get("format") != manifest.FORMAT:
        raise ResultError(f"{folder}: not a result folder: {MANIFEST} is of another program")
    if facts.get("format_version") != manifest.FORMAT_VERSION:
        raise ResultError(
            f"{path}: format version {facts.get('format_version')!r}; this program reads {manifest.FORMAT_VERSION}"
        )
    if not manifest.is_sealed(facts):
        raise ResultError(f"{path}: damaged: its content does not match its own hash")
    if not _is_complete(facts):
        raise ResultError(f"{path}: damaged: entries are missing or of another kind")
    return facts


def _is_complete(facts: Mapping[str, Any]) -> bool:
    """Return whether the entries that reading relies on are there and of their kind; anyone can make a hash."""
    try:
        key, scenario = facts["key"], facts["scenario"]
        entries = [*facts["files"].values(), *(facts["tables"][name] for name in TABLES)]
        kinds = {
            str: [
                facts["content_hash"],
                facts["result_id"],
                facts["model_version"],
                scenario["name"],
                scenario["title"],
            ],
            int: [facts["runs"], facts["seed"], key["runs"], key["seed"], key["workloads"]],
            dict: [facts["machine"], key["options"], scenario["as_run"]],
            list: [facts["invariants"]["violations"], facts["columns_not_filled"], facts["warnings"]],
            bool: [facts["valid"]],
        }
        kinds[str] += [key["model_version"], key["code_hash"], *(entry["sha256"] for entry in entries)]
        kinds[str] += [value for name, value in key.items() if name not in ("runs", "seed", "workloads", "options")]
        kinds[int] += [entry["bytes" if "bytes" in entry else "rows"] for entry in entries]
    except (KeyError, TypeError, AttributeError):
        return False
    return all(type(value) is kind for kind, values in kinds.items() for value in values)


def checked_bytes(folder: Path, name: str, facts: Mapping[str, Any]) -> bytes:
    """Return a listed file of a result folder if it is as written.

    Raises
    ------
    ResultError
        If it is missing, of another size, or its hash differs.
    """
    path, entry = folder / name, facts["files"].get(name)
    if entry is None:
        raise ResultError(f"{path}: damaged: not listed in {MANIFEST}")
    try:
        size = path.stat().st_size
        if size != entry["bytes"]:
            raise ResultError(f"{path}: damaged: {size:,} bytes, {entry['bytes']:,} in the manifest")
        data = path.read_bytes()
    except FileNotFoundError:
        raise ResultError(f"{path}: missing") from None
    except OSError as error:
        raise ResultError(f"{path}: cannot be read: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise ResultError(f"{path}: damaged: its content does not match the hash in the manifest")
    return data


def unlisted_files(folder: Path, facts: Mapping[str, Any]) -> list[str]:
    """Return relative names of the files in a result folder that its manifest does not list, in order."""
    found = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or path.is_file()]
    return sorted(name for name in found if name not in facts["files"] and name != MANIFEST)


def is_derived(name: str) -> bool:
    """Return whether an unlisted file may be made anew at any time: a drawn figure, an export, a desktop's mark."""
    return name.partition("/")[0] in DERIVED or name.rpartition("/")[2] in _DESKTOP_MARKS


def same_run(folder: str | os.PathLike[str], key: Mapping[str, Any]) -> bool:
    """Return whether an undamaged result of the very same run is at `folder`.

    Parameters
    ----------
    folder : path
        Where a run would be written.
    key : mapping
        As from `sim.manifest.run_key`.
    """
    place = storage.real(folder)
    try:
        facts = read_manifest(place)
        if facts["key"] != json.loads(json.dumps(key)):
            return False
        for name in facts["files"]:
            checked_bytes(place, name, facts)
    except ResultError:
        return False
    return True


def check_replaceable(folder: str | os.PathLike[str], *, force: bool, key: Mapping[str, Any] | None = None) -> None:
    """Raise unless a result may be written at `folder`.

    Parameters
    ----------
    folder : path
        Where a run would be written.
    force : bool
        Whether another result may be replaced.
    key : mapping, optional
        As from `sim.manifest.run_key`; lets the message say how the other result differs.

    Raises
    ------
    UsageError
        If a result is there and `force` is not given, or if what is there is not a result, or if the result holds
        files that this program did not write.
    """
    place = storage.real(folder)
    if storage.check_new_or_empty(place):
        return
    try:
        facts = read_manifest(place)
    except ResultError:
        # A damaged result is still ours if its manifest says so; anything else is someone's work.
        if not _claims_format(place):
            raise UsageError(
                f"{folder}: holds files that are not a result of this program; choose another --out"
            ) from None
        facts = {"files": {}}
    if not force:
        raise UsageError(
            f"{folder}: holds another result{_other(facts, key)}; --force replaces it, --out chooses another folder"
        )
    strange = [name for name in unlisted_files(place, facts) if not is_derived(name) and not _is_ours(name)]
    if strange:
        raise UsageError(
            f"{folder}: --force would delete {', '.join(strange[:3])}{' ...' if len(strange) > 3 else ''}, "
            "not written by this program; move it away first"
        )


def _other(facts: Mapping[str, Any], key: Mapping[str, Any] | None) -> str:
    """Return in what a result differs from the run asked for, for a message."""
    if not facts["files"]:
        return ", damaged"
    theirs, words = facts["key"], {"scenario": "scenario values", "code_hash": "code", "model_version": "version"}
    differing = [words.get(name, name.replace("_", " ")) for name in key or {} if key and theirs.get(name) != key[name]]
    return f" (other {', '.join(differing)})" if differing else ""


def _is_ours(name: str) -> bool:
    stem, _, kind = name.partition(".")
    return name in (SUMMARY, SCENARIO) or (stem in TABLES and kind in ("parquet", "csv"))


def _claims_format(folder: Path) -> bool:
    """Return whether a manifest too damaged to read still names our format."""
    try:
        with (folder / MANIFEST).open("rb") as file:
            return f'"format": "{manifest.FORMAT}"'.encode() in file.read(4096)
    except OSError:
        return False


def add_files(folder: str | os.PathLike[str], files: Mapping[str, bytes]) -> None:
    """Write derived files, such as figures drawn anew, into a result folder and list them in its manifest.

    Parameters
    ----------
    folder : path
        An existing result folder.
    files : mapping of str to bytes
        Relative names below ``figures`` or ``export`` to content; existing ones are replaced.

    Raises
    ------
    ResultError
        If the folder is not a result.
    WriteError
        If the disk refuses.
    """
    place = storage.real(folder)
    for name in files:
        parts = Path(name).parts
        if len(parts) != 2 or parts[0] not in DERIVED or parts[1] == "..":
            raise ValueError(f"{name!r} is not a file below {' or '.join(DERIVED)}")
    with storage.hold(place):
        facts = read_manifest(place)
        # Unlisted first: a crash between the files leaves derived files that nobody vouches for, not damage.
        if any(facts["files"].pop(name, None) for name in files):
            storage.replace_file(place / MANIFEST, manifest.to_json(facts))
        for name, data in files.items():
            storage.replace_file(place / name, data)
            facts["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        facts["files"] = dict(sorted(facts["files"].items()))
        storage.replace_file(place / MANIFEST, manifest.to_json(facts))
