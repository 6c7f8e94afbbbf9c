"""
What a turn of the event loop publishes, and what happens before the turn has ended.
"""

from __future__ import annotations

import pytest

from socketeer.pubsub.outgoing import MOST
from tests.pubsub.harness import FakeConnection, end_turn, hub_with, settle

pytestmark = pytest.mark.anyio


async def test_one_topic_is_one_pass():
    """
    Each connection is visited once, and its last message need not wait.
    """
    visits = []

    class Visited(FakeConnection):
        def _send(self, message, limit, policy, more):
            visits.append((self, message))
            return super()._send(message, limit, policy, more)

    async with hub_with() as hub:
        first, second = Visited(), Visited()
        async with hub.attach(first) as one, hub.attach(second) as two:
            await one.subscribe("a")
            await two.subscribe("a")
            for number in "123":
                await hub.publish("a", number)
            assert [] == visits

            end_turn()

            expected = [(who, number) for who in (first, second) for number in "123"]
            assert expected == visits
            assert [True, True, False] == first.waits == second.waits


async def test_a_single_message_does_not_wait():
    """
    Nothing that it could share a write with follows.
    """
    async with hub_with() as hub:
        connection = FakeConnection()
        async with hub.attach(connection) as session:
            await session.subscribe("a")
            await hub.publish("a", "1")

            assert ["1"] == connection.take()
            assert [False] == connection.waits


async def test_several_topics_keep_their_order():
    """
    That of publishing; all messages leave when everybody was visited.
    """
    async with hub_with() as hub:
        hub.topic("log", history=10)
        connection = FakeConnection()
        async with hub.attach(connection, "ada") as session:
            await session.subscribe("a")
            await session.subscribe("log")
            await hub.publish("a", "1")
            await hub.publish("log", "2")
            await hub.publish("log", "3")
            await hub.send("ada", "4")
            await hub.publish("a", "5")

            assert ["1", "2", "3", "4", "5"] == connection.take()
            assert [True] * 5 == connection.waits


@pytest.mark.parametrize("history", [0, 10])
async def test_who_joins_before_the_turn_ends_begins_behind_it(history):
    """
    What was published before is not sent to who subscribes afterwards.
    """
    async with hub_with() as hub:
        hub.topic("a", history=history)
        early, late = FakeConnection(), FakeConnection()
        async with hub.attach(early) as one, hub.attach(late) as two:
            await one.subscribe("a")
            await hub.publish("a", "1")
            subscription = await two.subscribe("a")
            await hub.publish("a", "2")

            assert ["1", "2"] == early.take()
            assert ["2"] == late.take()
            assert subscription.position == ("e1.1" if history else None)


async def test_who_comes_back_before_the_turn_ends_gets_nothing_twice():
    """
    What is outgoing is in the log, too.
    """
    async with hub_with() as hub:
        hub.topic("a", history=10)
        connection, returning = FakeConnection(), FakeConnection()
        async with hub.attach(connection) as one, hub.attach(returning) as two:
            await one.subscribe("a")
            position = await hub.publish("a", "1")
            end_turn()
            await hub.publish("a", "2")
            subscription = await two.subscribe("a", since=position)
            await hub.publish("a", "3")
            await settle()

            assert subscription.recovered
            assert ["1", "2", "3"] == connection.take()
            assert ["2", "3"] == returning.take()


@pytest.mark.parametrize("leaving", ["unsubscribe", "detach", "stop"])
async def test_who_leaves_before_the_turn_ends_has_it(leaving):
    """
    What was published before is sent.
    """
    async with hub_with() as hub:
        connection = FakeConnection()
        async with hub.attach(connection) as session:
            await session.subscribe("a")
            await hub.publish("a", "1")
            if leaving == "unsubscribe":
                await session.unsubscribe("a")
            elif leaving == "stop":
                await hub.stop()
            if leaving != "detach":
                assert ["1"] == list(connection.got)
        assert ["1"] == list(connection.got)


async def test_too_many_do_not_wait():
    """
    What is outgoing takes little memory.
    """
    async with hub_with() as hub:
        connection = FakeConnection()
        async with hub.attach(connection) as session:
            await session.subscribe("a")
            for number in range(MOST + 1):
                await hub.publish("a", str(number))

            assert MOST == len(connection.got)
            assert MOST + 1 == len(connection.take())


async def test_who_refuses_one_gets_none_behind_it():
    """
    With history: the rest of the turn comes from the log, in order.
    """
    async with hub_with() as hub:
        hub.topic("a", history=10)
        slow = FakeConnection(room=2)
        async with hub.attach(slow) as session:
            await session.subscribe("a")
            for number in "12345":
                await hub.publish("a", number)
            end_turn()
            assert ["1", "2"] == list(slow.got)
            assert 1 == hub.statistics()["behind"]

            slow.drain()
            await settle()

            assert ["1", "2", "3", "4", "5"] == slow.take()
            assert 0 == hub.statistics()["behind"]


@pytest.mark.parametrize("history", [0, 10])
async def test_who_leaves_while_a_message_goes_round(history):
    """
    Nobody else misses it, and the next one goes to those who are left.
    """
    leaving = []

    class Upsetting(FakeConnection):
        def _send(self, *arguments):
            while leaving:
                leaving[0].feed.part(leaving.pop(0))
            return super()._send(*arguments)

    async with hub_with() as hub:
        hub.topic("a", history=history)
        first, second, third = Upsetting(), FakeConnection(), FakeConnection()
        async with (
            hub.attach(first) as one,
            hub.attach(second) as two,
            hub.attach(third) as three,
        ):
            await one.subscribe("a")
            leaving.append(await two.subscribe("a"))
            await three.subscribe("a")
            await hub.publish("a", "1")
            assert ["1"] == first.take()
            await hub.publish("a", "2")
            end_turn()

            assert ["2"] == list(first.got)
            assert ["1", "2"] == list(third.got)
            assert "2" not in second.got
