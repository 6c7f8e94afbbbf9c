"""
What targets in all rooms have in common: their options, what they measure and log.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import resource
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.hostile.arena import OPEN_TIMEOUT, PATIENCE

__all__ = ["COROUTINES", "MESSAGE", "OPTIONS", "BaseTarget", "client_options", "wanted"]

# What careless applications send.
MESSAGE = bytes(65_536)

# Short, so that attacks do not take long; longer at full strength, which makes
# everybody slower. On a busy machine, a healthy client may take a second for a pong.
OPTIONS: dict[str, Any] = {
    "open_timeout": OPEN_TIMEOUT,
    "ping_interval": 0.4 * PATIENCE,
    "ping_timeout": max(1.5, 0.4 * PATIENCE),
    "close_timeout": 0.3 * PATIENCE,
}


def client_options(patience: float) -> dict[str, Any]:
    """
    Return the options of a client that waits so long for the opening handshake.
    """
    return {**OPTIONS, "proxy": None, "open_timeout": patience}


def wanted(connection: Any) -> str:
    """
    Return how the request wants the server to behave.
    """
    behaviour: str = connection.request.headers.get("X-Behaviour", "")
    return behaviour


# What careless applications do, in all rooms with coroutines.


async def _echo(connection: Any) -> None:
    async for message in connection:
        await connection.send(message)


async def _be_deaf(connection: Any) -> None:
    await connection.wait_closed()


async def _flood(connection: Any) -> None:
    while True:
        await connection.send(MESSAGE)


async def _block(connection: Any) -> None:
    async for message in connection:
        time.sleep(1.7)  # noqa: ASYNC251 - what is wrong with it
        await connection.send(message)


COROUTINES: dict[str, Callable[[Any], Awaitable[None]]] = {
    "": _echo,
    "deaf": _be_deaf,
    "floods": _flood,
    "blocks": _block,
}


class _Records(logging.Handler):
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


class BaseTarget:
    """
    Carries out commands.

    Args:
        server: The server that is attacked.
    """

    def __init__(self, server: Any) -> None:
        self.server = server
        self.another: Any = None
        self.files = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.records = _Records()
        logging.getLogger().addHandler(self.records)

    def carry_out(self, line: str | bytes) -> Any:
        """
        Carry out a command; return the answer, or what to await for it.
        """
        command, *arguments = json.loads(line)
        return getattr(self, command)(*arguments)

    def answer(self, result: Any) -> None:
        """
        Answer a command.
        """
        print(json.dumps(result), flush=True)

    def count_tasks(self) -> int:
        """
        Return how many tasks, or threads, there are.
        """
        raise NotImplementedError

    def measure(self) -> dict[str, Any]:
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
            "tasks": self.count_tasks(),
        }

    def statistics(self) -> dict[str, int]:
        """
        Return what the server counts; this needs no file descriptor.
        """
        numbers: dict[str, int] = self.server.statistics()
        return numbers

    def log(self) -> list[str]:
        """
        Return what was logged, and forget it; forget the peak of memory.
        """
        lines, self.records.lines = self.records.lines, []
        Path("/proc/self/clear_refs").write_text("5", "ascii")
        return lines

    def limit_files(self, spare: int) -> None:
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
