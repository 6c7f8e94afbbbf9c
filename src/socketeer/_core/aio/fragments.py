"""
Sending what takes more than one step.
"""

from __future__ import annotations

import asyncio

from ...utils import FragmentEncoder
from .waiter import new_waiter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from .link import Link
    from .waiter import Waiter

__all__ = ["drain", "send_after", "send_fragments", "wait_until_sendable"]

_OPEN = 1


async def drain(link: Link) -> None:
    """
    Wait while the peer is slower than we are.

    Raises:
        ConnectionClosed: The connection was lost meanwhile.
    """
    if link.is_paused():
        waiter = new_waiter(link.turn.loop)
        link.add_drainer(waiter)
        await _Suspension(waiter)
        if link.lost:
            raise link.closed_error()


async def be_fair(link: Link, size: int) -> None:
    """
    Let others run, now and then: ``size`` bytes were sent.
    """
    turn = link.turn
    turn.spend(size)
    if turn.budget <= 0:
        await asyncio.sleep(0)


class _Suspension:
    """
    Awaits a waiter.
    """

    def __init__(self, waiter: Waiter) -> None:
        self.waiter = waiter

    def __await__(self) -> Generator[Waiter, None, None]:
        yield self.waiter


async def wait_until_sendable(link: Link) -> None:
    """
    Wait for the end of a fragmented message that is being sent.

    Raises:
        ConnectionClosed: The connection is not OPEN. If it is CLOSING, this
            waits until it is CLOSED, so that the error tells both close codes.
    """
    while link.fragmenting is not None and link.state == _OPEN:
        await asyncio.shield(link.fragmenting)
    if link.state != _OPEN:
        if not link.lost:
            await asyncio.shield(link.closed_future())
        raise link.closed_error()


async def send_after(
    link: Link, message: bytes | str, opcode: int, compress: object
) -> None:
    """
    Send a message once no fragmented message is in the way.
    """
    link.turn.run_at_end()
    await wait_until_sendable(link)
    link.send_message(opcode, message, compress is not False)
    link.push()
    await be_fair(link, len(message))
    await drain(link)


async def send_fragments(
    link: Link, message: object, text: object, compress: object
) -> None:
    """
    Send the items of an iterable as the fragments of one message.

    Raises:
        TypeError: The message is no iterable or its items are not all str or all
            bytes-like. If fragments were sent, the connection fails with 1011.
    """
    fragments = FragmentEncoder(message, text)
    items = fragments.items()
    try:
        first = await anext(items)
    except StopAsyncIteration:
        return
    opcode = fragments.begin(first)
    compressed = compress is not False
    await wait_until_sendable(link)
    link.fragmenting = link.turn.loop.create_future()
    try:
        await _send_fragment(link, opcode, fragments.encode(first), False, compressed)
        async for item in items:
            await _send_fragment(link, 0, fragments.encode(item), False, compressed)
        await _send_fragment(link, 0, b"", True, compressed)
    except (Exception, asyncio.CancelledError):
        # What was begun cannot be taken back (RFC 6455, 5.4).
        if link.state == _OPEN:
            link.fail(1011, "error in fragmented message")
            link.settle()
        raise
    finally:
        link.end_fragments()


async def _send_fragment(
    link: Link, opcode: int, payload: bytes, fin: bool, compress: bool
) -> None:
    """
    Send a fragment, unless the connection has been closed meanwhile.
    """
    link.turn.run_at_end()
    if link.state != _OPEN:
        await wait_until_sendable(link)
    link.send_fragment(opcode, payload, fin, compress)
    link.push()
    await be_fair(link, len(payload))
    await drain(link)
