"""
Who is connected, and a message to all, to some, to one, on threads: patterns B1 to
B7.

B8, many processes, is the hub's, which is at home on asyncio. Programs with threads
publish by :class:`socketeer.pubsub.SyncPublisher`.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import socket
import threading
import weakref
from collections import defaultdict

import pytest

from tests.sync.harness import TIMEOUT, RawClient, connecting, eventually, serving
from tests.under_test import lib as websockets
from tests.under_test import submodule

broadcast = submodule("sync.server").broadcast


@contextlib.contextmanager
def clients_of(server, count):
    """
    Open connections to a server, each known to it already.
    """
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(count):
            client = stack.enter_context(connecting(server))
            assert client.ping().wait(TIMEOUT)
            clients.append(client)
        yield clients


class Registry:
    """
    A set of connections, kept by the handler of B1.
    """

    def __init__(self):
        self.connected = set()
        self.ended = threading.Event()

    def handler(self, connection):
        self.connected.add(connection)
        try:
            for message in connection:
                if message == "raise":
                    raise LookupError
                if message == "return":
                    return
        finally:
            self.connected.remove(connection)
            self.ended.set()


ENDS = {
    "close": lambda server, client: client.send_close(1000),
    "vanish": lambda server, client: client.sock.shutdown(socket.SHUT_RDWR),
    "return": lambda server, client: client.send_frame("81", b"return"),
    "raise": lambda server, client: client.send_frame("81", b"raise"),
    # A reserved opcode.
    "violation": lambda server, client: client.send_frame("83"),
    "shutdown": lambda server, client: threading.Thread(target=server.shutdown).start(),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_connection_leaves_the_set_however_it_ends(end):
    """
    B1: connections are hashable; `finally` runs on every kind of end.
    """
    registry = Registry()
    with serving(registry.handler) as server, RawClient(server) as client:
        eventually(lambda: registry.connected)
        ENDS[end](server, client)
        if end != "vanish":
            client.read_close()
            client.sock.shutdown(socket.SHUT_RDWR)
        assert registry.ended.wait(TIMEOUT)

    assert set() == registry.connected


def test_broadcast_reaches_all_that_are_connected():
    """
    B2: a set goes in, nothing comes back.
    """
    registry = Registry()
    with serving(registry.handler) as server, clients_of(server, 3) as clients:
        result = broadcast(registry.connected, "Hello!")

        assert result is None
        assert ["Hello!"] * 3 == [client.recv(TIMEOUT) for client in clients]


def test_broadcast_skips_closed_connections():
    """
    B2: who has left meanwhile is no reason to fail.
    """
    kept = set()

    def handler(connection):
        kept.add(connection)
        connection.wait_closed()

    with serving(handler) as server, clients_of(server, 3) as clients:
        clients[0].close()
        clients[1].socket.shutdown(socket.SHUT_RDWR)
        eventually(lambda: 1 == len(server.connections))
        broadcast(kept, "Hello!")

        assert 3 == len(kept)
        assert "Hello!" == clients[2].recv(TIMEOUT)


def test_the_server_knows_its_connections():
    """
    B3: `server.connections` instead of a set of one's own; also in a generator.
    """
    with serving() as server, clients_of(server, 3) as clients:
        clients[0].close()
        eventually(lambda: 2 == len(server.connections))
        broadcast(server.connections, "Hello!")
        broadcast((each for each in server.connections), "again")
        broadcast([], "nobody")

        for client in clients[1:]:
            assert ["Hello!", "again"] == [client.recv(TIMEOUT) for _ in range(2)]


def test_one_failed_peer_does_not_prevent_the_others():
    """
    B4: `send()` to each, in an executor that keeps exceptions.
    """
    kept = []

    def handler(connection):
        kept.append(connection)
        connection.wait_closed()

    with serving(handler) as server, clients_of(server, 3) as clients:
        clients[0].close()
        eventually(lambda: 2 == len(server.connections))
        with concurrent.futures.ThreadPoolExecutor() as executor:
            futures = [executor.submit(each.send, "Hello!") for each in kept]
        failures = [future.exception() for future in futures]

        assert 1 == sum(failure is not None for failure in failures)
        assert isinstance(failures[0], websockets.ConnectionClosedOK)
        assert ["Hello!"] * 2 == [client.recv(TIMEOUT) for client in clients[1:]]


class Users:
    """
    One connection for each user, as in B5.
    """

    def __init__(self):
        self.connections = {}

    def handler(self, connection):
        user = connection.recv()
        self.connections[user] = connection
        try:
            connection.send("welcome")
            connection.wait_closed()
        finally:
            del self.connections[user]

    def tell(self, user, message):
        self.connections[user].send(message)


def test_one_connection_of_each_user():
    """
    B5: KeyError when away, ConnectionClosed when just gone.
    """
    users = Users()
    with serving(users.handler) as server:
        with connecting(server) as client:
            client.send("ada")
            assert "welcome" == client.recv(TIMEOUT)
            users.tell("ada", "only for you")
            assert "only for you" == client.recv(TIMEOUT)
            connection = users.connections["ada"]
        assert connection.wait_closed(TIMEOUT)
        with pytest.raises(websockets.ConnectionClosed):
            connection.send("too late")
        eventually(lambda: not users.connections)
        with pytest.raises(KeyError):
            users.tell("ada", "gone")


def test_several_connections_of_a_user():
    """
    B6: a set for each user, removed when empty.
    """
    connections = defaultdict(set)

    def handler(connection):
        user = connection.recv()
        connections[user].add(connection)
        try:
            connection.send("welcome")
            connection.wait_closed()
        finally:
            connections[user].remove(connection)
            if not connections[user]:
                del connections[user]

    with serving(handler) as server:
        with clients_of(server, 3) as clients:
            for client, user in zip(clients, ["ada", "ada", "bob"], strict=True):
                client.send(user)
                assert "welcome" == client.recv(TIMEOUT)
            broadcast(connections["ada"], "to both")
            broadcast(connections["bob"], "to one")

            received = [client.recv(TIMEOUT) for client in clients]
            assert ["to both", "to both", "to one"] == received
        eventually(lambda: not connections)


def test_a_topic_is_a_set_of_recipients():
    """
    B7: the recipients are found first, then the message is broadcast to them.
    """
    subscriptions = {}

    def handler(connection):
        for message in connection:
            subscriptions[connection] = set(json.loads(message))
            connection.send("subscribed")

    def publish(topic, message):
        broadcast(
            [c for c, topics in subscriptions.items() if topic in topics], message
        )

    with serving(handler) as server, clients_of(server, 3) as clients:
        wishes = [["a"], ["a", "b"], ["b"]]
        for client, topics in zip(clients, wishes, strict=True):
            client.send(json.dumps(topics))
            client.recv(TIMEOUT)
        publish("a", "about a")
        publish("b", "about b")

        assert "about a" == clients[0].recv(TIMEOUT)
        assert ["about a", "about b"] == [clients[1].recv(TIMEOUT) for _ in "ab"]
        assert "about b" == clients[2].recv(TIMEOUT)


def test_connections_keep_what_programs_attach_to_them():
    """
    B6: `connection.user = ...` works, and a weak set holds connections.
    """
    users = []
    known = weakref.WeakSet()

    def handler(connection):
        connection.user = connection.recv()
        known.add(connection)
        users.append((connection.user, connection in known))

    with serving(handler) as server, connecting(server) as client:
        client.send("ada")
        assert client.wait_closed(TIMEOUT)

    assert [("ada", True)] == users
