"""The command theory: the analytic benchmarks as a table."""

from __future__ import annotations

import json
import math

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def theory(ctx: click.Context, as_json: bool) -> None:
    """Compare the stages of the market with closed forms, another program and differences.

    Exit code 1 if a residual is larger than its tolerance.
    """
    from sim.theory.benchmarks import benchmarks

    found = benchmarks()
    wrong = [row for row in found if not row.ok]
    if as_json:
        rows = [
            {
                "name": row.name,
                "source": row.source,
                "residual": row.residual if math.isfinite(row.residual) else None,
                "tolerance": row.tolerance,
                "ok": row.ok,
            }
            for row in found
        ]
        click.echo(json.dumps({"ok": not wrong, "benchmarks": rows}, indent=1))
    else:
        width = max(len(row.name) for row in found)
        click.echo(f"{'benchmark':{width}}  residual  tolerance       source")
        for row in found:
            verdict = "ok" if row.ok else "NO"
            click.echo(f"{row.name:{width}}  {row.residual:8.1e}  {row.tolerance:9.1e}  {verdict}   {row.source}")
        click.echo(f"{len(found) - len(wrong)} of {len(found)} benchmarks within their tolerance.")
    ctx.exit(1 if wrong else 0)
