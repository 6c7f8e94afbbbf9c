"""
The broker over Redis, with a real server: what holds in memory holds there, and
outages are survived.
"""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from socketeer.pubsub import (
    Member,
    Publisher,
    SyncPublisher,
    Topics,
)
from socketeer.pubsub.brokers.base import Packet
from socketeer.pubsub.brokers.redis import RedisBroker
from socketeer.pubsub.history import Retention
from socketeer.pubsub.positions import Position
from tests.pubsub.harness import FakeConnection
from tests.pubsub.over_redis import HANG, broker_for, hubs, until

pytestmark = [pytest.mark.anyio, pytest.mark.ours]


async def test_topics_users_and_everybody(server, prefix):
    """
    Text, bytes and orders go from one process to the other.
    """
    async with hubs(server, prefix, 2) as (one, two):
        connection = FakeConnection()
        async with one.attach(connection, "ada") as session:
            subscription = await session.subscribe("kept")
            await session.subscribe("flown")
            await two.publish("kept", "ä\n")
            await two.publish("kept", b"\x00\n\xff")
            await two.publish("flown", "1")
            await two.send("ada", b"2")
            await two.broadcast("")
            await until(lambda: len(connection.got) == 5)

            assert ["ä\n", b"\x00\n\xff", "1", b"2", ""] == connection.take()
            assert subscription.position.endswith(".0")
            assert not subscription.recovered
            await two.disconnect("ada", 3000, "bye")
            await until(lambda: connection.closed)
            assert (3000, "bye") == connection.closed


async def test_recovery_in_any_process(server, prefix):
    """
    All missed messages, or none.
    """
    async with hubs(server, prefix, 2) as (one, two):
        positions = [await one.publish("kept", str(n)) for n in range(1, 9)]
        connection = FakeConnection()
        async with two.attach(connection) as session:
            subscription = await session.subscribe("kept", since=positions[3])
            assert (True, 4) == (subscription.recovered, subscription.missed)
            assert positions[-1] == subscription.position
            assert ["5", "6", "7", "8"] == connection.take()
            subscription = await session.subscribe("kept", since=positions[1])
            assert not subscription.recovered
            subscription = await session.subscribe("kept", since=positions[-1])
            assert (True, 0) == (subscription.recovered, subscription.missed)
            assert [] == connection.take()


async def test_recent_messages_in_any_process(server, prefix):
    """
    As many as there are: of eight messages, five are kept.
    """
    async with hubs(server, prefix, 2) as (one, two):
        for n in range(1, 9):
            await one.publish("kept", str(n))
        connection = FakeConnection()
        async with two.attach(connection) as session:
            subscription = await session.subscribe("kept", recent=2)
            assert (False, 2) == (subscription.recovered, subscription.missed)
            assert ["7", "8"] == connection.take()
            await session.subscribe("kept", recent=99)
            assert ["4", "5", "6", "7", "8"] == connection.take()
            await session.subscribe("kept never", recent=99)
            assert [] == connection.take()


async def test_the_log_is_trimmed(server, prefix):
    """
    By number, by size, and by age; the newest message stays, unless it is too old.
    """
    async with broker_for(server, prefix) as broker:
        retention = Retention(3, 10, 60)
        for size in (1, 1, 1, 1):
            top = await broker.publish("c", Packet(1, b"x" * size), retention)
        before = Position(top.epoch, 1)
        assert 3 == len((await broker.read("c", before, retention)).packets)
        top = await broker.publish("c", Packet(2, b"x" * 99), retention)
        reading = await broker.read("c", Position(top.epoch, 4), retention)
        assert [Packet(2, b"x" * 99)] == reading.packets
        assert (await broker.read("c", Position(top.epoch, 3), retention))[1] is None
        brief = Retention(3, 10, 0.001)
        await asyncio.sleep(0.01)
        assert (await broker.read("c", Position(top.epoch, 4), brief)).packets is None
        reading = await broker.read("c", top, brief)
        assert (top, [], 6) == reading
        after = await broker.publish("c", Packet(1, b"x"), retention)
        assert Position(top.epoch, 6) == after


async def test_a_log_that_was_evicted(server, prefix):
    """
    Without the stream, the numbers go on and what was missed is told; without the
    numbers, the epoch is another one, and messages of the old one are gone.
    """
    async with broker_for(server, prefix) as broker:
        retention = Retention(5, 100, 60)
        for _ in range(3):
            top = await broker.publish("c", Packet(1, b"x"), retention)
        server.say(f"DEL {prefix}:{{c}}:log".encode())
        before = Position(top.epoch, 2)
        assert (top, None, 4) == await broker.read("c", before, retention)
        assert (top, [], 4) == await broker.read("c", top, retention)
        after = await broker.publish("c", Packet(1, b"y"), retention)
        assert Position(top.epoch, 4) == after
        reading = await broker.read("c", top, retention)
        assert [Packet(1, b"y")] == reading.packets
        server.say(f"DEL {prefix}:{{c}}:meta".encode())
        anew = await broker.publish("c", Packet(1, b"z"), retention)
        assert (1, True) == (anew.offset, anew.epoch != top.epoch)
        assert (await broker.read("c", after, retention)).packets is None
        reading = await broker.read("c", anew._replace(offset=0), retention)
        assert [Packet(1, b"z")] == reading.packets


async def test_numbers_outlive_the_log(server, prefix):
    """
    An epoch that was forgotten while clients are away would be a gap without need.
    """
    async with broker_for(server, prefix) as broker:
        for age in (1, 100_000):
            await broker.publish("c", Packet(1, b"x"), Retention(5, 100, age))
            kept = int(server.say(f"TTL {prefix}:{{c}}:log".encode())[1:])
            meta = int(server.say(f"TTL {prefix}:{{c}}:meta".encode())[1:])
            assert kept <= age
            assert meta >= max(2 * age, 24 * 3600) - 5


async def test_a_top_below_what_was_seen_changes_the_epoch(server, prefix):
    """
    The log has gone back in time: its numbers would be given out again.
    """
    async with broker_for(server, prefix) as broker:
        retention = Retention(3, 10, 60)
        top = await broker.publish("c", Packet(1, b"x"), retention)
        reading = await broker.read("c", Position(top.epoch, 2), retention)

        assert reading.packets is None
        assert top.epoch != reading.top.epoch
        assert 0 == reading.top.offset


async def test_a_key_publishes_once(server, prefix):
    """
    From any process; also without a log.
    """
    async with hubs(server, prefix, 2) as (one, two):
        connection = FakeConnection()
        async with one.attach(connection) as session:
            await session.subscribe("kept")
            await session.subscribe("flown")
            first = await one.publish("kept", "1", key="k")
            assert first == await two.publish("kept", "1", key="k")
            await one.publish("flown", "2", key="k")
            await two.publish("flown", "2", key="k")
            await two.publish("flown", "3")
            await until(lambda: "3" in connection.got)

            assert ["1", "2", "3"] == connection.take()


async def test_members_in_all_processes(server, prefix):
    """
    With joins and leaves in each; a process that stops takes its users along after
    a while.
    """
    events = []
    async with hubs(server, prefix, 2, on_presence=events.append) as (one, two):
        async with (
            one.attach(FakeConnection(), "ada", 1) as ada,
            two.attach(FakeConnection(), "bob") as bob,
        ):
            await ada.subscribe("room")
            await bob.subscribe("room")
            await until(lambda: 3 == len(events))
            heard = sorted(f"{event.kind} {event.user}" for event in events)
            assert ["join ada", "join bob", "join bob"] == heard
            assert [Member("ada", 1), Member("bob", None)] == await one.members("room")
            assert ["ada", "bob"] == [m.user for m in await two.users()]


async def test_a_process_that_dies_is_gone_within_its_lease(server, prefix):
    """
    Its users leave in the other processes.
    """
    events = []
    found = hubs(server, prefix, 2, on_presence=events.append, lease=0.3)
    async with found as (one, two):
        async with one.attach(FakeConnection(), "ada") as ada:
            await ada.subscribe("room")
            async with two.attach(FakeConnection(), "bob") as bob:
                await bob.subscribe("room")
                await until(lambda: 3 == len(events))
                # As good as dead: the lease is not renewed.
                two._broker._renewing.cancel()
                await until(lambda: events[-1].kind == "leave")
                assert "bob" == events[-1].user
                assert ["ada"] == [m.user for m in await one.members("room")]


async def test_who_was_silent_for_too_long_enters_again(server, prefix):
    """
    A process that was suspended is told that it was given up, and says who is there.
    """
    async with hubs(server, prefix, 2, lease=0.3) as (one, two):
        async with two.attach(FakeConnection(), "bob") as bob:
            await bob.subscribe("room")
            await one._broker._call(("ZREM", f"{prefix}:nodes", two._broker.node))
            assert [] == await one.members("room")
            async with asyncio.timeout(HANG):
                while not await one.members("room"):
                    await asyncio.sleep(0.01)


async def test_many_topics_share_commands(server, prefix):
    """
    A thousand subscriptions and publications at once, none is lost.
    """
    async with (
        hubs(server, prefix, 2) as (one, two),
        contextlib.AsyncExitStack() as all_,
    ):
        connections = [FakeConnection() for _ in range(10)]
        sessions = [await all_.enter_async_context(one.attach(c)) for c in connections]
        names = [f"kept {n}" for n in range(100)]
        await asyncio.gather(
            *(session.subscribe(name) for session in sessions for name in names)
        )
        await asyncio.gather(*(two.publish(name, name) for name in names))
        await until(lambda: all(100 == len(c.got) for c in connections))
        for session in sessions:
            for name in names:
                await session.unsubscribe(name)

        assert 0 == one.statistics()["topics"]


async def test_subscribing_and_leaving_in_quick_succession(server, prefix):
    """
    The last word counts.
    """
    async with hubs(server, prefix, 2) as (one, two):
        connection = FakeConnection()
        async with one.attach(connection) as session:
            for _ in range(20):
                await session.subscribe("flown")
                await session.unsubscribe("flown")
            await session.subscribe("flown")
            await two.publish("flown", "x")
            await until(lambda: connection.got)

            assert ["x"] == connection.take()


async def test_publishers(server, prefix):
    """
    With and without asyncio, with topics that are shared.
    """
    topics = Topics()
    topics.topic("kept", history=5)

    def publish():
        with SyncPublisher(server.url, topics=topics, prefix=prefix) as publisher:
            publisher.broadcast("3")
            publisher.broadcast_json(4)
            publisher.send("ada", b"5")
            publisher.send_json("ada", [6])
            first = publisher.publish("kept", "7", key="k")
            assert first == publisher.publish("kept", "7", key="k")
            assert publisher.publish_json("flown", {"n": 8}) is None
            publisher.disconnect("ada", 3000)
            return first

    broker = RedisBroker(server.url, prefix=prefix)
    async with (
        hubs(server, prefix) as (hub,),
        Publisher(broker=broker, topics=topics) as publisher,
    ):
        connection = FakeConnection()
        async with hub.attach(connection, "ada") as session:
            await session.subscribe("kept")
            await session.subscribe("flown")
            position = await publisher.publish("kept", "1")
            await publisher.send("ada", "2")
            after = await asyncio.to_thread(publish)
            await until(lambda: connection.closed)

            expected = ["1", "2", "3", "4", b"5", "[6]", "7", '{"n":8}']
            assert expected == connection.take()
            assert (".1", ".2") == (position[-2:], after[-2:])
