"""
Attacks on open connections, in either role.

Each returns what the peer gets in the end: a close code, or what else it saw.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import zlib
from typing import TYPE_CHECKING

from tests.asyncio.raw import RawPeer, close_payload
from tests.hostile.arena import FULL, PATIENCE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.hostile.arena import Arena

__all__ = ["ON_CONNECTIONS"]

NOTHING = "nothing: TCP ends"

# Bytes of a bomb when it has gone off.
BOMB_SIZE = 2**30 if FULL else 2**26


@functools.cache
def bomb(size: int) -> bytes:
    """
    Return a message of permessage-deflate that decompresses to so many zeros.
    """
    compressor = zlib.compressobj(9, wbits=-15)
    block = bytes(2**20)
    parts = [compressor.compress(block) for _ in range(size >> 20)]
    return b"".join([*parts, compressor.flush(zlib.Z_SYNC_FLUSH)])[:-4]


async def close_code(peer: RawPeer) -> str:
    """
    Return the close code that the target sends, answer it, and close.
    """
    try:
        code, _ = await peer.read_close()
    except (EOFError, OSError):
        return NOTHING
    with contextlib.suppress(OSError):
        await peer.send_close(code)
        peer.half_close()
        await peer.read_rest()
    return str(code)


async def ends(peer: RawPeer) -> str:
    """
    Wait for the end of TCP without a word.
    """
    await peer.read_rest()
    return NOTHING


async def shove(peer: RawPeer, data: bytes) -> None:
    """
    Send, unless the target has closed.
    """
    with contextlib.suppress(OSError):
        await peer.send(data)


async def fragments(arena: Arena) -> str:
    """
    A message in fragments of one byte that has no end.
    """
    async with arena.attacker() as peer:
        frame = peer.frame("00", b"a")
        await shove(peer, peer.frame("02", b"a") + frame * (2**18 if FULL else 5000))
        return await close_code(peer)


async def deflate_bomb(arena: Arena) -> str:
    """
    A small message that decompresses to a large one.
    """
    payload = await asyncio.to_thread(bomb, BOMB_SIZE)
    async with arena.attacker(extension="permessage-deflate") as peer:
        await shove(peer, peer.frame("c2", payload))
        return await close_code(peer)


async def pings(arena: Arena) -> str:
    """
    Pings without end, whose pongs are read late.
    """
    count = 1_000_000 if FULL else 20_000
    async with arena.attacker() as peer:
        data = peer.frame("89", b"ping") * 1000
        sending = asyncio.create_task(_repeat(peer, data, count // 1000))
        await asyncio.sleep(0.05)
        while (await peer.read_frame()).head != 0x8A:
            pass
        reading = asyncio.create_task(peer.read_rest())
        await sending
        peer.reset() if arena.role == "server" else peer.half_close()
        reading.cancel()
        await asyncio.wait([reading])
        return "pongs"


async def _repeat(peer: RawPeer, data: bytes, count: int) -> None:
    for _ in range(count):
        await shove(peer, data)


async def paused(arena: Arena) -> str:
    """
    Control frames behind more messages than anybody receives.
    """
    async with arena.attacker("deaf") as peer:
        await peer.send(peer.frame("81", b"x") * 100 + peer.frame("89", b"there?"))
        while True:
            frame = await peer.read_frame()
            if frame.head == 0x89:
                await peer.send(peer.frame("8a", frame.payload))
            elif frame.head == 0x8A:
                break
        await shove(peer, peer.frame("89", b"?") * 10_000)
        peer.reset()
        return "pongs"


def never_reading(behaviour: str) -> Callable[[Arena], Awaitable[str]]:
    """
    Return the attack of a peer that lets everything wait that it is sent.
    """

    async def attack(arena: Arena) -> str:
        """
        Read nothing.
        """
        async with arena.attacker(behaviour, receive_buffer=4096) as peer:
            if not behaviour:
                data = peer.frame("82", bytes(65_536)) * 40
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        await shove(peer, data)
            await asyncio.sleep(1.3 * PATIENCE)
            return await ends(peer)

    return attack


async def no_answer_to_close(arena: Arena) -> str:
    """
    The target closes, and hears nothing.
    """
    async with arena.attacker("closes") as peer:
        await peer.send(peer.frame("81", b"close"))
        code, _ = await peer.read_close()
        await ends(peer)
        return str(code)


async def no_answer_to_pings(arena: Arena) -> str:
    """
    The peer is gone, and its TCP does not say so.
    """
    async with arena.attacker() as peer:
        code, _ = await peer.read_close()
        await ends(peer)
        return str(code)


async def garbage_after_close(arena: Arena) -> str:
    """
    A close frame, and bytes behind it.
    """
    async with arena.attacker() as peer:
        await shove(peer, peer.frame("88", close_payload(1000)) + b"\xff" * 100_000)
        code, _ = await peer.read_close()
        if arena.role == "client":
            peer.half_close()
        await ends(peer)
        return str(code)


async def bad_text(arena: Arena) -> str:
    """
    A byte that is not UTF-8, at every position.
    """
    codes = set()
    size = 100 if FULL else 12
    for position in range(size):
        text = bytearray(b"a" * size)
        text[position] = 0xFF
        async with arena.attacker() as peer:
            await peer.send(peer.frame("81", bytes(text)))
            codes.add(await close_code(peer))
    return ", ".join(sorted(codes))


async def undelivered(arena: Arena) -> str:
    """
    A length that is announced, and not delivered.
    """
    async with contextlib.AsyncExitStack() as stack:
        peers = []
        for _ in range(1 if arena.role == "client" else 1000 if FULL else 50):
            peer = await stack.enter_async_context(arena.attacker())
            masked = 0x80 if arena.role == "server" else 0
            header = bytes([0x82, masked | 127]) + (2**20).to_bytes(8)
            await peer.send(header + bytes(10))
            peers.append(peer)
        codes = await asyncio.gather(*(close_code(peer) for peer in peers))
        return ", ".join(sorted(set(codes)))


ON_CONNECTIONS: dict[str, Callable[[Arena], Awaitable[str]]] = {
    "fragments of one byte, without end": fragments,
    "a deflate bomb": deflate_bomb,
    "a flood of pings": pings,
    "control frames while nobody receives": paused,
    "never reads what it is sent": never_reading("floods"),
    "never reads its echoes": never_reading(""),
    "never reads broadcasts": never_reading("broadcasts"),
    "never reads, and we close": never_reading("floods and closes"),
    "never answers a close frame": no_answer_to_close,
    "never answers pings, or has vanished": no_answer_to_pings,
    "sends garbage after its close frame": garbage_after_close,
    "text that is not UTF-8, at every position": bad_text,
    "announces a length and does not deliver": undelivered,
}
