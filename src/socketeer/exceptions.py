"""
All exceptions of Socketeer.

Classes are chosen by what the caller can do about them::

    WebSocketException
        ConnectionClosed
            ConnectionClosedOK
            ConnectionClosedError
        InvalidURI
        InvalidProxy
        InvalidHandshake
            SecurityError
                RequestLineTooLong
                StatusLineTooLong
                HeaderLineTooLong
                TooManyHeaders
            ProxyError
                InvalidProxyMessage
                InvalidProxyStatus
            InvalidMessage
            InvalidMethod
            InvalidProtocol
            InvalidStatus
            InvalidHeader
                InvalidHeaderFormat
                InvalidHeaderValue
                InvalidOrigin
                InvalidUpgrade
            NegotiationError
                DuplicateParameter
                InvalidParameterName
                InvalidParameterValue
        ProtocolError
        PayloadTooBig
        TooManyFragments
        InvalidState (also an AssertionError)
        ConcurrencyError (also a RuntimeError)

Data live in attributes; ``str()`` makes the text from them. All of them
can be pickled and copied, except for their cause.
"""

from __future__ import annotations

import copyreg
import http
import typing
import warnings

if typing.TYPE_CHECKING:
    from . import datastructures, frames, http11
    from .typing import StatusLike

__all__ = [
    "ConcurrencyError",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "DuplicateParameter",
    "HeaderLineTooLong",
    "InvalidHandshake",
    "InvalidHeader",
    "InvalidHeaderFormat",
    "InvalidHeaderValue",
    "InvalidMessage",
    "InvalidMethod",
    "InvalidOrigin",
    "InvalidParameterName",
    "InvalidParameterValue",
    "InvalidProtocol",
    "InvalidProxy",
    "InvalidProxyMessage",
    "InvalidProxyStatus",
    "InvalidState",
    "InvalidStatus",
    "InvalidURI",
    "InvalidUpgrade",
    "NegotiationError",
    "PayloadTooBig",
    "ProtocolError",
    "ProxyError",
    "RequestLineTooLong",
    "SecurityError",
    "StatusLineTooLong",
    "TooManyFragments",
    "TooManyHeaders",
    "WebSocketException",
]

# What `code` says when the peer sent no close frame (RFC 6455, 7.1.5).
_ABNORMAL_CLOSURE = 1006


class WebSocketException(Exception):
    """Base class of all exceptions of Socketeer."""

    def __reduce__(self) -> tuple[typing.Any, ...]:
        """Restore the attributes without running the constructor again."""
        # The inherited way calls the class with `args`, which are not what
        # the constructor took when it was called with keywords.
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class ConnectionClosed(WebSocketException):
    """
    The connection is closing or closed; nothing more can be exchanged.

    The cause (``__cause__``) is what ended the connection, if that was an
    error: an :exc:`OSError`, a :exc:`TimeoutError`, ...

    Attributes:
        rcvd: The close frame received from the peer, or :obj:`None`.
        sent: The close frame sent to the peer, or :obj:`None`.
        rcvd_then_sent: Which of the two came first: true if the peer
            started the closing handshake, false if we did. :obj:`None`
            unless there are two.
    """

    def __init__(
        self,
        rcvd: frames.Close | None,
        sent: frames.Close | None,
        rcvd_then_sent: bool | None = None,
    ) -> None:
        self.rcvd = rcvd
        self.sent = sent
        self.rcvd_then_sent = rcvd_then_sent
        both = rcvd is not None and sent is not None
        if both != (rcvd_then_sent is not None):
            raise AssertionError("rcvd_then_sent tells the order of two close frames")

    def __str__(self) -> str:
        if self.rcvd is None:
            if self.sent is None:
                return "no close frame received or sent"
            return f"sent {self.sent}; no close frame received"
        if self.sent is None:
            return f"received {self.rcvd}; no close frame sent"
        if self.rcvd_then_sent:
            return f"received {self.rcvd}; then sent {self.sent}"
        return f"sent {self.sent}; then received {self.rcvd}"

    @property
    def code(self) -> int:
        """Close code received from the peer, or 1006. Deprecated."""
        warnings.warn(
            "ConnectionClosed.code is deprecated; "
            "use Protocol.close_code or ConnectionClosed.rcvd.code",
            DeprecationWarning,
            stacklevel=2,
        )
        return _ABNORMAL_CLOSURE if self.rcvd is None else self.rcvd.code

    @property
    def reason(self) -> str:
        """Close reason received from the peer, or empty. Deprecated."""
        warnings.warn(
            "ConnectionClosed.reason is deprecated; "
            "use Protocol.close_reason or ConnectionClosed.rcvd.reason",
            DeprecationWarning,
            stacklevel=2,
        )
        return "" if self.rcvd is None else self.rcvd.reason


class ConnectionClosedOK(ConnectionClosed):
    """
    The connection was closed properly.

    Each side sent a close frame with code 1000 (OK) or 1001 (going away),
    or without a code.
    """


class ConnectionClosedError(ConnectionClosed):
    """
    The connection was closed with an error.

    A close frame with another code was sent or received, or one of the
    two close frames is missing.
    """


class InvalidURI(WebSocketException):
    """
    A URI isn't a WebSocket URI that we can connect to.

    Attributes:
        uri: The URI.
        msg: What is wrong with it.
    """

    def __init__(self, uri: str, msg: str) -> None:
        self.uri = uri
        self.msg = msg

    def __str__(self) -> str:
        return f"{self.uri} isn't a valid URI: {self.msg}"


class InvalidProxy(WebSocketException):
    """
    The URL of a proxy isn't one that we can connect through.

    Attributes:
        proxy: The URL of the proxy.
        msg: What is wrong with it.
    """

    def __init__(self, proxy: str, msg: str) -> None:
        self.proxy = proxy
        self.msg = msg

    def __str__(self) -> str:
        return f"{self.proxy} isn't a valid proxy: {self.msg}"


class InvalidHandshake(WebSocketException):
    """The opening handshake failed; there is no connection."""


class SecurityError(InvalidHandshake):
    """The opening handshake went beyond a limit that protects us."""


class RequestLineTooLong(SecurityError):
    """The first line of an HTTP request is longer than we accept."""


class StatusLineTooLong(SecurityError):
    """The first line of an HTTP response is longer than we accept."""


class HeaderLineTooLong(SecurityError):
    """A header line is longer than we accept."""


class TooManyHeaders(SecurityError):
    """There are more headers, or more bytes of them, than we accept."""


class ProxyError(InvalidHandshake):
    """No connection could be made through the proxy."""


class InvalidProxyMessage(ProxyError):
    """The proxy sent something else than a valid HTTP response."""


class InvalidProxyStatus(ProxyError):
    """
    The proxy refused to connect.

    Attributes:
        response: The response of the proxy.
    """

    def __init__(self, response: http11.Response) -> None:
        self.response = response

    def __str__(self) -> str:
        return f"proxy rejected connection: HTTP {self.response.status_code:d}"


class InvalidMessage(InvalidHandshake):
    """
    The peer sent something else than valid HTTP.

    The cause (``__cause__``) says what is wrong with it; it is an
    :exc:`EOFError` when the peer closed the connection too early.
    """


class InvalidMethod(InvalidHandshake):
    """
    The HTTP method isn't GET.

    Attributes:
        method: The method of the request.
    """

    def __init__(self, method: str) -> None:
        self.method = method

    def __str__(self) -> str:
        return f"unsupported HTTP method: {self.method}"


class InvalidProtocol(InvalidHandshake):
    """
    The HTTP version isn't HTTP/1.1.

    Attributes:
        protocol: The version in the request, such as ``"HTTP/1.0"``.
    """

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol

    def __str__(self) -> str:
        return f"unsupported HTTP version: {self.protocol}"


class InvalidStatus(InvalidHandshake):
    """
    The server answered something else than 101 (switching protocols).

    Attributes:
        response: The response of the server, with its body.
    """

    def __init__(self, response: http11.Response) -> None:
        self.response = response

    def __str__(self) -> str:
        status = self.response.status_code
        return f"server rejected WebSocket connection: HTTP {status:d}"


class InvalidHeader(InvalidHandshake):
    """
    A header is missing or has a wrong value.

    Attributes:
        name: Name of the header.
        value: Its value; :obj:`None` if the header is missing.
    """

    def __init__(self, name: str, value: str | None = None) -> None:
        self.name = name
        self.value = value

    def __str__(self) -> str:
        if self.value is None:
            return f"missing {self.name} header"
        if not self.value:
            return f"empty {self.name} header"
        return f"invalid {self.name} header: {self.value}"


class InvalidHeaderFormat(InvalidHeader):
    """
    A header doesn't follow its grammar.

    ``value`` describes the error, where it is, and the value.
    """

    def __init__(self, name: str, error: str, header: str, pos: int) -> None:
        super().__init__(name, f"{error} at {pos} in {header}")


class InvalidHeaderValue(InvalidHeader):
    """A header follows its grammar, but its value isn't acceptable."""


class InvalidOrigin(InvalidHeader):
    """The ``Origin`` header isn't one of those that are allowed."""

    def __init__(self, origin: str | None) -> None:
        super().__init__("Origin", origin)


class InvalidUpgrade(InvalidHeader):
    """The ``Upgrade`` or ``Connection`` header doesn't ask for WebSocket."""


class NegotiationError(InvalidHandshake):
    """The endpoints don't agree on a subprotocol or an extension."""


class DuplicateParameter(NegotiationError):
    """
    An extension has the same parameter twice.

    Attributes:
        name: Name of the parameter.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return f"duplicate parameter: {self.name}"


class InvalidParameterName(NegotiationError):
    """
    An extension has a parameter that doesn't exist.

    Attributes:
        name: Name of the parameter.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return f"invalid parameter name: {self.name}"


class InvalidParameterValue(NegotiationError):
    """
    A parameter of an extension has a wrong value.

    Attributes:
        name: Name of the parameter.
        value: Its value; :obj:`None` if it has none.
    """

    def __init__(self, name: str, value: str | None) -> None:
        self.name = name
        self.value = value

    def __str__(self) -> str:
        if self.value is None:
            return f"missing value for parameter {self.name}"
        if not self.value:
            return f"empty value for parameter {self.name}"
        return f"invalid value for parameter {self.name}: {self.value}"


class ProtocolError(WebSocketException):
    """
    A frame, or the order of frames, isn't what RFC 6455 allows.

    When the peer is at fault, the connection fails with code 1002. When
    a call of ours would be, nothing was sent and the connection is as
    it was.
    """


class PayloadTooBig(WebSocketException):
    """
    A message is larger than ``max_size``; the connection fails with 1009.

    Attributes:
        size: Size of the frame in bytes, or :obj:`None` if it isn't
            known, because the rest was not decompressed.
        max_size: Largest size of the message in bytes.
        current_size: Size of the message before this frame in bytes, or
            :obj:`None` if this is its first frame.
        message: Text given in the deprecated form, or :obj:`None`.
    """

    size: int | None
    max_size: int
    current_size: int | None

    def __init__(
        self,
        size_or_message: int | str | None,
        max_size: int | None = None,
        current_size: int | None = None,
    ) -> None:
        self.message: str | None = None
        if isinstance(size_or_message, str):
            warnings.warn(
                "PayloadTooBig(message) is deprecated; "
                "change to PayloadTooBig(size, max_size)",
                DeprecationWarning,
                stacklevel=2,
            )
            self.message = size_or_message
            return
        if max_size is None:
            raise AssertionError("PayloadTooBig(size, max_size) needs both")
        self.size = size_or_message
        self.max_size = max_size
        self.current_size = None
        self.set_current_size(current_size)

    def __str__(self) -> str:
        if self.message is not None:
            return self.message
        text = "frame"
        if self.size is not None:
            text += f" with {self.size} bytes"
        if self.current_size is not None:
            text += f" after reading {self.current_size} bytes"
        return f"{text} exceeds limit of {self.max_size} bytes"

    def set_current_size(self, current_size: int | None) -> None:
        """
        Add the size of the preceding frames, to both size and limit.

        Args:
            current_size: In bytes; :obj:`None` if there are none.

        Raises:
            AssertionError: It has been told before.
        """
        if self.current_size is not None:
            raise AssertionError("the size of the preceding frames is known already")
        if current_size is not None:
            self.max_size += current_size
            self.current_size = current_size


class TooManyFragments(WebSocketException):
    """
    A message comes in more frames than we accept.

    The connection fails with code 1009.

    Attributes:
        max_fragments: Largest number of frames of a message.
    """

    def __init__(self, max_fragments: int) -> None:
        self.max_fragments = max_fragments

    def __str__(self) -> str:
        return f"fragmented message exceeds limit of {self.max_fragments} frames"


class InvalidState(WebSocketException, AssertionError):
    """The connection isn't in a state that allows this operation."""


class ConcurrencyError(WebSocketException, RuntimeError):
    """
    Two tasks do what only one may do at a time.

    The first one is not affected.
    """


class _InvalidStatusCode(InvalidHandshake):
    """
    A status code that rejects the connection. Use :exc:`InvalidStatus`.

    Attributes:
        status_code: The status code.
        headers: The headers of the response.
    """

    def __init__(self, status_code: int, headers: datastructures.Headers) -> None:
        self.status_code = status_code
        self.headers = headers

    def __str__(self) -> str:
        return f"server rejected WebSocket connection: HTTP {self.status_code}"


class _AbortHandshake(InvalidHandshake):
    """
    An HTTP response to give instead of a connection.

    Attributes:
        status: The status code.
        headers: The headers of the response.
        body: The body of the response.
    """

    def __init__(
        self,
        status: StatusLike,
        headers: datastructures.Headers,
        body: bytes = b"",
    ) -> None:
        self.status = http.HTTPStatus(status)
        self.headers = headers
        self.body = body

    def __str__(self) -> str:
        sizes = f"{len(self.headers)} headers, {len(self.body)} bytes"
        return f"HTTP {self.status:d}, {sizes}"


class _RedirectHandshake(InvalidHandshake):
    """
    A redirect to another URI.

    Attributes:
        uri: Where the server redirects to.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def __str__(self) -> str:
        return f"redirect to {self.uri}"


# Public names of earlier generations of the API.
_DEPRECATED = {
    "AbortHandshake": _AbortHandshake,
    "InvalidStatusCode": _InvalidStatusCode,
    "RedirectHandshake": _RedirectHandshake,
    "WebSocketProtocolError": ProtocolError,
}


def __getattr__(name: str) -> type[WebSocketException]:
    """Give the exceptions of earlier generations, with a warning."""
    if name not in _DEPRECATED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(f"{__name__}.{name} is deprecated", DeprecationWarning, stacklevel=2)
    return _DEPRECATED[name]
