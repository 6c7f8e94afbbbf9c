"""
A server and a client on blocking sockets and threads, written on ``Session``
alone: the core is not made for one kind of room.
"""

from __future__ import annotations

import os
import socket
import threading
import time

import pytest

from socketeer.exceptions import InvalidState
from socketeer.frames import Close

from .ends import CLOSED, OPEN, RSV1

TIMEOUT = 5.0  # seconds; nothing takes as long


class Blocking:
    """
    A connection on a blocking socket, used by one thread at a time.
    """

    def __init__(self, core, sock, is_client, *, deflate=False, queue=2):
        keys = core.endpoint.MaskingKeys(os.urandom)
        limits = (2**20, 2**20)
        session = core.session.Session(is_client, *limits, keys, time.monotonic)
        session.high, session.low = queue, queue // 2
        session.close_timeout = TIMEOUT
        if deflate:
            session.deflate = core.deflate.Deflate(False, False, 15, 15, None)
            session.reserved_bits = RSV1
        self.session = session
        self.sock = sock
        self.buffer = bytearray(4096)
        self.half_closed = False
        session.start()

    def flush(self):
        data = self.session.data_to_send()
        self.sock.settimeout(TIMEOUT)
        try:
            if data:
                self.sock.sendall(data)
            if self.session.wants_eof and not self.half_closed:
                self.half_closed = True
                self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            # The peer is gone: nobody reads the rest.
            self.session.receive_eof()

    def read(self):
        """
        Read once, or do what is due by then.
        """
        due = self.session.next_deadline()
        wait = min(TIMEOUT, max(0.0, due - time.monotonic()))
        self.sock.settimeout(wait or 1e-6)
        try:
            size = self.sock.recv_into(self.buffer)
        except TimeoutError:
            if not self.session.advance(time.monotonic()):
                self.session.receive_eof()
        else:
            if size:
                # What came before a close frame is answered first.
                self.session.hold_close = True
                self.session.receive_data(self.buffer, size)
            else:
                self.session.receive_eof()
        self.flush()

    def receive(self):
        """
        Return the next message, or None when the connection is closed.
        """
        while True:
            message = self.session.take_message(None)
            if message is not None:
                return message
            if self.session.may_resume():
                self.session.unhalt()
            elif self.session.state == CLOSED:
                return None
            else:
                self.flush()
                self.read()

    def send(self, *parts, compress=True):
        """
        Send a message, in several fragments if there are several parts.
        """
        self.session.require_open()
        opcode = 1 if isinstance(parts[0], str) else 2
        if len(parts) == 1:
            self.session.send_message(opcode, parts[0], compress)
        else:
            for i, part in enumerate(parts):
                data = part.encode() if opcode == 1 else part
                fin = i == len(parts) - 1
                self.session.send_fragment(0 if i else opcode, data, fin, compress)
        self.flush()

    def ping(self):
        """
        Send a ping, wait for its pong and return the latency.
        """
        payload = self.session.send_ping(None, None)
        self.flush()
        while payload in (self.session.pings or ()):
            self.read()
        return self.session.latency

    def close(self, code=1000, reason=""):
        """
        Run the closing handshake; what still arrives is dropped.
        """
        self.session.send_close(code, reason)
        self.flush()
        while self.receive() is not None:
            pass


def echo(connection):
    """
    Send every message back until the connection is closed.
    """
    with connection.sock:
        while (message := connection.receive()) is not None:
            connection.send(message)


def tcp_pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    return one, other


@pytest.fixture(params=[socket.socketpair, tcp_pair], ids=["socketpair", "loopback"])
def sockets(request):
    pair = request.param()
    yield pair
    for sock in pair:
        sock.close()


@pytest.fixture(params=[False, True], ids=["plain", "deflate"])
def ends(core, request, sockets):
    """
    A client, and a server that echoes in a thread of its own.
    """
    client = Blocking(core, sockets[0], is_client=True, deflate=request.param)
    server = Blocking(core, sockets[1], is_client=False, deflate=request.param)
    thread = threading.Thread(target=echo, args=[server])
    thread.start()
    yield client, server
    client.sock.close()
    thread.join(TIMEOUT)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    "parts",
    [
        ("Hello",),
        ("",),
        (b"\xff" * 100_000,),
        ("é" * 30_000,),
        ("a", "é", "", "😀"),
        (b"a" * 5000, b"", b"b" * 70_000),
    ],
)
def test_threads_exchange_messages(ends, parts):
    """
    Text and binary, whole and in fragments, larger than a read.
    """
    client, _ = ends
    client.send(*parts)

    assert parts[0][:0].join(parts) == client.receive()


def test_threads_pipeline_messages(ends):
    """
    More messages than the queue holds, compressed or not, all in order.
    """
    client, _ = ends
    for i in range(50):
        client.send(f"message {i}", compress=i % 3 > 0)

    assert [f"message {i}" for i in range(50)] == [client.receive() for _ in range(50)]


def test_threads_ping(ends):
    """
    The pong comes while the other thread waits for messages.
    """
    client, _ = ends

    assert 0.0 <= client.ping() < TIMEOUT
    client.send("still here")
    assert "still here" == client.receive()


def test_threads_keep_alive(core, sockets):
    """
    Deadlines bound the waits on the socket: pings leave by themselves.
    """
    server = Blocking(core, sockets[1], is_client=False)
    server.session.ping_interval = server.session.ping_timeout = 0.01
    server.session.start()
    while server.session.state == OPEN:
        server.read()

    assert (1011, "keepalive ping timeout") == (
        server.session.close_sent.code,
        server.session.close_sent.reason,
    )
    assert sockets[0].recv(6).startswith(b"\x89\x04")


def test_threads_close(ends):
    """
    The handshake is run from the client, the server closes first
    (RFC 6455, 7.1.1), and nothing can be sent any more.
    """
    client, server = ends
    client.send("never read")
    client.close(1001, "done")

    assert Close(1001, "done") == client.session.close_sent
    assert Close(1001, "done") == client.session.close_rcvd == server.session.close_sent
    assert server.session.close_rcvd_then_sent is True
    assert client.session.close_rcvd_then_sent is False
    with pytest.raises(InvalidState):
        client.send("late")


def test_threads_tell_violations(ends):
    """
    Messages before it are answered, then the connection is failed.
    """
    client, server = ends
    client.session.send_message(1, "before", False)
    client.session.send_frame(0x83, b"")
    client.flush()

    assert "before" == client.receive()
    assert client.receive() is None
    assert Close(1002, "invalid opcode") == client.session.close_rcvd
    assert 1002 == server.session.fail_code
