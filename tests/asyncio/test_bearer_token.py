"""
bearer_token(): where a server on asyncio finds who a client is.
"""

from __future__ import annotations

import asyncio
import json

import pytest

from socketeer.auth import bearer_token
from tests.asyncio.exchange import ask, connecting, opening_request, serving

pytestmark = [pytest.mark.anyio, pytest.mark.ours]

PAGE = "https://example.com"


def telling(**options):
    """
    Return a handler that sends the token it found.
    """

    async def handler(connection):
        token = await bearer_token(connection, **options)
        await connection.send(json.dumps(token))

    return handler


async def told(server, *messages, **options):
    """
    Return the token that the server found.
    """
    async with connecting(server.uri, **options) as client:
        for message in messages:
            await client.send(message)
        return json.loads(await client.recv())


async def test_a_token_in_the_request_is_found_without_waiting():
    """
    In the Authorization header, without a message.
    """
    async with serving(telling(timeout=None)) as server:
        headers = {"Authorization": "Bearer abc"}
        assert "abc" == await told(server, additional_headers=headers)


async def test_a_page_offers_the_token_as_a_subprotocol():
    """
    The server selects the word before it, which browsers insist on; never the
    token.
    """
    async with serving(telling(timeout=None), subprotocols=["bearer"]) as server:
        async with connecting(server.uri, subprotocols=["bearer", "abc"]) as client:
            assert "bearer" == client.subprotocol
            assert "abc" == json.loads(await client.recv())


ORIGINS = [(PAGE, "abc"), (None, None)]


@pytest.mark.parametrize(("origin", "token"), ORIGINS)
async def test_a_cookie_counts_with_an_allowed_origin(origin, token):
    """
    A program without an Origin has better ways than a cookie.
    """
    handler = telling(cookie="session", timeout=None)
    async with serving(handler, origins=[PAGE, None]) as server:
        headers = {"Cookie": "theme=dark; session=abc"}
        assert token == await told(server, additional_headers=headers, origin=origin)


async def test_the_first_message_is_the_last_resort():
    """
    It is consumed; the next one is for the handler.
    """

    async def handler(connection):
        token = await bearer_token(connection)
        await connection.send(json.dumps([token, await connection.recv()]))

    async with serving(handler) as server:
        assert ["abc", "hello"] == await told(server, "abc", "hello")


async def test_a_first_message_that_comes_late_is_no_token():
    """
    It is not lost either: the handler may receive it.
    """
    searched = asyncio.Event()

    async def handler(connection):
        token = await bearer_token(connection, timeout=0.01)
        searched.set()
        await connection.send(json.dumps([token, await connection.recv()]))

    async with serving(handler) as server:
        async with connecting(server.uri) as client:
            await searched.wait()
            await client.send("abc")
            assert [None, "abc"] == json.loads(await client.recv())


async def test_in_a_hook_only_the_request_is_searched():
    """
    No message can have come before the connection is OPEN.
    """

    async def process_request(connection, request):
        connection.token = await bearer_token(connection)
        if connection.token is None:
            return connection.respond(401, "A token, please.\n")
        return None

    async def handler(connection):
        await connection.send(json.dumps(connection.token))

    async with serving(handler, process_request=process_request) as server:
        assert 401 == (await ask(server.port, opening_request())).status
        headers = {"Authorization": "Bearer abc"}
        assert "abc" == await told(server, additional_headers=headers)


async def test_a_client_that_leaves_instead_ends_the_handler_quietly(caplog):
    """
    What the handler sees is the closed connection.
    """
    async with serving(telling()) as server:
        async with connecting(server.uri):
            pass

    assert [] == [record for record in caplog.records if record.levelname == "ERROR"]
