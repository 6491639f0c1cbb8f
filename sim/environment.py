"""Facts about the program and the machine that a result depends on; no user name, home folder or secret."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parent
DISTRIBUTIONS = (
    "mesa",
    "networkx",
    "numpy",
    "numba",
    "llvmlite",
    "scipy",
    "matplotlib",
    "click",
    "pandas",
    "pyarrow",
    "ruamel.yaml",
    "tqdm",
    "XlsxWriter",
)
COMPUTING = ("numpy", "scipy", "mesa", "numba", "llvmlite")  # libraries that can change a bit of a result
# The only variables that a manifest keeps: they can change a result or its speed, and cannot hold a secret.
VARIABLES = (
    "PYTHONHASHSEED",
    "TZ",
    "LC_ALL",
    "LANG",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "MKL_NUM_THREADS",
    "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES",
    "NUMBA_CPU_NAME",
    "NUMBA_CPU_FEATURES",
)


@cache
def model_version() -> str:
    """Return the version of the installed package."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("sim")
    except PackageNotFoundError:  # run from a source tree that was never installed
        found = re.search(r'^version = "(.+)"$', (PACKAGE.parent / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
        if found is None:
            raise
        return found[1]


@cache
def code_hash() -> str:
    """Return the SHA-256 of all Python files of the package and its evidence, line ends not counted."""
    digest = hashlib.sha256()
    files = [*PACKAGE.rglob("*.py"), *(PACKAGE / "evidence").glob("*.csv")]
    for path in sorted(files, key=lambda each: each.relative_to(PACKAGE).as_posix()):
        content = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{path.relative_to(PACKAGE).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def identity() -> dict[str, str]:
    """Return what makes two processes compute the same bits on one machine: program, random numbers, libraries."""
    from sim import rng

    return {
        "model_version": model_version(),
        "code_hash": code_hash(),
        "random_numbers": rng.SCHEME,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        **{name: _version(name) or "none" for name in COMPUTING},
    }


@cache
def _version(distribution: str) -> str | None:
    """Return the version of an installed distribution, None if it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:  # an extra that is not installed
        return None


def git_state() -> dict[str, Any] | None:
    """Return commit, whether the package differs from it and the hash of that difference; None outside a checkout."""
    root = PACKAGE.parent
    if not (root / ".git").exists():
        return None
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return None
    status = _git(root, "status", "--porcelain", "--", "sim", "scenarios")
    difference = _git(root, "diff", "--no-ext-diff", "--no-textconv", "HEAD", "--", "sim", "scenarios")
    dirty = bool(status)
    hashed = hashlib.sha256((difference or "").encode()).hexdigest() if dirty else None
    return {"commit": commit.strip(), "dirty": dirty, "difference_sha256": hashed}


def _git(root: Path, *arguments: str) -> str | None:
    """Return what git says; None if there is no git or it refuses. Runs no program named in the repository's config."""
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(root), *arguments]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(command, capture_output=True, timeout=10, env=environment, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def machine() -> dict[str, Any]:
    """Return Python, system, processor, NumPy dispatch level, BLAS, library versions and allowed variables."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": f"{platform.system()} {platform.release()}",
        "libc": " ".join(platform.libc_ver()).strip() or None,
        "processor": _processor(),
        "cores": os.cpu_count(),
        "numpy_dispatch": _dispatch_level(),
        "blas": _blas(),
        "libraries": {name: _version(name) for name in DISTRIBUTIONS},
        "variables": {name: os.environ.get(name) for name in VARIABLES},
        "hash_randomization": bool(sys.flags.hash_randomization),
    }


def _processor() -> str:
    """Return the model name of the processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return f"{line.split(':', 1)[1].strip()} ({platform.machine()})"
    except OSError:
        pass  # not Linux: the platform module knows less, but something
    return f"{platform.processor() or 'unknown'} ({platform.machine()})"


def _dispatch_level() -> list[str]:
    """Return the feature levels among which NumPy chooses its loops, as far as this machine has them."""
    import importlib

    core = importlib.import_module("numpy._core._multiarray_umath")  # what numpy.show_config itself reads

    levels = [*getattr(core, "__cpu_baseline__", ()), *getattr(core, "__cpu_dispatch__", ())]
    present = getattr(core, "__cpu_features__", {})
    return [level for level in levels if present.get(level, False)]


def _blas() -> dict[str, Any]:
    import numpy as np

    config: Any = np.__config__.CONFIG
    blas = config.get("Build Dependencies", {}).get("blas", {})
    threads = os.environ.get("OPENBLAS_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS")
    return {"name": blas.get("name"), "version": blas.get("version"), "threads": threads or "one a core"}


def peak_memory() -> int | None:
    """Return the largest resident memory so far of this process or one of its finished workers [bytes]."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    largest = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return largest if sys.platform == "darwin" else largest * 1024


def home() -> Path | None:
    """Return the home folder, None for a user who has none."""
    try:
        return Path.home()
    except RuntimeError:  # neither HOME nor an entry in the list of users, as in many a container
        return None


def redacted(text: str) -> str:
    """Return `text` with the home folder as ``~`` and the user's name, where it is part of a path, as ``user``."""
    import getpass

    folder = str(home() or "")
    if len(folder) > 1:
        text = re.sub(rf"{re.escape(folder)}(?![\w.-])", "~", text)
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):  # no name known: nothing to hide
        return text
    return re.sub(rf"(?<=[/\\]){re.escape(name)}(?=[/\\]|$)", "user", text)


def shown_path(path: str | os.PathLike[str]) -> str:
    """Return a path as a manifest may show it: relative to the package or the working folder, else its name alone."""
    place = Path(path).resolve()
    for root, prefix in ((PACKAGE, "sim/"), (Path.cwd(), "")):
        if place.is_relative_to(root):
            return prefix + place.relative_to(root).as_posix()
    return place.name
