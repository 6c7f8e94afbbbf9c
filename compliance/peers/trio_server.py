"""
An echo server on trio, for the Autobahn test suite: PORT.
"""

from __future__ import annotations

import functools
import signal
import sys

import trio

from socketeer.trio.server import ServerConnection, serve

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
    start = functools.partial(serve, host="127.0.0.1", max_size=MAX_SIZE)
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with (
            trio.open_nursery() as nursery,
            await nursery.start(start, echo, port),
        ):
            await anext(signals)


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]))
