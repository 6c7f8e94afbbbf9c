"""
What ``recv()``, ``send()`` and iteration return.
"""

from __future__ import annotations

import asyncio.coroutines
import inspect

from ...exceptions import ConcurrencyError, ConnectionClosedOK
from .awaitable import Awaitable, share_slots
from .fragments import send_after, send_fragments
from .link import Link
from .method import method
from .waiter import new_waiter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Coroutine, Iterable
    from typing import Any

    from ...typing import Data, DataLike
    from ..fragment import Fragment

__all__ = ["Connected", "receive_fragment"]

_OPEN = 1


class Receive(Awaitable):
    """
    Receives a message: ``argument`` is the ``decode`` argument of ``recv()``.
    """

    __slots__ = ()

    __name__ = "recv"
    __qualname__ = "Connection.recv"

    def step(self) -> object:
        link: Link = self.link
        if link.receiver is not self:
            self.enter(link)
            if link.turn.budget <= 0 and link.has_items():
                # Others run first; the message waits.
                link.receiver = self
                link.yielded = True
                return self.suspend(None)
        return self.take(link)

    def enter(self, link: Link) -> None:
        """
        Refuse to receive when somebody else does.
        """
        if link.receiver is not None or link.streaming:
            raise ConcurrencyError(
                "cannot call recv while another coroutine "
                "is already running recv or recv_streaming"
            )

    def take(self, link: Link) -> object:
        """
        Return a message, or wait for one.
        """
        message = self.next_item(link)
        while link.halted or link.state != _OPEN:
            link.after_take()
            if message is not None or not link.has_items():
                break
            # Fragments made room for more of their message.
            message = self.next_item(link)
        if message is not None:
            link.receiver = None
            link.turn.spend(0)
            return message
        if link.lost:
            link.receiver = None
            self.raise_closed(link)
        link.receiver = self
        waiter = new_waiter(link.turn.loop)
        link.waiter = waiter
        return self.suspend(waiter)

    def next_item(self, link: Link) -> object:
        """
        Take a message, or return :obj:`None`.
        """
        if self.argument is not True:
            return link.take_message(self.argument)
        try:
            return link.take_message(True)
        except UnicodeDecodeError as exc:
            link.fail_with(exc, 1007, "invalid UTF-8")
            return None

    def raise_closed(self, link: Link) -> None:
        """
        Raise what tells that no message will come.
        """
        raise link.closed_error()

    def abandon(self) -> None:
        link: Link = self.link
        if link.receiver is self:
            link.receiver = None
            link.waiter = None


class Anext(Receive):
    """
    Receives a message for ``async for``, which ends quietly.
    """

    __slots__ = ()

    __name__ = "__anext__"
    __qualname__ = "Connection.__anext__"

    def raise_closed(self, link: Link) -> None:
        exc = link.closed_error()
        if isinstance(exc, ConnectionClosedOK):
            raise StopAsyncIteration
        raise exc


class ReceiveFragment(Receive):
    """
    Receives a fragment for ``recv_streaming()``.
    """

    __slots__ = ()

    __name__ = "recv_streaming"
    __qualname__ = "Connection.recv_streaming"

    def enter(self, link: Link) -> None:
        if link.receiver is not None or (link.streaming and not self.argument):
            raise ConcurrencyError(
                "cannot call recv_streaming while another coroutine "
                "is already running recv or recv_streaming"
            )

    def next_item(self, link: Link) -> object:
        fragment = link.take_fragment()
        if fragment is not None:
            link.streaming = not fragment.fin
        return fragment


class Send(Awaitable):
    """
    Sends a message: ``argument`` is the message, ``option`` the ``text``
    argument of ``send()`` and ``extra`` its ``compress`` argument.
    """

    __slots__ = ()

    __name__ = "send"
    __qualname__ = "Connection.send"

    def step(self) -> object:
        link: Link = self.link
        if self.resumed:
            if link.lost:
                raise link.closed_error()
            return None
        message = self.argument
        if type(message) is str:
            opcode = 2 if self.option is False else 1
        elif type(message) is bytes:
            opcode = 1 if self.option is True else 2
        else:
            return self.step_slowly(link)
        if link.turn.at_end is not None:
            link.turn.run_at_end()
        if link.state != _OPEN or link.fragmenting is not None:
            return self.delegate(send_after(link, message, opcode, self.extra))
        return self.write(link, opcode, message)

    def write(self, link: Link, opcode: int, message: bytes | str) -> object:
        """
        Write a message, and wait if the peer is slower or others are due.
        """
        link.send_message(opcode, message, self.extra is not False)
        link.push()
        turn = link.turn
        turn.spend(len(message))
        if link.congested:
            waiter = new_waiter(turn.loop)
            link.add_drainer(waiter)
            return self.suspend(waiter)
        if turn.budget <= 0:
            # A loop of sends must let others run.
            link.yielded = True
            return self.suspend(None)
        return None

    def step_slowly(self, link: Link) -> object:
        """
        Send what is neither str nor bytes.
        """
        message = self.argument
        if isinstance(message, str):
            message = str(message)
            opcode = 2 if self.option is False else 1
        elif isinstance(message, (bytes, bytearray, memoryview)):
            message = bytes(message)
            opcode = 1 if self.option is True else 2
        else:
            return self.delegate(send_fragments(link, message, self.option, self.extra))
        return self.delegate(send_after(link, message, opcode, self.extra))


class Connected:
    """
    The part of a connection that has to be fast.
    """

    __slots__ = ("_link",)

    def __init__(self, link: Link) -> None:
        self._link = link

    @method
    def recv(self, decode: bool | None = None) -> Coroutine[Any, Any, Data]:
        """
        Receive the next message.

        Fragments are put together. Canceling is safe: no message is lost, and
        the next call receives what this one would have.

        Messages that arrived before the connection was closed can still be
        received afterwards.

        Args:
            decode: By default, a text message is returned as :class:`str` and a
                binary message as :class:`bytes`. :obj:`False` returns
                :class:`bytes` for both, :obj:`True` returns :class:`str` for
                both. Text is always checked to be UTF-8 (RFC 6455, 8.1).

        Returns:
            The message.

        Raises:
            ConnectionClosedOK: The connection was closed normally, and all
                messages have been received.
            ConnectionClosedError: The connection was closed with an error, or
                without a close frame; ``__cause__`` tells why, if it is known.
            ConcurrencyError: Another call of :meth:`recv` or
                :meth:`recv_streaming` is running. It is not disturbed.
        """
        return make_receive(self._link, decode)

    @method
    def send(
        self,
        message: DataLike | Iterable[DataLike] | AsyncIterable[DataLike],
        *,
        text: bool | None = None,
        compress: bool | None = None,
    ) -> Coroutine[Any, Any, None]:
        """
        Send a message; wait while the peer is slower than we are.

        A :class:`str` is sent in a text frame; :class:`bytes`, a
        :class:`bytearray` or a :class:`memoryview` in a binary frame. An iterable
        or asynchronous iterable of one of these kinds is sent as a fragmented
        message, a fragment for each item (RFC 6455, 5.4).

        Safe to call from several tasks: messages leave whole, in the order of
        the calls, and wait for the end of a fragmented one. If canceled, an
        unfragmented message has been sent entirely or not at all. If canceled,
        or if the iterable raises, after the first fragment, the connection is
        closed with code 1011.

        Now and then, other tasks get to run before this returns, so that a loop
        of sends does not starve them.

        Args:
            message: The message.
            text: :obj:`True` sends bytes in a text frame, :obj:`False` sends a
                string in a binary frame. Bytes in a text frame are not checked
                to be UTF-8.
            compress: :obj:`False` sends the message uncompressed although
                compression was negotiated.

        Raises:
            ConnectionClosed: The connection is CLOSING or CLOSED. The error
                tells both close codes.
            TypeError: The message is of no kind named above. Nothing was sent;
                the connection stays OPEN.
            UnicodeEncodeError: The text has a lone surrogate. Nothing was sent.
        """
        return make_send(self._link, message, text, compress)

    def __anext__(self) -> Coroutine[Any, Any, Data]:
        return make_anext(self._link)


def make_receive(link: Link, decode: object) -> Receive:
    """
    Make the awaitable of ``recv()``.
    """
    receive = Receive.__new__(Receive)
    receive.link = link
    receive.argument = decode
    return receive


def make_anext(link: Link) -> Anext:
    """
    Make the awaitable of ``__anext__()``.
    """
    anext_ = Anext.__new__(Anext)
    anext_.link = link
    return anext_


def receive_fragment(link: Link, going_on: bool) -> Coroutine[Any, Any, Fragment]:
    """
    Make an awaitable which receives the next fragment.

    Args:
        link: The link of the connection.
        going_on: Whether the caller received the fragments before it.
    """
    receive = ReceiveFragment.__new__(ReceiveFragment)
    receive.link = link
    receive.argument = going_on
    return receive


def make_send(link: Link, message: object, text: object, compress: object) -> Send:
    """
    Make the awaitable of ``send()``.
    """
    send = Send.__new__(Send)
    send.link = link
    send.argument = message
    send.option = text
    send.extra = compress
    return send


for _kind in (Receive, Anext, ReceiveFragment, Send):
    share_slots(_kind)


def _mark_for_asyncio(function: Any) -> None:
    """
    Mark a function as asyncio did before Python 3.12.
    """
    function._is_coroutine = vars(asyncio.coroutines)["_is_coroutine"]


# Functions that return an awaitable are to be recognized by mocks.
mark_coroutine_function = getattr(inspect, "markcoroutinefunction", _mark_for_asyncio)
mark_coroutine_function(Connected.recv)
mark_coroutine_function(Connected.send)
