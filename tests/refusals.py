"""
Opening handshakes that fail: each kind made to happen, as the documentation lists them.

The cases are the same for all rooms, and so is the client: a coroutine of asyncio's,
in whatever thread the server is. Each room brings a `Stage`.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.asyncio.exchange import ask, dial, opening_request, read_answer
from tests.asyncio.harness import wait_until
from tests.asyncio.raw import RawPeer
from tests.endings import grown, log_of, rows

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["REFUSALS", "Refusal", "Stage", "check"]

# What the page says: answer, log and counters.
ROWS = {name: cells for (name,), cells in rows("What happens").items()}


@dataclass
class Stage:
    """
    A server in some room.

    Attributes:
        server: The server.
        port: Where it listens.
        close: Closes the server; does not block.
        guests: Clients that stay.
    """

    server: Any
    port: int
    close: Callable[[], object]
    guests: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def counts(self, name: str) -> int:
        """
        Return one of the server's statistics.
        """
        number: int = self.server.statistics()[name]
        return number

    async def host(self, *, opens: bool) -> RawPeer:
        """
        Have a guest, whose connection is open, or who says nothing.
        """
        gauge = "connections" if opens else "handshakes"
        before = self.counts(gauge)
        peer = await (RawPeer.connect if opens else dial)(self.port)
        self.guests.enter_context(contextlib.closing(peer))
        await wait_until(lambda: self.counts(gauge) > before)
        return peer


@dataclass(frozen=True)
class Refusal:
    """
    One kind of opening handshake that fails.

    Attributes:
        row: What the page calls it.
        answer: The status that the client gets, or a dash.
        approach: The client; it returns its answer.
        options: Arguments of `serve()`.
        hook: What the hook does: see `hook_that()`.
        secure: Whether it is with TLS.
        guest: Who is there before: ``"open"``, ``"silent"`` or nobody.
    """

    row: str
    answer: str
    approach: Callable[[Stage], Awaitable[str]]
    options: dict[str, Any] = field(default_factory=dict)
    hook: str = ""
    secure: bool = False
    guest: str = ""

    def arguments(self, sleep: Callable[[float], Any], tls: Any) -> dict[str, Any]:
        """
        Return the arguments of `serve()`.

        Args:
            sleep: How the room sleeps.
            tls: A server's TLS context.
        """
        return {
            **self.options,
            "process_request": hook_that(self.hook, sleep),
            "ssl": tls if self.secure else None,
        }


def hook_that(does: str, sleep: Callable[[float], Any]) -> Any:
    """
    Return a ``process_request`` hook.

    Args:
        does: ``"refuses"``, ``"raises"``, ``"dawdles"``, or nothing.
        sleep: How the room sleeps; the result is returned, to be awaited.
    """

    def process_request(connection: Any, request: Any) -> Any:
        if does == "refuses":
            return connection.respond(403, "no\n")
        if does == "raises":
            raise RuntimeError("a mistake in the hook")
        return sleep(0.2)

    return process_request if does else None


async def _ask(stage: Stage, request: bytes = opening_request()) -> str:
    return str((await ask(stage.port, request)).status)


async def _ask_badly(stage: Stage) -> str:
    return await _ask(stage, b"?\r\n\r\n")


async def _ask_in_vain(stage: Stage) -> str:
    with contextlib.closing(await dial(stage.port)) as peer:
        return "–" if b"" == await peer.read_rest() else "an answer"


async def _scan(stage: Stage) -> str:
    with contextlib.closing(await dial(stage.port)) as peer:
        await peer.send(opening_request())
        # An alert at most (RFC 8446, 6).
        return "–" if (await peer.read_rest())[:1] in {b"", b"\x15"} else "an answer"


async def _be_silent(stage: Stage) -> str:
    with contextlib.closing(await dial(stage.port)) as peer:
        return str((await read_answer(peer)).status)


async def _go_away(stage: Stage) -> str:
    peer = await dial(stage.port)
    await peer.send(opening_request()[:-2])
    await wait_until(lambda: stage.counts("handshakes") > 0)
    peer.reset()
    return "–"


async def _see_it_close(stage: Stage) -> str:
    with contextlib.closing(await dial(stage.port)) as peer:
        await wait_until(lambda: stage.counts("handshakes") > 0)
        stage.close()
        return str((await read_answer(peer)).status)


QUICK = {"open_timeout": 0.05}

REFUSALS = {
    "what is not a request": Refusal(
        "the request is not acceptable, or a hook refuses", "400", _ask_badly
    ),
    "a hook that refuses": Refusal(
        "the request is not acceptable, or a hook refuses", "403", _ask, hook="refuses"
    ),
    "a hook that raises": Refusal("a hook raises", "500", _ask, hook="raises"),
    "no request": Refusal(
        "the request does not come in time", "408", _be_silent, QUICK
    ),
    "a hook that dawdles": Refusal(
        "a hook takes too long", "503", _ask, QUICK, hook="dawdles"
    ),
    "no TLS": Refusal("TLS takes too long", "–", _ask_in_vain, QUICK, secure=True),
    "something else than TLS": Refusal("TLS fails", "–", _scan, secure=True),
    "half a request": Refusal("the client goes away", "–", _go_away),
    "too many": Refusal(
        "`max_connections` is reached",
        "503",
        _ask,
        {"max_connections": 1},
        guest="open",
    ),
    "too many of one": Refusal(
        "`max_connections_per_address` is reached",
        "429",
        _ask,
        {"max_connections_per_address": 1},
        guest="open",
    ),
    "too many who ask": Refusal(
        "`max_handshakes` is reached",
        "503",
        _ask,
        {"max_handshakes": 1},
        guest="silent",
    ),
    "too many who begin TLS": Refusal(
        "`max_handshakes` is reached",
        "–",
        _ask_in_vain,
        {"max_handshakes": 1},
        secure=True,
        guest="silent",
    ),
    "too late": Refusal("the server is closing", "503", _see_it_close),
}

_ENDS = "rejected", "handshakes_timed_out", "handshakes_broken"


async def check(refusal: Refusal, stage: Stage, records: list[Any]) -> None:
    """
    Make it happen; what happens must be what the page says.

    Args:
        refusal: What to make happen.
        stage: Where.
        records: Where log records arrive.
    """
    with stage.guests:
        if refusal.guest:
            await stage.host(opens=refusal.guest == "open")
        records.clear()
        before = stage.server.statistics()
        answer = await asyncio.wait_for(refusal.approach(stage), 10)
        await wait_until(lambda: any(stage.counts(end) > before[end] for end in _ENDS))
        await wait_until(lambda: stage.counts("handshakes") == before["handshakes"])
        after = stage.server.statistics()
        # A hook that raises has a second line, as each answer has: what was answered.
        log = log_of(records).partition(":")[0]
    before["accepted"] = after["accepted"]
    said, level, counters = ROWS[refusal.row]
    assert refusal.answer == answer
    assert (
        answer in said.removesuffix(" with TLS").split(", or ") or said == "the status"
    )
    assert (level, counters) == (log, grown(before, after))
