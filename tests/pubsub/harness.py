"""
A hub under test, with connections and a broker that do as the test says.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

from socketeer.asyncio.connection import Connection
from socketeer.pubsub import Hub, MemoryBroker, MemoryStore

__all__ = [
    "Clock",
    "FakeConnection",
    "UnreliableBroker",
    "end_turn",
    "epochs",
    "hub_with",
    "publish",
    "settle",
    "subscribed",
]


class Clock:
    """
    A clock that stands still.
    """

    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        return self.now


def epochs():
    """
    Return a source of epochs: e1, e2, ...
    """
    numbers = iter(range(1, 10**6))
    return lambda: f"e{next(numbers)}"


# What waits for the end of the turn.
_AT_END = []


def end_turn():
    """
    Do what was put off.
    """
    while _AT_END:
        _AT_END.pop(0)()


def call_at_turn_end(callback):
    """
    As a connection does.
    """
    _AT_END.append(callback)
    asyncio.get_running_loop().call_soon(end_turn)


async def settle():
    """
    Let everything happen that is going to happen by itself.
    """
    for _ in range(20):
        await asyncio.sleep(0)


class FakeConnection:
    """
    A connection whose peer takes messages, or does not.

    Attributes:
        got: What the peer received.
        room: How many more messages the connection takes; None for any number.
        closed: Close code and reason, once it is closed.
    """

    def __init__(self, room=None):
        self.got = deque()
        self.room = room
        self.closed = None
        self.policies = []
        self.waits = []
        self._drained = asyncio.Event()

    @staticmethod
    def prepare(message, *, text=None):
        """
        Count as prepared once what was prepared once.
        """
        if isinstance(message, bytes) and text:
            message = message.decode()
        FakeConnection.prepared += 1
        return message

    prepared = 0

    @property
    def state(self):
        return 1 if self.closed is None else 3

    @property
    def fan_out(self):
        return self._send

    def _send(self, message, limit, policy, more):
        self.waits.append(more)
        self.policies.append((limit, policy))
        if self.closed is not None or self.room == 0:
            return False
        if self.room is not None:
            self.room -= 1
        self.got.append(message)
        return True

    def take(self):
        """
        Return what the peer received since the last time. A turn ends.
        """
        end_turn()
        taken = list(self.got)
        self.got.clear()
        return taken

    def stall(self):
        """
        Let the peer read no longer.
        """
        self.room = 0
        self._drained.clear()

    def drain(self, room=None):
        """
        Let the peer read on.
        """
        self.room = room
        self._drained.set()

    call_at_turn_end = staticmethod(call_at_turn_end)
    fan_out_to_all = staticmethod(Connection.fan_out_to_all)

    async def wait_drained(self):
        if self.room == 0 and self.closed is None:
            self._drained.clear()
            await self._drained.wait()

    async def close(self, code=1000, reason=""):
        if self.closed is None:
            self.closed = code, reason
            self._drained.set()


class UnreliableBroker(MemoryBroker):
    """
    A broker that loses, repeats and holds back what it should deliver.

    Attributes:
        fate: What happens to deliveries: "deliver", "lose", "hold" or "repeat".
        reading: Whether reading the log takes turns of the loop.
    """

    def __init__(self, store=None):
        super().__init__(store)
        self.fate = "deliver"
        self.held = []
        self.reads = 0
        self.turns = 0
        self.gone = None

    def deliver(self, channel, publication):
        if self.fate == "lose":
            return
        if self.fate == "hold":
            self.held.append((channel, publication))
            return
        super().deliver(channel, publication)
        if self.fate == "repeat":
            super().deliver(channel, publication)

    def release(self):
        """
        Deliver what was held back, newest first.
        """
        held, self.held = self.held, []
        for channel, publication in reversed(held):
            super().deliver(channel, publication)

    async def read(self, channel, after, retention):
        self.reads += 1
        if self.gone is not None:
            raise self.gone
        reading = await super().read(channel, after, retention)
        for _ in range(self.turns):
            # The answer is old when it arrives.
            await asyncio.sleep(0)
        return reading


@contextlib.asynccontextmanager
async def hub_with(store=None, broker=None, **options):
    """
    Run a hub with a broker that can be made unreliable, and a clock that stands.
    """
    clock = options.pop("clock", None) or Clock()
    store = store or MemoryStore(clock=clock, epochs=epochs())
    broker = broker or UnreliableBroker(store)
    async with Hub(broker=broker, clock=clock, **options) as hub:
        hub.test_clock, hub.test_broker, hub.test_store = clock, broker, store
        yield hub


@contextlib.asynccontextmanager
async def subscribed(hub, since=None, connection=None, **options):
    """
    Attach a connection and subscribe it to topic a.
    """
    connection = connection or FakeConnection()
    async with hub.attach(connection) as session:
        subscription = await session.subscribe("a", since=since, **options)
        yield connection, subscription


async def publish(hub, count, begin=1):
    """
    Publish numbers; return the last position.
    """
    position = None
    for number in range(begin, begin + count):
        position = await hub.publish("a", str(number))
    return position
