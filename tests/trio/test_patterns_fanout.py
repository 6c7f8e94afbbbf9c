"""
Who is connected, and a message to all, to some, to one, on trio: patterns B1 to B7,
on real sockets.

B8, many processes, is the hub's, which is at home on asyncio. ``broadcast()`` is a
coroutine here: see the documentation of differences.
"""

from __future__ import annotations

import contextlib
import json
import weakref
from collections import defaultdict

import pytest
import trio

from socketeer.exceptions import ConnectionClosed, ConnectionClosedOK
from socketeer.trio.server import broadcast
from tests.trio.harness import connecting, eventually, raw_client, serving_tcp

pytestmark = pytest.mark.usefixtures("real_clock")


@contextlib.asynccontextmanager
async def clients_of(server, count):
    """
    Open connections to a server, each known to it already.
    """
    async with contextlib.AsyncExitStack() as stack:
        clients = []
        for _ in range(count):
            client = await stack.enter_async_context(connecting(server))
            await (await client.ping()).wait()
            clients.append(client)
        yield clients


class Registry:
    """
    A set of connections, kept by the handler of B1.
    """

    def __init__(self):
        self.connected = set()
        self.ended = trio.Event()

    async def handler(self, connection):
        self.connected.add(connection)
        try:
            async for message in connection:
                if message == "raise":
                    raise LookupError
                if message == "return":
                    return
        finally:
            self.connected.remove(connection)
            self.ended.set()


async def by_shutdown(server, client):
    """
    Close the server.
    """
    trio.lowlevel.spawn_system_task(server.aclose)


ENDS = {
    "close": lambda server, client: client.send_close(1000),
    "vanish": lambda server, client: client.stream.aclose(),
    "return": lambda server, client: client.send_frame("81", b"return"),
    "raise": lambda server, client: client.send_frame("81", b"raise"),
    # A reserved opcode.
    "violation": lambda server, client: client.send_frame("83"),
    "shutdown": by_shutdown,
}


@pytest.mark.parametrize("end", ENDS)
async def test_a_connection_leaves_the_set_however_it_ends(end):
    """
    B1: connections are hashable; `finally` runs on every kind of end.
    """
    registry = Registry()
    async with serving_tcp(registry.handler) as server, raw_client(server) as client:
        await eventually(lambda: registry.connected)
        await ENDS[end](server, client)
        if end != "vanish":
            await client.read_close()
            await client.stream.aclose()
        await registry.ended.wait()

    assert set() == registry.connected


async def test_a_connection_leaves_the_set_when_the_server_is_canceled():
    """
    B1: also then.
    """
    registry = Registry()
    with trio.CancelScope() as scope:
        async with serving_tcp(registry.handler) as server, connecting(server):
            await eventually(lambda: registry.connected)
            scope.cancel()

    assert set() == registry.connected


async def test_broadcast_reaches_all_that_are_connected():
    """
    B2: a set goes in, nothing comes back.
    """
    registry = Registry()
    async with (
        serving_tcp(registry.handler) as server,
        clients_of(server, 3) as clients,
    ):
        result = await broadcast(registry.connected, "Hello!")

        assert result is None
        assert ["Hello!"] * 3 == [await client.recv() for client in clients]


async def test_broadcast_skips_closed_connections():
    """
    B2: who has left meanwhile is no reason to fail.
    """
    kept = set()

    async def handler(connection):
        kept.add(connection)
        await connection.wait_closed()

    async with serving_tcp(handler) as server, clients_of(server, 3) as clients:
        await clients[0].aclose()
        await trio.aclose_forcefully(clients[1].stream)
        await eventually(lambda: 1 == len(server.connections))
        await broadcast(kept, "Hello!")

        assert 3 == len(kept)
        assert "Hello!" == await clients[2].recv()


async def test_the_server_knows_its_connections():
    """
    B3: `server.connections` instead of a set of one's own; also in a generator.
    """
    async with serving_tcp() as server, clients_of(server, 3) as clients:
        await clients[0].aclose()
        await eventually(lambda: 2 == len(server.connections))
        await broadcast(server.connections, "Hello!")
        await broadcast((each for each in server.connections), "again")
        await broadcast([], "nobody")

        for client in clients[1:]:
            assert ["Hello!", "again"] == [await client.recv() for _ in range(2)]


async def test_one_failed_peer_does_not_prevent_the_others():
    """
    B4: a task for each, which looks after its own failure.
    """
    kept, failures = [], []

    async def handler(connection):
        kept.append(connection)
        await connection.wait_closed()

    async def send(connection, message):
        try:
            await connection.send(message)
        except ConnectionClosed as error:
            failures.append(error)

    async with serving_tcp(handler) as server, clients_of(server, 3) as clients:
        await clients[0].aclose()
        await kept[0].wait_closed()
        async with trio.open_nursery() as nursery:
            for connection in kept:
                nursery.start_soon(send, connection, "Hello!")

        assert [ConnectionClosedOK] == [type(failure) for failure in failures]
        assert ["Hello!"] * 2 == [await client.recv() for client in clients[1:]]


class Users:
    """
    One connection for each user, as in B5.
    """

    def __init__(self):
        self.connections = {}

    async def handler(self, connection):
        user = await connection.recv()
        self.connections[user] = connection
        try:
            await connection.send("welcome")
            await connection.wait_closed()
        finally:
            del self.connections[user]

    async def tell(self, user, message):
        await self.connections[user].send(message)


async def test_one_connection_of_each_user():
    """
    B5: KeyError when away, ConnectionClosed when just gone.
    """
    users = Users()
    async with serving_tcp(users.handler) as server:
        async with connecting(server) as client:
            await client.send("ada")
            assert "welcome" == await client.recv()
            await users.tell("ada", "only for you")
            assert "only for you" == await client.recv()
            connection = users.connections["ada"]
        await connection.wait_closed()
        with pytest.raises(ConnectionClosed):
            await connection.send("too late")
        await eventually(lambda: not users.connections)
        with pytest.raises(KeyError):
            await users.tell("ada", "gone")


async def test_several_connections_of_a_user():
    """
    B6: a set for each user, removed when empty; programs attach what they like.
    """
    connections = defaultdict(set)
    known = weakref.WeakSet()

    async def handler(connection):
        user = connection.user = await connection.recv()
        connections[user].add(connection)
        known.add(connection)
        try:
            await connection.send("welcome")
            await connection.wait_closed()
        finally:
            connections[user].remove(connection)
            if not connections[connection.user]:
                del connections[user]

    async with serving_tcp(handler) as server:
        async with clients_of(server, 3) as clients:
            for client, user in zip(clients, ["ada", "ada", "bob"], strict=True):
                await client.send(user)
                assert "welcome" == await client.recv()
            assert 3 == len(known)
            await broadcast(connections["ada"], "to both")
            await broadcast(connections["bob"], "to one")

            received = [await client.recv() for client in clients]
            assert ["to both", "to both", "to one"] == received
        await eventually(lambda: not connections)


async def test_a_topic_is_a_set_of_recipients():
    """
    B7: the recipients are found first, then the message is broadcast to them.
    """
    subscriptions = {}

    async def handler(connection):
        async for message in connection:
            subscriptions[connection] = set(json.loads(message))
            await connection.send("subscribed")

    async def publish(topic, message):
        recipients = [c for c, topics in subscriptions.items() if topic in topics]
        await broadcast(recipients, message)

    async with serving_tcp(handler) as server, clients_of(server, 3) as clients:
        wishes = [["a"], ["a", "b"], ["b"]]
        for client, topics in zip(clients, wishes, strict=True):
            await client.send(json.dumps(topics))
            await client.recv()
        await publish("a", "about a")
        await publish("b", "about b")

        assert "about a" == await clients[0].recv()
        assert ["about a", "about b"] == [await clients[1].recv() for _ in "ab"]
        assert "about b" == await clients[2].recv()
