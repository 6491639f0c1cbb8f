"""Requests to stop, by Ctrl-C or the system: when they are answered, and what is true by then."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

REQUESTS = (signal.SIGINT, signal.SIGTERM)
SAME_REQUEST = 1.0  # seconds within which further signals belong to the first: `timeout` sends to program and group


@dataclass
class Written:
    """The first file or folder that this process put in its place, and how many it put there in all."""

    first: str = ""
    count: int = 0

    def add(self, path: Any) -> None:
        """Count one; with requests held back, so that its place and the count agree."""
        self.first = self.first or str(path)
        self.count += 1


written = Written()


def what_was_written() -> str:
    """Return what is true of a command that is stopped."""
    more = f" and {written.count - 1:,} more" if written.count > 1 else ""
    return f"Interrupted; written: {written.first}{more}" if written.count else "Interrupted; nothing was written."


@dataclass
class Request:
    """The number of the signal that asked to stop, 0 before, when it came [s], and what to answer."""

    number: int = 0
    since: float = 0.0
    answer: Callable[[], str] = what_was_written

    def note(self, number: int) -> bool:
        """Take in a signal; return whether it repeats an earlier request, whose sender has lost patience."""
        now = time.monotonic()
        if self.number:
            return now - self.since > SAME_REQUEST
        self.number, self.since = number, now
        return False

    def say(self) -> int:
        """Write the answer, on a line of its own also after the ^C of a terminal; return the exit code."""
        sys.stderr.write(f"\n{self.answer()}\n" if sys.stderr.isatty() else f"{self.answer()}\n")
        sys.stderr.flush()
        return 128 + (self.number or signal.SIGINT)


def release() -> None:
    """Answer requests from now on, one that waits at once."""
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        signal.pthread_sigmask(signal.SIG_UNBLOCK, REQUESTS)


@contextmanager
def held(*numbers: signal.Signals) -> Iterator[None]:
    """Hold requests back inside the block; one that came meanwhile is answered at its end."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers or REQUESTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_unwinding = 0  # blocks that have something to clear away


@contextmanager
def unwound() -> Iterator[None]:
    """Let a request inside the block raise `KeyboardInterrupt`, since there is something to clear away."""
    global _unwinding
    _unwinding += 1
    try:
        yield
    finally:
        _unwinding -= 1


@contextmanager
def answered(*, for_good: bool) -> Iterator[Request]:
    """Answer requests to stop: the first, and each that repeats it later.

    Where nothing has to be cleared away the program ends at once; an exception could be lost in the libraries that are
    imported meanwhile. In an `unwound` block it is `KeyboardInterrupt`.

    Parameters
    ----------
    for_good : bool
        Whether this program ends with the block: what comes later is then too late to matter.
    """
    request = Request()

    def stop(number: int, _frame: Any) -> None:
        first = not request.number
        if not (request.note(number) or first):
            return
        if _unwinding or not for_good:
            raise KeyboardInterrupt
        os._exit(request.say())

    def unraisable(event: Any) -> None:
        if request.number and isinstance(event.exc_value, KeyboardInterrupt):  # it fell where Python raises nothing
            number, request.number = request.number, 0
            threading.Timer(0.01, os.kill, (os.getpid(), number)).start()
        else:
            hook(event)

    before = {number: signal.signal(number, stop) for number in REQUESTS}
    hook, sys.unraisablehook = sys.unraisablehook, unraisable
    try:
        yield request
    finally:
        if for_good:
            before = {signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: signal.SIG_DFL}
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # one that waits is dropped; a later one is for a hung end
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook
        release()
