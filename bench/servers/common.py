"""
What the servers in Python share: options, the event loop, TLS.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import ssl
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

__all__ = ["options", "run", "tls_context"]


def options(*positional: str) -> argparse.Namespace:
    """
    Return the options of the command line.

    Args:
        positional: Names of arguments that come before the port.
    """
    parser = argparse.ArgumentParser()
    for name in positional:
        parser.add_argument(name)
    parser.add_argument("port", type=int)
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    parser.add_argument("--broadcast", action="store_true", help="not only echo")
    parser.add_argument("--deflate", action="store_true", help="compress")
    parser.add_argument("--no-zlib-ng", action="store_true", help="use plain zlib")
    parser.add_argument("--tls", type=Path, help="a certificate with its key, PEM")
    parser.add_argument("--keepalive", type=float, help="seconds between pings")
    parser.add_argument("--redis", help="the address of a Redis, to publish through")
    parser.add_argument("--topics", type=int, default=1, help="how many there are")
    parser.add_argument("--each", type=int, default=1, help="topics per connection")
    parser.add_argument("--history", type=int, default=0, help="messages to keep")
    return parser.parse_args()


def tls_context(file: Path | None) -> ssl.SSLContext | None:
    """
    Return the context for a certificate, or nothing without one.
    """
    if file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def run(main: Coroutine[Any, Any, None], loop: str) -> None:
    """
    Run a server or a client on the event loop of this name, with all the sockets
    that the system allows.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if loop == "uvloop":
        import uvloop  # noqa: PLC0415

        uvloop.run(main)
    else:
        asyncio.run(main)
    sys.exit(0)
