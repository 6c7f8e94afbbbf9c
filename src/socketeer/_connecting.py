"""
What ``connect()`` makes of its arguments, and what it asks for, in whatever room.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from ._negotiation import negotiation_arguments
from ._redirection import follow_redirect
from .exceptions import SecurityError
from .extensions.permessage_deflate import enable_client_permessage_deflate
from .http11 import Response
from .protocol import OPEN

if TYPE_CHECKING:
    from ._redirection import Pinned
    from .client import ClientProtocol
    from .datastructures import HeadersLike
    from .typing import Origin

__all__ = [
    "ClientHandshake",
    "Connecter",
    "Redirects",
    "check_names",
    "prepare_protocol",
    "repeatable",
    "unix_uri",
]


def prepare_protocol(*, origin: Origin | None, **options: Any) -> dict[str, Any]:
    """
    Return arguments of :class:`~socketeer.client.ClientProtocol`: see
    :func:`~socketeer._negotiation.negotiation_arguments`.
    """
    return {
        "origin": origin,
        **negotiation_arguments("client", enable_client_permessage_deflate, **options),
    }


def unix_uri(uri: str | None, ssl: object) -> str:
    """
    Return the URI for a Unix socket, for which there need not be one.
    """
    if uri is not None:
        return uri
    return "ws://localhost/" if ssl is None else "wss://localhost/"


def repeatable(headers: HeadersLike | None) -> HeadersLike | None:
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
            if isinstance(event, Response):
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

    Attributes:
        uri: Where it connects to.
        additional_headers: Headers of the request, after all others.
    """

    uri: str
    additional_headers: HeadersLike | None

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
