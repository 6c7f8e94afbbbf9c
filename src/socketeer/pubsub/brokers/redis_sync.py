"""
Publishing by way of Redis, without asyncio.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel

from ..exceptions import BrokerUnavailable
from ..history import Retention
from ..positions import Position
from .base import Packet
from .redis_addresses import client_options, parse_address
from .redis_scripts import Call, Names, execution, full, publish_call

__all__ = ["SyncRedis"]


class SyncRedis:
    """
    Publishes.

    Args:
        url: The address, as for :class:`.RedisBroker`.
        prefix: What the names of keys and channels begin with.
        timeout: Seconds for connecting and for an answer.
    """

    def __init__(self, url: str, prefix: str, timeout: float) -> None:
        self._names = Names(prefix)
        self._client, self._ends = client_for(url, timeout)

    def close(self) -> None:
        """
        Disconnect.
        """
        for end in self._ends:
            end()

    def publish(
        self, channel: str, packet: Packet, retention: Retention | None, key: str | None
    ) -> Position | None:
        """
        Publish; as that of a broker.

        Raises:
            BrokerUnavailable: Redis does not answer, or refuses.
        """
        epoch = secrets.token_urlsafe(6)
        call = publish_call(self._names, channel, packet, retention, key, epoch)
        what = call if isinstance(call, Call) else ("PUBLISH", *call)
        try:
            try:
                answer = self._client.execute_command(*execution(what))
            except NoScriptError:
                answer = self._client.execute_command(*full(what))
        except (RedisError, OSError) as exc:
            raise BrokerUnavailable(f"Redis is away: {exc}") from exc
        return Position.parse(answer.decode()) if retention is not None else None


def client_for(url: str, timeout: float) -> tuple[Any, list[Callable[[], None]]]:
    """
    Return a client for an address, and what to call to disconnect it.

    Raises:
        ValueError: It cannot be understood.
    """
    options = client_options(timeout, Retry(NoBackoff(), 0))
    kind, address = parse_address(url)
    if kind == "sentinel":
        sentinel: Any = Sentinel(  # type: ignore[no-untyped-call]  # redis-py's
            address.sentinels, sentinel_kwargs=options | address.tls
        )
        client = sentinel.master_for(
            address.service, **options | address.tls | address.options
        )
        return client, [each.close for each in (client, *sentinel.sentinels)]
    if kind == "cluster":
        client = redis.RedisCluster.from_url(address, **options)
        # Made from an address, it keeps the connections of its nodes when it is closed.
        return client, [client.disconnect_connection_pools, client.close]
    client = redis.Redis.from_url(address, **options)
    return client, [client.close]
