"""
Whatever happens, each subscriber gets each message once and in order, or is told.
"""

from __future__ import annotations

import asyncio
import contextlib

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from socketeer.pubsub import MemoryStore
from socketeer.pubsub.positions import Position
from tests.pubsub.harness import (
    Clock,
    FakeConnection,
    UnreliableBroker,
    epochs,
    hub_with,
    settle,
)

TOPIC = "numbers"

CLIENTS = 3


class Client:
    """
    A client that remembers where it stands, and checks what it gets.

    It may be surprised by a number only where it was told that something is lost.
    """

    def __init__(self, hub, published):
        self.hub = hub
        self.published = published
        self.position = None
        self.connection = None
        self.stack = None
        self.gaps = 0

    async def arrive(self):
        """
        Connect, and subscribe from the last known position on.
        """
        await self.go()
        self.connection = FakeConnection()
        self.stack = contextlib.AsyncExitStack()
        self.session = await self.stack.enter_async_context(
            self.hub.attach(self.connection)
        )
        subscription = await self.session.subscribe(
            TOPIC,
            since=None if self.position is None else str(self.position),
            on_gap=self.on_gap,
        )
        if subscription.recovered:
            assert subscription.missed == len(self.connection.got)
            self.check()
        else:
            self.position = Position.parse(subscription.position)
            self.connection.got.clear()
        assert str(self.position) == subscription.position

    async def go(self):
        """
        Vanish, with what was on its way.
        """
        if self.connection is not None:
            self.check()
            self.connection = None
            await self.stack.aclose()

    async def on_gap(self, gap):
        """
        Hear of a gap.
        """
        self.check()
        self.gaps += 1
        self.position = Position.parse(gap.position)

    def check(self):
        """
        Check what was received: the next numbers, with the right content.
        """
        for message in self.connection.take():
            text, number = message.split()
            position = Position.parse(text)
            expected = Position(self.position.epoch, self.position.offset + 1)
            assert expected == position
            assert self.published[text] == number
            self.position = position


class World:
    """
    Two processes, some clients, a publisher and the things that go wrong.
    """

    def __init__(self, hubs, brokers, store, clock):
        self.hubs, self.brokers = hubs, brokers
        self.store, self.clock = store, clock
        self.published = {}
        self.count = 0
        self.clients = [Client(hubs[n % 2], self.published) for n in range(CLIENTS)]

    async def step(self, action, argument):
        await getattr(self, action)(argument)

    async def publish(self, argument):
        for _ in range(1 + argument):
            self.count += 1
            number = str(self.count)
            position = await self.hubs[argument % 2].publish(TOPIC, number)
            self.published[position] = number

    async def arrive(self, argument):
        client = self.clients[argument % CLIENTS]
        client.hub = self.hubs[argument % 2]
        await client.arrive()

    async def go(self, argument):
        await self.clients[argument % CLIENTS].go()

    async def stall(self, argument):
        client = self.clients[argument % CLIENTS]
        if client.connection is not None:
            client.connection.stall()

    async def drain(self, argument):
        client = self.clients[argument % CLIENTS]
        if client.connection is not None:
            client.connection.drain()

    async def lose(self, argument):
        self.brokers[argument % 2].fate = "lose"

    async def hold(self, argument):
        self.brokers[argument % 2].fate = "hold"

    async def repeat(self, argument):
        self.brokers[argument % 2].fate = "repeat"

    async def deliver(self, argument):
        broker = self.brokers[argument % 2]
        broker.fate = "deliver"
        broker.release()

    async def slow_reading(self, argument):
        self.brokers[argument % 2].turns = argument % 5

    async def age(self, argument):
        self.clock.now += 10 * argument

    async def lose_log(self, argument):
        self.store.forget(f"topic:{TOPIC}")

    async def outage_ends(self, argument):
        self.hubs[argument % 2].resumed()

    async def settle(self, argument):
        await settle()

    async def end(self):
        """
        Everything works again; time passes; everybody has everything.
        """
        for broker in self.brokers:
            broker.turns = 0
            await self.deliver(self.brokers.index(broker))
        for client in self.clients:
            if client.connection is not None:
                client.connection.drain()
        self.clock.now += 100
        for hub in self.hubs:
            await hub.keep_house()
        await settle()
        await settle()
        await self.publish(0)
        await settle()
        for client in self.clients:
            if client.connection is not None:
                client.check()
                assert str(client.position) == list(self.published)[-1]
                assert 0 == client.hub.statistics()["behind"]


ACTIONS = [
    "publish",
    "publish",
    "publish",
    "arrive",
    "arrive",
    "go",
    "stall",
    "drain",
    "lose",
    "hold",
    "repeat",
    "deliver",
    "slow_reading",
    "age",
    "lose_log",
    "outage_ends",
    "settle",
    "settle",
]

steps = st.lists(
    st.tuples(st.sampled_from(ACTIONS), st.integers(0, 7)), min_size=5, max_size=60
)


async def live_through(story):
    """
    Let a story happen.
    """
    clock = Clock()
    store = MemoryStore(clock=clock, epochs=epochs())
    brokers = [UnreliableBroker(store) for _ in range(2)]
    async with contextlib.AsyncExitStack() as stack:
        hubs = []
        for broker in brokers:
            hub = await stack.enter_async_context(hub_with(store, broker, clock=clock))
            hub.topic(
                TOPIC,
                history=6,
                max_age=100,
                envelope=lambda topic, message, position: f"{position} {message}",
            )
            hubs.append(hub)
        world = World(hubs, brokers, store, clock)
        for action, argument in story:
            await world.step(action, argument)
        await world.end()
        for client in world.clients:
            await client.go()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(story=steps)
def test_nobody_misses_a_message_without_being_told(story):
    """
    Two processes and three clients live through publishing, stalled peers, messages
    that the broker loses, repeats or reorders, logs that are trimmed or lost and
    clients that come back to either process. Each client sees the numbers after its
    position, all of them, in order; or is told of a gap and where it goes on.
    """
    asyncio.run(asyncio.wait_for(live_through(story), 20))
