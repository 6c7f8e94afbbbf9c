"""
connect() through real proxies: every kind, with and without TLS on either leg.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import sys

import pytest

from tests.asyncio import exchange
from tests.asyncio.exchange import connecting, echo, serving
from tests.asyncio.raw import RawListener
from tests.proxies import KINDS, WAYS
from tests.under_test import OURS, lib

pytestmark = pytest.mark.anyio

MESSAGES = ["hello", b"\x00\xff", "x" * 300_000, ""]


def nothing_left_over():
    """
    Prove it for ours; theirs leaves complaints of asyncio's when TLS fails.
    """
    return exchange.nothing_left_over() if OURS else contextlib.nullcontext()


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """
    Set proxies in the environment, and no others.
    """
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)

    def set_variables(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_variables


@pytest.fixture
def trusting(client_ssl_context):
    """
    Return a function that connects, and trusts the certificates of tests.
    """

    def connect(uri, proxy=True, **options):
        if uri.startswith("wss:"):
            options.setdefault("ssl", client_ssl_context)
        if str(proxy).startswith("https:"):
            options.setdefault("proxy_ssl", client_ssl_context)
        return lib.connect(uri, proxy=proxy, **options)

    return connect


def went_through(connection, proxies, kind):
    """
    Tell whether a connection leads to a proxy.
    """
    return ("127.0.0.1", proxies.port(kind)) == connection.remote_address[:2]


# Every kind.


@pytest.mark.parametrize(("kind", "scheme"), WAYS)
async def test_messages(proxies, trusting, kind, scheme):
    """
    Small and large ones come back, then the closing handshake is done.
    """
    async with nothing_left_over(), serving() as server:
        async with trusting(server.uri, proxies.url(kind, scheme)) as connection:
            assert went_through(connection, proxies, kind)
            for message in MESSAGES:
                await connection.send(message)
                assert message == await connection.recv()

    assert (1000, "") == (connection.close_code, connection.close_reason)


@pytest.mark.parametrize(("kind", "scheme"), WAYS)
async def test_messages_over_tls(proxies, trusting, server_ssl_context, kind, scheme):
    """
    TLS reaches from end to end, also inside the TLS of an https:// proxy.
    """
    async with nothing_left_over(), serving(ssl=server_ssl_context) as server:
        async with trusting(server.uri, proxies.url(kind, scheme)) as connection:
            assert went_through(connection, proxies, kind)
            for message in MESSAGES:
                await connection.send(message)
                assert message == await connection.recv()

    assert (1000, "") == (connection.close_code, connection.close_reason)


@pytest.mark.parametrize("kind", ["tinyproxy", "proxy.py", "microsocks"])
async def test_the_server_closes(proxies, trusting, server_ssl_context, kind):
    """
    The end comes through, too.
    """

    async def close(connection):
        await connection.close(4000, "enough")

    async with nothing_left_over(), serving(close, ssl=server_ssl_context) as server:
        async with trusting(server.uri, proxies.url(kind)) as connection:
            with pytest.raises(lib.ConnectionClosedError):
                await connection.recv()

    assert (4000, "enough") == (connection.close_code, connection.close_reason)


# Who looks up names.


@pytest.mark.parametrize(
    ("kind", "scheme", "name"),
    [
        ("microsocks", "socks5", "127.0.0.1:{port}"),
        ("microsocks", "socks5h", "localhost:{port}"),
        ("tiny-proxy", "socks4", "('127.0.0.1', {port})"),
        ("tiny-proxy", "socks4a", "('localhost', {port})"),
    ],
)
async def test_the_scheme_tells_who_looks_up_the_server(proxies, kind, scheme, name):
    """
    With socks5h:// and socks4a:// the proxy is told the name, else the address.
    """
    async with serving() as server:
        uri = f"ws://localhost:{server.port}"
        async with connecting(uri, proxy=proxies.url(kind, scheme)):
            pass

    assert name.format(port=server.port) in proxies.output(kind)


# Who we are.


@pytest.mark.parametrize("kind", ["tinyproxy with users", "proxy.py"])
@pytest.mark.parametrize("user_info", ["ada:wrong@", "babbage:love%2Elace@"])
async def test_an_http_proxy_that_does_not_know_us(proxies, trusting, kind, user_info):
    """
    407, proxy authentication required.
    """
    scheme = KINDS[kind].schemes[0]
    async with nothing_left_over(), serving() as server:
        with pytest.raises(lib.InvalidProxyStatus) as raised:
            await trusting(server.uri, proxies.url(kind, scheme, user_info))

    # tinyproxy forbids what it does not know.
    assert raised.value.response.status_code in {401, 407}


async def test_a_socks_proxy_that_does_not_know_us(proxies):
    """
    The cause says why.
    """
    kind = "microsocks with users"
    url = proxies.url(kind, "socks5h", "ada:wrong@")
    async with nothing_left_over(), serving() as server:
        with pytest.raises(lib.ProxyError, match="failed to connect to SOCKS") as exc:
            await connecting(server.uri, proxy=url)

    assert exc.value.__cause__ is not None


# Which proxy.


async def test_the_environment(proxies, environment, trusting):
    """
    It is asked by default.
    """
    environment(https_proxy=proxies.url("tinyproxy"))
    async with serving() as server:
        async with lib.connect(server.uri) as connection:
            assert went_through(connection, proxies, "tinyproxy")
        environment(no_proxy="127.0.0.0,127.0.0.1")
        async with lib.connect(server.uri) as connection:
            assert server.port == connection.remote_address[1]


async def test_the_environment_names_socks(proxies, environment):
    """
    Without a scheme that is socks5h://.
    """
    if OURS:
        environment(socks_proxy=f"127.0.0.1:{proxies.port('microsocks')}")
    else:
        environment(socks_proxy=f"http://127.0.0.1:{proxies.port('microsocks')}")
    async with serving() as server:
        async with lib.connect(server.uri) as connection:
            assert went_through(connection, proxies, "microsocks")


async def test_none_ignores_the_environment(environment):
    """
    `proxy=None` connects directly.
    """
    environment(https_proxy="http://127.0.0.1:1")
    async with serving() as server:
        async with lib.connect(server.uri, proxy=None) as connection:
            assert server.port == connection.remote_address[1]


@pytest.fixture
def path(tmp_path):
    """
    Return the path of a Unix socket, short enough for the system.
    """
    return os.path.relpath(tmp_path / "socket")


async def test_a_socket_needs_no_proxy(environment, path):
    """
    Neither one that is connected, nor a Unix socket.
    """
    environment(https_proxy="http://127.0.0.1:1")
    async with serving() as server:
        sock = socket.create_connection(("127.0.0.1", server.port))
        async with lib.connect(server.uri, sock=sock) as connection:
            assert lib.State.OPEN is connection.state

    async with lib.unix_serve(echo, path):
        async with lib.unix_connect(path) as connection:
            assert lib.State.OPEN is connection.state


@pytest.mark.parametrize("url", ["ftp://h", "http://", "socks5://u@h", "h:1"])
async def test_an_invalid_url(url):
    """
    InvalidProxy, before anything is tried.
    """
    with pytest.raises(lib.InvalidProxy):
        await connecting("ws://127.0.0.1:1", proxy=url)


@pytest.mark.ours
async def test_without_python_socks(monkeypatch):
    """
    The error names what is missing.
    """
    for name in [name for name in sys.modules if name.startswith("python_socks")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "python_socks", None)

    with pytest.raises(ImportError, match="requires python-socks"):
        await connecting("ws://127.0.0.1:1", proxy="socks5h://127.0.0.1:1")


# TLS with the proxy.


@pytest.mark.parametrize(
    ("proxy", "options", "text"),
    [
        ("http://h", {"proxy_ssl": True}, "is incompatible with an http:// proxy"),
        ("https://h", {"proxy_ssl": None}, "is incompatible with an https:// proxy"),
    ],
)
async def test_url_and_proxy_ssl_must_agree(proxy, options, text):
    """
    As `ssl` and the URI must.
    """
    with pytest.raises(ValueError, match=text):
        await connecting("ws://127.0.0.1:1", proxy=proxy, **options)


@pytest.mark.parametrize(
    "name", ["server_hostname", "ssl_handshake_timeout", "ssl_shutdown_timeout"]
)
async def test_what_is_only_meaningful_with_tls(name):
    """
    Neither to the server nor to the proxy, if there is none.
    """
    value = "h" if name == "server_hostname" else 1.0
    with pytest.raises(ValueError, match=f"{name} is only meaningful with ssl"):
        await connecting("ws://127.0.0.1:1", **{name: value})
    with pytest.raises(ValueError, match=f"{name} is only meaningful with ssl"):
        await connecting(
            "ws://127.0.0.1:1",
            proxy="http://127.0.0.1:1",
            **{f"proxy_{name}": value},
        )


@pytest.mark.ours
async def test_proxy_ssl_may_be_for_nothing():
    """
    Whether there is a proxy may be up to the environment.
    """
    async with serving() as server:
        async with connecting(server.uri, proxy_ssl=True) as connection:
            assert lib.State.OPEN is connection.state


async def test_a_misspelled_argument_for_the_proxy():
    """
    Does not go unnoticed.
    """
    with pytest.raises(TypeError, match="proxy_sll"):
        await connecting("ws://127.0.0.1:1", proxy_sll=True)


async def test_a_proxy_that_nobody_trusts(proxies):
    """
    The default context knows no authority of tests.
    """
    async with nothing_left_over(), serving() as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            await connecting(server.uri, proxy=proxies.url("proxy.py"))


async def test_the_name_of_the_proxy(proxies, trusting):
    """
    Its certificate must bear `proxy_server_hostname`, by default the host.
    """
    async with nothing_left_over(), serving() as server:
        with pytest.raises(ssl.SSLCertVerificationError, match="ada.example"):
            await trusting(
                server.uri,
                proxies.url("proxy.py"),
                proxy_server_hostname="ada.example",
            )


@pytest.mark.parametrize("kind", ["tinyproxy", "proxy.py", "microsocks"])
async def test_a_server_that_nobody_trusts(proxies, trusting, server_ssl_context, kind):
    """
    A proxy changes nothing about that.
    """
    context = ssl.create_default_context()
    async with nothing_left_over(), serving(ssl=server_ssl_context) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            await trusting(server.uri, proxies.url(kind), ssl=context)


# Where to connect to.


async def test_host_and_port_are_for_the_server(proxies):
    """
    The proxy is asked for them instead of those of the URI.
    """
    if not OURS:
        return  # Theirs are for the proxy, and a TypeError.
    async with serving() as server:
        async with connecting(
            "ws://example.com/",
            proxy=proxies.url("tinyproxy"),
            host="127.0.0.1",
            port=server.port,
        ) as connection:
            assert "example.com" == connection.request.headers["Host"]
            assert went_through(connection, proxies, "tinyproxy")


@pytest.mark.parametrize("kind", ["tinyproxy", "microsocks"])
async def test_a_local_address(proxies, kind):
    """
    It is used for the way to the proxy.
    """
    async with serving() as server:
        async with connecting(
            server.uri, proxy=proxies.url(kind), local_addr=("127.0.0.2", 0)
        ) as connection:
            assert "127.0.0.2" == connection.local_address[0]


# What goes wrong.


@pytest.mark.parametrize("kind", ["tinyproxy", "proxy.py", "microsocks"])
@pytest.mark.parametrize("is_secure", [False, True])
async def test_a_server_that_hangs_up(proxies, trusting, kind, is_secure):
    """
    As without a proxy: there was no valid response, or no TLS.
    """
    listener = RawListener()

    async def hang_up():
        with contextlib.closing(await listener.accept()) as peer:
            if not is_secure:
                await peer.read_head()

    task = asyncio.create_task(hang_up())
    uri = f"{'wss' if is_secure else 'ws'}://127.0.0.1:{listener.port}"
    with contextlib.closing(listener):
        async with nothing_left_over():
            with pytest.raises(OSError if is_secure else lib.InvalidMessage):
                await trusting(uri, proxies.url(kind))
            await task


@pytest.mark.parametrize("kind", ["tinyproxy", "proxy.py", "microsocks", "danted"])
async def test_a_server_that_is_down(proxies, trusting, kind):
    """
    The proxy says so.
    """
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        uri = f"ws://127.0.0.1:{sock.getsockname()[1]}"
        async with nothing_left_over():
            with pytest.raises(lib.ProxyError):
                await trusting(uri, proxies.url(kind))


@pytest.mark.parametrize("scheme", ["http", "https", "socks4", "socks5h"])
async def test_a_proxy_that_is_down(scheme):
    """
    An error of the system.
    """
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        url = f"{scheme}://127.0.0.1:{sock.getsockname()[1]}"
        async with nothing_left_over():
            with pytest.raises(OSError, match="Connect call failed|refused|connect"):
                await connecting("ws://127.0.0.1:1", proxy=url)


@contextlib.asynccontextmanager
async def answering(answer):
    """
    Listen as a proxy that gives an answer, or none, to every request.
    """
    listener = RawListener()

    async def respond():
        with contextlib.closing(await listener.accept()) as peer:
            if answer is None:
                await asyncio.Event().wait()
            await peer.read_head()
            await peer.send(answer)

    task = asyncio.create_task(respond())
    try:
        yield f"http://127.0.0.1:{listener.port}"
        await task
    finally:
        task.cancel()
        listener.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 ", marks=pytest.mark.ours),
    ],
)
async def test_something_that_is_no_proxy(answer):
    """
    InvalidProxyMessage, whatever it says.
    """
    async with nothing_left_over(), answering(answer) as url:
        with pytest.raises(lib.InvalidProxyMessage):
            await connecting("ws://127.0.0.1:1", proxy=url)


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
async def test_a_silent_proxy(scheme):
    """
    `open_timeout` ends the wait.
    """
    listener = RawListener()
    url = f"{scheme}://127.0.0.1:{listener.port}"
    with contextlib.closing(listener):
        async with nothing_left_over():
            with pytest.raises(TimeoutError, match="timed out during opening hands"):
                await connecting("ws://127.0.0.1:1", proxy=url, open_timeout=0.03)
