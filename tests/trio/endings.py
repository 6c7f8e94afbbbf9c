"""
Endings of connections in the room for trio, on the loopback interface.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

import trio

from socketeer.exceptions import ConnectionClosed
from socketeer.trio.client import connect
from socketeer.trio.server import serve
from tests.endings import CoroutineScene, Ending, Observed, read_to_the_end
from tests.trio.harness import QUIET, StreamPeer, eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# Seconds; nothing takes as long.
TIMEOUT = 10

__all__ = ["observe", "observe_client"]


class SocketPeer(StreamPeer):
    """
    A peer made by hand, on a TCP connection of trio's.
    """

    def __init__(self, stream: trio.SocketStream, role: str) -> None:
        super().__init__(stream, role)
        # What the methods that end TCP need of a socket, trio's have.
        self.sock: Any = stream.socket

    async def send(self, data: bytes) -> None:
        await _as_oserror(super().send, data)

    async def _read_more(self) -> bool:
        return await _as_oserror(super()._read_more)

    def half_close(self) -> None:
        trio.lowlevel.spawn_system_task(self.stream.send_eof)

    def close(self) -> None:
        self.sock.close()


async def _as_oserror(call: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    """
    Await something; a stream that is gone is a connection reset.
    """
    try:
        return await call(*args)
    except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
        raise ConnectionResetError from exc


class TrioScene(CoroutineScene):
    """
    A handler that is a coroutine of trio's.

    Args:
        nursery: Where what goes on beside the test runs.

    Attributes:
        life: The scope of the server, with its handlers.
    """

    closing = "aclose"

    def __init__(self, nursery: trio.Nursery) -> None:
        super().__init__()
        self.nursery = nursery
        self.life = trio.CancelScope()

    async def serve(self, task_status: Any, **options: Any) -> None:
        """
        Run the server.
        """
        with self.life:
            await serve(
                self.handle, 0, host="127.0.0.1", task_status=task_status, **options
            )

    async def handle_quietly(self, connection: Any) -> None:
        """
        Be the handler where nobody wants to know how it ends.
        """
        with contextlib.suppress(ConnectionClosed):
            await self.handle(connection)

    def cancel(self) -> None:
        self.life.cancel()

    def shut_down(self, **arguments: Any) -> None:
        self.nursery.start_soon(functools.partial(self.server.aclose, **arguments))


async def observe(ending: Ending, records: list[Any]) -> Observed:
    """
    Make an ending happen, and tell what was seen of it.

    Args:
        ending: The ending.
        records: Where log records arrive.
    """
    with trio.fail_after(TIMEOUT):
        async with trio.open_nursery() as nursery:
            scene = TrioScene(nursery)
            start = functools.partial(scene.serve, **{**QUIET, **ending.options})
            server = scene.server = await nursery.start(start)
            address = server.listeners[0].socket.getsockname()
            async with await trio.open_tcp_stream(*address) as stream:
                scene.peer = SocketPeer(stream, "client")
                await scene.peer.open_as_client()
                await eventually(lambda: scene.connection is not None)
                records.clear()
                before = server.statistics()
                await ending.happen(scene)
                received = await read_to_the_end(scene.peer, ending.then)
                await eventually(
                    lambda: (
                        not (server.all_connections or server.statistics()["handlers"])
                    )
                )
            after = server.statistics()
            observed = list(records)
            scene.life.cancel()
    return scene.observed(received, observed, before, after)


async def observe_client(ending: Ending) -> tuple[str, str, str]:
    """
    Make an ending happen to a client; return what its peer gets, the close code
    and how iterating ends.
    """
    with trio.fail_after(TIMEOUT):
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        uri = f"ws://127.0.0.1:{listener.socket.getsockname()[1]}/"
        async with listener, trio.open_nursery() as nursery:
            scene = TrioScene(nursery)
            nursery.start_soon(_accept, scene, listener)
            options = {**QUIET, **ending.options}
            async with connect(uri, proxy=None, **options) as connection:
                nursery.start_soon(scene.handle_quietly, connection)
                await eventually(lambda: scene.connection is not None)
                await ending.happen(scene)
                received = await read_to_the_end(scene.peer, ending.then)
                await connection.wait_closed()
            scene.peer.close()
    return received, str(connection.close_code), scene.describe_end()


async def _accept(scene: TrioScene, listener: trio.SocketListener) -> None:
    """
    Accept the client's connection, as a peer made by hand.
    """
    scene.peer = SocketPeer(await listener.accept(), "server")
    await scene.peer.open_as_server()
