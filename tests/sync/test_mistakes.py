"""
What servers on threads make of mistakes in the program.
"""

from __future__ import annotations

import pytest
from werkzeug.routing import Map

from tests.sync.harness import connecting, serving
from tests.under_test import lib, submodule

server_module = submodule("sync.server")
router_module = submodule("sync.router")


def test_a_coroutine_function_for_credentials(caplog):
    """
    A coroutine would count as true, whatever it says: nobody gets in.
    """

    async def check_credentials(username, password):
        raise AssertionError

    hook = server_module.basic_auth("here", check_credentials=check_credentials)
    with serving(process_request=hook) as server:
        headers = {"Authorization": "Basic YWRhOmFkYQ=="}
        with pytest.raises(lib.exceptions.InvalidStatus, match="HTTP 500"):
            connecting(server, additional_headers=headers)

    assert "must not be a coroutine function" in caplog.text


def test_a_class_that_cannot_be_made(caplog):
    """
    The client is turned away, and the server goes on.
    """
    connections = iter([])

    def create_connection(*args, **kwargs):
        return next(connections)

    with serving(create_connection=create_connection) as server:
        for _ in range(2):
            with pytest.raises((lib.exceptions.InvalidMessage, OSError)):
                connecting(server)

    assert "opening handshake failed" in caplog.text


def test_routing_with_tls(server_ssl_context):
    """
    The context is the server's.
    """
    server = router_module.route(Map([]), "127.0.0.1", 0, ssl=server_ssl_context)
    server.shutdown()

    assert -1 == server.fileno()
