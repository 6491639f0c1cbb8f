"""A program that runs a made-up sweep; the crash tests end or hinder it at a chosen system call.

It prints the number of runs that were kept whenever that changes, so that a test knows what may not be lost.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sim.errors import SimError
from sim.experiment import store
from sim.experiment.engines import Inline, Local
from sim.experiment.plan_files import read_plan
from sim.experiment.sweep import run_sweep

from .made_up import quick, slow


def main(folder: str, plan: str, engine: str, files: str) -> int:
    """Run or resume the sweep of a plan; `files` limits the number of open files, or is 0."""
    store.SHARD_MOST = 4
    loaded = read_plan(Path(plan))
    made, task = (Inline, quick) if engine == "inline" else (lambda: Local(2), slow)
    if files != "0":
        import resource

        import pyarrow.parquet  # noqa: F401  libraries are loaded before files become scarce

        resource.setrlimit(resource.RLIMIT_NOFILE, (int(files), int(files)))
    try:
        run_sweep(loaded, folder, made, resume=True, task=task, progress=lambda done, *_: print(done, flush=True))
    except SimError as error:
        print(error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:5]))
