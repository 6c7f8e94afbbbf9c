"""
Redis goes away, comes back, is another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from types import SimpleNamespace

import pytest

from socketeer.pubsub import BrokerUnavailable, Hub, SyncPublisher
from socketeer.pubsub.brokers import redis_channels
from socketeer.pubsub.brokers.redis import RedisBroker
from socketeer.pubsub.brokers.redis_channels import Channels
from socketeer.pubsub.brokers.redis_scripts import Names
from tests.ports import free_port
from tests.pubsub.harness import FakeConnection
from tests.pubsub.over_redis import HANG, hubs, until
from tests.pubsub.redis_server import RedisServer

pytestmark = [pytest.mark.anyio, pytest.mark.ours]


def test_a_sync_publisher_survives_a_restart(redis_server):
    """
    A connection that was cut is made again; while Redis is away there is an error.
    """
    server = RedisServer(redis_server)
    with contextlib.closing(server), SyncPublisher(server.url) as publisher:
        server.start()
        publisher.publish("a", "x")
        server.kill()
        with pytest.raises(BrokerUnavailable, match="Redis is away"):
            publisher.publish("a", "x")
        server.start()
        publisher.publish("a", "x")


async def test_while_redis_is_away(mortal, prefix, caplog):
    """
    Publishing fails with a clear error, connections stay, and when a server is
    there again that lost everything, everybody is told.
    """
    caplog.set_level(logging.INFO)
    gaps = []

    async def on_gap(gap):
        gaps.append(gap.topic)

    async with hubs(mortal, prefix, on_gap=on_gap) as (hub,):
        connection = FakeConnection()
        async with hub.attach(connection, "ada") as session:
            await session.subscribe("kept")
            await session.subscribe("flown")
            await hub.publish("kept", "1")
            await until(lambda: connection.got)
            mortal.kill()
            with pytest.raises(BrokerUnavailable, match="Redis is away"):
                await hub.publish("kept", "2")
            assert connection.closed is None
            mortal.start()
            await until(lambda: 2 == len(gaps))
            await hub.publish("kept", "3")
            await hub.publish("flown", "4")
            await until(lambda: "4" in connection.got)

            assert {"kept", "flown"} == set(gaps)
            assert ["1", "3", "4"] == connection.take()
            async with asyncio.timeout(HANG):
                while not await hub.users():
                    await asyncio.sleep(0.01)


async def test_a_broken_connection_is_repaired_from_the_log(server, prefix):
    """
    Redis cut us off, messages went by, nobody notices.
    """
    async with hubs(server, prefix, 2) as (one, two):
        connection = FakeConnection()
        async with one.attach(connection) as session:
            await session.subscribe("kept")
            await two.publish("kept", "1")
            await until(lambda: connection.got)
            # All of them, ours as well.
            await two._broker._call(("CLIENT", "KILL", "TYPE", "pubsub"))
            for number in "234":
                await two.publish("kept", number)
            await until(lambda: 4 == len(connection.got))

            assert ["1", "2", "3", "4"] == connection.take()
            assert 0 == one.statistics()["gaps"]


async def test_waiting_for_redis(mortal, prefix):
    """
    With ``wait``, publishing does not fail; the message is published once.
    """
    async with hubs(mortal, prefix, wait=HANG) as (hub,):
        connection = FakeConnection()
        async with hub.attach(connection) as session:
            await session.subscribe("flown")
            mortal.kill()
            task = asyncio.create_task(hub.publish("flown", "x"))
            await asyncio.sleep(0.05)
            assert not task.done()
            mortal.start()
            await task
            await hub.publish("flown", "y")
            await asyncio.sleep(0.05)

            assert connection.got.count("x") <= 1


async def test_a_suspended_redis_is_an_outage(mortal, prefix):
    """
    It holds connections and says nothing: errors after ``timeout``, and life goes
    on when it does.
    """
    async with hubs(mortal, prefix, timeout=0.2) as (hub,):
        connection = FakeConnection()
        async with hub.attach(connection) as session:
            await session.subscribe("kept")
            mortal.pause()
            with pytest.raises(BrokerUnavailable, match=r"0\.2 s"):
                await hub.publish("kept", "1")
            with pytest.raises(BrokerUnavailable):
                await session.subscribe("another")
            await asyncio.sleep(0.5)
            mortal.resume()
            async with asyncio.timeout(HANG):
                while True:
                    with contextlib.suppress(BrokerUnavailable):
                        await hub.publish("kept", "2")
                        await session.subscribe("another")
                        break
            await until(lambda: "2" in connection.got)

            # The first may have been executed when Redis went on, or not.
            assert connection.take()[-1] == "2"
            assert connection.closed is None


async def test_a_hub_that_finds_no_redis_says_so():
    """
    At once, and it leaves nothing behind; started again, it tries again.
    """
    hub = Hub(f"redis://127.0.0.1:{free_port()}", clock=lambda: 0)
    hub._broker._timeout = 0.2
    for _ in range(2):
        with pytest.raises(
            BrokerUnavailable, match="no answer from Redis.*: .*connect"
        ):
            await hub.start()
    await hub.stop()


async def test_a_hub_that_is_not_let_in_says_why(mortal):
    """
    A wrong password is not a server that is away.
    """
    mortal.say(b"CONFIG SET requirepass secret")
    hub = Hub(mortal.url.replace("//", "//:wrong@"), clock=lambda: 0)
    hub._broker._timeout = 0.5
    with pytest.raises(BrokerUnavailable, match=r"within 0.5 s .*: .*password"):
        await hub.start()
    await hub.stop()


async def test_what_is_waiting_is_bounded(server, prefix, monkeypatch):
    """
    More commands than that fail at once.
    """
    monkeypatch.setattr("socketeer.pubsub.brokers.redis_commands.MAX_WAITING", 3)
    async with hubs(server, prefix) as (hub,):
        calls = [hub.publish("flown", "x") for _ in range(5)]
        results = await asyncio.gather(*calls, return_exceptions=True)

        failures = [r for r in results if isinstance(r, BrokerUnavailable)]
        assert 2 == len(failures)
        assert "3 commands wait for Redis already" in str(failures[0])


async def test_strangers_on_a_channel_are_ignored(server, prefix, caplog):
    """
    What is not a publication is logged.
    """
    async with hubs(server, prefix) as (hub,):
        connection = FakeConnection()
        async with hub.attach(connection) as session:
            await session.subscribe("flown")
            await hub._broker._call(("PUBLISH", f"{prefix}:topic:flown", "nonsense"))
            await hub.publish("flown", "x")
            await until(lambda: connection.got)

            assert ["x"] == connection.take()
            assert "not a publication, on channel 'topic:flown'" in caplog.text


@pytest.mark.parametrize("order", ["nonsense", "7", '{"close": 1}'])
async def test_strangers_do_not_deafen_a_hub(server, prefix, caplog, order):
    """
    What cannot be understood of what hubs tell each other is logged, and what comes
    after it is heard.
    """
    async with hubs(server, prefix) as (hub,):
        connection = FakeConnection()
        async with hub.attach(connection, "ada"):
            name = f"{prefix}:user:ada"
            await hub._broker._call(("PUBLISH", name, f"- 0 0\n{order}"))
            await hub.send("ada", "x")
            await until(lambda: connection.got)

            assert ["x"] == connection.take()
            assert "not handed on, of channel 'user:ada'" in caplog.text
            assert connection.closed is None


async def test_whatever_happens_a_hub_listens_again(
    server, prefix, caplog, monkeypatch
):
    """
    An error in the task that listens is logged, and it connects anew.
    """
    async with hubs(server, prefix) as (hub,):
        connection = FakeConnection()
        async with hub.attach(connection, "ada"):
            with monkeypatch.context() as patch:
                patch.setattr(Channels, "_take", lambda *arguments: 1 / 0)
                await hub.send("ada", "lost")
                await until(lambda: "ZeroDivisionError" in caplog.text)
            await until(hub._broker._channels._is_connected.is_set)
            await hub.send("ada", "x")
            await until(lambda: connection.got)

            assert ["x"] == connection.take()


@contextlib.asynccontextmanager
async def watched_pair(redis_server):
    """
    Run a master with a replica and a sentinel; yield the master and the address.
    """
    master = RedisServer(redis_server)
    replica = RedisServer(redis_server, "--replicaof", "127.0.0.1", str(master.port))
    sentinel = RedisServer(redis_server)
    configuration = sentinel.folder / "sentinel.conf"
    configuration.write_text(
        f"sentinel monitor us 127.0.0.1 {master.port} 1\n"
        "sentinel down-after-milliseconds us 300\n"
        "sentinel failover-timeout us 2000\n"
    )
    with contextlib.ExitStack() as stack:
        for server in master, replica, sentinel:
            stack.enter_context(contextlib.closing(server))
        master.start()
        replica.start()
        sentinel.start_sentinel(configuration)
        while b"master_link_status:up" not in replica.say(b"INFO replication"):
            await asyncio.sleep(0.02)
        while b"num-slaves\r\n$1\r\n1" not in sentinel.say(b"SENTINEL MASTERS"):
            await asyncio.sleep(0.05)
        yield master, f"redis+sentinel://127.0.0.1:{sentinel.port}/us"


def test_a_failover_is_told(redis_server, prefix):
    """
    A sentinel's replica becomes the master: it is found, and what may be lost is
    told as a gap. On one event loop, since electing takes seconds.
    """
    gaps = []

    async def on_gap(gap):
        gaps.append(gap.topic)

    async def fail_over():
        async with watched_pair(redis_server) as (master, url):
            broker = RedisBroker(url, prefix=prefix)
            async with Hub(broker=broker, on_gap=on_gap) as hub:
                hub.topic("kept", history=5)
                connection = FakeConnection()
                async with hub.attach(connection) as session:
                    await session.subscribe("kept")
                    await hub.publish("kept", "1")
                    await until(lambda: connection.got)
                    master.kill()
                    await until(lambda: gaps)
                    await hub.publish("kept", "2")
                    await until(lambda: "2" in connection.got)

                    return connection.take()

    assert ["1", "2"] == asyncio.run(fail_over())


async def test_pauses_grow_and_are_cut_at_random(monkeypatch):
    """
    So that not all processes come at once when Redis is back.
    """
    pauses, chances = [], itertools.cycle([0.0, 0.5, 1.0])
    enough = asyncio.Event()

    async def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 8:
            enough.set()
            await asyncio.Event().wait()

    class Clients:
        class channels:  # noqa: N801 (an attribute)
            def pubsub():
                raise OSError("away")

    monkeypatch.setattr(
        redis_channels, "asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": pause})
    )
    channels = Channels(
        Clients,
        Names("x"),
        "own",
        None,
        timeout=1,
        chance=lambda: next(chances),
        on_return=None,
    )
    async with asyncio.timeout(HANG):
        await enough.wait()
    await channels.end()

    longest = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    cut = itertools.cycle([1, 0.75, 0.5])
    assert [pytest.approx(p * c) for p, c in zip(longest, cut, strict=False)] == pauses
