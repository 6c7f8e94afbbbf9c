"""
The client as a filter: lines come in and messages leave, and the other way round.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable

from ..asyncio.client import ClientConnection
from ..exceptions import ProtocolError
from ..frames import Close
from ..typing import Data
from .conversation import Conversation
from .loops import on_signals
from .messages import Display, closing_line, escape, from_line, message_line
from .options import Target
from .statuses import ExitStatus

__all__ = ["Filter", "lines"]

# Longest line of the input, in bytes.
MAX_LINE_SIZE = 2**26

# Bytes read at once, and how many such pieces may wait.
_PIECE_SIZE = 2**16
_PIECES = 16

# How many lines of output may wait for a slow reader.
_LINES = 256


class Filter:
    """
    The client in a pipe.

    Args:
        target: What to connect to.
        display: How messages are written.
        read: Returns the next bytes of the input, at most so many; ``b""`` at its
            end. Called in a thread.
        write: Writes bytes to the output. Called in a thread.
        jsonl: Whether lines are JSON objects.
        linger: Seconds without a message, after the end of the input, until the
            connection is closed.
        reconnect: Whether to connect again when the connection ends.
    """

    def __init__(
        self,
        target: Target,
        display: Display,
        read: Callable[[int], bytes],
        write: Callable[[bytes], object],
        *,
        jsonl: bool = False,
        linger: float = 1,
        reconnect: bool = False,
    ) -> None:
        self.display = display
        self.read = read
        self.write = write
        self.jsonl = jsonl
        self.linger = linger
        self.conversation = Conversation(target, self, reconnect=reconnect)
        self._output: asyncio.Queue[str] = asyncio.Queue(_LINES)
        self._received = asyncio.Event()
        # What ends the program, if it is not the connection.
        self._verdict: ExitStatus | None = None

    async def run(self) -> ExitStatus:
        """
        Converse until the connection ends, the input, or the reader of the output.
        """
        talking = asyncio.create_task(self.conversation.run())
        feeding = asyncio.create_task(self._feed())
        writing = asyncio.create_task(self._write_output())
        with on_signals(self._interrupt):
            try:
                await asyncio.wait(
                    {talking, writing}, return_when=asyncio.FIRST_COMPLETED
                )
                if writing.done():
                    self._verdict = ExitStatus.NO_READER
                    await self.conversation.leave()
                status = await talking
                if not writing.done():
                    await self._output.join()
                return self._verdict or status
            finally:
                for task in (talking, feeding, writing):
                    task.cancel()
                await asyncio.gather(feeding, writing, return_exceptions=True)

    # In.

    async def _feed(self) -> None:
        """
        Send the input; when it ends, wait for answers, and leave.
        """
        number = 0
        try:
            async for line in lines(self.read):
                number += 1
                item = self._parse(line)
                if isinstance(item, Close):
                    await self.conversation.begun.wait()
                    await self.conversation.leave(item.code, item.reason)
                    return
                if not await self.conversation.send(item):
                    return
        except (ValueError, ProtocolError) as exc:
            self._complain(f"line {number} of the input: {exc}")
            self._verdict = ExitStatus.USAGE
        else:
            await self._linger()
        await self.conversation.leave()

    def _parse(self, line: bytes) -> Data | Close:
        """
        Return what a line asks to send.

        Raises:
            ValueError: The line makes no sense.
        """
        try:
            text = line.decode()
        except UnicodeDecodeError as exc:
            raise ValueError("not UTF-8; --jsonl sends binary messages") from exc
        return from_line(text) if self.jsonl else text

    async def _linger(self) -> None:
        """
        Wait until no message has come for a while.
        """
        await self.conversation.begun.wait()
        with contextlib.suppress(TimeoutError):
            while True:
                self._received.clear()
                async with asyncio.timeout(self.linger):
                    await self._received.wait()

    def _interrupt(self, number: signal.Signals) -> None:
        """
        End because of a signal; at the second one, without good manners.
        """
        if self._verdict is not None:
            raise SystemExit(128 + number)
        self._verdict = ExitStatus(128 + number)
        self._leaving = asyncio.ensure_future(self.conversation.leave())

    # Out.

    async def _write_output(self) -> None:
        """
        Write lines, as many as there are at once, until nobody reads them.
        """
        while True:
            waiting = [await self._output.get()]
            while not self._output.empty():
                waiting.append(self._output.get_nowait())
            text = "".join(f"{line}\n" for line in waiting)
            try:
                await asyncio.to_thread(self.write, text.encode())
            except OSError:
                return
            for _ in waiting:
                self._output.task_done()

    def opened(self, connection: ClientConnection) -> None:
        """
        Take in nothing: the output is for messages.
        """

    async def received(self, message: Data) -> None:
        """
        Write a message; wait while the reader is slow.
        """
        self._received.set()
        await self._output.put(
            message_line(message) if self.jsonl else self.display.for_programs(message)
        )

    def closed(self, close: Close) -> None:
        """
        Tell how the connection ended, if it matters.
        """
        if self.jsonl:
            with contextlib.suppress(asyncio.QueueFull):
                self._output.put_nowait(closing_line(close))
        if close.code not in {1000, 1001, 1005}:
            self._complain(f"connection closed: {escape(str(close))}")

    def failed(self, exc: Exception) -> None:
        """
        Tell why there is no connection.
        """
        uri = self.conversation.target.uri
        self._complain(f"failed to connect to {uri}: {escape(str(exc))}")

    def waiting(self, delay: float) -> None:
        """
        Tell when there is another attempt.
        """
        self._complain(f"reconnecting in {delay:.1f} s")

    @staticmethod
    def _complain(text: str) -> None:
        """
        Tell people something, beside the output.
        """
        print(f"socketeer: {text}", file=sys.stderr, flush=True)  # noqa: T201


async def lines(read: Callable[[int], bytes]) -> AsyncIterator[bytes]:
    """
    Read the lines of an input, without their ends.

    A thread reads, as files cannot be watched, and is left alone at the end: there
    is no way to wake it up.

    Raises:
        ValueError: A line is too long.
    """
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[bytes] = asyncio.Queue()
    room = threading.Semaphore(_PIECES)
    ended = False

    def read_all() -> None:
        while room.acquire() and not ended:
            try:
                piece = read(_PIECE_SIZE)
            except OSError:
                piece = b""
            try:
                loop.call_soon_threadsafe(pieces.put_nowait, piece)
            except RuntimeError:
                # The loop is closed.
                return
            if not piece:
                return

    threading.Thread(target=read_all, name="input", daemon=True).start()
    rest = bytearray()
    try:
        while piece := await pieces.get():
            room.release()
            rest += piece
            if b"\n" in piece:
                *complete, last = bytes(rest).split(b"\n")
                rest = bytearray(last)
                for line in complete:
                    yield line.removesuffix(b"\r")
            if len(rest) > MAX_LINE_SIZE:
                raise ValueError(f"longer than {MAX_LINE_SIZE} bytes")
        if rest:
            yield bytes(rest)
    finally:
        ended = True
        room.release()
