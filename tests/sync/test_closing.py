"""
How connections on threads end.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time

import pytest

from tests.sync.harness import (
    TIMEOUT,
    connecting,
    echo,
    eventually,
    mute_server,
    pair,
    serving,
)
from tests.under_test import lib


@pytest.mark.parametrize(("end", "code"), [(lambda: None, 1000), (lambda: 1 / 0, 1011)])
def test_the_end_of_the_handler_closes(end, code):
    """
    With 1000 when it returns, with 1011 when it raises.
    """
    with serving(lambda connection: end()) as server, connecting(server) as client:
        assert client.wait_closed(TIMEOUT)
        assert code == client.close_code


def test_the_end_of_the_block_closes():
    """
    With 1000, or 1011 for an exception.
    """
    codes = []

    def handler(connection):
        connection.wait_closed()
        codes.append(connection.close_code)

    with serving(handler) as server:
        with connecting(server):
            pass
        with pytest.raises(ZeroDivisionError), connecting(server):
            _ = 1 / 0
        eventually(lambda: len(codes) == 2)

        assert [1000, 1011] == codes


def test_iteration_ends_quietly():
    """
    After all messages, when the end is normal.
    """

    def handler(connection):
        connection.send("one")
        connection.send("two")

    with serving(handler) as server, connecting(server) as client:
        assert ["one", "two"] == list(client)


def test_iteration_raises():
    """
    After all messages, when the end is not normal.
    """

    def handler(connection):
        connection.send("one")
        connection.close(1008, "policy")

    with serving(handler) as server, connecting(server) as client:
        messages = iter(client)
        assert "one" == next(messages)
        with pytest.raises(lib.ConnectionClosedError) as raised:
            next(messages)

        assert (1008, "policy") == (raised.value.rcvd.code, raised.value.rcvd.reason)


def test_what_is_done_afterwards_raises():
    """
    All methods tell how the connection ended.
    """
    with serving(lambda connection: None) as server, connecting(server) as client:
        for method in (client.recv, client.ping, client.pong):
            with pytest.raises(lib.ConnectionClosedOK):
                method()
        for message in ("late", ["late"]):
            with pytest.raises(lib.ConnectionClosedOK):
                client.send(message)
        client.close(1002)

        assert (1000, "") == (client.close_code, client.close_reason)


def test_messages_before_the_end_are_kept():
    """
    They can be received when the connection is CLOSED.
    """
    with serving(lambda connection: connection.send("kept")) as server:
        client = connecting(server)
        assert client.wait_closed(TIMEOUT)

        assert "kept" == client.recv()
        with pytest.raises(lib.ConnectionClosedOK):
            client.recv()


def test_a_close_frame_is_not_lost_by_who_stops_to_receive():
    """
    It came in one read with a message, and the end of TCP behind it.
    """
    with mute_server() as (client, sock):
        sock.sendall(bytes.fromhex("8102 6869 8804 03f0 6279"))
        sock.shutdown(socket.SHUT_WR)
        assert "hi" == client.recv(TIMEOUT)
        assert client.wait_closed(TIMEOUT)

        assert (1008, "by") == (client.close_code, client.close_reason)


def test_what_came_before_a_close_frame_is_answered():
    """
    A handler sends its answers although the close frame was in the same read.
    """
    with serving(echo) as server, connecting(server, compression=None) as client:
        link = client._link
        with link.lock:
            for number in range(3):
                link.send_message(1, str(number), False)
            client._link.begin_close(1000, "")

        assert ["0", "1", "2"] == list(client)


@pytest.mark.parametrize("code", [999, 1005, 1006, 2999, 5000])
def test_codes_that_cannot_be_sent(code):
    """
    The connection stays OPEN.
    """
    with serving() as server, connecting(server) as client:
        with pytest.raises(lib.ProtocolError):
            client.close(code)
        client.send("still here")

        assert "still here" == client.recv(TIMEOUT)


def test_closing_wakes_who_receives():
    """
    In whatever thread.
    """
    with pair() as (client, _):
        raised = []

        def receive():
            try:
                client.recv()
            except lib.ConnectionClosed as exc:
                raised.append(exc)

        thread = threading.Thread(target=receive)
        thread.start()
        eventually(lambda: client._link.receiving)
        client.close(1001, "bye")
        thread.join(TIMEOUT)

        assert 1001 == raised[0].sent.code


def test_closing_in_several_threads():
    """
    All wait for the same end.
    """
    with pair() as (client, _):
        threads = [threading.Thread(target=client.close) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT)
            assert not thread.is_alive()

        assert 1000 == client.close_code


def test_closing_takes_no_longer_than_close_timeout():
    """
    Also if the peer does nothing.
    """
    with mute_server(close_timeout=0.1) as (client, _):
        began = time.monotonic()
        client.close()

        assert time.monotonic() - began < TIMEOUT / 2
        assert 1006 == client.close_code
        assert isinstance(client.close_exc.__cause__, TimeoutError)


def test_closing_while_the_peer_takes_nothing():
    """
    A sender that waits for the peer is woken.
    """
    with mute_server(close_timeout=0.1) as (client, _):
        raised = []

        def send():
            try:
                client.send(b"x" * 20_000_000)
            except lib.ConnectionClosed as exc:
                raised.append(exc)

        thread = threading.Thread(target=send)
        thread.start()
        eventually(client._link.is_congested)
        client.close()
        thread.join(TIMEOUT)

        assert 1 == len(raised)


def test_a_lost_connection():
    """
    The cause is told.
    """
    with pair() as (client, server):
        server.socket.shutdown(socket.SHUT_RDWR)
        with pytest.raises(lib.ConnectionClosedError) as raised:
            client.recv(TIMEOUT)

        assert isinstance(raised.value.__cause__, EOFError)
        assert 1006 == client.close_code


def test_a_violation_fails_the_connection():
    """
    After the messages that came before it.
    """
    with pair(compression=None) as (client, server):
        client.send("before")
        with client._link.lock:
            client._link.send_frame(0x83, b"")
            client._link.settle()

        assert "before" == server.recv(TIMEOUT)
        with pytest.raises(lib.ConnectionClosedError):
            server.recv(TIMEOUT)
        assert (1002, "invalid opcode") == (
            server.protocol.close_sent.code,
            server.protocol.close_sent.reason,
        )


@pytest.mark.parametrize("streaming", [False, True])
def test_binary_that_is_no_text(streaming):
    """
    To decode it fails the connection with 1007.
    """
    with pair() as (client, server):
        client.send(b"\xff")
        with pytest.raises(lib.ConnectionClosedError):
            if streaming:
                list(server.recv_streaming(decode=True))
            else:
                server.recv(TIMEOUT, decode=True)

        assert 1007 == server.protocol.close_sent.code


def test_too_large_messages():
    """
    They are refused with 1009.
    """
    with pair({"max_size": 1000}, compression=None) as (client, server):
        client.send(b"x" * 1001)
        with pytest.raises(lib.ConnectionClosedError):
            server.recv(TIMEOUT)

        assert client.wait_closed(TIMEOUT)
        assert 1009 == client.close_code


def test_no_socket_is_left():
    """
    When all connections are closed.
    """
    with pair() as (client, server):
        pass
    eventually(lambda: client.socket.fileno() < 0 and server.socket.fileno() < 0)


# In a process of its own: the watch is shared by all connections of a process.
PROGRAM = """
import threading
from socketeer.sync.client import connect
from socketeer.sync.server import serve

with serve(lambda connection: connection.recv(), "127.0.0.1", 0) as server:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    port = server.socket.getsockname()[1]
    with connect(f"ws://127.0.0.1:{port}") as connection:
        connection.send("bye")
        assert threading.active_count() > 2
thread.join()
for other in threading.enumerate():
    if other is not threading.main_thread():
        other.join(20)
assert threading.active_count() == 1, threading.enumerate()
"""


def test_no_thread_is_left():
    """
    Nor any thread that looked after connections.
    """
    ended = subprocess.run([sys.executable, "-c", PROGRAM], timeout=60, check=False)

    assert 0 == ended.returncode
