"""
What a server answers to a request it does not accept, byte for byte.
"""

from __future__ import annotations

import contextlib
import re
import sys
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import pytest

from tests.asyncio.exchange import KEY, ask, dial, opening_request, serving
from tests.under_test import lib

pytestmark = pytest.mark.anyio

PREFIX = "Failed to open a WebSocket connection: "
NOT_A_BROWSER = (
    "\n\nYou cannot access a WebSocket server directly with a browser. "
    "You need a WebSocket client.\n"
)
PYTHON = f"Python/{sys.version_info[0]}.{sys.version_info[1]}"
LINE = "GET / HTTP/1.1"


def instead(name, *values):
    """
    Return an opening request with other values of a usual field.
    """
    return opening_request(LINE, *((name, value) for value in values), without=(name,))


@pytest.mark.parametrize(
    ("request_bytes", "error"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "missing Connection header"),
        (opening_request(without=("Connection",)), "missing Connection header"),
        (opening_request(without=("Upgrade",)), "missing Upgrade header"),
        (instead("Connection", "close"), "invalid Connection header: close"),
        (instead("Upgrade", "h2c"), "invalid Upgrade header: h2c"),
        (
            instead("Upgrade", "websocket", "h2c"),
            "invalid Upgrade header: websocket, h2c",
        ),
    ],
)
async def test_no_upgrade_is_answered_426(request_bytes, error):
    """
    Who does not ask for an upgrade learns which one is needed (RFC 9110, 15.5.22).
    """
    async with serving() as server:
        answer = await ask(server.port, request_bytes)

    assert "HTTP/1.1 426 Upgrade Required" == answer.head.first_line
    assert "websocket" == answer["Upgrade"]
    assert f"{PREFIX}{error}.{NOT_A_BROWSER}" == answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
async def test_another_method_is_answered_405(method):
    """
    Only GET opens a connection (RFC 6455, 4.1); the answer says so in Allow.
    """
    async with serving() as server:
        answer = await ask(server.port, opening_request(f"{method} / HTTP/1.1"))

    assert "HTTP/1.1 405 Method Not Allowed" == answer.head.first_line
    assert "GET" == answer["Allow"]
    assert f"{PREFIX}unsupported HTTP method: {method}.\n" == answer.text


async def test_head_is_answered_405():
    """
    HEAD is another method, whatever becomes of the body.
    """
    async with serving() as server:
        answer = await ask(server.port, opening_request("HEAD / HTTP/1.1"))

    assert 405 == answer.status
    assert "GET" == answer["Allow"]


@pytest.mark.ours
async def test_the_answer_to_head_has_no_body():
    """
    A response to HEAD never has content (RFC 9110, 9.3.2).
    """
    async with serving() as server:
        answer = await ask(server.port, opening_request("HEAD / HTTP/1.1"))

    assert b"" == answer.body


@pytest.mark.ours
async def test_the_answer_to_head_of_a_hook_has_no_body():
    """
    A health check by HEAD gets the header of the answer and no content.
    """

    def process_request(connection, request):
        return connection.respond(200, "OK\n")

    async with serving(process_request=process_request) as server:
        answer = await ask(server.port, opening_request("HEAD /healthz HTTP/1.1"))

    assert (200, "3", b"") == (answer.status, answer["Content-Length"], answer.body)


async def test_http_1_0_is_answered_505():
    """
    The opening handshake needs HTTP/1.1 (RFC 6455, 4.1).
    """
    async with serving() as server:
        answer = await ask(server.port, opening_request("GET / HTTP/1.0"))

    assert "HTTP/1.1 505 HTTP Version Not Supported" == answer.head.first_line
    assert f"{PREFIX}unsupported HTTP version: HTTP/1.0.\n" == answer.text


@pytest.mark.parametrize(
    ("request_bytes", "error"),
    [
        (
            opening_request(without=("Sec-WebSocket-Key",)),
            "missing Sec-WebSocket-Key header",
        ),
        (
            instead("Sec-WebSocket-Key", "AAAA"),
            "invalid Sec-WebSocket-Key header: AAAA",
        ),
        (
            instead("Sec-WebSocket-Key", KEY, KEY),
            "invalid Sec-WebSocket-Key header: multiple values",
        ),
        (
            opening_request(without=("Sec-WebSocket-Version",)),
            "missing Sec-WebSocket-Version header",
        ),
        (
            instead("Sec-WebSocket-Version", "12"),
            "invalid Sec-WebSocket-Version header: 12",
        ),
        (
            instead("Sec-WebSocket-Version", "13", "13"),
            "invalid Sec-WebSocket-Version header: multiple values",
        ),
        (
            opening_request(LINE, ("Origin", "http://a"), ("Origin", "http://b")),
            "invalid Origin header: multiple values",
        ),
        (
            opening_request(LINE, ("Sec-WebSocket-Extensions", "x;")),
            "invalid Sec-WebSocket-Extensions header: expected token at 2 in x;",
        ),
        (
            opening_request(LINE, ("Sec-WebSocket-Extensions", ",")),
            "invalid Sec-WebSocket-Extensions header: expected token at 1 in ,",
        ),
    ],
)
async def test_a_wrong_field_is_answered_400(request_bytes, error):
    """
    The answer names the field that is missing, malformed or repeated.
    """
    async with serving() as server:
        answer = await ask(server.port, request_bytes)

    assert "HTTP/1.1 400 Bad Request" == answer.head.first_line
    assert f"{PREFIX}{error}.\n" == answer.text


async def test_a_key_that_is_no_base64_is_answered_400():
    """
    The reason of the decoder follows behind the field.
    """
    async with serving() as server:
        answer = await ask(server.port, instead("Sec-WebSocket-Key", "!"))

    assert 400 == answer.status
    assert answer.text.startswith(f"{PREFIX}invalid Sec-WebSocket-Key header: !; ")


@pytest.mark.ours
@pytest.mark.parametrize("versions", [("12",), ("13", "13"), ()])
async def test_an_unknown_version_learns_the_known_one(versions):
    """
    The answer carries the version that is understood (RFC 6455, 4.4).
    """
    async with serving() as server:
        answer = await ask(server.port, instead("Sec-WebSocket-Version", *versions))

    assert 400 == answer.status
    assert "13" == answer["Sec-WebSocket-Version"]


@pytest.mark.parametrize(
    ("offers", "error"),
    [
        (("cha t",), "invalid Sec-WebSocket-Protocol header: expected comma at 4 in"),
        ((",",), "invalid Sec-WebSocket-Protocol header: expected token at 1 in"),
        ((), "missing subprotocol."),
        (("other",), "invalid subprotocol; expected one of chat, superchat."),
    ],
)
async def test_no_subprotocol_in_common_is_answered_400(offers, error):
    """
    A server with subprotocols refuses clients that offer none of them.
    """
    fields = [("Sec-WebSocket-Protocol", offer) for offer in offers]
    async with serving(subprotocols=["chat", "superchat"]) as server:
        answer = await ask(server.port, opening_request(LINE, *fields))

    assert 400 == answer.status
    assert answer.text.startswith(PREFIX + error)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ((("Origin", "http://evil"),), "invalid Origin header: http://evil"),
        ((), "missing Origin header"),
    ],
)
async def test_a_forbidden_origin_is_answered_403(fields, error):
    """
    A server with origins refuses others, and no origin at all (RFC 6455, 10.2).
    """
    async with serving(origins=["http://localhost"]) as server:
        answer = await ask(server.port, opening_request(LINE, *fields))

    assert "HTTP/1.1 403 Forbidden" == answer.head.first_line
    assert f"{PREFIX}{error}.\n" == answer.text


async def test_every_rejection_has_the_same_fields():
    """
    Date, Connection, Content-Length, Content-Type, then extras, Server last.
    """
    async with serving() as server:
        answer = await ask(server.port, opening_request("POST / HTTP/1.1"))

    parsedate_to_datetime(answer["Date"])
    assert [
        "Date",
        "Connection",
        "Content-Length",
        "Content-Type",
        "Allow",
        "Server",
    ] == answer.names
    assert "close" == answer["Connection"]
    assert str(len(answer.body)) == answer["Content-Length"]
    assert "text/plain; charset=utf-8" == answer["Content-Type"]
    assert f"{PYTHON} {lib.__name__}/{lib.__version__}" == answer["Server"]


# Heads that are too long: 8192 bytes a line, 128 fields.


@pytest.mark.parametrize(("size", "status"), [(8190, 101), (8191, 414), (70_000, 414)])
async def test_an_over_long_request_line_is_answered_414(size, status):
    """
    A request line holds 8192 bytes at most, its end included.
    """
    line = f"GET /{'a' * (size - len('GET / HTTP/1.1'))} HTTP/1.1"
    async with serving() as server:
        with contextlib.closing(await dial(server.port)) as peer:
            await peer.send(opening_request(line))
            head = await peer.read_head()

    assert head.first_line.startswith(f"HTTP/1.1 {status} ")


@pytest.mark.parametrize(("size", "status"), [(8190, 101), (8191, 431), (70_000, 431)])
async def test_an_over_long_header_line_is_answered_431(size, status):
    """
    A header line holds 8192 bytes at most, its end included.
    """
    field = ("Cookie", "a" * (size - len("Cookie: ")))
    async with serving() as server:
        with contextlib.closing(await dial(server.port)) as peer:
            await peer.send(opening_request(LINE, field))
            head = await peer.read_head()

    assert head.first_line.startswith(f"HTTP/1.1 {status} ")


@pytest.mark.parametrize(("count", "status"), [(128, 101), (129, 431), (1000, 431)])
async def test_too_many_fields_are_answered_431(count, status):
    """
    A request has 128 fields at most; five of them are those of the handshake.
    """
    fields = [("X", str(number)) for number in range(count - 5)]
    async with serving() as server:
        with contextlib.closing(await dial(server.port)) as peer:
            await peer.send(opening_request(LINE, *fields))
            head = await peer.read_head()

    assert head.first_line.startswith(f"HTTP/1.1 {status} ")


@pytest.mark.parametrize(
    ("request_bytes", "status", "error"),
    [
        (
            opening_request(f"GET /{'a' * 9000} HTTP/1.1"),
            HTTPStatus.REQUEST_URI_TOO_LONG,
            r"read \d+ bytes, expected no more than 8192 bytes",
        ),
        (
            opening_request(LINE, ("X", "a" * 9000)),
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            r"read \d+ bytes, expected no more than 8192 bytes",
        ),
        (
            opening_request(LINE, *[("X", "a")] * 200),
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            "expected no more than 128 headers",
        ),
    ],
    ids=["request line", "header line", "headers"],
)
async def test_an_over_long_head_is_answered_before_it_is_a_request(
    request_bytes, status, error
):
    """
    The answer is made without hooks, and without a Server field.
    """

    def process_request(connection, request):
        raise AssertionError("there is no request")

    async with serving(process_request=process_request) as server:
        answer = await ask(server.port, request_bytes)

    assert f"HTTP/1.1 {status.value} {status.phrase}" == answer.head.first_line
    assert ["Date", "Connection", "Content-Length", "Content-Type"] == answer.names
    assert re.fullmatch(rf"{PREFIX}{error}\.\n", answer.text)
