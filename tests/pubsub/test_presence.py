"""
Presence: who is there, in any process, without flapping.
"""

from __future__ import annotations

import contextlib

import pytest

from socketeer.pubsub import BrokerUnavailable, Member, MemoryStore
from tests.pubsub.harness import Clock, FakeConnection, epochs, hub_with, settle

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def here(hub, user, info=None, topic="room"):
    """
    Be there, with one more connection.
    """
    connection = FakeConnection()
    async with hub.attach(connection, user, info) as session:
        await session.subscribe(topic)
        yield connection


def heard(events):
    """
    Return the events as short texts, and forget them.
    """
    texts = [f"{event.kind} {event.user}" for event in events]
    events.clear()
    return texts


@contextlib.asynccontextmanager
async def processes(count):
    """
    Run several hubs over one broker; yield them with what each heard.
    """
    clock = Clock()
    store = MemoryStore(clock=clock, epochs=epochs())
    async with contextlib.AsyncExitStack() as stack:
        found = []
        for _ in range(count):
            hub = await stack.enter_async_context(hub_with(store, clock=clock))
            events = []
            hub.topic("room", presence=True, on_presence=events.append)
            found.append((hub, events))
        yield clock, found


async def test_members_are_the_users_of_a_topic():
    """
    Once each, however many connections they have, with their info; anonymous
    connections do not count, nor do other topics.
    """
    async with hub_with() as hub:
        hub.topic("room", presence=True)
        async with (
            here(hub, "bob", {"age": 3}),
            here(hub, "ada"),
            here(hub, "ada", "newest"),
            here(hub, None),
            here(hub, "eve", topic="elsewhere"),
        ):
            expected = [Member("ada", "newest"), Member("bob", {"age": 3})]
            assert expected == await hub.members("room")
            assert [] == await hub.members("elsewhere")
            assert ["ada", "bob", "eve"] == [m.user for m in await hub.users()]


async def test_leaving_takes_some_time():
    """
    A user who comes back within the grace never left; another one leaves then.
    """
    async with processes(1) as (clock, [(hub, events)]):
        async with here(hub, "bob"):
            async with here(hub, "ada"):
                assert ["join bob", "join ada"] == heard(events)
            clock.now += 14
            await hub.keep_house()
            assert 2 == len(await hub.members("room"))
            async with here(hub, "ada"):
                clock.now += 14
                await hub.keep_house()
            assert [] == heard(events)
            clock.now += 16
            await hub.keep_house()

            assert ["leave ada"] == heard(events)
            assert ["bob"] == [m.user for m in await hub.members("room")]
            assert ["bob"] == [m.user for m in await hub.users()]


async def test_the_last_connection_counts():
    """
    Of several connections, in several processes.
    """
    async with processes(2) as (clock, [(one, events), (two, others)]):
        async with here(one, "bob"), here(two, "bob"):
            async with here(one, "ada"):
                async with here(one, "ada"), here(two, "ada"):
                    assert ["join bob", "join ada"] == heard(events)
                    assert ["join ada"] == heard(others)
                clock.now += 20
                await one.keep_house()
                await two.keep_house()
                assert [] == heard(events) + heard(others)
            clock.now += 20
            await one.keep_house()
            await two.keep_house()

            assert ["leave ada"] == heard(events)
            assert ["leave ada"] == heard(others)


async def test_a_process_that_stops_takes_its_users_with_it():
    """
    The others hear of it.
    """
    async with processes(1) as (clock, [(hub, events)]):
        async with here(hub, "bob"):
            async with hub_with(hub.test_store, clock=clock) as other:
                other.topic("room", presence=True)
                async with here(other, "ada"), here(other, "bob"):
                    assert ["join bob", "join ada"] == heard(events)
            assert ["leave ada"] == heard(events)
            assert ["bob"] == [m.user for m in await hub.members("room")]


async def test_subscribers_are_told_what_on_presence_returns(caplog):
    """
    Also the one who joins; an exception is logged, and does not matter otherwise.
    """

    def on_presence(event):
        if event.user == "eve":
            raise RuntimeError("not her")
        return f"{event.kind} {event.user} {event.info}"

    async with hub_with() as hub:
        hub.topic("room", presence=True, on_presence=on_presence)
        async with here(hub, "ada", 1) as ada:
            async with here(hub, "bob", 2) as bob, here(hub, "eve"):
                pass
            hub.test_clock.now += 20
            await hub.keep_house()

            assert ["join ada 1", "join bob 2", "leave bob 2"] == ada.take()
            assert ["join bob 2"] == bob.take()
            assert "not her" in caplog.text


async def test_after_an_outage_presence_is_compared():
    """
    Who came and went meanwhile is told late, and nothing twice.
    """
    async with processes(2) as (clock, [(one, events), (two, _)]):
        async with here(one, "bob"), contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(here(two, "ada"))
            assert ["join bob", "join ada"] == heard(events)
            one.test_broker.fate = "lose"
            await stack.aclose()
            clock.now += 20
            await two.keep_house()
            async with here(two, "eve"):
                one.test_broker.fate = "deliver"
                one.resumed()
                await settle()

                assert ["leave ada", "join eve"] == heard(events)


async def test_who_was_forgotten_enters_again():
    """
    A process that was suspended for longer than its lease says who is there.
    """
    async with processes(2) as (_, [(one, events), (two, _)]):
        async with here(one, "bob"), here(two, "ada"):
            one.nodes_changed(frozenset({one.test_broker.node}))
            for place in ("topic:room", "all"):
                await two.test_broker.leave(place, "ada")
            assert ["join bob", "join ada", "leave ada"] == heard(events)
            two.forgotten()
            await settle()

            assert ["join ada"] == heard(events)
            assert ["ada", "bob"] == [m.user for m in await one.members("room")]


async def test_who_unsubscribes_leaves_at_once():
    """
    Nobody who walks out is expected back, unless another connection is still there.
    """
    async with processes(1) as (_, [(hub, events)]):
        async with here(hub, "bob"), hub.attach(FakeConnection(), "ada") as session:
            await session.subscribe("room")
            async with here(hub, "ada"):
                await session.unsubscribe("room")
                await session.subscribe("room")
                assert ["join bob", "join ada"] == heard(events)
            await session.unsubscribe("room")

            assert ["leave ada"] == heard(events)
            assert ["bob"] == [m.user for m in await hub.members("room")]


async def test_who_leaves_while_the_broker_is_away_has_left_later(monkeypatch):
    """
    What the broker could not be told is told when it is back, about everybody.
    """

    async def fail(*_):
        raise BrokerUnavailable("away")

    async with processes(1) as (clock, [(hub, events)]):
        async with here(hub, "bob"):
            async with here(hub, "eve"), hub.attach(FakeConnection(), "ada") as session:
                await session.subscribe("room")
                heard(events)
                with monkeypatch.context() as outage:
                    outage.setattr(hub.test_broker, "leave", fail)
                    await session.unsubscribe("room")
                    assert 3 == len(await hub.members("room"))
            clock.now += 20
            with monkeypatch.context() as outage:
                outage.setattr(hub.test_broker, "leave", fail)
                with pytest.raises(BrokerUnavailable):
                    await hub.keep_house()
            await hub.keep_house()

            assert ["leave ada", "leave eve"] == sorted(heard(events))
            assert ["bob"] == [m.user for m in await hub.members("room")]


async def test_another_info_is_no_event():
    """
    Members have the new one, in any process; the leave is told with it.
    """
    async with processes(2) as (clock, [(one, _), (two, events)]):
        async with here(two, None), here(one, "ada", 1):
            assert ["join ada"] == heard(events)
            async with here(one, "ada", 2):
                assert [] == events
                assert [Member("ada", 2)] == await two.members("room")
                assert [Member("ada", 2)] == await one.users()
        async with here(two, None):
            clock.now += 100
            await one.keep_house()
            assert [("leave", "ada", 2)] == [(e.kind, e.user, e.info) for e in events]


async def test_events_reach_processes_with_subscribers():
    """
    Others do not follow the topic; whoever comes is not told who was there before.
    """
    async with processes(2) as (_, [(one, _), (two, events)]):
        async with here(one, "ada"):
            assert [] == events
            async with here(two, None):
                assert [] == events
                assert [Member("ada", None)] == await two.members("room")
            async with here(one, "bob"):
                assert [] == events
