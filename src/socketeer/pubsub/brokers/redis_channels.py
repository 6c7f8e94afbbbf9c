"""
Channels of Redis: who subscribed stays subscribed, through outages.

SUBSCRIBE and UNSUBSCRIBE go out in order and in batches. One who subscribes goes on
when Redis has confirmed it, which it does in the order in which it was asked: there
is one group of waiting people for each SUBSCRIBE on its way. When the connection
breaks it is made again, with pauses of random length, everything that is wanted is
subscribed to, and then the receiver is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..exceptions import BrokerUnavailable
from .redis_commands import BATCH, TROUBLE
from .redis_scripts import parse_publication

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .base import Receiver
    from .redis_addresses import Clients
    from .redis_scripts import Names

__all__ = ["Channels"]

logger = logging.getLogger("socketeer.pubsub")

# Seconds before the first attempt to connect again, and at most between attempts.
# The pause is doubled each time, and cut by up to a half at random, so that not all
# processes come at once.
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 2.0


class Channels:
    """
    Receives what is published on channels.

    Args:
        clients: The clients.
        names: The names of channels.
        own: A channel that is always subscribed to.
        receiver: Is told what arrives.
        timeout: Seconds after which Redis is taken to be away.
        chance: Returns random numbers from 0 to 1.
        on_return: Is called when Redis is back after an outage.
    """

    def __init__(
        self,
        clients: Clients,
        names: Names,
        own: str,
        receiver: Receiver,
        *,
        timeout: float,
        chance: Callable[[], float],
        on_return: Callable[[], None],
    ) -> None:
        self._clients = clients
        self._names = names
        self._own = own
        self._receiver = receiver
        self._timeout = timeout
        self._chance = chance
        self._on_return = on_return
        self._wanted: set[str] = set()
        # Why there is no connection.
        self._trouble = ""
        self._channels: Any = None
        self._said: dict[str, deque[list[asyncio.Future[None]]]] = {}
        self._to_say: deque[tuple[bool, str, list[asyncio.Future[None]]]] = deque()
        self._has_to_say = asyncio.Event()
        self._is_connected = asyncio.Event()
        self._is_over = False
        loop = asyncio.get_running_loop()
        workers = (self._listen, self._speak)
        self._tasks = [loop.create_task(worker()) for worker in workers]

    async def end(self) -> None:
        """
        Receive nothing any more.
        """
        self._is_over = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _check_over(self) -> None:
        """
        Raise a cancellation that redis-py has lost: see :meth:`.Commands.end`.

        Raises:
            asyncio.CancelledError: Nothing is to be received any more.
        """
        if self._is_over:
            raise asyncio.CancelledError

    async def wait_connected(self) -> None:
        """
        Wait until there is a connection.

        Raises:
            BrokerUnavailable: It took too long.
        """
        await self._within(self._is_connected.wait())

    async def _within(self, awaitable: Awaitable[Any]) -> None:
        """
        Wait, but not for long.
        """
        try:
            async with asyncio.timeout(self._timeout):
                await awaitable
        except TimeoutError:
            raise BrokerUnavailable(
                f"no answer from Redis within {self._timeout} s (timeout)"
                + (f": {self._trouble}" if self._trouble else "")
            ) from None

    async def subscribe(self, channel: str) -> None:
        """
        Receive a channel from when this returns.

        Raises:
            BrokerUnavailable: Redis does not confirm it.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wanted.add(channel)
        self._to_say.append((True, channel, [future]))
        self._has_to_say.set()
        try:
            await self._within(future)
        except BaseException:
            # Whoever subscribed to it otherwise has to do so through this object,
            # and a hub subscribes once.
            self.unsubscribe(channel)
            raise

    def unsubscribe(self, channel: str) -> None:
        """
        Receive a channel no longer.
        """
        self._wanted.discard(channel)
        self._to_say.append((False, channel, []))
        self._has_to_say.set()

    async def _speak(self) -> None:
        """
        Subscribe and unsubscribe, in order, in batches.
        """
        while True:
            await self._has_to_say.wait()
            await self._is_connected.wait()
            self._has_to_say.clear()
            # All that is wanted in this turn of the loop.
            await asyncio.sleep(0)
            while self._to_say and self._is_connected.is_set():
                is_subscribe = self._to_say[0][0]
                batch: list[str] = []
                while (
                    self._to_say
                    and self._to_say[0][0] == is_subscribe
                    and len(batch) < BATCH
                ):
                    _, channel, futures = self._to_say.popleft()
                    batch.append(channel)
                    if is_subscribe:
                        self._said.setdefault(channel, deque()).append(futures)
                with suppress(*TROUBLE):
                    # Trouble is noticed where answers are read.
                    await self._say(is_subscribe, batch)

    async def _say(self, is_subscribe: bool, channels: list[str]) -> None:
        """
        Send one command about channels.
        """
        names = [self._names.channel(channel) for channel in channels]
        verb = "SUBSCRIBE" if is_subscribe else "UNSUBSCRIBE"
        await self._channels.execute_command(verb, *names)
        self._check_over()

    async def _listen(self) -> None:
        """
        Stay connected to the channels, whatever happens.
        """
        pause = FIRST_PAUSE
        was_connected = False
        while True:
            try:
                await self._connect_channels()
                if was_connected:
                    logger.info("connected to Redis again")
                    self._receiver.resumed()
                    self._on_return()
                was_connected = True
                self._trouble = ""
                pause = FIRST_PAUSE
                await self._hear()
            except TROUBLE as exc:
                self._trouble = str(exc)
                logger.info("no connection to Redis: %s", exc)
            except Exception:
                # Nobody else would notice that nobody listens.
                logger.exception("listening to Redis failed")
            finally:
                self._is_connected.clear()
                await self._disconnect_channels()
            await asyncio.sleep(pause * (1 - self._chance() / 2))
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _connect_channels(self) -> None:
        """
        Connect, and subscribe to all that is wanted; wait until it is confirmed.
        """
        waiting: dict[str, list[asyncio.Future[None]]] = {}
        for channel, groups in self._said.items():
            waiting[channel] = [future for group in groups for future in group]
        for is_subscribe, channel, futures in self._to_say:
            if is_subscribe:
                waiting.setdefault(channel, []).extend(futures)
        self._to_say.clear()
        self._said = {}
        self._channels = self._clients.channels.pubsub()
        # One of our own, so that there is always something to hear.
        channels = [self._own, *self._wanted]
        for start in range(0, len(channels), BATCH):
            batch = channels[start : start + BATCH]
            for channel in batch:
                groups = self._said.setdefault(channel, deque())
                groups.append(waiting.pop(channel, []))
            async with asyncio.timeout(self._timeout):
                await self._say(True, batch)
        while any(self._said.get(channel) for channel in channels):
            if not await self._hear_one(self._timeout):
                raise TimeoutError("Redis does not confirm a SUBSCRIBE")
        if not self._clients.is_cluster:
            # Connections from before an outage would fail the next command.
            await self._clients.commands.connection_pool.disconnect(
                inuse_connections=False
            )
        self._is_connected.set()

    async def _disconnect_channels(self) -> None:
        """
        Drop the connection.
        """
        channels, self._channels = self._channels, None
        if channels is not None:
            with suppress(*TROUBLE):
                async with asyncio.timeout(self._timeout):
                    await channels.aclose()

    async def _hear(self) -> None:
        """
        Hand on what arrives, until the connection breaks or falls silent.
        """
        silence = self._timeout / 2
        while True:
            if not await self._hear_one(silence):
                await self._channels.execute_command("PING")
                if not await self._hear_one(self._timeout):
                    raise TimeoutError("Redis does not answer a PING")

    async def _hear_one(self, patience: float) -> bool:
        """
        Hand on one thing; tell whether there was any in time.
        """
        heard = await self._channels.parse_response(block=False, timeout=patience)
        self._check_over()
        if not isinstance(heard, list) or len(heard) < 3:
            return heard is not None
        kind, name, content = heard[0], heard[1], heard[2]
        if kind == b"message":
            self._take(self._names.channel_of(name.decode()), content)
        elif kind == b"subscribe":
            self._confirm(self._names.channel_of(name.decode()))
        return True

    def _confirm(self, channel: str) -> None:
        """
        Take in that a channel is subscribed to.
        """
        groups = self._said.get(channel)
        if groups:
            for future in groups.popleft():
                if not future.done():
                    future.set_result(None)
            if not groups:
                del self._said[channel]

    def _take(self, channel: str, content: bytes) -> None:
        """
        Hand on a publication.
        """
        try:
            publication = parse_publication(content)
        except ValueError:
            logger.warning("not a publication, on channel %r", channel)
            return
        try:
            self._receiver.received(channel, publication)
        except Exception:
            # One message's trouble is not that of all which follow.
            logger.exception("message was not handed on, of channel %r", channel)
