"""
The process that is attacked, on trio: a server, and on demand a client.
"""

from __future__ import annotations

import functools
import inspect
import sys
from typing import Any

import trio

from socketeer.trio.client import connect
from socketeer.trio.server import broadcast, serve
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
    await connection.aclose()


async def send_broadcasts(connection: Any) -> None:
    while connection.state == 1:
        await broadcast([connection], MESSAGE, max_backlog=2**20)
        await trio.sleep(0.001)
    await connection.wait_closed()


async def flood_and_close(connection: Any) -> None:
    with trio.move_on_after(0.2):
        await COROUTINES["floods"](connection)
    await connection.aclose()


async def be_stubborn(connection: Any) -> None:
    with trio.CancelScope(shield=True):
        await trio.sleep(0.5)


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

    def __init__(self, server: Any, nursery: trio.Nursery) -> None:
        super().__init__(server)
        self.nursery = nursery
        self.life = trio.CancelScope()
        self.outcomes: list[trio.MemoryReceiveChannel[str]] = []

    async def run(self) -> None:
        """
        Read commands and answer them, until there are no more.
        """
        while line := await trio.to_thread.run_sync(
            sys.stdin.readline, abandon_on_cancel=True
        ):
            result = self.carry_out(line)
            self.answer(await result if inspect.isawaitable(result) else result)

    def count_tasks(self) -> int:
        return trio.lowlevel.current_statistics().tasks_living

    def connect(self, port: int, behaviour: str, patience: float) -> None:
        """
        Be the client of a hostile server, for whose handshake it waits so long.
        """
        options = client_options(patience)
        send, receive = trio.open_memory_channel[str](1)

        async def visit() -> None:
            outcome = "ends"
            try:
                async with connect(f"ws://127.0.0.1:{port}", **options) as connection:
                    await BEHAVIOURS[behaviour](connection)
            except Exception as exc:  # noqa: BLE001 - the outcome
                outcome = type(exc).__name__
            send.send_nowait(outcome)

        self.nursery.start_soon(visit)
        self.outcomes.append(receive)

    async def outcome(self) -> str:
        """
        Return how the last visit ended.
        """
        return await self.outcomes.pop().receive()

    async def open_another(self) -> int:
        """
        Start another server; return its port.
        """

        async def run(task_status: Any) -> None:
            start = functools.partial(serve, handler, 0, host="127.0.0.1", **OPTIONS)
            with self.life:
                await start(task_status=task_status)

        self.another = await self.nursery.start(run)
        port: int = self.another.listeners[0].socket.getsockname()[1]
        return port

    async def close_another(self) -> None:
        """
        Close it, and cancel its handlers, as at the end of a program.
        """
        with trio.move_on_after(0.1):
            await self.another.aclose()
        self.life.cancel()


async def main() -> None:
    """
    Serve until standard input ends.
    """
    options: dict[str, Any] = {"host": "127.0.0.1", "backlog": 4096, **OPTIONS}
    async with trio.open_nursery() as nursery:
        server = await nursery.start(functools.partial(serve, handler, 0, **options))
        target = Target(server, nursery)
        print(server.listeners[0].socket.getsockname()[1], flush=True)
        await target.run()
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
