"""How far a long command is, on one line of a terminal."""

from __future__ import annotations

import shutil
import sys
import time

BETWEEN = 0.2  # seconds between two lines


class Progress:
    """How many runs ended and about how long the others take; nothing is shown where no terminal is.

    Parameters
    ----------
    name : str
        Of the scenario or sweep.
    hours : float
        How long all of it should take, believed until the first run has ended.
    silent : bool
        Whether to show nothing on a terminal either.
    """

    def __init__(self, name: str, hours: float, silent: bool):
        self.name, self.hours = name, hours
        self.shown = not silent and sys.stderr.isatty()
        self._first: tuple[int, float] | None = None  # runs that had ended at the start, and when that was
        self._latest = 0.0

    def update(self, ended: int, planned: int, failed: int = 0) -> None:
        """Show how far the work is, and how fast; the first call tells what was there before it."""
        if not self.shown:
            return
        now = time.monotonic()
        if self._first is None:
            self._first = ended, now
        elif now - self._latest < BETWEEN:
            return
        self._latest = now
        before, started = self._first
        each, rate = self.hours / planned, ""
        if ended > before and now > started:
            each = (now - started) / (ended - before) / 3600.0
            rate = f", {rate_in_words(each)}"
        failures = f", {failed:,} failed" if failed else ""
        left = in_words((planned - ended) * each)
        self._show(f"{self.name}: {ended:,} of {planned:,} runs{failures}{rate}, about {left} left")

    def _show(self, line: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write(f"\r{line[:width]:<{width}}")
        sys.stderr.flush()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._first is not None:
            self._show("")
            sys.stderr.write("\r")
            sys.stderr.flush()


def rate_in_words(hours: float) -> str:
    """Return a rate in the unit that fits, from the hours between two ends."""
    units = {"second": 1 / 3600, "minute": 1 / 60, "hour": 1.0}
    unit = next((name for name, length in units.items() if hours <= length), "hour")
    count = units[unit] / hours
    article = "an" if unit == "hour" else "a"
    return f"{count:,.{0 if count >= 10 else 1}f} {article} {unit}"


def in_words(hours: float) -> str:
    """Return a duration in words."""
    if hours >= 1:
        return f"{hours:,.1f} hours"
    return f"{hours * 60:.0f} minutes" if hours * 60 >= 2 else f"{hours * 3600:.0f} seconds"
