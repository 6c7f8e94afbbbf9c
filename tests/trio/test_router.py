"""
Choosing a handler by the path, on trio.
"""

from __future__ import annotations

import functools
import http

import pytest
import trio
from werkzeug.routing import Map, Rule

from socketeer.exceptions import InvalidStatus
from socketeer.trio.client import connect, unix_connect
from socketeer.trio.router import Router, route, unix_route
from tests.trio.harness import QUIET, MemoryListener


async def room(connection, name):
    await connection.send(f"room {name}")


def url_map():
    return Map(
        [
            Rule("/rooms/<name>", endpoint=room),
            Rule("/old", redirect_to="/rooms/new"),
        ]
    )


async def ask(path, **options):
    """
    Return what a client gets at a path.
    """
    listener = MemoryListener()
    start = functools.partial(route, url_map(), listeners=[listener], **options)
    async with trio.open_nursery() as nursery:
        async with await nursery.start(start):
            stream = listener.connect()
            try:
                async with connect(f"ws://test{path}", stream=stream, **QUIET) as ws:
                    return await ws.recv()
            except (InvalidStatus, ValueError) as exc:
                return exc


async def test_chooses_a_handler():
    """
    With what the rule found in the path.
    """
    assert "room ada" == await ask("/rooms/ada")


async def test_answers_other_paths():
    """
    404 where no rule leads, 302 where one leads elsewhere, which a client with a
    stream of its own cannot follow.
    """
    assert 404 == (await ask("/nowhere")).response.status_code
    answer = await ask("/old", ssl=True)
    assert "cannot follow redirect to wss://test/rooms/new" in str(answer)


@pytest.mark.parametrize("is_coroutine", [False, True])
async def test_asks_the_users_hook_before(is_coroutine):
    """
    A function or a coroutine function.
    """

    def process_request(connection, request):
        if request.path == "/rooms/closed":
            return connection.respond(http.HTTPStatus.FORBIDDEN, "closed\n")
        return None

    async def coroutine(connection, request):
        return process_request(connection, request)

    hook = coroutine if is_coroutine else process_request
    assert "room open" == await ask("/rooms/open", process_request=hook)
    refused = await ask("/rooms/closed", process_request=hook)
    assert 403 == refused.response.status_code


async def test_makes_routers_as_told():
    """
    A class that overrides a method.
    """

    class Mine(Router):
        def not_found(self, connection):
            return connection.respond(410, "gone\n")

    assert 410 == (await ask("/x", create_router=Mine)).response.status_code


async def test_routes_on_a_unix_socket(tmp_path):
    """
    As on a port.
    """
    path = tmp_path / "socket"
    async with trio.open_nursery() as nursery:
        async with await nursery.start(unix_route, url_map(), path):
            async with unix_connect(path, "ws://localhost/rooms/unix") as connection:
                assert "room unix" == await connection.recv()
