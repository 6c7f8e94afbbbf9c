"""
What the server's and the client's connections have in common.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from .. import _compatibility
from .._connection import (
    check_close_code,
    configure_session,
    equip_session,
    message_limits,
    watermarks,
)
from .._messages import FragmentDecoder, check_overflow, control_payload, prepare
from ..exceptions import ConnectionClosedOK
from ..protocol import CLIENT, OPEN, Protocol
from ._cellar import (
    Connected,
    Link,
    MaskingKeys,
    PreparedMessage,
    drain,
    fan_out_to_all,
    receive_fragment,
    turn_of,
    wait_until_sendable,
)
from .attributes import Attributes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from types import TracebackType

    from ..typing import BytesLike, Data

__all__ = ["Connection", "PreparedMessage", "prepare"]

# The write limit that stands for none.
_UNLIMITED = (sys.maxsize, 0)

# Masking keys and ping payloads of all connections of the process.
MASKING_KEYS = MaskingKeys(os.urandom)
if hasattr(os, "register_at_fork"):
    # Two processes must not use the keys that were drawn ahead.
    os.register_at_fork(after_in_child=MASKING_KEYS.discard)


def new_link(
    is_client: bool, max_message_size: int = -1, max_fragment_size: int = -1
) -> Link:
    """
    Return a link on the running loop.

    Args:
        is_client: Whether this is the client's end.
        max_message_size: Largest message accepted, in bytes, or -1 for any.
        max_fragment_size: Largest frame accepted, in bytes, or -1 for any.
    """
    return Link(
        turn_of(asyncio.get_running_loop()),
        is_client,
        max_message_size,
        max_fragment_size,
        MASKING_KEYS,
    )


class Connection(Attributes, _compatibility.OlderAttributes):
    """
    An open WebSocket connection of either side.

    Iterating over it receives messages until it is closed::

        async for message in connection:
            ...

    The iteration ends when the connection is closed normally, with code 1000 or
    1001 or without a code, and raises
    :exc:`~socketeer.exceptions.ConnectionClosedError` otherwise.

    As a context manager, it closes itself: with code 1000, or with 1011 if the
    body raises.

    Connections take attributes, can be members of sets, and can be subclassed:
    give the class as ``create_connection`` to ``serve()`` or ``connect()``.
    """

    __slots__ = ("__dict__", "__weakref__")

    _receives_by_itself = True

    def __init__(
        self,
        protocol: Protocol,
        *,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_queue: int | tuple[int | None, int | None] | None = 16,
        write_limit: int | tuple[int, int | None] = 2**15,
    ) -> None:
        link = protocol._endpoint
        # A server has the link before the protocol.
        if not isinstance(link, Link):
            link = new_link(protocol.side is CLIENT, *message_limits(protocol))
        super().__init__(link)
        link.connection = self
        configure_session(
            link,
            self,
            protocol,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            max_queue=max_queue,
        )
        marks = watermarks(write_limit)
        self._write_limit = _UNLIMITED if marks[0] < 0 else marks
        self._protocol = protocol
        # That of the handshake; later, it is made when it is asked for.
        self._logger = protocol.logger
        self._request = None
        self._response = None
        self._handshake = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """
        Notice when a subclass receives in its own way: iteration must, too.
        """
        super().__init_subclass__(**kwargs)
        cls._receives_by_itself = cls.recv is Connected.recv

    # Life.

    def _opened(self, protocol: Protocol) -> None:
        """
        Go from the opening handshake to the open connection.
        """
        equip_session(self._link, protocol)
        if not protocol.debug:
            self._slim_down()
        self._link.open()

    def _slim_down(self) -> None:
        """
        Let go of what can be made again and what few connections need again.
        """
        protocol = self._protocol
        logger = self._logger
        if type(logger) is logging.LoggerAdapter and protocol.logger is logger:
            protocol.logger = logger.logger
            self._logger = None
        self._pack_handshake()

    def _pack_handshake(self) -> None:
        """
        Let the request and the response take less room.
        """
        for message in (self._request, self._response):
            if message is not None:
                message.headers.pack()

    def _connection_lost(self, exc: Exception | None) -> None:
        """
        Take in that the transport is gone.
        """

    # Receiving.

    def __aiter__(self) -> AsyncIterator[Data]:
        if self._receives_by_itself:
            return self
        return self._iterate()

    async def _iterate(self) -> AsyncIterator[Data]:
        """
        Iterate by way of an overridden :meth:`recv`.
        """
        try:
            while True:
                yield await self.recv()
        except ConnectionClosedOK:
            return

    @overload
    def recv_streaming(self, decode: None = None) -> AsyncIterator[Data]: ...
    @overload
    def recv_streaming(self, decode: Literal[True]) -> AsyncIterator[str]: ...
    @overload
    def recv_streaming(self, decode: Literal[False]) -> AsyncIterator[bytes]: ...
    @overload
    def recv_streaming(self, decode: bool | None = None) -> AsyncIterator[Data]: ...
    async def recv_streaming(self, decode: bool | None = None) -> AsyncIterator[Data]:
        """
        Receive the next message in fragments, as they arrive.

        The iterator must be consumed to its end: as long as it is not,
        receiving raises :exc:`~socketeer.exceptions.ConcurrencyError`.
        Canceling is safe before the first fragment; later, nothing more can be
        received from this connection.

        Args:
            decode: As for :meth:`recv`. A character that is split over fragments
                is returned with the last of them.

        Returns:
            An iterator over fragments. One that is not fragmented has one.

        Raises:
            ConnectionClosed: The connection was closed.
            ConcurrencyError: Another call of :meth:`recv` or
                :meth:`recv_streaming` is running.
        """
        link = self._link
        decoder = FragmentDecoder(decode)
        while not decoder.is_over:
            fragment = await receive_fragment(link, decoder.has_begun)
            try:
                data = decoder.take(fragment)
            except UnicodeDecodeError as exc:
                link.fail_with(exc, 1007, "invalid UTF-8")
                link.settle()
                await self.wait_closed()
                raise link.closed_error() from exc
            yield data

    # Closing.

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close(1000 if exc_type is None else 1011)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """
        Close the connection; wait until it is closed.

        Does the closing handshake (RFC 6455, 7.1.2) within ``close_timeout``, and
        nothing if the connection is closed already. Messages that arrived before
        can still be received afterwards.

        If a fragmented message is being sent, the close code is 1011.

        Args:
            code: Close code: 1000 to 1003, 1007 to 1014, or 3000 to 4999.
            reason: Close reason, at most 123 bytes in UTF-8.

        Raises:
            ProtocolError: The code or the reason cannot be sent. The connection
                stays OPEN.
        """
        link = self._link
        if link.opening is None and link.state == OPEN:
            check_close_code(code)
            link.begin_close(code, reason)
        await self.wait_closed()

    async def wait_closed(self) -> None:
        """
        Wait until the connection is closed, in state CLOSED and without a
        transport. Canceling does not disturb the connection.
        """
        link = self._link
        if not link.lost:
            await asyncio.shield(link.closed_future())

    # Pings.

    async def ping(self, data: Data | BytesLike | None = None) -> Awaitable[float]:
        """
        Send a ping (RFC 6455, 5.5.2).

        Args:
            data: Payload, at most 125 bytes; a string is encoded. By default,
                four random bytes.

        Returns:
            A future for the pong; awaiting it gives the round-trip time in
            seconds. A pong acknowledges all pings before the one it answers,
            too. If the connection is closed first, awaiting it raises
            :exc:`~socketeer.exceptions.ConnectionClosed`. It need not be awaited.

        Raises:
            ConnectionClosed: The connection is CLOSING or CLOSED.
            ConcurrencyError: A ping with the same payload waits for its pong.
            ProtocolError: The payload is too long.
            TypeError: The payload is neither text nor bytes.
        """
        payload = None if data is None else control_payload(data)
        link = self._link
        if link.state != OPEN:
            await wait_until_sendable(link)
        pong: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        link.send_ping(payload, pong)
        link.push()
        await drain(link)
        return pong

    async def pong(self, data: Data | BytesLike = b"") -> None:
        """
        Send an unsolicited pong (RFC 6455, 5.5.3).

        Args:
            data: Payload, at most 125 bytes; a string is encoded.

        Raises:
            ConnectionClosed: The connection is CLOSING or CLOSED.
            ProtocolError: The payload is too long.
            TypeError: The payload is neither text nor bytes.
        """
        payload = control_payload(data)
        link = self._link
        if link.state != OPEN:
            await wait_until_sendable(link)
        link.send_pong(payload)
        link.push()
        await drain(link)

    # Fan-out.

    prepare = staticmethod(prepare)
    fan_out_to_all = staticmethod(fan_out_to_all)

    @property
    def fan_out(self) -> Callable[[PreparedMessage, int, str, bool], bool]:
        """
        :meth:`send_prepared` as a bare function.

        Its arguments are the message, ``max_backlog`` with -1 for any number,
        ``on_overflow``, which is not checked, and ``more``.
        """
        return self._link.send_prepared

    @property
    def call_at_turn_end(self) -> Callable[[Callable[[], object]], None]:
        """
        A function that has another one called, once, when the turn of the event
        loop ends; or sooner, before a message or a close frame is sent on any
        connection of this loop, which then comes behind what the callback sends.
        """
        return self._link.turn.call_at_end

    def send_prepared(
        self,
        message: PreparedMessage,
        *,
        max_backlog: int | None = 2**20,
        on_overflow: str = "close",
        more: bool = False,
    ) -> bool:
        """
        Send a message made by :func:`prepare`, without waiting.

        Args:
            message: The message.
            max_backlog: Bytes that may wait to be written to this peer already;
                :obj:`None` for any number.
            on_overflow: What happens to a peer with a larger backlog. ``"close"``
                closes the connection with code 1013. ``"drop"`` drops this
                message. ``"latest"`` drops those prepared messages that wait and
                were not begun.
            more: Whether others may follow until control is back in the event loop:
                this one then waits for them, and all leave in one write. Otherwise
                the first one is written at once.

        Returns:
            Whether the message was sent or is waiting; false if the connection is
            not OPEN or the message was dropped.

        Raises:
            ValueError: ``on_overflow`` is none of the above.
        """
        check_overflow(on_overflow)
        limit = -1 if max_backlog is None else max_backlog
        return self._link.send_prepared(message, limit, on_overflow, more)

    async def wait_drained(self) -> None:
        """
        Wait until the peer has caught up: until the backlog is at most the low
        mark of ``write_limit`` after it was above the high mark.

        Raises:
            ConnectionClosed: The connection was lost meanwhile.
        """
        await drain(self._link)
