"""
broadcast() to peers that do not keep up: bounded, and never a corrupt stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from types import SimpleNamespace

import pytest

from tests.asyncio.harness import (
    connected,
    facing_raw_peer,
    serving,
    settle,
    small_kernel_buffers,
)
from tests.asyncio.raw import RawPeer
from tests.under_test import lib, submodule

pytestmark = [pytest.mark.anyio, pytest.mark.ours]

SIZE = 50_000
LIMIT = 300_000


def numbered(number):
    """
    Return a large message with a number.
    """
    return b"%010d" % number + bytes(SIZE - 10)


def broadcast_numbers(connection, count, first=0, **options):
    """
    Broadcast that many numbered messages in one turn of the loop.
    """
    for number in range(first, first + count):
        lib.broadcast([connection], numbered(number), **options)


@contextlib.asynccontextmanager
async def slow_reader(**options):
    """
    A server's connection and a peer that reads only when told to.
    """
    async with facing_raw_peer("server", **options) as (connection, peer):
        small_kernel_buffers(connection, peer)
        yield connection, peer


async def read_numbers(peer, last):
    """
    Read frames up to the one with the last number; return all numbers.
    """
    numbers = []
    while numbers[-1:] != [last]:
        frame = await peer.read_frame()
        assert (0x82, SIZE) == (frame.head, len(frame.payload))
        numbers.append(int(frame.payload[:10]))
    return numbers


# "close"


async def test_a_slow_peer_is_closed():
    """
    By default a peer with more than a mebibyte waiting is closed with 1013,
    after what was already queued.
    """
    async with slow_reader() as (connection, peer):
        broadcast_numbers(connection, 60)
        state = connection.state
        numbers = []
        frame = await peer.read_frame()
        while frame.head == 0x82:
            numbers.append(int(frame.payload[:10]))
            frame = await peer.read_frame()
        await peer.send_close(1013)
        peer.close()
        await connection.wait_closed()

        assert lib.State.CLOSING is state
        assert lib.Close(1013, "too slow") == connection.protocol.close_sent
        assert list(range(len(numbers))) == numbers
        assert len(numbers) < 60
        assert 1013 == connection.close_code


async def test_what_waits_for_a_slow_peer_is_bounded():
    """
    At most `max_backlog` and the message that exceeded it.
    """
    async with slow_reader() as (connection, _):
        broadcast_numbers(connection, 60, max_backlog=LIMIT)

        assert connection.backlog <= LIMIT + SIZE + 100


async def test_a_slow_peer_that_does_not_read_is_aborted():
    """
    The close frame cannot reach it: the end comes at `close_timeout`.
    """
    async with slow_reader(close_timeout=0.01) as (connection, _):
        broadcast_numbers(connection, 60, max_backlog=LIMIT)
        with pytest.raises(lib.ConnectionClosedError) as raised:
            await connection.recv()

        assert lib.Close(1013, "too slow") == raised.value.sent
        assert 0 == connection.backlog


async def test_others_are_served():
    """
    A slow peer is no reason for others to miss a message.
    """
    async with serving(close_timeout=0.01) as server:
        slow = await RawPeer.connect(server.port, receive_buffer=8192)
        with contextlib.closing(slow):
            accepted = [await server.accepted.get()]
            small_kernel_buffers(accepted[0], slow)
            async with connected(server.uri) as client:
                accepted.append(await server.accepted.get())
                received = []
                for number in range(60):
                    lib.broadcast(accepted, numbered(number), max_backlog=LIMIT)
                    received.append(int((await client.recv())[:10]))

        assert list(range(60)) == received
        assert [1013] == [end.protocol.close_sent.code for end in accepted[:1]]


async def test_a_large_message_does_not_close_a_healthy_peer():
    """
    The backlog is judged before the message is added.
    """
    async with facing_raw_peer("server") as (connection, peer):
        lib.broadcast([connection], bytes(3_000_000))
        reading = asyncio.create_task(peer.read_frame())
        frame = await reading
        lib.broadcast([connection], b"small")

        assert 3_000_000 == len(frame.payload)
        assert b"small" == (await peer.read_frame()).payload


async def test_no_limit():
    """
    `max_backlog=None` queues whatever comes.
    """
    async with slow_reader() as (connection, peer):
        broadcast_numbers(connection, 60, max_backlog=None)

        assert connection.backlog > 2**20
        assert list(range(60)) == await read_numbers(peer, 59)


async def test_a_limit_of_zero():
    """
    Whoever has not taken everything is too slow.
    """
    async with slow_reader() as (connection, peer):
        lib.broadcast([connection], b"first", max_backlog=0)
        await peer.read_frame()
        lib.broadcast([connection], b"second", max_backlog=0)
        await peer.read_frame()
        broadcast_numbers(connection, 20, max_backlog=0, on_overflow="drop")

        assert 0 < connection.dropped < 20
        assert lib.State.OPEN is connection.state


async def test_a_closed_slow_peer_is_skipped():
    """
    Broadcasts after the overflow are not counted and not queued.
    """
    async with slow_reader(close_timeout=0.01) as (connection, _):
        broadcast_numbers(connection, 30, max_backlog=LIMIT)
        before = connection.dropped
        broadcast_numbers(connection, 30, max_backlog=LIMIT)

        assert before == connection.dropped


@pytest.mark.parametrize("on_overflow", ["", "wait", "CLOSE", None])
async def test_other_policies_are_refused(on_overflow):
    """
    Nothing is sent then.
    """
    async with facing_raw_peer("server") as (connection, peer):
        with pytest.raises(ValueError, match="on_overflow"):
            lib.broadcast([connection], "never", on_overflow=on_overflow)
        lib.broadcast([connection], "next")

        assert b"next" == (await peer.read_frame()).payload


# "drop"


async def test_the_newest_message_is_dropped():
    """
    The peer gets what was queued, misses the rest, and gets what comes when it
    has caught up.
    """
    async with slow_reader() as (connection, peer):
        broadcast_numbers(connection, 30, max_backlog=LIMIT, on_overflow="drop")
        missed = connection.dropped
        first = await read_numbers(peer, 30 - missed - 1)
        await settle()
        broadcast_numbers(connection, 1, 30, max_backlog=LIMIT, on_overflow="drop")
        then = await read_numbers(peer, 30)

        assert 0 < missed < 30
        assert list(range(30 - missed)) == first
        assert [30] == then
        assert lib.State.OPEN is connection.state


async def test_private_messages_are_not_dropped():
    """
    `send()` is not subject to the policy.
    """
    async with slow_reader() as (connection, peer):
        sending = []
        for number in range(20):
            broadcast_numbers(
                connection, 1, number, max_backlog=LIMIT, on_overflow="drop"
            )
            sending.append(asyncio.create_task(connection.send(b"%d" % number)))
            await asyncio.sleep(0)
        private = []
        while len(private) < 20:
            frame = await peer.read_frame()
            if len(frame.payload) < 10:
                private.append(int(frame.payload))
        await asyncio.gather(*sending)

        assert list(range(20)) == private
        assert connection.dropped > 0


# "latest"


async def test_the_latest_message_replaces_older_ones():
    """
    The peer gets what had been begun, and the newest message.
    """
    async with slow_reader() as (connection, peer):
        broadcast_numbers(connection, 30, max_backlog=LIMIT, on_overflow="latest")
        missed = connection.dropped
        numbers = await read_numbers(peer, 29)

        assert 0 < missed < 30
        assert 30 - missed == len(numbers)
        assert sorted(numbers) == numbers
        assert lib.State.OPEN is connection.state


async def test_private_messages_are_not_replaced():
    """
    Only broadcasts give way to broadcasts.
    """
    async with slow_reader() as (connection, peer):
        sending = []
        for number in range(20):
            sending.append(asyncio.create_task(connection.send(b"%d" % number)))
            await asyncio.sleep(0)
            broadcast_numbers(
                connection, 1, number, max_backlog=LIMIT, on_overflow="latest"
            )
        private, public = [], []
        while len(private) < 20 or public[-1:] != [19]:
            payload = (await peer.read_frame()).payload
            (private if len(payload) < 10 else public).append(int(payload[:10]))
        await asyncio.gather(*sending)

        assert list(range(20)) == private
        assert sorted(public) == public
        assert 20 - connection.dropped == len(public)


async def test_a_close_frame_is_not_replaced():
    """
    Closing ends the stream behind what is left.
    """
    async with slow_reader() as (connection, peer):
        broadcast_numbers(connection, 30, max_backlog=LIMIT, on_overflow="latest")
        closing = asyncio.create_task(connection.close(1001))

        assert (1001, "") == await peer.answer_close(1001)
        await closing


# Compression


@pytest.mark.parametrize("on_overflow", ["drop", "latest"])
@pytest.mark.parametrize("seed", range(4))
async def test_dropping_never_corrupts_a_compressed_stream(on_overflow, seed):
    """
    Broadcasts and private messages, compressed with context takeover, in a
    random mixture to a client that stops reading now and then: whatever
    arrives is what was sent.
    """
    chance = random.Random(seed)
    words = [chance.randbytes(3000).hex() for _ in range(20)]
    async with (
        serving(compression="deflate") as server,
        connected(server.uri, compression="deflate", max_queue=1) as client,
    ):
        connection = await server.accepted.get()
        sock = client.transport.get_extra_info("socket")
        small_kernel_buffers(connection, SimpleNamespace(sock=sock))
        private = public = 0
        sending = []
        for _ in range(150):
            text = "".join(chance.choices(words, k=4))
            if chance.random() < 0.3:
                message = f"private {private} {text}"
                sending.append(asyncio.create_task(connection.send(message)))
                private += 1
            else:
                message = f"public {public} {text}"
                options = {"max_backlog": 100_000, "on_overflow": on_overflow}
                lib.broadcast([connection], message, **options)
                public += 1
            await asyncio.sleep(0)
        sending.append(asyncio.create_task(connection.send("end")))
        received = [message async for message in until_the_end(client)]
        await asyncio.gather(*sending)

        numbers = {
            kind: [int(m.split()[1]) for m in received if m.startswith(kind)]
            for kind in ("private", "public")
        }
        assert list(range(private)) == numbers["private"]
        assert sorted(set(numbers["public"])) == numbers["public"]
        assert public - connection.dropped == len(numbers["public"])
        assert connection.dropped > 0


async def until_the_end(client):
    """
    Receive messages up to the one that says "end".
    """
    async for message in client:
        if message == "end":
            return
        yield message


async def test_private_messages_after_a_broadcast_inflate():
    """
    A broadcast is compressed apart from the connection's context; what was
    sent before it is not referred to afterwards.
    """
    text = "the same words, again and again, " * 20
    async with (
        serving(compression="deflate") as server,
        connected(server.uri, compression="deflate") as client,
    ):
        connection = await server.accepted.get()
        expected = []
        for number in range(10):
            expected += [f"{text}{number}", f"{text}{number}!"]
            await connection.send(expected[-2])
            lib.broadcast([connection], expected[-1])

        assert expected == [await client.recv() for _ in expected]


@pytest.mark.parametrize(
    "parameters",
    [
        "server_no_context_takeover",
        "server_max_window_bits=9",
        "client_no_context_takeover; server_no_context_takeover",
    ],
)
async def test_other_parameters_of_the_extension(parameters):
    """
    One message for clients that negotiated different windows.
    """
    factory = submodule("extensions.permessage_deflate").ClientPerMessageDeflateFactory
    options = {"server_no_context_takeover": "server_no" in parameters}
    if "window_bits" in parameters:
        options["server_max_window_bits"] = 9
    async with (
        serving(compression="deflate") as server,
        connected(server.uri, extensions=[factory(**options)]) as special,
        connected(server.uri, compression="deflate") as usual,
        connected(server.uri) as plain,
    ):
        accepted = [await server.accepted.get() for _ in range(3)]
        clients = [special, usual, plain]
        for number in range(5):
            text = f"{number} and many more words than a window of 512 bytes " * 40
            lib.broadcast(accepted, text)
            await accepted[0].send(text)

            assert [text] * 3 == [await client.recv() for client in clients]
            assert text == await special.recv()


# The interface beneath


async def test_preparing_a_message_once():
    """
    `prepare()` and `send_prepared()` are what `broadcast()` is made of.
    """
    prepare = submodule("asyncio.connection").prepare
    async with serving() as server, connected(server.uri) as client:
        connection = await server.accepted.get()
        for message in (prepare("text"), prepare(b"bytes"), prepare(b"x", text=True)):
            assert True is connection.send_prepared(message)

        assert ["text", b"bytes", "x"] == [await client.recv() for _ in range(3)]
        await client.close()
        await connection.wait_closed()
        assert False is connection.send_prepared(prepare("late"))


async def test_waiting_until_a_peer_has_caught_up():
    """
    `backlog` tells how much waits, `wait_drained()` waits for less.
    """
    async with slow_reader() as (connection, peer):
        before = connection.backlog
        await connection.wait_drained()
        broadcast_numbers(connection, 30, max_backlog=None)
        full = connection.backlog
        waiting = asyncio.create_task(connection.wait_drained())
        await settle()
        assert not waiting.done()
        await read_numbers(peer, 29)
        await waiting

        assert 0 == before
        assert full > LIMIT
        assert connection.backlog < full


async def test_a_peer_that_is_lost_does_not_drain():
    """
    `wait_drained()` raises then.
    """
    async with slow_reader() as (connection, peer):
        broadcast_numbers(connection, 30, max_backlog=None)
        waiting = asyncio.create_task(connection.wait_drained())
        await settle()
        peer.reset()

        with pytest.raises(lib.ConnectionClosedError):
            await waiting
