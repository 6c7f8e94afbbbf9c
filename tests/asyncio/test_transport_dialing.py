"""
How connect() gets its socket: what the loop does for it, and what fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys

import pytest

from tests.asyncio.exchange import connecting, echo, nothing_left_over, serving
from tests.under_test import OURS, lib

pytestmark = pytest.mark.anyio


def cannot(options):
    """
    Tell whether websockets leaves options to a loop that does not know them.
    """
    if OURS or not options:
        return False
    if type(asyncio.get_running_loop()).__module__.startswith("uvloop"):
        return True
    return "all_errors" in options and sys.version_info < (3, 12)


@pytest.mark.parametrize(
    "options",
    [
        {"happy_eyeballs_delay": 0.01},
        {"happy_eyeballs_delay": 0.01, "interleave": 1},
        {"happy_eyeballs_delay": None},
        {"interleave": 2},
        {"all_errors": True},
    ],
    ids=["delay", "interleave", "none", "two", "all"],
)
async def test_happy_eyeballs(options):
    """
    Several addresses are tried at once; the server listens on one of them.
    """
    async with nothing_left_over(), serving() as server:
        uri = server.uri.replace("127.0.0.1", "localhost")
        if cannot(options):
            return
        async with connecting(uri, **options) as connection:
            await connection.send("x" * 100_000)
            assert "x" * 100_000 == await connection.recv()

        assert 1000 == connection.close_code


async def test_happy_eyeballs_over_tls(server_ssl_context, client_ssl_context):
    """
    TLS is spoken with the address that has answered.
    """
    async with serving(ssl=server_ssl_context) as server:
        if cannot({"happy_eyeballs_delay"}):
            return
        uri = server.uri.replace("127.0.0.1", "localhost")
        async with connecting(
            uri, ssl=client_ssl_context, happy_eyeballs_delay=0.01
        ) as connection:
            await connection.send("hello")
            assert "hello" == await connection.recv()


@pytest.fixture
def resolving(monkeypatch):
    """
    Return a function that gives localhost other addresses.
    """

    def set_addresses(*addresses):
        loop = asyncio.get_running_loop()
        resolve = loop.getaddrinfo

        async def getaddrinfo(host, port, **options):
            if host != "localhost":
                return await resolve(host, port, **options)
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
                for address in addresses
            ]

        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)

    return set_addresses


@contextlib.contextmanager
def listening(address, *, is_full=False):
    """
    Listen on a port; if full, connections are neither accepted nor refused.
    """
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((address, 0), backlog=0))
        for _ in range(4 * is_full):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.mark.ours
async def test_an_address_that_does_not_answer_costs_the_delay(resolving):
    """
    The next one is tried besides, and what came of the first is thrown away.
    """
    with listening("127.0.0.2", is_full=True) as port:
        async with lib.serve(echo, "127.0.0.1", port), nothing_left_over():
            resolving("127.0.0.2", "127.0.0.1")
            started_at = asyncio.get_running_loop().time()
            async with connecting(
                f"ws://localhost:{port}", happy_eyeballs_delay=0.03
            ) as connection:
                assert ("127.0.0.1", port) == connection.remote_address
            assert asyncio.get_running_loop().time() - started_at > 0.03


@pytest.mark.ours
async def test_an_address_that_refuses_costs_nothing(resolving):
    """
    The next one is tried at once.
    """
    async with serving() as server:
        resolving("127.0.0.2", "127.0.0.1")
        async with connecting(
            server.uri.replace("127.0.0.1", "localhost"), happy_eyeballs_delay=60
        ) as connection:
            assert "127.0.0.1" == connection.remote_address[0]


@pytest.mark.ours
async def test_a_connection_that_comes_too_late_is_closed(resolving):
    """
    Two addresses answer in the same turn of the loop: one of them is enough.
    """
    async with serving() as server, nothing_left_over():
        async with lib.serve(echo, "127.0.0.2", server.port):
            resolving("127.0.0.2", "127.0.0.1")
            async with connecting(
                f"ws://localhost:{server.port}", happy_eyeballs_delay=0.0
            ) as connection:
                assert server.port == connection.remote_address[1]


@pytest.mark.ours
async def test_all_errors(resolving):
    """
    One for each address, in an ExceptionGroup.
    """
    with listening("127.0.0.1") as port:
        pass
    resolving("127.0.0.1", "127.0.0.2")
    with pytest.raises(ExceptionGroup, match="create_connection failed") as raised:
        await connecting(f"ws://localhost:{port}", all_errors=True)

    assert [ConnectionRefusedError] * 2 == list(map(type, raised.value.exceptions))


async def test_a_local_address():
    """
    The socket is bound to it before it connects.
    """
    async with serving() as server:
        async with connecting(server.uri, local_addr=("127.0.0.2", 0)) as connection:
            assert "127.0.0.2" == connection.local_address[0]


async def test_a_local_address_of_another_family():
    """
    No address can be reached from there.
    """
    async with serving() as server:
        with pytest.raises(OSError, match="no (address matches|matching)"):
            await connecting(server.uri, local_addr=("::1", 0))


async def test_nobody_listens():
    """
    The error of the system.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        await connecting(f"ws://127.0.0.1:{port}")


async def test_nobody_listens_on_several_addresses():
    """
    One error tells about all.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(
        OSError, match="Multiple exceptions|Connect call failed|refused"
    ):
        await connecting(f"ws://localhost:{port}")


async def test_a_datagram_socket():
    """
    Is refused.
    """
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        with pytest.raises(ValueError, match="A Stream Socket was expected"):
            await connecting("ws://localhost", sock=sock)


async def test_a_socket_that_is_not_connected():
    """
    Is refused, and nothing is left behind.
    """
    async with nothing_left_over():
        with pytest.raises(OSError, match="not connected"):
            await connecting("ws://localhost", sock=socket.socket())


async def test_cancelling_the_tcp_handshake():
    """
    The socket is closed.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        async with nothing_left_over():
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await connecting(f"ws://127.0.0.1:{port}")
        for filler in fillers:
            filler.close()


async def test_unix_connect_without_a_path():
    """
    A connected socket will do.
    """
    ours, theirs = socket.socketpair()

    async def accept():
        reader, writer = await asyncio.open_connection(sock=theirs)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    task = asyncio.create_task(accept())
    with pytest.raises(lib.InvalidStatus):
        await lib.unix_connect(sock=ours, uri="ws://localhost/")
    await task


async def test_unix_connect_to_nowhere(tmp_path):
    """
    The error of the system.
    """
    with pytest.raises(FileNotFoundError):
        await lib.unix_connect(str(tmp_path / "nowhere"))


async def test_ipv6():
    """
    Both ends tell their addresses.
    """
    async with lib.serve(echo, "::1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connecting(f"ws://[::1]:{port}") as connection:
            assert ("::1", port) == connection.remote_address[:2]
            await connection.send("hello")
            assert "hello" == await connection.recv()
