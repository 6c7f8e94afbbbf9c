"""
Processes, clients and publishers, and what befalls them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import sys
import time
from collections import Counter

from socketeer.asyncio.client import connect
from socketeer.exceptions import WebSocketException
from socketeer.pubsub import BrokerUnavailable, Publisher
from socketeer.pubsub.positions import Position
from tests.loss.checking import Follower
from tests.loss.server import topics
from tests.ports import free_port
from tests.pubsub.redis_server import RedisServer

__all__ = ["World"]

SERVERS = 4
TOPICS = 10

# Seconds between messages of a publisher, and between faults.
PAUSE = 0.05
CALM = 3.0

# Seconds for which publishers go on after the last fault, and in which everybody has
# to catch up then.
PEACE = 8.0
PATIENCE = 60.0

# Seconds for a replica to be one that the sentinel would make the master; it looks
# every ten.
WHOLE_AFTER = 120.0


class SingleRedis:
    """
    One server, which is started again when it was killed.
    """

    def __init__(self, program):
        self._server = RedisServer(program)
        self._program = program
        self.url = self._server.url

    def start(self):
        self._server.start()

    async def fail(self, chance):
        """
        Be killed, and come back with a log on disk or without.
        """
        is_kept = chance.random() < 0.5
        self._server.kill()
        await asyncio.sleep(chance.random() * 2)
        self._server._options = ("--appendonly", "yes" if is_kept else "no")
        await asyncio.to_thread(self._server.start)
        return "Redis killed, with AOF" if is_kept else "Redis killed, without AOF"

    def close(self):
        self._server.close()


class WatchedRedis:
    """
    A master, a replica and a sentinel, which makes the replica the master when the
    master was killed; the killed one comes back as the other's replica.
    """

    def __init__(self, program):
        self._pair = [RedisServer(program), RedisServer(program)]
        self._sentinel = RedisServer(program)
        self.url = f"redis+sentinel://127.0.0.1:{self._sentinel.port}/us"

    def start(self):
        master, replica = self._pair
        master.start()
        replica._options = ("--replicaof", f"127.0.0.1 {master.port}")
        replica.start()
        configuration = self._sentinel.folder / "sentinel.conf"
        configuration.write_text(
            f"sentinel monitor us 127.0.0.1 {master.port} 1\n"
            "sentinel down-after-milliseconds us 1000\n"
            "sentinel failover-timeout us 3000\n"
        )
        self._sentinel.start_sentinel(configuration)
        while b"num-slaves\r\n$1\r\n1" not in self._sentinel.say(b"SENTINEL MASTERS"):
            time.sleep(0.1)

    async def fail(self, chance):
        """
        Lose the master.
        """
        async with asyncio.timeout(WHOLE_AFTER):
            while not await asyncio.to_thread(self._is_whole):
                await asyncio.sleep(0.1)
        master, replica = self._pair
        master.kill()
        async with asyncio.timeout(WHOLE_AFTER):
            while b"role:master" not in replica.say(b"INFO replication"):
                await asyncio.sleep(0.1)
        master._options = ("--replicaof", f"127.0.0.1 {replica.port}")
        await asyncio.to_thread(master.start)
        self._pair = [replica, master]
        return "failover"

    def _is_whole(self):
        """
        Tell whether the replica has what the master has, and the sentinel knows: or it
        would not make it the master.
        """
        address = self._sentinel.say(b"SENTINEL GET-MASTER-ADDR-BY-NAME us")
        # On a busy machine, the sentinel may have changed them for no reason.
        self._pair.sort(
            key=lambda server: f"\r\n{server.port}\r\n".encode() not in address
        )
        master, replica = self._pair
        replicas = self._sentinel.say(b"SENTINEL REPLICAS us")
        return (
            b"role:slave" in replica.say(b"INFO replication")
            and b"state=online" in master.say(b"INFO replication")
            and b"master-link-status\r\n$2\r\nok\r\n" in replicas
            and not any(flag in replicas for flag in (b"s_down", b"disconnected"))
        )

    def close(self):
        for server in (*self._pair, self._sentinel):
            server.close()


class World:
    """
    Everything, for some time.

    Args:
        redis: A single or a watched Redis.
        clients: How many.
        seconds: For how long there are faults.
        seed: Decides about them.
        sabotage: What the servers do wrong, one of :data:`.sabotage.KINDS`.
    """

    def __init__(self, redis, clients, seconds, seed, sabotage=None):
        self._redis = redis
        self._clients = clients
        self._seconds = seconds
        self._chance = random.Random(seed)
        self._ports = [free_port() for _ in range(SERVERS)]
        self._servers = {}
        self._sabotage = [] if sabotage is None else [sabotage]
        self._published = {f"t{n}": {} for n in range(TOPICS)}
        # Where the last message stands that was certainly published.
        self._last = {}
        self._numbers = Counter()
        self._is_over = False
        self.counts = Counter()
        self.faults = Counter()

    async def _start_server(self, port):
        command = [
            sys.executable,
            "-m",
            "tests.loss.server",
            str(port),
            self._redis.url,
            *self._sabotage,
        ]
        self._servers[port] = await asyncio.create_subprocess_exec(*command)

    # Clients.

    async def _be_client(self, number):
        """
        Connect, follow, be cut off, come back.
        """
        topic = f"t{number % TOPICS}"
        follower = Follower(topic, self._published[topic], self.counts)
        self._followers.append(follower)
        while True:
            port = self._chance.choice(self._ports)
            since = "" if follower.position is None else f"/{follower.position}"
            uri = f"ws://127.0.0.1:{port}/{topic}{since}"
            with contextlib.suppress(OSError, WebSocketException, TimeoutError):
                async with connect(
                    uri, open_timeout=5, ping_interval=2, ping_timeout=2, proxy=None
                ) as connection:
                    await self._follow(follower, connection)
            await asyncio.sleep(self._chance.random())

    async def _follow(self, follower, connection):
        """
        Receive, until the connection ends or the link is cut.
        """
        follower.connected()
        patience = self._chance.expovariate(1 / 20) if not self._is_over else 1e6
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                async for message in connection:
                    value = json.loads(message)
                    if "recovered" in value:
                        follower.replied(value["recovered"], value["position"])
                    else:
                        follower.received(value["position"], value["data"])
                return
        # Cut off without a FIN: nobody reads, nobody tells the server.
        self.faults["client cut off"] += 1
        connection.transport.pause_reading()
        self._abandoned.append(connection)
        asyncio.get_running_loop().call_later(6, connection.transport.abort)
        raise TimeoutError

    # Publishers.

    async def _publish(self, publisher, topic):
        """
        Publish numbers; one that fails is not published again.
        """
        while not self._is_over:
            self._numbers[topic] += 1
            number = self._numbers[topic]
            try:
                position = await publisher.publish(topic, str(number))
                self._last[topic] = Position.parse(position)
                known = self._published[topic].setdefault(position, number)
                # Followers may have seen another message there.
                self.counts["wrong"] += known != number
            except BrokerUnavailable:
                self.counts["publishing failed"] += 1
            await asyncio.sleep(PAUSE * TOPICS * self._chance.random())

    # Faults.

    async def _kill_server(self):
        port = self._chance.choice(self._ports)
        self._servers[port].kill()
        await self._servers[port].wait()
        await asyncio.sleep(self._chance.random() * 2)
        await self._start_server(port)
        return "server killed"

    async def _suspend_server(self):
        server = self._servers[self._chance.choice(self._ports)]
        server.send_signal(signal.SIGSTOP)
        await asyncio.sleep(5)
        server.send_signal(signal.SIGCONT)
        return "server suspended"

    async def _fail_redis(self):
        return await self._redis.fail(self._chance)

    async def _do_harm(self):
        """
        Do one thing after the other.
        """
        end = time.monotonic() + self._seconds
        harm = [self._kill_server, self._suspend_server, self._fail_redis]
        while time.monotonic() < end:
            await asyncio.sleep(CALM * (0.5 + self._chance.random()))
            self.faults[await self._chance.choice(harm)()] += 1

    # The whole.

    async def run(self):
        """
        Live; return the topics whose clients did not catch up.
        """
        self._followers, self._abandoned = [], []
        await asyncio.to_thread(self._redis.start)
        try:
            for port in self._ports:
                await self._start_server(port)
            await asyncio.sleep(3)
            return await self._live()
        finally:
            for server in self._servers.values():
                with contextlib.suppress(ProcessLookupError):
                    server.kill()
                await server.wait()
            self._redis.close()

    async def _live(self):
        async with Publisher(self._redis.url, topics=topics()) as publisher:
            clients = [
                asyncio.create_task(self._be_client(number))
                for number in range(self._clients)
            ]
            publishing = [
                asyncio.create_task(self._publish(publisher, topic))
                for topic in self._published
            ]
            await self._do_harm()
            await asyncio.sleep(PEACE)
            self._is_over = True
            await asyncio.gather(*publishing)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    while self._late():
                        await asyncio.sleep(0.1)
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        return self._late()

    def _late(self):
        """
        Return how many clients do not stand at the last message, or after it: one that
        nobody could be told about may have been published, too.
        """
        return sum(
            follower.topic in self._last
            and (
                follower.position is None
                or follower.position.epoch != self._last[follower.topic].epoch
                or follower.position.offset < self._last[follower.topic].offset
            )
            for follower in self._followers
        )
