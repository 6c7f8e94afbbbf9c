"""
Clients on trio behind real proxies.
"""

from __future__ import annotations

import functools
import os

import pytest
import trio

from socketeer.exceptions import InvalidProxy, InvalidProxyStatus, ProxyError
from socketeer.trio.client import connect
from socketeer.trio.server import serve
from tests.proxies import WAYS

# Proxies have names to look up, and are other processes.
pytestmark = pytest.mark.usefixtures("real_clock")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """
    Set proxies in the environment, and no others.
    """
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    return monkeypatch.setenv


async def echo(connection):
    async for message in connection:
        await connection.send(message)


@pytest.fixture
def exchange(client_ssl_context, server_ssl_context):
    """
    Return a function that starts a server, connects and exchanges messages.
    """

    async def run(scheme="ws", proxy=True, **options):
        ssl = server_ssl_context if scheme == "wss" else None
        if ssl is not None:
            options["ssl"] = client_ssl_context
        if str(proxy).startswith("https:"):
            options["proxy_ssl"] = client_ssl_context
        start = functools.partial(serve, host="localhost", ssl=ssl)
        async with trio.open_nursery() as nursery:
            async with await nursery.start(start, echo, 0) as server:
                port = server.listeners[0].socket.getsockname()[1]
                uri = f"{scheme}://localhost:{port}/"
                async with connect(uri, proxy=proxy, **options) as connection:
                    for message in ["hello", b"x" * 100_000]:
                        await connection.send(message)
                        assert message == await connection.recv()
                    return connection.remote_address

    return run


@pytest.mark.parametrize("scheme", ["ws", "wss"])
@pytest.mark.parametrize(("kind", "proxy_scheme"), WAYS)
async def test_goes_through(proxies, exchange, kind, proxy_scheme, scheme):
    """
    Every kind, with and without TLS on either leg.
    """
    address = await exchange(scheme, proxies.url(kind, proxy_scheme))

    assert ("127.0.0.1", proxies.port(kind)) == address[:2]


async def test_asks_the_environment(proxies, exchange, environment):
    """
    By default; ``None`` connects directly.
    """
    environment("ws_proxy", proxies.url("tinyproxy"))
    environment("no_proxy", "example.com")

    assert proxies.port("tinyproxy") == (await exchange())[1]
    assert proxies.port("tinyproxy") != (await exchange(proxy=None))[1]


async def test_credentials_that_are_wrong(proxies):
    """
    The proxy's refusal is told.
    """
    url = proxies.url("tinyproxy with users", user_info="ada:wrong@")
    with pytest.raises(InvalidProxyStatus):
        async with connect("ws://localhost:1/", proxy=url):
            pytest.fail("connected")
    url = proxies.url("microsocks with users", user_info="ada:wrong@")
    with pytest.raises(ProxyError, match="failed to connect to SOCKS proxy"):
        async with connect("ws://localhost:1/", proxy=url):
            pytest.fail("connected")


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
async def test_no_proxy_listens(scheme):
    """
    That is an OSError, which may pass.
    """
    with pytest.raises(OSError, match="connect"):
        async with connect("ws://localhost:1/", proxy=f"{scheme}://127.0.0.1:1"):
            pytest.fail("connected")


async def test_refuses_arguments():
    """
    A URL that is none, and TLS where there is none.
    """
    with pytest.raises(InvalidProxy):
        async with connect("ws://localhost:1/", proxy="ftp://localhost"):
            pytest.fail("connected")
    with pytest.raises(ValueError, match="proxy_ssl argument is incompatible"):
        async with connect(
            "ws://localhost:1/", proxy="http://localhost", proxy_ssl=True
        ):
            pytest.fail("connected")


async def test_a_proxy_that_is_too_slow():
    """
    ``open_timeout`` limits this, too.
    """
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    for scheme in ("http", "socks5h"):
        with pytest.raises(TimeoutError, match="timed out during opening handshake"):
            async with connect(
                "ws://localhost:1/",
                proxy=f"{scheme}://127.0.0.1:{port}",
                open_timeout=0.05,
            ):
                pytest.fail("connected")
    await listener.aclose()
