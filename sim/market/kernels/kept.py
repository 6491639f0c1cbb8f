"""Compiled kernels in files: one for each kernel and the types of its arguments, with a hash of what is in it.

A file that is damaged, or that cannot be read, is as good as none: the kernel is compiled anew and the file replaced.
What cannot be written is not kept, and the program goes on. Numba's own store has an index beside the code, fails at
what is damaged or full, and passes over a folder that can be read only.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba.core.caching import IndexDataCacheFile, NullCache
from numba.core.compiler import CompileResult
from numba.core.runtime.nrt import rtsys

HASH = hashlib.sha256().digest_size
REFUSED: list[OSError] = []  # why files could not be written, one for each


class _Files(IndexDataCacheFile):
    """Numba's files of a kernel without their index: each says what it is for, and ends with its hash."""

    def load(self, key: Any) -> Any:
        """Return what was saved for a key; None if that is nothing, or cannot be read, or is damaged."""
        name = self.named(key)
        try:
            held = Path(self._data_path(name)).read_bytes()
            if hashlib.sha256(held[:-HASH]).digest() != held[-HASH:]:
                return None
            found, data = self._load_data(name)
        except OSError:
            return None
        return data if found == key else None

    def save(self, key: Any, data: Any) -> None:
        """Write the file of a key, in one step for whoever reads it meanwhile."""
        Path(self._cache_path).mkdir(parents=True, exist_ok=True)
        self._save_data(self.named(key), (key, data))

    def named(self, key: Any) -> str:
        """Return the name of the file of a key, whose text is the same in every process."""
        return self._data_name(int(hashlib.sha256(repr(key).encode()).hexdigest()[:12], 16))

    def _dump(self, obj: Any) -> bytes:
        data = super()._dump(obj)
        return data + hashlib.sha256(data).digest()


class Kept(NullCache):
    """What a compiled function asks for its machine code. Numba's own loads all that compiling takes before it looks.

    Parameters
    ----------
    function : callable
        The function in Python.
    folder : Path
        Where the files lie; it need not exist, and need not be writable.
    """

    def __init__(self, function: Callable[..., Any], folder: Path):
        file = Path(inspect.getfile(function))
        name = re.sub("[<>]", "", f"{file.stem}.{function.__qualname__}")
        self._source = hashlib.sha256(file.read_bytes()).digest()
        self._folder = str(folder)
        self._files = _Files(self._folder, name, "")

    @property
    def cache_path(self) -> Any:
        """The folder."""
        return self._folder

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled kernel for the types of arguments, None if there is none yet."""
        rtsys.initialize(target_context)  # what machine code calls for the memory of arrays
        data = self._files.load((self._source, sig))
        return None if data is None else CompileResult._rebuild(target_context, *data)

    def save_overload(self, sig: Any, cres: Any) -> None:
        """Keep a compiled kernel for the types of arguments, if that can be; not one that holds an address."""
        if cres.library.has_dynamic_globals:
            return
        try:
            self._files.save((self._source, sig), cres._reduce())
        except OSError as error:
            REFUSED.append(error)
