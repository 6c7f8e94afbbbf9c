"""
The server's process: serves whoever comes, and breaks what it is asked to break.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import ssl
from typing import Any

from socketeer.asyncio.server import broadcast, serve
from tests.soak.measuring import Complaints, report, run

__all__: list[str] = []


async def handler(connection: Any) -> None:
    """
    Answer, or do what a message says.
    """
    async for message in connection:
        if message == "close":
            await connection.close(4000, "as you wish")
        elif message == "abort":
            connection.transport.abort()
        elif message == "garbage":
            connection.transport.write(b"\xff\xff\xff\xff")
        elif message == "return":
            return
        elif message == "ping":
            await (await connection.ping())
        else:
            await connection.send(message)


async def main() -> None:
    """
    Serve for a while.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--interval", type=float, required=True)
    parser.add_argument("--certificate")
    options = parser.parse_args()
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    logging.getLogger("socketeer").setLevel(logging.INFO)
    asyncio.get_running_loop().slow_callback_duration = 60
    context = None
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate)
    async with serve(
        handler,
        "127.0.0.1",
        0,
        ssl=context,
        open_timeout=2,
        ping_interval=3,
        ping_timeout=3,
        close_timeout=2,
        backlog=1024,
        max_message_rate=1000,
        idle_timeout=60,
    ) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        announcing = asyncio.create_task(announce(server))
        await report(options.seconds, options.interval, complaints)
        announcing.cancel()
    print(json.dumps({"statistics": server.statistics()}), flush=True)


async def announce(server: Any) -> None:
    """
    Tell everybody something, now and then.
    """
    while True:
        await asyncio.sleep(5)
        broadcast(server.connections, "news" * 100)


if __name__ == "__main__":
    run(main())
