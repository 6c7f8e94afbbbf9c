"""
Servers in threads, and what tests ask them.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time

from socketeer.server import ServerProtocol
from tests.asyncio.raw import EXAMPLE_KEY, close_payload, encode, reset
from tests.under_test import submodule

__all__ = [
    "TIMEOUT",
    "RawClient",
    "connecting",
    "eventually",
    "mute_server",
    "pair",
    "serving",
    "url",
]

TIMEOUT = 5.0  # seconds; nothing takes as long


def echo(connection):
    """
    Send every message back.
    """
    for message in connection:
        connection.send(message)


@contextlib.contextmanager
def serving(handler=echo, **kwargs):
    """
    Run a server on a free port of the loopback interface.
    """
    server_module = submodule("sync.server")
    if "path" in kwargs or "sock" in kwargs:
        server = server_module.unix_serve(handler, **kwargs)
    else:
        server = server_module.serve(handler, "127.0.0.1", 0, **kwargs)
    with server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(TIMEOUT)
            assert not thread.is_alive()


def url(server, path="/", scheme="ws", host="127.0.0.1"):
    """
    Return the URL of a server.
    """
    return f"{scheme}://{host}:{server.socket.getsockname()[1]}{path}"


def connecting(server, path="/", *, secure=False, **kwargs):
    """
    Connect to a server.
    """
    kwargs.setdefault("proxy", None)
    address = url(server, path, "wss" if secure else "ws")
    return submodule("sync.client").connect(address, **kwargs)


@contextlib.contextmanager
def pair(server_kwargs=None, **client_kwargs):
    """
    Give a client, and the connection at the server's end, whose handler waits.
    """
    arrived = []
    there = threading.Event()
    over = threading.Event()

    def handler(connection):
        arrived.append(connection)
        there.set()
        over.wait()

    try:
        with (
            serving(handler, **(server_kwargs or {})) as server,
            connecting(server, **client_kwargs) as client,
        ):
            assert there.wait(TIMEOUT)
            try:
                yield client, arrived[0]
            finally:
                over.set()
    finally:
        over.set()


@contextlib.contextmanager
def mute_server(**kwargs):
    """
    Give a client, and the socket of a server that says nothing after the handshake.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sockets = []

        def accept():
            sock, _ = listener.accept()
            sockets.append(sock)
            protocol = ServerProtocol()
            while not (events := protocol.events_received()):
                protocol.receive_data(sock.recv(4096))
            protocol.send_response(protocol.accept(events[0]))
            sock.sendall(b"".join(protocol.data_to_send()))

        thread = threading.Thread(target=accept)
        thread.start()
        host, port = listener.getsockname()
        kwargs.setdefault("compression", None)
        client = submodule("sync.client").connect(
            f"ws://{host}:{port}", proxy=None, **kwargs
        )
        thread.join(TIMEOUT)
        try:
            yield client, sockets[0]
        finally:
            sockets[0].close()
            client.close()


def eventually(condition):
    """
    Wait until something is true that happens in another thread.
    """
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


class RawClient:
    """
    A client made by hand, on a blocking socket.

    Args:
        server: Where to connect to.
        headers: Added to the request.

    Attributes:
        sock: The socket.
    """

    def __init__(self, server, *headers):
        self.sock = socket.create_connection(server.socket.getsockname(), TIMEOUT)
        self._file = self.sock.makefile("rb")
        lines = [
            "GET / HTTP/1.1",
            "Host: localhost",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
            *(f"{name}: {value}" for name, value in headers),
        ]
        self.sock.sendall("\r\n".join([*lines, "", ""]).encode())
        self.head = b"".join(iter(self._file.readline, b"\r\n")).decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """
        Close the socket.
        """
        self._file.close()
        self.sock.close()

    def reset(self):
        """
        Close the socket with RST.
        """
        self._file.close()
        reset(self.sock)

    def send_frame(self, header, payload=b""):
        """
        Send a frame: see :func:`tests.asyncio.raw.encode`.
        """
        self.sock.sendall(encode(header, payload, EXAMPLE_KEY))

    def send_close(self, code, reason=""):
        """
        Send a close frame.
        """
        self.send_frame("88", close_payload(code, reason))

    def read_frame(self):
        """
        Return the first byte and the payload of a frame of less than 126 bytes.
        """
        head, size = self._file.read(2)
        return head, self._file.read(size)

    def read_close(self):
        """
        Read a close frame; return its code and reason.
        """
        head, payload = self.read_frame()
        assert head == 0x88
        return int.from_bytes(payload[:2]), payload[2:].decode()

    def read_rest(self):
        """
        Read until the end.
        """
        return self._file.read()
