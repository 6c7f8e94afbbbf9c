"""
An echo server on asyncio, for the Autobahn test suite: PORT.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from socketeer.asyncio.server import ServerConnection, serve

# Bytes: the cases of group 9 send messages of 16 MiB; the default is 1 MiB.
MAX_SIZE = 2**25


async def echo(connection: ServerConnection) -> None:
    """
    Send each message back.
    """
    async for message in connection:
        await connection.send(message)


async def main(port: int) -> None:
    """
    Serve until told to stop.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serve(echo, "127.0.0.1", port, max_size=MAX_SIZE):
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
