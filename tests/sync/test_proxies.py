"""
Clients on threads behind real proxies.
"""

from __future__ import annotations

import os

import pytest

from socketeer.exceptions import InvalidProxyStatus, ProxyError
from socketeer.sync.client import connect
from tests.proxies import WAYS
from tests.sync.harness import echo, serving


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """
    Set proxies in the environment, and no others.
    """
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    return monkeypatch.setenv


@pytest.fixture
def exchange(client_ssl_context, server_ssl_context):
    """
    Return a function that starts a server, connects and exchanges messages.
    """

    def run(scheme="ws", proxy=True, **options):
        ssl = server_ssl_context if scheme == "wss" else None
        if ssl is not None:
            options["ssl"] = client_ssl_context
        if str(proxy).startswith("https:"):
            options["proxy_ssl"] = client_ssl_context
        with serving(echo, ssl=ssl) as server:
            uri = f"{scheme}://localhost:{server.socket.getsockname()[1]}/"
            with connect(uri, proxy=proxy, **options) as connection:
                for message in ["hello", b"x" * 100_000]:
                    connection.send(message)
                    assert message == connection.recv()
                return connection.remote_address

    return run


@pytest.mark.parametrize("scheme", ["ws", "wss"])
@pytest.mark.parametrize(("kind", "proxy_scheme"), WAYS)
def test_goes_through(proxies, exchange, kind, proxy_scheme, scheme):
    """
    Every kind, with and without TLS on either leg.
    """
    address = exchange(scheme, proxies.url(kind, proxy_scheme))

    assert ("127.0.0.1", proxies.port(kind)) == address[:2]


def test_asks_the_environment(proxies, exchange, environment):
    """
    By default; ``None`` connects directly.
    """
    environment("ws_proxy", proxies.url("tinyproxy"))

    assert proxies.port("tinyproxy") == exchange()[1]
    assert proxies.port("tinyproxy") != exchange(proxy=None)[1]


def test_a_server_that_is_down(proxies, exchange):
    """
    Each kind of proxy has its own words for it.
    """
    with pytest.raises(InvalidProxyStatus):
        connect("ws://localhost:1/", proxy=proxies.url("tinyproxy"))
    with pytest.raises(ProxyError, match="failed to connect to SOCKS proxy"):
        connect("ws://localhost:1/", proxy=proxies.url("microsocks", "socks5"))
