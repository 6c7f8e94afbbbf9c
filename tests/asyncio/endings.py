"""
Endings of connections in the asyncio room.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from tests.asyncio.exchange import serving
from tests.asyncio.harness import facing_raw_peer, wait_until
from tests.asyncio.raw import RawPeer
from tests.endings import CoroutineScene, Ending, Observed, read_to_the_end

__all__ = ["observe", "observe_client"]


class AsyncioScene(CoroutineScene):
    """
    A handler that is a coroutine of asyncio's.
    """

    task: Any = None

    async def handle(self, connection: Any) -> None:
        """
        Be the handler.
        """
        self.task = asyncio.current_task()
        await super().handle(connection)

    def cancel(self) -> None:
        self.task.cancel()

    def shut_down(self, **arguments: Any) -> None:
        self.server.close(**arguments)


async def observe(ending: Ending, records: list[Any]) -> Observed:
    """
    Make an ending happen, and tell what was seen of it.

    Args:
        ending: The ending.
        records: Where log records arrive.
    """
    scene = AsyncioScene()
    options = {"ping_interval": None, "compression": None, **ending.options}
    async with serving(scene.handle, **options) as running:
        scene.server = running.server
        scene.peer = await RawPeer.connect(running.port)
        with contextlib.closing(scene.peer):
            await wait_until(lambda: scene.connection is not None)
            records.clear()
            before = running.server.statistics()
            await ending.happen(scene)
            received = await read_to_the_end(scene.peer, ending.then)
            await wait_until(
                lambda: (
                    not running.server.all_connections
                    and not running.server.handler_tasks
                )
            )
        after = running.server.statistics()
    return scene.observed(received, records, before, after)


async def observe_client(ending: Ending) -> tuple[str, str, str]:
    """
    Make an ending happen to a client; return what its peer gets, the close code
    and how iterating ends.
    """
    scene = AsyncioScene()
    options = {"close_timeout": 10, **ending.options}
    async with facing_raw_peer("client", **options) as (connection, peer):
        scene.peer = peer
        task = asyncio.create_task(scene.handle(connection))
        await wait_until(lambda: scene.connection is not None)
        await ending.happen(scene)
        received = await read_to_the_end(peer, ending.then)
        await connection.wait_closed()
        await asyncio.wait([task])
    if not task.cancelled():
        task.exception()
    return received, str(connection.close_code), scene.describe_end()
