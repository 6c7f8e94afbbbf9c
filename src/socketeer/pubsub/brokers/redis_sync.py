"""
Publishing by way of Redis, without asyncio.
"""

from __future__ import annotations

import secrets
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
        self._client = client_for(url, timeout)

    def close(self) -> None:
        """
        Disconnect.
        """
        self._client.close()

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


def client_for(url: str, timeout: float) -> Any:
    """
    Return a client for an address.

    Raises:
        ValueError: It cannot be understood.
    """
    options = client_options(timeout, Retry(NoBackoff(), 0))
    kind, address = parse_address(url)
    if kind == "sentinel":
        sentinel: Any = Sentinel(  # type: ignore[no-untyped-call]  # redis-py's
            address.sentinels, sentinel_kwargs=options | address.tls
        )
        return sentinel.master_for(
            address.service, **options | address.tls | address.options
        )
    if kind == "cluster":
        return redis.RedisCluster.from_url(address, **options)
    return redis.Redis.from_url(address, **options)
