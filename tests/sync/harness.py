"""
Servers in threads, and what tests ask them.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time

from socketeer.server import ServerProtocol
from tests.under_test import submodule

__all__ = [
    "TIMEOUT",
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


def connecting(server, path="/", **kwargs):
    """
    Connect to a server.
    """
    kwargs.setdefault("proxy", None)
    return submodule("sync.client").connect(url(server, path), **kwargs)


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
