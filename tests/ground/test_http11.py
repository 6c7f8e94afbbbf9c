from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import sys

import pytest
import websockets.datastructures
import websockets.http11
import websockets.streams
from hypothesis import example, given, settings
from hypothesis import strategies as st

from socketeer import http11
from socketeer.datastructures import Headers
from socketeer.exceptions import (
    HeaderLineTooLong,
    RequestLineTooLong,
    SecurityError,
    StatusLineTooLong,
    TooManyHeaders,
)
from socketeer.http11 import Request, Response, parse_request_head
from socketeer.version import version

from .comparing import exception_chain, outcome, reader, run

# RFC 6455, 1.2, without the example of the subprotocol.
REQUEST = (
    b"GET /chat HTTP/1.1\r\n"
    b"Host: server.example.com\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Origin: http://example.com\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"\r\n"
)
RESPONSE = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    b"\r\n"
)


def parse_request(data, *, eof=True):
    return run(Request.parse(reader(data, eof=eof).read_line))


def parse_response(data, *, eof=True, **kwargs):
    stream = reader(data, eof=eof)
    return run(
        Response.parse(
            stream.read_line, stream.read_exact, stream.read_to_eof, **kwargs
        )
    )


# Both ways of reading a request.
BOTH = pytest.mark.parametrize("parse", [parse_request, parse_request_head])


@contextlib.contextmanager
def limits(**values):
    """Set limits for a while."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setattr(http11, name, value)
        yield


# Requests


@BOTH
def test_reads_the_request_of_the_rfc(parse):
    """
    RFC 6455, 1.2.
    """
    request = parse(REQUEST)

    assert (request.method, request.path, request.protocol) == (
        "GET",
        "/chat",
        "HTTP/1.1",
    )
    assert list(request.headers.raw_items()) == [
        ("Host", "server.example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Origin", "http://example.com"),
        ("Sec-WebSocket-Version", "13"),
    ]


@pytest.mark.parametrize("data", [REQUEST, b"POST /a?b HTTP/1.0\r\n\r\n"])
@BOTH
def test_writes_requests_as_they_are_read(data, parse):
    """
    Byte by byte, if they are written as usual.
    """
    assert data == parse(data).serialize()


@pytest.mark.parametrize("size", range(len(REQUEST)))
def test_waits_for_the_rest_of_a_request(size):
    """
    Wherever the request is split.
    """
    stream = reader(REQUEST[:size], eof=False)
    request = Request.parse(stream.read_line)

    assert next(request) is None
    stream.feed_data(REQUEST[size:])
    assert run(request) == parse_request(REQUEST)


@BOTH
def test_leaves_what_follows_a_request(parse):
    """
    A client may send frames without waiting for the response.
    """
    assert parse(REQUEST) == parse(REQUEST + b"\x81\x85\r\n")


@pytest.mark.parametrize(
    ("line", "method", "target", "protocol"),
    [
        ("POST / HTTP/1.1", "POST", "/", "HTTP/1.1"),
        ("get / HTTP/1.1", "get", "/", "HTTP/1.1"),
        ("!#$%&'*+-.^_`|~ / HTTP/1.1", "!#$%&'*+-.^_`|~", "/", "HTTP/1.1"),
        ("GET / HTTP/1.0", "GET", "/", "HTTP/1.0"),
        # All the forms of RFC 9112, 3.2.
        ("GET /a?b#c HTTP/1.1", "GET", "/a?b#c", "HTTP/1.1"),
        ("GET http://h/ HTTP/1.1", "GET", "http://h/", "HTTP/1.1"),
        ("CONNECT h:80 HTTP/1.1", "CONNECT", "h:80", "HTTP/1.1"),
        ("OPTIONS * HTTP/1.1", "OPTIONS", "*", "HTTP/1.1"),
        ("GET !~{} HTTP/1.1", "GET", "!~{}", "HTTP/1.1"),
    ],
)
@BOTH
def test_reads_any_request_line(parse, line, method, target, protocol):
    """
    The handshake decides about methods, versions and targets.
    """
    request = parse(line.encode() + b"\r\n\r\n")

    assert (method, target, protocol) == (
        request.method,
        request.path,
        request.protocol,
    )


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("Name: value", "Name", "value"),
        ("Name:value", "Name", "value"),
        ("Name:\t value \t", "Name", "value"),
        ("Name:", "Name", ""),
        ("Name:  ", "Name", ""),
        ("Name: a:b", "Name", "a:b"),
        ("Name: a \t b", "Name", "a \t b"),
        ("!#$%&'*+-.^_`|~9: v", "!#$%&'*+-.^_`|~9", "v"),
        ("Name: \x80\xff~", "Name", "\x80\xff~"),
    ],
)
@BOTH
def test_reads_any_header(parse, line, name, value):
    """
    Names are tokens; values may have all but control characters and lose
    the white space around them (RFC 9112, 5).
    """
    data = f"GET / HTTP/1.1\r\n{line}\r\nOther: x\r\n\r\n".encode("iso-8859-1")
    request = parse(data)

    assert [(name, value), ("Other", "x")] == list(request.headers.raw_items())


@pytest.mark.parametrize("value", ["0", " 0 "])
@BOTH
def test_a_request_may_say_that_it_has_no_body(parse, value):
    """
    With a Content-Length of zero.
    """
    data = f"GET / HTTP/1.1\r\nContent-Length:{value}\r\n\r\n".encode()

    assert parse(data).headers["Content-Length"] == "0"


INVALID_REQUESTS = [
    # The request line (RFC 9112, 3).
    ("\r\n", "invalid HTTP request line: "),
    ("GET\r\n\r\n", "invalid HTTP request line: GET"),
    ("GET /\r\n\r\n", "invalid HTTP request line: GET /"),
    (
        "GET / HTTP/2.0\r\n\r\n",
        "unsupported protocol; expected HTTP/1.1 or HTTP/1.0: GET / HTTP/2.0",
    ),
    (
        "GET / http/1.1\r\n\r\n",
        "unsupported protocol; expected HTTP/1.1 or HTTP/1.0: GET / http/1.1",
    ),
    (
        "GET  / HTTP/1.1\r\n\r\n",
        "unsupported protocol; expected HTTP/1.1 or HTTP/1.0: GET  / HTTP/1.1",
    ),
    (
        "GET /a b HTTP/1.1\r\n\r\n",
        "unsupported protocol; expected HTTP/1.1 or HTTP/1.0: GET /a b HTTP/1.1",
    ),
    (
        "GET / HTTP/1.1 \r\n\r\n",
        "unsupported protocol; expected HTTP/1.1 or HTTP/1.0: GET / HTTP/1.1 ",
    ),
    # Header lines (RFC 9112, 5).
    ("GET / HTTP/1.1\r\nName\r\n\r\n", "invalid HTTP header line: Name"),
    ("GET / HTTP/1.1\r\n: x\r\n\r\n", "invalid HTTP header name: "),
    ("GET / HTTP/1.1\r\nName : x\r\n\r\n", "invalid HTTP header name: Name "),
    ("GET / HTTP/1.1\r\n Name: x\r\n\r\n", "invalid HTTP header name:  Name"),
    ("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", "invalid HTTP header line:  c"),
    ("GET / HTTP/1.1\r\nA: b\r\n c: d\r\n\r\n", "invalid HTTP header name:  c"),
    ("GET / HTTP/1.1\r\n(A): b\r\n\r\n", "invalid HTTP header name: (A)"),
    # Bodies (RFC 9112, 6).
    ("GET / HTTP/1.1\r\nContent-Length: 1\r\n\r\n", "unsupported request body"),
    ("GET / HTTP/1.1\r\nContent-Length: 00\r\n\r\n", "unsupported request body"),
    ("GET / HTTP/1.1\r\ncontent-length:\r\n\r\n", "unsupported request body"),
    ("GET / HTTP/1.1\r\nContent-Length: 0, 0\r\n\r\n", "unsupported request body"),
]


@pytest.mark.parametrize(("data", "text"), INVALID_REQUESTS)
@BOTH
def test_refuses_other_requests_as_websockets_does(parse, data, text):
    """
    Same class, same text.
    """
    stream = reader(data.encode(), cls=websockets.streams.StreamReader)
    with pytest.raises(ValueError, match=".") as theirs:
        run(websockets.http11.Request.parse(stream.read_line))
    with pytest.raises(ValueError, match=".") as ours:
        parse(data.encode())

    assert text == str(ours.value) == str(theirs.value)
    assert type(ours.value) is ValueError


@pytest.mark.parametrize(
    "header", ["Transfer-Encoding: chunked", "transfer-encoding:", "Transfer-Encoding: a"]
)
@BOTH
def test_refuses_requests_with_a_transfer_coding(parse, header):
    """
    A handshake has no body; what looks like one might be a second request.
    """
    with pytest.raises(NotImplementedError, match="^transfer codings aren't supported$"):
        parse(f"POST / HTTP/1.1\r\nContent-Length: 0\r\n{header}\r\n\r\n".encode())


# Errors that websockets doesn't find, or reports as the end of the stream,
# or with unprintable characters.
STRICTER = [
    ("GET / HTTP/1.1\nA: b\n\n", "line without CRLF"),
    ("GET / HTTP/1.1\r\nA: b\n\r\n", "line without CRLF"),
    ("GET / HTTP/1.1\r\nA: b\r\n\n", "line without CRLF"),
    ("GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n", "line without CRLF"),
    (" / HTTP/1.1\r\n\r\n", "invalid HTTP request line:  / HTTP/1.1"),
    ("G@T / HTTP/1.1\r\n\r\n", "invalid HTTP request line: G@T / HTTP/1.1"),
    ("GET  HTTP/1.1\r\n\r\n", "invalid HTTP request line: GET  HTTP/1.1"),
    ("GET /\t HTTP/1.1\r\n\r\n", "invalid HTTP request line: GET /\\x09 HTTP/1.1"),
    ("GET /\0 HTTP/1.1\r\n\r\n", "invalid HTTP request line: GET /\\x00 HTTP/1.1"),
    ("GET /\x7f HTTP/1.1\r\n\r\n", "invalid HTTP request line: GET /\\x7f HTTP/1.1"),
    ("GET /\xe9 HTTP/1.1\r\n\r\n", "invalid HTTP request line: GET /\\xe9 HTTP/1.1"),
    ("\x16\x03\x01\r\n", "invalid HTTP request line: \\x16\\x03\\x01"),
    ("GET / HTTP/1.1\r\nA\xe9: b\r\n\r\n", "invalid HTTP header name: A\\xe9"),
    ("GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", "invalid HTTP header value: b\\x00c"),
    ("GET / HTTP/1.1\r\nA: b\x0bc\r\n\r\n", "invalid HTTP header value: b\\x0bc"),
    ("GET / HTTP/1.1\r\nA: b\x7f\r\n\r\n", "invalid HTTP header value: b\\x7f"),
    ("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", "invalid HTTP header value: b\\x0dc"),
    ("GET / HTTP/1.1\r\nA: b\r\r\n\r\n", "invalid HTTP header value: b\\x0d"),
    (
        "GET / HTTP/1.1\r\n" + 2 * "Content-Length: 0\r\n" + "\r\n",
        "unsupported request body",
    ),
    # Eighty characters show enough of a line.
    (80 * "a" + "\r\n", "invalid HTTP request line: " + 80 * "a"),
    (81 * "a" + "\r\n", "invalid HTTP request line: " + 77 * "a" + "..."),
]


@pytest.mark.parametrize(("data", "text"), STRICTER)
@BOTH
def test_is_stricter_than_websockets(parse, data, text):
    """
    The text is fit for a log and a response: without control characters.
    """
    with pytest.raises(ValueError, match=".") as raised:
        parse(data.encode("iso-8859-1"))

    assert text == str(raised.value)
    assert text.isprintable()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("", "connection closed while reading HTTP request line"),
        ("GET / HTTP/1.1\r", "connection closed while reading HTTP request line"),
        ("GET / HTTP/1.1\r\n", "connection closed while reading HTTP headers"),
        ("GET / HTTP/1.1\r\nA: b\r\n", "connection closed while reading HTTP headers"),
        ("GET / HTTP/1.1\r\nA: b\r\n\r", "connection closed while reading HTTP headers"),
    ],
)
@BOTH
def test_a_request_must_be_complete(parse, data, text):
    """
    The error tells where the stream ends; its cause, after how many bytes.
    """
    with pytest.raises(EOFError) as raised:
        parse(data.encode())

    texts = [str(exc) for exc in exception_chain(raised.value)]
    assert texts[0] == text
    assert texts[1].startswith("stream ends after ")


# Limits


def line_of(size, start, end=""):
    """Make a line of a number of bytes, with its CRLF."""
    return start + "a" * (size - len(start) - len(end) - 2) + end + "\r\n"


@BOTH
def test_lines_may_fill_the_limit(parse):
    """
    8192 bytes, with the line break.
    """
    request = parse(
        f"{line_of(8192, 'GET /', ' HTTP/1.1')}{line_of(8192, 'Name: ')}\r\n".encode()
    )

    assert len(request.path) + len("GET  HTTP/1.1\r\n") == 8192
    assert len(request.headers["Name"]) + len("Name: \r\n") == 8192


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (line_of(8193, "GET /", " HTTP/1.1") + "\r\n", RequestLineTooLong),
        (8193 * "a", RequestLineTooLong),
        (f"GET / HTTP/1.1\r\n{line_of(8193, 'Name: ')}\r\n", HeaderLineTooLong),
        ("GET / HTTP/1.1\r\n" + 8193 * "a", HeaderLineTooLong),
    ],
)
@BOTH
def test_refuses_longer_lines(parse, data, error):
    """
    The error is a SecurityError, and tells the limit.
    """
    with pytest.raises(SecurityError) as raised:
        parse(data.encode())

    assert error is type(raised.value)
    assert str(raised.value) == "read 8193 bytes, expected no more than 8192 bytes"


@BOTH
def test_refuses_more_headers_than_the_limit(parse):
    """
    128 are accepted.
    """
    line, header = b"GET / HTTP/1.1\r\n", b"a:b\r\n"

    assert len(parse(line + 128 * header + b"\r\n").headers.get_all("a")) == 128
    for end in (b"\r\n", b""):
        with pytest.raises(TooManyHeaders) as raised:
            parse(line + 129 * header + end)
        assert str(raised.value) == "expected no more than 128 headers"


@BOTH
def test_refuses_a_head_larger_than_the_limit(parse):
    """
    65 536 bytes, from the first one to the empty line.
    """
    lines = "GET / HTTP/1.1\r\n" + 7 * line_of(8192, "a:")
    fitting = lines + line_of(65_536 - len(lines) - 2, "a:") + "\r\n"
    larger = lines + line_of(65_536 - len(lines) - 1, "a:") + "\r\n"

    assert len(parse(fitting.encode()).headers.get_all("a")) == 8
    with pytest.raises(TooManyHeaders) as raised:
        parse(larger.encode())
    assert str(raised.value) == "read 65537 bytes, expected no more than 65536 bytes"


def test_a_response_has_the_same_limits():
    """
    With a class of its own for the first line.
    """
    assert parse_response(
        f"{line_of(8192, 'HTTP/1.1 101 ')}{line_of(8192, 'a:')}\r\n".encode()
    )
    with pytest.raises(StatusLineTooLong):
        parse_response(line_of(8193, "HTTP/1.1 101 ").encode())
    with pytest.raises(HeaderLineTooLong):
        parse_response(b"HTTP/1.1 101 OK\r\n" + line_of(8193, "a:").encode())
    with pytest.raises(TooManyHeaders, match="128 headers"):
        parse_response(b"HTTP/1.1 101 OK\r\n" + 129 * b"a:b\r\n")
    with pytest.raises(TooManyHeaders, match="65536 bytes"):
        parse_response(b"HTTP/1.1 101 OK\r\n" + 8 * line_of(8192, "a:").encode())


@pytest.mark.parametrize(
    ("variable", "value", "limit", "expected"),
    [
        ("SOCKETEER_MAX_LINE_LENGTH", "100", "MAX_LINE_LENGTH", "100"),
        ("WEBSOCKETS_MAX_LINE_LENGTH", "100", "MAX_LINE_LENGTH", "100"),
        ("SOCKETEER_MAX_NUM_HEADERS", "10", "MAX_NUM_HEADERS", "10"),
        ("SOCKETEER_MAX_BODY_SIZE", "10", "MAX_BODY_SIZE", "10"),
        ("SOCKETEER_MAX_HEAD_SIZE", "1000", "MAX_HEAD_SIZE", "1000"),
        # A program that needs longer lines gets room for them.
        ("WEBSOCKETS_MAX_LINE_LENGTH", "100000", "MAX_HEAD_SIZE", "800000"),
        ("WEBSOCKETS_MAX_LINE_LENGTH", "100", "MAX_HEAD_SIZE", "65536"),
        ("SOCKETEER_SERVER", "ours", "SERVER", "ours"),
        ("WEBSOCKETS_USER_AGENT", "mine", "USER_AGENT", "mine"),
    ],
)
def test_the_environment_sets_limits(variable, value, limit, expected):
    """
    They are read when the module is imported.
    """
    result = subprocess.run(
        [sys.executable, "-c", f"import socketeer.http11 as h; print(h.{limit})"],
        env={variable: value, "PYTHONPATH": ":".join(sys.path)},
        stdout=subprocess.PIPE,
        check=True,
    )

    assert expected == result.stdout.decode().strip()


@pytest.mark.parametrize("name", ["USER_AGENT", "SERVER"])
def test_products_name_python_and_socketeer(name):
    """
    With their versions (RFC 9110, 10.1.5).
    """
    python = f"{sys.version_info.major}.{sys.version_info.minor}"

    assert f"Python/{python} socketeer/{version}" == getattr(http11, name)


# Responses


def test_reads_the_response_of_the_rfc():
    """
    RFC 6455, 1.2.
    """
    response = parse_response(RESPONSE, eof=False)

    assert (response.status_code, response.reason_phrase, response.body) == (
        101,
        "Switching Protocols",
        b"",
    )
    assert list(response.headers.raw_items()) == [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ]


@pytest.mark.parametrize(
    "data",
    [
        RESPONSE,
        b"HTTP/1.1 204 \r\n\r\n",
        b"HTTP/1.1 200 \xe9\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\nNo, sorry.\n",
    ],
)
def test_writes_responses_as_they_are_read(data):
    """
    Byte by byte, if they are written as usual.
    """
    assert data == parse_response(data).serialize()


@pytest.mark.parametrize("size", range(0, len(RESPONSE), 7))
def test_waits_for_the_rest_of_a_response(size):
    """
    Wherever the response is split.
    """
    stream = reader(RESPONSE[:size], eof=False)
    response = Response.parse(stream.read_line, stream.read_exact, stream.read_to_eof)

    assert next(response) is None
    stream.feed_data(RESPONSE[size:])
    assert run(response) == parse_response(RESPONSE)


INVALID_RESPONSES = [
    ("\r\n", "invalid HTTP status line: "),
    ("HTTP/1.1 101\r\n\r\n", "invalid HTTP status line: HTTP/1.1 101"),
    (
        "HTTP/1.0 200 OK\r\n\r\n",
        "unsupported protocol; expected HTTP/1.1: HTTP/1.0 200 OK",
    ),
    (
        "HTTP/1.1  200 OK\r\n\r\n",
        "invalid status code; expected integer; got ",
    ),
    (
        "HTTP/1.1 abc OK\r\n\r\n",
        "invalid status code; expected integer; got abc",
    ),
    *(
        (
            f"HTTP/1.1 {status} OK\r\n\r\n",
            f"invalid status code; expected 100–599; got {status}",
        )
        for status in ("099", "600", "20", "2000")
    ),
    ("HTTP/1.1 200 OK\r\nName\r\n\r\n", "invalid HTTP header line: Name"),
]


@pytest.mark.parametrize(("data", "text"), INVALID_RESPONSES)
def test_refuses_other_responses_as_websockets_does(data, text):
    """
    Same class, same text.
    """
    stream = reader(data.encode(), cls=websockets.streams.StreamReader)
    with pytest.raises(ValueError, match=".") as theirs:
        run(
            websockets.http11.Response.parse(
                stream.read_line, stream.read_exact, stream.read_to_eof
            )
        )
    with pytest.raises(ValueError, match=".") as ours:
        parse_response(data.encode())

    assert text == str(ours.value) == str(theirs.value)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("HTTP/1.1 200 a\0b\r\n\r\n", "invalid HTTP reason phrase: a\\x00b"),
        ("HTTP/1.1 200 OK\nA: b\n\n", "line without CRLF"),
        (
            "HTTP/1.1 0200 OK\r\n\r\n",
            "invalid status code; expected 100–599; got 0200",
        ),
    ],
)
def test_refuses_more_responses_than_websockets(data, text):
    """
    "status-code = 3DIGIT" (RFC 9112, 4).
    """
    with pytest.raises(ValueError, match=".") as raised:
        parse_response(data.encode())

    assert text == str(raised.value)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("", "connection closed while reading HTTP status line"),
        ("HTTP/1.1 101 OK\r\n", "connection closed while reading HTTP headers"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
            "stream ends after 3 bytes, expected 5 bytes",
        ),
    ],
)
def test_a_response_must_be_complete(data, text):
    """
    The error tells where the stream ends.
    """
    with pytest.raises(EOFError) as raised:
        parse_response(data.encode())

    assert text == str(raised.value)


def test_a_proxy_may_speak_an_older_version():
    """
    Its response to CONNECT has no body, whatever its headers say.
    """
    data = b"HTTP/1.0 200 Connection established\r\nContent-Length: 5\r\n\r\n"
    response = parse_response(data, eof=False, proxy=True)

    assert (response.status_code, response.body) == (200, b"")
    with pytest.raises(ValueError, match="expected HTTP/1.1 or HTTP/1.0: HTTP/2.0"):
        parse_response(b"HTTP/2.0 200 OK\r\n\r\n", proxy=True)


# Bodies

BODIES = [
    # RFC 9112, 6.3: no body, length, chunks, the rest.
    (101, "", b"frames", b""),
    (204, "Content-Length: 5\r\n", b"", b""),
    (304, "Content-Length: 5\r\n", b"", b""),
    (200, "Content-Length: 5\r\n", b"Hello, world", b"Hello"),
    (200, "Content-Length: 0\r\n", b"Hello", b""),
    (200, "", b"Hello", b"Hello"),
    (200, "", b"", b""),
    (200, "Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b""),
    (
        200,
        "Transfer-Encoding: chunked\r\n",
        b"5\r\nHello\r\n00A;a=b\r\n, 56789012\r\n0\r\n\r\nmore",
        b"Hello, 56789012",
    ),
    (
        200,
        "Transfer-Encoding: Chunked\r\nContent-Length: 2\r\n",
        b"5\r\nHello\r\n0\r\nTrailer: x\r\n\r\n",
        b"Hello",
    ),
]


@pytest.mark.parametrize(("status", "headers", "data", "body"), BODIES)
def test_reads_bodies(status, headers, data, body):
    """
    Of responses that reject the handshake.
    """
    response = parse_response(f"HTTP/1.1 {status} x\r\n{headers}\r\n".encode() + data)

    assert body == response.body
    assert type(response.body) is bytes


INVALID_BODIES = [
    ("Content-Length: abc", "", SecurityError, "invalid content length: abc"),
    ("Content-Length: -1", "", SecurityError, "invalid content length: -1"),
    ("Content-Length:", "", SecurityError, "invalid content length: "),
    (
        f"Content-Length: {'9' * 19}",
        "",
        SecurityError,
        f"invalid content length: {'9' * 19}",
    ),
    (
        f"Content-Length: {'9' * 18}",
        "",
        SecurityError,
        f"body too large: {'9' * 18} bytes",
    ),
    ("Content-Length: 1048577", "", SecurityError, "body too large: 1048577 bytes"),
    (
        "Transfer-Encoding: gzip, chunked",
        "",
        NotImplementedError,
        "transfer coding gzip, chunked isn't supported",
    ),
    (
        "Transfer-Encoding:",
        "",
        NotImplementedError,
        "transfer coding  isn't supported",
    ),
    ("Transfer-Encoding: chunked", "\r\n", SecurityError, "invalid chunk size: "),
    ("Transfer-Encoding: chunked", "5 \r\n", SecurityError, "invalid chunk size: 5 "),
    ("Transfer-Encoding: chunked", "0x5\r\n", SecurityError, "invalid chunk size: 0x5"),
    (
        "Transfer-Encoding: chunked",
        "f" * 16 + "\r\n",
        SecurityError,
        "invalid chunk size: " + "f" * 16,
    ),
    (
        "Transfer-Encoding: chunked",
        "1\r\na\r\n100000\r\n",
        SecurityError,
        "chunk too large: 1048576 bytes after 1 bytes",
    ),
    (
        "Transfer-Encoding: chunked",
        "1;" + 9000 * "a" + "\r\n",
        SecurityError,
        "read 9004 bytes, expected no more than 8192 bytes",
    ),
    ("Transfer-Encoding: chunked", "1\r\nabc", ValueError, "chunk without CRLF"),
    (
        "Transfer-Encoding: chunked",
        "0\r\nName\r\n\r\n",
        ValueError,
        "invalid HTTP header line: Name",
    ),
]


@pytest.mark.parametrize(("header", "data", "error", "text"), INVALID_BODIES)
def test_refuses_other_bodies_as_websockets_does(header, data, error, text):
    """
    Same class, same text.
    """
    data = f"HTTP/1.1 200 OK\r\n{header}\r\n\r\n{data}".encode()
    stream = reader(data, cls=websockets.streams.StreamReader)
    theirs = outcome(
        lambda: run(
            websockets.http11.Response.parse(
                stream.read_line, stream.read_exact, stream.read_to_eof
            )
        )
    )
    with pytest.raises(error) as ours:
        parse_response(data)

    assert error is type(ours.value)
    assert text == str(ours.value)
    assert theirs in {
        ("raises", error.__name__),
        ("raises", error.__name__, text),
    }


@pytest.mark.parametrize(
    ("headers", "error", "text"),
    [
        (2 * "Content-Length: 3\r\n", SecurityError, "invalid content length: 3, 3"),
        (
            2 * "Transfer-Encoding: chunked\r\n",
            NotImplementedError,
            "transfer coding chunked, chunked isn't supported",
        ),
    ],
)
def test_refuses_repeated_lengths_and_codings(headers, error, text):
    """
    websockets 17.4 refuses them with a MultipleValuesError.
    """
    with pytest.raises(error) as raised:
        parse_response(f"HTTP/1.1 200 OK\r\n{headers}\r\nabc".encode())

    assert text == str(raised.value)


@pytest.mark.parametrize("eof", [False, True])
def test_refuses_a_body_larger_than_the_limit(eof):
    """
    Also one that ends with the stream.
    """
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    body = b"a" * http11.MAX_BODY_SIZE

    assert body == parse_response(head + body).body
    with pytest.raises(SecurityError) as raised:
        parse_response(head + body + b"a", eof=eof)
    assert (
        str(raised.value) == "read 1048577 bytes, expected no more than 1048576 bytes"
    )


# Objects


@pytest.mark.parametrize("name", ["Request", "Response"])
def test_classes_have_the_fields_of_those_of_websockets(name):
    """
    Same fields in the same order with the same defaults.
    """
    assert [
        (field.name, field.default)
        for field in dataclasses.fields(getattr(websockets.http11, name))
    ] == [
        (field.name, field.default)
        for field in dataclasses.fields(getattr(http11, name))
    ]
    assert set(websockets.http11.__all__) == set(http11.__all__)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (
            Request("/", Headers()),
            "Request.exception is deprecated; use ServerProtocol.handshake_exc instead",
        ),
        (
            Response(200, "OK", Headers()),
            "Response.exception is deprecated; "
            "use ClientProtocol.handshake_exc instead",
        ),
    ],
)
def test_the_exception_of_a_message_is_deprecated(message, text):
    """
    It warns at the line that uses it.
    """
    message._exception = ValueError("text")
    with pytest.warns(DeprecationWarning) as warnings:
        exception = message.exception

    assert str(exception) == "text"
    assert [text] == [str(warning.message) for warning in warnings]
    assert __file__ == warnings[0].filename


def test_messages_take_attributes():
    """
    A hook may note something for later.
    """
    request = parse_request_head(REQUEST)
    request.user = "ada"

    assert request.user == "ada"


# Any request

TOKENS = st.text("aA!~9", min_size=1, max_size=5)
HEADER_LINES = st.tuples(
    TOKENS,
    st.sampled_from([":", ": ", ":\t "]),
    st.text("a0 \t:,\xe9", max_size=6),
).map("".join)
BODY_LINES = st.tuples(
    st.sampled_from(["Content-Length", "Transfer-Encoding"]),
    st.sampled_from([":", ": "]),
    st.text("012a ", max_size=2),
).map("".join)
REQUEST_LINES = st.tuples(
    st.sampled_from(["GET ", "GET ", "POST "]) | TOKENS.map(lambda token: f"{token} "),
    st.sampled_from(["", "/", "/"]),
    st.text("/a?#*:", max_size=6),
    st.sampled_from([" HTTP/1.1", " HTTP/1.1", " HTTP/1.0"]),
).map("".join)
HEADS = st.builds(
    lambda line, headers, body: "\r\n".join(
        [line, *headers, *body, "", ""]
    ).encode("iso-8859-1"),
    REQUEST_LINES,
    st.lists(HEADER_LINES, max_size=5),
    st.just([]) | st.lists(BODY_LINES, max_size=1),
)


@st.composite
def damaged_heads(draw):
    """Give a head with some bytes replaced, inserted or removed."""
    data = draw(HEADS)
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(start + 2, len(data))))
        piece = draw(
            st.sampled_from(
                [b"", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b":", b"\0"]
            )
            | st.binary(max_size=2)
        )
        data = data[:start] + piece + data[end:]
    return data


@settings(max_examples=500)
@given(damaged_heads())
@example(REQUEST)
@example(b"GET / HTTP/1.1\r\nbad name: x\r\n\r\n")
@example(b"GET / HTTP/1.1\r\na: b\nc: d\r\n\r\n")
@example(b"GET / HTTP/1.1\r\n\nc: d\r\n\r\n")
@example(b"GET / HTTP/1.1\r\n\r\nc: d\r\n\r\n")
def test_both_ways_read_the_same(data):
    """
    Same request or the same error, whatever the bytes.
    """
    assert outcome(parse_request, data) == outcome(parse_request_head, data)


@settings(max_examples=500)
@given(damaged_heads(), st.integers(8, 40), st.integers(0, 4), st.integers(8, 80))
def test_both_ways_have_the_same_limits(data, length, count, size):
    """
    Same request or the same error, whatever the limits.
    """
    with limits(MAX_LINE_LENGTH=length, MAX_NUM_HEADERS=count, MAX_HEAD_SIZE=size):
        assert outcome(parse_request, data) == outcome(parse_request_head, data)


@settings(max_examples=500)
@given(damaged_heads())
@example(REQUEST)
def test_accepts_nothing_that_websockets_refuses(data):
    """
    And gives the same request then. Errors are the same, except for those
    that are tested above.
    """
    stream = reader(data, cls=websockets.streams.StreamReader)
    theirs = outcome(lambda: run(websockets.http11.Request.parse(stream.read_line)))
    ours = outcome(parse_request_head, data)

    if ours[0] == "returns":
        assert theirs == ("returns", f"{ours[1][:-1]}, _exception=None)")
    elif ours[1] == "EOFError":
        assert theirs == ours


@given(st.text("HTP/1. 0249OK\r\n:Content-Lghunked", max_size=60))
@example("HTTP/1.1 200 OK\r\n\r\n")
def test_accepts_no_response_that_websockets_refuses(text):
    """
    And gives the same response then.
    """
    data = f"HTTP/1.1 2{text}".encode()
    stream = reader(data, cls=websockets.streams.StreamReader)
    theirs = outcome(
        lambda: run(
            websockets.http11.Response.parse(
                stream.read_line, stream.read_exact, stream.read_to_eof
            )
        )
    )
    ours = outcome(parse_response, data)

    if ours[0] == "returns":
        assert theirs == ("returns", f"{ours[1][:-1]}, _exception=None)")
