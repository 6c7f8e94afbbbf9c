"""
How connect() gets its socket: what the loop does for it, and what fails.
"""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.asyncio.exchange import connecting, echo, nothing_left_over, serving
from tests.under_test import lib

pytestmark = pytest.mark.anyio


def on_uvloop():
    """
    Tell whether the loop is uvloop's, which refuses what asyncio's can do.
    """
    return type(asyncio.get_running_loop()).__module__.startswith("uvloop")


@pytest.mark.parametrize(
    "options",
    [{"happy_eyeballs_delay": 0.01}, {"happy_eyeballs_delay": 0.01, "interleave": 1}],
    ids=["delay", "interleave"],
)
async def test_happy_eyeballs(options):
    """
    Several addresses are tried at once; the server listens on one of them.
    """
    async with nothing_left_over(), serving() as server:
        uri = server.uri.replace("127.0.0.1", "localhost")
        if on_uvloop():
            with pytest.raises(TypeError, match="happy_eyeballs_delay"):
                await connecting(uri, **options)
            return
        async with connecting(uri, **options) as connection:
            await connection.send("x" * 100_000)
            assert "x" * 100_000 == await connection.recv()

        assert 1000 == connection.close_code


async def test_happy_eyeballs_over_tls(server_ssl_context, client_ssl_context):
    """
    The loop speaks TLS then.
    """
    async with serving(ssl=server_ssl_context) as server:
        if on_uvloop():
            return
        uri = server.uri.replace("127.0.0.1", "localhost")
        async with connecting(
            uri, ssl=client_ssl_context, happy_eyeballs_delay=0.01
        ) as connection:
            await connection.send("hello")
            assert "hello" == await connection.recv()


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
