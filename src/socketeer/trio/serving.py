"""
From streams to connections: what ``serve()`` sets up.
"""

from __future__ import annotations

import dataclasses
import ssl as ssl_module
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import trio

from .._serving import ConnectionFactory
from .opening import Hook, ServerOpening

if TYPE_CHECKING:
    from .running import Server
    from .server import ServerConnection

__all__ = ["Reception"]

# Seconds for which the request is waited for of a client that is turned away.
_MOMENT = 0.05


@dataclasses.dataclass
class Reception:
    """
    Receives clients: calling it, with a stream, serves one.

    Attributes:
        handler: Called with the connection when it is OPEN.
        ssl: TLS context, or :obj:`None`.
        factory: Makes connections.
        hooks: ``process_request`` and ``process_response``.
        open_timeout: Seconds for the opening handshake, or :obj:`None`.
        server: The server on whose behalf this happens.
    """

    handler: Callable[[ServerConnection], Awaitable[object]]
    ssl: ssl_module.SSLContext | None
    factory: ConnectionFactory
    hooks: tuple[Hook | None, Hook | None]
    open_timeout: float | None
    server: Server = dataclasses.field(init=False)

    async def __call__(self, stream: trio.abc.Stream) -> None:
        """
        Serve the client at the other end of a stream.
        """
        if self.server.census.is_crowded():
            await self._turn_away(stream)
            return
        self.server.census.arrive()
        if self.ssl is not None:
            stream = trio.SSLStream(
                stream, self.ssl, server_side=True, https_compatible=True
            )
        connection = await self._open(stream)
        if connection is not None:
            await self.server.run_handler(self.handler, connection)

    async def _turn_away(self, stream: trio.abc.Stream) -> None:
        """
        Refuse a connection without waiting for its request.

        Next to nothing is waited for: it is such waits that there are too many of.
        With TLS, there is no way to say why.
        """
        answer = self.server.turn_away()
        if self.ssl is None:
            with trio.move_on_after(_MOMENT):
                try:
                    # A request that was not read would make the answer a reset.
                    await stream.receive_some()
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    return
            with trio.move_on_after(_MOMENT):
                try:
                    await stream.send_all(answer)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    return

    async def _open(self, stream: trio.abc.Stream) -> ServerConnection | None:
        """
        Perform the opening handshake; if it fails, close the stream.
        """
        server = self.server
        opening = ServerOpening(self)
        server.openings.add(opening)
        connection = None
        try:
            connection = await opening.run(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # The client is gone, or its TLS and ours do not match.
            if not opening.is_answered:
                server.census.count("handshakes_broken")
        except Exception:
            server.logger.exception("opening handshake failed")
        finally:
            server.openings.discard(opening)
            if connection is None:
                opening.count_end()
                with trio.CancelScope(shield=True):
                    await trio.aclose_forcefully(stream)
        return connection
