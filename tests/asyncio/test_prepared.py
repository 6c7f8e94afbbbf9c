"""
Messages that are prepared once and sent to many, one connection at a time.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.asyncio.harness import (
    both_sides,
    facing_raw_peer,
    linked,
    settle,
    small_kernel_buffers,
)
from tests.asyncio.raw import RawFrame
from tests.under_test import OURS, lib, submodule

pytestmark = [pytest.mark.anyio, pytest.mark.ours]

if OURS:
    messages = submodule("_messages")

FORMS = [
    ("text", None, RawFrame(0x81, b"text")),
    ("text", False, RawFrame(0x82, b"text")),
    (b"bytes", None, RawFrame(0x82, b"bytes")),
    (bytearray(b"bytes"), None, RawFrame(0x82, b"bytes")),
    (memoryview(b"bytes"), True, RawFrame(0x81, b"bytes")),
]


@both_sides
@pytest.mark.parametrize(("message", "text", "frame"), FORMS)
async def test_kinds_of_messages(side, message, text, frame):
    """
    Those of send(), but for iterables.
    """
    prepared = messages.prepare(message, text=text)
    async with facing_raw_peer(side) as (connection, peer):
        assert connection.send_prepared(prepared)
        assert connection.send_prepared(prepared)

        assert [frame, frame] == [await peer.read_frame() for _ in range(2)]


@pytest.mark.parametrize("message", [None, 1, ["text"], object()])
def test_other_kinds_are_refused(message):
    """
    When they are prepared.
    """
    with pytest.raises(TypeError, match="data must be str or bytes"):
        messages.prepare(message)


@both_sides
async def test_an_unknown_policy(side):
    """
    Is refused, and nothing is sent.
    """
    prepared = messages.prepare("hello")
    async with linked(side) as (connection, other):
        with pytest.raises(ValueError, match="on_overflow must be"):
            connection.send_prepared(prepared, on_overflow="newest")
        await connection.send("bye")
        assert "bye" == await other.recv()


@both_sides
async def test_a_connection_that_is_not_open(side):
    """
    Nothing is sent, and that is told.
    """
    prepared = messages.prepare("hello")
    async with linked(side) as (connection, _):
        await connection.close()
        assert not connection.send_prepared(prepared)

    assert 0 == connection.dropped


@both_sides
@pytest.mark.parametrize("compression", ["deflate", None])
@pytest.mark.parametrize("size", [10, 10_000, 1_000_000])
async def test_prepared_and_private_messages(side, compression, size):
    """
    Keep their order, and the peer can inflate all of them.
    """
    prepared = messages.prepare("x" * size)
    options = {"compression": compression}
    async with linked(side, peer_options=options, **options) as (connection, other):
        for number in range(5):
            await connection.send(f"{number}" * size)
            assert connection.send_prepared(prepared, max_backlog=None)
            assert f"{number}" * size == await other.recv()
            assert "x" * size == await other.recv()


@both_sides
async def test_backlog_dropped_and_drained(side):
    """
    A slow peer: how much waits, how many were dropped, and when it is over.
    """
    prepared = messages.prepare(bytes(100_000))
    async with facing_raw_peer(side) as (connection, peer):
        small_kernel_buffers(connection, peer)
        await connection.wait_drained()
        assert 0 == connection.backlog
        sent = [
            connection.send_prepared(prepared, max_backlog=300_000, on_overflow="drop")
            for _ in range(50)
        ]
        assert sent.count(False) == connection.dropped > 0
        assert 300_000 <= connection.backlog <= 420_000
        waiting = asyncio.create_task(connection.wait_drained())
        await settle()
        assert not waiting.done()
        for _ in range(sent.count(True)):
            assert RawFrame(0x82, bytes(100_000)) == await peer.read_frame()
        await waiting
        assert connection.send_prepared(prepared)
        await peer.read_frame()


@both_sides
async def test_the_latest_within_a_fragmented_message(side):
    """
    Prepared messages wait for its end; newer ones replace those that wait.
    """
    go_on = asyncio.Event()

    async def fragments():
        yield "begin "
        await go_on.wait()
        yield "end"

    async with linked(side) as (connection, other):
        sending = asyncio.create_task(connection.send(fragments()))
        await settle()
        sent = [
            connection.send_prepared(
                messages.prepare(text * 100), max_backlog=150, on_overflow="latest"
            )
            for text in "abc"
        ]
        go_on.set()
        await sending
        assert [True, True, True] == sent
        assert 2 == connection.dropped
        assert "begin end" == await other.recv()
        assert "c" * 100 == await other.recv()


@both_sides
async def test_waiting_for_a_connection_that_is_lost(side):
    """
    Raises what tells how it ended.
    """
    async with facing_raw_peer(side) as (connection, peer):
        small_kernel_buffers(connection, peer)
        lib.broadcast([connection], bytes(3_000_000))
        waiting = asyncio.create_task(connection.wait_drained())
        await settle()
        connection.transport.abort()
        with pytest.raises(lib.ConnectionClosedError):
            await waiting


async def test_broadcasts_that_fail(caplog):
    """
    Are logged, or raised at the end, and the others get theirs.
    """
    broken = _Broken()
    async with linked("server") as (connection, other):
        broken.logger = connection.logger
        lib.broadcast([broken, connection], "one")
        assert "skipped broadcast: failed to write message: broken" in caplog.text
        with pytest.raises(ExceptionGroup, match="skipped broadcast") as raised:
            lib.broadcast([broken, connection], "two", raise_exceptions=True)
        [failure] = raised.value.exceptions
        assert isinstance(failure.__cause__, OSError)
        assert ["one", "two"] == [await other.recv() for _ in range(2)]


class _Broken:
    """
    A connection that cannot be written to.
    """

    @property
    def fan_out(self):
        raise OSError("broken")
