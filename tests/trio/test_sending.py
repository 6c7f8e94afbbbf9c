"""
Sending on trio: kinds of messages, fragments, slow peers, and many peers.
"""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import lockstep_stream_pair, wait_all_tasks_blocked

from socketeer.exceptions import InvalidState
from socketeer.trio.server import broadcast
from tests.asyncio.raw import RawFrame
from tests.trio.harness import both_sides, facing_raw_peer, serving

LARGE = b"x" * 100_000


@both_sides
@pytest.mark.parametrize(
    ("message", "options", "frame"),
    [
        ("é", {}, RawFrame(0x81, b"\xc3\xa9")),
        (b"\xff", {}, RawFrame(0x82, b"\xff")),
        (bytearray(b"x"), {}, RawFrame(0x82, b"x")),
        (memoryview(b"x"), {}, RawFrame(0x82, b"x")),
        ("x", {"text": False}, RawFrame(0x82, b"x")),
        (b"x", {"text": True}, RawFrame(0x81, b"x")),
        (b"", {}, RawFrame(0x82, b"")),
    ],
)
async def test_sends_messages(side, message, options, frame):
    """
    Text in text frames and bytes in binary ones, unless ``text`` says otherwise.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await connection.send(message, **options)

        assert frame == await peer.read_frame()


async def chunks(*items):
    for item in items:
        await trio.lowlevel.checkpoint()
        yield item


@both_sides
@pytest.mark.parametrize(
    ("message", "options", "head"),
    [
        (["a", "b"], {}, 0x01),
        ([b"a", bytearray(b"b")], {}, 0x02),
        (chunks, {}, 0x01),
        (["a", "b"], {"text": False}, 0x02),
        ([b"a", b"b"], {"text": True}, 0x01),
    ],
)
async def test_sends_fragments(side, message, options, head):
    """
    A frame for each item, and an empty one at the end.
    """
    if message is chunks:
        message = chunks("a", "b")
    async with facing_raw_peer(side) as (connection, peer):
        await connection.send(message, **options)

        assert [RawFrame(head, b"a"), RawFrame(0, b"b"), RawFrame(0x80)] == [
            await peer.read_frame() for _ in range(3)
        ]


@both_sides
async def test_sends_nothing_for_nothing(side):
    """
    An iterable without items is no message.
    """
    async with facing_raw_peer(side) as (connection, peer):
        await connection.send([])
        await connection.send("x")

        assert RawFrame(0x81, b"x") == await peer.read_frame()


@both_sides
@pytest.mark.parametrize(
    ("message", "text"),
    [
        (1, "data must be str, bytes, iterable, or async iterable"),
        ({"a": 1}, "data is a dict-like object"),
        ([1], "iterable must contain bytes or str"),
    ],
)
async def test_refuses_what_is_no_message(side, message, text):
    """
    Nothing is sent; the connection stays OPEN.
    """
    async with facing_raw_peer(side) as (connection, peer):
        with pytest.raises(TypeError, match=text):
            await connection.send(message)
        with pytest.raises(UnicodeEncodeError):
            await connection.send("\ud800")
        await connection.send("x")

        assert RawFrame(0x81, b"x") == await peer.read_frame()


@both_sides
async def test_fragments_of_several_kinds_fail_the_connection(side):
    """
    What was begun cannot be ended.
    """
    async with facing_raw_peer(side) as (connection, peer):
        with pytest.raises(TypeError, match="async iterable must contain uniform"):
            await connection.send(chunks("a", b"b"))

        assert (1011, "error in fragmented message") == await peer.read_close()


@both_sides
async def test_messages_wait_for_the_end_of_a_fragmented_one(side):
    """
    Control frames do not (RFC 6455, 5.4).
    """
    async with facing_raw_peer(side) as (connection, peer):
        go_on = trio.Event()

        async def fragments():
            yield "a"
            await go_on.wait()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.send, fragments())
            await wait_all_tasks_blocked()
            nursery.start_soon(connection.send, "second")
            nursery.start_soon(connection.ping, b"ping")
            await wait_all_tasks_blocked()
            go_on.set()

        heads = [(await peer.read_frame()).head for _ in range(4)]
        assert [0x01, 0x89, 0x80, 0x81] == heads


@both_sides
async def test_sending_waits_for_a_slow_peer(side):
    """
    What waits to be written is bounded.
    """
    async with facing_raw_peer(side, make_pair=lockstep_stream_pair) as (
        connection,
        peer,
    ):
        sent = 0

        async def flood():
            nonlocal sent
            for _ in range(100):
                await connection.send(b"x" * 1000)
                sent += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood)
            await wait_all_tasks_blocked()
            assert 30 <= sent <= 35
            for _ in range(100):
                await peer.read_frame()

        assert 100 == sent


async def test_sending_lets_others_run():
    """
    Each call is a checkpoint: a firehose does not starve anybody.
    """
    async with facing_raw_peer("server") as (connection, _):
        turns = 0

        async def count():
            nonlocal turns
            while True:
                await trio.lowlevel.checkpoint()
                turns += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(count)
            for _ in range(50):
                await connection.send("x")
            nursery.cancel_scope.cancel()

        assert turns >= 40


async def test_hooks_cannot_send():
    """
    Before the opening handshake is over, there is nobody to send to.
    """
    raised = []

    async def process_request(connection, request):
        with pytest.raises(InvalidState) as info:
            await connection.send("early")
        raised.append(str(info.value))

    async with serving(process_request=process_request) as running:
        await running.raw_client()

    assert ["connection is connecting"] == raised


async def test_hooks_may_close():
    """
    The client is let go without an answer.
    """

    async def process_request(connection, request):
        await connection.aclose()

    async with serving(process_request=process_request) as running:
        with pytest.raises(EOFError):
            await running.raw_client()


async def test_logs_frames_for_debugging(caplog):
    """
    In both directions.
    """
    caplog.set_level(logging.DEBUG)
    async with facing_raw_peer("server") as (connection, peer):
        await peer.send_frame("81", b"in")
        await connection.recv()
        await connection.send("out")

        messages = [record.message for record in caplog.records]
        assert "< TEXT 'in' [2 bytes]" in messages
        assert "> TEXT 'out' [3 bytes]" in messages


# Many peers.


async def test_broadcasts():
    """
    To all that are OPEN, once framed; compressed for those who can.
    """
    async with serving(compression="deflate") as running:
        plain = await running.raw_client()
        deflating = await running.raw_client(
            ("Sec-WebSocket-Extensions", "permessage-deflate")
        )
        closing = await running.raw_client()
        await closing.send_close(1000)
        await wait_all_tasks_blocked()
        connections = [await running.accepted.receive() for _ in range(3)]
        await broadcast(connections, "x" * 100)
        await broadcast(connections, b"y", text=True)

        assert RawFrame(0x81, b"x" * 100) == await plain.read_frame()
        assert RawFrame(0x81, b"y") == await plain.read_frame()
        assert 0xC1 == (await deflating.read_frame()).head
        assert 0x88 == (await closing.read_frame()).head


async def test_broadcasting_is_as_fast_as_the_slowest_peer():
    """
    And whoever does not want to wait uses a timeout; nobody gets half a message.
    """
    async with serving(make_pair=lockstep_stream_pair) as running:
        fast = await running.raw_client()
        slow = await running.raw_client()
        connections = [await running.accepted.receive() for _ in range(2)]

        async def read():
            assert LARGE == (await fast.read_frame()).payload

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            with trio.move_on_after(2) as scope:
                await broadcast(connections, LARGE)
        assert scope.cancelled_caught
        assert LARGE == (await slow.read_frame()).payload


async def test_broadcasting_waits_for_fragmented_messages():
    """
    Between the frames of a message no other may start (RFC 6455, 5.4).
    """
    async with serving() as running:
        peer = await running.raw_client()
        connection = await running.accepted.receive()
        go_on = trio.Event()

        async def fragments():
            yield "a"
            await go_on.wait()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.send, fragments())
            await wait_all_tasks_blocked()
            nursery.start_soon(broadcast, [connection], "to all")
            await wait_all_tasks_blocked()
            go_on.set()

        payloads = [(await peer.read_frame()).payload for _ in range(3)]
        assert [b"a", b"", b"to all"] == payloads


@pytest.mark.parametrize("raise_exceptions", [False, True])
async def test_broadcasting_to_a_lost_peer_fails_for_that_one(caplog, raise_exceptions):
    """
    It is logged, or raised when all others have been served.
    """
    async with serving(make_pair=lockstep_stream_pair) as running:
        peer = await running.raw_client()
        connection = await running.accepted.receive()

        async def vanish():
            await trio.sleep(1)
            await trio.aclose_forcefully(peer.stream)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(vanish)
            if raise_exceptions:
                with pytest.raises(ExceptionGroup, match="skipped broadcast"):
                    await broadcast([connection], LARGE, raise_exceptions=True)
            else:
                await broadcast([connection], LARGE)
                [record] = caplog.records
                assert record.message.startswith("skipped broadcast: failed to write")


async def test_broadcasting_refuses_what_is_no_message():
    """
    Nothing is sent to anybody.
    """
    with pytest.raises(TypeError, match="data must be str or bytes"):
        await broadcast([], 1)


async def test_clients_broadcast_too():
    """
    Each masks with its own key.
    """
    async with facing_raw_peer("client") as (connection, peer):
        await broadcast([connection], "x")

        frame = await peer.read_frame()
        assert (b"x", 4) == (frame.payload, len(frame.masking_key))
