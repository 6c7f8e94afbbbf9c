"""
What a process holds, and what it says that it should not.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

__all__ = ["QUANTITIES", "Complaints", "report", "run", "sample"]

# What must not grow.
QUANTITIES = ("memory", "descriptors", "tasks", "timers")

_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")


class Complaints(logging.Handler):
    """
    Keeps what is logged and is nothing ordinary.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """
        Keep a record, with the error that it tells of.
        """
        if len(self.lines) < 100:
            self.lines.append(logging.Formatter("%(name)s: %(message)s").format(record))


def run(main: Coroutine[Any, Any, None]) -> None:
    """
    Run on the loop that the environment asks for.
    """
    on_uvloop = os.environ.get("SOAK_LOOP") == "uvloop"
    factory = uvloop.new_event_loop if on_uvloop else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


def sample() -> dict[str, float]:
    """
    Return what this process holds; memory in MiB.
    """
    gc.collect()
    kinds = [type(each).__name__ for each in gc.get_objects()]
    resident = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return {
        "memory": resident * _PAGE_SIZE / 2**20,
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "tasks": len(asyncio.all_tasks()),
        "timers": sum(kind in {"TimerHandle", "Deadline"} for kind in kinds),
    }


async def report(seconds: float, interval: float, complaints: Complaints) -> None:
    """
    Print a sample regularly, one in a line, and complaints as they come.
    """
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(
        lambda _, context: complaints.lines.append(str(context)[:1000])
    )
    start = time.monotonic()
    while (elapsed := time.monotonic() - start) < seconds:
        await asyncio.sleep(interval)
        said, complaints.lines = complaints.lines, []
        line = {"at": elapsed, **sample(), "complaints": said}
        print(json.dumps(line), flush=True)
