"""
connect() follows redirects, within limits.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket

import pytest

from tests.asyncio.exchange import connecting, echo, nothing_left_over, serving
from tests.under_test import OURS, lib, submodule

pytestmark = pytest.mark.anyio

SECRETS = {"Authorization": "a", "Cookie": "c", "Proxy-Authorization": "p"}


def redirecting(routes, status=302):
    """
    Return a hook that redirects some paths to others.
    """

    def process_request(connection, request):
        location = routes.get(request.path)
        if location is None:
            return None
        response = connection.respond(status, "")
        response.headers["Location"] = location
        return response

    return process_request


@contextlib.asynccontextmanager
async def elsewhere(path="/", **options):
    """
    Run a server, and one of another origin that redirects to it.
    """
    async with serving(**options) as server:
        hook = redirecting({"/": f"{server.uri}{path}"})
        async with serving(process_request=hook) as first:
            yield first, server


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
async def test_within_the_origin(status):
    """
    All headers are sent again, credentials included.
    """
    hook = redirecting({"/old/a": "../new?b"}, status)
    async with nothing_left_over(), serving(process_request=hook) as server:
        opening = connecting(f"{server.uri}/old/a", additional_headers=SECRETS)
        async with opening as connection:
            assert "/new?b" == connection.request.path
            for name, value in SECRETS.items():
                assert value == connection.request.headers[name]
            await connection.send("hello")
            assert "hello" == await connection.recv()

    assert opening.uri == f"{server.uri}/new?b"


async def test_to_another_origin():
    """
    Credentials stay behind, others come along.
    """
    headers = {**SECRETS, "X-Other": "x"}
    async with nothing_left_over(), elsewhere() as (first, server):
        opening = connecting(first.uri, additional_headers=headers)
        async with opening as connection:
            assert server.port == connection.remote_address[1]
            received = connection.request.headers
            assert "x" == received["X-Other"]
            assert not any(name in received for name in SECRETS)


async def test_the_object_keeps_where_it_was_redirected_to():
    """
    The next connection goes there directly, without credentials.
    """
    async with elsewhere() as (first, server):
        opening = connecting(first.uri, additional_headers=SECRETS)
        for _ in range(2):
            async with opening as connection:
                assert server.port == connection.remote_address[1]
                assert "Cookie" not in connection.request.headers
        assert opening.uri == f"{server.uri}/"


async def test_headers_may_be_an_iterator():
    """
    It is read once, the headers are sent twice.
    """
    if not OURS:
        return
    hook = redirecting({"/": "/new"})
    async with serving(process_request=hook) as server:
        async with connecting(
            server.uri, additional_headers=iter(SECRETS.items())
        ) as connection:
            assert "c" == connection.request.headers["Cookie"]


async def test_from_ws_to_wss(server_ssl_context, client_ssl_context):
    """
    From then on it is secure. The default context does not know the authority.
    """
    async with elsewhere(ssl=server_ssl_context) as (first, _):
        with pytest.raises(OSError, match="certificate verify failed"):
            await connecting(first.uri)


async def test_from_wss_to_ws(server_ssl_context, client_ssl_context):
    """
    Never.
    """
    async with serving() as server:
        hook = redirecting({"/": f"{server.uri}/"})
        async with serving(process_request=hook, ssl=server_ssl_context) as first:
            with pytest.raises(
                lib.SecurityError, match="cannot follow redirect to non-secure URI ws:"
            ) as raised:
                await connecting(first.uri, ssl=client_ssl_context)

    assert isinstance(raised.value.__cause__, lib.InvalidStatus)


@pytest.mark.ours
async def test_a_web_address_means_one_of_websocket():
    """
    http:// stands for ws://.
    """
    async with serving() as server:
        hook = redirecting({"/": server.uri.replace("ws:", "http:")})
        async with serving(process_request=hook) as first:
            async with connecting(first.uri) as connection:
                assert server.port == connection.remote_address[1]


async def test_for_ever():
    """
    Ten redirects, no more.
    """
    requests = []

    def hook(connection, request):
        requests.append(request)
        return redirecting({"/": "/"})(connection, request)

    async with nothing_left_over(), serving(process_request=hook) as server:
        with pytest.raises(lib.SecurityError, match="more than 10 redirects"):
            await connecting(server.uri)

    assert (11 if OURS else 10) == len(requests)


async def test_a_limit_of_ones_own(monkeypatch):
    """
    Tests of programs set it.
    """
    monkeypatch.setattr(submodule("asyncio.client"), "MAX_REDIRECTS", 2)
    hook = redirecting({"/": "/"})
    async with serving(process_request=hook) as server:
        with pytest.raises(lib.SecurityError, match="more than 2 redirects"):
            await connecting(server.uri)


async def test_the_timeout_is_for_all_of_it():
    """
    Not for each request.
    """

    async def hook(connection, request):
        await asyncio.sleep(0.02)
        return redirecting({"/": "/"})(connection, request)

    async with nothing_left_over(), serving(process_request=hook) as server:
        with pytest.raises(TimeoutError, match="timed out during opening handshake"):
            await connecting(server.uri, open_timeout=0.05)


async def test_an_invalid_location():
    """
    Is told.
    """
    async with serving(process_request=redirecting({"/": "ftp://h/"})) as server:
        with pytest.raises(lib.InvalidURI, match="ftp://h/"):
            await connecting(server.uri)


async def test_a_socket_of_ones_own():
    """
    It is used up.
    """
    async with serving(process_request=redirecting({"/": "/new"})) as server:
        sock = socket.create_connection(("127.0.0.1", server.port))
        with pytest.raises(ValueError, match="with a preexisting socket"):
            await connecting(server.uri, sock=sock)


async def test_an_explicit_host():
    """
    Another origin is not there.
    """
    async with elsewhere() as (first, _):
        with pytest.raises(ValueError, match="with an explicit host or port"):
            await connecting(first.uri, host="127.0.0.1", port=first.port)


@pytest.fixture
def path(tmp_path):
    """
    Return the path of a Unix socket, short enough for the system.
    """
    return os.path.relpath(tmp_path / "socket")


@pytest.mark.parametrize(
    ("location", "is_followed"), [("/new", True), ("ws://h/", False)]
)
async def test_a_unix_socket(path, location, is_followed):
    """
    The same server, or none.
    """
    hook = redirecting({"/": location})
    async with lib.unix_serve(echo, path, process_request=hook):
        if is_followed:
            async with lib.unix_connect(path) as connection:
                assert "/new" == connection.request.path
        else:
            with pytest.raises(ValueError, match="with a Unix socket"):
                await lib.unix_connect(path)


async def test_a_program_may_refuse_all():
    """
    It overrides `process_redirect()`.
    """

    class Staying(lib.connect):
        def process_redirect(self, exc):
            return exc

    async with serving(process_request=redirecting({"/": "/new"})) as server:
        with pytest.raises(lib.InvalidStatus) as raised:
            await Staying(server.uri, proxy=None)

    assert 302 == raised.value.response.status_code
