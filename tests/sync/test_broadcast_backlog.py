"""
broadcast() to peers that do not keep up, on threads: bounded, and waiting for nobody.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time

import pytest

from socketeer._links import BaseLink, MaskingKeys
from socketeer._messages import prepare
from socketeer.server import ServerProtocol
from tests.sync.harness import TIMEOUT, connecting, eventually, pair, serving
from tests.under_test import lib, submodule

pytestmark = pytest.mark.ours

broadcast = submodule("sync.server").broadcast

SIZE = 50_000
LIMIT = 300_000


def numbered(number):
    """
    Return a large message with a number.
    """
    return b"%010d" % number + bytes(SIZE - 10)


@contextlib.contextmanager
def slow_reader(**kwargs):
    """
    Give a client which reads only when told to, and the connection to it.
    """
    options = {"compression": None, **kwargs}
    with pair(options, compression=None, max_queue=1, ping_interval=None) as ends:
        client, connection = ends
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SIZE)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SIZE)
        yield client, connection


def flood(connection, **options):
    """
    Broadcast many messages.
    """
    for number in range(200):
        broadcast([connection], numbered(number), **options)


def numbers_of(client):
    """
    Receive until the connection is closed; return the numbers of messages.
    """
    numbers = []
    with contextlib.suppress(lib.ConnectionClosed):
        while True:
            numbers.append(int(client.recv(TIMEOUT)[:10]))
    return numbers


def test_a_slow_peer_is_closed():
    """
    With 1013, after what was already on the way; what waits is bounded.
    """
    with slow_reader() as (client, connection):
        flood(connection, max_backlog=LIMIT)
        assert lib.State.OPEN is not connection.state
        assert connection.backlog <= LIMIT + SIZE + 100
        numbers = numbers_of(client)

        assert list(range(len(numbers))) == numbers
        assert 0 < len(numbers) < 200
        assert (1013, "too slow") == (client.close_code, client.close_reason)


def test_a_slow_peer_that_does_not_read_is_cut_off():
    """
    The close frame cannot reach it: the end comes at `close_timeout`.
    """
    with slow_reader(close_timeout=0.05) as (_, connection):
        flood(connection, max_backlog=LIMIT)
        assert connection.wait_closed(TIMEOUT)
        assert 0 == connection.backlog


@pytest.mark.parametrize("on_overflow", ["drop", "latest"])
def test_a_slow_peer_misses_messages(on_overflow):
    """
    `"drop"` keeps the first ones, `"latest"` the last one; all arrive in order, and
    what is sent afterwards comes behind them.
    """
    with slow_reader() as (client, connection):
        flood(connection, max_backlog=LIMIT, on_overflow=on_overflow)
        assert connection.backlog <= LIMIT + SIZE + 100
        dropped = connection.dropped
        sender = threading.Thread(target=connection.send, args=[numbered(1000)])
        sender.start()
        numbers = []
        while numbers[-1:] != [1000]:
            numbers.append(int(client.recv(TIMEOUT)[:10]))
        sender.join(TIMEOUT)

        assert lib.State.OPEN is connection.state
        assert sorted(numbers) == numbers
        assert 201 == len(numbers) + dropped
        assert (on_overflow == "latest") == (199 in numbers)


def test_nobody_is_waited_for():
    """
    A slow peer is no reason for others to miss a message, or to get it later.
    """
    options = {"compression": None, "close_timeout": 0.05}
    with serving(lambda c: c.wait_closed(), **options) as server:
        with (
            connecting(server, max_queue=1, close_timeout=0),
            connecting(server) as fast,
        ):
            eventually(lambda: 2 == len(server.connections))
            for number in range(400):
                broadcast(server.connections, numbered(number), max_backlog=LIMIT)
                assert number == int(fast.recv(TIMEOUT)[:10])

            assert 1 == len(server.connections)


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_a_peer_in_the_middle_of_a_fragmented_message(compression):
    """
    Gets the broadcast behind it; no stream is corrupted by what is shared.
    """
    with pair({"compression": compression}) as (client, connection):

        def parts():
            yield "first, "
            broadcast([connection], "a broadcast " * 10, max_backlog=LIMIT)
            assert connection.backlog > 100
            yield "last"

        connection.send(parts())
        connection.send("private " * 10)
        received = [client.recv(TIMEOUT) for _ in range(3)]

        assert ["first, last", "a broadcast " * 10, "private " * 10] == received


def test_a_peer_that_leaves_in_the_middle_of_a_fragmented_message():
    """
    What waited is forgotten.
    """
    with pair() as (client, connection):

        def parts():
            yield "first, "
            broadcast([connection], "never sent", max_backlog=LIMIT)
            connection.close()
            yield "last"

        with pytest.raises(lib.ConnectionClosed):
            connection.send(parts())
        assert client.wait_closed(TIMEOUT)
        broadcast([connection], "too late", max_backlog=LIMIT)

        assert 1011 == client.close_code
        assert 0 == connection.backlog


class Broken(submodule("extensions").Extension):
    """
    An extension that fails.
    """

    name = "broken"

    def encode(self, frame):
        raise RuntimeError("no")


@pytest.mark.parametrize("raises", [True, False])
def test_failures_are_reported(raises, caplog):
    """
    As warnings, or as an exception group when all have been served.
    """
    with pair() as (client, connection):
        connection._link.extensions = [Broken()]
        options = {"max_backlog": LIMIT, "raise_exceptions": raises}
        if raises:
            with pytest.raises(ExceptionGroup, match="skipped broadcast"):
                broadcast([connection], "x", **options)
        else:
            broadcast([connection], "x", **options)
            assert "failed to write message: no" in caplog.text
        connection._link.extensions = None
        with pytest.raises(ValueError, match="on_overflow must be"):
            broadcast([connection], "x", on_overflow="wait")
        broadcast([connection], "fine", **options)

        assert "fine" == client.recv(TIMEOUT)


class Link(BaseLink):
    """
    A link with nothing below.

    Attributes:
        unwritten: What it says of its backlog, until it was settled.
    """

    unwritten = 0

    def unwritten_size(self):
        return self.unwritten

    def settle(self):
        self.unwritten = 0


@pytest.fixture
def link():
    return Link(ServerProtocol(), MaskingKeys(os.urandom), time.monotonic)


def test_a_peer_that_can_take_something_now(link):
    """
    Is not slow: what waits is looked at after it was written.
    """
    link.unwritten = 100

    assert link.offer(prepare("x"), 50, "drop")
    assert 0 == link.dropped


def test_what_waits_when_a_connection_is_closed(link):
    """
    Is not sent behind the close frame, and nothing more is accepted.
    """
    link.congested = True
    assert link.offer(prepare("waits"), 50, "drop")
    assert 5 == link.backlog_size()
    link.send_close(1000, "")
    link.settle_pong()

    assert bytes.fromhex("880203e8") == link.data_to_send()
    assert not link.offer(prepare("x"), 50, "drop")


def test_shared_frames_are_logged(caplog):
    """
    As all others are.
    """
    caplog.set_level(logging.DEBUG)
    with pair() as (client, connection):
        broadcast([connection], "Hello!", max_backlog=LIMIT)
        assert "Hello!" == client.recv(TIMEOUT)

    assert "> TEXT 'Hello!' [6 bytes]" in caplog.messages
