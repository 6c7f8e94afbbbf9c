"""
Endings of connections in the room for threads.

The peer made by hand is a coroutine; what blocks runs in threads beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

from socketeer.exceptions import ConnectionClosedOK
from tests.asyncio.harness import wait_until
from tests.asyncio.raw import RawListener, RawPeer
from tests.endings import Ending, Observed, Scene, read_to_the_end
from tests.sync.harness import TIMEOUT, serving
from tests.under_test import submodule

__all__ = ["observe", "observe_client"]

QUIET = {"ping_interval": None, "compression": None}


class ThreadsScene(Scene):
    """
    A handler that runs in a thread.
    """

    def __init__(self) -> None:
        super().__init__()
        self.closing: threading.Thread | None = None

    def handle(self, connection: Any) -> None:
        """
        Be the handler.
        """
        self.connection = connection
        try:
            for message in connection:
                if message == "go":
                    if self.act == "returns":
                        return
                    self.obey(connection.close)
            # Where the loop ends, so does this.
            with contextlib.suppress(ConnectionClosedOK):
                connection.recv()
        except BaseException as exc:
            self.raised = exc
            raise

    def cancel(self) -> None:
        raise AssertionError("threads cannot be cancelled")

    def shut_down(self, **arguments: Any) -> None:
        self.closing = threading.Thread(target=self.server.shutdown, kwargs=arguments)
        self.closing.start()


async def observe(ending: Ending, records: list[Any]) -> Observed:
    """
    Make an ending happen, and tell what was seen of it.

    Args:
        ending: The ending.
        records: Where log records arrive.
    """
    scene = ThreadsScene()
    with serving(scene.handle, **{**QUIET, **ending.options}) as server:
        scene.server = server
        scene.peer = await RawPeer.connect(server.socket.getsockname()[1])
        with contextlib.closing(scene.peer):
            await wait_until(lambda: scene.connection is not None)
            records.clear()
            before = server.statistics()
            await ending.happen(scene)
            received = await read_to_the_end(scene.peer, ending.then)
            await wait_until(
                lambda: not (server.all_connections or server.statistics()["handlers"])
            )
        after = server.statistics()
        if scene.closing is not None:
            await asyncio.to_thread(scene.closing.join, TIMEOUT)
            assert not scene.closing.is_alive()
        observed = list(records)
    return scene.observed(received, observed, before, after)


async def observe_client(ending: Ending) -> tuple[str, str, str]:
    """
    Make an ending happen to a client; return what its peer gets, the close code
    and how iterating ends.
    """
    scene = ThreadsScene()
    listener = RawListener()
    connecting = asyncio.create_task(
        asyncio.to_thread(
            submodule("sync.client").connect,
            f"ws://127.0.0.1:{listener.port}",
            proxy=None,
            **{**QUIET, **ending.options},
        )
    )
    with contextlib.closing(listener):
        scene.peer = await listener.accept()
    with contextlib.closing(scene.peer):
        await scene.peer.open_as_server()
        connection = await connecting
        task = asyncio.create_task(asyncio.to_thread(scene.handle, connection))
        await wait_until(lambda: scene.connection is not None)
        await ending.happen(scene)
        received = await read_to_the_end(scene.peer, ending.then)
        assert await asyncio.to_thread(connection.wait_closed, TIMEOUT)
        await asyncio.wait([task])
    task.exception()
    return received, str(connection.close_code), scene.describe_end()
