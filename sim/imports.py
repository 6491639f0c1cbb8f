"""Imports that wait until something is needed of a module.

Mesa imports pandas for the tables of its `DataCollector` and scipy.spatial for its continuous space, which takes a
quarter of a second or more each, and a run of this package never looks into either. The standard library's `LazyLoader`
would load them as soon as anything asks a module for its file, as `inspect` asks all of them while Mesa is imported.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


class _Waiting(ModuleType):
    """A module whose code runs when it is first asked for what only its code can tell."""

    def __getattr__(self, name: str) -> Any:
        spec: Any = self.__spec__
        object.__setattr__(self, "__class__", ModuleType)
        spec.loader = self.__loader__ = spec.loader.loader
        spec.loader.exec_module(self)
        return getattr(self, name)


class _Later(Loader):
    """Make a module and leave it to itself when its code runs."""

    def __init__(self, loader: Any):
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to Python."""

    def exec_module(self, module: ModuleType) -> None:
        """Run nothing yet."""
        module.__class__ = _Waiting


class _Postponing(MetaPathFinder):
    """Find modules of some names as usual, and let them load when they are first used."""

    def __init__(self, names: Sequence[str]):
        self.names = names

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        found: ModuleSpec | None = PathFinder.find_spec(fullname, path) if fullname in self.names else None
        if found is not None and found.loader is not None:
            found.loader = _Later(found.loader)
        return found


@contextmanager
def lazily(*names: str) -> Iterator[None]:
    """Postpone modules of these names that are imported inside; those imported before stay as they are.

    For programs of one thread: two threads that are first to use such a module may meet it half loaded.
    """
    finder = _Postponing(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def import_market() -> None:
    """Import the market without pandas and Mesa's spaces, for the command line and its workers.

    What is imported stays to the end, so that the garbage collector need not look through it over and over.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        with lazily("pandas", "mesa.experimental", "numpy.f2py", "numpy.testing"):
            import_module("sim.market.market")
    finally:
        gc.freeze()
        if collecting:
            gc.enable()
