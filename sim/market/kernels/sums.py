"""Sums over rows in one fixed order, and small linear systems: no library decides the last bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types

from sim.market.kernels.compiled import intrinsic, kernel, part

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


@part
def eliminate(system, size):
    """Turn the left part of a system into the identity by row operations with pivots; False if it is singular."""
    for column in range(size):
        pivot = column
        for row in range(column + 1, size):
            if abs(system[row, column]) > abs(system[pivot, column]):
                pivot = row
        if system[pivot, column] == 0.0:
            return False
        for entry in range(system.shape[1]):
            kept = system[column, entry]
            system[column, entry] = system[pivot, entry]
            system[pivot, entry] = kept
        divisor = system[column, column]
        for entry in range(system.shape[1]):
            system[column, entry] /= divisor
        for row in range(size):
            factor = system[row, column]
            if row != column and factor != 0.0:
                for entry in range(column, system.shape[1]):
                    system[row, entry] -= factor * system[column, entry]
    return True


@kernel
def solve(matrix, sides, solution):
    """Write the solution of a small system with several sides; False if the matrix is singular.

    The twin is `stages/newton.py: solve_linear`, to the bit.
    """
    size = len(matrix)
    system = np.empty((size, size + sides.shape[1]))
    system[:, :size] = matrix
    system[:, size:] = sides
    if not eliminate(system, size):
        return False
    solution[:, :] = system[:, size:]
    return True
