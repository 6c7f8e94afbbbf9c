"""
TLS byte by byte: alerts, half-closes, records in pieces, slow peers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
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
from tests.asyncio.harness import HANG, settle, wait_until
from tests.asyncio.raw import EXAMPLE_KEY, RawListener, encode
from tests.under_test import lib

pytestmark = pytest.mark.anyio


class TLSPeer:
    """
    A client, or a server, that does TLS by hand over a raw peer.
    """

    def __init__(self, raw, context, server_side=False):
        self.raw = raw
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.object = context.wrap_bio(
            self.incoming,
            self.outgoing,
            server_side=server_side,
            server_hostname=None if server_side else "localhost",
        )

    async def run(self, function, *args):
        """
        Call a method of the SSL object until it has what it wants.
        """
        while True:
            try:
                return function(*args)
            except ssl.SSLWantReadError:
                await self.flush()
                data = await asyncio.get_running_loop().sock_recv(self.raw.sock, 65_536)
                if data:
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()

    async def flush(self):
        await self.raw.send(self.outgoing.read())

    async def shake_hands(self):
        await self.run(self.object.do_handshake)
        await self.flush()

    def encrypt(self, data):
        self.object.write(data)
        return self.outgoing.read()

    async def read_until(self, end):
        data = bytearray()
        while not data.endswith(end):
            data += await self.run(self.object.read, 65_536)
        return bytes(data)

    def goodbye(self):
        with contextlib.suppress(ssl.SSLError):
            self.object.unwrap()
        return self.outgoing.read()


@contextlib.asynccontextmanager
async def facing_tls_client(server_context, client_context, handler=echo, **options):
    """
    Open a connection between the server and a client made by hand.
    """
    options = {"compression": None, "ping_interval": None, **options}
    async with serving(handler, ssl=server_context, **options) as server:
        with contextlib.closing(await dial(server.port)) as raw:
            peer = TLSPeer(raw, client_context)
            await peer.shake_hands()
            await raw.send(peer.encrypt(opening_request()))
            await peer.read_until(b"\r\n\r\n")
            yield server, peer


def frame(payload):
    return encode("82", payload, EXAMPLE_KEY)


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS, ids=lambda each: each.name)
async def test_records_in_pieces(server_ssl_context, client_ssl_context, version):
    """
    Records may be split anywhere, and several may come at once.
    """
    server_ssl_context.maximum_version = server_ssl_context.minimum_version = version
    chance = random.Random(1)
    async with facing_tls_client(server_ssl_context, client_ssl_context) as (_, peer):
        payloads = [chance.randbytes(chance.randrange(100)) for _ in range(60)]
        data = b"".join(
            peer.encrypt(b"".join(map(frame, payloads[start : start + 3])))
            for start in range(0, 60, 3)
        )
        while data:
            size = chance.randrange(1, 200)
            await peer.raw.send(data[:size])
            data = data[size:]
            await asyncio.sleep(0)
        await peer.raw.send(peer.encrypt(frame(b"the end")))
        received = await peer.read_until(b"the end")

    expected = [bytes([0x82, len(each)]) + each for each in [*payloads, b"the end"]]
    assert b"".join(expected) == received


async def test_a_message_as_large_as_the_receive_buffer(
    server_ssl_context, client_ssl_context
):
    """
    What does not fit is decrypted next; around the size of buffer and record.
    """
    async with facing_tls_client(
        server_ssl_context, client_ssl_context, max_size=None
    ) as (_, peer):
        for size in [16_384, 49_152, 65_000, 65_536, 65_537, 200_000, 3_000_000]:
            payload = random.Random(size).randbytes(size)
            sending = asyncio.create_task(peer.raw.send(peer.encrypt(frame(payload))))
            received = bytearray()
            header = 4 if size < 65_536 else 10
            while len(received) < size + header:
                received += await peer.run(peer.object.read, 65_536)
            await sending
            assert payload == received[header:]


@pytest.mark.parametrize("split", [False, True], ids=["in one piece", "later"])
async def test_a_goodbye_behind_messages(server_ssl_context, client_ssl_context, split):
    """
    Messages before "close_notify" are answered; then the connection ends.
    """
    async with facing_tls_client(server_ssl_context, client_ssl_context) as (
        server,
        peer,
    ):
        data = peer.encrypt(frame(b"hello"))
        if split:
            await peer.raw.send(data)
            data = b""
        await peer.raw.send(data + peer.goodbye())
        assert b"hello" in await peer.read_until(b"hello")
        await wait_until(lambda: not server.server.connections)
        with pytest.raises(ssl.SSLZeroReturnError):
            await peer.run(peer.object.read, 100)


async def test_the_end_without_a_goodbye(server_ssl_context, client_ssl_context):
    """
    TCP ends without "close_notify": the connection is lost, with 1006.
    """
    ends = asyncio.Queue()

    async def handler(connection):
        with pytest.raises(lib.ConnectionClosedError):
            await connection.recv()
        ends.put_nowait(connection.close_code)

    async with facing_tls_client(server_ssl_context, client_ssl_context, handler) as (
        _,
        peer,
    ):
        peer.raw.half_close()
        assert 1006 == await ends.get()


@pytest.mark.parametrize(
    "garbage",
    [bytes.fromhex("1703030020") + bytes(32), b"GET / "],
    ids=["record", "text"],
)
async def test_garbage_in_the_middle(server_ssl_context, client_ssl_context, garbage):
    """
    Breaks the connection; an alert tells the peer.
    """
    ends = asyncio.Queue()

    async def handler(connection):
        with pytest.raises(lib.ConnectionClosedError) as raised:
            await connection.recv()
        ends.put_nowait(raised.value.__cause__)

    async with facing_tls_client(server_ssl_context, client_ssl_context, handler) as (
        _,
        peer,
    ):
        await peer.raw.send(garbage)
        assert isinstance(await ends.get(), ssl.SSLError)
        with pytest.raises(ssl.SSLError, match="ALERT|alert"):
            await peer.run(peer.object.read, 100)


async def test_backpressure(server_ssl_context, client_ssl_context):
    """
    A sender waits for a slow peer; no byte is lost.
    """
    sent = []

    async def handler(connection):
        for number in range(100):
            await connection.send(b"%099999d" % number)
            sent.append(number)
        await connection.wait_closed()

    async with facing_tls_client(server_ssl_context, client_ssl_context, handler) as (
        server,
        peer,
    ):
        await settle()
        assert len(sent) < 100
        [connection] = server.server.connections
        assert connection.transport.get_write_buffer_size() > 0
        received = await peer.read_until(b"%099999d" % 99)
        assert 100 * (10 + 99_999) == len(received)


@pytest.mark.ours
async def test_broadcasting_to_a_slow_peer(server_ssl_context, client_ssl_context):
    """
    What was encrypted for a peer is not dropped; the newest message is.
    """

    async def handler(connection):
        await connection.wait_closed()

    async with facing_tls_client(server_ssl_context, client_ssl_context, handler) as (
        server,
        peer,
    ):
        [connection] = server.server.connections
        for policy in ("latest", "drop"):
            for _ in range(100):
                lib.broadcast([connection], bytes(100_000), on_overflow=policy)
        count = 200 - connection.dropped
        assert 0 < count < 200
        received = bytearray()
        while len(received) < count * 100_010:
            received += await peer.run(peer.object.read, 65_536)
        assert count * 100_010 == len(received)


async def test_closing_with_data_queued(server_ssl_context, client_ssl_context):
    """
    Everything is written, then the close frame, then "close_notify".
    """

    async def handler(connection):
        for _ in range(20):
            lib.broadcast([connection], bytes(50_000))

    async with facing_tls_client(server_ssl_context, client_ssl_context, handler) as (
        _,
        peer,
    ):
        received = await peer.read_until(bytes.fromhex("880203e8"))
        assert 20 * (4 + 50_000) + 4 == len(received)
        await peer.raw.send(
            peer.encrypt(encode("88", bytes.fromhex("03e8"), EXAMPLE_KEY))
        )
        assert b"" == await peer.run(peer.object.read, 100)


@pytest.mark.ours
async def test_the_shutdown_timeout(server_ssl_context, client_ssl_context):
    """
    A peer that does not answer "close_notify" is not waited for much longer.
    """

    async def handler(connection):
        await connection.close()

    async with facing_tls_client(
        server_ssl_context, client_ssl_context, handler, ssl_shutdown_timeout=0.02
    ) as (server, peer):
        await peer.read_until(bytes.fromhex("880203e8"))
        await peer.raw.send(
            peer.encrypt(encode("88", bytes.fromhex("03e8"), EXAMPLE_KEY))
        )
        async with asyncio.timeout(2):
            await wait_until(lambda: not server.server.handler_tasks)
        # Our "close_notify" came, and behind it the end.
        assert b"" == await peer.run(peer.object.read, 100)
        assert b"" == await peer.raw.read_rest()


async def test_a_handshake_in_pieces(server_ssl_context, client_ssl_context):
    """
    However small the pieces are.
    """
    async with serving(ssl=server_ssl_context) as server:
        with contextlib.closing(await dial(server.port)) as raw:
            peer = TLSPeer(raw, client_ssl_context)
            with contextlib.suppress(ssl.SSLWantReadError):
                peer.object.do_handshake()
            hello = peer.outgoing.read()
            for start in range(0, len(hello), 50):
                await raw.send(hello[start : start + 50])
                await asyncio.sleep(0)
            await peer.shake_hands()
            await raw.send(peer.encrypt(opening_request()))
            assert (await peer.read_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize("end", ["half_close", "reset", "silence"])
@pytest.mark.parametrize("sent", [0, 5, 100])
async def test_a_handshake_that_ends_early(server_ssl_context, end, sent, caplog):
    """
    The server forgets the connection, without an error in its log.
    """
    caplog.set_level(logging.ERROR)
    options = {"ssl_handshake_timeout": 0.05}
    context = ssl.create_default_context()
    async with nothing_left_over():
        async with serving(ssl=server_ssl_context, **options) as server:
            raw = await dial(server.port)
            peer = TLSPeer(raw, context)
            with contextlib.suppress(ssl.SSLWantReadError):
                peer.object.do_handshake()
            await raw.send(peer.outgoing.read()[:sent])
            await settle()
            if end == "silence":
                await raw.read_rest()
            else:
                getattr(raw, end)()
                await settle()
            raw.close()

    assert [] == [record for record in caplog.records if record.exc_info]


async def test_closing_a_server_during_a_handshake(server_ssl_context):
    """
    Does not wait for the client.
    """
    async with nothing_left_over():
        async with serving(ssl=server_ssl_context, open_timeout=HANG) as server:
            raw = await dial(server.port)
            await settle()
        assert b"" == await raw.read_rest()
        raw.close()


@pytest.mark.ours
async def test_a_context_that_is_for_clients(client_ssl_context, caplog):
    """
    The connection is refused, the error logged, and the server still closes.
    """
    async with serving(ssl=client_ssl_context) as server:
        raw = await dial(server.port)
        assert b"" == await raw.read_rest()
        raw.close()

    assert "accepting a connection failed" in caplog.text


@pytest.mark.parametrize("end", ["close", "reset", "answer"])
async def test_a_server_that_ends_the_handshake(client_ssl_context, end):
    """
    connect() raises what happened.
    """
    listener = RawListener()

    async def accept():
        raw = await listener.accept()
        await raw.read_exactly(100)
        if end == "answer":
            await raw.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        if end == "reset":
            raw.reset()
        raw.close()

    task = asyncio.create_task(accept())
    async with nothing_left_over():
        with pytest.raises(OSError, match=r".") as raised:
            await connecting(f"wss://localhost:{listener.port}", ssl=client_ssl_context)
        await task
        expected = ssl.SSLError if end == "answer" else ConnectionError
        assert isinstance(raised.value, expected)
        del raised
    listener.close()


async def test_ssl_handshake_timeout_of_a_client(client_ssl_context):
    """
    connect() does not wait longer for a silent server.
    """
    listener = RawListener()
    async with nothing_left_over():
        with pytest.raises((TimeoutError, ConnectionError)):
            await connecting(
                f"wss://localhost:{listener.port}",
                ssl=client_ssl_context,
                ssl_handshake_timeout=0.02,
            )
    listener.close()


async def test_what_the_transport_tells(server_ssl_context, client_ssl_context):
    """
    About TLS and about the socket below it.
    """
    async with serving(ssl=server_ssl_context) as server:
        async with connecting(server.uri, ssl=client_ssl_context) as connection:
            tell = connection.transport.get_extra_info
            assert client_ssl_context is tell("sslcontext")
            assert tell("ssl_object").version() in {"TLSv1.2", "TLSv1.3"}
            assert "subjectAltName" in tell("peercert")
            assert 3 == len(tell("cipher"))
            assert tell("compression") is None
            assert ("127.0.0.1", server.port) == tell("peername")
            assert "x" == tell("nothing", "x")
            assert tell("socket").fileno() > 0


@pytest.mark.ours
async def test_the_transport_has_no_half_close(server_ssl_context, client_ssl_context):
    """
    As TLS has none; what is written with the transport is encrypted.
    """
    async with facing_tls_client(
        server_ssl_context, client_ssl_context, open_timeout=5
    ) as (server, peer):
        [connection] = server.server.connections
        transport = connection.transport
        assert not transport.can_write_eof()
        with pytest.raises(NotImplementedError, match="TLS has no half-close"):
            transport.write_eof()
        transport.write(bytes.fromhex("8900"))
        transport.write(b"")
        assert bytes.fromhex("8900") == await peer.read_until(bytes.fromhex("8900"))
        transport.close()
        transport.close()
        assert b"" == await peer.run(peer.object.read, 100)
        transport.write(b"late")
