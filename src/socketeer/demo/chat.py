"""
The chat room: who is here, what was said, who hears it.

The room is one object; each connection is served by one call of
:meth:`ChatRoom.handle`, which ends when the connection does. Everything that
more than one page must see goes through :func:`~socketeer.broadcast`, which
never waits: a page on a slow network delays nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import secrets
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from typing import Any

import socketeer
from socketeer.asyncio.server import ServerConnection, broadcast
from socketeer.exceptions import ConnectionClosed
from socketeer.frames import CloseCode

from .messages import (
    MAX_NICKNAME_LENGTH,
    ChatError,
    Join,
    Ping,
    Say,
    parse_message,
)

__all__ = ["Allowance", "ChatRoom", "unused_nickname"]

# Seconds; a page joins as soon as it is connected.
JOIN_TIMEOUT = 10

# Messages that a page may send at once, and then per second. A fast typist
# needs one or two; the page's own pings are counted, too.
BURST = 20
RATE = 5

# A page that goes on sending after so many refusals is not a page.
MAX_REFUSALS = 100


class ChatRoom:
    """
    A room in which everybody hears everybody.

    Args:
        capacity: Largest number of members; more are sent away with 1013,
            and their pages try again later.
        memory: Number of past messages shown to those who come.
        clock: Returns the time of day, in seconds.
    """

    def __init__(
        self,
        *,
        capacity: int = 200,
        memory: int = 50,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.members: dict[ServerConnection, str] = {}
        self.history: deque[dict[str, Any]] = deque(maxlen=memory)
        self.capacity = capacity
        self.clock = clock
        # Messages are numbered from 1 in each run of the server. A page that
        # reconnects knows by epoch and number what it has shown already.
        self.epoch = secrets.token_hex(8)
        self.numbers = itertools.count(1)

    async def handle(self, connection: ServerConnection) -> None:
        """
        Serve one page: the handler to give to :func:`~socketeer.serve`.

        Returning from a handler closes the connection with code 1000.
        """
        try:
            nickname = await self.admit(connection)
            if nickname is not None:
                with self.membership(connection, nickname):
                    await self.welcome(connection, nickname)
                    await self.listen(connection, nickname)
        except ChatError as error:
            await connection.close(CloseCode.POLICY_VIOLATION, str(error))
        except ConnectionClosed:
            pass  # The network, a laptop's lid, a tab: pages come and go.

    async def admit(self, connection: ServerConnection) -> str | None:
        """Wait for the page to join; return its nickname if there is room."""
        try:
            async with asyncio.timeout(JOIN_TIMEOUT):
                message = parse_message(await connection.recv())
        except TimeoutError as error:
            raise ChatError("expected to join in time") from error
        if not isinstance(message, Join):
            raise ChatError("expected to join first")
        if len(self.members) >= self.capacity:
            await connection.close(CloseCode.TRY_AGAIN_LATER, "the room is full")
            return None
        return unused_nickname(message.nickname, self.members.values())

    @contextlib.contextmanager
    def membership(self, connection: ServerConnection, nickname: str) -> Iterator[None]:
        """Be a member of the room for the duration of a ``with`` block."""
        self.announce({"type": "joined", "nickname": nickname})
        self.members[connection] = nickname
        try:
            yield
        finally:
            del self.members[connection]
            self.announce({"type": "left", "nickname": nickname})

    async def welcome(self, connection: ServerConnection, nickname: str) -> None:
        """Tell a new member its name, who is here, and what was said."""
        event = {
            "type": "welcome",
            "nickname": nickname,
            "members": list(self.members.values()),
            "epoch": self.epoch,
            "history": list(self.history),
            "server": f"Socketeer {socketeer.__version__}",
            "core": socketeer.core_implementation,
        }
        await connection.send(json.dumps(event))

    async def listen(self, connection: ServerConnection, nickname: str) -> None:
        """Act on what a member sends, until it is gone."""
        allowance = Allowance(rate=RATE, burst=BURST)
        refusals = 0
        async for data in connection:
            message = parse_message(data)
            if not allowance.take(time.monotonic()):
                refusals += 1
                if refusals > MAX_REFUSALS:
                    raise ChatError("too many messages")
                await connection.send(json.dumps({"type": "slow down"}))
                continue
            match message:
                case Say(text):
                    self.say(nickname, text)
                case Ping(number):
                    await connection.send(json.dumps({"type": "pong", "id": number}))
                case Join():
                    raise ChatError("joined already")

    def say(self, nickname: str, text: str) -> None:
        """Let everybody hear, the speaker included, and remember."""
        event = {
            "type": "said",
            "number": next(self.numbers),
            "nickname": nickname,
            "text": text,
            "at": self.clock(),
        }
        self.history.append(event)
        self.announce(event)

    def announce(self, event: dict[str, Any]) -> None:
        """Send an event to all members, without waiting for any of them."""
        broadcast(self.members, json.dumps({"at": self.clock(), **event}))


class Allowance:
    """
    A limit on how often something happens: a token bucket.

    Args:
        rate: How often it may happen in the long run, per second.
        burst: How often it may happen at once after a quiet time.
    """

    def __init__(self, *, rate: float, burst: int) -> None:
        self.rate = rate
        self.burst = burst
        self.tokens = float(burst)
        self.updated_at: float | None = None

    def take(self, now: float) -> bool:
        """Tell whether it may happen at this time, in seconds; count it if so."""
        if self.updated_at is not None:
            earned = (now - self.updated_at) * self.rate
            self.tokens = min(self.burst, self.tokens + earned)
        self.updated_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


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
