"""
A broker for one process: nothing but memory.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from time import monotonic

from ..history import Log, Retention
from ..positions import Position
from .base import Packet, Publication, Reading, Receiver

__all__ = ["MemoryBroker", "MemoryStore"]

# Idempotency keys: seconds for which they are known, and how many of a channel.
KEY_AGE = 300.0
MAX_KEYS = 10_000


def new_epoch() -> str:
    """
    Return a name that no other epoch has.
    """
    return secrets.token_urlsafe(6)


class Channel:
    """
    A channel's log, its keys and who is present.
    """

    __slots__ = ("epoch", "keys", "log", "people", "subscribers")

    def __init__(self) -> None:
        self.epoch = ""
        self.log: Log[Packet] | None = None
        self.keys: dict[str, tuple[float, Position | None]] = {}
        self.people: dict[tuple[str, str], bytes] = {}
        # The brokers, in the order in which they subscribed.
        self.subscribers: dict[MemoryBroker, None] = {}

    def is_idle(self) -> bool:
        """
        Tell whether nothing would be lost with this object.
        """
        return not (self.subscribers or self.people or self.keys or self.log)


class MemoryStore:
    """
    What the hubs of one process share: the channels.

    Args:
        clock: Seconds; as :func:`time.monotonic`.
        epochs: Returns a new epoch each time.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = monotonic,
        epochs: Callable[[], str] = new_epoch,
    ) -> None:
        self.clock = clock
        self._epochs = epochs
        self._channels: dict[str, Channel] = {}
        self._since_sweep = 0
        self._brokers = 0
        # Those with a hub, by name.
        self.started: dict[str, Receiver] = {}

    def new_name(self) -> str:
        """
        Return a name for a broker.
        """
        self._brokers += 1
        return f"memory-{self._brokers}"

    def channel(self, name: str) -> Channel:
        """
        Return a channel, a new one if need be.
        """
        channel = self._channels.get(name)
        if channel is None:
            self._since_sweep += 1
            if self._since_sweep > 64 + len(self._channels) // 2:
                self.sweep()
            channel = self._channels[name] = Channel()
        return channel

    def log(self, channel: Channel, retention: Retention) -> Log[Packet]:
        """
        Return a channel's log, a new one if need be.
        """
        if channel.log is None:
            channel.epoch = self._epochs()
            channel.log = Log(retention)
        channel.log.trim(self.clock())
        return channel.log

    def forget(self, name: str) -> None:
        """
        Lose a channel's log, as a broker without a disk does: the epoch changes.
        """
        self.channel(name).log = None

    def sweep(self) -> None:
        """
        Forget the channels whose logs ran empty and that nobody uses.

        The log that is made for one of them later has another epoch, since its
        numbers begin anew.
        """
        self._since_sweep = 0
        now = self.clock()
        for name, channel in list(self._channels.items()):
            if channel.log is not None:
                channel.log.trim(now)
            self.expire_keys(channel, now)
            if channel.is_idle():
                del self._channels[name]

    def expire_keys(self, channel: Channel, now: float) -> None:
        """
        Forget idempotency keys that are too old or too many.
        """
        keys = channel.keys
        while keys:
            oldest = next(iter(keys))
            if len(keys) <= MAX_KEYS and keys[oldest][0] > now - KEY_AGE:
                return
            del keys[oldest]


class MemoryBroker:
    """
    A broker for one process.

    Args:
        store: Share it between several brokers, and their hubs are connected as if
            they were processes of one application: for tests.

    Attributes:
        node: The name of this broker among those of the store.
    """

    def __init__(self, store: MemoryStore | None = None) -> None:
        self._store = store or MemoryStore()
        self.node = self._store.new_name()
        self._receiver: Receiver | None = None
        self._subscribed: set[str] = set()
        self._entered: set[tuple[str, str]] = set()

    async def start(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._store.started[self.node] = receiver

    async def stop(self, linger: float) -> None:
        self._receiver = None
        for channel in list(self._subscribed):
            await self.unsubscribe(channel)
        for channel, user in list(self._entered):
            await self.leave(channel, user)
        self._store.started.pop(self.node, None)
        alive = frozenset(self._store.started)
        for receiver in self._store.started.values():
            receiver.nodes_changed(alive)

    async def subscribe(self, channel: str) -> None:
        self._subscribed.add(channel)
        self._store.channel(channel).subscribers[self] = None

    async def unsubscribe(self, channel: str) -> None:
        self._subscribed.discard(channel)
        self._store.channel(channel).subscribers.pop(self, None)

    async def publish(
        self,
        channel: str,
        packet: Packet,
        retention: Retention | None = None,
        key: str | None = None,
    ) -> Position | None:
        store = self._store
        there = store.channel(channel)
        now = store.clock()
        if key is not None:
            store.expire_keys(there, now)
            if key in there.keys:
                return there.keys[key][1]
        position = None
        if retention is not None:
            log = store.log(there, retention)
            offset = log.append(packet, len(packet.payload), now)
            position = Position(there.epoch, offset)
        if key is not None:
            there.keys[key] = now, position
        publication = Publication(packet, position)
        for broker in list(there.subscribers):
            broker.deliver(channel, publication)
        return position

    def deliver(self, channel: str, publication: Publication) -> None:
        """
        Hand a publication to the hub.
        """
        if self._receiver is not None:
            self._receiver.received(channel, publication)

    async def read(
        self, channel: str, after: Position | None, retention: Retention
    ) -> Reading:
        there = self._store.channel(channel)
        log = self._store.log(there, retention)
        top = Position(there.epoch, log.top)
        if after is None:
            return Reading(top, [])
        if after.epoch != there.epoch or not log.has_all_after(after.offset):
            return Reading(top, None, log.oldest)
        return Reading(top, log.after(after.offset), log.oldest)

    async def enter(self, channel: str, user: str, info: bytes) -> None:
        self._entered.add((channel, user))
        self._store.channel(channel).people[self.node, user] = info

    async def leave(self, channel: str, user: str) -> None:
        self._entered.discard((channel, user))
        self._store.channel(channel).people.pop((self.node, user), None)

    async def present(self, channel: str) -> dict[tuple[str, str], bytes]:
        return dict(self._store.channel(channel).people)
