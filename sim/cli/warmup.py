"""The command warmup: compile the kernels before the first run."""

from __future__ import annotations

import click


@click.command()
def warmup() -> None:
    """Compile the inner loops and keep them, so that the first run does not wait for it.

    They are kept in the folder that SIM_CACHE_DIR names, else in the user's cache folder. Those beside them, of other
    versions of the program or for other processors, are removed if no program used them for 30 days.
    """
    from sim.errors import WriteError
    from sim.experiment.warmup import KEPT_DAYS, warm_up

    done = warm_up()
    click.echo(
        f"{done.used} kernels: {done.compiled} compiled, {done.used - done.compiled} found, in {done.seconds:.1f} s."
        + ("" if done.refusal else f" They are kept in {done.folder}")
    )
    for folder in done.removed:
        click.echo(f"Removed {folder}, not used for {KEPT_DAYS} days.")
    for folder in done.stuck:
        click.echo(f"{folder}, not used for {KEPT_DAYS} days, could not be removed.", err=True)
    if done.refusal:
        raise WriteError(
            f"kernels cannot be kept: {done.refusal}; every process compiles anew. SIM_CACHE_DIR names another folder"
        )
