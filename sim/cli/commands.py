"""The command `sim`: one group, its commands loaded when they are called."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module

import click

from sim import __version__, interrupts

# name -> (module, object, one line for the list of commands)
COMMANDS = {
    "run": ("sim.cli.run", "run", "Run a scenario and write a result folder with figures."),
    "plot": ("sim.cli.plot", "plot", "Draw the standard figures of a result folder."),
    "new": ("sim.cli.scenario", "new", "Start a scenario file that extends another."),
    "validate": ("sim.cli.scenario", "validate", "Check scenario files; --resolved prints the effective one."),
    "schema": ("sim.cli.scenario", "schema", "Print the JSON Schema of scenario files for editors."),
    "sweep": ("sim.cli.sweep", "sweep", "Run a designed experiment; nothing finished is ever lost."),
    "status": ("sim.cli.sweep", "status", "Show how far a sweep is and what failed."),
    "reproduce": ("sim.cli.sweep", "reproduce", "Run a sample of a result again and compare it."),
    "verify": ("sim.cli.results", "verify", "Check that result folders are whole and add up."),
    "diff": ("sim.cli.results", "diff", "Compare two scenarios or two results."),
    "theory": ("sim.cli.theory", "theory", "Compare the price solver with closed forms and another program."),
    "warmup": ("sim.cli.warmup", "warmup", "Compile the inner loops before the first run."),
    "export": ("sim.cli.results", "export", "Write CSV or XLSX copies of a result."),
}


class Commands(click.Group):
    """A group that imports a command's module only when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, importing its module."""
        if cmd_name not in COMMANDS:
            return None
        module, name, _ = COMMANDS[cmd_name]
        command = getattr(import_module(module), name)
        if cmd_name != "sweep":  # which knows what to answer once it has read its file
            interrupts.release()
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command of the arguments; an unknown one is answered with the nearest."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else f" The commands are {', '.join(COMMANDS)}."
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; one that is stopped is answered here, before click writes an empty line."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise SystemExit(ctx.obj.say()) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List every command with its one line, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="sim")
def cli() -> None:
    """Simulate the market for open-weight and closed AI models.

    Start with:  sim run baseline   (or the path of a scenario file)
    """
