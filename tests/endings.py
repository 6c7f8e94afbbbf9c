"""
How connections end: each kind made to happen, and what both ends make of it.

The cases are the same for all rooms. Each room has a `Scene` of its own, which knows
how a handler is written there, how it is cancelled and how a server is closed.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from socketeer.exceptions import ConnectionClosedOK
from tests.asyncio.program import program
from tests.asyncio.raw import RawPeer, close_payload

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

__all__ = [
    "ENDINGS",
    "OF_CLIENTS",
    "PROGRAMS",
    "CoroutineScene",
    "Ending",
    "Observed",
    "Scene",
    "end_of_a_program",
    "expected",
    "grown",
    "log_of",
    "read_to_the_end",
    "rows",
]

PAGE = Path(__file__).parents[1] / "docs" / "endings.md"

# Tested with programs: there is nobody left to look at.
PROGRAMS = {"the event loop is stopped", "the process is killed"}


@dataclass(frozen=True)
class Observed:
    """
    What an ending looks like, in the words of the documentation.

    Attributes:
        peer: The close frame that the peer gets, or a dash.
        code: ``connection.close_code``.
        loop: How the handler's ``async for`` ends.
        log: The level of what is logged about it, or a dash.
        statistics: Which counters have grown.
    """

    peer: str
    code: str
    loop: str = "–"
    log: str = "–"
    statistics: str = "–"


# What a handler does about its connection: arguments of close().
_CLOSES: dict[str, tuple[Any, ...]] = {"closes": (), "says enough": (4000, "enough")}


class Scene(abc.ABC):
    """
    A server, one of its connections, and a peer made by hand.

    Attributes:
        server: The server; :obj:`None` if the connection is a client's.
        peer: The peer.
        connection: The connection, when its handler has begun.
        act: What the handler is to do when it is told to go on.
        raised: What has ended the handler's loop, if it was an exception.
    """

    def __init__(self) -> None:
        self.server: Any = None
        self.peer: Any = None
        self.connection: Any = None
        self.act = ""
        self.raised: BaseException | None = None

    async def in_the_handler(self, act: str) -> None:
        """
        Have the handler do something.
        """
        self.act = act
        await self.peer.send_frame("81", b"go")

    def obey(self, close: Callable[..., Any]) -> Any:
        """
        Do, as the handler, what is wanted; it goes on then.

        Args:
            close: Closes the connection; its result is returned, to be awaited.
        """
        if self.act == "raises":
            raise RuntimeError("a mistake in the handler")
        return close(*_CLOSES[self.act])

    @abc.abstractmethod
    def cancel(self) -> None:
        """
        Cancel the handler.
        """

    @abc.abstractmethod
    def shut_down(self, **arguments: Any) -> None:
        """
        Close the server, without waiting for it.
        """

    def observed(
        self,
        received: str,
        records: Iterable[Any],
        before: dict[str, int],
        after: dict[str, int],
    ) -> Observed:
        """
        Return what the ending of a server's connection looked like.

        Args:
            received: What the peer got.
            records: Log records.
            before: The server's statistics before the ending.
            after: And afterwards.
        """
        return Observed(
            received,
            str(self.connection.close_code),
            self.describe_end(),
            log_of(records),
            grown(before, after),
        )

    def describe_end(self) -> str:
        """
        Return how the handler's loop ended, or a dash if the handler left it.
        """
        if self.act == "returns":
            return "–"
        if self.raised is None:
            return "ends"
        name = type(self.raised).__name__
        if not isinstance(self.raised, Exception):
            # Of the room, with words of its own.
            return name
        text = str(self.raised)
        return f"{name}: {text}" if text else name


class CoroutineScene(Scene):
    """
    A handler that is a coroutine.

    Attributes:
        closing: The name of the method that closes a connection.
    """

    closing = "close"

    async def handle(self, connection: Any) -> None:
        """
        Be the handler.
        """
        self.connection = connection
        try:
            async for message in connection:
                if message == "go":
                    if self.act == "returns":
                        return
                    await self.obey(getattr(connection, self.closing))
            # Where the loop ends, so does this.
            with contextlib.suppress(ConnectionClosedOK):
                await connection.recv()
        except BaseException as exc:
            self.raised = exc
            raise


@dataclass(frozen=True)
class Ending:
    """
    One kind of ending.

    Attributes:
        happen: Makes it happen.
        options: Arguments of `serve()`.
        then: What the peer does about a close frame: it ``"answers"`` and closes
            TCP, only ``"closes"`` TCP, or does ``"nothing"``.
        of_servers: Whether clients do not know this kind.
    """

    happen: Callable[[Scene], Awaitable[Any]]
    options: dict[str, Any] = field(default_factory=dict)
    then: str = "answers"
    of_servers: bool = False


def _peer_sends(header: str, payload: bytes = b"") -> Callable[[Scene], Any]:
    return lambda scene: scene.peer.send_frame(header, payload)


def _peer_closes(code: int | None, reason: str = "") -> Ending:
    payload = b"" if code is None else close_payload(code, reason)
    return Ending(_peer_sends("88", payload), then="closes")


def _the_handler(act: str, **more: Any) -> Ending:
    return Ending(lambda scene: scene.in_the_handler(act), **more)


async def _half_close(scene: Scene) -> None:
    scene.peer.half_close()


async def _reset(scene: Scene) -> None:
    scene.peer.reset()


async def _cancel(scene: Scene) -> None:
    scene.cancel()


async def _shut_down(scene: Scene) -> None:
    scene.shut_down()


async def _drain(scene: Scene) -> None:
    scene.shut_down(drain=0)


async def _let_it_go_on(scene: Scene) -> None:
    scene.shut_down(close_connections=False)
    await scene.in_the_handler("returns")


async def _flood(scene: Scene) -> None:
    await scene.peer.send(scene.peer.frame("81", b"a") * 3)


async def _wait(_: Scene) -> None:
    pass


CLOSE_CODES = (
    *(1000, 1001, 1002, 1003, 1007, 1008, 1009),
    *(1010, 1011, 1012, 1013, 1014, 3000, 4000),
)
QUICK = {"close_timeout": 0.02}

ENDINGS: dict[str, Ending] = {
    **{f"the peer closes with {code}": _peer_closes(code) for code in CLOSE_CODES},
    "the peer closes without a code": _peer_closes(None),
    "the peer closes with a code that is reserved": Ending(
        _peer_sends("88", close_payload(1005))
    ),
    "the peer half-closes TCP": Ending(_half_close, then="closes"),
    "the peer resets TCP": Ending(_reset, then="closes"),
    "we close": _the_handler("closes"),
    "we close with a code": _the_handler("says enough"),
    "we close, the peer does not answer": _the_handler(
        "closes", options=QUICK, then="nothing"
    ),
    "the handler returns": _the_handler("returns", of_servers=True),
    "the handler raises": _the_handler("raises", of_servers=True),
    "the handler is cancelled": Ending(_cancel, of_servers=True),
    "no pong within `ping_timeout`": Ending(
        _wait, {"ping_interval": 0.01, "ping_timeout": 0.01}
    ),
    "no pong, and the peer is dead": Ending(
        _wait, {"ping_interval": 0.01, "ping_timeout": 0.01, **QUICK}, then="nothing"
    ),
    "the peer violates the protocol": Ending(_peer_sends("83")),
    "a message above `max_size`": Ending(
        _peer_sends("82", bytes(101)), {"max_size": 100}
    ),
    "text that is not UTF-8": Ending(_peer_sends("81", b"\xff")),
    "more than `max_message_rate`": Ending(
        _flood, {"max_message_rate": (0.001, 2)}, of_servers=True
    ),
    "more than `max_byte_rate`": Ending(
        _flood, {"max_byte_rate": (0.001, 10)}, of_servers=True
    ),
    "silence for `idle_timeout`": Ending(
        _wait, {"idle_timeout": 0.01}, of_servers=True
    ),
    "`server.close()`": Ending(_shut_down, of_servers=True),
    "`server.close(drain=...)`": Ending(_drain, of_servers=True),
    "`server.close(close_connections=False)`, the handler returns": Ending(
        _let_it_go_on, of_servers=True
    ),
}

OF_CLIENTS = [name for name, ending in ENDINGS.items() if not ending.of_servers]


# The documentation.


def rows(first: str) -> dict[tuple[str, ...], list[str]]:
    """
    Return the rows of a table of the page.

    Args:
        first: The first cell of its head.

    Returns:
        The other cells, by the first one.
    """
    found: dict[tuple[str, ...], list[str]] = {}
    inside = False
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif cells[0] == first:
            inside = True
        elif inside and set(cells[0]) != {"-"}:
            keys = 2 if first == "Room" else 1
            found[tuple(cells[:keys])] = cells[keys:]
    return found


_USUAL_ROWS = {name: Observed(*row) for (name,), row in rows("How it ends").items()}
_OTHER_ROWS = {(room, name): row for (room, name), row in rows("Room").items()}


def expected(room: str) -> dict[str, Observed]:
    """
    Return what the documentation says of each ending.

    Args:
        room: ``"asyncio"``, ``"threads"`` or ``"trio"``.
    """
    found = dict(_USUAL_ROWS)
    for (other, name), cells in _OTHER_ROWS.items():
        if other == room:
            if cells[0] == "does not exist":
                del found[name]
            else:
                found[name] = Observed(*cells)
    return found


# What was observed.


async def read_to_the_end(peer: RawPeer, then: str) -> str:
    """
    Return what the peer is told in a close frame, and have it do something then.
    """
    try:
        code, reason = await peer.read_close()
    except (EOFError, OSError, ValueError):
        return "–"
    if then == "answers":
        with contextlib.suppress(OSError):
            await peer.send_frame("88", close_payload(code or 1000))
    if then != "nothing":
        if peer.role == "client":
            # "the server MUST close the connection immediately", the client waits
            # for it (RFC 6455, 7.1.1).
            await peer.read_rest()
        peer.close()
    told = "no code" if code is None else str(code)
    return f'{told}, "{reason}"' if reason else told


def grown(before: dict[str, int], after: dict[str, int]) -> str:
    """
    Return which counters have grown, besides that of closed connections.
    """
    names = [name for name in after if after[name] > before[name]]
    return ", ".join(f"`{name}`" for name in names if name != "closed") or "–"


# Said of each connection, and of each server that closes.
_USUAL = {"connection closed", "server closing", "server closed"}


def log_of(records: Iterable[Any]) -> str:
    """
    Return the levels of what was logged about an ending.
    """
    levels = [
        f"{record.levelname}: {record.getMessage().partition(':')[0]}"
        for record in records
        if record.getMessage() not in _USUAL
        and not record.getMessage().startswith("server listening")
        and not record.name.startswith("asyncio")
    ]
    return ", ".join(levels) or "–"


async def end_of_a_program(
    source: str, end: Callable[[Any, RawPeer], Awaitable[None]]
) -> Observed:
    """
    Have a program end that serves a client, and tell what the client sees.

    Args:
        source: The program: it prints its port, and says hello.
        end: Ends it, given the process and the client.
    """
    async with program(source) as process:
        assert process.stdout is not None
        port = int(await process.stdout.readline())
        peer = await RawPeer.connect(port)
        with contextlib.closing(peer):
            await peer.read_frame()
            await end(process, peer)
            await process.wait()
            rest = await asyncio.wait_for(peer.read_rest(), 10)
    return Observed("–" if rest == b"" else repr(rest), "–")
