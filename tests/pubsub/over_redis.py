"""
Hubs and brokers over a real Redis.
"""

from __future__ import annotations

import asyncio
import contextlib

from socketeer.pubsub import Hub
from socketeer.pubsub.brokers.redis import RedisBroker

__all__ = ["HANG", "broker_for", "hubs", "until"]

# Seconds for what should happen at once.
HANG = 10


async def until(condition):
    """
    Wait until a condition is true.
    """
    async with asyncio.timeout(HANG):
        while not condition():
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def hubs(server, prefix, count=1, on_presence=None, on_gap=None, **options):
    """
    Run hubs as if each were a process.
    """
    async with contextlib.AsyncExitStack() as stack:
        found = []
        for _ in range(count):
            broker = RedisBroker(server.url, prefix=prefix, **options)
            hub = await stack.enter_async_context(Hub(broker=broker, on_gap=on_gap))
            hub.topic("kept*", history=5, max_bytes=1000, max_age=60)
            hub.topic("room", presence=True, on_presence=on_presence)
            found.append(hub)
        yield found


@contextlib.asynccontextmanager
async def broker_for(server, prefix, **options):
    """
    Run a broker that receives nothing.
    """

    class Nobody:
        def received(self, channel, publication):
            pass

        resumed = forgotten = lambda self: None
        nodes_changed = lambda self, alive: None  # noqa: E731

    broker = RedisBroker(server.url, prefix=prefix, **options)
    await broker.start(Nobody())
    try:
        yield broker
    finally:
        await broker.stop(0)
