"""How kernels are compiled and where they are kept.

No fastmath, no libm, no library random numbers: the same bits on every machine, whatever the vector width and
the number of threads. A machine without fused multiply-add does it in software, slowly.

Compiled code is kept in `$SIM_CACHE_DIR`, else in the user's cache folder, in a folder named after the sources of this
room: Numba looks only at the file of a kernel itself, not at those it calls, and would go on with an outdated one.
Where that folder cannot be written, kernels are compiled anew in every process.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def sources() -> str:
    """Return a short hash of the sources of this room."""
    found = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        found.update(path.name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:12]


def cache_folder() -> Path:
    """Return the folder in which compiled kernels are kept; it need not exist."""
    chosen = os.environ.get("SIM_CACHE_DIR")
    if chosen:
        return Path(chosen) / f"kernels-{sources()}"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "sim" / f"kernels-{sources()}"


def writable(folder: Path) -> bool:
    """Return whether files can be made in a folder, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


LINES_AHEAD = 5  # cache lines of a row asked for in advance
FOLDER = cache_folder()
CACHED = writable(FOLDER)
if CACHED:
    os.environ["NUMBA_CACHE_DIR"] = str(FOLDER)

import numba  # noqa: E402
import numba.extending  # noqa: E402
from llvmlite import ir  # noqa: E402
from numba.core import config, types  # noqa: E402

settings: Any = config
if CACHED:
    settings.CACHE_DIR = str(FOLDER)  # should somebody have imported Numba before
intrinsic: Any = numba.extending.intrinsic


KERNELS: list[Any] = []  # all that have been imported


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function over arrays; it lets other threads run meanwhile."""
    KERNELS.append(numba.njit(function, cache=CACHED, nogil=True, error_model="numpy"))
    return KERNELS[-1]


def part(function: Callable[..., Any]) -> Any:
    """Compile a function that kernels call; it becomes a piece of each of them."""
    return numba.njit(function, error_model="numpy")


@intrinsic
def fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a b + c rounded once, for three numbers of one type."""
    if not (a == b == c and isinstance(a, types.Float)):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return a(a, a, a), generate


@intrinsic
def prefetch(typingctx: Any, array: Any, row: Any) -> Any:
    """Ask for the memory of a row of a contiguous matrix, to be read soon."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        matrix = context.make_array(signature.args[0])(context, builder, arguments[0])
        width = builder.extract_value(matrix.strides, 0)
        offset = builder.mul(arguments[1], width)
        byte = ir.IntType(8).as_pointer()
        start = builder.gep(builder.bitcast(matrix.data, byte), [offset])
        flag = ir.IntType(32)
        hint = builder.module.declare_intrinsic(
            "llvm.prefetch", [byte], ir.FunctionType(ir.VoidType(), [byte] + [flag] * 3)
        )
        for line in range(LINES_AHEAD):
            at = builder.gep(start, [ir.Constant(ir.IntType(64), 64 * line)])
            builder.call(hint, [at, flag(0), flag(2), flag(1)])
        return context.get_dummy_value()

    return types.none(array, types.int64), generate
