"""
A connection whose request has not arrived yet.

Anybody can open connections and say nothing. Such a connection is a socket, a
transport and a few bytes; all else is made when there is something to answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._serving import ConnectionFactory
    from ._cellar import Link
    from .opening import ServerOpening
    from .running import Server

__all__ = ["Arrival"]

# Bytes to wait for the end of a request in. Whatever is longer is read line by
# line, against the limits of requests.
_SHORT = 4096

# How all handshakes begin (RFC 6455, 4.1).
_BEGINNING = b"GET "


class Arrival:
    """
    Waits for a request on a new connection, as its opening handshake.

    Args:
        server: The server.
        factory: Makes the connection when its time has come.
        link: The connection's link, which has a wire.

    Attributes:
        secure: Whether the transport can carry a response: not before TLS is up.
    """

    __slots__ = ("_factory", "_is_over", "_link", "_received", "_server", "secure")

    def __init__(self, server: Server, factory: ConnectionFactory, link: Link) -> None:
        self._server = server
        self._factory = factory
        self._link = link
        self._received = b""
        self._is_over = False
        self.secure = True

    def data_received(self, data: bytes) -> None:
        """
        Take in a piece of the request.
        """
        received = self._received + data
        if _may_go_on(received):
            self._received = received
            return
        opening = self._make_opening()
        if opening is not None:
            opening.data_received(received)

    def timed_out(self) -> None:
        """
        Take in that the client was too slow.
        """
        opening = self._make_opening()
        if opening is not None:
            opening.timed_out()

    def shut_down(self) -> None:
        """
        Take in that the server is closing.
        """
        opening = self._make_opening()
        if opening is not None:
            opening.shut_down()

    def eof_received(self) -> None:
        """
        Take in the end of the client's bytes: nobody waits for an answer.
        """
        self._leave()
        self._link.wire.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """
        Take in that the connection is gone.
        """
        self._leave()

    def _make_opening(self) -> ServerOpening | None:
        """
        Let a connection, and its opening handshake, go on from here.

        Returns:
            The opening handshake; :obj:`None` if ``create_connection`` has failed.
        """
        server, link = self._server, self._link
        try:
            connection, protocol = self._factory.make((), (server,), link)
        except Exception:
            server.logger.exception("accepting a connection failed")
            self._leave()
            link.wire.abort()
            return None
        connection.transport.set_write_buffer_limits(*connection._write_limit)
        opening = server.adopt(connection, protocol, self)
        opening.secure = self.secure
        return opening

    def _leave(self) -> None:
        """
        Have the server count that there will be no request.
        """
        if not self._is_over:
            self._is_over = True
            self._server.miss(self)


def _may_go_on(received: bytes) -> bool:
    """
    Tell whether this is the beginning of a request, and not all of it.
    """
    return (
        len(received) < _SHORT
        and received.startswith(_BEGINNING[: len(received)])
        # The end of the head is an empty line, however badly lines are ended.
        and b"\n\r\n" not in received
        and b"\n\n" not in received
    )
