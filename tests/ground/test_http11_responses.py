from __future__ import annotations

import pytest
import websockets.http11
import websockets.streams

from socketeer import http11
from socketeer.exceptions import (
    HeaderLineTooLong,
    SecurityError,
    StatusLineTooLong,
    TooManyHeaders,
)
from socketeer.http11 import Response

from .comparing import outcome, reader, run
from .messages import BODIES, RESPONSE, line_of, parse_response


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
            f"invalid status code; expected 100\u2013599; got {status}",
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
    with pytest.raises(ValueError, match=r".") as theirs:
        run(
            websockets.http11.Response.parse(
                stream.read_line, stream.read_exact, stream.read_to_eof
            )
        )
    with pytest.raises(ValueError, match=r".") as ours:
        parse_response(data.encode())

    assert text == str(ours.value) == str(theirs.value)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("HTTP/1.1 200 a\0b\r\n\r\n", "invalid HTTP reason phrase: a\\x00b"),
        ("HTTP/1.1 200 OK\nA: b\n\n", "line without CRLF"),
        (
            "HTTP/1.1 0200 OK\r\n\r\n",
            "invalid status code; expected 100\u2013599; got 0200",
        ),
    ],
)
def test_refuses_more_responses_than_websockets(data, text):
    """
    "status-code = 3DIGIT" (RFC 9112, 4).
    """
    with pytest.raises(ValueError, match=r".") as raised:
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
    with pytest.raises(ValueError, match=r"expected HTTP/1.1 or HTTP/1.0: HTTP/2.0"):
        parse_response(b"HTTP/2.0 200 OK\r\n\r\n", proxy=True)


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


# Bodies


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
    In websockets 17.4, the error is a MultipleValuesError.
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
