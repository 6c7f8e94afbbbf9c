"""
A server for the libraries that share one coroutine API.

The first argument is the name of the library: ``socketeer``, ``websockets`` or
``picows.websockets``. All have the same handler and the same settings.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
from typing import Any

from .common import options, run, tls_context

# What websockets uses by default, spelled out so that nobody gets anything else:
# windows of 4 KiB, zlib's default level, memory level 5.
DEFLATE = {
    "server_max_window_bits": 12,
    "client_max_window_bits": 12,
    "compress_settings": {"memLevel": 5, "level": 6},
}


async def echo(connection: Any) -> None:
    """
    Send each message back.
    """
    async for message in connection:
        await connection.send(message)


def broadcaster(module: Any) -> Any:
    """
    Return a handler that sends each message to everybody.
    """
    connections: set[Any] = set()

    async def handler(connection: Any) -> None:
        connections.add(connection)
        try:
            async for message in connection:
                module.broadcast(connections, message)
        finally:
            connections.discard(connection)

    return handler


def compression(library: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """
    Return the arguments of ``serve()`` that say how to compress.
    """
    if not chosen.deflate:
        return {"compression": None}
    if library == "picows.websockets":
        # It has no other settings; these are the same (see DEFLATE).
        return {"compression": "deflate"}
    module = importlib.import_module(f"{library}.extensions.permessage_deflate")
    return {
        "compression": None,
        "extensions": [module.ServerPerMessageDeflateFactory(**DEFLATE)],
    }


async def main(library: str, chosen: argparse.Namespace) -> None:
    """
    Serve until the process is ended.
    """
    module = importlib.import_module(f"{library}.asyncio.server")
    server = module.serve(
        broadcaster(module) if chosen.broadcast else echo,
        "127.0.0.1",
        chosen.port,
        ssl=tls_context(chosen.tls),
        ping_interval=chosen.keepalive,
        max_size=None,
        **compression(library, chosen),
    )
    async with server:
        await asyncio.Event().wait()


if __name__ == "__main__":
    arguments = options("library")
    if arguments.no_zlib_ng:
        # As if it were not installed.
        sys.modules["zlib_ng"] = None  # type: ignore[assignment]
    run(main(arguments.library, arguments), arguments.loop)
