"""
What single operations cost, in instructions: for finding regressions where
clocks cannot be trusted.

    python -m bench.micro                     # all operations
    python -m bench.micro parse send          # those whose names begin so
    python -m bench.micro --save before.json
    python -m bench.micro --compare before.json
    python -m bench.micro --wall              # nanoseconds instead

Instructions are counted by valgrind, which simulates a processor: the same code
gives the same number on any day and under any load, the kernel's part is not in
it, and memory that is slow costs nothing. Without valgrind it is the clock. Each
operation runs often and more often; the difference of both is what it costs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from socketeer._implementation import load
from socketeer.asyncio.server import ServerConnection, broadcast, serve

from .natives import ROOT

__all__ = ["OPERATIONS", "instructions", "main", "nanoseconds", "totals"]

SMALL = 64
LARGE = 16_384
# Messages in a read, or until somebody reads.
BATCH = 16
RECEIVERS = 10

# How often an operation runs: often enough that what happens once does not count.
FEW = 320
MANY = 1600
# The clock needs more than the counter.
WALL_FACTOR = 40

# Seconds for all of it under valgrind, which takes fifty times as long.
PATIENCE = 600

# The function before which callgrind writes down what it has counted.
MARK = "getppid"

KEY = b"\x12\x9a\x5c\xe3"
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n"
)

Operation = Callable[[int], Awaitable[None]]


def masked_frame(size: int) -> bytes:
    """
    Return a binary frame as a client sends it.
    """
    header = load("outbox").frame_header(0x82, size, True)
    payload: bytes = load("masking").apply_mask(b"x" * size, KEY)
    return bytes(header) + KEY + payload


def unmask(size: int) -> Operation:
    """
    Return the operation of copying a payload out of a read, unmasked.
    """

    async def run(count: int) -> None:
        copy_payload = load("masking").copy_payload
        data = bytearray(KEY + b"x" * size)
        for _ in range(count):
            copy_payload(data, 4, 4 + size, True)

    return run


def parse(size: int) -> Operation:
    """
    Return the operation of turning a frame in a read into a message.
    """

    async def run(count: int) -> None:
        session = new_session(is_client=False)
        data = bytearray(masked_frame(size) * BATCH)
        for _ in range(count // BATCH):
            session.receive_data(data, len(data))
            for _ in range(BATCH):
                session.take_message(None)

    return run


def build(size: int, is_client: bool) -> Operation:
    """
    Return the operation of turning a message into a frame.
    """

    async def run(count: int) -> None:
        session = new_session(is_client)
        message = b"x" * size
        for _ in range(count // BATCH):
            for _ in range(BATCH):
                session.send_message(2, message, False)
            session.data_to_send()

    return run


def new_session(is_client: bool) -> Any:
    """
    Return one end of an open connection, without I/O.
    """
    keys = load("sending").MaskingKeys(os.urandom)
    return load("session").Session(is_client, -1, -1, keys, time.monotonic)


def drain(peer: socket.socket) -> None:
    """
    Read what there is.
    """
    try:
        while peer.recv(1 << 20):
            pass
    except BlockingIOError:
        pass


class Room:
    """
    A server with peers that are plain sockets, all in this thread.

    Attributes:
        connections: The server's ends.
        peers: The other ends.
    """

    def __init__(self) -> None:
        self.connections: list[ServerConnection] = []
        self.peers: list[socket.socket] = []
        self._entered = asyncio.Event()
        self._leave = asyncio.Event()

    async def _handler(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        self._entered.set()
        await self._leave.wait()

    async def run(self, peers: int, work: Callable[[Room], Awaitable[None]]) -> None:
        """
        Connect so many peers, and do some work.
        """
        settings: dict[str, Any] = {"compression": None, "ping_interval": None}
        async with serve(self._handler, "127.0.0.1", 0, **settings) as server:
            address = next(iter(server.sockets)).getsockname()
            for _ in range(peers):
                self._entered.clear()
                peer = socket.create_connection(address)
                peer.setblocking(False)
                self.peers.append(peer)
                peer.send(REQUEST)
                async with asyncio.timeout(10):
                    await self._entered.wait()
                drain(peer)
            await work(self)
            for peer in self.peers:
                peer.close()
            self._leave.set()


def receive(size: int) -> Operation:
    """
    Return the operation of ``recv()``, sixteen messages to a read.
    """

    async def run(count: int) -> None:
        async def work(room: Room) -> None:
            peer, connection = room.peers[0], room.connections[0]
            frames = masked_frame(size) * BATCH
            for _ in range(count // BATCH):
                peer.send(frames)
                for _ in range(BATCH):
                    await connection.recv()

        await Room().run(1, work)

    return run


def send(size: int) -> Operation:
    """
    Return the operation of ``send()``.
    """

    async def run(count: int) -> None:
        async def work(room: Room) -> None:
            peer, connection = room.peers[0], room.connections[0]
            message = b"x" * size
            for _ in range(count // BATCH):
                for _ in range(BATCH):
                    await connection.send(message)
                drain(peer)

        await Room().run(1, work)

    return run


def fan_out(size: int) -> Operation:
    """
    Return the operation of ``broadcast()`` to ten, with the turn that writes.
    """

    async def run(count: int) -> None:
        async def work(room: Room) -> None:
            message = b"x" * size
            for _ in range(count // RECEIVERS):
                broadcast(room.connections, message)
                await asyncio.sleep(0)
                for peer in room.peers:
                    drain(peer)

        await Room().run(RECEIVERS, work)

    return run


OPERATIONS: dict[str, Operation] = {
    "unmask-64": unmask(SMALL),
    "unmask-16k": unmask(LARGE),
    "parse-64": parse(SMALL),
    "parse-16k": parse(LARGE),
    "build-64": build(SMALL, is_client=False),
    "build-64-masked": build(SMALL, is_client=True),
    "build-16k": build(LARGE, is_client=False),
    "recv-64": receive(SMALL),
    "send-64": send(SMALL),
    "send-16k": send(LARGE),
    "broadcast-64": fan_out(SMALL),
}


def totals(folder: Path) -> list[int]:
    """
    Return the numbers of instructions that callgrind wrote, in their order.
    """
    found = {}
    for file in folder.glob("part.*"):
        match = re.search(r"^totals: (\d+)", file.read_text("utf-8"), re.MULTILINE)
        if match is not None and file.suffix[1:].isdigit():
            found[int(file.suffix[1:])] = int(match[1])
    return [found[number] for number in sorted(found)]


def instructions(names: Sequence[str]) -> list[float]:
    """
    Return how many instructions operations take, each time.

    Raises:
        RuntimeError: Valgrind or an operation failed.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        command = ["valgrind", "--tool=callgrind", f"--dump-before={MARK}"]
        command += [f"--callgrind-out-file={folder}/part"]
        command += [sys.executable, "-m", "bench.micro", "--run", *names]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": "0"},
            timeout=PATIENCE,
            check=False,
        )
        counts = totals(Path(folder))
    if done.returncode or len(counts) < 3 * len(names):
        raise RuntimeError(f"valgrind counted nothing: {done.stderr[-1000:]}")
    # What stands before each mark: the first time, few times, many times.
    return [
        (counts[3 * i + 2] - counts[3 * i + 1]) / (MANY - FEW)
        for i in range(len(names))
    ]


def run_marked(names: Sequence[str]) -> None:
    """
    Run operations for :func:`instructions`, with marks between them.
    """
    for name in names:
        for count in (FEW, FEW, MANY):
            asyncio.run(run(name, count))
            # A function that nobody else calls; callgrind waits for it.
            os.getppid()


def nanoseconds(names: Sequence[str]) -> list[float]:
    """
    Return how long operations take, each time; the best of three tries.
    """
    found = []
    for name in names:
        times: dict[int, list[int]] = {FEW: [], MANY: []}
        for count in (FEW, MANY) * 3:
            begin = time.perf_counter_ns()
            asyncio.run(run(name, count * WALL_FACTOR))
            times[count].append(time.perf_counter_ns() - begin)
        more = (MANY - FEW) * WALL_FACTOR
        found.append((min(times[MANY]) - min(times[FEW])) / more)
    return found


async def run(name: str, count: int) -> None:
    """
    Run an operation.
    """
    await OPERATIONS[name](count)


def chosen(words: Sequence[str]) -> list[str]:
    """
    Return the operations whose names begin with one of these words.

    Raises:
        ValueError: There are none.
    """
    names = [n for n in OPERATIONS if not words or n.startswith(tuple(words))]
    if not names:
        known = ", ".join(OPERATIONS)
        raise ValueError(f"no operation begins with {' or '.join(words)}: {known}")
    return names


def main() -> int:
    """
    Run what the command line asks for.
    """
    parser = argparse.ArgumentParser(description="What single operations cost.")
    parser.add_argument("operations", nargs="*")
    parser.add_argument("--wall", action="store_true", help="use the clock")
    parser.add_argument("--save", type=Path, help="write the figures to a file")
    parser.add_argument("--compare", type=Path, help="with the figures of a file")
    parser.add_argument("--run", action="store_true", help="only run, with marks")
    options = parser.parse_args()
    if options.run:
        run_marked(options.operations)
        return 0
    try:
        names = chosen(options.operations)
        before = json.loads(options.compare.read_text()) if options.compare else {}
    except (OSError, ValueError) as error:
        parser.error(str(error))
    wall = options.wall or not shutil.which("valgrind")
    unit = "nanoseconds" if wall else "instructions"
    values = nanoseconds(names) if wall else instructions(names)
    figures = dict(zip(names, values, strict=True))
    for name, figure in figures.items():
        change = ""
        if before.get("unit") == unit and before["figures"].get(name):
            change = f"{100 * (figure / before['figures'][name] - 1):+8.1f} %"
        print(f"{name:18} {figure:12,.0f} {unit}{change}")
    if options.save:
        saved = {"unit": unit, "figures": figures}
        options.save.write_text(json.dumps(saved, indent=1), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
