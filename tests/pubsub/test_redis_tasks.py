"""
The tasks that talk to Redis end when they are told to.
"""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace

import pytest

from socketeer.pubsub import Hub
from socketeer.pubsub.brokers.redis_channels import Channels
from socketeer.pubsub.brokers.redis_commands import Commands
from socketeer.pubsub.brokers.redis_scripts import Names
from tests.asyncio.exchange import nothing_left_over
from tests.pubsub.over_redis import HANG

pytestmark = [pytest.mark.anyio, pytest.mark.ours]


class Losing:
    """
    Stands for what of redis-py waits, and loses a cancellation.
    """

    def __init__(self):
        self.called = asyncio.Event()

    async def lose(self, result):
        self.called.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return result


class Pipeline(Losing):
    """
    A pipeline that loses a cancellation while it is executed.
    """

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass

    def execute_command(self, *command):
        pass

    async def execute(self, *, raise_on_error):
        return await self.lose([b"answer"])


async def test_a_cancellation_that_is_lost_while_a_command_is_sent():
    """
    Is obeyed all the same; the answer is not lost.
    """
    pipeline = Pipeline()
    client = SimpleNamespace(pipeline=lambda *, transaction: pipeline)
    commands = Commands(SimpleNamespace(is_cluster=False, commands=client), HANG)
    async with asyncio.timeout(HANG):
        call = asyncio.create_task(commands.call(("PING",)))
        await pipeline.called.wait()
        await commands.end()

        assert b"answer" == await call


class Subscriber(Losing):
    """
    Loses a cancellation while it speaks, or while it listens.
    """

    def __init__(self, when):
        super().__init__()
        self.when = when

    async def execute_command(self, *command):
        if self.when == "speaking":
            await self.lose(None)

    async def parse_response(self, *, block, timeout):
        return await self.lose([b"subscribe", b"x", 1])

    async def aclose(self):
        pass


@pytest.mark.parametrize("when", ["speaking", "listening"])
async def test_a_cancellation_that_is_lost_by_who_listens(when):
    """
    Is obeyed all the same.
    """
    subscriber = Subscriber(when)
    client = SimpleNamespace(pubsub=lambda: subscriber)
    channels = Channels(
        SimpleNamespace(channels=client),
        Names("socketeer"),
        "own",
        receiver=None,
        timeout=HANG,
        chance=lambda: 0.0,
        on_return=lambda: None,
    )
    async with asyncio.timeout(HANG):
        await subscriber.called.wait()
        await channels.end()

    assert all(task.done() for task in channels._tasks)


async def test_entering_a_hub_is_canceled():
    """
    It does not go on to look for Redis.
    """
    async with nothing_left_over(), asyncio.timeout(HANG):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            hub = Hub(f"redis://127.0.0.1:{silent.getsockname()[1]}")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05), hub:
                    raise AssertionError("entered")
