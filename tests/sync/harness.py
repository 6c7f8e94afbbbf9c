"""
Servers in threads, and what tests ask them.
"""

from __future__ import annotations

import contextlib
import threading
import time

from tests.under_test import submodule

__all__ = [
    "TIMEOUT",
    "connecting",
    "eventually",
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


def eventually(condition):
    """
    Wait until something is true that happens in another thread.
    """
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)
