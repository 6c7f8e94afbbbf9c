"""
Connections that send and measure.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import os
import struct
from collections.abc import AsyncIterator

# An event loop's clock may be coarse: that of uvloop counts milliseconds.
from time import perf_counter as clock
from typing import Literal

from ..asyncio.client import ClientConnection
from ..exceptions import ConnectionClosed
from .conversation import CONNECT_ERRORS
from .histogram import Histogram
from .options import Target

__all__ = ["Load", "LoadOptions", "Mode"]

Mode = Literal["echo", "broadcast"]

# A broadcast message begins with the time at which it was sent.
_TIME = struct.Struct("!d")

# Connections made at the same time; more than a listening socket keeps are refused.
_AT_ONCE = 64

# Seconds to wait for answers after the last message was sent.
PATIENCE = 2.0

# Different errors that are told.
_ERRORS = 8


@dataclasses.dataclass(frozen=True)
class LoadOptions:
    """
    What to send.

    Attributes:
        connections: Number of connections.
        rate: Messages per second over all of them; :obj:`None` for no limit.
        size: Bytes of a message.
        duration: Seconds of sending.
        pipeline: Messages in flight on a connection.
        mode: What the server does with them.
    """

    connections: int = 10
    rate: float | None = None
    size: int = 64
    duration: float = 5
    pipeline: int = 1
    mode: Mode = "echo"

    def check(self) -> None:
        """
        Refuse what cannot be measured.

        Raises:
            ValueError: The options contradict each other.
        """
        if self.mode == "broadcast" and self.connections < 2:
            raise ValueError("--mode broadcast needs at least 2 --connections")
        if self.mode == "broadcast" and self.size < _TIME.size:
            raise ValueError(
                f"--mode broadcast needs a --size of at least {_TIME.size}"
            )


class Load:
    """
    A number of connections that send and measure.

    Args:
        target: The server.
        options: What to send.

    Attributes:
        opened: Connections that were made.
        failed: Connections that were not, or were lost.
        errors: Why, with how often.
        sent: Messages sent.
        received: Messages received.
        wrong: Messages received that nobody sent.
        latencies: How long they took, in seconds.
        began_at: When sending began.
        elapsed: Seconds of sending and waiting for answers.
    """

    def __init__(self, target: Target, options: LoadOptions) -> None:
        self.target = target
        self.options = options
        self.opened = 0
        self.failed = 0
        self.errors: collections.Counter[str] = collections.Counter()
        self.sent = 0
        self.received = 0
        self.wrong = 0
        self.latencies = Histogram()
        self.began_at: float | None = None
        self.elapsed = 0.0
        self._payload = os.urandom(options.size)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """
        End early.
        """
        self._stopping.set()

    def since_beginning(self) -> float:
        """
        Return for how many seconds messages have been sent.
        """
        if self.began_at is None or self.elapsed:
            return self.elapsed
        return clock() - self.began_at

    async def run(self) -> None:
        """
        Connect, send for the duration, wait for the last answers, and close.
        """
        async with contextlib.AsyncExitStack() as stack:
            connections = await self._connect_all(stack)
            if not connections or self._stopping.is_set():
                return
            self.began_at = clock()
            senders = self._senders(connections, self.began_at)
            try:
                await self._stopped_within(self.options.duration)
                for sender in senders:
                    sender.finish()
                await asyncio.wait([each.done for each in senders], timeout=PATIENCE)
                self.elapsed = clock() - self.began_at
            finally:
                for sender in senders:
                    sender.cancel()
                await asyncio.gather(
                    *[sender.done for sender in senders], return_exceptions=True
                )

    async def _stopped_within(self, seconds: float) -> None:
        """
        Wait, but not after :meth:`stop`.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _connect_all(
        self, stack: contextlib.AsyncExitStack
    ) -> list[ClientConnection]:
        """
        Make the connections, some at a time.
        """
        slots = asyncio.Semaphore(_AT_ONCE)

        async def connect() -> ClientConnection | None:
            async with slots:
                if self._stopping.is_set():
                    return None
                try:
                    connection = await self.target.connect(max_size=2**27).connect()
                except CONNECT_ERRORS as exc:
                    self.note(exc)
                    return None
            self.opened += 1
            return connection

        made = await asyncio.gather(
            *[connect() for _ in range(self.options.connections)]
        )
        connections = [connection for connection in made if connection is not None]

        async def close_all() -> None:
            await asyncio.gather(*[connection.close() for connection in connections])

        stack.push_async_callback(close_all)
        return connections

    def _senders(
        self, connections: list[ClientConnection], start: float
    ) -> list[Sender]:
        """
        Return what sends and receives on each connection.
        """
        options = self.options
        if options.mode == "echo":
            interval = len(connections) / options.rate if options.rate else None
            return [
                # Not all at once: evenly over the first interval.
                EchoSender(
                    self, each, start + (interval or 0) * n / len(connections), interval
                )
                for n, each in enumerate(connections)
            ]
        interval = 1 / options.rate if options.rate else None
        publisher = Publisher(self, connections[0], start, interval)
        return [
            publisher,
            *[Subscriber(self, each, publisher) for each in connections[1:]],
        ]

    def note(self, exc: Exception) -> None:
        """
        Count a connection that failed.
        """
        self.failed += 1
        text = f"{type(exc).__name__}: {exc}"[:200]
        if text in self.errors or len(self.errors) < _ERRORS:
            self.errors[text] += 1

    def message(self, now: float) -> bytes:
        """
        Return the next message.
        """
        if self.options.mode == "echo":
            return self._payload
        return _TIME.pack(now) + self._payload[_TIME.size :]


class Sender:
    """
    Sends, or receives, on one connection.

    Args:
        load: What it belongs to.
        connection: The connection.

    Attributes:
        done: The task; it ends when no answer is missing after :meth:`finish`.
    """

    def __init__(self, load: Load, connection: ClientConnection) -> None:
        self.load = load
        self.connection = connection
        self.finishing = asyncio.Event()
        self.done = asyncio.create_task(self._run_quietly())

    def finish(self) -> None:
        """
        Send nothing more.
        """
        self.finishing.set()

    def cancel(self) -> None:
        """
        Wait for nothing more.
        """
        self.done.cancel()

    async def run(self) -> None:
        """
        Send and receive.
        """
        raise NotImplementedError

    async def _run_quietly(self) -> None:
        try:
            await self.run()
        except ConnectionClosed as exc:
            self.load.note(exc)

    async def due_times(
        self, start: float, interval: float | None
    ) -> AsyncIterator[float]:
        """
        Return the times at which messages are to be sent, when they have come.

        With a rate they are those of the plan, not those of when we got round to it:
        otherwise, a server that stalls would seem to answer what nobody asked.
        """
        due = start
        while not self.finishing.is_set():
            now = clock()
            if interval is None:
                yield now
                continue
            if due > now:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(due - now):
                        await self.finishing.wait()
                        return
            yield due
            due += interval


class EchoSender(Sender):
    """
    Sends messages, and expects each of them back, in order.

    Args:
        load: What it belongs to.
        connection: The connection.
        start: When to begin.
        interval: Seconds from one message to the next; :obj:`None` for no limit.
    """

    def __init__(
        self,
        load: Load,
        connection: ClientConnection,
        start: float,
        interval: float | None,
    ) -> None:
        self.start = start
        self.interval = interval
        self.in_flight: collections.deque[float] = collections.deque()
        self.room = asyncio.Semaphore(load.options.pipeline)
        super().__init__(load, connection)

    async def run(self) -> None:
        """
        Send until told otherwise; receive what is missing.
        """
        receiving = asyncio.create_task(self._receive())
        try:
            async for due in self.due_times(self.start, self.interval):
                await self.room.acquire()
                if receiving.done() or self.finishing.is_set():
                    break
                # Without a plan, the time of waiting for room is not the server's.
                self.in_flight.append(clock() if self.interval is None else due)
                await self.connection.send(self.load.message(due))
                self.load.sent += 1
            # Each message that returns makes room; all of it is there at the end.
            while self.in_flight and not receiving.done():
                await asyncio.wait({receiving}, timeout=0.01)
            if receiving.done():
                receiving.result()
        finally:
            receiving.cancel()

    async def _receive(self) -> None:
        """
        Receive, and measure.
        """
        load = self.load
        expected = load.message(0)
        try:
            while True:
                message = await self.connection.recv()
                load.received += 1
                if message != expected or not self.in_flight:
                    load.wrong += 1
                    continue
                load.latencies.add(clock() - self.in_flight.popleft())
                self.room.release()
        finally:
            # Who waits for room is to notice.
            self.room.release()


class Publisher(Sender):
    """
    Sends messages for others to receive.

    Args:
        load: What it belongs to.
        connection: The connection.
        start: When to begin.
        interval: Seconds from one message to the next; :obj:`None` for no limit.
    """

    def __init__(
        self,
        load: Load,
        connection: ClientConnection,
        start: float,
        interval: float | None,
    ) -> None:
        self.start = start
        self.interval = interval
        self.published = 0
        # Deliveries that are missing; as many messages may be on their way.
        self.missing = 0
        self.delivered = asyncio.Event()
        super().__init__(load, connection)

    async def run(self) -> None:
        """
        Send until told otherwise.
        """
        receivers = self.load.opened - 1
        # A server may send to the sender, too; that is nobody's message.
        draining = asyncio.create_task(self._drain())
        try:
            async for due in self.due_times(self.start, self.interval):
                while self.missing > (self.load.options.pipeline - 1) * receivers:
                    self.delivered.clear()
                    with contextlib.suppress(TimeoutError):
                        # Looked at again, as receivers may be lost.
                        async with asyncio.timeout(PATIENCE):
                            await self.delivered.wait()
                            continue
                    self.missing = 0
                if self.finishing.is_set():
                    break
                now = clock() if self.interval is None else due
                self.missing += receivers
                await self.connection.send(self.load.message(now))
                self.published += 1
                self.load.sent += 1
        finally:
            draining.cancel()

    async def _drain(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.connection.recv()


class Subscriber(Sender):
    """
    Receives what the publisher sends.

    Args:
        load: What it belongs to.
        connection: The connection.
        publisher: Who sends.
    """

    def __init__(
        self, load: Load, connection: ClientConnection, publisher: Publisher
    ) -> None:
        self.publisher = publisher
        super().__init__(load, connection)

    async def run(self) -> None:
        """
        Receive until nothing is missing.
        """
        load = self.load
        publisher = self.publisher
        seen = 0
        size = load.options.size
        while not (self.finishing.is_set() and publisher.done.done()) or (
            seen < publisher.published
        ):
            message = await self.connection.recv()
            load.received += 1
            if not isinstance(message, bytes) or len(message) != size:
                load.wrong += 1
                continue
            load.latencies.add(clock() - _TIME.unpack_from(message)[0])
            seen += 1
            publisher.missing -= 1
            publisher.delivered.set()
