"""
Ports for programs which cannot choose one by themselves.
"""

from __future__ import annotations

import secrets
import socket

__all__ = ["free_port"]

# Below those that systems give to whoever asks for any: a server of another test
# cannot come by one before the program does.
_LOWEST, _HIGHEST = 20_000, 32_000


def free_port(highest: int = _HIGHEST) -> int:
    """
    Return a port of the loopback interface that nobody listens on.

    Args:
        highest: The highest port that will do.
    """
    while True:
        port = _LOWEST + secrets.randbelow(highest - _LOWEST + 1)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
