"""
The hub with real connections: what FakeConnection pretends is so.
"""

from __future__ import annotations

import asyncio

import pytest

from socketeer.asyncio.client import connect
from socketeer.asyncio.server import serve
from socketeer.pubsub import Hub
from tests.asyncio.harness import (
    HANG,
    facing_raw_peer,
    serving,
    small_kernel_buffers,
    wait_until,
)

pytestmark = [pytest.mark.anyio, pytest.mark.ours]


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_a_chat_with_recovery(compression):
    """
    Through server and clients: text, bytes, what was missed, who is there.
    """
    async with Hub() as hub:
        hub.topic("room", history=10, presence=True)

        async def handler(connection):
            since = connection.request.path.removeprefix("/") or None
            async with hub.attach(connection, user="ada") as session:
                subscription = await session.subscribe("room", since=since)
                await connection.send(f"{subscription.recovered}")
                async for message in connection:
                    await connection.send(await hub.publish("room", message))

        async with (
            asyncio.timeout(HANG),
            serve(handler, "127.0.0.1", 0, compression=compression) as server,
        ):
            port = server.sockets[0].getsockname()[1]
            uri = f"ws://127.0.0.1:{port}/"
            async with connect(uri, compression=compression) as client:
                assert "False" == await client.recv()
                await client.send("Hello! " * 20)
                assert "Hello! " * 20 == await client.recv()
                position = await client.recv()
                assert ["ada"] == [m.user for m in await hub.members("room")]
            await hub.publish("room", b"\x00" * 100)
            await hub.publish("room", "second")
            async with connect(uri + position, compression=compression) as client:
                assert b"\x00" * 100 == await client.recv()
                assert "second" == await client.recv()
                assert "True" == await client.recv()


async def test_a_stalled_reader_costs_no_memory_and_misses_nothing():
    """
    With history, no more than some kilobytes wait for a peer that does not read;
    when it reads, it gets everything.
    """
    async with Hub() as hub, facing_raw_peer("server", receive_buffer=32_768) as found:
        connection, peer = found
        hub.topic("a", history=10_000, max_bytes=2**24)
        small_kernel_buffers(connection, peer)
        async with hub.attach(connection) as session:
            await session.subscribe("a")
            for number in range(2000):
                await hub.publish("a", f"{number:1000}")
                if not number % 50:
                    await asyncio.sleep(0)
            assert 1 == hub.statistics()["behind"]
            assert connection.backlog < 200_000
            for number in range(2000):
                frame = await peer.read_frame()
                assert f"{number:1000}" == frame.payload.decode()

            await wait_until(lambda: 0 == hub.statistics()["behind"])


async def test_without_history_a_stalled_reader_is_closed():
    """
    Or whatever the policy says: that of the connection's broadcasts.
    """
    async with (
        Hub(max_backlog=10_000) as hub,
        facing_raw_peer("server", receive_buffer=32_768) as (connection, peer),
    ):
        small_kernel_buffers(connection, peer)
        async with hub.attach(connection) as session:
            await session.subscribe("a")
            for _ in range(2000):
                await hub.publish("a", "x" * 1000)
            assert connection.state.name != "OPEN"
            assert hub.statistics()["dropped"]


async def test_publishing_from_a_thread():
    """
    By way of the loop: run_coroutine_threadsafe() gives the position.
    """
    async with Hub() as hub, serving() as server:
        hub.topic("a", history=1)
        loop = asyncio.get_running_loop()

        def work():
            future = asyncio.run_coroutine_threadsafe(hub.publish("a", "x"), loop)
            return future.result(HANG)

        position = await asyncio.to_thread(work)

        assert position.endswith(".1")
        assert server.port


async def test_all_publishes_of_a_turn_are_one_write():
    """
    To any of the connection's topics, to its user and to everybody.
    """
    async with Hub() as hub, facing_raw_peer("server") as (connection, peer):
        async with hub.attach(connection, user="ada") as session:
            await session.subscribe("a")
            await session.subscribe("b")

            await hub.publish("a", "1")
            await hub.publish("b", "2")
            await hub.send("ada", "3")
            await hub.broadcast("4")
            await hub.publish("a", "5")

            # Nobody else had a turn.
            with pytest.raises(BlockingIOError):
                peer.sock.recv(100)
            await asyncio.sleep(0)
            written = b"".join(b"\x81\x01%d" % number for number in range(1, 6))
            assert written == peer.sock.recv(100)


async def test_what_was_published_comes_before_what_is_sent():
    """
    Also before a close frame, on the connection of whoever publishes.
    """
    async with Hub() as hub, facing_raw_peer("server") as (connection, peer):
        async with hub.attach(connection) as session:
            await session.subscribe("a")
            await connection.send("1")
            await hub.publish("a", "2")
            await connection.send("3")
            await hub.publish("a", "4")
            closing = asyncio.create_task(connection.close())

            frames = [await peer.read_frame() for _ in range(5)]

            assert [b"1", b"2", b"3", b"4"] == [frame.payload for frame in frames[:4]]
            assert 0x88 == frames[4].head
            connection.transport.abort()
            await closing


async def test_fan_out_is_send_prepared():
    """
    The bare function for loops sends, counts and refuses as the method does.
    """
    async with facing_raw_peer("server") as (connection, peer):
        prepared = connection.prepare("Hello!")
        assert connection.fan_out(prepared, -1, "close")
        assert b"Hello!" == (await peer.read_frame()).payload
        connection.transport.abort()
        await connection.wait_closed()

        assert not connection.fan_out(prepared, -1, "close")
