"""
The same connection over everything that carries bytes.

A connection of ours has a transport of its own on plain sockets, another one
with TLS, and where the loop cannot watch sockets it uses the loop's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket

import pytest

from tests.asyncio.harness import both_sides, linked, settle
from tests.under_test import NAME, OURS, lib

pytestmark = [pytest.mark.anyio, both_sides]

MESSAGE_SIZE = 60_000


@pytest.fixture(params=["sockets", "tls", "loop", "tls by the loop"])
def wired(request, monkeypatch, server_ssl_context, client_ssl_context):
    """
    Return what `linked()` does, over one of the wires.
    """
    if OURS and "loop" in request.param:
        # As on loops that have no `add_reader()`.
        for module in ("serving", "dialing"):
            name = f"{NAME}.asyncio.{module}.watches_sockets"
            monkeypatch.setattr(name, lambda loop: False)
    contexts = {"server": server_ssl_context, "client": client_ssl_context}

    def link(side, *, peer_options=None, **options):
        peer_options = dict(peer_options or {})
        if "tls" in request.param:
            other_side = "client" if side == "server" else "server"
            options["ssl"] = contexts[side]
            peer_options["ssl"] = contexts[other_side]
        return linked(side, peer_options=peer_options, **options)

    return link


@contextlib.contextmanager
def small_buffers(*connections):
    """
    Let the kernel hold little, so that backpressure is felt soon.
    """
    for connection in connections:
        sock = connection.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32_768)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
    yield


def cut(connection):
    """
    End the TCP connection behind the back of everybody.
    """
    fd = os.dup(connection.transport.get_extra_info("socket").fileno())
    with socket.socket(fileno=fd) as sock:
        sock.shutdown(socket.SHUT_RDWR)


async def test_messages_of_all_sizes(side, wired):
    """
    Both directions, text and binary.
    """
    sizes = [0, 1, 125, 126, 4096, 16_384, 65_535, 65_536, 300_000, 2**20]
    async with wired(side) as (connection, other):
        for size in sizes:
            for message in ("x" * size, bytes(size)):
                sending = asyncio.create_task(connection.send(message))
                assert message == await other.recv()
                await sending
                sending = asyncio.create_task(other.send(message))
                assert message == await connection.recv()
                await sending


async def test_many_messages_in_both_directions(side, wired):
    """
    Nothing is lost or changes places.
    """

    async def send(end):
        for number in range(300):
            await end.send(f"{number} ".ljust(number * 37 % 2000))

    async def receive(end):
        return [int((await end.recv()).split()[0]) for _ in range(300)]

    async with wired(side) as (connection, other):
        received = await asyncio.gather(
            receive(connection), receive(other), send(connection), send(other)
        )
        assert [list(range(300))] * 2 == received[:2]


async def test_send_waits_for_a_slow_peer(side, wired):
    """
    It goes on when the peer receives; everything arrives in order.
    """
    sent = 0

    async def send():
        nonlocal sent
        for sent in range(60):
            await connection.send(b"%010d" % sent + bytes(MESSAGE_SIZE))

    async with wired(side, peer_options={"max_queue": 1}) as (connection, other):
        with small_buffers(connection, other):
            sending = asyncio.create_task(send())
            before = -1
            while before != sent:
                before = sent
                await settle()
            assert sent < 59

            for number in range(60):
                assert number == int((await other.recv())[:10])
            await sending


async def test_timeouts_lose_nothing(side, wired):
    """
    A receiver that gives up again and again gets every message once.
    """

    async def produce():
        for number in range(100):
            await other.send(str(number))
            await asyncio.sleep(0.0003)

    received = []
    async with wired(side) as (connection, other):
        producing = asyncio.create_task(produce())
        while len(received) < 100:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.0005):
                    received.append(await connection.recv())
        await producing

        assert [str(number) for number in range(100)] == received


async def test_closing(side, wired):
    """
    Both ends know code and reason, and iteration ends.
    """
    async with wired(side) as (connection, other):
        await other.send("last")
        await other.close(1001, "bye")

        assert ["last"] == [message async for message in connection]
        assert (1001, "bye") == (connection.close_code, connection.close_reason)
        assert lib.State.CLOSED is connection.state
        assert connection.transport.is_closing()


async def test_closing_by_this_end(side, wired):
    """
    `close()` returns when everything has ended.
    """
    async with wired(side) as (connection, other):
        await connection.close(4000)
        await other.wait_closed()

        assert [4000, 4000] == [connection.close_code, other.close_code]


async def test_aborting(side, wired):
    """
    The other end learns it as an abnormal end.
    """
    async with wired(side) as (connection, other):
        connection.transport.abort()
        for end in (connection, other):
            with pytest.raises(lib.ConnectionClosedError):
                await end.recv()

        assert [1006, 1006] == [connection.close_code, other.close_code]


async def test_a_connection_that_is_cut(side, wired):
    """
    Without close frames, and with TLS without its farewell: 1006.
    """
    async with wired(side) as (connection, other):
        cut(other)
        with pytest.raises(lib.ConnectionClosedError):
            await connection.recv()
        with pytest.raises(lib.ConnectionClosedError):
            await connection.send("late")

        assert 1006 == connection.close_code


@pytest.mark.ours
async def test_a_connection_that_is_cut_is_no_error(side, wired, caplog):
    """
    Nothing above INFO is logged, neither by us nor by asyncio.
    """
    async with wired(side) as (connection, other):
        cut(other)
        await connection.wait_closed()
        await other.wait_closed()

    assert [] == [r for r in caplog.records if r.levelno > logging.INFO]


async def test_a_peer_that_goes_while_send_waits(side, wired):
    """
    The waiting `send()` raises.
    """

    async def send():
        while True:
            await connection.send(bytes(MESSAGE_SIZE))

    async with wired(side, peer_options={"max_queue": 1}) as (connection, other):
        with small_buffers(connection, other):
            sending = asyncio.create_task(send())
            await settle()
            other.transport.abort()
            with pytest.raises(lib.ConnectionClosedError):
                await sending


async def test_pings(side, wired):
    """
    The keepalive and pings of the user's work.
    """
    async with wired(side, ping_interval=0.002) as (connection, other):
        assert 0 <= await (await connection.ping())
        await asyncio.sleep(0.01)
        await connection.send("still here")

        assert "still here" == await other.recv()


async def test_compression(side, wired):
    """
    With permessage-deflate, both ends.
    """
    options = {"compression": "deflate"}
    async with wired(side, peer_options=options, **options) as (connection, other):
        for number in range(20):
            text = f"{number} the same words again " * 500
            sending = asyncio.create_task(connection.send(text))
            assert text == await other.recv()
            await sending


@pytest.mark.ours
async def test_broadcasts_to_a_slow_peer(side, wired):
    """
    What is dropped is dropped whole.
    """
    async with wired(side, peer_options={"max_queue": 1}) as (connection, other):
        with small_buffers(connection, other):
            options = {"max_backlog": 200_000, "on_overflow": "drop"}
            for number in range(60):
                message = b"%010d" % number + bytes(MESSAGE_SIZE)
                lib.broadcast([connection], message, **options)
                await asyncio.sleep(0)
            numbers = [
                int((await other.recv())[:10]) for _ in range(60 - connection.dropped)
            ]

            assert 0 < connection.dropped < 60
            assert sorted(numbers) == numbers


async def test_the_transport_tells_about_the_wire(side, wired):
    """
    Addresses, socket and TLS, as asyncio's transports tell them.
    """
    async with wired(side) as (connection, other):
        transport = connection.transport

        assert other.local_address == transport.get_extra_info("peername")
        assert other.remote_address == transport.get_extra_info("sockname")
        assert transport.get_extra_info("socket").fileno() > 0
        secure = other.transport.get_extra_info("ssl_object") is not None
        assert secure == (transport.get_extra_info("ssl_object") is not None)
