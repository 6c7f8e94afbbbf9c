"""
Runs one target: ``python -m fuzz TARGET [OPTIONS OF LIBFUZZER]``.

The corpus grows in ``build/fuzz/TARGET``; inputs which found something are written
there, too. Without ``-runs`` or ``-max_total_time`` it runs until it is stopped.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import atheris

from fuzz.targets import TARGETS

FOLDER = Path(__file__).parent

# Bytes: longer inputs find nothing that shorter ones do not, and take longer.
MAX_LENGTH = 1024

# Seconds for one input. The slowest take hundredths; but a machine may be busy, or
# a process be stopped for a while.
TIMEOUT = 300


def main() -> None:
    """
    Look for input that makes a target raise an exception.
    """
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        raise SystemExit(f"usage: python -m fuzz {{{','.join(TARGETS)}}} [OPTIONS]")
    name = sys.argv[1]
    # What parsers look for guides the choice of inputs.
    atheris.enabled_hooks.add("str")
    with atheris.instrument_imports(include=["socketeer"]):
        target = importlib.import_module(f"fuzz.targets.{name}")
    found = Path("build", "fuzz", name)
    found.mkdir(parents=True, exist_ok=True)
    options = [f"-max_len={MAX_LENGTH}", f"-timeout={TIMEOUT}"]
    options += [f"-artifact_prefix={found}/finding-", "-print_final_stats=1"]
    dictionary = FOLDER / "dictionaries" / f"{name}.txt"
    if dictionary.exists():
        options.append(f"-dict={dictionary}")
    corpus = [str(found / "corpus"), str(FOLDER / "corpus" / name)]
    Path(corpus[0]).mkdir(exist_ok=True)
    atheris.Setup([sys.argv[0], *options, *sys.argv[2:], *corpus], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
