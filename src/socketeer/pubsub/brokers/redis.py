"""
A broker that joins processes and machines: Redis or Valkey, from 6.2 on.

Two connections: one for scripts, in batches, and one for channels. When the second
one breaks, it is made again, with pauses of random length; then the hub is told, and
reads what it missed from the logs.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..exceptions import BrokerUnavailable
from ..history import Retention
from ..positions import Position
from .base import Packet, Reading, Receiver
from .redis_addresses import Clients, clients_for
from .redis_channels import Channels
from .redis_commands import TROUBLE, Commands
from .redis_scripts import (
    ALIVE,
    LIVING,
    Call,
    Names,
    parse_reading,
    publish_call,
    read_call,
)

__all__ = ["RedisBroker"]

logger = logging.getLogger("socketeer.pubsub")

# Seconds for which entries stay without being renewed.
ENTRIES_AGE = 3600

# Seconds between attempts to publish while Redis is away, with ``wait``.
PATIENCE = 0.2


class RedisBroker:
    """
    A broker over Redis or Valkey.

    Needs ``socketeer[redis]``, and a user who may execute EVAL, EVALSHA, PUBLISH,
    SUBSCRIBE, UNSUBSCRIBE, PING, SELECT, INFO, TIME, DEL, EXPIRE, PEXPIRE and commands
    on hashes, streams, strings and sorted sets, on keys and channels that begin with
    the prefix and a colon.

    Args:
        url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, as of redis-py;
            ``redis+sentinel://host:port,host:port/service/database``;
            ``redis+cluster://host:port``.
        prefix: What the names of keys and channels begin with: applications with
            different prefixes may share a server.
        timeout: Seconds after which Redis is taken to be away.
        wait: Seconds for which publishing waits for Redis to come back, instead of
            failing at once.
        lease: Seconds after which the users of a process that was killed are gone.
        chance: Returns random numbers from 0 to 1.

    Attributes:
        node: The name of this process.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "socketeer",
        timeout: float = 5.0,
        wait: float = 0.0,
        lease: float = 6.0,
        chance: Callable[[], float] = random.random,
    ) -> None:
        # Says early what is wrong with the address.
        clients_for(url, timeout)
        self.node = secrets.token_urlsafe(9)
        self._url = url
        self._names = Names(prefix)
        self._timeout = timeout
        self._wait = wait
        self._lease = lease
        self._chance = chance
        self._loop: asyncio.AbstractEventLoop | None = None
        self._receiver: Receiver | None = None
        self._clients: Clients | None = None
        self._commands: Commands | None = None
        self._channels: Channels | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._entered: set[tuple[str, str]] = set()
        # The lease may have run out during an outage.
        self._is_back = asyncio.Event()

    # Life.

    async def start(self, receiver: Receiver) -> None:
        self._loop = asyncio.get_running_loop()
        self._receiver = receiver
        clients = self._clients = clients_for(self._url, self._timeout)
        self._commands = Commands(clients, self._timeout)
        self._channels = Channels(
            clients,
            self._names,
            f"node:{self.node}",
            receiver,
            timeout=self._timeout,
            chance=self._chance,
            on_return=self._is_back.set,
        )
        try:
            await self._channels.wait_connected()
            await self._stay_alive()
        except BaseException:
            await self._end()
            raise
        self._renewing = asyncio.get_running_loop().create_task(self._keep_alive())

    async def stop(self, linger: float) -> None:
        if self._commands is None:
            return
        try:
            lease = int(linger * 1000) if self._entered else 0
            await self._call(Call(ALIVE, [self._names.nodes], [self.node, lease]))
        except BrokerUnavailable as exc:
            logger.info("left without a word: %s", exc)
        self._entered.clear()
        await self._end()

    async def _end(self) -> None:
        """
        Release everything.
        """
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
        if self._channels is not None:
            await self._channels.end()
        if self._commands is not None:
            await self._commands.end()
        if self._clients is not None:
            for client in self._clients.all:
                with suppress(*TROUBLE):
                    await client.aclose()
        self._renewing = self._channels = self._commands = self._clients = None

    def _check_loop(self) -> None:
        """
        Check that the tasks which talk to Redis are of this event loop: nobody would
        ever answer otherwise.

        Raises:
            RuntimeError: They are not.
        """
        if self._loop is not asyncio.get_running_loop():
            raise RuntimeError(
                "connected to Redis in another event loop, and not stopped there; "
                "in programs without a lasting event loop, use SyncPublisher"
            )

    async def _call(self, what: Call | tuple[Any, ...]) -> Any:
        """
        Have Redis do something; return the answer.

        Raises:
            BrokerUnavailable: Redis does not answer, or refuses.
            RuntimeError: This is another event loop.
        """
        if self._commands is None:
            raise BrokerUnavailable("not connected to Redis: the hub is stopped")
        self._check_loop()
        return await self._commands.call(what)

    async def subscribe(self, channel: str) -> None:
        if self._channels is None:
            raise BrokerUnavailable("not connected to Redis: the hub is stopped")
        self._check_loop()
        await self._channels.subscribe(channel)

    async def unsubscribe(self, channel: str) -> None:
        if self._channels is not None:
            self._channels.unsubscribe(channel)

    async def publish(
        self,
        channel: str,
        packet: Packet,
        retention: Retention | None = None,
        key: str | None = None,
    ) -> Position | None:
        if self._wait and key is None:
            # Makes it safe to try again.
            key = secrets.token_urlsafe(12)
        epoch = secrets.token_urlsafe(6)
        call = publish_call(self._names, channel, packet, retention, key, epoch)
        what = call if isinstance(call, Call) else ("PUBLISH", *call)
        answer = await self._call_patiently(what)
        return Position.parse(answer.decode()) if retention is not None else None

    async def _call_patiently(self, what: Call | tuple[Any, ...]) -> Any:
        """
        Call, and wait for Redis to come back, if that is wanted.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + self._wait
        while True:
            try:
                return await self._call(what)
            except BrokerUnavailable:
                if loop.time() + PATIENCE > end:
                    raise
                await asyncio.sleep(PATIENCE)

    async def read(
        self, channel: str, after: Position | None, retention: Retention
    ) -> Reading:
        epoch = secrets.token_urlsafe(6)
        call = read_call(self._names, channel, after, retention, epoch)
        return parse_reading(await self._call(call))

    # Presence.

    async def enter(self, channel: str, user: str, info: bytes) -> None:
        self._entered.add((channel, user))
        key = self._names.key("present", channel)
        await self._call(("HSET", key, f"{self.node} {user}", info))
        await self._call(("EXPIRE", key, ENTRIES_AGE))

    async def leave(self, channel: str, user: str) -> None:
        self._entered.discard((channel, user))
        key = self._names.key("present", channel)
        await self._call(("HDEL", key, f"{self.node} {user}"))

    async def present(self, channel: str) -> dict[tuple[str, str], bytes]:
        key = self._names.key("present", channel)
        entries = as_dict(await self._call(("HGETALL", key)))
        nodes = await self._call(Call(LIVING, [self._names.nodes], []))
        living = {node.decode() for node in nodes}
        found, dead = {}, []
        for field, info in entries.items():
            node, _, user = field.decode().partition(" ")
            if node in living:
                found[node, user] = info
            else:
                dead.append(field)
        if dead:
            await self._call(("HDEL", key, *dead))
        return found

    async def _keep_alive(self) -> None:
        """
        Renew the lease of this process.
        """
        loop = asyncio.get_running_loop()
        renewed_at = loop.time()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._lease / 3):
                    await self._is_back.wait()
            self._is_back.clear()
            try:
                await self._stay_alive()
                if loop.time() > renewed_at + ENTRIES_AGE / 4:
                    renewed_at = loop.time()
                    for channel in {channel for channel, _ in self._entered}:
                        key = self._names.key("present", channel)
                        await self._call(("EXPIRE", key, ENTRIES_AGE))
            except BrokerUnavailable as exc:
                logger.info("lease was not renewed: %s", exc)

    async def _stay_alive(self) -> None:
        """
        Renew the lease once; see who else is there.
        """
        lease = int(self._lease * 1000)
        call = Call(ALIVE, [self._names.nodes], [self.node, lease])
        was_gone, *nodes = await self._call(call)
        assert self._receiver is not None
        self._receiver.nodes_changed(frozenset(node.decode() for node in nodes))
        if was_gone and self._entered:
            self._receiver.forgotten()


def as_dict(answer: Any) -> dict[bytes, bytes]:
    """
    Return a hash, which comes as a list from older protocols.
    """
    if isinstance(answer, dict):
        return answer
    return dict(zip(answer[::2], answer[1::2], strict=True))
