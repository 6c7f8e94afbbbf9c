"""
Receiving on trio: messages, fragments, and who may receive.
"""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from socketeer.exceptions import ConcurrencyError, ConnectionClosedError
from tests.asyncio.raw import RawFrame
from tests.trio.harness import both_sides, facing_raw_peer

FRAGMENTS = [("01", b"h\xc3"), ("00", b"\xa9"), ("80", b"llo")]


@both_sides
@pytest.mark.parametrize(
    ("header", "payload", "decode", "message"),
    [
        ("81", "é".encode(), None, "é"),
        ("81", "é".encode(), True, "é"),
        ("81", "é".encode(), False, "é".encode()),
        ("82", "é".encode(), None, "é".encode()),
        ("82", "é".encode(), True, "é"),
        ("82", "é".encode(), False, "é".encode()),
    ],
)
async def test_decodes_as_asked(side, header, payload, decode, message):
    """
    Text is str and binary is bytes, unless ``decode`` says otherwise.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame(header, payload)

        assert message == await connection.recv(decode)


@both_sides
async def test_puts_fragments_together(side):
    """
    A character may be split between fragments (RFC 6455, 5.4 and 5.6).
    """
    async with facing_raw_peer(side) as (connection, peer):
        for header, payload in FRAGMENTS:
            await peer.send_frame(header, payload)

        assert "héllo" == await connection.recv()


@both_sides
async def test_streams_fragments(side):
    """
    Fragments come one by one; a split character comes with the last of them.
    """
    async with facing_raw_peer(side) as (connection, peer):
        for header, payload in FRAGMENTS:
            await peer.send_frame(header, payload)
        await peer.send_frame("82", b"whole")

        assert ["h", "é", "llo"] == [item async for item in connection.recv_streaming()]
        assert [b"whole"] == [item async for item in connection.recv_streaming()]


@both_sides
async def test_streams_fragments_undecoded(side):
    """
    With ``decode=False``, a fragment is what was in the frame.
    """
    async with facing_raw_peer(side) as (connection, peer):
        for header, payload in FRAGMENTS:
            await peer.send_frame(header, payload)
        streaming = connection.recv_streaming(decode=False)

        assert [b"h\xc3", b"\xa9", b"llo"] == [item async for item in streaming]


@both_sides
async def test_streaming_goes_on_after_a_timeout(side):
    """
    A step that is canceled loses nothing, also in the middle of a message.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("02", b"a")
        streaming = connection.recv_streaming()
        assert b"a" == await anext(streaming)
        with trio.move_on_after(1) as scope:
            await anext(streaming)
        assert scope.cancelled_caught
        await peer.send_frame("80", b"b")

        assert [b"b"] == [item async for item in streaming]


async def test_streaming_fails_on_text_that_is_none():
    """
    Bytes in a binary message that were to be decoded fail the connection.
    """
    async with facing_raw_peer("server") as (connection, peer):
        await peer.send_frame("82", b"\xff")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.close_after_close)
            with pytest.raises(ConnectionClosedError) as raised:
                await anext(connection.recv_streaming(decode=True))

        assert 1007 == raised.value.sent.code
        assert isinstance(raised.value.__cause__, UnicodeDecodeError)


@both_sides
async def test_refuses_a_second_receiver(side):
    """
    Two receivers would each get some messages; the first one is not disturbed.
    """
    async with facing_raw_peer(side) as (connection, peer):
        received = []

        async def receive():
            received.append(await connection.recv())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await wait_all_tasks_blocked()
            with pytest.raises(ConcurrencyError, match="cannot call recv while"):
                await connection.recv()
            with pytest.raises(ConcurrencyError, match="cannot call recv_stream"):
                await anext(connection.recv_streaming())
            await peer.send_frame("81", b"for the first")

        assert ["for the first"] == received


@both_sides
async def test_refuses_to_receive_amid_a_streamed_message(side):
    """
    The rest of the message belongs to whoever received its beginning.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("01", b"a")
        await anext(connection.recv_streaming())

        with pytest.raises(ConcurrencyError):
            await connection.recv()
        with pytest.raises(ConcurrencyError):
            await anext(connection.recv_streaming())


@both_sides
async def test_reading_pauses_while_nobody_receives(side):
    """
    At most ``max_queue`` frames wait, and what one read had besides; the peer is
    held back. Receiving makes room.
    """
    async with facing_raw_peer(
        side, max_queue=4, make_pair=trio.testing.lockstep_stream_pair
    ) as (connection, peer):
        sent = 0

        async def flood():
            nonlocal sent
            for _ in range(50):
                await peer.send_frame("81", b"%d" % sent)
                sent += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood)
            await wait_all_tasks_blocked()
            assert 4 <= sent <= 8

            assert [str(i) for i in range(50)] == [
                await connection.recv() for _ in range(50)
            ]


@both_sides
async def test_answers_pings_although_nobody_receives(side):
    """
    What has been read is answered while the queue is full.
    """
    async with facing_raw_peer(side, max_queue=2) as (_, peer):
        frames = [peer.frame("81", b"x")] * 5 + [peer.frame("89", b"ping")]
        await peer.send(b"".join(frames))

        assert RawFrame(0x8A, b"ping") == await peer.read_frame()


@both_sides
async def test_iteration_ends_quietly_on_a_normal_closure(side):
    """
    Codes 1000 and 1001, and no code, end ``async for``; messages come first.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_frame("81", b"last")
        await peer.send_close(1001)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.close_after_close)

            assert ["last"] == [message async for message in connection]


@both_sides
async def test_iteration_raises_on_another_closure(side):
    """
    Any other code is raised to the loop.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await peer.send_close(1011)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.close_after_close)
            with pytest.raises(ConnectionClosedError) as raised:
                async for _ in connection:
                    pass

        assert 1011 == raised.value.rcvd.code
