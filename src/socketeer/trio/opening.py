"""
The server's opening handshake on a stream: TLS, hooks, deadline, answer.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import trio

from .._opening import (
    Answering,
    closing_response,
    late_response,
    patience,
    take_request,
    write_response,
)
from ..http11 import Request, Response
from ..protocol import OPEN
from .pump import end_stream

if TYPE_CHECKING:
    from ..server import ServerProtocol
    from .server import ServerConnection
    from .serving import Reception

__all__ = ["Hook", "ServerOpening"]

Hook = Callable[..., Awaitable[Response | None] | Response | None]


class ServerOpening:
    """
    Sets up TLS, reads a request, asks the hooks, writes the response.

    Args:
        reception: Makes the connection; has the hooks.

    Attributes:
        is_answered: Whether a client that gets no connection was told so.
    """

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        # There when TLS is up.
        self._connection: ServerConnection | None = None
        # The scope of the handshake until the answer.
        self._scope = trio.CancelScope()
        self._is_shut = False
        self.is_answered = False

    async def run(self, stream: trio.abc.Stream) -> ServerConnection | None:
        """
        Perform the opening handshake.

        Args:
            stream: Stream to the client; with TLS, before its handshake.

        Returns:
            The connection, if it is OPEN. Otherwise the stream has to be closed.
        """
        made: tuple[ServerConnection, ServerProtocol] | None = None
        response = None
        with self._scope:
            timeout = self._reception.open_timeout
            if timeout is not None:
                self._scope.deadline = trio.current_time() + timeout
            if isinstance(stream, trio.SSLStream):
                await stream.do_handshake()
            server = self._reception.server
            made = self._reception.factory.make((server.nursery, stream), (server,))
            self._connection = made[0]
            response = await self._respond(*made)
        if made is None:
            # TLS took too long.
            if not self._is_shut:
                self._reception.server.census.count("handshakes_timed_out")
            return None
        return await self._answer(*made, response)

    def count_end(self) -> None:
        """
        Count a client that is gone without a connection.
        """
        connection = self._connection
        place = None if connection is None else connection._place
        self._reception.server.census.leave(place, None)

    def shut_down(self) -> None:
        """
        Take in that the server is closing.
        """
        if self._connection is None or self._connection.request is None:
            self._is_shut = True
            self._scope.cancel()

    async def _respond(
        self, connection: ServerConnection, protocol: ServerProtocol
    ) -> Response | None:
        """
        Read the request and ask the hooks for a response.
        """
        request = await _read_request(connection, protocol)
        if request is None:
            # The protocol has an answer to what is not a request.
            return None
        reception = self._reception
        answering = Answering(
            reception.server, connection, protocol, request, reception.hooks
        )
        call = answering.go_on()
        while call is not None:
            try:
                result = call()
                if inspect.isawaitable(result):
                    result = await result
            except Exception as exc:
                call = answering.go_on(failure=exc)
            else:
                call = answering.go_on(result)
        return answering.response

    async def _answer(
        self,
        connection: ServerConnection,
        protocol: ServerProtocol,
        response: Response | None,
    ) -> ServerConnection | None:
        """
        Write the response, unless the protocol has done so.
        """
        server = self._reception.server
        if connection._link.lost:
            # A hook has closed it.
            server.census.count("handshakes_broken")
            return None
        if self._scope.cancelled_caught:
            # shut_down() does not disturb who has sent a request.
            if server.closing and connection.request is None:
                response = closing_response(protocol)
            else:
                server.census.count("handshakes_timed_out")
                response = late_response(protocol, connection.request is not None)
        data = write_response(connection, protocol, response)
        if protocol.state is OPEN:
            # Nothing may wait here, so that nothing can be canceled between the
            # handshake and the rest: the response is the first thing to write.
            server.open(connection, data)
            return connection
        self.is_answered = True
        server.census.count("rejected" if data else "handshakes_broken")
        with trio.move_on_after(patience(connection.close_timeout)):
            # The client has some time to read this and to half-close, too.
            if data:
                await connection.stream.send_all(data)
            await end_stream(connection.stream)
        return None


async def _read_request(
    connection: ServerConnection, protocol: ServerProtocol
) -> Request | None:
    """
    Read the request; return :obj:`None` if it is none.
    """
    while connection.request is None and protocol.handshake_exc is None:
        data = await connection.stream.receive_some()
        connection.request = take_request(protocol, data)
    return connection.request
