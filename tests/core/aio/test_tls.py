"""
TLS where no real peer leads to: a stand-in for the TLS object, on both builds.
"""

from __future__ import annotations

import asyncio
import ssl

import pytest

from tests.asyncio.harness import wait_until
from tests.core.aio.ends import call_in_loop, member_class, socket_pair

pytestmark = pytest.mark.anyio


class Object:
    """
    A TLS object that encrypts nothing and does what `script` says first.
    """

    def __init__(self, incoming, outgoing):
        self.incoming = incoming
        self.outgoing = outgoing
        self.script = []

    def do_handshake(self):
        pass

    def _act(self):
        if self.script:
            raise self.script.pop(0)

    def write(self, data):
        self._act()
        return self.outgoing.write(data)

    def read(self, size, buffer):
        self._act()
        data = self.incoming.read(size)
        buffer[: len(data)] = data
        return len(data)

    def unwrap(self):
        self._act()


class Context:
    """
    Makes the stand-in.
    """

    def wrap_bio(self, incoming, outgoing, server_side, server_hostname):
        self.object = Object(incoming, outgoing)
        return self.object


class TLS:
    """
    A transport on a stand-in, and the socket at the other end.
    """

    def __init__(self, core):
        self.member = member_class(core)()
        sock, self.peer = socket_pair()
        context = Context()
        self.transport = core.aio.tls.TLSTransport(
            core.aio.turn.turn_of(asyncio.get_running_loop()),
            sock,
            self.member,
            65_536,
            16_384,
            sock.getpeername(),
            context,
            True,
            None,
            None,
            lambda: None,
        )
        self.transport.start()
        self.object = context.object

    async def end(self):
        self.transport.abort()
        await wait_until(lambda: self.member.is_lost)
        self.peer.close()


async def test_data_waits_until_tls_has_read(core):
    """
    TLS 1.2 may want to read before it writes: what is written waits, in order.
    """
    loop = asyncio.get_running_loop()
    tls = TLS(core)
    tls.object.script = [ssl.SSLWantReadError()]
    tls.transport.write(b"one ")
    tls.transport.write(b"two ")
    await loop.sock_sendall(tls.peer, b"go on")
    data = b""
    while len(data) < 8:
        data += await loop.sock_recv(tls.peer, 100)

    assert b"one two " == data
    await tls.end()


@pytest.mark.parametrize("method", ["write", "read"])
async def test_an_error_of_tls_ends_the_connection(core, method):
    """
    The member is told why.
    """
    tls = TLS(core)
    tls.object.script = [ssl.SSLError(1, "broken")]
    if method == "write":
        tls.transport.write(b"never")
    else:
        await asyncio.get_running_loop().sock_sendall(tls.peer, b"never")
    await wait_until(lambda: tls.member.is_lost)

    assert [ssl.SSLError] == tls.member.events
    tls.peer.close()


@pytest.mark.parametrize(
    "end", [ssl.SSLZeroReturnError(6, "TLS/SSL connection has been closed"), None]
)
async def test_the_goodbye_of_the_peer_is_the_end_of_the_stream(core, end):
    """
    Whether TLS raises it or reads nothing.
    """
    tls = TLS(core)
    if end is None:
        tls.object.read = lambda size, buffer: tls.object.incoming.read() and 0
    else:
        tls.object.script = [end]
    await asyncio.get_running_loop().sock_sendall(tls.peer, b"goodbye")
    await wait_until(lambda: tls.member.is_lost)

    assert "ended" in str(tls.member.events)
    tls.peer.close()


async def test_nothing_is_written_after_the_goodbye(core):
    """
    Nor is the goodbye said twice.
    """
    tls = TLS(core)
    tls.object.script = [ssl.SSLWantReadError()]
    await call_in_loop(tls.transport.finish)
    tls.transport.write(b"late")
    tls.transport.finish()
    tls.transport.close()
    await wait_until(lambda: tls.member.is_lost)
    tls.transport.finish()
    tls.peer.setblocking(True)

    assert b"" == tls.peer.recv(100)
    tls.peer.close()


async def test_half_closing_is_refused(core):
    """
    TLS ends both ways at once.
    """
    tls = TLS(core)
    with pytest.raises(NotImplementedError):
        tls.transport.write_eof()

    assert not tls.transport.can_write_eof()
    await tls.end()
