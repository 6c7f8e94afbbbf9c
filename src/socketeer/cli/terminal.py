"""
The interactive client: a prompt at the bottom, messages above it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Coroutine
from pathlib import Path
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.patch_stdout import patch_stdout
from rich.console import Console
from rich.json import JSON
from rich.text import Text

from ..asyncio.client import ClientConnection
from ..exceptions import ConnectionClosed, WebSocketException
from ..frames import Close
from ..typing import Data
from .conversation import Conversation
from .entries import HELP, CloseEntry, Entry, FileEntry, HelpEntry, PingEntry, parse
from .messages import Display, escape, pretty
from .options import Target
from .statuses import ExitStatus

__all__ = ["Terminal", "open_history"]

# Largest file sent as one message, in bytes; it is read into memory.
MAX_FILE_SIZE = 2**28

# Seconds between the pings that the toolbar's latency comes from.
PING_INTERVAL = 5

# Seconds after which the toolbar is painted again.
_REFRESH = 1


def open_history() -> History:
    """
    Return what was typed earlier, which nobody else may read.
    """
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    path = Path(state).expanduser() / "socketeer" / "history"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(path)


class Terminal:
    """
    The interactive client.

    Args:
        target: What to connect to.
        display: How messages are shown.
        reconnect: Whether to connect again when the connection ends.
        history: What was typed earlier.
    """

    def __init__(
        self,
        target: Target,
        display: Display,
        *,
        reconnect: bool = False,
        history: History | None = None,
    ) -> None:
        self.display = display
        self.conversation = Conversation(
            target, self, reconnect=reconnect, ping_interval=PING_INTERVAL
        )
        self.session: PromptSession[str] = PromptSession(
            history=history,
            bottom_toolbar=self.toolbar,
            refresh_interval=_REFRESH,
        )
        self._state = "connecting"
        # Pongs that are waited for; tasks nobody refers to may vanish.
        self._pongs: set[asyncio.Task[None]] = set()

    async def run(self) -> ExitStatus:
        """
        Converse until the connection or the input ends.
        """
        # raw: colours pass.
        with patch_stdout(raw=True):
            self._console = Console(highlight=False, soft_wrap=True)
            talking = asyncio.create_task(self.conversation.run())
            try:
                await self.conversation.begun.wait()
                if not talking.done():
                    await self._type_until_end(talking)
                return await talking
            finally:
                talking.cancel()
                for pong in self._pongs:
                    pong.cancel()

    async def _type_until_end(self, talking: asyncio.Task[ExitStatus]) -> None:
        """
        Take in what is typed until it ends, or the conversation does.
        """
        typing = asyncio.create_task(self._type())
        await asyncio.wait({typing, talking}, return_when=asyncio.FIRST_COMPLETED)
        typing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await typing
        await self.conversation.leave()

    # What is typed.

    async def _type(self) -> None:
        """
        Take in lines until Ctrl+D or Ctrl+C.
        """
        with contextlib.suppress(EOFError, KeyboardInterrupt):
            while True:
                line = await self.session.prompt_async("> ")
                try:
                    await self._obey(parse(line))
                except ConnectionClosed:
                    # Said by closed().
                    pass
                except (OSError, ValueError, WebSocketException) as exc:
                    self._say(str(exc), "red")

    async def _obey(self, entry: Entry) -> None:
        """
        Do what a line asks for.
        """
        connection = self.conversation.connection
        if isinstance(entry, HelpEntry):
            self._say(HELP)
        elif isinstance(entry, CloseEntry):
            await self.conversation.leave(entry.code, entry.reason)
        elif connection is None:
            self._say("Not connected; nothing was sent.", "red")
        elif isinstance(entry, PingEntry):
            self._expect(self._tell_pong(await connection.ping(entry.text)))
        elif isinstance(entry, FileEntry):
            content = await asyncio.to_thread(_read_file, entry.path)
            await connection.send(content)
            self._say(f"Sent {len(content)} bytes of {entry.path}.")
        else:
            await connection.send(entry)

    def _expect(self, pong: Coroutine[Any, Any, None]) -> None:
        """
        Wait for a pong beside everything else.
        """
        task = asyncio.create_task(pong)
        self._pongs.add(task)
        task.add_done_callback(self._pongs.discard)

    async def _measure(self, connection: ClientConnection) -> None:
        """
        Measure the latency, as the toolbar shows it.
        """
        with contextlib.suppress(ConnectionClosed):
            await (await connection.ping())

    async def _tell_pong(self, pong: Awaitable[float]) -> None:
        """
        Wait for a pong, and tell how long it took.
        """
        with contextlib.suppress(ConnectionClosed):
            self._say(f"Pong after {_milliseconds(await pong)}.")

    # What happens.

    def opened(self, connection: ClientConnection) -> None:
        """
        Take in that the connection is OPEN.
        """
        self._state = "open"
        subprotocol = connection.subprotocol
        chosen = f" with subprotocol {subprotocol}" if subprotocol else ""
        self._say(f"Connected to {self.conversation.target.uri}{chosen}.", "green")
        self._expect(self._measure(connection))

    async def received(self, message: Data) -> None:
        """
        Show a message.
        """
        if self.display.as_json and isinstance(message, str):
            laid_out = pretty(message)
            if laid_out is not None:
                self._console.print("<", JSON(laid_out, ensure_ascii=False))
                return
        self._say(f"< {self.display.for_people(message)}")

    def closed(self, close: Close) -> None:
        """
        Tell how the connection ended.
        """
        self._state = "closed"
        self._say(f"Connection closed: {escape(str(close))}.", "yellow")

    def failed(self, exc: Exception) -> None:
        """
        Tell why there is no connection.
        """
        self._state = "no connection"
        uri = self.conversation.target.uri
        self._say(f"Failed to connect to {uri}: {escape(str(exc))}.", "red")

    def waiting(self, delay: float) -> None:
        """
        Tell when there is another attempt.
        """
        self._say(f"Reconnecting in {delay:.1f} s.", "yellow")

    def toolbar(self) -> str:
        """
        Return the line at the bottom.
        """
        connection = self.conversation.connection
        latency = connection.latency if connection is not None else 0
        measured = f"latency {_milliseconds(latency)}" if latency else "latency -"
        return f" {self.conversation.target.uri} | {self._state} | {measured} "

    def _say(self, text: str, style: str = "") -> None:
        """
        Print a line above the prompt.
        """
        self._console.print(Text(text, style=style))


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"


def _read_file(path: Path) -> bytes:
    """
    Return the content of a file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is too large for a message.
    """
    with path.open("rb") as file:
        content = file.read(MAX_FILE_SIZE + 1)
    if len(content) > MAX_FILE_SIZE:
        raise ValueError(f"{path} is larger than {MAX_FILE_SIZE} bytes")
    return content
