"""
Unusual ends of connections on threads: during the handshake, in TLS, and by nobody.
"""

from __future__ import annotations

import errno
import logging
import socket
import threading

import pytest

from socketeer.sync.link import Link
from socketeer.sync.watch import Watch
from tests.asyncio.raw import reset
from tests.sync.harness import (
    TIMEOUT,
    RawClient,
    connecting,
    eventually,
    mute_server,
    pair,
    serving,
)
from tests.under_test import lib

pytestmark = pytest.mark.ours


def test_a_hook_that_closes_the_connection():
    """
    There is no answer; it counts as a handshake that broke.
    """

    def process_request(connection, request):
        connection.close()

    with serving(process_request=process_request) as server:
        with pytest.raises(lib.InvalidMessage):
            connecting(server)
        eventually(lambda: server.statistics()["handshakes_broken"])

        assert 0 == server.statistics()["rejected"]


def test_a_hook_that_returns_while_the_server_shuts_down():
    """
    The client is told so, as who comes later is.
    """
    asked = threading.Event()
    statuses = []

    def process_response(connection, request, response):
        asked.set()
        eventually(server.is_closing)

    def connect():
        with pytest.raises(lib.InvalidStatus) as refused:
            connecting(server)
        statuses.append(refused.value.response.status_code)

    with serving(process_response=process_response) as server:
        client = threading.Thread(target=connect)
        client.start()
        assert asked.wait(TIMEOUT)
        server.shutdown()
        client.join(TIMEOUT)

    assert [503] == statuses
    assert 0 == server.statistics()["connections"]


def test_a_connection_that_opens_while_the_server_shuts_down():
    """
    It opens, and is closed as all others.
    """
    shutdowns = []

    def shut_down(record):
        """
        Do so when it is too late to refuse: the response is made.
        """
        if record.getMessage() == "connection open" and not shutdowns:
            shutdowns.append(threading.Thread(target=server.shutdown))
            shutdowns[0].start()
            eventually(lambda: server.socket.fileno() == -1)
        return False

    logger = logging.getLogger("tests.sync.shutdown")
    logger.setLevel(logging.INFO)
    logger.addFilter(shut_down)
    with serving(logger=logger) as server, connecting(server) as client:
        assert client.wait_closed(TIMEOUT)
        shutdowns[0].join(TIMEOUT)

    assert 1001 == client.close_code


def test_garbage_inside_of_tls(server_ssl_context, client_ssl_context):
    """
    The connection fails, and the cause tells why.
    """
    options = {"ssl": server_ssl_context}
    with pair(options, secure=True, ssl=client_ssl_context) as (client, connection):
        client.socket.send(b"this is no record of TLS")
        assert connection.wait_closed(TIMEOUT)

        assert 1006 == connection.close_code
        assert "SSLError" in [
            kind.__name__ for kind in type(connection.connection_exc).__mro__
        ]


def test_a_close_frame_that_nobody_looks_at():
    """
    It is answered all the same, though not at once: who received may come back.
    """
    with mute_server() as (client, sock):
        sock.sendall(bytes.fromhex("8102 6869 8802 03e8"))
        assert "hi" == client.recv(TIMEOUT)
        eventually(lambda: client.state is not lib.State.OPEN)
        head, size = sock.recv(2)

        assert (0x88, 0x82) == (head, size)


def test_a_reset_while_a_thread_receives():
    """
    It is the cause of the error.
    """
    failures = []

    def receive(client):
        try:
            client.recv()
        except lib.ConnectionClosedError as exc:
            failures.append(exc)

    with mute_server() as (client, sock):
        receiving = threading.Thread(target=receive, args=[client])
        receiving.start()
        eventually(lambda: client._link.receiving)
        reset(sock)
        receiving.join(TIMEOUT)

    [failure] = failures
    assert isinstance(failure.__cause__, ConnectionResetError)


def test_a_reset_behind_a_full_queue():
    """
    The next ping cannot be sent. That ends the connection, though nobody receives,
    and nothing more is read.
    """
    arrived, ended = [], threading.Event()

    def handler(connection):
        arrived.append(connection)
        connection.wait_closed()
        ended.set()

    options = {"max_queue": 1, "ping_interval": 0.02, "ping_timeout": None}
    with serving(handler, **options) as server, RawClient(server) as client:
        for _ in range(10):
            client.send_frame("81", b"hi")
        eventually(lambda: arrived and arrived[0]._link.halted)
        client.reset()

        assert ended.wait(TIMEOUT)
        # What was in the queue is still there.
        assert "hi" == arrived[0].recv()


def test_sending_after_a_reset_behind_a_full_queue():
    """
    It raises, though nobody receives: also without a keepalive.
    """
    arrived, gone, ended = [], threading.Event(), threading.Event()

    def handler(connection):
        arrived.append(connection)
        gone.wait(TIMEOUT)
        with pytest.raises(lib.ConnectionClosedError):
            while True:
                connection.send("Are you there?")
        ended.set()

    with (
        serving(handler, max_queue=1, ping_interval=None) as server,
        RawClient(server) as client,
    ):
        for _ in range(10):
            client.send_frame("81", b"hi")
        eventually(lambda: arrived and arrived[0]._link.halted)
        client.reset()
        gone.set()

        assert ended.wait(TIMEOUT)


def test_no_file_descriptors_for_the_watch(monkeypatch):
    """
    It begins as soon as there are some; who is looked after then, as always.
    """
    failures = [OSError(errno.EMFILE, "Too many open files")] * 2
    make = socket.socketpair

    def socketpair(*args):
        if failures and threading.current_thread().name == "socketeer.sync watch":
            raise failures.pop()
        return make(*args)

    watch = Watch()
    monkeypatch.setattr("socketeer.sync.writing.WATCH", watch)
    monkeypatch.setattr("socketeer._sockets.PAUSE", 0.01)
    monkeypatch.setattr(socket, "socketpair", socketpair)
    impatient = {"ping_interval": 0.01, "ping_timeout": 0.01, "close_timeout": 0.01}
    with mute_server(**impatient) as (client, _):
        assert client.wait_closed(TIMEOUT)
    eventually(lambda: not watch.is_running())

    assert [] == failures


def test_a_mistake_while_nobody_receives(monkeypatch, caplog):
    """
    It ends the connection, not the thread which looks after all others.
    """

    def read_now(link, buffer):
        raise RuntimeError("a mistake")

    with mute_server() as (_, sock), monkeypatch.context() as patch:
        with mute_server() as (client, its_sock):
            patch.setattr(Link, "read_now", read_now)
            its_sock.sendall(bytes.fromhex("8100"))
            assert client.wait_closed(TIMEOUT)
            with pytest.raises(lib.ConnectionClosedError) as info:
                client.recv()
            assert isinstance(info.value.__cause__, RuntimeError)
        patch.undo()
        sock.sendall(bytes.fromhex("8900"))
        sock.settimeout(TIMEOUT)
        assert b"\x8a" == sock.recv(1)

    assert ["connection failed"] == caplog.messages
