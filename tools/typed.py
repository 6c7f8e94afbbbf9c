"""
Checks that nothing in the public interface is of unknown type.

Asks pyright about the installed package, as somebody's editor would. Attributes
whose type is inferred from an assignment are counted, and allowed.

    python tools/typed.py PYTHON_ENVIRONMENT
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["ask", "judge", "main"]


def ask(environment: Path) -> dict[str, Any]:
    """
    Return what pyright reports about the package installed in an environment.
    """
    # Pyright looks at the Python it finds first.
    path = f"{environment.resolve() / 'bin'}{os.pathsep}{os.environ['PATH']}"
    pyright = Path(sys.executable).parent / "pyright"
    command = [str(pyright), "--verifytypes", "socketeer", "--ignoreexternal"]
    done = subprocess.run(
        [*command, "--outputjson"],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    report: dict[str, Any] = json.loads(done.stdout)["typeCompleteness"]
    return report


def judge(report: dict[str, Any]) -> list[str]:
    """
    Return the names of unknown type, or another reason to fail.
    """
    counts = report["exportedSymbolCounts"]
    if not counts["withKnownType"]:
        return ["the package was not found"]
    if not counts["withUnknownType"]:
        return []
    return [
        symbol["name"]
        for symbol in report["symbols"]
        if symbol["isExported"] and not symbol["isTypeKnown"]
    ]


def main() -> int:
    """
    Report, and fail if there is something to complain about.
    """
    report = ask(Path(sys.argv[1]))
    complaints = judge(report)
    known = report["exportedSymbolCounts"]["withKnownType"]
    print(f"{known} public names of known type, {report['completenessScore']:.0%}")
    for complaint in complaints:
        print(f"unknown type: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
