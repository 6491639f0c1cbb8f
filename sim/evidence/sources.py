"""The register of the evidence files, for manifests and checks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from sim.evidence.tables import table


@dataclass(frozen=True)
class SourceFile:
    """One file of the evidence.

    Parameters
    ----------
    file : str
        Name in the folder `sim/evidence`.
    kind : {'observed', 'curated'}
        Figures of others, or mapping tables written by hand for this project.
    what, sources : str
        Content, and where it comes from.
    retrieved : str
        Month of retrieval, ``YYYY-MM``.
    rows : int
        Rows without the header.
    sha256 : str
        Of the file's bytes.
    """

    file: str
    kind: str
    what: str
    sources: str
    retrieved: str
    rows: int
    sha256: str


@cache
def sources() -> tuple[SourceFile, ...]:
    """Return the register of the evidence files (`sources.csv`)."""
    return tuple(
        SourceFile(
            file=row["file"],
            kind=row["kind"],
            what=row["what"],
            sources=row["sources"],
            retrieved=row["retrieved"],
            rows=int(row["rows"]),
            sha256=row["sha256"],
        )
        for row in table("sources")
    )
