"""Sums over rows in one fixed order, and small linear systems: no library decides the last bits."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from sim.market.kernels.compiled import intrinsic, kernel

LANES, CHAINS = 8, 4  # entries added side by side, and groups of them
STEP = LANES * CHAINS  # the length of arrays to be added is a multiple of it


@intrinsic
def dot(typingctx: Any, one: Any, other: Any) -> Any:
    """Return the sum of products of two arrays whose length is a multiple of `STEP`.

    Entry n is added, fused, to partial sum n mod 32; those are added in pairs half their number apart.
    """
    if not (one == other == types.Array(types.float64, 1, "C")):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lanes = ir.VectorType(ir.DoubleType(), LANES)
        whole = ir.IntType(64)
        left, right = (context.make_array(one)(context, builder, value) for value in arguments)
        length = builder.extract_value(left.shape, 0)
        fused = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(lanes, [lanes] * 3), f"llvm.fma.v{LANES}f64"
        )
        parts = [cgutils.alloca_once_value(builder, ir.Constant(lanes, [0.0] * LANES)) for _ in range(CHAINS)]
        with cgutils.for_range_slice(builder, whole(0), length, whole(STEP), whole) as (first, _):
            for chain, place in enumerate(parts):
                at = builder.add(first, whole(LANES * chain))
                x, y = (
                    builder.load(builder.bitcast(builder.gep(side.data, [at]), lanes.as_pointer()), align=8)
                    for side in (left, right)
                )
                builder.store(builder.call(fused, [x, y, builder.load(place)]), place)
        sums = [builder.load(place) for place in parts]
        total = builder.fadd(builder.fadd(sums[0], sums[2]), builder.fadd(sums[1], sums[3]))
        entries = [builder.extract_element(total, ir.IntType(32)(lane)) for lane in range(LANES)]
        while len(entries) > 1:
            half = len(entries) // 2
            entries = [builder.fadd(a, b) for a, b in zip(entries[:half], entries[half:], strict=True)]
        return entries[0]

    return types.float64(one, other), generate


@kernel
def solve(system, solution):
    """Write the solution of a small system, the right side its last column; False if the matrix is singular.

    The twin is `stages/newton.py: solve_linear`, to the bit. The system is used up.
    """
    size = len(system)
    for column in range(size):
        pivot = column
        for row in range(column + 1, size):
            if abs(system[row, column]) > abs(system[pivot, column]):
                pivot = row
        divisor = system[pivot, column]
        if divisor == 0.0:
            return False
        for entry in range(column, size + 1):
            kept = system[column, entry]
            system[column, entry] = system[pivot, entry] / divisor
            if pivot != column:
                system[pivot, entry] = kept
        for row in range(size):
            factor = system[row, column]
            if row != column and factor != 0.0:
                for entry in range(column, size + 1):
                    system[row, entry] -= factor * system[column, entry]
    for row in range(size):
        solution[row] = system[row, size]
    return True
