"""
A client for the libraries that share one coroutine API, under load.

Each connection sends a message and waits for it to come back, again and again.
The first argument is the name of the library; the last line printed is JSON.
"""

from __future__ import annotations

import importlib
from typing import Any

from bench.servers.common import run

from .common import Counter, Options, options


async def converse(connection: Any, message: bytes, counter: Counter) -> None:
    """
    Send a message to and fro until time is up.
    """
    while not counter.is_over:
        await connection.send(message)
        if await connection.recv() != message:
            raise RuntimeError("a message came back with another payload")
        counter.messages += 1


async def main(library: str, chosen: Options) -> None:
    """
    Connect, count and print.
    """
    connect = importlib.import_module(f"{library}.asyncio.client").connect
    uri = f"ws://127.0.0.1:{chosen.port}/"
    keywords: dict[str, Any] = {"compression": None, "ping_interval": None}
    connections = [
        await connect(uri, max_size=None, proxy=None, **keywords)
        for _ in range(chosen.connections)
    ]
    counter = Counter(chosen)
    await counter.run(converse(c, chosen.message, counter) for c in connections)


if __name__ == "__main__":
    arguments = options("library")
    run(main(arguments.library, arguments), arguments.loop)
