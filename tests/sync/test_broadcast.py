"""
The same message to many connections, on threads.
"""

from __future__ import annotations

import pytest

from tests.sync.harness import TIMEOUT, connecting, eventually, pair, serving
from tests.under_test import submodule

server_module = submodule("sync.server")


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_broadcast(compression):
    """
    Connections that are not OPEN are skipped.
    """
    with serving(compression=compression) as server:
        clients = [connecting(server) for _ in range(3)]
        eventually(lambda: len(server.connections) == 3)
        connections = server.connections
        clients.pop().close()
        for message in ("to all", b"x" * 100_000):
            server_module.broadcast(connections, message, max_workers=2)
            assert [message] * 2 == [client.recv(TIMEOUT) for client in clients]
        with pytest.raises(TypeError):
            server_module.broadcast(connections, ["a", "b"])
        for client in clients:
            client.close()


def test_broadcast_by_clients():
    """
    Each masks its own frames.
    """
    with pair() as (client, server):
        server_module.broadcast([client], "from a client")
        assert "from a client" == server.recv(TIMEOUT)


def test_broadcast_reports_failures(caplog):
    """
    As warnings, or as an exception group when all have been served.
    """
    with pair() as (client, server):

        def parts():
            yield "a"
            server_module.broadcast([client], "skipped")
            with pytest.raises(ExceptionGroup, match="skipped broadcast"):
                server_module.broadcast([client], "skipped", raise_exceptions=True)
            yield "b"

        client.send(parts())

        assert "ab" == server.recv(TIMEOUT)
        assert "skipped broadcast: failed to write message" in caplog.text
