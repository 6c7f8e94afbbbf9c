"""
Publishers: when they connect, and in which event loop.
"""

from __future__ import annotations

import asyncio

import pytest

from socketeer.pubsub import BrokerUnavailable, Hub, MemoryBroker, Publisher
from tests.pubsub.harness import settle

pytestmark = pytest.mark.anyio


class SlowBroker(MemoryBroker):
    """
    A broker that takes some turns of the loop to start, and counts.
    """

    def __init__(self):
        super().__init__()
        self.starts = 0
        self.trouble = None

    async def start(self, receiver):
        self.starts += 1
        await asyncio.sleep(0)
        if self.trouble is not None:
            raise self.trouble
        await super().start(receiver)


async def test_many_who_publish_first_connect_once():
    """
    Tasks that publish at the same time share what the first one started.
    """
    broker = SlowBroker()
    async with Publisher(broker=broker) as publisher:
        await publisher.start()
        assert 1 == broker.starts
    await asyncio.gather(*(publisher.publish("a", "x") for _ in range(5)))
    assert 2 == broker.starts
    await publisher.stop()


async def test_who_could_not_start_tries_again():
    """
    The error goes to whoever asked, and the next one asks anew.
    """
    broker = SlowBroker()
    broker.trouble = BrokerUnavailable("away")
    publisher = Publisher(broker=broker)
    for _ in range(2):
        with pytest.raises(BrokerUnavailable, match="away"):
            await publisher.publish("a", "x")
    broker.trouble = None
    await publisher.publish("a", "x")
    assert 3 == broker.starts
    await publisher.stop()


async def test_stopping_waits_for_a_start():
    """
    What is being started is stopped as well.
    """
    broker = SlowBroker()
    publisher = Publisher(broker=broker)
    starting = asyncio.create_task(publisher.start())
    await asyncio.sleep(0)
    await publisher.stop()
    await starting
    await settle()
    assert not broker._store.started


@pytest.mark.ours
@pytest.mark.parametrize("kind", [Hub, Publisher])
def test_another_event_loop_is_told(kind, server):
    """
    One that was started in a loop that is over would wait for ever for an answer.
    """
    with asyncio.Runner() as one, asyncio.Runner() as two:
        publisher = kind(server.url)
        one.run(publisher.publish("a", "x"))
        with pytest.raises(
            RuntimeError, match="another event loop.* use SyncPublisher"
        ):
            two.run(publisher.publish("a", "x"))
        one.run(publisher.stop())
        two.run(publisher.publish("a", "x"))
        two.run(publisher.stop())
