"""
The process that is attacked: a server, and on demand a client.

Commands arrive on standard input, one in a line; answers leave in the same way.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

from socketeer.asyncio import running
from socketeer.asyncio.client import connect
from socketeer.asyncio.server import broadcast, serve
from socketeer.exceptions import ConnectionClosed
from tests.hostile.arena import OPEN_TIMEOUT, PATIENCE

__all__: list[str] = []

# Short, so that attacks do not take long; longer at full strength, which makes
# everybody slower.
OPTIONS: dict[str, Any] = {
    "open_timeout": OPEN_TIMEOUT,
    "ping_interval": 0.4 * PATIENCE,
    "ping_timeout": 0.4 * PATIENCE,
    "close_timeout": 0.3 * PATIENCE,
}


class Records(logging.Handler):
    """
    Keeps what is logged at level WARNING or above.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """
        Keep level and message.
        """
        self.lines.append(f"{record.levelname} {record.getMessage()}"[:300])


# What careless applications do.


async def echo(connection: Any) -> None:
    async for message in connection:
        await connection.send(message)


async def be_deaf(connection: Any) -> None:
    await connection.wait_closed()


async def close(connection: Any) -> None:
    await connection.recv()
    await connection.close()


async def send_broadcasts(connection: Any) -> None:
    while connection.state == 1:
        broadcast([connection], bytes(65_536))
        await asyncio.sleep(0.001)
    await connection.wait_closed()


async def flood(connection: Any) -> None:
    while True:
        await connection.send(bytes(65_536))


async def flood_and_close(connection: Any) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            await flood(connection)
    await connection.close()


async def block(connection: Any) -> None:
    async for message in connection:
        time.sleep(1.7)  # noqa: ASYNC251 - what is wrong with it
        await connection.send(message)


async def be_stubborn(connection: Any) -> None:
    for _ in range(5):
        with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
            await asyncio.sleep(0.1)


BEHAVIOURS = {
    "": echo,
    "deaf": be_deaf,
    "closes": close,
    "broadcasts": send_broadcasts,
    "floods": flood,
    "floods and closes": flood_and_close,
    "blocks": block,
    "is stubborn": be_stubborn,
}


async def handler(connection: Any) -> None:
    """
    Behave as the request wants it.
    """
    await BEHAVIOURS[connection.request.headers.get("X-Behaviour", "")](connection)


def held() -> dict[str, Any]:
    """
    Return what this process holds; memory in bytes, with its peak.
    """
    gc.collect()
    status = Path("/proc/self/status").read_text("ascii").splitlines()
    fields = dict(line.split(":", 1) for line in status)
    return {
        "memory": int(fields["VmRSS"].split()[0]) * 1024,
        "peak": int(fields["VmHWM"].split()[0]) * 1024,
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "tasks": len(asyncio.all_tasks()),
    }


def forget_the_peak() -> None:
    """
    Let the peak of memory begin anew.
    """
    Path("/proc/self/clear_refs").write_text("5", "ascii")


class Target:
    """
    Carries out commands.
    """

    def __init__(self, records: Records) -> None:
        self.records = records
        self.outcomes: list[asyncio.Task[str]] = []
        self.files = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def run(self, server: Any) -> None:
        """
        Read commands and answer them, until there are no more.
        """
        self.server = server
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
        )
        while line := await reader.readline():
            command, *arguments = json.loads(line)
            print(json.dumps(await getattr(self, command)(*arguments)), flush=True)

    async def measure(self) -> dict[str, Any]:
        """
        Return what this process holds; memory in bytes, with its peak.
        """
        return held()

    async def statistics(self) -> dict[str, int]:
        """
        Return what the server counts; this needs no file descriptor.
        """
        numbers: dict[str, int] = self.server.statistics()
        return numbers

    async def log(self) -> list[str]:
        """
        Return what was logged, and forget it; forget the peak of memory.
        """
        lines, self.records.lines = self.records.lines, []
        forget_the_peak()
        return lines

    async def connect(self, port: int, behaviour: str, patience: float) -> None:
        """
        Be the client of a hostile server, for whose handshake it waits so long.
        """
        options = {**OPTIONS, "proxy": None, "open_timeout": patience}

        async def visit() -> str:
            try:
                async with connect(f"ws://127.0.0.1:{port}", **options) as connection:
                    await BEHAVIOURS[behaviour](connection)
            except Exception as exc:  # noqa: BLE001 - the outcome
                return type(exc).__name__
            return "ends"

        self.outcomes.append(asyncio.create_task(visit()))

    async def outcome(self) -> str:
        """
        Return how the last visit ended.
        """
        return await self.outcomes.pop()

    async def limit_files(self, spare: int) -> None:
        """
        Leave so many file descriptors; -1 for as many as at first.
        """
        soft, hard = self.files
        if spare >= 0:
            # A new descriptor is the lowest free one.
            soft = os.dup(0)
            os.close(soft)
            soft += spare
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    async def open_another(self) -> int:
        """
        Start another server; return its port.
        """
        self.another = await serve(handler, "127.0.0.1", 0, **OPTIONS)
        port: int = self.another.sockets[0].getsockname()[1]
        return port

    async def close_another(self) -> None:
        """
        Close it, and cancel its handlers, as at the end of a program.
        """
        running.HANDLERS_GRACE = 0.1
        self.another.close()
        for task in self.another.handler_tasks:
            task.cancel()
        await self.another.wait_closed()


async def main() -> None:
    """
    Serve until standard input ends.
    """
    records = Records()
    logging.getLogger().addHandler(records)
    async with serve(handler, "127.0.0.1", 0, backlog=4096, **OPTIONS) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await Target(records).run(server)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--uvloop", action="store_true")
    options = parser.parse_args()
    factory = uvloop.new_event_loop if options.uvloop else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
