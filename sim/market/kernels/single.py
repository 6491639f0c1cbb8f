"""Exponential and logarithm in single precision, vector code under LLVM; exact to two in the last place."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types

from sim.market.kernels.compiled import fma, intrinsic, kernel

ROUNDER = np.float32(12582912.0)  # 1.5 * 2**23: adding it rounds to an integer
ROOT_HALF = 0x3F3504F3  # bits of sqrt(1/2)
EXP2 = tuple(
    np.float32(c)
    for c in (
        1.0000000716546573,
        0.6931469670638638,
        0.24022119723934265,
        0.055507132749621324,
        0.009675541330665904,
        0.0013276471519129388,
    )
)
LOG2 = tuple(
    np.float32(c)
    for c in (
        1.4426950036523833,
        -0.7213473468081979,
        0.4809106429563979,
        -0.3607036823793358,
        0.28791624734152366,
        -0.23894483080855808,
        0.21571562344647854,
        -0.20726968725773343,
        0.1258368985637535,
    )
)
E0, E1, E2, E3, E4, E5 = EXP2
L0, L1, L2, L3, L4, L5, L6, L7, L8 = LOG2
LOWEST, HIGHEST = np.float32(-126.0), np.float32(126.0)  # powers that `exp2` knows; no check above
NOTHING = np.float32(-1000.0)  # a power of which `exp2` makes zero


def _bits(context: Any, builder: Any, x: Any) -> Any:
    return builder.bitcast(x, context.get_value_type(types.int32))


def _float(context: Any, builder: Any, n: Any) -> Any:
    return builder.bitcast(n, context.get_value_type(types.float32))


@intrinsic
def scaled(typingctx: Any, p: Any, t: Any) -> Any:
    """Return p times two to the power of the integer that was rounded into the low bits of t."""
    if not (p == t == types.float32):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        p, t = (_bits(context, builder, x) for x in arguments)
        return _float(context, builder, builder.add(p, builder.shl(t, context.get_constant(types.int32, 23))))

    return types.float32(types.float32, types.float32), generate


@intrinsic
def exponent(typingctx: Any, x: Any) -> Any:
    """Return the power of two, as a float32, that brings a positive normal float32 to between root 1/2 and root 2."""
    if x != types.float32:
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        above = builder.sub(_bits(context, builder, arguments[0]), context.get_constant(types.int32, ROOT_HALF))
        whole = builder.ashr(above, context.get_constant(types.int32, 23))
        return builder.sitofp(whole, context.get_value_type(types.float32))

    return types.float32(types.float32), generate


@intrinsic
def mantissa(typingctx: Any, x: Any) -> Any:
    """Return a positive normal float32 over two to the power of its `exponent`."""
    if x != types.float32:
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = _bits(context, builder, arguments[0])
        above = builder.sub(bits, context.get_constant(types.int32, ROOT_HALF))
        whole = builder.and_(above, context.get_constant(types.int32, -(1 << 23)))
        return _float(context, builder, builder.sub(bits, whole))

    return types.float32(types.float32), generate


@intrinsic
def larger(typingctx: Any, a: Any, b: Any) -> Any:
    """Return the larger of two float32, neither of them NaN.

    Where `max` picks between a number and the one in memory that it replaces, LLVM stores only the lanes that change: a
    store that is slow, or that the next load has to wait for.
    """
    if not (a == b == types.float32):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number = context.get_value_type(types.float32)
        function = builder.module.declare_intrinsic("llvm.maxnum", [number], ir.FunctionType(number, [number] * 2))
        return builder.call(function, arguments, fastmath=("nnan",))

    return types.float32(types.float32, types.float32), generate


@kernel
def exp2(x):
    """Return two to the power of a float32 of at most `HIGHEST`; zero below `LOWEST`."""
    low = x < LOWEST
    x = LOWEST if low else x
    t = x + ROUNDER
    f = x - (t - ROUNDER)
    p = fma(fma(fma(fma(fma(E5, f, E4), f, E3), f, E2), f, E1), f, E0)
    y = scaled(p, t)
    return np.float32(0.0) if low else y


@kernel
def log2(x):
    """Return the logarithm to base two of a positive normal float32."""
    f = mantissa(x) - np.float32(1.0)
    p = fma(fma(fma(fma(fma(fma(fma(fma(L8, f, L7), f, L6), f, L5), f, L4), f, L3), f, L2), f, L1), f, L0)
    return fma(p, f, exponent(x))
