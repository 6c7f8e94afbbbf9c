"""
The chat: who comes, where they are, what they say.

A page takes part with two sessions on one connection. One belongs to its user
and is in one room at a time: it gets every message of that room, and makes the
user present there. The other belongs to nobody and watches the rest, so that
the page can show where something is going on.

What more than one page must see is published. The hub brings it to all of them,
in this process and in others, and delays nobody for a page on a slow network.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import json
import time
from collections.abc import Callable, Collection
from typing import Any

import socketeer
from socketeer.asyncio.server import ServerConnection
from socketeer.exceptions import ConnectionClosed
from socketeer.frames import CloseCode
from socketeer.pubsub import BrokerUnavailable, Hub, Session

from .allowance import Allowance
from .messages import (
    MAX_NICKNAME_LENGTH,
    ChatError,
    Enter,
    Join,
    Ping,
    Say,
    parse_message,
)
from .rooms import RECENT, ROOMS, nickname_of, saying, topic_of

__all__ = ["Chat", "Visit", "unused_nickname", "user_of"]

# Seconds; a page joins as soon as it is connected.
JOIN_TIMEOUT = 10

# Messages that a page may send at once, and then per second. A fast typist
# needs one or two; the page's own pings are counted, too. Who sends more is
# read more slowly, and so has to send more slowly.
BURST = 20
RATE = 5


class Chat:
    """
    A few rooms, in each of which everybody hears everybody.

    Args:
        hub: Where the rooms are.
        keeper: What the pages say about where messages are kept.
        clock: Returns the time of day, in seconds.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        keeper: str = "memory",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.hub = hub
        self.keeper = keeper
        self.clock = clock
        self.naming = asyncio.Lock()

    async def handle(self, connection: ServerConnection) -> None:
        """
        Serve one page: the handler to give to :func:`~socketeer.serve`.

        Returning from a handler closes the connection with code 1000.
        """
        try:
            join = await receive_join(connection)
            async with contextlib.AsyncExitStack() as stack:
                user = user_of(join.token)
                async with self.naming:
                    nickname = await self.find_nickname(user, join.nickname)
                    info = {"nickname": nickname}
                    member = self.hub.attach(connection, user, info)
                    await stack.enter_async_context(member)
                watcher = self.hub.attach(connection)
                await stack.enter_async_context(watcher)
                visit = Visit(self, connection, member, watcher)
                await visit.welcome(nickname)
                await visit.enter(join.room, join.since)
                await visit.listen(nickname)
        except ChatError as error:
            await connection.close(CloseCode.POLICY_VIOLATION, str(error))
        except BrokerUnavailable:
            await connection.close(CloseCode.TRY_AGAIN_LATER, "the broker is away")
        except ConnectionClosed:
            pass  # The network, a laptop's lid, a tab: pages come and go.

    async def find_nickname(self, user: str, nickname: str) -> str:
        """Return the nickname, or one like it that nobody else has."""
        others = [who for who in await self.hub.users() if who.user != user]
        return unused_nickname(nickname, [nickname_of(other) for other in others])

    async def people(self) -> dict[str, list[dict[str, str]]]:
        """Return who is where."""
        return {
            room: [
                {"id": member.user, "nickname": nickname_of(member)}
                for member in await self.hub.members(topic_of(room))
            ]
            for room in ROOMS
        }


class Visit:
    """
    One page, from joining to its end.

    Args:
        chat: The chat.
        connection: The connection to the page.
        member: The session of the page's user.
        watcher: The session that looks into the other rooms.
    """

    def __init__(
        self,
        chat: Chat,
        connection: ServerConnection,
        member: Session,
        watcher: Session,
    ) -> None:
        self.chat = chat
        self.connection = connection
        self.member = member
        self.watcher = watcher
        self.room = ""

    async def send(self, **event: Any) -> None:
        """Tell this page, and nobody else."""
        await self.connection.send(json.dumps(event))

    async def welcome(self, nickname: str) -> None:
        """Tell a new page its name, and where it is."""
        await self.send(
            type="welcome",
            id=self.member.user,
            nickname=nickname,
            server=f"Socketeer {socketeer.__version__}",
            core=socketeer.core_implementation,
            keeper=self.chat.keeper,
        )

    async def enter(self, room: str, since: str | None) -> None:
        """
        Go to a room; send what the page missed there, and then whether it has all.

        Args:
            room: The room.
            since: Position of the last message that the page has seen in this room.
        """
        await self.watcher.unsubscribe(topic_of(room))
        if self.room and self.room != room:
            await self.member.unsubscribe(topic_of(self.room))
        self.room = room
        # What the page gets of the room from here on is without a gap.
        await self.send(type="entering", room=room)
        subscription = await self.member.subscribe(
            topic_of(room), since=since, recent=RECENT
        )
        for other in map(topic_of, ROOMS):
            if other not in self.watcher.subscriptions and other != topic_of(room):
                await self.watcher.subscribe(other)
        await self.send(
            type="entered",
            room=room,
            recovered=subscription.recovered,
            missed=subscription.missed,
            position=subscription.position,
            people=await self.chat.people(),
        )

    async def listen(self, nickname: str) -> None:
        """Do what the page wants, until it is gone."""
        allowance = Allowance(rate=RATE, burst=BURST)
        async for data in self.connection:
            message = parse_message(data)
            await asyncio.sleep(allowance.take(time.monotonic()))
            match message:
                case Say(text, key):
                    await self.say(nickname, text, key)
                case Ping(number):
                    await self.send(type="pong", id=number)
                case Enter(room, since):
                    await self.enter(room, since)
                case Join():
                    raise ChatError("joined already")

    async def say(self, nickname: str, text: str, key: str) -> None:
        """
        Let everybody in the room hear; tell the page whether this worked.

        A page that got no answer says it again with the same key. That is
        harmless: of several messages with one key, only the first is published.
        """
        user = self.member.user
        at = self.chat.clock()
        message = saying(text, key=f"{user}.{key}", nickname=nickname, at=at, by=user)
        try:
            await self.chat.hub.publish_json(
                topic_of(self.room), message, key=message["id"]
            )
        except BrokerUnavailable:
            await self.send(type="not said", key=key)
        else:
            await self.send(type="said", key=key)


async def receive_join(connection: ServerConnection) -> Join:
    """Wait for the page to join."""
    try:
        async with asyncio.timeout(JOIN_TIMEOUT):
            message = parse_message(await connection.recv())
    except TimeoutError as error:
        raise ChatError("expected to join in time") from error
    if not isinstance(message, Join):
        raise ChatError("expected to join first")
    return message


def user_of(token: str) -> str:
    """
    Return the name of a user of the hub: what others see of a page's token.

    Whoever knows the token is this user, so nobody else is told.
    """
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def unused_nickname(nickname: str, taken: Collection[str]) -> str:
    """
    Return the nickname, numbered if somebody has one that looks the same.

    "Ada" and "ada" look the same. The result is never longer than
    ``MAX_NICKNAME_LENGTH``.
    """
    folded = {name.casefold() for name in taken}
    candidate = nickname
    for number in itertools.count(2):
        if candidate.casefold() not in folded:
            break
        suffix = f" {number}"
        candidate = nickname[: MAX_NICKNAME_LENGTH - len(suffix)] + suffix
    return candidate
