"""
How our transport for stream sockets ends, and what it tells about itself.
"""

from __future__ import annotations

import asyncio
import random
import socket

import pytest

from tests.asyncio.harness import settle, wait_until
from tests.asyncio.raw import reset
from tests.core.aio.ends import call_in_loop, member_class, socket_pair
from tests.core.aio.setting import LARGE, Setting, pattern

pytestmark = pytest.mark.anyio


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

    assert -1 == sockets.read_into(one, fd, bytearray(10), 0)
    assert 0 == sockets.pending_error(one, fd)
    while sockets.write_bytes(one, fd, bytes(65_536)):
        pass
    assert 0 == sockets.write_vector(one, [b"x"])
    reset(other)
    await settle()
    with pytest.raises(ConnectionError):
        sockets.read_into(one, fd, bytearray(10), 0)
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
