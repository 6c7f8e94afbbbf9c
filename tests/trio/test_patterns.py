"""
What people have learned from tutorials, as it is written for trio.
"""

from __future__ import annotations

import functools
import http
import json

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from socketeer.exceptions import ConnectionClosed, ConnectionClosedError
from socketeer.trio.client import connect
from socketeer.trio.server import broadcast, serve
from tests.trio.harness import QUIET, linked, serving

# Handlers.


async def test_consumer_with_async_for():
    """
    Text is str, binary is bytes; the loop ends when the peer has gone.
    """
    received = []

    async def handler(connection):
        async for message in connection:
            received.append(message)
        received.append("the end")

    async with linked(handler) as connection:
        await connection.send("text")
        await connection.send(b"bytes")
        await connection.aclose()
        await wait_all_tasks_blocked()

    assert ["text", b"bytes", "the end"] == received


async def test_consumer_with_recv():
    """
    The other form ends by an exception.
    """
    received = []

    async def handler(connection):
        try:
            while True:
                received.append(await connection.recv())
        except ConnectionClosed as exc:
            received.append(exc.rcvd.code)

    async with linked(handler) as connection:
        await connection.send("hello")
        await connection.aclose(1001)
        await wait_all_tasks_blocked()

    assert ["hello", 1001] == received


async def test_producer_ends_with_its_peer():
    """
    Caught or not, and no error is logged.
    """
    ended = []

    async def handler(connection):
        while True:
            try:
                await connection.send("tick")
            except ConnectionClosed:
                break
            await trio.sleep(1)
        ended.append(True)

    async with linked(handler) as connection:
        assert "tick" == await connection.recv()
        await connection.aclose()
        await trio.sleep(5)

    assert [True] == ended


async def test_consumer_and_producer_in_a_nursery():
    """
    trio's form of ``gather()``: both end with the connection.
    """
    received = []

    async def consume(connection):
        async for message in connection:
            received.append(message)

    async def produce(connection):
        for number in range(3):
            await connection.send(f"{number}")

    async def handler(connection):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(consume, connection)
            nursery.start_soon(produce, connection)

    async with linked(handler) as connection:
        for number in range(3):
            assert f"{number}" == await connection.recv()
        await connection.send("bye")
        await connection.aclose()
        await wait_all_tasks_blocked()

    assert ["bye"] == received


async def test_handlers_of_all_kinds():
    """
    With bound arguments, callable objects and methods.
    """

    class Greeter:
        async def __call__(self, connection):
            await self.greet("object", connection)

        async def greet(self, greeting, connection):
            await connection.send(greeting)

        async def method(self, connection):
            await self.greet("method", connection)

    greeter = Greeter()
    for handler, greeting in [
        (greeter, "object"),
        (greeter.method, "method"),
        (functools.partial(greeter.greet, "partial"), "partial"),
    ]:
        async with linked(handler) as connection:
            assert greeting == await connection.recv()


# Registration and broadcast.


async def test_a_set_of_connections():
    """
    Registered at the start, unregistered on any kind of end, also of the server.
    """
    connected = set()

    async def handler(connection):
        connected.add(connection)
        try:
            await connection.wait_closed()
        finally:
            connected.remove(connection)

    async with serving(handler) as running:
        first = await running.raw_client()
        second = await running.raw_client()
        await wait_all_tasks_blocked()
        assert 2 == len(connected)
        await broadcast(connected, "Hello!")
        for peer in (first, second):
            assert b"Hello!" == (await peer.read_frame()).payload
        await first.stream.aclose()
        await wait_all_tasks_blocked()
        assert 1 == len(connected)
        await broadcast(running.server.connections, "still there?")
        assert b"still there?" == (await second.read_frame()).payload

    assert set() == connected


async def test_one_connection_for_each_user():
    """
    Whoever is away is a KeyError, whoever is just leaving ConnectionClosed.
    """
    connections = {}

    async def handler(connection):
        user = await connection.recv()
        connections[user] = connection
        try:
            await connection.wait_closed()
        finally:
            del connections[user]

    async with serving(handler) as running:
        peer = await running.raw_client()
        await peer.send_frame("81", b"ada")
        await wait_all_tasks_blocked()
        await connections["ada"].send("for you")
        assert b"for you" == (await peer.read_frame()).payload
        ada = connections["ada"]
        await peer.stream.aclose()
        with pytest.raises(ConnectionClosedError):
            await ada.send("too late")
        await wait_all_tasks_blocked()
        with pytest.raises(KeyError):
            await connections["ada"].send("away")


async def test_a_failed_peer_does_not_prevent_the_others():
    """
    Each one has a task that looks after its own failure.
    """

    async def send(connection, message):
        try:
            await connection.send(message)
        except ConnectionClosed:
            return

    async with serving() as running:
        gone = await running.raw_client()
        here = await running.raw_client()
        connections = [await running.accepted.receive() for _ in range(2)]
        await gone.stream.aclose()
        await connections[0].wait_closed()
        async with trio.open_nursery() as nursery:
            for connection in connections:
                nursery.start_soon(send, connection, "Hello!")

        assert b"Hello!" == (await here.read_frame()).payload


# Questions about servers.


async def test_the_request_is_there():
    """
    Path and headers, in the handler.
    """
    seen = []

    async def handler(connection):
        seen.append(connection.request.path)
        seen.append(connection.request.headers["X-Token"])

    async with serving(handler) as running:
        stream = running.listener.connect()
        async with connect(
            "ws://test/blue",
            stream=stream,
            additional_headers={"X-Token": "secret"},
            **QUIET,
        ) as connection:
            await connection.wait_closed()

    assert ["/blue", "secret"] == seen


async def test_a_health_check_beside_a_server():
    """
    One path is answered, the others go on.
    """

    def process_request(connection, request):
        if request.path == "/healthz":
            return connection.respond(http.HTTPStatus.OK, "OK\n")
        return None

    async with serving(process_request=process_request) as running:
        await running.raw_client()
        stream = running.listener.connect()
        await stream.send_all(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n")
        answer = await stream.receive_some()

        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_timeout_for_each_message():
    """
    ``move_on_after`` around ``recv()``, and the connection goes on.
    """

    async def handler(connection):
        while True:
            with trio.move_on_after(10) as scope:
                await connection.send((await connection.recv()).upper())
            if scope.cancelled_caught:
                await connection.send("are you there?")

    async with linked(handler) as connection:
        assert "are you there?" == await connection.recv()
        await connection.send("yes")
        assert "YES" == await connection.recv()


async def test_json_messages():
    """
    A small protocol, dispatched by type.
    """

    async def handler(connection):
        async for message in connection:
            event = json.loads(message)
            match event:
                case {"type": "add", "a": a, "b": b}:
                    await connection.send(json.dumps({"sum": a + b}))
                case _:
                    await connection.aclose(1003, "unknown event")

    async with linked(handler) as connection:
        await connection.send(json.dumps({"type": "add", "a": 1, "b": 2}))
        assert {"sum": 3} == json.loads(await connection.recv())
        await connection.send("{}")
        with pytest.raises(ConnectionClosedError, match="1003"):
            await connection.recv()


async def test_stopping_by_an_event():
    """
    The form of trio's own documentation: start, wait, close.
    """

    async def handler(connection):
        await connection.wait_closed()

    stop = trio.Event()
    async with serving(handler) as running:
        peer = await running.raw_client()
        async with trio.open_nursery() as nursery:

            async def main():
                async with running.server:
                    await stop.wait()

            nursery.start_soon(main)
            await wait_all_tasks_blocked()
            stop.set()
            assert (1001, "") == await peer.read_close()
            await peer.stream.aclose()


# First steps.


async def test_hello(real_clock):
    """
    On a port, as in the tutorial.
    """

    async def hello(connection):
        name = await connection.recv()
        await connection.send(f"Hello {name}!")

    async with trio.open_nursery() as nursery:
        server = await nursery.start(
            functools.partial(serve, host="localhost"), hello, 0
        )
        port = server.listeners[0].socket.getsockname()[1]
        async with connect(f"ws://localhost:{port}", proxy=None) as connection:
            await connection.send("Ada")
            assert "Hello Ada!" == await connection.recv()
            with pytest.raises(ConnectionClosed) as raised:
                await connection.recv()
            assert 1000 == raised.value.rcvd.code
        await server.aclose()
