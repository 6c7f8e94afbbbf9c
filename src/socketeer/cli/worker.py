"""
A process that serves, started by a supervisor.

Its options come as one line of JSON on the standard input, which then stays open as
long as the supervisor lives.
"""

from __future__ import annotations

import json
import sys

from .loading import CannotServe
from .loops import run
from .serving import ServeOptions, serve_until_signal

__all__ = ["CANNOT_SERVE", "main"]

# Exit status that says: starting again is no use.
CANNOT_SERVE = 3


def main() -> int:
    """
    Serve until the supervisor says so, or is gone.
    """
    options = ServeOptions(**json.loads(sys.stdin.readline()))
    try:
        return run(serve_until_signal(options, lifeline=sys.stdin.fileno()))
    except CannotServe as exc:
        print(f"Error: {exc}", file=sys.stderr, flush=True)  # noqa: T201
        return CANNOT_SERVE


if __name__ == "__main__":
    sys.exit(main())
