from __future__ import annotations

import subprocess
import sys

import pytest
import websockets.http11
import websockets.streams

from socketeer.exceptions import (
    HeaderLineTooLong,
    RequestLineTooLong,
    SecurityError,
    TooManyHeaders,
)
from socketeer.http11 import Request

from .comparing import exception_chain, reader, run
from .messages import BOTH, REQUEST, line_of, parse_request


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
    with pytest.raises(ValueError, match=r".") as theirs:
        run(websockets.http11.Request.parse(stream.read_line))
    with pytest.raises(ValueError, match=r".") as ours:
        parse(data.encode())

    assert text == str(ours.value) == str(theirs.value)
    assert type(ours.value) is ValueError


@pytest.mark.parametrize(
    "header",
    ["Transfer-Encoding: chunked", "transfer-encoding:", "Transfer-Encoding: a"],
)
@BOTH
def test_refuses_requests_with_a_transfer_coding(parse, header):
    """
    A handshake has no body; what looks like one might be a second request.
    """
    with pytest.raises(
        NotImplementedError, match=r"^transfer codings aren't supported$"
    ):
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
    with pytest.raises(ValueError, match=r".") as raised:
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
        (
            "GET / HTTP/1.1\r\nA: b\r\n\r",
            "connection closed while reading HTTP headers",
        ),
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
