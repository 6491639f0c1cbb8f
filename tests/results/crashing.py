"""A program that replaces a result; the crash tests end or hinder it at a chosen system call."""

from __future__ import annotations

import sys

from sim.errors import SimError
from sim.results import save

from .samples import made_up_results

if __name__ == "__main__":
    results = made_up_results(runs=2, months=2)
    try:
        save(results, sys.argv[1], force=True, figures={"adoption.png": b"picture" * 1000})
    except SimError as error:
        print(error)
        sys.exit(error.exit_code)
