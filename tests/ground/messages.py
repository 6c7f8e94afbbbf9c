"""What the tests of HTTP share: messages, damaged messages, ways to read them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import strategies as st

from socketeer import http11
from socketeer.http11 import Request, Response, parse_request_head

from .comparing import reader, run

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


def line_of(size, start, end=""):
    """Make a line of a number of bytes, with its CRLF."""
    return start + "a" * (size - len(start) - len(end) - 2) + end + "\r\n"


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


# Damaged requests

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
    lambda line, headers, body: "\r\n".join([line, *headers, *body, "", ""]).encode(
        "iso-8859-1"
    ),
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
