"""
Gaps: what was lost is told, once, to everybody whom it concerns.
"""

from __future__ import annotations

import pytest

from socketeer.pubsub import MemoryStore
from tests.pubsub.harness import epochs, hub_with, publish, settle, subscribed

pytestmark = pytest.mark.anyio


async def test_a_lost_log_is_told():
    """
    The epoch changed: every subscriber is told, and goes on from the new log.
    """
    gaps = []

    async def on_gap(gap):
        gaps.append((gap.topic, gap.position, gap.session.user))

    async with hub_with() as hub:
        hub.topic("a", history=10, on_gap=on_gap)
        async with subscribed(hub) as (connection, _):
            await publish(hub, 2)
            hub.test_store.forget("topic:a")
            await publish(hub, 1, begin=3)
            await settle()
            await publish(hub, 1, begin=4)

            assert [("a", "e2.1", None)] == gaps
            assert ["1", "2", "4"] == connection.take()
            assert 1 == hub.statistics()["gaps"]


async def test_without_on_gap_the_connection_is_closed():
    """
    With 1013, try again later: the client comes back, and is told then.
    """
    async with hub_with() as hub:
        hub.topic("a", history=10)
        async with subscribed(hub) as (connection, _):
            await publish(hub, 2)
            hub.test_store.forget("topic:a")
            await publish(hub, 1, begin=3)
            await settle()

            assert (1013, "messages lost") == connection.closed


async def test_an_on_gap_that_fails_closes_the_connection(caplog):
    """
    With 1011: nobody may believe that nothing was missed.
    """

    async def on_gap(gap):
        raise RuntimeError("of the application")

    async with hub_with(on_gap=on_gap) as hub:
        hub.topic("a", history=10)
        async with subscribed(hub) as (connection, _):
            hub.test_store.forget("topic:a")
            await publish(hub, 1)
            await settle()

            assert (1011, "internal error") == connection.closed
            assert "of the application" in caplog.text


async def test_a_log_that_was_lost_is_noticed_by_who_comes_back():
    """
    The position that is told is one of the new log: with one of the old log, whoever
    comes back would be told of a second gap.
    """
    gaps = []

    async def on_gap(gap):
        gaps.append(gap.position)

    store = MemoryStore(epochs=epochs())
    async with hub_with(store) as one, hub_with(store) as two:
        for hub in one, two:
            hub.topic("a", history=10)
        await publish(one, 5)
        async with subscribed(two, on_gap=on_gap):
            # This process knows no older messages, and has not noticed.
            store.forget("topic:a")
            async with subscribed(two, since="e1.2") as (connection, subscription):
                assert (False, "e2.0") == (
                    subscription.recovered,
                    subscription.position,
                )
                await settle()
                assert ["e2.0"] == gaps
                await publish(one, 1, begin=6)
                assert ["6"] == connection.take()
