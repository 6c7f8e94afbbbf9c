"""
A server with a hub: each message is published to a topic of the sender's.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools

from socketeer.asyncio.server import ServerConnection, serve
from socketeer.http11 import Request
from socketeer.pubsub import Gap, Hub

from .common import options, run


class Publisher:
    """
    Subscribes connections, publishes what they send.
    """

    def __init__(self, hub: Hub, topics: int, each: int) -> None:
        self._hub = hub
        self._topics = topics
        self._each = each
        self._numbers = itertools.count()
        self._pending = 0
        self._is_ready = asyncio.Event()
        self._is_ready.set()

    async def wait_ready(
        self, _connection: ServerConnection, _request: Request
    ) -> None:
        """
        Open connections no sooner than those before them are subscribed: the load
        begins when all are open, maybe before the last handler does.
        """
        await self._is_ready.wait()
        self._pending += 1
        self._is_ready.clear()

    async def handle(self, connection: ServerConnection) -> None:
        """
        Publish to the first of the connection's topics.
        """
        first = next(self._numbers) * self._each
        topics = [str((first + n) % self._topics) for n in range(self._each)]
        async with self._hub.attach(connection) as session:
            for topic in topics:
                await session.subscribe(topic)
            self._pending -= 1
            if not self._pending:
                self._is_ready.set()
            async for message in connection:
                await self._is_ready.wait()
                await self._hub.publish(topics[0], message)


async def ignore(_gap: Gap) -> None:
    """
    Let those who do not read stay.
    """


async def main(chosen: argparse.Namespace) -> None:
    """
    Serve until the process is ended.
    """
    async with Hub(chosen.redis, on_gap=ignore) as hub:
        hub.topic("*", history=chosen.history)
        publisher = Publisher(hub, chosen.topics, chosen.each)
        async with serve(
            publisher.handle,
            "127.0.0.1",
            chosen.port,
            process_request=publisher.wait_ready,
            compression=None,
            ping_interval=None,
            max_size=None,
        ):
            await asyncio.Event().wait()


if __name__ == "__main__":
    arguments = options()
    run(main(arguments), arguments.loop)
