"""
From addresses to clients of Redis.

No client repeats a command by itself: when an answer is lost, the command may have
been executed, and a message would be published twice.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from redis import asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from .choosing import check_scheme

__all__ = [
    "Clients",
    "SentinelAddress",
    "client_options",
    "clients_for",
    "parse_address",
]


class Clients(NamedTuple):
    """
    The clients of a broker.

    Attributes:
        commands: For scripts.
        channels: For publish and subscribe.
        is_cluster: Whether ``commands`` is one of a cluster.
        all: All that have to be closed.
    """

    commands: Any
    channels: Any
    is_cluster: bool
    all: list[Any]


class SentinelAddress(NamedTuple):
    """
    Where a master is to be found.

    Attributes:
        sentinels: Hosts and ports.
        service: The name of the master.
        options: Database, user and password.
        tls: What makes all of them speak TLS, if they do.
    """

    sentinels: list[tuple[str, int]]
    service: str
    options: dict[str, Any]
    tls: dict[str, Any]

    @classmethod
    def parse(cls, url: str) -> SentinelAddress:
        """
        Read ``redis+sentinel://user:password@host:port,host:port/service/database``.

        Raises:
            ValueError: There is no service, or a port or database is no number.
        """
        parts = urlsplit(url)
        credentials, _, hosts = parts.netloc.rpartition("@")
        service, _, database = parts.path.strip("/").partition("/")
        if not service:
            raise ValueError("a sentinel address needs a service: .../mymaster")
        sentinels = []
        for host in hosts.split(","):
            name, _, port = host.rpartition(":")
            sentinels.append((name, int(port)) if name else (port, 26379))
        options: dict[str, Any] = dict(parse_qsl(parts.query))
        user, _, password = credentials.partition(":")
        if user:
            options["username"] = unquote(user)
        if password:
            options["password"] = unquote(password)
        options["db"] = int(database or 0)
        tls = {"ssl": True} if parts.scheme == "rediss+sentinel" else {}
        return cls(sentinels, unquote(service), options, tls)


def parse_address(url: str) -> tuple[str, Any]:
    """
    Return the kind of an address, and the address: ``"sentinel"`` with a
    :class:`SentinelAddress`, ``"cluster"`` or ``""`` with one for redis-py.

    Raises:
        ValueError: It cannot be understood.
    """
    check_scheme(url)
    scheme, _, rest = url.partition("://")
    base, _, kind = scheme.partition("+")
    if kind == "sentinel":
        return kind, SentinelAddress.parse(url)
    return kind, f"{base}://{rest}"


def client_options(timeout: float, retry: Any) -> dict[str, Any]:
    """
    Return what clients of all kinds are made with.
    """
    return {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": retry,
        "decode_responses": False,
    }


def clients_for(url: str, timeout: float) -> Clients:
    """
    Return clients for an address. They connect when they are used.

    Args:
        url: The address.
        timeout: Seconds for connecting and for an answer.

    Raises:
        ValueError: It cannot be understood.
    """
    options = client_options(timeout, Retry(NoBackoff(), 0))
    kind, address = parse_address(url)
    if kind == "sentinel":
        tls = address.tls
        sentinel: Any = Sentinel(  # type: ignore[no-untyped-call]  # redis-py's
            address.sentinels, sentinel_kwargs=options | tls
        )
        found = sentinel.master_for(address.service, **options | tls | address.options)
        return Clients(found, found, False, [found, *sentinel.sentinels])
    client = aioredis.Redis.from_url(address, **options)
    if kind == "cluster":
        # PUBLISH reaches the subscribers of every node.
        cluster = aioredis.RedisCluster.from_url(address, **options)
        return Clients(cluster, client, True, [cluster, client])
    return Clients(client, client, False, [client])
