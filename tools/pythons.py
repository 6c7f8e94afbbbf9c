"""
Finds the Pythons to test on: the oldest supported one and the newest one here.

Prints ``VERSION=PATH=BUILD`` for each, oldest first, on one line; only one if
there is only one. BUILD is ``compiled`` if extension modules can be compiled
for it and ``pure`` if not. Searched are ``PATH``, the usual folders and pyenv.

Runs on any Python 3, because it runs before the right one is known.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "Python",
    "candidates",
    "choose",
    "compiles",
    "examine",
    "fastest",
    "main",
]

OLDEST_SUPPORTED = (3, 11)

# Run by each candidate to describe itself.
PORTRAIT = """
import importlib.util, json, os, sys, sysconfig
print(json.dumps({
    "path": getattr(sys, "_base_executable", sys.executable),
    "version": sys.version_info[:3],
    "is_cpython": sys.implementation.name == "cpython",
    "is_final": sys.version_info.releaselevel == "final",
    "has_gil": not sysconfig.get_config_var("Py_GIL_DISABLED"),
    "has_venv": importlib.util.find_spec("ensurepip") is not None,
    "headers": sysconfig.get_path("include"),
    # A distribution's own Python is optimised, though it does not say so.
    "is_optimised": sys.base_prefix == "/usr"
    or "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or ""),
}))
"""


class Python(NamedTuple):
    """
    An interpreter that tests can run on.

    Attributes:
        version: Major, minor and micro version.
        path: The executable, never one of a virtual environment.
        headers: The folder where ``Python.h`` should be.
        is_optimised: Whether it was compiled with profile-guided optimisation.
    """

    version: tuple[int, int, int]
    path: str
    headers: str
    is_optimised: bool = False

    @property
    def minor(self) -> tuple[int, int]:
        """
        The version without its last part, which tests do not tell apart.
        """
        return self.version[:2]

    @property
    def has_headers(self) -> bool:
        """
        Whether extension modules can be compiled, given a compiler.
        """
        return Path(self.headers, "Python.h").exists()


def candidates(environ: dict[str, str]) -> list[str]:
    """
    Return the executables that may be a Python, the preferred ones first.
    """
    home = Path(environ.get("HOME", ""))
    pyenv = Path(environ.get("PYENV_ROOT", home / ".pyenv"))
    # A system's own Python is the one most people have. Pyenv's shims only lead
    # to the versions that are looked at anyway.
    names = ["/usr/bin", *environ.get("PATH", "").split(os.pathsep), "/usr/local/bin"]
    folders = [Path(name) for name in names if Path(name) != pyenv / "shims"]
    folders += sorted(pyenv.glob("versions/*/bin"))
    found = []
    for folder in folders:
        for path in sorted(folder.glob("python3*")):
            minor = path.name[len("python3") :].lstrip(".")
            is_old = minor.isdigit() and (3, int(minor)) < OLDEST_SUPPORTED
            if (minor.isdigit() or not minor) and not is_old:
                found.append(str(path))
    return [name for name in dict.fromkeys(found) if os.access(name, os.X_OK)]


def examine(path: str) -> Python | None:
    """
    Ask an executable what it is; return nothing if tests cannot run on it.
    """
    try:
        answer = subprocess.run(
            [path, "-I", "-c", PORTRAIT], capture_output=True, check=True, timeout=20
        )
        portrait = json.loads(answer.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    fit = all(
        portrait[key] for key in ("is_cpython", "is_final", "has_gil", "has_venv")
    )
    version = tuple(portrait["version"])
    if not fit or version[:2] < OLDEST_SUPPORTED:
        return None
    optimised = portrait["is_optimised"]
    return Python(version, portrait["path"], portrait["headers"], optimised)


def choose(pythons: list[Python]) -> list[Python]:
    """
    Choose the oldest and the newest; of equals one with headers, then the first.
    """
    best: dict[tuple[int, int], Python] = {}
    for python in pythons:
        known = best.get(python.minor)
        if known is None or (python.has_headers and not known.has_headers):
            best[python.minor] = python
    ends = sorted({min(best), max(best)}) if best else []
    return [best[minor] for minor in ends]


def fastest(pythons: list[Python]) -> Python | None:
    """
    Choose the Python to measure with: of those with headers, an optimised one.
    """
    ranked = sorted(pythons, key=lambda p: (not p.has_headers, not p.is_optimised))
    return ranked[0] if ranked else None


def compiles(python: Python, compiler: str) -> bool:
    """
    Return whether the compiler accepts an extension module for this Python.
    """
    command = [*compiler.split(), "-fsyntax-only", "-I", python.headers, "-x", "c", "-"]
    try:
        done = subprocess.run(
            command, input=b"#include <Python.h>\n", capture_output=True, check=False
        )
    except OSError:
        return False
    return done.returncode == 0


def main() -> None:
    """
    Print the Pythons to test on, or with ``--fastest`` the path of the one to
    measure with.
    """
    examined = [examine(path) for path in candidates(dict(os.environ))]
    found = [python for python in examined if python is not None]
    if sys.argv[1:] == ["--fastest"] and (best := fastest(found)):
        print(best.path)
        return
    chosen = choose(found)
    if not chosen:
        wanted = ".".join(map(str, OLDEST_SUPPORTED))
        sys.exit(f"no CPython {wanted} or newer with venv was found")
    compiler = os.environ.get("CC", "cc")
    words = []
    for python in chosen:
        build = "compiled" if compiles(python, compiler) else "pure"
        words.append(f"{python.minor[0]}.{python.minor[1]}={python.path}={build}")
    print(*words)


if __name__ == "__main__":
    main()
