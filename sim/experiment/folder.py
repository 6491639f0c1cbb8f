"""What is at the place of a sweep: nothing, this sweep begun or finished, or something that must not be touched."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from sim import environment, manifest, storage
from sim.errors import ResultError, UsageError
from sim.experiment.journal import read_log
from sim.experiment.ledger import CORRUPT, LOG, MANIFEST, SHARDS, Ledger, shard_bytes
from sim.experiment.plan import Plan, changes, program_changes
from sim.experiment.plan_files import DESIGN, PLAN, plan_files, read_facts, read_plan

_OURS = re.compile(
    rf"({re.escape(PLAN)}|{re.escape(DESIGN)}|{re.escape(LOG)}|{MANIFEST}|journal-\d+\.bin|\..+\.tmp-\d+-[0-9a-f]+|"
    rf"({SHARDS}|{CORRUPT}|scenarios|export|figures)/.+)\Z"
)
_LISTED = 8  # changed names in a message
NEW, BEGUN, FINISHED = "new", "begun", "finished"


def is_sweep(folder: Path) -> bool:
    """Return whether a folder is that of a sweep, whole or not."""
    return (folder / PLAN).is_file() or (folder / LOG).is_file()


def look(folder: Path, plan: Plan, *, force: bool, resume: bool, allow_mixed: bool) -> str:
    """Return `NEW`, `BEGUN` or `FINISHED`: what a session with this plan finds, having checked that it may go on.

    Raises
    ------
    UsageError
        If something else is there, if the plan or the program changed, or if the sweep is begun and neither `resume`
        nor `force` is given.
    """
    if not folder.exists() and storage.leftovers(folder, "old"):
        storage.recover(folder)
    if storage.check_new_or_empty(folder):
        return NEW
    if not is_sweep(folder):
        raise UsageError(f"{folder}: holds files that are not a sweep of this program; choose another --out")
    if force:
        _check_deletable(folder)
        return NEW
    _check_same(folder, plan)
    differing = program_changes(_identity(folder, plan), plan.facts["identity"])
    if differing and not allow_mixed:
        raise UsageError(
            f"{folder}: was begun by another program or library ({'; '.join(differing)}); --allow-mixed goes on and "
            "marks every run with the program that computed it, --force starts over, --out chooses another folder"
        )
    if is_whole(folder):
        return FINISHED
    if not resume:
        raise UsageError(f"{folder}: holds this sweep, not finished; --resume goes on with it, --force starts over")
    return BEGUN


def _check_deletable(folder: Path) -> None:
    found = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or path.is_file()]
    strange = sorted(name for name in found if not _OURS.match(name))
    if strange:
        raise UsageError(
            f"{folder}: --force would delete {', '.join(strange[:3])}{' ...' if len(strange) > 3 else ''}, "
            "not written by this program; move it away first"
        )


def _check_same(folder: Path, plan: Plan) -> None:
    """Refuse a folder that another plan began; a damaged plan is told by its hash in the log."""
    try:
        stored = read_plan(folder)
    except ResultError as error:
        sessions = Ledger.of(read_log(folder / LOG)[0]).sessions
        if not sessions or sessions[-1]["plan"] != plan.content_hash():
            raise UsageError(f"{error}; it cannot be told whether this sweep began it; choose another --out") from None
        return
    if stored.content_hash() == plan.content_hash():
        return
    lines = changes(stored, plan)
    more = f" and {len(lines) - _LISTED} more" if len(lines) > _LISTED else ""
    raise UsageError(
        f"{folder}: holds another sweep; changed: {'; '.join(lines[:_LISTED])}{more}; --force replaces it, --out "
        "chooses another folder"
    )


def _identity(folder: Path, plan: Plan) -> dict[str, str]:
    try:
        return read_facts(folder)["identity"]
    except ResultError:  # damaged, and known to be this plan
        return Ledger.of(read_log(folder / LOG)[0]).sessions[0]["identity"]


def is_whole(folder: Path) -> bool:
    """Return whether a sweep is finished and every file of it as it was written."""
    try:
        facts = read_totals(folder)
        read_plan(folder)
        events, damage, torn = read_log(folder / LOG)
        shards = Ledger.of(events).shards
        if damage or torn or facts is None or sorted(shards) != facts["shards"]:
            return False
        for number, files in shards.items():
            for name in files:
                shard_bytes(folder, number, name, files)
    except ResultError:
        return False
    return True


def read_totals(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a finished sweep; None if it is not finished.

    Raises
    ------
    ResultError
        If it is damaged.
    """
    path = folder / MANIFEST
    data = storage.found_bytes(path)
    if data is None:
        return None
    try:
        facts = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ResultError(f"{path}: damaged: not JSON ({error})") from error
    if not isinstance(facts, dict) or not manifest.is_sealed(facts):
        raise ResultError(f"{path}: damaged: its content does not match its own hash")
    return facts


def write_plan(folder: Path, plan: Plan, found: str) -> None:
    """Put the files of the plan in place: as a new folder, or anew where they are damaged."""
    if found == NEW:
        storage.write_folder(folder, plan_files(plan))
        return
    try:
        read_plan(folder)
    except ResultError:
        files = plan_files(plan)
        for name in sorted(files, key=lambda each: each == PLAN):  # the plan itself last: it vouches for the others
            storage.replace_file(folder / name, files[name])


def session(plan: Plan, *, engine: str, workers: int, command: list[str], repairs: list[str]) -> dict[str, Any]:
    """Return what the log notes of a session."""
    return {
        "plan": plan.content_hash(),
        "identity": environment.identity(),
        "engine": engine,
        "workers": workers,
        "command": [environment.redacted(text) for text in command],
        "machine": environment.machine(),
        "repairs": [environment.redacted(text) for text in repairs],
    }
