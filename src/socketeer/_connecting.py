"""
What ``connect()`` makes of its arguments, and what it asks for, in whatever room.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from ._negotiation import negotiation_arguments
from ._reconnection import Reconnection
from ._redirection import follow_redirect
from .client import ClientProtocol
from .exceptions import SecurityError
from .extensions.permessage_deflate import enable_client_permessage_deflate
from .protocol import OPEN

if TYPE_CHECKING:
    from ._redirection import Pinned
    from .datastructures import HeadersLike
    from .extensions import ClientExtensionFactory
    from .typing import LoggerLike, Origin, Subprotocol
    from .uri import WebSocketURI

__all__ = [
    "ClientHandshake",
    "Connecter",
    "Redirects",
    "check_names",
    "unix_uri",
]


def unix_uri(uri: str | None, ssl: object) -> str:
    """
    Return the URI for a Unix socket, for which there need not be one.
    """
    if uri is not None:
        return uri
    return "ws://localhost/" if ssl is None else "wss://localhost/"


def _repeatable(headers: HeadersLike | None) -> HeadersLike | None:
    """
    Return headers that can be sent more than once, over several connections.
    """
    return list(headers) if isinstance(headers, Iterator) else headers


def check_names(arguments: Iterable[str], known: Container[str]) -> None:
    """
    Check that all other arguments of ``connect()`` are known.

    Raises:
        TypeError: One is not.
    """
    for name in arguments:
        if name not in known:
            raise TypeError(f"connect() got an unexpected keyword argument {name!r}")


class ClientHandshake:
    """
    A client's opening handshake, for rooms which move the bytes.

    Args:
        connection: Gets the request and the response.
        protocol: The handshake without I/O.
    """

    def __init__(self, connection: Any, protocol: ClientProtocol) -> None:
        self._connection = connection
        self._protocol = protocol

    def begin(
        self, additional_headers: HeadersLike | None, user_agent_header: str | None
    ) -> bytes:
        """
        Return what to write: the request.

        Args:
            additional_headers: Headers of the request, after all others.
            user_agent_header: ``User-Agent`` header; :obj:`None` for none.
        """
        protocol = self._protocol
        request = protocol.connect()
        if additional_headers is not None:
            request.headers.update(additional_headers)
        if user_agent_header is not None:
            request.headers.setdefault("User-Agent", user_agent_header)
        self._connection.request = request
        protocol.send_request(request)
        return b"".join(protocol.data_to_send())

    def receive(self, data: bytes | bytearray) -> bool:
        """
        Take in a piece of the response; return whether it is complete, or no use.

        Args:
            data: What was read; empty at the end of the server's bytes.
        """
        protocol = self._protocol
        if data:
            protocol.receive_data(data)
        else:
            protocol.receive_eof()
        for event in protocol.events_received():
            self._connection.response = event
        return protocol.state is OPEN or protocol.handshake_exc is not None

    def check(self) -> None:
        """
        Raise why there is no connection, if there is none.

        Raises:
            InvalidHandshake: The server refused, or its response is invalid.
        """
        if self._protocol.state is not OPEN:
            raise cast("Exception", self._protocol.handshake_exc)


class Connecter:
    """
    What connects in any room: where to, and where to if it is sent elsewhere.

    Args:
        uri: Where it connects to.
        create_connection: Makes the connection.
        origin: Value of the ``Origin`` header.
        extensions: Extensions, in order of preference.
        subprotocols: Subprotocols, in order of preference.
        compression: ``"deflate"``, or :obj:`None`.
        additional_headers: Headers of the request, after all others.
        user_agent_header: ``User-Agent`` header; :obj:`None` for none.
        process_exception: Decides whether a failure is worth another attempt.
        open_timeout: Seconds for all of connecting.
        reconnect_delays: Makes seconds to wait.
        max_size: Largest message accepted.
        logger: Logger of the client.
        connection_arguments: Other arguments of the connection.

    Raises:
        ValueError: The compression is not supported.
        TypeError: The subprotocols are no list.
    """

    def __init__(
        self,
        uri: str,
        *,
        create_connection: Callable[..., Any],
        origin: Origin | None,
        extensions: Sequence[ClientExtensionFactory] | None,
        subprotocols: Sequence[Subprotocol] | None,
        compression: str | None,
        additional_headers: HeadersLike | None,
        user_agent_header: str | None,
        process_exception: Callable[[Exception], Exception | None],
        open_timeout: float | None,
        reconnect_delays: Callable[[], Iterable[float]],
        max_size: int | tuple[int | None, int | None] | None,
        logger: LoggerLike | None,
        **connection_arguments: Any,
    ) -> None:
        negotiation = negotiation_arguments(
            "client",
            enable_client_permessage_deflate,
            extensions=extensions,
            subprotocols=subprotocols,
            compression=compression,
            max_size=max_size,
            logger=logger,
        )
        self.uri = uri
        self.additional_headers = _repeatable(additional_headers)
        self.user_agent_header = user_agent_header
        self.process_exception = process_exception
        self.open_timeout = open_timeout
        self.reconnect_delays = reconnect_delays
        self.logger: LoggerLike = negotiation["logger"]
        self._create_connection = create_connection
        self._protocol_arguments = {"origin": origin, **negotiation}
        self._connection_arguments = connection_arguments

    def _make(self, uri: WebSocketURI, *before: Any) -> tuple[Any, ClientProtocol]:
        """
        Return a new connection and its handshake.

        Args:
            uri: What to connect to.
            before: Arguments of the connection before the protocol.
        """
        protocol = ClientProtocol(uri, **self._protocol_arguments)
        connection = self._create_connection(
            *before, protocol, **self._connection_arguments
        )
        return connection, protocol

    def _reconnection(self) -> Reconnection:
        """
        Return what decides when to connect again.
        """
        return Reconnection(self.process_exception, self.reconnect_delays, self.logger)

    def _pinned(self) -> Pinned | None:
        """
        Return what determines where to connect to, other than the URI.
        """
        raise NotImplementedError

    def process_redirect(self, exc: Exception) -> Exception | str:
        """
        Decide whether to follow a redirect.

        Override it to follow others, or none.

        Args:
            exc: Why connecting failed.

        Returns:
            The new URI, or the exception to raise, which is ``exc`` itself if it is
            no redirect.
        """
        answer = follow_redirect(exc, self.uri, self.additional_headers, self._pinned())
        if isinstance(answer, Exception):
            return answer
        self.additional_headers = answer.additional_headers
        return answer.uri


class Redirects:
    """
    Follows redirects, not endlessly.

    Args:
        connecter: What connects; it is given the new URI.
        limit: How many redirects one attempt to connect may follow.
    """

    def __init__(self, connecter: Connecter, limit: int) -> None:
        self._connecter = connecter
        self._limit = limit
        self._count = 0

    def follow(self, exc: Exception) -> None:
        """
        Take the next URI from a redirect.

        Args:
            exc: Why connecting failed.

        Raises:
            SecurityError: There were too many.
            Exception: It is no redirect, or not to be followed.
        """
        answer = self._connecter.process_redirect(exc)
        if answer is exc:
            raise exc
        if isinstance(answer, Exception):
            raise answer from exc
        self._connecter.uri = answer
        self._count += 1
        if self._count > self._limit:
            raise SecurityError(f"more than {self._limit} redirects")
