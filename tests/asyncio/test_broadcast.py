"""
broadcast(): one message to many connections, without waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging

import pytest

from tests.asyncio.harness import both_sides, connected, facing_raw_peer, serving
from tests.asyncio.raw import RawFrame
from tests.under_test import lib

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def audience(size, **options):
    """
    Connect clients to a server; yield the server's and the clients' ends.
    """
    client_options = {"compression": options.get("compression")}
    async with serving(**options) as server, contextlib.AsyncExitStack() as stack:
        accepted, clients = [], []
        for _ in range(size):
            client = connected(server.uri, **client_options)
            clients.append(await stack.enter_async_context(client))
            accepted.append(await server.accepted.get())
        yield accepted, clients


async def receive_all(clients):
    """
    Receive a message on each client.
    """
    return await asyncio.gather(*(client.recv() for client in clients))


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_everybody_gets_the_message(compression):
    """
    Text arrives as text, bytes as bytes, in order.
    """
    async with audience(20, compression=compression) as (accepted, clients):
        lib.broadcast(accepted, "Hello! " * 10)
        lib.broadcast(set(accepted), b"\x00\xff" * 50)

        assert ["Hello! " * 10] * 20 == await receive_all(clients)
        assert [b"\x00\xff" * 50] * 20 == await receive_all(clients)


async def test_it_is_a_function():
    """
    Nothing to await.
    """
    async with audience(1) as (accepted, clients):
        assert None is lib.broadcast(accepted, "x")
        assert not inspect.iscoroutinefunction(lib.broadcast)
        assert ["x"] == await receive_all(clients)


@pytest.mark.parametrize("make", [list, tuple, set, frozenset, iter], ids=str)
async def test_any_iterable_of_connections(make):
    """
    Connections may come from any iterable, an empty one as well.
    """
    async with audience(2) as (accepted, clients):
        lib.broadcast(make([]), "nobody hears this")
        lib.broadcast(make(accepted), "everybody")

        assert ["everybody"] * 2 == await receive_all(clients)


async def test_the_connections_of_a_server():
    """
    `server.connections` is what most people pass.
    """
    async with serving() as server, connected(server.uri) as client:
        await server.accepted.get()
        lib.broadcast(server.server.connections, "to all")

        assert "to all" == await client.recv()


@both_sides
@pytest.mark.parametrize(
    ("message", "text", "frame"),
    [
        ("caf\u00e9", None, RawFrame(0x81, b"caf\xc3\xa9")),
        (b"bytes", None, RawFrame(0x82, b"bytes")),
        (bytearray(b"bytes"), None, RawFrame(0x82, b"bytes")),
        (memoryview(b"bytes"), None, RawFrame(0x82, b"bytes")),
        ("text", False, RawFrame(0x82, b"text")),
        (b"text", True, RawFrame(0x81, b"text")),
        ("", None, RawFrame(0x81, b"")),
        (b"x" * 70_000, None, RawFrame(0x82, b"x" * 70_000)),
    ],
)
async def test_types_of_messages(side, message, text, frame):
    """
    As for `send()`: str is text, bytes-like is binary, `text=` forces it.
    Clients can broadcast, too.
    """
    async with facing_raw_peer(side) as (connection, peer):
        lib.broadcast([connection], message, text=text)

        assert frame == await peer.read_frame()


@pytest.mark.parametrize("message", [5, None, ["list"], {"type": "dict"}, object()])
async def test_other_types_are_refused(message):
    """
    Nothing is sent then, not even to the first.
    """
    async with audience(1) as (accepted, clients):
        with pytest.raises(TypeError, match="^data must be str or bytes$"):
            lib.broadcast(accepted, message)
        lib.broadcast(accepted, "next")

        assert ["next"] == await receive_all(clients)


async def test_the_type_is_checked_without_anybody():
    """
    A wrong type is an error, even if nobody listens.
    """
    with pytest.raises(TypeError):
        lib.broadcast([], 5)


async def test_closed_connections_are_skipped():
    """
    Without a word.
    """
    async with audience(3) as (accepted, clients):
        await clients[0].close()
        await accepted[0].wait_closed()
        lib.broadcast(accepted, "to the others")
        lib.broadcast(accepted, "once more", raise_exceptions=True)

        assert ["to the others"] * 2 == await receive_all(clients[1:])
        assert ["once more"] * 2 == await receive_all(clients[1:])


async def test_closing_connections_are_skipped():
    """
    Nothing leaves after a close frame.
    """
    async with facing_raw_peer("server") as (connection, peer):
        closing = asyncio.create_task(connection.close())
        await peer.read_close()
        lib.broadcast([connection], "too late", raise_exceptions=True)
        await peer.send_close(1000)

        assert b"" == await peer.read_rest()
        peer.close()
        await closing


async def test_broadcasts_and_messages_keep_their_order():
    """
    What was sent before arrives before.
    """
    async with audience(2) as (accepted, clients):
        await accepted[0].send("private 1")
        lib.broadcast(accepted, "public 1")
        await accepted[0].send("private 2")
        lib.broadcast(accepted, "public 2")

        assert ["private 1", "public 1", "private 2", "public 2"] == [
            await clients[0].recv() for _ in range(4)
        ]
        assert ["public 1", "public 2"] == [await clients[1].recv() for _ in "12"]


async def test_broadcasting_from_a_handler_that_was_just_woken():
    """
    The usual chat: whoever receives tells everybody, himself included.
    """

    async def handler(connection):
        connections.add(connection)
        try:
            async for message in connection:
                lib.broadcast(connections, f"{message}!")
        finally:
            connections.remove(connection)

    connections = set()
    async with lib.serve(handler, "127.0.0.1", 0, ping_interval=None) as server:
        port = server.sockets[0].getsockname()[1]
        async with contextlib.AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(connected(f"ws://127.0.0.1:{port}/"))
                for _ in range(3)
            ]
            while len(connections) < 3:
                await asyncio.sleep(0.001)
            for number in range(5):
                await clients[number % 3].send(str(number))

                assert [f"{number}!"] * 3 == await receive_all(clients)
    assert set() == connections


# A fragmented message in progress


async def start_fragmented_message(connection):
    """
    Send a first fragment; return the task and what ends the message.
    """
    end = asyncio.Event()

    async def fragments():
        yield "begun"
        await end.wait()

    task = asyncio.create_task(connection.send(fragments()))
    await asyncio.sleep(0.001)
    return task, end


@pytest.mark.ours
@both_sides
async def test_a_broadcast_waits_for_a_fragmented_message(side):
    """
    It is queued behind the message in progress, in order, without a warning.
    """
    async with facing_raw_peer(side) as (connection, peer):
        task, end = await start_fragmented_message(connection)
        lib.broadcast([connection], "one", raise_exceptions=True)
        lib.broadcast([connection], b"two")
        end.set()
        await task
        await connection.send("three")

        assert [
            RawFrame(0x01, b"begun"),
            RawFrame(0x80, b""),
            RawFrame(0x81, b"one"),
            RawFrame(0x82, b"two"),
            RawFrame(0x81, b"three"),
        ] == [await peer.read_frame() for _ in range(5)]


async def test_a_fragmented_message_does_not_hold_up_others(caplog):
    """
    Everybody else gets the broadcast at once.
    """
    async with audience(2) as (accepted, clients):
        task, end = await start_fragmented_message(accepted[0])
        lib.broadcast(accepted, "hello")

        assert "hello" == await clients[1].recv()
        end.set()
        await task
        assert "begun" == await clients[0].recv()


@pytest.mark.ours
async def test_waiting_for_a_fragmented_message_is_not_logged(caplog):
    """
    Nothing is wrong with that peer.
    """
    async with audience(1) as (accepted, _):
        task, end = await start_fragmented_message(accepted[0])
        lib.broadcast(accepted, "hello")
        end.set()
        await task

    assert [] == [r for r in caplog.records if r.levelno >= logging.WARNING]


async def test_a_failed_fragmented_message_takes_the_broadcast_with_it():
    """
    The connection closes with 1011; what waited is not sent.
    """

    async def fragments():
        yield "begun"
        await ready.wait()
        raise ZeroDivisionError

    ready = asyncio.Event()
    async with facing_raw_peer("server") as (connection, peer):
        task = asyncio.create_task(connection.send(fragments()))
        assert RawFrame(0x01, b"begun") == await peer.read_frame()
        lib.broadcast([connection], "waits")
        ready.set()
        close = await peer.answer_close()
        with pytest.raises(ZeroDivisionError):
            await task

        assert (1011, "error in fragmented message") == close
