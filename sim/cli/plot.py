"""The command that draws the figures of a finished result."""

from __future__ import annotations

from pathlib import Path

import click

from sim.errors import UsageError

NAMES = ("adoption", "prices", "capability", "compute")
FORMATS = ("png", "svg", "pdf")


def _formats(_context: click.Context, _parameter: click.Parameter, text: str) -> tuple[str, ...]:
    """Return the formats of a comma-separated list, each once."""
    kinds = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip()))
    wrong = [kind for kind in kinds if kind not in FORMATS]
    if wrong or not kinds:
        raise click.BadParameter(f"{text!r}: write one or more of {', '.join(FORMATS)}, separated by commas")
    return kinds


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "formats",
    default="png,svg",
    show_default=True,
    callback=_formats,
    metavar="LIST",
    help="png, svg, pdf, separated by commas.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the figures.  [default: DIR/figures]")
@click.option("--figure", "names", multiple=True, type=click.Choice(NAMES), help="Only this one; may be repeated.")
@click.option("--force", is_flag=True, help="Replace files in the folder given with --out.")
def plot(folder: Path, formats: tuple[str, ...], out: Path | None, names: tuple[str, ...], force: bool) -> None:
    """Draw the standard figures of a result folder.

    Figures in the result folder itself are derived from it and replaced without asking.
    """
    from sim.results import add_files, load_results

    results = load_results(folder)
    home = folder / "figures"
    inside = out is None or out.resolve() == home.resolve()
    chosen = tuple(dict.fromkeys(names)) or NAMES
    if out is not None and not inside:
        _check_free(out, folder, [f"{name}.{kind}" for name in chosen for kind in formats], force)

    from sim.present.figures import render_all

    files = render_all(results, formats, chosen)
    if out is None or inside:
        add_files(folder, {f"figures/{name}": content for name, content in files.items()})
    else:
        from sim.storage import replace_file

        for name, content in files.items():
            replace_file(out / name, content)
    for name in files:
        click.echo(str((home if out is None or inside else out) / name))


def _check_free(out: Path, folder: Path, names: list[str], force: bool) -> None:
    """Refuse a place where figures would damage the result or silently replace someone's files."""
    place = out.resolve()
    if place.exists() and not place.is_dir():
        raise UsageError(f"{out} is a file; give a folder")
    if place == folder.resolve() or folder.resolve() in place.parents:
        raise UsageError(f"{out} lies inside the result folder; its figures go to {folder / 'figures'}, without --out")
    there = [name for name in names if (place / name).exists()]
    if there and not force:
        raise UsageError(f"{out / there[0]} exists already; use --force to replace it")
