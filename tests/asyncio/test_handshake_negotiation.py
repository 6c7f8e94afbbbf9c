"""
Origins, subprotocols, extensions: what server and client agree on.
"""

from __future__ import annotations

import contextlib
import logging
import re

import pytest

from tests.asyncio.exchange import (
    ask,
    connecting,
    dial,
    echo,
    opening_request,
    serving,
)
from tests.under_test import lib, submodule

pytestmark = pytest.mark.anyio

LINE = "GET / HTTP/1.1"
INTERNAL = (
    "Failed to open a WebSocket connection.\nSee server log for more information.\n"
)


async def upgraded(server, *fields):
    """
    Return the head of the answer to an opening request.
    """
    with contextlib.closing(await dial(server.port)) as peer:
        await peer.send(opening_request(LINE, *fields))
        return await peer.read_head()


# Origins

ORIGINS = ["http://localhost", re.compile(r"https://.*\.example"), None]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ((), 101),
        ((("Origin", "http://localhost"),), 101),
        ((("Origin", "http://localhost:80"),), 403),
        ((("Origin", "https://a.example"),), 101),
        ((("Origin", "https://a.example.org"),), 403),
        ((("Origin", "xhttps://a.example"),), 403),
        ((("Origin", "null"),), 403),
    ],
)
async def test_origins_are_strings_patterns_and_none(fields, status):
    """
    Strings match exactly, patterns as a whole; None admits no origin at all.
    """
    async with serving(origins=ORIGINS) as server:
        head = await upgraded(server, *fields)

    assert head.first_line.startswith(f"HTTP/1.1 {status} ")


# Subprotocols


@pytest.mark.parametrize(
    ("offers", "chosen"), [("chat", []), ("chat, superchat", ["superchat"])]
)
async def test_select_subprotocol_decides(offers, chosen):
    """
    It gets the connection and the offers, and may choose none of them.
    """
    seen = []

    def select_subprotocol(connection, subprotocols):
        seen.append(subprotocols)
        return "superchat" if "superchat" in subprotocols else None

    options = {
        "subprotocols": ["chat", "superchat"],
        "select_subprotocol": select_subprotocol,
    }
    async with serving(**options) as server:
        head = await upgraded(server, ("Sec-WebSocket-Protocol", offers))

    assert [offers.split(", ")] == seen
    assert chosen == head.get_all("Sec-WebSocket-Protocol")


async def test_select_subprotocol_may_refuse():
    """
    NegotiationError becomes 400 with its text.
    """

    def select_subprotocol(connection, subprotocols):
        raise lib.NegotiationError("none of these")

    async with serving(select_subprotocol=select_subprotocol) as server:
        answer = await ask(server.port, opening_request())

    assert 400 == answer.status
    assert "Failed to open a WebSocket connection: none of these.\n" == answer.text


async def test_select_subprotocol_fails_with_500(caplog):
    """
    Any other exception is an error of the server.
    """

    def select_subprotocol(connection, subprotocols):
        raise LookupError("secret")

    async with serving(select_subprotocol=select_subprotocol) as server:
        answer = await ask(server.port, opening_request())

    assert (500, INTERNAL) == (answer.status, answer.text)
    [record] = [r for r in caplog.records if r.levelno > logging.INFO]
    assert "ERROR" == record.levelname
    assert record.exc_info is not None


async def test_the_handler_sees_its_subprotocol():
    """
    Both ends tell the subprotocol; without negotiation it is None.
    """
    seen = []

    async def handler(connection):
        seen.append(connection.subprotocol)

    async with serving(handler, subprotocols=["chat"]) as server:
        async with connecting(server.uri, subprotocols=["chat"]) as client:
            assert "chat" == client.subprotocol
            await client.wait_closed()
    async with serving(handler) as server:
        async with connecting(server.uri, subprotocols=["chat"]) as client:
            assert client.subprotocol is None
            await client.wait_closed()

    assert ["chat", None] == seen


async def test_subprotocols_are_a_list():
    """
    A string in its place is a mistake that shows before anybody connects.
    """
    with pytest.raises(TypeError, match="subprotocols must be a list, not a str"):
        await lib.serve(echo, "127.0.0.1", 0, subprotocols="chat")


@pytest.mark.parametrize("name", ["two words", "", "a,b"])
async def test_subprotocols_are_tokens(name):
    """
    What cannot stand in a header is no subprotocol (RFC 6455, 4.1).
    """
    with pytest.raises(ValueError, match=f"invalid subprotocol: {name}"):
        await lib.serve(echo, "127.0.0.1", 0, subprotocols=[name])


# Extensions


async def test_compression_is_deflate_or_none():
    """
    Anything else is a ValueError before anybody connects.
    """
    with pytest.raises(ValueError, match="unsupported compression: gzip"):
        await lib.serve(echo, "127.0.0.1", 0, compression="gzip")


async def test_extensions_of_ones_own_are_negotiated():
    """
    `extensions=` takes factories in order of preference, at both ends.
    """
    deflate = submodule("extensions.permessage_deflate")
    at_server = deflate.ServerPerMessageDeflateFactory(server_max_window_bits=10)
    at_client = deflate.ClientPerMessageDeflateFactory()
    options = {"extensions": [at_server], "compression": None}
    async with serving(**options) as server:
        async with connecting(
            server.uri, extensions=[at_client], compression=None
        ) as client:
            [extension] = client.protocol.extensions
            await client.send("hello " * 100)

            assert "permessage-deflate" == extension.name
            assert (
                "permessage-deflate; server_max_window_bits=10"
                == (client.response.headers["Sec-WebSocket-Extensions"])
            )
            assert "hello " * 100 == await client.recv()
