"""
What users of a connection wait for: messages, and room for messages.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, cast

import trio

from ..protocol import CONNECTING, OPEN
from .pump import Pump

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .._links import Fragment, PreparedMessage

__all__ = ["Link"]


class Link(Pump):
    """
    A session with a stream, and the tasks that wait for it.

    Args:
        stream: What to read from and write to.
        protocol: The opening handshake, with the limits.
        masking_keys: Where masking keys and ping payloads come from.
    """

    __slots__ = ()

    # Receiving.

    async def receive(self, decode: bool | None) -> object:
        """
        Wait for a message: see :meth:`Session.take_message`.

        Raises:
            ConcurrencyError: Somebody else receives.
            ConnectionClosed: No message will come.
        """
        take = functools.partial(self.take_decoded, decode)
        return await self._receive("recv", take, False)

    async def receive_fragment(self, going_on: bool) -> Fragment:
        """
        Wait for a fragment.

        Args:
            going_on: Whether the caller received the fragments before it.

        Raises:
            ConcurrencyError: Somebody else receives.
            ConnectionClosed: No fragment will come.
        """
        received = await self._receive("recv_streaming", self.take_piece, going_on)
        return cast("Fragment", received)

    async def _receive(
        self, method: str, take: Callable[[], object], going_on: bool
    ) -> object:
        """
        Wait for something to take from the queue.
        """
        if self.receiving or self.streaming:
            self.check_receiver(method, "coroutine", going_on)
        self.receiving = True
        try:
            if self.has_items() or self.lost:
                await trio.lowlevel.checkpoint()
            while True:
                item = self.take_next(take)
                if item is not None:
                    return item
                if self.lost:
                    raise self.closed_error()
                await self._arrivals.park()
        finally:
            self.receiving = False

    async def wait_until_sendable(self) -> None:
        """
        Wait for the end of a fragmented message that is being sent.

        Raises:
            ConnectionClosed: The connection is not OPEN. If it is CLOSING, this
                waits until it is CLOSED, so that the error tells both codes.
        """
        while self.fragmenting and self.state == OPEN:
            await self._fragments_over.park()
        if self.state == CONNECTING:
            self.require_open()
        if self.state != OPEN:
            await self.closed.wait()
            raise self.closed_error()

    async def drain(self) -> None:
        """
        Wait while the peer is slower than we are.

        Raises:
            ConnectionClosed: The connection was lost meanwhile.
        """
        while self.congested and not self.lost:
            await self._room.park()
            if self.lost:
                raise self.closed_error()

    # Sending.

    async def send(self, opcode: int, payload: bytes | str, compress: bool) -> None:
        """
        Send an unfragmented message; wait while the peer is slower than we are.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self.state != OPEN or self.fragmenting:
            await self.wait_until_sendable()
        self.send_postponed(True)
        self.send_message(opcode, payload, compress)
        self.push()
        # Others run only now: an answer is not overtaken by what the peer does next.
        await trio.lowlevel.cancel_shielded_checkpoint()
        await self.drain()

    async def send_one(
        self, opcode: int, payload: bytes, fin: bool, compress: bool
    ) -> None:
        """
        Send a fragment, unless the connection has been closed meanwhile.
        """
        if self.state != OPEN:
            await self.wait_until_sendable()
        self.send_fragment(opcode, payload, fin, compress)
        self.push()
        await trio.lowlevel.checkpoint()
        await self.drain()

    @contextlib.contextmanager
    def fragments(self) -> Iterator[None]:
        """
        Keep other messages out while a fragmented one is being sent.
        """
        self.send_postponed(True)
        self.fragmenting = True
        failed = True
        try:
            yield
            failed = False
        finally:
            self.end_fragments(failed)
            self._fragments_over.unpark_all()

    async def send_prepared(self, prepared: PreparedMessage) -> None:
        """
        Send a message that goes to many connections, as :meth:`send` does.
        """
        if self.state != OPEN or self.fragmenting:
            await self.wait_until_sendable()
        self.send_postponed(True)
        self.add_prepared(prepared)
        self.push()
        await self.drain()
