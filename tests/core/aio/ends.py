"""
Links and transports without the rooms: what is around them writes things down.

A link is joined to a wire that records what is written, and a transport to a
member that records what is read; both work with either build.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.asyncio.raw import EXAMPLE_KEY, encode

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Ends",
    "call_in_loop",
    "feed",
    "link_with_wire",
    "member_class",
    "parse",
    "socket_pair",
    "wire_class",
]


def wire_class(core: Any) -> Any:
    """
    Return a wire that keeps what is written: an item for each write.
    """

    class RecordingWire(core.aio.wire.Wire):
        def __init__(self, member: Any) -> None:
            super().__init__(member)
            self.written: list[bytes] = []
            self.calls: list[str] = []
            self.waiting = 0

        def write_outbox(self, outbox: Any) -> None:
            self.written.append(outbox.tail(0))

        def write_shared(self, frame: bytes) -> None:
            self.written.append(frame)

        def backlog(self) -> int:
            return self.waiting

        def drop_shared(self) -> int:
            return 0

        def finish(self) -> None:
            self.calls.append("finish")

        def close(self) -> None:
            self.calls.append("close")

        def abort(self) -> None:
            self.calls.append("abort")

        def pause_reading(self) -> None:
            self.calls.append("pause_reading")

        def resume_reading(self) -> None:
            self.calls.append("resume_reading")

    return RecordingWire


class Ends(NamedTuple):
    """
    A link of a server and what is joined to it.

    Attributes:
        link: The link.
        connected: What the link's user calls `recv()` and `send()` of.
        wire: What the link writes to.
    """

    link: Any
    connected: Any
    wire: Any


def link_with_wire(core: Any) -> Ends:
    """
    Return an open link, of a server, in the running loop.
    """
    link = core.aio.link.Link(
        core.aio.turn.turn_of(asyncio.get_running_loop()),
        False,
        -1,
        -1,
        core.endpoint.MaskingKeys(os.urandom),
    )
    link.wire = wire_class(core)(link)
    link.open()
    return Ends(link, core.aio.operations.Connected(link), link.wire)


def feed(link: Any, *messages: str) -> None:
    """
    Have a link take in messages of a client, all in one read.
    """
    data = bytearray().join(
        encode("81", message.encode(), EXAMPLE_KEY) for message in messages
    )
    link.received(data, len(data))


def parse(written: bytes) -> list[str]:
    """
    Return the short text messages in what a server has written.
    """
    messages = []
    while written:
        assert 0x81 == written[0]
        end = 2 + written[1]
        messages.append(written[2:end].decode())
        written = written[end:]
    return messages


async def call_in_loop(callback: Callable[..., Any], *args: Any) -> Any:
    """
    Call a function as the loop calls a transport: no task is running.

    Raises:
        BaseException: What the function raised.
    """
    done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def call() -> None:
        try:
            result = callback(*args)
        except BaseException as exc:  # noqa: BLE001 - raised below
            done.set_exception(exc)
        else:
            done.set_result(result)

    asyncio.get_running_loop().call_soon(call)
    return await done


def member_class(core: Any) -> Any:
    """
    Return a member that writes down what happens to it.
    """

    class RecordingMember(core.aio.turn.Member):
        def __init__(self) -> None:
            keys = core.endpoint.MaskingKeys(os.urandom)
            super().__init__(False, -1, -1, keys, lambda: 0.0)
            self.data = bytearray()
            self.events: list[Any] = []
            self.wire: Any = None

        def received(self, data: bytearray, size: int) -> None:
            self.data += data[:size]

        def ended(self) -> None:
            self.events.append("ended")

        def lost_connection(self, exc: Exception | None) -> None:
            self.events.append(exc and type(exc))

        def pause_writing(self) -> None:
            self.events.append("paused")

        def resume_writing(self) -> None:
            self.events.append("resumed")

        @property
        def is_lost(self) -> bool:
            return bool(self.events) and not isinstance(self.events[-1], str)

    return RecordingMember


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """
    Return two sockets connected by TCP, neither of which blocks.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    for sock in (one, other):
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32_768)
    return one, other
