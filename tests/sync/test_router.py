"""
Routing and bearer tokens on threads: what the room adds to what is shared.
"""

from __future__ import annotations

import pytest
from werkzeug.routing import Map, Rule

from socketeer.auth import bearer_token
from tests.sync.harness import TIMEOUT, connecting, serving
from tests.under_test import lib, submodule

router_module = submodule("sync.router")


@pytest.fixture
def routed(monkeypatch):
    """
    Have the harness serve rules in place of a handler.
    """
    server_module = submodule("sync.server")

    def serve(url_map, *args, **kwargs):
        monkeypatch.undo()
        return router_module.route(url_map, *args, **kwargs)

    monkeypatch.setattr(server_module, "serve", serve)


def room(connection, name):
    """
    Tell what the rule found.
    """
    connection.send(name)


@pytest.mark.usefixtures("routed")
def test_rules_choose_handlers():
    """
    With what they find in the path; 404 without a rule.
    """
    url_map = Map([Rule("/rooms/<name>", endpoint=room)])
    with serving(url_map, process_request=lambda *args: None) as server:
        with connecting(server, "/rooms/lobby") as client:
            assert "lobby" == client.recv(TIMEOUT)
        with pytest.raises(lib.InvalidStatus, match="404"):
            connecting(server, "/nowhere")


def test_routing_on_a_unix_socket(tmp_path):
    """
    The same.
    """
    path = tmp_path / "socket"
    server = router_module.unix_route(Map([Rule("/<name>", endpoint=room)]), path)
    server.shutdown()

    assert -1 == server.fileno()


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer abc"}, {}])
def test_bearer_tokens(headers):
    """
    In a header, or the first message in time.
    """

    def handler(connection):
        connection.send(str(bearer_token(connection, timeout=TIMEOUT)))

    with (
        serving(handler) as server,
        connecting(server, additional_headers=headers) as client,
    ):
        if not headers:
            client.send("abc")
        assert "abc" == client.recv(TIMEOUT)


def test_no_bearer_token():
    """
    None in time.
    """

    def handler(connection):
        connection.send(str(bearer_token(connection, timeout=0.01)))

    with serving(handler) as server, connecting(server) as client:
        assert "None" == client.recv(TIMEOUT)
