"""
Where a server listens: hosts, ports, sockets, paths; starting and stopping.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import os
import pathlib
import socket

import pytest

from tests.asyncio.exchange import connecting, echo, nothing_left_over, serving
from tests.under_test import lib

pytestmark = pytest.mark.anyio


async def assert_echoes(connecting_to):
    """
    Assert that a client of a server gets its message back.
    """
    async with connecting_to as connection:
        await connection.send("anybody there?")
        assert "anybody there?" == await connection.recv()


def port_of(server):
    """
    Return the port of a server that listens on one.
    """
    [port] = {sock.getsockname()[1] for sock in server.sockets}
    return port


def has_ipv6():
    """
    Tell whether the loopback interface has an IPv6 address.
    """
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on loopback")


# Three ways to start


async def test_serve_may_be_awaited():
    """
    `server = await serve(...)` starts it, `close()` and `wait_closed()` end it.
    """
    async with nothing_left_over():
        server = await lib.serve(echo, "127.0.0.1", 0)

        assert isinstance(server, lib.Server)
        assert server.is_serving()
        await assert_echoes(connecting(f"ws://127.0.0.1:{port_of(server)}"))
        server.close()
        await server.wait_closed()
        assert not server.is_serving()


async def test_serve_is_a_context_manager():
    """
    `async with serve(...) as server` ends the server at its end.
    """
    async with nothing_left_over():
        async with lib.serve(echo, "127.0.0.1", 0) as server:
            assert isinstance(server, lib.Server)
            assert server.is_serving()

        assert not server.is_serving()
        assert () == tuple(server.sockets)


async def test_serve_returns_a_server_that_does_not_listen_yet():
    """
    Nothing happens before the server is awaited or entered.
    """
    server = lib.serve(echo, "127.0.0.1", 0)

    assert isinstance(server, lib.Server)
    assert server is await server
    server.close()
    await server.wait_closed()


async def test_arguments_may_be_positional():
    """
    `serve(handler, host, port)` and keywords mean the same.
    """
    async with lib.serve(handler=echo, host="127.0.0.1", port=0) as server:
        await assert_echoes(connecting(f"ws://127.0.0.1:{port_of(server)}"))


async def test_leaving_by_an_exception_closes_the_server():
    """
    An exception in the block passes through, and the server ends.
    """
    with pytest.raises(LookupError):
        async with lib.serve(echo, "127.0.0.1", 0) as server:
            raise LookupError

    assert not server.is_serving()


# Where


async def test_port_0_is_any_free_port():
    """
    The system's choice is found in `sockets`.
    """
    async with lib.serve(echo, "127.0.0.1", 0) as server:
        [sock] = server.sockets

        assert "127.0.0.1" == sock.getsockname()[0]
        assert 0 < sock.getsockname()[1]


async def test_several_hosts():
    """
    A server listens on each of several hosts.
    """
    async with lib.serve(echo, ["127.0.0.1", "127.0.0.2"], 0) as server:
        addresses = [sock.getsockname() for sock in server.sockets]
        for host, port in addresses:
            await assert_echoes(connecting(f"ws://{host}:{port}"))

    assert ["127.0.0.1", "127.0.0.2"] == sorted(host for host, _ in addresses)


@pytest.mark.parametrize("host", [None, ""])
async def test_no_host_is_every_interface(host):
    """
    None and "" bind all interfaces.
    """
    async with lib.serve(echo, host, 0, family=socket.AF_INET) as server:
        assert "0.0.0.0" == server.sockets[0].getsockname()[0]
        await assert_echoes(connecting(f"ws://127.0.0.1:{port_of(server)}"))


@needs_ipv6
async def test_ipv6():
    """
    An IPv6 host is served, and connected to in brackets.
    """
    async with lib.serve(echo, "::1", 0) as server:
        await assert_echoes(connecting(f"ws://[::1]:{port_of(server)}/"))


@needs_ipv6
async def test_both_families():
    """
    IPv4 and IPv6 are two sockets of one server.
    """
    async with lib.serve(echo, ["127.0.0.1", "::1"], 0) as server:
        families = {sock.family for sock in server.sockets}

    assert {socket.AF_INET, socket.AF_INET6} == families


async def test_sock_is_used_as_it_is():
    """
    A socket that is bound already is listened on.
    """
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    async with lib.serve(echo, sock=sock) as server:
        assert port == port_of(server)
        await assert_echoes(connecting(f"ws://127.0.0.1:{port}"))


async def test_a_bound_sock_that_does_not_listen_yet():
    """
    `listen()` is the server's business.
    """
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        async with lib.serve(echo, sock=sock) as server:
            await assert_echoes(connecting(f"ws://127.0.0.1:{port_of(server)}"))


async def test_small_answers_are_not_held_back():
    """
    Accepted connections do without Nagle's algorithm.
    """
    delays = []

    async def handler(connection):
        sock = connection.transport.get_extra_info("socket")
        delays.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0)
        await echo(connection)

    async with serving(handler) as running:
        await assert_echoes(connecting(running.uri))

    assert [False] == delays


async def test_host_and_sock_exclude_each_other():
    """
    The error is that of `loop.create_server()`.
    """
    with (
        socket.create_server(("127.0.0.1", 0)) as sock,
        pytest.raises(ValueError, match="sock"),
    ):
        await lib.serve(echo, "127.0.0.1", 0, sock=sock)


async def test_a_port_in_use_is_an_oserror():
    """
    A second server on the same port fails with EADDRINUSE.
    """
    async with serving() as first:
        with pytest.raises(OSError, match=str(first.port)) as raised:
            await lib.serve(echo, "127.0.0.1", first.port)

    assert errno.EADDRINUSE == raised.value.errno


async def test_a_foreign_address_is_an_oserror():
    """
    An address of another machine cannot be listened on (RFC 5737).
    """
    with pytest.raises(OSError, match=r"192\.0\.2\.1") as raised:
        await lib.serve(echo, "192.0.2.1", 0)

    assert errno.EADDRNOTAVAIL == raised.value.errno


async def test_reuse_port_shares_a_port():
    """
    Two servers may share a port if both say so.
    """
    async with lib.serve(echo, "127.0.0.1", 0, reuse_port=True) as first:
        port = port_of(first)
        async with lib.serve(echo, "127.0.0.1", port, reuse_port=True) as second:
            assert port == port_of(second)


async def test_a_port_is_free_again_at_once():
    """
    A restarted server gets the port of its predecessor, connections or not.
    """
    async with serving() as server, connecting(server.uri) as client:
        server.server.close()
        await client.wait_closed()
    async with lib.serve(echo, "127.0.0.1", server.port) as again:
        await assert_echoes(connecting(f"ws://127.0.0.1:{port_of(again)}"))


@pytest.mark.parametrize(
    "options", [{"backlog": 1}, {"reuse_address": True}, {"family": socket.AF_INET}]
)
async def test_options_of_create_server_are_passed_on(options):
    """
    What `loop.create_server()` takes is taken.
    """
    async with serving(**options) as server:
        await assert_echoes(connecting(server.uri))


async def test_an_unknown_option_is_a_type_error():
    """
    A misspelled parameter does not go unnoticed.
    """
    with pytest.raises(TypeError):
        await lib.serve(echo, "127.0.0.1", 0, ping_intervall=20)


# Starting later


async def test_start_serving_false_starts_later():
    """
    Nobody gets in before `start_serving()`.
    """
    async with lib.serve(echo, "127.0.0.1", 0, start_serving=False) as server:
        uri = f"ws://127.0.0.1:{port_of(server)}"

        assert not server.is_serving()
        with pytest.raises(ConnectionRefusedError):
            await connecting(uri)
        await server.start_serving()
        assert server.is_serving()
        await assert_echoes(connecting(uri))


async def test_serve_forever_serves_until_cancelled():
    """
    It starts serving; cancelling it closes connections and waits for them.
    """
    async with nothing_left_over():
        server = await lib.serve(echo, "127.0.0.1", 0, start_serving=False)
        serving_forever = asyncio.create_task(server.serve_forever())
        await asyncio.sleep(0)
        async with connecting(f"ws://127.0.0.1:{port_of(server)}") as client:
            serving_forever.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving_forever

            assert serving_forever.cancelled()
            assert not server.is_serving()
            await client.wait_closed()
            assert 1001 == client.close_code


async def test_serve_forever_ends_with_the_server():
    """
    `close()` ends `serve_forever()`.
    """
    async with lib.serve(echo, "127.0.0.1", 0) as server:
        serving_forever = asyncio.create_task(server.serve_forever())
        await asyncio.sleep(0)
        server.close()

        assert await serving_forever is None


async def test_get_loop():
    """
    A server tells its loop.
    """
    async with serving() as server:
        assert asyncio.get_running_loop() is server.server.get_loop()


# Unix sockets


@pytest.fixture
def path(tmp_path):
    """
    Return the path of a Unix socket, short enough for the system.
    """
    return os.path.relpath(tmp_path / "socket")


@pytest.mark.parametrize("form", [str, os.fsencode, pathlib.Path])
async def test_unix_serve(path, form):
    """
    The path may be str, bytes or a path object, at both ends.
    """
    async with (
        nothing_left_over(),
        lib.unix_serve(echo, form(path)) as server,
    ):
        assert 1 == len(server.sockets)
        await assert_echoes(lib.unix_connect(form(path)))


async def test_unix_serve_by_sock(path):
    """
    A bound Unix socket is listened on.
    """
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        async with lib.unix_serve(echo, sock=sock):
            await assert_echoes(lib.unix_connect(path))


async def test_unix_serve_takes_the_parameters_of_serve(path):
    """
    Everything but the address is as with `serve()`.
    """
    process_request = functools.partial(refuse, 403)
    async with lib.unix_serve(echo, path, process_request=process_request):
        with pytest.raises(lib.InvalidStatus) as raised:
            await lib.unix_connect(path)

    assert 403 == raised.value.response.status_code


def refuse(status, connection, request):
    """
    Refuse a request.
    """
    return connection.respond(status, "no\n")
