"""
Connections whose request has not arrived: cheap, counted, and answered in time.
"""

from __future__ import annotations

import contextlib
import gc
import socket

import pytest

from tests.asyncio.exchange import (
    dial,
    nothing_left_over,
    opening_request,
    read_answer,
    serving,
)
from tests.asyncio.harness import settle, wait_until
from tests.under_test import lib

pytestmark = [pytest.mark.anyio, pytest.mark.ours]

# Objects that the garbage collector visits for a connection that says little: the
# socket, the transport, the link and its queue, who waits, the deadline, and what
# the loop needs to watch a socket, which is between four and eight.
MOST_OBJECTS = 14


def count_objects():
    """
    Return how many objects the garbage collector visits.
    """
    gc.collect()
    return len(gc.get_objects())


@contextlib.contextmanager
def silent(port, number):
    """
    Open connections that begin a request and do not end it.
    """
    with contextlib.ExitStack() as stack:
        for _ in range(number):
            sock = socket.create_connection(("127.0.0.1", port))
            stack.enter_context(sock)
            sock.sendall(b"GET / HTTP/1.1\r\nHost:")
        yield


async def test_a_connection_that_says_little_is_few_objects():
    """
    Ten thousand of them must not make each garbage collection a pause for all.
    """
    number = 200
    async with serving(backlog=number) as running:
        server = running.server
        with silent(running.port, 1):
            # Whatever is made once.
            await wait_until(lambda: len(server.arrivals) == 1)
        await wait_until(lambda: not server.arrivals)
        before = count_objects()
        with silent(running.port, number):
            await wait_until(lambda: len(server.arrivals) == number)
            await settle()
            after = count_objects()

            # Each test's own socket is one more.
            assert (after - before) / number <= MOST_OBJECTS + 1
            assert number == server.statistics()["handshakes"]


async def test_a_request_byte_by_byte():
    """
    Is a request; a frame right behind it is the first message.
    """
    async with serving() as running:
        peer = await dial(running.port)
        for byte in opening_request():
            await peer.send(bytes([byte]))
            await settle()
        await peer.send(bytes.fromhex("8182 00000000") + b"hi")

        assert (await peer.read_head()).first_line.startswith("HTTP/1.1 101 ")
        assert b"hi" == (await peer.read_frame()).payload
        peer.close()


@pytest.mark.parametrize(
    "data", [b"EHLO localhost\r\n", b"\x16\x03\x01\n", b"GET / HTTP/1.1\nHost: a\n\n"]
)
async def test_what_cannot_become_a_request(data):
    """
    Is answered at once, not when the time is over.
    """
    async with serving(open_timeout=None) as running:
        peer = await dial(running.port)
        await peer.send(data)

        assert 400 == (await read_answer(peer)).status
        peer.close()


async def test_a_long_head_is_read_against_the_limits():
    """
    A line that is too long is refused before it ends.
    """
    async with serving(open_timeout=None) as running:
        peer = await dial(running.port)
        await peer.send(b"GET /" + b"a" * 5000)
        await wait_until(lambda: bool(running.server.all_connections))
        await peer.send(b"a" * 5000)

        assert 414 == (await read_answer(peer)).status
        peer.close()


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_client_that_leaves_without_a_request(end):
    """
    Is counted once; no connection was made for it.
    """
    made = []

    def make(*args, **kwargs):
        made.append(lib.ServerConnection(*args, **kwargs))
        return made[-1]

    async with nothing_left_over():
        async with serving(create_connection=make) as running:
            peer = await dial(running.port)
            await peer.send(b"GET / ")
            await settle()
            peer.close() if end == "close" else peer.reset()
            await wait_until(lambda: not running.server.arrivals)
            statistics = running.server.statistics()

        assert [] == made
        assert 1 == statistics["accepted"]
        assert 1 == statistics["handshakes_broken"]
        assert 0 == statistics["handshakes"]


async def test_a_connection_that_cannot_be_made(caplog):
    """
    The error is logged, the client cut off, and the server goes on and ends.
    """

    def make(*args, **kwargs):
        raise ValueError("no")

    async with nothing_left_over():
        async with serving(create_connection=make) as running:
            peer = await dial(running.port)
            await peer.send(opening_request())

            assert b"" == await peer.read_rest()
            assert 0 == running.server.statistics()["handshakes"]
            peer.close()

    assert ["accepting a connection failed"] == [
        record.message for record in caplog.records if record.exc_info
    ]


@pytest.mark.parametrize("more", [b"", b"\r\nHost: too late\r\n\r\n"])
async def test_a_client_that_stays_after_it_was_dismissed(more):
    """
    Is not heard any more, and cut off when its time is over.
    """
    async with nothing_left_over():
        options = {"open_timeout": 0.02, "close_timeout": 0.02}
        async with serving(**options) as running:
            peer = await dial(running.port)
            await peer.send(b"GET / HTTP/1.1")
            head = await peer.read_head()
            with contextlib.suppress(OSError):
                await peer.send(more)
            await wait_until(lambda: not running.server.arrivals)
            statistics = running.server.statistics()
            peer.close()

    assert "HTTP/1.1 408 Request Timeout" == head.first_line
    assert 1 == statistics["handshakes_timed_out"] == statistics["rejected"]
    assert 0 == statistics["handshakes"] == statistics["handshakes_broken"]


async def test_a_connection_with_a_write_limit_of_its_own():
    """
    The transport has it, though it was there before.
    """

    def make(*args, **kwargs):
        return lib.ServerConnection(*args, **{**kwargs, "write_limit": (7000, 5000)})

    limits = []

    async def handler(connection):
        limits.append(connection.transport.get_write_buffer_limits())

    async with serving(handler, create_connection=make) as running:
        peer = await dial(running.port)
        await peer.send(opening_request())
        await wait_until(lambda: bool(limits))
        peer.close()

    assert [(5000, 7000)] == limits
