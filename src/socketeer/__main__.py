"""
The program behind ``socketeer`` and ``python -m socketeer``.
"""

from __future__ import annotations

import importlib
import sys

__all__ = ["main"]

# Packages of the extra.
_EXTRA = {"click", "prompt_toolkit", "rich"}

# As for a wrong command line.
_CANNOT_RUN = 2


def main() -> None:
    """
    Run the program, or say what to install.
    """
    try:
        commands = importlib.import_module("socketeer.cli.program")
    except ModuleNotFoundError as exc:
        # Only for those who did not install the extra; a mistake of ours stays one.
        if exc.name not in _EXTRA:
            raise
        print(  # noqa: T201 - what the program has to say
            f"The command line of Socketeer needs {exc.name}, which is not installed:"
            "\n\n    pip install 'socketeer[cli]'",
            file=sys.stderr,
        )
        sys.exit(_CANNOT_RUN)
    commands.program(prog_name="socketeer")


if __name__ == "__main__":
    main()
