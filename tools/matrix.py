"""
Runs the tests in every cell of the matrix and sums up what was tested.

A cell is a Python and a build; in each, tests of coroutines run on stock asyncio
and on uvloop. What cannot differ between cells runs once: the first cell, the
pure build on the oldest Python, runs everything and measures coverage.

    python tools/matrix.py 3.11=.venv/3.11=compiled 3.13=.venv/3.13=compiled
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

__all__ = ["LONGEST", "Cell", "cells", "left_to_others", "main"]

REPORTS = Path("build/tests")

# Do not depend on the build, nor on the Python that runs them.
ONCE = (
    "tests/compliance",
    "tests/test_architecture.py",
    "tests/test_packaging.py",
    "tests/test_pages.py",
    "tests/tools",
)
# Do not depend on the build.
ONCE_PER_PYTHON = ("tests/cli", "tests/ground")
# Speak with programs to which our Python does not matter.
ONCE_PER_BUILD = (
    "tests/bench",
    "tests/browser",
    "tests/hostile",
    "tests/interop",
    "tests/test_docs.py",
)

# Run where both Python and build differ: what stands on the core and on asyncio.
TWICE = ("tests/loss", "tests/pubsub", "tests/sync", "tests/trio")

# Take longest by the file, because they start programs. They begin: the other way
# round, one worker would be at them long after the others are done.
LONGEST = (
    "tests/test_docs.py",
    "tests/test_packaging.py",
    "tests/browser",
    "tests/hostile",
    "tests/cli",
    "tests/interop",
    "tests/ground/test_http11_oracles.py",
)

# Smallest coverage, in per cent, of statements and branches in these files. The
# adapter between the core and asyncio is a part of the room that is compiled.
COVERAGE = {
    "src/socketeer/asyncio/*": 95,
    "src/socketeer/cli/*": 95,
    "src/socketeer/sync/*": 95,
    "src/socketeer/trio/*": 95,
    "src/socketeer/pubsub/*": 95,
    "src/socketeer/_core/aio/*": 98,
    "src/socketeer/*.py,src/socketeer/_core/*.py,src/socketeer/extensions/*": 100,
}


class Cell(NamedTuple):
    """
    One Python with one build.

    Attributes:
        version: The Python, such as ``"3.11"``.
        environment: The folder of its virtual environment.
        build: ``"pure"`` or ``"fast"``.
        is_first: Whether this is the cell that runs everything.
        is_oldest: Whether this is the oldest Python.
        is_newest: Whether this is the newest Python.
    """

    version: str
    environment: Path
    build: str
    is_first: bool
    is_oldest: bool
    is_newest: bool

    @property
    def name(self) -> str:
        """
        A name for people and for files.
        """
        return f"{self.version}-{self.build}"


def cells(pythons: list[str]) -> list[Cell]:
    """
    Return the cells for Pythons given as ``VERSION=ENVIRONMENT=BUILD``.
    """
    found = []
    for index, python in enumerate(pythons):
        version, environment, build = python.split("=")
        for core in ["pure", "fast"] if build == "compiled" else ["pure"]:
            is_first = index == 0 and core == "pure"
            is_oldest, is_newest = index == 0, index == len(pythons) - 1
            found.append(
                Cell(version, Path(environment), core, is_first, is_oldest, is_newest)
            )
    return found


def left_to_others(cell: Cell) -> list[str]:
    """
    Return what the cell leaves to other cells, as options for pytest.
    """
    ignored: list[str] = []
    if not cell.is_first:
        ignored += ONCE
    if cell.build != "pure":
        ignored += ONCE_PER_PYTHON
    if not cell.is_oldest:
        ignored += ONCE_PER_BUILD
    if not (cell.is_first or (cell.build != "pure" and cell.is_newest)):
        ignored += TWICE
    return [f"--ignore={path}" for path in ignored]


def run_cell(cell: Cell, arguments: list[str], measure: bool) -> int:
    """
    Run the tests of a cell; return the exit status.
    """
    python = str(cell.environment / "bin" / "python")
    command = [python]
    if measure:
        command += ["-m", "coverage", "run"]
    # Tests that were asked for run everywhere. Otherwise each file is run by one
    # worker, in the order of LONGEST, not by the number of its tests. Many tests
    # wait for programs and sockets: one worker more than processors.
    workers = str((os.cpu_count() or 1) + 1)
    everything = ["-n", workers, "--dist", "loadfile", "--no-loadscope-reorder"]
    everything += left_to_others(cell)
    command += ["-m", "pytest", *(arguments or everything)]
    report = REPORTS / f"{cell.name}.json"
    report.unlink(missing_ok=True)
    print(f"\n$ SOCKETEER_CORE={cell.build} {shlex.join(command)}", flush=True)
    environ = {
        **os.environ,
        "SOCKETEER_CORE": cell.build,
        "SOCKETEER_TESTS_SUMMARY": str(report.resolve()),
    }
    return subprocess.run(command, env=environ, check=False).returncode


def check_coverage(cell: Cell) -> int:
    """
    Report coverage; return how many of the limits are missed.
    """
    coverage = [str(cell.environment / "bin" / "python"), "-m", "coverage"]
    subprocess.run([*coverage, "combine", "--quiet"], check=False)
    missed = 0
    for include, limit in COVERAGE.items():
        print(f"\ncoverage of {include}: at least {limit} %", flush=True)
        command = [*coverage, "report", f"--include={include}", f"--fail-under={limit}"]
        missed += subprocess.run(command, check=False).returncode != 0
    return missed


def sum_up(tested: list[Cell], builds: set[str]) -> tuple[int, int]:
    """
    Say what was tested; return how many tests passed and how many failed.
    """
    passed = failed = 0
    print("\nwhat was tested")
    for cell in tested:
        file = REPORTS / f"{cell.name}.json"
        if not file.exists():
            print(f"  {cell.name}: the run did not finish")
            failed += 1
            continue
        report = json.loads(file.read_text("utf-8"))
        loops = ", ".join(f"{n} on {loop}" for loop, n in report["passed"].items())
        print(f"  {report['subject']}: {loops}; {report['skipped']} skipped")
        passed += sum(report["passed"].values())
        failed += report["failed"]
    if len({cell.version for cell in tested}) == 1:
        print(f"  only one Python was found, {tested[0].version}")
    if "pure" in builds:
        print("  no working C compiler was found: the compiled build was not tested")
    return passed, failed


def main() -> int:
    """
    Run the matrix.
    """
    parser = argparse.ArgumentParser(description="Run the tests in every cell.")
    parser.add_argument("pythons", nargs="+", metavar="VERSION=ENVIRONMENT=BUILD")
    parser.add_argument("--tests", default="", help="arguments for pytest")
    parser.add_argument("--no-coverage", action="store_true")
    options = parser.parse_args()
    # A shell that runs this in the background has SIGINT ignored, which programs
    # inherit; tests interrupt programs.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    arguments = shlex.split(options.tests)
    measure = not options.no_coverage and not arguments
    builds = {python.split("=")[2] for python in options.pythons}
    if "pure" in builds and os.environ.get("CI") == "true":
        print(
            "CI=true, and no C compiler works for one of the Pythons", file=sys.stderr
        )
        return 1
    REPORTS.mkdir(parents=True, exist_ok=True)
    tested = cells(options.pythons)
    trouble = []
    for cell in tested:
        if run_cell(cell, arguments, measure and cell.is_first) != 0:
            trouble.append(f"tests of {cell.name}")
    if measure and check_coverage(tested[0]):
        trouble.append("coverage")
    passed, failed = sum_up(tested, builds)
    if trouble:
        print(f"  FAILED: {', '.join(trouble)}")
    # The last line is read by machines, too.
    print(f"{passed} passed, {max(failed, len(trouble))} failed", flush=True)
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())
