"""
TLS on both ends: wss://, certificates, and who speaks the wrong language.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl

import pytest

from tests.asyncio.exchange import (
    connecting,
    dial,
    echo,
    nothing_left_over,
    opening_request,
    serving,
)
from tests.asyncio.harness import settle
from tests.under_test import lib

pytestmark = pytest.mark.anyio


@pytest.fixture
def secure(server_ssl_context):
    """
    Return a function that runs a server with TLS.
    """

    def run(handler=echo, **options):
        return serving(handler, ssl=server_ssl_context, **options)

    return run


@pytest.fixture
def trusting(client_ssl_context):
    """
    Return a function that connects to the server, and trusts its certificate.
    """

    def connect(uri, **options):
        return connecting(uri, ssl=client_ssl_context, **options)

    return connect


def errors(caplog):
    """
    Return the messages above INFO.
    """
    return [r.getMessage() for r in caplog.records if r.levelno > logging.INFO]


async def test_messages_over_tls(secure, trusting):
    """
    Small and large messages, text and binary, come back.
    """
    messages = ["hello", b"\x00\xff", "x" * 1_000_000, ""]
    async with nothing_left_over(), secure() as server:
        async with trusting(server.uri) as connection:
            for message in messages:
                await connection.send(message)
                assert message == await connection.recv()

    assert (1000, "") == (connection.close_code, connection.close_reason)


async def test_many_messages_at_once_over_tls(secure, trusting):
    """
    Messages that arrive in one read, or in several, keep their order.
    """
    messages = [f"{number} " * (number % 50) for number in range(500)]
    async with nothing_left_over(), secure() as server:
        async with trusting(server.uri) as connection:
            for message in messages:
                await connection.send(message)

            assert messages == [await connection.recv() for _ in messages]


async def test_both_ends_tell_about_tls(secure, trusting):
    """
    The transport has the SSL object; the host of the URI was asked for.
    """
    seen = []

    async def handler(connection):
        seen.append(connection.transport.get_extra_info("ssl_object").version())

    async with secure(handler) as server:
        async with trusting(server.uri) as connection:
            ssl_object = connection.transport.get_extra_info("ssl_object")
            version, hostname = ssl_object.version(), ssl_object.server_hostname
            await connection.wait_closed()

    assert [version] == seen
    assert "127.0.0.1" == hostname


async def test_the_default_port_of_wss_is_not_in_host(secure, client_ssl_context):
    """
    Port 443 is left out; `host=`, `port=`, `server_hostname=` connect elsewhere.
    """
    async with secure() as server:
        async with connecting(
            "wss://example.test:443/",
            ssl=client_ssl_context,
            host="127.0.0.1",
            port=server.port,
            server_hostname="localhost",
        ) as connection:
            assert "example.test" == connection.request.headers["Host"]


async def test_closing_over_tls(secure, trusting):
    """
    A server that goes away says so over TLS, too.
    """
    async with nothing_left_over(), secure() as server:
        async with trusting(server.uri) as connection:
            server.server.close()
            await connection.wait_closed()
            await server.server.wait_closed()

    assert 1001 == connection.close_code


async def test_a_close_by_the_handler_over_tls(secure, trusting, caplog):
    """
    Code and reason arrive before the end of TLS.
    """

    async def handler(connection):
        await connection.close(4000, "enough")

    async with nothing_left_over(), secure(handler) as server:
        async with trusting(server.uri) as connection:
            with pytest.raises(lib.ConnectionClosedError) as raised:
                await connection.recv()

    assert (4000, "enough") == (raised.value.rcvd.code, raised.value.rcvd.reason)
    assert [] == errors(caplog)


async def test_a_client_that_vanishes_over_tls(secure, trusting):
    """
    The handler learns of it by ConnectionClosedError.
    """
    ended = asyncio.get_running_loop().create_future()

    async def handler(connection):
        try:
            await connection.recv()
        except lib.ConnectionClosed as error:
            ended.set_result(type(error))

    async with nothing_left_over(), secure(handler) as server:
        async with trusting(server.uri) as connection:
            connection.transport.abort()

        assert lib.ConnectionClosedError is await ended


async def test_an_unknown_certificate_is_refused(secure, caplog):
    """
    Without `ssl=`, only certificates that the system trusts will do.
    """
    async with nothing_left_over(), secure() as server:
        for options in [{}, {"ssl": True}]:
            with pytest.raises(ssl.SSLCertVerificationError):
                await connecting(server.uri, **options)
        await settle()

    assert [] == errors(caplog)


async def test_a_certificate_of_somebody_else_is_refused(secure, trusting):
    """
    The name in the certificate must be that of the URI.
    """
    async with nothing_left_over(), secure() as server:
        with pytest.raises(ssl.SSLCertVerificationError, match=r"example\.test"):
            await trusting("wss://example.test/", host="127.0.0.1", port=server.port)


async def test_a_server_serves_on_after_a_failed_handshake(secure, trusting, caplog):
    """
    Clients that do not trust it, or do not speak TLS, disturb nobody.
    """
    async with nothing_left_over(), secure() as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            await connecting(server.uri)
        with contextlib.closing(await dial(server.port)) as peer:
            await peer.send(opening_request())
            await peer.read_rest()
        async with trusting(server.uri) as connection:
            await connection.send("still here")
            assert "still here" == await connection.recv()

    assert [] == errors(caplog)


async def test_a_plain_client_at_a_server_with_tls(secure):
    """
    It gets no valid response, or a broken connection.
    """
    async with nothing_left_over(), secure() as server:
        with pytest.raises((lib.InvalidMessage, OSError)):
            await connecting(server.uri.replace("wss", "ws"))


async def test_a_client_with_tls_at_a_plain_server(trusting, caplog):
    """
    What comes back is no TLS; the server has seen a malformed request.
    """
    async with nothing_left_over(), serving() as server:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await trusting(server.uri.replace("ws", "wss"))
        await settle()

    assert [] == errors(caplog)


async def test_a_silent_peer_has_open_timeout_for_tls(secure):
    """
    The TLS handshake has `open_timeout` seconds.
    """
    async with nothing_left_over(), secure(open_timeout=0.05) as server:
        with contextlib.closing(await dial(server.port)) as peer:
            assert b"" == await peer.read_rest()


async def test_a_request_has_open_timeout_after_tls(secure, client_ssl_context):
    """
    Behind the TLS handshake a slow request is bounded as without TLS.
    """
    async with nothing_left_over(), secure(open_timeout=0.05) as server:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", server.port, ssl=client_ssl_context
        )
        writer.write(opening_request()[:30])
        with contextlib.suppress(ConnectionError):
            answer = await reader.read()
            assert not answer.startswith(b"HTTP/1.1 101")
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_ssl_handshake_timeout_needs_ssl():
    """
    Without TLS the option is a mistake.
    """
    with pytest.raises(ValueError, match="ssl_handshake_timeout"):
        await lib.serve(echo, "127.0.0.1", 0, ssl_handshake_timeout=1)


async def test_tls_over_a_unix_socket(tmp_path, server_ssl_context, client_ssl_context):
    """
    With `ssl=` the URI is `wss://localhost/` unless given.
    """
    path = tmp_path / "socket"
    async with (
        nothing_left_over(),
        lib.unix_serve(echo, path, ssl=server_ssl_context),
        lib.unix_connect(path, ssl=client_ssl_context) as connection,
    ):
        assert "localhost" == connection.request.headers["Host"]
        await connection.send("hello")
        assert "hello" == await connection.recv()


async def test_a_connected_socket_and_tls(secure, client_ssl_context):
    """
    TLS starts on a socket of the caller's.
    """
    async with nothing_left_over(), secure() as server:
        peer = await dial(server.port)
        async with connecting(
            "wss://localhost/", sock=peer.sock, ssl=client_ssl_context
        ) as connection:
            await connection.send("hello")
            assert "hello" == await connection.recv()
