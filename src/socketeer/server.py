"""
The server's part of the opening handshake, without I/O (RFC 6455, 4.2).
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import functools
import http
import re
import time
from collections.abc import Callable, Generator, Sequence
from typing import Final, Literal

from ._core.endpoint import Endpoint
from .datastructures import Headers, MultipleValuesError
from .exceptions import (
    HeaderLineTooLong,
    InvalidHandshake,
    InvalidHeader,
    InvalidHeaderValue,
    InvalidMessage,
    InvalidMethod,
    InvalidOrigin,
    InvalidProtocol,
    InvalidState,
    InvalidUpgrade,
    NegotiationError,
    RequestLineTooLong,
    TooManyHeaders,
)
from .extensions import Extension, ServerExtensionFactory
from .headers import (
    build_extension,
    check_upgrade,
    parse_extension,
    parse_subprotocol,
)
from .http11 import Request, Response, parse_request_head
from .protocol import CONNECTING, OPEN, SERVER, Protocol, State
from .typing import (
    ExtensionHeader,
    ExtensionParameter,
    LoggerLike,
    Origin,
    StatusLike,
    Subprotocol,
)
from .utils import accept_key

__all__ = ["ServerProtocol"]

_FAILED = "Failed to open a WebSocket connection"

# Among the acceptable origins: the one with the host and port of the request. It
# cannot be mistaken for an origin, which has a scheme.
SAME_HOST: Final = Origin("same-host")

# What an origin leaves out when it is the port of its scheme (RFC 6454, 6.2).
_DEFAULT_PORTS = {"http": "80", "https": "443"}

# Scheme, host and port of an origin; host and port of a Host header.
_ORIGIN = re.compile(r"(https?)://(.+?)(?::(\d+))?", re.IGNORECASE | re.ASCII)
_HOST = re.compile(r"(.+?)(?::(\d*))?", re.ASCII)

# As HTTP writes them, in whatever locale (RFC 9110, 5.6.7).
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)

_END_OF_HEAD = b"\r\n\r\n"

# Bytes of the nonce in a Sec-WebSocket-Key (RFC 6455, 4.1).
_NONCE_SIZE = 16


class ServerProtocol(Protocol):
    """
    The server's end of a WebSocket connection, without I/O.

    Args:
        origins: Acceptable values of the ``Origin`` header: strings,
            patterns that must match as a whole, and :obj:`None` for a
            missing header. By default, all are acceptable. ``"same-host"``,
            alone or among the others, stands for the origin whose host and
            port are those of the ``Host`` header.
        extensions: Extensions to accept, in order of preference.
        subprotocols: Subprotocols to accept, in order of preference. With
            them, a client must offer one of them.
        select_subprotocol: How to choose a subprotocol instead: called
            with this object and what the client offers; returns one of
            these or :obj:`None`, or raises
            :exc:`~socketeer.exceptions.NegotiationError`.
        state: How far the connection has got. From OPEN on there is no
            opening handshake.
        max_size: As for :class:`~socketeer.protocol.Protocol`.
        logger: Logger for this connection; by default
            ``socketeer.server``.

    Attributes:
        origins: Acceptable values of the ``Origin`` header.
        available_extensions: Extensions to accept.
        available_subprotocols: Subprotocols to accept.
    """

    def __init__(
        self,
        *,
        origins: (
            Sequence[Origin | re.Pattern[str] | None] | Literal["same-host"] | None
        ) = None,
        extensions: Sequence[ServerExtensionFactory] | None = None,
        subprotocols: Sequence[Subprotocol] | None = None,
        select_subprotocol: (
            Callable[[ServerProtocol, Sequence[Subprotocol]], Subprotocol | None] | None
        ) = None,
        state: State = CONNECTING,
        max_size: int | tuple[int | None, int | None] | None = 2**20,
        logger: LoggerLike | None = None,
        _endpoint: Endpoint | None = None,
    ) -> None:
        super().__init__(
            SERVER, state=state, max_size=max_size, logger=logger, _endpoint=_endpoint
        )
        self.origins = (SAME_HOST,) if origins == SAME_HOST else origins
        self.available_extensions = extensions
        self.available_subprotocols = subprotocols
        self._select_subprotocol = select_subprotocol
        self._accept_called = False
        self._method: str | None = None
        if state is CONNECTING:
            self._head_parser = self._parse_request()

    # Request

    def _parse_request(self) -> Generator[None]:
        """Wait for the request, then until it was answered."""
        buffer = self._reader.buffer
        end = buffer.find(_END_OF_HEAD) + len(_END_OF_HEAD)
        try:
            if end < len(_END_OF_HEAD):
                request = yield from Request.parse(self._reader.read_line)
            else:
                # Here at once, as nearly always: the fast way.
                request = parse_request_head(bytes(buffer[:end]))
                del buffer[:end]
        except RequestLineTooLong as exc:
            self._refuse(exc, "request line too long", 414)
            return
        except (HeaderLineTooLong, TooManyHeaders) as exc:
            self._refuse(exc, "header fields too large", 431)
            return
        except Exception as exc:  # noqa: BLE001 - kept as the reason
            invalid = InvalidMessage("did not receive a valid HTTP request")
            invalid.__cause__ = exc
            # Nobody is there to read a response when the stream has ended.
            status = None if isinstance(exc, EOFError) else 400
            self._refuse(invalid, "no valid HTTP request", status)
            return
        self._method = request.method
        self._log_head(
            "<",
            f"{request.method} {request.path} {request.protocol}",
            request.headers,
        )
        self._events.append(request)
        # A client may not send frames before the response (RFC 6455, 4.1),
        # and extensions aren't known yet: they wait for send_response().
        while True:
            yield

    def _refuse(self, exc: Exception, what: str, status: int | None) -> None:
        """Answer something that isn't a request we can read."""
        self.handshake_exc = exc
        if self.debug:
            self.logger.debug("! %s", what, exc_info=exc)
        if status is None:
            self._drop_connection()
        else:
            self.send_response(self.reject(status, _explain(exc)))

    def accept(self, request: Request) -> Response:
        """
        Make the response to a request: accept the connection or reject it.

        Change it, if need be, and pass it to :meth:`send_response`.

        Args:
            request: The request, from :meth:`.events_received`.

        Returns:
            A response with status 101, or the reason for rejecting the
            connection, which is also in :attr:`.handshake_exc`.
        """
        self._accept_called = True
        try:
            accept_header, extensions_header, protocol_header = self.process_request(
                request
            )
        except Exception as exc:  # noqa: BLE001 - errors of select_subprotocol()
            request._exception = exc  # noqa: SLF001 - for its deprecated property
            self.handshake_exc = exc
            return self._make_rejection(exc)
        headers = Headers._from_valid_items(  # noqa: SLF001 - not for users
            [
                ("Date", _format_date(int(time.time()))),
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade"),
                ("Sec-WebSocket-Accept", accept_header),
            ]
        )
        if extensions_header is not None:
            headers["Sec-WebSocket-Extensions"] = extensions_header
        if protocol_header is not None:
            headers["Sec-WebSocket-Protocol"] = protocol_header
        return Response(101, "Switching Protocols", headers)

    def _make_rejection(self, exc: Exception) -> Response:
        """Say to a client why it isn't accepted."""
        if not isinstance(exc, InvalidHandshake):
            self.logger.error("opening handshake failed", exc_info=exc)
            return self.reject(
                http.HTTPStatus.INTERNAL_SERVER_ERROR,
                f"{_FAILED}.\nSee server log for more information.\n",
            )
        status, what, name, value = http.HTTPStatus.BAD_REQUEST, "handshake", "", ""
        text = _explain(exc)
        if isinstance(exc, InvalidOrigin):
            status, what = http.HTTPStatus.FORBIDDEN, "origin"
        elif isinstance(exc, InvalidMethod):
            status, what = http.HTTPStatus.METHOD_NOT_ALLOWED, "method"
            name, value = "Allow", "GET"
        elif isinstance(exc, InvalidProtocol):
            status, what = http.HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "protocol"
        elif isinstance(exc, InvalidUpgrade):
            status, what = http.HTTPStatus.UPGRADE_REQUIRED, "upgrade"
            name, value = "Upgrade", "websocket"
            text += (
                "\nYou cannot access a WebSocket server directly with a browser. "
                "You need a WebSocket client.\n"
            )
        elif isinstance(exc, InvalidHeader) and exc.name == "Sec-WebSocket-Version":
            # "the server MUST respond with [...] a |Sec-WebSocket-Version|
            # header indicating the version(s) [it] is capable of
            # understanding" (RFC 6455, 4.2.2).
            name, value = exc.name, "13"
        if self.debug:
            self.logger.debug("! invalid %s", what, exc_info=exc)
        response = self.reject(status, text)
        if name:
            response.headers[name] = value
        return response

    def process_request(self, request: Request) -> tuple[str, str | None, str | None]:
        """
        Check a client's request (RFC 6455, 4.2.1) and negotiate.

        Sets :attr:`origin`, :attr:`extensions` and :attr:`subprotocol`.

        Args:
            request: The request.

        Returns:
            Values of the headers ``Sec-WebSocket-Accept``,
            ``Sec-WebSocket-Extensions`` and ``Sec-WebSocket-Protocol``;
            the last two may be missing.

        Raises:
            InvalidHandshake: It isn't acceptable.
        """
        if request.method != "GET":
            raise InvalidMethod(request.method)
        if request.protocol != "HTTP/1.1":
            raise InvalidProtocol(request.protocol)
        headers = request.headers
        check_upgrade(headers)
        key = _get_one(headers, "Sec-WebSocket-Key")
        _check_key(key)
        version = _get_one(headers, "Sec-WebSocket-Version")
        if version != "13":
            raise InvalidHeaderValue("Sec-WebSocket-Version", version)
        self.origin = self.process_origin(headers)
        extensions_header, self.extensions = self.process_extensions(headers)
        self.subprotocol = self.process_subprotocol(headers)
        return accept_key(key), extensions_header, self.subprotocol

    def process_origin(self, headers: Headers) -> Origin | None:
        """
        Check where a browser's request comes from (RFC 6455, 10.2).

        Args:
            headers: Headers of the request.

        Returns:
            The origin, if there is one.

        Raises:
            InvalidOrigin: It isn't acceptable.
        """
        try:
            origin: Origin | None = Origin(headers["Origin"])
        except KeyError:
            origin = None
        except MultipleValuesError:
            raise InvalidHeader("Origin", "multiple values") from None
        if self.origins is None or any(
            _matches(origin, expected, headers) for expected in self.origins
        ):
            return origin
        raise InvalidOrigin(origin)

    def process_extensions(
        self, headers: Headers
    ) -> tuple[str | None, list[Extension]]:
        """
        Choose among the extensions that the client offers (RFC 6455, 9.1).

        Offers that nobody here accepts are passed over.

        Args:
            headers: Headers of the request.

        Returns:
            Value of the ``Sec-WebSocket-Extensions`` header, if there is
            one, and the extensions in its order.
        """
        accepted: list[Extension] = []
        answers: list[ExtensionHeader] = []
        if self.available_extensions:
            for value in headers.get_all("Sec-WebSocket-Extensions"):
                for name, params in parse_extension(value):
                    answer = self._process_extension(name, params, accepted)
                    if answer is not None:
                        answers.append((name, answer[0]))
                        accepted.append(answer[1])
        return build_extension(answers) if answers else None, accepted

    def _process_extension(
        self,
        name: str,
        params: Sequence[ExtensionParameter],
        accepted: list[Extension],
    ) -> tuple[list[ExtensionParameter], Extension] | None:
        """Take the first factory that accepts the offer."""
        for factory in self.available_extensions or ():
            if factory.name == name:
                try:
                    return factory.process_request_params(params, accepted)
                except NegotiationError:
                    continue
        return None

    def process_subprotocol(self, headers: Headers) -> Subprotocol | None:
        """
        Choose among the subprotocols that the client offers (RFC 6455, 4.2.2).

        Args:
            headers: Headers of the request.

        Returns:
            The subprotocol, if one was chosen.

        Raises:
            NegotiationError: The client must offer one that is available.
        """
        return self.select_subprotocol(
            [
                name
                for value in headers.get_all("Sec-WebSocket-Protocol")
                for name in parse_subprotocol(value)
            ]
        )

    def select_subprotocol(
        self, subprotocols: Sequence[Subprotocol]
    ) -> Subprotocol | None:
        """
        Choose a subprotocol.

        Without a ``select_subprotocol`` argument, it is the first one of
        those available here that the client offers.

        Args:
            subprotocols: What the client offers, in order of preference.

        Returns:
            The subprotocol; :obj:`None` for a connection without one.

        Raises:
            NegotiationError: None of those available here is offered.
        """
        if self._select_subprotocol is not None:
            return self._select_subprotocol(self, subprotocols)
        if not self.available_subprotocols:
            return None
        if not subprotocols:
            raise NegotiationError("missing subprotocol")
        for subprotocol in self.available_subprotocols:
            if subprotocol in subprotocols:
                return subprotocol
        raise NegotiationError(
            f"invalid subprotocol; expected one of "
            f"{', '.join(self.available_subprotocols)}"
        )

    # Response

    def reject(self, status: StatusLike, text: str) -> Response:
        """
        Make a response that rejects the connection, in plain text.

        Change it, if need be, and pass it to :meth:`send_response`.

        Args:
            status: The status code.
            text: The body.

        Raises:
            ValueError: HTTP doesn't know the status code.
        """
        return rejection(status, text)

    def send_response(self, response: Response) -> None:
        """
        Send a response.

        With status 101 the connection is OPEN afterwards. Otherwise
        nothing more is sent or received.

        Args:
            response: The response, from :meth:`accept` or :meth:`reject`.

        Raises:
            InvalidState: There is a response already, or the stream has
                ended.
        """
        if self.state is not CONNECTING or self.eof_sent:
            raise InvalidState(f"cannot respond; connection is {self.state.name}")
        if self._method == "HEAD":
            # "the server MUST NOT send content in the response" (RFC 9110,
            # 9.3.2), and its headers are those of GET.
            response = dataclasses.replace(response, body=b"")
        status = f"{response.status_code:d} {response.reason_phrase}"
        self._log_head(">", f"HTTP/1.1 {status}", response.headers, response.body)
        self._writes.append(response.serialize())
        if response.status_code == http.HTTPStatus.SWITCHING_PROTOCOLS:
            self.state = OPEN
            self.logger.info("connection open")
            self._head_parser = None
            self._receive_frames()
        else:
            if self._accept_called or self.handshake_exc is not None:
                self.logger.info("connection rejected (%s)", status)
            else:
                self.logger.info("HTTP response sent (%s)", status)
            self._drop_connection()


def rejection(status: StatusLike, text: str) -> Response:
    """Make a response that rejects a connection: see :meth:`.reject`."""
    status = http.HTTPStatus(status)
    body = text.encode()
    headers = Headers(
        [
            ("Date", _format_date(int(time.time()))),
            ("Connection", "close"),
            ("Content-Length", str(len(body))),
            ("Content-Type", "text/plain; charset=utf-8"),
        ]
    )
    return Response(status.value, status.phrase, headers, body)


def _explain(exc: BaseException) -> str:
    """Say why, with the causes of the cause."""
    texts = []
    cause: BaseException | None = exc
    while cause is not None:
        texts.append(str(cause))
        cause = cause.__cause__
    return f"{_FAILED}: {'; '.join(texts)}.\n"


# Nearly all handshakes of a second have the same.
@functools.lru_cache(maxsize=1)
def _format_date(at: int) -> str:
    """Write a time for a ``Date`` header (RFC 9110, 5.6.7)."""
    # The standard library's function is in a package as large as ours.
    year, month, day, hour, minute, second, weekday, _, _ = time.gmtime(at)
    return (
        f"{_DAYS[weekday]}, {day:02d} {_MONTHS[month - 1]} {year:04d} "
        f"{hour:02d}:{minute:02d}:{second:02d} GMT"
    )


def _get_one(headers: Headers, name: str) -> str:
    """Return the value of a header that must occur once."""
    try:
        return headers[name]
    except KeyError:
        raise InvalidHeader(name) from None
    except MultipleValuesError:
        raise InvalidHeader(name, "multiple values") from None


def _check_key(key: str) -> None:
    """Check that it is "16 bytes in length" in base64 (RFC 6455, 4.2.1)."""
    try:
        nonce = base64.b64decode(key.encode(), validate=True)
    except binascii.Error as exc:
        raise InvalidHeaderValue("Sec-WebSocket-Key", key) from exc
    if len(nonce) != _NONCE_SIZE:
        raise InvalidHeaderValue("Sec-WebSocket-Key", key)


def _matches(
    origin: Origin | None,
    expected: Origin | re.Pattern[str] | str | None,
    headers: Headers,
) -> bool:
    if isinstance(expected, re.Pattern):
        return origin is not None and expected.fullmatch(origin) is not None
    if expected == SAME_HOST:
        return _is_same_host(origin, headers)
    return origin == expected


def _is_same_host(origin: Origin | None, headers: Headers) -> bool:
    """
    Tell whether a web page comes from the host it connects to.

    The scheme is not compared: a proxy in between may speak TLS for us.
    """
    ours = _HOST.fullmatch(_get_one(headers, "Host"))
    theirs = None if origin is None else _ORIGIN.fullmatch(origin)
    if ours is None or theirs is None:
        return False
    default = _DEFAULT_PORTS[theirs[1].lower()]
    return (theirs[2].lower(), theirs[3] or default) == (
        ours[1].lower(),
        ours[2] or default,
    )
