"""
Slow consumers: policies without history, cursors with it.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.pubsub.harness import FakeConnection, end_turn, hub_with, settle

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("slow", ["close", "drop", "latest"])
async def test_policies_reach_the_connection(slow):
    """
    Those of the hub for everything, unless a topic has its own.
    """
    async with hub_with(slow=slow, max_backlog=77) as hub:
        hub.topic("own", slow="latest", max_backlog=3)
        connection = FakeConnection()
        async with hub.attach(connection, "ada") as session:
            await session.subscribe("a")
            await session.subscribe("own")
            await hub.publish("a", "x")
            await hub.publish("own", "x")
            await hub.send("ada", "x")
            await hub.broadcast("x")
            end_turn()

            expected = [(77, slow), (3, "latest"), (77, slow), (77, slow)]
            assert expected == connection.policies


async def test_dropped_messages_are_counted():
    """
    By the hub, for all topics.
    """
    async with hub_with(slow="drop") as hub:
        connection = FakeConnection(room=1)
        async with hub.attach(connection) as session:
            await session.subscribe("a")
            for _ in range(3):
                await hub.publish("a", "x")
            end_turn()

            assert 2 == hub.statistics()["dropped"]


async def test_who_is_behind_continues_from_the_log():
    """
    Nothing is kept for a slow reader but its position; when it reads on, it gets
    what it missed and is in step.
    """
    async with hub_with() as hub:
        hub.topic("a", history=100)
        slow, quick = FakeConnection(room=1), FakeConnection()
        async with hub.attach(slow) as one, hub.attach(quick) as two:
            await one.subscribe("a")
            await two.subscribe("a")
            for number in range(10):
                await hub.publish("a", str(number))
            await settle()
            assert 10 == len(quick.take())
            assert ["0"] == slow.take()
            assert 1 == hub.statistics()["behind"]
            slow.drain(room=3)
            await settle()
            assert ["1", "2", "3"] == slow.take()
            slow.drain()
            await settle()

            assert ["4", "5", "6", "7", "8", "9"] == slow.take()
            assert 0 == hub.statistics()["behind"]
            await hub.publish("a", "10")
            assert ["10"] == slow.take()


async def test_a_stalled_reader_is_not_tried_again_for_each_message():
    """
    It costs nothing while it does not read.
    """
    async with hub_with() as hub:
        hub.topic("a", history=100)
        slow = FakeConnection(room=0)
        async with hub.attach(slow) as session:
            await session.subscribe("a")
            for _ in range(50):
                await hub.publish("a", "x")
                await settle()

            assert len(slow.policies) < 5


async def test_who_falls_off_the_log_is_told():
    """
    The messages after its cursor are gone: a gap.
    """
    gaps = []

    async def on_gap(gap):
        gaps.append(gap.position)

    async with hub_with(on_gap=on_gap) as hub:
        hub.topic("a", history=3)
        slow = FakeConnection(room=1)
        async with hub.attach(slow) as session:
            await session.subscribe("a")
            for number in range(10):
                await hub.publish("a", str(number))
            end_turn()
            slow.drain()
            await settle()
            await hub.publish("a", "10")

            assert ["e1.10"] == gaps
            assert ["0", "10"] == slow.take()


async def test_old_messages_do_not_wait_for_a_stalled_reader():
    """
    Memory is the topic's, however long somebody does not read.
    """
    async with hub_with() as hub:
        hub.topic("a", history=100, max_age=10)
        slow = FakeConnection(room=0)
        async with hub.attach(slow) as session:
            await session.subscribe("a")
            for number in range(10):
                await hub.publish("a", str(number))
            assert 10 == hub.statistics()["log_bytes"]
            hub.test_clock.now += 11
            await hub.keep_house()

            assert 0 == hub.statistics()["log_bytes"]


async def test_what_is_in_no_log_reaches_those_behind():
    """
    A broadcast does not wait for a topic's cursor.
    """
    async with hub_with() as hub:
        hub.topic("a", history=10, presence=True, on_presence=lambda event: event.user)
        slow = FakeConnection(room=0)
        async with hub.attach(slow) as session:
            await session.subscribe("a")
            await hub.publish("a", "1")
            await settle()
            slow.room = 1
            async with hub.attach(FakeConnection(), "ada") as other:
                await other.subscribe("a")

            assert ["ada"] == slow.take()


async def test_a_connection_that_never_says_when_is_asked_now_and_then(monkeypatch):
    """
    In the middle of a fragmented message nothing drains, and nothing can be sent.
    """
    monkeypatch.setattr("socketeer.pubsub.session.PATIENCE", 0.001)

    class Fragmenting(FakeConnection):
        async def wait_drained(self):
            pass

    async with hub_with() as hub:
        hub.topic("a", history=10)
        connection = Fragmenting(room=0)
        async with hub.attach(connection) as session:
            await session.subscribe("a")
            await hub.publish("a", "1")
            await asyncio.sleep(0.01)
            assert [] == connection.take()
            connection.room = None
            while not connection.got:
                await asyncio.sleep(0.001)

            assert ["1"] == connection.take()


async def test_two_topics_that_are_behind_are_both_served():
    """
    One task looks after all topics of a connection.
    """
    async with hub_with() as hub:
        hub.topic("*", history=10)
        slow = FakeConnection(room=0)
        async with hub.attach(slow) as session:
            for topic in "ab":
                await session.subscribe(topic)
            for topic in "abab":
                await hub.publish(topic, topic)
            slow.drain()
            await settle()

            assert ["a", "a", "b", "b"] == sorted(slow.take())


async def test_who_is_behind_and_fails_does_not_spoil_it_for_others(caplog):
    """
    What other topics have to say in the same turn is sent.
    """
    async with hub_with() as hub:
        hub.topic("*", history=10)
        bad, good = FakeConnection(), FakeConnection()
        async with hub.attach(bad) as behind, hub.attach(good) as session:
            subscription = await behind.subscribe("a")
            await session.subscribe("b")
            bad.stall()
            await hub.publish("a", "1")
            end_turn()
            bad._send = lambda *arguments: 1 / 0
            subscription.feed.deliver_prepared("in no log")
            await hub.publish("b", "2")

            assert ["2"] == good.take()
            assert "ZeroDivisionError" in caplog.text
