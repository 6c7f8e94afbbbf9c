"""
Servers on trio that close their connections one after another.
"""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.trio.harness import StreamPeer, echo, serving
from tests.trio.test_limits import REQUEST


async def three_peers(running):
    """
    Return three clients, whose connections are open.
    """
    return [await running.raw_client() for _ in range(3)]


async def note_the_end(peer, ends):
    """
    Answer a close frame, and note its code and when it came.
    """
    code, _ = await peer.read_close()
    ends.append((code, trio.current_time()))
    await peer.send_close(code)
    await peer.stream.aclose()


async def test_draining(caplog):
    """
    Connections are closed evenly over the time, with 1012; new ones get 503.
    """
    caplog.set_level(logging.INFO)
    ends = []
    async with serving(echo) as running, trio.open_nursery() as nursery:
        for peer in await three_peers(running):
            nursery.start_soon(note_the_end, peer, ends)
        began = trio.current_time()
        nursery.start_soon(lambda: running.server.aclose(drain=30))
        await wait_all_tasks_blocked()
        late = StreamPeer(running.listener.connect(), "client")
        await late.send(f"{REQUEST}\r\n".encode())
        assert "HTTP/1.1 503 Service Unavailable" == (await late.read_head()).first_line
        await late.stream.aclose()

    assert [1012] * 3 == [code for code, _ in ends]
    times = [at - began for _, at in ends]
    assert [0, 10, 20] == pytest.approx(times, abs=0.1)
    assert "server draining 3 connections over 30 s" in caplog.messages
    assert "server closed" == caplog.messages[-1]


async def test_the_end_of_draining():
    """
    `aclose(drain=0)` closes what is left; `aclose()` alone waits for it.
    """
    ends = []
    async with serving(echo) as running, trio.open_nursery() as nursery:
        for peer in await three_peers(running):
            nursery.start_soon(note_the_end, peer, ends)
        nursery.start_soon(lambda: running.server.aclose(code=4000, drain=3600))
        await wait_all_tasks_blocked()
        nursery.start_soon(running.server.aclose)
        await trio.sleep(10)
        assert 1 == len(ends)
        began = trio.current_time()
        await running.server.aclose(drain=0)
        assert trio.current_time() - began < 1

    assert [4000] * 3 == [code for code, _ in ends]


async def test_draining_that_is_canceled():
    """
    Everybody is told 1001, and nobody is waited for.
    """
    async with serving(echo) as running:
        peers = await three_peers(running)
        with trio.move_on_after(0):
            await running.server.aclose(drain=3600)
        codes = [(await peer.read_close())[0] for peer in peers]

    assert {1001, 1012} >= {*codes}


async def test_connections_that_end_while_draining():
    """
    Are gone when their turn comes.
    """
    async with serving(echo) as running:
        peers = await three_peers(running)
        for peer in peers:
            await peer.send_close(1000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: running.server.aclose(drain=30))
            for peer in peers:
                await peer.read_close()
                await peer.stream.aclose()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"drain": -1}, "drain must be positive or zero"),
        ({"drain": float("nan")}, "drain must be positive or zero"),
        ({"drain": 1, "close_connections": False}, "only with close_connections"),
    ],
)
async def test_draining_that_makes_no_sense(options, problem):
    """
    Is refused, and the server goes on.
    """
    async with serving(echo) as running:
        with pytest.raises(ValueError, match=problem):
            await running.server.aclose(**options)
        assert not running.server.closing
