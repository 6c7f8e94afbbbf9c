"""
The client's part of the opening handshake, without I/O (RFC 6455, 4.1).

When to connect again after a failure is said here as well.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from ._reconnection import (
    BACKOFF_FACTOR,
    BACKOFF_INITIAL_DELAY,
    BACKOFF_MAX_DELAY,
    BACKOFF_MIN_DELAY,
    backoff,
    process_exception,
)
from .datastructures import Headers, MultipleValuesError
from .exceptions import (
    InvalidHandshake,
    InvalidHeader,
    InvalidHeaderValue,
    InvalidMessage,
    InvalidStatus,
    NegotiationError,
    StatusLineTooLong,
)
from .extensions import ClientExtensionFactory, Extension
from .headers import (
    build_authorization_basic,
    build_extension,
    build_host,
    build_subprotocol,
    check_upgrade,
    parse_extension,
    parse_subprotocol,
)
from .http11 import Request, Response
from .protocol import CLIENT, CONNECTING, OPEN, Protocol, State
from .typing import (
    ExtensionHeader,
    LoggerLike,
    Origin,
    Subprotocol,
)
from .uri import WebSocketURI
from .utils import accept_key, generate_key

__all__ = [
    "BACKOFF_FACTOR",
    "BACKOFF_INITIAL_DELAY",
    "BACKOFF_MAX_DELAY",
    "BACKOFF_MIN_DELAY",
    "ClientProtocol",
    "backoff",
    "process_exception",
]

_SWITCHING_PROTOCOLS = 101


class ClientProtocol(Protocol):
    """
    The client's end of a WebSocket connection, without I/O.

    Args:
        uri: Where the connection leads to.
        origin: Value of the ``Origin`` header, if any.
        extensions: Extensions to offer, in order of preference.
        subprotocols: Subprotocols to offer, in order of preference.
        state: How far the connection has got. From OPEN on there is no
            opening handshake.
        max_size: As for :class:`~socketeer.protocol.Protocol`.
        logger: Logger for this connection; by default
            ``socketeer.client``.

    Attributes:
        uri: Where the connection leads to.
        key: Value of the ``Sec-WebSocket-Key`` header.
        available_extensions: Extensions to offer.
        available_subprotocols: Subprotocols to offer.
    """

    def __init__(
        self,
        uri: WebSocketURI,
        *,
        origin: Origin | None = None,
        extensions: Sequence[ClientExtensionFactory] | None = None,
        subprotocols: Sequence[Subprotocol] | None = None,
        state: State = CONNECTING,
        max_size: int | tuple[int | None, int | None] | None = 2**20,
        logger: LoggerLike | None = None,
    ) -> None:
        super().__init__(CLIENT, state=state, max_size=max_size, logger=logger)
        self.uri = uri
        self.origin = origin
        self.available_extensions = extensions
        self.available_subprotocols = subprotocols
        self.key: str = generate_key()
        if state is CONNECTING:
            self._head_parser = self._parse_response()

    # Request

    def connect(self) -> Request:
        """
        Make the request of the opening handshake.

        Add headers to it, if need be, and pass it to :meth:`send_request`.
        """
        headers = Headers()
        headers["Host"] = build_host(self.uri.host, self.uri.port, self.uri.secure)
        if self.uri.user_info is not None:
            headers["Authorization"] = build_authorization_basic(*self.uri.user_info)
        if self.origin is not None:
            headers["Origin"] = self.origin
        headers["Upgrade"] = "websocket"
        headers["Connection"] = "Upgrade"
        headers["Sec-WebSocket-Key"] = self.key
        headers["Sec-WebSocket-Version"] = "13"
        if self.available_extensions:
            headers["Sec-WebSocket-Extensions"] = build_extension(
                [
                    (factory.name, factory.get_request_params())
                    for factory in self.available_extensions
                ]
            )
        if self.available_subprotocols:
            headers["Sec-WebSocket-Protocol"] = build_subprotocol(
                self.available_subprotocols
            )
        return Request(self.uri.resource_name, headers)

    def send_request(self, request: Request) -> None:
        """
        Send a request.

        Args:
            request: The request, from :meth:`connect`.
        """
        self._log_head(
            ">",
            f"{request.method} {request.path} {request.protocol}",
            request.headers,
        )
        self._writes.append(request.serialize())

    # Response

    def _parse_response(self) -> Generator[None]:
        """Wait for the response, and accept it or end the connection."""
        reader = self._reader
        try:
            response = yield from Response.parse(
                reader.read_line, reader.read_exact, reader.read_to_eof
            )
        except StatusLineTooLong as exc:
            self.handshake_exc = exc
            self._drop_connection()
            return
        except Exception as exc:  # noqa: BLE001 - kept for whoever connects
            self.handshake_exc = InvalidMessage("did not receive a valid HTTP response")
            self.handshake_exc.__cause__ = exc
            self._drop_connection()
            return
        self._log_head(
            "<",
            f"HTTP/1.1 {response.status_code:d} {response.reason_phrase}",
            response.headers,
            response.body,
        )
        self._events.append(response)
        try:
            self.process_response(response)
        except InvalidHandshake as exc:
            response._exception = exc  # noqa: SLF001 - for its deprecated property
            self.handshake_exc = exc
            self._drop_connection()
        else:
            self.state = OPEN

    def process_response(self, response: Response) -> None:
        """
        Check the server's response (RFC 6455, 4.1).

        Sets :attr:`extensions` and :attr:`subprotocol`.

        Args:
            response: The response.

        Raises:
            InvalidHandshake: It doesn't establish the connection.
        """
        if response.status_code != _SWITCHING_PROTOCOLS:
            raise InvalidStatus(response)
        headers = response.headers
        check_upgrade(headers)
        try:
            accept = headers["Sec-WebSocket-Accept"]
        except KeyError:
            raise InvalidHeader("Sec-WebSocket-Accept") from None
        except MultipleValuesError:
            raise InvalidHeader("Sec-WebSocket-Accept", "multiple values") from None
        if accept != accept_key(self.key):
            raise InvalidHeaderValue("Sec-WebSocket-Accept", accept)
        self.extensions = self.process_extensions(headers)
        self.subprotocol = self.process_subprotocol(headers)

    def process_extensions(self, headers: Headers) -> list[Extension]:
        """
        Check the extensions that the server has accepted (RFC 6455, 9.1).

        Args:
            headers: Headers of the response.

        Returns:
            The extensions, in the order of the header.

        Raises:
            NegotiationError: One of them wasn't offered, or its parameters
                aren't acceptable.
        """
        accepted: list[Extension] = []
        values = headers.get_all("Sec-WebSocket-Extensions")
        if not values:
            return accepted
        if self.available_extensions is None:
            raise NegotiationError("no extensions supported")
        for header in [item for value in values for item in parse_extension(value)]:
            accepted.append(self._process_extension(header, accepted))
        return accepted

    def _process_extension(
        self, header: ExtensionHeader, accepted: list[Extension]
    ) -> Extension:
        """Take the first factory that accepts the parameters."""
        name, params = header
        for factory in self.available_extensions or ():
            if factory.name == name:
                try:
                    return factory.process_response_params(params, accepted)
                except NegotiationError:
                    continue
        raise NegotiationError(
            f"Unsupported extension: name = {name}, params = {params}"
        )

    def process_subprotocol(self, headers: Headers) -> Subprotocol | None:
        """
        Check the subprotocol that the server has chosen (RFC 6455, 4.1).

        Args:
            headers: Headers of the response.

        Returns:
            The subprotocol, if the server has chosen one.

        Raises:
            NegotiationError: It wasn't offered.
            InvalidHeader: The server has chosen several.
        """
        values = headers.get_all("Sec-WebSocket-Protocol")
        if not values:
            return None
        if self.available_subprotocols is None:
            raise NegotiationError("no subprotocols supported")
        subprotocols = [name for value in values for name in parse_subprotocol(value)]
        if len(subprotocols) > 1:
            raise InvalidHeader(
                "Sec-WebSocket-Protocol", f"multiple values: {', '.join(subprotocols)}"
            )
        [subprotocol] = subprotocols
        if subprotocol not in self.available_subprotocols:
            raise NegotiationError(f"unsupported subprotocol: {subprotocol}")
        return subprotocol
