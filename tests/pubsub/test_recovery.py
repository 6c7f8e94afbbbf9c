"""
History: positions, recovery and repairs.
"""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from socketeer.pubsub import BrokerUnavailable, MemoryStore
from tests.pubsub.harness import (
    Clock,
    FakeConnection,
    UnreliableBroker,
    epochs,
    hub_with,
    publish,
    settle,
    subscribed,
)

pytestmark = pytest.mark.anyio


async def test_who_begins_is_told_where_it_stands():
    """
    The position comes with the subscription, not with the first message.
    """
    async with hub_with() as hub:
        hub.topic("a", history=10)
        await publish(hub, 3)
        async with subscribed(hub) as (connection, subscription):
            assert (False, "e1.3", 0) == (
                subscription.recovered,
                subscription.position,
                subscription.missed,
            )
            assert [] == connection.take()


async def test_missed_messages_come_first_then_the_new_ones():
    """
    No gap, no duplicate.
    """
    async with hub_with() as hub:
        hub.topic("a", history=10)
        position = await publish(hub, 2)
        await publish(hub, 3, begin=3)
        async with subscribed(hub, since=position) as (connection, subscription):
            assert ["3", "4", "5"] == connection.take()
            assert (True, "e1.5", 3) == (
                subscription.recovered,
                subscription.position,
                subscription.missed,
            )
            await publish(hub, 1, begin=6)
            assert ["6"] == connection.take()


async def test_who_missed_nothing_is_told_so():
    """
    Recovered, with no messages.
    """
    async with hub_with() as hub:
        hub.topic("a", history=10)
        position = await publish(hub, 2)
        async with subscribed(hub, since=position) as (connection, subscription):
            assert (True, 0) == (subscription.recovered, subscription.missed)
            assert [] == connection.take()


@pytest.mark.parametrize("since", ["e1.0", "e2.4", "e1.99", "nonsense", ""])
async def test_recovery_is_all_or_nothing(since):
    """
    A message is gone, another epoch, a number from the future, no position at all:
    nothing is sent, and the subscription says so.
    """
    async with hub_with() as hub:
        hub.topic("a", history=4)
        await publish(hub, 5)
        async with subscribed(hub, since=since) as (connection, subscription):
            assert (False, "e1.5", 0) == (
                subscription.recovered,
                subscription.position,
                subscription.missed,
            )
            assert [] == connection.take()


@pytest.mark.parametrize(
    ("since", "recent", "sent", "recovered"),
    [
        (None, 2, ["4", "5"], False),
        (None, 99, ["2", "3", "4", "5"], False),
        ("e1.0", 3, ["3", "4", "5"], False),
        ("e1.4", 3, ["5"], True),
        (None, 0, [], False),
    ],
)
@pytest.mark.parametrize("is_new", [False, True], ids=["known", "new"])
async def test_who_begins_may_begin_with_recent_messages(
    since, recent, sent, recovered, is_new
):
    """
    The last ones, as far as there are, to those who cannot recover; in a process
    that was there when they were published, and in another one.
    """
    store = MemoryStore(epochs=epochs())
    async with hub_with(store) as one, hub_with(store) as two:
        for hub in one, two:
            hub.topic("a", history=4)
        async with subscribed(one):
            await publish(one, 5)
            async with subscribed(two if is_new else one, since, recent=recent) as (
                connection,
                subscription,
            ):
                await publish(one, 1, begin=6)
                assert [*sent, "6"] == connection.take()
                assert (recovered, "e1.5", len(sent)) == (
                    subscription.recovered,
                    subscription.position,
                    subscription.missed,
                )


async def test_recent_messages_are_those_of_topics_with_history():
    """
    On others there are none; a negative number is a mistake.
    """
    async with hub_with() as hub:
        await publish(hub, 2)
        async with subscribed(hub, recent=5) as (connection, subscription):
            assert ([], 0) == (connection.take(), subscription.missed)
            with pytest.raises(ValueError, match="recent must be positive"):
                await subscription.session.subscribe("a", recent=-1)


async def test_recent_messages_of_an_empty_log():
    """
    They were too old: there is nothing to send, and what is new is.
    """
    async with hub_with() as hub:
        hub.topic("a", history=4, max_age=10)
        await publish(hub, 3)
        hub.test_clock.now += 11
        async with subscribed(hub, recent=5) as (connection, subscription):
            await publish(hub, 1, begin=4)
            assert ["4"] == connection.take()
            assert (False, "e1.3", 0) == (
                subscription.recovered,
                subscription.position,
                subscription.missed,
            )


async def test_without_history_there_are_no_positions():
    """
    And no recovery.
    """
    async with hub_with() as hub:
        async with subscribed(hub, since="e1.1") as (connection, subscription):
            assert (False, None) == (subscription.recovered, subscription.position)
            await publish(hub, 1)
            assert ["1"] == connection.take()


async def test_a_storm_of_reconnects_reads_the_log_once():
    """
    What one client needs from the broker's log is kept for the next.
    """
    async with hub_with() as hub, contextlib.AsyncExitStack() as stack:
        hub.topic("a", history=10)
        hub.test_broker.turns = 3
        await publish(hub, 5)
        arrivals = [
            stack.enter_async_context(subscribed(hub, since="e1.2")) for _ in range(20)
        ]
        found = await asyncio.gather(*arrivals)

        assert all(["3", "4", "5"] == connection.take() for connection, _ in found)
        # One to begin with, one for what was missed.
        assert 2 == hub.test_broker.reads


async def test_recovery_in_another_process():
    """
    A position is good anywhere, also where messages arrive later.
    """
    store = MemoryStore(epochs=epochs())
    async with (
        hub_with(store) as one,
        hub_with(store) as two,
        subscribed(one) as (_, first),
        subscribed(two),
    ):
        one.topic("b", history=1)
    async with hub_with(store) as one, hub_with(store) as two:
        for hub in one, two:
            hub.topic("a", history=10)
        async with subscribed(two) as (slow, _):
            two.test_broker.fate = "lose"
            await publish(one, 3)
            # This process is behind the position that the client has seen.
            async with subscribed(two, since="e1.2") as (connection, subscription):
                assert subscription.recovered
                assert ["3"] == connection.take()
                assert ["1", "2", "3"] == slow.take()
    assert first.position is None


async def test_recovery_waits_for_a_slow_peer():
    """
    subscribe() returns when everything that was missed has been sent.
    """
    async with hub_with() as hub:
        hub.topic("a", history=10)
        position = await publish(hub, 1)
        await publish(hub, 4, begin=2)
        connection = FakeConnection(room=2)
        async with hub.attach(connection) as session:
            task = asyncio.create_task(session.subscribe("a", since=position))
            await settle()
            await publish(hub, 1, begin=6)
            assert ["2", "3"] == connection.take()
            assert not task.done()
            connection.drain()
            subscription = await task

            assert ["4", "5", "6"] == connection.take()
            assert (True, "e1.6", 4) == (
                subscription.recovered,
                subscription.position,
                subscription.missed,
            )


async def test_recovery_that_becomes_impossible_is_none():
    """
    Messages were trimmed while the peer took its time: recovered=False.
    """
    gaps = []

    async def on_gap(gap):
        gaps.append(gap.position)

    async with hub_with() as hub:
        hub.topic("a", history=4)
        await publish(hub, 4)
        connection = FakeConnection(room=1)
        async with hub.attach(connection) as session:
            arriving = session.subscribe("a", since="e1.0", on_gap=on_gap)
            task = asyncio.create_task(arriving)
            await settle()
            await publish(hub, 10, begin=5)
            connection.drain()
            subscription = await task

            assert ["e1.14"] == gaps
            assert not subscription.recovered
            assert "e1.14" == subscription.position


async def test_recovery_ends_with_the_connection():
    """
    The peer goes away while it recovers: subscribe() does not wait for ever.
    """
    async with hub_with() as hub:
        hub.topic("a", history=4)
        await publish(hub, 4)
        connection = FakeConnection(room=1)
        async with hub.attach(connection) as session:
            task = asyncio.create_task(session.subscribe("a", since="e1.0"))
            await settle()
            await connection.close()
            subscription = await task

            assert not subscription.recovered


async def test_leaving_while_recovering():
    """
    The session ends: whoever waits in subscribe() goes on, too.
    """
    async with hub_with() as hub:
        hub.topic("a", history=4)
        await publish(hub, 4)
        async with hub.attach(FakeConnection(room=1)) as session:
            task = asyncio.create_task(session.subscribe("a", since="e1.0"))
            await settle()
        subscription = await task

        assert not subscription.recovered
        assert 0 == hub.statistics()["topics"]


async def test_subscribing_again_begins_anew():
    """
    The second subscription replaces the first: what it asks for is sent.
    """
    async with hub_with() as hub:
        hub.topic("a", history=4)
        connection = FakeConnection()
        async with hub.attach(connection) as session:
            first = await session.subscribe("a")
            await publish(hub, 2)
            second = await session.subscribe("a", since=first.position)
            await publish(hub, 1, begin=3)

            assert ["1", "2", "1", "2", "3"] == connection.take()
            assert second is session.subscriptions["a"]
            assert 1 == hub.statistics()["subscriptions"]


# Repairs: what the broker did not deliver.


@pytest.mark.parametrize(("fate", "repaired"), [("lose", 3), ("hold", 2)])
async def test_a_lost_message_is_found_in_the_log(fate, repaired):
    """
    The next number shows that one is missing; nobody notices.
    """
    async with hub_with() as hub:
        hub.topic("a", history=10)
        async with subscribed(hub) as (connection, _):
            await publish(hub, 1)
            hub.test_broker.fate = fate
            await publish(hub, 2, begin=2)
            hub.test_broker.fate = "deliver"
            await publish(hub, 1, begin=4)
            hub.test_broker.release()
            await settle()

            assert ["1", "2", "3", "4"] == connection.take()
            assert repaired == hub.statistics()["repaired"]
            assert 0 == hub.statistics()["gaps"]


async def test_a_repeated_message_is_sent_once():
    """
    Its number has been seen.
    """
    async with hub_with() as hub:
        hub.topic("a", history=10)
        async with subscribed(hub) as (connection, _):
            hub.test_broker.fate = "repeat"
            await publish(hub, 2)

            assert ["1", "2"] == connection.take()


async def test_a_silent_topic_is_compared_with_its_log():
    """
    The last message was lost: found within a minute, without another one.
    """
    async with hub_with() as hub:
        hub.topic("a", history=10)
        async with subscribed(hub) as (connection, _):
            hub.test_broker.fate = "lose"
            await publish(hub, 1)
            await hub.keep_house()
            await settle()
            assert [] == connection.take()
            hub.test_clock.now += 60
            await hub.keep_house()
            await settle()

            assert ["1"] == connection.take()


async def test_after_an_outage_the_logs_are_read():
    """
    At once when the broker is back; topics without a log tell those who asked.
    """
    gaps = []

    async def on_gap(gap):
        gaps.append((gap.topic, gap.position))

    async with hub_with() as hub:
        hub.topic("a", history=10)
        async with subscribed(hub, on_gap=on_gap) as (connection, subscription):
            await subscription.session.subscribe("asks", on_gap=on_gap)
            await subscription.session.subscribe("does not ask")
            hub.test_broker.fate = "lose"
            await publish(hub, 2)
            hub.resumed()
            await settle()

            assert ["1", "2"] == connection.take()
            assert [("asks", None)] == gaps


async def test_messages_that_arrive_during_a_repair_are_not_lost():
    """
    The log was read before they were published.
    """
    async with hub_with() as hub:
        hub.topic("a", history=1000)
        async with subscribed(hub) as (connection, _):
            hub.test_broker.turns = 5
            hub.resumed()
            await asyncio.sleep(0)
            # More than are kept meanwhile.
            await publish(hub, 300)
            await settle()

            assert [str(n) for n in range(1, 301)] == connection.take()


async def test_a_repair_that_fails_is_tried_again():
    """
    The broker was away: the topic is checked when there is time, or a message.
    """
    async with hub_with() as hub:
        hub.topic("a", history=10)
        async with subscribed(hub) as (connection, _):
            hub.test_broker.fate = "lose"
            hub.test_broker.gone = BrokerUnavailable("away")
            await publish(hub, 1)
            hub.resumed()
            await settle()
            assert [] == connection.take()
            hub.test_broker.gone = None
            await hub.keep_house()
            await settle()

            assert ["1"] == connection.take()


async def test_subscribing_fails_while_the_broker_is_away():
    """
    With a clear error, and nothing is left behind; later it works.
    """
    async with hub_with() as hub, hub.attach(FakeConnection()) as session:
        hub.topic("a", history=10)
        hub.test_broker.gone = BrokerUnavailable("away")
        with pytest.raises(BrokerUnavailable, match="away"):
            await session.subscribe("a")
        assert 0 == hub.statistics()["topics"]
        hub.test_broker.gone = None
        await session.subscribe("a")

        assert 1 == hub.statistics()["subscriptions"]


# Keys, and what is kept.


async def test_a_key_publishes_once():
    """
    The second publish gives the first one's position, for five minutes.
    """
    clock = Clock()
    async with hub_with(clock=clock) as hub:
        hub.topic("a", history=10)
        async with subscribed(hub) as (connection, _):
            first = await hub.publish("a", "1", key="k")
            assert first == await hub.publish("a", "1", key="k")
            assert first != await hub.publish("a", "2", key="l")
            clock.now += 301
            assert "e1.3" == await hub.publish("a", "3", key="k")
            await hub.publish("no log", "1", key="k")
            assert await hub.publish("no log", "1", key="k") is None

            assert ["1", "2", "3"] == connection.take()


async def test_keys_are_bounded(monkeypatch):
    """
    The oldest are forgotten.
    """
    monkeypatch.setattr("socketeer.pubsub.brokers.memory.MAX_KEYS", 2)
    async with hub_with() as hub:
        hub.topic("a", history=10)
        for key in "klmn":
            await hub.publish("a", key, key=key)

        assert "e1.4" == await hub.publish("a", "n", key="n")
        assert "e1.5" == await hub.publish("a", "k", key="k")


async def test_idle_channels_are_forgotten():
    """
    A broker in memory that has seen many topics keeps those in use.
    """
    clock = Clock()
    store = MemoryStore(clock=clock)
    broker = UnreliableBroker(store)
    async with hub_with(broker=broker, store=store, clock=clock) as hub:
        hub.topic("*", history=1, max_age=5)
        async with subscribed(hub):
            for number in range(1000):
                clock.now += 1
                await hub.publish(str(number), "x")

        assert len(store._channels) < 200


async def test_who_publishes_without_history_is_noticed(caplog):
    """
    Once: its settings are not those of the others, and its messages in no log.
    """
    store = MemoryStore(clock=Clock(), epochs=epochs())
    async with hub_with(store) as hub, hub_with(store) as stranger:
        hub.topic("a", history=10)
        async with subscribed(hub) as (connection, _):
            await publish(stranger, 2)

            assert ["1", "2"] == connection.take()
            assert 1 == caplog.text.count("to topic 'a' without its history")
