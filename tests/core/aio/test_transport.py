"""
Our transport for stream sockets, on TCP, with a member that takes notes.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket

import pytest

from tests.asyncio.harness import settle, wait_until
from tests.core.aio.ends import call_in_loop, member_class, reset, socket_pair

pytestmark = pytest.mark.anyio

LARGE = 2_000_000  # bytes; more than the kernel holds


class Setting:
    """
    A transport that reads and writes, and the socket at the other end.
    """

    def __init__(self, core, high=65_536, low=16_384):
        self.member = member_class(core)()
        sock, self.peer = socket_pair()
        self.fd = sock.fileno()
        self.transport = core.aio.transport.SocketTransport(
            core.aio.turn.turn_of(asyncio.get_running_loop()),
            sock,
            self.member,
            high,
            low,
            sock.getpeername(),
        )
        self.transport.start()

    async def read(self, size):
        """
        Read from the other end, at least that many bytes or up to the end.
        """
        loop = asyncio.get_running_loop()
        data = b""
        while len(data) < size:
            more = await loop.sock_recv(self.peer, 65_536)
            if not more:
                break
            data += more
        return data

    async def lost(self):
        """
        Wait until the connection is lost; return what the member noted.
        """
        await wait_until(lambda: self.member.is_lost)
        return self.member.events


@pytest.fixture
async def setting(core):
    setting = Setting(core)
    yield setting
    setting.transport.abort()
    setting.peer.close()
    await settle()


def pattern(size):
    return random.Random(size).randbytes(size)


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
    with contextlib.suppress(BlockingIOError):
        sock = setting.transport.get_extra_info("socket")
        with socket.fromfd(setting.fd, sock.family, sock.type) as same:
            while True:
                same.send(bytes(65_536))


async def test_dropping_everything(setting):
    """
    Leaves an empty backlog: the member may write again, soon.
    """
    fill(setting)
    setting.transport.write_shared(bytes(70_000))
    assert ["paused"] == setting.member.events

    assert 1 == setting.transport.drop_shared()
    assert 0 == setting.transport.backlog()
    await settle()
    assert ["paused", "resumed"] == setting.member.events


async def test_dropping_little(setting):
    """
    Nobody was paused: nobody is told.
    """
    fill(setting)
    setting.transport.write_shared(b"little")
    assert 1 == setting.transport.drop_shared()
    await settle()

    assert [] == setting.member.events


@pytest.mark.parametrize("again", ["paused", "gone"])
async def test_dropping_everything_and_then_no_room(setting, again):
    """
    A member that was paused again, or has gone, is not told to write.
    """
    fill(setting)
    setting.transport.write_shared(bytes(70_000))
    setting.transport.drop_shared()
    expected = ["paused"]
    if again == "paused":
        setting.transport.write_shared(bytes(70_000))
        expected.append("paused")
    else:
        setting.transport.member = None
    await settle()

    assert expected == setting.member.events


@pytest.mark.parametrize("method", ["close", "write_eof"])
async def test_dropping_everything_before_the_end(setting, method):
    """
    The end that waited for the backlog comes all the same.
    """
    fill(setting)
    setting.transport.write_shared(bytes(70_000))
    getattr(setting.transport, method)()

    setting.transport.drop_shared()

    while await setting.read(1):
        pass
    if method == "close":
        await setting.lost()


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


# Closing.


async def test_half_closing(setting):
    """
    The peer reads up to the end; we still read.
    """
    assert setting.transport.can_write_eof()
    setting.transport.write(b"bye")
    setting.transport.finish()
    setting.transport.write_eof()
    setting.transport.write(b"too late")

    assert b"bye" == await setting.read(4)
    setting.peer.send(b"hello")
    await wait_until(lambda: bool(setting.member.data))
    assert b"hello" == setting.member.data


async def test_half_closing_behind_data(setting):
    """
    Everything is written before.
    """
    data = pattern(LARGE)
    setting.transport.write(data)
    setting.transport.write_eof()

    assert data == await setting.read(LARGE + 1)
    setting.peer.close()
    await setting.lost()


async def test_half_closing_what_is_broken(setting):
    """
    Ends the connection.
    """
    setting.transport.pause_reading()
    reset(setting.peer)
    await settle()
    setting.transport.write_eof()

    [kind] = await setting.lost()
    assert issubclass(kind, OSError)


async def test_closing(setting):
    """
    The member is told later, once.
    """
    assert not setting.transport.is_closing()
    setting.transport.close()
    setting.transport.close()

    assert setting.transport.is_closing()
    assert [] == setting.member.events
    assert [None] == await setting.lost()
    setting.transport.close()
    setting.transport.abort()
    await settle()
    assert [None] == setting.member.events


async def test_closing_behind_data(setting):
    """
    Everything is written before; nothing is read any more.
    """
    data = pattern(LARGE)
    setting.transport.write(data)
    setting.transport.close()
    setting.transport.pause_reading()
    setting.transport.resume_reading()
    setting.peer.send(b"hello")

    assert data == await setting.read(LARGE)
    await setting.lost()
    assert b"" == setting.member.data


async def test_aborting_with_data(setting):
    """
    What waits is lost, at once.
    """
    setting.transport.write(bytes(LARGE))
    setting.transport.abort()

    assert ["paused", None] == await setting.lost()
    assert 0 == setting.transport.backlog()


async def test_nothing_happens_after_the_end(core, setting):
    """
    Calls that come too late are ignored.
    """
    transport = setting.transport
    outbox = core.outbox.Outbox()
    outbox.add(b"late")
    transport.abort()
    for _ in range(2):
        transport.write(b"late")
        transport.write_shared(b"late")
        transport.write_outbox(outbox)
        transport.write_eof()
        transport.pause_reading()
        transport.resume_reading()
        await setting.lost()

    assert [None] == setting.member.events
    assert not transport.is_reading()


async def test_closing_while_data_is_passed_on(core, setting):
    """
    A member that aborts in the middle of a read gets nothing more of it.
    """

    class Aborting(member_class(core)):
        def received(self, data, size):
            super().received(data, size)
            setting.transport.abort()

    member = Aborting()
    setting.transport.member = member
    setting.peer.send(bytes(200_000))
    await wait_until(lambda: member.is_lost)

    assert 0 < len(member.data) <= 65_536
    assert [None] == member.events


async def test_a_member_that_has_gone(setting):
    """
    Reading and writing go on for nobody.
    """
    setting.transport.member = None
    setting.peer.send(b"hello")
    setting.transport.write(bytes(LARGE))
    await settle()
    await setting.read(LARGE)
    setting.peer.shutdown(socket.SHUT_WR)
    await wait_until(setting.transport.is_closing)
    await settle()

    assert [] == setting.member.events


# What the transport tells.


async def test_extra_info(setting):
    """
    Addresses are known to the end; the socket is a facade that cannot be closed.
    """
    transport = setting.transport
    local, remote = setting.peer.getpeername(), setting.peer.getsockname()
    sock = transport.get_extra_info("socket")

    assert local == sock.getsockname()
    assert not hasattr(sock, "close")
    assert "x" == transport.get_extra_info("cipher", "x")
    for _ in range(2):
        assert local == transport.get_extra_info("sockname")
        assert remote == transport.get_extra_info("peername")
        transport.abort()
        await setting.lost()
    assert "x" == transport.get_extra_info("socket", "x")


async def test_unknown_addresses(core):
    """
    The default stands for what is not known.
    """
    one, other = socket_pair()
    transport = core.aio.transport.SocketTransport(
        core.aio.turn.turn_of(asyncio.get_running_loop()), one, None, 1, 1, None
    )
    assert "x" == transport.get_extra_info("peername", "x")
    transport.abort()
    transport.start()
    await settle()
    other.close()


async def test_the_protocol(setting):
    """
    Can be asked for and not be changed.
    """
    assert setting.transport.get_protocol() is setting.member
    with pytest.raises(NotImplementedError, match="cannot be changed"):
        setting.transport.set_protocol(None)


# Descriptors.


@pytest.mark.parametrize("seed", range(3))
async def test_descriptors_are_used_again_in_any_order(core, seed):
    """
    Hundreds of connections are made and closed in every way, in random order;
    whoever has a descriptor next is not confused with the one before.
    """
    chance = random.Random(seed)
    alive = []
    for number in range(300):
        setting = Setting(core)
        alive.append(setting)
        setting.transport.write(b"%d" % number)
        if chance.random() < 0.2:
            setting.transport.write(bytes(200_000))
        if len(alive) > chance.randrange(20):
            chance.shuffle(alive)
            end(alive.pop(), chance.randrange(5))
        if chance.random() < 0.3:
            await asyncio.sleep(0)
    for setting in alive:
        assert not setting.member.events or setting.member.events == ["paused"]
        setting.peer.send(b"still here")
    for setting in alive:
        await wait_until(lambda: setting.member.data == b"still here")  # noqa: B023
        setting.transport.abort()
        setting.peer.close()
    await settle()


def end(setting, way):
    """
    End a connection in one of five ways.
    """
    if way == 0:
        setting.transport.abort()
    elif way == 1:
        setting.transport.close()
    elif way == 2:
        reset(setting.peer)
    elif way == 3:
        setting.transport.write_eof()
    setting.peer.close()
    if way == 4:
        setting.transport.write(b"more")


async def test_interrupted_and_impossible_calls(core):
    """
    The functions that make system calls tell "not now" from "never".
    """
    sockets = core.aio.sockets
    one, other = socket_pair()
    fd = one.fileno()

    assert -1 == sockets.read_into(one, fd, bytearray(10))
    assert 0 == sockets.pending_error(one, fd)
    while sockets.write_bytes(one, fd, bytes(65_536)):
        pass
    assert 0 == sockets.write_vector(one, [b"x"])
    reset(other)
    await settle()
    with pytest.raises(ConnectionError):
        sockets.read_into(one, fd, bytearray(10))
    with pytest.raises(BrokenPipeError):
        sockets.write_bytes(one, fd, b"x")
    one.close()


async def test_the_error_of_a_socket_is_read_once(core):
    """
    As the system does it.
    """
    one, other = socket_pair()
    reset(other)
    await settle()

    error = await call_in_loop(core.aio.sockets.pending_error, one, one.fileno())

    assert 104 == error or error > 0
    assert 0 == core.aio.sockets.pending_error(one, one.fileno())
    one.close()
