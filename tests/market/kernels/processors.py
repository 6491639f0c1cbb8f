"""Processors for which kernels are compiled in tests, and the tests that need a machine that can run the code."""

from __future__ import annotations

import pytest
from llvmlite import binding

# Any machine with these features can run the code: 256 bits wide, and 512 where the compiler wants them.
PROCESSORS = {
    "haswell": {"avx2", "fma", "bmi2", "f16c"},
    "skylake-avx512": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
}


def target(name: str) -> dict[str, str]:
    """Return the variables that make Numba compile for a processor and not for features of this machine."""
    return {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": ""}


def lacking(name: str) -> list[str]:
    """Return the features of a processor that this machine does not have."""
    here = binding.get_host_cpu_features()
    return sorted(feature for feature in PROCESSORS[name] if not here.get(feature, False))


def needs(name: str) -> None:
    """Skip a test, with the reason, on a machine that cannot run code for a processor."""
    if missing := lacking(name):
        pytest.skip(f"this machine cannot run code for {name}: it lacks {', '.join(missing)}")
