"""
Who is connected, and a message to all, to some, to one: patterns B1 to B7.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import weakref
from collections import defaultdict

import pytest

from tests.asyncio.exchange import connecting, nothing_left_over, serving
from tests.asyncio.harness import settle, wait_until
from tests.asyncio.raw import RawPeer
from tests.under_test import websockets

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def clients_of(server, count):
    """
    Open connections to a server, each known to it already.
    """
    async with contextlib.AsyncExitStack() as stack:
        clients = []
        for _ in range(count):
            client = await stack.enter_async_context(connecting(server.uri))
            await (await client.ping())
            clients.append(client)
        yield clients


class Registry:
    """
    A set of connections, kept by the handler of B1.
    """

    def __init__(self):
        self.connected = set()
        self.ended = 0

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
            self.ended += 1


async def by_close(server, client):
    """
    Let the client close.
    """
    await client.close()


async def by_abort(server, client):
    """
    Let the client vanish.
    """
    client.transport.abort()


async def by_return(server, client):
    """
    Make the handler return.
    """
    await client.send("return")


async def by_exception(server, client):
    """
    Make the handler raise.
    """
    await client.send("raise")


async def by_shutdown(server, client):
    """
    Close the server.
    """
    server.server.close()


async def by_violation(server, client):
    """
    Break the protocol: send a reserved opcode.
    """
    client.transport.write(bytes.fromhex("8380 00000000"))


@pytest.mark.parametrize(
    "end",
    [by_close, by_abort, by_return, by_exception, by_shutdown, by_violation],
)
async def test_a_connection_leaves_the_set_however_it_ends(end):
    """
    B1: connections are hashable; `finally` runs on every kind of end.
    """
    registry = Registry()
    async with nothing_left_over(), serving(registry.handler) as server:
        async with connecting(server.uri) as client:
            await (await client.ping())
            assert 1 == len(registry.connected)
            await end(server, client)
            await client.wait_closed()
        await wait_until(lambda: registry.ended)

    assert set() == registry.connected
    assert 1 == registry.ended


async def test_broadcast_reaches_all_that_are_connected():
    """
    B2: `websockets.broadcast()` is called without await, on a set.
    """
    registry = Registry()
    async with nothing_left_over(), serving(registry.handler) as server:
        async with clients_of(server, 3) as clients:
            result = websockets.broadcast(registry.connected, "Hello!")

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

    async with nothing_left_over(), serving(handler) as server:
        async with clients_of(server, 3) as clients:
            await clients[0].close()
            clients[1].transport.abort()
            await settle()
            websockets.broadcast(kept, "Hello!")

            assert 3 == len(kept)
            assert "Hello!" == await clients[2].recv()


@pytest.mark.ours
async def test_a_slow_peer_does_not_grow_memory_without_bound():
    """
    B2: what waits for it stays near `max_backlog`; then it is closed.
    """
    registry = Registry()
    message = bytes(64 * 1024)
    options = {"compression": None, "close_timeout": 0.05}
    async with serving(registry.handler, **options) as server:
        with contextlib.closing(
            await RawPeer.connect(server.port, receive_buffer=4096)
        ):
            await wait_until(lambda: registry.connected)
            [connection] = registry.connected
            sizes = []
            while registry.connected:
                websockets.broadcast(registry.connected, message)
                sizes.append(connection.transport.get_write_buffer_size())
                await asyncio.sleep(0)

    assert 2**20 + 2 * len(message) >= max(sizes)


async def test_the_server_knows_its_connections():
    """
    B3: `server.connections` instead of a set of one's own.
    """
    async with nothing_left_over(), serving() as server:
        async with clients_of(server, 3) as clients:
            await clients[0].close()
            await wait_until(lambda: len(server.server.connections) < 3)
            websockets.broadcast(server.server.connections, "Hello!")

            assert ["Hello!"] * 2 == [await client.recv() for client in clients[1:]]


async def test_sending_to_all_by_gather():
    """
    B4: one failed peer does not keep the others from their message.
    """
    kept = []

    async def handler(connection):
        kept.append(connection)
        await connection.wait_closed()

    async with nothing_left_over(), serving(handler) as server:
        async with clients_of(server, 3) as clients:
            await clients[1].close()
            results = await asyncio.gather(
                *(connection.send("Hello!") for connection in kept),
                return_exceptions=True,
            )

            assert "Hello!" == await clients[0].recv()
            assert "Hello!" == await clients[2].recv()

    assert [None, None] == [results[0], results[2]]
    assert isinstance(results[1], websockets.ConnectionClosedOK)


async def test_sending_to_all_by_wait():
    """
    B4: the same with `asyncio.wait()`, of tasks.
    """
    async with nothing_left_over(), serving() as server:
        async with clients_of(server, 3) as clients:
            done, pending = await asyncio.wait(
                [
                    asyncio.create_task(connection.send("Hello!"))
                    for connection in server.server.connections
                ]
            )

            assert ["Hello!"] * 3 == [await client.recv() for client in clients]

    assert [None] * 3 == [task.result() for task in done]
    assert set() == pending


class Users:
    """
    One connection for each user, as in B5.
    """

    def __init__(self):
        self.connections = {}

    async def handler(self, connection):
        user = await connection.recv()
        self.connections[user] = connection
        await connection.send("welcome")
        try:
            await connection.wait_closed()
        finally:
            del self.connections[user]

    async def tell(self, user, message):
        await self.connections[user].send(message)


async def test_a_message_to_one_user():
    """
    B5: found by name while connected, KeyError when away.
    """
    users = Users()
    async with nothing_left_over(), serving(users.handler) as server:
        async with connecting(server.uri) as client:
            await client.send("ada")
            assert "welcome" == await client.recv()
            await users.tell("ada", "only for you")

            assert "only for you" == await client.recv()
        await wait_until(lambda: not users.connections)
        with pytest.raises(KeyError):
            await users.tell("ada", "gone")


async def test_a_message_to_a_user_who_has_just_gone():
    """
    B5: ConnectionClosed, when the handler has not noticed yet.
    """
    users = Users()
    async with nothing_left_over(), serving(users.handler) as server:
        async with connecting(server.uri) as client:
            await client.send("ada")
            assert "welcome" == await client.recv()
            connection = users.connections["ada"]
        await connection.wait_closed()
        with pytest.raises(websockets.ConnectionClosed):
            await connection.send("too late")


async def test_several_connections_of_a_user():
    """
    B6: a set for each user, removed when empty.
    """
    connections = defaultdict(set)

    async def handler(connection):
        user = await connection.recv()
        connections[user].add(connection)
        try:
            await connection.send("welcome")
            await connection.wait_closed()
        finally:
            connections[user].remove(connection)
            if not connections[user]:
                del connections[user]

    async with nothing_left_over(), serving(handler) as server:
        async with clients_of(server, 3) as clients:
            for client, user in zip(clients, ["ada", "ada", "bob"], strict=True):
                await client.send(user)
                await client.recv()
            websockets.broadcast(connections["ada"], "to both")

            assert "to both" == await clients[0].recv()
            assert "to both" == await clients[1].recv()
            websockets.broadcast(connections["bob"], "to one")
            assert "to one" == await clients[2].recv()
        await wait_until(lambda: not connections)


async def test_a_topic_is_a_set_of_recipients():
    """
    B7: the recipients are found first, then the message is broadcast to them.
    """
    subscriptions = {}

    async def handler(connection):
        async for message in connection:
            subscriptions[connection] = set(json.loads(message))
            await connection.send("subscribed")

    def publish(topic, message):
        recipients = [
            connection
            for connection, topics in subscriptions.items()
            if topic in topics
        ]
        websockets.broadcast(recipients, message)

    async with nothing_left_over(), serving(handler) as server:
        async with clients_of(server, 3) as clients:
            wishes = [["a"], ["a", "b"], ["b"]]
            for client, topics in zip(clients, wishes, strict=True):
                await client.send(json.dumps(topics))
                await client.recv()
            publish("a", "about a")
            publish("b", "about b")

            assert "about a" == await clients[0].recv()
            assert ["about a", "about b"] == [await clients[1].recv() for _ in "ab"]
            assert "about b" == await clients[2].recv()


async def test_a_generator_of_recipients():
    """
    B7: any iterable will do, an empty one, too.
    """
    async with nothing_left_over(), serving() as server:
        async with clients_of(server, 2) as clients:
            everybody = server.server.connections
            websockets.broadcast((connection for connection in everybody), "Hello!")
            websockets.broadcast([], "Nobody?")

            assert ["Hello!"] * 2 == [await client.recv() for client in clients]


async def test_connections_keep_what_programs_attach_to_them():
    """
    B6: `connection.user = ...` works, and a weak set holds connections.
    """
    users = []
    known = weakref.WeakSet()

    async def handler(connection):
        connection.user = await connection.recv()
        known.add(connection)
        users.append((connection.user, connection in known))

    async with nothing_left_over(), serving(handler) as server:
        async with connecting(server.uri) as client:
            await client.send("ada")
            await client.wait_closed()

    assert [("ada", True)] == users
