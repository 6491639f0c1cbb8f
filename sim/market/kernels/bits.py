"""Bit patterns of numbers in double precision, as pieces of kernels."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types

from sim.market.kernels.compiled import intrinsic

WHOLE = ir.IntType(64)
FRACTION = ir.Constant(WHOLE, 52)  # bits of the fraction
MAGIC = ir.Constant(ir.DoubleType(), 1.5 * 2.0**52)  # turns a whole number in the low bits into a float
ROOT_HALF = ir.Constant(WHOLE, 0x3FE6A09E667F3BCD)  # bits of sqrt(1/2)


def _power(builder: Any, bits: Any) -> Any:
    """Return the exponent of the part between sqrt(1/2) and sqrt(2)."""
    return builder.ashr(builder.sub(bits, ROOT_HALF), FRACTION)


@intrinsic
def scaled(typingctx: Any, p: Any, t: Any) -> Any:
    """Return p 2^k where adding 1.5 2^52 to k, and rounding, gave t."""
    if not (p == t == types.float64):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits, power = (builder.bitcast(value, WHOLE) for value in arguments)
        return builder.bitcast(builder.add(bits, builder.shl(power, FRACTION)), ir.DoubleType())

    return p(p, p), generate


@intrinsic
def exponent(typingctx: Any, x: Any) -> Any:
    """Return the whole number k for which x / 2^k lies from sqrt(1/2) to sqrt(2), as a float."""
    if x != types.float64:
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        k = _power(builder, builder.bitcast(arguments[0], WHOLE))
        shifted = builder.bitcast(builder.add(k, builder.bitcast(MAGIC, WHOLE)), ir.DoubleType())
        return builder.fsub(shifted, MAGIC)

    return x(x), generate


@intrinsic
def mantissa(typingctx: Any, x: Any) -> Any:
    """Return x / 2^k from sqrt(1/2) to sqrt(2), k as `exponent` has it."""
    if x != types.float64:
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.bitcast(arguments[0], WHOLE)
        return builder.bitcast(builder.sub(bits, builder.shl(_power(builder, bits), FRACTION)), ir.DoubleType())

    return x(x), generate
