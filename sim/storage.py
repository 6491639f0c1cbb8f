"""Folders that appear whole or not at all: written beside their place, flushed to disk, then renamed into it."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from sim import interrupts
from sim.errors import FolderHeld, ResultError, Unreadable, UsageError, WriteError

_UNFINISHED = r"\.(tmp|old)-\d+-[0-9a-f]{8}"  # the end of a name that no finished file or folder has
_held: dict[str, int] = {}  # folders this process holds, with the depth of nesting


def real(folder: str | os.PathLike[str]) -> Path:
    """Return the absolute path with links followed, so that a folder has one name only."""
    return Path(os.path.realpath(folder))


def write_error(path: Path, error: OSError, needed: int) -> WriteError:
    """Return the one-line error for a disk that refused, with the bytes needed and those free."""
    reason = error.strerror or str(error)
    free = ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        with contextlib.suppress(OSError):
            free = f", {shutil.disk_usage(_existing_parent(path)).free:,} bytes are free"
    return WriteError(f"{path}: cannot write: {reason}; {needed:,} bytes needed{free}")


@contextlib.contextmanager
def refusals(path: Path, needed: int = 0) -> Iterator[None]:
    """Turn what the system refuses inside the block into the one-line error for `path`.

    Raises
    ------
    WriteError
        With the bytes needed.
    """
    try:
        yield
    except OSError as error:
        raise write_error(path, error, needed) from error


def _existing_parent(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if parent.exists())


@contextlib.contextmanager
def hold(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Keep other processes from writing `folder` inside the block; may be nested; a killed process lets go.

    Raises
    ------
    FolderHeld
        If another process holds the folder.
    WriteError
        If the lock cannot be made beside the folder.
    """
    place = real(folder)
    name = str(place)
    if name in _held:
        _held[name] += 1
        try:
            yield
        finally:
            _held[name] -= 1
        return
    lock, handle = place.parent / f".{place.name}.lock", None
    with interrupts.unwound():
        try:
            with interrupts.held():
                handle = _locked(place, lock)
                _held[name] = 1
            yield
        finally:
            if _held.pop(name, None) and handle is not None:
                with contextlib.suppress(OSError):  # a folder made read-only: the next holder takes the file over
                    lock.unlink()
                os.close(handle)


def is_held(folder: str | os.PathLike[str]) -> bool:
    """Return whether another process holds a folder now; nothing is written."""
    place = real(folder)
    try:
        import fcntl

        handle = os.open(place.parent / f".{place.name}.lock", os.O_RDONLY)
    except (ImportError, OSError):  # no locks here, or no lock file: nobody holds it
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def _locked(place: Path, lock: Path) -> int | None:
    """Return an open, locked file; None, with a warning, where the system has no file locks."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(place, error, 0) from error
    try:
        import fcntl
    except ImportError:
        warnings.warn("this system has no file locks: do not write one folder from two processes", stacklevel=4)
        return None
    while True:
        try:
            handle = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
        except OSError as error:
            raise write_error(place, error, 0) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The former holder may have removed the file between our open and our lock.
            if lock.exists() and os.path.samestat(os.fstat(handle), os.stat(lock)):
                return handle
            os.close(handle)
        except FileNotFoundError:
            os.close(handle)
        except BlockingIOError:
            os.close(handle)
            raise FolderHeld(f"{place}: another process is writing this folder; wait for it or choose --out") from None
        except OSError as error:  # file systems without locks (some network mounts)
            warnings.warn(f"{place.parent}: no file locks here ({error.strerror})", stacklevel=4)
            return handle


def found_bytes(path: Path) -> bytes | None:
    """Return the content of a file; None if there is none.

    Raises
    ------
    Unreadable
        If the system does not let it be read.
    """
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Unreadable(f"{path}: cannot be read: {error.strerror or error}") from error


def read_bytes(path: Path) -> bytes:
    """Return the content of a file.

    Raises
    ------
    ResultError
        If it is missing.
    Unreadable
        If the system does not let it be read.
    """
    data = found_bytes(path)
    if data is None:
        raise ResultError(f"{path}: missing")
    return data


def write_bytes(path: Path, content: bytes) -> None:
    """Write a new file completely and flush it to disk; an existing one is an error."""
    _write_pieces(path, [content])


def _write_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags, 0o644)
    try:
        for piece in pieces:
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder to disk, where the system can."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@interrupts.unwound()
def replace_file(path: Path, content: bytes | Iterable[bytes]) -> None:
    """Write a file beside its place, flush it and rename it in; an existing file is replaced at once.

    Parameters
    ----------
    path : Path
        Its folder is made if need be.
    content : bytes or iterable of bytes
        Pieces are written as they come, so that a large file need not be in memory.

    Raises
    ------
    WriteError
        If the disk refuses; the former file is untouched.
    """
    partial = path.parent / f".{path.name}.tmp-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_pieces(partial, [content] if isinstance(content, bytes) else content)
        with interrupts.held():
            os.replace(partial, path)
            interrupts.written.add(path)
        flush_folder(path.parent)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            needed = len(content) if isinstance(content, bytes) else 0
            raise write_error(path, error, needed) from error
        raise


@interrupts.unwound()
def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write `files` as a folder that appears whole, replacing what the caller has checked may go.

    Whatever the moment of a crash, the old or the new folder is complete: in place, or beside it under a name from
    which `recover` puts it back.

    Parameters
    ----------
    folder : Path
        As from `real`; the caller holds it.
    files : mapping of str to bytes
        Relative names with forward slashes.

    Raises
    ------
    WriteError
        If the disk refuses; what was begun is removed.
    """
    needed = sum(len(content) for content in files.values())
    stem = f"{os.getpid()}-{secrets.token_hex(4)}"
    partial, aside = folder.parent / f".{folder.name}.tmp-{stem}", folder.parent / f".{folder.name}.old-{stem}"
    try:
        recover(folder)
        _remove_leftovers(folder)
        os.mkdir(partial, 0o755)
        _fill(partial, files)
        with interrupts.held():
            if folder.exists():
                os.rename(folder, aside)
            os.rename(partial, folder)
            interrupts.written.add(folder)
        flush_folder(folder.parent)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if aside.exists() and not folder.exists():
            os.rename(aside, folder)
        if isinstance(error, OSError):
            raise write_error(folder, error, needed) from error
        raise
    # The new folder stands. Half-removed, the former one must no longer look like something to put back.
    with contextlib.suppress(OSError):
        if aside.exists():
            shutil.rmtree(aside.rename(partial), ignore_errors=True)  # what cannot go now goes with the next write


def _fill(partial: Path, files: Mapping[str, bytes]) -> None:
    """Write all files below a folder and flush every folder made."""
    folders = {partial: None}
    for name, content in files.items():
        path = partial / name
        if path.parent not in folders:
            path.parent.mkdir(parents=True, exist_ok=True)
            folders[path.parent] = None
        write_bytes(path, content)
    for each in reversed(list(folders)):
        flush_folder(each)


def is_leftover(path: Path) -> bool:
    """Return whether a name is one that a writer of this program gives to what is not finished, or to be removed."""
    return re.fullmatch(rf"\..+{_UNFINISHED}", path.name) is not None


def leftovers(folder: Path, kind: str) -> list[Path]:
    """Return what a crashed writer of this very folder left beside it; `kind` is ``tmp`` or ``old``."""
    if not folder.parent.is_dir():
        return []
    ours = re.compile(re.escape(f".{folder.name}.{kind}-") + r"\d+-[0-9a-f]{8}")
    return sorted(path for path in folder.parent.iterdir() if ours.fullmatch(path.name))


def recover(folder: Path) -> None:
    """Put back the former folder if a crash fell between the two renames; the caller holds the folder."""
    if not folder.exists():
        for aside in leftovers(folder, "old")[:1]:
            os.rename(aside, folder)


def _remove_leftovers(folder: Path) -> None:
    for kind in ("tmp", "old"):
        for leftover in leftovers(folder, kind):
            shutil.rmtree(leftover, ignore_errors=True)


def check_new_or_empty(folder: Path) -> bool:
    """Return whether nothing is at `folder` that could be lost.

    Raises
    ------
    UsageError
        If a file stands in its place.
    """
    if not folder.exists():
        return True
    if not folder.is_dir():
        raise UsageError(f"{folder}: is a file; choose another --out")
    try:
        return not any(folder.iterdir())
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read: {error.strerror}") from error
