"""
What one process knows of a topic: who listens, and how far the log has come.

A feed follows the log of its topic. Its *head* is the last message that was handed
on; the next one has to bear the next number. Whatever is different, a number left
out, another epoch, or an outage of the broker, makes the feed read the log from its
head on and continue from there: once for the process, before any subscriber notices.
If the log cannot help, every subscriber has a gap, and is told.

A subscriber is either *in step*, and gets messages as they come, or *behind*, with a
cursor: the number of the last message it got. It then continues from the feed's own
copy of the log, which holds the same prepared messages for all. There are no
private queues, so that slow readers take no memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from .audience import Audience, Receivers
from .brokers.base import CONTROL, TEXT, Packet, Publication
from .exceptions import BrokerUnavailable
from .history import Log
from .positions import Position

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..typing import Data
    from .brokers.base import Broker, Reading
    from .connections import Prepared
    from .history import Retention
    from .outgoing import Outgoing, Run
    from .session import Subscription
    from .topics import Settings

__all__ = ["Feed"]

# Publications kept while the log is read. If there are more, it is read again.
MAX_BUFFERED = 256

# Bytes that may wait to be sent to a subscriber in step. With a log behind it,
# there is no reason to let more pile up.
CURSOR_BACKLOG = 65536


NEVER = float("-inf")

logger = logging.getLogger("socketeer.pubsub")


def message_of(packet: Packet) -> Data:
    """
    Return a packet's message as it was given to publish().
    """
    return packet.payload.decode() if packet.opcode == TEXT else packet.payload


class Feed(Audience["Subscription"]):
    """
    A topic, as far as this process is concerned.

    Args:
        topic: The topic.
        channel: The broker's channel for it.
        settings: What is set for the topic.
        broker: The broker.
        clock: Seconds.
        on_control: Takes what other hubs say on this channel.
        outgoing: Frames messages, and takes them.
        spawn: Runs a coroutine in a task that somebody looks after.

    Attributes:
        head: Position of the last message handed on; :obj:`None` without history,
            and before the log was read.
        log: The last messages, framed; of which some may still be outgoing.
        behind: Subscribers with a cursor.
        users: How many hold on to the feed.
        verified_at: When the head was last known to be the log's top.
        counters: Those of the hub.
    """

    __slots__ = (
        "_broker",
        "_buffer",
        "_checking",
        "_clock",
        "_has_unkept",
        "_on_control",
        "_outgoing",
        "_reading",
        "_spawn",
        "_starting",
        "behind",
        "channel",
        "counters",
        "head",
        "log",
        "settings",
        "topic",
        "users",
        "verified_at",
    )

    def __init__(
        self,
        topic: str,
        channel: str,
        settings: Settings,
        broker: Broker,
        *,
        clock: Callable[[], float],
        on_control: Callable[[Feed, bytes], None],
        outgoing: Outgoing,
        spawn: Callable[[Any], asyncio.Task[Any]],
        counters: Counter[str],
    ) -> None:
        super().__init__()
        self.topic = topic
        self.channel = channel
        self.settings = settings
        self.head: Position | None = None
        self.log: Log[Prepared] | None = None
        self.behind: dict[Subscription, None] = {}
        self.users = 0
        self.verified_at = 0.0
        self.counters = counters
        self._has_unkept = False
        self._broker = broker
        self._clock = clock
        self._on_control = on_control
        self._outgoing = outgoing
        self._spawn = spawn
        # Holds what arrives while the log is being read, and is None otherwise.
        self._buffer: deque[Publication] | None = None
        self._reading = asyncio.Lock()
        self._checking: asyncio.Task[None] | None = None
        self._starting: asyncio.Task[None] | None = None

    # Life.

    async def ready(self) -> None:
        """
        Wait until the feed follows its topic.

        Raises:
            BrokerUnavailable: It does not, because the broker does not answer.
        """
        if self._starting is None:
            # A task: whoever waits may be cancelled, others wait, too.
            self._starting = self._spawn(self._start())
        task = self._starting
        try:
            await asyncio.shield(task)
        except BaseException:
            if task.done() and self._starting is task:
                # The next one tries again.
                self._starting = None
            raise

    async def _start(self) -> None:
        """
        Subscribe first and read the log then, so that nothing falls between.
        """
        await self._broker.subscribe(self.channel)
        if self.settings.retention is not None:
            await self.verify()

    # Following the log.

    def receive(self, publication: Publication) -> None:
        """
        Take a publication: in order, not twice, and without a gap.
        """
        position = publication.position
        head = self.head
        if publication.packet.opcode == CONTROL:
            self._outgoing.deliver()
            self._on_control(self, publication.packet.payload)
        elif position is None or self.settings.retention is None:
            if position is None and self.settings.history:
                self._notice_unkept()
            self._deliver_unkept(publication.packet)
        elif self._buffer is not None:
            self._buffer.append(publication)
        elif head is None:
            # The log is read after subscribing, and tells about this one, too.
            return
        elif self._is_next(position):
            self._hand_on(publication.packet)
        elif position.epoch != head.epoch or position.offset > head.offset:
            self.check()

    def _notice_unkept(self) -> None:
        """
        Say, once, that a message of a topic with history is in no log.
        """
        if not self._has_unkept:
            self._has_unkept = True
            logger.warning(
                "somebody publishes to topic %r without its history: who is away "
                "misses it untold; give all hubs and publishers the same topics",
                self.topic,
            )

    def _is_next(self, position: Position | None) -> bool:
        """
        Tell whether this is the position after the head.
        """
        head = self.head
        return (
            head is not None
            and position is not None
            and position.offset == head.offset + 1
            and position.epoch == head.epoch
        )

    def check(self) -> None:
        """
        Have the head compared with the log soon, and repaired.
        """
        if self._checking is None or self._checking.done():
            self._checking = self._spawn(self._verify_quietly())

    async def _verify_quietly(self) -> None:
        """
        Verify; if the broker is away, it is done again when it is back.
        """
        try:
            await self.verify()
        except BrokerUnavailable as exc:
            self.verified_at = NEVER
            logger.info("log of topic %r was not read: %s", self.topic, exc)

    async def verify(self) -> None:
        """
        Read the log from the head on, and catch up with it.

        Raises:
            BrokerUnavailable: The broker does not answer.
        """
        retention = self.settings.retention
        if retention is None:
            return
        async with self._reading:
            may_be_behind = True
            while may_be_behind:
                # What was received before is in the log.
                buffer = self._buffer = deque[Publication](maxlen=MAX_BUFFERED)
                try:
                    reading = await self._broker.read(
                        self.channel, self.head, retention
                    )
                finally:
                    self._buffer = None
                self._take(reading, retention)
                may_be_behind = self._take_buffered(buffer)
            self.verified_at = self._clock()

    def _take(self, reading: Reading, retention: Retention) -> None:
        """
        Catch up with what the log said.
        """
        if self.head is None:
            self._begin(reading.top, retention)
        elif reading.packets is None:
            self._lose(reading.top)
        else:
            self.counters["repaired"] += len(reading.packets)
            for packet in reading.packets:
                self._hand_on(packet)

    def _take_buffered(self, buffer: deque[Publication]) -> bool:
        """
        Hand on what arrived while the log was read; tell whether to read it again.
        """
        for publication in buffer:
            if self._is_next(publication.position):
                self._hand_on(publication.packet)
        head = self.head
        return head is not None and any(
            position is not None
            and (position.epoch != head.epoch or position.offset > head.offset)
            for _, position in buffer
        )

    def _begin(self, top: Position, retention: Retention) -> None:
        """
        Follow a log from here on.
        """
        self.head = top
        self.log = Log(retention, top.offset)

    def _lose(self, top: Position) -> None:
        """
        Give up what lies between the head and the log's top: everybody has a gap.
        """
        self._outgoing.deliver()
        retention = self.settings.retention
        assert retention is not None
        self._begin(top, retention)
        for subscription in [*self.members(), *self.behind]:
            self._fall_behind(subscription, top.offset)
            subscription.has_gap = True

    def mistrust(self) -> None:
        """
        Take in that publications may have been lost on the way.

        With a log it is seen what was lost, if anything. Without one, those are
        told who want to be.
        """
        if self.settings.retention is not None:
            self.check()
            return
        for subscription in self.members():
            if subscription.on_gap is not None:
                subscription.has_gap = True
                subscription.session.catch_up_soon()

    # Handing on.

    def _frame(self, packet: Packet, position: Position | None) -> Prepared:
        """
        Frame a message, in its envelope.
        """
        envelope = self.settings.envelope
        if envelope is None:
            return self._outgoing.prepare(packet.payload, text=packet.opcode == TEXT)
        place = None if position is None else str(position)
        return self._outgoing.prepare(envelope(self.topic, message_of(packet), place))

    def _hand_on(self, packet: Packet) -> None:
        """
        Hand the next message of the log to everybody.
        """
        assert self.head is not None
        assert self.log is not None
        last = self.head.offset
        position = Position(self.head.epoch, last + 1)
        try:
            prepared = self._frame(packet, position)
        except Exception:
            logger.exception("envelope of topic %r failed: a gap", self.topic)
            self._lose(position)
            return
        self.head = position
        self.verified_at = self._clock()
        self.log.append(prepared, len(packet.payload), self.verified_at)
        self._outgoing.add(self, prepared, last)

    def _deliver_unkept(self, packet: Packet) -> None:
        """
        Hand a message that is in no log to everybody: now or never.
        """
        if not self and not self.behind:
            return
        try:
            prepared = self._frame(packet, None)
        except Exception:
            logger.exception("envelope of topic %r failed", self.topic)
            return
        self.deliver_prepared(prepared)

    def deliver_prepared(self, prepared: Prepared) -> None:
        """
        Hand something that is in no log to everybody, under the topic's policy.
        """
        self._outgoing.add(self, prepared)

    def pass_on(self, run: Run, more: bool) -> None:
        """
        Send what was handed on.

        Args:
            run: The messages.
            more: Whether others follow in this turn.
        """
        messages, last = run.messages, run.last
        send = self._outgoing.fan_out_to_all
        if last is not None:
            refused = self.receivers().send(
                send, messages, CURSOR_BACKLOG, "drop", more=more, is_log=True
            )
            for subscription, place in refused:
                self._fall_behind(subscription, last + place)
            return
        limit, policy = self.settings.max_backlog, self.settings.slow
        refused = self.receivers().send(send, messages, limit, policy, more=more)
        if self.behind:
            behind = Receivers((s, s.session.connection) for s in self.behind)
            refused += behind.send(send, messages, limit, policy, more=True)
        self.counters["dropped"] += len(refused)

    # Those who are behind.

    def join(self, subscription: Subscription) -> None:
        """
        Let somebody listen from here on.
        """
        self._outgoing.deliver()
        if subscription.cursor is None:
            self.add(subscription, subscription.session.connection)
        else:
            self.behind[subscription] = None

    def part(self, subscription: Subscription) -> None:
        """
        Let somebody listen no longer.
        """
        self._outgoing.deliver()
        self.discard(subscription)
        self.behind.pop(subscription, None)

    def _fall_behind(self, subscription: Subscription, cursor: int) -> None:
        """
        Give somebody a cursor.
        """
        self.discard(subscription)
        self.behind[subscription] = None
        subscription.cursor = cursor
        self.counters["fell_behind"] += 1
        subscription.session.catch_up_soon()

    def advance(self, subscription: Subscription) -> bool:
        """
        Send somebody who is behind what the peer has room for.

        Returns:
            Whether anything was sent, or nothing is missing any more.
        """
        self._outgoing.deliver()
        assert self.head is not None
        assert self.log is not None
        begin = cursor = subscription.cursor
        assert begin is not None
        assert cursor is not None
        while cursor < self.head.offset:
            prepared = self.log.get(cursor + 1)
            if prepared is None:
                # Off the log.
                subscription.has_gap = True
                subscription.cursor = self.head.offset
                return True
            if not subscription.send(prepared, CURSOR_BACKLOG, "drop", True):
                subscription.cursor = cursor
                return cursor > begin
            cursor += 1
        self.part(subscription)
        self.add(subscription, subscription.session.connection)
        subscription.go_live()
        return True

    # Recovery.

    async def recover(self, since: str) -> int | None:
        """
        Return the cursor of somebody who comes back.

        Args:
            since: What the client says it has seen last; may be anything.

        Returns:
            The offset after which everything is in the log here; :obj:`None` if
            something is missing, or the position says nothing.

        Raises:
            BrokerUnavailable: The broker does not answer.
        """
        position = Position.parse(since)
        if position is None or self.head is None:
            return None
        if not self._knows(position):
            # Another process may have been ahead of us.
            await self.verify()
        if self._knows(position) and not self._has_all_after(position):
            await self._read_back(position)
        if self._knows(position) and self._has_all_after(position):
            return position.offset
        return None

    async def recall(self, count: int) -> int | None:
        """
        Return the cursor of somebody who begins with the last messages.

        Args:
            count: Most messages.

        Returns:
            The offset after which everything is in the log here; :obj:`None` without
            history.

        Raises:
            BrokerUnavailable: The broker does not answer.
        """
        if self.head is None:
            return None
        position = Position(self.head.epoch, max(0, self.head.offset - count))
        if not self._has_all_after(position):
            oldest = await self._read_back(position)
            if oldest > position.offset + 1:
                # There are not as many any more.
                await self._read_back(Position(position.epoch, oldest - 1))
        assert self.log is not None
        return max(self.head.offset - count, self.log.oldest - 1)

    def _knows(self, position: Position) -> bool:
        """
        Tell whether a position is one of this log.
        """
        head = self.head
        return (
            head is not None
            and position.epoch == head.epoch
            and position.offset <= head.offset
        )

    def _has_all_after(self, position: Position) -> bool:
        """
        Tell whether nothing after a position of this log is missing here.
        """
        return self.log is not None and self.log.has_all_after(position.offset)

    async def _read_back(self, position: Position) -> int:
        """
        Get older messages from the broker: once, for all who come back.

        Returns:
            The offset of the oldest message that the broker has, or 0 if it was not
            asked, or does not know the position.
        """
        retention = self.settings.retention
        async with self._reading:
            if retention is None or self._has_all_after(position):
                return 0
            reading = await self._broker.read(self.channel, position, retention)
            if self.head is not None and reading.top.epoch != self.head.epoch:
                # It is another log by now. Positions of the one that was lost would be
                # a gap for everybody to whom they are told.
                self._lose(reading.top)
                return 0
            log = self.log
            if reading.packets is None or log is None or not self._knows(position):
                return reading.oldest
            missing = reading.packets[: log.oldest - 1 - position.offset]
            if position.offset + len(missing) != log.oldest - 1:
                return reading.oldest
            framed = []
            for offset, packet in enumerate(missing, position.offset + 1):
                prepared = self._frame(packet, Position(position.epoch, offset))
                framed.append((prepared, len(packet.payload)))
            log.prepend(framed, self._clock())
            return reading.oldest
