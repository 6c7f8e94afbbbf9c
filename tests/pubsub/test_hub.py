"""
The hub in one process: topics, users, everybody, limits.
"""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from socketeer.exceptions import ProtocolError
from socketeer.pubsub import (
    Hub,
    LimitExceeded,
    MemoryBroker,
    MemoryStore,
    Publisher,
    Topics,
    json_envelope,
)
from tests.pubsub.harness import FakeConnection, end_turn, hub_with, settle

pytestmark = pytest.mark.anyio


async def test_subscribers_get_what_is_published_and_others_do_not():
    """
    Text comes as text, bytes as bytes, in order, to the topic's subscribers alone.
    """
    async with hub_with() as hub:
        here, there = FakeConnection(), FakeConnection()
        async with hub.attach(here) as one, hub.attach(there) as two:
            await one.subscribe("a")
            await two.subscribe("b")

            await hub.publish("a", "text")
            await hub.publish("a", bytearray(b"bytes"))
            await hub.publish("a", memoryview(b"more"))
            await hub.publish_json("b", {"ä": [1, None]})

            assert ["text", b"bytes", b"more"] == here.take()
            assert ['{"ä":[1,null]}'] == there.take()


async def test_a_message_is_framed_once_for_all():
    """
    A hundred subscribers share one prepared message.
    """
    async with hub_with() as hub, contextlib.AsyncExitStack() as stack:
        connections = [FakeConnection() for _ in range(100)]
        for connection in connections:
            session = await stack.enter_async_context(hub.attach(connection))
            await session.subscribe("a")
        before = FakeConnection.prepared

        await hub.publish("a", b"x")

        end_turn()
        assert 1 == FakeConnection.prepared - before
        assert len({id(connection.got[0]) for connection in connections}) == 1


async def test_unsubscribing_ends_it():
    """
    Also for a topic that was not subscribed to: nothing happens.
    """
    async with hub_with() as hub:
        connection = FakeConnection()
        async with hub.attach(connection) as session:
            await session.subscribe("a")
            await session.unsubscribe("a")
            await session.unsubscribe("a")
            await hub.publish("a", "x")

            assert [] == connection.take()
            assert {} == session.subscriptions
            assert 0 == hub.statistics()["topics"]


async def test_leaving_the_context_ends_everything():
    """
    After the session, nothing is left in the hub, neither of topics nor of users.
    """
    async with hub_with() as hub:
        connection = FakeConnection()
        with pytest.raises(RuntimeError, match="of the handler"):
            async with hub.attach(connection, user="ada") as session:
                await session.subscribe("a")
                raise RuntimeError("of the handler")
        await hub.publish("a", "x")
        await hub.send("ada", "x")
        await hub.broadcast("x")

        assert [] == connection.take()
        numbers = hub.statistics()
        assert (0, 0, 0) == (
            numbers["connections"],
            numbers["topics"],
            numbers["subscriptions"],
        )
        with pytest.raises(RuntimeError, match="not attached"):
            await session.subscribe("a")


async def test_a_cancelled_handler_is_unregistered_at_once():
    """
    Cancellation does not leave the connection in the hub, and is not swallowed.
    """
    async with hub_with() as hub:
        connection = FakeConnection()

        async def handler():
            async with hub.attach(connection, user="ada") as session:
                await session.subscribe("a")
                await asyncio.Event().wait()

        task = asyncio.create_task(handler())
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await settle()
        await hub.publish("a", "x")

        assert [] == connection.take()
        assert 0 == hub.statistics()["topics"]


async def test_broadcast_reaches_everybody():
    """
    With or without a topic or a user.
    """
    async with hub_with() as hub:
        one, two = FakeConnection(), FakeConnection()
        async with hub.attach(one), hub.attach(two, user="ada"):
            await hub.broadcast("all")
            await hub.broadcast_json([1])

            assert ["all", "[1]"] == one.take()
            assert ["all", "[1]"] == two.take()
    with pytest.raises(TypeError, match="message must be str or bytes-like, not int"):
        await hub.broadcast(1)


async def test_send_reaches_all_connections_of_a_user():
    """
    And nobody else.
    """
    async with hub_with() as hub:
        phone, desk, other = FakeConnection(), FakeConnection(), FakeConnection()
        async with (
            hub.attach(phone, "ada"),
            hub.attach(desk, "ada"),
            hub.attach(other, "bob"),
        ):
            await hub.send("ada", "hello")
            await hub.send_json("ada", 1)

            assert ["hello", "1"] == phone.take()
            assert ["hello", "1"] == desk.take()
            assert [] == other.take()


async def test_disconnect_closes_all_connections_of_a_user():
    """
    With the given close code and reason; a code that cannot be sent is an error.
    """
    async with hub_with() as hub:
        ada, bob = FakeConnection(), FakeConnection()
        async with hub.attach(ada, "ada"), hub.attach(bob, "bob"):
            await hub.disconnect("ada", 3000, "bye")
            await settle()

            assert (3000, "bye") == ada.closed
            assert bob.closed is None
            with pytest.raises(ProtocolError, match="close code 1005"):
                await hub.disconnect("ada", 1005)
            with pytest.raises(ProtocolError, match="124 bytes, 123 are allowed"):
                await hub.disconnect("ada", 1000, "x" * 124)


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        ("", ValueError, "topic is empty"),
        ("a\nb", ValueError, "control characters"),
        (7, TypeError, "topic must be str, not int"),
        ("ä" * 128, LimitExceeded, "bytes of topic: 256, limit is 255"),
    ],
)
async def test_bad_names_are_refused(name, error, text):
    """
    Empty, too long, with control characters, or no string.
    """
    async with hub_with() as hub, hub.attach(FakeConnection()) as session:
        with pytest.raises(error, match=text):
            await hub.publish(name, "x")
        with pytest.raises(error, match=text):
            await session.subscribe(name)


async def test_names_of_the_largest_size_are_accepted():
    """
    255 bytes of UTF-8.
    """
    name = "ä" * 127 + "x"
    async with hub_with() as hub:
        connection = FakeConnection()
        async with hub.attach(connection, user=name) as session:
            await session.subscribe(name)
            await hub.publish(name, "x", key=name)

            assert ["x"] == connection.take()


async def test_topics_of_one_connection_are_limited():
    """
    One more than ``max_topics`` is refused; the same topic again is not one more.
    """
    async with hub_with(max_topics=2) as hub:
        async with hub.attach(FakeConnection()) as session:
            await session.subscribe("a")
            await session.subscribe("b")
            await session.subscribe("b")
            with pytest.raises(LimitExceeded, match=r"3, limit is 2 \(max_topics\)"):
                await session.subscribe("c")
            await session.unsubscribe("a")
            await session.subscribe("c")

            assert {"b", "c"} == set(session.subscriptions)


async def test_messages_are_limited():
    """
    A message of ``max_message_size`` bytes is published, a larger one is refused.
    """
    async with hub_with(max_message_size=4) as hub:
        await hub.publish("a", "ää")
        with pytest.raises(LimitExceeded, match=r"5, limit is 4 \(max_message_size\)"):
            await hub.publish("a", "ääx")


async def test_info_must_be_sayable_in_json():
    """
    Otherwise attach() says so, before anything is registered.
    """
    async with hub_with() as hub:
        with pytest.raises(TypeError, match="not JSON serializable"):
            hub.attach(FakeConnection(), "ada", info=object())


async def test_a_hub_starts_by_itself():
    """
    A hub made at the top of a module works without a context.
    """
    hub = Hub()
    connection = FakeConnection()
    async with hub.attach(connection) as session:
        await session.subscribe("a")
        await hub.publish("a", "x")
        assert ["x"] == connection.take()
    await hub.stop()


async def test_publishing_starts_a_hub_and_a_publisher():
    """
    Whoever publishes first need not think of it.
    """
    store = MemoryStore()
    hub = Hub(broker=MemoryBroker(store))
    publisher = Publisher(broker=MemoryBroker(store))
    connection = FakeConnection()
    async with hub.attach(connection) as session:
        await session.subscribe("a")
        await publisher.publish("a", "x")
        assert ["x"] == connection.take()
    await publisher.stop()
    await publisher.stop()
    await hub.stop()
    other = Hub()
    await other.publish("a", "x")
    await other.stop()


async def test_a_publisher_needs_a_broker():
    """
    In memory alone there would be nobody to publish to.
    """
    with pytest.raises(TypeError, match="needs url or broker"):
        Publisher()


@pytest.mark.parametrize("url", ["http://localhost", "nonsense"])
async def test_an_unknown_address_is_refused(url):
    """
    The error names the scheme.
    """
    with pytest.raises(ValueError, match=url.partition(":")[0]):
        Hub(url)


async def test_two_hubs_share_what_is_published():
    """
    Hubs with a common broker are one: topics, users, everybody.
    """
    store = MemoryStore()
    async with (
        Hub(broker=MemoryBroker(store)) as one,
        Hub(broker=MemoryBroker(store)) as two,
        Publisher(broker=MemoryBroker(store)) as publisher,
    ):
        connection = FakeConnection()
        async with two.attach(connection, "ada") as session:
            await session.subscribe("a")
            await one.publish("a", "1")
            await publisher.publish("a", "2")
            await one.send("ada", "3")
            await publisher.broadcast("4")

            assert ["1", "2", "3", "4"] == connection.take()
            assert ["ada"] == [member.user for member in await one.users()]


async def test_settings_by_name_before_prefix():
    """
    The exact name counts first, then the longest prefix, then the default.
    """
    topics = Topics(slow="drop")
    topics.topic("*", max_backlog=1)
    topics.topic("room:*", history=2)
    topics.topic("room:big:*", history=3)
    topics.topic("room:big:*", history=4)
    topics.topic("room:1", history=5)

    found = [topics.settings(name) for name in ("room:1", "room:12", "room:big:1", "x")]
    assert [5, 2, 4, 0] == [settings.history for settings in found]
    assert ["close", "close", "close", "drop"] == [settings.slow for settings in found]
    assert 1 == found[3].max_backlog


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"slow": "never"}, "slow must be 'close', 'drop' or 'latest', not 'never'"),
        ({"history": -1}, "history must be positive"),
        ({"history": 1, "slow": "drop"}, "slow is for topics without history"),
        ({"on_presence": print}, "on_presence needs presence=True"),
    ],
)
async def test_settings_that_make_no_sense_are_refused(options, text):
    """
    The error names the option.
    """
    with pytest.raises(ValueError, match=text):
        Topics().topic("a", **options)


async def test_an_envelope_is_made_once_for_all():
    """
    It is called with topic, message and position, once for each message; not for
    what goes to users.
    """
    calls = []

    def envelope(topic, message, position):
        calls.append((topic, message, position))
        return f"[{position}]"

    async with hub_with() as hub:
        hub.topic("kept", history=5, envelope=envelope)
        hub.topic("flown", envelope=envelope)
        connections = [FakeConnection() for _ in range(3)]
        async with contextlib.AsyncExitStack() as stack:
            for connection in connections:
                session = await stack.enter_async_context(hub.attach(connection, "ada"))
                await session.subscribe("kept")
                await session.subscribe("flown")
            position = await hub.publish("kept", "1")
            assert await hub.publish("flown", b"2") is None
            await hub.send("ada", "3")

            assert [("kept", "1", "e1.1"), ("flown", b"2", None)] == calls
            assert "e1.1" == position
            assert [["[e1.1]", "[None]", "3"]] * 3 == [c.take() for c in connections]


async def test_an_envelope_that_fails_is_told_as_a_gap(caplog):
    """
    A message that cannot be wrapped is missing, and no subscriber may believe
    otherwise; what comes later is delivered.
    """

    def envelope(topic, message, position):
        return {"good": "GOOD"}[message]

    gaps = []

    async def on_gap(gap):
        gaps.append((gap.topic, gap.position))

    async with hub_with(envelope=envelope, on_gap=on_gap) as hub:
        hub.topic("kept", history=5)
        connection = FakeConnection()
        async with hub.attach(connection) as session:
            await session.subscribe("kept")
            await session.subscribe("flown")
            await hub.publish("kept", "bad")
            await hub.publish("flown", "bad")
            await settle()
            await hub.publish("kept", "good")

            assert [("kept", "e1.1")] == gaps
            assert ["GOOD"] == connection.take()
            assert "envelope of topic 'kept' failed" in caplog.text


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("text", '{"topic": "a", "position": "e.1", "data": "text"}'),
        ('{"x":1}', '{"topic": "a", "position": "e.1", "data": {"x":1}}'),
        ("NaN", '{"topic": "a", "position": "e.1", "data": "NaN"}'),
        (b"\xff", '{"topic": "a", "position": "e.1", "base64": "/w=="}'),
    ],
)
def test_the_json_envelope(message, expected):
    """
    JSON is passed on as it is, other text becomes a string, bytes become base64.
    """
    assert expected == json_envelope("a", message, "e.1")


async def test_one_connection_that_fails_does_not_spoil_it_for_others(caplog):
    """
    An exception while writing to one connection is logged; the others are served.
    """

    class Broken(FakeConnection):
        def _send(self, message, limit, policy):
            raise OSError("broken")

    async with hub_with() as hub:
        good = FakeConnection()
        async with hub.attach(Broken()) as one, hub.attach(good) as two:
            await one.subscribe("a")
            await two.subscribe("a")
            await hub.publish("a", "x")

            assert ["x"] == good.take()
            assert "message not written to one connection" in caplog.text


async def test_publishing_costs_a_topic_its_own_subscribers_alone():
    """
    With a thousand topics and twenty connections in each, one message touches
    twenty connections.
    """
    async with hub_with() as hub, contextlib.AsyncExitStack() as stack:
        connections = [FakeConnection() for _ in range(100)]
        for number, connection in enumerate(connections):
            session = await stack.enter_async_context(hub.attach(connection))
            for topic in range(10):
                await session.subscribe(f"topic {(number + 10 * topic) % 100}")
        await hub.publish("topic 7", "x")

        end_turn()
        assert 10 == sum(len(connection.policies) for connection in connections)
