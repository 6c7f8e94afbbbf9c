"""
TLS on trio, by trio's own streams.
"""

from __future__ import annotations

import functools
import ssl

import pytest
import trio

from socketeer.exceptions import ConnectionClosedError, ConnectionClosedOK
from socketeer.trio.client import connect, unix_connect
from socketeer.trio.server import serve, unix_serve
from tests.asyncio.raw import RawFrame
from tests.trio.harness import QUIET, StreamPeer, serving


async def echo(connection):
    async for message in connection:
        await connection.send(message)


@pytest.fixture
def secure(server_ssl_context, client_ssl_context):
    """
    Return what connects to a running server that speaks TLS.
    """

    def start(running, **options):
        return connect(
            "wss://localhost/",
            stream=running.listener.connect(),
            ssl=client_ssl_context,
            **{**QUIET, **options},
        )

    return start


async def test_echoes(secure, server_ssl_context):
    """
    Messages larger than a record, and the closing handshake.
    """
    async with serving(echo, ssl=server_ssl_context) as running:
        async with secure(running) as connection:
            for message in ["hello", b"x" * 200_000]:
                await connection.send(message)
                assert message == await connection.recv()

        assert isinstance(connection.close_exc, ConnectionClosedOK)
        assert 0 == trio.current_time()


async def test_the_server_closes(secure, server_ssl_context):
    """
    There is no half-close in TLS; both ends close nevertheless, at once.
    """

    async def handler(connection):
        await connection.send("bye")

    async with serving(handler, ssl=server_ssl_context) as running:
        async with secure(running) as connection:
            assert ["bye"] == [message async for message in connection]

        assert 0 == trio.current_time()


async def test_a_violation_is_told(secure, server_ssl_context, client_ssl_context):
    """
    The close frame of a failure arrives although more bytes are under way.
    """
    async with serving(ssl=server_ssl_context) as running:
        stream = trio.SSLStream(
            running.listener.connect(), client_ssl_context, server_hostname="localhost"
        )
        peer = StreamPeer(stream, "client")
        await peer.open_as_client()
        connection = await running.accepted.receive()
        await peer.send_frame("83", b"bad")
        await peer.send_frame("81", b"x" * 100_000)

        assert (1002, "invalid opcode") == await peer.read_close()
        await peer.send_close(1002)
        await trio.aclose_forcefully(peer.stream)
        await connection.wait_closed()
        assert 0 == trio.current_time()


async def test_a_lost_connection_is_abnormal(
    secure, server_ssl_context, client_ssl_context
):
    """
    The end of the stream without the end of TLS is no attack: frames say when a
    message is complete.
    """
    async with serving(ssl=server_ssl_context) as running:
        transport = running.listener.connect()
        stream = trio.SSLStream(
            transport, client_ssl_context, server_hostname="localhost"
        )
        peer = StreamPeer(stream, "client")
        await peer.open_as_client()
        connection = await running.accepted.receive()
        await transport.aclose()

        with pytest.raises(ConnectionClosedError):
            await connection.recv()
        assert 1006 == connection.close_code


async def test_a_peer_that_does_not_end_tls_is_cut(
    secure, server_ssl_context, client_ssl_context
):
    """
    Within ``close_timeout``.
    """
    async with serving(ssl=server_ssl_context, close_timeout=6) as running:
        stream = trio.SSLStream(
            running.listener.connect(), client_ssl_context, server_hostname="localhost"
        )
        peer = StreamPeer(stream, "client")
        await peer.open_as_client()
        connection = await running.accepted.receive()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.aclose)
            assert RawFrame(0x88, b"\x03\xe8") == await peer.read_frame()
            await peer.send_close(1000)

        assert 6 <= trio.current_time() <= 6.2
        assert 1000 == connection.close_code


async def test_an_untrusted_certificate_is_refused(server_ssl_context, caplog):
    """
    By the client, with the default context; the server makes no noise about it.
    """
    async with serving(ssl=server_ssl_context) as running:
        with pytest.raises(trio.BrokenResourceError) as raised:
            async with connect("wss://localhost/", stream=running.listener.connect()):
                pytest.fail("connected")

        assert isinstance(raised.value.__cause__, ssl.SSLCertVerificationError)
        assert [] == caplog.records


async def test_another_name_is_expected(secure, server_ssl_context):
    """
    ``server_hostname`` overrides that of the URI.
    """
    async with serving(ssl=server_ssl_context) as running:
        with pytest.raises(trio.BrokenResourceError):
            async with secure(running, server_hostname="other"):
                pytest.fail("connected")


async def test_a_slow_tls_handshake_times_out(server_ssl_context):
    """
    There is nobody to tell it.
    """
    async with serving(ssl=server_ssl_context, open_timeout=3) as running:
        stream = running.listener.connect()

        assert b"" == await stream.receive_some()
        assert 3 == trio.current_time()


async def test_a_closing_server_does_not_wait_for_tls(server_ssl_context):
    """
    A client in the middle of it is let go.
    """
    async with serving(ssl=server_ssl_context) as running:
        stream = running.listener.connect()
        await trio.testing.wait_all_tasks_blocked()
        await running.server.aclose()

        assert b"" == await stream.receive_some()
        assert 0 == trio.current_time()


async def test_tls_on_sockets(
    real_clock, server_ssl_context, client_ssl_context, tmp_path
):
    """
    TCP and Unix sockets.
    """
    async with trio.open_nursery() as nursery:
        start = functools.partial(serve, host="localhost", ssl=server_ssl_context)
        async with await nursery.start(start, echo, 0) as server:
            port = server.listeners[0].socket.getsockname()[1]
            async with connect(
                f"wss://localhost:{port}/", ssl=client_ssl_context, proxy=None
            ) as connection:
                await connection.send("hello")
                assert "hello" == await connection.recv()
                assert port == connection.remote_address[1]
        start = functools.partial(unix_serve, ssl=server_ssl_context)
        async with await nursery.start(start, echo, tmp_path / "socket"):
            async with unix_connect(
                tmp_path / "socket", ssl=client_ssl_context
            ) as connection:
                await connection.send("hello")
                assert "hello" == await connection.recv()
