"""
Backpressure from the peer: send() waits while the peer does not read.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.asyncio.harness import (
    both_sides,
    facing_raw_peer,
    settle,
    small_kernel_buffers,
)
from tests.asyncio.raw import mask
from tests.under_test import lib

pytestmark = [pytest.mark.anyio, both_sides]

MESSAGE_SIZE = 60_000
MESSAGES = 30  # Far more than kernels buffer for a reader that does not read.


class Sender:
    """
    Send numbered messages one after the other in a task.
    """

    def __init__(self, connection):
        self.sent = 0
        self.task = asyncio.create_task(self.run(connection))

    async def run(self, connection):
        """
        Send all messages, counting.
        """
        for number in range(MESSAGES):
            await connection.send(b"%010d" % number + bytes(MESSAGE_SIZE - 10))
            self.sent += 1

    async def stalled(self):
        """
        Wait until nothing more is sent.
        """
        before = -1
        while before != self.sent:
            before = self.sent
            for _ in range(5):
                await asyncio.sleep(0.002)
        assert not self.task.done()


async def test_send_waits_while_the_peer_does_not_read(side):
    """
    It goes on when the peer reads; every message arrives whole, in order.
    """
    async with facing_raw_peer(side) as (connection, peer):
        small_kernel_buffers(connection, peer)
        sender = Sender(connection)
        await sender.stalled()
        assert sender.sent < MESSAGES

        for number in range(MESSAGES):
            assert number == int((await peer.read_frame()).payload[:10])
        await sender.task
        assert MESSAGES == sender.sent


async def test_what_waits_to_be_written_is_bounded(side):
    """
    `send()` waits when more than `write_limit` bytes wait: the message that
    exceeds it is taken, and one more that was collected in the same turn.
    """
    async with facing_raw_peer(side, write_limit=100_000) as (connection, peer):
        small_kernel_buffers(connection, peer)
        sender = Sender(connection)
        await sender.stalled()
        waiting = connection.transport.get_write_buffer_size()
        sender.task.cancel()
        await asyncio.wait([sender.task])

        assert 100_000 < waiting < 100_000 + 2 * (MESSAGE_SIZE + 14)


async def test_a_high_write_limit_does_not_wait(side):
    """
    Below the limit `send()` returns, whatever the peer does.
    """
    size = MESSAGES * MESSAGE_SIZE
    async with facing_raw_peer(side, write_limit=2 * size) as (connection, peer):
        small_kernel_buffers(connection, peer)
        sender = Sender(connection)
        await sender.task

        assert MESSAGES == sender.sent
        assert connection.transport.get_write_buffer_size() > 0


@pytest.mark.parametrize(
    ("write_limit", "limits"),
    [(1000, (1000, 250)), ((1000, 10), (1000, 10)), ((1000, None), (1000, 250))],
)
async def test_the_write_limits_are_the_transports(side, write_limit, limits):
    """
    `write_limit` sets the high and the low mark as asyncio's transports do.
    """
    async with facing_raw_peer(side, write_limit=write_limit) as (connection, _):
        low, high = connection.transport.get_write_buffer_limits()

        assert limits == (high, low)


async def test_all_senders_go_on(side):
    """
    Several tasks may wait; each of them sends in the end.
    """
    async with facing_raw_peer(side) as (connection, peer):
        small_kernel_buffers(connection, peer)
        first = Sender(connection)
        await first.stalled()
        second = asyncio.create_task(connection.send(b"second"))
        third = asyncio.create_task(connection.send("third"))
        await settle()
        payloads = {(await peer.read_frame()).payload for _ in range(MESSAGES + 2)}
        await asyncio.gather(first.task, second, third)

        assert {b"second", b"third"} <= payloads
        assert MESSAGES + 2 == len(payloads)


@pytest.mark.parametrize("end", ["reset", "close"])
async def test_a_peer_that_goes_away_ends_the_wait(side, end):
    """
    A waiting `send()` raises then.
    """
    async with facing_raw_peer(side) as (connection, peer):
        small_kernel_buffers(connection, peer)
        sender = Sender(connection)
        await sender.stalled()
        getattr(peer, end)()
        with pytest.raises(lib.ConnectionClosedError):
            await sender.task

        assert 1006 == connection.close_code


@pytest.mark.ours
async def test_closing_ends_the_wait(side):
    """
    At `close_timeout` the connection is aborted; the waiting `send()` raises.
    """
    async with facing_raw_peer(side, close_timeout=0.02) as (connection, peer):
        small_kernel_buffers(connection, peer)
        sender = Sender(connection)
        await sender.stalled()
        await connection.close()
        with pytest.raises(lib.ConnectionClosedError):
            await sender.task

        assert lib.State.CLOSED is connection.state


async def test_closing_waits_behind_what_was_sent(side):
    """
    A peer that begins to read gets everything and then the close frame.
    """
    async with facing_raw_peer(side) as (connection, peer):
        small_kernel_buffers(connection, peer)
        sender = Sender(connection)
        await sender.stalled()
        sent = sender.sent
        closing = asyncio.create_task(connection.close())
        await settle()
        for number in range(sent):
            assert number == int((await peer.read_frame()).payload[:10])

        assert (1000, "") == await peer.answer_close(1000)
        await closing
        await asyncio.wait([sender.task])
        assert isinstance(sender.task.exception(), lib.ConnectionClosedOK)


async def test_a_cancelled_send_leaves_whole_messages(side):
    """
    A waiting message was sent entirely or not at all; later ones follow.
    """
    async with facing_raw_peer(side) as (connection, peer):
        small_kernel_buffers(connection, peer)
        sender = Sender(connection)
        await sender.stalled()
        sender.task.cancel()
        await asyncio.wait([sender.task])
        last = asyncio.create_task(connection.send(b"-1"))
        numbers = []
        while numbers[-1:] != [-1]:
            numbers.append(int((await peer.read_frame()).payload[:10]))
        await last

        assert sender.task.cancelled()
        assert numbers in (
            [*range(sender.sent), -1],
            [*range(sender.sent + 1), -1],
        )


async def test_receiving_goes_on_while_send_waits(side):
    """
    The two directions do not block each other.
    """
    async with facing_raw_peer(side) as (connection, peer):
        small_kernel_buffers(connection, peer)
        sender = Sender(connection)
        await sender.stalled()
        await peer.send_frame("81", b"received")

        assert "received" == await connection.recv()
        sender.task.cancel()
        await asyncio.wait([sender.task])


@pytest.mark.ours
async def test_only_the_latest_ping_is_answered_late(side):
    """
    While our output is stuck pings do not pile up answers (RFC 6455, 5.5.3).
    """
    async with facing_raw_peer(side) as (connection, peer):
        small_kernel_buffers(connection, peer)
        sender = Sender(connection)
        await sender.stalled()
        for number in range(5):
            await peer.send_frame("89", b"%d" % number)
            await settle()
        frames = [await peer.read_frame() for _ in range(MESSAGES + 1)]
        await sender.task
        await connection.send("next")

        assert [b"4"] == [frame.payload for frame in frames if frame.head == 0x8A]
        assert b"next" == (await peer.read_frame()).payload


async def test_a_slow_reader_gets_everything(side):
    """
    Small reads now and then are enough.
    """
    payload = bytes(range(256)) * 1000
    async with facing_raw_peer(side) as (connection, peer):
        small_kernel_buffers(connection, peer)
        sending = asyncio.create_task(connection.send(payload))
        header_size = 10 if side == "server" else 14
        read = b""
        while len(read) < len(payload) + header_size:
            read += await asyncio.get_running_loop().sock_recv(peer.sock, 1000)
        await sending

        key = read[10:14] if side == "client" else bytes(4)
        assert payload == mask(read[header_size:], key)


async def test_a_fragmented_message_waits_too(side):
    """
    An iterable is asked for its next item when there is room.
    """
    asked = 0

    def items():
        nonlocal asked
        while asked < MESSAGES:
            asked += 1
            yield b"x" * MESSAGE_SIZE

    async with facing_raw_peer(side) as (connection, peer):
        small_kernel_buffers(connection, peer)
        sending = asyncio.create_task(connection.send(items()))
        before = -1
        while before != asked:
            before = asked
            await settle()
        assert asked < MESSAGES
        sizes = [len((await peer.read_frame()).payload) for _ in range(MESSAGES + 1)]
        await sending

        assert [MESSAGE_SIZE] * MESSAGES + [0] == sizes


@pytest.mark.ours
async def test_cancelling_a_fragmented_message_that_waits(side):
    """
    After its first frame a message cannot be taken back: 1011.
    """
    async with facing_raw_peer(side) as (connection, peer):
        small_kernel_buffers(connection, peer)
        fragments = [b"x" * MESSAGE_SIZE] * MESSAGES
        sending = asyncio.create_task(connection.send(fragments))
        await settle()
        assert not sending.done()
        sending.cancel()

        assert (1011, "error in fragmented message") == await peer.answer_close()
        with pytest.raises(asyncio.CancelledError):
            await sending
