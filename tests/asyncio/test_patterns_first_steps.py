"""
The first programs that anybody writes: patterns D1 to D4, without a browser.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import random

import pytest

from tests.asyncio.exchange import nothing_left_over, serving
from tests.asyncio.harness import HANG
from tests.asyncio.raw import RawListener, RawPeer
from tests.under_test import websockets

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """
    First programs do not mention proxies; the machine's are none of theirs.
    """
    for name in ("http_proxy", "https_proxy", "ws_proxy", "wss_proxy", "socks_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("no_proxy", "*")


async def hello(connection):
    """
    Read a name, send a greeting, return.
    """
    name = await connection.recv()
    await connection.send(f"Hello {name}!")


async def test_the_hello_server_closes_with_1000():
    """
    D1: after the greeting the connection is closed normally.
    """
    async with nothing_left_over(), serving(hello) as server:
        with contextlib.closing(await RawPeer.connect(server.port)) as peer:
            await peer.send_frame("81", b"Ada")
            greeting = await peer.read_frame()

            assert (0x81, b"Hello Ada!") == (greeting.head, greeting.payload)
            assert (1000, "") == await peer.read_close()
            await peer.send_close(1000)
            assert b"" == await peer.read_rest()


async def test_the_hello_client():
    """
    D2: `async with connect(...)`, send, receive.
    """
    async with nothing_left_over(), serving(hello) as server:
        async with websockets.connect(f"ws://localhost:{server.port}") as connection:
            await connection.send("Ada")
            greeting = await connection.recv()

    assert "Hello Ada!" == greeting
    assert 1000 == connection.close_code


async def test_the_hello_client_without_a_context_manager():
    """
    D2: `connection = await connect(...)`, closed by hand.
    """
    async with nothing_left_over(), serving(hello) as server:
        connection = await websockets.connect(f"ws://localhost:{server.port}")
        try:
            await connection.send("Ada")
            greeting = await connection.recv()
        finally:
            await connection.close()

    assert "Hello Ada!" == greeting


async def show_time(connection):
    """
    Send the time at random intervals, shortened for the test.
    """
    while True:
        now = dt.datetime.now(tz=dt.UTC)
        await connection.send(now.isoformat())
        await asyncio.sleep(random.random() * 0.003)


async def test_the_time_server_on_the_wire():
    """
    D3: what a browser gets: one unmasked text frame for each time.
    """
    async with nothing_left_over(), serving(show_time) as server:
        with contextlib.closing(
            await RawPeer.connect(
                server.port, headers=(("Origin", "http://localhost"),)
            )
        ) as peer:
            frames = [await peer.read_frame() for _ in range(3)]
            await peer.send_close(1001)

            assert (1001, "") == await peer.read_close()

    assert [0x81] * 3 == [frame.head for frame in frames]
    times = [dt.datetime.fromisoformat(f.payload.decode()) for f in frames]
    assert times == sorted(times)


async def test_pings_and_closing_need_no_care():
    """
    D4: a handler that only receives answers pings and the closing handshake.
    """

    async def handler(connection):
        async for _ in connection:
            pass

    async with nothing_left_over(), serving(handler) as server:
        with contextlib.closing(await RawPeer.connect(server.port)) as peer:
            await peer.send_frame("89", b"are you there?")
            pong = await peer.read_frame()
            await peer.send_close(1000, "bye")

            assert (0x8A, b"are you there?") == (pong.head, pong.payload)
            assert (1000, "bye") == await peer.read_close()
            assert b"" == await peer.read_rest()


async def answer_pings(peer):
    """
    Answer three pings; return the frames.
    """
    pings = []
    async with asyncio.timeout(HANG):
        for _ in range(3):
            pings.append(await peer.read_frame())
            await peer.send_frame("8a", pings[-1].payload)
        await peer.send_close(1000)
        await peer.read_close()
    return pings


async def test_keepalive_of_a_server_needs_no_care():
    """
    D4: pings go out by themselves, one after the other, while all is quiet.
    """

    async def handler(connection):
        async for _ in connection:
            pass

    async with nothing_left_over(), serving(handler, ping_interval=0.005) as server:
        with contextlib.closing(await RawPeer.connect(server.port)) as peer:
            pings = await answer_pings(peer)

    assert [0x89] * 3 == [ping.head for ping in pings]
    assert 3 == len({ping.payload for ping in pings})


async def test_keepalive_of_a_client_needs_no_care():
    """
    D4: a client pings by itself, too.
    """
    listener = RawListener()
    uri = f"ws://localhost:{listener.port}"
    opening = asyncio.create_task(
        websockets.connect(uri, ping_interval=0.005).connect()
    )
    with (
        contextlib.closing(listener),
        contextlib.closing(await listener.accept()) as peer,
    ):
        await peer.open_as_server()
        connection = await opening
        pings = await answer_pings(peer)
        peer.half_close()
        await connection.wait_closed()

    assert [0x89] * 3 == [ping.head for ping in pings]
    assert 3 == len({ping.payload for ping in pings})
