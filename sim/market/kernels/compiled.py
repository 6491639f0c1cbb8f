"""How kernels are compiled and where they are kept.

No fastmath, no libm, no library random numbers: the same bits on every machine, whatever the vector width and
the number of threads. A machine without fused multiply-add does it in software, slowly.

Compiled code is kept in `$SIM_CACHE_DIR`, else in the user's cache folder, in a folder named after all that goes into
it. Numba itself looks only at the file of a kernel, not at those whose functions and constants the kernel takes over.
What cannot be kept, in a folder that cannot be written or where there is none, every process compiles anew.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numba.extending
from llvmlite import ir
from numba.core import types
from numba.core.compiler import Compiler
from numba.core.registry import cpu_target

from sim.environment import PACKAGE, home
from sim.market.kernels.kept import Kept

# Files outside this room with constants, or names of columns, that become part of a kernel.
BESIDE = ("market/tables.py", "scenario/schema.py")


def sources() -> list[Path]:
    """Return every file that compiled code depends on."""
    return [*sorted(Path(__file__).parent.glob("*.py")), *(PACKAGE / name for name in BESIDE)]


def fingerprint() -> str:
    """Return a short hash of the sources, the compiler, and the processor and features that it compiles for."""
    target: Any = cpu_target.target_context
    found = hashlib.sha256(repr((numba.__version__, llvmlite.__version__, target.codegen().magic_tuple())).encode())
    for path in sources():
        found.update(path.name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:12]


def cache_folder() -> Path | None:
    """Return the folder in which compiled kernels are kept, which need not exist; None if this user has no place."""
    name = f"kernels-{fingerprint()}"
    chosen = os.environ.get("SIM_CACHE_DIR")
    if chosen:
        return Path(chosen) / name
    variable, below = {
        "win32": ("LOCALAPPDATA", "AppData/Local"),
        "darwin": ("", "Library/Caches"),
    }.get(sys.platform, ("XDG_CACHE_HOME", ".cache"))
    named, own = os.environ.get(variable), home()
    if named:
        return Path(named) / "sim" / name
    return None if own is None else own / below / "sim" / name


def writable(folder: Path) -> bool:
    """Return whether files can be made in a folder, which is made if need be; the folder's date tells of its use."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):  # one with a name: the others leave the date as it was
            return True
    except OSError:
        return False


LINES_AHEAD = 5  # cache lines of a row asked for in advance
FOLDER = cache_folder()
CACHED = FOLDER is not None and writable(FOLDER)
intrinsic: Any = numba.extending.intrinsic


KERNELS: list[Any] = []  # all that have been imported


def kernel(function: Callable[..., Any], **options: Any) -> Any:
    """Compile a function over arrays; it lets other threads run meanwhile."""
    made: Any = numba.njit(function, nogil=True, error_model="numpy", **options)
    if FOLDER is not None:
        made._cache = Kept(function, FOLDER)
    KERNELS.append(made)
    return made


def lean(function: Callable[..., Any]) -> Any:
    """Compile a kernel that makes no arrays: Numba counts no references, several for each view of an array."""
    return kernel(function, _nrt=False)


def piece(function: Callable[..., Any]) -> Any:
    """Compile a kernel that makes no arrays and becomes a piece of those that call it.

    Handing over a tuple of arrays costs more than the sums of a few lanes: each array is seven numbers.
    """
    return kernel(function, _nrt=False, forceinline=True)


class _Apart(Compiler):
    """Numba's compiler, told that what a function writes through one array it reaches through no other."""

    def __init__(self, *arguments: Any):
        arguments[5].noalias = True  # the flags
        super().__init__(*arguments)


def apart(function: Callable[..., Any]) -> Any:
    """Compile a `piece` whose arrays do not overlap: its loops over many of them are vector code and need not ask."""
    return kernel(function, _nrt=False, forceinline=True, pipeline_class=_Apart)


def part(function: Callable[..., Any]) -> Any:
    """Compile a function that kernels call; it becomes a piece of each of them."""
    return numba.njit(function, error_model="numpy")


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a `part` into the midst of its kernels: handing over tables of many arrays takes longer than a loop."""
    return numba.njit(function, error_model="numpy", forceinline=True)


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


@intrinsic
def turn(typingctx: Any, source: Any, rows: Any, k: Any, column: Any, target: Any) -> Any:
    """Write eight columns of eight rows of a matrix, rows[k : k + 8], as columns k.. of eight rows of another.

    Both are contiguous and of numbers of one size; `column` is the first of the columns, and of the rows written.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        read, seats, write = (
            context.make_array(signature.args[place])(context, builder, arguments[place]) for place in (0, 1, 4)
        )
        k, column = arguments[2:4]
        byte, size = ir.IntType(8).as_pointer(), signature.args[0].dtype.bitwidth // 8
        number = ir.IntType(8 * size)

        def at(matrix: Any, row: Any, column: Any, count: int) -> Any:
            offset = builder.mul(row, builder.extract_value(matrix.strides, 0))
            offset = builder.add(offset, builder.mul(column, ir.Constant(ir.IntType(64), size)))
            start = builder.gep(builder.bitcast(matrix.data, byte), [offset])
            return builder.bitcast(start, ir.VectorType(number, count).as_pointer())

        def plus(place: Any, more: int) -> Any:
            return builder.add(place, ir.Constant(ir.IntType(64), more))

        def mixed(one: Any, other: Any, *places: int) -> Any:
            return builder.shuffle_vector(one, other, ir.Constant(ir.VectorType(ir.IntType(32), 8), list(places)))

        seated = (builder.load(builder.gep(seats.data, [plus(k, place)])) for place in range(8))
        numbers = [builder.zext(row, ir.IntType(64)) for row in seated]
        for half in (0, 4):
            fours = [builder.load(at(read, row, plus(column, half), 4), align=size) for row in numbers]
            a, b, c, d = (mixed(fours[n], fours[n + 4], *range(8)) for n in range(4))
            low, high = (0, 8, 1, 9, 4, 12, 5, 13), (2, 10, 3, 11, 6, 14, 7, 15)
            pairs = (mixed(a, b, *low), mixed(c, d, *low)), (mixed(a, b, *high), mixed(c, d, *high))
            for n, (one, other) in enumerate(pairs):
                for m, places in enumerate(((0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15))):
                    to = at(write, plus(column, half + 2 * n + m), k, 8)
                    builder.store(mixed(one, other, *places), to, align=size)
        return context.get_dummy_value()

    return types.none(source, types.Array(types.uint32, 1, "C"), types.int64, types.int64, target), generate
