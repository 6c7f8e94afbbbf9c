"""
The process that is attacked: a server, and on demand a client.

Commands arrive on standard input, one in a line; answers leave in the same way.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import inspect
import sys
from typing import Any

import uvloop

from socketeer.asyncio import running
from socketeer.asyncio.client import connect
from socketeer.asyncio.server import broadcast, serve
from socketeer.exceptions import ConnectionClosed
from tests.hostile.targets import (
    COROUTINES,
    MESSAGE,
    OPTIONS,
    BaseTarget,
    client_options,
    wanted,
)

__all__: list[str] = []

# What careless applications do.


async def close(connection: Any) -> None:
    await connection.recv()
    await connection.close()


async def send_broadcasts(connection: Any) -> None:
    while connection.state == 1:
        broadcast([connection], MESSAGE)
        await asyncio.sleep(0.001)
    await connection.wait_closed()


async def flood_and_close(connection: Any) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            await COROUTINES["floods"](connection)
    await connection.close()


async def be_stubborn(connection: Any) -> None:
    for _ in range(5):
        with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
            await asyncio.sleep(0.1)


BEHAVIOURS = {
    **COROUTINES,
    "closes": close,
    "broadcasts": send_broadcasts,
    "floods and closes": flood_and_close,
    "is stubborn": be_stubborn,
}


async def handler(connection: Any) -> None:
    """
    Behave as the request wants it.
    """
    await BEHAVIOURS[wanted(connection)](connection)


class Target(BaseTarget):
    """
    Carries out commands.
    """

    def __init__(self, server: Any) -> None:
        super().__init__(server)
        self.outcomes: list[asyncio.Task[str]] = []

    async def run(self) -> None:
        """
        Read commands and answer them, until there are no more.
        """
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
        )
        while line := await reader.readline():
            result = self.carry_out(line)
            self.answer(await result if inspect.isawaitable(result) else result)

    def count_tasks(self) -> int:
        return len(asyncio.all_tasks())

    async def connect(self, port: int, behaviour: str, patience: float) -> None:
        """
        Be the client of a hostile server, for whose handshake it waits so long.
        """
        options = client_options(patience)

        async def visit() -> str:
            try:
                async with connect(f"ws://127.0.0.1:{port}", **options) as connection:
                    await BEHAVIOURS[behaviour](connection)
            except Exception as exc:  # noqa: BLE001 - the outcome
                return type(exc).__name__
            return "ends"

        self.outcomes.append(asyncio.create_task(visit()))

    async def outcome(self) -> str:
        """
        Return how the last visit ended.
        """
        return await self.outcomes.pop()

    async def open_another(self) -> int:
        """
        Start another server; return its port.
        """
        self.another = await serve(handler, "127.0.0.1", 0, **OPTIONS)
        port: int = self.another.sockets[0].getsockname()[1]
        return port

    async def close_another(self) -> None:
        """
        Close it, and cancel its handlers, as at the end of a program.
        """
        running.HANDLERS_GRACE = 0.1
        self.another.close()
        for task in self.another.handler_tasks:
            task.cancel()
        await self.another.wait_closed()


async def main() -> None:
    """
    Serve until standard input ends.
    """
    async with serve(handler, "127.0.0.1", 0, backlog=4096, **OPTIONS) as server:
        target = Target(server)
        print(server.sockets[0].getsockname()[1], flush=True)
        await target.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--uvloop", action="store_true")
    options = parser.parse_args()
    factory = uvloop.new_event_loop if options.uvloop else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
