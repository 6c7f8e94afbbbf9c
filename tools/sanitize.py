"""
Runs tests on a compiled core that watches itself: with ASan and UBSan.

    python tools/sanitize.py [ARGUMENTS FOR PYTEST]

AddressSanitizer finds accesses to memory that is not there, or not any more;
UndefinedBehaviorSanitizer finds what C does not define, such as integers that
overflow. The core is compiled in ``build/sanitized``; the one in use stays as it is.
Without arguments, the tests of the core run, and the corpus of fuzzing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["compile_core", "environment", "libraries", "main"]

FOLDER = Path("build", "sanitized")

TESTS = ["tests/core", "tests/fuzz"]

# An error ends the process: what follows it means little.
FLAGS = (
    "-fsanitize=address,undefined -fno-sanitize-recover=undefined "
    "-fno-omit-frame-pointer"
)


def libraries() -> list[str]:
    """
    Return the run-time libraries of the sanitizers.

    Python was not compiled with them, so they have to be there before it starts.
    """
    compiler = os.environ.get("CC", "gcc")
    found = []
    for name in ("libasan.so", "libubsan.so"):
        command = [compiler, f"-print-file-name={name}"]
        path = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append(str(Path(path.stdout.strip()).resolve()))
    return found


def compile_core() -> None:
    """
    Compile the core beside a copy of its source.
    """
    shutil.copytree("src", FOLDER / "src", dirs_exist_ok=True, ignore=_left_out)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(name, FOLDER / name)
    environ = {
        **os.environ,
        "SOCKETEER_BUILD": "compiled",
        "CFLAGS": FLAGS,
        "LDFLAGS": FLAGS,
    }
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    subprocess.run(command, cwd=FOLDER, env=environ, check=True)


def _left_out(_: str, names: list[str]) -> set[str]:
    return {name for name in names if name.endswith((".so", "__pycache__"))}


def environment() -> dict[str, str]:
    """
    Return the environment in which sanitized code can be imported.
    """
    return {
        **os.environ,
        "LD_PRELOAD": " ".join(libraries()),
        # CPython never frees all; and it has to ask malloc() for each object, or
        # its own pools would hide what is out of bounds.
        "ASAN_OPTIONS": "detect_leaks=0:strict_string_checks=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str((FOLDER / "src").resolve()),
        "SOCKETEER_CORE": "fast",
    }


def main() -> int:
    """
    Compile and run; return the exit status of pytest.
    """
    compile_core()
    arguments = sys.argv[1:] or TESTS
    # Everything is some times slower. What is found is written to file descriptor 2
    # before the process ends: it must not be captured.
    options = ["-q", "--timeout=300", "--capture=sys"]
    command = [sys.executable, "-m", "pytest", *options, *arguments]
    return subprocess.run(command, env=environment(), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
