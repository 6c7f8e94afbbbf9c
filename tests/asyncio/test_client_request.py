"""
What a client sends to open a connection, as a raw server reads it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import sys

import pytest

from tests.asyncio.exchange import connecting
from tests.asyncio.raw import RawListener
from tests.under_test import lib, submodule

pytestmark = pytest.mark.anyio

PYTHON = f"Python/{sys.version_info[0]}.{sys.version_info[1]}"


@contextlib.asynccontextmanager
async def opened(uri="ws://127.0.0.1:{port}/", **options):
    """
    Open a connection to a raw server; yield the connection and its peer.
    """
    listener = RawListener()
    opening = asyncio.ensure_future(
        connecting(uri.format(port=listener.port), **options).connect()
    )
    try:
        with contextlib.closing(await listener.accept()) as peer:
            await peer.open_as_server()
            connection = await opening
            try:
                yield connection, peer
            finally:
                connection.transport.abort()
    finally:
        listener.close()


async def head_of(uri="ws://127.0.0.1:{port}/", **options):
    """
    Return the head of the request that a client sends.
    """
    async with opened(uri, **options) as (_, peer):
        return peer.head


def names(head):
    """
    Return the names of the fields in order.
    """
    return [name for name, _ in head.lines]


async def test_the_request_has_its_fields_in_order():
    """
    The usual ones, then the User-Agent field.
    """
    head = await head_of()

    assert "GET / HTTP/1.1" == head.first_line
    assert [
        "Host",
        "Upgrade",
        "Connection",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Extensions",
        "User-Agent",
    ] == names(head)
    fields = dict(head.lines)
    assert "websocket" == fields["Upgrade"]
    assert "Upgrade" == fields["Connection"]
    assert "13" == fields["Sec-WebSocket-Version"]
    assert (
        "permessage-deflate; client_max_window_bits"
        == (fields["Sec-WebSocket-Extensions"])
    )
    assert f"{PYTHON} {lib.__name__}/{lib.__version__}" == fields["User-Agent"]


async def test_everything_has_its_place():
    """
    Authorization, Origin, the handshake, offers, one's own, User-Agent last.
    """
    head = await head_of(
        "ws://ada:secret@127.0.0.1:{port}/",
        origin="http://localhost",
        subprotocols=["chat", "superchat"],
        additional_headers={"X-Own": "1"},
    )

    assert [
        "Host",
        "Authorization",
        "Origin",
        "Upgrade",
        "Connection",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Extensions",
        "Sec-WebSocket-Protocol",
        "X-Own",
        "User-Agent",
    ] == names(head)
    fields = dict(head.lines)
    assert "http://localhost" == fields["Origin"]
    assert "chat, superchat" == fields["Sec-WebSocket-Protocol"]


async def test_keys_are_fresh():
    """
    Sixteen random bytes for each connection (RFC 6455, 4.1).
    """
    keys = [(await head_of()).get_all("Sec-WebSocket-Key") for _ in range(3)]

    assert [16] * 3 == [len(base64.b64decode(key, validate=True)) for [key] in keys]
    assert 3 == len({key for [key] in keys})


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        ("ws://127.0.0.1:{port}", "/"),
        ("ws://127.0.0.1:{port}/", "/"),
        ("ws://127.0.0.1:{port}/a/b", "/a/b"),
        ("ws://127.0.0.1:{port}?a=b", "/?a=b"),
        ("ws://127.0.0.1:{port}/a%20b?c=%26", "/a%20b?c=%26"),
        ("ws://127.0.0.1:{port}/caf\u00e9?\u20ac", "/caf%C3%A9?%E2%82%AC"),
    ],
)
async def test_the_target_is_path_and_query(uri, target):
    """
    The request line has what the URI has behind its host.
    """
    head = await head_of(uri)

    assert f"GET {target} HTTP/1.1" == head.first_line


async def test_the_host_has_its_port():
    """
    A port that is not the default one is part of Host.
    """
    async with opened() as (connection, peer):
        port = connection.remote_address[1]

        assert [f"127.0.0.1:{port}"] == peer.head.get_all("Host")


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("ws://example.test/", "example.test"),
        ("ws://example.test:80/", "example.test"),
        ("ws://example.test:8080/", "example.test:8080"),
        ("ws://EXAMPLE.test/", "example.test"),
        ("ws://[::1]/", "[::1]"),
        ("ws://[::1]:8080/", "[::1]:8080"),
        ("ws://m\u00fcsli.test/", "xn--msli-0ra.test"),
    ],
)
async def test_the_host_is_that_of_the_uri(uri, host):
    """
    `host=` and `port=` change where to connect, not what is asked for.
    """
    listener = RawListener()
    options = {"host": "127.0.0.1", "port": listener.port}
    opening = asyncio.ensure_future(connecting(uri, **options).connect())
    try:
        with contextlib.closing(await listener.accept()) as peer:
            await peer.open_as_server()
            (await opening).transport.abort()

            assert [host] == peer.head.get_all("Host")
    finally:
        listener.close()


@pytest.mark.parametrize(
    ("user_information", "credentials"),
    [
        ("ada:secret", "ada:secret"),
        ("ada:p%40ss%3Aword", "ada:p@ss:word"),
        ("ada:", "ada:"),
        ("zo%C3%AB:%E2%82%AC", "zo\u00eb:\u20ac"),
    ],
)
async def test_user_information_becomes_basic_authentication(
    user_information, credentials
):
    """
    Name and password are decoded, and sent as RFC 7617 wants.
    """
    head = await head_of(f"ws://{user_information}@127.0.0.1:{{port}}/")

    [value] = head.get_all("Authorization")
    scheme, _, token = value.partition(" ")
    assert "Basic" == scheme
    assert credentials == base64.b64decode(token).decode()
    assert "@" not in head.get_all("Host")[0]


@pytest.mark.parametrize(
    "additional_headers",
    [
        {"X-A": "1", "X-B": "2"},
        [("X-A", "1"), ("X-B", "2")],
        (("X-A", "1"), ("X-B", "2")),
        lib.Headers([("X-A", "1"), ("X-B", "2")]),
    ],
    ids=["mapping", "list", "tuple", "Headers"],
)
async def test_additional_headers(additional_headers):
    """
    Mappings, pairs and Headers are added behind the generated fields.
    """
    head = await head_of(additional_headers=additional_headers)

    assert [("X-A", "1"), ("X-B", "2")] == list(head.lines[-3:-1])


async def test_additional_headers_may_repeat_a_field():
    """
    Fields are added, never replaced: a Host of one's own is a second one.
    """
    head = await head_of(additional_headers={"Host": "other.test"})

    assert 2 == len(head.get_all("Host"))
    assert "other.test" == head.get_all("Host")[1]


async def test_user_agent_header():
    """
    Another name, or none.
    """
    named = await head_of(user_agent_header="Browser-like/1.0")
    nameless = await head_of(user_agent_header=None)

    assert ["Browser-like/1.0"] == named.get_all("User-Agent")
    assert [] == nameless.get_all("User-Agent")


async def test_a_user_agent_of_ones_own_is_not_doubled():
    """
    A User-Agent among the additional headers takes the place of the default.
    """
    head = await head_of(additional_headers={"User-Agent": "mine"})

    assert ["mine"] == head.get_all("User-Agent")


async def test_compression_none_offers_no_extension():
    """
    `compression=None` leaves the offer out.
    """
    head = await head_of(compression=None)

    assert [] == head.get_all("Sec-WebSocket-Extensions")


async def test_extensions_of_ones_own_are_offered():
    """
    `extensions=` takes factories, whose parameters are sent.
    """
    deflate = submodule("extensions.permessage_deflate")
    factory = deflate.ClientPerMessageDeflateFactory(server_max_window_bits=10)
    head = await head_of(extensions=[factory], compression=None)

    assert [
        "permessage-deflate; server_max_window_bits=10; client_max_window_bits"
    ] == head.get_all("Sec-WebSocket-Extensions")


async def test_the_connection_keeps_request_and_response():
    """
    `request` and `response` are what was on the wire.
    """
    async with opened("ws://127.0.0.1:{port}/a?b") as (connection, peer):
        assert "/a?b" == connection.request.path
        assert list(peer.head.lines) == list(connection.request.headers.raw_items())
        assert 101 == connection.response.status_code
        assert "websocket" == connection.response.headers["Upgrade"]
        assert isinstance(connection, lib.ClientConnection)
        assert lib.State.OPEN is connection.state
