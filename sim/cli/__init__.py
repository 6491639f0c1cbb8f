"""The program `sim`: it runs a command and turns whatever comes of it into an exit code and at most one line.

Nothing is imported here before Ctrl-C is held back, so that it has the same answer from the first moment on.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sim import interrupts

INTERNAL, CANNOT_WRITE = 70, 74


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code; a user's mistake is one line, never a traceback.

    A request to stop is held back until the command can say what is there. Called without arguments this is the
    program itself, which has nothing left to stop when it returns.
    """
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    from sim.interrupts import answered

    with answered(for_good=arguments is None) as request:
        try:
            return _ran(arguments, request)
        except KeyboardInterrupt:  # asked for once more while the first answer was given
            return 128 + request.number


def _ran(arguments: list[str] | None, request: interrupts.Request) -> int:
    """Return the exit code of a command, having printed the line that tells why it failed."""
    import click

    from sim.cli.commands import cli
    from sim.errors import SimError

    colour = False if "NO_COLOR" in os.environ else None
    try:
        outcome = cli.main(args=arguments, prog_name="sim", standalone_mode=False, color=colour, obj=request)
        return outcome if isinstance(outcome, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else INTERNAL
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except SimError as error:
        click.echo(str(error), err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return request.say()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if os.environ.get("SIM_DEBUG") == "1":
            raise
        click.echo(f"cannot read or write {error.filename or 'the output'}: {error.strerror}", err=True)
        return CANNOT_WRITE
    except Exception as error:
        if request.number:  # a library made something else of the exception that stops the program
            return request.say()
        if os.environ.get("SIM_DEBUG") == "1":
            raise
        click.echo(
            f"internal error: {type(error).__name__}: {error} (a defect of sim; SIM_DEBUG=1 shows where)", err=True
        )
        return INTERNAL
