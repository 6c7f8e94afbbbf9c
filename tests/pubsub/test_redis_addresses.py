"""
Every kind of address leads to Redis.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path

import pytest
import trustme

from socketeer.pubsub import Hub, SyncPublisher, Topics
from socketeer.pubsub.brokers.redis import RedisBroker
from socketeer.pubsub.brokers.redis_addresses import SentinelAddress
from tests.ports import free_port
from tests.pubsub.harness import FakeConnection
from tests.pubsub.over_redis import until
from tests.pubsub.redis_server import RedisServer

pytestmark = [pytest.mark.anyio, pytest.mark.ours]

PAGE = Path(__file__).parents[2] / "docs" / "pubsub" / "redis.md"

CLUSTER = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
SLOTS = 16384

# Enough of them to meet every node.
TOPICS = [f"kept {number}" for number in range(8)]


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


def documented_rights():
    """
    Return the command in the documentation that makes a user.
    """
    page = PAGE.read_text("utf-8")
    command = re.search(r"```text\n(ACL SETUSER .*?)```", page, re.DOTALL)[1]
    return " ".join(command.replace("\\\n", "").split()).encode()


async def test_a_user_a_password_a_database_and_a_socket(redis_server):
    """
    All in the address; the user may do what the documentation says, and no more.
    """
    server = RedisServer(redis_server)
    path = server.folder / "socket"
    server._options = ("--unixsocket", str(path))
    with contextlib.closing(server):
        server.start()
        assert server.say(documented_rights()).startswith(b"+OK")
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


@contextlib.asynccontextmanager
async def cluster_of(redis_server, count):
    """
    Run a cluster; yield its nodes, each with its share of the slots.
    """
    with contextlib.ExitStack() as stack:
        nodes = [RedisServer(redis_server, *CLUSTER) for _ in range(count)]
        for number, node in enumerate(nodes):
            stack.enter_context(contextlib.closing(node))
            node.start()
            # Nobody has to find out who is right.
            node.say(b"CLUSTER SET-CONFIG-EPOCH %d" % (number + 1))
            slots = list(range(number * SLOTS // count, (number + 1) * SLOTS // count))
            for begin in range(0, len(slots), SLOTS // 4):
                some = " ".join(map(str, slots[begin : begin + SLOTS // 4]))
                assert b"+OK\r\n" == node.say(b"CLUSTER ADDSLOTS " + some.encode())
            node.say(b"CLUSTER MEET 127.0.0.1 %d" % nodes[0].port)
        await until(lambda: all(knows_all_of_it(node, count) for node in nodes))
        yield nodes


def knows_all_of_it(node, count):
    """
    Tell whether a node knows all nodes with their slots.
    """
    info = node.say(b"CLUSTER INFO")
    return b"cluster_state:ok" in info and b"cluster_size:%d" % count in info


async def test_a_cluster(redis_server):
    """
    Of one node, which has all slots.
    """
    async with cluster_of(redis_server, 1) as (node,):
        assert ["1"] == await exchange(f"redis+cluster://127.0.0.1:{node.port}")


async def test_a_cluster_of_three(redis_server):
    """
    Topics live on all nodes, hubs and publishers enter by any, and messages and
    positions are the same for everybody.
    """
    async with cluster_of(redis_server, 3) as nodes:
        urls = [f"redis+cluster://127.0.0.1:{node.port}" for node in nodes]
        expected = [f"{topic} {text}" for topic in TOPICS for text in ("hub", "sync")]
        async with Hub(urls[0]) as one, Hub(urls[1]) as two:
            connections = [FakeConnection(), FakeConnection()]
            sessions = []
            async with contextlib.AsyncExitStack() as stack:
                for hub, connection in zip((one, two), connections, strict=True):
                    hub.topic("kept*", history=5)
                    session = await stack.enter_async_context(hub.attach(connection))
                    positions = [(await session.subscribe(t)).position for t in TOPICS]
                    sessions.append(session)
                for topic in TOPICS:
                    await two.publish(topic, f"{topic} hub")
                await asyncio.to_thread(publish_all, urls[2])
                await until(lambda: all(len(c.got) == 16 for c in connections))
                assert [expected] * 2 == [sorted(c.take()) for c in connections]

                for topic, position in zip(TOPICS, positions, strict=True):
                    await sessions[0].unsubscribe(topic)
                    back = await sessions[0].subscribe(topic, since=position)
                    assert (True, 2) == (back.recovered, back.missed)
        assert all(b"keys=" in node.say(b"INFO keyspace") for node in nodes)


def publish_all(url):
    """
    Publish on each topic; return the publisher, which is closed.
    """
    topics = Topics()
    topics.topic("kept*", history=5)
    with SyncPublisher(url, topics=topics) as publisher:
        for topic in TOPICS:
            publisher.publish(topic, f"{topic} sync")
    return publisher


async def test_a_closed_publisher_leaves_no_connection_to_a_cluster(redis_server):
    """
    Also while it is kept for later.
    """
    async with cluster_of(redis_server, 1) as (node,):

        def clients():
            return node.say(b"CLIENT LIST").count(b"addr=127.0.0.1")

        before = clients()
        url = f"redis+cluster://127.0.0.1:{node.port}"
        publisher = await asyncio.to_thread(publish_all, url)
        await until(lambda: clients() == before)

        await asyncio.to_thread(publisher.publish, TOPICS[0], "again")
        assert clients() > before
        publisher.close()
        await until(lambda: clients() == before)


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
