"""All benchmarks as one list: name, source, residual, tolerance."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Benchmark:
    """A statement of theory and how far the program is from it; a residual of NaN is not within any tolerance."""

    name: str
    source: str
    residual: float
    tolerance: float

    @property
    def ok(self) -> bool:
        """Return whether the residual is within the tolerance."""
        return bool(self.residual <= self.tolerance)


def benchmarks() -> list[Benchmark]:
    """Return every benchmark, computed now; takes a few seconds."""
    from sim.theory import closed_forms, diffusion, equilibria, slopes

    return [*closed_forms.rows(), *slopes.rows(), *equilibria.rows(), *diffusion.rows()]
