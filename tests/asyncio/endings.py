"""
How connections end: each kind made to happen, and what both ends make of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.asyncio.exchange import serving
from tests.asyncio.harness import facing_raw_peer, wait_until
from tests.asyncio.raw import RawPeer, close_payload

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["ENDINGS", "Ending", "Observed", "observe", "observe_client"]


@dataclass
class Scene:
    """
    A server, one of its connections, and a peer made by hand.
    """

    server: Any = None
    peer: Any = None
    connection: Any = None
    task: Any = None
    # What the handler is to do with the next message.
    act: Any = None
    raised: BaseException | None = None

    async def handle(self, connection: Any) -> None:
        """
        Be the handler.
        """
        self.connection = connection
        self.task = asyncio.current_task()
        try:
            async for message in connection:
                if message == "go":
                    await self.act()
                    return
        except BaseException as exc:
            self.raised = exc
            raise

    async def in_the_handler(self, act: Callable[[], Awaitable[Any]]) -> None:
        """
        Have the handler do something, then return.
        """
        self.act = act
        await self.peer.send_frame("81", b"go")


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
    loop: str
    log: str
    statistics: str


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


async def _nothing() -> None:
    pass


async def _raise() -> None:
    raise RuntimeError("a mistake in the handler")


def _peer_sends(header: str, payload: bytes = b"") -> Callable[[Scene], Any]:
    return lambda scene: scene.peer.send_frame(header, payload)


def _peer_closes(code: int | None, reason: str = "") -> Ending:
    payload = b"" if code is None else close_payload(code, reason)
    return Ending(_peer_sends("88", payload), then="closes")


async def _half_close(scene: Scene) -> None:
    scene.peer.half_close()


async def _reset(scene: Scene) -> None:
    scene.peer.reset()


async def _cancel(scene: Scene) -> None:
    scene.task.cancel()


async def _shut_down(scene: Scene) -> None:
    scene.server.close()


async def _drain(scene: Scene) -> None:
    scene.server.close(drain=0)


async def _let_it_go_on(scene: Scene) -> None:
    scene.server.close(close_connections=False)
    await scene.in_the_handler(_nothing)


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
    "we close": Ending(lambda scene: scene.in_the_handler(scene.connection.close)),
    "we close with a code": Ending(
        lambda scene: scene.in_the_handler(
            lambda: scene.connection.close(4000, "enough")
        )
    ),
    "we close, the peer does not answer": Ending(
        lambda scene: scene.in_the_handler(scene.connection.close),
        QUICK,
        then="nothing",
    ),
    "the handler returns": Ending(
        lambda scene: scene.in_the_handler(_nothing), of_servers=True
    ),
    "the handler raises": Ending(
        lambda scene: scene.in_the_handler(_raise), of_servers=True
    ),
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


async def observe(ending: Ending, records: list[Any]) -> Observed:
    """
    Make an ending happen, and tell what was seen of it.

    Args:
        ending: The ending.
        records: Where log records arrive.
    """
    scene = Scene()
    options = {"ping_interval": None, "compression": None, **ending.options}
    async with serving(scene.handle, **options) as running:
        peer = await RawPeer.connect(running.port)
        with contextlib.closing(peer):
            scene.server, scene.peer = running.server, peer
            await wait_until(lambda: scene.connection is not None)
            records.clear()
            before = running.server.statistics()
            await ending.happen(scene)
            received = await _read_to_the_end(scene, ending.then)
            await wait_until(
                lambda: (
                    not running.server.all_connections
                    and not running.server.handler_tasks
                )
            )
        after = running.server.statistics()
    grown = [name for name in after if after[name] > before[name] and name != "closed"]
    return Observed(
        received,
        str(scene.connection.close_code),
        _describe(scene.raised),
        _log(records),
        ", ".join(f"`{name}`" for name in grown),
    )


async def observe_client(ending: Ending) -> tuple[str, str, str]:
    """
    Make an ending happen to a client; return what its peer gets, the close code
    and how iterating ends.
    """
    scene = Scene()
    options = {"close_timeout": 10, **ending.options}
    async with facing_raw_peer("client", **options) as (connection, peer):
        scene.peer = peer
        task = asyncio.create_task(scene.handle(connection))
        await wait_until(lambda: scene.connection is not None)
        await ending.happen(scene)
        received = await _read_to_the_end(scene, ending.then)
        await connection.wait_closed()
        await asyncio.wait([task])
    if not task.cancelled():
        task.exception()
    return received, str(connection.close_code), _describe(scene.raised)


async def _read_to_the_end(scene: Scene, then: str) -> str:
    """
    Return what the peer is told in a close frame.
    """
    peer = scene.peer
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


def _describe(raised: BaseException | None) -> str:
    if raised is None:
        return "ends"
    text = f": {raised}" if str(raised) else ""
    return f"{type(raised).__name__}{text}"


# Said of each connection, and of each server that closes.
_USUAL = {"connection closed", "server closing", "server closed"}


def _log(records: list[Any]) -> str:
    """
    Return the levels of what was logged about an ending.
    """
    levels = [
        f"{record.levelname}: {record.getMessage().partition(':')[0]}"
        for record in records
        if record.getMessage() not in _USUAL and not record.name.startswith("asyncio")
    ]
    return ", ".join(levels) or "–"
