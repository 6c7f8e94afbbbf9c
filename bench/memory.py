"""
How the bytes of an idle connection add up.

    python -m bench.memory [--loop asyncio] [--connections 500] [--json]
    python -m bench.memory --check     # all limits, with a margin of 10 %

A server is watched from inside while the load generator keeps connections open:
the objects that a connection has for itself, with their sizes; what was
allocated, by :mod:`tracemalloc`; and from outside, in another process, by how
much its resident memory grows. An object belongs to the connection
which has the shortest way to it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import sys
import tracemalloc
import types
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from socketeer.asyncio.server import ServerConnection, serve

from .model import Kind, judge
from .processes import FIRST, cores, hold, resident
from .rows import ROWS, US, server

__all__ = ["MARGIN", "Part", "Portrait", "check", "main", "parts", "portray", "table"]

# What a figure may exceed its limit by: memory is taken in blocks.
MARGIN = 1.1

# Connections belong to none of these, which lead everywhere.
SHARED = (
    type,
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.CodeType,
    types.FrameType,
)


class Part(NamedTuple):
    """
    The objects of one type that a connection has.

    Attributes:
        name: The type.
        number: How many.
        size: Their bytes together.
    """

    name: str
    number: int
    size: int


class Portrait(TypedDict):
    """
    What is known about the memory of a connection.
    """

    loop: str
    parts: list[Part]
    traced: float
    resident: float


def distances(root: Any) -> dict[int, tuple[int, Any]]:
    """
    Return how many references away objects are, by their identities.
    """
    found = {id(root): (0, root)}
    nearest = [root]
    distance = 0
    while nearest:
        distance += 1
        farther = []
        for each in gc.get_referents(*nearest):
            if id(each) not in found and not isinstance(each, SHARED):
                found[id(each)] = (distance, each)
                farther.append(each)
        nearest = farther
    return found


def parts(one: Any, another: Any) -> list[Part]:
    """
    Return what one object has for itself, largest first; not the object.

    That is what it has a shorter way to than another of its kind: what both
    share is equally far away, and so is what belongs to a third one.
    """
    theirs = distances(another)
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for identity, (distance, each) in distances(one).items():
        nearer = identity not in theirs or distance < theirs[identity][0]
        if distance and nearer:
            name = type(each).__qualname__
            counts[name] += 1
            sizes[name] += sys.getsizeof(each)
    return [Part(name, counts[name], size) for name, size in sizes.most_common()]


class Watched:
    """
    A server in this process whose handlers wait, and what belongs to them.

    Attributes:
        owners: A connection and its handler's task, for each.
    """

    def __init__(self) -> None:
        self.owners: list[tuple[ServerConnection, asyncio.Task[Any] | None]] = []
        self._is_larger = asyncio.Event()

    async def handler(self, connection: ServerConnection) -> None:
        """
        Wait for a message that does not come.
        """
        self.owners.append((connection, asyncio.current_task()))
        self._is_larger.set()
        async for _message in connection:
            pass

    async def until(self, count: int) -> None:
        """
        Wait until so many connections are open.
        """
        async with asyncio.timeout(30):
            while len(self.owners) < count:
                self._is_larger.clear()
                await self._is_larger.wait()


async def look_inside(
    connections: int, load: Sequence[str] = (), **arguments: Any
) -> tuple[list[Part], float]:
    """
    Return the objects of a connection, and the bytes that were allocated for it.

    Args:
        connections: How many are looked at.
        load: Arguments for the load generator.
        arguments: Arguments of ``serve()``; keepalive and compression are off.
    """
    watched = Watched()
    core = cores()[1]
    arguments = {"compression": None, "ping_interval": None, **arguments}
    async with serve(watched.handler, "127.0.0.1", 0, **arguments) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        with contextlib.ExitStack() as stack:
            await asyncio.to_thread(stack.enter_context, hold(port, core, FIRST, load))
            await watched.until(FIRST)
            gc.collect()
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
            more = hold(port, core, connections, load)
            await asyncio.to_thread(stack.enter_context, more)
            await watched.until(FIRST + connections)
            gc.collect()
            traced = (tracemalloc.get_traced_memory()[0] - before) / connections
            tracemalloc.stop()
            found = parts(watched.owners[-1], watched.owners[-2])
            await asyncio.to_thread(stack.close)
    return found, traced


def portray(loop: str, connections: int = 500) -> Portrait:
    """
    Return all that is known about a connection on an event loop.
    """
    grown = resident(server(US, loop=loop).command, connections)
    work = look_inside(connections)
    if loop == "uvloop":
        import uvloop  # noqa: PLC0415 - not where it is missing

        found, traced = uvloop.run(work)
    else:
        found, traced = asyncio.run(work)
    return {"loop": loop, "parts": found, "traced": traced, "resident": grown}


def table(portrait: Portrait) -> str:
    """
    Return a portrait as a table in Markdown.
    """
    lines = [
        f"| of one idle connection, {portrait['loop']} | objects | bytes |",
        "| --- | --: | --: |",
    ]
    found = [Part(*each) for each in portrait["parts"]]
    for part in found:
        lines.append(f"| `{part.name}` | {part.number} | {part.size} |")
    total = sum(part.size for part in found)
    rest = portrait["traced"] - total
    lines += [
        f"| all objects | {sum(part.number for part in found)} | {total} |",
        f"| attributes, what the loop keeps, places in sets | | {rest:.0f} |",
        f"| allocated, as Python counts | | {portrait['traced']:.0f} |",
        f"| resident, as the system counts | | {portrait['resident']:.0f} |",
    ]
    return "\n".join(lines) + "\n"


def check() -> int:
    """
    Measure memory as the benchmark does and compare it with all limits; return
    how many are exceeded by more than the margin.
    """
    # Who checks needs certificates.
    from .measuring import Bench  # noqa: PLC0415
    from .model import Settings  # noqa: PLC0415

    bench = Bench(Settings(), sys.executable)
    exceeded = 0
    try:
        for row in ROWS:
            if row.kind is not Kind.MEMORY:
                continue
            samples = bench.measure(row)
            figures = {n: [s["value"] for s in found] for n, found in samples.items()}
            for target in row.targets:
                reached = judge(target, figures).reached
                if reached is None:
                    continue
                is_over = reached.median > target.limit * MARGIN
                exceeded += is_over
                words = f"{target.subject}: {reached.median:.4g}, {target.wanted}"
                print(f"{row.name}, {words}{': too much' if is_over else ''}")
    finally:
        bench.close()
    return exceeded


def main() -> int:
    """
    Run what the command line asks for.
    """
    parser = argparse.ArgumentParser(description="How a connection's bytes add up.")
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    parser.add_argument("--connections", type=int, default=500)
    parser.add_argument("--json", type=Path, help="write the figures to a file")
    parser.add_argument("--check", action="store_true", help="compare with the limits")
    options = parser.parse_args()
    portrait = portray(options.loop, options.connections)
    print(table(portrait))
    if options.json is not None:
        options.json.write_text(json.dumps(portrait), "utf-8")
    return 1 if options.check and check() else 0


if __name__ == "__main__":
    sys.exit(main())
