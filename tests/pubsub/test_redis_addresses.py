"""
Every kind of address leads to Redis.
"""

from __future__ import annotations

import asyncio
import contextlib

import pytest
import trustme

from socketeer.pubsub import Hub, SyncPublisher
from socketeer.pubsub.brokers.redis import RedisBroker
from socketeer.pubsub.brokers.redis_addresses import SentinelAddress
from tests.ports import free_port
from tests.pubsub.harness import FakeConnection
from tests.pubsub.over_redis import until
from tests.pubsub.redis_server import RedisServer

pytestmark = [pytest.mark.anyio, pytest.mark.ours]


async def exchange(url, **options):
    """
    Publish and receive by way of an address.
    """
    async with Hub(broker=RedisBroker(url, **options)) as hub:
        hub.topic("kept", history=5)
        connection = FakeConnection()
        async with hub.attach(connection, "ada") as session:
            await session.subscribe("kept")
            await hub.publish("kept", "1")
            await until(lambda: connection.got)
            assert ["ada"] == [m.user for m in await hub.users()]
            return connection.take()


async def test_a_user_a_password_a_database_and_a_socket(redis_server):
    """
    All in the address.
    """
    server = RedisServer(redis_server)
    path = server.folder / "socket"
    server._options = ("--unixsocket", str(path))
    with contextlib.closing(server):
        server.start()
        server.say(
            b"ACL SETUSER hub on >p@ss ~socketeer:* &socketeer:* -@all +@scripting"
            b" +@connection +@pubsub +@hash +@stream +@sortedset +@string +@keyspace"
            b" +info +time"
        )
        server.say(b"ACL SETUSER default off")
        url = f"redis://hub:p%40ss@127.0.0.1:{server.port}/3"
        assert ["1"] == await exchange(url)
        assert ["1"] == await exchange(f"unix://hub:p%40ss@{path}?db=2")


async def test_tls(redis_server):
    """
    With a certificate authority in the address.
    """
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    server = RedisServer(redis_server)
    files = {name: str(server.folder / name) for name in ("key", "cert", "ca")}
    issued.private_key_pem.write_to_path(files["key"])
    issued.cert_chain_pems[0].write_to_path(files["cert"])
    authority.cert_pem.write_to_path(files["ca"])
    port = free_port()
    server._options = (
        *("--tls-port", str(port), "--tls-auth-clients", "no"),
        *("--tls-key-file", files["key"], "--tls-cert-file", files["cert"]),
        *("--tls-ca-cert-file", files["ca"]),
    )
    with contextlib.closing(server):
        server.start()
        url = f"rediss://127.0.0.1:{port}?ssl_ca_certs={files['ca']}"
        assert ["1"] == await exchange(url)


async def test_a_cluster(redis_server):
    """
    Of one node, which has all slots.
    """
    server = RedisServer(redis_server, "--cluster-enabled", "yes")
    with contextlib.closing(server):
        server.start()
        server.say(b"CLUSTER ADDSLOTSRANGE 0 16383")
        while b"cluster_state:ok" not in server.say(b"CLUSTER INFO"):
            await asyncio.sleep(0.01)
        assert ["1"] == await exchange(f"redis+cluster://127.0.0.1:{server.port}")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "redis+sentinel://u:p%40@a:1,b/name/3",
            (
                [("a", 1), ("b", 26379)],
                "name",
                {"username": "u", "password": "p@", "db": 3},
                {},
            ),
        ),
        (
            "rediss+sentinel://a:1/name",
            ([("a", 1)], "name", {"db": 0}, {"ssl": True}),
        ),
    ],
)
def test_sentinel_addresses(url, expected):
    """
    Several sentinels, a service, credentials, a database, TLS.
    """
    assert expected == SentinelAddress.parse(url)


def test_a_sentinel_address_needs_a_service():
    """
    The error says so.
    """
    with pytest.raises(ValueError, match="needs a service"):
        SentinelAddress.parse("redis+sentinel://a:1")


@pytest.mark.parametrize("url", ["http://secret@host", "redis:host", "nats://x"])
def test_other_addresses_are_refused(url):
    """
    Only the scheme is repeated: there may be a password in the rest.
    """
    with pytest.raises(ValueError, match="no broker is known for") as raised:
        SyncPublisher(url)
    assert "secret" not in str(raised.value)
    with pytest.raises(ValueError, match="no broker is known for"):
        Hub(url)
