"""
A connection that takes part in topics.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

from ..exceptions import ConnectionClosed
from .connections import OPEN, Send
from .exceptions import LimitExceeded

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping
    from types import TracebackType

    from .connections import FanOutConnection
    from .feed import Feed
    from .topics import OnGap

__all__ = ["Gap", "Session", "Subscription"]

logger = logging.getLogger("socketeer.pubsub")

TRY_AGAIN_LATER = 1013

# Seconds between attempts to send to a peer whose connection takes nothing and
# does not say when it will: in the middle of a fragmented message, or without a
# write_limit.
PATIENCE = 0.05


class Gap(NamedTuple):
    """
    Messages of a topic that a subscriber has not got and will not get.

    Attributes:
        session: The subscriber.
        topic: The topic.
        position: Where the subscription goes on; :obj:`None` without history.
    """

    session: Session
    topic: str
    position: str | None


class Subscription:
    """
    A session's part in a topic.

    Attributes:
        session: The session.
        topic: The topic.
        recovered: Whether the connection got every message after ``since``. False
            if ``since`` was not given: who begins, too, has to load a state first.
        position: Where the subscription began to be live, to be given back as
            ``since``; :obj:`None` on topics without history.
        missed: How many messages were sent before it was live: those after ``since``,
            or else the ``recent`` ones.
        cursor: Number of the last message that was sent, while the subscriber is
            behind; :obj:`None` while it is in step.
        is_live: Whether it was in step at some time.
        has_gap: Whether there is a gap nobody was told about so far.
        send: Sends prepared messages to the connection.
    """

    __slots__ = (
        "__weakref__",
        "_settled",
        "cursor",
        "feed",
        "has_gap",
        "is_live",
        "missed",
        "on_gap",
        "position",
        "recovered",
        "send",
        "session",
        "topic",
    )

    def __init__(self, session: Session, feed: Feed, on_gap: OnGap | None) -> None:
        self.session = session
        self.feed = feed
        self.topic = feed.topic
        self.on_gap = on_gap or feed.settings.on_gap
        self.send: Send = session.send
        self.cursor: int | None = None
        self.has_gap = False
        self.is_live = False
        self._settled: asyncio.Future[None] | None = None
        self.recovered = False
        self.missed = 0
        self.position: str | None = None

    def __repr__(self) -> str:
        return f"<Subscription {self.topic!r} recovered={self.recovered}>"

    def go_live(self) -> None:
        """
        Take in that nothing is missing any more.
        """
        self.cursor = None
        if not self.is_live:
            self.is_live = True
            self.position = self.head()
            self.settle()

    def settle(self) -> None:
        """
        Let subscribe() return.
        """
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(None)

    async def wait_settled(self) -> None:
        """
        Wait until the subscription is live, or never will be.
        """
        if not self.is_live:
            self._settled = asyncio.get_running_loop().create_future()
            await self._settled

    def head(self) -> str | None:
        """
        Return the position of the newest message.
        """
        head = self.feed.head
        return None if head is None else str(head)


class Registry(Protocol):
    """
    The side of the hub.
    """

    max_topics: int
    counters: Counter[str]

    async def enter(self, session: Session) -> None: ...
    async def leave(self, session: Session) -> None: ...
    async def acquire(self, topic: str) -> Feed: ...
    async def release(self, feed: Feed) -> None: ...
    async def joined(self, session: Session, feed: Feed) -> None: ...
    async def left(
        self, session: Session, feed: Feed, *, for_good: bool = False
    ) -> None: ...
    def spawn(self, coroutine: Any) -> asyncio.Task[Any]: ...


class Session:
    """
    A connection that is attached to a hub; :meth:`.Hub.attach` makes it.

    A context manager: inside, the connection is registered. On any exit it is not
    any more, and its subscriptions end.

    Attributes:
        connection: The connection.
        user: The user's name; :obj:`None` for nobody in particular.
        info: What others may know about the user, for :meth:`.Hub.members`.
    """

    def __init__(
        self,
        hub: Registry,
        connection: FanOutConnection,
        user: str | None,
        info: Any,
    ) -> None:
        self.connection = connection
        self.user = user
        self.info = info
        self.send: Send = connection.fan_out
        self._hub = hub
        self._subscriptions: dict[str, Subscription] = {}
        # Subscriptions to what is for this user, and for everybody.
        self._mailboxes: list[Subscription] = []
        # Subscribing and unsubscribing, one after the other.
        self._changing = asyncio.Lock()
        self._catching_up: asyncio.Task[None] | None = None
        self._is_attached = False

    def __repr__(self) -> str:
        return f"<Session user={self.user!r} topics={len(self._subscriptions)}>"

    async def __aenter__(self) -> Self:
        self._is_attached = True
        try:
            await self._hub.enter(self)
        except BaseException:
            await self._detach()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._detach()

    async def _detach(self) -> None:
        """
        End everything. No await comes before all is unregistered here: this runs
        when the handler is cancelled, too.
        """
        self._is_attached = False
        if self._catching_up is not None:
            self._catching_up.cancel()
        subscriptions = [*self._subscriptions.values(), *self._mailboxes]
        self._subscriptions.clear()
        self._mailboxes.clear()
        for subscription in subscriptions:
            subscription.feed.part(subscription)
            subscription.settle()
        # What the broker has to hear is said by a task that nobody cancels.
        await asyncio.shield(self._hub.spawn(self._say_goodbye(subscriptions)))

    async def _say_goodbye(self, subscriptions: list[Subscription]) -> None:
        """
        Tell the hub, and others by way of the broker.
        """
        for subscription in subscriptions:
            await self._hub.left(self, subscription.feed)
            await self._hub.release(subscription.feed)
        await self._hub.leave(self)

    def listen(self, feed: Feed) -> None:
        """
        Receive what is for this user, or for everybody.
        """
        subscription = Subscription(self, feed, None)
        self._mailboxes.append(subscription)
        feed.join(subscription)

    @property
    def subscriptions(self) -> Mapping[str, Subscription]:
        """
        The subscriptions, by topic.
        """
        return dict(self._subscriptions)

    async def subscribe(
        self,
        topic: str,
        *,
        since: str | None = None,
        recent: int = 0,
        on_gap: OnGap | None = None,
    ) -> Subscription:
        """
        Receive a topic: first what was missed, then what is new.

        Everything published after this returns is sent to the connection, nothing
        twice. A second subscription to the same topic replaces the first.

        Args:
            topic: The topic.
            since: A position from an earlier subscription or message, maybe of
                another process. All messages after it are sent to the connection
                before this returns, or it is told that this is impossible. What is
                no position, whatever a client sent, is one that does not help.
            recent: For who begins, or cannot recover: how many of the last messages
                are sent to the connection before this returns, as far as there are.
            on_gap: As for :meth:`.Hub.topic`, for this subscription.

        Returns:
            The subscription, with ``recovered``, ``position`` and ``missed``.

        Raises:
            BrokerUnavailable: The broker does not answer. Nothing has changed.
            LimitExceeded: The session has ``max_topics`` subscriptions, or the
                name is too long.
            ValueError: The name is empty or has control characters, or ``recent``
                is negative.
            RuntimeError: The session has ended.
        """
        if recent < 0:
            raise ValueError("recent must be positive or equal to zero")
        async with self._changing:
            self._check_room(topic)
            feed = await self._hub.acquire(topic)
            try:
                subscription = Subscription(self, feed, on_gap)
                cursor = None if since is None else await feed.recover(since)
                subscription.recovered = cursor is not None
                if cursor is None and recent:
                    cursor = await feed.recall(recent)
                if not self._is_attached:
                    raise RuntimeError("the session has ended")
            except BaseException:
                await asyncio.shield(self._hub.spawn(self._hub.release(feed)))
                raise
            # No await from here to the point where the subscription is live.
            former = self._subscriptions.get(topic)
            if former is not None:
                former.feed.part(former)
            self._subscriptions[topic] = subscription
            if cursor is not None and feed.head is not None:
                subscription.missed = feed.head.offset - cursor
                subscription.cursor = cursor if subscription.missed else None
            feed.join(subscription)
            if cursor is None or not subscription.missed:
                subscription.go_live()
            if former is None:
                await self._hub.joined(self, feed)
            else:
                await self._hub.release(former.feed)
            if not subscription.is_live:
                await self._recover(subscription)
            return subscription

    def _check_room(self, topic: str) -> None:
        """
        Check that there may be one more subscription.
        """
        if not self._is_attached:
            raise RuntimeError("the session is not attached: use 'async with'")
        size = len(self._subscriptions) + (topic not in self._subscriptions)
        if size > self._hub.max_topics:
            raise LimitExceeded(
                "topics of one connection", size, self._hub.max_topics, "max_topics"
            )

    async def _recover(self, subscription: Subscription) -> None:
        """
        Wait until a subscription is in step, or never will be.
        """
        self.catch_up_soon()
        await subscription.wait_settled()
        if not subscription.is_live:
            subscription.recovered = False

    async def unsubscribe(self, topic: str) -> None:
        """
        Receive a topic no longer; nothing happens if it was not subscribed to.

        The user leaves the topic at once, unless other connections are there: only
        those whose connection ends are waited for.
        """
        async with self._changing:
            subscription = self._subscriptions.pop(topic, None)
            if subscription is None:
                return
            subscription.feed.part(subscription)
            await self._hub.left(self, subscription.feed, for_good=True)
            await self._hub.release(subscription.feed)

    # Those who are behind.

    def catch_up_soon(self) -> None:
        """
        Have somebody see to the subscriptions that are behind.
        """
        if self._is_attached and (
            self._catching_up is None or self._catching_up.done()
        ):
            self._catching_up = self._hub.spawn(self._catch_up())

    async def _catch_up(self) -> None:
        """
        Send what is missing, as fast as the peer takes it.
        """
        try:
            await self._serve_those_behind()
        except ConnectionClosed:
            # The handler finds out by itself.
            return
        except Exception:
            logger.exception("subscriber could not be served")
            await self.connection.close(1011, "internal error")
        finally:
            for subscription in self._subscriptions.values():
                subscription.settle()

    def _behind(self) -> list[Subscription]:
        """
        Return the subscriptions that need attention.
        """
        return [
            subscription
            for subscription in self._subscriptions.values()
            if subscription.cursor is not None or subscription.has_gap
        ]

    async def _serve_those_behind(self) -> None:
        """
        Bring all subscriptions in step, or tell that this is impossible.
        """
        is_stuck = False
        while behind := self._behind():
            progress = False
            for subscription in behind:
                if subscription.has_gap:
                    progress = True
                    subscription.has_gap = False
                    if not await self._tell(subscription):
                        return
                elif subscription.cursor is not None:
                    progress |= subscription.feed.advance(subscription)
            if progress:
                is_stuck = False
                continue
            if self.connection.state != OPEN:
                return
            await self.connection.wait_drained()
            if is_stuck:
                await asyncio.sleep(PATIENCE)
            is_stuck = True

    async def _tell(self, subscription: Subscription) -> bool:
        """
        Tell about a gap; return whether the connection goes on.
        """
        self._hub.counters["gaps"] += 1
        subscription.recovered = subscription.recovered and subscription.is_live
        if subscription.on_gap is not None:
            gap = Gap(self, subscription.topic, subscription.head())
            await subscription.on_gap(gap)
            return True
        await self.connection.close(TRY_AGAIN_LATER, "messages lost")
        return False
