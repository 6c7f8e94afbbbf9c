r"""
HTTP/1.1 messages, as far as the opening handshake needs them.

The parsers are strict: they read what RFC 9112 lets a sender write and
nothing that it merely lets a recipient tolerate. Lines end with CRLF,
never with LF alone; header lines aren't folded; names and values are
made of the characters they may have; requests have no body. What two
programs could read in two ways isn't read at all.

They are bounded: see ``MAX_LINE_LENGTH``, ``MAX_NUM_HEADERS``,
``MAX_HEAD_SIZE`` and ``MAX_BODY_SIZE``.

There are two ways to read a request. :meth:`Request.parse` is a generator
that asks for one line after the other and says exactly what is wrong.
:func:`parse_request_head` takes a complete head at once and is some times
faster; when in doubt it leaves the decision to the generator, so that both
accept the same requests and raise the same errors.
"""

from __future__ import annotations

import dataclasses
import re
import sys
import typing
import warnings
from collections.abc import Callable, Generator

from .datastructures import FIELD_BYTES, Headers
from .exceptions import (
    HeaderLineTooLong,
    RequestLineTooLong,
    SecurityError,
    StatusLineTooLong,
    TooManyHeaders,
)
from .streams import StreamReader
from .utils import setting
from .version import version as socketeer_version

__all__ = ["SERVER", "USER_AGENT", "Request", "Response"]

_PRODUCT = (
    f"Python/{sys.version_info.major}.{sys.version_info.minor} "
    f"socketeer/{socketeer_version}"
)

USER_AGENT = setting("USER_AGENT", _PRODUCT)
"""What the client says in the ``User-Agent`` header."""

SERVER = setting("SERVER", _PRODUCT)
"""What the server says in the ``Server`` header."""

# Bytes, with the line break: of the request line, of the status line and
# of each header line.
MAX_LINE_LENGTH = setting("MAX_LINE_LENGTH", 8192)

# Browsers send about 15 headers, proxies add a few.
MAX_NUM_HEADERS = setting("MAX_NUM_HEADERS", 128)

# Bytes of a whole head: without this limit, the two before would allow a
# megabyte for each connection that isn't open yet. A larger limit for a
# line raises this one as well.
MAX_HEAD_SIZE = setting("MAX_HEAD_SIZE", max(65_536, 8 * MAX_LINE_LENGTH))

# Bytes; bodies are read only from a server that rejects the connection.
MAX_BODY_SIZE = setting("MAX_BODY_SIZE", 1_048_576)

# The syntax of RFC 9110 (5.1, 5.5, 5.6.2) and RFC 9112 (3, 4, 7.1).
_TCHAR = r"[-!#$%&'*+.^_`|~0-9A-Za-z]"
_is_token = re.compile(f"{_TCHAR}+".encode()).fullmatch
_is_field_text = re.compile(rb"[\t\x20-\x7e\x80-\xff]*").fullmatch
_is_target = re.compile(rb"[\x21-\x7e]+").fullmatch
_is_number = re.compile(rb"[0-9]{1,18}").fullmatch
_is_hexadecimal = re.compile(rb"[0-9A-Fa-f]{1,15}").fullmatch

# A request line which is right beyond doubt.
_match_request_line = re.compile(
    rf"({_TCHAR}+) ([\x21-\x7e]+) (HTTP/1\.[01])"
).fullmatch

# What names consist of.
_NAME_BYTES = bytes(byte for byte in range(256) if _is_token(bytes([byte])))

# Words of nearly all requests, so that no request needs to have them for itself.
_COMMON = {word: word for word in ("GET", "HTTP/1.1")}

ReadLine = Callable[[int, type[Exception]], Generator[None, None, bytes | bytearray]]
ReadExact = Callable[[int], Generator[None, None, bytes | bytearray]]


@dataclasses.dataclass
class Request:
    """
    An HTTP request without a body.

    Attributes:
        path: Target of the request: the path, with the query if any.
        headers: Headers.
        method: Method; the handshake accepts only ``"GET"``.
        protocol: Version; the handshake accepts only ``"HTTP/1.1"``.
    """

    path: str
    headers: Headers
    method: str = "GET"
    protocol: str = "HTTP/1.1"

    # Where websockets keeps the error of the handshake.
    _exception: Exception | None = dataclasses.field(default=None, repr=False)

    @property
    def exception(self) -> Exception | None:
        """Why the handshake failed. Deprecated."""
        warnings.warn(
            "Request.exception is deprecated; use ServerProtocol.handshake_exc instead",
            DeprecationWarning,
            stacklevel=2,
        )
        return self._exception

    @classmethod
    def parse(cls, read_line: ReadLine) -> Generator[None, None, typing.Self]:
        """
        Read a request, as a generator.

        Args:
            read_line: Generator function that reads a line, such as
                :meth:`~socketeer.streams.StreamReader.read_line`.

        Raises:
            EOFError: The stream ends before the request does.
            SecurityError: The request is larger than we accept: a
                :exc:`~socketeer.exceptions.RequestLineTooLong`,
                :exc:`~socketeer.exceptions.HeaderLineTooLong` or
                :exc:`~socketeer.exceptions.TooManyHeaders`.
            NotImplementedError: The request has a transfer coding.
            ValueError: It isn't valid otherwise, or it has a body.
        """
        try:
            line = yield from _parse_line(read_line, RequestLineTooLong)
        except EOFError as exc:
            raise EOFError("connection closed while reading HTTP request line") from exc
        try:
            method, target, protocol = line.split(b" ", 2)
        except ValueError:
            raise ValueError(f"invalid HTTP request line: {_show(line)}") from None
        if protocol not in {b"HTTP/1.1", b"HTTP/1.0"}:
            raise ValueError(
                "unsupported protocol; expected HTTP/1.1 or HTTP/1.0: " + _show(line)
            )
        if not (_is_token(method) and _is_target(target)):
            raise ValueError(f"invalid HTTP request line: {_show(line)}")
        headers = yield from _parse_headers(read_line, len(line) + 2)
        _refuse_body(headers)
        return cls(target.decode(), headers, method.decode(), protocol.decode())

    def serialize(self) -> bytes:
        """Write the request."""
        # A target has no characters beyond ASCII: parse_uri() encodes them.
        line = f"{self.method} {self.path} {self.protocol}\r\n"
        return line.encode("ascii") + self.headers.serialize()


def parse_request_head(data: bytes) -> Request:
    """
    Read a request from its complete head.

    Args:
        data: Everything up to and including the empty line. What may
            follow isn't looked at.

    Raises:
        EOFError: The empty line is missing.
        SecurityError: As :meth:`Request.parse`.
        NotImplementedError: As :meth:`Request.parse`.
        ValueError: As :meth:`Request.parse`.
    """
    lines = _split_head(data)
    match = _match_request_line(lines[0])
    items = _split_headers(lines) if match else None
    if match and items is not None:
        headers = Headers._from_valid_items(items)  # noqa: SLF001 - not for users
        _refuse_body(headers)
        method, target, protocol = match.groups()
        return Request(
            target,
            headers,
            _COMMON.get(method, method),
            _COMMON.get(protocol, protocol),
        )
    reader = StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    request = Request.parse(reader.read_line)
    try:
        while True:  # once: at the end of the stream, nothing waits
            next(request)
    except StopIteration as result:
        return typing.cast("Request", result.value)


def _split_head(data: bytes) -> list[str]:
    """
    Take a head apart: its lines, and two empty strings for what follows the last two
    line breaks.

    Returns:
        A list with nothing in its first line if there may be anything wrong.
    """
    # A head shorter than the limit for a line has no line beyond it.
    if len(data) <= min(MAX_LINE_LENGTH, MAX_HEAD_SIZE) and data[-4:] == b"\r\n\r\n":
        lines = str(data, "iso-8859-1").split("\r\n")
        # All that no line may have belongs to the breaks between them.
        if len(data.translate(None, FIELD_BYTES)) == 2 * (len(lines) - 1):
            return lines
    return [""]


def _split_headers(lines: list[str]) -> list[tuple[str, str]] | None:
    """
    Return names and values of headers.

    Args:
        lines: Those of a head.

    Returns:
        :obj:`None` if there may be anything wrong.
    """
    if len(lines) - 3 > MAX_NUM_HEADERS:
        return None
    names = ""
    items = []
    for line in lines[1:-2]:
        name, colon, value = line.partition(":")
        if not (name and colon):
            return None
        names += name
        items.append((name, value.strip(" \t")))
    if names.encode("iso-8859-1").translate(None, _NAME_BYTES):
        return None
    return items


@dataclasses.dataclass
class Response:
    """
    An HTTP response.

    Attributes:
        status_code: Status code.
        reason_phrase: Reason phrase; may be empty.
        headers: Headers.
        body: Body.
    """

    status_code: int
    reason_phrase: str
    headers: Headers
    body: bytes | bytearray = b""

    # Where websockets keeps the error of the handshake.
    _exception: Exception | None = dataclasses.field(default=None, repr=False)

    @property
    def exception(self) -> Exception | None:
        """Why the handshake failed. Deprecated."""
        warnings.warn(
            "Response.exception is deprecated; "
            "use ClientProtocol.handshake_exc instead",
            DeprecationWarning,
            stacklevel=2,
        )
        return self._exception

    @classmethod
    def parse(
        cls,
        read_line: ReadLine,
        read_exact: ReadExact,
        read_to_eof: ReadLine,
        proxy: bool = False,
    ) -> Generator[None, None, typing.Self]:
        """
        Read a response, as a generator.

        Args:
            read_line: Generator function that reads a line, such as
                :meth:`~socketeer.streams.StreamReader.read_line`.
            read_exact: Generator function that reads a number of bytes.
            read_to_eof: Generator function that reads the rest.
            proxy: Whether a proxy answers ``CONNECT``: it may speak
                HTTP/1.0, and its body isn't read.

        Raises:
            EOFError: The stream ends before the response does.
            SecurityError: The response is larger than we accept: a
                :exc:`~socketeer.exceptions.StatusLineTooLong`, a
                :exc:`~socketeer.exceptions.HeaderLineTooLong`, a
                :exc:`~socketeer.exceptions.TooManyHeaders`, or the body.
            NotImplementedError: The body has a transfer coding other
                than chunked.
            ValueError: It isn't valid otherwise.
        """
        try:
            line = yield from _parse_line(read_line, StatusLineTooLong)
        except EOFError as exc:
            raise EOFError("connection closed while reading HTTP status line") from exc
        status_code, reason = _parse_status_line(line, proxy=proxy)
        headers = yield from _parse_headers(read_line, len(line) + 2)
        body = b""
        if not proxy:
            body = yield from _parse_body(
                status_code, headers, read_line, read_exact, read_to_eof
            )
        return cls(status_code, reason, headers, body)

    def serialize(self) -> bytes:
        """Write the response."""
        line = f"HTTP/1.1 {self.status_code:d} {self.reason_phrase}\r\n"
        return line.encode("iso-8859-1") + self.headers.serialize() + self.body


def pack_handshake(request: Request, response: Response) -> str | None:
    """
    Put an accepted handshake into one string: hardly anybody looks at it again.

    The headers are packed. Other attributes than those of the classes get lost.

    Args:
        request: A request that was parsed and accepted.
        response: The response, with status 101 and no body.

    Returns:
        What :func:`unpack_handshake` takes, or :obj:`None` if it can't be done.
    """
    asked = request.headers.pack()
    answered = response.headers.pack()
    if asked is None or answered is None:
        return None
    # None of them has a carriage return.
    return f"{request.path}\r{asked}\r{answered}"


def unpack_handshake(packed: str) -> tuple[Request, Response]:
    """Make the request and the response again; their headers are packed."""
    path, asked, answered = packed.split("\r")
    unpack = Headers._from_packed  # noqa: SLF001 - not for users
    request = Request(path, unpack(asked))
    return request, Response(101, "Switching Protocols", unpack(answered))


def _parse_line(
    read_line: ReadLine, too_long: type[Exception]
) -> Generator[None, None, bytes]:
    """Read a line and take off its CRLF."""
    line = yield from read_line(MAX_LINE_LENGTH, too_long)
    # "a recipient MAY recognize a single LF as a line terminator" (RFC
    # 9112, 2.2): we don't, that is how requests are smuggled.
    if line[-2:] != b"\r\n":
        raise ValueError("line without CRLF")
    return bytes(line[:-2])


def _parse_headers(read_line: ReadLine, size: int) -> Generator[None, None, Headers]:
    """Read headers up to the empty line, with ``size`` bytes before them."""
    items: list[tuple[str, str]] = []
    while True:
        try:
            line = yield from _parse_line(read_line, HeaderLineTooLong)
        except EOFError as exc:
            raise EOFError("connection closed while reading HTTP headers") from exc
        size += len(line) + 2
        if size > MAX_HEAD_SIZE:
            raise TooManyHeaders(
                f"read {size} bytes, expected no more than {MAX_HEAD_SIZE} bytes"
            )
        if not line:
            return Headers._from_valid_items(items)  # noqa: SLF001 - not for users
        if len(items) == MAX_NUM_HEADERS:
            raise TooManyHeaders(f"expected no more than {MAX_NUM_HEADERS} headers")
        items.append(_parse_header(line))


def _parse_header(line: bytes) -> tuple[str, str]:
    name, colon, value = line.partition(b":")
    if not colon:
        raise ValueError(f"invalid HTTP header line: {_show(line)}")
    # "No whitespace is allowed between the field name and colon" (RFC
    # 9112, 5.1); a folded line begins with whitespace (5.2).
    if not _is_token(name):
        raise ValueError(f"invalid HTTP header name: {_show(name)}")
    value = value.strip(b" \t")
    if not _is_field_text(value):
        raise ValueError(f"invalid HTTP header value: {_show(value)}")
    return name.decode("ascii"), value.decode("iso-8859-1")


def _refuse_body(headers: Headers) -> None:
    if "Transfer-Encoding" in headers:
        raise NotImplementedError("transfer codings aren't supported")
    if "Content-Length" in headers and headers.get_all("Content-Length") != ["0"]:
        raise ValueError("unsupported request body")


def _parse_status_line(line: bytes, *, proxy: bool) -> tuple[int, str]:
    try:
        protocol, status_code, reason = line.split(b" ", 2)
    except ValueError:
        raise ValueError(f"invalid HTTP status line: {_show(line)}") from None
    if protocol != b"HTTP/1.1" and not (proxy and protocol == b"HTTP/1.0"):
        expected = "HTTP/1.1 or HTTP/1.0" if proxy else "HTTP/1.1"
        raise ValueError(f"unsupported protocol; expected {expected}: {_show(line)}")
    if not _is_number(status_code):
        raise ValueError(
            f"invalid status code; expected integer; got {_show(status_code)}"
        )
    if len(status_code) != 3 or not b"100" <= status_code < b"600":
        raise ValueError(
            f"invalid status code; expected 100–599; got {_show(status_code)}"  # noqa: RUF001 - text of websockets
        )
    if not _is_field_text(reason):
        raise ValueError(f"invalid HTTP reason phrase: {_show(reason)}")
    return int(status_code), reason.decode("iso-8859-1")


def _parse_body(
    status_code: int,
    headers: Headers,
    read_line: ReadLine,
    read_exact: ReadExact,
    read_to_eof: ReadLine,
) -> Generator[None, None, bytes]:
    """Read what follows the head of a response (RFC 9112, 6.3)."""
    if status_code < 200 or status_code in {204, 304}:
        return b""
    codings = ", ".join(headers.get_all("Transfer-Encoding"))
    if "Transfer-Encoding" in headers:
        if codings.lower() != "chunked":
            raise NotImplementedError(f"transfer coding {codings} isn't supported")
        return (yield from _parse_chunks(read_line, read_exact))
    if "Content-Length" in headers:
        length = ", ".join(headers.get_all("Content-Length"))
        if not _is_number(length.encode("iso-8859-1")):
            raise SecurityError(f"invalid content length: {length}")
        size = int(length)
        if size > MAX_BODY_SIZE:
            raise SecurityError(f"body too large: {size} bytes")
        return bytes((yield from read_exact(size)))
    return bytes((yield from read_to_eof(MAX_BODY_SIZE, SecurityError)))


def _parse_chunks(
    read_line: ReadLine, read_exact: ReadExact
) -> Generator[None, None, bytes]:
    """Read a body with the chunked coding (RFC 9112, 7.1)."""
    body = bytearray()
    while True:
        line = yield from _parse_line(read_line, SecurityError)
        size_field = line.partition(b";")[0]
        if not _is_hexadecimal(size_field):
            raise SecurityError(f"invalid chunk size: {_show(size_field)}")
        size = int(size_field, 16)
        if size > MAX_BODY_SIZE - len(body):
            raise SecurityError(
                f"chunk too large: {size} bytes after {len(body)} bytes"
            )
        if size == 0:
            yield from _parse_headers(read_line, 0)  # trailers
            return bytes(body)
        body += yield from read_exact(size)
        if (yield from read_exact(2)) != b"\r\n":
            raise ValueError("chunk without CRLF")


def _show(data: bytes) -> str:
    """Quote what a peer sent, in a form that is safe for a log."""
    text = data[:81].decode("ascii", "backslashreplace")
    if not text.isprintable():
        text = "".join([c if c.isprintable() else f"\\x{ord(c):02x}" for c in text])
    return text if len(data) <= 80 else f"{text[:77]}..."
