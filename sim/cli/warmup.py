"""The command warmup: compile the kernels before the first run."""

from __future__ import annotations

import click


@click.command()
def warmup() -> None:
    """Compile the inner loops and keep them, so that the first run does not wait for it.

    They are kept in the folder that SIM_CACHE_DIR names, else in the user's cache folder.
    """
    from sim.experiment.warmup import warm_up

    done = warm_up()
    count = (
        f"{done.used} kernels: {done.compiled} compiled, {done.used - done.compiled} found, in {done.seconds:.1f} s."
    )
    if done.kept:
        click.echo(f"{count} They are kept in {done.folder}")
    else:
        click.echo(
            f"{count} They cannot be kept: {done.folder} cannot be written, so every process compiles them anew."
        )
        click.echo("SIM_CACHE_DIR names another folder.")
