"""
broadcast() to peers that do not keep up, on trio: bounded, and waiting for nobody.

A stream in memory that takes nothing is the slowest of all peers.
"""

from __future__ import annotations

import pytest
import trio
from trio.testing import lockstep_stream_pair, wait_all_tasks_blocked

from socketeer.exceptions import ConnectionClosed
from socketeer.extensions import Extension
from socketeer.frames import Close
from socketeer.protocol import State
from socketeer.trio.server import broadcast
from tests.trio.harness import facing_raw_peer

SIZE = 10_000
LIMIT = 100_000


def numbered(number):
    """
    Return a large message with a number.
    """
    return b"%010d" % number + bytes(SIZE - 10)


async def flood(connection, **options):
    """
    Broadcast many messages.
    """
    for number in range(50):
        await broadcast([connection], numbered(number), max_backlog=LIMIT, **options)


def slow_reader(**options):
    """
    Give a connection whose peer reads only when told to.
    """
    return facing_raw_peer("server", make_pair=lockstep_stream_pair, **options)


async def read_numbers(peer):
    """
    Read messages up to a close frame; return their numbers and the code.
    """
    numbers = []
    while (frame := await peer.read_frame()).head == 0x82:
        numbers.append(int(frame.payload[:10]))
    return numbers, int.from_bytes(frame.payload[:2])


async def test_a_slow_peer_is_closed():
    """
    With 1013, after what was already on the way; what waits is bounded.
    """
    async with slow_reader() as (connection, peer):
        await flood(connection)
        assert State.CLOSING is connection.state
        assert connection.backlog <= LIMIT + SIZE + 100
        numbers, code = await read_numbers(peer)

        assert list(range(len(numbers))) == numbers
        assert len(numbers) < 50
        assert 1013 == code
        assert Close(1013, "too slow") == connection.protocol.close_sent
        peer.close()


async def test_a_slow_peer_that_does_not_read_is_cut_off():
    """
    The close frame cannot reach it: the end comes at `close_timeout`.
    """
    async with slow_reader() as (connection, _):
        await flood(connection)
        began = trio.current_time()
        await connection.wait_closed()

        assert 10 == pytest.approx(trio.current_time() - began, abs=1.1)
        assert 0 == connection.backlog


@pytest.mark.parametrize("on_overflow", ["drop", "latest"])
async def test_a_slow_peer_misses_messages(on_overflow):
    """
    `"drop"` keeps the first ones, `"latest"` the last one; all arrive in order, and
    what is sent afterwards comes behind them.
    """
    async with slow_reader() as (connection, peer), trio.open_nursery() as nursery:
        await flood(connection, on_overflow=on_overflow)
        assert connection.backlog <= LIMIT + SIZE + 100
        dropped = connection.dropped
        nursery.start_soon(connection.send, numbered(1000))
        await wait_all_tasks_blocked()
        nursery.start_soon(broadcast, [connection], numbered(1001))
        await wait_all_tasks_blocked()
        numbers = []
        while numbers[-1:] != [1001]:
            numbers.append(int((await peer.read_frame()).payload[:10]))

        assert State.OPEN is connection.state
        assert sorted(numbers) == numbers
        assert 52 == len(numbers) + dropped
        assert (on_overflow == "latest") == (49 in numbers)


async def test_a_peer_in_the_middle_of_a_fragmented_message():
    """
    Gets the broadcast behind it.
    """
    async with facing_raw_peer("server") as (connection, peer):

        async def parts():
            yield "first, "
            await broadcast([connection], "a broadcast", max_backlog=LIMIT)
            yield "last"

        await connection.send(parts())
        frames = [await peer.read_frame() for _ in range(4)]

        payloads = [b"first, ", b"last", b"", b"a broadcast"]
        assert payloads == [frame.payload for frame in frames]


async def test_a_peer_that_is_gone():
    """
    Is skipped, and what waited is forgotten.
    """
    async with slow_reader() as (connection, _):

        async def parts():
            yield "first, "
            await broadcast([connection], "never sent", max_backlog=LIMIT)
            with trio.move_on_after(0):
                await connection.aclose()
            await broadcast([connection], "too late", max_backlog=LIMIT)
            yield "last"

        with pytest.raises(ConnectionClosed):
            await connection.send(parts())

        assert 0 == connection.backlog


async def test_what_cannot_be_meant():
    """
    Nothing is sent.
    """
    with pytest.raises(ValueError, match="on_overflow must be"):
        await broadcast([], "x", max_backlog=1, on_overflow="wait")


class Broken(Extension):
    """
    An extension that fails.
    """

    name = "broken"

    def encode(self, frame):
        raise RuntimeError("no")


@pytest.mark.parametrize("limit", [None, LIMIT])
async def test_failures_are_reported(limit, caplog):
    """
    As warnings, or as an exception group when all have been served.
    """
    async with facing_raw_peer("server") as (connection, peer):
        connection._link.extensions = [Broken()]
        with pytest.raises(ExceptionGroup, match="skipped broadcast"):
            await broadcast([connection], "x", max_backlog=limit, raise_exceptions=True)
        await broadcast([connection], "x", max_backlog=limit)
        assert "failed to write message: no" in caplog.text
        connection._link.extensions = None
        await broadcast([connection], "fine", max_backlog=limit)

        assert b"fine" == (await peer.read_frame()).payload
