"""
The hub: connections, users and topics of one process, joined with those of others.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from time import monotonic
from types import TracebackType
from typing import Any, Literal, Self

from .brokers.base import CONTROL, Broker, Packet, Publication
from .brokers.choosing import broker_for
from .connections import FanOutConnection
from .exceptions import BrokerUnavailable
from .feed import Feed
from .outgoing import Outgoing
from .presence import Attendance, Member, PresenceEvent, Roster
from .publisher import (
    EVERYBODY,
    Publishing,
    channel_of_topic,
    channel_of_user,
    to_json,
)
from .session import Session
from .topics import Envelope, OnGap, OnPresence, Settings, Topics, check_name

__all__ = ["Hub"]

logger = logging.getLogger("socketeer.pubsub")

# Seconds between looks at what time has brought.
HOUSEKEEPING = 1.0

# Seconds after which the position of a silent topic is compared with its log, and
# how many topics are in one go.
IDLE = 40.0
MAX_CHECKS = 100


class Hub(Publishing):
    """
    Publishes messages, and sends them to the connections which subscribed.

    An asynchronous context manager, which starts the hub and stops it; a hub that
    is used otherwise starts by itself. A hub belongs to one event loop. From other
    threads, use :func:`asyncio.run_coroutine_threadsafe`.

    Args:
        url: Where the broker is that joins the hubs of all processes:
            ``"redis://..."``, for instance. By default, there is none, and the hub
            serves this process alone.
        broker: A broker, instead of ``url``.
        topics: What is set for topics, if several hubs or publishers share it. What
            is given here of ``slow``, ``max_backlog``, ``envelope`` and ``on_gap`` then
            counts for :meth:`broadcast` and :meth:`send` alone.
        slow: What happens to connections that cannot keep up, on topics without
            history, with :meth:`broadcast` and with :meth:`send`; as
            ``on_overflow`` of :func:`~socketeer.asyncio.server.broadcast`.
        max_backlog: Bytes that may wait to be sent to a connection before it
            counts as slow.
        envelope: As for :meth:`topic`, for all topics.
        on_gap: As for :meth:`topic`, for all topics.
        max_topics: Most topics of one connection.
        max_message_size: Most bytes of a message.
        grace: Seconds for which a user counts as present after the last
            connection, so that reconnecting is not leaving.
        clock: Seconds; as :func:`time.monotonic`.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        broker: Broker | None = None,
        topics: Topics | None = None,
        slow: Literal["close", "drop", "latest"] = "close",
        max_backlog: int = 2**20,
        envelope: Envelope | None = None,
        on_gap: OnGap | None = None,
        max_topics: int = 128,
        max_message_size: int = 2**20,
        grace: float = 15.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        own = Topics(
            slow=slow, max_backlog=max_backlog, envelope=envelope, on_gap=on_gap
        )
        super().__init__(
            broker_for(url) if broker is None else broker,
            own if topics is None else topics,
            max_message_size,
        )
        self.max_topics = max_topics
        self.counters: Counter[str] = Counter()
        # For what goes to users and to everybody.
        self._settings = own.settings("")
        self._clock = clock
        self._grace = grace
        self._attendance = Attendance(grace)
        self._feeds: dict[str, Feed] = {}
        self._outgoing = Outgoing()
        self._rosters: dict[str, Roster] = {}
        self._sessions: set[Session] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._started: asyncio.Task[None] | None = None

    # Life.

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            # Others may wait for the start, but nobody would stop the hub.
            await self.stop()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """
        Connect to the broker; nothing happens if the hub is started.

        Raises:
            BrokerUnavailable: The broker does not answer.
        """
        if self._started is None:
            self._started = self.spawn(self._start())
        task = self._started
        try:
            await asyncio.shield(task)
        except BaseException:
            if task.done() and self._started is task:
                self._started = None
            raise

    async def _start(self) -> None:
        """
        Start for all who wait for it.
        """
        await self._broker.start(self)
        feed = self._feed(EVERYBODY, "", self._settings)
        feed.users += 1
        await feed.ready()
        self._is_started = True
        self.spawn(self._keep_house())

    async def stop(self) -> None:
        """
        Leave the broker. Connections stay open, and get nothing more.

        The users of this process count as present for ``grace`` seconds, so that
        those who come back to another process never left.
        """
        for task in list(self._tasks):
            if task is not asyncio.current_task():
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._outgoing.deliver()
        self._feeds.clear()
        self._rosters.clear()
        if self._started is not None:
            self._started = None
            self._is_started = False
            await self._broker.stop(self._grace)

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """
        Run a coroutine in a task that ends with the hub at the latest.
        """
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _keep_house(self) -> None:
        """
        See to what time brings.
        """
        while True:
            await asyncio.sleep(HOUSEKEEPING)
            try:
                await self.keep_house()
            except BrokerUnavailable as exc:
                logger.info("broker is away: %s", exc)

    async def keep_house(self) -> None:
        """
        Let users go whose grace is over, forget old messages, check silent topics.
        The hub does this each second.

        Raises:
            BrokerUnavailable: The broker does not answer.
        """
        now = self._clock()
        stale = []
        for feed in self._feeds.values():
            if feed.log is not None:
                feed.log.trim(now)
                if feed.verified_at < now - IDLE:
                    stale.append(feed)
        for feed in stale[:MAX_CHECKS]:
            feed.check()
        await self._let_go(now)

    async def _let_go(self, now: float) -> None:
        """
        Tell all processes who is not here any more.

        Raises:
            BrokerUnavailable: The broker does not answer; it is told later.
        """
        gone = self._attendance.expire(now)
        try:
            while gone:
                place, user, _ = gone[-1]
                await self._broker.leave(place, user)
                await self._announce(place, {"leave": [self._broker.node, user]})
                gone.pop()
        finally:
            for entry in gone:
                self._attendance.restore(*entry, now)

    # What is where.

    def topic(  # noqa: D102 (it has that of Topics.topic)
        self,
        pattern: str,
        *,
        history: int = 0,
        max_bytes: int = 2**20,
        max_age: float = 300.0,
        presence: bool = False,
        slow: Literal["close", "drop", "latest"] | None = None,
        max_backlog: int | None = None,
        envelope: Envelope | None = None,
        on_gap: OnGap | None = None,
        on_presence: OnPresence | None = None,
    ) -> None:
        self._topics.topic(
            pattern,
            history=history,
            max_bytes=max_bytes,
            max_age=max_age,
            presence=presence,
            slow=slow,
            max_backlog=max_backlog,
            envelope=envelope,
            on_gap=on_gap,
            on_presence=on_presence,
        )

    topic.__doc__ = Topics.topic.__doc__

    def attach(
        self, connection: FanOutConnection, user: str | None = None, info: Any = None
    ) -> Session:
        """
        Let a connection take part.

        Args:
            connection: The connection.
            user: The user's name, if connections belong to users. Whoever calls
                this has checked it.
            info: What others may know about the user; anything that JSON can say.

        Returns:
            The session, a context manager, inside of which the connection is
            registered.

        Raises:
            LimitExceeded: The name is too long.
            TypeError: The info cannot be said in JSON.
            ValueError: The name is empty or has control characters.
        """
        if user is not None:
            check_name("user", user)
        to_json(info)
        self._outgoing.use(connection)
        return Session(self, connection, user, info)

    async def members(self, topic: str) -> list[Member]:
        """
        Return who is subscribed to a topic, in any process.

        Only users count, on topics with ``presence=True``.

        Raises:
            BrokerUnavailable: The broker does not answer.
        """
        return await self._present(channel_of_topic(check_name("topic", topic)))

    async def users(self) -> list[Member]:
        """
        Return the users who have connections in any process.

        Raises:
            BrokerUnavailable: The broker does not answer.
        """
        return await self._present(EVERYBODY)

    async def _present(self, place: str) -> list[Member]:
        """
        Return the users of all processes' entries.
        """
        await self.start()
        entries = await self._broker.present(place)
        infos = {user: info for (_, user), info in entries.items()}
        return [Member(user, json.loads(infos[user])) for user in sorted(infos)]

    def statistics(self) -> dict[str, int]:
        """
        Return numbers about this process.

        Returns:
            ``connections``, ``topics``, ``subscriptions``, those ``behind`` and the
            bytes in logs, ``log_bytes``, as they are; since the hub was made,
            messages ``received`` from the broker, ``dropped`` for slow connections
            and ``repaired`` from the log, how often connections ``fell_behind``,
            and ``gaps`` that were told.
        """
        feeds = [feed for feed in self._feeds.values() if feed.topic]
        now = {
            "connections": len(self._sessions),
            "topics": len(feeds),
            "subscriptions": sum(len(feed) + len(feed.behind) for feed in feeds),
            "behind": sum(len(feed.behind) for feed in feeds),
            "log_bytes": sum(feed.log.size for feed in feeds if feed.log is not None),
        }
        since = ("received", "dropped", "repaired", "fell_behind", "gaps")
        return now | {name: self.counters[name] for name in since}

    # The side of sessions.

    def _feed(self, channel: str, topic: str, settings: Settings) -> Feed:
        """
        Return the feed of a channel, a new one if need be.
        """
        feed = self._feeds.get(channel)
        if feed is None:
            feed = self._feeds[channel] = Feed(
                topic,
                channel,
                settings,
                self._broker,
                clock=self._clock,
                on_control=self._on_control,
                outgoing=self._outgoing,
                spawn=self.spawn,
                counters=self.counters,
            )
        return feed

    async def acquire(self, topic: str) -> Feed:
        """
        Hold on to a topic's feed, which follows the topic when this returns.

        Raises:
            BrokerUnavailable: The broker does not answer.
        """
        channel = channel_of_topic(check_name("topic", topic))
        return await self._acquire(channel, topic, self._topics.settings(topic))

    async def _acquire(self, channel: str, topic: str, settings: Settings) -> Feed:
        """
        Hold on to a feed.
        """
        feed = self._feed(channel, topic, settings)
        feed.users += 1
        try:
            await feed.ready()
            if settings.on_presence is not None and channel not in self._rosters:
                await self._begin_roster(channel)
        except BaseException:
            await asyncio.shield(self.spawn(self.release(feed)))
            raise
        return feed

    async def release(self, feed: Feed) -> None:
        """
        Let go of a feed; the last one unsubscribes.
        """
        feed.users -= 1
        if feed.users or self._feeds.get(feed.channel) is not feed:
            return
        del self._feeds[feed.channel]
        self._rosters.pop(feed.channel, None)
        try:
            await self._broker.unsubscribe(feed.channel)
        except BrokerUnavailable as exc:
            logger.info("not unsubscribed from %r: %s", feed.channel, exc)

    async def enter(self, session: Session) -> None:
        """
        Register a session.

        Raises:
            BrokerUnavailable: The broker does not answer. Nothing was registered.
        """
        await self.start()
        everybody = self._feed(EVERYBODY, "", self._settings)
        everybody.users += 1
        session.listen(everybody)
        if session.user is not None:
            channel = channel_of_user(session.user)
            session.listen(await self._acquire(channel, "", self._settings))
            await self._attend(EVERYBODY, session)
        self._sessions.add(session)

    async def leave(self, session: Session) -> None:
        """
        Forget a session.
        """
        self._sessions.discard(session)
        if session.user is not None:
            self._attendance.leave(EVERYBODY, session.user, session, self._clock())

    async def joined(self, session: Session, feed: Feed) -> None:
        """
        Note that a session has subscribed.

        Raises:
            BrokerUnavailable: The broker does not answer.
        """
        if feed.settings.presence and session.user is not None:
            await self._attend(feed.channel, session)

    async def _attend(self, place: str, session: Session) -> None:
        """
        Note that a session's user is in a place.
        """
        user, info = session.user, session.info
        assert user is not None
        if self._attendance.enter(place, user, session, info):
            await self._enter(place, user, info)

    async def _enter(self, place: str, user: str, info: Any) -> None:
        """
        Tell all processes that a user is in a place.
        """
        await self._broker.enter(place, user, to_json(info).encode())
        await self._announce(place, {"enter": [self._broker.node, user, info]})

    async def left(
        self, session: Session, feed: Feed, *, for_good: bool = False
    ) -> None:
        """
        Note that a session has ended, or has unsubscribed: that is for good.
        """
        if not feed.settings.presence or session.user is None:
            return
        now = self._clock()
        self._attendance.leave(
            feed.channel, session.user, session, now, for_good=for_good
        )
        if for_good:
            try:
                await self._let_go(now)
            except BrokerUnavailable as exc:
                logger.info("user has not left yet: %s", exc)

    async def _announce(self, place: str, value: dict[str, Any]) -> None:
        """
        Tell the hubs of other processes what happened on a topic.
        """
        if place != EVERYBODY:
            packet = Packet(CONTROL, to_json(value).encode())
            await self._broker.publish(place, packet)

    # The side of the broker.

    def received(self, channel: str, publication: Publication) -> None:
        """
        Take a publication.
        """
        feed = self._feeds.get(channel)
        if feed is not None:
            self.counters["received"] += 1
            feed.receive(publication)

    def resumed(self) -> None:
        """
        Take in that publications may have been lost.
        """
        for feed in self._feeds.values():
            feed.mistrust()
        for channel in self._rosters:
            self.spawn(self._refresh_roster(channel))

    def nodes_changed(self, alive: frozenset[str]) -> None:
        """
        Take in which processes are there.
        """
        for channel, roster in self._rosters.items():
            for node, user in roster.entries():
                if node not in alive:
                    self._left(channel, roster, node, user)

    def forgotten(self) -> None:
        """
        Enter again: others believed this process to be gone.
        """
        self.spawn(self._enter_again())

    async def _enter_again(self) -> None:
        """
        Tell all processes who is here.
        """
        try:
            for place, user, info in self._attendance.entries():
                await self._enter(place, user, info)
        except BrokerUnavailable as exc:
            logger.info("presence was not renewed: %s", exc)

    def _on_control(self, feed: Feed, payload: bytes) -> None:
        """
        Take what another hub, or this one, said.
        """
        value = json.loads(payload)
        if "close" in value:
            code, reason = value["close"]
            for subscription in feed.members():
                self.spawn(subscription.session.connection.close(code, reason))
            return
        roster = self._rosters.get(feed.channel)
        if roster is None:
            return
        if "enter" in value:
            node, user, info = value["enter"]
            if roster.enter(node, user, info):
                self._tell(feed, PresenceEvent("join", feed.topic, user, info))
        elif "leave" in value:
            node, user = value["leave"]
            self._left(feed.channel, roster, node, user)

    # Who is there, as heard.

    async def _begin_roster(self, channel: str) -> None:
        """
        Learn who is there, without telling anybody.
        """
        roster = Roster()
        for (node, user), info in (await self._broker.present(channel)).items():
            roster.enter(node, user, json.loads(info))
        self._rosters.setdefault(channel, roster)

    async def _refresh_roster(self, channel: str) -> None:
        """
        Learn who came and went while the broker was away.
        """
        roster, feed = self._rosters.get(channel), self._feeds.get(channel)
        try:
            entries = await self._broker.present(channel)
        except BrokerUnavailable as exc:
            logger.info("presence was not read: %s", exc)
            return
        if roster is None or feed is None or self._rosters.get(channel) is not roster:
            return
        for node, user in roster.entries():
            if (node, user) not in entries:
                self._left(channel, roster, node, user)
        for (node, user), text in entries.items():
            info = json.loads(text)
            if roster.enter(node, user, info):
                self._tell(feed, PresenceEvent("join", feed.topic, user, info))

    def _left(self, channel: str, roster: Roster, node: str, user: str) -> None:
        """
        Take an entry off a roster, and tell if it was the user's last one.
        """
        feed = self._feeds.get(channel)
        has_left, info = roster.leave(node, user)
        if has_left and feed is not None:
            self._tell(feed, PresenceEvent("leave", feed.topic, user, info))

    def _tell(self, feed: Feed, event: PresenceEvent) -> None:
        """
        Tell the application about somebody, and subscribers what it says.
        """
        assert feed.settings.on_presence is not None
        try:
            message = feed.settings.on_presence(event)
            if message is not None and feed:
                feed.deliver_prepared(self._outgoing.prepare(message))
        except Exception:
            logger.exception("on_presence of topic %r failed", feed.topic)
