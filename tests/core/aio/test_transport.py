"""
Our transport for stream sockets, on TCP, with a member that takes notes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys

import pytest

from tests.asyncio.harness import settle, wait_until
from tests.asyncio.raw import EXAMPLE_KEY, encode, reset
from tests.core.aio.setting import LARGE, Setting, pattern

pytestmark = pytest.mark.anyio


# Reading.


async def test_reading(setting):
    """
    Bytes arrive in order; a call without any does no harm.
    """
    setting.transport.read_once()
    setting.peer.send(b"hello")
    setting.peer.send(b" world")
    await wait_until(lambda: len(setting.member.data) == 11)

    assert b"hello world" == setting.member.data
    assert [] == setting.member.events


async def test_a_flood_of_control_frames_is_read_in_small_pieces(core):
    """
    Others wait for less of it; what is no flood is read as ever.
    """
    sizes = []

    class NotingLink(core.aio.link.Link):
        def received(self, data, size):
            sizes.append(size)
            super().received(data, size)

    turn = core.aio.turn.turn_of(asyncio.get_running_loop())
    keys = core.endpoint.MaskingKeys(os.urandom)
    ours, peer = socket.socketpair()
    with peer:
        ours.setblocking(False)
        link = NotingLink(turn, False, -1, -1, keys)
        transport = core.aio.transport.SocketTransport(turn, ours, link, 1, 1, None)
        link.wire = transport
        link.open()
        for data in (
            encode("89", b"", EXAMPLE_KEY) * 1000,
            encode("89", b"", EXAMPLE_KEY) * 1000,
            b"",
            encode("81", b"message", EXAMPLE_KEY),
            encode("82 7E 1770", bytes(6000), EXAMPLE_KEY),
        ):
            peer.sendall(data)
            transport.read_once()
        transport.abort()
        await settle()

    assert [6000, 4096, 1904, 13, 6008] == sizes


async def test_pausing_and_resuming_reading(setting):
    """
    While paused nothing is read, and nothing is lost.
    """
    assert setting.transport.is_reading()
    setting.transport.pause_reading()
    setting.transport.pause_reading()
    assert not setting.transport.is_reading()
    setting.peer.send(b"hello")
    await settle()
    assert b"" == setting.member.data

    setting.transport.resume_reading()
    setting.transport.resume_reading()
    await wait_until(lambda: bool(setting.member.data))

    assert b"hello" == setting.member.data


async def test_the_end_of_the_peers_bytes(setting):
    """
    Is told once, behind the bytes; then the transport closes itself.
    """
    setting.peer.send(b"hello")
    setting.peer.shutdown(socket.SHUT_WR)

    assert ["ended", None] == await setting.lost()
    assert b"hello" == setting.member.data
    assert b"" == await setting.read(1)


async def test_what_waits_is_written_after_the_end_of_the_peers_bytes(setting):
    """
    The peer half-closed: it still reads.
    """
    data = pattern(LARGE)
    setting.transport.write(data)
    setting.peer.shutdown(socket.SHUT_WR)

    assert data == await setting.read(LARGE + 1)
    assert ["paused", "ended", "resumed", None] == await setting.lost()


async def test_a_reset_behind_unread_bytes(setting):
    """
    The bytes count; the error is told afterwards.
    """
    setting.transport.pause_reading()
    setting.peer.send(b"hello")
    reset(setting.peer)
    await settle()
    setting.transport.resume_reading()

    events = await setting.lost()
    assert [ConnectionResetError] == events
    assert b"hello" == setting.member.data or b"" == setting.member.data


async def test_a_reset_while_reading(setting):
    """
    Ends the connection with the error.
    """
    setting.peer.send(b"hello")
    await wait_until(lambda: bool(setting.member.data))
    reset(setting.peer)

    assert [ConnectionResetError] == await setting.lost()


async def test_a_reset_while_paused_is_noticed_by_writing(setting):
    """
    Writing fails, and nothing is raised.
    """
    setting.transport.pause_reading()
    reset(setting.peer)
    await settle()
    setting.transport.write(b"hello")
    setting.transport.write(b"hello")

    [kind] = await setting.lost()
    assert issubclass(kind, ConnectionError)


async def test_a_reset_while_data_waits(setting):
    """
    Ends the connection with the error; what waits is lost.
    """
    setting.transport.pause_reading()
    setting.transport.write(bytes(LARGE))
    reset(setting.peer)

    paused, kind = await setting.lost()
    assert "paused" == paused
    assert issubclass(kind, ConnectionError)
    assert 0 == setting.transport.get_write_buffer_size()


async def test_everything_before_an_error_is_read_where_loops_stop_at_errors(core):
    """
    What has arrived: libuv does not look at a socket again that has an error.
    """
    setting = Setting(core)
    size = 300_000
    setting.transport.pause_reading()
    setting.peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * size)
    sent = setting.peer.send(pattern(size))
    await settle()
    setting.peer.close()
    # The peer is gone with what we write unread: a reset.
    setting.transport.write(b"hello")
    await settle()
    setting.transport.resume_reading()

    events = await setting.lost()
    assert len(setting.member.data) > 65_536
    assert pattern(size)[:sent].startswith(setting.member.data)
    assert events[-1] in {None, ConnectionResetError, BrokenPipeError}


# Writing.


@pytest.mark.parametrize("chunk", [1000, 100_000, LARGE])
async def test_partial_writes(setting, chunk):
    """
    All bytes arrive in order, however slow the peer.
    """
    data = pattern(LARGE)
    for start in range(0, LARGE, chunk):
        setting.transport.write(data[start : start + chunk])
    waiting = setting.transport.get_write_buffer_size()

    assert waiting > 65_536
    assert waiting == setting.transport.backlog()
    assert setting.transport.paused
    assert data == await setting.read(LARGE)
    await wait_until(lambda: setting.member.events == ["paused", "resumed"])
    assert not setting.transport.paused


async def test_an_outbox(core, setting):
    """
    Is written at once, in part, or behind what waits.
    """
    outbox = core.outbox.Outbox()
    expected = b""
    for size in (10, LARGE, 10):
        outbox.clear()
        outbox.add(pattern(size))
        expected += pattern(size)
        setting.transport.write_outbox(outbox)

    assert expected == await setting.read(LARGE + 20)


async def test_several_kinds_of_bytes(setting):
    """
    As of asyncio's transports; nothing is nothing.
    """
    setting.transport.write(bytearray(b"a"))
    setting.transport.write(memoryview(b"b"))
    setting.transport.writelines([b"c", b"d"])
    setting.transport.write(b"")

    assert b"abcd" == await setting.read(4)


async def test_dropping_shared_frames(setting):
    """
    Those of which nothing was written go, the others stay in order.
    """
    assert 0 == setting.transport.drop_shared()
    begun = pattern(LARGE)
    setting.transport.write_shared(begun)
    setting.transport.write_shared(b"shared" * 10)
    setting.transport.write(b"private")
    setting.transport.write_shared(b"shared" * 10)

    assert 2 == setting.transport.drop_shared()
    assert begun + b"private" == await setting.read(LARGE + 7)


def fill(setting):
    """
    Fill the kernel, so that a whole frame waits.
    """
    sock = setting.transport.get_extra_info("socket")
    with (
        socket.fromfd(setting.fd, sock.family, sock.type) as same,
        contextlib.suppress(BlockingIOError),
    ):
        while True:
            same.send(bytes(4096))


async def test_dropping_everything(local_setting):
    """
    Leaves an empty backlog: the member may write again, soon.
    """
    fill(local_setting)
    local_setting.transport.write_shared(bytes(70_000))
    assert ["paused"] == local_setting.member.events

    assert 1 == local_setting.transport.drop_shared()
    assert 0 == local_setting.transport.backlog()
    await settle()
    assert ["paused", "resumed"] == local_setting.member.events


async def test_dropping_little(local_setting):
    """
    Nobody was paused: nobody is told.
    """
    fill(local_setting)
    local_setting.transport.write_shared(b"little")
    assert 1 == local_setting.transport.drop_shared()
    await settle()

    assert [] == local_setting.member.events


@pytest.mark.parametrize("again", ["paused", "gone"])
async def test_dropping_everything_and_then_no_room(local_setting, again):
    """
    A member that was paused again, or has gone, is not told to write.
    """
    fill(local_setting)
    local_setting.transport.write_shared(bytes(70_000))
    local_setting.transport.drop_shared()
    expected = ["paused"]
    if again == "paused":
        local_setting.transport.write_shared(bytes(70_000))
        expected.append("paused")
    else:
        local_setting.transport.member = None
    await settle()

    assert expected == local_setting.member.events


@pytest.mark.parametrize("method", ["close", "write_eof"])
async def test_dropping_everything_before_the_end(local_setting, method):
    """
    The end that waited for the backlog comes all the same.
    """
    fill(local_setting)
    local_setting.transport.write_shared(b"x" * 70_000)
    getattr(local_setting.transport, method)()

    local_setting.transport.drop_shared()

    assert {0} == set(await local_setting.read(sys.maxsize))
    if method == "close":
        assert None is (await local_setting.lost())[-1]


async def test_the_marks_of_the_write_buffer(setting):
    """
    As of asyncio's transports.
    """
    transport = setting.transport
    assert (16_384, 65_536) == transport.get_write_buffer_limits()
    transport.set_write_buffer_limits()
    assert (16_384, 65_536) == transport.get_write_buffer_limits()
    transport.set_write_buffer_limits(high=1000)
    assert (250, 1000) == transport.get_write_buffer_limits()
    transport.set_write_buffer_limits(low=10)
    assert (10, 40) == transport.get_write_buffer_limits()
    transport.set_write_buffer_limits(high=10, low=10)
    assert (10, 10) == transport.get_write_buffer_limits()
    with pytest.raises(ValueError, match="must be >= low"):
        transport.set_write_buffer_limits(high=1, low=2)


async def test_resuming_at_the_low_mark(core):
    """
    Not before.
    """
    setting = Setting(core, high=200_000, low=0)
    setting.transport.write(bytes(LARGE))
    begun = len(await setting.read(LARGE // 2))
    assert ["paused"] == setting.member.events

    await setting.read(LARGE - begun)

    await wait_until(lambda: setting.member.events == ["paused", "resumed"])
    setting.transport.abort()
    await setting.lost()
    setting.peer.close()
