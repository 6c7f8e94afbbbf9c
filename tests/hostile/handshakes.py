"""
Attacks on what comes before a connection is open, and on the server as a whole.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from tests.asyncio.exchange import ask, dial, opening_request, read_answer
from tests.asyncio.raw import RawListener, RawPeer
from tests.hostile.arena import FULL, OPEN_TIMEOUT, PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.hostile.arena import Arena

__all__ = ["ON_CLIENTS", "ON_SERVERS"]


async def half_open(arena: Arena) -> str:
    """
    Requests that come byte by byte, and never to an end.
    """

    async def dawdle() -> int:
        with contextlib.closing(await dial(arena.port)) as peer:
            answer = asyncio.create_task(read_answer(peer))
            for byte in opening_request()[:-2]:
                if answer.done():
                    break
                with contextlib.suppress(OSError):
                    await peer.send(bytes([byte]))
                await asyncio.sleep(0.2 * PATIENCE)
            return (await answer).status

    statuses = set()
    tasks = []
    for _ in range(10_000 if FULL else 100):
        tasks.append(asyncio.create_task(dawdle()))
        if len(tasks) % 100 == 0:
            await asyncio.sleep(0.01)
    for task in tasks:
        statuses.add(await task)
    return ", ".join(map(str, sorted(statuses)))


def request(data: Callable[[], bytes]) -> Callable[[Arena], Awaitable[str]]:
    """
    Return an attack by requests of this kind.
    """

    async def attack(arena: Arena) -> str:
        """
        Send many of them.
        """
        statuses = set()
        for _ in range(200 if FULL else 5):
            statuses.add((await ask(arena.port, data())).status)
        return ", ".join(map(str, sorted(statuses)))

    return attack


def many_headers() -> bytes:
    fields = [(f"X-{number}", "x") for number in range(200)]
    return opening_request("GET / HTTP/1.1", *fields)


def large_headers() -> bytes:
    fields = [(f"X-{number}", "x" * 8000) for number in range(10)]
    return opening_request("GET / HTTP/1.1", *fields)


def body() -> bytes:
    line = "POST / HTTP/1.1"
    return opening_request(line, ("Content-Length", "1000000000")) + bytes(1000)


async def reconnect(arena: Arena) -> str:
    """
    Open and drop connections as fast as possible; a thousand in a second.
    """
    for _ in range(5 if FULL else 1):
        peers = []
        for _ in range(1000 if FULL else 100):
            peers.append(await RawPeer.connect(arena.port))
            peers[-1].reset()
    return "101"


async def exhaust_files(arena: Arena) -> str:
    """
    More connections than the process may have file descriptors.
    """
    before = arena.counted("accept_pauses")
    arena.tell("limit_files", 5)
    try:
        peers = [await dial(arena.port) for _ in range(20)]
        await until(arena, "accept_pauses", before + 1)
        for peer in peers:
            peer.close()
    finally:
        arena.tell("limit_files", -1)
    # As soon as there are some again.
    with contextlib.closing(await RawPeer.connect(arena.port)) as peer:
        await peer.close_with(1000)
    return "101, later"


async def block(arena: Arena) -> str:
    """
    A handler that does not let go of the event loop.
    """
    async with arena.attacker("blocks") as peer:
        await peer.send(peer.frame("81", b"block"))
        while (frame := await peer.read_frame()).head != 0x81:
            if frame.head == 0x89:
                # Where a handler blocks nobody but itself.
                await peer.send_frame("8a", frame.payload)
        if arena.has_loop:
            await until(arena, "loop_blocked", 1)
        else:
            assert 0 == arena.counted("loop_blocked")
        await peer.close_with(1000)
        return "an answer, later"


async def be_stubborn(arena: Arena) -> str:
    """
    A handler that ignores its cancellation when the server is closed.
    """
    port = arena.tell("open_another")
    headers = (("X-Behaviour", "is stubborn"),)
    with contextlib.closing(await RawPeer.connect(port, headers=headers)) as peer:
        arena.tell("close_another")
        code, _ = await peer.read_close()
        return str(code)


ON_SERVERS: dict[str, Callable[[Arena], Awaitable[str]]] = {
    "a request that comes byte by byte": half_open,
    "a request line without end": request(lambda: b"GET /" + b"a" * 9000),
    "headers without end": request(many_headers),
    "large headers": request(large_headers),
    "a body": request(body),
    "reconnects a thousand times a second": reconnect,
    "more connections than file descriptors": exhaust_files,
    "a handler that blocks the event loop": block,
    "a handler that ignores cancellation": be_stubborn,
}


def response(data: bytes, more: bytes = b"") -> Callable[[Arena], Awaitable[str]]:
    """
    Return an attack on a client by a response, and by what follows byte by byte.
    """

    async def attack(arena: Arena) -> str:
        """
        Answer the target's request.
        """
        listener = RawListener()
        try:
            arena.tell("connect", listener.port, "", OPEN_TIMEOUT)
            peer = await listener.accept()
        finally:
            listener.close()
        with contextlib.closing(peer):
            await peer.read_head()
            outcome = asyncio.create_task(asyncio.to_thread(arena.tell, "outcome"))
            with contextlib.suppress(OSError):
                await peer.send(data)
                while more and not outcome.done():
                    await peer.send(more)
                    await asyncio.sleep(0.05 if len(more) == 1 else 0)
            return f"`{await outcome}`"

    return attack


OK = b"HTTP/1.1 200 OK\r\n"

ON_CLIENTS: dict[str, Callable[[Arena], Awaitable[str]]] = {
    "a response that comes byte by byte": response(OK + b"X-A: ", b"a"),
    "a response with headers without end": response(OK, b"X-A: a\r\n"),
    "a response with a body without end": response(OK + b"\r\n", bytes(65_536)),
}
